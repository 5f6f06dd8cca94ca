"""Pictures of any mode, as extractors want them: on white, eight bits a channel."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

SIXTEEN_BITS = ("I;16", "I;16L", "I;16B", "I;16N")


def on_white(picture: Image.Image) -> Image.Image:
    """Return a picture as RGB: transparent parts white, grey as three equal channels.

    A grey picture of 16 bits is scaled to 8, which ``convert`` would clip instead.

    Raises
    ------
    TypeError
        If `picture` is not a PIL image.
    ValueError
        If its values have no known range (modes "I" and "F"), or it has no pixels.
    """
    if not isinstance(picture, Image.Image):
        raise TypeError(f"a picture must be a PIL image, got {type(picture).__name__}.")
    if 0 in picture.size:
        raise ValueError(f"a picture of {picture.width} x {picture.height} has no pixels.")
    if picture.mode in ("I", "F"):
        raise ValueError(
            f'the values of a picture of mode "{picture.mode}" have no known range; scale them to '
            '0..255 and convert it to mode "L".'
        )
    if picture.mode in SIXTEEN_BITS:
        picture = Image.fromarray(np.round(np.asarray(picture) / 257).astype(np.uint8))
    rgba = picture.convert("RGBA")
    white = Image.new("RGBA", rgba.size, "white")
    return Image.alpha_composite(white, rgba).convert("RGB")


def grey(picture: Image.Image) -> NDArray[np.float64]:
    """Return the brightness of a picture on white, (height, width), from 0 to 1."""
    return np.asarray(on_white(picture).convert("L")) / 255
