"""Plausible wrong answers to the exercises on reproducing published figures."""

import numpy as np

from cmrlib.evaluation import evaluate, mean_average_precision


def spread(ap):
    return np.nanstd(ap, ddof=1)


def population(ap):
    counted = ap[~np.isnan(ap)]
    return counted.std() / np.sqrt(len(counted))


def counts_nan(ap):
    return np.nanstd(ap, ddof=1) / np.sqrt(len(ap))


def exact_digits(printed, ours, error):
    return round(ours, 3) == printed


def one_sided(printed, ours, error):
    return ours >= printed - 0.0005 - 2 * error


def everything_equal(a, b):
    return sorted(key for key in a if a[key] != b[key])


def test_set_forgotten(a, b):
    return sorted(key for key in ("data", "split", "cut-off") if a[key] != b[key])


def swapped(similarity, relevance):
    at_50 = mean_average_precision(similarity, relevance, 50)
    return mean_average_precision(similarity, relevance), at_50


def over_all_relevant(similarity, relevance):
    at_50 = mean_average_precision(similarity, relevance, 50, denominator="R")
    return at_50, mean_average_precision(similarity, relevance)


def on_the_training_pairs(make, grid, train):
    def quality(value):
        model = make(value).fit(train.image, train.text, labels=train.labels)
        return evaluate(model, train).image_to_text["mAP@all"]

    return max(grid, key=quality)


def smallest(make, grid, train):
    learn, validate = train.split(test_size=0.25, random_state=0)

    def quality(value):
        model = make(value).fit(learn.image, learn.text, labels=learn.labels)
        report = evaluate(model, validate)
        return report.image_to_text["mAP@all"] + report.text_to_image["mAP@all"]

    return min(grid, key=quality)


def not_tried(make, grid, train):
    return grid[-1]


WRONG = {
    "cca/reproducing/error": [
        (spread, "sqrt(n)"),
        (population, "ddof=1"),
        (counts_nan, "must not count"),
    ],
    "cca/reproducing/agrees": [
        (exact_digits, "0.0027 apart"),
        (one_sided, "0.0418 apart"),
    ],
    "cca/reproducing/comparable": [
        (everything_equal, "part of the method"),
        (test_set_forgotten, "tuned on the test set"),
    ],
    "cca/reproducing/cutoff": [
        (swapped, "wrong order"),
        (over_all_relevant, "denominator"),
    ],
    "cca/reproducing/choose": [
        (on_the_training_pairs, "hold a quarter out"),
        (smallest, "worst value"),
        (not_tried, "No model was fitted"),
    ],
}
