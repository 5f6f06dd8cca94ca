"""The second step of two-step hashing: maps from features to codes that are already known."""

from __future__ import annotations

from typing import Self

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import solve_triangular
from scipy.optimize import minimize
from scipy.special import expit
from sklearn.neural_network import MLPRegressor

from cmrlib._linalg import ridge
from cmrlib.hashing._features import Anchors

Array = NDArray[np.float64]


class RidgeMap:
    """Linear map from centred features to codes: W = argmin ||B - (X - mean) W||² + reg n ||W||².

    ``n`` makes `reg` independent of the number of items.
    """

    def __init__(self, reg: float = 1e-2) -> None:
        self.reg = reg

    def fit(self, X: Array, B: Array) -> Self:
        """Learn from features X (n, p) and codes B (n, r) of -1 and +1."""
        self.mean_, self.offset_ = X.mean(axis=0), B.mean(axis=0)
        self.W_ = ridge(X - self.mean_, B - self.offset_, self.reg * len(X))
        return self

    def scores(self, X: Array) -> Array:
        """Return real scores (n, r), whose signs are the codes."""
        return (X - self.mean_) @ self.W_ + self.offset_


class KernelLogisticMap:
    """Logistic regression of each bit on radial basis functions around anchors.

    Minimises the mean over items of sum_k log(1 + exp(-b_k (w_kᵀphi(x) + a_k))) plus
    reg / 2 ||W||²; the bits share the anchors and are otherwise independent.

    Parameters
    ----------
    reg : float
    n_anchors : int
    rng : numpy RandomState
        Draws the anchors.
    """

    def __init__(
        self, reg: float, n_anchors: int, rng: np.random.RandomState, max_iter: int = 1000
    ) -> None:
        self.reg, self.n_anchors, self.rng, self.max_iter = reg, n_anchors, rng, max_iter

    def fit(self, X: Array, B: Array) -> Self:
        """Learn from features X (n, p) and codes B (n, r) of -1 and +1."""
        self.anchors_ = Anchors.fit(X, self.n_anchors, self.rng)
        Phi = self._design(X)
        n, m = Phi.shape
        penalty = np.append(np.full(m - 1, self.reg), 0.0)[:, None]  # none on the intercept
        # In Z = Cᵀ W, C the Cholesky factor of a bound of the Hessian, L-BFGS needs few steps.
        bound = Phi.T @ Phi / (4 * n) + (self.reg + 1e-10) * np.eye(m)
        T = solve_triangular(np.linalg.cholesky(bound), np.eye(m), lower=True).T
        A = Phi @ T

        def loss(flat: Array) -> tuple[float, Array]:
            Z = flat.reshape(m, -1)
            W = T @ Z
            margin = B * (A @ Z)
            value = np.logaddexp(0, -margin).sum() / n + np.sum(penalty * W**2) / 2
            slope = T.T @ (penalty * W) - A.T @ (B * expit(-margin)) / n
            return float(value), slope.ravel()

        found = minimize(
            loss,
            np.zeros(m * B.shape[1]),
            jac=True,
            method="L-BFGS-B",
            options={"maxiter": self.max_iter, "gtol": 1e-6, "ftol": 1e-12},
        )
        self.W_: Array = T @ found.x.reshape(m, -1)
        return self

    def _design(self, X: Array) -> Array:
        return np.column_stack([self.anchors_.transform(X), np.ones(len(X))])

    def scores(self, X: Array) -> Array:
        """Return the log odds of each bit, (n, r)."""
        return self._design(X) @ self.W_


class MLPMap:
    """A network with one hidden layer that regresses all bits at once, by scikit-learn.

    A tenth of the training set decides when to stop.
    """

    def __init__(self, hidden: int, rng: np.random.RandomState) -> None:
        self.network_ = MLPRegressor(
            hidden_layer_sizes=(hidden,),
            early_stopping=True,
            max_iter=1000,
            learning_rate_init=1e-2,
            random_state=rng,
        )

    def fit(self, X: Array, B: Array) -> Self:
        """Learn from features X (n, p) and codes B (n, r) of -1 and +1."""
        self.network_.fit(X, B)
        return self

    def scores(self, X: Array) -> Array:
        """Return real scores (n, r), whose signs are the codes."""
        scores: Array = self.network_.predict(X).reshape(len(X), -1)
        return scores
