"""Names in several languages belong to the rows of the embedded data set."""

import sys

import emoji
import pytest

from cmrlib.datasets import load_emoji
from cmrlib.datasets.emoji import emoji_table
from cmrlib.datasets.emoji_names import emoji_names


@pytest.mark.parametrize("language", emoji.LANGUAGES)
def test_every_row_has_a_name(language):
    names = emoji_names(language)
    assert len(names) == len(load_emoji()) == 1898
    assert None not in names
    assert len(set(names)) == 1898  # so a shift by one row could not pass below
    assert all(name == name.strip() and name and not set(name) & set(":_") for name in names)


def test_names_belong_to_the_rows():
    row = {
        "🐶": "1F436",
        "🇫🇷": "1F1EB-1F1F7",
        "👩‍🚒": "1F469-200D-1F692",
        "♨️": "2668-FE0F",
    }
    codes = [entry.code for entry in emoji_table()]
    names = {
        "en": ["dog face", "France", "woman firefighter", "hot springs"],
        "de": ["hundegesicht", "flagge frankreich", "feuerwehrfrau", "heiße quellen"],
        "fr": ["tête de chien", "drapeau france", "pompier femme", "sources chaudes"],
        "ja": ["イヌの顔", "旗 フランス", "女性消防士", "温泉マーク"],
    }
    for language, expected in names.items():
        given = emoji_names(language)
        assert [given[codes.index(code)] for code in row.values()] == expected


def test_name_is_what_the_package_calls_the_character():
    for entry, name in zip(emoji_table(), emoji_names(), strict=True):
        shortcode = f":{name.replace(' ', '_')}:"
        character = emoji.emojize(shortcode)
        assert "-".join(f"{ord(c):04X}" for c in character) == entry.code


def test_captions_speak_of_the_same_thing():
    """Most English names share a word with the caption of their row, and few with the next's."""
    words = [set(caption.replace(",", "").split()) for caption in load_emoji().captions]
    names = [set(name.lower().split()) for name in emoji_names()]
    share = sum(bool(a & b) for a, b in zip(names, words, strict=True)) / 1898
    shifted = sum(bool(a & b) for a, b in zip(names[1:], words, strict=False)) / 1898
    assert share > 0.85
    assert shifted < share - 0.2


def test_missing_names_are_none(monkeypatch):
    data = dict(emoji.EMOJI_DATA)
    del data["😀"]  # an emoji that an older version does not know
    data["😃"] = {key: value for key, value in data["😃"].items() if key != "en"}
    monkeypatch.setattr(emoji, "EMOJI_DATA", data)
    names = emoji_names("en")
    assert len(names) == 1898
    assert names[:3] == (None, None, "grinning face with smiling eyes")
    assert names.count(None) == 2


def test_unknown_language_is_refused():
    with pytest.raises(ValueError, match=r"no emoji names in 'tlh'; choose one of ar, de, en"):
        emoji_names("tlh")


def test_missing_package_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "emoji", None)
    with pytest.raises(ImportError, match=r"emoji is not installed.*cmrlib\[encoders\]"):
        emoji_names("en")
