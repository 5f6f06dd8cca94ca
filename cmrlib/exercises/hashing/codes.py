"""Checks for the exercises of the chapter on binary codes."""

from __future__ import annotations

import numpy as np

from cmrlib.exercises import Answer, Wrong, close, exercise, number, shape, statements


def _codes(n: int, r: int, seed: int) -> np.ndarray:
    return np.where(np.random.default_rng(seed).normal(size=(n, r)) >= 0, 1, -1).astype(np.int8)


@exercise("hashing/codes/distances")
def distances(answer: Answer) -> None:
    B, D = _codes(4, 10, 0), _codes(3, 10, 1)
    truth = np.sum(B[:, None] != D[None], axis=2)
    got = shape(answer(B, D), (4, 3), "the distances")
    if np.allclose(got, 10 - truth):
        raise Wrong("These are numbers of equal bits: a distance counts the different ones.")
    if np.allclose(got, 10 - 2 * truth):
        raise Wrong("This is the inner product, r - 2 d: solve for d.")
    close(got, truth, "These are not the numbers of different bits.")
    B, D = _codes(2, 200, 2), -_codes(2, 200, 2)
    truth = np.sum(B[:, None] != D[None], axis=2)
    close(
        answer(B, D),
        truth,
        "With 200 bits the int8 product overflows: convert before you multiply.",
    )


@exercise("hashing/codes/thresholds")
def thresholds(answer: Answer) -> None:
    training = np.array([[0.0, 5.0], [2.0, 5.0], [4.0, 11.0]])  # means 2 and 7, medians 2 and 5
    queries = np.array([[2.0, 6.0], [1.9, 8.0], [0.5, 6.5]])
    codes = shape(answer(training, queries), (3, 2), "the codes")
    if (codes == 0).any():
        raise Wrong("Entry 0 is no bit: a score at its threshold gets +1.")
    if not np.isin(codes, (-1, 1)).all():
        raise Wrong("The entries must be -1 and +1.")
    if np.array_equal(codes, np.where(queries >= queries.mean(axis=0), 1, -1)):
        raise Wrong("The threshold is the queries' mean: it must come from the training scores.")
    if np.array_equal(codes, np.where(queries >= 0, 1, -1)):
        raise Wrong("The threshold is 0: use the mean of the training scores.")
    if codes[0, 1] == 1:
        raise Wrong("The second column has training mean 7, so the score 6 gets -1.")
    if codes[0, 0] == -1:
        raise Wrong("A score equal to its threshold gets +1, since sign(0) = +1.")
    close(codes, [[1, -1], [-1, 1], [-1, -1]], "Compare each column with its own training mean.")


@exercise("hashing/codes/cosine")
def cosine(answer: Answer) -> None:
    rng = np.random.default_rng(0)
    V, W = rng.normal(size=(5, 3)), rng.normal(size=(4, 3))
    normals = rng.normal(size=(3, 20_000))
    B = np.where(V @ normals >= 0, 1, -1).astype(np.int8)
    D = np.where(W @ normals >= 0, 1, -1).astype(np.int8)
    theta = np.mean(B[:, None] != D[None], axis=2)
    got = shape(answer(B, D), (5, 4), "the cosines")
    if np.allclose(got, 1 - 2 * theta):
        raise Wrong("This is the cosine of the codes: go through the angle, pi d / r.")
    if np.allclose(got, np.pi * theta):
        raise Wrong("These are the angles: take their cosine.")
    if np.allclose(got, np.cos(theta)):
        raise Wrong("A share of 1 is an angle of pi, not of 1.")
    V /= np.linalg.norm(V, axis=1, keepdims=True)
    W /= np.linalg.norm(W, axis=1, keepdims=True)
    if np.abs(got - V @ W.T).max() > 0.05:
        raise Wrong("With 20,000 hyperplanes the estimate must be close to the vectors' cosines.")
    close(got, np.cos(np.pi * theta), "The estimate is the cosine of pi times the share.")


@exercise("hashing/codes/rotation")
def rotation(answer: Answer) -> None:
    rng = np.random.default_rng(0)
    V = rng.laplace(size=(60, 4))
    B = np.where(V @ np.linalg.qr(rng.normal(size=(4, 4)))[0] >= 0, 1.0, -1.0)
    R = shape(answer(V, B), (4, 4), "the rotation")
    P, _, Qt = np.linalg.svd(V.T @ B)
    if not np.allclose(R.T @ R, np.eye(4)):
        raise Wrong("The matrix is not orthogonal: R.T @ R must be the identity.")
    if np.allclose(R, (P @ Qt).T):
        raise Wrong("This is the transpose of the answer: R.T @ V.T @ B is not symmetric.")
    if np.allclose(R, -P @ Qt):
        raise Wrong("This rotation is the worst of all: the eigenvalues are negative.")
    close(R, P @ Qt, "Another rotation is better: take R = P Qᵀ from the SVD of VᵀB.")


@exercise("hashing/codes/effective")
def effective(answer: Answer) -> None:
    full = np.array([[a, b, c] for a in (-1, 1) for b in (-1, 1) for c in (-1, 1)])
    close(number(answer(full), "the effective bits"), 3, "Three uncorrelated bits are 3 bits.")
    same = np.repeat(full[:, :1], 5, axis=1)
    value = number(answer(same), "the effective bits")
    if np.isclose(value, 5):
        raise Wrong("Five copies of one bit are one bit: square the correlations of all pairs.")
    close(value, 1, "Five copies of one bit are one bit.")
    flipped = full[:, [0, 0, 1]] * [1, -1, 1]
    close(
        number(answer(flipped), "the effective bits"),
        9 / 5,
        "A bit and its opposite are one bit: the correlation -1 counts by its square.",
    )
    with np.errstate(all="ignore"):
        value = number(answer(np.column_stack([full, np.ones(8)])), "the effective bits")
    if not np.isfinite(value):
        raise Wrong("A constant bit makes the result NaN: leave such bits out first.")
    close(value, 3, "A constant bit counts for nothing, in r as well.")
    skewed = np.array([[1, 1], [1, 1], [1, -1], [-1, 1]])  # correlation -1/3
    value = number(answer(skewed), "the effective bits")
    if np.isclose(value, 2):
        raise Wrong("Bits that are not balanced need centring: use correlations, not products.")
    close(value, 4 / (2 + 2 / 9), "These are not r² over the sum of squared correlations.")


@exercise("hashing/codes/statements")
def facts(answer: Answer) -> None:
    right = {
        "a rotation changes cosines": (False, "it keeps all inner products and lengths"),
        "flipping bit 3 in all codes changes Hamming distances": (
            False,
            "where two codes agreed in this bit they still do",
        ),
        "scores times 10 have other codes": (False, "a positive factor changes no sign"),
        "scores times 10 have another quantisation error": (
            True,
            "the corners of the cube stay where they are, and the scores move away from them",
        ),
        "balanced uncorrelated bits retrieve well": (
            False,
            "bits tossed with a coin are balanced and uncorrelated, too",
        ),
    }
    statements(answer, right)
