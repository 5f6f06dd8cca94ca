"""Checks for the exercises of the chapter on discrete supervised hashing."""

from __future__ import annotations

import tracemalloc

import numpy as np

from cmrlib.exercises import Answer, Wrong, close, exercise, number, shape, statements


@exercise("hashing/discrete/column")
def column(answer: Answer) -> None:
    rng = np.random.default_rng(0)
    B = np.where(rng.normal(size=(40, 4)) >= 0, 1.0, -1.0)
    W, Y = rng.normal(size=(4, 6)), 3 * rng.normal(size=(40, 6))
    P, Q, before = W @ W.T, Y @ W.T, B.copy()
    b = shape(answer(B, P, Q, 2), (40,), "the column")
    close(B, before, "The function changes B: work on a copy.")
    if not np.isin(b, (-1, 1)).all():
        raise Wrong("The entries of a code are -1 and +1.")
    others = np.delete(np.arange(4), 2)
    truth = np.where(Q[:, 2] - B[:, others] @ P[others, 2] >= 0, 1, -1)
    if np.array_equal(b, np.where(Q[:, 2] - B @ P[:, 2] >= 0, 1, -1)):
        raise Wrong("The sum runs over the other columns, l ≠ k: take the k-th out.")
    if np.array_equal(b, np.where(Q[:, 2] >= 0, 1, -1)):
        raise Wrong("The other columns matter, too: subtract their part.")
    close(b, truth, "Some bits would be better flipped.")
    zero = answer(np.ones((1, 2)), np.zeros((2, 2)), np.zeros((1, 2)), 0)
    close(zero, [1], "sign(0) is +1: numpy's sign gives 0 there.")


@exercise("hashing/discrete/terms")
def terms(answer: Answer) -> None:
    rng = np.random.default_rng(0)
    S, U = rng.normal(size=(6, 5)), rng.normal(size=(6, 3))
    given = answer(S, U)
    if not isinstance(given, tuple | list) or len(given) != 2:
        raise Wrong("Return two matrices, P and Q.")
    P, Q = shape(given[0], (3, 3), "P"), shape(given[1], (5, 3), "Q")
    if np.allclose(Q, 2 * S.T @ U):
        raise Wrong("The form has its own factor 2 in front of tr(BᵀQ).")
    close(P, U.T @ U, "P is off: which matrix stands between B and Bᵀ?")
    close(Q, S.T @ U, "Q is off: what multiplies B once?")


@exercise("hashing/discrete/misfit")
def misfit(answer: Answer) -> None:
    rng = np.random.default_rng(0)
    F, G, A, B = (rng.normal(size=size) for size in ((7, 2), (5, 2), (7, 3), (5, 3)))
    value = number(answer(F, G, A, B))
    truth = float(np.sum((F @ G.T - A @ B.T) ** 2))
    if np.isclose(value, np.sqrt(truth)):
        raise Wrong("Return the square of the norm.")
    if np.isclose(value, truth + 4 * np.sum((F.T @ A) * (G.T @ B))):
        raise Wrong("The mixed term is subtracted.")
    close(value, truth, "This is not the squared distance of the two products.")
    many = rng.normal(size=(3000, 2))
    tracemalloc.start()
    answer(many, many, many, many)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    if peak > 3000 * 3000:
        raise Wrong("It makes an array of size n x m: multiply the small matrices first.")


@exercise("hashing/discrete/rotation")
def rotation(answer: Answer) -> None:
    rng = np.random.default_rng(0)
    truth = np.linalg.qr(rng.normal(size=(4, 4)))[0]
    V = rng.normal(size=(30, 4)) * [3, 2, 1, 0.5]
    R = shape(answer(V, V @ truth), (4, 4), "R")
    if np.allclose(R, truth.T):
        raise Wrong("This is R transposed: V R should be near B.")
    if not np.allclose(R.T @ R, np.eye(4)):
        raise Wrong("R is not orthogonal: leave the singular values out.")
    close(R, truth, "With B = V R exactly, R is not found.")
    B = np.where(V @ truth >= 0, 1.0, -1.0)
    R = shape(answer(V, B), (4, 4), "R")
    P, _, Qt = np.linalg.svd(V.T @ B)
    close(R, P @ Qt, "R does not minimise ||B - V R||.")


@exercise("hashing/discrete/labels")
def labels(answer: Answer) -> None:
    rng = np.random.default_rng(0)
    V, L = rng.normal(size=(20, 3)), np.eye(4)[rng.integers(4, size=20)]
    G = shape(answer(V, L, 5.0, 20.0), (3, 4), "G")

    def with_ridge(reg: float) -> np.ndarray:
        return np.linalg.solve(V.T @ V + reg * np.eye(3), V.T @ L)

    if np.allclose(G, with_ridge(0.25)):
        raise Wrong("The ratio is upside down: the ridge is gamma / alpha.")
    if np.allclose(G, with_ridge(20.0)):
        raise Wrong("alpha weighs the labels against the ridge; it cannot be left out.")
    if np.allclose(G, with_ridge(0.0)):
        raise Wrong("The ridge is missing.")
    close(G, with_ridge(4.0), "The gradient with respect to G is not zero.")


@exercise("hashing/discrete/changes")
def changes(answer: Answer) -> None:
    statements(
        answer,
        {
            "image features replaced": (False, "the codes are learnt from similarities alone"),
            "labels of the texts permuted": (True, "S changes"),
            "classes renumbered": (False, "S says which items share a class, not which class"),
            "one more query encoded": (False, "encoding learns nothing"),
            "beta set to another value": (True, "beta weighs the maps between the lengths"),
        },
    )
