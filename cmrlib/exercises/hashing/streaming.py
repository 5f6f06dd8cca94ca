"""Checks for the exercises of the chapter on hashing a stream with wrong labels."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator

import numpy as np

from cmrlib.exercises import Answer, Wrong, close, exercise, shape, statements

Array = np.ndarray


@exercise("hashing/streaming/sums")
def sums(answer: Answer) -> None:
    rng = np.random.default_rng(0)
    chunks = [(rng.normal(size=(n, 4)), rng.normal(size=(n, 2))) for n in (10, 20, 5)]
    P = shape(answer(iter(chunks), 0.1), (4, 2), "P")
    Phi, B = (np.vstack(parts) for parts in zip(*chunks, strict=True))

    def ridge(Phi: Array, B: Array, reg: float) -> Array:
        return np.linalg.solve(Phi.T @ Phi + reg * np.eye(4), Phi.T @ B)

    if np.allclose(P, ridge(*chunks[-1], 0.5)):
        raise Wrong("This is the solution of the last chunk alone: add the chunks up.")
    if np.allclose(P, np.mean([ridge(*chunk, 0.1 * len(chunk[0])) for chunk in chunks], axis=0)):
        raise Wrong("A mean of solutions is not the solution of the whole: add up before solving.")
    if np.allclose(P, ridge(Phi, B, 0.1)) or np.allclose(P, ridge(Phi, B, 0.5)):
        raise Wrong("The ridge is reg times the number of all items seen.")
    close(P, ridge(Phi, B, 3.5), "This is not the ridge regression on all chunks.")

    def many() -> Iterator[tuple[Array, Array]]:
        for _ in range(50):
            yield np.ones((2000, 4)), np.ones((2000, 2))

    tracemalloc.start()
    answer(many(), 0.1)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    if peak > 10 * 2000 * 6 * 8:
        raise Wrong("It keeps the chunks: add each to the sums, then let it go.")


@exercise("hashing/streaming/balanced")
def balanced(answer: Answer) -> None:
    rng = np.random.default_rng(0)
    M = rng.normal(size=(30, 4)) * [4, 3, 2, 1] + [1, 0, 5, -3]
    V = shape(answer(M), (30, 4), "V")
    close(V.sum(axis=0), 0, "The columns of V must sum to zero: centre M before decomposing it.")
    if np.allclose(V.T @ V, np.eye(4)):
        raise Wrong("The columns have length 1: VᵀV is to be n I.")
    close(V.T @ V, 30 * np.eye(4), "VᵀV is not n I.")
    P, _, Qt = np.linalg.svd(M - M.mean(axis=0), full_matrices=False)
    close(V, np.sqrt(30) * P @ Qt, "V meets the constraints, but tr(VᵀM) could be larger.")


@exercise("hashing/streaming/shrink")
def shrink(answer: Answer) -> None:
    rng = np.random.default_rng(0)
    P, Q = (np.linalg.qr(rng.normal(size=(n, 3)))[0] for n in (6, 3))

    def with_values(*s: float) -> Array:
        M: Array = (P * np.array(s)) @ Q.T
        return M

    M = with_values(5, 2, 0.5)
    N = shape(answer(M.copy(), 1.0), (6, 3), "N")
    if np.allclose(N, np.sign(M) * np.maximum(np.abs(M) - 1, 0)):
        raise Wrong("This lowers the entries: lower the singular values.")
    if np.allclose(N, with_values(5, 2, 0)):
        raise Wrong("Values above t fall by t, too; they are not kept as they are.")
    if np.allclose(N, with_values(4, 1, -0.5)):
        raise Wrong("A singular value stops at 0: it does not become negative.")
    close(N, with_values(4, 1, 0), "N does not minimise t ||N||_* + ½ ||N - M||².")


@exercise("hashing/streaming/step")
def step(answer: Answer) -> None:
    rng = np.random.default_rng(0)
    L, E, N, U, T, *predictions = rng.normal(size=(8, 6, 3))
    A = shape(answer(predictions, L, E, N, U, T, 2.0), (6, 3), "A")
    pull = sum(predictions) + 2 * (L - E + U) + 2 * (N - T)
    if np.allclose(A, pull / 4):
        raise Wrong("A occurs once for each modality and rho times for each constraint, not 4.")
    if np.allclose(A, (sum(predictions) + (L - E + U) + (N - T)) / 5):
        raise Wrong("rho weighs both constraints; it cannot be left out.")
    if np.allclose(A, (sum(predictions) + 2 * (L - E - U) + 2 * (N + T)) / 7):
        raise Wrong("The multipliers have the wrong sign.")
    close(A, pull / 7, "The gradient with respect to A is not zero.")


@exercise("hashing/streaming/certificate")
def certificate(answer: Answer) -> None:
    E = np.array([[0.0, 0.7], [-0.2, 0.0]])
    U = np.array([[0.1, 0.3], [-0.3, -0.3]])
    cases = [
        (U, True, "Here both conditions hold; |u| may be β where e is 0."),
        (U * [[1, 1], [-1, 1]], False, "u must have the sign of e where e is not 0."),
        (U * [[1, 0.5], [1, 1]], False, "Where e is not 0, |u| must be β and not less."),
        (U + [[0.5, 0], [0, 0]], False, "No |u| may be larger than β, also where e is 0."),
        (U - [[1.5, 0], [0, 0]], False, "A very negative u is too large as well: take |u|."),
    ]
    for multipliers, truth, why in cases:
        if bool(answer(E.copy(), multipliers, 0.3)) != truth:
            raise Wrong(why)


@exercise("hashing/streaming/changes")
def changes(answer: Answer) -> None:
    statements(
        answer,
        {
            "codes of old items": (False, "they are stored and frozen"),
            "hash functions": (True, "they are solved again from the new sums"),
            "anchors": (False, "the first chunk fixes them, or the sums would mix features"),
            "size of the sums": (False, "a sum of matrices is as large as one of them"),
            "code of one query": (False, "the threshold is learnt, not taken from the queries"),
        },
    )
