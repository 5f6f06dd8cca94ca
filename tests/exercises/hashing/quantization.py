"""Plausible wrong answers to the exercises on quantisation and alignment of codes."""

import numpy as np
from scipy.optimize import linear_sum_assignment


def _sign(Z):
    return np.where(Z >= 0, 1, -1)


def own_scores_alone(V, W, R, T, gamma):
    return _sign(V @ R), _sign(W @ T)


def other_not_rotated(V, W, R, T, gamma):
    return _sign(V @ R + gamma * W), _sign(W @ T + gamma * V)


def exchanged(V, W, R, T, gamma):
    return _sign(W @ T + gamma * V @ R), _sign(V @ R + gamma * W @ T)


def coupled_to_codes(V, W, R, T, gamma):
    B = _sign(V @ R + gamma * W @ T)
    return B, _sign(W @ T + gamma * B)


def stacked(V, W, R, T, gamma):
    return np.vstack([_sign(V @ R + gamma * W @ T), _sign(W @ T + gamma * V @ R)])


def _best(M):
    P, _, Qt = np.linalg.svd(M)
    return P @ Qt


def own_codes_alone(V, B, D, gamma):
    return _best(V.T @ B)


def transposed(V, B, D, gamma):
    return _best(V.T @ (B + gamma * D)).T


def other_codes_alone(V, B, D, gamma):
    return _best(V.T @ D)


def least_squares(V, B, D, gamma):
    return np.linalg.lstsq(V, B + gamma * D, rcond=None)[0]


def signs(v, w, lam):
    return (1 if v >= 0 else -1), (1 if w >= 0 else -1)


def always_equal(v, w, lam):
    b = 1 if v + w >= 0 else -1
    return b, b


def scores(v, w, lam):
    return v, w


def signs_forgotten(B, D):
    rows, columns = linear_sum_assignment(np.abs(D.T @ B), maximize=True)
    aligned = np.empty_like(D)
    aligned[:, columns] = D[:, rows]
    return aligned


def best_partner_each(B, D):
    M = D.T @ B
    rows = np.abs(M).argmax(axis=0)
    return D[:, rows] * _sign(M[rows, range(len(M))])


def flips_only(B, D):
    return D * _sign(np.sum(B * D, axis=0))


def not_at_all(B, D):
    return D


def by_index_of_rows(B, D):
    rows, columns = linear_sum_assignment(np.abs(D.T @ B), maximize=True)
    return D[:, columns] * _sign((D.T @ B)[rows, columns])


def random_start(X, Y, n_bits, lam, sweeps):
    rng = np.random.default_rng(0)
    W = rng.normal(size=(X.shape[1], n_bits))
    for _ in range(sweeps):
        B = _sign(X @ W)
        W = np.linalg.lstsq(X, B, rcond=None)[0]
    return B


def real_scores(X, Y, n_bits, lam, sweeps):
    return X @ np.ones((X.shape[1], n_bits))


def no_correlation(X, Y, n_bits, lam, sweeps):
    W = np.ones((X.shape[1], n_bits))
    for _ in range(sweeps):
        B = _sign(X @ W)
        W = np.linalg.lstsq(X, B, rcond=None)[0]
    return B


def agreement_is_all():
    return {
        "ACQ with gamma 1 has one code a pair": True,
        "learnt codes may be used for queries": False,
        "a large lambda in QCH makes codes agree": True,
        "IMVH needs equal numbers of bits in both views": True,
        "a lower quantisation error means better retrieval": False,
    }


def error_is_all():
    return agreement_is_all() | {
        "a large lambda in QCH makes codes agree": False,
        "a lower quantisation error means better retrieval": True,
    }


WRONG = {
    "hashing/quantization/codes": [
        (own_scores_alone, "its own scores alone"),
        (other_not_rotated, "need their rotation"),
        (exchanged, "roles are exchanged"),
        (coupled_to_codes, "not to its codes"),
        (stacked, "two arrays"),
    ],
    "hashing/quantization/rotation": [
        (own_codes_alone, "play no part"),
        (transposed, "transpose"),
        (other_codes_alone, "own codes play no part"),
        (least_squares, "not orthogonal"),
    ],
    "hashing/quantization/pairs": [
        (signs, "equal bits earn 1"),
        (always_equal, "different bits are best"),
        (scores, "-1 or +1"),
    ],
    "hashing/quantization/align": [
        (signs_forgotten, "wrong sign"),
        (best_partner_each, "used twice"),
        (flips_only, "must come back"),
        (not_at_all, "Nothing was moved"),
        (by_index_of_rows, "must come back"),
    ],
    "hashing/quantization/collapse": [
        (random_start, "The bits differ"),
        (real_scores, "Return the codes"),
        (no_correlation, "not those of three sweeps"),
    ],
    "hashing/quantization/statements": [
        (agreement_is_all, "a large lambda"),
        (error_is_all, "a lower quantisation error"),
    ],
}
