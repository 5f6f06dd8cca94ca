"""Checks for the exercises of the page that reproduces published figures."""

from __future__ import annotations

import numpy as np

from cmrlib.cca import SCM
from cmrlib.datasets import make_hidden_signal
from cmrlib.evaluation import evaluate, mean_average_precision
from cmrlib.exercises import Answer, Wrong, close, exercise, shape


@exercise("cca/reproducing/error")
def error(answer: Answer) -> None:
    ap = np.array([0.2, 0.4, 0.9, 0.1])
    found = float(shape(answer(ap), ()))
    if np.isclose(found, ap.std(ddof=1)):
        raise Wrong("This is the spread of the queries; the mean is known better, by sqrt(n).")
    if np.isclose(found, ap.std() / 2):
        raise Wrong("Divide the sum of squares by n - 1, with ddof=1.")
    close(found, ap.std(ddof=1) / 2, "The standard error is the standard deviation / sqrt(n).")
    with_nan = float(np.asarray(answer(np.append(ap, np.nan))))
    close(with_nan, found, "A query without a relevant item, NaN, must not count, not even in n.")


@exercise("cca/reproducing/agrees")
def agrees(answer: Answer) -> None:
    cases = [
        ((0.249, 0.2494, 0.0), True, "0.2494 rounds to 0.249, so even without error it agrees."),
        ((0.249, 0.2463, 0.005), True, "0.0027 apart with an error of 0.005: reproduced."),
        ((0.225, 0.2668, 0.006), False, "0.0418 apart with an error of 0.006: not reproduced."),
        ((0.300, 0.2840, 0.008), True, "0.2840 is within 0.016 of 0.2995 and of 0.3005."),
        ((0.300, 0.2830, 0.008), False, "0.0165 is the most allowed here, and 0.017 is more."),
        ((0.225, 0.2418, 0.006), False, "A larger figure can fail to agree just as a smaller one."),
    ]
    for arguments, right, why in cases:
        if bool(answer(*arguments)) != right:
            raise Wrong(f"reproduced{arguments} should be {right}. {why}")


@exercise("cca/reproducing/comparable")
def comparable(answer: Answer) -> None:
    a = {
        "data": "wikipedia",
        "split": "2173/693",
        "cut-off": "all",
        "similarity": "cosine",
        "chosen on": "validation",
    }
    cases = [
        ({}, [], "The two are measured alike."),
        ({"similarity": "dot"}, [], "The similarity is part of the method."),
        ({"cut-off": "50"}, ["cut-off"], "mAP@50 and mAP@all are two metrics."),
        ({"chosen on": "the paper"}, [], "Settings from the paper are no reason against it."),
        ({"chosen on": "test"}, ["chosen on"], "What was tuned on the test set has seen it."),
        ({"split": "2000/866", "data": "other"}, ["data", "split"], "Return keys in order."),
    ]
    for change, right, why in cases:
        for pair in ((a, a | change), (a | change, a)):
            if list(answer(*pair)) != right:
                raise Wrong(f"With {change or 'no difference'} the answer is {right}. {why}")
    both = a | {"chosen on": "test"}
    if list(answer(both, both)) != ["chosen on"]:
        raise Wrong("Two results that were both tuned on the test set: still no comparison.")


@exercise("cca/reproducing/cutoff")
def cutoff(answer: Answer) -> None:
    rng = np.random.default_rng(0)
    relevance = rng.random((20, 200)) < 0.1
    S = rng.normal(size=(20, 200)) + relevance
    found = answer(S, relevance)
    if not isinstance(found, tuple) or len(found) != 2:
        raise Wrong("Return two numbers: mAP@50 and mAP@all.")
    at_50 = mean_average_precision(S, relevance, 50, denominator="hits")
    at_all = mean_average_precision(S, relevance)
    if np.allclose(found, (at_all, at_50)):
        raise Wrong("The right numbers in the wrong order: mAP@50 comes first.")
    if np.isclose(found[0], mean_average_precision(S, relevance, 50, denominator="R")):
        raise Wrong("The denominator of mAP@50 should be the hits inside the first 50.")
    close(found[0], at_50, "The first number is not mAP@50 over hits.")
    close(found[1], at_all, "The second number is not mAP@all: leave the cut-off away.")


@exercise("cca/reproducing/choose")
def choose(answer: Answer) -> None:
    train = make_hidden_signal(300, n_classes=4, random_state=0)
    seen: list[int] = []

    class Spy(SCM):
        def fit(self, image, text, labels=None):  # type: ignore[no-untyped-def]
            seen.append(len(image))
            return super().fit(image, text, labels)

    def make(k: int) -> Spy:
        return Spy(n_components=k, C=1.0)

    grid = [1, 3, 14]
    found = answer(make, grid, train)
    if not seen:
        raise Wrong("No model was fitted: try every value of the grid.")
    if max(seen) > 225:
        raise Wrong(
            "A model was fitted on more than three quarters of the pairs: hold a quarter out."
        )
    learn, validate = train.split(test_size=0.25, random_state=0)

    def quality(k: int) -> float:
        report = evaluate(SCM(k, C=1.0).fit(learn.image, learn.text, learn.labels), validate)
        return report.image_to_text["mAP@all"] + report.text_to_image["mAP@all"]

    right = max(grid, key=quality)
    if found not in grid:
        raise Wrong("Return the value itself, one of the grid, not a model or a score.")
    if found == min(grid, key=quality):
        raise Wrong("This is the worst value of the grid: larger mAP is better.")
    if found != right:
        raise Wrong("Another value does better on the held-out quarter, both directions taken.")
