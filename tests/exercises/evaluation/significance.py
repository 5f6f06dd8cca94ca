"""Wrong answers to the exercises of book/evaluation/significance.md, with their reasons."""

from itertools import product
from math import ceil, floor

import numpy as np


def without_replacement(values, n_resamples, rng):
    return np.array([rng.permutation(values).mean() for _ in range(n_resamples)])


def single_values(values, n_resamples, rng):
    return rng.choice(values, size=n_resamples)


def half_samples(values, n_resamples, rng):
    return rng.choice(values, size=(n_resamples, len(values) // 2)).mean(axis=1)


def wrong_axis(values, n_resamples, rng):
    return rng.choice(values, size=(n_resamples, len(values))).mean(axis=0)


def own_generator(values, n_resamples, rng):
    return np.random.default_rng().choice(values, size=(n_resamples, len(values))).mean(axis=1)


def shifted(values, n_resamples, rng):
    return rng.choice(values, size=(n_resamples, len(values))).mean(axis=1) + 0.1


def sums(difference):
    return np.array([np.dot(s, difference) for s in product([1, -1], repeat=len(difference))])


def one_sided(difference):
    return np.mean(sums(difference) >= difference.sum() - 1e-12)


def strictly_further(difference):
    return np.mean(np.abs(sums(difference)) > abs(difference.sum()) + 1e-12)


def observed_twice(difference):
    further = np.abs(sums(difference)) >= abs(difference.sum()) - 1e-12
    return (further.sum() + 1) / (len(further) + 1)


def signed_sum(difference):
    """Right for positive differences, else compares with a negative number."""
    return np.mean(np.abs(sums(difference)) >= difference.sum() - 1e-12)


WRONG = {
    "evaluation/significance/bootstrap": [
        (without_replacement, "draw with replacement"),
        (single_values, "spread like single values"),
        (half_samples, "draw as many values as there are"),
        (wrong_axis, "shape (4000,)"),
        (own_generator, "draw from rng and nothing else"),
        (shifted, "around another value"),
    ],
    "evaluation/significance/signs": [
        (one_sided, "That is one side"),
        (strictly_further, "at least as far"),
        (observed_twice, "do not count them twice"),
        (signed_sum, "Of the 16 signs"),
        (lambda d: 6 / 16, "Of the 4 signs"),
    ],
    "evaluation/significance/luck": [
        (lambda n, level: n * level, "do not add up"),
        (lambda n, level: level, "for one method"),
        (lambda n, level: (1 - level) ** n, "no winner"),
        (lambda n, level: level**n, "all of them win"),
        (lambda n, level: n * level * (1 - level) ** (n - 1), "exactly one winner"),
    ],
    "evaluation/significance/size": [
        (lambda spread, gain: floor((1.96 * spread / gain) ** 2), "too wide: round up"),
        (lambda spread, gain: (1.96 * spread / gain) ** 2, "is whole"),
        (lambda spread, gain: ceil(1.96 * spread / gain), "Square the ratio"),
        (lambda spread, gain: ceil((spread / gain) ** 2 - 1e-9), "1.96 standard errors"),
        (lambda spread, gain: ceil((1.96 * spread / (2 * gain)) ** 2), "do not halve it"),
    ],
}
