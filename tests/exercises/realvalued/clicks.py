"""Plausible wrong answers to the exercises on learning from clicks."""

import numpy as np


def _weights(C):
    n, m = C.shape
    return np.block([[np.zeros((n, n)), C], [C.T, np.zeros((m, m))]])


def divided_by_zero(C):
    W = _weights(C)
    with np.errstate(invalid="ignore"):
        return W / W.sum(axis=1, keepdims=True)


def not_divided(C):
    return _weights(C)


def columns(C):
    W = _weights(C)
    return W / np.maximum(W.sum(axis=0), 1)


def left(weights, r):
    line = np.cumsum(weights)
    return int(np.searchsorted(line, r * line[-1], side="left"))


def heaviest(weights, r):
    return int(np.argmax(weights))


def uniform(weights, r):
    neighbours = np.flatnonzero(weights)
    return int(neighbours[int(r * len(neighbours))])


def not_scaled(weights, r):
    return int(np.searchsorted(np.cumsum(weights), r, side="right"))


def with_explicit(C):
    return C @ C.T @ C > 0


def not_clicked(C):
    return C == 0


def one_query_less(C):
    return np.zeros(C.shape, dtype=bool)


def _sigma(x):
    return 1 / (1 + np.exp(-x))


def descent(u, v, negatives, b):
    return (1 - _sigma(u @ v + b)) * v - _sigma(negatives @ u + b) @ negatives


def only_pull(u, v, negatives, b):
    return (_sigma(u @ v + b) - 1) * v


def two_pulls(u, v, negatives, b):
    return (_sigma(u @ v + b) - 1) * v - _sigma(negatives @ u + b) @ negatives


def no_offset(u, v, negatives, b):
    return (_sigma(u @ v) - 1) * v + _sigma(negatives @ u) @ negatives


def _best(N, K, power):
    total = N.sum(axis=1)
    q = total**power / (total**power).sum()
    return np.log(N / (K * np.outer(total, q)))


def one_order(N, K, power):
    return _best(N, K, power)


def no_power(N, K, power):
    return _best(N, K, 1)


def no_shift(N, K, power):
    total = N.sum(axis=1)
    q = total**power / (total**power).sum()
    chance = np.outer(total, q)
    return np.log((N + N.T) / (chance + chance.T))


def _beliefs(**changes):
    answers = {
        "doubling all clicks of a log changes the walks": False,
        "with window 1, an image and a query that was never clicked for it are never a pair": True,
        "longer walks always find the query's own picture better": False,
        "with lambda = 0 the free vectors learn nothing": False,
        "a new picture without any click can be encoded": True,
    }
    for start, value in changes.items():
        key = next(sentence for sentence in answers if sentence.startswith(start))
        answers[key] = value
    return answers


def counts_matter():
    return _beliefs(doubling=True)


def longer_is_better():
    return _beliefs(longer=True)


def one_belief():
    return {"longer walks always find the query's own picture better": False}


WRONG = {
    "realvalued/clicks/transition": [
        (divided_by_zero, "not 0 / 0"),
        (not_divided, "divide each row"),
        (columns, "The columns sum to 1"),
    ],
    "realvalued/clicks/step": [
        (left, "which has weight 0"),
        (heaviest, "heaviest edge"),
        (uniform, "equally likely"),
        (not_scaled, "scale r"),
    ],
    "realvalued/clicks/implicit": [
        (with_explicit, "those are explicit"),
        (not_clicked, "is there a path"),
        (one_query_less, "expected"),
    ],
    "realvalued/clicks/gradient": [
        (descent, "The sign"),
        (only_pull, "are missing"),
        (two_pulls, "Both terms pull"),
        (no_offset, "offset b is missing"),
    ],
    "realvalued/clicks/optimum": [
        (one_order, "both orders"),
        (no_power, "power is ignored"),
        (no_shift, "log K is missing"),
    ],
    "realvalued/clicks/beliefs": [
        (counts_matter, "ratios of clicks"),
        (longer_is_better, "averages over a neighbourhood"),
        (one_belief, "exactly these keys"),
    ],
}
