"""Check the built book: python tools/check_html.py _build/html

Needs the standard library alone.  Alternative texts, headings, links, anchors and remote assets are
read from the files.  Formulas and scripts are judged in Chromium, with no network; without
Chromium that part is skipped, and said to be.
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")
ASSETS = {"script": "src", "img": "src", "iframe": "src", "source": "src", "link": "href"}
# <link> elements that name a page for the reader's information and load nothing.
NOT_LOADED = {"canonical", "alternate", "index", "search", "next", "prev", "author", "license"}
# What the theme prints on pages where nothing is wrong; each entry says why.
HARMLESS = (
    # sphinx-book-theme watches the margin of every page, also of those that have none.
    "Cannot read properties of null (reading 'classList')",
)
MATH_SOURCE = re.compile(r"\\\(.+?\\\)|\\\[.+?\\\]|\$\$.+?\$\$", re.DOTALL)


class Page(HTMLParser):
    """What the checks need to know of a page."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.images: list[tuple[str, str | None]] = []  # source, alternative text
        self.headings: list[int] = []  # of the article: the theme repeats them for printing
        self.anchors: set[str] = set()
        self.links: list[str] = []
        self.assets: list[str] = []
        self.text: list[str] = []  # outside of code and scripts
        self.math_errors: list[str] = []
        self.redirects = False
        self._in_article = "<article" not in html
        self._verbatim: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note what an element names, loads or shows."""
        found = dict(attrs)
        self.anchors |= {value for key in ("id", "name") if (value := found.get(key))}
        if tag == "img":
            self.images.append((found.get("src") or "", found.get("alt")))
        if tag == "article":
            self._in_article = True
        if self._in_article and re.fullmatch("h[1-6]", tag):
            self.headings.append(int(tag[1]))
        if tag == "a" and found.get("href"):
            self.links.append(found["href"] or "")
        if tag == "meta" and (found.get("http-equiv") or "").lower() == "refresh":
            self.redirects = True
        rel = set((found.get("rel") or "").split())
        if tag in ASSETS and found.get(ASSETS[tag]) and not rel & NOT_LOADED:
            self.assets.append(found[ASSETS[tag]] or "")
        # An unknown macro is set in red, a formula that cannot be read becomes an error element.
        if "data-mjx-error" in found:
            self.math_errors.append(found["data-mjx-error"] or "unreadable formula")
        elif tag == "mjx-mtext" and "color: red" in (found.get("style") or ""):
            self.math_errors.append("unknown TeX command")
        if tag in ("script", "style", "pre", "code", "textarea", "mjx-assistive-mml"):
            self._verbatim.append(tag)

    def handle_endtag(self, tag: str) -> None:
        """Leave the article, or an element whose text is verbatim."""
        if tag == "article":
            self._in_article = False
        if self._verbatim and self._verbatim[-1] == tag:
            self._verbatim.pop()

    def handle_data(self, data: str) -> None:
        """Collect the running text."""
        if not self._verbatim:
            self.text.append(data)


@cache
def read(path: Path) -> Page:
    """Return a parsed page of the site."""
    return Page(path.read_text("utf8"))


def check_file(site: Path, path: Path) -> Iterator[str]:
    """Yield what is wrong in a page, as far as its file tells."""
    page = read(path)
    for source, alt in page.images:
        if not (alt or "").strip() or "_images/" in (alt or ""):
            yield f"image without an alternative text: {source}"
    if not page.redirects:
        if page.headings.count(1) != 1:
            yield f"{page.headings.count(1)} headings of level 1, there must be one"
        for above, below in zip(page.headings, page.headings[1:], strict=False):
            if below > above + 1:
                yield f"a heading of level {below} follows one of level {above}"
    for asset in page.assets:
        if asset.startswith(("http:", "https:", "//")):
            yield f"loaded from the network: {asset}"
        elif problem := broken(site, path, asset):
            yield problem
    for link in dict.fromkeys(page.links):
        if problem := broken(site, path, link):
            yield problem


def broken(site: Path, path: Path, link: str) -> str:
    """Return what is wrong with a link inside the site, or ''."""
    parts = urlsplit(link)
    if parts.scheme or parts.netloc or link in ("#", ""):
        return ""
    target = (path.parent / unquote(parts.path)).resolve() if parts.path else path.resolve()
    if not target.is_relative_to(site.resolve()) or not target.is_file():
        return f"link to a file that is not there: {link}"
    anchor = unquote(parts.fragment)
    if anchor and target.suffix == ".html" and anchor not in read(target).anchors:
        return f"link to a place that is not there: {link}"
    return ""


def check_in_browser(browser: str, path: Path) -> Iterator[str]:
    """Yield what is wrong in a page after its scripts have run."""
    with tempfile.TemporaryDirectory() as profile:
        # Root, as in a container, cannot use Chromium's sandbox; the pages are our own.
        command = [
            *(browser, "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run"),
            *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
            *("--enable-logging=stderr", "--host-resolver-rules=MAP * ~NOTFOUND"),
            *(f"--user-data-dir={profile}", "--virtual-time-budget=10000", "--dump-dom"),
            path.resolve().as_uri(),
        ]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=120)
        except subprocess.TimeoutExpired:
            yield "the browser did not finish within two minutes"
            return
    if "</html>" not in done.stdout:
        yield f"the browser showed nothing (exit status {done.returncode})"
        return
    page = Page(done.stdout)
    for error in dict.fromkeys(page.math_errors):
        yield f"formula with an error: {error}"
    for source in dict.fromkeys(MATH_SOURCE.findall("".join(page.text))):
        yield f"formula left as source: {source[:60]}"
    for message in console_errors(done.stderr):
        yield f"script error: {message}"


def console_errors(log: str) -> list[str]:
    """Return the errors that scripts wrote to Chromium's console, but the harmless ones."""
    lines = re.findall(r'CONSOLE[^"\n]*"(.*?)", source: ', log, re.DOTALL)
    errors = [line for line in lines if line.startswith("Uncaught")]
    return [x for x in dict.fromkeys(errors) if not any(known in x for known in HARMLESS)]


def main(argv: list[str] | None = None) -> int:
    """Print all findings; return 1 if there are any."""
    parser = argparse.ArgumentParser(description="Check the built book.")
    parser.add_argument("site", type=Path, help="folder of the built HTML")
    parser.add_argument(
        "--require-browser", action="store_true", help="fail where there is no Chromium"
    )
    options = parser.parse_args(argv)
    paths = [p for p in sorted(options.site.rglob("*.html")) if "_static" not in p.parts]
    if not paths:
        print(f"There is no page in {options.site}: run 'make book' first.", file=sys.stderr)
        return 1

    findings = [(p, problem) for p in paths for problem in check_file(options.site, p)]
    browser = next((found for name in BROWSERS if (found := shutil.which(name))), None)
    if browser:
        with ThreadPoolExecutor(2) as pool:
            for path, seen in zip(
                paths, pool.map(lambda p: list(check_in_browser(browser, p)), paths), strict=True
            ):
                findings += [(path, problem) for problem in seen]
    else:
        print("Skipped: formulas and scripts were not checked, as there is no Chromium.")

    for path, problem in sorted(findings):
        print(f"{path.relative_to(options.site)}: {problem}")
    print(f"{len(paths)} pages, {len(findings)} findings")
    return int(bool(findings) or (options.require_browser and not browser))


if __name__ == "__main__":
    sys.exit(main())
