"""Plausible wrong answers to the exercises on learning to rank."""

import numpy as np


def right_pairs(scores, relevant):
    return np.mean(scores[relevant][:, None] > scores[~relevant])


def counted(scores, relevant):
    return np.sum(scores[relevant][:, None] < scores[~relevant])


def over_all_pairs(scores, relevant):
    n = len(scores)
    return counted(scores, relevant) / (n * (n - 1) / 2)


def _step(W, q, d, tau):
    return W + tau * np.outer(q, d)


def by_the_norm(W, q, d, C):
    loss = max(0, 1 - q @ W @ d)
    return _step(W, q, d, min(C, loss / np.sqrt(q @ q * (d @ d))))


def never_clipped(W, q, d, C):
    return _step(W, q, d, max(0, 1 - q @ W @ d) / (q @ q * (d @ d)))


def never_passive(W, q, d, C):
    return _step(W, q, d, min(C, (1 - q @ W @ d) / (q @ q * (d @ d))))


def in_place(W, q, d, C):
    W += min(C, max(0, 1 - q @ W @ d) / (q @ q * (d @ d))) * np.outer(q, d)
    return W


def _kernel_step(A, K, q, i, j, C, mixed=2.0, bad=-1.0):
    loss = max(0, 1 - (K[i] - K[j]) @ A @ q)
    tau = min(C, loss / (q @ q * (K[i, i] - mixed * K[i, j] + K[j, j])))
    A = A.copy()
    A[i] += tau * q
    A[j] += bad * tau * q
    return A


def without_mixed_term(A, K, q, i, j, C):
    return _kernel_step(A, K, q, i, j, C, mixed=0.0)


def both_rewarded(A, K, q, i, j, C):
    return _kernel_step(A, K, q, i, j, C, bad=1.0)


def all_rows(A, K, q, i, j, C):
    return A + min(C, 0.1) * np.outer(K[i] - K[j], q)


def _ssi(U, V, q, d, rate, identity=1.0):
    if q @ U.T @ V @ d + identity * (q @ d) >= 1:
        return U, V
    return U + rate * np.outer(V @ d, q), V + rate * np.outer(U @ q, d)


def no_identity(U, V, q, d, rate):
    return _ssi(U, V, q, d, rate, identity=0.0)


def one_after_the_other(U, V, q, d, rate):
    if q @ U.T @ V @ d + q @ d >= 1:
        return U, V
    U = U + rate * np.outer(V @ d, q)
    return U, V + rate * np.outer(U @ q, d)


def uphill(U, V, q, d, rate):
    return _ssi(U, V, q, d, -rate)


def unclipped_slope(s):
    return 1.8 * s - 0.4


def clipped_slope(s):
    return np.maximum(1.8 * s - 0.4, 0)


def unsigned(s):
    return np.abs(np.where(0.9 * s**2 - 0.4 * s + 0.03 > 0, 1.8 * s - 0.4, 0))


def _beliefs(**changed):
    keys = [
        "a passive-aggressive step changes W whenever the triple has been seen before",
        "with a large C, every step that changes W ends at margin 1",
        "W = I is possible for any pair of modalities",
        "the kernel form of PAMIR with the linear kernel is another model",
        "the released polynomial pushes every selected negative away",
    ]
    right = dict(zip(keys, (False, True, False, False, False), strict=True))
    return right | {keys[int(place[1:])]: value for place, value in changed.items()}


def identity_anywhere():
    return _beliefs(_2=True)


def negatives_always_pushed():
    return _beliefs(_4=True)


WRONG = {
    "realvalued/ranking/swapped-pairs": [
        (right_pairs, "right order"),
        (counted, "a count"),
        (over_all_pairs, "only mixed"),
    ],
    "realvalued/ranking/pa-step": [
        (by_the_norm, "its square"),
        (never_clipped, "C is ignored"),
        (never_passive, "passive step changes nothing"),
        (in_place, "changes its argument"),
    ],
    "realvalued/ranking/kernel-step": [
        (without_mixed_term, "mixed term"),
        (both_rewarded, "must lose"),
        (all_rows, "changes rows"),
    ],
    "realvalued/ranking/ssi-step": [
        (no_identity, "the identity, too"),
        (one_after_the_other, "new U"),
        (uphill, "loss rises"),
    ],
    "realvalued/ranking/negative-weight": [
        (unclipped_slope, "is missing"),
        (clipped_slope, "not its derivative"),
        (unsigned, "Keep the sign"),
    ],
    "realvalued/ranking/beliefs": [
        (identity_anywhere, "same features"),
        (negatives_always_pushed, "draws the negative closer"),
    ],
}
