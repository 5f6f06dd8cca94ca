"""Checks for the exercises of the chapter on spectral and boosted hash functions."""

from __future__ import annotations

from itertools import combinations, product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cmrlib.cca import CCA
from cmrlib.datasets import make_gaussian_views
from cmrlib.exercises import Answer, Wrong, close, exercise, number, shape
from cmrlib.hashing.spectral import CVH

Array = NDArray[Any]


@exercise("hashing/spectral/cost")
def cost(answer: Answer) -> None:
    rng = np.random.default_rng(0)
    views = [rng.choice([-1, 1], size=(6, 4)) for _ in range(3)]
    W = rng.random((6, 6))
    W = (W + W.T) / 2

    def distances(A: Array, B: Array) -> Array:
        return np.sum(A[:, None, :] != B[None, :, :], axis=2)

    within = sum(float(np.sum(W * distances(Y, Y))) for Y in views)
    across = sum(float(np.sum(W * distances(Y, Z))) for Y, Z in combinations(views, 2))
    found = number(answer(views, W), "the cost")
    if np.isclose(found, 4 * (within + across)):
        raise Wrong("Four times too much: bits of -1 and +1 that differ are 2 apart, squared 4.")
    if np.isclose(found, across):
        raise Wrong("Distances within a view are missing: codes of one view are compared as well.")
    if np.isclose(found, within):
        raise Wrong("Distances between views are missing: they are what retrieval across needs.")
    if np.isclose(found, within + 2 * across):
        raise Wrong("Every pair of views v < w counts once, not in both orders.")
    close(found, within + across, "This is not the weighted sum of Hamming distances.")


@exercise("hashing/spectral/eigenvalues")
def eigenvalues(answer: Answer) -> None:
    for p, q in ((6, 4), (3, 7), (5, 5)):
        views = make_gaussian_views(300, p, q, correlations=[0.9, 0.6], random_state=0)
        rho = CCA(min(p, q)).fit(views.image, views.text).correlations_
        true = CVH(p + q, reg=0).fit(views.image, views.text).eigenvalues_
        found = np.asarray(answer(rho, p, q), dtype=float)
        if found.shape == (min(p, q),):
            raise Wrong(f"There are p + q = {p + q} eigenvalues; these are min(p, q) of them.")
        if found.shape == (2 * min(p, q),) and p != q:
            raise Wrong(
                "A direction of the wider view that has no partner costs something as well."
            )
        found = shape(found, (p + q,), "the eigenvalues")
        if np.allclose(np.sort(found), true):
            close(found, true, "The values are right; sort them, the cheapest bit first.")
        if np.allclose(np.sort(found), np.sort(1 - true)):
            raise Wrong("These are correlations; a bit's cost is 1 minus its correlation.")
        close(found, true, "These are not the eigenvalues of CVH with W = I.")


@exercise("hashing/spectral/threshold")
def threshold(answer: Answer) -> None:
    def edge(u: Array, c: Array, a: float) -> float:
        return float(np.sum(c * np.where(u >= a, 1, -1)))

    for seed in range(5):
        rng = np.random.default_rng(seed)
        u, c = rng.normal(size=12) + 3, rng.normal(size=12)
        c -= c.mean() - 0.5 * (-1) ** seed  # so that one code for all would win, if allowed
        before = u.copy()
        a = number(answer(u, c), "the threshold")
        close(u, before, "The function changes its argument: sort a copy.", tol=0)
        cuts = np.sort(u)
        every = [
            edge(u, c, (low + high) / 2) for low, high in zip(cuts[:-1], cuts[1:], strict=True)
        ]
        if a <= cuts[0] or a > cuts[-1]:
            raise Wrong("All items get the same bit: a threshold has to lie between two items.")
        found = edge(u, c, a)
        if np.isclose(found, edge(u, c, u.mean())) and not np.isclose(found, max(every)):
            raise Wrong("This is the mean, or as good as it: search over all places between items.")
        if np.isclose(found, min(every)):
            raise Wrong("This threshold has the smallest sum: the items above it get +1, not -1.")
        close(found, max(every), "Another threshold has a larger sum.")


