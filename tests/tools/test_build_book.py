"""A chapter is executed again when what it depends on changed, and not otherwise."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("jupyter_cache", reason="the book's own tools are not installed")
import yaml

import book_dependencies
import build_book

FILES = {
    "constraints.txt": "numpy==1\n",
    "cmrlib/__init__.py": '__version__ = "1"\n',
    "cmrlib/base.py": "class Base: ...\n",
    "cmrlib/plotting.py": "def plot(): ...\n",
    "cmrlib/book.mplstyle": "",
    "cmrlib/cca/__init__.py": (
        "from cmrlib.cca.linear import CCA\nfrom .kernel import KCCA as Kernel\n"
    ),
    "cmrlib/cca/linear.py": "from cmrlib.base import Base\nclass CCA(Base): ...\n",
    "cmrlib/cca/kernel.py": "def f():\n    from ..plotting import plot\n",
    "cmrlib/hashing/__init__.py": '_EXPORTS = {"CMFH": "cmrlib.hashing.cmfh", "SCM": ".scm"}\n',
    "cmrlib/hashing/cmfh.py": "",
    "cmrlib/hashing/scm.py": "",
    "cmrlib/datasets/__init__.py": "from .emoji import load_emoji\nfrom .wikipedia import fetch\n",
    "cmrlib/datasets/emoji.py": (
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from cmrlib import plotting\n"
    ),
    "cmrlib/datasets/emoji.npz": "1",
    "cmrlib/datasets/emoji_names.json": "1",
    "cmrlib/datasets/wikipedia.py": "",
    "cmrlib/exercises/__init__.py": "def check(): ...\n",
    "cmrlib/exercises/cca/linear.py": "",
    "cmrlib/exercises/features/text.py": "",
}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name, text in FILES.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("import numpy", set()),
        ("from cmrlib.cca import CCA", {"cca.linear", "base"}),
        ("from cmrlib.cca.linear import CCA", {"cca.linear", "base"}),
        ("def f():\n    from cmrlib.cca import CCA", {"cca.linear", "base"}),
        ("from cmrlib.cca import Kernel", {"cca.kernel", "plotting"}),
        ("import cmrlib.cca.linear as m", {"cca.linear", "base"}),
        ("import cmrlib.cca", {"cca", "cca.linear", "cca.kernel", "base", "plotting"}),
        ("from cmrlib import cca", {"cca", "cca.linear", "cca.kernel", "base", "plotting"}),
        ("from cmrlib.hashing import CMFH", {"hashing.cmfh"}),
        ("from cmrlib.hashing import SCM", {"hashing.scm"}),
        ("from cmrlib import hashing as h\nh.SCM(2).fit()", {"hashing", "hashing.scm"}),
        ("import cmrlib\ncmrlib.__version__", {""}),
        ("import cmrlib\ncmrlib.cca.linear.CCA()", {"", "cca.linear", "base"}),
        ("from cmrlib.datasets import load_emoji", {"datasets.emoji"}),
        ("from cmrlib.exercises import check", {"exercises"}),
        ("from cmrlib.cca import *", {"cca", "cca.linear", "cca.kernel", "base", "plotting"}),
        ("from cmrlib.cca import unknown", {"cca", "cca.linear", "cca.kernel", "base", "plotting"}),
    ],
)
def test_dependencies(root, code, expected):
    full = {f"cmrlib.{name}".rstrip(".") for name in expected}
    assert book_dependencies.dependencies(code, root) == full


def test_data_files_belong_to_the_module_whose_name_they_bear(root):
    def names(module: str) -> list[str]:
        return [path.name for path in book_dependencies.data_files(root / "cmrlib" / module)]

    assert names("datasets/emoji.py") == ["emoji.npz", "emoji_names.json"]
    assert names("datasets/wikipedia.py") == []
    assert names("plotting.py") == names("base.py") == ["book.mplstyle"]


EMOJI_AND_CCA = "from cmrlib.cca import CCA\nfrom cmrlib.datasets import load_emoji"


@pytest.mark.parametrize(
    ("changed", "text", "stale"),
    [
        ("cmrlib/cca/linear.py", "class CCA: ...", True),
        ("cmrlib/base.py", "# new", True),
        ("cmrlib/datasets/emoji.npz", "2", True),
        ("cmrlib/exercises/cca/linear.py", "# new", True),
        ("constraints.txt", "numpy==2\n", True),
        ("cmrlib/cca/__init__.py", FILES["cmrlib/cca/__init__.py"] + "from .new import X\n", False),
        ("cmrlib/cca/__init__.py", "from cmrlib.cca.kernel import CCA\n", True),
        ("cmrlib/cca/kernel.py", "# new", False),
        ("cmrlib/plotting.py", "# new", False),
        ("cmrlib/exercises/features/text.py", "# new", False),
        ("cmrlib/exercises/__init__.py", "# new", False),
        ("cmrlib/cca/new.py", "", False),
        ("README.md", "new", False),
    ],
)
def test_what_makes_a_chapter_stale(root, changed, text, stale):
    before = build_book.fingerprint("book/cca/linear", "key", EMOJI_AND_CCA, root)
    (root / changed).write_text(text)
    after = build_book.fingerprint("book/cca/linear", "key", EMOJI_AND_CCA, root)
    assert (before != after) == stale


def test_other_cells_make_a_chapter_stale(root):
    marks = {build_book.fingerprint("book/a", key, "", root) for key in ("one", "two")}
    assert len(marks) == 2


def test_pages_are_found_at_every_depth():
    toc = """
    root: book/index
    parts:
      - caption: A
        chapters: [{file: book/a, sections: [{file: book/b}]}, {url: "https://example.org"}]
    """
    assert list(build_book.pages(yaml.safe_load(toc))) == ["book/index", "book/a", "book/b"]


# --- executing -----------------------------------------------------------------------------------

HEADER = """---
jupytext: {text_representation: {extension: .md, format_name: myst}}
kernelspec: {display_name: Python 3, language: python, name: python3}
---
# Title

