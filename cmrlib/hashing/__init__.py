"""Hashing: codes of a few bits, compared by Hamming distance."""

from cmrlib.hashing.alternating import Alternation, block_gradient
from cmrlib.hashing.discrete import MTFH, SCRATCH
from cmrlib.hashing.streaming import ROHLSE

__all__ = [
    "MTFH",
    "ROHLSE",
    "SCRATCH",
    "Alternation",
    "block_gradient",
]
