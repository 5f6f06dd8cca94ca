"""Closed-form steps in which the blocks of hashing objectives are solved."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import eigh
from scipy.sparse.linalg import LinearOperator, cg

from cmrlib.hashing._graphs import Graph

Array = NDArray[np.float64]


def graph_sylvester(graph: Graph, B: Array, C: Array, tol: float = 1e-12) -> Array:
    """Solve L V + V B = C for V (n, r), L the Laplacian of a graph on n items.

    B (r, r) is symmetric and positive definite, C is (n, r). With B = Q diag(b) Qᵀ the equation
    falls apart into r sparse systems (L + b_j I) v_j = c_j, solved by conjugate gradients: no
    n x n array is made.
    """
    b, Q = eigh(B)
    rotated, degrees = C @ Q, graph.degrees
    V = np.empty_like(rotated)
    n = len(C)
    for j in range(len(b)):
        system = LinearOperator(
            (n, n), lambda v, j=j: graph.laplacian(v) + b[j] * v, dtype=np.float64
        )
        diagonal = degrees + b[j]  # Jacobi preconditioner
        scale = LinearOperator((n, n), lambda v, d=diagonal: v / d, dtype=np.float64)
        V[:, j], failed = cg(system, rotated[:, j], rtol=tol, atol=0, maxiter=10 * n, M=scale)
        if failed:
            raise ArithmeticError("the graph step did not converge; lower the graph's weight.")
    return V @ Q.T


def top_eigenvectors(A: Array, B: Array, k: int) -> tuple[Array, Array]:
    """Return the k largest eigenvalues of A v = lambda B v, descending, and vectors (p, k).

    A is symmetric, B symmetric positive definite; the vectors satisfy VᵀBV = I.
    """
    p = len(A)
    values, vectors = eigh(A, B, subset_by_index=[p - k, p - 1])
    return values[::-1], vectors[:, ::-1]


def balanced(M: Array) -> Array:
    """Return the V (n, r) that maximises tr(VᵀM) with balanced, uncorrelated columns.

    The constraints are 1ᵀV = 0 and VᵀV = n I, so n > r is needed. With J M = P S Qᵀ, J the
    centring, V = sqrt(n) [P P'] [Q Q']ᵀ, where the columns of P' complete those of P that have a
    positive singular value to r orthonormal ones orthogonal to 1 [1]_.

    References
    ----------
    .. [1] W. Liu, C. Mu, S. Kumar and S.-F. Chang, "Discrete graph hashing", NIPS (2014), the
       Y-subproblem.
    """
    n, r = M.shape
    if n <= r:
        raise ValueError(f"{r} balanced, uncorrelated bits need more than {r} items, got {n}.")
    P, s, Qt = np.linalg.svd(M - M.mean(axis=0), full_matrices=False)
    null = s <= s[0] * r * np.finfo(float).eps * 10 if s[0] > 0 else np.ones(r, bool)
    if null.any():
        # unit vectors, made orthogonal to 1 and to what is kept
        basis = np.column_stack([np.ones(n), P[:, ~null], np.eye(n, 2 * r)])
        Q_, R_ = np.linalg.qr(basis)
        independent = np.flatnonzero(np.abs(np.diag(R_)) > 1e-8)
        kept = 1 + int((~null).sum())
        P[:, null] = Q_[:, independent[kept : kept + int(null.sum())]]
    V: Array = np.sqrt(n) * P @ Qt
    return V
