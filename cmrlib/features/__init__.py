"""Image and text feature extractors."""

from cmrlib.features.image import cnn_features
from cmrlib.features.text import sentence_features

__all__ = ["cnn_features", "sentence_features"]
