"""Build the book: execute the chapters whose code or library changed, then make the HTML.

The execution cache of Jupyter Book looks at a notebook's code alone, so a change in ``cmrlib``
would leave old results on the page.  Here every chapter gets a fingerprint of its code cells, of
the modules of ``cmrlib`` that its imports reach, of their data files and of the pinned versions.
A chapter with a new fingerprint is executed and put into that cache, where the Sphinx build that
follows finds it.  A failing cell, or one that writes to stderr, fails the build.
"""

from __future__ import annotations

import ast
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import NamedTuple

import yaml
from IPython.core.inputtransformer2 import TransformerManager
from jupyter_cache import get_cache
from jupyter_cache.base import CacheBundleIn
from myst_nb.core.read import is_myst_markdown_notebook, read_myst_markdown_notebook
from myst_parser.config.main import MdParserConfig
from nbclient import NotebookClient
from nbclient.exceptions import CellControlSignal, DeadKernelError
from nbformat import NotebookNode

from book_dependencies import PACKAGE, data_files, dependencies, find_module

ROOT = Path(__file__).resolve().parents[1]
INPUTS = ("book", PACKAGE, "tools", "_config.yml", "_toc.yml", "constraints.txt")
JOBS = 2


def fingerprint(chapter: str, key: str, code: str, root: Path = ROOT) -> str:
    """Return a hash of all that the results of a chapter depend on."""
    # The checks of its exercises are found by name when it runs, so no import tells of them.
    checks = chapter.replace("book/", f"{PACKAGE}/exercises/", 1).replace("/", ".")
    if find_module(root, checks):
        code += f"\nimport {checks}"
    paths = {path for name in dependencies(code, root) if (path := find_module(root, name))}
    paths |= {data for path in paths for data in data_files(path)}
    digest = hashlib.sha256(f"{key} {sys.version_info[:2]}".encode())
    return _hash_files([*paths, root / "constraints.txt"], root, digest)


def _hash_files(paths: list[Path], root: Path, digest: hashlib._Hash) -> str:
    for path in sorted(paths):
        digest.update(path.relative_to(root).as_posix().encode() + b"\0")
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


class Chapter(NamedTuple):
    """A page with code."""

    name: str  # as in the table of contents
    notebook: NotebookNode
    key: str  # of the execution cache
    fingerprint: str


def pages(toc: object) -> Iterator[str]:
    """Yield the pages that a table of contents names, in its order."""
    for key, value in toc.items() if isinstance(toc, dict) else enumerate(toc):
        if key in ("root", "file"):
            yield str(value)
        elif isinstance(value, dict | list):
            yield from pages(value)


def source_code(notebook: NotebookNode) -> str:
    """Return the code cells as one Python text, with IPython's own syntax translated."""
    good = []
    for cell in notebook.cells:
        if cell.cell_type == "code":
            code = TransformerManager().transform_cell(cell.source)
            try:
                ast.parse(code)
            except SyntaxError:
                continue  # executing the chapter will report it, with its line
            good.append(code)
    return "\n".join(good)


def read_chapters(root: Path, config: dict, cache) -> list[Chapter]:
    """Read all pages of the table of contents that have code to execute."""
    # The same reader and options as in the Sphinx build, so that the keys are the same.
    options = MdParserConfig(enable_extensions=set(config["parse"]["myst_enable_extensions"]))
    chapters = []
    for name in pages(yaml.safe_load((root / "_toc.yml").read_text("utf8"))):
        path = (root / name).with_suffix(".md")
        if not path.is_file():
            raise SystemExit(f"_toc.yml names {name}, but there is no {name}.md")
        text = path.read_text("utf8")
        if is_myst_markdown_notebook(text):
            notebook = read_myst_markdown_notebook(text, options, add_source_map=True, path=path)
            key = cache.create_hashed_notebook(notebook)[1]
            mark = fingerprint(name, key, source_code(notebook), root)
            chapters.append(Chapter(name, notebook, key, mark))
    return chapters


def execute(notebook: NotebookNode, folder: Path, timeout: int) -> tuple[float, str]:
    """Execute a notebook in place; return the seconds it took and what went wrong, or ''."""
    start, problem = time.perf_counter(), ""
    client = NotebookClient(
        notebook,
        timeout=timeout,
        resources={"metadata": {"path": str(folder)}},
        record_timing=False,  # times would go into the metadata, and so into the key
        extra_arguments=["--log-level=ERROR"],  # no advice on encrypting a local connection
    )
    try:
        client.execute()
    except (CellControlSignal, DeadKernelError) as error:
        problem = re.sub(r"\x1b\[[0-9;]*m", "", str(error))
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            if output.get("name") == "stderr":
                problem += f"This cell wrote to stderr:\n{cell.source}\n---\n{output.text}"
    return time.perf_counter() - start, problem


