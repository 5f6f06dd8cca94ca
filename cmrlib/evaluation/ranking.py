"""Metrics of a ranking, with the cut-off, the denominator and the tie rule declared.

Every function takes a similarity matrix S (n_queries, n_items), larger is closer, and a boolean
relevance matrix of the same shape. Items with equal similarity form a *tie group*, and a metric
is by default its expectation when the order inside each group is drawn at random: no result
depends on how a sort happens to break ties. ``ties="best"`` and ``"worst"`` put the relevant
items of each group first and last; these bound every metric but AP@k over hits, which may rate
fewer hits higher.

A query with no relevant item has no average precision and no recall: its value is NaN, and means
leave it out.
"""

from __future__ import annotations

from collections.abc import Callable
from numbers import Integral
from typing import Any, Literal, NamedTuple, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import hypergeom

Array = NDArray[Any]
Ties = Literal["expected", "best", "worst"]
Denominator = Literal["hits", "min(R,k)", "R"]

_ENTRIES_AT_ONCE = 4_000_000  # similarities ranked at once; bounds the memory of long query lists


def label_relevance(labels: ArrayLike, item_labels: ArrayLike) -> NDArray[np.bool_]:
    """Return which item shares a class with which query, (n_queries, n_items).

    Parameters
    ----------
    labels, item_labels : array-like of shape (n,) or (n, c)
        Class numbers, or multi-hot labels: then one class in common is enough.

    Raises
    ------
    ValueError
        If the two are not of one kind.
    """
    Q, D = np.asarray(labels), np.asarray(item_labels)
    if Q.ndim == D.ndim == 1:
        return Q[:, None] == D[None, :]
    if Q.ndim == D.ndim == 2 and Q.shape[1] == D.shape[1]:
        return Q.astype(np.float32) @ D.astype(np.float32).T > 0
    raise ValueError(
        f"labels of shapes {Q.shape} and {D.shape} cannot be compared: give both as (n,) class "
        "numbers or both as (n, c) multi-hot."
    )


def pair_relevance(n: int) -> NDArray[np.bool_]:
    """Return the (n, n) relevance under which only an item's own partner is right."""
    return np.eye(n, dtype=bool)


class _Ranking(NamedTuple):
    """A batch of rankings, one row a query; ranks count from 0."""

    relevant: Array  # (b, n) 1.0 where the item at this rank is relevant
    hits: Array  # (b, n) relevant items up to and including this rank, in the sorted order
    first: Array  # (b, n) first rank of the tie group that this rank is in
    last: Array  # (b, n) last rank of that group

    def group(self, rank: Array | int) -> tuple[Array, Array, Array, Array]:
        """Return (N, R, n, r) of the tie group at a rank: items and hits before it, and in it."""
        ranks = np.broadcast_to(np.asarray(rank), (len(self.hits),))[:, None]
        first = np.take_along_axis(self.first, ranks, 1)
        last = np.take_along_axis(self.last, ranks, 1)
        through = np.take_along_axis(self.hits, last, 1)
        before = np.where(first > 0, np.take_along_axis(self.hits, np.maximum(first - 1, 0), 1), 0)
        columns = (first, before, last - first + 1, through - before)
        N, R, n, r = (column[:, 0] for column in columns)
        return N, R, n, r


def _rank(S: Array, relevance: Array, ties: Ties) -> _Ranking:
    """Sort items by decreasing similarity; a forced tie order leaves groups of one."""
    n = S.shape[1]
    if ties == "expected":
        order = np.argsort(-S, axis=1, kind="stable")
    else:
        order = np.argsort(relevance if ties == "worst" else ~relevance, axis=1, kind="stable")
        by_similarity = np.argsort(-np.take_along_axis(S, order, 1), axis=1, kind="stable")
        order = np.take_along_axis(order, by_similarity, 1)
    relevant = np.take_along_axis(relevance, order, 1).astype(np.float64)
    ranks = np.broadcast_to(np.arange(n), S.shape)
    first = last = ranks
    if ties == "expected":
        s = np.take_along_axis(S, order, 1)
        new = np.concatenate([np.ones((len(s), 1), bool), s[:, 1:] != s[:, :-1]], axis=1)
        first = np.maximum.accumulate(np.where(new, ranks, 0), axis=1)
        end = np.concatenate([new[:, 1:], np.ones((len(s), 1), bool)], axis=1)
        last = np.minimum.accumulate(np.where(end, ranks, n - 1)[:, ::-1], axis=1)[:, ::-1]
    return _Ranking(relevant, np.cumsum(relevant, axis=1), first, last)


