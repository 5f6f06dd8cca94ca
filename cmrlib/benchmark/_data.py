"""The data sets of the benchmark, and their fixed test part."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from cmrlib.datasets import (
    PairedDataset,
    fetch_wikipedia,
    fetch_xmedia,
    load_emoji,
    make_gaussian_views,
    make_hidden_signal,
)

DATASETS: dict[str, Callable[[], PairedDataset]] = {
    "emoji": load_emoji,
    "wikipedia": fetch_wikipedia,
    "xmedia": fetch_xmedia,
    "hidden-signal": partial(make_hidden_signal, random_state=0),
    "gaussian-views": partial(make_gaussian_views, random_state=0),
}
TEST_SIZE = 0.25  # where the literature has no split


class Parts(NamedTuple):
    """A data set in its two parts, and what a results file says of it."""

    name: str
    train: PairedDataset
    test: PairedDataset
    facts: dict[str, Any]


def load_parts(dataset: str | PairedDataset) -> Parts:
    """Load a data set and set its test part aside.

    Raises
    ------
    ValueError
        If there is no data set of this name; the message lists the names there are.
    OSError
        If its files are missing and cannot be fetched; the message says where to put them.
    """
    if isinstance(dataset, PairedDataset):
        name, data = dataset.name, dataset
    elif dataset in DATASETS:
        name, data = dataset, DATASETS[dataset]()
    else:
        raise ValueError(f"no data set {dataset!r}; there are {', '.join(DATASETS)}.")
    # Pictures and captions play no part, and every run gets a copy of its data.
    data = replace(data, pictures=None, captions=())
    if data.test is None:
        train, test = data.split(test_size=TEST_SIZE, random_state=0)
        split = f"{TEST_SIZE:.0%} held out, random_state=0, stratified where an item has one class"
    else:
        train, test = data.split()
        split = "official"
    facts = {
        "sha256": data_hash(train, test),
        "split": split,
        "n_train": len(train),
        "n_test": len(test),
        "criterion": "R@10" if data.labels is None else "mAP@all",
    }
    return Parts(name, train, test, facts)


def data_hash(*parts: PairedDataset) -> str:
    """Return the SHA-256 over the arrays of these parts, in order: names, types, shapes, values."""
    digest = hashlib.sha256()
    for part in parts:
        for field in ("image", "text", "labels"):
            value = getattr(part, field)
            if value is None:
                continue
            array = np.ascontiguousarray(value)
            array = array.astype(array.dtype.newbyteorder("<"), copy=False)
            digest.update(f"{field} {array.dtype.str} {array.shape};".encode())
            digest.update(array.tobytes())
    return digest.hexdigest()
