"""The interface of every index, and the checks of what goes in."""

from __future__ import annotations

import inspect
import os
from abc import ABC, abstractmethod
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cmrlib.search import _file
from cmrlib.search._checks import check_codes, unit_rows, whole
from cmrlib.search._file import Arrays
from cmrlib.search._topk import Result

Array = NDArray[Any]


class SearchIndex(ABC):
    """A database of encodings, searched for the closest to each query.

    Items are numbered from 0 in the order in which they are added. Three calls do all:
    :meth:`add`, :meth:`search`, and :meth:`save` with :meth:`load`.
    """

    larger_is_closer: ClassVar[bool]
    _NO_VALUE: float  # what stands where fewer than k items were found

    @abstractmethod
    def __len__(self) -> int:
        """Return the number of items."""

    @abstractmethod
    def _check(self, rows: ArrayLike, name: str) -> Array:
        """Return rows as the index keeps them, or refuse them."""

    @abstractmethod
    def _add(self, rows: Array) -> None:
        """Take in checked rows."""

    @abstractmethod
    def _search(self, queries: Array, k: int) -> Result:
        """Answer checked queries, closest first."""

    @abstractmethod
    def _state(self) -> Arrays:
        """Return the arrays that a file has to hold."""

    @abstractmethod
    def _restore(self, arrays: Arrays) -> None:
        """Take over the arrays of a file."""

    def add(self, rows: ArrayLike) -> Self:
        """Append items; they get the next numbers.

        Raises
        ------
        TypeError, ValueError
            If the rows are not what the index holds; nothing is added then.
        """
        self._add(self._check(rows, "the rows to add"))
        return self

    def search(self, queries: ArrayLike, k: int) -> Result:
        """Return the k closest items of each query.

        Parameters
        ----------
        queries : array-like
            Of the same kind and width as the items, one row a query.
        k : int

        Returns
        -------
        values : ndarray of shape (n_queries, k)
            Distances or similarities, closest first.
        ids : ndarray of int64, same shape
            The items' numbers; of equally close items the smaller number comes first. Where
            fewer than k items were found, the id is -1 and the value is one that no item can
            have: a distance of n_bits + 1, or a similarity of -infinity.

        Raises
        ------
        TypeError, ValueError
            If queries or k are not acceptable, or the index is empty.
        """
        k = whole(k, "k")
        checked = self._check(queries, "the queries")
        if len(self) == 0:
            raise ValueError("the index is empty: call add(...) first.")
        return self._search(checked, k)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the index to one file; an interrupted save leaves what was there before."""
        names = list(inspect.signature(type(self)).parameters)
        header = {
            "class": type(self).__name__,
            "items": len(self),
            "parameters": {name: getattr(self, name) for name in names},
        }
        _file.write(path, header, self._state())

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Self:
        """Read a saved index, which then answers as the one that was saved.

        ``SearchIndex.load`` reads any kind, ``HammingIndex.load`` its own kind only.

        Raises
        ------
        ValueError
            If the file is not a saved index, or is truncated, damaged or of another kind or
            version. A checksum detects damage, not intention: load files of people you trust.
        """
        header, arrays = _file.read(path)
        found = _kinds(SearchIndex).get(header.get("class", ""))
        if found is None:
            raise ValueError(f"{path} holds a {header.get('class')}, which this cmrlib has not.")
        if not issubclass(found, cls):
            raise ValueError(
                f"{path} holds a {found.__name__}, not a {cls.__name__}: "
                f"call {found.__name__}.load(path)."
            )
        index = found(**header["parameters"])
        index._restore(arrays)
        return index


def _kinds(base: type[Any]) -> dict[str, type[Any]]:
    kinds: dict[str, type[Any]] = {}
    for kind in base.__subclasses__():
        kinds |= {kind.__name__: kind, **_kinds(kind)}
    return kinds


class BinaryIndex(SearchIndex):
    """An index of packed binary codes, (n, ceil(n_bits / 8)) bytes, by Hamming distance."""

    larger_is_closer = False

    def __init__(self, n_bits: int) -> None:
        self.n_bits = whole(n_bits, "n_bits")
        self._NO_VALUE = self.n_bits + 1

    @property
    def n_bytes(self) -> int:
        """Bytes of one packed code."""
        return -(-self.n_bits // 8)

    def _check(self, rows: ArrayLike, name: str) -> NDArray[np.uint8]:
        return check_codes(rows, self.n_bits, name)


class CosineBase(SearchIndex):
    """An index of real vectors, (n, n_features), by the cosine of the angle between them."""

    larger_is_closer = True
    _NO_VALUE = -np.inf

    def __init__(self, n_features: int) -> None:
        self.n_features = whole(n_features, "n_features")

    def _check(self, rows: ArrayLike, name: str) -> NDArray[np.float32]:
        return unit_rows(rows, self.n_features, name)


class Rows:
    """Rows that grow: what is added is put together when it is first read."""

    def __init__(self, width: int, dtype: type[np.generic]) -> None:
        self._none = np.empty((0, width), dtype)
        self._parts: list[Array] = []

    def __len__(self) -> int:
        return sum(len(part) for part in self._parts)

    def append(self, rows: Array) -> None:
        """Add a copy: what the caller does to `rows` afterwards does not matter."""
        self._parts.append(rows.copy())

    @property
    def array(self) -> Array:
        """All rows as one array."""
        if len(self._parts) > 1:
            self._parts = [np.concatenate(self._parts)]
        return self._parts[0] if self._parts else self._none
