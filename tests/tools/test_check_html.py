"""Plant each kind of error in a small page and see that it is found."""

import shutil
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import pytest

import check_html

BROWSER = next((found for name in check_html.BROWSERS if (found := shutil.which(name))), None)
needs_browser = pytest.mark.skipif(BROWSER is None, reason="there is no Chromium")
GOOD = """
<h1 id="top">Title</h1><h2>Part</h2><h3>Detail</h3><h2>Part</h2>
<img src="a.png" alt="A cat"><a href="#top">up</a><a href="other.html#there">on</a>
<a href="https://example.org/x">out</a><link rel="canonical" href="https://example.org/y">
"""


def write(site: Path, body: str) -> Path:
    check_html.read.cache_clear()
    (site / "a.png").write_bytes(b"")
    (site / "other.html").write_text("<html><h1>Other</h1><p id='there'></p></html>")
    page = site / "page.html"
    page.write_text(f"<!doctype html><html><head></head><body>{body}</body></html>")
    return page


def test_a_good_page_has_no_findings(tmp_path):
    page = write(tmp_path, GOOD)
    assert list(check_html.check_file(tmp_path, page)) == []


@pytest.mark.parametrize(
    ("body", "finding"),
    [
        ("<h1>T</h1><img src='a.png'>", "image without an alternative text: a.png"),
        ("<h1>T</h1><img src='a.png' alt=' '>", "image without an alternative text: a.png"),
        ("<h1>T</h1><img src='a.png' alt='../_images/1f.png'>", "image without an alternative"),
        ("<h2>T</h2>", "0 headings of level 1"),
        ("<h1>T</h1><h1>U</h1>", "2 headings of level 1"),
        ("<h1>T</h1><h3>U</h3>", "a heading of level 3 follows one of level 1"),
        ("<h1>T</h1><a href='gone.html'>x</a>", "link to a file that is not there: gone.html"),
        ("<h1>T</h1><img src='gone.png' alt='x'>", "link to a file that is not there: gone.png"),
        ("<h1>T</h1><a href='#gone'>x</a>", "link to a place that is not there: #gone"),
        ("<h1>T</h1><a href='other.html#gone'>x</a>", "link to a place that is not there: other"),
        ("<h1>T</h1><script src='https://x.org/a.js'></script>", "loaded from the network"),
        ("<h1>T</h1><img alt='x' src='//x.org/a.png'>", "loaded from the network: //x.org"),
        ("<h1>T</h1><iframe src='http://x.org/'></iframe>", "loaded from the network"),
        ("<h1>T</h1><link rel='stylesheet' href='https://x.org/a.css'>", "loaded from the"),
    ],
)
def test_an_error_in_the_file_is_found(tmp_path, body, finding):
    (problem,) = check_html.check_file(tmp_path, write(tmp_path, body))
    assert problem.startswith(finding)


def test_only_the_headings_of_the_article_count(tmp_path):
    page = write(tmp_path, "<h1>For printing</h1><article><h1>T</h1></article><h4>Foot</h4>")
    assert list(check_html.check_file(tmp_path, page)) == []


@pytest.fixture(scope="module")
def mathjax() -> str:
    try:
        files = distribution("sphinx-mathjax-offline")
    except PackageNotFoundError:
        pytest.skip("sphinx-mathjax-offline is not installed")
    path = Path(str(files.locate_file("sphinx-mathjax-offline/static/mathjax/tex-chtml.js")))
    return f'<script defer src="{path.as_uri()}"></script>'


@needs_browser
def test_a_good_page_passes_in_the_browser(tmp_path, mathjax):
    page = write(tmp_path, mathjax + r"<p>\(x^2\)</p><code>\(y\)</code><p>\[ \frac{1}{2} \]</p>")
    assert list(check_html.check_in_browser(BROWSER, page)) == []


@needs_browser
@pytest.mark.parametrize(
    ("formula", "finding"),
    [
        (r"\(\nosuchmacro x\)", "formula with an error: unknown TeX command"),
        (r"\(\frac{1}{2\)", "formula"),
        (r"\[\left( x \]", "formula with an error: "),
    ],
)
def test_a_wrong_formula_is_found(tmp_path, mathjax, formula, finding):
    page = write(tmp_path, f"{mathjax}<p>{formula}</p>")
    (problem,) = check_html.check_in_browser(BROWSER, page)
    assert problem.startswith(finding)


@needs_browser
@pytest.mark.parametrize(
    ("body", "finding"),
    [
        (r"<p>\(x\)</p>", r"formula left as source: \(x\)"),
        (r"<p>$$x$$</p>", "formula left as source: $$x$$"),
        ("<script>nosuchname.f()</script>", "script error: Uncaught ReferenceError: nosuchname"),
        ("<script>Promise.reject(new Error('late'))</script>", "script error: Uncaught (in pro"),
    ],
)
def test_what_went_wrong_in_the_browser_is_found(tmp_path, body, finding):
    (problem,) = check_html.check_in_browser(BROWSER, write(tmp_path, body))
    assert problem.startswith(finding)


def test_harmless_messages_are_passed_over():
    log = (
        '[1:2:3:INFO:CONSOLE:9] "Uncaught TypeError: Cannot read properties of null '
        "(reading 'classList')\", source: file:///a.js (1)\n"
        '[1:2:3:INFO:CONSOLE:9] "Uncaught Error: real", source: file:///a.js (1)\n'
        '[1:2:3:INFO:CONSOLE:9] "just a note", source: file:///a.js (1)\n'
    )
    assert check_html.console_errors(log) == ["Uncaught Error: real"]


def test_the_exit_status_tells_of_findings_and_of_a_missing_browser(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(check_html.shutil, "which", lambda name: None)
    write(tmp_path, GOOD)
    assert check_html.main([str(tmp_path)]) == 0
    assert "Skipped" in capsys.readouterr().out
    assert check_html.main([str(tmp_path), "--require-browser"]) == 1
    write(tmp_path, "<h2>no title</h2>")
    assert check_html.main([str(tmp_path)]) == 1
    assert "page.html: 0 headings" in capsys.readouterr().out
    assert check_html.main([str(tmp_path / "nowhere")]) == 1
