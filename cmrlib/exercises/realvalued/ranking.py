"""Checks for the exercises of the chapter on learning to rank."""

from __future__ import annotations

import numpy as np

from cmrlib.exercises import Answer, Wrong, close, exercise, number, shape, statements


@exercise("realvalued/ranking/swapped-pairs")
def swapped_pairs(answer: Answer) -> None:
    scores = np.array([0.9, 0.2, 0.5, 0.7, 0.4])
    relevant = np.array([True, False, False, False, True])
    got = number(answer(scores.copy(), relevant.copy()))
    # pairs (0, 1), (0, 2), (0, 3) are right, (4, 1) too; (4, 2) and (4, 3) are swapped: 2 of 6
    if abs(got - 4 / 6) < 1e-9:
        raise Wrong("This is the share of pairs in the right order; asked is the other one.")
    if abs(got - 2) < 1e-9:
        raise Wrong("This is a count: divide by the number of pairs (relevant, irrelevant).")
    if abs(got - 2 / 10) < 1e-9:
        raise Wrong("Two relevant items, or two irrelevant ones, have no right order: only mixed "
                    "pairs count.")  # fmt: skip
    close(got, 1 / 3, "Scores (0.9, 0.2, 0.5, 0.7, 0.4) with items 0 and 4 relevant: 2 of 6.")
    rng = np.random.default_rng(0)
    scores, relevant = rng.normal(size=40), rng.random(40) < 0.3
    truth = np.mean(scores[relevant][:, None] < scores[~relevant])
    close(answer(scores, relevant), truth, "On 40 random items the share is wrong.")