def _group_precision(N: Array, R: Array, m: Array, h: Array) -> Array:
    """Return the expected sum of precisions at the hits among m ranks of one tie group.

    Of these m ranks, which follow N items with R hits, h hold relevant items, each choice of
    ranks equally likely. Rank i of the m is a hit with probability h / m, and has then
    (i - 1)(h - 1) / (m - 1) hits of the group above it in expectation, so that the sum is
    (h / m) [(R + 1) a + (h - 1) / (m - 1) b] with a = Σ 1 / (N + i), b = Σ (i - 1) / (N + i).
    """
    harmonic = np.concatenate([[0.0], np.cumsum(1 / np.arange(1, np.max(N + m, initial=0) + 1))])
    a = harmonic[N + m] - harmonic[N]
    b = m - (N + 1) * a
    return h / np.maximum(m, 1) * ((R + 1) * a + (h - 1) / np.maximum(m - 1, 1) * b)


def _average_precision(ranking: _Ranking, k: int, denominator: Denominator) -> Array:
    """Expected AP@k of each row of a batch; NaN where nothing is relevant."""
    relevant, hits, first, last = ranking
    total = hits[:, -1]  # R of the paper's formulas, over the whole ranking
    # groups that the cut leaves whole: one value each, at the group's last rank
    whole = (np.arange(hits.shape[1]) == last) & (last < k)
    query, rank = np.nonzero(whole)
    N = first[query, rank]
    R = np.where(N > 0, hits[query, N - 1], 0)
    h = hits[query, rank] - R
    above = np.bincount(query, _group_precision(N, R, rank - N + 1, h), minlength=len(hits))

    # the group that the cut divides, if any: h of its r relevant items fall above the cut
    N, R, n, r = ranking.group(k - 1)
    divided = N + n > k
    m = np.where(divided, k - N, 0)
    R = np.where(divided, R, hits[:, k - 1])
    value = np.zeros(len(hits))
    for found in range(int(np.minimum(m, r).max()) + 1):
        chance = hypergeom.pmf(found, n, r.astype(int), m)
        within = above + _group_precision(N, R, m, np.full(len(hits), float(found)))
        bottom = {"hits": R + found, "min(R,k)": np.minimum(total, k), "R": total}[denominator]
        value += chance * np.divide(within, bottom, out=np.zeros_like(within), where=bottom > 0)
    return np.where(total > 0, value, np.nan)


def _expected_hits(ranking: _Ranking) -> Array:
    """Return the expected number of hits up to each rank, (b, n)."""
    _, hits, first, last = ranking
    R = np.where(first > 0, np.take_along_axis(hits, np.maximum(first - 1, 0), 1), 0)
    r = np.take_along_axis(hits, last, 1) - R
    inside = np.arange(hits.shape[1]) - first + 1
    return R + r * inside / (last - first + 1)


