"""Metrics of a ranking against enumeration of all tie orders, hand values and scikit-learn."""

from itertools import permutations, product

import numpy as np
import pytest
from sklearn.metrics import average_precision_score

from cmrlib.evaluation import (
    average_precision,
    label_relevance,
    mean_average_precision,
    pair_relevance,
    precision_at_k,
    precision_recall,
    random_average_precision,
    ranking,
    recall_at_k,
)

DENOMINATORS = ("hits", "min(R,k)", "R")
CHOOSE = {"expected": np.mean, "best": np.max, "worst": np.min}

# Every tie structure that matters: none, all, at the top, at the cut, at the end, two groups.
SCORES = [
    [6, 5, 4, 3, 2, 1],
    [1, 1, 1, 1, 1, 1],
    [3, 3, 2, 1, 1, 1],
    [1, 2, 2, 2, 2, 3],
    [2, 1, 2, 1, 2, 1],
    [3, 3, 3, 2, 2, 2],
]
RELEVANT = [[1, 0, 1, 0, 0, 1], [0, 1, 0, 0, 0, 0], [1, 1, 1, 1, 1, 1], [0, 0, 1, 1, 0, 1]]
S = np.array([s for s in SCORES for _ in RELEVANT], dtype=float)
REL = np.array(RELEVANT * len(SCORES), dtype=bool)


def tie_orders(scores, relevant):
    """Yield the 0/1 list of every ranking that the similarities allow."""
    groups = [np.flatnonzero(scores == value) for value in np.unique(scores)[::-1]]
    for parts in product(*(permutations(group) for group in groups)):
        yield relevant[np.concatenate(parts)].astype(int)


def plain_ap(ranked, k, denominator):
    """AP@k of a 0/1 list, in a loop."""
    hits, total = 0, 0.0
    for i, hit in enumerate(ranked[:k], start=1):
        hits += hit
        total += hit * hits / i
    R = sum(ranked)
    bottom = {"hits": hits, "min(R,k)": min(R, k), "R": R}[denominator]
    return total / bottom if bottom else 0.0


ORDERS = [list(tie_orders(s, r)) for s, r in zip(S, REL, strict=True)]


def enumerate_orders(metric, ties="expected"):
    """Apply `metric` to all orders of each query, and take their mean, best or worst."""
    return np.array([CHOOSE[ties]([metric(order) for order in orders]) for orders in ORDERS])


@pytest.mark.parametrize("ties", CHOOSE)
@pytest.mark.parametrize("denominator", DENOMINATORS)
@pytest.mark.parametrize("k", [1, 2, 3, 4, 5, 6])
def test_average_precision_equals_enumeration_over_tie_orders(k, denominator, ties):
    found = average_precision(S, REL, k, denominator=denominator, ties=ties)
    if denominator == "hits" and ties != "expected":
        # "best" is the order with the relevant items first, which a /hits denominator may not
        # reward: it is a named order, not the extreme over orders.
        pick = max if ties == "best" else min
        truth = [plain_ap(pick(orders, key=tuple), k, denominator) for orders in ORDERS]
    else:
        truth = enumerate_orders(lambda order: plain_ap(order, k, denominator), ties)
    np.testing.assert_allclose(found, truth, rtol=0, atol=1e-14)


@pytest.mark.parametrize("ties", CHOOSE)
@pytest.mark.parametrize("k", [1, 2, 3, 4, 5, 6])
def test_precision_and_recall_at_k_equal_enumeration(k, ties):
    precision = enumerate_orders(lambda order: order[:k].mean(), ties)
    recall = enumerate_orders(lambda order: order[:k].sum() / order.sum(), ties)
    np.testing.assert_allclose(precision_at_k(S, REL, k, ties=ties), precision, atol=1e-14)
    np.testing.assert_allclose(recall_at_k(S, REL, k, ties=ties), recall, atol=1e-14)


@pytest.mark.parametrize("ties", CHOOSE)
def test_precision_recall_curve_equals_enumeration(ties):
    precision, recall = precision_recall(S, REL, ties=ties)
    for k in range(1, S.shape[1] + 1):
        at_k = enumerate_orders(lambda order, k=k: order[:k].mean(), ties).mean()
        found = enumerate_orders(lambda order, k=k: order[:k].sum() / order.sum(), ties).mean()
        assert precision[k - 1] == pytest.approx(at_k, abs=1e-14)
        assert recall[k - 1] == pytest.approx(found, abs=1e-14)


