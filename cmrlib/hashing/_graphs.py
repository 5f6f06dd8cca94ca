"""Affinities between items, held so that no n x n array is ever made."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array
from sklearn.neighbors import NearestNeighbors

Array = NDArray[np.float64]


def label_factor(labels: NDArray[np.int64]) -> Array:
    """Return F (n, c) with unit rows: F Fᵀ is the cosine of the items' label vectors.

    Parameters
    ----------
    labels : array of shape (n,) or (n, c)
        Class numbers, or multi-hot labels. For class numbers F is one-hot and F Fᵀ says whether
        two items share their class. An item without any label has a zero row.
    """
    if labels.ndim == 1:
        classes = np.unique(labels)
        return (labels[:, None] == classes).astype(np.float64)
    norms = np.sqrt(labels.sum(axis=1, keepdims=True))
    return labels / np.where(norms == 0, 1, norms)


@dataclass
class Graph:
    """A weighted graph on n items, W = sparse + factor factorᵀ.

    Parameters
    ----------
    sparse : csr_array of shape (n, n), optional
        Symmetric and non-negative, such as :func:`knn_graph`.
    factor : array of shape (n, c), optional
        Low-rank part, such as :func:`label_factor`.

    Attributes
    ----------
    degrees : array of shape (n,)
        Row sums of W.
    """

    sparse: csr_array | None = None
    factor: Array | None = None
    degrees: Array = field(init=False, repr=False)

    def __post_init__(self) -> None:
        parts: list[Array] = []
        if self.sparse is not None:
            parts.append(np.asarray(self.sparse.sum(axis=1)).ravel())
        if self.factor is not None:
            parts.append(self.factor @ self.factor.sum(axis=0))
        if not parts:
            raise ValueError("a graph needs a sparse part or a factor.")
        self.degrees = np.sum(parts, axis=0)

    def product(self, V: Array) -> Array:
        """Return W V for V of shape (n,) or (n, r)."""
        result = np.zeros_like(V, dtype=np.float64)
        if self.sparse is not None:
            result += self.sparse @ V
        if self.factor is not None:
            result += self.factor @ (self.factor.T @ V)
        return result

    def laplacian(self, V: Array) -> Array:
        """Return (D - W) V for V of shape (n,) or (n, r), D the diagonal of degrees."""
        degrees = self.degrees if V.ndim == 1 else self.degrees[:, None]
        return degrees * V - self.product(V)

    def smoothness(self, V: Array) -> float:
        """Return tr(Vᵀ (D - W) V) = (1/2) sum_ij W_ij ||v_i - v_j||²."""
        return float(np.sum(V * self.laplacian(V)))

    def toarray(self) -> Array:
        """Return W as a dense (n, n) array, to look at a small graph."""
        return self.product(np.eye(len(self.degrees)))


def knn_graph(X: Array, n_neighbors: int, metric: str = "euclidean") -> csr_array:
    """Return the symmetric 0/1 graph that joins i and j if either is a neighbour of the other.

    Parameters
    ----------
    X : array of shape (n, p)
    n_neighbors : int
        Nearest neighbours of each item, itself not counted; at most n - 1.
    metric : {"euclidean", "cosine"}
    """
    k = min(n_neighbors, len(X) - 1)
    found = NearestNeighbors(n_neighbors=k, metric=metric).fit(X)
    graph = csr_array(found.kneighbors_graph())  # kneighbors of the training items skips themselves
    return graph.maximum(graph.T).tocsr()
