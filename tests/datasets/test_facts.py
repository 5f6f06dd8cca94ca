"""The facts about data sets say what the loaders do."""

import inspect
import re
from pathlib import Path

import pytest

from cmrlib import datasets
from cmrlib.datasets import dataset_facts, fetch_wikipedia, load_emoji
from cmrlib.datasets._download import data_home

FACTS = dataset_facts()
LOADERS = {name for name in datasets.__all__ if name.startswith(("fetch_", "load_"))}


def test_every_loader_has_its_facts():
    assert {facts.loader for facts in FACTS.values()} == LOADERS
    assert all(name == facts.name for name, facts in FACTS.items())


@pytest.mark.parametrize("facts", FACTS.values(), ids=FACTS)
def test_docstring_agrees(facts):
    """A number that stands in a docstring as well is the same there."""
    text = " ".join((inspect.getdoc(getattr(datasets, facts.loader)) or "").split())
    if facts.name != "xmedia":  # 5,000 images and 5,000 paragraphs
        assert f"{facts.items:,} " in text
    assert f"{facts.classes} " in text
    for number in re.findall(r"\d+,\d{3}", facts.split):
        assert number in text, f"{facts.loader} does not say {number}"


@pytest.mark.parametrize("facts", FACTS.values(), ids=FACTS)
def test_paper_is_in_the_bibliography(facts):
    path = Path(__file__).parents[2] / "book" / "references.bib"
    if facts.paper:  # an emoji set has none
        assert f"{{{facts.paper}," in path.read_text(encoding="utf-8")


def test_emoji_is_as_stated():
    data, facts = load_emoji(), FACTS["emoji"]
    assert (len(data), len(data.class_names)) == (facts.items, facts.classes)
    assert (data.licence, data.citation) == (facts.licence, facts.citation)


@pytest.mark.skipif(
    not (data_home() / "wikipedia" / "raw_features.mat").is_file(),
    reason="set CMRLIB_DATA to a folder that holds wikipedia/raw_features.mat and its lists",
)
def test_wikipedia_is_as_stated():
    data, facts = fetch_wikipedia(), FACTS["wikipedia"]
    assert (len(data), len(data.class_names)) == (facts.items, facts.classes)
    assert (data.licence, data.citation) == (facts.licence, facts.citation)
