"""FAISS behind the calls of :class:`SearchIndex`; needs ``pip install 'cmrlib[search]'``.

Three ways to search, each for codes (Hamming) and for real vectors (cosine):

* *flat* compares with everything, exactly;
* *IVF*, an inverted file, clusters the items once and compares with the clusters near the query;
* *HNSW*, a graph of neighbours, walks towards the query from item to item.

Which of several items at the same distance as the k-th are returned is up to FAISS; inside an
answer the smaller id comes first, as everywhere.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

from numpy.typing import NDArray

from cmrlib.search._checks import whole
from cmrlib.search._file import Arrays
from cmrlib.search._index import BinaryIndex, CosineBase, SearchIndex
from cmrlib.search._topk import Result, by_key_then_id

Array = NDArray[Any]


def _import_faiss() -> Any:
    try:
        import faiss
    except ImportError as error:
        raise ImportError(
            "FAISS is not installed: pip install 'cmrlib[search]', or use HammingIndex, "
            "CosineIndex or HashTables, which need NumPy only."
        ) from error
    return faiss


class _FaissIndex(SearchIndex):
    """What all six share: hand over rows, sort ties, and pass FAISS's own bytes to the file."""

    _native: Any

    @abstractmethod
    def _build(self) -> Any:
        """Return an empty native index."""

    def _tune(self) -> None:
        """Hand the parameters of a search, which may have been changed, to the native index."""

    def __len__(self) -> int:
        return int(self._native.ntotal)

    def _add(self, rows: Array) -> None:
        self._native.add(rows)

    def _search(self, queries: Array, k: int) -> Result:
        self._tune()
        values, ids = self._native.search(queries, k)
        values[ids < 0] = self._NO_VALUE
        sign = -1 if self.larger_is_closer else 1
        keys, ids = by_key_then_id(sign * values, ids, k)
        return sign * keys, ids


class _FaissBinary(_FaissIndex, BinaryIndex):
    def __init__(self, n_bits: int) -> None:
        super().__init__(n_bits)
        self._native = self._build()

    def _state(self) -> Arrays:
        return {"faiss": _import_faiss().serialize_index_binary(self._native)}

    def _restore(self, arrays: Arrays) -> None:
        self._native = _import_faiss().deserialize_index_binary(arrays["faiss"])


class _FaissCosine(_FaissIndex, CosineBase):
    def __init__(self, n_features: int) -> None:
        super().__init__(n_features)
        self._native = self._build()

    def _state(self) -> Arrays:
        return {"faiss": _import_faiss().serialize_index(self._native)}

    def _restore(self, arrays: Arrays) -> None:
        self._native = _import_faiss().deserialize_index(arrays["faiss"])


class _IVF(_FaissIndex):
    """Clusters are learnt from the rows of the first ``add``, which should be typical."""

    n_lists: int
    n_probe: int

    def _add(self, rows: Array) -> None:
        if not self._native.is_trained:
            if len(rows) < self.n_lists:
                raise ValueError(
                    f"n_lists={self.n_lists} clusters are learnt from the first add, which has "
                    f"only {len(rows)} rows: add more at once, or lower n_lists."
                )
            self._native.cp.min_points_per_centroid = 1  # no warning for small clusters
            self._native.train(rows)
        super()._add(rows)

    def _tune(self) -> None:
        self._native.nprobe = whole(self.n_probe, "n_probe")


class _HNSW(_FaissIndex):
    n_links: int
    ef_construction: int
    ef_search: int

    def _add(self, rows: Array) -> None:
        self._native.hnsw.efConstruction = self.ef_construction
        super()._add(rows)

    def _tune(self) -> None:
        self._native.hnsw.efSearch = whole(self.ef_search, "ef_search")


class FaissHamming(_FaissBinary):
    """Exact search by Hamming distance with FAISS (``IndexBinaryFlat``).

    Parameters
    ----------
    n_bits : int
    """

    def _build(self) -> Any:
        return _import_faiss().IndexBinaryFlat(8 * self.n_bytes)


