"""Image and text feature extractors."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from cmrlib.features.cache import BadItems, cached_features
from cmrlib.features.image import cnn_features
from cmrlib.features.text import sentence_features
from cmrlib.features.typos import add_typos
from cmrlib.features.visual_words import (
    BagOfVisualWords,
    color_histogram,
    dense_sift,
    gradient_histogram,
    sift,
)
from cmrlib.features.word_vectors import GloVe, Word2Vec, WordVectors, read_word_vectors

if TYPE_CHECKING:
    from cmrlib.features.networks import (
        VGG,
        AlexNet,
        ResNet,
        SmallCNN,
        build_network,
        fetch_weights,
        measure_layers,
        network_features,
    )
    from cmrlib.features.recurrent import RecurrentEncoder

__all__ = [
    "VGG",
    "AlexNet",
    "BadItems",
    "BagOfVisualWords",
    "GloVe",
    "RecurrentEncoder",
    "ResNet",
    "SmallCNN",
    "Word2Vec",
    "WordVectors",
    "add_typos",
    "build_network",
    "cached_features",
    "cnn_features",
    "color_histogram",
    "dense_sift",
    "fetch_weights",
    "gradient_histogram",
    "measure_layers",
    "network_features",
    "read_word_vectors",
    "sentence_features",
    "sift",
]

_NETWORKS = (
    "AlexNet",
    "ResNet",
    "SmallCNN",
    "VGG",
    "build_network",
    "fetch_weights",
    "measure_layers",
    "network_features",
)
_LAZY = {  # what needs torch at once
    **dict.fromkeys(_NETWORKS, "cmrlib.features.networks"),
    "RecurrentEncoder": "cmrlib.features.recurrent",
}


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return getattr(import_module(_LAZY[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
