"""MS-COCO: photographs with five captions each and 80 classes of objects."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, Literal, NamedTuple, get_args

import numpy as np

from cmrlib.datasets._dataset import PairedDataset
from cmrlib.datasets._files import (
    Array,
    Distribution,
    Features,
    Folder,
    PictureFiles,
    bag_of_words,
    features,
    read_text,
)

Captions = Literal["first", "joined", "each"]

# split: parts of the distribution, and the one that is the test set
_OFFICIAL = {
    "2017": (("train2017", "val2017"), "val2017"),
    "2014": (("train2014", "val2014"), "val2014"),
    **{part: ((part,), None) for part in ("train2017", "val2017", "train2014", "val2014")},
}
# split: parts of Karpathy's list, and the one that is the test set
_KARPATHY = {
    "karpathy": (("train", "restval", "test"), "test"),
    "karpathy-val": (("train", "restval", "val"), "val"),
}
_FIELDS = {
    *("images", "annotations", "categories", "id", "image_id", "category_id", "file_name"),
    *("caption", "name", "sentences", "raw", "split", "filename", "filepath", "cocoid"),
}


class _Picture(NamedTuple):
    id: int
    file: str  # such as val2017/000000397133.jpg
    part: str
    captions: list[str]


def fetch_coco(
    data_folder: Folder = None,
    *,
    split: str = "2017",
    captions: Captions = "first",
    labelled_only: bool = False,
    n_words: int = 2000,
    image_features: Features = None,
    text_features: Features = None,
) -> PairedDataset:
    """Read MS-COCO: 123,287 photographs, five captions each, 80 classes of objects.

    Nothing is downloaded: fetch the annotations, and the pictures if you want them, as
    :func:`cmrlib.datasets.dataset_facts` says.

    Parameters
    ----------
    data_folder : path, optional
        Where the folder ``coco`` is; $CMRLIB_DATA by default, or else ~/.cache/cmrlib.
    split : str, default="2017"
        "2017" (118,287 training pictures, 5,000 validation pictures as test) or "2014"
        (82,783 / 40,504), the official ones; one part of them alone, "train2017", "val2017",
        "train2014" or "val2014", without a split; "karpathy" (113,287 / 5,000), the split of the
        image-text matching literature, or "karpathy-val", its 5,000 validation pictures in
        place of the test pictures. Karpathy's file is a separate one, dataset_coco.json.
    captions : {"first", "joined", "each"}, default="first"
        A row is a picture with its first caption, a picture with its captions in one text, or a
        caption with its picture. Under "each" five rows have the same item number, and
        ``label_relevance(test.items, test.items)`` marks all five captions of a picture as right.
    labelled_only : bool, default=False
        Leave out pictures without an object of the 80 classes.
    n_words : int, default=2000
        Text is a 0/1 vector over so many words, those of the most pictures. They are counted
        over all pictures that are read, test pictures included.
    image_features : array, path or callable, optional
        The distribution has no features: give an array or .npy file with a row for each picture
        that the split reads, in the order of the files, or a function such as
        :func:`cmrlib.features.cnn_features`, which is given the kept pictures and opens them one
        by one. None leaves ``image`` empty, (n, 0).
    text_features : callable, optional
        Instead of the 0/1 vectors: a function of the captions, such as
        :func:`cmrlib.features.sentence_features`; or an array or .npy file with a row for each row
        of the result.

    Returns
    -------
    PairedDataset
        ``labels`` uint8 (n, 80), in the order of the category numbers.

    Raises
    ------
    OSError
        If a file is missing; the message says what to fetch.
    ValueError
        If a file is not what it should be; the message names the file.

    References
    ----------
    T.-Y. Lin et al., "Microsoft COCO: common objects in context", ECCV (2014). X. Chen et al.,
    "Microsoft COCO captions", arXiv:1504.00325 (2015). A. Karpathy and L. Fei-Fei, "Deep
    visual-semantic alignments for generating image descriptions", CVPR (2015).
    """
    if split not in _OFFICIAL | _KARPATHY:
        raise ValueError(f"split must be one of {', '.join(_OFFICIAL | _KARPATHY)}; got {split!r}.")
    if captions not in get_args(Captions):
        raise ValueError(f"captions must be one of {', '.join(get_args(Captions))}.")
    source = Distribution("coco", data_folder)
    parts, test_part = (_OFFICIAL | _KARPATHY)[split]
    if split in _OFFICIAL:
        photos = [photo for part in parts for photo in _official(source, part)]
        labelled = list(parts)
    else:
        photos = _karpathy(source, parts)
        labelled = sorted({photo.file.split("/")[0] for photo in photos})
    n = len(photos)
    if len({photo.id for photo in photos}) < n:
        raise ValueError(f"the files in {source.folder} list a picture twice.")
    class_names, labels = _labels(source, labelled, [photo.id for photo in photos])

    keep = np.flatnonzero(labels.any(axis=1)) if labelled_only else np.arange(n)
    pictures = PictureFiles(source.folder, [photo.file for photo in photos])
    image = features(image_features, keep, n, pictures.take(keep), "image_features")
    per_row = [_texts(photos[i].captions, captions) for i in keep]
    repeats = [len(texts) for texts in per_row]
    items = np.repeat(keep, repeats)
    texts = [text for texts in per_row for text in texts]
    if text_features is None:
        text = bag_of_words([_words(caption) for caption in texts], n_words)[0]
    else:
        rows = np.arange(len(texts))
        text = features(text_features, rows, len(texts), texts, "text_features")
    test = np.array([photos[i].part == test_part for i in items])
    return PairedDataset(
        name="coco",
        image=np.repeat(image, repeats, axis=0) if captions == "each" else image,
        text=text,
        labels=labels[items],
        class_names=tuple(class_names),
        captions=tuple(texts),
        pictures=pictures,
        items=items,
        test=None if test_part is None else test,
        licence=source.facts.licence,
        citation=source.facts.citation,
    )


def _texts(captions: list[str], how: str) -> list[str]:
    return {"first": captions[:1], "joined": [" ".join(captions)], "each": captions}[how]


def _words(caption: str) -> list[str]:
    return re.findall(r"[a-z0-9]+", caption.lower())


def _official(source: Distribution, part: str) -> list[_Picture]:
    """Return the pictures of captions_<part>.json, in its order."""
    path = source.find(f"annotations/captions_{part}.json")
    content = _read(path, "images", "annotations")
    captions: dict[int, list[str]] = {_get(row, "id", int, path): [] for row in content["images"]}
    for row in content["annotations"]:
        image = _get(row, "image_id", int, path)
        if image not in captions:
            raise ValueError(f"{path}: caption of picture {image}, which the file does not list.")
        captions[image].append(" ".join(_get(row, "caption", str, path).split()))
    photos = []
    for row in content["images"]:
        file = _file_name(_get(row, "file_name", str, path), path)
        photos.append(_Picture(row["id"], f"{part}/{file}", part, captions[row["id"]]))
    return _all_captioned(photos, path)


def _karpathy(source: Distribution, parts: tuple[str, ...]) -> list[_Picture]:
    """Return the pictures of these parts of dataset_coco.json, in its order."""
    path = source.find("dataset_coco.json")
    photos = []
    for row in _read(path, "images")["images"]:
        part, folder = (_get(row, key, str, path) for key in ("split", "filepath"))
        if part not in parts:
            continue
        if folder not in _OFFICIAL:
            raise ValueError(f"{path}: {folder!r} is no folder of the distribution.")
        file = _file_name(_get(row, "filename", str, path), path)
        sentences = _get(row, "sentences", list, path)
        texts = [" ".join(_get(sentence, "raw", str, path).split()) for sentence in sentences]
        photos.append(_Picture(_get(row, "cocoid", int, path), f"{folder}/{file}", part, texts))
    return _all_captioned(photos, path)


def _file_name(name: str, path: Path) -> str:
    if not re.fullmatch(r"\w+\.jpg", name):
        raise ValueError(f"{path}: {name!r} is no file name of a picture.")
    return name


def _all_captioned(photos: list[_Picture], path: Path) -> list[_Picture]:
    if not photos:
        raise ValueError(f"{path} lists no pictures.")
    for photo in photos:
        if not photo.captions:
            raise ValueError(f"{path}: picture {photo.id} has no caption; the file is truncated.")
    return photos


def _labels(source: Distribution, parts: list[str], ids: list[int]) -> tuple[list[str], Array]:
    """Return class names and multi-hot labels of these pictures, from instances_<part>.json."""
    row_of = {image: row for row, image in enumerate(ids)}
    categories: dict[int, str] = {}
    pairs: list[tuple[int, int]] = []  # row, category
    for part in parts:
        path = source.find(f"annotations/instances_{part}.json")
        content = _read(path, "annotations", "categories")
        found = {
            _get(row, "id", int, path): _get(row, "name", str, path)
            for row in content["categories"]
        }
        if categories and found != categories:
            raise ValueError(f"{path} has other categories than instances_{parts[0]}.json.")
        categories = found
        for row in content["annotations"]:
            category = _get(row, "category_id", int, path)
            if category not in categories:
                raise ValueError(f"{path}: an object of category {category}, which is not listed.")
            image = _get(row, "image_id", int, path)
            if image in row_of:
                pairs.append((row_of[image], category))
    column_of = {category: column for column, category in enumerate(sorted(categories))}
    labels = np.zeros((len(ids), len(categories)), np.uint8)
    for picture, category in pairs:
        labels[picture, column_of[category]] = 1
    return [categories[category] for category in sorted(categories)], labels


def _read(path: Path, *keys: str) -> dict[str, list[dict[str, Any]]]:
    """Return a JSON file without its outlines and boxes, which are nearly all of it."""

    def wanted_fields(row: dict[str, Any]) -> dict[str, Any]:
        return {key: value for key, value in row.items() if key in _FIELDS}

    try:
        content = json.loads(read_text(path), object_hook=wanted_fields)
    except json.JSONDecodeError as error:
        raise ValueError(f"{path}, line {error.lineno}: no JSON, or truncated.") from None
    for key in keys:
        rows = content.get(key) if isinstance(content, dict) else None
        if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
            raise ValueError(f"{path} has no list {key!r}: it is another file.")
    return content


def _get(row: Any, key: str, kind: type, path: Path) -> Any:
    value = row.get(key) if isinstance(row, dict) else None
    if not isinstance(value, kind):
        raise ValueError(f"{path}: {key!r} is missing, or no {kind.__name__}, in {row!r:.80}.")
    return value
