"""Canonical correlation analysis and its relatives."""

from cmrlib.cca.linear import CCA
from cmrlib.cca.many_views import GCCA, MCCA
from cmrlib.cca.multilabel import MLCCA, FastMLCCA
from cmrlib.cca.semantic import SCM, SM
from cmrlib.cca.streaming import StreamingCCA
from cmrlib.cca.subspaces import BLM, CFA, PLS, SymmetricBLM

__all__ = [
    "BLM",
    "CCA",
    "CFA",
    "FastMLCCA",
    "GCCA",
    "MCCA",
    "MLCCA",
    "PLS",
    "SCM",
    "SM",
    "StreamingCCA",
    "SymmetricBLM",
]
