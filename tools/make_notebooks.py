"""Write the student notebook ``book/**/<name>.ipynb`` beside each executed chapter ``<name>.md``.

A student notebook is the chapter without its solutions: each solution cell becomes a stub that
keeps imports, signature, docstring and check. MyST is lowered to the Markdown and LaTeX that
Jupyter and Colab render. Launch buttons open these files, so they are committed::

    python tools/make_notebooks.py           # write them
    python tools/make_notebooks.py --check   # exit 1 and list those that are out of step

A chapter that needs optional packages says so in its front matter::

    cmrlib: {extras: [encoders]}
"""

from __future__ import annotations

import argparse
import ast
import contextlib
import hashlib
import re
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import nbformat
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from myst_pages import Book, Page, SourceError

ROOT = Path(__file__).resolve().parents[1]
NOTE = "*The page as a notebook{}. Run the next cell first; it installs what is missing.*"
BOOTSTRAP = """\
import importlib.util
import subprocess
import sys

if importlib.util.find_spec("cmrlib") is None:
    package = "cmrlib{extras} @ git+{url}@{branch}"
    keep_versions = ["--upgrade-strategy", "only-if-needed"]
    command = [sys.executable, "-m", "pip", "install", "--quiet", *keep_versions, package]
    subprocess.run(command, check=True)
    importlib.invalidate_caches()
    print("cmrlib is installed; there is no need to restart.")"""

HIDDEN = {"jupyter": {"source_hidden": True}}


def open_book(root: Path = ROOT) -> Book:
    """Read every page once, so that labels are known wherever they are used."""
    book = Book(root)
    for path in book.pages:
        list(student_cells(Page(book, path)))
    book.strict = True
    return book


def student_notebook(page: Page) -> nbformat.NotebookNode:
    """Return the student notebook of a chapter."""
    body = list(student_cells(page))
    variables = assigned(cell.source for cell in body if cell.cell_type == "code")
    for name, line in page.glued:
        if name not in variables:
            page.fail(line, f"{name} is glued, but is not a variable that the notebook assigns.")
    extras = ",".join(page.source.metadata.get("cmrlib", {}).get("extras", []))
    repository = page.book.repository
    bootstrap = BOOTSTRAP.format(
        extras=f"[{extras}]" if extras else "", url=repository["url"], branch=repository["branch"]
    )
    note = NOTE.format(", with the exercises left to you" if page.solutions else "")
    head = [new_markdown_cell(f"# {page.title}\n\n{note}"), new_code_cell(bootstrap)]
    foot = [new_markdown_cell(f"## References\n\n{page.references()}")] if page.cited else []
    notebook = new_notebook(
        cells=head + body + foot,
        metadata={
            "kernelspec": page.source.metadata.kernelspec,
            "language_info": {"name": "python"},
        },
    )
    seen: Counter[str] = Counter()
    for cell in notebook.cells:  # ids that follow the content keep diffs small
        seen[cell.source] += 1
        cell.id = hashlib.sha256(f"{seen[cell.source]}{cell.source}".encode()).hexdigest()[:8]
    nbformat.validate(notebook)
    return notebook


def student_cells(page: Page) -> Iterator[nbformat.NotebookNode]:
    """Lower the cells of a chapter, one after another."""
    line = 1
    for cell, line in zip(page.source.cells, page.source.metadata.source_map, strict=True):
        if cell.cell_type == "code":
            yield from code_cells(page, cell, line)
        else:
            text = "\n".join(page.lower(cell.source.splitlines(), line))
            if text := re.sub(r"\n{3,}", "\n\n", text).strip():
                yield new_markdown_cell(text)
    if page.in_solution:
        page.fail(line, "a solution-start before here lacks its solution-end.")


def code_cells(
    page: Page, cell: nbformat.NotebookNode, line: int
) -> Iterator[nbformat.NotebookNode]:
    """Return a code cell as the student gets it, and the caption of its figure."""
    tags = set(cell.metadata.get("tags", []))
    if "solution" in tags:
        if not page.in_solution:
            page.fail(line, "a cell tagged solution must lie between solution-start and -end.")
        try:
            exercise_id, stub = make_stub(cell.source)
        except (SourceError, SyntaxError) as error:
            page.fail(line, str(error))
        page.solutions.append((exercise_id, cell.source, stub))
        yield new_code_cell(stub)
        return
    if page.in_solution:
        return
    if "remove-cell" in tags:
        if numbers := quoted_numbers(cell.source):
            yield new_code_cell(numbers, metadata=HIDDEN)
        return
    metadata: dict[str, Any] = {}
    if tags & {"hide-input", "hide-cell", "remove-input"}:
        metadata |= HIDDEN
    if "raises-exception" in tags:
        metadata["tags"] = ["raises-exception"]
    yield new_code_cell(cell.source, metadata=metadata)
    if figure := cell.metadata.get("mystnb", {}).get("figure"):
        name = page.number("Figure", figure.get("name"))
        yield new_markdown_cell(f"*{name}. {page.inline(figure.get('caption', ''), line)}*")


