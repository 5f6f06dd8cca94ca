"""MIRFlickr-25k: Flickr photographs under free licences, their tags and 24 topics."""

from __future__ import annotations

import re
from typing import Literal, get_args

import numpy as np

from cmrlib.datasets._dataset import PairedDataset
from cmrlib.datasets._files import (
    Array,
    Distribution,
    Features,
    Folder,
    Keep,
    PictureFiles,
    bag_of_words,
    features,
    kept_items,
    read_lines,
)

Annotations = Literal["potential", "relevant", "both"]


def fetch_mirflickr(
    data_folder: Folder = None,
    *,
    annotations: Annotations = "potential",
    keep: Keep = "complete",
    n_words: int = 1386,
    image_features: Features = None,
    text_features: Features = None,
) -> PairedDataset:
    """Read MIRFlickr-25k: 25,000 Flickr photographs, their tags, 24 topics.

    Nothing is downloaded: the distribution is two archives (see
    :func:`cmrlib.datasets.dataset_facts`). There is no official split.

    Parameters
    ----------
    data_folder : path, optional
        Where the folder ``mirflickr`` is; $CMRLIB_DATA by default, or else ~/.cache/cmrlib.
    annotations : {"potential", "relevant", "both"}, default="potential"
        The 24 topics that may be seen in a picture, which nearly all papers use; the 14 that it is
        about, the files that end in _r1; or all 38.
    keep : {"complete", "labelled", "all"}, default="complete"
        Pictures with a frequent tag and a topic, the 20,015 of most papers; those with a topic;
        or all.
    n_words : int, default=1386
        Number of tags in the vocabulary, the most frequent first. The default are the tags that at
        least 20 pictures have. They are counted over all pictures, test pictures included.
    image_features : array, path or callable, optional
        The distribution has no features: give an array or .npy file with a row for each of the
        25,000 pictures, or a function such as :func:`cmrlib.features.cnn_features`, which is
        given the kept pictures and opens them one by one. None leaves ``image`` empty, (n, 0).
    text_features : array, path or callable, optional
        Instead of the 0/1 tag vectors; a function is given the captions that are kept.

    Returns
    -------
    PairedDataset
        ``text`` uint8 (n, n_words); ``labels`` uint8 multi-hot, topics in alphabetical order; a
        caption is all the tags of a picture; item i is the picture im(i+1).jpg.

    Raises
    ------
    OSError
        If a file is missing; the message says what to fetch.
    ValueError
        If a file is not what it should be; the message names the file and the line.

    References
    ----------
    M. J. Huiskes and M. S. Lew, "The MIR Flickr retrieval evaluation", MIR (2008).
    """
    source = Distribution("mirflickr", data_folder)
    tags = _tags(source)
    class_names, labels = _topics(source, len(tags), annotations)
    text, _ = bag_of_words(tags, n_words)
    items = kept_items(keep, labels, text)
    captions = [" ".join(tags[i]) for i in items]
    pictures = PictureFiles(source.folder, [f"im{i + 1}.jpg" for i in range(len(tags))])
    if text_features is None:
        text = text[items]
    else:
        text = features(text_features, items, len(tags), captions, "text_features")
    return PairedDataset(
        name="mirflickr",
        image=features(image_features, items, len(tags), pictures.take(items), "image_features"),
        text=text,
        labels=labels[items],
        class_names=tuple(class_names),
        captions=tuple(captions),
        pictures=pictures,
        items=items,
        licence=source.facts.licence,
        citation=source.facts.citation,
    )


def _tags(source: Distribution) -> list[list[str]]:
    """Return the tags of each picture: tags1.txt, tags2.txt, ... have one a line."""
    folder = source.find("meta/tags")
    n = sum(1 for _ in folder.glob("tags*.txt"))
    if not n:
        raise ValueError(f"{folder} has no files tags1.txt, tags2.txt, ...")
    tags = []
    for number in range(1, n + 1):
        path = folder / f"tags{number}.txt"
        if not path.is_file():
            raise ValueError(f"{folder} has {n} tag files, but not tags{number}.txt.")
        tags.append([tag for tag in read_lines(path, errors="replace") if tag])
    return tags


def _topics(source: Distribution, n: int, annotations: str) -> tuple[list[str], Array]:
    """Return names and multi-hot labels; a file lists the pictures of its topic, one a line."""
    if annotations not in get_args(Annotations):
        raise ValueError(
            f"annotations must be one of {', '.join(get_args(Annotations))}; got {annotations!r}."
        )
    folder = source.find("annotations", "mirflickr25k_annotations_v080")
    wanted = {"potential": (False,), "relevant": (True,), "both": (False, True)}[annotations]
    paths = sorted(
        path
        for path in folder.glob("*.txt")
        if path.stem.lower() != "readme" and path.stem.endswith("_r1") in wanted
    )
    if not paths:
        raise ValueError(f"{folder} has no files of {annotations} topics, such as sky.txt.")
    labels = np.zeros((n, len(paths)), np.uint8)
    for column, path in enumerate(paths):
        for line, word in enumerate(read_lines(path), start=1):
            if not re.fullmatch(r"[0-9]+", word) or not 1 <= int(word) <= n:
                raise ValueError(f"{path}, line {line}: {word!r} is no picture from 1 to {n}.")
            labels[int(word) - 1, column] = 1
    return [path.stem for path in paths], labels
