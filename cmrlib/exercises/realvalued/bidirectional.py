"""Checks for the exercises of the chapter on two convolutional networks."""

from __future__ import annotations

import numpy as np
from scipy.optimize import brentq
from scipy.special import expit, log_expit

from cmrlib.exercises import Answer, Wrong, close, exercise, number, shape, statements


def _cosines(n: int = 6, seed: int = 5) -> np.ndarray:
    return np.random.default_rng(seed).uniform(-0.5, 0.9, size=(n, n))


def _loss(S: np.ndarray, threshold: float, scale: float) -> np.ndarray:
    """Return minus the log-likelihood of every pair, (n, n)."""
    sign = 2 * np.eye(len(S)) - 1
    return -log_expit(sign * scale * (S - threshold))


@exercise("realvalued/bidirectional/convolve")
def convolve(answer: Answer) -> None:
    rng = np.random.default_rng(2)
    words, filters = rng.normal(size=(5, 4)), rng.normal(size=(7, 3, 4))
    padded = np.vstack([np.zeros((2, 4)), words, np.zeros((2, 4))])
    windows = np.stack([padded[t : t + 3] for t in range(7)])
    responses = np.einsum("twd,mwd->tm", windows, filters)
    truth = np.maximum(responses, 0).max(axis=0)
    got = shape(answer(words, filters), (7,), "one number for each filter")
    mistakes = (
        (np.maximum(responses[2:-2], 0).max(axis=0), "Windows may hang over both ends by w - 1."),
        (responses.max(axis=0), "ReLU is missing: no response is below 0."),
        (np.maximum(responses, 0).mean(axis=0), "This is the mean over places; take the largest."),
        (
            np.maximum(np.einsum("twd,mwd->tm", windows[:, ::-1], filters), 0).max(axis=0),
            "The filter is turned round: its first row meets the first word of the window.",
        ),
    )
    for wrong, why in mistakes:
        if np.allclose(got, wrong) and not np.allclose(wrong, truth):
            raise Wrong(why)
    close(got, truth, "This is not the largest response of each filter after ReLU.")


@exercise("realvalued/bidirectional/pair-loss")
def pair_loss(answer: Answer) -> None:
    S = _cosines()
    kept, losses = S.copy(), _loss(S, 0.3, 8.0)
    got = number(answer(S, 0.3, 8.0))
    if not np.array_equal(S, kept):
        raise Wrong("The function changes its argument: work on a copy.")
    truth = losses.sum() / len(S)
    for wrong, why in (
        (-truth, "The sign: a likelihood is maximised, a loss is minimised."),
        (np.diag(losses).mean(), "Only matched pairs are in it: all codes alike would be best."),
        (truth - np.diag(losses).mean(), "The matched pairs on the diagonal are missing."),
        (losses.mean(), "Divide by the number of queries, n, not by the number of pairs."),
        (losses.sum(), "Divide the sum by the number of queries."),
        (
            -log_expit(8 * (S - 0.3)).sum() / len(S),
            "All pairs are treated as matched: an unmatched one has the likelihood 1 - P.",
        ),
    ):
        if abs(got - wrong) < 1e-8:
            raise Wrong(why)
    close(got, truth, "This is not the loss of the chapter with all pairs of the batch.")
    far = np.where(np.eye(3) > 0, -1.0, 1.0)
    with np.errstate(all="ignore"):
        extreme = number(answer(far, 0.0, 2000.0))
    if not np.isfinite(extreme):
        raise Wrong("With scale=2000 it overflows: log(1 + exp(z)) is np.logaddexp(0, z).")
    close(extreme, 6000.0, "At a large scale the loss is wrong.")


