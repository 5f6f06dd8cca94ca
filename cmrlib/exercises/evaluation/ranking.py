"""Checks for the exercises of the page book/evaluation/ranking.md."""

from collections.abc import Sequence
from itertools import permutations
from math import isclose, isnan

import numpy as np

from cmrlib.exercises import Answer, Wrong, close, exercise, number, shape


def _average_precision(ranked: Sequence[int]) -> float:
    """Average precision of a 0/1 list over its own hits."""
    precisions = [sum(ranked[:i]) / i for i, hit in enumerate(ranked, start=1) if hit]
    return sum(precisions) / max(len(precisions), 1)


@exercise("evaluation/ranking/precision")
def precision(answer: Answer) -> None:
    ranked = [1, 0, 1, 0, 0, 1]
    got = number(answer(list(ranked), 2))
    if isclose(got, 1 / 3):
        raise Wrong("You divide by the relevant items: that is recall. Divide by the k shown.")
    if isclose(got, 1 / 6):
        raise Wrong("You divide by the length of the list, but only the first k were shown.")
    if isclose(got, 1) or isclose(got, 2 / 3):
        raise Wrong("With k = 2 the hit at rank 3 of 1 0 1 0 0 1 is not shown: look at the slice.")
    for k, truth in enumerate([1, 1 / 2, 2 / 3, 1 / 2, 2 / 5, 1 / 2], start=1):
        close(answer(list(ranked), k), truth, f"P@{k} of 1 0 1 0 0 1 is {truth:.3f}.")


@exercise("evaluation/ranking/ap")
def ap(answer: Answer) -> None:
    similarity = np.array([0.1, 0.9, 0.6, 0.5, 0.3])
    relevant = np.array([False, True, False, True, False])  # ranked: 1 0 1 0 0
    got = number(answer(similarity.copy(), relevant.copy()))
    reasons = {
        1 / 2: "The items come in no particular order: sort them by similarity first.",
        11 / 30: "The least similar item is ranked first: sort by decreasing similarity.",
        1 / 3: "You divide by the number of items: divide by the number of relevant ones.",
        46 / 75: "You average the precision over all ranks: take the ranks of relevant items only.",
    }
    for wrong, reason in reasons.items():
        if isclose(got, wrong):
            raise Wrong(reason)
    close(got, 5 / 6, "Ranked 1 0 1 0 0, the list has AP (1 + 2/3) / 2.")
    nothing = answer(similarity.copy(), np.zeros(5, dtype=bool))
    if not isnan(number(nothing, "the AP of a query with no relevant item")):
        raise Wrong(f"A query with no relevant item has AP NaN, not {nothing}.")
    rng = np.random.default_rng(0)
    for _ in range(20):
        s, r = rng.permutation(12) / 12, rng.random(12) < 0.4
        r[0] = True
        truth = _average_precision(r[np.argsort(-s)].tolist())
        close(answer(s, r), truth, "Right on the small example, wrong on longer lists.")


@exercise("evaluation/ranking/fewer")
def fewer(answer: Answer) -> None:
    rankings = answer()
    if not isinstance(rankings, tuple | list) or len(rankings) != 2:
        raise Wrong("Return two lists, few and many.")
    few, many = (shape(ranked, (10,), "each list").tolist() for ranked in rankings)
    if not set(few) | set(many) <= {0, 1}:
        raise Wrong("The lists hold 0 and 1 only: is the item at this rank relevant?")
    if not any(few):
        raise Wrong("Without a hit the score of few is 0, and no ranking is below that.")
    if any(f > m for f, m in zip(few, many, strict=True)):
        raise Wrong("A hit of few is missing in many: many keeps all of them and adds more.")
    if sum(many) < sum(few) + 3:
        raise Wrong(f"few has {sum(few)} hits and many {sum(many)}: many needs three more.")
    high, low = _average_precision(few), _average_precision(many)
    if high < 2 * low:
        raise Wrong(
            f"AP@10 over hits is {high:.2f} for few and {low:.2f} for many, not yet twice as much: "
            "put the additional hits where the precision is lowest."
        )


@exercise("evaluation/ranking/ties")
def ties(answer: Answer) -> None:
    similarity = np.array([0.5, 0.5, 0.9, 0.5, 0.1])
    relevant = np.array([True, False, True, True, True])
    got = number(answer(similarity.copy(), relevant.copy(), 2))
    if isclose(got, 1) or isclose(got, 1 / 2):
        raise Wrong("You let the sort decide which tied item comes first: take the expectation.")
    if isclose(got, 3 / 4) or isclose(got, 3 / 2):
        raise Wrong(
            "You count the whole group of ties, but only some of its places are in the top k."
        )
    close(
        got, 5 / 6, "One sure hit, and one place for a group with 2 of 3 relevant: (1 + 2/3) / 2."
    )
    orders = [list(order) for order in permutations(range(5))]
    allowed = [order for order in orders if (np.diff(similarity[order]) <= 0).all()]
    for k in range(1, 6):
        truth = np.mean([relevant[order[:k]].mean() for order in allowed])
        for order in orders[::17]:
            why = f"P@{k} must be its mean over all orders of the ties, {truth:.3f} here."
            close(answer(similarity[order], relevant[order], k), truth, why)


@exercise("evaluation/ranking/reciprocal")
def reciprocal(answer: Answer) -> None:
    n, R = 5, 2
    got = number(answer(n, R))
    reasons = {
        (R + 1) / (n + 1): "That is one over the mean rank; the mean of 1 / rank is larger.",
        sum(1 / i for i in range(1, n + 1)) / n: "That is right for one relevant item only.",
        R / n: "That is the probability of a hit at rank 1; later first hits count as well.",
        sum((1 - R / n) ** (i - 1) * R / n / i for i in range(1, n + 1)): (
            "The chance of a hit grows from rank to rank, because no item is drawn twice: "
            "after i - 1 misses, n - i + 1 items are left."
        ),
    }
    for wrong, reason in reasons.items():
        if isclose(got, wrong):
            raise Wrong(reason)
    for n, R in [(5, 2), (5, 1), (6, 3), (6, 6), (1, 1)]:
        orders = list(permutations([1] * R + [0] * (n - R)))
        truth = np.mean([1 / (order.index(1) + 1) for order in orders])
        close(
            answer(n, R), truth, f"Over all orders of {n} items, {R} relevant, it is {truth:.4f}."
        )
