"""Checks for the exercises of the chapter on labels as a third view."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from cmrlib.exercises import Answer, Wrong, close, exercise, shape, statements

Array = NDArray[Any]


@exercise("hashing/label_factorization/z")
def z_step(answer: Answer) -> None:
    rng = np.random.default_rng(0)
    L, root, C = np.eye(3)[[0, 1, 2, 0, 0, 1]], rng.normal(size=(2, 2)), rng.normal(size=(6, 2))
    A = root @ root.T + np.eye(2)
    Z = shape(answer(L, A, C), (3, 2), "Z")
    if np.allclose(Z, np.linalg.solve(L.T @ L, L.T @ C)):
        raise Wrong("A is missing: the equation is LᵀL Z A = LᵀC.")
    if np.allclose(Z, L.T @ C @ np.linalg.inv(A)):
        raise Wrong("LᵀL is missing: these are sums over a class, not means.")
    if np.allclose(Z, np.linalg.solve(L.T @ L, L.T @ C) @ A):
        raise Wrong("Multiplied by A instead of its inverse.")
    close(L.T @ (L @ Z @ A - C), np.zeros((3, 2)), "Lᵀ(L Z A - C) is not 0.")
    L = rng.uniform(size=(6, 3))  # items with several labels
    Z = answer(L, A, C)
    close(L.T @ (L @ Z @ A - C), np.zeros((3, 2)), "It fails for labels that are not one-hot.")


@exercise("hashing/label_factorization/label_step")
def label_step(answer: Answer) -> None:
    rng = np.random.default_rng(1)
    L, U, first, second = (rng.normal(size=size) for size in [(8, 4), (3, 4), (8, 3), (8, 3)])
    lam, alpha, gamma = 2.0, [0.3, 0.8], 0.5
    V = shape(answer(L, U, [first, second], lam, alpha, gamma), (8, 3), "V_l")

    def solution(lam: float, alpha: list[float], gamma: float, held: float) -> Array:
        A = lam * U @ U.T + (held + gamma) * np.eye(3)
        C = lam * L @ U.T + alpha[0] * first + alpha[1] * second
        V: Array = np.linalg.solve(A, C.T).T
        return V

    if np.allclose(V, solution(lam, alpha, gamma, 0.0)):
        raise Wrong("A lacks the alphas: a link pulls V_l and also multiplies it.")
    if np.allclose(V, solution(lam, alpha, 0.0, sum(alpha))):
        raise Wrong("The penalty gamma is missing in A.")
    if np.allclose(V, solution(lam, [0.0, 0.0], gamma, sum(alpha))):
        raise Wrong("The links are missing on the right-hand side.")
    if np.allclose(V, solution(1.0, alpha, gamma, sum(alpha))):
        raise Wrong("lam is missing: it weighs both U_l U_lᵀ and L U_lᵀ.")
    half = lam * (V @ U - L) @ U.T + gamma * V
    half += alpha[0] * (V - first) + alpha[1] * (V - second)
    close(half, np.zeros((8, 3)), "The gradient of the objective in V_l is not 0.")


@exercise("hashing/label_factorization/pairs")
def pairs(answer: Answer) -> None:
    a = np.array([[3.0, -3.0, 0.5, -0.5], [900.0, -900.0, 0.0, -1.0]])
    b = np.array([[-1.0, 1.0, -2.0, 0.9], [-800.0, 800.0, 0.0, -1.0]])
    codes = shape(answer(a, b), (2, 4), "the codes")
    if not np.isin(codes, (-1, 1)).all():
        raise Wrong("Codes hold -1 and +1 only; a sum of exactly 0 is coded +1.")
    truth = np.where(a + b >= 0, 1, -1)
    for one, name in ((a, "image"), (b, "text")):
        if np.array_equal(codes, np.where(one >= 0, 1, -1)) and (codes != truth).any():
            raise Wrong(f"Only the {name} is asked: both modalities have a say.")
    if np.array_equal(codes, np.where((a >= 0) & (b >= 0), 1, -1)):
        raise Wrong("A sure yes must outvote an unsure no: compare p q with (1 - p)(1 - q).")
    close(codes, truth, "pq >= (1-p)(1-q) means that the sum of the log odds is not negative.")


@exercise("hashing/label_factorization/looks")
def looks(answer: Answer) -> None:
    Q = np.random.default_rng(2).normal(size=(9, 4)) + 0.3

    def fixed(Q: Array) -> Array:
        return np.where(Q >= 0.1, 1, -1)

    def by_mean(Q: Array) -> Array:
        return np.where(Q - Q.mean(axis=0) >= 0, 1, -1)

    def by_rank(Q: Array) -> Array:
        """Differ from `fixed` in the last row of a batch alone."""
        codes = fixed(Q)
        codes[-1, 0] = 1 if len(Q) == 1 else -1
        return codes

    if not answer(by_mean, Q):
        raise Wrong("A threshold that is the mean of the queries was not noticed.")
    if answer(fixed, Q):
        raise Wrong("A fixed threshold was accused: the codes are the same in any company.")
    if not answer(by_rank, Q):
        raise Wrong("Only the last query's code depends on the others here: try every query.")


@exercise("hashing/label_factorization/told")
def told(answer: Answer) -> None:
    statements(
        answer,
        {
            "Ours 2 uses labels of database items": (
                True,
                "its database holds the codes of stage 1, which were learnt with those labels",
            ),
            "Ours 1 uses labels of the queries": (
                False,
                "queries are encoded from their features in both rows",
            ),
            "LCMFH: two training items with equal labels can have different codes": (
                False,
                "V = L Z, so that equal rows of L give equal rows of V",
            ),
            "LCMFH: two queries with equal labels can have different codes": (
                True,
                "a query has no labels, its code comes from its features",
            ),
            "sign(V_l) with alpha = 0 depends on the images": (
                False,
                "without a link no term contains both V_l and the images",
            ),
        },
    )
