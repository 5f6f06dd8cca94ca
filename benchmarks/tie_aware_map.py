"""mAP with ties against per-query loops: 2,000 queries, 18,000 items, 64 bits, 24 labels.

python benchmarks/tie_aware_map.py
"""

from __future__ import annotations

import resource
import sys
from collections.abc import Callable

import numpy as np
from harness import compare

from cmrlib.evaluation import (
    average_precision,
    hamming_distance,
    label_relevance,
    mean_average_precision,
)

N_QUERIES, N_ITEMS, N_BITS, N_LABELS = 2_000, 18_000, 64, 24


def loop_with_ties(similarity: np.ndarray, relevance: np.ndarray) -> float:
    """Expected AP, one query and one tie group at a time."""
    ap = []
    for scores, relevant in zip(similarity, relevance, strict=True):
        if not relevant.any():
            continue
        before = hits = total = 0.0
        for value in np.unique(scores)[::-1]:
            group = relevant[scores == value]
            n, r, i = len(group), group.sum(), np.arange(1, len(group) + 1)
            above = (i - 1) * (r - 1) / max(n - 1, 1)
            total += np.sum(r / n * (hits + 1 + above) / (before + i))
            before, hits = before + n, hits + r
        ap.append(total / relevant.sum())
    return float(np.mean(ap))


def loop_as_sorted(similarity: np.ndarray, relevance: np.ndarray) -> float:
    """AP of whatever order the sort leaves ties in, one query at a time."""
    ap = []
    for scores, relevant in zip(similarity, relevance, strict=True):
        if relevant.any():
            ranks = np.flatnonzero(relevant[np.argsort(-scores)]) + 1
            ap.append(np.mean(np.arange(1, len(ranks) + 1) / ranks))
    return float(np.mean(ap))


def main() -> None:
    """Time the metric alone, and with distances and relevance made from codes and labels."""
    rng = np.random.default_rng(0)
    Q, D = (np.where(rng.random((n, N_BITS)) < 0.5, -1, 1) for n in (N_QUERIES, N_ITEMS))
    L, M = ((rng.random((n, N_LABELS)) < 0.1).astype(np.int8) for n in (N_QUERIES, N_ITEMS))

    def matrices() -> tuple[np.ndarray, np.ndarray]:
        return N_BITS - hamming_distance(Q, D), label_relevance(L, M)

    similarity, relevance = matrices()
    found = mean_average_precision(similarity, relevance)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    peak /= 2**20 if sys.platform == "darwin" else 2**10  # bytes there, KiB elsewhere
    print(f"mAP {found:.6f}; peak memory of the process so far {peak:.0f} MB")
    difference = abs(found - loop_with_ties(similarity, relevance))
    print(f"largest difference from the loop with ties {difference:.1e}")
    assert difference < 1e-10
    as_floats = similarity.astype(np.float64) + 0.25 * (similarity % 2)  # other steps than 1
    assert np.array_equal(
        average_precision(similarity, relevance), average_precision(as_floats, relevance),
        equal_nan=True,
    ), "counting and sorting differ"  # fmt: skip

    in_float = similarity.astype(np.float32)  # what hash models and the usual loops have
    compare(
        "mAP of given similarities, 2,000 x 18,000, 65 values",
        {
            "cmrlib, integers": lambda: mean_average_precision(similarity, relevance),
            "cmrlib, whole floats": lambda: mean_average_precision(in_float, relevance),
            "loop, with ties": lambda: loop_with_ties(in_float, relevance),
            "loop, ties as sorted": lambda: loop_as_sorted(in_float, relevance),
        },
        repeats=3,
    )

    codes, items, labels, others = (Z.astype(np.float32) for Z in (Q, D, L, M))

    def usual(one_query: Callable[[np.ndarray, np.ndarray], float]) -> float:
        """Make distances and relevance query by query too, as the published programs do."""
        values = [
            one_query(0.5 * (N_BITS + code @ items.T)[None], (label @ others.T > 0)[None])
            for code, label in zip(codes, labels, strict=True)
            if (label @ others.T > 0).any()
        ]
        return float(np.mean(values))

    compare(
        "the same from codes and labels",
        {
            "cmrlib": lambda: mean_average_precision(*matrices()),
            "loop, with ties": lambda: usual(loop_with_ties),
            "loop, ties as sorted": lambda: usual(loop_as_sorted),
        },
        repeats=3,
    )


if __name__ == "__main__":
    main()
