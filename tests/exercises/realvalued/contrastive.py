"""Plausible wrong answers to the exercises on contrastive learning."""

import numpy as np
from scipy.special import log_softmax, softmax


def _loss(logits):
    pairs = np.diag(log_softmax(logits, axis=1)) + np.diag(log_softmax(logits, axis=0))
    return -pairs.mean() / 2


def loss_itself(S):
    return _loss(S)


def negative_bound(S):
    return _loss(S) - np.log(len(S))


def images_alone(S):
    return np.log(len(S)) + np.diag(log_softmax(S, axis=1)).mean()


def uphill(F, G, tau):
    return softmax(F @ G.T / tau, axis=1) @ G - G


def softmax_over_images(F, G, tau):
    return G - softmax(F @ G.T / tau, axis=0) @ G


def without_temperature(F, G, tau):
    return G - softmax(F @ G.T, axis=1) @ G


def push_alone(F, G, tau):
    return -softmax(F @ G.T / tau, axis=1) @ G


def _weights(S, tau):
    return (softmax(S / tau, axis=1) + softmax(S / tau, axis=0)) / 2


def by_tau(S, tau):
    return -np.sum((_weights(S, tau) - np.eye(len(S))) * S) / (len(S) * tau**2)


def wrong_sign(S, tau):
    return np.sum((_weights(S, tau) - np.eye(len(S))) * S) / (len(S) * tau)


def no_identity(S, tau):
    return -np.sum(_weights(S, tau) * S) / (len(S) * tau)


def zeroed(S, tau, synonyms):
    return _loss(np.where(synonyms & ~np.eye(len(S), dtype=bool), 0, S / tau))


def ignored(S, tau, synonyms):
    return _loss(S / tau)


def pairs_left_out(S, tau, synonyms):
    with np.errstate(invalid="ignore"):
        return _loss(np.where(synonyms, -np.inf, S / tau))


def both_ways(S, tau, synonyms):
    return _loss(np.where((synonyms | synonyms.T) & ~np.eye(len(S), dtype=bool), -np.inf, S / tau))


def smaller_is_better():
    return {
        "a loss of log n means that the encoders find no partner better than by chance": False,
        "a loss of 2 with batches of 64 is better than a loss of 3 with batches of 1024": True,
        "a lower temperature keeps items of the same class closer together": False,
        "a caption read as a bag of words scores one half on swap, "
        "whatever the image encoder sees": True,
        "the temperature that minimises the loss is the best one for retrieving classes": False,
    }


def cold_is_close():
    return smaller_is_better() | {
        "a loss of 2 with batches of 64 is better than a loss of 3 with batches of 1024": False,
        "a lower temperature keeps items of the same class closer together": True,
    }


WRONG = {
    "realvalued/contrastive/bound": [
        (loss_itself, "loss itself"),
        (negative_bound, "The sign"),
        (images_alone, "Only images ask"),
    ],
    "realvalued/contrastive/pull": [
        (uphill, "uphill"),
        (softmax_over_images, "along each row"),
        (without_temperature, "Divide the scores by tau"),
        (push_alone, "own text is missing"),
    ],
    "realvalued/contrastive/temperature": [
        (by_tau, "by log tau it is tau times"),
        (wrong_sign, "The sign"),
        (no_identity, "minus identity"),
    ],
    "realvalued/contrastive/synonyms": [
        (zeroed, "weight e^0"),
        (ignored, "still count"),
        (pairs_left_out, "stays in its own sum"),
        (both_ways, "need not be"),
    ],
    "realvalued/contrastive/beliefs": [
        (smaller_is_better, "log 1024"),
        (cold_is_close, "hardest negatives"),
    ],
}
