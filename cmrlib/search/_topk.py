"""The k closest of a stream of items, with a declared order of ties."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cmrlib.search._checks import whole

Array = NDArray[Any]
Result = tuple[Array, NDArray[np.int64]]
NO_ITEM = -1  # the id where fewer than k items were found


class Closest:
    """The k smallest keys that were offered to one query; of equal keys, those offered first.

    Offer ids in ascending order, and the smaller id wins every tie. ``bound`` is the key from
    which on an item cannot enter any more: comparing with it discards nearly everything.
    """

    def __init__(self, k: int, dtype: type[np.generic]) -> None:
        self.k = k
        self.bound: float = np.inf
        self._keys, self._ids = np.empty(0, dtype), np.empty(0, np.int64)
        self._waiting: list[tuple[Array, Array]] = []
        self._n_waiting = 0

    def offer(self, keys: Array, ids: Array | int) -> None:
        """Take in items: their keys (b,), and their ids (b,) or the first of consecutive ids."""
        new = np.flatnonzero(keys < self.bound)
        if new.size == 0:
            return
        chosen = new + ids if isinstance(ids, int) else ids[new]
        self._waiting.append((keys[new].astype(self._keys.dtype), chosen))
        self._n_waiting += new.size
        if self._n_waiting >= self.k:  # seldom: the bound lets few through
            self._merge()

    def _merge(self) -> None:
        keys = np.concatenate([self._keys, *(keys for keys, _ in self._waiting)])
        ids = np.concatenate([self._ids, *(ids for _, ids in self._waiting)])
        self._waiting, self._n_waiting = [], 0
        if len(keys) > self.k:
            candidates = np.flatnonzero(keys <= np.partition(keys, self.k - 1)[self.k - 1])
            keys, ids = keys[candidates], ids[candidates]
        order = np.argsort(keys, kind="stable")[: self.k]
        self._keys, self._ids = keys[order], ids[order]
        if len(order) == self.k:
            self.bound = self._keys[-1]

    def result(self, no_key: float) -> Result:
        """Return keys and ids, closest first, filled up to k with `no_key` and `NO_ITEM`."""
        self._merge()
        missing = self.k - len(self._keys)
        keys = np.pad(self._keys, (0, missing), constant_values=no_key)
        return keys, np.pad(self._ids, (0, missing), constant_values=NO_ITEM)


def stack(closest: Sequence[Closest], k: int, dtype: type[np.generic], no_key: float) -> Result:
    """Return the results of all queries as two arrays (n_queries, k)."""
    keys = np.empty((len(closest), k), dtype)
    ids = np.empty((len(closest), k), np.int64)
    for row, found in enumerate(closest):
        keys[row], ids[row] = found.result(no_key)
    return keys, ids


def by_key_then_id(keys: Array, ids: Array, k: int) -> Result:
    """Sort each row by key, ties by id, and cut at k; missing items have the largest key."""
    order = np.lexsort((ids, keys), axis=-1)[:, :k]
    rows = np.arange(len(keys))[:, None]
    return keys[rows, order], ids[rows, order]


def merge_top_k(parts: Sequence[Result], k: int, *, larger_is_closer: bool = False) -> Result:
    """Merge what several parts of a database answered to the same queries.

    The k closest of the whole are among the k closest of each part, so nothing else has to
    travel.

    Parameters
    ----------
    parts : sequence of (values, ids)
        Two arrays (n_queries, k) each; ids are those of the whole database, -1 where a part had
        fewer than k items.
    k : int
    larger_is_closer : bool, default=False
        False for distances, True for similarities.

    Returns
    -------
    values, ids : ndarray of shape (n_queries, k)
        Closest first; of equal values the smaller id first.

    Examples
    --------
    >>> import numpy as np
    >>> from cmrlib.search import merge_top_k
    >>> left = (np.array([[1, 4]]), np.array([[0, 2]]))
    >>> right = (np.array([[1, 2]]), np.array([[9, 7]]))
    >>> merge_top_k([left, right], 3)
    (array([[1, 1, 2]]), array([[0, 9, 7]]))
    """
    k = whole(k, "k")
    values = np.concatenate([values for values, _ in parts], axis=1)
    ids = np.concatenate([ids for _, ids in parts], axis=1)
    if values.shape[1] < k:
        raise ValueError(f"the parts hold {values.shape[1]} answers a query; k={k} are asked for.")
    keys, ids = by_key_then_id(-values if larger_is_closer else values, ids, k)
    return (-keys if larger_is_closer else keys), ids
