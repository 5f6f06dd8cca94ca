"""Plausible wrong answers to the exercises on kernel canonical correlation analysis."""

import numpy as np


def centred_by_batch(K_new, K):
    return K_new - K_new.mean(axis=0) - K_new.mean(axis=1, keepdims=True) + K_new.mean()


def columns_only(K_new, K):
    return K_new - K.mean(axis=0)


def not_centred(K_new, K):
    return K_new.copy()


def _smoothers(K, L, ridge, k):
    def G(M):
        return np.linalg.solve(M + ridge * np.eye(len(M)), M)

    return np.sort(np.linalg.eigvals(G(K) @ G(L)).real)[::-1][:k]


def squared(K_x, K_y, r, k):
    return _smoothers(K_x, K_y, len(K_x) * r, k)


def ridge_without_n(K_x, K_y, r, k):
    return np.sqrt(_smoothers(K_x, K_y, r, k))


def ascending(K_x, K_y, r, k):
    return np.sqrt(squared(K_x, K_y, r, k))[::-1]


def training_is_proof():
    return {
        "a training correlation of 0.99 shows that the views are related": True,
        "a smaller ridge raises the training correlation": True,
        "a smaller ridge raises the held-out correlation": False,
        "new kernels are centred with the means of the training set": True,
        "adding 7 to all kernel values changes the model": False,
        "a kernel needs the coordinates of its feature space": False,
    }


def centred_anew():
    return training_is_proof() | {
        "a training correlation of 0.99 shows that the views are related": False,
        "new kernels are centred with the means of the training set": False,
    }


def unpivoted(K, m):
    Z = np.zeros((len(K), m))
    left = K.diagonal().copy()
    for j in range(m):
        Z[:, j] = (K[:, j] - Z[:, :j] @ Z[j, :j]) / np.sqrt(left[j])
        left = left - Z[:, j] ** 2
    return Z


def first_columns(K, m):
    return np.linalg.cholesky(K)[:, :m]


def not_rooted(K, m):
    Z = np.zeros((len(K), m))
    left = K.diagonal().copy()
    for j in range(m):
        i = left.argmax()
        Z[:, j] = (K[:, i] - Z[:, :j] @ Z[i, :j]) / left[i]
        left = left - Z[:, j] ** 2
    return Z


def empty_bins(X):
    with np.errstate(invalid="ignore", divide="ignore"):
        D = ((X[:, None] - X) ** 2 / (X[:, None] + X)).sum(axis=2)
        return np.exp(-D / D.mean())


def _distance(X):
    total, difference = X[:, None] + X, (X[:, None] - X) ** 2
    return np.divide(difference, total, out=np.zeros_like(total), where=total > 0).sum(axis=2)


def no_unit(X):
    return np.exp(-_distance(X))


def gaussian(X):
    D = ((X[:, None] - X) ** 2).sum(axis=2)
    return np.exp(-D / D.mean())


WRONG = {
    "cca/kernel/centre": [
        (centred_by_batch, "the company it comes in"),
        (columns_only, "Half done"),
        (not_centred, "Nothing was centred"),
    ],
    "cca/kernel/smoothers": [
        (squared, "take the root"),
        (ridge_without_n, "The ridge on the kernel is n r"),
        (ascending, "largest must come first"),
    ],
    "cca/kernel/beliefs": [
        (training_is_proof, "noise has it"),
        (centred_anew, "the origin was fixed"),
    ],
    "cca/kernel/cholesky": [
        (unpivoted, "take as pivot"),
        (first_columns, "take as pivot"),
        (not_rooted, "must be K itself"),
    ],
    "cca/kernel/chi2": [
        (empty_bins, "0/0"),
        (no_unit, "Divide the distance by its mean"),
        (gaussian, "Gaussian kernel"),
    ],
}
