"""Plausible wrong answers to the exercises on spectral and boosted hash functions."""

from itertools import combinations

import numpy as np


def _distances(A, B):
    return (A.shape[1] - A @ B.T) / 2


def cost_squared(views, W):
    within = sum(np.sum(W * 4 * _distances(Y, Y)) for Y in views)
    return within + sum(np.sum(W * 4 * _distances(Y, Z)) for Y, Z in combinations(views, 2))


def cost_across(views, W):
    return sum(np.sum(W * _distances(Y, Z)) for Y, Z in combinations(views, 2))


def cost_both_orders(views, W):
    return sum(np.sum(W * _distances(Y, Z)) for Y in views for Z in views)


def few_eigenvalues(rho, p, q):
    return 1 - rho


def without_the_ones(rho, p, q):
    return np.sort(np.r_[1 - rho, 1 + rho])


def correlations(rho, p, q):
    return np.r_[rho, np.zeros(abs(p - q)), -rho[::-1]]


def unsorted(rho, p, q):
    return np.r_[1 + rho, np.ones(abs(p - q)), 1 - rho]


def mean_threshold(u, c):
    return u.mean()


def _cuts(u, c):
    order = np.argsort(u)
    sums = c.sum() - 2 * np.cumsum(c[order])
    return u[order], sums


def least_threshold(u, c):
    sorted_u, sums = _cuts(u, c)
    k = sums[:-1].argmin()
    return (sorted_u[k] + sorted_u[k + 1]) / 2


def constant_threshold(u, c):
    return u.min() - 1 if c.sum() > 0 else u.max() + 1


def unit_step(w, s, agree):
    w = w * np.exp(-s * agree)
    return w / w.sum()


def wrong_sign(w, s, agree):
    w = w * np.exp(np.arctanh(np.sum(w * s * agree)) * s * agree)
    return w / w.sum()


def not_normalised(w, s, agree):
    return w * np.exp(-np.arctanh(np.sum(w * s * agree)) * s * agree)


def twice_the_step(w, s, agree):
    r = np.sum(w * s * agree)
    w = w * np.exp(-np.log((1 + r) / (1 - r)) * s * agree)
    return w / w.sum()


def _squared(Z, edges):
    return np.sum((Z[edges[:, 0]] - Z[edges[:, 1]]) ** 2, axis=1)


def strength_of_distance(Z, edges):
    return 1 / (1 + np.sqrt(_squared(Z, edges)))


def strength_exponential(Z, edges):
    return np.exp(-_squared(Z, edges))


def strength_squared(Z, edges):
    return 1 / (1 + _squared(Z, edges)) ** 2


def _smooth(B, edges, weights, factor, both=True):
    n = len(B)
    A = np.zeros((n, n))
    A[edges[:, 0], edges[:, 1]] = weights
    if both:
        A += A.T
    return np.linalg.solve(np.eye(n) + factor * (np.diag(A.sum(axis=1)) - A), B)


def strength_not_squared(B, edges, C, S):
    return _smooth(B, edges, C * S, 2)


def half_the_graph(B, edges, C, S):
    return _smooth(B, edges, C * S**2, 1)


def one_sided(B, edges, C, S):
    return _smooth(B, edges, C * S**2, 2, both=False)


WRONG = {
    "hashing/spectral/cost": [
        (cost_squared, "Four times too much"),
        (cost_across, "within a view are missing"),
        (cost_both_orders, "counts once"),
    ],
    "hashing/spectral/eigenvalues": [
        (few_eigenvalues, "min(p, q) of them"),
        (without_the_ones, "has no partner"),
        (correlations, "1 minus its correlation"),
        (unsorted, "cheapest bit first"),
    ],
    "hashing/spectral/threshold": [
        (mean_threshold, "search over all places"),
        (least_threshold, "smallest sum"),
        (constant_threshold, "same bit"),
    ],
    "hashing/spectral/reweight": [
        (unit_step, "step 1"),
        (wrong_sign, "sign of the exponent"),
        (not_normalised, "add up to 1"),
        (twice_the_step, "factor ½"),
    ],
    "hashing/spectral/strength": [
        (strength_of_distance, "squared distance"),
        (strength_exponential, "derivative in S"),
        (strength_squared, "This is S²"),
    ],
    "hashing/spectral/smooth": [
        (strength_not_squared, "enters the objective squared"),
        (half_the_graph, "factor is missing"),
        (one_sided, "both of its ends"),
    ],
}
