"""XMedia: five kinds of media in 20 classes, of which images and texts are read here."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from scipy.io import loadmat

from cmrlib.datasets._dataset import PairedDataset
from cmrlib.datasets._files import Array, Distribution, Folder

N_CLASSES = 20


def fetch_xmedia(data_folder: Folder = None) -> PairedDataset:
    """Read XMedia: 5,000 web images and 5,000 paragraphs, as features, in 20 classes.

    Images are CNN features (4,096-d), texts bags of words (3,000-d). ``split()`` gives the
    authors' 4,000 training and 1,000 test pairs. Nothing is downloaded: the authors give the file
    XMediaFeatures.mat out for research (see :func:`cmrlib.datasets.dataset_facts`).

    A pair is an image and a text of the same class, no more: the two were collected separately.
    Only relevance by class makes sense.

    Parameters
    ----------
    data_folder : path, optional
        Where the folder ``xmedia`` is; $CMRLIB_DATA by default, or else ~/.cache/cmrlib.

    Returns
    -------
    PairedDataset
        ``labels`` (n,), from 0. The file numbers the classes and does not name them, so they are
        called "class 1" to "class 20".

    Raises
    ------
    OSError
        If the file is missing; the message says what to fetch.
    ValueError
        If it is not what it should be.

    Notes
    -----
    Read are I_tr_CNN, T_tr_BOW, trImgCat, trTxtCat and the same with te. The file also holds
    older features of both (I_tr, T_tr), and video, audio and 3-D models.

    References
    ----------
    X. Zhai, Y. Peng and J. Xiao, "Learning cross-media joint representation with sparse and
    semisupervised regularization", IEEE Transactions on Circuits and Systems for Video Technology
    24 (2014).
    """
    source = Distribution("xmedia", data_folder)
    path = source.find("XMediaFeatures.mat")
    train, test = (_part(path, part) for part in ("tr", "te"))
    for side, name in enumerate(("image", "text")):
        if train[side].shape[1] != test[side].shape[1]:
            raise ValueError(f"{path}: {name}s of training and test set differ in width.")
    image, text, labels = (np.concatenate(pair) for pair in zip(train, test, strict=True))
    return PairedDataset(
        name="xmedia",
        image=image,
        text=text,
        labels=labels,
        class_names=tuple(f"class {number}" for number in range(1, N_CLASSES + 1)),
        test=np.repeat([False, True], [len(train[2]), len(test[2])]),
        licence=source.facts.licence,
        citation=source.facts.citation,
    )


def _part(path: Path, part: str) -> tuple[Array, Array, Array]:
    """Return images, texts and classes of "tr" or "te"."""
    image, text = f"I_{part}_CNN", f"T_{part}_BOW"
    classes = [f"{part}{side}Cat" for side in ("Img", "Txt")]
    content = _read(path, [image, text, *classes])
    numbers = [content[name].ravel() for name in classes]
    if not np.array_equal(*numbers):
        raise ValueError(
            f"{path}: {classes[0]} and {classes[1]} differ, so image and text of a row are no pair."
        )
    labels = numbers[0].astype(np.int64)
    if (
        not len(labels)
        or (labels != numbers[0]).any()
        or labels.min() < 1
        or labels.max() > N_CLASSES
    ):
        raise ValueError(
            f"{path}: {classes[0]} holds numbers that are no class from 1 to {N_CLASSES}."
        )
    for name in (image, text):
        if len(content[name]) != len(labels):
            raise ValueError(
                f"{path}: {name} has {len(content[name])} rows, {classes[0]} {len(labels)}."
            )
    return content[image].astype(np.float32), content[text].astype(np.float32), labels - 1


def _read(path: Path, names: list[str]) -> dict[str, Any]:
    """Return these matrices of a MATLAB file; the others are skipped."""
    try:
        content = loadmat(path, variable_names=names)
    except Exception as error:  # scipy raises whatever the damaged byte leads to
        if isinstance(error, OSError) and error.errno is not None:
            raise  # the file could not be opened
        raise ValueError(f"{path} is no MATLAB file (version 7 or older), or damaged.") from error
    for name in names:
        if name not in content:
            raise ValueError(f"{path} has no matrix {name}: it is another file.")
        matrix = content[name]
        if not isinstance(matrix, np.ndarray) or matrix.dtype.kind not in "biuf":
            raise ValueError(f"{path}: {name} is no matrix of numbers.")
        if matrix.ndim != 2 or not np.isfinite(matrix).all():
            raise ValueError(f"{path}: {name} is not 2-d, or holds NaN or infinity.")
    return content
