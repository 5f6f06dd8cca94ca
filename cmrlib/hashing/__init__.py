"""Hashing: codes of a few bits, compared by Hamming distance."""

from cmrlib.hashing.alternating import Alternation, block_gradient

__all__ = [
    "Alternation",
    "block_gradient",
]
