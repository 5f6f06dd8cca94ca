"""Linear algebra that several families share."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve, cholesky, solve_triangular
from scipy.linalg.lapack import dpstrf

Array = NDArray[np.float64]

# A direction whose relative length is below this lies in the span of the others. It is above the
# rounding of single-precision features (1e-7) and below any structure worth keeping.
RANK_TOLERANCE = 1e-6


class WhitenedView(NamedTuple):
    """A view in an orthonormal basis: (X - mean) W = Q S."""

    mean: Array  # (p,)
    W: Array  # (p, rank); zero rows for columns that the others already span
    Q: Array  # (n, rank), orthonormal up to the rounding that S corrects
    S: Array  # (rank, rank), nearly the identity

    @property
    def rank(self) -> int:
        """Numerical rank of the centred view."""
        return self.W.shape[1]


def whiten(X: Array, reg: float = 0.0) -> WhitenedView:
    """Centre and whiten one view over its numerical rank.

    With Xc the centred view, C = XcᵀXc / n and the ridge C' = C + reg (tr C / p) I, finds W with
    WᵀC'W = I.

    Parameters
    ----------
    X : array of shape (n, p)
    reg : float
        Unit-free ridge; 0 is exact, and then unchanged by any invertible linear map of X.

    Notes
    -----
    C is first brought to a unit diagonal, so the scales of columns play no part in what counts as
    dependent. A column whose pivot falls below ``RANK_TOLERANCE`` lies in the span of those taken
    before it: it is dropped, and its weights are 0.

    One Cholesky factor of XcᵀXc would square the condition number. The second, of the nearly
    orthonormal Xc W, repairs that: CholeskyQR2 is as accurate as Householder QR while the
    condition number stays below 1e8 (Yamamoto et al., ETNA 44, 2015), and several times faster.
    """
    n, p = X.shape
    mean = X.mean(axis=0)
    Z = X - mean
    left = Z.mean(axis=0)  # rounding, which an offset of 1e6 makes felt
    mean += left
    Z -= left
    C = Z.T @ Z / n
    ridge = reg * np.trace(C) / p
    scale = np.sqrt(np.diag(C) + ridge)  # (p,)
    scale[scale == 0] = 1  # a constant column stays 0 and is dropped below

    correlation = (C + ridge * np.eye(p)) / np.outer(scale, scale)
    R, pivot, rank, _ = dpstrf(correlation, tol=RANK_TOLERANCE**2)
    kept = pivot[:rank] - 1
    W = np.zeros((p, rank))
    W[kept] = _inverse(np.triu(R[:rank, :rank])) / scale[kept, None]
    Q = _multiply_in_place(Z, W)
    S = _inverse(cholesky(Q.T @ Q / n + ridge * W.T @ W, check_finite=False))  # nearly I
    return WhitenedView(mean, W @ S, Q, S)


def whitened_cross_covariance(x: WhitenedView, y: WhitenedView) -> Array:
    """Return W_xᵀ C_xy W_y, (rank_x, rank_y): its singular values are canonical correlations."""
    return x.S.T @ (x.Q.T @ y.Q / len(x.Q)) @ y.S


def _multiply_in_place(Z: Array, W: Array, rows: int = 128) -> Array:
    """Return Z W, (n, rank), in the memory of Z (n, p): a second array of n rows costs time."""
    rank = W.shape[1]
    for start in range(0, len(Z), rows):
        block = Z[start : start + rows]
        block[:, :rank] = block @ W
    return Z[:, :rank]


def _inverse(R: Array) -> Array:
    """Invert an upper triangular matrix."""
    return solve_triangular(R, np.eye(len(R)), check_finite=False)


def fix_signs(A: Array, B: Array) -> tuple[Array, Array]:
    """Flip paired columns of A (p, k), B (q, k) so that A's largest entry in each is positive."""
    largest = np.abs(A).argmax(axis=0)
    sign = np.where(A[largest, np.arange(A.shape[1])] < 0, -1.0, 1.0)
    return A * sign, B * sign


def column_correlations(S: Array, T: Array) -> Array:
    """Return the correlation of each column of S (n, k) with the same column of T, (k,)."""
    S, T = S - S.mean(axis=0), T - T.mean(axis=0)
    lengths = np.linalg.norm(S, axis=0) * np.linalg.norm(T, axis=0)
    correlations: Array = np.sum(S * T, axis=0) / lengths
    return correlations


def ridge(A: Array, B: Array, reg: float) -> Array:
    """Return argmin_W ||B - A W||² + reg ||W||², shape (p, k), for A (n, p) and B (n, k).

    Raises
    ------
    ValueError
        If `reg` is 0 and the columns of A are dependent: the minimiser is not unique.
    """
    return ridge_solver(A, reg)(B)


def ridge_solver(A: Array, reg: float) -> Callable[[Array], Array]:
    """Return the map of B to :func:`ridge` of A and B, for many B: A is decomposed once."""
    gram = A.T @ A
    gram[np.diag_indices_from(gram)] += reg
    try:
        factor = cho_factor(gram, check_finite=False)
    except np.linalg.LinAlgError:
        raise ValueError(
            "the least-squares step has no unique solution; use a positive ridge."
        ) from None
    return lambda B: cho_solve(factor, A.T @ B, check_finite=False)


def procrustes(M: Array) -> Array:
    """Return the R with orthonormal columns (or rows) that maximises tr(RᵀM): M = P S Qᵀ, R = P Qᵀ.

    It is the minimiser of ||B - V R|| for M = VᵀB, since ||V R|| is the same for every rotation.
    """
    P, _, Qt = np.linalg.svd(M, full_matrices=False)
    R: Array = P @ Qt
    return R


def soft_threshold(M: Array, t: float) -> Array:
    """Return argmin_Z t ||Z||_1 + ||Z - M||² / 2: every entry moved towards 0 by t."""
    return np.sign(M) * np.maximum(np.abs(M) - t, 0)


def shrink_singular_values(M: Array, t: float) -> Array:
    """Return argmin_Z t ||Z||_* + ||Z - M||² / 2: singular values lowered by t, not below 0."""
    P, s, Qt = np.linalg.svd(M, full_matrices=False)
    Z: Array = (P * np.maximum(s - t, 0)) @ Qt
    return Z
