"""Canonical correlation analysis and its relatives."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from cmrlib.cca.kernel import KCCA, tag_features
from cmrlib.cca.linear import CCA
from cmrlib.cca.many_views import GCCA, MCCA
from cmrlib.cca.multilabel import MLCCA, FastMLCCA
from cmrlib.cca.semantic import SCM, SM
from cmrlib.cca.streaming import StreamingCCA
from cmrlib.cca.subspaces import BLM, CFA, PLS, SymmetricBLM

if TYPE_CHECKING:
    from cmrlib.cca.deep import DCCA

__all__ = [
    "BLM",
    "CCA",
    "CFA",
    "DCCA",
    "FastMLCCA",
    "GCCA",
    "KCCA",
    "MCCA",
    "MLCCA",
    "PLS",
    "SCM",
    "SM",
    "StreamingCCA",
    "SymmetricBLM",
    "tag_features",
]

_LAZY = {"DCCA": "cmrlib.cca.deep"}  # the one module here that needs torch


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return getattr(import_module(_LAZY[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
