"""Hash lookup against loops over sets and hand values."""

import numpy as np
import pytest

from cmrlib.evaluation import Lookup, hamming_distance, hamming_lookup


def random_case(seed):
    rng = np.random.default_rng(seed)
    B, D = (np.where(rng.random((n, 7)) < 0.5, -1, 1) for n in (12, 15))
    relevance = rng.random((12, 15)) < 0.2
    relevance[3] = False
    return B, D, relevance


def plain(B, D, relevance, radius):
    """Return the same figures, one set of answers at a time."""
    precision, recall, sizes, left_out = [], [], [], 0
    for q, code in enumerate(B):
        right = set(np.flatnonzero(relevance[q]))
        if not right:
            left_out += 1
            continue
        answer = {i for i, other in enumerate(D) if sum(code != other) <= radius}
        precision.append(len(answer & right) / len(answer) if answer else None)
        recall.append(len(answer & right) / len(right))
        sizes.append(len(answer))
    some = [p for p in precision if p is not None]
    return Lookup(
        radius=radius,
        precision=sum(some) / len(precision),
        precision_nonempty=sum(some) / len(some) if some else np.nan,
        recall=np.mean(recall),
        n_returned=np.mean(sizes),
        n_queries=len(precision),
        n_empty=precision.count(None),
        n_without_relevant=left_out,
    )


@pytest.mark.parametrize("radius", range(8))
def test_lookup_equals_a_loop_over_sets(radius):
    for seed in range(5):
        B, D, relevance = random_case(seed)
        found = hamming_lookup(hamming_distance(B, D), relevance, radius)
        truth = plain(B, D, relevance, radius)
        for field, value in vars(truth).items():
            assert getattr(found, field) == pytest.approx(value, abs=1e-14, nan_ok=True), field


def test_by_hand():
    """Radius 1: query 0 gets items 0 and 1, of which 1 is right, of 2; query 1 gets nothing."""
    distance = [[1, 0, 2, 3], [2, 3, 2, 4], [0, 0, 0, 0]]
    relevance = np.array([[1, 0, 1, 0], [0, 1, 0, 0], [0, 0, 0, 0]], dtype=bool)
    found = hamming_lookup(distance, relevance, 1)
    assert (found.precision, found.precision_nonempty, found.recall) == (1 / 4, 1 / 2, 1 / 4)
    assert (found.n_returned, found.n_queries, found.n_empty) == (1, 2, 1)
    assert found.n_without_relevant == 1
    assert found.f1 == pytest.approx(1 / 4)
    assert str(found) == (
        "radius 1: precision 0.250 (empty answers count 0; 0.500 without them), recall 0.250, "
        "1 of 2 queries empty, 1 left out with no relevant item"
    )


def test_nothing_returned_at_all():
    found = hamming_lookup([[3, 4]], np.array([[True, False]]), 2)
    assert (found.precision, found.recall, found.f1, found.n_empty) == (0, 0, 0, 1)
    assert np.isnan(found.precision_nonempty)


def test_largest_radius_returns_everything():
    B, D, relevance = random_case(0)
    found = hamming_lookup(hamming_distance(B, D), relevance, 7)
    answerable = relevance.any(axis=1)
    assert found.recall == 1
    assert found.n_empty == 0
    assert found.precision == pytest.approx(relevance[answerable].mean())


def test_distance_counts_bits():
    B, D, _ = random_case(1)
    truth = [[sum(b != d) for d in D] for b in B]
    distance = hamming_distance(B, D)
    np.testing.assert_array_equal(distance, truth)
    assert distance.dtype.kind == "i"  # so that -distance is a similarity
    np.testing.assert_array_equal(hamming_distance(np.int8(B), D.tolist()), truth)


def test_distance_of_many_queries_and_long_codes():
    rng = np.random.default_rng(0)
    B, D = (np.where(rng.random((n, 300)) < 0.5, -1, 1) for n in (600, 3))
    truth = (B[:, None] != D[None]).sum(axis=2)
    np.testing.assert_array_equal(hamming_distance(B, D), truth)


@pytest.mark.parametrize(
    ("codes", "items", "sentence"),
    [
        ([[0, 1]], [[1, 1]], "-1 and \\+1 only; of bits 0 and 1"),
        ([[1, 1]], [[1, 0.5]], "-1 and \\+1 only"),
        ([[1, 1]], [[1, 1, 1]], r"got \(1, 2\) and \(1, 3\)"),
        ([1, 1], [[1, 1]], r"got \(2,\)"),
        (np.ones((2, 0)), np.ones((3, 0)), "n_bits"),
    ],
)
def test_bad_codes_are_refused(codes, items, sentence):
    with pytest.raises(ValueError, match=sentence):
        hamming_distance(codes, items)


YES = np.array([[True, False]])


@pytest.mark.parametrize(
    ("distance", "relevance", "radius", "error", "sentence"),
    [
        ([[1, 2, 3]], YES, 1, ValueError, "one shape"),
        ([1, 2], YES[0], 1, ValueError, "two non-empty matrices"),
        ([[1, 2]], YES.astype(int), 1, TypeError, "must be boolean"),
        ([[1, -2]], YES, 1, ValueError, "at least 0; a similarity s of n_bits is n_bits - s"),
        ([[1, np.nan]], YES, 1, ValueError, "at least 0"),
        ([["a", "b"]], YES, 1, ValueError, "numbers"),
        ([[1, 2]], YES, -1, ValueError, "radius must be a number of at least 0, got -1"),
        ([[1, 2]], YES, "1", ValueError, "radius"),
        ([[1, 2]], YES, np.nan, ValueError, "radius"),
        ([[1, 2]], ~(YES | True), 1, ValueError, "no query has a relevant item"),
    ],
)
def test_bad_input_is_refused(distance, relevance, radius, error, sentence):
    with pytest.raises(error, match=sentence):
        hamming_lookup(distance, relevance, radius)
