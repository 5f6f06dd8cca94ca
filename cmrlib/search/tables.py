"""Hash tables: look a code up instead of comparing it with all others."""

from __future__ import annotations

from functools import lru_cache
from itertools import combinations
from math import comb
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from cmrlib.search._checks import whole
from cmrlib.search._file import Arrays
from cmrlib.search._index import BinaryIndex, Rows
from cmrlib.search._topk import Closest, Result, stack
from cmrlib.search.hamming import packed_hamming_distance

Array = NDArray[Any]

_ROWS_AT_ONCE = 1 << 16  # codes unpacked into single bits at a time


class _Table(NamedTuple):
    """One table in three arrays: bucket i holds ids[first[i]:first[i + 1]] under keys[i]."""

    n_bits: int
    keys: Array  # (n_buckets,) the substrings that occur, ascending
    first: Array  # (n_buckets + 1,)
    ids: Array  # (n,) ascending inside a bucket

    def ring(self, key: Array, radius: int) -> Array:
        """Return the ids whose substring differs from `key` in exactly `radius` bits."""
        if comb(self.n_bits, radius) <= len(self.keys):  # fewer probes than buckets
            probes = key ^ _masks(self.n_bits, radius)
            at = np.searchsorted(self.keys, probes)
            at = at[self.keys[np.minimum(at, len(self.keys) - 1)] == probes]
        else:
            at = np.flatnonzero(_ones(self.keys ^ key) == radius)
        if at.size == 0:
            return self.ids[:0]
        return np.concatenate([self.ids[self.first[i] : self.first[i + 1]] for i in at])


@lru_cache(maxsize=64)
def _masks(n_bits: int, radius: int) -> Array:
    """Return all words of `n_bits` bits of which `radius` are set."""
    chosen = combinations([1 << bit for bit in range(n_bits)], radius)
    return np.fromiter((sum(bits) for bits in chosen), np.uint64, comb(n_bits, radius))


def _ones(words: Array) -> Array:
    packed = words.view(np.uint8).reshape(-1, 8)
    return packed_hamming_distance(np.zeros((1, 8), np.uint8), packed, 64)[0]


