"""Checks for the exercises of the chapter on codes that lead back to the features."""

from __future__ import annotations

import tracemalloc

import numpy as np
from scipy.linalg import solve_sylvester

from cmrlib._linalg import shrink_singular_values
from cmrlib.exercises import Answer, Wrong, close, exercise, number, shape, statements


@exercise("realvalued/reconstruction/sylvester")
def sylvester(answer: Answer) -> None:
    rng = np.random.default_rng(0)
    K, M = (root @ root.T + np.eye(len(root)) for root in (rng.normal(size=(d, d)) for d in (6, 3)))
    R = rng.normal(size=(6, 3))
    A = shape(answer(K, M, R), (6, 3), "A")
    right = solve_sylvester(K, M, R)
    Q, W = np.linalg.eigh(K)[1], np.linalg.eigh(M)[1]
    if np.allclose(A, Q.T @ right @ W):
        raise Wrong("This is A in the eigenbases: rotate back, with Q on the left, Wᵀ right.")
    if np.allclose(A, np.linalg.solve(K, R)):
        raise Wrong("M is ignored: this solves K A = R.")
    if np.allclose(K @ A + M[0, 0] * A, R) or np.allclose(A, (Q @ (Q.T @ R)) @ np.linalg.inv(M)):
        raise Wrong("One of the two factors is ignored.")
    close(K @ A + A @ M, R, "K A + A M is not R: entry (i, j) is divided by s_i + t_j.")


@exercise("realvalued/reconstruction/codes")
def codes(answer: Answer) -> None:
    rng = np.random.default_rng(0)
    X, Y, A, B, S = (rng.normal(size=d) for d in ((9, 5), (9, 4), (5, 2), (4, 2), (9, 2)))
    U = shape(answer(X, Y, A, B, S, 0.4, 3.0), (9, 2), "U")

    def gradient(n_views: float, factor: float, target: float, tied: float) -> np.ndarray:
        H = (n_views + target) * np.eye(2) + tied * (A.T @ A + B.T @ B)
        return U @ H - factor * (X @ A + Y @ B) - target * S

    if np.allclose(gradient(2, 1, 3, 0.4), 0):
        raise Wrong("X A counts 1 + alpha times: the reconstruction pulls U towards X A, too.")
    if np.allclose(gradient(1, 1.4, 3, 0.4), 0):
        raise Wrong("‖U - X A‖² and ‖U - Y B‖² bring the identity twice, not once.")
    if np.allclose(gradient(2, 1.4, 3, 0), 0):
        raise Wrong("The curvature of the reconstruction, alpha (AᵀA + BᵀB), is missing.")
    if np.allclose(gradient(2, 1.4, 0, 0.4), 0):
        raise Wrong("The target S is missing: beta stands in H and in C.")
    close(gradient(2, 1.4, 3, 0.4), 0, "The gradient of the objective in U is not 0.")


@exercise("realvalued/reconstruction/directions")
def directions(answer: Answer) -> None:
    rng = np.random.default_rng(0)
    L = np.eye(5)[rng.integers(5, size=40)]
    X = L @ rng.normal(size=(5, 8)) + rng.normal(size=(40, 8))
    X -= X.mean(axis=0)
    V = shape(answer(X, L, 2, 3.0), (5, 2), "V")
    close(V.T @ V, np.eye(2), "The columns of V must be orthonormal: they are eigenvectors.")
    hat = X @ np.linalg.inv(X.T @ X + 3.0 * np.eye(8)) @ X.T

    def top(M: np.ndarray, which: slice) -> np.ndarray:
        vectors = np.linalg.eigh(M)[1][:, which]
        return np.asarray(vectors @ vectors.T)

    centred = L - L.mean(axis=0)
    span = V @ V.T
    if np.allclose(span, top(centred.T @ hat @ centred, slice(0, 2))):
        raise Wrong("These are the last eigenvectors: eigh sorts in ascending order.")
    if np.allclose(span, top(centred.T @ centred, slice(-2, None))):
        raise Wrong("The features play no part: put the hat matrix between the labels.")
    close(
        span,
        top(centred.T @ hat @ centred, slice(-2, None)),
        "V does not span the first eigenvectors of LcᵀH Lc.",
    )
    n = 2000
    L, X = np.eye(3)[np.arange(n) % 3], rng.normal(size=(n, 4))
    tracemalloc.start()
    answer(X, L, 2, 3.0)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    if peak > 8 * n * n / 2:
        raise Wrong("An n x n array was formed: multiply XᵀLc first, which is (p, c).")


