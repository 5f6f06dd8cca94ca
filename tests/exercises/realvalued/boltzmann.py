"""Plausible wrong answers to the exercises on Boltzmann machines."""

import numpy as np
from scipy.special import entr, expit

from cmrlib.base import cosine_similarity


def likely_is_high(V, W, a, b):
    return V @ a + np.logaddexp(0, V @ W + b).sum(axis=1)


def no_visible_bias(V, W, a, b):
    return -np.logaddexp(0, V @ W + b).sum(axis=1)


def all_units_on(V, W, a, b):
    return -V @ a - (V @ W + b).sum(axis=1)


def sigmoid_for_softplus(V, W, a, b):
    return -V @ a - expit(V @ W + b).sum(axis=1)


def overflows(V, W, a, b):
    with np.errstate(over="ignore"):
        return -V @ a - np.log(1 + np.exp(V @ W + b)).sum(axis=1)


def bias_as_it_is(V, W, b):
    return expit(V @ W + b)


def shares(V, W, b):
    return expit(V / np.maximum(V.sum(axis=1, keepdims=True), 1) @ W + b)


def words_of_all(V, W, b):
    return expit(V @ W + V.sum() * b)


def upwards_only(v, W1, W2, b1, b2, n_sweeps):
    m1 = expit(v @ W1 + b1)
    return m1, expit(m1 @ W2 + b2)


def all_at_once(v, W1, W2, b1, b2, n_sweeps):
    m1, m2 = np.full(len(b1), 0.5), np.full(len(b2), 0.5)
    for _ in range(n_sweeps):
        m1, m2 = expit(v @ W1 + W2 @ m2 + b1), expit(m1 @ W2 + b2)
    return m1, m2


def one_sweep(v, W1, W2, b1, b2, n_sweeps):
    m1 = expit(v @ W1 + W2 @ np.full(len(b2), 0.5) + b1)
    return m1, expit(m1 @ W2 + b2)


def _minus_energy(v, m1, m2, W1, W2, a, b1, b2):
    return a @ v + v @ W1 @ m1 + b1 @ m1 + m1 @ W2 @ m2 + b2 @ m2


def no_entropy(*given):
    return _minus_energy(*given)


def half_an_entropy(v, m1, m2, *rest):
    return _minus_energy(v, m1, m2, *rest) + entr(m1).sum() + entr(m2).sum()


def entropy_subtracted(v, m1, m2, *rest):
    entropy = sum((entr(m) + entr(1 - m)).sum() for m in (m1, m2))
    return _minus_energy(v, m1, m2, *rest) - entropy


def no_limit(v, m1, m2, *rest):
    with np.errstate(divide="ignore", invalid="ignore"):
        entropy = sum(-(m * np.log(m) + (1 - m) * np.log(1 - m)).sum() for m in (m1, m2))
    return _minus_energy(v, m1, m2, *rest) + entropy


def not_centred(F, G, F_train, G_train):
    return cosine_similarity(F, G)


def by_the_test_mean(F, G, F_train, G_train):
    return cosine_similarity(F - F.mean(axis=0), G - G.mean(axis=0))


def by_one_mean(F, G, F_train, G_train):
    both = np.vstack([F_train, G_train]).mean(axis=0)
    return cosine_similarity(F - both, G - both)


def inner_products(F, G, F_train, G_train):
    return (F - F_train.mean(axis=0)) @ (G - G_train.mean(axis=0)).T


def trusts_the_error():
    return {
        "a falling reconstruction error proves that the likelihood rises": True,
        "a mean-field update can lower the bound": False,
        "in a deep Boltzmann machine the first hidden layer depends on the second": True,
        "to compare two pairs of one machine, Z must be known": False,
        "a longer text needs a larger hidden bias in a replicated softmax": True,
    }


def needs_z():
    return trusts_the_error() | {
        "a falling reconstruction error proves that the likelihood rises": False,
        "to compare two pairs of one machine, Z must be known": True,
    }


WRONG = {
    "realvalued/boltzmann/free-energy": [
        (likely_is_high, "sign is wrong"),
        (no_visible_bias, "visible biases are missing"),
        (all_units_on, "may also be off"),
        (sigmoid_for_softplus, "derivative"),
        (overflows, "logaddexp"),
    ],
    "realvalued/boltzmann/counts": [
        (bias_as_it_is, "multiplied by the number of words"),
        (shares, "Do not divide"),
        (words_of_all, "its own number of words"),
    ],
    "realvalued/boltzmann/mean-field": [
        (upwards_only, "hear from above"),
        (all_at_once, "just found"),
        (one_sweep, "not that of 3 sweeps"),
    ],
    "realvalued/boltzmann/bound": [
        (no_entropy, "entropy is missing"),
        (half_an_entropy, "two states"),
        (entropy_subtracted, "added, not subtracted"),
        (no_limit, "0 log 0"),
    ],
    "realvalued/boltzmann/centre": [
        (not_centred, "Nothing has been subtracted"),
        (by_the_test_mean, "training codes"),
        (by_one_mean, "its own mean"),
        (inner_products, "inner products"),
    ],
    "realvalued/boltzmann/beliefs": [
        (trusts_the_error, "one step around"),
        (needs_z, "cancels"),
    ],
}
