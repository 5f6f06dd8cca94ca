"""Plausible wrong answers to the exercises on collective matrix factorisation."""

import numpy as np


def upside_down(V, X, lam, gamma):
    return np.linalg.solve(V.T @ V + lam / gamma * np.eye(V.shape[1]), V.T @ X)


def without_weight(V, X, lam, gamma):
    return np.linalg.solve(V.T @ V + gamma * np.eye(V.shape[1]), V.T @ X)


def without_penalty(V, X, lam, gamma):
    return np.linalg.pinv(V) @ X


def weight_on_one_side(V, X, lam, gamma):
    return np.linalg.solve(lam * V.T @ V + gamma * np.eye(V.shape[1]), V.T @ X)


def all_ordered_pairs(W, V):
    return 2 * np.sum(V * ((np.diag(W.sum(axis=1)) - W) @ V))


def without_degrees(W, V):
    return np.trace(V.T @ W @ V)


def negative(W, V):
    return np.trace(V.T @ (W - np.diag(W.sum(axis=1))) @ V)


def normalised(W, V):
    return np.trace(V.T @ (np.eye(len(W)) - W / W.sum(axis=1, keepdims=True)) @ V)


def not_rotated_back(laplacian, A, C, gamma):
    a, Q = np.linalg.eigh(A)
    rotated = C @ Q
    systems = [gamma * laplacian + value * np.eye(len(C)) for value in a]
    return np.column_stack(
        [np.linalg.solve(M, column) for M, column in zip(systems, rotated.T, strict=True)]
    )


def without_gamma(laplacian, A, C, gamma):
    return not_rotated_back(laplacian, A, C, 1.0) @ np.linalg.eigh(A)[1].T


def graph_ignored(laplacian, A, C, gamma):
    return C @ np.linalg.inv(A)


def training_pairs_need_maps():
    return {
        "CMFH, gamma = 0: the objective has no minimum": True,
        "SMFH, gamma = 0: labels change nothing": True,
        "FS-CMFH, eta = 0: a text query ranks images at random": True,
        "FS-CMFH, eta = 0: images of a class still have similar codes": True,
        "CMFH, mu = 0: training pairs have no codes": True,
    }


def links_do_not_matter():
    return training_pairs_need_maps() | {
        "FS-CMFH, eta = 0: a text query ranks images at random": False,
        "CMFH, mu = 0: training pairs have no codes": False,
    }


def half(X, Y, V, U_x, U_y, P_x, P_y, lam, mu, gamma):
    explain = lam * (V @ U_x - X) @ U_x.T + (1 - lam) * (V @ U_y - Y) @ U_y.T
    return explain + mu * (2 * V - X @ P_x - Y @ P_y) + gamma * V


def downhill(*blocks):
    return -2 * half(*blocks)


def no_penalty(X, Y, V, U_x, U_y, P_x, P_y, lam, mu, gamma):
    return 2 * half(X, Y, V, U_x, U_y, P_x, P_y, lam, mu, 0)


def one_map(X, Y, V, U_x, U_y, P_x, P_y, lam, mu, gamma):
    return 2 * half(X, Y, V, U_x, U_y, P_x, P_y, lam, mu, gamma - mu)


WRONG = {
    "hashing/factorization/step": [
        (upside_down, "upside down"),
        (without_weight, "lam is missing"),
        (without_penalty, "penalty is missing"),
        (weight_on_one_side, "gradient of the objective in U is not 0"),
    ],
    "hashing/factorization/smoothness": [
        (all_ordered_pairs, "Twice too much"),
        (without_degrees, "Subtract W from D"),
        (negative, "sign is wrong"),
        (normalised, "half the sum"),
    ],
    "hashing/factorization/sylvester": [
        (not_rotated_back, "rotated back"),
        (without_gamma, "gamma is missing"),
        (graph_ignored, "does not solve"),
    ],
    "hashing/factorization/terms": [
        (training_pairs_need_maps, "the signs of V are there"),
        (links_do_not_matter, "no term contains both modalities"),
    ],
    "hashing/factorization/gradient": [
        (half, "factor 2"),
        (downhill, "sign is wrong"),
        (no_penalty, "penalty on V is missing"),
        (one_map, "two terms with weight mu"),
    ],
}
