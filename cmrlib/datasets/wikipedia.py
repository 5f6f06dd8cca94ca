"""The Wikipedia benchmark of 2010, the field's first."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
from scipy.io import loadmat

from cmrlib.datasets._dataset import PairedDataset
from cmrlib.datasets._download import data_home, require_file

_URL = (
    "https://raw.githubusercontent.com/emanuetre/crossmodal/"
    "40db7f5338a150ef8feff2787f4bb8b3df809355/wikipedia_info/"
)
_SHA256 = {
    "raw_features.mat": "ca628f765a69575e168ab29eb97f5ade12fadf47b31de1328c7ff631c7f225ae",
    "trainset_txt_img_cat.list": "30c1ba8afbe90da5986de9b12496b6dd2e4680d3876b79ab7aae2e437d5819a3",
    "testset_txt_img_cat.list": "ec3123ee31cc89dd95fbeb23eb73b2ecfd1d8909bba863723471aad99408c1eb",
    "categories.list": "4929f3ee00e9de9ffe11f9ab18fc8919b0f6182cc801309409df2f2d05e2b0f5",
}


def fetch_wikipedia(data_folder: str | os.PathLike[str] | None = None) -> PairedDataset:
    """Load 2,866 image-text pairs from Wikipedia's featured articles, in 10 classes.

    Images are 128-d histograms of SIFT visual words, texts 10-d topic proportions; the rows of
    both sum to 1, so the centred views have rank 127 and 9. ``split()`` gives the authors' 2,173
    training and 693 test pairs.

    Parameters
    ----------
    data_folder : path, optional
        Where the folder ``wikipedia`` with the four files is, or is to be put; $CMRLIB_DATA by
        default, or else ~/.cache/cmrlib. Files that are not there are downloaded (1.3 MB).

    Raises
    ------
    OSError
        If a file cannot be read or downloaded; the message says where to put it.
    ValueError
        If a file is not the published one.

    References
    ----------
    N. Rasiwasia et al., "A new approach to cross-modal multimedia retrieval", ACM Multimedia
    (2010).
    """
    folder = Path(data_folder or data_home()) / "wikipedia"
    paths = {name: require_file(folder, name, sha, _URL + name) for name, sha in _SHA256.items()}
    features = loadmat(paths["raw_features.mat"])
    classes = [
        np.loadtxt(paths[name], dtype=str, delimiter="\t")[:, 2].astype(int) - 1
        for name in ("trainset_txt_img_cat.list", "testset_txt_img_cat.list")
    ]
    return PairedDataset(
        name="wikipedia",
        image=np.vstack([features["I_tr"], features["I_te"]]),
        text=np.vstack([features["T_tr"], features["T_te"]]),
        labels=np.concatenate(classes),
        class_names=tuple(paths["categories.list"].read_text(encoding="utf-8").split()),
        test=np.repeat([False, True], [len(c) for c in classes]),
        licence="Features published for research; cite the paper. Texts: CC BY-SA (Wikipedia)",
        citation="N. Rasiwasia et al., A new approach to cross-modal multimedia retrieval, "
        "ACM Multimedia 2010",
    )