class FaissHammingIVF(_IVF, _FaissBinary):
    """Approximate search by Hamming distance in the clusters near the query (``IndexBinaryIVF``).

    Parameters
    ----------
    n_bits : int
    n_lists : int, default=100
        Number of clusters, learnt from the rows of the first ``add``.
    n_probe : int, default=10
        Clusters that a search looks into; with all of them it is exact. May be changed later.
    """

    def __init__(self, n_bits: int, n_lists: int = 100, n_probe: int = 10) -> None:
        self.n_lists, self.n_probe = whole(n_lists, "n_lists"), whole(n_probe, "n_probe")
        super().__init__(n_bits)

    def _build(self) -> Any:
        faiss, bits = _import_faiss(), 8 * self.n_bytes
        return faiss.IndexBinaryIVF(faiss.IndexBinaryFlat(bits), bits, self.n_lists)


class FaissHammingHNSW(_HNSW, _FaissBinary):
    """Approximate search by Hamming distance in a graph of neighbours (``IndexBinaryHNSW``).

    Parameters
    ----------
    n_bits : int
    n_links : int, default=16
        Neighbours that an item is linked to.
    ef_construction, ef_search : int, default=40
        Candidates kept while inserting, and while searching: more find more, and take longer.
        ``ef_search`` may be changed later.
    """

    def __init__(
        self, n_bits: int, n_links: int = 16, ef_construction: int = 40, ef_search: int = 40
    ) -> None:
        self.n_links = whole(n_links, "n_links", least=2)
        self.ef_construction = whole(ef_construction, "ef_construction")
        self.ef_search = whole(ef_search, "ef_search")
        super().__init__(n_bits)

    def _build(self) -> Any:
        return _import_faiss().IndexBinaryHNSW(8 * self.n_bytes, self.n_links)


class FaissCosine(_FaissCosine):
    """Exact search by cosine with FAISS (``IndexFlatIP`` on unit rows, float32).

    Parameters
    ----------
    n_features : int
    """

    def _build(self) -> Any:
        return _import_faiss().IndexFlatIP(self.n_features)


class FaissCosineIVF(_IVF, _FaissCosine):
    """Approximate search by cosine in the clusters near the query (``IndexIVFFlat``).

    Parameters
    ----------
    n_features : int
    n_lists : int, default=100
        Number of clusters, learnt from the rows of the first ``add``.
    n_probe : int, default=10
        Clusters that a search looks into; with all of them it is exact. May be changed later.
    """

    def __init__(self, n_features: int, n_lists: int = 100, n_probe: int = 10) -> None:
        self.n_lists, self.n_probe = whole(n_lists, "n_lists"), whole(n_probe, "n_probe")
        super().__init__(n_features)

    def _build(self) -> Any:
        faiss, p = _import_faiss(), self.n_features
        coarse = faiss.IndexFlatIP(p)
        native = faiss.IndexIVFFlat(coarse, p, self.n_lists, faiss.METRIC_INNER_PRODUCT)
        native.cp.spherical = True  # centres are compared by cosine, so they have length 1
        return native


class FaissCosineHNSW(_HNSW, _FaissCosine):
    """Approximate search by cosine in a graph of neighbours (``IndexHNSWFlat``).

    Parameters
    ----------
    n_features : int
    n_links : int, default=16
        Neighbours that an item is linked to.
    ef_construction, ef_search : int, default=40
        Candidates kept while inserting, and while searching: more find more, and take longer.
        ``ef_search`` may be changed later.
    """

    def __init__(
        self, n_features: int, n_links: int = 16, ef_construction: int = 40, ef_search: int = 40
    ) -> None:
        self.n_links = whole(n_links, "n_links", least=2)
        self.ef_construction = whole(ef_construction, "ef_construction")
        self.ef_search = whole(ef_search, "ef_search")
        super().__init__(n_features)

    def _build(self) -> Any:
        faiss = _import_faiss()
        return faiss.IndexHNSWFlat(self.n_features, self.n_links, faiss.METRIC_INNER_PRODUCT)
