"""Hamming search against FAISS: the 100 closest of a million 64-bit codes, and of ten million.

python benchmarks/hamming_search.py
"""

from __future__ import annotations

import time
import tracemalloc

import numpy as np
from harness import compare

from cmrlib.search import FaissHamming, HammingIndex, HashTables

try:
    import faiss
except ImportError:  # an optional peer: pip install 'cmrlib[search]'
    faiss = None

K = 100
BITS = 64


def random_codes(n: int, seed: int) -> np.ndarray:
    """Return n packed codes whose bits are fair coins, so that there are no near neighbours."""
    return np.random.default_rng(seed).integers(0, 256, (n, BITS // 8), dtype=np.uint8)


def main() -> None:
    """Time a million codes against FAISS, then ten million by NumPy alone, with the memory used."""
    codes, queries = random_codes(1_000_000, 0), random_codes(100, 1)
    ours = HammingIndex(BITS).add(codes)
    tables = HashTables(BITS, n_tables=4, radius=1).add(codes)
    candidates = {
        "cmrlib NumPy": lambda: ours.search(queries, K),
        "cmrlib tables, 4 x radius 1": lambda: tables.search(queries, K),
    }
    if faiss is None:
        print("FAISS is not installed and left out: pip install 'cmrlib[search]'")
    else:
        native = faiss.IndexBinaryFlat(BITS)
        native.add(codes)
        through = FaissHamming(BITS).add(codes)
        candidates = {
            "faiss IndexBinaryFlat": lambda: native.search(queries, K),
            "cmrlib FaissHamming": lambda: through.search(queries, K),
            **candidates,
        }
        for found, true in zip(ours.search(queries, K), through.search(queries, K), strict=True):
            np.testing.assert_array_equal(found, true)
    compare(f"Hamming top-{K}, 1,000,000 codes of {BITS} bits, 100 queries", candidates)
    if faiss is not None:
        one = queries[:1]
        compare(
            "the same, 1 query",
            {
                "faiss IndexBinaryFlat": lambda: native.search(one, K),
                "cmrlib FaissHamming": lambda: through.search(one, K),
                "cmrlib NumPy": lambda: ours.search(one, K),
            },
            repeats=51,
        )
    print(f"  the tables compared each query with {tables.n_compared_.mean():.0f} codes")
    ten_million()


def ten_million() -> None:
    """Search 10,000,000 codes, 80 MB, and say what memory the search added."""
    index = HammingIndex(BITS)
    for seed in range(10):
        index.add(random_codes(1_000_000, seed))
    queries = random_codes(100, 10)
    index.search(queries[:1], 1)  # puts the parts together
    start = time.perf_counter()
    index.search(queries, K)
    seconds = time.perf_counter() - start
    tracemalloc.start()
    index.search(queries, K)
    more = tracemalloc.get_traced_memory()[1] / 1e6
    tracemalloc.stop()
    print(f"\n10,000,000 codes, 100 queries, NumPy: {seconds:.2f} s; 80 MB of codes")
    print(f"  the search itself takes {more:.1f} MB at its peak")


if __name__ == "__main__":
    main()
