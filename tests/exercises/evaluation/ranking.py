"""Wrong answers to the exercises of book/evaluation/ranking.md, with the reason each must get."""

import numpy as np


def recall_instead(rel, k):
    return sum(rel[:k]) / sum(rel)


def over_all_items(rel, k):
    return sum(rel[:k]) / len(rel)


def one_rank_too_many(rel, k):
    return sum(rel[: k + 1]) / k


def always_first_two(rel, k):
    return sum(rel[:2]) / 2


def ap_of_sorted(order, divide=None, silent=False):
    """Return an ap_of_query that sorts by `order` and divides by `divide`."""

    def ap_of_query(similarity, relevant):
        hits = np.asarray(relevant)[order(np.asarray(similarity))]
        if not hits.any():
            return 0.0 if silent else np.nan
        precision = np.cumsum(hits) / np.arange(1, len(hits) + 1)
        return (precision * hits).sum() / (hits.sum() if divide is None else divide(hits))

    return ap_of_query


def decreasing(similarity):
    return np.argsort(-similarity)


def mean_of_all_precisions(similarity, relevant):
    hits = relevant[decreasing(similarity)]
    return np.mean(np.cumsum(hits) / np.arange(1, len(hits) + 1))


def only_two_hits(similarity, relevant):
    """Looks at the first two hits, so that longer lists go wrong."""
    hits = np.flatnonzero(relevant[decreasing(similarity)])[:2] + 1
    return np.mean(np.arange(1, len(hits) + 1) / hits) if len(hits) else np.nan


def expected_by_stable_sort(similarity, relevant, k):
    return relevant[np.argsort(-similarity, kind="stable")[:k]].mean()


def expected_of_whole_group(similarity, relevant, k):
    return relevant[similarity >= np.sort(similarity)[-k]].mean()


def expected_over_all_items(similarity, relevant, k):
    return relevant.mean()


def expected_if_ties_are_in_rows_0_1_3(similarity, relevant, k):
    """Solves the first example for any order, and nothing else."""
    return 5 / 6


def geometric(n, R):
    return sum((1 - R / n) ** (i - 1) * R / n / i for i in range(1, n + 1))


def harmonic(n, R):
    return sum(1 / i for i in range(1, n + 1)) / n


HITS = [1, 0, 0, 0, 0, 0, 0, 0, 0, 0]
LATE = [1, 0, 0, 0, 0, 0, 0, 1, 1, 1]

WRONG = {
    "evaluation/ranking/precision": [
        (recall_instead, "that is recall"),
        (over_all_items, "length of the list"),
        (one_rank_too_many, "look at the slice"),
        (always_first_two, "P@1 of 1 0 1 0 0 1 is 1.000"),
    ],
    "evaluation/ranking/ap": [
        (ap_of_sorted(lambda s: np.arange(len(s))), "sort them by similarity first"),
        (ap_of_sorted(np.argsort), "sort by decreasing similarity"),
        (ap_of_sorted(decreasing, divide=len), "divide by the number of relevant ones"),
        (mean_of_all_precisions, "the ranks of relevant items only"),
        (ap_of_sorted(decreasing, silent=True), "has AP NaN, not 0.0"),
        (only_two_hits, "wrong on longer lists"),
    ],
    "evaluation/ranking/fewer": [
        (lambda: HITS, "Return two lists"),
        (lambda: (HITS[:5], LATE[:5]), "shape (10,)"),
        (lambda: ([2] + HITS[1:], LATE), "0 and 1 only"),
        (lambda: ([0] * 10, LATE), "Without a hit the score of few is 0"),
        (lambda: (HITS, LATE[::-1]), "not yet twice as much"),
        (lambda: (HITS, [0, *LATE[:9]]), "A hit of few is missing"),
        (lambda: (LATE, HITS), "A hit of few is missing"),
        (lambda: (HITS, HITS), "many needs three more"),
        (lambda: (HITS, [1, 1, 1, 1, 0, 0, 0, 0, 0, 0]), "1.00 for few and 1.00 for many"),
    ],
    "evaluation/ranking/ties": [
        (expected_by_stable_sort, "let the sort decide"),
        (expected_of_whole_group, "the whole group of ties"),
        (expected_over_all_items, "One sure hit"),
        (expected_if_ties_are_in_rows_0_1_3, "its mean over all orders"),
    ],
    "evaluation/ranking/reciprocal": [
        (lambda n, R: (R + 1) / (n + 1), "one over the mean rank"),
        (harmonic, "one relevant item only"),
        (lambda n, R: R / n, "a hit at rank 1"),
        (geometric, "no item is drawn twice"),
        (lambda n, R: 77 / 120, "Over all orders of 5 items, 1 relevant"),
    ],
}
