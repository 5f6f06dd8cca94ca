"""Metrics of a ranking, with the cut-off, the denominator and the tie rule declared.

Every function takes a similarity matrix S (n_queries, n_items), larger is closer, and a boolean
relevance matrix of the same shape (nDCG: a graded one). Items with equal similarity form a *tie
group*, and a metric is by default its expectation when the order inside each group is drawn at
random: no result depends on how a sort happens to break ties. ``ties="best"`` and ``"worst"`` put
the relevant items of each group first and last; these bound every metric but AP@k over hits,
which may rate fewer hits higher.

A query with no relevant item has no average precision, no recall and no rank: its value is NaN,
and means leave it out.

All metrics are computed from the tie groups. Similarities that are whole numbers of a narrow
range, as the number of equal bits of two hash codes, are not sorted for that, but counted.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from numbers import Integral
from typing import Any, Literal, NamedTuple, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.sparse import csr_array
from scipy.stats import hypergeom

Array = NDArray[Any]
Ties = Literal["expected", "best", "worst"]
Denominator = Literal["hits", "min(R,k)", "R"]
Gain = Literal["exponential", "linear"]

_MOST_LEVELS = 1024  # whole-numbered similarities of a narrower range are counted, not sorted
_ENTRIES_AT_ONCE = 1_000_000  # similarities ranked at once; bounds the memory of long query lists


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
        shared, classes = np.empty((len(Q), len(D)), bool), D.T.astype(np.float32)
        for start in range(0, len(Q), 64):
            shared[start : start + 64] = Q[start : start + 64].astype(np.float32) @ classes > 0
        return shared
    raise ValueError(
        f"labels of shapes {Q.shape} and {D.shape} cannot be compared: give both as (n,) class "
        "numbers or both as (n, c) multi-hot."
    )


def graded_relevance(labels: ArrayLike, item_labels: ArrayLike) -> NDArray[np.int64]:
    """Return how many classes each query and item have in common, (n_queries, n_items).

    Parameters and errors are those of :func:`label_relevance`; of class numbers the grades are
    0 and 1.
    """
    shared = label_relevance(labels, item_labels)  # refuses labels of two kinds
    Q, D = np.asarray(labels), np.asarray(item_labels)
    if Q.ndim == 1:
        return shared.astype(np.int64)
    common: NDArray[np.int64] = (Q.astype(np.float32) @ D.astype(np.float32).T).astype(np.int64)
    return common


def pair_relevance(n: int) -> NDArray[np.bool_]:
    """Return the (n, n) relevance under which only an item's own partner is right."""
    return np.eye(n, dtype=bool)


class _Groups(NamedTuple):
    """The tie groups of a batch of b rankings of n_items, by query and within it best first."""

    query: Array  # (g,) row of the batch
    N: Array  # (g,) items ranked before the group
    R: Array  # (g,) relevant items among those, or their gain
    n: Array  # (g,) items in the group
    r: Array  # (g,) relevant items among those, or their gain
    total: Array  # (b,) relevant items of each query, or their gain

    def where(self, mask: Array) -> _Groups:
        """Return some of the groups."""
        query, N, R, n, r = (column[mask] for column in self[:5])
        return _Groups(query, N, R, n, r, self.total)

    def at(self, rank: int) -> _Groups:
        """Return the group that the rank, from 1, falls into, one a query."""
        return self.where((rank > self.N) & (rank <= self.N + self.n))

    def first_hit(self) -> _Groups:
        """Return the group of the first relevant item, one a query that has any."""
        return self.where((self.R == 0) & (self.r > 0))


def _make_groups(query: Array, n: Array, r: Array, shape: tuple[int, int]) -> _Groups:
    """Add to groups in ranked order what is before each."""
    before = np.arange(shape[0]) * shape[1]
    total = _sum_by_query(query, r, shape[0])
    N = np.cumsum(n) - n - before[query]
    R = np.cumsum(r) - r - (np.cumsum(total) - total)[query]
    return _Groups(query, N, R, n, r, total)


