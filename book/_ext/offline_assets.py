"""Make the built site work without a network.

Sphinx loads MathJax from a content delivery network.  The Python package `sphinx-mathjax-offline`
holds MathJax 3 itself; copied are the parts that TeX on a web page needs, and those that read a
formula aloud in English.  Thebe, which runs cells in the page, can only be had from a network: its
scripts are left out.  Everything else that the theme uses lies in the site already.
"""

from __future__ import annotations

import shutil
from importlib.metadata import distribution
from pathlib import Path

from sphinx.application import Sphinx
from sphinx.config import Config

PARTS = (
    "tex-chtml.js",
    "input/tex/extensions",
    "output/chtml/fonts",
    "a11y",
    "sre/mathmaps/base.json",
    "sre/mathmaps/en.json",
)


def copy_mathjax(static: Path) -> None:
    """Copy the parts of MathJax that the book needs to static/mathjax."""
    files = distribution("sphinx-mathjax-offline")
    source = Path(str(files.locate_file("sphinx-mathjax-offline/static/mathjax")))
    for part in PARTS:
        target = static / "mathjax" / part
        target.parent.mkdir(parents=True, exist_ok=True)
        if (source / part).is_dir():
            shutil.copytree(source / part, target, dirs_exist_ok=True)
        else:
            shutil.copyfile(source / part, target)


def _set_theme_options(app: Sphinx, config: Config) -> None:
    # The theme would otherwise show a second search box in a bar of its own.
    config.html_theme_options.setdefault("navbar_persistent", [])


def _leave_out_thebe(app: Sphinx, page: str, template: str, context: dict, doctree: object) -> None:
    def text(script: object) -> str:
        return f"{getattr(script, 'filename', '')} {getattr(script, 'attributes', '')}".lower()

    scripts = context["script_files"]
    context["script_files"] = [script for script in scripts if "thebe" not in text(script)]


def _finish(app: Sphinx, error: Exception | None) -> None:
    if error is None and app.builder.format == "html":
        copy_mathjax(Path(app.outdir, "_static"))


def setup(app: Sphinx) -> dict[str, bool]:
    """Register with Sphinx."""
    app.config.mathjax_path = "mathjax/tex-chtml.js"
    app.connect("config-inited", _set_theme_options, priority=100)
    app.connect("html-page-context", _leave_out_thebe, priority=900)
    app.connect("build-finished", _finish)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
