"""NUS-WIDE, the field's large data set: Flickr photographs, their tags and 81 concepts."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from cmrlib.datasets._dataset import PairedDataset
from cmrlib.datasets._files import (
    Array,
    Distribution,
    Features,
    Folder,
    Keep,
    PictureFiles,
    features,
    kept_items,
    read_lines,
    read_numbers,
)

LOW_LEVEL = {
    "BoW_int": 500,  # SIFT words
    "Normalized_CH": 64,  # colour histogram
    "Normalized_CORR": 144,  # colour correlogram
    "Normalized_EDH": 73,  # edge direction histogram
    "Normalized_WT": 128,  # wavelet texture
    "Normalized_CM55": 225,  # block-wise colour moments
}


def fetch_nuswide(
    data_folder: Folder = None,
    *,
    n_concepts: int | None = None,
    keep: Keep = "labelled",
    image_features: Features = "BoW_int",
    captions: bool = False,
) -> PairedDataset:
    """Read NUS-WIDE: 269,648 Flickr photographs, their tags as 0/1 vectors, 81 concepts.

    Nothing is downloaded: the distribution is several archives (see
    :func:`cmrlib.datasets.dataset_facts`). ``split()`` gives the authors' 161,789 training and
    107,859 test pictures, as far as `keep` keeps them.

    Parameters
    ----------
    data_folder : path, optional
        Where the folder ``nuswide`` is; $CMRLIB_DATA by default, or else ~/.cache/cmrlib.
    n_concepts : int, optional
        Only so many concepts, those of the most pictures; all by default. The literature's subsets
        are 10 (186,577 labelled pictures) and 21 (195,834).
    keep : {"labelled", "all", "complete"}, default="labelled"
        All pictures; those with one of these concepts; or those that have one of the 1,000 tags
        as well, because an empty tag vector says nothing. Papers do not always say which.
    image_features : str, path, array or callable, default="BoW_int"
        One of the low-level features, "BoW_int" (SIFT words, 500-d), "Normalized_CH" (64),
        "Normalized_CORR" (144), "Normalized_EDH" (73), "Normalized_WT" (128) or
        "Normalized_CM55" (225). Or features of your own: an array or .npy file with one row for
        each picture of ImageList/Imagelist.txt, or a function such as
        :func:`cmrlib.features.cnn_features` that is given the kept pictures. None leaves
        ``image`` empty, (n, 0).
    captions : bool, default=False
        Also read NUS_WID_Tags/All_Tags.txt: the caption of a picture is all its tags.

    Returns
    -------
    PairedDataset
        ``text`` uint8 (n, 1000) in the order of TagList1k.txt, ``labels`` uint8 (n, n_concepts)
        with the concepts in the order of Concepts81.txt, ``items`` the line of a picture in
        Imagelist.txt, from 0. Pictures are read from the folder Flickr, if you have it.

    Raises
    ------
    OSError
        If a file is missing; the message says what to fetch.
    ValueError
        If a file is not what it should be; the message names the file and the line.

    Notes
    -----
    Labels come from Groundtruth/AllLabels, in the order of Imagelist.txt; the files in
    TrainTestLabels repeat them, and at least one copy of them in circulation has a damaged line.

    References
    ----------
    T.-S. Chua et al., "NUS-WIDE: a real-world web image database from National University of
    Singapore", CIVR (2009).
    """
    source = Distribution("nuswide", data_folder)
    names = _image_names(source.find("ImageList/Imagelist.txt"))
    n = len(names)
    test = _official_split(source, names)
    concepts, labels = _concepts(source, n)
    if n_concepts is None:
        n_concepts = len(concepts)
    elif not 1 <= n_concepts <= len(concepts):
        raise ValueError(f"n_concepts must be from 1 to {len(concepts)}, got {n_concepts}.")
    frequent = np.sort(np.argsort(-labels.sum(axis=0, dtype=np.int64), kind="stable")[:n_concepts])
    labels = labels[:, frequent]
    tags = source.find("NUS_WID_Tags/AllTags1k.txt")
    text = read_numbers(tags, n, 1000, binary=True)
    items = kept_items(keep, labels, text)

    pictures = PictureFiles(source.folder / "Flickr", names)
    if isinstance(image_features, str) and image_features in LOW_LEVEL:
        file = f"Low_Level_Features/{image_features}.dat"
        path = source.find(file, f"NUS_WID_Low_Level_Features/{file}")
        image = read_numbers(path, n, LOW_LEVEL[image_features])[items]
    else:
        image = features(image_features, items, n, pictures.take(items), "image_features")
    return PairedDataset(
        name="nuswide",
        image=image,
        text=text[items],
        labels=labels[items],
        class_names=tuple(concepts[i] for i in frequent),
        captions=tuple(_captions(source, names, items)) if captions else (),
        pictures=pictures,
        items=items,
        test=test[items],
        licence=source.facts.licence,
        citation=source.facts.citation,
    )


def _image_names(path: Path) -> list[str]:
    r"""Return names such as "actor/0001_2124494179.jpg"; the file has them with \."""
    names = [line.replace("\\", "/") for line in read_lines(path)]
    for number, name in enumerate(names, start=1):
        if not re.fullmatch(r"[\w-]+/\d+_\d+\.jpg", name):
            raise ValueError(
                f"{path}, line {number}: {name!r} is no picture like actor\\0001_2124494179.jpg."
            )
    if not names:
        raise ValueError(f"{path} is empty.")
    return names


def _official_split(source: Distribution, names: list[str]) -> Array:
    """Return which picture is a test picture."""
    number = {name: i for i, name in enumerate(names)}
    part = np.full(len(names), -1, np.int8)
    for which, file in enumerate(("TrainImagelist.txt", "TestImagelist.txt")):
        path = source.find(f"ImageList/{file}")
        for line, name in enumerate(_image_names(path), start=1):
            if name not in number:
                raise ValueError(f"{path}, line {line}: {name!r} is not in Imagelist.txt.")
            if part[number[name]] >= 0:
                raise ValueError(f"{path}, line {line}: {name!r} is in the split already.")
            part[number[name]] = which
    if (part < 0).any():
        raise ValueError(
            f"{names[int(np.argmin(part))]!r} of Imagelist.txt is neither in TrainImagelist.txt "
            f"nor in TestImagelist.txt of {source.folder / 'ImageList'}: one is truncated."
        )
    return part == 1


def _concepts(source: Distribution, n: int) -> tuple[list[str], Array]:
    path = source.find("ConceptsList/Concepts81.txt", "Concepts81.txt")
    concepts = read_lines(path)
    for line, concept in enumerate(concepts, start=1):
        if not re.fullmatch(r"[\w-]+", concept):
            raise ValueError(f"{path}, line {line}: {concept!r} is no concept.")
    folder = source.find("Groundtruth/AllLabels")
    there = {file.stem.removeprefix("Labels_") for file in folder.glob("Labels_*.txt")}
    if extra := sorted(there - set(concepts)):
        raise ValueError(f"{path} does not list {extra[0]!r}, which {folder} has labels of.")
    labels = np.empty((n, len(concepts)), np.uint8)
    for column, concept in enumerate(concepts):
        file = source.find(f"Groundtruth/AllLabels/Labels_{concept}.txt")
        labels[:, column] = read_numbers(file, n, 1, binary=True)[:, 0]
    return concepts, labels


def _captions(source: Distribution, names: list[str], items: Array) -> list[str]:
    """Return the tags of these pictures; a line has the number of the photograph, then its tags."""
    path = source.find("NUS_WID_Tags/All_Tags.txt")
    lines = read_lines(path, errors="replace")
    if len(lines) != len(names):
        raise ValueError(f"{path} has {len(lines)} lines for {len(names)} pictures.")
    captions = []
    for item in items:
        photograph, *tags = lines[item].split() or [""]
        if photograph != names[item].rpartition("_")[2].removesuffix(".jpg"):
            raise ValueError(
                f"{path}, line {item + 1}: {photograph!r} is not the number of {names[item]!r}."
            )
        captions.append(" ".join(tags))
    return captions
