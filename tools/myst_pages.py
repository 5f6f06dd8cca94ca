"""Lower the text of a page from MyST to the Markdown and LaTeX that Jupyter and Colab render.

References need the whole book: :class:`Book` holds where every label points, :class:`Page` lowers
one page. ``myst_directives.py`` says what becomes of each directive.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import nbformat
import yaml
from jupytext.myst import myst_to_notebook
from pybtex.database import Entry, parse_string
from pybtex.richtext import Text

from myst_directives import DIRECTIVES, Directive, plain

FENCE = re.compile(
    r"(?P<indent> *)(?P<mark>`{3,}(?=[^`]*$)|~{3,}|:{3,}(?=\{))"
    r"(?:\{(?P<name>[^}]+)\}(?P<arg>.*))?"
)
INLINE = re.compile(
    r"\{(?P<role>[\w:-]+)\}(?P<tick>`+)(?P<content>.+?)(?<!`)(?P=tick)(?!`)"
    r"|(?P<verbatim>(?P<ticks>`+).+?(?<!`)(?P=ticks)(?!`)|\\\$)"
    r"|\$\$(?P<display>.+?)\$\$(?:[ \t]*\((?P<label>[^)\s]+)\))?"
    r"|\$(?!\s)(?P<math>(?:(?!\n\n)[^$])+?)(?<!\s)\$(?!\d)"
    r"|(?P<ams>\\begin\{(?P<env>\w+\*?)\}.+?\\end\{(?P=env)\})"
    r"|(?<!!)\[(?P<text>[^\[\]]*)\]\((?P<url>[^)\s]+)\)",
    re.DOTALL,
)
ARGUMENT = re.compile(r"\s*(\{(?:[^{}]|\{(?:[^{}]|\{[^{}]*\})*\})*\}|\\[A-Za-z]+|\S)")


class SourceError(Exception):
    """A chapter holds something that has no form in a student notebook."""


@dataclass
class Target:
    """What a label stands for; a number means little on another page without that page's title."""

    page: Path
    text: str
    numbered: bool


class Book:
    """What the pages share: settings, references, and where every label points."""

    def __init__(self, root: Path) -> None:
        self.root = root
        config = yaml.safe_load((root / "_config.yml").read_text(encoding="utf-8"))
        sphinx = config.get("sphinx", {}).get("config", {})
        self.repository: dict[str, str] = config["repository"]
        self.macros: dict[str, Any] = (
            sphinx.get("mathjax3_config", {}).get("tex", {}).get("macros", {})
        )
        self.references: dict[str, Entry] = {}
        for bib in config.get("bibtex_bibfiles", []):
            text = (root / bib).read_text(encoding="utf-8")
            self.references |= dict(parse_string(text, "bibtex").entries)
        self.pages = sorted((root / "book").rglob("*.md"))
        self.chapters = [p for p in self.pages if "kernelspec" in read(p).metadata]
        self.labels: dict[str, Target] = {}
        self.titles: dict[Path, str] = {}
        self.strict = False  # until all labels are known, let pass what cannot be resolved


