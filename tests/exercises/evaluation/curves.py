"""Wrong answers to the exercises of book/evaluation/curves.md, with the reason each must get."""

from math import comb

import numpy as np


def arithmetic(rel, k):
    return (sum(rel[:k]) / k + sum(rel[:k]) / sum(rel)) / 2


def relevant_of_top(rel, k):
    return 2 * sum(rel[:k]) / (k + sum(rel[:k]))


def middle_of_group(similarity, relevant):
    best = similarity[relevant].max()
    return (similarity > best).sum() + ((similarity == best).sum() + 1) / 2


def share_of_group(similarity, relevant):
    best = similarity[relevant].max()
    group = similarity == best
    return (similarity > best).sum() + group.sum() / relevant[group].sum()


def without_those_above(similarity, relevant):
    group = similarity == similarity[relevant].max()
    return (group.sum() + 1) / (relevant[group].sum() + 1)


def by_tie_order(sign):
    def rank(similarity, relevant):
        order = np.lexsort((sign * relevant, -similarity))
        return np.argmax(relevant[order]) + 1

    return rank


def ndcg_with(gain=lambda g: 2.0**g - 1, best=None, cut=True, divide=True):
    def ndcg(grades, k):
        def dcg(ranked):
            top = np.asarray(ranked[:k] if cut else ranked)
            return np.sum(gain(top) / np.log2(np.arange(2, len(top) + 2)))

        ideal = sorted(grades if best is None else best(grades, k), reverse=True)
        return dcg(grades) / (dcg(ideal) if divide else 1)

    return ndcg


def logarithm_of_rank(grades, k):
    """Discounts by log2(i) from rank 2 on, as the first paper did."""

    def dcg(ranked):
        top = np.asarray(ranked[:k])
        return np.sum((2.0**top - 1) / np.maximum(np.log2(np.arange(1, len(top) + 1)), 1))

    return dcg(grades) / dcg(sorted(grades, reverse=True))


def share(n_bits, radii):
    return sum(comb(n_bits, i) for i in radii) / 2**n_bits


WRONG = {
    "evaluation/curves/f1": [
        (arithmetic, "arithmetic mean"),
        (lambda rel, k: sum(rel[:k]) / (k + sum(rel)), "A factor of 2"),
        (relevant_of_top, "not of the top k"),
        (lambda rel, k: 2 * sum(rel) / (k + sum(rel)), "among the first k only"),
        (lambda rel, k: sum(rel[:k]) / k, "That is the precision"),
        (lambda rel, k: sum(rel[:k]) / sum(rel), "That is the recall"),
        (lambda rel, k: 4 / 7, "F1@1 of 1 0 1 0 0 1 1 is 0.400"),
    ],
    "evaluation/curves/first": [
        (middle_of_group, "middle of the tie group"),
        (share_of_group, "Not n / r"),
        (without_those_above, "ranked above the group"),
        (by_tie_order(-1), "relevant items of the group come first"),
        (by_tie_order(1), "irrelevant items of the group come first"),
        (lambda s, r: 8 / 3, "The mean over all orders"),
    ],
    "evaluation/curves/ndcg": [
        (ndcg_with(gain=lambda g: g), "take 2^l - 1"),
        (ndcg_with(divide=False), "Divide by the DCG"),
        (ndcg_with(best=lambda grades, k: grades[:k]), "the grade 2 that is not shown"),
        (ndcg_with(cut=False), "Cut both lists"),
        (lambda grades, k: 1.0, "do not sort the ranking itself"),
        (logarithm_of_rank, "nDCG@2 of the grades 1 0 3 2"),
    ],
    "evaluation/curves/ball": [
        (lambda b, r, n: share(b, range(r + 1)) ** n, "all items are within"),
        (lambda b, r, n: 1 - share(b, range(r + 1)) ** n, "not all items are within"),
        (lambda b, r, n: 1 - (1 - share(b, range(r + 1))) ** n, "at least one item"),
        (lambda b, r, n: 1 - share(b, range(r + 1)), "a single item"),
        (lambda b, r, n: (1 - share(b, [r])) ** n, "those inside belong to it"),
        (lambda b, r, n: (1 - share(b, range(r))) ** n, "stop before the radius"),
        (lambda b, r, n: (11 / 16) ** 3, "475 codes of 16 bits"),
    ],
}