def _triple(seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return rng.normal(size=(3, 4)) / 4, rng.normal(size=3), rng.normal(size=4)


@exercise("realvalued/ranking/pa-step")
def pa_step(answer: Answer) -> None:
    W, q, d = _triple(0)
    square = q @ q * (d @ d)
    before = W.copy()
    got = shape(answer(W, q, d, 100.0), W.shape)
    if not np.array_equal(W, before):
        raise Wrong("The function changes its argument: work on a copy.")
    loss = 1 - q @ W @ d
    if np.allclose(got, W + loss / np.sqrt(square) * np.outer(q, d)):
        raise Wrong("You divide by the norm ||q|| ||d||; the step needs its square.")
    if np.allclose(got, W - loss / square * np.outer(q, d)):
        raise Wrong("The step goes the wrong way: the margin falls.")
    close(q @ got @ d, 1, "With C = 100 nothing is clipped, so the margin must end at exactly 1.")
    close(got, W + loss / square * np.outer(q, d), "The margin is 1, but W moved farther than it had to.")  # fmt: skip # noqa: E501
    C = 0.01
    got = shape(answer(W, q, d, C), W.shape)
    if np.allclose(got, W + loss / square * np.outer(q, d)):
        raise Wrong("C is ignored: the step size is at most C.")
    if np.allclose(got, W + C * loss / square * np.outer(q, d)):
        raise Wrong("C limits the step size; it does not multiply it.")
    close(got, W + C * np.outer(q, d), "A clipped step has size C.")
    W = W + 3 * np.outer(q, d) / square
    close(answer(W, q, d, 1.0), W, "The margin is above 1 already: a passive step changes nothing.")


@exercise("realvalued/ranking/kernel-step")
def kernel_step(answer: Answer) -> None:
    rng = np.random.default_rng(3)
    P, q = rng.normal(size=(6, 4)), rng.normal(size=3)
    A, K = rng.normal(size=(6, 3)) / 5, P @ P.T
    for i, j, C in ((1, 4, 100.0), (5, 0, 100.0), (2, 3, 0.001)):
        before = A.copy()
        got = shape(answer(A, K, q, i, j, C), A.shape)
        if not np.array_equal(A, before):
            raise Wrong("The function changes its argument: work on a copy.")
        loss = max(0.0, 1 - (K[i] - K[j]) @ A @ q)
        square = q @ q * (K[i, i] - 2 * K[i, j] + K[j, j])
        right, tau = A.copy(), min(C, loss / square)
        right[i] += tau * q
        right[j] -= tau * q
        if np.allclose(got, right):
            continue
        moved = np.flatnonzero(np.abs(got - A).max(axis=1) > 1e-12)
        if set(moved) != {i, j}:
            raise Wrong(f"Rows {moved.tolist()} changed; a step changes rows i = {i} and j = {j}.")
        tau_far = min(C, loss / (q @ q * (K[i, i] + K[j, j])))
        if np.allclose(got[i] - A[i], tau_far * q):
            raise Wrong("||φ(p⁺) - φ(p⁻)||² is K_ii - 2 K_ij + K_jj; the mixed term is missing.")
        if np.allclose(got[i] - A[i], got[j] - A[j]):
            raise Wrong("The irrelevant image must lose what the relevant one gains.")
        if np.allclose(got[i] - A[i], loss / square * q):
            raise Wrong("C is ignored: the step size is at most C.")
        close(got, right, "This is not the passive-aggressive step.")


@exercise("realvalued/ranking/ssi-step")
def ssi_step(answer: Answer) -> None:
    rng = np.random.default_rng(2)
    U, V = rng.normal(size=(2, 5)) / 3, rng.normal(size=(2, 5)) / 3
    q, d, rate = rng.normal(size=5) / 2, rng.normal(size=5) / 2, 0.1

    def result(*arguments: object) -> tuple[np.ndarray, np.ndarray]:
        given = answer(*arguments)
        if not isinstance(given, tuple | list) or len(given) != 2:
            raise Wrong("Return two arrays, the new U and the new V.")
        return shape(given[0], (2, 5), "U"), shape(given[1], (2, 5), "V")

    U_new, V_new = result(U.copy(), V.copy(), q, d, rate)
    U_right, V_right = U + rate * np.outer(V @ d, q), V + rate * np.outer(U @ q, d)
    if np.allclose(V_new, V + rate * np.outer(U_right @ q, d)):
        raise Wrong("V is moved with the new U; both gradients are taken at the old U and V.")
    if np.allclose(U_new, U - rate * np.outer(V @ d, q)):
        raise Wrong("The loss rises: descend, so that the margin grows.")
    close(U_new, U_right, "U must move by rate · V d qᵀ.")
    close(V_new, V_right, "V must move by rate · U q dᵀ.")
    # qᵀ UᵀV d alone is below 1 here, with the identity it is above
    d_match = 1.1 * q / (q @ U.T @ V @ q + q @ q)
    U_new, V_new = result(U.copy(), V.copy(), q, d_match, rate)
    if not (np.allclose(U_new, U) and np.allclose(V_new, V)):
        raise Wrong("The score has the identity, too: qᵀd counts, and here the margin is above 1, "
                    "so that nothing may change.")  # fmt: skip


@exercise("realvalued/ranking/negative-weight")
def negative_weight(answer: Answer) -> None:
    s = np.array([0.0, 0.05, 0.2, 0.3, 0.4, 0.7, 1.0])
    slope = 1.8 * s - 0.4
    right = np.where(0.9 * s**2 - 0.4 * s + 0.03 > 0, slope, 0)
    got = shape(answer(s.copy()), s.shape)
    if np.allclose(got, slope):
        raise Wrong("[·]₊ is missing: where the polynomial is negative, cost and weight are 0.")
    if np.allclose(got, np.abs(right)):
        raise Wrong("Keep the sign: below 0.0955 the derivative is negative, which is the point.")
    if np.allclose(got, np.where(slope > 0, slope, 0)):
        raise Wrong("Clip the polynomial, not its derivative.")
    if np.allclose(got, np.maximum(0.9 * s**2 - 0.4 * s + 0.03, 0)):
        raise Wrong("This is the cost; the weight is its derivative.")
    close(got, right, "This is not the derivative of [0.9 s² - 0.4 s + 0.03]₊.")


@exercise("realvalued/ranking/beliefs")
def beliefs(answer: Answer) -> None:
    right = {
        "a passive-aggressive step changes W whenever the triple has been seen before": (
            False,
            "it changes W only where the margin is below 1, seen before or not",
        ),
        "with a large C, every step that changes W ends at margin 1": (
            True,
            "nothing is clipped any more, and an unclipped step ends at margin 1 exactly",
        ),
        "W = I is possible for any pair of modalities": (
            False,
            "the identity needs the same features, in the same order, on both sides",
        ),
        "the kernel form of PAMIR with the linear kernel is another model": (
            False,
            "it holds the same W as a weighted sum of training images",
        ),
        "the released polynomial pushes every selected negative away": (
            False,
            "between 0.0955 and 0.3489 it does nothing, and below it draws the negative closer",
        ),
    }
    statements(answer, right)
