"""Linear CCA against scikit-learn's and cca-zoo's: n = 2000, p = q = 100, k = 10.

python benchmarks/linear_cca.py
"""

from __future__ import annotations

import numpy as np
from harness import compare
from sklearn.cross_decomposition import CCA as SklearnCCA

from cmrlib.cca import CCA
from cmrlib.datasets import make_gaussian_views

try:
    from cca_zoo.linear import CCA as ZooCCA
except ImportError:  # an optional peer: pip install 'cmrlib[bench]'
    ZooCCA = None


def main() -> None:
    """Time the three, and print how far each is from the QR + SVD truth."""
    views = make_gaussian_views(
        2000, 100, 100, correlations=np.linspace(0.95, 0.5, 10), condition=100, random_state=0
    )
    X, Y = views.image, views.text
    fits = {
        "cmrlib": lambda: CCA(n_components=10).fit(X, Y),
        "scikit-learn": lambda: SklearnCCA(n_components=10).fit(X, Y),
    }
    if ZooCCA is None:
        print("cca-zoo is not installed and left out: pip install 'cmrlib[bench]'")
    else:
        fits["cca-zoo"] = lambda: ZooCCA(10).fit([X, Y])
    compare("linear CCA, n=2000, p=q=100, k=10", fits)

    Q_x, Q_y = (np.linalg.qr(Z - Z.mean(axis=0))[0] for Z in (X, Y))
    truth = np.linalg.svd(Q_x.T @ Q_y, compute_uv=False)[:10]
    off = np.abs(fits["cmrlib"]().correlations_ - truth).max()
    print(f"  cmrlib: largest error of a correlation {off:.1e}")
    S, T = fits["scikit-learn"]().transform(X, Y)
    found = [np.corrcoef(S[:, j], T[:, j])[0, 1] for j in range(10)]
    print(f"  scikit-learn: largest error of a correlation {np.abs(found - truth).max():.1e}")


if __name__ == "__main__":
    main()
