"""Paired image-text data: one embedded set, generated ones with known truth, and benchmarks."""

from cmrlib.datasets._dataset import PairedDataset
from cmrlib.datasets._facts import DatasetFacts, dataset_facts
from cmrlib.datasets.clicks import ClickLog, make_clicks
from cmrlib.datasets.coco import fetch_coco
from cmrlib.datasets.emoji import load_emoji
from cmrlib.datasets.emoji_names import emoji_names
from cmrlib.datasets.mirflickr import fetch_mirflickr
from cmrlib.datasets.nuswide import fetch_nuswide
from cmrlib.datasets.pascal_voc import fetch_pascal_voc
from cmrlib.datasets.scenes import (
    Clips,
    Probe,
    ProbeScore,
    Scenes,
    make_clips,
    make_probe,
    make_scenes,
    score_probe,
)
from cmrlib.datasets.synthetic import make_gaussian_views, make_hidden_signal
from cmrlib.datasets.wikipedia import fetch_wikipedia
from cmrlib.datasets.xmedia import fetch_xmedia

__all__ = [
    "ClickLog",
    "Clips",
    "DatasetFacts",
    "PairedDataset",
    "Probe",
    "ProbeScore",
    "Scenes",
    "dataset_facts",
    "emoji_names",
    "fetch_coco",
    "fetch_mirflickr",
    "fetch_nuswide",
    "fetch_pascal_voc",
    "fetch_wikipedia",
    "fetch_xmedia",
    "load_emoji",
    "make_clicks",
    "make_clips",
    "make_gaussian_views",
    "make_hidden_signal",
    "make_probe",
    "make_scenes",
    "score_probe",
]
