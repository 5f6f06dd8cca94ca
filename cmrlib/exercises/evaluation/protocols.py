"""Checks for the exercises of the page book/evaluation/protocols.md."""

from collections.abc import Callable, Sequence
from itertools import permutations, product
from math import isclose, isnan

import numpy as np

from cmrlib.exercises import Answer, Wrong, close, exercise, number


def _cut_sum(ranked: Sequence[int], k: int) -> float:
    return sum(sum(ranked[:i]) / i for i in range(1, k + 1) if ranked[i - 1])


def _first_hits(ranked: Sequence[int], k: int) -> float:
    ranks = [i for i, hit in enumerate(ranked, start=1) if hit][:k]
    return sum(j / rank for j, rank in enumerate(ranks, start=1)) / len(ranks)


_DEFINITIONS: dict[str, Callable[[Sequence[int], int], float]] = {
    "hits": lambda ranked, k: _cut_sum(ranked, k) / max(sum(ranked[:k]), 1),
    "min(R,k)": lambda ranked, k: _cut_sum(ranked, k) / min(sum(ranked), k),
    "R": lambda ranked, k: _cut_sum(ranked, k) / sum(ranked),
    "first k hits": _first_hits,
}


@exercise("evaluation/protocols/first")
def first(answer: Answer) -> None:
    ranked = [1, 0, 0, 1, 0, 1]
    got = number(answer(list(ranked), 2))
    reasons = {
        1: "You cut the ranking at rank k: cut the list of hits, so that rank 4 counts.",
        1 / 2: "You cut the ranking at rank k and divide by k: cut the list of hits.",
        1 / 3: "You cut the ranking at rank k and divide by R: cut the list of hits.",
        2 / 3: "You take all hits: the first k only.",
    }
    for wrong, reason in reasons.items():
        if isclose(got, wrong):
            raise Wrong(reason)
    close(got, 3 / 4, "The first two hits of 1 0 0 1 0 1 have precisions 1/1 and 2/4: 0.75.")
    nothing = answer([0, 0, 0], 2)
    if not isnan(number(nothing, "the value of a list without a hit")):
        raise Wrong(f"A list without a hit has NaN, not {nothing}.")
    for k in (1, 3, 4, 50):
        why = f"With k = {k} the first min(k, R) hits count, and their number is the divisor."
        close(answer(list(ranked), k), _first_hits(ranked, k), why)


@exercise("evaluation/protocols/ten")
def ten(answer: Answer) -> None:
    # 30 queries, 10 unanswered; the AP of the other 20 sum to 12
    got = number(answer(12 / 30, 30, 10))
    reasons = {
        12 / 30 * 40 / 30: "Only answered queries are counted: 20 of the 30 here.",
        12 / 30 * 40 / 20: "The counter ended at answered + 10, which is 30 here, not 40.",
        12 / 30 * 20 / 30: "That makes the number smaller, but dividing by too much did so before.",
        12 / 30: "You return the reported number as it is.",
    }
    for wrong, reason in reasons.items():
        if isclose(got, wrong):
            raise Wrong(reason)
    for total, n, lost in [(12, 30, 10), (50, 100, 0), (3, 7, 1)]:
        why = f"AP that sum to {total} over {n - lost} answered queries have that mean."
        close(answer(total / (n - lost + 10), n, lost), total / (n - lost), why)


@exercise("evaluation/protocols/which")
def which(answer: Answer) -> None:
    for name, definition in _DEFINITIONS.items():
        got = answer(definition)
        if not isinstance(got, str) or got not in _DEFINITIONS:
            raise Wrong(f"Return one of {', '.join(map(repr, _DEFINITIONS))}, not {got!r}.")
        if got != name:
            raise Wrong(
                f"You call the definition {name!r} {got!r}: try a list in which k hits are not "
                "shown, so that all four values differ."
            )

    def slow(ranked: Sequence[int], k: int) -> float:
        return np.float64(_DEFINITIONS["R"](list(ranked), k))

    if answer(slow) != "R":
        raise Wrong("Compare numbers with isclose: the last digits depend on the program.")


@exercise("evaluation/protocols/range")
def tie_range(answer: Answer) -> None:
    similarity = np.array([2, 3, 2, 1, 2])
    relevant = np.array([False, True, True, True, False])  # 1 | one of three | 1
    got = answer(similarity.copy(), relevant.copy())
    if not isinstance(got, tuple | list) or len(got) != 2:
        raise Wrong("Return two numbers, (worst, best).")
    worst, best = number(got[0], "worst"), number(got[1], "best")
    truth = (1 + 2 / 4 + 3 / 5) / 3, (1 + 2 / 2 + 3 / 5) / 3
    if isclose(worst, truth[1]) and isclose(best, truth[0]):
        raise Wrong("The two are the other way round: worst first.")
    if isclose(worst, best):
        raise Wrong("Both are the same: the second key of the sort has no effect.")
    if isclose(best, 1):
        raise Wrong("You move all relevant items to the front: only within a tie group.")
    close(got, truth, "Ranked 1, then one hit among three ties, then 1.")
    rng = np.random.default_rng(0)
    for _ in range(5):
        s, r = rng.integers(0, 3, 6), rng.random(6) < 0.5
        r[0] = True
        groups = [np.flatnonzero(s == value) for value in (2, 1, 0)]
        every = [
            _first_hits(r[np.concatenate(parts).astype(int)].tolist(), 6)
            for parts in product(*(permutations(group) for group in groups))
        ]
        why = "They must be the least and the largest AP over all orders of ties."
        close(answer(s, r), (min(every), max(every)), why)
