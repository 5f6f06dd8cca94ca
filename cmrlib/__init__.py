"""Image-text cross-modal retrieval: one tested class per method, under one API.

The subpackages are imported on first use, so that ``import cmrlib`` returns at once:

``cmrlib.datasets``     paired image-text data (``load_emoji`` works offline)
``cmrlib.features``     image and text feature extractors
``cmrlib.cca``          canonical correlation analysis and its relatives
``cmrlib.realvalued``   deep models: autoencoders, ranking, adversarial, contrastive
``cmrlib.training``     the one training loop of the deep models
``cmrlib.hashing``      binary codes: spectral, quantisation, factorisation, discrete, streaming
``cmrlib.evaluation``   ranking metrics with declared cut-offs, denominators and tie rules
``cmrlib.plotting``     retrieval galleries, precision-recall curves, similarity maps
``cmrlib.search``       exact, hashed, FAISS and distributed search of encodings
``cmrlib.benchmark``    all methods under one protocol; ``python -m cmrlib.benchmark``
``cmrlib.exercises``    checks for the exercises of the book
``cmrlib.catalog``      the list of methods
"""

from importlib import import_module
from types import ModuleType

__version__ = "0.1.0"

_SUBMODULES = (
    "base",
    "benchmark",
    "catalog",
    "cca",
    "datasets",
    "evaluation",
    "exercises",
    "features",
    "hashing",
    "plotting",
    "realvalued",
    "search",
    "training",
)


def __getattr__(name: str) -> ModuleType:
    if name in _SUBMODULES:
        return import_module(f"cmrlib.{name}")
    raise AttributeError(f"module 'cmrlib' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *_SUBMODULES])