@exercise("realvalued/bidirectional/pair-gradient")
def pair_gradient(answer: Answer) -> None:
    S = _cosines(5)
    P = expit(6 * (S - 0.2))
    truth = 6 * (P - np.eye(5)) / 5
    got = shape(answer(S, 0.2, 6.0), (5, 5), "one number for each cosine")
    for wrong, why in (
        (-truth, "The sign is that of the likelihood; the loss falls as a matched cosine rises."),
        (truth / 6, "The factor a, the scale, is missing."),
        (truth * 5, "The loss is a mean over n queries."),
        (6 * P / 5, "A matched pair is pulled: subtract 1 on the diagonal."),
        (truth * P, "P - 1 and P alone: the slope of σ has cancelled."),
    ):
        if np.allclose(got, wrong):
            raise Wrong(why)
    close(got, truth, "This is not the derivative of the loss by each cosine.")


@exercise("realvalued/bidirectional/threshold")
def threshold(answer: Answer) -> None:
    for n, scale in ((6, 8.0), (30, 20.0), (30, 0.5)):
        S = _cosines(n, seed=n)
        got = number(answer(S, scale))
        where = f"With {n} pairs and scale={scale:g}: "
        truth = brentq(lambda c: expit(scale * (S - c)).sum() - n, -30, 30)  # noqa: B023
        if abs(got - truth) < 1e-5:
            continue
        if abs(got - S.mean()) < 1e-6:
            raise Wrong(f"{where}this is the mean cosine, but matches are rarer than one in two.")
        for part, name in ((np.diag(S), "matched"), (S[~np.eye(n, dtype=bool)], "unmatched")):
            if abs(got - part.mean()) < 1e-6:
                raise Wrong(f"{where}this is the mean cosine of the {name} pairs.")
        expected = expit(scale * (S - got)).sum()
        raise Wrong(
            f"{where}at your threshold {got:.4f} the probabilities sum to {expected:.2f}; "
            f"there are {n} matched pairs."
        )


@exercise("realvalued/bidirectional/occlusion")
def occlusion(answer: Answer) -> None:
    rng = np.random.default_rng(0)
    picture, weights = rng.random((2, 6, 8)), rng.normal(size=(2, 6, 8))

    def score(pictures: np.ndarray) -> np.ndarray:
        return (np.asarray(pictures) * weights).sum(axis=(1, 2, 3))

    kept = picture.copy()
    got = shape(answer(picture, score, 3), (4, 6), "a drop for each place of the window")
    if not np.array_equal(picture, kept):
        raise Wrong("The picture itself is blanked: work on a copy for each place.")
    truth = np.array(
        [
            [(picture * weights)[:, i : i + 3, j : j + 3].sum() for j in range(6)] for i in range(4)
        ]  # fmt: skip
    )
    if np.allclose(got, -truth):
        raise Wrong("The sign: a drop is the score before minus the score after.")
    if np.allclose(got, (picture * weights).sum() - truth):
        raise Wrong("These are the scores of the blanked pictures; return how far each one drops.")
    first = np.array([[(picture * weights)[0, i:i+3, j:j+3].sum() for j in range(6)]
                      for i in range(4)])  # fmt: skip
    if np.allclose(got, first):
        raise Wrong("Only the first channel is blanked: a window covers all of them.")
    close(got, truth, "The drop at a place is that of blanking size x size pixels from there.")


@exercise("realvalued/bidirectional/beliefs")
def beliefs(answer: Answer) -> None:
    right = {
        "matched pairs alone are enough, if there are many": (
            False,
            "codes that are all the same make every matched pair certain",
        ),
        "with all pairs of a batch, both directions are the same sum": (
            True,
            "rows first or columns first, every pair is counted once",
        ),
        "a word network whose windows hold one word cannot tell a swapped caption": (
            True,
            "the largest response of a filter does not depend on where it was",
        ),
        "moving an object by four pixels leaves the feature maps as they were": (
            False,
            "they move along with it, and the last layer weighs each place differently",
        ),
        "the threshold decides which candidate comes first": (
            False,
            "it is the same for all candidates; it matters in training",
        ),
    }
    statements(answer, right)
