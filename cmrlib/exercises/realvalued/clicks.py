"""Checks for the exercises of the chapter on learning from clicks."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from cmrlib.exercises import Answer, Wrong, close, exercise, number, shape, statements

Array = NDArray[Any]


def _log() -> Array:
    """Return clicks of 4 images for 3 queries; the last image has none."""
    return np.array([[3.0, 1.0, 0.0], [0.0, 2.0, 4.0], [0.0, 0.0, 5.0], [0.0, 0.0, 0.0]])


@exercise("realvalued/clicks/transition")
def transition(answer: Answer) -> None:
    C = _log()
    W = np.block([[np.zeros((4, 4)), C], [C.T, np.zeros((3, 3))]])
    d = W.sum(axis=1, keepdims=True)
    got = shape(answer(C.copy()), (7, 7), "P")
    if not np.isfinite(got).all():
        raise Wrong("A vertex without clicks: its row is zero, not 0 / 0.")
    if np.allclose(got, W):
        raise Wrong("These are clicks; divide each row by its sum.")
    if np.allclose(got, (W / np.where(d == 0, 1, d)).T):
        raise Wrong("The columns sum to 1 here; the rows of P must, a row is where the walk is.")
    if got[:4, :4].any() or got[4:, 4:].any():
        raise Wrong("No edge joins two images or two queries.")
    close(got, W / np.where(d == 0, 1, d), "This is not W divided by its row sums.")


@exercise("realvalued/clicks/step")
def step(answer: Answer) -> None:
    weights = np.array([0.0, 2.0, 0.0, 1.0, 5.0, 0.0])
    if number(answer(weights.copy(), 0.0)) == 0:
        raise Wrong("At r = 0 the walk goes to vertex 0, which has weight 0: think of the ends.")
    points = np.array([0.0, 0.1, 0.2499, 0.25, 0.3, 0.3749, 0.375, 0.6, 0.999])
    right = np.array([1, 1, 1, 3, 3, 3, 4, 4, 4])
    got = np.array([number(answer(weights.copy(), r)) for r in points])
    if (got == 4).all():
        raise Wrong("It always goes to the heaviest edge; a walk is random.")
    if set(got) <= {1, 3, 4} and np.array_equal(got, np.array([1, 3, 4])[(3 * points).astype(int)]):
        raise Wrong("All neighbours are equally likely here: weigh them by their clicks.")
    if (got > 5).any() or np.array_equal(got, np.searchsorted(np.cumsum(weights), points, "right")):
        raise Wrong("The weights sum to 8, not to 1: scale r by their sum.")
    close(got, right, f"For weights {weights.tolist()} and r = {points.tolist()}.")


@exercise("realvalued/clicks/implicit")
def implicit(answer: Answer) -> None:
    C = _log()
    C[3, 0] = 1  # image 3 is joined to image 0 by query 0
    right = (C @ C.T @ C > 0) & (C == 0)
    got = shape(answer(C.copy()), (4, 3)).astype(bool)
    if np.array_equal(got, C @ C.T @ C > 0):
        raise Wrong("Pairs with a click of their own are still in: those are explicit.")
    if np.array_equal(got, C == 0):
        raise Wrong("Not all pairs without a click are related: is there a path?")
    if not np.array_equal(got, right):
        raise Wrong(f"For clicks {C.tolist()} expected {right.tolist()}.")


@exercise("realvalued/clicks/gradient")
def gradient(answer: Answer) -> None:
    rng = np.random.default_rng(0)
    u, v, negatives, b = rng.normal(size=4), rng.normal(size=4), rng.normal(size=(3, 4)), -0.8

    def sigma(x: Array) -> Array:
        return 1 / (1 + np.exp(-x))

    def loss(u: Array) -> float:
        return float(-np.log(sigma(u @ v + b)) - np.log(sigma(-negatives @ u - b)).sum())

    e = 1e-6 * np.eye(4)
    right = np.array([(loss(u + h) - loss(u - h)) / 2e-6 for h in e])
    got = shape(answer(u, v, negatives, b), (4,), "the gradient")
    pull, push = (sigma(u @ v + b) - 1) * v, sigma(negatives @ u + b) @ negatives
    if np.allclose(got, -right, atol=1e-6):
        raise Wrong("The sign: this is the direction of descent, minus the gradient.")
    if np.allclose(got, pull):
        raise Wrong("The random vertices push; their terms are missing.")
    if np.allclose(got, pull - push):
        raise Wrong("Both terms pull: a random vertex must push u away, its derivative is +σ(x).")
    without = (sigma(u @ v) - 1) * v + sigma(negatives @ u) @ negatives
    if np.allclose(got, without):
        raise Wrong("The offset b is missing in the scores.")
    close(got, right, "It differs from finite differences of the loss.", tol=1e-6)


@exercise("realvalued/clicks/optimum")
def optimum(answer: Answer) -> None:
    rng = np.random.default_rng(1)
    N = rng.uniform(1, 9, size=(5, 5))
    N = (N + N.T) * np.outer([1, 1, 2, 4, 8], [1, 1, 2, 4, 8])
    total, K = N.sum(axis=1), 3

    def scores(power: float, symmetric: bool = True, shift: float = K) -> Array:
        q = total**power / (total**power).sum()
        chance = np.outer(total, q)
        if symmetric:
            chance = (chance + chance.T) / 2
        result: Array = np.log(N / (shift * chance))
        return result

    got = shape(answer(N.copy(), K, 0.75), (5, 5), "the scores")
    if np.allclose(got, scores(0.75, symmetric=False)):
        raise Wrong("x_vw and x_wv are one number: add the terms of both orders before you solve.")
    if np.allclose(got, scores(1.0)):
        raise Wrong("The power is ignored: q_w goes with N_w to the power.")
    if np.allclose(got, scores(0.75, shift=1)):
        raise Wrong("The shift by log K is missing.")
    close(got, scores(0.75), "This is not the minimum of the expected loss.")
    close(answer(N.copy(), 1, 1.0), scores(1.0, shift=1), "At power 1 and K = 1 it must be PMI.")


@exercise("realvalued/clicks/beliefs")
def beliefs(answer: Answer) -> None:
    right = {
        "doubling all clicks of a log changes the walks": (
            False,
            "a step depends on ratios of clicks, and those stay",
        ),
        "with window 1, an image and a query that was never clicked for it are never a pair": (
            True,
            "vertices one step apart share an edge",
        ),
        "longer walks always find the query's own picture better": (
            False,
            "a walk averages over a neighbourhood, which helps classes, not individuals",
        ),
        "with lambda = 0 the free vectors learn nothing": (
            False,
            "they learn from the walks; it is the networks that learn nothing",
        ),
        "a new picture without any click can be encoded": (
            True,
            "its features go through the network of the images",
        ),
    }
    statements(answer, right)
