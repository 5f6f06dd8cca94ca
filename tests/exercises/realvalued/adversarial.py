"""Plausible wrong answers to the exercises on adversarial learning."""

import numpy as np


def without_ten(p):
    return 2 / (1 + np.exp(-p)) - 1


def logistic(p):
    return 1 / (1 + np.exp(-10 * p))


def from_one(p):
    return 2 / (1 + np.exp(10 * p))


def not_halved(p, q):
    D = p / (p + q)
    return -(p[p > 0] * np.log(D[p > 0])).sum() - (q[q > 0] * np.log(1 - D[q > 0])).sum()


def in_bits(p, q):
    return not_halved(p, q) / 2 / np.log(2)


def with_zero_times_log_zero(p, q):
    with np.errstate(divide="ignore", invalid="ignore"):
        D = p / (p + q)
        return -(p * np.log(D) + q * np.log(1 - D)).sum() / 2


def means(D, same, margin, weight):
    push = np.maximum(0, margin - D)
    return np.mean(
        [d[s].mean() + weight * h[~s].mean() for d, h, s in zip(D, push, same, strict=True)]
    )


def unweighted(D, labels, margin, weight):
    return means(D, labels[:, None] == labels, margin, 1.0)


def no_hinge(D, labels, margin, weight):
    same = labels[:, None] == labels
    return np.mean(
        [d[s].mean() + weight * (margin - d[~s]).mean() for d, s in zip(D, same, strict=True)]
    )


def partners_only(D, labels, margin, weight):
    return means(D, np.eye(len(D), dtype=bool), margin, weight)


def hinge_on_sums(D, labels, margin, weight):
    same = labels[:, None] == labels
    return max(0.0, margin + D[same].sum() - weight * D[~same].sum())


def texts_as_anchors(D, labels, margin, weight):
    return means(D.T, labels[:, None] == labels, margin, weight)


def true_gradient(F, w, scale):
    return -(1 - 1 / (1 + np.exp(-F @ w)))[:, None] * w / (2 * len(F))


def not_reversed(F, w, scale):
    return scale * true_gradient(F, w, scale)


def full_strength(F, w, scale):
    return -true_gradient(F, w, scale)


def summed(F, w, scale):
    return -scale * true_gradient(F, w, scale) * 2 * len(F)


def images_alone(F, w, scale):
    return -scale * true_gradient(F, w, scale) * 2


def trusting():
    return {
        "a higher mAP proves that the adversary works": False,
        "a discriminator at 50 % proves that the codes hide their modality": True,
        "at the equilibrium the discriminator's loss is log 2": True,
        "equal distributions of images and texts mean that partners are close": False,
        "the pair distance alone is smallest when all codes are equal": True,
    }


def aligned():
    return trusting() | {
        "a discriminator at 50 % proves that the codes hide their modality": False,
        "equal distributions of images and texts mean that partners are close": True,
    }


WRONG = {
    "realvalued/adversarial/schedule": [
        (without_ten, "factor 10"),
        (logistic, "logistic function"),
        (from_one, "must be 0"),
    ],
    "realvalued/adversarial/value": [
        (not_halved, "count half each"),
        (in_bits, "natural logarithms"),
        (with_zero_times_log_zero, "leave it out"),
    ],
    "realvalued/adversarial/invariance": [
        (unweighted, "weight of the hinge"),
        (no_hinge, "hinge is missing"),
        (partners_only, "not the only relevant"),
        (hinge_on_sums, "hinge on sums"),
        (texts_as_anchors, "texts as anchors"),
    ],
    "realvalued/adversarial/reversed": [
        (not_reversed, "gets it reversed"),
        (full_strength, "strength of the reversal"),
        (summed, "divide by 2n"),
        (images_alone, "not by n"),
    ],
    "realvalued/adversarial/beliefs": [
        (trusting, "a fresh one decides"),
        (aligned, "never sees who belongs"),
    ],
}
