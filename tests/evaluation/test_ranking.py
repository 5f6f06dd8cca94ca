"""Metrics of a ranking against enumeration of all tie orders, hand values and scikit-learn."""

from itertools import permutations, product

import numpy as np
import pytest
from sklearn.metrics import (
    average_precision_score,
    f1_score,
    label_ranking_average_precision_score,
    ndcg_score,
)

from cmrlib.evaluation import (
    average_precision,
    f1_at_k,
    first_relevant_rank,
    graded_relevance,
    label_relevance,
    mean_average_precision,
    mean_reciprocal_rank,
    median_rank,
    ndcg_at_k,
    pair_relevance,
    precision_at_k,
    precision_recall,
    random_average_precision,
    ranking,
    recall_at_k,
    reciprocal_rank,
    top_n_precision,
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


@pytest.mark.parametrize("ties", CHOOSE)
@pytest.mark.parametrize("k", [1, 2, 3, 4, 5, 6])
def test_f1_equals_enumeration_of_harmonic_means(k, ties):
    def f1(order):
        precision, recall = order[:k].mean(), order[:k].sum() / order.sum()
        return 2 * precision * recall / (precision + recall) if precision else 0.0

    np.testing.assert_allclose(
        f1_at_k(S, REL, k, ties=ties), enumerate_orders(f1, ties), atol=1e-14
    )


def first(order):
    return np.argmax(order) + 1


@pytest.mark.parametrize("ties", CHOOSE)
def test_first_relevant_rank_and_its_reciprocal_equal_enumeration(ties):
    best_first = {"expected": "expected", "best": "worst", "worst": "best"}[ties]  # small is good
    rank = enumerate_orders(first, best_first)
    np.testing.assert_allclose(first_relevant_rank(S, REL, ties=ties), rank, atol=1e-14)
    reciprocal = enumerate_orders(lambda order: 1 / first(order), ties)
    np.testing.assert_allclose(reciprocal_rank(S, REL, ties=ties), reciprocal, atol=1e-14)
    assert median_rank(S, REL, ties=ties) == pytest.approx(np.median(rank), abs=1e-14)
    assert mean_reciprocal_rank(S, REL, ties=ties) == pytest.approx(reciprocal.mean(), abs=1e-14)


@pytest.mark.parametrize("ties", CHOOSE)
def test_top_n_precision_equals_enumeration(ties):
    truth = [enumerate_orders(lambda o, k=k: o[:k].mean(), ties).mean() for k in (1, 4, 6)]
    np.testing.assert_allclose(
        top_n_precision(S, REL, [1, 4, 6, 9], ties=ties), [*truth, truth[-1]]
    )


GRADES = np.array([[2, 0, 1, 0, 0, 3], [0, 1, 0, 0, 0, 0], [1, 1, 1, 1, 1, 1], [0, 0, 4, 1, 0, 2]])
GRADED = np.tile(GRADES, (len(SCORES), 1))
GAINS = {"linear": lambda grade: grade, "exponential": lambda grade: 2.0**grade - 1}


@pytest.mark.parametrize("ties", CHOOSE)
@pytest.mark.parametrize("gain", GAINS)
@pytest.mark.parametrize("k", [1, 3, 6, None])
def test_ndcg_equals_enumeration(k, gain, ties):
    def dcg(grades):
        return sum(GAINS[gain](g) / np.log2(i + 1) for i, g in enumerate(grades[:k], start=1))

    truth = []
    for s, grades in zip(S, GRADED, strict=True):
        ideal = dcg(sorted(grades, reverse=True))
        every = [dcg(order) / ideal for order in tie_orders(s, grades)]
        truth.append(CHOOSE[ties](every))
    found = ndcg_at_k(S, GRADED, k, gain=gain, ties=ties)
    np.testing.assert_allclose(found, truth, rtol=0, atol=1e-14)


@pytest.mark.parametrize("k", [1, 5, 20, None])
def test_ndcg_agrees_with_scikit_learn_with_ties(k):
    """Whose gains are linear, and who averages gains over ties as well."""
    rng = np.random.default_rng(0)
    s, grades = rng.integers(0, 6, size=(30, 25)), rng.integers(0, 4, size=(30, 25))
    assert ndcg_at_k(s, grades, k, gain="linear").mean() == pytest.approx(
        ndcg_score(grades, s, k=k), rel=1e-12
    )
    assert ndcg_at_k(s, grades, k).mean() == pytest.approx(
        ndcg_score(2.0**grades - 1, s, k=k), rel=1e-12
    )


def test_ndcg_by_hand():
    """Grades 1 0 2: gains 1, 0, 3; DCG = 1 + 3/2, ideal 3 + 1/log2(3)."""
    found = ndcg_at_k([[3, 2, 1]], [[1, 0, 2]])
    np.testing.assert_allclose(found, [2.5 / (3 + 1 / np.log2(3))])
    linear = ndcg_at_k([[3, 2, 1]], [[1, 0, 2]], gain="linear")
    np.testing.assert_allclose(linear, [2 / (2 + 1 / np.log2(3))])


def test_gain_does_not_matter_for_two_grades():
    both = [ndcg_at_k(S, r, 4, gain=g) for r in (REL, REL.astype(int)) for g in GAINS]
    for other in both[1:]:
        np.testing.assert_array_equal(both[0], other)


def test_f1_and_reciprocal_rank_agree_with_scikit_learn():
    rng = np.random.default_rng(0)
    s, r = rng.normal(size=(20, 30)), rng.random((20, 30)) < 0.2
    r[:, 0] = True
    shown = np.argsort(np.argsort(-s)) < 7
    truth = [f1_score(a, b) for a, b in zip(r, shown, strict=True)]
    np.testing.assert_allclose(f1_at_k(s, r, 7), truth, rtol=1e-12)
    pairs = pair_relevance(20)
    truth = label_ranking_average_precision_score(pairs, s[:, :20])
    assert mean_reciprocal_rank(s[:, :20], pairs) == pytest.approx(truth, rel=1e-12)


def test_expected_reciprocal_is_more_than_the_reciprocal_of_the_expected_rank():
    everything_tied = np.zeros((1, 100))
    one = np.arange(100)[None] == 3
    assert first_relevant_rank(everything_tied, one)[0] == pytest.approx(50.5)
    harmonic = (1 / np.arange(1, 101)).mean()
    assert reciprocal_rank(everything_tied, one)[0] == pytest.approx(harmonic, rel=1e-12)


def test_median_rank_is_a_median_and_not_a_mean():
    s = [[4, 3, 2, 1]] * 3
    r = np.eye(4, dtype=bool)[[0, 1, 3]]  # ranks 1, 2, 4
    assert median_rank(s, r) == 2


COUNTED = {
    "bits": (0, 65, np.uint8),
    "signed bytes, all of them": (-128, 128, np.int8),
    "whole floats": (-32, 33, np.float32),
    "whole doubles": (0, 600, np.float64),
    "far from zero": (2**31 - 300, 2**31 - 1, np.int32),
    "huge unsigned": (2**63, 2**63 + 200, np.uint64),
    "steps of one from a half": (0, 40, "half"),
    "one bit": (0, 2, bool),
}


@pytest.mark.parametrize("ties", CHOOSE)
@pytest.mark.parametrize("case", COUNTED)
def test_counting_equals_sorting_exactly(monkeypatch, case, ties):
    """Bit for bit, so that a metric does not depend on the type of its similarities."""
    low, high, dtype = COUNTED[case]
    rng = np.random.default_rng(0)
    s = rng.integers(0, high - low, size=(30, 200))
    s[0, :2] = 0, high - low - 1  # the extremes are there
    s = s / 1.0 + 0.5 if dtype == "half" else (s.astype(np.uint64) + np.uint64(low % 2**64))
    s = s.astype(np.int64).astype(dtype) if dtype not in ("half", np.uint64) else s
    r = rng.random(s.shape) < 0.3
    r[1] = False
    assert ranking._levels(s).max() == high - low - 1
    counted = all_metrics(s, r, ties)
    monkeypatch.setattr(ranking, "_levels", lambda S: None)
    by_rank = s.astype(np.float64) if dtype is not np.uint64 else s - np.uint64(low)
    for one, other in zip(counted, all_metrics(by_rank, r, ties), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize(
    "s",
    [
        [[0.0, 1e-20, 1.0]],  # 1 - 1e-20 is 1
        [[0.0, 0.25, 1.0]],
        [[0.0, 1.0, 5000.0]],
        [[0, 2**62, -(2**62)]],
        np.array([[1, 0, 2**63]], np.uint64),
        np.array([[1e308, -1e308, 0]]),
    ],
)
def test_what_cannot_be_counted_is_sorted(s):
    assert ranking._levels(np.asarray(s)) is None
    r = np.array([[True, False, False]])
    rank = (np.asarray(s, dtype=object)[0] > np.asarray(s, dtype=object)[0, 0]).sum() + 1
    assert average_precision(s, r) == pytest.approx([1 / rank])


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
        *(average_precision(s, r, k, denominator="R", ties=ties) for k in (1, 3, 4)),
        f1_at_k(s, r, 3, ties=ties),
        first_relevant_rank(s, r, ties=ties),
        reciprocal_rank(s, r, ties=ties),
        ndcg_at_k(s, r, 4, ties=ties),
        top_n_precision(s, r, [1, 3], ties=ties),
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
    for metric in (recall_at_k, f1_at_k, ndcg_at_k):
        assert np.isnan(metric(s, r, 2)).tolist() == [False, True, True]
    for metric in (first_relevant_rank, reciprocal_rank):
        assert np.isnan(metric(s, r)).tolist() == [False, True, True]
    assert (median_rank(s, r), mean_reciprocal_rank(s, r)) == (2, 0.5)
    np.testing.assert_allclose(top_n_precision(s, r, [1, 2]), [0, 1 / 2])
    assert precision_at_k(s, r, 2).tolist() == [0.5, 0, 0]  # a fraction of the shown, so defined
    assert mean_average_precision(s, r) == 0.5
    precision, recall = precision_recall(s, r)
    np.testing.assert_allclose(precision, [0, 1 / 2, 1 / 3])
    np.testing.assert_allclose(recall, [0, 1, 1])


def test_no_relevant_item_at_all_is_an_error():
    nothing = np.zeros(S.shape, bool)
    means = (mean_average_precision, precision_recall, median_rank, mean_reciprocal_rank)
    for mean in (*means, lambda s, r: top_n_precision(s, r, [1])):
        with pytest.raises(ValueError, match="no query has a relevant item"):
            mean(S, nothing)


METRICS = {
    "average_precision": average_precision,
    "mean_average_precision": mean_average_precision,
    "precision_at_k": lambda s, r, **kw: precision_at_k(s, r, 2, **kw),
    "recall_at_k": lambda s, r, **kw: recall_at_k(s, r, 2, **kw),
    "f1_at_k": lambda s, r, **kw: f1_at_k(s, r, 2, **kw),
    "first_relevant_rank": first_relevant_rank,
    "reciprocal_rank": reciprocal_rank,
    "top_n_precision": lambda s, r, **kw: top_n_precision(s, r, [1, 2], **kw),
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
    "metric",
    [
        average_precision,
        mean_average_precision,
        precision_at_k,
        recall_at_k,
        f1_at_k,
        ndcg_at_k,
        lambda s, r, k: top_n_precision(s, r, [1, k]),
    ],
)
def test_bad_cut_is_refused(metric, k):
    with pytest.raises(ValueError, match="k must be a whole number of at least 1"):
        metric(OK, YES, k)


@pytest.mark.parametrize("metric", [average_precision, mean_average_precision])
def test_unknown_denominator_is_refused(metric):
    with pytest.raises(ValueError, match="denominator must be one of.*'k'"):
        metric(OK, YES, 2, denominator="k")


BAD_GRADES = {
    "negative": ([[1, -1, 0]], {}, ValueError, "finite and not negative"),
    "NaN": ([[1, np.nan, 0]], {}, ValueError, "finite and not negative"),
    "words": ([["a", "b", "c"]], {}, TypeError, "relevance must hold real numbers"),
    "shape": ([[1, 2]], {}, ValueError, "one shape"),
    "gain": ([[1, 2, 0]], {"gain": "log"}, ValueError, "gain must be one of.*'log'"),
    "ties": ([[1, 2, 0]], {"ties": "mean"}, ValueError, "ties must be one of"),
}


@pytest.mark.parametrize("case", BAD_GRADES)
def test_bad_grades_are_refused(case):
    grades, options, error, sentence = BAD_GRADES[case]
    with pytest.raises(error, match=sentence):
        ndcg_at_k(OK, grades, **options)


def test_graded_relevance_counts_common_classes():
    queries, items = [[1, 1, 0], [0, 0, 0]], [[0, 1, 1], [0, 0, 1], [1, 1, 0]]
    np.testing.assert_array_equal(graded_relevance(queries, items), [[1, 0, 2], [0, 0, 0]])
    np.testing.assert_array_equal(graded_relevance([0, 1], [1, 0]), [[0, 1], [1, 0]])
    many = np.ones((1, 300), np.uint8)
    assert graded_relevance(many, many)[0, 0] == 300
    with pytest.raises(ValueError, match="cannot be compared"):
        graded_relevance([0, 1], [[1, 0]])


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
