"""Bootstrap and sign-flip test against enumeration of all resamples and signs, and SciPy."""

from itertools import product

import numpy as np
import pytest
from scipy.stats import bootstrap, permutation_test

from cmrlib.evaluation import bootstrap_interval, paired_test, statistics

A = np.array([0.9, 0.4, 0.7, 0.2, 0.6])
B = np.array([0.5, 0.5, 0.3, 0.1, 0.4])


def every_resample(values):
    return [np.mean(drawn) for drawn in product(values, repeat=len(values))]


def test_interval_covers_what_enumeration_of_all_resamples_says():
    """5 values have 3125 resamples; the interval's ends are quantiles of their means."""
    means = np.array(every_resample(A))
    found = bootstrap_interval(A, confidence=0.8, n_resamples=200_000)
    assert found.mean == pytest.approx(A.mean())
    assert found.n == 5
    # where the exact distribution reaches 10 % and 90 %, within Monte Carlo error
    for end, share in ((found.low, 0.1), (found.high, 0.9)):
        assert (means < end - 1e-9).mean() <= share + 0.004
        assert (means <= end + 1e-9).mean() >= share - 0.004


def test_interval_agrees_with_scipy():
    values = np.random.default_rng(0).beta(2, 5, size=200)
    ours = bootstrap_interval(values, n_resamples=20_000)
    theirs = bootstrap(
        (values,), np.mean, method="percentile", n_resamples=20_000, rng=np.random.default_rng(1)
    ).confidence_interval
    assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high), abs=1e-3)
    standard_error = values.std(ddof=1) / np.sqrt(200)
    assert (ours.high - ours.low) / 2 == pytest.approx(1.96 * standard_error, rel=0.03)


def test_interval_covers_the_truth_as_often_as_it_says():
    """95 % intervals of means of 80 draws with mean 2/7: 400 of them hit it 95 % ± 3.3 %."""
    rng = np.random.default_rng(0)
    hits = 0
    for _ in range(400):
        found = bootstrap_interval(rng.beta(2, 5, size=80), n_resamples=500, random_state=None)
        hits += found.low <= 2 / 7 <= found.high
    assert abs(hits / 400 - 0.95) < 0.033


def test_p_value_equals_enumeration_of_all_signs():
    d = A - B
    every = [abs(np.dot(signs, d)) for signs in product((1, -1), repeat=5)]
    truth = np.mean([value >= abs(d.sum()) - 1e-12 for value in every])
    # differences .4 -.1 .4 .1 .2: +1 is reached with all, without the 4th, or the 2nd; and -1
    assert paired_test(A, B).p_value == truth == 6 / 32


def test_drawn_p_value_approaches_the_exact_one():
    rng = np.random.default_rng(0)
    a, b = rng.random(12) + 0.25, rng.random(12)
    exact = paired_test(a, b, n_resamples=4096).p_value
    drawn = paired_test(a, b, n_resamples=4095)
    assert 0.01 < exact < 0.5
    assert drawn.p_value == pytest.approx(exact, abs=4 * np.sqrt(exact / 4095))
    many = statistics._sign_flip(a - b, 4095 * 40, np.random.default_rng(0))
    assert many == exact


def test_drawn_p_value_is_never_zero():
    """50 differences of one sign: no draw comes as far, and the observed signs are one draw."""
    a = np.linspace(1, 2, 50)
    assert paired_test(a, 0 * a, n_resamples=99).p_value == 1 / 100


def test_p_value_agrees_with_scipy():
    rng = np.random.default_rng(0)
    a, b = rng.random(60), rng.random(60) - 0.08
    theirs = permutation_test(
        (a, b),
        lambda x, y, axis: (x - y).mean(axis=axis),
        permutation_type="samples",
        vectorized=True,
        n_resamples=20_000,
        rng=np.random.default_rng(1),
    )
    assert paired_test(a, b, n_resamples=20_000).p_value == pytest.approx(theirs.pvalue, abs=0.012)


