"""Paired image-text data: one embedded set, generated ones with known truth, and benchmarks."""

from cmrlib.datasets._dataset import PairedDataset
from cmrlib.datasets.emoji import load_emoji
from cmrlib.datasets.synthetic import make_gaussian_views, make_hidden_signal
from cmrlib.datasets.wikipedia import fetch_wikipedia

__all__ = [
    "PairedDataset",
    "fetch_wikipedia",
    "load_emoji",
    "make_gaussian_views",
    "make_hidden_signal",
]
