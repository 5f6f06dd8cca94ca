"""PASCAL VOC 2007: Flickr photographs in which every object of 20 classes is marked."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Literal, get_args

import numpy as np

from cmrlib.datasets._dataset import PairedDataset
from cmrlib.datasets._files import (
    Distribution,
    Features,
    Folder,
    PictureFiles,
    bag_of_words,
    features,
    read_lines,
    read_text,
)

CLASSES = (
    *("aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow"),
    *("diningtable", "dog", "horse", "motorbike", "person", "pottedplant", "sheep", "sofa"),
    *("train", "tvmonitor"),
)
Pictures = Literal["all", "one object"]


def fetch_pascal_voc(
    data_folder: Folder = None,
    *,
    keep: Pictures = "all",
    difficult: bool = False,
    tags: str | Path | None = None,
    n_words: int = 399,
    image_features: Features = None,
    text_features: Features = None,
) -> PairedDataset:
    """Read PASCAL VOC 2007: 9,963 photographs, 20 classes of objects.

    Nothing is downloaded: the distribution is two archives (see
    :func:`cmrlib.datasets.dataset_facts`). ``split()`` gives the official 5,011 training
    (trainval) and 4,952 test pictures.

    The distribution has **no texts**. The cross-modal literature took tag lists that S. J. Hwang
    and K. Grauman collected for these pictures and give out as a separate file. Its format could
    not be established, so it is not read directly: write it as `tags` describes.

    Parameters
    ----------
    data_folder : path, optional
        Where the folder ``pascal_voc`` is; $CMRLIB_DATA by default, or else ~/.cache/cmrlib.
    keep : {"all", "one object"}, default="all"
        Or only pictures with exactly one annotated object, difficult ones counted. Papers report
        2,808 + 2,841 pairs with one object and do not say how they counted.
    difficult : bool, default=False
        Whether an object marked difficult makes its class present.
    tags : path, optional
        A text file with a line for each picture: its number, such as 000005, and its tags.
        Pictures without a line have no tags. None leaves ``text`` empty, (n, 0).
    n_words : int, default=399
        Number of tags in the vocabulary, the most frequent first, counted over all pictures.
    image_features : array, path or callable, optional
        The distribution has no features: give an array or .npy file with a row for each of the
        9,963 pictures (those of trainval.txt, then those of test.txt), or a function such as
        :func:`cmrlib.features.cnn_features`, which is given the kept pictures and opens them one
        by one. None leaves ``image`` empty, (n, 0).
    text_features : array, path or callable, optional
        Instead of the 0/1 tag vectors; a function is given the captions that are kept.

    Returns
    -------
    PairedDataset
        ``labels`` uint8 (n, 20), classes in alphabetical order; a caption is all the tags of a
        picture; items count trainval.txt, then test.txt.

    Raises
    ------
    OSError
        If a file is missing; the message says what to fetch.
    ValueError
        If a file is not what it should be; the message names the file and the line.

    References
    ----------
    M. Everingham et al., "The PASCAL visual object classes (VOC) challenge", International
    Journal of Computer Vision 88 (2010). S. J. Hwang and K. Grauman, "Learning the relative
    importance of objects from tagged images for retrieval and cross-modal search", International
    Journal of Computer Vision 100 (2012).
    """
    if keep not in get_args(Pictures):
        raise ValueError(f"keep must be 'all' or 'one object', got {keep!r}.")
    source = Distribution("pascal_voc", data_folder)
    root = source.find("VOCdevkit/VOC2007", "VOC2007")
    parts = [
        _numbers(source.find(f"{root.relative_to(source.folder)}/ImageSets/Main/{part}.txt"))
        for part in ("trainval", "test")
    ]
    numbers = parts[0] + parts[1]
    n = len(numbers)
    if len(set(numbers)) < n:
        raise ValueError(f"{root / 'ImageSets/Main'}: a picture is listed twice.")
    labels = np.zeros((n, len(CLASSES)), np.uint8)
    n_objects = np.zeros(n, int)
    for row, number in enumerate(numbers):
        for name, is_difficult in _objects(root / "Annotations" / f"{number}.xml"):
            n_objects[row] += 1
            if difficult or not is_difficult:
                labels[row, CLASSES.index(name)] = 1

    items = np.flatnonzero(n_objects == 1) if keep == "one object" else np.arange(n)
    words = _tags(Path(tags), numbers) if tags is not None else [[] for _ in numbers]
    captions = [" ".join(words[i]) for i in items]
    if text_features is None:
        text = bag_of_words(words, n_words)[0][items]
    else:
        text = features(text_features, items, n, captions, "text_features")
    pictures = PictureFiles(root / "JPEGImages", [f"{number}.jpg" for number in numbers])
    return PairedDataset(
        name="pascal_voc",
        image=features(image_features, items, n, pictures.take(items), "image_features"),
        text=text,
        labels=labels[items],
        class_names=CLASSES,
        captions=() if tags is None else tuple(captions),
        pictures=pictures,
        items=items,
        test=items >= len(parts[0]),
        licence=source.facts.licence,
        citation=source.facts.citation,
    )


def _numbers(path: Path) -> list[str]:
    """Return the numbers of a list of pictures, such as "000005"."""
    numbers = read_lines(path)
    for line, number in enumerate(numbers, start=1):
        if not re.fullmatch(r"[0-9]{6}", number):
            raise ValueError(f"{path}, line {line}: {number!r} is no picture number like 000005.")
    if not numbers:
        raise ValueError(f"{path} is empty.")
    return numbers


def _objects(path: Path) -> list[tuple[str, bool]]:
    """Return class of each object in a picture, and whether it is marked difficult."""
    try:
        text = read_text(path)
    except FileNotFoundError:
        raise FileNotFoundError(
            f"there is no {path}; unpack both the trainval and the test archive."
        ) from None
    if "<!DOCTYPE" in text:  # it could define entities that expand without end
        raise ValueError(f"{path} is no annotation: it has a document type.")
    try:
        root = ET.fromstring(text)
    except ET.ParseError as error:
        raise ValueError(f"{path}, line {error.position[0]}: no XML, or truncated.") from None
    objects = [
        (found.findtext("name", "").strip(), found.findtext("difficult", "0").strip() == "1")
        for found in root.findall("object")
    ]
    if root.tag != "annotation" or not objects:
        raise ValueError(f"{path} is no annotation of objects.")
    for name, _ in objects:
        if name not in CLASSES:
            raise ValueError(f"{path}: {name!r} is none of the 20 classes.")
    return objects


def _tags(path: Path, numbers: list[str]) -> list[list[str]]:
    """Return the tags of each picture from lines like "000005 chair table"."""
    words: dict[str, list[str]] = {number: [] for number in numbers}
    seen = set()
    for line, text in enumerate(read_lines(path), start=1):
        number, *tags = text.split() or [""]
        if number not in words:
            raise ValueError(f"{path}, line {line}: {number!r} is no picture of the data set.")
        if number in seen:
            raise ValueError(f"{path}, line {line}: {number} has tags already.")
        seen.add(number)
        words[number] = tags
    return [words[number] for number in numbers]
