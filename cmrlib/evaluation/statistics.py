"""How sure is a mean over queries, and is the difference of two methods more than chance?

Both questions are answered by resampling the queries of one test set. The answers hold for other
queries of the same kind, with the fitted models and the searched items as they are; they say
nothing about another training set or another random seed.
"""

from __future__ import annotations

from dataclasses import dataclass
from numbers import Integral

import numpy as np
from numpy.typing import ArrayLike, NDArray

Values = NDArray[np.float64]

_AT_ONCE = 4_000_000  # values resampled at once; bounds the memory


@dataclass(frozen=True)
class Interval:
    """A mean over queries with its bootstrap confidence interval."""

    mean: float
    low: float
    high: float
    confidence: float
    n: int

    def __str__(self) -> str:
        return f"{self.mean:.3f} [{self.low:.3f}, {self.high:.3f}] ({self.n} queries)"

    __repr__ = __str__


@dataclass(frozen=True)
class PairedTest:
    """The mean difference a - b of two methods on the same queries.

    Attributes
    ----------
    difference : float
    low, high : float
        Bootstrap confidence interval of the difference.
    confidence : float
    p_value : float
        Two-sided, of the sign-flip test.
    n : int
        Queries compared.
    """

    difference: float
    low: float
    high: float
    confidence: float
    p_value: float
    n: int

    def __str__(self) -> str:
        return (
            f"difference {self.difference:+.3f} [{self.low:+.3f}, {self.high:+.3f}], "
            f"p = {self.p_value:.4f} ({self.n} queries)"
        )

    __repr__ = __str__


def bootstrap_interval(
    values: ArrayLike,
    *,
    confidence: float = 0.95,
    n_resamples: int = 10_000,
    random_state: int | None = 0,
) -> Interval:
    """Return the mean of per-query values with its percentile bootstrap interval.

    The queries are drawn with replacement, as many as there are, `n_resamples` times; the
    interval is what the middle `confidence` of the means lies in.

    Parameters
    ----------
    values : array-like of shape (n_queries,)
        One figure a query, such as :func:`average_precision`. NaN, a query with no relevant item,
        is left out.
    confidence : float, default=0.95
    n_resamples : int, default=10000
    random_state : int, optional
        Seed; the default gives the same interval every time.

    Raises
    ------
    TypeError, ValueError
        If the values are no vector of numbers, fewer than two are left, or an option is out of
        range.

    References
    ----------
    B. Efron and R. J. Tibshirani, "An Introduction to the Bootstrap" (1993), chapter 13.
    """
    checked = _check(values, "values")
    kept = checked[~np.isnan(checked)]
    _check_options(kept, confidence, n_resamples)
    low, high = _percentiles(kept, confidence, n_resamples, np.random.default_rng(random_state))
    return Interval(float(kept.mean()), low, high, confidence, len(kept))


def paired_test(
    a: ArrayLike,
    b: ArrayLike,
    *,
    confidence: float = 0.95,
    n_resamples: int = 10_000,
    random_state: int | None = 0,
) -> PairedTest:
    """Test whether two methods differ on the same queries.

    If they did not, the difference of each query could as well have had the other sign. The
    *sign-flip* (paired randomisation) test draws the signs at random and asks how often the mean
    difference is at least as far from 0 as the one observed; that share, with the observed
    signs counted as one draw more, is the p-value. Where all 2^n signs are no more than
    `n_resamples`, all are tried, and the p-value is exact. The interval is the bootstrap's, over
    the differences.

    Parameters
    ----------
    a, b : array-like of shape (n_queries,)
        One figure a query and method, in the same order of queries. A query that is NaN in both
        is left out.
    confidence, n_resamples, random_state
        As in :func:`bootstrap_interval`.

    Raises
    ------
    TypeError, ValueError
        Also if the two differ in length, or in which queries are NaN.

    References
    ----------
    M. D. Smucker, J. Allan and B. Carterette, "A comparison of statistical significance tests for
    information retrieval evaluation", CIKM (2007).
    """
    first, second = _check(a, "a"), _check(b, "b")
    if len(first) != len(second):
        raise ValueError(
            f"a has {len(first)} values and b has {len(second)}; value i of both must be of one "
            "query."
        )
    if (np.isnan(first) != np.isnan(second)).any():
        raise ValueError("a and b are NaN at different queries; they must rank the same items.")
    difference = (first - second)[~np.isnan(first)]
    _check_options(difference, confidence, n_resamples)
    rng = np.random.default_rng(random_state)
    p_value = _sign_flip(difference, n_resamples, rng)
    low, high = _percentiles(difference, confidence, n_resamples, rng)
    return PairedTest(float(difference.mean()), low, high, confidence, p_value, len(difference))


def _check(values: ArrayLike, name: str) -> Values:
    array = np.asarray(values)
    if array.dtype.kind not in "biuf":
        raise TypeError(f"{name} must hold real numbers, got dtype {array.dtype}.")
    if array.ndim != 1:
        raise ValueError(f"{name} must be one value a query, (n_queries,), got {array.shape}.")
    if np.isinf(array).any():
        raise ValueError(f"{name} holds infinity.")
    return array.astype(np.float64)


def _check_options(values: Values, confidence: float, n_resamples: int) -> None:
    if len(values) < 2:
        raise ValueError(f"{len(values)} queries have a value; at least 2 are needed.")
    if not 0 < confidence < 1:
        raise ValueError(f"confidence must lie between 0 and 1, got {confidence!r}.")
    if not isinstance(n_resamples, Integral) or n_resamples < 1:
        raise ValueError(f"n_resamples must be a whole number of at least 1, got {n_resamples!r}.")


def _batches(n_resamples: int, n: int) -> list[int]:
    """Return how many resamples of n values to draw at a time."""
    step = max(1, _AT_ONCE // n)
    return [min(step, n_resamples - start) for start in range(0, n_resamples, step)]


def _percentiles(
    values: Values, confidence: float, n_resamples: int, rng: np.random.Generator
) -> tuple[float, float]:
    n = len(values)
    means = [
        values[rng.integers(n, size=(size, n))].mean(axis=1) for size in _batches(n_resamples, n)
    ]
    tail = (1 - confidence) / 2
    low, high = np.quantile(np.concatenate(means), [tail, 1 - tail])
    return float(low), float(high)


def _sign_flip(difference: Values, n_resamples: int, rng: np.random.Generator) -> float:
    n = len(difference)
    # sums of the same numbers in another order may differ in the last bits: that is no "further"
    observed = abs(difference.sum()) - 1e-12 * np.abs(difference).sum()
    if 2**n <= n_resamples:
        signs = 1 - 2 * (np.arange(2**n)[:, None] >> np.arange(n) & 1)
        return float((np.abs(signs @ difference) >= observed).mean())
    further = 0
    for size in _batches(n_resamples, n):
        signs = rng.integers(2, size=(size, n), dtype=np.int8) * np.int8(2) - np.int8(1)
        further += int((np.abs(signs @ difference) >= observed).sum())
    return (further + 1) / (n_resamples + 1)
