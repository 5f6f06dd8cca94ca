"""Time functions against each other in one run: turn by turn, medians, and ratios."""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable

from threadpoolctl import threadpool_limits


def compare(
    title: str, candidates: dict[str, Callable[[], object]], *, repeats: int = 9
) -> dict[str, float]:
    """Print and return the median seconds of each candidate; ratios are to the first.

    The candidates take turns, so that a machine that slows down slows all of them; each runs once
    before it counts. One BLAS thread, so that only the algorithms differ.
    """
    seconds: dict[str, list[float]] = {name: [] for name in candidates}
    with threadpool_limits(limits=1):
        for turn in range(repeats + 1):
            for name, run in candidates.items():
                gc.collect()
                start = time.perf_counter()
                run()
                if turn:
                    seconds[name].append(time.perf_counter() - start)
    medians = {name: statistics.median(times) for name, times in seconds.items()}
    first = next(iter(medians.values()))
    print(f"\n{title} ({repeats} turns, one thread)")
    for name, median in medians.items():
        low, high = min(seconds[name]), max(seconds[name])
        print(
            f"  {name:28} {1e3 * median:9.2f} ms  ({1e3 * low:.2f} to {1e3 * high:.2f})"
            f"  {median / first:7.2f} x"
        )
    return medians
