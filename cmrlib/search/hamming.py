"""Exact search among packed binary codes: exclusive or, count the ones, keep the k smallest."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cmrlib.search._checks import check_codes, whole
from cmrlib.search._file import Arrays
from cmrlib.search._index import BinaryIndex, Rows
from cmrlib.search._topk import Closest, Result, stack

Array = NDArray[Any]

_BLOCK_BYTES = 1 << 18  # codes of one block: they and the scratch beside them stay in the cache
_ONES_OF_16_BITS = np.array([bin(i).count("1") for i in range(1 << 16)], np.uint8)


def _count_ones(words: Array, out: NDArray[np.uint8]) -> None:
    """Write the number of set bits of each word (b,) to `out`."""
    if hasattr(np, "bitwise_count"):  # NumPy 2
        np.bitwise_count(words, out=out)
        return
    halves = words.view(np.uint16) if words.itemsize > 1 else words
    _ONES_OF_16_BITS[halves].reshape(len(words), -1).sum(axis=1, dtype=np.uint8, out=out)


def _as_words(codes: Array) -> Array:
    """View rows of bytes as rows of the largest integers that divide them."""
    size = next(size for size in (8, 4, 2, 1) if codes.shape[1] % size == 0)
    return codes.view(f"u{size}")


def _distances(query: Array, columns: Array, scratch: Array, ones: Array, total: Array) -> Array:
    """Return the distances of a query (w,) to a block held word by word, (w, b)."""
    for j, word in enumerate(query):
        np.bitwise_xor(columns[j], word, out=scratch)
        if len(query) == 1:
            _count_ones(scratch, ones)
            return ones
        _count_ones(scratch, ones)
        np.add(total, ones, out=total) if j else np.copyto(total, ones)
    return total


def packed_hamming_distance(queries: ArrayLike, codes: ArrayLike, n_bits: int) -> NDArray[np.int32]:
    """Return all Hamming distances between packed codes, (n_queries, n).

    For a database too large for such a matrix there is :func:`hamming_top_k`.

    Examples
    --------
    >>> import numpy as np
    >>> from cmrlib.search import packed_hamming_distance
    >>> codes = np.packbits([[1, 0, 1, 1], [0, 0, 0, 1]], axis=1)
    >>> packed_hamming_distance(codes, codes, n_bits=4)
    array([[0, 2],
           [2, 0]], dtype=int32)
    """
    A, B = check_codes(queries, n_bits, "queries"), check_codes(codes, n_bits)
    D = np.zeros((len(A), len(B)), np.int32)
    ones = np.empty(len(B), np.uint8)
    columns = np.ascontiguousarray(_as_words(B).T)
    for row, query in zip(D, _as_words(A), strict=True):
        for word, column in zip(query, columns, strict=True):
            _count_ones(np.bitwise_xor(column, word), ones)
            row += ones
    return D


def hamming_top_k(queries: ArrayLike, codes: ArrayLike, n_bits: int, k: int) -> Result:
    """Return the k codes closest to each query, exactly.

    The database is read block by block, once for all queries; beside it the search needs a few
    blocks of memory, so `codes` may be a memory map that is larger than the memory.

    Parameters
    ----------
    queries, codes : array-like of uint8, shapes (n_queries, n_bytes) and (n, n_bytes)
        Packed, as from ``HashModel.pack``.
    n_bits : int
    k : int

    Returns
    -------
    distances : ndarray of int32, shape (n_queries, k)
    ids : ndarray of int64, same shape
        Closest first, of equal distances the smaller id first; distance n_bits + 1 and id -1
        where there are fewer than k codes.

    Raises
    ------
    TypeError, ValueError
        If codes are not packed or have the wrong width.
    """
    k, n_bits = whole(k, "k"), whole(n_bits, "n_bits")
    Q = check_codes(queries, n_bits, "queries")
    return _top_k(Q, check_codes(codes, n_bits), n_bits, k)


def _top_k(queries: Array, codes: Array, n_bits: int, k: int) -> Result:
    closest = [Closest(k, np.int32) for _ in queries]
    Q, words = _as_words(queries), _as_words(codes)
    step = max(1, _BLOCK_BYTES // codes.shape[1])
    for start in range(0, len(words), step):
        columns = np.ascontiguousarray(words[start : start + step].T)  # (w, b)
        b = columns.shape[1]
        scratch, ones, total = np.empty(b, words.dtype), np.empty(b, np.uint8), np.empty(b, "u2")
        for query, found in zip(Q, closest, strict=True):
            found.offer(_distances(query, columns, scratch, ones, total), start)
    return stack(closest, k, np.int32, n_bits + 1)


class HammingIndex(BinaryIndex):
    """Exact search by Hamming distance, in NumPy alone.

    Parameters
    ----------
    n_bits : int
        Width of the codes; they are added packed, (n, ceil(n_bits / 8)) bytes.

    Examples
    --------
    >>> import numpy as np
    >>> from cmrlib.search import HammingIndex
    >>> codes = np.packbits([[1, 1, 1], [0, 0, 1], [1, 1, 0]], axis=1)
    >>> distances, ids = HammingIndex(n_bits=3).add(codes).search(codes[:1], k=2)
    >>> distances, ids
    (array([[0, 1]], dtype=int32), array([[0, 2]]))
    """

    def __init__(self, n_bits: int) -> None:
        super().__init__(n_bits)
        self._rows = Rows(self.n_bytes, np.uint8)

    def __len__(self) -> int:
        return len(self._rows)

    def _add(self, rows: Array) -> None:
        self._rows.append(rows)

    def _search(self, queries: Array, k: int) -> Result:
        return _top_k(queries, self._rows.array, self.n_bits, k)

    def _state(self) -> Arrays:
        return {"codes": self._rows.array}

    def _restore(self, arrays: Arrays) -> None:
        self.add(arrays["codes"])
