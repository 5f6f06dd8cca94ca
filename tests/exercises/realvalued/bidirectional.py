"""Plausible wrong answers to the exercises on two convolutional networks."""

import numpy as np
from scipy.special import expit, log_expit


def _windows(words, filters, margin):
    w = filters.shape[1]
    edge = np.zeros((margin, words.shape[1]))
    padded = np.vstack([edge, words, edge])
    windows = np.stack([padded[t : t + w] for t in range(len(padded) - w + 1)])
    return windows


def inside_only(words, filters):
    responses = np.einsum("twd,mwd->tm", _windows(words, filters, 0), filters)
    return np.maximum(responses, 0).max(axis=0)


def mean_response(words, filters):
    responses = np.einsum("twd,mwd->tm", _windows(words, filters, 2), filters)
    return np.maximum(responses, 0).mean(axis=0)


def turned(words, filters):
    responses = np.einsum("twd,mwd->tm", _windows(words, filters, 2), filters[:, ::-1])
    return np.maximum(responses, 0).max(axis=0)


def by_place(words, filters):
    return np.einsum("twd,mwd->tm", _windows(words, filters, 2), filters)


def likelihood(S, threshold, scale):
    sign = 2 * np.eye(len(S)) - 1
    return log_expit(sign * scale * (S - threshold)).sum() / len(S)


def matched_alone(S, threshold, scale):
    return -log_expit(scale * (np.diag(S) - threshold)).mean()


def mean_over_pairs(S, threshold, scale):
    sign = 2 * np.eye(len(S)) - 1
    return -log_expit(sign * scale * (S - threshold)).mean()


def all_matched(S, threshold, scale):
    return -log_expit(scale * (S - threshold)).sum() / len(S)


def overflowing(S, threshold, scale):
    Z = scale * (S - threshold)
    return np.log(1 + np.exp(np.where(np.eye(len(S)) > 0, -Z, Z))).sum() / len(S)


def _gradient(S, threshold, scale):
    return scale * (expit(scale * (S - threshold)) - np.eye(len(S))) / len(S)


def uphill(S, threshold, scale):
    return -_gradient(S, threshold, scale)


def no_scale(S, threshold, scale):
    return _gradient(S, threshold, scale) / scale


def unmatched_alone(S, threshold, scale):
    return scale * expit(scale * (S - threshold)) / len(S)


def mean_cosine(S, scale):
    return S.mean()


def mean_matched(S, scale):
    return np.diag(S).mean()


def one_half(S, scale):
    return 0.5


def _blanked(picture, size):
    rows, columns = picture.shape[1] - size + 1, picture.shape[2] - size + 1
    result = np.repeat(picture[None], rows * columns, axis=0)
    for i in range(rows):
        for j in range(columns):
            result[i * columns + j, :, i : i + size, j : j + size] = 0
    return result, (rows, columns)


def rise(picture, score, size):
    blanked, places = _blanked(picture, size)
    return (score(blanked) - score(picture[None])).reshape(places)


def remaining(picture, score, size):
    blanked, places = _blanked(picture, size)
    return score(blanked).reshape(places)


def in_place(picture, score, size):
    before = score(picture[None])[0]
    drops = np.zeros((picture.shape[1] - size + 1, picture.shape[2] - size + 1))
    for i, j in np.ndindex(drops.shape):
        picture[:, i : i + size, j : j + size] = 0
        drops[i, j] = before - score(picture[None])[0]
    return drops


def pairs_are_enough():
    return {**_TRUE, "matched pairs alone are enough, if there are many": True}


def threshold_ranks():
    return {**_TRUE, "the threshold decides which candidate comes first": True}


def one_sentence():
    return {"matched pairs alone are enough, if there are many": False}


_TRUE = {
    "matched pairs alone are enough, if there are many": False,
    "with all pairs of a batch, both directions are the same sum": True,
    "a word network whose windows hold one word cannot tell a swapped caption": True,
    "moving an object by four pixels leaves the feature maps as they were": False,
    "the threshold decides which candidate comes first": False,
}

WRONG = {
    "realvalued/bidirectional/convolve": [
        (inside_only, "hang over both ends"),
        (mean_response, "mean over places"),
        (turned, "turned round"),
        (by_place, "one number for each filter"),
    ],
    "realvalued/bidirectional/pair-loss": [
        (likelihood, "The sign"),
        (matched_alone, "Only matched pairs"),
        (mean_over_pairs, "number of queries, n"),
        (all_matched, "treated as matched"),
        (overflowing, "overflows"),
    ],
    "realvalued/bidirectional/pair-gradient": [
        (uphill, "The sign"),
        (no_scale, "factor a"),
        (unmatched_alone, "subtract 1 on the diagonal"),
    ],
    "realvalued/bidirectional/threshold": [
        (mean_cosine, "mean cosine, but"),
        (mean_matched, "mean cosine of the matched"),
        (one_half, "the probabilities sum to"),
    ],
    "realvalued/bidirectional/occlusion": [
        (rise, "The sign"),
        (remaining, "how far each one drops"),
        (in_place, "work on a copy"),
    ],
    "realvalued/bidirectional/beliefs": [
        (pairs_are_enough, "codes that are all the same"),
        (threshold_ranks, "same for all candidates"),
        (one_sentence, "exactly these keys"),
    ],
}
