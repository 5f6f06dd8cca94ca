"""Wrong answers to the exercises of book/search/large_scale.md, with the reason each must get."""

from math import comb

import numpy as np


def longest(n, radius, least=0, strict=True):
    """Return the largest r whose ball, from distance `least` on, holds an item."""
    r = max(radius, 1)
    while n * sum(comb(r + 1, i) for i in range(least, radius + 1)) >= 2 ** (r + 1):
        r += 1
    return r if strict else r + 1


def merge(parts, k, key=None, each=None):
    """Merge with a mistake: sorted by `key` only, or `each` of every part."""
    parts = [(d[:each], i[:each]) for d, i in parts]
    distances, ids = (np.concatenate(columns) for columns in zip(*parts, strict=True))
    order = np.argsort(distances, kind="stable") if key is None else key(distances, ids)
    return distances[order[:k]], ids[order[:k]]


def merge_without_dropping(parts, k):
    return merge(parts, k, key=lambda d, i: np.lexsort((i, d)))


def merge_larger_id_first(parts, k):
    return merge(parts, k, key=lambda d, i: np.lexsort((-i, d)))


def precision_instead(found, truth):
    return np.mean([np.isin(f, t).mean() for f, t in zip(found, truth, strict=True)])


def same_place(found, truth):
    width = truth.shape[1]
    return (found[:, :width] == truth).mean()


def any_hit(found, truth):
    return np.mean([np.isin(t, f).any() for f, t in zip(found, truth, strict=True)])


def all_queries_together(found, truth):
    return np.isin(truth, found).mean()


def distinct(found, truth):
    """Divides the ids found of all queries by k n."""
    return len(np.intersect1d(found, truth)) / truth.size


WRONG = {
    "search/large_scale/pack": [
        (lambda codes: np.packbits(codes, axis=1), "-1 is not zero"),
        (lambda codes: np.packbits(codes < 0, axis=1), "turned round"),
        (lambda codes: np.packbits(codes > 0, axis=1, bitorder="little"), "the highest"),
        (lambda codes: np.packbits(codes > 0, axis=1).astype(int), "must be uint8"),
        (lambda codes: np.packbits(codes > 0), "shape (1, 2)"),
        (lambda codes: np.packbits(codes[[0] * len(codes)] > 0, axis=1), "pack each row"),
    ],
    "search/large_scale/popcount": [
        (lambda q, codes: (q != codes).sum(axis=1), "count the bits"),
        (lambda q, codes: np.unpackbits(~(q ^ codes), axis=1).sum(axis=1), "that agree"),
        (lambda q, codes: np.unpackbits(codes, axis=1).sum(axis=1), "exclusive or first"),
        (lambda q, codes: (q ^ codes).sum(axis=1), "add up the bytes"),
        (
            lambda q, codes: np.unpackbits(q ^ codes, axis=1).sum(axis=1, dtype=np.uint8),
            "do not fit into uint8",
        ),
    ],
    "search/large_scale/occupancy": [
        (lambda n, radius: longest(n, radius, strict=False), "one too large"),
        (lambda n, radius: longest(n, 0), "the radius is not used"),
        (lambda n, radius: longest(n, radius, least=radius), "sum from i = 0"),
        (lambda n, radius: longest(n, min(radius, 2)), "radius 3"),
    ],
    "search/large_scale/merge": [
        (merge, "5 comes before 7"),
        (merge_larger_id_first, "the smaller id comes first"),
        (lambda parts, k: merge(parts, k, each=1), "shape (4,)"),
        (
            lambda parts, k: merge(parts, k, each=2, key=lambda d, i: np.lexsort((-i, d))),
            "the smaller id",
        ),
        (merge_without_dropping, "drop"),
        (lambda parts, k: merge_without_dropping(parts, k)[1], "two arrays"),
    ],
    "search/large_scale/recall": [
        (same_place, "the order does not matter"),
        (any_hit, "Item 2 was not found by the first query"),
        (precision_instead, "which is precision"),
        (all_queries_together, "do not count for another"),
        (distinct, "do not count for another"),
    ],
}
