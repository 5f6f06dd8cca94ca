"""Plausible wrong answers to the exercises on hashing a stream."""

import numpy as np


def ridge(Phi, B, reg):
    return np.linalg.solve(Phi.T @ Phi + reg * np.eye(Phi.shape[1]), Phi.T @ B)


def last_chunk(chunks, reg):
    for Phi, B in chunks:
        P = ridge(Phi, B, reg * len(Phi))
    return P


def mean_of_solutions(chunks, reg):
    return np.mean([ridge(Phi, B, reg * len(Phi)) for Phi, B in chunks], axis=0)


def ridge_per_chunk(chunks, reg):
    Phi, B = (np.vstack(parts) for parts in zip(*chunks, strict=True))
    return ridge(Phi, B, reg)


def keeps_all(chunks, reg):
    Phi, B = (np.vstack(parts) for parts in zip(*chunks, strict=True))
    return ridge(Phi, B, reg * len(Phi))


def not_centred(M):
    P, _, Qt = np.linalg.svd(M, full_matrices=False)
    return np.sqrt(len(M)) * P @ Qt


def unit_columns(M):
    P, _, Qt = np.linalg.svd(M - M.mean(axis=0), full_matrices=False)
    return P @ Qt


def without_turn(M):
    P, _, _ = np.linalg.svd(M - M.mean(axis=0), full_matrices=False)
    return np.sqrt(len(M)) * P


def entries(M, t):
    return np.sign(M) * np.maximum(np.abs(M) - t, 0)


def hard(M, t):
    P, s, Qt = np.linalg.svd(M, full_matrices=False)
    return (P * np.where(s > t, s, 0)) @ Qt


def below_zero(M, t):
    P, s, Qt = np.linalg.svd(M, full_matrices=False)
    return (P * (s - t)) @ Qt


def always_four(predictions, L, E, N, U, T, rho):
    return (sum(predictions) + rho * (L - E + U) + rho * (N - T)) / 4


def without_rho(predictions, L, E, N, U, T, rho):
    return (sum(predictions) + (L - E + U) + (N - T)) / (len(predictions) + 2)


def wrong_sign(predictions, L, E, N, U, T, rho):
    pull = sum(predictions) + rho * (L - E - U) + rho * (N + T)
    return pull / (len(predictions) + 2 * rho)


def only_bounded(E, U, beta):
    return np.all(np.abs(U) <= beta + 1e-8)


def only_signs(E, U, beta):
    return np.all(np.sign(U) * np.sign(E) >= 0) and np.abs(U).max() <= beta + 1e-8


def only_active(E, U, beta):
    return np.allclose(U[E != 0], beta * np.sign(E[E != 0]))


def strictly_inside(E, U, beta):
    return only_active(E, U, beta) and np.all(np.abs(U[E == 0]) < beta)


RIGHT = {
    "codes of old items": False,
    "hash functions": True,
    "anchors": False,
    "size of the sums": False,
    "code of one query": False,
}


def codes_follow():
    return RIGHT | {"codes of old items": True}


def query_mean():
    return RIGHT | {"code of one query": True}


WRONG = {
    "hashing/streaming/sums": [
        (last_chunk, "last chunk alone"),
        (mean_of_solutions, "mean of solutions"),
        (ridge_per_chunk, "number of all items"),
        (keeps_all, "keeps the chunks"),
    ],
    "hashing/streaming/balanced": [
        (not_centred, "centre M"),
        (unit_columns, "length 1"),
        (without_turn, "could be larger"),
    ],
    "hashing/streaming/shrink": [
        (entries, "lowers the entries"),
        (hard, "not kept as they are"),
        (below_zero, "stops at 0"),
    ],
    "hashing/streaming/step": [
        (always_four, "not 4"),
        (without_rho, "cannot be left out"),
        (wrong_sign, "wrong sign"),
    ],
    "hashing/streaming/certificate": [
        (only_bounded, "sign of e"),
        (only_signs, "and not less"),
        (only_active, "larger than β"),
        (strictly_inside, "both conditions hold"),
    ],
    "hashing/streaming/changes": [
        (codes_follow, "stored and frozen"),
        (query_mean, "threshold is learnt"),
    ],
}
