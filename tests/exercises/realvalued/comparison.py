"""Plausible wrong answers to the exercises on deep and linear methods."""

import numpy as np


def beaten(points):
    better = (points[None] >= points[:, None]).all(axis=2)
    strictly = (points[None] > points[:, None]).any(axis=2)
    return (better & strictly).any(axis=1)


def beaten_by_itself(points):
    return ~((points[None] >= points[:, None]).all(axis=2).sum(axis=1) > 1)


def beaten_in_both(points):
    return ~(points[None] > points[:, None]).all(axis=2).any(axis=1)


def standard_deviations(a, b):
    return abs(np.mean(a) - np.mean(b)) > 2 * np.hypot(np.std(a, ddof=1), np.std(b, ddof=1))


def signed(a, b):
    error = np.sqrt(np.var(a, ddof=1) / len(a) + np.var(b, ddof=1) / len(b))
    return np.mean(a) - np.mean(b) > 2 * error


def one_error(a, b):
    error = np.sqrt(np.var(a, ddof=1) / len(a) + np.var(b, ddof=1) / len(b))
    return abs(np.mean(a) - np.mean(b)) > error


def one_setting_for_all(validation, test):
    return test[validation.mean(axis=1).argmax()].mean(), test.max(axis=0).mean()


def validation_scores(validation, test):
    return validation.max(axis=0).mean(), test.max(axis=0).mean()


def logarithm(sizes, a, b):
    x = np.log(sizes)
    (slope_a, start_a), (slope_b, start_b) = (np.polyfit(x, curve, 1) for curve in (a, b))
    return (start_a - start_b) / (slope_b - slope_a)


def against_sizes(sizes, a, b):
    (slope_a, start_a), (slope_b, start_b) = (np.polyfit(sizes, curve, 1) for curve in (a, b))
    return (start_a - start_b) / (slope_b - slope_a)


def always_somewhere(sizes, a, b):
    x = np.log(sizes)
    (slope_a, start_a), (slope_b, start_b) = (np.polyfit(x, curve, 1) for curve in (a, b))
    return np.exp((start_a - start_b) / (slope_b - slope_a))


def averages():
    return {
        "mAP@50 and mAP@all of one model can be averaged": True,
        "a method that sees labels and one that does not answer the same question": False,
        "the parameters best for groups are best for partners": False,
        "features from deep networks leave less for a deep retrieval model to do": True,
        "a network can find relations whose correlation is zero": True,
    }


def one_setting_suits_all():
    return averages() | {
        "mAP@50 and mAP@all of one model can be averaged": False,
        "the parameters best for groups are best for partners": True,
    }


WRONG = {
    "realvalued/comparison/front": [
        (beaten, "that are beaten"),
        (beaten_by_itself, "neither beats the other"),
        (beaten_in_both, "worse in the other"),
    ],
    "realvalued/comparison/apart": [
        (standard_deviations, "larger than a standard error"),
        (signed, "absolute difference"),
        (one_error, "not one"),
    ],
    "realvalued/comparison/hindsight": [
        (one_setting_for_all, "chooses for itself"),
        (validation_scores, "not the test score"),
    ],
    "realvalued/comparison/meet": [
        (logarithm, "exponential"),
        (against_sizes, "not against the sizes"),
        (always_somewhere, "never gets there"),
    ],
    "realvalued/comparison/beliefs": [
        (averages, "different measures"),
        (one_setting_suits_all, "few components"),
    ],
}
