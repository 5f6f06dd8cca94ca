"""Canonical correlation analysis and its relatives."""

from cmrlib.cca.linear import CCA

__all__ = ["CCA"]