@exercise("realvalued/reconstruction/shrink")
def shrink(answer: Answer) -> None:
    rng = np.random.default_rng(0)
    M = rng.normal(size=(7, 4))
    Z = shape(answer(M, 1.5), (7, 4), "Z")
    P, s, Qt = np.linalg.svd(M, full_matrices=False)
    if np.allclose(Z, (P * (s - 1.5)) @ Qt):
        raise Wrong("A singular value below t becomes 0, not negative.")
    if np.allclose(Z, (P * (s * (s > 1.5))) @ Qt):
        raise Wrong("The values above t are lowered by t, too; this only drops the small ones.")
    if np.allclose(Z, np.sign(M) * np.maximum(np.abs(M) - 1.5, 0)):
        raise Wrong("This shrinks the entries; the nuclear norm needs the singular values.")
    if np.allclose(Z, (P * np.maximum(s - 3.0, 0)) @ Qt) or np.allclose(
        Z, (P * np.maximum(s - 0.75, 0)) @ Qt
    ):
        raise Wrong("Off by a factor of 2: the square comes with 1/2, so the threshold is t.")
    close(Z, shrink_singular_values(M, 1.5), "Z is not the minimiser.")
    close(answer(M, 100.0), 0 * M, "For a large t, Z must be 0.")


@exercise("realvalued/reconstruction/certificate")
def certificate(answer: Answer) -> None:
    rng = np.random.default_rng(0)
    M = rng.normal(size=(8, 5))
    Z = shrink_singular_values(M, 2.0)
    gap = number(answer(Z, (M - Z) / 2.0), "the gap")
    assert gap < 1e-8, f"The minimiser has a valid certificate, but the gap is {gap:.2g}, not 0."
    P, s, Qt = np.linalg.svd(M, full_matrices=False)
    cut = (P * (s * (s > 2.0))) @ Qt
    P, Qt = P[:, s > 2], Qt[s > 2]
    for wrong, why in [
        (0 * M, "0 passes as a subgradient: inside the span of Z, G must be P Qᵀ."),
        (P @ Qt + 3 * ((M - Z) / 2.0 - P @ Qt),
         "A remainder W that is too large passes: its spectral norm must be at most 1."),
        ((M - cut) / 2.0, "Singular values that are cut instead of shrunk pass."),
        (-(M - Z) / 2.0, "The sign of G must matter."),
    ]:  # fmt: skip
        assert number(answer(Z, wrong), "the gap") > 1e-3, why


@exercise("realvalued/reconstruction/terms")
def terms(answer: Answer) -> None:
    statements(
        answer,
        {
            "MSAE, beta -> infinity: texts do not change the image map": (
                True,
                "U = S stands still, and given U nothing connects A with B",
            ),
            "MSAE, alpha = 0: the maps are regressions of U": (
                True,
                "only ‖X A - U‖² is left, and its minimiser is X⁺U",
            ),
            "MSAE, all directions kept: V is but a rotation": (
                True,
                "another V is S times a rotation, and A, B and U rotate with it",
            ),
            "RRLSL, mu = 0: codes of five classes have rank 5": (
                False,
                "one code a class around a mean of 0 spans at most four directions",
            ),
            "RRLSL, lam = mu = 0: codes of zero are optimal": (
                True,
                "both remaining squares are then 0",
            ),
            "RRLSL: a decoder of its own would change little": (
                False,
                "without the tie, codes can shrink for ever while the decoder grows",
            ),
        },
    )
