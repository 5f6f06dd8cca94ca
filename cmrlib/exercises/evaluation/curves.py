"""Checks for the exercises of the page book/evaluation/curves.md."""

from itertools import permutations
from math import comb, isclose, log2

import numpy as np

from cmrlib.exercises import Answer, Wrong, close, exercise, number


def _refuse(got: float, reasons: dict[float, str]) -> None:
    for wrong, reason in reasons.items():
        if isclose(got, wrong):
            raise Wrong(reason)


@exercise("evaluation/curves/f1")
def f1(answer: Answer) -> None:
    ranked = [1, 0, 1, 0, 0, 1, 1]  # k = 3: P = 2/3, R = 1/2
    _refuse(
        number(answer(list(ranked), 3)),
        {
            (2 / 3 + 1 / 2) / 2: "That is the arithmetic mean: F1 is the harmonic mean.",
            2 / 7: "A factor of 2 is missing.",
            2 * 2 / (3 + 2): "R counts the relevant items of the whole list, not of the top k.",
            2 * 4 / (3 + 4): "Count the hits among the first k only.",
            2 / 3: "That is the precision.",
            1 / 2: "That is the recall.",
        },
    )
    for k in range(1, 8):
        truth = 2 * sum(ranked[:k]) / (k + 4)
        close(answer(list(ranked), k), truth, f"F1@{k} of 1 0 1 0 0 1 1 is {truth:.3f}.")
    if number(answer([0, 0, 1], 2)) != 0:
        raise Wrong("Without a hit in the top k the F1 score is 0.")


@exercise("evaluation/curves/first")
def first(answer: Answer) -> None:
    similarity = np.array([2, 1, 3, 2, 2, 2])
    relevant = np.array([True, True, False, False, True, False])  # N = 1, n = 4, r = 2
    _refuse(
        number(answer(similarity.copy(), relevant.copy())),
        {
            1 + (4 + 1) / 2: "That is the middle of the tie group, right for one relevant item.",
            1 + 4 / 2: "Not n / r: r relevant items leave r + 1 stretches of the others.",
            5 / 3: "You forget the items that are ranked above the group.",
            2: "You let the relevant items of the group come first: take the expectation.",
            4: "You let the irrelevant items of the group come first: take the expectation.",
        },
    )
    rng = np.random.default_rng(0)
    for _ in range(6):
        s, r = rng.integers(0, 3, 6), rng.random(6) < 0.4
        r[0] = True
        orders = [o for o in permutations(range(6)) if (np.diff(s[list(o)]) <= 0).all()]
        truth = np.mean([np.argmax(r[list(order)]) + 1 for order in orders])
        why = f"The mean over all orders of the ties is {truth:.3f} here."
        close(answer(s.copy(), r.copy()), truth, why)


@exercise("evaluation/curves/ndcg")
def ndcg(answer: Answer) -> None:
    grades = [1, 0, 3, 2]

    def dcg(ranked: list[int]) -> float:
        return sum((2**grade - 1) / log2(i + 1) for i, grade in enumerate(ranked, start=1))

    def linear(ranked: list[int]) -> float:
        return sum(grade / log2(i + 1) for i, grade in enumerate(ranked, start=1))

    _refuse(
        number(answer(list(grades), 3)),
        {
            linear([1, 0, 3]) / linear([3, 2, 1]): "Your gain is the grade l; take 2^l - 1.",
            dcg([1, 0, 3]): "Divide by the DCG of the best order.",
            dcg([1, 0, 3]) / dcg([3, 1, 0]): "The best order is that of all items: the grade 2 "
            "that is not shown belongs into it.",
            dcg(grades) / dcg([3, 2, 1, 0]): "Cut both lists at rank k.",
            1.0: "The value is 1 only for the best order: do not sort the ranking itself.",
        },
    )
    for k in range(1, 7):
        best = sorted(grades, reverse=True)
        truth = dcg(grades[:k]) / dcg(best[:k])
        close(answer(list(grades), k), truth, f"nDCG@{k} of the grades 1 0 3 2 is {truth:.3f}.")


@exercise("evaluation/curves/ball")
def ball(answer: Answer) -> None:
    within = (1 + 4) / 16  # 4 bits, radius 1
    _refuse(
        number(answer(4, 1, 3)),
        {
            within**3: "That is the probability that all items are within the radius.",
            1 - within**3: "That is the probability that not all items are within the radius.",
            1 - (1 - within) ** 3: "That is the probability of at least one item: its complement.",
            1 - within: "That is right for a single item: all n_items must miss the ball.",
            (1 - 4 / 16) ** 3: "You count the codes at the radius only: those inside belong to it.",
            (1 - 1 / 16) ** 3: "You stop before the radius: a distance of radius is within it.",
        },
    )
    for n_bits, radius, n in [(4, 1, 3), (16, 2, 475), (8, 0, 10), (6, 6, 2), (5, 1, 0)]:
        inside = sum(comb(n_bits, i) for i in range(radius + 1)) / 2**n_bits
        truth = (1 - inside) ** n
        why = f"{n} codes of {n_bits} bits miss radius {radius} with probability {truth:.4f}."
        close(answer(n_bits, radius, n), truth, why)
