"""Make the features that cmrlib ships for the emoji data set (about two minutes on a laptop).

    python tools/build_emoji_features.py

Needs the ``encoders`` extra. Writes cmrlib/datasets/emoji.npz: codes (n,), image (n, 1280) and
text (n, 384) in half precision.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import numpy as np

from cmrlib.datasets.emoji import FEATURES, EmojiPictures, emoji_table
from cmrlib.features import cnn_features, sentence_features

TARGET = Path(__file__).parents[1] / "cmrlib" / "datasets" / FEATURES


def main() -> None:
    """Compute the features and replace the shipped file in one step."""
    table = emoji_table()
    pictures = EmojiPictures()
    image = cnn_features([pictures[i] for i in range(len(table))], verbose=True)
    text = sentence_features([emoji.caption for emoji in table], verbose=True)
    with tempfile.NamedTemporaryFile(dir=TARGET.parent, suffix=".npz", delete=False) as file:
        np.savez_compressed(
            file,
            codes=np.array([emoji.code for emoji in table]),
            image=image.astype(np.float16),
            text=text.astype(np.float16),
        )
    os.chmod(file.name, 0o644)
    os.replace(file.name, TARGET)
    print(f"wrote {TARGET} ({TARGET.stat().st_size / 1e6:.1f} MB)")


if __name__ == "__main__":
    main()
