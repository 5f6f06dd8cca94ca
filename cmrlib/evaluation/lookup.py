"""Hash lookup: everything within a Hamming radius is returned, and nothing else.

A ranking shows as many items as one likes to see; a lookup returns a set, which may be empty. The
precision of an empty set is 0/0. The hashing literature counts such a query as precision 0, since
the user has got nothing; :class:`Lookup` gives that figure, the mean over the queries that got an
answer, and how many did not.
"""

from __future__ import annotations

from dataclasses import dataclass
from numbers import Real

import numpy as np
from numpy.typing import ArrayLike, NDArray


@dataclass(frozen=True)
class Lookup:
    """What lookups within one radius returned, over the queries that have a relevant item.

    Attributes
    ----------
    radius : float
    precision : float
        Mean fraction of the returned items that is relevant; an empty answer counts as 0.
    precision_nonempty : float
        The mean over the queries with an answer only; NaN if there is none.
    recall : float
        Mean fraction of the relevant items that is returned.
    n_returned : float
        Mean number of items returned.
    n_queries, n_empty : int
        Queries that these means are over, and those of them whose answer was empty.
    n_without_relevant : int
        Queries left out, because no item is relevant to them.
    """

    radius: float
    precision: float
    precision_nonempty: float
    recall: float
    n_returned: float
    n_queries: int
    n_empty: int
    n_without_relevant: int

    @property
    def f1(self) -> float:
        """Harmonic mean of mean precision and mean recall; 0 if both are 0."""
        both = self.precision + self.recall
        return 2 * self.precision * self.recall / both if both else 0.0

    def __str__(self) -> str:
        return (
            f"radius {self.radius:g}: precision {self.precision:.3f} (empty answers count 0; "
            f"{self.precision_nonempty:.3f} without them), recall {self.recall:.3f}, "
            f"{self.n_empty} of {self.n_queries} queries empty, "
            f"{self.n_without_relevant} left out with no relevant item"
        )

    __repr__ = __str__


def hamming_distance(codes: ArrayLike, item_codes: ArrayLike) -> NDArray[np.int16]:
    """Return the number of bits in which each query's code differs from each item's.

    Parameters
    ----------
    codes, item_codes : array-like of shape (n_queries, n_bits), (n_items, n_bits)
        Codes of -1 and +1, as hash models encode.

    Returns
    -------
    ndarray of shape (n_queries, n_items)

    Raises
    ------
    ValueError
        If the codes are not -1 and +1, or not of one length.
    """
    B, D = np.asarray(codes), np.asarray(item_codes)
    if B.ndim != 2 or D.ndim != 2 or B.shape[1] != D.shape[1] or B.shape[1] == 0:
        raise ValueError(
            f"codes must be (n_queries, n_bits) and (n_items, n_bits), got {B.shape} and {D.shape}."
        )
    for array in (B, D):
        if array.dtype.kind not in "iuf" or not (np.abs(array) == 1).all():
            raise ValueError("codes must hold -1 and +1 only; of bits 0 and 1, pass 2 * bits - 1.")
    n_bits = B.shape[1]
    distance = np.empty((len(B), len(D)), np.int16)  # signed, so that -distance ranks
    items = -0.5 * D.T.astype(np.float32)
    for start in range(0, len(B), 64):
        part = B[start : start + 64].astype(np.float32) @ items
        distance[start : start + 64] = part + np.float32(n_bits / 2)  # whole numbers, exact
    return distance


def hamming_lookup(distance: ArrayLike, relevance: ArrayLike, radius: float) -> Lookup:
    """Measure the lookup of all items within a radius of each query.

    Parameters
    ----------
    distance : array-like of shape (n_queries, n_items)
        Smaller is closer: of hash codes, see :func:`hamming_distance`.
    relevance : array-like of bool, same shape
    radius : float
        Items at this distance are returned as well; 0 returns the items with the query's code.

    Raises
    ------
    TypeError, ValueError
        If the shapes differ, the relevance is not boolean, the radius is negative, or no query
        has a relevant item.
    """
    d, rel = np.asarray(distance), np.asarray(relevance)
    if d.ndim != 2 or d.shape != rel.shape or 0 in d.shape:
        raise ValueError(
            "distance and relevance must be two non-empty matrices of one shape, "
            f"(n_queries, n_items), got {d.shape} and {rel.shape}."
        )
    if rel.dtype != bool:
        raise TypeError(f"relevance must be boolean, got dtype {rel.dtype}.")
    if d.dtype.kind not in "iuf" or (d < 0).any() or np.isnan(d.sum(dtype=np.float64)):
        raise ValueError(
            "distance must hold numbers of at least 0; a similarity s of n_bits is n_bits - s."
        )
    if not isinstance(radius, Real) or not radius >= 0:
        raise ValueError(f"radius must be a number of at least 0, got {radius!r}.")
    answerable = rel.any(axis=1)
    if not answerable.any():
        raise ValueError("no query has a relevant item, so there is nothing to average.")
    within = d[answerable] <= radius
    returned = within.sum(axis=1)
    found = (within & rel[answerable]).sum(axis=1)
    precision = found / np.maximum(returned, 1)
    nonempty = returned > 0
    return Lookup(
        radius=float(radius),
        precision=float(precision.mean()),
        precision_nonempty=float(precision[nonempty].mean()) if nonempty.any() else float("nan"),
        recall=float((found / rel[answerable].sum(axis=1)).mean()),
        n_returned=float(returned.mean()),
        n_queries=len(returned),
        n_empty=int((~nonempty).sum()),
        n_without_relevant=int((~answerable).sum()),
    )
