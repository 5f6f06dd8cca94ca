"""Checks for the exercises of the chapter on losses."""

from __future__ import annotations

import numpy as np
from scipy.special import log_softmax, softmax

from cmrlib.exercises import Answer, Wrong, close, exercise, number, shape, statements


def _similarities() -> np.ndarray:
    return np.random.default_rng(3).uniform(-0.4, 0.9, size=(5, 5))


def _hinges(S: np.ndarray, margin: float) -> np.ndarray:
    H = np.maximum(0, margin - np.diag(S)[:, None] + S)
    np.fill_diagonal(H, 0)
    return H


@exercise("realvalued/losses/hardest")
def hardest(answer: Answer) -> None:
    S = _similarities()
    kept = S.copy()
    got = number(answer(S, 0.2))
    if not np.array_equal(S, kept):
        raise Wrong("The function changes its argument: work on a copy.")
    by_image, by_text = _hinges(S, 0.2), _hinges(S.T, 0.2)
    truth = (by_image.max(axis=1) + by_text.max(axis=1)).mean()
    with_itself = np.maximum(0, 0.2 - np.diag(S)[:, None] + S)
    with_itself_too = np.maximum(0, 0.2 - np.diag(S)[:, None] + S.T)
    for value, why in (
        (by_image.max(axis=1).mean(), "Only images ask: add the direction in which texts do."),
        (by_text.max(axis=1).mean(), "Only texts ask: add the direction in which images do."),
        (
            (by_image.sum(axis=1) + by_text.sum(axis=1)).mean(),
            "This is the sum over all negatives; only the hardest of each query counts.",
        ),
        (truth * len(S), "Take the mean over the queries, not the sum."),
        (
            (with_itself.max(axis=1) + with_itself_too.max(axis=1)).mean(),
            "The partner itself is among your negatives: its hinge is the margin.",
        ),
    ):
        if abs(got - value) < 1e-9:
            raise Wrong(why)
    close(got, truth, "This is not the hinge of the hardest negatives.")
    close(answer(np.eye(3), 0.2), 0, "A perfect matrix has no violation.")


@exercise("realvalued/losses/nce")
def nce(answer: Answer) -> None:
    S = _similarities()
    rows, columns = (-np.diag(log_softmax(S / 0.1, axis=axis)).mean() for axis in (1, 0))
    got = number(answer(S, 0.1))
    for value, why in (
        (rows, "This is the direction of the rows alone; average it with that of the columns."),
        (columns, "This is the direction of the columns alone; average it with that of the rows."),
        (rows + columns, "Take the mean of both directions, not their sum."),
        (-(rows + columns) / 2, "The sign: a loss is larger where the partner is less likely."),
    ):
        if abs(got - value) < 1e-9:
            raise Wrong(why)
    close(got, (rows + columns) / 2, "This is not the mean cross-entropy of both directions.")
    with np.errstate(all="ignore"):
        cold = float(shape(answer(S, 0.001), ()))
    if not np.isfinite(cold):
        raise Wrong(
            "At a temperature of 0.001 the exponentials overflow: subtract the largest logit first."
        )
    truth = -sum(np.diag(log_softmax(S / 0.001, axis=axis)).mean() for axis in (1, 0)) / 2
    close(cold, truth, "At a temperature of 0.001 the value is wrong.")


@exercise("realvalued/losses/gradient")
def gradient(answer: Answer) -> None:
    s, tau = np.array([0.5, 0.7, 0.1, -0.2]), 0.2
    p = softmax(s / tau)
    truth = (p - np.eye(4)[0]) / tau
    kept = s.copy()
    got = shape(answer(s, tau), (4,))
    if not np.array_equal(s, kept):
        raise Wrong("The function changes its argument: work on a copy.")
    for value, why in (
        (truth * tau, "The factor 1 / tau of the inner derivative is missing."),
        (
            -truth,
            "The sign: a descent step brings the partner nearer, so its entry is negative.",
        ),
        (p / tau, "Entry 0 stands in the numerator as well, which gives it another term."),
    ):
        if np.allclose(got, value, atol=1e-9):
            raise Wrong(why)
    close(got.sum(), 0, "Raising all similarities alike changes nothing: the entries sum to 0.")
    close(got, truth, "This is not the gradient.")


@exercise("realvalued/losses/players")
def players(answer: Answer) -> None:
    for w, d, lr in ((0.8, -1.5, 0.1), (-0.3, 2.0, 0.5)):
        slope = (1 / (1 + np.exp(-d * w)) - 1) / 2
        got_w, got_d = shape(answer(w, d, lr), (2,), "(w, d)")
        if np.allclose((got_w, got_d), (w - lr * slope * d, d - lr * slope * w)):
            raise Wrong("Both descend: the encoder's derivative must have its sign reversed.")
        if np.allclose((got_w, got_d), (w + lr * slope * d, d + lr * slope * w)):
            raise Wrong("Both ascend: the reversal is for the encoder, the discriminator descends.")
        moved = d - lr * slope * w
        late = (1 / (1 + np.exp(-moved * w)) - 1) / 2
        if np.allclose((got_w, got_d), (w + lr * late * moved, moved)):
            raise Wrong("One step moves both at once: take both derivatives at the old (w, d).")
        if np.allclose((got_w, got_d), (w + 2 * lr * slope * d, d - 2 * lr * slope * w)):
            raise Wrong("The loss is a mean over two items: the factor one half is missing.")
        close((got_w, got_d), (w + lr * slope * d, d - lr * slope * w), "Not one step of the game.")


@exercise("realvalued/losses/beliefs")
def beliefs(answer: Answer) -> None:
    right = {
        "partners that coincide exactly give perfect retrieval": (
            False,
            "they coincide as well if all codes are one and the same",
        ),
        "the sum of hinges and the hardest hinge agree on batches of two pairs": (
            True,
            "with a single negative, the sum and the maximum are the same",
        ),
        "InfoNCE at a very low temperature pushes mostly the hardest negative": (
            True,
            "the softmax then puts all its weight on the largest entry",
        ),
        "reporting the best epoch on the test pairs is fair, since no weight is trained on them": (
            False,
            "the epoch is trained on them, and the best of many noisy scores flatters",
        ),
        "a discriminator at chance means that retrieval is good": (
            False,
            "if all codes are equal, it is at chance, and so is retrieval",
        ),
    }
    statements(answer, right)
