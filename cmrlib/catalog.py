"""The one list of methods, read from ``catalog.toml``."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, field
from functools import lru_cache
from importlib import import_module
from importlib.resources import files
from typing import Any

from cmrlib.base import RetrievalModel


@dataclass(frozen=True)
class Method:
    """One row of the catalogue.

    Attributes
    ----------
    name, title : str
        Short name and full name.
    survey : tuple of int
        Its numbers in the survey's reference list.
    paper : str
        Key in the book's bibliography.
    family, kind, supervision : str
        Package; "common space", "similarity" or "hash"; what ``fit`` uses.
    class_path : str
        Where the class is.
    chapter, section : str
        Page under ``book/`` and label of the section.
    test : str
        The structural test.
    example : dict
        Parameters for a small fit.
    grid : dict
        Parameter to list of values: what the benchmark chooses from, on validation data.
    note : str
    """

    name: str
    title: str
    survey: tuple[int, ...]
    paper: str
    family: str
    kind: str
    supervision: str
    class_path: str
    chapter: str
    section: str
    test: str
    example: dict[str, Any] = field(default_factory=dict)
    grid: dict[str, list[Any]] = field(default_factory=dict)
    note: str = ""

    def load(self) -> type[RetrievalModel]:
        """Import and return the class."""
        module, _, name = self.class_path.rpartition(".")
        loaded: type[RetrievalModel] = getattr(import_module(module), name)
        return loaded


@lru_cache(maxsize=1)
def methods() -> tuple[Method, ...]:
    """Return all methods, in the order of the catalogue."""
    rows = tomllib.loads((files("cmrlib") / "catalog.toml").read_text(encoding="utf-8"))["method"]
    return tuple(_method(**row) for row in rows)


def _method(survey: list[int], **row: Any) -> Method:
    return Method(survey=tuple(survey), class_path=row.pop("class"), **row)


def method(name: str) -> Method:
    """Return the method of this name.

    Raises
    ------
    ValueError
        If there is none; the message lists the names there are.
    """
    for row in methods():
        if row.name == name:
            return row
    raise ValueError(f"no method {name!r}; there are {', '.join(row.name for row in methods())}.")
