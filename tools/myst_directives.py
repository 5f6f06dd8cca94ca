"""What becomes of each MyST directive in a student notebook: one function a kind of block."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from myst_pages import Page


@dataclass
class Directive:
    """One MyST directive; ``line`` is where its body starts."""

    name: str
    title: str
    options: dict[str, str]
    body: list[str]
    line: int


def quote(lines: list[str]) -> list[str]:
    """Return lines as a Markdown quotation."""
    text = "\n".join(lines).strip()
    # A viewer takes a formula out before it reads the quotation, so it must be on one line.
    text = re.sub(r"\n{3,}", "\n\n", text)
    text = re.sub(r"\$\$.+?\$\$", lambda m: m[0].replace("\n", " "), text, flags=re.DOTALL)
    return ["", *(f"> {line}".rstrip() for line in text.split("\n")), ""]


def plain(page: Page, at: Directive) -> list[str]:
    return page.lower(at.body, at.line)


def titled(page: Page, at: Directive) -> list[str]:
    body = [text for text in plain(page, at) if text.strip() not in ("+++", "^^^")]
    return ["", f"**{at.title}**" if at.title else "", "", *body, ""]


def card(page: Page, at: Directive) -> list[str]:
    target, kind = at.options.get("link", ""), at.options.get("link-type", "url")
    if at.title and target:
        label = {"url": target, "doc": f"{target}.md", "ref": f"#{target}"}[kind]
        at.title = page.link(at.title, label, at.line)
    return titled(page, at)


def admonition(page: Page, at: Directive) -> list[str]:
    heading, body = at.title, plain(page, at)
    if at.name in NOTES:  # these have a title of their own; words beside the name begin the text
        heading, body = NOTES[at.name], [at.title, *body] if at.title else body
    if "dropdown" in at.options.get("class", ""):
        return folded(heading, body)
    return quote([f"**{heading}**" if heading else "", "", *body])


def dropdown(page: Page, at: Directive) -> list[str]:
    return folded(at.title, plain(page, at))


def folded(summary: str, body: list[str]) -> list[str]:
    return ["", "<details>", f"<summary>{summary}</summary>", "", *body, "", "</details>", ""]


def exercise(page: Page, at: Directive) -> list[str]:
    heading = page.number("Exercise", at.options.get("label"))
    title = f" · {at.title}" if at.title else ""
    return ["", f"**{heading}{title}**", "", *plain(page, at), ""]


def image(page: Page, at: Directive) -> list[str]:
    root = os.path.relpath(page.book.root, page.path.parent)
    path = f"{root}{at.title}" if at.title.startswith("/") else at.title
    lines = ["", f"![{at.options.get('alt', '')}]({path})", ""]
    if at.name == "figure":
        heading = page.number("Figure", at.options.get("name"))
        lines += [f"*{heading}. {' '.join(plain(page, at)).strip()}*", ""]
    return lines


def math(page: Page, at: Directive) -> list[str]:
    return page.display("\n" + "\n".join(at.body) + "\n", at.options.get("label")).split("\n")


def code(page: Page, at: Directive) -> list[str]:
    return [f"```{at.title}", *at.body, "```"]


def table(page: Page, at: Directive) -> list[str]:
    body = plain(page, at)
    if at.name == "list-table":
        body = pipe_table(body, has_header=str(at.options.get("header-rows", "0")) != "0")
    if at.title:
        body = [f"**{page.number('Table', at.options.get('name'))}.** {at.title}", "", *body]
    return ["", *body, ""]


def pipe_table(lines: list[str], has_header: bool) -> list[str]:
    rows: list[list[str]] = []
    for line in lines:
        if cell := re.match(r"[*-] +- ?(.*)", line):
            rows.append([cell[1]])
        elif cell := re.match(r" +- ?(.*)", line):
            rows[-1].append(cell[1])
        elif line.strip():
            rows[-1][-1] += f" {line.strip()}"
    if not has_header:
        rows.insert(0, [""] * len(rows[0]))
    rows.insert(1, ["---"] * len(rows[0]))
    return [f"| {' | '.join(row)} |" for row in rows]


def glossary(page: Page, at: Directive) -> list[str]:
    out = []
    for line in plain(page, at):
        is_term = line and not line.startswith((" ", ":"))
        out += ["", f"**{line}**", ""] if is_term else [line.lstrip(": ")]
    return out


def dropped(page: Page, at: Directive) -> list[str]:
    return []


def solution_start(page: Page, at: Directive) -> list[str]:
    page.in_solution = True
    return []


def solution_end(page: Page, at: Directive) -> list[str]:
    page.in_solution = False
    return []


NOTES = {
    "attention": "Attention",
    "caution": "Caution",
    "danger": "Danger",
    "error": "Error",
    "hint": "Hint",
    "important": "Important",
    "note": "Note",
    "seealso": "See also",
    "tip": "Tip",
    "warning": "Warning",
}
DIRECTIVES: dict[str, Callable[[Page, Directive], list[str]]] = {
    **dict.fromkeys(["admonition", "margin", "sidebar", *NOTES], admonition),
    **dict.fromkeys(["exercise", "exercise-start"], exercise),
    **dict.fromkeys(["figure", "image"], image),
    **dict.fromkeys(["code", "code-block"], code),
    **dict.fromkeys(["table", "list-table"], table),
    **dict.fromkeys(["tab-set", "grid", "div"], plain),
    **dict.fromkeys(["tab-item", "grid-item", "rubric"], titled),
    **dict.fromkeys(["card", "grid-item-card"], card),
    # The notebook ends in its own references; a "solution" has no cell, so nothing to stub.
    **dict.fromkeys(["bibliography", "tableofcontents", "exercise-end", "solution"], dropped),
    "dropdown": dropdown,
    "glossary": glossary,
    "math": math,
    "solution-start": solution_start,
    "solution-end": solution_end,
}
