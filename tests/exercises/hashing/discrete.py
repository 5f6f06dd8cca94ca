"""Plausible wrong answers to the exercises on discrete supervised hashing."""

import numpy as np


def all_columns(B, P, Q, k):
    return np.where(Q[:, k] - B @ P[:, k] >= 0, 1, -1)


def others_forgotten(B, P, Q, k):
    return np.where(Q[:, k] >= 0, 1, -1)


def numpy_sign(B, P, Q, k):
    return np.sign(Q[:, k] - B @ P[:, k] + B[:, k] * P[k, k])


def factor_two(S, U):
    return U.T @ U, 2 * S.T @ U


def rows_for_columns(S, U):
    return U.T @ U, (S @ S.T @ U)[:5]


def plain_misfit(F, G, A, B):
    return np.sum((F @ G.T - A @ B.T) ** 2)


def norm(F, G, A, B):
    return np.linalg.norm(F @ G.T - A @ B.T)


def transposed(V, B):
    P, _, Qt = np.linalg.svd(V.T @ B)
    return (P @ Qt).T


def least_squares(V, B):
    return np.linalg.lstsq(V, np.where(B >= 0, 1, -1) * np.abs(B) * 2, rcond=None)[0]


def upside_down(V, L, alpha, gamma):
    return np.linalg.solve(V.T @ V + alpha / gamma * np.eye(V.shape[1]), V.T @ L)


def without_alpha(V, L, alpha, gamma):
    return np.linalg.solve(V.T @ V + gamma * np.eye(V.shape[1]), V.T @ L)


RIGHT = {
    "image features replaced": False,
    "labels of the texts permuted": True,
    "classes renumbered": False,
    "one more query encoded": False,
    "beta set to another value": True,
}


def features_matter():
    return RIGHT | {"image features replaced": True}


def numbers_matter():
    return RIGHT | {"classes renumbered": True}


WRONG = {
    "hashing/discrete/column": [
        (all_columns, "take the k-th out"),
        (others_forgotten, "The other columns matter"),
        (numpy_sign, "sign(0) is +1"),
    ],
    "hashing/discrete/terms": [
        (factor_two, "its own factor 2"),
        (rows_for_columns, "Q is off"),
    ],
    "hashing/discrete/misfit": [
        (plain_misfit, "array of size n x m"),
        (norm, "square of the norm"),
    ],
    "hashing/discrete/rotation": [
        (transposed, "transposed"),
        (least_squares, "not orthogonal"),
    ],
    "hashing/discrete/labels": [
        (upside_down, "upside down"),
        (without_alpha, "cannot be left out"),
    ],
    "hashing/discrete/changes": [
        (features_matter, "similarities alone"),
        (numbers_matter, "not which class"),
    ],
}