def _groups(S: Array, relevance: Array, ties: Ties) -> _Groups:
    """Find the tie groups; a forced tie order divides each by relevance."""
    level = _levels(S) if relevance.dtype == bool else None
    if level is None:
        return _sorted_groups(S, relevance, ties)
    return _counted_groups(level, relevance, ties)


def _sorted_groups(S: Array, relevance: Array, ties: Ties) -> _Groups:
    S = S.astype(np.float64) if S.dtype.kind != "f" else S  # so that -S is safe if unsigned
    order = np.argsort(-S, axis=1, kind="stable")
    if ties != "expected":
        grade = relevance.astype(np.float64)
        order = np.argsort(grade if ties == "worst" else -grade, axis=1, kind="stable")
        by_similarity = np.argsort(-np.take_along_axis(S, order, 1), axis=1, kind="stable")
        order = np.take_along_axis(order, by_similarity, 1)
    s, rel = (np.take_along_axis(matrix, order, 1) for matrix in (S, relevance))
    new = np.ones(S.shape, bool)
    new[:, 1:] = s[:, 1:] != s[:, :-1]
    if ties != "expected":
        new[:, 1:] |= rel[:, 1:] != rel[:, :-1]
    start = np.flatnonzero(new)
    n = np.diff(start, append=S.size)
    r = np.add.reduceat(rel.ravel().astype(np.float64), start)
    return _make_groups(start // S.shape[1], n, r, S.shape)


def _levels(S: Array) -> Array | None:
    """Return max(S) - S in steps of 1, from 0; None if S has other steps, or too many."""
    S = S.view(np.uint8) if S.dtype == bool else S
    high = S.max()
    n_levels = high.item() - S.min().item() + 1  # exact for integers of any size
    if n_levels > _MOST_LEVELS:
        return None
    difference = high - S
    if S.dtype.kind == "i":  # a difference that has wrapped around is right as an unsigned number
        difference = difference.view(f"u{S.itemsize}")
    level = difference.astype(np.uint8 if n_levels <= 128 else np.uint16)
    exact = S.dtype.kind != "f" or np.array_equal(high - level.astype(S.dtype), S)
    return level if exact else None


def _counted_groups(level: Array, relevance: Array, ties: Ties) -> _Groups:
    b, n_items = level.shape
    n_levels = int(level.max()) + 1
    column = 2 * level + relevance  # a byte, up to 128 levels
    start = np.arange(b + 1, dtype=np.int32) * n_items
    # a sparse matrix adds up what has one place: the quickest way to count in many rows
    ones = np.ones(level.size, np.int32)
    entries = (ones, column.astype(np.int32).ravel(), start)
    counts = csr_array(entries, shape=(b, 2 * n_levels)).toarray().reshape(b, n_levels, 2)
    wrong, right = counts[..., 0], counts[..., 1]
    if ties == "expected":
        n, r = (wrong + right)[..., None], right[..., None]
    else:
        step = 1 if ties == "worst" else -1
        n = counts[..., ::step]
        r = np.stack([np.zeros_like(wrong), right][::step], axis=2)
    there = n > 0
    return _make_groups(np.nonzero(there)[0], n[there], r[there].astype(np.float64), level.shape)


def _group_precision(N: Array, R: Array, n: Array, r: Array, m: Array) -> Array:
    """Return the expected sum of precisions at the hits among the first m ranks of tie groups.

    A group of n items, r of them relevant, follows N items with R hits. Its rank i is a hit with
    probability r / n, and has then (i - 1)(r - 1) / (n - 1) hits of the group above it in
    expectation, so that the sum over i ≤ m is (r / n) [(R + 1) a + (r - 1) / (n - 1) b] with
    a = Σ 1 / (N + i), b = Σ (i - 1) / (N + i).
    """
    harmonic = np.concatenate([[0.0], np.cumsum(1 / np.arange(1, np.max(N + m, initial=0) + 1))])
    a = harmonic[N + m] - harmonic[N]
    b = m - (N + 1) * a
    return r / np.maximum(n, 1) * ((R + 1) * a + (r - 1) / np.maximum(n - 1, 1) * b)


def _average_precision(groups: _Groups, k: int, denominator: Denominator) -> Array:
    """Expected AP@k of each row of a batch; NaN where nothing is relevant."""
    total = groups.total
    query, N, R, n, r, _ = groups.where((groups.N + groups.n <= k) & (groups.r > 0))
    above = _sum_by_query(query, _group_precision(N, R, n, r, n), len(total))
    hits = _sum_by_query(query, r, len(total))

    # of a group that the cut divides, the first m ranks are above it; one a query at most
    query, N, R, n, r, _ = groups.where((k > groups.N) & (groups.N + groups.n > k))
    m = k - N
    if denominator != "hits":
        above[query] += _group_precision(N, R, n, r, m)
        return _divide(above, total if denominator == "R" else np.minimum(total, k), total)
    # this denominator is random too: `found` of the r relevant items are above the cut
    value = _divide(above, hits, total)
    if not len(query):
        return value
    expected = np.zeros(len(query))
    for found in range(int(np.minimum(m, r).max()) + 1):
        chance = hypergeom.pmf(found, n, r.astype(int), m)
        within = above[query] + _group_precision(N, R, m, np.full(len(m), float(found)), m)
        expected += chance * _divide(within, R + found, total[query])
    value[query] = expected
    return value


def _sum_by_query(query: Array, values: Array, n_queries: int) -> NDArray[np.float64]:
    return np.bincount(query, values, minlength=n_queries).astype(np.float64, copy=False)


def _divide(top: Array, bottom: Array | int, total: Array) -> Array:
    """Return top / bottom, 0 where bottom is 0, NaN where nothing is relevant."""
    ratio = np.divide(top, bottom, out=np.zeros(np.shape(top)), where=np.asarray(bottom) > 0)
    return np.where(total > 0, ratio, np.nan)


def _hits_at(groups: _Groups, k: int) -> Array:
    """Return the expected number of hits in the first k ranks, (b,)."""
    _, N, R, n, r, _ = groups.at(k)
    return R + r * (k - N) / n


def _hits(groups: _Groups) -> Array:
    """Return the expected number of hits up to each rank, (b, n_items)."""
    N, R, n, r = (np.repeat(column, groups.n) for column in groups[1:5])
    b = len(groups.total)
    rank = np.tile(np.arange(1, len(N) // b + 1), b)
    return (R + r * (rank - N) / n).reshape(b, -1)


def _by_batch(
    similarity: ArrayLike,
    relevance: ArrayLike,
    ties: Ties,
    metric: Callable[[_Groups], Array],
    *,
    graded: bool = False,
) -> Array:
    """Check the input, group a few million entries at a time, and stack what `metric` returns."""
    S, rel = np.asarray(similarity), np.asarray(relevance)
    if S.ndim != 2 or S.shape != rel.shape or 0 in S.shape:
        raise ValueError(
            f"similarity and relevance must be two non-empty matrices of one shape, "
            f"(n_queries, n_items), got {S.shape} and {rel.shape}."
        )
    if S.dtype.kind not in "biuf":
        raise TypeError(f"similarity must hold real numbers, got dtype {S.dtype}.")
    if graded and rel.dtype.kind not in "biuf":
        raise TypeError(f"relevance must hold real numbers, got dtype {rel.dtype}.")
    if not graded and rel.dtype != bool:
        raise TypeError(f"relevance must be boolean, got dtype {rel.dtype}.")
    if S.dtype.kind == "f" and not np.isfinite(S).all():
        raise ValueError("similarity holds NaN or infinity; such items cannot be ranked.")
    if graded and not (np.isfinite(rel).all() and (rel >= 0).all()):
        raise ValueError("relevance must be finite and not negative.")
    if ties not in get_args(Ties):
        raise ValueError(f"ties must be one of {get_args(Ties)}, got {ties!r}.")
    step = max(1, _ENTRIES_AT_ONCE // S.shape[1])
    batches = (slice(i, i + step) for i in range(0, len(S), step))
    return np.concatenate([metric(_groups(S[b], rel[b], ties)) for b in batches])


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
        similarity, relevance, ties, lambda groups: _average_precision(groups, cut, denominator)
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
    return _by_batch(similarity, relevance, ties, lambda g: _hits_at(g, cut) / cut)


def recall_at_k(
    similarity: ArrayLike, relevance: ArrayLike, k: int, *, ties: Ties = "expected"
) -> NDArray[np.float64]:
    """Return the fraction of the relevant items that is in the top k, per query, (n_queries,).

    Under :func:`pair_relevance` its mean is the R@k of image-text retrieval: how often the
    partner is among the first k. NaN for a query with no relevant item.
    """
    cut = _cut(k, similarity)
    return _by_batch(
        similarity, relevance, ties, lambda g: _divide(_hits_at(g, cut), g.total, g.total)
    )


def f1_at_k(
    similarity: ArrayLike, relevance: ArrayLike, k: int, *, ties: Ties = "expected"
) -> NDArray[np.float64]:
    """Return the F1 score of the top k of each query, (n_queries,).

    F1@k = 2 P@k R@k / (P@k + R@k) = 2 hits / (k + R), the harmonic mean of precision and recall;
    0 where both are 0, NaN for a query with no relevant item. With fewer than k items in all, k
    is their number.
    """
    cut = _cut(k, similarity)
    return _by_batch(
        similarity,
        relevance,
        ties,
        lambda g: _divide(2 * _hits_at(g, cut), cut + g.total, g.total),
    )


def first_relevant_rank(
    similarity: ArrayLike, relevance: ArrayLike, *, ties: Ties = "expected"
) -> NDArray[np.float64]:
    """Return the rank of the first relevant item of each query, from 1, (n_queries,).

    In expectation a fraction, where items tie: the first of r relevant items is at place
    (n + 1) / (r + 1) of a group of n. NaN for a query with no relevant item.
    """

    def rank(groups: _Groups) -> Array:
        query, N, _, n, r, total = groups.first_hit()
        found = np.full(len(total), np.nan)
        found[query] = N + (n + 1) / (r + 1)
        return found

    return _by_batch(similarity, relevance, ties, rank)


def median_rank(similarity: ArrayLike, relevance: ArrayLike, *, ties: Ties = "expected") -> float:
    """Return the median over queries of :func:`first_relevant_rank`, MedR; smaller is better.

    Raises
    ------
    ValueError
        Also if no query has a relevant item.
    """
    rank = first_relevant_rank(similarity, relevance, ties=ties)
    _mean(rank)  # refuses a list without a single rank
    return float(np.nanmedian(rank))


def reciprocal_rank(
    similarity: ArrayLike, relevance: ArrayLike, *, ties: Ties = "expected"
) -> NDArray[np.float64]:
    """Return 1 / (rank of the first relevant item) of each query, (n_queries,).

    Where items tie, the expectation of this fraction, which is more than one over the expected
    rank. NaN for a query with no relevant item.
    """

    def reciprocal(groups: _Groups) -> Array:
        query, N, _, n, r, total = groups.first_hit()
        value, chance = np.zeros(len(query)), r / n  # of a first hit at place i of the group
        for i in range(1, int(np.max(n - r, initial=0)) + 2):
            value += chance / (N + i)
            chance = chance * np.maximum(n - r - i + 1, 0) / np.maximum(n - i, 1)
        found = np.full(len(total), np.nan)
        found[query] = value
        return found

    return _by_batch(similarity, relevance, ties, reciprocal)


def mean_reciprocal_rank(
    similarity: ArrayLike, relevance: ArrayLike, *, ties: Ties = "expected"
) -> float:
    """Return the mean over queries of :func:`reciprocal_rank`, MRR.

    Raises
    ------
    ValueError
        Also if no query has a relevant item.
    """
    return _mean(reciprocal_rank(similarity, relevance, ties=ties))


def ndcg_at_k(
    similarity: ArrayLike,
    relevance: ArrayLike,
    k: int | None = None,
    *,
    gain: Gain = "exponential",
    ties: Ties = "expected",
) -> NDArray[np.float64]:
    """Return the normalised discounted cumulative gain of each query, (n_queries,).

    nDCG@k = DCG@k / (DCG@k of the best possible order), DCG@k = Σ_{i ≤ k} g_i / log2(i + 1), where
    g_i is the gain of the item at rank i.

    Parameters
    ----------
    similarity : array-like of shape (n_queries, n_items)
    relevance : array-like, same shape
        Grades, 0 for an irrelevant item; booleans are grades 0 and 1. See
        :func:`graded_relevance`.
    k : int, optional
        Cut-off; None ranks everything.
    gain : {"exponential", "linear"}
        The gain of grade l: 2^l - 1, as in the hashing literature, or l, as in scikit-learn's
        ``ndcg_score``. On grades 0 and 1 they are one.
    ties : {"expected", "best", "worst"}
        See the module's head. In expectation each item of a tie group has the mean gain of the
        group.

    Raises
    ------
    TypeError, ValueError
        If shapes differ, values are not finite, grades are negative, or an option is unknown.
    """
    if gain not in get_args(Gain):
        raise ValueError(f"gain must be one of {get_args(Gain)}, got {gain!r}.")
    cut = _cut(k, similarity)
    grades = np.asarray(relevance)
    if gain == "exponential" and grades.dtype.kind in "iuf":
        grades = np.exp2(grades.astype(np.float64)) - 1
    discount = 1 / np.log2(np.arange(2, np.shape(similarity)[-1] + 2)) if cut else np.zeros(0)
    discount[cut:] = 0
    cumulated = np.concatenate([[0.0], np.cumsum(discount)])

    def dcg(groups: _Groups) -> Array:
        query, N, _, n, r, total = groups
        return _sum_by_query(query, r / n * (cumulated[N + n] - cumulated[N]), len(total))

    got = _by_batch(similarity, grades, ties, dcg, graded=True)
    ideal = _by_batch(grades, grades, ties, dcg, graded=True)
    return _divide(got, ideal, ideal)


def precision_recall(
    similarity: ArrayLike, relevance: ArrayLike, *, ties: Ties = "expected"
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return mean precision and mean recall after 1, 2, ..., n_items ranks, each (n_items,).

    Queries with no relevant item are left out.
    """

    def curves(groups: _Groups) -> Array:
        hits, total = _hits(groups), groups.total[:, None]
        precision = hits / np.arange(1, hits.shape[1] + 1)
        return np.stack([_divide(precision, 1, total), _divide(hits, total, total)], axis=1)

    both = _by_batch(similarity, relevance, ties, curves)  # (n_queries, 2, n_items)
    if np.isnan(both).all():
        raise ValueError("no query has a relevant item, so there is nothing to average.")
    precision, recall = np.nanmean(both, axis=0)
    return precision, recall


def top_n_precision(
    similarity: ArrayLike, relevance: ArrayLike, cuts: Sequence[int], *, ties: Ties = "expected"
) -> NDArray[np.float64]:
    """Return the mean over queries of P@N at several cut-offs N, (n_cuts,).

    The topN-precision curve of the hashing literature, at the points asked for. Queries with no
    relevant item are left out.

    Raises
    ------
    ValueError
        Also if no query has a relevant item.
    """
    at = [_cut(k, similarity) for k in cuts]

    def curve(groups: _Groups) -> Array:
        precision = np.stack([_hits_at(groups, k) / k for k in at], axis=1)
        return _divide(precision, 1, groups.total[:, None])

    per_query = _by_batch(similarity, relevance, ties, curve)
    _mean(per_query)  # refuses queries that all lack a relevant item
    return np.nanmean(per_query, axis=0)


def random_average_precision(relevance: ArrayLike) -> NDArray[np.float64]:
    """Return the expected AP of each query when the items are ranked at random, (n_queries,).

    This is the tie-aware AP of a similarity that is the same for all.
    """
    rel = np.asarray(relevance)
    return average_precision(np.zeros(rel.shape, np.float32), rel)
