"""Fit the hashing methods of linear cost on 1,000 to 100,000 pairs: seconds and peak memory.

    python benchmarks/hashing_linear_time.py          # writes cmrlib/hashing/linear_time.json
    python benchmarks/hashing_linear_time.py CVH ACQ  # only these, printed

128-d images, 64-d texts, 10 classes, 64 bits, the methods' default settings. Every fit has a
process of its own, with one BLAS thread, whose peak resident memory is compared with that of the
same process before the fit. An array with a row and a column per pair would take 80 GB at the
largest size.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import resource
import sys
import time
from pathlib import Path

import numpy as np
from threadpoolctl import threadpool_limits

from cmrlib.catalog import method

TARGET = Path(__file__).resolve().parents[1] / "cmrlib" / "hashing" / "linear_time.json"
SIZES = (1_000, 3_000, 10_000, 30_000, 100_000)
METHODS = (
    "RandomHyperplanes",
    "PCA-sign",
    "CCA-sign",
    "CCA-ITQ",
    "CVH",
    "CMSSH",
    "IMVH",
    "ACQ",
    "QCH",
    "CMFH",
    "LCMF",
    "LCMFH",
    "SCRATCH",
    "MTFH",
    "ROHLSE",
)
N_BITS = 64


def pairs(n: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return images (n, 128), texts (n, 64) and classes (n,): shared factors, noise, 10 centres."""
    rng = np.random.RandomState(0)
    labels = rng.randint(10, size=n)
    shared = rng.normal(size=(n, 32)) + rng.normal(size=(10, 32))[labels]
    views = [shared @ rng.normal(size=(32, p)) + 4 * rng.normal(size=(n, p)) for p in (128, 64)]
    return views[0], views[1], labels


def peak_mb() -> float:
    """Return the peak resident memory of this process so far, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def fit(name: str, n: int) -> dict[str, float]:
    """Return seconds and added peak memory of one fit, in this process."""
    image, text, labels = pairs(n)
    row = method(name)
    parameters = {"n_bits": N_BITS}
    if "random_state" in row.load()().get_params():
        parameters["random_state"] = 0
    model = row.load()(**parameters)
    before = peak_mb()
    with threadpool_limits(limits=1):
        start = time.perf_counter()
        model.fit(image, text, *((labels,) if model.uses_labels else ()))
        seconds = time.perf_counter() - start
    return {"seconds": round(seconds, 3), "mb": round(peak_mb() - before, 1)}


def main(names: list[str]) -> None:
    """Measure the named methods, or all and write the file."""
    context = multiprocessing.get_context("spawn")
    found: dict[str, dict[str, dict[str, float]]] = {}
    for name in names or METHODS:
        found[name] = {}
        for n in SIZES:
            with context.Pool(1) as pool:
                found[name][str(n)] = pool.apply(fit, (name, n))
            print(f"{name:18} {n:8,} {found[name][str(n)]}", flush=True)
    if not names:
        partial = TARGET.with_suffix(".part")
        partial.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
        os.replace(partial, TARGET)
        print(f"wrote {TARGET}")


if __name__ == "__main__":
    main(sys.argv[1:])