def update_cache(root: Path, config: dict) -> bool:
    """Execute the chapters that are out of date; return whether all of them succeeded."""
    store = root / "_build" / "fingerprints.json"
    known = json.loads(store.read_text()) if store.is_file() else {}
    cache = get_cache(str(root / "_build" / ".jupyter_cache"))
    chapters = read_chapters(root, config, cache)
    cached = {record.hashkey: record.pk for record in cache.list_cache_records()}
    stale = [c for c in chapters if known.get(c.name) != c.fingerprint or c.key not in cached]
    for chapter in chapters:
        if chapter not in stale:
            print(f"{chapter.name:<40} unchanged")
        elif chapter.key in cached:
            cache.remove_cache(cached.pop(chapter.key))

    failed = False
    with ThreadPoolExecutor(JOBS) as pool:
        runs = {}
        for c in stale:
            folder = (root / c.name).parent
            runs[pool.submit(execute, c.notebook, folder, config["execute"]["timeout"])] = c
        for run in as_completed(runs):
            chapter, (seconds, problem) = runs[run], run.result()
            failure = "   FAILED" if problem else ""
            print(f"{chapter.name:<40} {seconds:7.1f} s{failure}", flush=True)
            if problem:
                failed = True
                print(f"\n{chapter.name}.md: {problem}\n", file=sys.stderr, flush=True)
                continue
            path = str(root / f"{chapter.name}.md")
            bundle = CacheBundleIn(chapter.notebook, path, data={"execution_seconds": seconds})
            cache.cache_notebook_bundle(bundle, check_validity=False, overwrite=True)
            known[chapter.name] = chapter.fingerprint
            write_atomically(store, json.dumps(known, indent=1))
    return not failed


def input_hash(root: Path) -> str:
    """Return a hash over all that the site is made from."""
    found = [p for name in INPUTS for p in (root / name, *(root / name).rglob("*"))]
    skipped = {"__pycache__", ".ipynb_checkpoints"}
    files = [p for p in found if p.is_file() and skipped.isdisjoint(p.parts)]
    return _hash_files(files, root, hashlib.sha256())


def write_atomically(path: Path, text: str) -> None:
    """Write a file so that whoever reads it finds all of it or none."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    part.write_text(text)
    part.replace(path)


def make_html(root: Path) -> int:
    """Run the strict Sphinx build on the executed chapters; return its exit status."""
    cache = get_cache(str(root / "_build" / ".jupyter_cache"))
    before = {record.pk for record in cache.list_cache_records()}
    # An incremental build passes over the warnings of pages that it does not read again.
    for name in ("html", ".doctrees"):
        shutil.rmtree(root / "_build" / name, ignore_errors=True)
    tool = Path(sys.executable).with_name("jupyter-book")
    command = [str(tool), "build", "-W", "-n", "--keep-going", "-q", str(root)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True)
    if done.returncode:
        print(done.stdout)
    elif {record.pk for record in cache.list_cache_records()} != before:
        print(
            "The HTML build executed a chapter again: its key in the cache differs from the one "
            "that tools/build_book.py computes.",
            file=sys.stderr,
        )
        return 1
    return done.returncode


def main(root: Path = ROOT) -> int:
    """Build the book in `root` as far as anything changed."""
    stamp, inputs = root / "_build" / "book.stamp", input_hash(root)
    index = root / "_build" / "html" / "index.html"
    if index.is_file() and stamp.is_file() and stamp.read_text() == inputs:
        print("The book is up to date: nothing changed.")
        return 0
    os.environ["BOOK_BUILD"] = "1"
    # One thread for each kernel: two run side by side, and sums do not depend on how many did.
    os.environ["OMP_NUM_THREADS"] = "1"
    os.environ.pop("MPLBACKEND", None)  # figures go into the page, whatever the shell prefers
    if os.environ.get("CMRLIB_DATA"):  # kernels run in the chapter's folder
        os.environ["CMRLIB_DATA"] = os.path.abspath(os.environ["CMRLIB_DATA"])
    stamp.unlink(missing_ok=True)
    config = yaml.safe_load((root / "_config.yml").read_text("utf8"))
    if not update_cache(root, config):
        return 1
    print("Writing the HTML ...", flush=True)
    status = make_html(root)
    if status == 0:
        write_atomically(stamp, inputs)
    return status


if __name__ == "__main__":
    sys.exit(main())
