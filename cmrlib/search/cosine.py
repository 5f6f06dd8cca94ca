"""Exact search among real vectors by cosine: all products, block by block."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from cmrlib.search._file import Arrays
from cmrlib.search._index import CosineBase, Rows
from cmrlib.search._topk import Closest, Result, stack

Array = NDArray[Any]

_BLOCK_ROWS = 8192
_QUERIES_AT_ONCE = 256  # times a block's rows: the similarities held at a time, 16 MB


class CosineIndex(CosineBase):
    """Exact search by cosine, in NumPy alone; unit rows are kept in float32.

    Parameters
    ----------
    n_features : int
        Width of the vectors. They may have any length; a row of zeros has cosine 0 with all.

    Notes
    -----
    Products are summed in float64 and rounded to float32. Equal rows therefore get equal cosines
    wherever they stand in the database, which a sum in float32 does not promise.

    Examples
    --------
    >>> from cmrlib.search import CosineIndex
    >>> index = CosineIndex(n_features=2).add([[1, 0], [3, 4], [0, 5]])
    >>> index.search([[0, 1]], k=2)
    (array([[1. , 0.8]], dtype=float32), array([[2, 1]]))
    """

    def __init__(self, n_features: int) -> None:
        super().__init__(n_features)
        self._rows = Rows(self.n_features, np.float32)

    def __len__(self) -> int:
        return len(self._rows)

    def _add(self, rows: Array) -> None:
        self._rows.append(rows)

    def _search(self, queries: Array, k: int) -> Result:
        rows = self._rows.array
        closest = [Closest(k, np.float32) for _ in queries]
        for first in range(0, len(queries), _QUERIES_AT_ONCE):
            part = slice(first, first + _QUERIES_AT_ONCE)
            Q = -queries[part].astype(np.float64)  # keys: the smallest is the closest
            for start in range(0, len(rows), _BLOCK_ROWS):
                block = rows[start : start + _BLOCK_ROWS].astype(np.float64)
                keys = (Q @ block.T).astype(np.float32)
                for row, found in zip(keys, closest[part], strict=True):
                    found.offer(row, start)
        keys, ids = stack(closest, k, np.float32, np.inf)
        return 0 - keys, ids  # not -keys, which makes -0 of a 0

    def _state(self) -> Arrays:
        return {"rows": self._rows.array}

    def _restore(self, arrays: Arrays) -> None:
        self._add(arrays["rows"])  # unit length already; dividing again would round again