class Page:
    """One page on its way to a notebook, with the counters that number what it holds."""

    def __init__(self, book: Book, path: Path) -> None:
        self.book, self.path = book, path
        self.source = read(path)
        self.title = ""
        self.counts: Counter[str] = Counter()
        self.pending: list[str] = []  # labels that wait for the heading or block they name
        self.cited: set[str] = set()
        self.glued: list[tuple[str, int]] = []  # variable, line
        self.solutions: list[tuple[str, str, str]] = []  # exercise id, solution cell, stub
        self.in_solution = False

    def fail(self, line: int, message: str) -> NoReturn:
        raise SourceError(f"{self.path.relative_to(self.book.root)}:{line}: {message}")

    def lower(self, lines: list[str], line: int) -> list[str]:
        """Lower MyST lines, the first of which is line number ``line`` of the file."""
        out: list[str] = []
        prose: list[str] = []
        i = 0
        while i < len(lines):
            if not (fence := FENCE.match(lines[i])):
                prose.append(lines[i])
                i += 1
                continue
            mark = fence["mark"]
            closing = re.compile(rf" *{mark[0]}{{{len(mark)},}} *$")
            end = next((j for j in range(i + 1, len(lines)) if closing.match(lines[j])), None)
            if end is None:
                self.fail(line + i, "a fence that opens here is never closed.")
            out += self.prose(prose, line + i - len(prose))
            prose = []
            hidden = self.in_solution  # lowered all the same, so that numbers follow the book
            block = self.fence(fence, lines[i : end + 1], line + i)
            out += [] if hidden else block
            i = end + 1
        return out + self.prose(prose, line + i - len(prose))

    def fence(self, fence: re.Match[str], block: list[str], line: int) -> list[str]:
        """Lower one fenced block: a directive, or code that stays as it is."""
        if not (name := fence["name"]):
            return block
        indent = len(fence["indent"])
        body = [text[indent:] if text[:indent].isspace() else text for text in block[1:-1]]
        options, taken = read_options(body)
        title = self.inline(fence["arg"].strip(), line)
        block_of = DIRECTIVES.get(name, plain)
        if name not in DIRECTIVES and self.book.strict:
            hint = "give it one in tools/myst_directives.py or write the passage without it."
            self.fail(line, f"{{{name}}} has no form in a student notebook: {hint}")
        at = Directive(name, title, options, body[taken:], line + 1 + taken)
        return [" " * indent + text if text else "" for text in block_of(self, at)]

    def prose(self, lines: list[str], line: int) -> list[str]:
        """Lower lines between fences; the page's own title goes into the first cell."""
        kept = []
        for number, text in enumerate(lines, line):
            if target := re.fullmatch(r"\((.+)\)=\s*", text):
                self.pending.append(target[1])
                text = ""
            elif heading := re.match(r"#+ +(.*)", text):
                title = self.inline(heading[1].strip(), number)
                self.define(title, numbered=False)
                if not self.title:
                    self.title = self.book.titles[self.path] = title
                    text = ""
            elif text.startswith("%"):  # a comment
                text = ""
            kept.append(text)
        lowered = self.inline("\n".join(kept), line)
        return [] if self.in_solution else lowered.split("\n")

    def define(self, text: str, numbered: bool, label: str | None = None) -> None:
        for name in [*self.pending, *([label] if label else [])]:
            self.book.labels[name] = Target(self.path, text, numbered)
        self.pending = []

    def number(self, kind: str, label: str | None) -> str:
        """Count one more figure, table or exercise, and return its name."""
        self.counts[kind] += 1
        text = f"{kind} {self.counts[kind]}"
        self.define(text, numbered=True, label=label)
        return text

    def inline(self, text: str, line: int) -> str:
        """Lower roles, formulas and links; code spans stay as they are."""

        def replace(match: re.Match[str]) -> str:
            at = line + text.count("\n", 0, match.start())
            if match["role"]:
                return self.role(match["role"], " ".join(match["content"].split()), at)
            if match["display"]:
                return self.display(match["display"], match["label"])
            if match["math"]:
                return f"${expand(match['math'], self.book.macros)}$"
            if match["ams"]:
                return expand(match["ams"], self.book.macros)
            if match["url"]:
                return self.link(self.inline(match["text"], at), match["url"], at)
            return match[0]

        return INLINE.sub(replace, text)

    def display(self, tex: str, label: str | None) -> str:
        tex = expand(tex, self.book.macros)
        if not label:
            return f"$${tex}$$"
        self.counts["equation"] += 1
        number = self.counts["equation"]
        self.book.labels[label] = Target(self.path, f"({number})", numbered=True)
        formula = tex.rstrip()
        return f"$${formula} \\tag{{{number}}}{tex[len(formula) :]}$$"

    def link(self, text: str, url: str, line: int) -> str:
        """Point a link to a page at its notebook; of a page without one, keep the words."""
        path, _, anchor = url.partition("#")
        if not path:
            return self.refer(anchor, line, text) if anchor in self.book.labels else text
        if re.match(r"[a-z]+:", url) or not path.endswith(".md"):
            return f"[{text}]({url})"
        base = self.book.root if path.startswith("/") else self.path.parent
        page = Path(os.path.normpath(base / path.lstrip("/")))
        if self.book.strict and page not in self.book.titles:
            self.fail(line, f"the link points at {path}, which is not a page of the book.")
        text = text or self.book.titles.get(page, path)
        if page == self.path or page not in self.book.chapters:
            return text
        twin = os.path.relpath(page.with_suffix(".ipynb"), self.path.parent)
        return f"[{text}]({Path(twin).as_posix()})"

    def refer(self, label: str, line: int, text: str = "") -> str:
        """Name what a label stands for; ``%s`` in ``text`` is its number."""
        target = self.book.labels.get(label)
        if target is None:
            return self.unknown(line, f"label {label}")
        text = re.sub(r"%s|\{number\}", target.text.split()[-1], text)
        if target.page == self.path:
            return text or target.text
        if not text and target.numbered:
            text = f"{target.text} of {self.book.titles[target.page]}"
        page = os.path.relpath(target.page, self.path.parent)
        return self.link(text or target.text, page, line)

    def unknown(self, line: int, what: str) -> str:
        if self.book.strict:
            self.fail(line, f"the {what} is not defined in the book.")
        return "?"

    def role(self, name: str, content: str, line: int) -> str:
        titled = re.fullmatch(r"(.*?) ?<(.+)>", content)
        text, target = (titled[1], titled[2]) if titled else ("", content)
        match name:
            case "ref" | "numref" | "eq":
                return self.refer(target, line, text)
            case "doc":
                return self.link(text, f"{target}.md", line)
            case "cite" | "cite:p" | "cite:t":
                return self.cite(re.split(r"\s*,\s*", content), name == "cite:t", line)
            case "glue:text":  # its name is that of a variable the student has
                variable = content.partition(":")[0]
                self.glued.append((variable, line))
                return f"`{variable}`"
            case "math":
                return f"${expand(content, self.book.macros)}$"
            case "term" | "abbr":
                return text or content
            case "sub" | "sup" | "kbd":
                return f"<{name}>{content}</{name}>"
            case "code" | "file" | "command" | "py:class" | "py:func" | "py:meth" | "py:mod":
                return f"`{text or content}`"
        if self.book.strict:
            self.fail(line, f"the role {{{name}}} has no form in a student notebook.")
        return content

    def cite(self, keys: list[str], textual: bool, line: int) -> str:
        for key in keys:
            if key not in self.book.references:
                return self.unknown(line, f"reference {key}")
        self.cited.update(keys)
        works = [self.book.references[key] for key in keys]
        if textual:
            return ", ".join(f"{authors(work)} ({work.fields['year']})" for work in works)
        return "[" + "; ".join(f"{authors(work)}, {work.fields['year']}" for work in works) + "]"

    def references(self) -> str:
        """Return the list of what the page cites."""
        works = [self.book.references[key] for key in self.cited]
        return "\n".join(sorted(f"- {reference(work)}" for work in works))