def test_p_values_of_two_equal_methods_are_uniform():
    """A test at level 5 % must say "different" of equal methods 5 % of the time."""
    rng = np.random.default_rng(0)
    p = [
        paired_test(*rng.random((2, 30)), n_resamples=400, random_state=i).p_value
        for i in range(500)
    ]
    assert abs(np.mean(np.array(p) < 0.05) - 0.05) < 4 * np.sqrt(0.05 * 0.95 / 500)
    assert abs(np.mean(p) - 0.5) < 0.06


def test_pairing_sees_a_difference_that_the_spread_of_queries_hides():
    rng = np.random.default_rng(0)
    hard = rng.random(100)  # queries differ widely
    a, b = hard + 0.02 + rng.normal(0, 0.01, 100), hard
    assert paired_test(a, b).p_value < 0.001
    shuffled = paired_test(a, rng.permutation(b))
    assert shuffled.p_value > 0.05
    assert shuffled.difference == pytest.approx(a.mean() - b.mean())


def test_no_difference_at_all():
    found = paired_test(A, A)
    assert (found.difference, found.low, found.high, found.p_value) == (0, 0, 0, 1)
    long = np.zeros(50)
    assert paired_test(long, long).p_value == 1


def test_swapping_the_methods_turns_the_sign_only():
    one, other = paired_test(A, B), paired_test(B, A)
    assert one.difference == -other.difference
    assert one.p_value == other.p_value


def test_interval_of_the_difference_is_that_of_the_differences():
    rng = np.random.default_rng(0)
    a, b = rng.random(40), rng.random(40)
    test = paired_test(a, b, n_resamples=20_000)
    alone = bootstrap_interval(a - b, n_resamples=20_000, random_state=5)
    assert (test.low, test.high) == pytest.approx((alone.low, alone.high), abs=0.004)


def test_queries_without_relevant_item_are_left_out():
    a, b = np.append(A, np.nan), np.append(B, np.nan)
    assert paired_test(a, b) == paired_test(A, B)
    assert bootstrap_interval(a) == bootstrap_interval(A)


def test_same_seed_same_result_in_any_batch(monkeypatch):
    rng = np.random.default_rng(0)
    a, b = rng.random(40), rng.random(40)
    whole = paired_test(a, b, n_resamples=1000), bootstrap_interval(a, n_resamples=1000)
    monkeypatch.setattr(statistics, "_AT_ONCE", 41)
    assert bootstrap_interval(a, n_resamples=1000) == whole[1]
    assert paired_test(a, b, n_resamples=1000).difference == whole[0].difference
    other = bootstrap_interval(a, n_resamples=1000, random_state=1)
    assert other.low != whole[1].low


def test_printed():
    assert str(bootstrap_interval([0.5, 0.5])) == "0.500 [0.500, 0.500] (2 queries)"
    assert str(paired_test([1, 0.5], [0.5, 0])) == (
        "difference +0.500 [+0.500, +0.500], p = 0.5000 (2 queries)"
    )


@pytest.mark.parametrize("function", [bootstrap_interval, lambda v, **kw: paired_test(v, v, **kw)])
@pytest.mark.parametrize(
    ("values", "options", "error", "sentence"),
    [
        ([[0.1, 0.2]], {}, ValueError, r"one value a query, \(n_queries,\)"),
        ([0.1], {}, ValueError, "1 queries have a value; at least 2"),
        ([np.nan, 0.1], {}, ValueError, "at least 2 are needed"),
        ([0.1, np.inf], {}, ValueError, "infinity"),
        (["a", "b"], {}, TypeError, "real numbers"),
        ([0.1, 0.2], {"confidence": 95}, ValueError, "between 0 and 1, got 95"),
        ([0.1, 0.2], {"n_resamples": 0}, ValueError, "at least 1, got 0"),
        ([0.1, 0.2], {"n_resamples": 10.5}, ValueError, "whole number"),
    ],
)
def test_bad_input_is_refused(function, values, options, error, sentence):
    with pytest.raises(error, match=sentence):
        function(values, **options)


def test_unpaired_input_is_refused():
    with pytest.raises(ValueError, match="a has 5 values and b has 4"):
        paired_test(A, B[:4])
    with pytest.raises(ValueError, match="NaN at different queries"):
        paired_test([0.1, np.nan, 0.2], [0.1, 0.2, 0.3])
