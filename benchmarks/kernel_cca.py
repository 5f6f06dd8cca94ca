"""Kernel CCA against cca-zoo's at n = 2000, and with a low-rank kernel at n = 20,000.

python benchmarks/kernel_cca.py
"""

from __future__ import annotations

import resource
import time

import numpy as np
from harness import compare
from threadpoolctl import threadpool_limits

from cmrlib.cca import KCCA
from cmrlib.datasets import make_gaussian_views

try:
    from cca_zoo.nonparametric import KCCA as ZooKCCA
except ImportError:  # an optional peer: pip install 'cmrlib[bench]'
    ZooKCCA = None

SHRINKAGE = 0.1


def views(n: int) -> tuple[np.ndarray, np.ndarray]:
    """Return two standardised views of 100 features with ten correlations from 0.95 to 0.5."""
    data = make_gaussian_views(
        n, 100, 100, correlations=np.linspace(0.95, 0.5, 10), condition=100, random_state=0
    )
    return tuple(V / V.std(axis=0) for V in (data.image, data.text))


def same_ridge(kernel: str, X: np.ndarray, Y: np.ndarray) -> tuple[float, float]:
    """Return our `reg` for cca-zoo's shrinkage c: c / (1 - c) (n - 1) / n over r at reg = 1."""
    unit = KCCA(1, kernel, reg=1.0).fit(X, Y)
    ridge = SHRINKAGE / (1 - SHRINKAGE) * (len(X) - 1) / len(X)
    return ridge / unit.ridge_image_, ridge / unit.ridge_text_


def small(kernel: str) -> None:
    """Time both at n = 2000 with the same kernel and the same ridge."""
    X, Y = views(2000)
    reg = same_ridge(kernel, X, Y)
    model = KCCA(10, kernel, reg=reg)
    fits = {"cmrlib": lambda: model.fit(X, Y)}
    if ZooKCCA is None:
        print("cca-zoo is not installed and left out: pip install 'cmrlib[bench]'")
    else:
        # mean squared distance of standardised columns: 2 p
        gamma = 1 / (2 * X.shape[1]) if kernel == "rbf" else None
        peer = ZooKCCA(10, kernel=kernel, gamma=gamma, shrinkage=SHRINKAGE)
        fits["cca-zoo"] = lambda: peer.fit([X, Y])
    compare(f"kernel CCA, {kernel}, n=2000, p=q=100, k=10", fits, repeats=1)
    if ZooKCCA is not None:
        S, T = peer.transform([X, Y])
        theirs = np.array([np.corrcoef(S[:, j], T[:, j])[0, 1] for j in range(10)])
        off = np.abs(model.correlations(X, Y) - theirs).max()
        print(f"  largest difference of a correlation {off:.1e}")


def large() -> None:
    """Fit 20,000 pairs with 1,000 columns of each kernel matrix."""
    X, Y = views(20_000)
    for kernel in ("rbf", "poly"):
        with threadpool_limits(limits=1):
            start = time.perf_counter()
            model = KCCA(10, kernel, max_rank=1000).fit(X, Y)
            seconds = time.perf_counter() - start
        print(
            f"\nkernel CCA, {kernel}, n=20,000, max_rank=1000, one thread: {seconds:.1f} s, "
            f"{model.residual_image_:.0%} of the kernel left out"
        )
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20  # kilobytes on Linux
    print(f"peak memory: {peak:.1f} GB")


def main() -> None:
    """Run the low-rank part first, so that its peak memory is its own."""
    large()
    small("linear")
    small("rbf")


if __name__ == "__main__":
    main()
