"""Plausible wrong answers to the exercises on many views and many pairs."""

import numpy as np
from scipy.linalg import block_diag, eigh


def _blocks(X, Y):
    Z = np.hstack([X, Y])
    return Z.T @ Z / len(Z), block_diag(X.T @ X / len(X), Y.T @ Y / len(Y))


def with_diagonal(X, Y):
    C, D = _blocks(X, Y)
    return eigh(C, D, eigvals_only=True)[::-1][:3]


def ascending(X, Y):
    C, D = _blocks(X, Y)
    return eigh(C - D, D, eigvals_only=True)[:3]


def not_generalised(X, Y):
    C, D = _blocks(X, Y)
    return np.linalg.eigvalsh(C - D)[::-1][:3]


def principal_components(views, k):
    U = np.linalg.svd(np.hstack(views), full_matrices=False)[0]
    return np.sqrt(len(U)) * U[:, :k]


def unscaled(views, k):
    Q = np.hstack([np.linalg.qr(X)[0] for X in views])
    return np.linalg.svd(Q, full_matrices=False)[0][:, :k]


def least_shared(views, k):
    Q = np.hstack([np.linalg.qr(X)[0] for X in views])
    return np.sqrt(len(Q)) * np.linalg.svd(Q, full_matrices=False)[0][:, -k:]


def merge_without_difference(first, second):
    (n, mean_n, S_n), (m, mean_m, S_m) = first, second
    return n + m, (n * mean_n + m * mean_m) / (n + m), S_n + S_m


def merge_with_plain_mean(first, second):
    (n, mean_n, S_n), (m, mean_m, S_m) = first, second
    d = mean_m - mean_n
    return n + m, (mean_n + mean_m) / 2, S_n + S_m + n * m / (n + m) * np.outer(d, d)


def merge_to_covariance(first, second):
    (n, mean_n, S_n), (m, mean_m, S_m) = first, second
    d = mean_m - mean_n
    S = S_n + S_m + n * m / (n + m) * np.outer(d, d)
    return n + m, (n * mean_n + m * mean_m) / (n + m), S / (n + m)


def anything_goes():
    return {
        "groups of training items in fit_views": True,
        "groups of test items in fit_views": True,
        "group of the query, encoded with it": True,
        "validation groups to choose k": True,
        "a row in the table of unsupervised methods": True,
    }


def unsupervised():
    return anything_goes() | {
        "groups of test items in fit_views": False,
        "group of the query, encoded with it": False,
    }


def squares(chunks):
    n, total, total_of_squares = 0, 0.0, 0.0
    for x in chunks:
        n, total, total_of_squares = n + len(x), total + x.sum(), total_of_squares + (x**2).sum()
    return total_of_squares / n - (total / n) ** 2


def within_chunks(chunks):
    chunks = list(chunks)
    return sum(len(x) * x.var() for x in chunks) / sum(map(len, chunks))


def sample_variance(chunks):
    return np.concatenate(list(chunks)).var(ddof=1)


WRONG = {
    "cca/many_views/eigen": [
        (with_diagonal, "larger by 1"),
        (ascending, "ascending order"),
        (not_generalised, "These are covariances"),
    ],
    "cca/many_views/shared": [
        (principal_components, "principal components"),
        (unscaled, "The scale is off"),
        (least_shared, "nearer to the views"),
    ],
    "cca/many_views/merge": [
        (merge_without_difference, "lie apart"),
        (merge_with_plain_mean, "weight the means"),
        (merge_to_covariance, "not divided by n"),
    ],
    "cca/many_views/leak": [
        (anything_goes, "groups of test items"),
        (unsupervised, "labels were used"),
    ],
    "cca/many_views/variance": [
        (squares, "offset of 1e9"),
        (within_chunks, "means of the chunks differ"),
        (sample_variance, "not by n - 1"),
    ],
}
