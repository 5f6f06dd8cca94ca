"""The package as a whole: import time, laziness, catalogue, docstring examples."""

import doctest
import importlib
import pkgutil
import re
import subprocess
import sys
from pathlib import Path

import pytest

import cmrlib
from cmrlib.catalog import method, methods

ROOT = Path(__file__).parents[1]
MODULES = [
    name for _, name, _ in pkgutil.walk_packages(cmrlib.__path__, "cmrlib.")
    if not name.startswith("cmrlib.exercises")
]  # fmt: skip


def in_fresh_python(code):
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.strip()


def test_import_is_fast_and_brings_nothing_heavy():
    code = """
import sys, time
start = time.perf_counter()
import cmrlib
print(time.perf_counter() - start, any(m in sys.modules for m in ("torch", "sklearn", "scipy")))
"""
    seconds, heavy = in_fresh_python(code).split()
    assert float(seconds) < 0.5
    assert heavy == "False"


def test_linear_methods_and_emoji_do_without_torch():
    code = """
import sys
import cmrlib.cca, cmrlib.evaluation, cmrlib.plotting, cmrlib.features
from cmrlib.datasets import load_emoji
load_emoji()
print("torch" in sys.modules, "transformers" in sys.modules, "pooch" in sys.modules)
"""
    assert in_fresh_python(code) == "False False False"


def test_submodules_are_found_on_first_use():
    assert in_fresh_python("import cmrlib; print(cmrlib.cca.CCA.__name__)") == "CCA"
    with pytest.raises(AttributeError, match="no attribute 'audio'"):
        _ = cmrlib.audio


@pytest.mark.parametrize("name", MODULES)
def test_docstring_examples(name):
    failed, _ = doctest.testmod(importlib.import_module(name))
    assert failed == 0


@pytest.mark.parametrize("name", MODULES)
def test_public_names_are_documented(name):
    module = importlib.import_module(name)
    assert module.__doc__
    for public in getattr(module, "__all__", []):
        assert getattr(module, public).__doc__, f"{name}.{public} has no docstring"


@pytest.mark.parametrize("row", methods(), ids=lambda row: row.name)
def test_catalogue_rows_lead_somewhere(row):
    assert row.supervision in ("pairs", "labels", "pairs and labels")
    chapter = (ROOT / "book" / f"{row.chapter}.md").read_text(encoding="utf-8")
    assert f"({row.section})=" in chapter
    bibliography = (ROOT / "book" / "references.bib").read_text(encoding="utf-8")
    assert f"{{{row.paper}," in bibliography
    file, _, test = row.test.partition("::")
    assert re.search(rf"^\s*def {test}\(", (ROOT / file).read_text(encoding="utf-8"), re.M)
    parameters = row.load()().get_params()
    assert set(row.example) <= set(parameters)


def test_every_public_model_is_in_the_catalogue():
    from cmrlib.base import RetrievalModel

    listed = {row.load() for row in methods()}
    for name in MODULES:
        module = importlib.import_module(name)
        for public in getattr(module, "__all__", []):
            found = getattr(module, public)
            if isinstance(found, type) and issubclass(found, RetrievalModel):
                assert found in listed, f"{name}.{public} has no row in catalog.toml"


def test_unknown_method_lists_the_known():
    with pytest.raises(ValueError, match="no method 'SVM'; there are CCA"):
        method("SVM")


def test_the_readme_prints_what_it_says():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    code, printed = re.search(r"```python\n(.+?)```\s+```text\n(.+?)```", readme, re.S).groups()
    assert in_fresh_python(code) == printed.strip()
