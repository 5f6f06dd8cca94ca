"""The bibliography is written in plain characters, and each entry is cited somewhere."""

import re
from pathlib import Path

BOOK = Path(__file__).resolve().parents[2] / "book"
ENTRIES = (BOOK / "references.bib").read_text(encoding="utf-8")


def test_accents_are_characters():
    # the labels of the bibliography page are made of names as they stand
    assert not re.findall(r"\{\\[^}]*\}", ENTRIES)


def test_keys_are_unique_and_cited():
    keys = re.findall(r"^@\w+\{([^,]+),", ENTRIES, re.MULTILINE)
    assert len(keys) == len(set(keys))
    pages = "".join(path.read_text(encoding="utf-8") for path in BOOK.rglob("*.md"))
    catalogue = (BOOK.parent / "cmrlib" / "catalog.toml").read_text(encoding="utf-8")
    facts = (BOOK.parent / "cmrlib" / "datasets" / "facts.toml").read_text(encoding="utf-8")
    uncited = [key for key in keys if key not in pages + catalogue + facts]
    assert not uncited
