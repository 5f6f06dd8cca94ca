"""Plausible wrong answers to the exercises on losses."""

import numpy as np
from scipy.special import log_softmax, softmax


def _worst(S, margin):
    others = S.copy()
    np.fill_diagonal(others, -np.inf)
    return np.maximum(0, margin - np.diag(S) + others.max(axis=1))


def one_direction(S, margin):
    return _worst(S, margin).mean()


def all_negatives(S, margin):
    H = np.maximum(0, margin - np.diag(S)[:, None] + S)
    K = np.maximum(0, margin - np.diag(S)[:, None] + S.T)
    np.fill_diagonal(H, 0)
    np.fill_diagonal(K, 0)
    return (H + K).sum() / len(S)


def partner_among_negatives(S, margin):
    pairs = np.diag(S)
    rows = np.maximum(0, margin - pairs + S.max(axis=1))
    return np.mean(rows + np.maximum(0, margin - pairs + S.max(axis=0)))


def summed(S, margin):
    return np.sum(_worst(S, margin) + _worst(S.T, margin))


def spoils_its_argument(S, margin):
    np.fill_diagonal(S, -np.inf)
    return 0.0


def rows_only(S, tau):
    return -np.diag(log_softmax(S / tau, axis=1)).mean()


def overflows(S, tau):
    with np.errstate(all="ignore"):
        E = np.exp(S / tau)
        pairs = np.diag(E)
        return -np.mean(np.log(pairs / E.sum(axis=1)) + np.log(pairs / E.sum(axis=0))) / 2


def without_temperature(s, tau):
    return softmax(s / tau) - np.eye(len(s))[0]


def wrong_sign(s, tau):
    return (np.eye(len(s))[0] - softmax(s / tau)) / tau


def softmax_alone(s, tau):
    return softmax(s / tau) / tau


def _slope(w, d):
    return (1 / (1 + np.exp(-d * w)) - 1) / 2


def both_descend(w, d, lr):
    return w - lr * _slope(w, d) * d, d - lr * _slope(w, d) * w


def one_after_the_other(w, d, lr):
    d = d - lr * _slope(w, d) * w
    return w + lr * _slope(w, d) * d, d


def without_the_half(w, d, lr):
    return w + 2 * lr * _slope(w, d) * d, d - 2 * lr * _slope(w, d) * w


def coincidence_suffices():
    return {
        "partners that coincide exactly give perfect retrieval": True,
        "the sum of hinges and the hardest hinge agree on batches of two pairs": True,
        "InfoNCE at a very low temperature pushes mostly the hardest negative": True,
        "reporting the best epoch on the test pairs is fair, since no weight is trained on them": (
            False
        ),
        "a discriminator at chance means that retrieval is good": False,
    }


def peeking_is_fair():
    return coincidence_suffices() | {
        "partners that coincide exactly give perfect retrieval": False,
        "reporting the best epoch on the test pairs is fair, since no weight is trained on them": (
            True
        ),
    }


WRONG = {
    "realvalued/losses/hardest": [
        (one_direction, "Only images ask"),
        (all_negatives, "sum over all negatives"),
        (partner_among_negatives, "partner itself"),
        (summed, "mean over the queries"),
        (spoils_its_argument, "changes its argument"),
    ],
    "realvalued/losses/nce": [(rows_only, "rows alone"), (overflows, "overflow")],
    "realvalued/losses/gradient": [
        (without_temperature, "1 / tau"),
        (wrong_sign, "partner nearer"),
        (softmax_alone, "another term"),
    ],
    "realvalued/losses/players": [
        (both_descend, "Both descend"),
        (one_after_the_other, "both at once"),
        (without_the_half, "one half"),
    ],
    "realvalued/losses/beliefs": [
        (coincidence_suffices, "one and the same"),
        (peeking_is_fair, "best of many noisy scores"),
    ],
}