def read(path: Path) -> nbformat.NotebookNode:
    """Read a page; ``source_map`` holds the line number at which each of its cells begins."""
    text = path.read_text(encoding="utf-8")
    notebook = myst_to_notebook(text, add_source_map=True)
    lines = text.splitlines()
    starts = []
    for cell, start in zip(notebook.cells, notebook.metadata.source_map, strict=True):
        while cell.cell_type == "markdown" and not lines[start]:
            start += 1
        starts.append(start + 1)
    notebook.metadata.source_map = starts
    return notebook


def read_options(body: list[str]) -> tuple[dict[str, str], int]:
    """Return a directive's options and how many lines of its body they take."""
    if body and body[0].strip() == "---":
        end = next(i for i, text in enumerate(body[1:], 1) if text.strip() == "---")
        return yaml.safe_load("\n".join(body[1:end])) or {}, end + 1
    options = {}
    for i, text in enumerate(body):
        option = re.match(r":([\w-]+):(.*)", text)
        if not option:
            return options, i
        options[option[1]] = option[2].strip()
    return options, len(body)


def expand(tex: str, macros: dict[str, Any]) -> str:
    """Write out the book's own TeX commands, which notebook viewers do not know."""
    own = re.compile(rf"\\({'|'.join(map(re.escape, macros))})(?![A-Za-z])")
    while macros and (match := own.search(tex)):
        macro = macros[match[1]]
        body, arity = (macro, 0) if isinstance(macro, str) else macro
        end = match.end()
        for i in range(1, arity + 1):
            if argument := ARGUMENT.match(tex, end):
                inner = re.sub(r"^\{(.*)\}$", r"\1", argument[1], flags=re.DOTALL)
                body, end = body.replace(f"#{i}", inner), argument.end()
        if re.search(r"[_^]\s*$", tex[: match.start()]):
            body = f"{{{body}}}"
        tex = tex[: match.start()] + body + tex[end:]
    return tex


def authors(work: Entry) -> str:
    people = work.persons.get("author") or work.persons["editor"]
    last = [str(Text.from_latex(" ".join(p.prelast_names + p.last_names))) for p in people]
    return f"{last[0]} et al." if len(last) > 2 else " and ".join(last)


def reference(work: Entry) -> str:
    fields = work.fields
    where = fields.get("journal") or fields.get("booktitle") or fields.get("publisher") or ""
    parts = [f"{authors(work)} ({fields['year']})", f"*{Text.from_latex(fields['title'])}*"]
    parts += [str(Text.from_latex(where))] if where else []
    parts += [f"[doi](https://doi.org/{fields['doi']})"] if "doi" in fields else []
    return ". ".join(parts) + "."
