"""Label the entries of the bibliography as the text cites them: [Hotelling, 1936]."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from pybtex.database import Entry
from pybtex.plugin import register_plugin
from pybtex.style.formatting.plain import Style as PlainStyle
from pybtex.style.labels import BaseLabelStyle
from sphinx.application import Sphinx
from sphinx.util import logging

logger = logging.getLogger(__name__)


def label(entry: Entry) -> str:
    """Return 'One, 1936', 'One and Two, 1936' or 'One et al., 1936'."""
    people = entry.persons.get("author") or entry.persons.get("editor") or []
    names = [" ".join([*p.prelast_names, *p.last_names]) for p in people]
    if not names:
        who = entry.fields["title"]
    elif len(names) <= 2:
        who = " and ".join(names)
    else:
        who = f"{names[0]} et al."
    return f"{who}, {entry.fields.get('year', 'n.d.')}".replace("{", "").replace("}", "")


class AuthorYearLabels(BaseLabelStyle):
    """Author and year; two entries with the same label are reported."""

    def format_labels(self, sorted_entries: Iterable[Entry]) -> Iterator[str]:
        """Yield one label for each entry."""
        seen: dict[str, str] = {}
        for entry in sorted_entries:
            text = label(entry)
            if text in seen:
                logger.warning(
                    f"references.bib: {seen[text]} and {entry.key} are both cited as [{text}]; "
                    "write year = {2016a} and {2016b}"
                )
            seen[text] = entry.key
            yield text


class Style(PlainStyle):
    """Pybtex's plain style, sorted by author and year, with these labels."""

    default_label_style = AuthorYearLabels


def setup(app: Sphinx) -> dict[str, bool]:
    """Register with Sphinx and with pybtex."""
    register_plugin("pybtex.style.formatting", "author_year_labels", Style)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