def _by_batch(
    similarity: ArrayLike, relevance: ArrayLike, ties: Ties, metric: Callable[[_Ranking], Array]
) -> Array:
    """Check the input, rank a few million entries at a time, and stack what `metric` returns."""
    S, rel = np.asarray(similarity), np.asarray(relevance)
    if S.ndim != 2 or S.shape != rel.shape or 0 in S.shape:
        raise ValueError(
            f"similarity and relevance must be two non-empty matrices of one shape, "
            f"(n_queries, n_items), got {S.shape} and {rel.shape}."
        )
    if S.dtype.kind not in "biuf":
        raise TypeError(f"similarity must hold real numbers, got dtype {S.dtype}.")
    if S.dtype.kind != "f":
        S = S.astype(np.float64)  # so that -S is safe for unsigned types
    if rel.dtype != bool:
        raise TypeError(f"relevance must be boolean, got dtype {rel.dtype}.")
    if not np.isfinite(S).all():
        raise ValueError("similarity holds NaN or infinity; such items cannot be ranked.")
    if ties not in get_args(Ties):
        raise ValueError(f"ties must be one of {get_args(Ties)}, got {ties!r}.")
    step = max(1, _ENTRIES_AT_ONCE // S.shape[1])
    batches = (slice(i, i + step) for i in range(0, len(S), step))
    return np.concatenate([metric(_rank(S[b], rel[b], ties)) for b in batches])


def _cut(k: int | None, similarity: ArrayLike) -> int:
    n = np.shape(similarity)[-1] if np.ndim(similarity) else 0
    if k is None:
        return n
    if not isinstance(k, Integral) or k < 1:
        raise ValueError(f"k must be a whole number of at least 1, got {k!r}.")
    return min(int(k), n)


def average_precision(
    similarity: ArrayLike,
    relevance: ArrayLike,
    k: int | None = None,
    *,
    denominator: Denominator = "hits",
    ties: Ties = "expected",
) -> NDArray[np.float64]:
    """Return the average precision of each query, (n_queries,).

    AP@k = (1 / D) Σ_{i ≤ k} P@i [item i is relevant].

    Parameters
    ----------
    similarity : array-like of shape (n_queries, n_items)
    relevance : array-like of bool, same shape
    k : int, optional
        Cut-off; None ranks everything.
    denominator : {"hits", "min(R,k)", "R"}
        What D is: the relevant items found in the top k; the most that could be found there; or
        all R relevant items. Without a cut-off the three are one.
    ties : {"expected", "best", "worst"}
        See the module's head.

    Raises
    ------
    TypeError, ValueError
        If shapes differ, values are not finite, or an option is unknown.

    References
    ----------
    F. McSherry and M. Najork, "Computing information retrieval performance measures efficiently
    in the presence of tied scores", ECIR (2008).

    Examples
    --------
    >>> from cmrlib.evaluation import average_precision
    >>> average_precision([[0.9, 0.8, 0.7]], [[True, False, True]]).round(4)  # (1 + 2/3) / 2
    array([0.8333])
    """
    if denominator not in get_args(Denominator):
        raise ValueError(f"denominator must be one of {get_args(Denominator)}: {denominator!r}.")
    cut = _cut(k, similarity)
    return _by_batch(
        similarity, relevance, ties, lambda ranking: _average_precision(ranking, cut, denominator)
    )


def mean_average_precision(
    similarity: ArrayLike,
    relevance: ArrayLike,
    k: int | None = None,
    *,
    denominator: Denominator = "hits",
    ties: Ties = "expected",
) -> float:
    """Return the mean over queries of :func:`average_precision`, which see.

    Raises
    ------
    ValueError
        Also if no query has a relevant item.
    """
    ap = average_precision(similarity, relevance, k, denominator=denominator, ties=ties)
    return _mean(ap)


def _mean(values: Array) -> float:
    if np.isnan(values).all():
        raise ValueError("no query has a relevant item, so there is nothing to average.")
    return float(np.nanmean(values))


def precision_at_k(
    similarity: ArrayLike, relevance: ArrayLike, k: int, *, ties: Ties = "expected"
) -> NDArray[np.float64]:
    """Return the fraction of the top k that is relevant, per query, (n_queries,).

    With fewer than k items in all, of those there are.
    """
    cut = _cut(k, similarity)
    return _by_batch(similarity, relevance, ties, lambda r: _expected_hits(r)[:, cut - 1] / cut)


def recall_at_k(
    similarity: ArrayLike, relevance: ArrayLike, k: int, *, ties: Ties = "expected"
) -> NDArray[np.float64]:
    """Return the fraction of the relevant items that is in the top k, per query, (n_queries,).

    Under :func:`pair_relevance` its mean is the R@k of image-text retrieval: how often the
    partner is among the first k. NaN for a query with no relevant item.
    """
    cut = _cut(k, similarity)

    def recall(ranking: _Ranking) -> Array:
        total = ranking.hits[:, -1]
        found = _expected_hits(ranking)[:, cut - 1]
        return np.divide(found, total, out=np.full(len(total), np.nan), where=total > 0)

    return _by_batch(similarity, relevance, ties, recall)


def precision_recall(
    similarity: ArrayLike, relevance: ArrayLike, *, ties: Ties = "expected"
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return mean precision and mean recall after 1, 2, ..., n_items ranks, each (n_items,).

    Queries with no relevant item are left out.
    """

    def curves(ranking: _Ranking) -> Array:
        hits = _expected_hits(ranking)
        total = hits[:, [-1]]
        precision = hits / np.arange(1, hits.shape[1] + 1)
        recall = np.divide(hits, total, out=np.full_like(hits, np.nan), where=total > 0)
        return np.stack([np.where(total > 0, precision, np.nan), recall], axis=1)

    both = _by_batch(similarity, relevance, ties, curves)  # (n_queries, 2, n_items)
    if np.isnan(both).all():
        raise ValueError("no query has a relevant item, so there is nothing to average.")
    precision, recall = np.nanmean(both, axis=0)
    return precision, recall


def random_average_precision(relevance: ArrayLike) -> NDArray[np.float64]:
    """Return the expected AP of each query when the items are ranked at random, (n_queries,).

    This is the tie-aware AP of a similarity that is the same for all.
    """
    rel = np.asarray(relevance)
    return average_precision(np.zeros(rel.shape, np.float32), rel)
