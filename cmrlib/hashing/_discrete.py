"""Steps that keep codes in {-1, +1}, instead of rounding a relaxed solution at the end."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

Array = NDArray[np.float64]


def sign(Z: Array) -> Array:
    """Return -1 or +1 for each entry, sign(0) = +1: the B in {-1, +1} that maximises tr(BᵀZ)."""
    return np.where(Z >= 0, 1.0, -1.0)


def cyclic_bits(B: Array, P: Array, Q: Array, max_sweeps: int = 10) -> Array:
    """Lower tr(B P Bᵀ) - 2 tr(BᵀQ) over B in {-1, +1}, one bit column at a time (DCC).

    With the other columns fixed, column k has the exact minimiser
    b_k = sign(q_k - sum_{l != k} P_kl b_l), since the diagonal of P only adds a constant. An entry
    whose argument is 0 keeps its value. Sweeps end when no bit changes.

    Parameters
    ----------
    B : array of shape (n, r)
        Codes to start from; not changed.
    P : array of shape (r, r)
        Symmetric.
    Q : array of shape (n, r)

    Notes
    -----
    ||Y - B W||² is of this form with P = W Wᵀ and Q = Y Wᵀ; ||S - U Bᵀ||², S (m, n), with
    P = UᵀU and Q = SᵀU. Discrete cyclic coordinate descent is of Shen et al., "Supervised
    discrete hashing", CVPR (2015).
    """
    B = B.copy()
    for _ in range(max_sweeps):
        changed = False
        for k in range(B.shape[1]):
            rest = Q[:, k] - B @ P[:, k] + B[:, k] * P[k, k]
            column = np.where(rest == 0, B[:, k], sign(rest))
            changed |= bool((column != B[:, k]).any())
            B[:, k] = column
        if not changed:
            break
    return B


def likelihood_bits(B: Array, D: Array, S: Array, scale: float) -> Array:
    """Lower sum softplus(Theta) - S Theta, Theta = scale B Dᵀ, over B, one bit column at a time.

    The negative log likelihood of pairwise similarities has curvature at most 1/4 in Theta, so it
    lies below a quadratic that touches it at the present column; the sign of that quadratic's
    minimiser cannot raise it.

    Parameters
    ----------
    B : array of shape (n, r)
        Codes to start from; not changed.
    D : array of shape (m, r)
        Codes, or real vectors, on the other side.
    S : array of shape (n, m)
        Similarities in [0, 1].
    scale : float
    """
    B = B.copy()
    Theta = scale * B @ D.T
    for k in range(B.shape[1]):
        slope = scale * (expit(Theta) - S) @ D[:, k]  # gradient in column k, (n,)
        curvature = scale**2 * (D[:, k] @ D[:, k]) / 4
        column = sign(curvature * B[:, k] - slope)
        Theta += scale * np.outer(column - B[:, k], D[:, k])
        B[:, k] = column
    return B