class HashTables(BinaryIndex):
    """Hash tables on substrings of the codes, probed around the query: multi-index hashing.

    A code is cut into `n_tables` substrings, and each table files the items under one of them. A
    search opens, in every table, the buckets whose substring differs from the query's in at most
    `radius` bits, and compares the query with the codes found there.

    By the pigeonhole principle, a code within distance n_tables (radius + 1) - 1 of the query
    agrees with it in at least one substring up to `radius` bits. So up to that distance nothing is
    missed; beyond it, items are found by luck.

    Parameters
    ----------
    n_bits : int
        Width of the codes; they are added packed.
    n_tables : int, default=1
        Number of substrings, none longer than 64 bits. With one table, the search returns the
        codes in the Hamming ball around the query and nothing else.
    radius : int or None, default=2
        Largest difference of substrings that is looked up. None widens it for each query until
        no item outside the open buckets can be among the k closest: the answer is exact.

    Attributes
    ----------
    n_compared_ : ndarray of shape (n_queries,)
        How many codes the last search compared with each query.

    References
    ----------
    M. Norouzi, A. Punjani, D. Fleet, "Fast exact search in Hamming space with multi-index
    hashing", IEEE TPAMI 36 (2014).

    Notes
    -----
    The paper widens one table at a time; here all tables are widened together. A table is a sorted
    array of keys, searched by bisection, and where a ball holds more substrings than the table has
    buckets, the keys are compared instead of probed. Beside the codes, each table takes 8 bytes
    an item and 16 a bucket. Tables are not saved: the codes are filed again after loading.

    Examples
    --------
    >>> import numpy as np
    >>> from cmrlib.search import HashTables
    >>> codes = np.packbits([[0, 0, 0, 0], [0, 0, 0, 1], [0, 1, 1, 1], [1, 1, 1, 1]], axis=1)
    >>> index = HashTables(n_bits=4, n_tables=2, radius=0).add(codes)
    >>> index.search(codes[:1], k=3)  # 0111 and 1111 share neither half with 0000
    (array([[0, 1, 5]], dtype=int32), array([[ 0,  1, -1]]))
    """

    def __init__(self, n_bits: int, n_tables: int = 1, radius: int | None = 2) -> None:
        super().__init__(n_bits)
        self.n_tables = whole(n_tables, "n_tables")
        self.radius = None if radius is None else whole(radius, "radius", least=0)
        if n_tables > n_bits:
            raise ValueError(f"n_tables={n_tables} substrings need at least as many bits.")
        if n_bits > 64 * n_tables:
            least = -(-n_bits // 64)
            raise ValueError(
                f"substrings may have 64 bits at most: {n_bits} bits need n_tables >= {least}."
            )
        self._edges = [i * n_bits // n_tables for i in range(n_tables + 1)]
        self._rows = Rows(self.n_bytes, np.uint8)
        self._tables: list[_Table] = []

    def __len__(self) -> int:
        return len(self._rows)

    def _add(self, rows: Array) -> None:
        self._rows.append(rows)
        self._tables = []  # filed again when they are next needed

    def _substrings(self, codes: Array) -> Array:
        """Return the substrings as numbers, (n_tables, n)."""
        keys = np.empty((self.n_tables, len(codes)), np.uint64)
        for start in range(0, len(codes), _ROWS_AT_ONCE):
            part = slice(start, start + _ROWS_AT_ONCE)
            bits = np.unpackbits(codes[part], axis=1)
            for t, (left, right) in enumerate(zip(self._edges, self._edges[1:], strict=False)):
                padded = np.zeros((len(bits), 64), np.uint8)
                padded[:, 64 - (right - left) :] = bits[:, left:right]
                keys[t, part] = np.packbits(padded, axis=1).view(">u8")[:, 0]
        return keys

    def _file_codes(self) -> list[_Table]:
        tables = []
        for t, keys in enumerate(self._substrings(self._rows.array)):
            ids = np.argsort(keys, kind="stable")
            present, first = np.unique(keys[ids], return_index=True)
            n_bits = self._edges[t + 1] - self._edges[t]
            tables.append(_Table(n_bits, present, np.append(first, len(ids)), ids))
        return tables

    def _closest(self, query: Array, keys: Array, k: int) -> tuple[Closest, int]:
        """Return the closest codes found for one query, and how many it was compared with."""
        widest = max(table.n_bits for table in self._tables)
        radius = widest if self.radius is None else min(self.radius, widest)
        codes, ids = self._rows.array, np.empty(0, np.int64)
        for r in range(radius + 1):
            rings = [
                table.ring(key, r)
                for table, key in zip(self._tables, keys, strict=True)
                if r <= table.n_bits
            ]
            ids = np.unique(np.concatenate([ids, *rings]))
            if self.radius is None or r == radius:
                best = Closest(k, np.int32)
                best.offer(packed_hamming_distance(query[None], codes[ids], self.n_bits)[0], ids)
                complete = self.n_tables * (r + 1) - 1  # nothing up to that distance is missed
                if best.result(self._NO_VALUE)[0][-1] <= complete:
                    break
        return best, len(ids)

    def _search(self, queries: Array, k: int) -> Result:
        self._tables = self._tables or self._file_codes()
        found = [
            self._closest(query, keys, k)
            for query, keys in zip(queries, self._substrings(queries).T, strict=True)
        ]
        self.n_compared_ = np.array([n for _, n in found], np.int64)
        return stack([best for best, _ in found], k, np.int32, self._NO_VALUE)

    def _state(self) -> Arrays:
        return {"codes": self._rows.array}

    def _restore(self, arrays: Arrays) -> None:
        self.add(arrays["codes"])