@exercise("hashing/spectral/reweight")
def reweight(answer: Answer) -> None:
    rng = np.random.default_rng(0)
    s = np.repeat([1, -1], 10)
    agree = np.where(rng.random(20) < 0.75, s, -s)
    w = rng.random(20)
    w /= w.sum()
    r = float(np.sum(w * s * agree))
    new = shape(answer(w.copy(), s, agree), (20,), "the weights")
    right = s == agree
    if not np.isclose(new.sum(), 1):
        raise Wrong("The weights do not add up to 1: divide by their sum.")
    ratio = new / w
    if ratio[right].mean() > ratio[~right].mean():
        raise Wrong("Pairs that the bit gets right gain weight: the sign of the exponent is wrong.")
    unit = w * np.exp(-s * agree)
    if np.allclose(new, unit / unit.sum()):
        raise Wrong("This is the step 1. Which step makes the bit worthless under the new weights?")
    left = float(np.sum(new * s * agree))
    double = w * np.exp(-2 * np.arctanh(r) * s * agree)
    if np.allclose(new, double / double.sum()):
        raise Wrong("The step is twice too long: mind the factor ½.")
    close(left, 0, "Under the new weights the edge of the bit must be 0.")
    if ratio[right].std() > 1e-9 or ratio[~right].std() > 1e-9:
        raise Wrong("Pairs that the bit treats alike must be scaled alike.")


@exercise("hashing/spectral/strength")
def strength(answer: Answer) -> None:
    rng = np.random.default_rng(0)
    Z = rng.normal(size=(8, 3))
    Z[5] = Z[2]
    edges = np.array([(0, 1), (2, 5), (3, 7), (6, 4)])
    squared = np.sum((Z[edges[:, 0]] - Z[edges[:, 1]]) ** 2, axis=1)
    S = shape(answer(Z, edges), (4,), "the strengths, one an edge,")
    if np.allclose(S, 1 / (1 + np.sqrt(squared))):
        raise Wrong("The objective holds the squared distance.")
    if np.allclose(S, np.exp(-squared)):
        raise Wrong("A plausible similarity, but not where the derivative in S vanishes.")
    if np.allclose(S, 1 / (1 + squared) ** 2):
        raise Wrong("This is S², the weight of an edge; the strength is S.")
    close(S[1], 1, "Equal codes must be joined with strength 1.")
    close(S, 1 / (1 + squared), "The derivative of S² d² + (S - 1)² in S is not 0 there.")


@exercise("hashing/spectral/smooth")
def smooth(answer: Answer) -> None:
    rng = np.random.default_rng(0)
    B = rng.choice([-1.0, 1.0], size=(7, 3))
    edges = np.array([(i, j) for i, j in product(range(7), repeat=2) if i < j])[::3]
    C, S = rng.random(len(edges)) + 0.5, rng.random(len(edges))

    def solution(weights: Array, factor: float, both: bool = True) -> Array:
        A = np.zeros((7, 7))
        A[edges[:, 0], edges[:, 1]] = weights
        A += A.T if both else 0
        return np.linalg.solve(np.eye(7) + factor * (np.diag(A.sum(axis=1)) - A), B)

    Z = shape(answer(B, edges, C, S), (7, 3), "the smooth codes")
    if np.allclose(Z, solution(C * S, 2)):
        raise Wrong("The weight of an edge is C S²: the strength enters the objective squared.")
    if np.allclose(Z, solution(C * S**2, 1)):
        raise Wrong(
            "A factor is missing: the codes' own term, ½ ||Z - B||², has the gradient Z - B."
        )
    if np.allclose(Z, solution(C * S**2, 2, both=False)):
        raise Wrong("An edge pulls at both of its ends: add the transpose before the row sums.")
    close(Z, solution(C * S**2, 2), "The gradient of the objective in Z is not 0 there.")
