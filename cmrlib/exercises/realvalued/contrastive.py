"""Checks for the exercises of the chapter on contrastive learning."""

from __future__ import annotations

import numpy as np
from scipy.special import log_softmax, softmax

from cmrlib.exercises import Answer, Wrong, close, exercise, number, shape, statements


def _similarities() -> np.ndarray:
    return np.random.default_rng(5).uniform(-0.5, 0.9, size=(6, 6))


def _unchanged(array: np.ndarray, kept: np.ndarray) -> None:
    if not np.array_equal(array, kept):
        raise Wrong("The function changes its argument: work on a copy.")


def _refuse(got: float, mistakes: tuple[tuple[float, str], ...]) -> None:
    for value, why in mistakes:
        if abs(got - value) < 1e-9:
            raise Wrong(why)


@exercise("realvalued/contrastive/bound")
def bound(answer: Answer) -> None:
    S = 4 * _similarities()
    kept = S.copy()
    by_image, by_text = (-np.diag(log_softmax(S, axis=axis)).mean() for axis in (1, 0))
    loss = (by_image + by_text) / 2
    got = number(answer(S))
    _unchanged(S, kept)
    _refuse(
        got,
        (
            (loss, "This is the loss itself; the bound is log n minus the loss."),
            (loss - np.log(6), "The sign: the smaller the loss, the more is proven."),
            (np.log2(6) - loss, "Nats ask for the natural logarithm of n."),
            (np.log(6) - by_image, "Only images ask: take the mean of both directions."),
            (np.log(6) - by_text, "Only texts ask: take the mean of both directions."),
            (np.log(6) - 2 * loss, "Take the mean of both directions, not their sum."),
        ),
    )
    close(got, np.log(6) - loss, "This is not log n minus InfoNCE.")
    close(answer(np.zeros((9, 9))), 0, "Equal scores prove nothing.")
    close(answer(1000 * np.eye(5)), np.log(5), "Certainty about 5 pairs proves log 5, no more.")


@exercise("realvalued/contrastive/pull")
def pull(answer: Answer) -> None:
    rng = np.random.default_rng(6)
    F, G = rng.normal(size=(2, 5, 3))
    kept = F.copy(), G.copy()
    tau = 0.7
    P, Q = (softmax(F @ G.T / tau, axis=axis) for axis in (1, 0))
    got = shape(answer(F, G, tau), F.shape, "one direction for each image")
    _unchanged(F, kept[0])
    _unchanged(G, kept[1])
    for value, why in (
        (P @ G - G, "This points uphill: descent moves an image towards its own text."),
        (G - Q @ G, "Images ask: the softmax runs over the texts, along each row."),
        (-P @ G, "The pull towards the own text is missing."),
        ((G - P @ G) / (5 * tau), "This is -dL/dF; multiply by n and tau."),
        (G - P.T @ G, "Row i expects the texts with the weights of row i, P @ G."),
        (F - P @ F, "The images' own codes do not attract them: the texts G do."),
        (G - softmax(F @ G.T, axis=1) @ G, "Divide the scores by tau before the softmax."),
    ):
        if np.allclose(got, value):
            raise Wrong(why)
    close(got, G - P @ G, "This is not -n tau dL/dF.")


@exercise("realvalued/contrastive/temperature")
def temperature(answer: Answer) -> None:
    S, tau = _similarities(), 0.15
    kept = S.copy()
    P, Q = (softmax(S / tau, axis=axis) for axis in (1, 0))
    W = (P + Q) / 2 - np.eye(6)
    truth = -(W * S).sum() / (6 * tau)
    got = number(answer(S, tau))
    _unchanged(S, kept)
    _refuse(
        got,
        (
            (-truth, "The sign: logits shrink as tau grows."),
            (truth / tau, "This is the derivative by tau; by log tau it is tau times that."),
            (truth * tau, "The logits are S / tau: there is one more division by tau."),
            (6 * truth, "The loss is a mean over the pairs: divide by n."),
            (
                -((P - np.eye(6)) * S).sum() / (6 * tau),
                "Only images ask: take the mean of both softmaxes.",
            ),
            (
                -((P + Q) / 2 * S).sum() / (6 * tau),
                "Softmax minus identity: the pairs themselves are missing.",
            ),
        ),
    )
    close(got, truth, "This is not the derivative of InfoNCE by log tau.")
    close(answer(np.ones((4, 4)), 0.1), 0, "With equal cosines no temperature changes the loss.")


@exercise("realvalued/contrastive/synonyms")
def synonyms(answer: Answer) -> None:
    S, tau = _similarities(), 0.3
    marked = np.zeros((6, 6), dtype=bool)
    marked[[0, 1, 2, 4], [1, 0, 5, 3]] = True

    def loss(left_out: np.ndarray, filler: float = -np.inf) -> tuple[float, float]:
        logits = np.where(left_out, filler, S / tau)
        by_image, by_text = (-np.diag(log_softmax(logits, axis=axis)).mean() for axis in (1, 0))
        return float(by_image), float(by_text)

    kept = S.copy(), marked.copy()
    by_image, by_text = loss(marked)
    truth = (by_image + by_text) / 2
    got = number(answer(S, tau, marked))
    _unchanged(S, kept[0])
    _unchanged(marked, kept[1])
    nothing, zeroed = loss(np.zeros_like(marked)), loss(marked, 0.0)
    crosswise = loss(marked | marked.T)
    _refuse(
        got,
        (
            (sum(nothing) / 2, "The synonyms still count as negatives."),
            (sum(zeroed) / 2, "A score of 0 still has the weight e^0 = 1; it must be minus inf."),
            (by_image, "Only images ask: take the mean of both directions."),
            (by_text, "Only texts ask: take the mean of both directions."),
            (
                sum(crosswise) / 2,
                "If image i and text j are synonyms, image j and text i need not be.",
            ),
        ),
    )
    close(got, truth, "This is not InfoNCE without the marked negatives.")
    with_pairs = marked | np.eye(6, dtype=bool)
    got = number(answer(S, tau, with_pairs))
    if not np.isfinite(got) or abs(got - truth) > 1e-9:
        raise Wrong("A pair stays in its own sum, even where synonyms is true on the diagonal.")


@exercise("realvalued/contrastive/beliefs")
def beliefs(answer: Answer) -> None:
    right = {
        "a loss of log n means that the encoders find no partner better than by chance": (
            False,
            "with a very large temperature the loss is log n even for a perfect ranking",
        ),
        "a loss of 2 with batches of 64 is better than a loss of 3 with batches of 1024": (
            False,
            "chance costs log 64 = 4.2 and log 1024 = 6.9, so that the second proves more",
        ),
        "a lower temperature keeps items of the same class closer together": (
            False,
            "items of the same class are the hardest negatives, and a cold loss pushes these",
        ),
        "a caption read as a bag of words scores one half on swap, "
        "whatever the image encoder sees": (
            True,
            "both captions are the same bag, so it wins one comparison for every one it loses",
        ),
        "the temperature that minimises the loss is the best one for retrieving classes": (
            False,
            "the loss asks for the partner, and knows of no classes",
        ),
    }
    statements(answer, right)
