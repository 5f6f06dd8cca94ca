"""What is known about each data set, read from ``facts.toml``."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files


@dataclass(frozen=True)
class DatasetFacts:
    """Facts of one data set.

    Attributes
    ----------
    name, title, loader : str
        Short name and folder; full name; function of :mod:`cmrlib.datasets` that loads it.
    items, classes : int
        Pairs in the whole distribution; number of classes.
    image, text : str
        What the two sides are.
    labels : str
        "one" or "several" classes per item.
    split, used : str
        The authors' own train / test split, "" if none; splits and subsets in the literature.
    licence, citation, paper : str
        `paper` is the key in the book's bibliography.
    get, layout : str
        What to fetch and where to put it; the folder that the loader expects.
    good_for, hides : str
    """

    name: str
    title: str
    loader: str
    items: int
    image: str
    text: str
    classes: int
    labels: str
    split: str
    used: str
    licence: str
    citation: str
    paper: str
    get: str
    layout: str
    good_for: str
    hides: str


@lru_cache(maxsize=1)
def dataset_facts() -> dict[str, DatasetFacts]:
    """Return the facts of every data set that has a loader, by name.

    Examples
    --------
    >>> from cmrlib.datasets import dataset_facts
    >>> dataset_facts()["pascal_voc"].split
    '5,011 / 4,952'
    """
    text = (files("cmrlib.datasets") / "facts.toml").read_text(encoding="utf-8")
    return {row["name"]: DatasetFacts(**row) for row in tomllib.loads(text)["dataset"]}
