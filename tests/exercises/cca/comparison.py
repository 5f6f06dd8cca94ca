"""Plausible wrong answers to the exercises on comparing the family."""

import numpy as np

from cmrlib.catalog import method


def additive(f, X, Z):
    return np.allclose(f(X + Z), f(X) + f(Z), atol=1e-6)


def on_the_mean(f, X, Z):
    return np.allclose(f((X + Z) / 2).mean(), (f(X) + f(Z)).mean() / 2, atol=0.1)


def shuffles_all(labels, seed):
    return np.random.default_rng(seed).permutation(len(labels))


def sorts(labels, seed):
    return np.argsort(labels, kind="stable")


def leaves(labels, seed):
    return np.arange(len(labels))


def counts_numbers(n, p, q, r):
    return tuple(1e-9 * x for x in (2 * n * n, 2 * n * r, p * p + q * q + p * q))


def one_view(n, p, q, r):
    return tuple(8e-9 * x for x in (n * n, n * r, p * p + q * q + p * q))


def without_cross(n, p, q, r):
    return tuple(8e-9 * x for x in (2 * n * n, 2 * n * r, p * p + q * q))


def from_the_ends(sizes, seconds):
    return np.log(seconds[-1] / seconds[0]) / np.log(sizes[-1] / sizes[0])


def without_logarithms(sizes, seconds):
    return np.polyfit(sizes, seconds, 1)[0]


def exact_match(has_pairs, has_labels):
    wanted = " and ".join(
        word for word, there in (("pairs", has_pairs), ("labels", has_labels)) if there
    )
    names = ["CCA", "SM", "SCM", "ml-CCA", "KCCA"]
    return sorted(name for name in names if method(name).supervision == wanted)


def labels_ignored(has_pairs, has_labels):
    names = ["CCA", "SM", "SCM", "ml-CCA", "KCCA"]
    return sorted(n for n in names if has_pairs or "pairs" not in method(n).supervision)


WRONG = {
    "cca/comparison/linear": [(additive, "not the sum"), (on_the_mean, "all rows")],
    "cca/comparison/within": [
        (shuffles_all, "another class"),
        (sorts, "another class"),
        (leaves, "stayed where they were"),
    ],
    "cca/comparison/memory": [
        (counts_numbers, "8 bytes"),
        (one_view, "two views"),
        (without_cross, "C_xy"),
    ],
    "cca/comparison/slope": [(from_the_ends, "all sizes"), (without_logarithms, "grow as n cubed")],
    "cca/comparison/advice": [(exact_match, "need not use"), (labels_ignored, "needs labels")],
}
