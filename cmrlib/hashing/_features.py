"""What hashing methods do to features before they learn: standardise them, compare with anchors."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics.pairwise import euclidean_distances
from sklearn.preprocessing import StandardScaler

Array = NDArray[np.float64]


def standardiser(X: Array) -> StandardScaler:
    """Return the fitted map to mean 0 and standard deviation 1; a constant column becomes 0."""
    return StandardScaler().fit(X)


@dataclass(frozen=True)
class Anchors:
    """Radial basis functions around anchors: phi_j(x) = exp(-||x - a_j||² / (2 s²)) - mean.

    Attributes
    ----------
    points : array of shape (m, p)
        The anchors a_j.
    bandwidth : float
        s: the root of the mean squared distance between training items and anchors.
    mean : array of shape (m,)
        Mean of the functions over the training set, subtracted.
    """

    points: Array
    bandwidth: float
    mean: Array

    @classmethod
    def fit(cls, X: Array, n_anchors: int, rng: np.random.RandomState) -> Anchors:
        """Draw anchors from the items of X (n, p), all of them if `n_anchors` is not below n."""
        chosen = rng.permutation(len(X))[:n_anchors]
        points = X[np.sort(chosen)]
        squared = euclidean_distances(X, points, squared=True)
        bandwidth = float(np.sqrt(squared.mean()))
        mean = np.exp(-squared / (2 * bandwidth**2)).mean(axis=0)
        return cls(points, bandwidth, mean)

    def transform(self, X: Array) -> Array:
        """Return phi(X), shape (n, m); each row depends on that item and the anchors alone."""
        squared = euclidean_distances(X, self.points, squared=True)
        return np.exp(-squared / (2 * self.bandwidth**2)) - self.mean
