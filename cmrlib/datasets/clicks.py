"""A simulated click log: who asked for what, and which pictures were clicked."""

from __future__ import annotations

from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array, csr_array
from sklearn.utils import check_random_state, check_scalar

from cmrlib.datasets._dataset import PairedDataset

KINDS = ("match", "related", "noise")


@dataclass(frozen=True, repr=False)
class ClickLog:
    """Clicks on pictures, one entry a click.

    Parameters
    ----------
    image, query : ndarray of shape (n_clicks,)
        Rows of the picture that was clicked and of the query that had been asked.
    kind : ndarray of shape (n_clicks,)
        Why it was clicked, which no method may know: an index of ``KINDS``, 0 for the query's own
        picture, 1 for a picture of the same class, 2 for noise.
    shape : (n_images, n_queries)
    """

    image: NDArray[np.intp]
    query: NDArray[np.intp]
    kind: NDArray[np.intp]
    shape: tuple[int, int]

    def __len__(self) -> int:
        return len(self.image)

    def __repr__(self) -> str:
        n_images, n_queries = self.shape
        return f"ClickLog({len(self)} clicks, {n_images} images, {n_queries} queries)"

    def counts(self) -> csr_array:
        """Return the (n_images, n_queries) numbers of clicks."""
        ones = np.ones(len(self), dtype=np.int64)
        counts: csr_array = coo_array((ones, (self.image, self.query)), shape=self.shape).tocsr()
        return counts


def make_clicks(
    data: PairedDataset,
    n_clicks: int = 5000,
    *,
    related: float = 0.3,
    noise: float = 0.2,
    popularity: float = 0.5,
    random_state: int | None = None,
) -> ClickLog:
    """Simulate the click log of a search engine for the pairs of a data set.

    Each text is a query, each image can be clicked. A click comes about in two draws. First a
    query: the r-th most popular one is asked in proportion to r**(-popularity), in a random order
    of the queries. Then an image: with probability `noise` any image, whatever it shows; with
    probability `related` another image of the query's class; else the query's own. All clicks are
    independent.

    Parameters
    ----------
    data : PairedDataset
        With class numbers as labels.
    n_clicks : int, default=5000
    related, noise : float, default=0.3, 0.2
        Probabilities of a click on another image of the class, and on any image; the rest is the
        probability of a click on the right one.
    popularity : float, default=0.5
        Exponent; 0 asks all queries equally often, 1 is Zipf's law.
    random_state : int, optional

    Raises
    ------
    ValueError
        If the probabilities exceed 1 together, if the labels are no class numbers, or if a class
        has a single item, so that no other image of it can be clicked.

    Examples
    --------
    >>> from cmrlib.datasets import load_emoji, make_clicks
    >>> log = make_clicks(load_emoji(), 2000, random_state=0)
    >>> log
    ClickLog(2000 clicks, 1898 images, 1898 queries)
    >>> log.counts().shape
    (1898, 1898)
    """
    check_scalar(n_clicks, "n_clicks", Integral, min_val=1)
    check_scalar(popularity, "popularity", Real, min_val=0)
    for name, share in (("related", related), ("noise", noise)):
        check_scalar(share, name, Real, min_val=0, max_val=1)
    if related + noise > 1:
        raise ValueError(f"related + noise must be at most 1, got {related} + {noise}.")
    rng = check_random_state(random_state)
    n = len(data)
    order = rng.permutation(n)
    weights = np.arange(1, n + 1) ** -float(popularity)
    query = order[rng.choice(n, size=n_clicks, p=weights / weights.sum())]
    kind = rng.choice(3, size=n_clicks, p=[1 - related - noise, related, noise])
    image = query.copy()
    image[kind == 2] = rng.randint(n, size=np.count_nonzero(kind == 2))
    if related:
        image[kind == 1] = _class_mates(query[kind == 1], _class_numbers(data), rng)
    return ClickLog(image, query, kind, (n, n))


def _class_numbers(data: PairedDataset) -> NDArray[Any]:
    if data.labels is None or data.labels.ndim != 1:
        raise ValueError(
            "clicks on related images need one class number an item; give data with labels of "
            "shape (n,), or set related=0."
        )
    return np.unique(data.labels, return_inverse=True)[1]


def _class_mates(
    items: NDArray[np.intp], labels: NDArray[Any], rng: np.random.RandomState
) -> NDArray[np.intp]:
    """Return for each item another one of its class, all of them equally likely."""
    sizes = np.bincount(labels)
    if sizes.min() < 2:
        raise ValueError(
            "a class has a single item, so no other image of it can be clicked; "
            "drop it, or set related=0."
        )
    by_class = np.argsort(labels, kind="stable")
    first = np.cumsum(sizes) - sizes  # where a class begins in by_class
    place = np.empty(len(labels), dtype=np.intp)
    place[by_class] = np.arange(len(labels))
    own = labels[items]
    step = 1 + np.floor(rng.random_sample(len(items)) * (sizes[own] - 1)).astype(np.intp)
    mates: NDArray[np.intp] = by_class[first[own] + (place[items] - first[own] + step) % sizes[own]]
    return mates