def test_hand_values():
    """Ranked 1 0 1 0 0 1: precisions 1, 2/3, 3/6 at the hits, so AP = (1 + 2/3 + 1/2) / 3."""
    s, r = [[6, 5, 4, 3, 2, 1]], [[True, False, True, False, False, True]]
    assert average_precision(s, r) == pytest.approx([13 / 18])
    assert average_precision(s, r, 2, denominator="hits") == pytest.approx([1])
    assert average_precision(s, r, 2, denominator="min(R,k)") == pytest.approx([1 / 2])
    assert average_precision(s, r, 2, denominator="R") == pytest.approx([1 / 3])
    assert precision_at_k(s, r, 4) == pytest.approx([1 / 2])
    assert recall_at_k(s, r, 4) == pytest.approx([2 / 3])
    precision, recall = precision_recall(s, r)
    np.testing.assert_allclose(precision, [1, 1 / 2, 2 / 3, 1 / 2, 2 / 5, 1 / 2])
    np.testing.assert_allclose(recall, [1 / 3, 1 / 3, 2 / 3, 2 / 3, 2 / 3, 1])


def test_order_of_the_items_does_not_matter():
    """Moving the columns changes neither similarity nor relevance of an item, so no metric."""
    moved = np.random.default_rng(0).permutation(S.shape[1])
    for metric in (average_precision, random_average_precision):
        arrays = (S, REL) if metric is average_precision else (REL,)
        np.testing.assert_allclose(metric(*arrays), metric(*(a[:, moved] for a in arrays)))
    for k in (1, 3, 4):
        np.testing.assert_allclose(
            average_precision(S, REL, k), average_precision(S[:, moved], REL[:, moved], k)
        )


def test_whole_ranking_makes_the_denominators_one():
    values = [average_precision(S, REL, denominator=d) for d in DENOMINATORS]
    np.testing.assert_allclose(values[0], values[1], rtol=1e-15)
    np.testing.assert_allclose(values[0], values[2], rtol=1e-15)


def test_agrees_with_scikit_learn_without_ties():
    rng = np.random.default_rng(0)
    s, r = rng.normal(size=(20, 57)), rng.random((20, 57)) < 0.2
    r[:, 0] = True
    truth = [average_precision_score(b, a) for a, b in zip(s, r, strict=True)]
    np.testing.assert_allclose(average_precision(s, r), truth, rtol=1e-12)
    assert mean_average_precision(s, r) == pytest.approx(np.mean(truth), rel=1e-12)


@pytest.mark.parametrize("ties", CHOOSE)
@pytest.mark.parametrize("entries", [1, 6, 7, 13, 61])
def test_batches_do_not_change_the_result(monkeypatch, entries, ties):
    s, r = S, REL.copy()
    r[3] = False
    whole = all_metrics(s, r, ties)
    monkeypatch.setattr(ranking, "_ENTRIES_AT_ONCE", entries)
    for one, batched in zip(whole, all_metrics(s, r, ties), strict=True):
        np.testing.assert_array_equal(one, batched)


def all_metrics(s, r, ties="expected"):
    return [
        *(average_precision(s, r, k, ties=ties) for k in (None, 1, 3, 4)),
        precision_at_k(s, r, 4, ties=ties),
        recall_at_k(s, r, 4, ties=ties),
        *precision_recall(s, r, ties=ties),
    ]


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.int8, np.int64, np.uint8, np.uint64])
def test_any_real_dtype_ranks_alike(dtype):
    """Unsigned similarities included: -S of uint8 would put the zeros on top."""
    s = S - 1  # a 0 among them
    for double, other in zip(all_metrics(s, REL), all_metrics(s.astype(dtype), REL), strict=True):
        np.testing.assert_array_equal(double, other)


def test_boolean_similarity_is_two_tie_groups():
    s = S > 2
    np.testing.assert_array_equal(average_precision(s, REL), average_precision(s.astype(int), REL))


def test_lists_are_taken():
    np.testing.assert_array_equal(
        average_precision(S.tolist(), REL.tolist(), 3), average_precision(S, REL, 3)
    )


