"""Checks for the exercises of the chapter on kernel canonical correlation analysis."""

from __future__ import annotations

import numpy as np

from cmrlib.exercises import Answer, Wrong, close, exercise, shape, statements


def _kernels(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return centred kernel matrices of two related views."""
    rng = np.random.default_rng(seed)
    z = rng.normal(size=(n, 1))
    centre = np.eye(n) - 1 / n
    views = z + 0.3 * rng.normal(size=(n, 1)), z**2 + 0.3 * rng.normal(size=(n, 1))
    K, L = (centre @ np.exp(-((V - V.T) ** 2)) @ centre for V in views)
    return K, L


@exercise("cca/kernel/centre")
def centre(answer: Answer) -> None:
    rng = np.random.default_rng(0)
    X, new = rng.normal(size=(30, 4)) + 2, rng.normal(size=(7, 4)) - 1
    K_new, K = new @ X.T, X @ X.T
    before = K_new.copy()
    got = shape(answer(K_new, K), (7, 30))
    close(K_new, before, "The function changes its argument: subtract into a new array.")
    right = (new - X.mean(axis=0)) @ (X - X.mean(axis=0)).T
    means = K_new.mean(axis=0), K_new.mean(axis=1, keepdims=True)
    if np.allclose(got, K_new - means[0] - means[1] + K_new.mean()):
        raise Wrong(
            "The means are those of the batch of new items: an item's encoding would depend on "
            "the company it comes in. Take the column means and the grand mean from K."
        )
    if np.allclose(got, K_new - K.mean(axis=0)):
        raise Wrong("Half done: each new row's own mean must go, too, and the grand mean of K.")
    if np.allclose(got, K_new):
        raise Wrong("Nothing was centred.")
    close(got, right, "For the linear kernel this must equal (x - mean) @ (X - mean).T.")
    alone = np.vstack([answer(row[None], K) for row in K_new])
    close(alone, got, "Each new row must come out the same, alone or in a batch.")


@exercise("cca/kernel/smoothers")
def smoothers(answer: Answer) -> None:
    K, L = _kernels(40, 0)
    r = 0.02

    def smoother(M: np.ndarray, ridge: float) -> np.ndarray:
        return np.linalg.solve(M + ridge * np.eye(len(M)), M)

    squared = np.sort(np.linalg.eigvals(smoother(K, 40 * r) @ smoother(L, 40 * r)).real)[::-1][:3]
    rho = np.asarray(shape(answer(K, L, r, 3), (3,), "the first k correlations"))
    if np.iscomplexobj(rho):
        raise Wrong("Eigenvalues came out complex by rounding: take the real part.")
    if np.allclose(rho, squared):
        raise Wrong("The eigenvalues are squares of the correlations: take the root.")
    if np.allclose(np.sort(rho), np.sort(np.sqrt(squared))):
        close(rho, np.sqrt(squared), "The correlations are right, but the largest must come first.")
    without_n = np.sort(np.linalg.eigvals(smoother(K, r) @ smoother(L, r)).real)[::-1][:3]
    if np.allclose(rho, np.sqrt(without_n)):
        raise Wrong("The ridge on the kernel is n r: r belongs to C, which divides by n.")
    close(rho, np.sqrt(squared), "These are not the roots of the largest eigenvalues of G_x G_y.")


@exercise("cca/kernel/beliefs")
def beliefs(answer: Answer) -> None:
    right = {
        "a training correlation of 0.99 shows that the views are related": (
            False,
            "with a rich kernel and a small ridge, noise has it, too",
        ),
        "a smaller ridge raises the training correlation": (
            True,
            "the ridge only ever takes away from it",
        ),
        "a smaller ridge raises the held-out correlation": (
            False,
            "below some ridge it is noise that is fitted",
        ),
        "new kernels are centred with the means of the training set": (
            True,
            "the origin was fixed when the model was fitted",
        ),
        "adding 7 to all kernel values changes the model": (
            False,
            "centring takes a constant away again",
        ),
        "a kernel needs the coordinates of its feature space": (
            False,
            "inner products are all that is used; the space may have infinitely many dimensions",
        ),
    }
    statements(answer, right)


@exercise("cca/kernel/cholesky")
def incomplete_cholesky(answer: Answer) -> None:
    rng = np.random.default_rng(1)
    X = rng.normal(size=(50, 3))
    X[:10] *= 3  # the items that describe the others worst come late without pivoting
    X = X[::-1]
    K = X @ X.T + np.exp(-((X[:, None] - X) ** 2).sum(axis=2))
    before = K.copy()
    Z = shape(answer(K, 50), (50, 50), "the factor of all columns")
    close(K, before, "The function changes its argument: work on a copy.")
    if not np.isfinite(Z).all():
        raise Wrong("The factor holds NaN or infinity: divide by the root of what is left.")
    close(Z @ Z.T, K, "With all columns, Z Zᵀ must be K itself.", tol=1e-6)
    Z = shape(answer(K, 6), (50, 6), "the factor of 6 columns")
    left = K.diagonal().copy()
    columns = np.zeros((50, 0))
    for _ in range(6):
        i = int(left.argmax())
        column = (K[:, i] - columns @ columns[i]) / np.sqrt(left[i])
        columns = np.column_stack([columns, column])
        left = left - column**2
    error, best = np.trace(K - Z @ Z.T), np.trace(K - columns @ columns.T)
    if error > best * 1.0001:
        raise Wrong(
            f"Z leaves out {error:.3g} of the trace, {best:.3g} would do: take as pivot the item "
            "with the largest entry left on the diagonal, each time anew."
        )
    close(Z @ Z.T, columns @ columns.T, "This is not the factor at the greedy pivots.", tol=1e-6)


@exercise("cca/kernel/chi2")
def chi2(answer: Answer) -> None:
    X = np.random.default_rng(2).dirichlet(np.full(6, 0.3), size=12)
    X[:, 5] = 0  # a visual word that none of them has
    X /= X.sum(axis=1, keepdims=True)
    K = shape(answer(X), (12, 12))
    if not np.isfinite(K).all():
        raise Wrong("NaN: where a bin is empty in both histograms, 0/0 must count as 0.")
    total = X[:, None] + X
    difference = (X[:, None] - X) ** 2
    D = np.divide(difference, total, out=np.zeros_like(total), where=total > 0).sum(axis=2)
    if np.allclose(K, np.exp(-D)):
        raise Wrong("Divide the distance by its mean over all pairs, so that no unit is felt.")
    euclid = difference.sum(axis=2)
    if np.allclose(K, np.exp(-euclid / euclid.mean())):
        raise Wrong("This is the Gaussian kernel: each squared difference is divided by x_i + y_i.")
    close(K.diagonal(), np.ones(12), "An item's kernel with itself is exp(0) = 1.")
    close(K, np.exp(-D / D.mean()), "These are not the chi-squared kernels.")
