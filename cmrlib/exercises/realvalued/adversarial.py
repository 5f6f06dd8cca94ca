"""Checks for the exercises of the chapter on adversarial learning."""

from __future__ import annotations

import numpy as np

from cmrlib.exercises import Answer, Wrong, close, exercise, number, shape, statements


@exercise("realvalued/adversarial/schedule")
def schedule(answer: Answer) -> None:
    start, late = number(answer(0.0)), number(answer(0.35))
    if abs(start - 1) < 1e-9:
        raise Wrong("At p = 0 the strength must be 0: an untrained discriminator knows nothing.")
    if abs(late - 2 / (1 + np.exp(-0.35)) + 1) < 1e-9:
        raise Wrong("The factor 10 is missing: without it the strength ends at 0.46.")
    if abs(late - 1 / (1 + np.exp(-3.5))) < 1e-9:
        raise Wrong("This is the logistic function, which starts at 1/2; stretch it to 0 to 1.")
    for p in (0.0, 0.1, 0.35, 1.0):
        close(answer(p), np.tanh(5 * p), f"At p = {p} this is not 2 / (1 + exp(-10 p)) - 1.")


def _distributions() -> tuple[np.ndarray, np.ndarray]:
    return np.array([0.5, 0.3, 0.2, 0.0]), np.array([0.1, 0.3, 0.2, 0.4])


@exercise("realvalued/adversarial/value")
def value(answer: Answer) -> None:
    p = np.array([0.2, 0.3, 0.5])
    same = number(answer(p, p))
    if abs(same - 2 * np.log(2)) < 1e-9:
        raise Wrong("Images and texts count half each: the value at p = q is log 2, not 2 log 2.")
    if abs(same - 1) < 1e-9:
        raise Wrong("Take natural logarithms: at p = q the value is log 2 = 0.693, not 1 bit.")
    close(same, np.log(2), "Where p equals q, the best discriminator answers 1/2 and pays log 2.")
    p, q = _distributions()
    got = number(answer(p, q))
    if not np.isfinite(got):
        raise Wrong("Where one of the two is 0, its term p log D is 0: leave it out.")
    with np.errstate(divide="ignore", invalid="ignore"):
        costs = np.where(p > 0, -p * np.log(p / (p + q)), 0)
        costs += np.where(q > 0, -q * np.log(q / (p + q)), 0)
    close(got, costs.sum() / 2, "This is not the cross-entropy of D = p / (p + q).")
    close(answer(p[:1] / p[:1], q[:1] / q[:1]), np.log(2), "One code value alone tells nothing.")


@exercise("realvalued/adversarial/invariance")
def invariance(answer: Answer) -> None:
    rng = np.random.default_rng(0)
    D, labels = 4 * rng.random((7, 7)), np.array([0, 0, 0, 1, 1, 2, 2])
    same = labels[:, None] == labels
    margin, weight = 2.5, 0.5

    def mean(values: np.ndarray, chosen: np.ndarray) -> float:
        return float(np.mean([v[c].mean() for v, c in zip(values, chosen, strict=True)]))

    def loss(distances: np.ndarray, push: np.ndarray) -> float:
        return mean(distances, same) + weight * mean(push, ~same)

    push = np.maximum(0, margin - D)
    truth = loss(D, push)
    got = number(answer(D, labels, margin, weight))
    mistakes = {
        "The weight of the hinge is missing.": mean(D, same) + mean(push, ~same),
        "The hinge is missing: what is farther away than the margin must not count.": loss(
            D, margin - D
        ),
        "The partner is not the only relevant text: all texts of the class are.": float(
            np.diag(D).mean()
        )
        + weight * mean(push, ~np.eye(7, dtype=bool)),
        "One hinge on sums acts on the whole batch, not on each distance.": float(
            max(0.0, margin + D[same].sum() - weight * D[~same].sum())
        ),
        "These are texts as anchors; here the images, the rows, are.": loss(D.T, push.T),
    }
    for why, wrong in mistakes.items():
        if abs(got - wrong) < 1e-9:
            raise Wrong(why)
    close(got, truth, "This is not the mean over images of the two means.")


@exercise("realvalued/adversarial/reversed")
def reversed_gradient(answer: Answer) -> None:
    rng = np.random.default_rng(1)
    F, w, scale = rng.normal(size=(6, 3)), rng.normal(size=3), 0.3
    probability = 1 / (1 + np.exp(-F @ w))
    true = -(1 - probability)[:, None] * w / (2 * len(F))
    got = shape(answer(F, w, scale), F.shape, "one row for each row of F")
    mistakes = {
        "This is the gradient that the discriminator's side sees; the encoder gets it reversed.": (
            scale * true
        ),
        "The strength of the reversal is missing.": -true,
        "The loss is a mean over images, of weight 1/2: divide by 2n.": -scale * true * 2 * len(F),
        "Images and texts share the loss: divide by 2n, not by n.": -scale * true * 2,
    }
    for why, wrong in mistakes.items():
        if np.allclose(got, wrong):
            raise Wrong(why)
    close(got, -scale * true, "This is not -λ times the gradient of the discriminator's loss.")


@exercise("realvalued/adversarial/beliefs")
def beliefs(answer: Answer) -> None:
    right = {
        "a higher mAP proves that the adversary works": (
            False,
            "with the adversary off, mAP is the same within the spread of seeds",
        ),
        "a discriminator at 50 % proves that the codes hide their modality": (
            False,
            "it may just have been outrun; a fresh one decides",
        ),
        "at the equilibrium the discriminator's loss is log 2": (
            True,
            "if both distributions are equal, its best answer is one half",
        ),
        "equal distributions of images and texts mean that partners are close": (
            False,
            "the discriminator never sees who belongs to whom",
        ),
        "the pair distance alone is smallest when all codes are equal": (
            True,
            "nothing in it keeps codes of different pairs apart",
        ),
    }
    statements(answer, right)
