"""Checks for the exercises of the page book/evaluation/significance.md."""

from itertools import product
from math import ceil, isclose

import numpy as np

from cmrlib.exercises import Answer, Wrong, close, exercise, number, shape


@exercise("evaluation/significance/bootstrap")
def bootstrap(answer: Answer) -> None:
    values = np.random.default_rng(0).beta(2, 5, size=50)
    means = shape(answer(values.copy(), 4000, np.random.default_rng(1)), (4000,))
    spread, truth = means.std(), values.std() / np.sqrt(50)
    if spread < 1e-9:
        raise Wrong("All means are equal: draw with replacement, or it is the same sample again.")
    if isclose(spread, values.std(), rel_tol=0.1):
        raise Wrong("The means spread like single values: average over n values, axis 1.")
    if not isclose(spread, truth, rel_tol=0.1):
        raise Wrong(
            f"The means spread by {spread:.4f}, not by {truth:.4f}: draw as many values as there "
            "are, each with the same probability."
        )
    close(means.mean(), values.mean(), "The means lie around another value.", tol=5 * truth / 63)
    again = answer(values.copy(), 4000, np.random.default_rng(1))
    if not np.array_equal(means, again):
        raise Wrong("The same generator gave other means: draw from rng and nothing else.")


@exercise("evaluation/significance/signs")
def signs(answer: Answer) -> None:
    d = np.array([0.3, 0.1, 0.2, -0.1])  # |sum| 0.5: 6 of 16 at least as far, 3 of them above
    got = number(answer(d.copy()))
    reasons = {
        3 / 16: "That is one side: a difference as large the other way counts as well.",
        2 / 16: "Signs that reach just the observed sum count: at least as far, and allow for "
        "rounding.",
        4 / 16: "Some sums that equal the observed one are lost to rounding: leave a little room.",
        5 / 16: "Some sums that equal the observed one are lost to rounding: leave a little room.",
        7 / 17: "All signs are tried here, the observed ones among them: do not count them twice.",
    }
    for wrong, reason in reasons.items():
        if isclose(got, wrong):
            raise Wrong(reason)
    rng = np.random.default_rng(0)
    cases = [d, -d, np.array([0.1, 0.2]), np.zeros(3), rng.normal(0.3, 1, 9).round(2)]
    for case in cases:
        sums = [abs(sum(s * x for s, x in zip(by, case, strict=True))) for by in _all(case)]
        truth = np.mean([total >= abs(case.sum()) - 1e-9 for total in sums])
        why = f"Of the {2 ** len(case)} signs {truth:.1%} reach as far for {case.tolist()}."
        close(answer(case.copy()), truth, why)


def _all(case: np.ndarray) -> product:
    return product((1, -1), repeat=len(case))


@exercise("evaluation/significance/luck")
def luck(answer: Answer) -> None:
    got = number(answer(20, 0.05))
    reasons = {
        1.0: "Levels do not add up to a probability: with 40 methods it would be 2.",
        0.05: "That is the probability for one method.",
        0.95**20: "That is the probability of no winner: its complement.",
        0.05**20: "That is the probability that all of them win.",
        20 * 0.05 * 0.95**19: "That is the probability of exactly one winner.",
    }
    for wrong, reason in reasons.items():
        if isclose(got, wrong):
            raise Wrong(reason)
    for n, level in [(20, 0.05), (1, 0.05), (100, 0.01), (3, 0.5)]:
        truth = 1 - (1 - level) ** n
        close(answer(n, level), truth, f"For {n} methods at level {level} it is {truth:.3f}.")


@exercise("evaluation/significance/size")
def size(answer: Answer) -> None:
    got = number(answer(0.1, 0.01))  # (1.96 * 10)² = 384.16
    reasons = {
        384: "With 384 queries the interval is a little too wide: round up.",
        384.16: "A number of queries is whole: round up.",
        20: "Square the ratio: the width falls with the root of n.",
        19.6: "Square the ratio: the width falls with the root of n.",
        100: "The interval is 1.96 standard errors to each side.",
        97: "The gain is to one side already: do not halve it.",
    }
    for wrong, reason in reasons.items():
        if isclose(got, wrong):
            raise Wrong(reason)
    for spread, gain in [(0.1, 0.01), (0.06, 0.013), (0.25, 0.02), (0.01, 0.1)]:
        truth = ceil((1.96 * spread / gain) ** 2)
        close(answer(spread, gain), truth, f"For spread {spread} and gain {gain} it is {truth}.")