def quoted_numbers(source: str) -> str:
    """Turn a cell that glues numbers into one that prints them, as the notebook has no glue."""
    kept, names = [], []
    for node in ast.parse(source).body:
        segment = ast.get_source_segment(source, node) or ""
        if not re.search(r"\bglue\b", segment):
            kept.append(segment)
        for part in ast.walk(node):
            match part:
                case ast.Call(func=ast.Name(id="glue"), args=[ast.Constant(value=str(name)), *_]):
                    names.append(name)
                case ast.For(iter=ast.Tuple() | ast.List() as items) if segment not in kept:
                    names += ast.literal_eval(items)
    prints = [f'print("{name} =", {name})' for name in names]
    return "\n".join(["# The numbers that the text quotes.", *kept, *prints]) if names else ""


def assigned(cells: Iterable[str]) -> set[str]:
    """Return the names of the variables that code cells assign."""
    nodes = []
    for source in cells:
        with contextlib.suppress(SyntaxError):  # a cell of commands for IPython
            nodes += ast.walk(ast.parse(source))
    return {n.id for n in nodes if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}


def solutions(book: Book) -> list[tuple[Path, str, str, str]]:
    """Return (chapter, exercise id, solution cell, stub) for every exercise of the book."""
    found = []
    for path in book.chapters:
        page = Page(book, path)
        list(student_cells(page))
        found += [(path, *solution) for solution in page.solutions]
    return found


def make_stub(source: str) -> tuple[str, str]:
    """Return the exercise's id and the cell a student starts from, given the solution cell.

    Only imports, signatures with their docstrings, and the check are taken over; what is not
    named here cannot leak.
    """
    text, exercise_id = "", None
    functions: set[str] = set()
    before: ast.stmt | None = None
    for node in ast.parse(source).body:
        if isinstance(node, ast.Import | ast.ImportFrom):
            part = ast.get_source_segment(source, node) or ""
        elif isinstance(node, ast.FunctionDef):
            functions.add(node.name)
            part = stub_function(node, source.splitlines())
        elif isinstance(node, ast.Expr) and ast.unparse(node).startswith("check("):
            exercise_id = check_id(node.value, functions)
            part = ast.get_source_segment(source, node) or ""
        else:
            continue
        if before is not None:
            joined = all(isinstance(n, ast.Import | ast.ImportFrom) for n in (before, node))
            gap = min(node.lineno - (before.end_lineno or 0), 2) if joined else 3
            text += "\n" * max(gap, 1)
        text, before = text + part, node
    if exercise_id is None:
        raise SourceError('a solution cell must end in check("<family>/<name>/<exercise>", f).')
    return exercise_id, text


def stub_function(node: ast.FunctionDef, lines: list[str]) -> str:
    """Return the function with its signature and docstring as written, and no body."""
    doc = node.body[0]
    end = doc.end_lineno or 0
    if ast.get_docstring(node) is None or lines[doc.lineno - 1][: doc.col_offset].strip():
        raise SourceError(f"{node.name} needs a docstring, on its own lines, that says the task.")
    if lines[end - 1].encode()[doc.end_col_offset :].strip():
        raise SourceError(f"{node.name} has more than its docstring on the docstring's last line.")
    start = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
    body = " " * doc.col_offset + 'raise NotImplementedError("your turn")'
    return "\n".join([*lines[start - 1 : end], body])


def check_id(call: ast.expr, functions: set[str]) -> str:
    """Return the id in ``check("id", f)``; anything else in the call could give a solution away."""
    match call:
        case ast.Call(args=[ast.Constant(value=str(exercise_id)), ast.Name(id=name)], keywords=[]):
            if name in functions:
                return exercise_id
    raise SourceError("check takes an exercise's id and the name of a function of the same cell.")


def file_text(book: Book, path: Path) -> str:
    """Return the student notebook of the chapter at ``path`` as the text of its file."""
    return nbformat.writes(student_notebook(Page(book, path))).rstrip("\n") + "\n"


def main(argv: list[str] | None = None, root: Path = ROOT) -> int:
    """Write or check all student notebooks; return the exit status."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--check", action="store_true", help="write nothing, list what differs")
    check = parser.parse_args(argv).check
    try:
        book = open_book(root)
        texts = {p.with_suffix(".ipynb"): file_text(book, p) for p in book.chapters}
    except SourceError as error:
        print(error, file=sys.stderr)
        return 1
    wrong = []
    for path, text in texts.items():
        if path.exists() and path.read_text(encoding="utf-8") == text:
            continue
        if check:
            wrong.append(f"{path.relative_to(root)} is out of step: run `make notebooks`.")
        else:
            path.write_text(text, encoding="utf-8", newline="\n")
            print(f"wrote {path.relative_to(root)}")
    for path in sorted(set((root / "book").rglob("*.ipynb")) - set(texts)):
        if ".ipynb_checkpoints" not in path.parts:
            wrong.append(f"{path.relative_to(root)} belongs to no chapter: delete it.")
    print("\n".join(wrong or [f"{len(texts)} student notebooks are in step."]))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
