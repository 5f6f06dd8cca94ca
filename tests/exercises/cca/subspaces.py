"""Plausible wrong answers to the exercises on PLS, CFA and bilinear models."""

import numpy as np

from cmrlib.cca.linear import CCA


def centred(X):
    return X - X.mean(axis=0)


def pair_uncentred(X, Y):
    U, _, Vt = np.linalg.svd(X.T @ Y)
    return U[:, 0], Vt[0]


def pair_columns_of_vt(X, Y):
    U, _, Vt = np.linalg.svd(centred(X).T @ centred(Y))
    return U[:, 0], 2 * Vt[:, 0]


def pair_opposed(X, Y):
    U, _, Vt = np.linalg.svd(centred(X).T @ centred(Y))
    return U[:, 0], -Vt[0]


def pair_of_cca(X, Y):
    model = CCA(1).fit(X, Y)
    a, b = model.weights_image_[:, 0], model.weights_text_[:, 0]
    return a / np.linalg.norm(a), b / np.linalg.norm(b)


def deflate_direction(X, w):
    return X - np.outer(X @ w, w)


def deflate_undivided(X, w):
    t = X @ w
    return X - np.outer(t, X.T @ t)


def deflate_in_place(X, w):
    t = X @ w
    X -= np.outer(t, X.T @ t / (t @ t))
    return X


def all_feel_it():
    return {
        "CCA": True,
        "CCA with a ridge": True,
        "CFA": True,
        "PLS": True,
        "PLS after standardising": False,
    }


def ridge_is_harmless():
    return all_feel_it() | {"CCA": False, "CCA with a ridge": False}


def pls_is_like_cca():
    return all_feel_it() | {"CCA": False, "PLS": False}


def singular_vectors(X, Y, k):
    U, _, Vt = np.linalg.svd(X.T @ Y)
    return U[:, :k], Vt[:k].T


def shrunk(X, Y, k):
    return tuple(0.01 * M for M in singular_vectors(X, Y, k))


def most_variance(X, Y, k):
    return tuple(np.linalg.eigh(Z.T @ Z)[1][:, -k:] for Z in (X, Y))


def projected(X, A_x, A_y):
    return X @ A_x @ A_y.T


def inverted_twice(X, A_x, A_y):
    return X @ np.linalg.pinv(A_x).T @ np.linalg.pinv(A_y)


WRONG = {
    "cca/subspaces/pair": [
        (pair_uncentred, "Centre both views"),
        (pair_columns_of_vt, "length 1"),
        (pair_opposed, "smallest covariance"),
        (pair_of_cca, "larger covariance"),
    ],
    "cca/subspaces/deflate": [
        (deflate_direction, "removes the direction"),
        (deflate_undivided, "Divide by"),
        (deflate_in_place, "changes its argument"),
    ],
    "cca/subspaces/scale": [
        (all_feel_it, "Think again about 'CCA'"),
        (ridge_is_harmless, "'CCA with a ridge'"),
        (pls_is_like_cca, "'PLS'"),
    ],
    "cca/subspaces/distance": [
        (singular_vectors, "maximise the trace"),
        (shrunk, "no shrinking"),
        (most_variance, "neither side varies"),
    ],
    "cca/subspaces/translate": [
        (projected, "Projecting is no inference"),
        (inverted_twice, "The content is right"),
    ],
}