def test_cut_beyond_the_end_is_the_end():
    for denominator in DENOMINATORS:
        np.testing.assert_array_equal(
            average_precision(S, REL, 100, denominator=denominator),
            average_precision(S, REL, 6, denominator=denominator),
        )
    np.testing.assert_array_equal(precision_at_k(S, REL, 100), REL.mean(axis=1))
    np.testing.assert_array_equal(recall_at_k(S, REL, 100), np.ones(len(S)))


def test_query_without_relevant_item_is_nan_and_left_out_of_means():
    s = np.array([[3, 2, 1], [3, 2, 1], [1, 1, 1]])
    r = np.array([[0, 1, 0], [0, 0, 0], [0, 0, 0]], dtype=bool)
    for k, denominator in product((None, 1, 2), DENOMINATORS):
        ap = average_precision(s, r, k, denominator=denominator)
        assert np.isnan(ap).tolist() == [False, True, True]
    assert np.isnan(recall_at_k(s, r, 2)).tolist() == [False, True, True]
    assert precision_at_k(s, r, 2).tolist() == [0.5, 0, 0]  # a fraction of the shown, so defined
    assert mean_average_precision(s, r) == 0.5
    precision, recall = precision_recall(s, r)
    np.testing.assert_allclose(precision, [0, 1 / 2, 1 / 3])
    np.testing.assert_allclose(recall, [0, 1, 1])


def test_no_relevant_item_at_all_is_an_error():
    nothing = np.zeros(S.shape, bool)
    with pytest.raises(ValueError, match="no query has a relevant item"):
        mean_average_precision(S, nothing)
    with pytest.raises(ValueError, match="no query has a relevant item"):
        precision_recall(S, nothing)


METRICS = {
    "average_precision": average_precision,
    "mean_average_precision": mean_average_precision,
    "precision_at_k": lambda s, r, **kw: precision_at_k(s, r, 2, **kw),
    "recall_at_k": lambda s, r, **kw: recall_at_k(s, r, 2, **kw),
    "precision_recall": precision_recall,
}
OK = np.array([[0.3, 0.2, 0.1]])
YES = np.array([[True, False, True]])
BAD = {
    "shapes differ": ((OK, YES[:, :2]), {}, ValueError, r"one shape.*\(1, 3\) and \(1, 2\)"),
    "1-d": ((OK[0], YES[0]), {}, ValueError, "two non-empty matrices"),
    "3-d": ((OK[None], YES[None]), {}, ValueError, "two non-empty matrices"),
    "scalar": ((1.0, True), {}, ValueError, "two non-empty matrices"),
    "no items": ((OK[:, :0], YES[:, :0]), {}, ValueError, "two non-empty matrices"),
    "no queries": ((OK[:0], YES[:0]), {}, ValueError, "two non-empty matrices"),
    "NaN": (([[0.1, np.nan, 0.2]], YES), {}, ValueError, "NaN or infinity"),
    "infinity": (([[0.1, np.inf, 0.2]], YES), {}, ValueError, "NaN or infinity"),
    "complex": ((OK + 1j, YES), {}, TypeError, "real numbers, got dtype complex128"),
    "words": (([["a", "b", "c"]], YES), {}, TypeError, "real numbers"),
    "0/1 relevance": ((OK, YES.astype(int)), {}, TypeError, "must be boolean, got dtype int64"),
    "tie rule": ((OK, YES), {"ties": "mean"}, ValueError, "ties must be one of.*got 'mean'"),
}


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_refused(metric, case):
    arrays, options, error, sentence = BAD[case]
    with pytest.raises(error, match=sentence):
        METRICS[metric](*arrays, **options)


@pytest.mark.parametrize("k", [0, -1, 2.5, 2.0, "3"])
@pytest.mark.parametrize(
    "metric", [average_precision, mean_average_precision, precision_at_k, recall_at_k]
)
def test_bad_cut_is_refused(metric, k):
    with pytest.raises(ValueError, match="k must be a whole number of at least 1"):
        metric(OK, YES, k)


@pytest.mark.parametrize("metric", [average_precision, mean_average_precision])
def test_unknown_denominator_is_refused(metric):
    with pytest.raises(ValueError, match="denominator must be one of.*'k'"):
        metric(OK, YES, 2, denominator="k")


