"""Planted typing errors: one edit a text, the share asked for, the same for the same seed."""

from collections import Counter
from string import ascii_lowercase

import pytest

from cmrlib.datasets import load_emoji
from cmrlib.features.typos import add_typos


def single_edits(text):
    """Return every text that one error can make, by kind; written independently of the library."""
    edits = {"swap": set(), "drop": set(), "replace": set(), "double": set()}
    for i, letter in enumerate(text):
        alone = not any(text[j].isalpha() for j in (i - 1, i + 1) if 0 <= j < len(text))
        if not letter.isalpha() or alone:
            continue
        before, after = text[:i], text[i + 1 :]
        edits["drop"].add(before + after)
        edits["double"].add(before + letter + letter + after)
        edits["replace"] |= {before + a + after for a in ascii_lowercase if a != letter.lower()}
        if after[:1].isalpha() and after[0] != letter:
            edits["swap"].add(before + after[0] + letter + after[1:])
    return edits


def test_every_text_gets_exactly_one_error_and_all_kinds_occur_alike():
    texts = list(load_emoji().captions)
    kinds = Counter()
    for text, spoilt in zip(texts, add_typos(texts, random_state=0), strict=True):
        if text == spoilt:
            assert not any(single_edits(text).values()), text
            continue
        found = [kind for kind, made in single_edits(text).items() if spoilt in made]
        assert found, (text, spoilt)
        if len(found) == 1:
            kinds[found[0]] += 1
    assert min(kinds.values()) > 0.9 * max(kinds.values()) > 300


def test_the_share_is_exact_and_larger_shares_contain_smaller_ones():
    texts = [f"text number {i}" for i in range(200)]
    spoilt = {rate: add_typos(texts, rate, random_state=3) for rate in (0, 0.25, 0.5, 1.0)}
    for rate, made in spoilt.items():
        assert sum(a != b for a, b in zip(texts, made, strict=True)) == rate * 200
    for i, text in enumerate(texts):
        if spoilt[0.25][i] != text:
            assert spoilt[0.5][i] == spoilt[1.0][i] == spoilt[0.25][i]


def test_the_seed_decides():
    texts = ["grinning face"] * 50
    assert add_typos(texts, random_state=1) == add_typos(texts, random_state=1)
    assert add_typos(texts, random_state=1) != add_typos(texts, random_state=2)
    assert len(set(add_typos(texts, random_state=1))) > 20  # the errors differ among the texts


@pytest.mark.parametrize("text", ["", "a", "a b c", "12 34", "!?", "é 1"])
def test_a_text_without_a_word_of_two_letters_stays(text):
    assert add_typos([text], random_state=0) == [text]


def test_equal_letters_are_not_swapped():
    assert {add_typos(["aa"], random_state=seed)[0] for seed in range(50)} >= {"a", "aaa"}
    assert all(add_typos(["aa"], random_state=seed)[0] != "aa" for seed in range(50))


def test_no_texts():
    assert add_typos([]) == []


def test_bad_arguments_are_refused():
    with pytest.raises(TypeError, match="got a single string"):
        add_typos("one text")
    for rate in (-0.1, 1.1):
        with pytest.raises(ValueError, match="rate"):
            add_typos(["text"], rate)
