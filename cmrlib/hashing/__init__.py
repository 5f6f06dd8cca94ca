"""Hashing: codes of a few bits, compared by Hamming distance."""

from cmrlib.alternating import Alternation, block_gradient
from cmrlib.hashing._graphs import Graph, knn_graph, label_factor
from cmrlib.hashing.codes import (
    CCAITQ,
    CCASign,
    PCASign,
    RandomHyperplanes,
    bit_balance,
    bit_correlation,
    quantization_error,
)
from cmrlib.hashing.discrete import MTFH, SCRATCH
from cmrlib.hashing.factorization import CMFH, FSCMFH, SMFH
from cmrlib.hashing.label_factorization import LCMF, LCMFH
from cmrlib.hashing.quantization import ACQ, IMVH, QCH
from cmrlib.hashing.spectral import CMSSH, CVH, SRCH
from cmrlib.hashing.streaming import ROHLSE

__all__ = [
    "ACQ",
    "CCAITQ",
    "CMFH",
    "CMSSH",
    "CVH",
    "FSCMFH",
    "IMVH",
    "LCMF",
    "LCMFH",
    "MTFH",
    "QCH",
    "ROHLSE",
    "SCRATCH",
    "SMFH",
    "SRCH",
    "Alternation",
    "CCASign",
    "Graph",
    "PCASign",
    "RandomHyperplanes",
    "bit_balance",
    "bit_correlation",
    "block_gradient",
    "knn_graph",
    "label_factor",
    "quantization_error",
]