def test_label_relevance_of_class_numbers():
    np.testing.assert_array_equal(
        label_relevance([0, 1], [1, 0, 1]), [[False, True, False], [True, False, True]]
    )


def test_label_relevance_of_multi_hot_needs_one_class_in_common():
    queries, items = [[1, 1, 0], [0, 0, 0]], [[0, 1, 1], [0, 0, 1], [1, 1, 0]]
    found = label_relevance(queries, items)
    assert found.dtype == bool
    np.testing.assert_array_equal(found, [[True, False, True], [False, False, False]])


def test_label_relevance_of_bytes_does_not_overflow():
    """256 classes in common are 0 in uint8."""
    many = np.ones((1, 256), np.uint8)
    assert label_relevance(many, many).all()


@pytest.mark.parametrize(
    ("queries", "items"), [([0, 1], [[1, 0]]), ([[1, 0]], [[1, 0, 0]]), (1, 2)]
)
def test_labels_of_two_kinds_are_refused(queries, items):
    with pytest.raises(ValueError, match="cannot be compared"):
        label_relevance(queries, items)


def test_pair_relevance_makes_average_precision_the_reciprocal_rank():
    np.testing.assert_array_equal(pair_relevance(3), np.eye(3, dtype=bool))
    rng = np.random.default_rng(0)
    s = rng.normal(size=(9, 9))
    rank = (s > np.diag(s)[:, None]).sum(axis=1) + 1
    np.testing.assert_allclose(average_precision(s, pair_relevance(9)), 1 / rank)


def test_random_baseline_equals_enumeration():
    """All orders of 7 items, one query for each number R of relevant ones."""
    relevance = np.arange(7) < np.arange(1, 8)[:, None]
    for R, found in enumerate(random_average_precision(relevance), start=1):
        every = [plain_ap(order, 7, "R") for order in set(permutations([1] * R + [0] * (7 - R)))]
        assert found == pytest.approx(np.mean(every), abs=1e-14)


def test_random_baseline_equals_the_sum_of_its_derivation():
    """E[AP] = (1/n) Σ (1 + (i - 1)(R - 1) / (n - 1)) / i, at a size beyond enumeration."""
    n, i = 475, np.arange(1, 476)
    for R in (1, 21, 96, 475):
        truth = np.mean((1 + (i - 1) * (R - 1) / (n - 1)) / i)
        assert random_average_precision([[True] * R + [False] * (n - R)])[0] == pytest.approx(
            truth, rel=1e-12
        )


def test_random_baseline_equals_monte_carlo():
    rng = np.random.default_rng(0)
    relevance = np.arange(40) < 9
    drawn = average_precision(rng.random((4000, 40)), np.tile(relevance, (4000, 1)))
    error = drawn.std() / np.sqrt(len(drawn))
    assert abs(drawn.mean() - random_average_precision(relevance[None])[0]) < 4 * error
    assert error < 0.003  # else the line above says nothing


def test_random_baseline_of_a_long_ranking_is_quick_and_near_the_base_rate():
    """A whole ranking needs no sum over the hits above a cut, however many items tie."""
    relevance = np.arange(200_000) < 60_000
    assert random_average_precision(relevance[None])[0] == pytest.approx(0.3, abs=1e-4)


@pytest.mark.parametrize("ties", CHOOSE)
def test_moving_a_relevant_item_up_never_lowers_average_precision(ties):
    rng = np.random.default_rng(0)
    s = rng.integers(0, 6, size=(300, 12)).astype(float)
    r = rng.random((300, 12)) < 0.4
    r[:, 3] = True
    up = s.copy()
    up[:, 3] += rng.integers(1, 4, size=300)
    for k, denominator in [(None, "hits"), *product((2, 5, 9), ("min(R,k)", "R"))]:
        before = average_precision(s, r, k, denominator=denominator, ties=ties)
        after = average_precision(up, r, k, denominator=denominator, ties=ties)
        assert (after >= before - 1e-12).all()
        assert (after > before + 1e-3).any()


def test_dividing_by_hits_is_not_monotone():
    """1 0 0 | 1 scores AP@3 = 1; with its fourth item moved up to third place, 5/6."""
    r = [[True, False, False, True]]
    assert average_precision([[4, 3, 2, 1]], r, 3) == pytest.approx([1])
    assert average_precision([[4, 3, 1, 2]], r, 3) == pytest.approx([5 / 6])
