"""Wrong answers to the exercises of book/evaluation/protocols.md, with the reason each must get."""

import numpy as np


def cut_at_rank(divide):
    def ap(rel, k):
        rel = np.asarray(rel)
        precision = np.cumsum(rel) / np.arange(1, len(rel) + 1)
        return (rel * precision)[:k].sum() / divide(rel, k)

    return ap


def all_hits(rel, k):
    ranks = np.flatnonzero(rel) + 1
    return np.mean(np.arange(1, len(ranks) + 1) / ranks)


def from_rank_zero(rel, k):
    ranks = np.flatnonzero(rel)[:k] + 1
    return np.sum(np.arange(len(ranks)) / ranks) / k


def zero_without_hits(rel, k):
    ranks = np.flatnonzero(rel)[:k] + 1
    return np.mean(np.arange(1, len(ranks) + 1) / ranks) if len(ranks) else 0.0


def always_over_k(rel, k):
    ranks = np.flatnonzero(rel)[:k] + 1
    return np.sum(np.arange(1, len(ranks) + 1) / ranks) / k if len(ranks) else np.nan


def in_two_orders(first, second):
    """Return a tie_range that sorts ties by the two keys that are made of the relevance."""

    def ap(similarity, relevant, key):
        ranks = np.flatnonzero(relevant[np.lexsort((key, -similarity))]) + 1
        return np.mean(np.arange(1, len(ranks) + 1) / ranks)

    return lambda s, r: (ap(s, r, first(r)), ap(s, r, second(r)))


def everything_in_front(similarity, relevant):
    ranks = np.arange(1, relevant.sum() + 1)
    worst = in_two_orders(lambda r: r, lambda r: r)(similarity, relevant)[0]
    return worst, np.mean(ranks / ranks)


def by_one_list(table):
    """Return a `which` that looks at 1 0 1 1 cut at 2, and reads the table."""
    return lambda ap: table[round(ap([1, 0, 1, 1], 2), 3)]


def only_first_rank(ap):
    """Cannot tell /hits from /min(R,k) and the first k hits."""
    return "R" if ap([1, 1], 1) == 0.5 else "hits"


WRONG = {
    "evaluation/protocols/first": [
        (cut_at_rank(lambda rel, k: rel[:k].sum()), "cut the list of hits, so that rank 4"),
        (cut_at_rank(lambda rel, k: k), "divide by k"),
        (cut_at_rank(lambda rel, k: rel.sum()), "divide by R"),
        (all_hits, "the first k only"),
        (from_rank_zero, "precisions 1/1 and 2/4"),
        (zero_without_hits, "has NaN, not 0.0"),
        (always_over_k, "their number is the divisor"),
    ],
    "evaluation/protocols/ten": [
        (lambda m, n, lost: m * (n + 10) / n, "Only answered queries"),
        (lambda m, n, lost: m * (n + 10) / (n - lost), "not 40"),
        (lambda m, n, lost: m * (n - lost) / (n - lost + 10), "smaller"),
        (lambda m, n, lost: m, "as it is"),
        (lambda m, n, lost: 0.6, "over 100 answered queries"),
    ],
    "evaluation/protocols/which": [
        (only_first_rank, "You call the definition 'min(R,k)' 'hits'"),
        (lambda ap: "k", "Return one of 'hits'"),
        (
            by_one_list({1.0: "hits", 0.5: "R", 0.333: "min(R,k)", 0.833: "first k hits"}),
            "'min(R,k)' 'R'",
        ),
    ],
    "evaluation/protocols/range": [
        (lambda s, r: 0.5, "Return two numbers"),
        (in_two_orders(lambda r: ~r, lambda r: r), "worst first"),
        (in_two_orders(lambda r: r * 0, lambda r: r * 0), "no effect"),
        (everything_in_front, "only within a tie group"),
        (lambda s, r: (0.7, 13 / 15), "the least and the largest"),
        (lambda s, r: (0.1, 0.2), "one hit among three"),
    ],
}