"""
CONFIG = {"parse": {"myst_enable_extensions": ["dollarmath"]}, "execute": {"timeout": 60}}


def write_book(root: Path, **cells: str) -> None:
    (root / "book").mkdir(exist_ok=True)
    (root / "book" / "index.md").write_text("# No code here\n")
    for name, code in cells.items():
        text = f"{HEADER}```{{code-cell}} ipython3\n{code}\n```\n"
        (root / "book" / f"{name}.md").write_text(text)
    chapters = [{"file": f"book/{name}"} for name in cells]
    toc = {"format": "jb-book", "root": "book/index", "chapters": chapters}
    (root / "_toc.yml").write_text(yaml.safe_dump(toc))


def update(root: Path) -> tuple[bool, str, str]:
    """Run update_cache in a process of its own, as nbclient leaves event loops to its end."""
    (root / "_config.yml").write_text(yaml.safe_dump(CONFIG))
    code = (
        "import sys, yaml, build_book; from pathlib import Path; root = Path(sys.argv[1]);"
        "config = yaml.safe_load((root / '_config.yml').read_text());"
        "sys.exit(not build_book.update_cache(root, config))"
    )
    path = os.pathsep.join([str(root), str(Path(build_book.__file__).parent)])
    done = subprocess.run(
        [sys.executable, "-c", code, str(root)],
        env={**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
    )
    return done.returncode == 0, done.stdout, done.stderr


def test_only_stale_chapters_are_executed(root):
    (root / "cmrlib" / "plotting.py").write_text("value = 'first'\n")
    write_book(root, one="from cmrlib.plotting import value\nvalue", two="1 + 1")
    done, out, err = update(root)
    assert done, err
    assert "unchanged" not in out and "book/one" in out and "book/two" in out

    done, out, _ = update(root)
    assert done and out.count("unchanged") == 2

    (root / "cmrlib" / "plotting.py").write_text("value = 'second'\n")
    done, out, _ = update(root)
    assert done and out.count("unchanged") == 1
    (line,) = [line for line in out.splitlines() if "unchanged" in line]
    assert line.startswith("book/two")
    cached = [p.read_text() for p in (root / "_build" / ".jupyter_cache").rglob("base.ipynb")]
    assert len(cached) == 2
    assert "second" in "".join(cached) and "first" not in "".join(cached)


def test_a_failure_names_chapter_and_cell_and_the_others_go_on(root):
    write_book(
        root,
        wrong="answer = 41\nassert answer == 42",
        noisy="import sys\nprint('careful', file=sys.stderr)",
        good="1 + 1",
    )
    done, out, err = update(root)
    assert not done
    assert "book/wrong.md" in err and "assert answer == 42" in err and "AssertionError" in err
    assert "book/noisy.md" in err and "wrote to stderr" in err and "careful" in err
    assert out.count("FAILED") == 2

    done, out, _ = update(root)
    assert not done and out.count("unchanged") == 1 and out.count("FAILED") == 2


def test_a_page_that_does_not_exist_is_named(root):
    write_book(root, one="1")
    (root / "book" / "one.md").unlink()
    with pytest.raises(SystemExit, match="there is no book/one.md"):
        build_book.update_cache(root, CONFIG)


def test_nothing_is_done_when_nothing_changed(root, monkeypatch, capsys):
    write_book(root, one="1 + 1")
    (root / "_config.yml").write_text(yaml.safe_dump(CONFIG))
    calls = []

    def make_html(folder: Path) -> int:
        calls.append(folder)
        (folder / "_build" / "html").mkdir(parents=True, exist_ok=True)
        (folder / "_build" / "html" / "index.html").write_text("")
        return 0

    monkeypatch.setattr(build_book, "update_cache", lambda folder, config: True)
    monkeypatch.setattr(build_book, "make_html", make_html)
    for name in ("BOOK_BUILD", "OMP_NUM_THREADS", "MPLBACKEND"):
        monkeypatch.setenv(name, "")  # put back what main sets
    assert build_book.main(root) == 0 and len(calls) == 1
    assert build_book.main(root) == 0 and len(calls) == 1
    assert "nothing changed" in capsys.readouterr().out
    (root / "book" / "index.md").write_text("# Other words\n")
    assert build_book.main(root) == 0 and len(calls) == 2
    monkeypatch.setattr(build_book, "make_html", lambda folder: 1)
    (root / "book" / "index.md").write_text("# A mistake\n")
    assert build_book.main(root) == 1
    assert build_book.main(root) == 1
