"""Search in large databases of encodings: exact, by hash table, with FAISS, on many machines.

Every index has the same calls: ``add``, ``search``, ``save`` and ``load``.
``cmrlib.search.distributed`` spreads a database over processes or machines.
"""

from cmrlib.search._index import SearchIndex
from cmrlib.search._topk import merge_top_k
from cmrlib.search.cosine import CosineIndex
from cmrlib.search.faiss_indexes import (
    FaissCosine,
    FaissCosineHNSW,
    FaissCosineIVF,
    FaissHamming,
    FaissHammingHNSW,
    FaissHammingIVF,
)
from cmrlib.search.hamming import HammingIndex, hamming_top_k, packed_hamming_distance
from cmrlib.search.tables import HashTables

__all__ = [
    "CosineIndex",
    "FaissCosine",
    "FaissCosineHNSW",
    "FaissCosineIVF",
    "FaissHamming",
    "FaissHammingHNSW",
    "FaissHammingIVF",
    "HammingIndex",
    "HashTables",
    "SearchIndex",
    "packed_hamming_distance",
    "hamming_top_k",
    "merge_top_k",
]
