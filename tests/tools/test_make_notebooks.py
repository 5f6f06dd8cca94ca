"""The student notebooks: what each piece of MyST becomes, and that no solution survives."""

import ast

import nbformat
import pytest

import make_notebooks
import myst_pages

HEADER = """\
---
jupytext:
  text_representation:
    extension: .md
    format_name: myst
kernelspec:
  display_name: Python 3
  language: python
  name: python3
---

"""
CONFIG = r"""
repository: {url: "https://example.org/book", branch: main}
bibtex_bibfiles: [book/references.bib]
sphinx:
  config:
    mathjax3_config:
      tex:
        macros:
          R: '\mathbb{R}'
          T: '^\top'
          norm: ['\lVert #1 \rVert_{#2}', 2]
"""
BIB = r"""
@article{hotelling, author = {Hotelling, Harold}, year = {1936}, title = {Relations},
  journal = {Biometrika}, doi = {10.1/x}}
@book{two, author = {M{\"u}ller, A. and van der Berg, B.}, year = {2001}, title = {A Book}}
@article{many, author = {A, A. and B, B. and C, C.}, year = {2010}, title = {Many}}
"""
SOLUTION = '''\
import numpy as np
from cmrlib.exercises import check

SECRET_CONSTANT = 3


def whiten(
    X,  # the data
    reg=0.0,
):
    """Return X with unit covariance, shape (n, p)."""
    secret = np.linalg.svd(X)
    return secret[0]


check("cca/linear/whiten", whiten)'''
STUB = '''\
import numpy as np
from cmrlib.exercises import check


def whiten(
    X,  # the data
    reg=0.0,
):
    """Return X with unit covariance, shape (n, p)."""
    raise NotImplementedError("your turn")


check("cca/linear/whiten", whiten)'''
EXERCISE = f"""\
```{{exercise}} Whitening
:label: cca-linear-whiten

★☆☆ Write `whiten`.
```

```{{dropdown}} Hint
Think of the SVD.
```

```{{solution-start}} cca-linear-whiten
:class: dropdown
```

```{{code-cell}} ipython3
:tags: [solution]

{SOLUTION}
```

The hidden explanation.

```{{solution-end}}
```

After it.
"""
OTHER = (
    "(other)=\n# Other page\n\n$$a$$ (eq-other)\n\n```{glossary}\nspace\n  Where codes live.\n```\n"
)


@pytest.fixture
def convert(tmp_path):
    """Lower a chapter ``book/cca/linear.md`` of a small book; return its notebook."""

    def run(text, front=""):
        folder = tmp_path / "book" / "cca"
        folder.mkdir(parents=True)
        header = HEADER.replace("---\n\n", f"{front}---\n\n")
        (tmp_path / "_config.yml").write_text(CONFIG)
        (tmp_path / "book" / "references.bib").write_text(BIB)
        (tmp_path / "book" / "other.md").write_text(HEADER + OTHER)
        (tmp_path / "book" / "bare.md").write_text("(bare)=\n# Bare page\n")
        (folder / "linear.md").write_text(header + f"# CCA\n\n{text}")
        book = make_notebooks.open_book(tmp_path)
        page = myst_pages.Page(book, folder / "linear.md")
        return make_notebooks.student_notebook(page)

    return run


def body(notebook):
    """Return what follows the title and the bootstrap cell, as one text."""
    return "\n\n".join(cell.source for cell in notebook.cells[2:])


@pytest.mark.parametrize(
    "source, expected",
    [
        # formulas
        ("$$x$$ (eq-x)\n\nBy {eq}`eq-x`.", "$$x \\tag{1}$$\n\nBy (1)."),
        ("$$\nx\n$$ (eq-x)", "$$\nx \\tag{1}\n$$"),
        ("$$a$$\n\n$$b$$ (eq-b)\n\n{eq}`eq-b`", "$$a$$\n\n$$b \\tag{1}$$\n\n(1)"),
        ("```{math}\n:label: eq-x\nx\n```\n\n{eq}`eq-x`", "$$\nx \\tag{1}\n$$\n\n(1)"),
        (r"$X \in \R^p$", r"$X \in \mathbb{R}^p$"),
        (r"$A_\R$", r"$A_{\mathbb{R}}$"),
        (r"$X\T Y, \Tau$", r"$X^\top Y, \Tau$"),
        (r"$\norm{x_{1}}F$", r"$\lVert x_{1} \rVert_{F}$"),
        (r"\begin{align}\R\end{align}", r"\begin{align}\mathbb{R}\end{align}"),
        (r"It costs $5 or $6, \$7.", r"It costs $5 or $6, \$7."),
        # references
        ("{eq}`eq-other`", "[(1) of Other page](../other.ipynb)"),
        ("{ref}`other`", "[Other page](../other.ipynb)"),
        ("{ref}`this <other>`", "[this](../other.ipynb)"),
        ("{ref}`bare`", "Bare page"),
        ("{doc}`../other`", "[Other page](../other.ipynb)"),
        ("(here)=\n## Here\n\n{ref}`here`", "## Here\n\nHere"),
        ("[](#other)", "[Other page](../other.ipynb)"),
        ("[see](../other.md#part)", "[see](../other.ipynb)"),
        ("[see](../bare.md)", "see"),
        ("[see](/book/other.md)", "[see](../other.ipynb)"),
        ("[](../other.md)", "[Other page](../other.ipynb)"),
        ("[out](https://example.org)", "[out](https://example.org)"),
        ("{term}`space`, {term}`spaces <space>`", "space, spaces"),
        ("{abbr}`CCA (canonical correlation analysis)`", "CCA (canonical correlation analysis)"),
        ("H{sub}`2`", "H<sub>2</sub>"),
        # untouched
        ("``{eq}`eq-x` ``", "``{eq}`eq-x` ``"),
        ("`$x$ {ref}`", "`$x$ {ref}`"),
        ("```python\n{eq}`eq-x`\n# $\\R$\n```", "```python\n{eq}`eq-x`\n# $\\R$\n```"),
        ("![alt](a.png)", "![alt](a.png)"),
        # blocks
        ("```{note}\nText.\n```", "> **Note**\n>\n> Text."),
        (":::{tip} Be quick.\n:::", "> **Tip**\n>\n> Be quick."),
        (
            "```{admonition} You *will*\n:class: objectives\n* derive\n```",
            "> **You *will***\n>\n> * derive",
        ),
        (
            "```{admonition} More\n:class: dropdown\nText.\n```",
            "<details>\n<summary>More</summary>\n\nText.\n\n</details>",
        ),
        ("```{note}\n$$\nx\n$$ (eq-x)\n```", "> **Note**\n>\n> $$ x \\tag{1} $$"),
        ("```{margin}\nAside.\n```", "> Aside."),
        (
            "```{dropdown} Hint\n:open:\nThink.\n```",
            "<details>\n<summary>Hint</summary>\n\nThink.\n\n</details>",
        ),
        ("- item\n\n  ```{note}\n  In.\n  ```", "- item\n\n  > **Note**\n  >\n  > In."),
        ("```{image} /book/a.png\n:alt: A\n```", "![A](../../book/a.png)"),
        (
            "```{figure} a.png\n:alt: A\n:name: fig-a\nWhat $\\R$ is.\n```\n\n{numref}`fig-a`",
            "![A](a.png)\n\n*Figure 1. What $\\mathbb{R}$ is.*\n\nFigure 1",
        ),
        (
            "```{list-table} Sizes\n:header-rows: 1\n:name: tab-s\n\n* - a\n  - b\n* - 1\n  - 2\n"
            "    more\n```\n\n{numref}`tab-s`, {numref}`No. %s <tab-s>`",
            "**Table 1.** Sizes\n\n| a | b |\n| --- | --- |\n| 1 | 2 more |\n\nTable 1, No. 1",
        ),
        ("```{table} T\n| a |\n|---|\n| 1 |\n```", "**Table 1.** T\n\n| a |\n|---|\n| 1 |"),
        (
            "::::{tab-set}\n:::{tab-item} One\nText 1.\n:::\n:::{tab-item} Two\nText 2.\n:::\n::::",
            "**One**\n\nText 1.\n\n**Two**\n\nText 2.",
        ),
        (
            "::::{grid} 2\n:::{grid-item-card} Go\n:link: ../other\n:link-type: doc\nThere.\n"
            ":::\n::::",
            "**[Go](../other.ipynb)**\n\nThere.",
        ),
        ("```{glossary}\nspace\n  Where codes live.\n```", "**space**\n\nWhere codes live."),
        ("```{code-block} python\nx = 1\n```", "```python\nx = 1\n```"),
        ("% a comment\nText.", "Text."),
        (
            "```{exercise-start} Big\n:label: big\n```\n\nDo it.\n\n```{exercise-end}\n```",
            "**Exercise 1 · Big**\n\nDo it.",
        ),
    ],
)
def test_lowering(convert, source, expected):
    assert body(convert(source)) == expected


def test_citations_end_in_a_list_of_references(convert):
    text = body(convert("{cite:t}`hotelling`; {cite:p}`two, many`; {cite}`two`"))
    assert text == (
        "Hotelling (1936); [Müller and van der Berg, 2001; A et al., 2010]; "
        "[Müller and van der Berg, 2001]\n\n"
        "## References\n\n"
        "- A et al. (2010). *Many*.\n"
        "- Hotelling (1936). *Relations*. Biometrika. [doi](https://doi.org/10.1/x).\n"
        "- Müller and van der Berg (2001). *A Book*."
    )


def test_first_cells(convert):
    title, bootstrap = convert("Text.").cells[:2]
    assert title.source.startswith("# CCA\n\n*The page as a notebook. Run the next cell")
    assert '"cmrlib @ git+https://example.org/book@main"' in bootstrap.source
    namespace = {}
    exec(bootstrap.source, namespace)  # cmrlib is here: nothing may be installed
    assert "package" not in namespace


def test_extras_of_a_chapter_reach_the_bootstrap_cell(convert):
    bootstrap = convert("Text.", front="cmrlib: {extras: [a, b]}\n").cells[1]
    assert '"cmrlib[a,b] @ git+' in bootstrap.source


def test_code_cells(convert):
    notebook = convert(
        "```{code-cell} ipython3\n:tags: [remove-cell]\n\nsetup()\n```\n\n"
        "```{code-cell} ipython3\n---\nmystnb:\n  figure:\n    caption: A claim.\n"
        "    name: fig-x\ntags: [hide-input]\n---\nscore = 1\n```\n\n"
        "{numref}`fig-x` shows {glue:text}`score:.2f`.\n"
    )
    code, caption, prose = notebook.cells[2:]
    assert code.source == "score = 1"
    assert code.metadata == {"jupyter": {"source_hidden": True}}
    assert caption.source == "*Figure 1. A claim.*"
    assert prose.source == "Figure 1 shows `score`."


def test_glued_numbers_are_printed():
    source = (
        "from myst_nb import glue\n\n"
        "best = max(\n    scores\n)\nglue('best', best, display=False)\n"
        "a, b = 1, 2\nfor name in ('a', 'b'):\n    glue(name, globals()[name], display=False)"
    )
    assert make_notebooks.quoted_numbers(source) == (
        "# The numbers that the text quotes.\nbest = max(\n    scores\n)\na, b = 1, 2\n"
        'print("best =", best)\nprint("a =", a)\nprint("b =", b)'
    )
    assert make_notebooks.quoted_numbers("x = 1") == ""


def test_an_exercise_loses_its_solution_and_nothing_else(convert):
    notebook = convert(EXERCISE + "\n{ref}`cca-linear-whiten`")
    assert "with the exercises left to you" in notebook.cells[0].source
    assert body(notebook) == (
        "**Exercise 1 · Whitening**\n\n★☆☆ Write `whiten`.\n\n"
        "<details>\n<summary>Hint</summary>\n\nThink of the SVD.\n\n</details>\n\n"
        f"{STUB}\n\nAfter it.\n\nExercise 1"
    )


def test_numbers_count_what_a_solution_hides(convert):
    exercise = EXERCISE.replace(
        "The hidden explanation.", "$$hidden$$ (eq-hidden)\n```python\nhidden\n```"
    )
    text = body(convert(f"$$x$$ (eq-x)\n\n{exercise}\n$$y$$ (eq-y)"))
    assert "$$y \\tag{3}$$" in text
    assert "hidden" not in text


@pytest.mark.parametrize(
    "source, message",
    [
        ("Text.\n\n```{mermaid}\nx\n```", "linear.md:16: {mermaid} has no form"),
        ("Text\n{sparkle}`x`.", "linear.md:15: the role {sparkle} has no form"),
        ("{ref}`nowhere`", "linear.md:14: the label nowhere is not defined"),
        ("{cite}`nobody`", "linear.md:14: the reference nobody is not defined"),
        ("[x](nowhere.md)", "linear.md:14: the link points at nowhere.md"),
        ("```{note}\nnever closed", "linear.md:14: a fence that opens here is never closed"),
        ("```{note}\n:class: x\n\n{ref}`nowhere`\n```", "linear.md:17: the label nowhere"),
        ("{glue:text}`score:.2f`", "linear.md:14: score is glued, but is not a variable"),
        ("```{code-cell} ipython3\n:tags: [solution]\n\nx = 1\n```", "must lie between"),
        (EXERCISE.replace("```{solution-end}\n```\n", ""), "lacks its solution-end"),
    ],
)
def test_what_has_no_form_is_named_with_file_and_line(convert, source, message):
    with pytest.raises(myst_pages.SourceError) as error:
        convert(source)
    assert message in str(error.value)


def test_stub_keeps_signature_and_docstring():
    assert make_notebooks.make_stub(SOLUTION) == ("cca/linear/whiten", STUB)


@pytest.mark.parametrize(
    "planted, message",
    [
        (SOLUTION.replace("\ncheck(", "\nprint("), "must end in check"),
        (SOLUTION.replace(", whiten)", ", lambda X: X)"), "the name of a function"),
        (SOLUTION.replace(", whiten)", ", whiten, tol=SECRET_CONSTANT)"), "the name of a function"),
        (SOLUTION.replace('"""Return X with unit covariance, shape (n, p)."""', ""), "docstring"),
        (SOLUTION.replace('(n, p)."""', '(n, p)."""; secret = 1'), "docstring's last line"),
        ('def f(X): "doc"; return X\ncheck("a/b", f)', "on its own lines"),
    ],
)
def test_a_solution_that_would_leak_is_refused(planted, message):
    with pytest.raises(myst_pages.SourceError, match=message):
        make_notebooks.make_stub(planted)


def body_lines(solution):
    """Return the lines of a solution cell that a student must not see, stripped."""
    lines = solution.splitlines()
    bodies = [f.body[1:] for f in ast.parse(solution).body if isinstance(f, ast.FunctionDef)]
    spans = [(body[0].lineno - 1, body[-1].end_lineno) for body in bodies if body]
    return {line.strip() for start, end in spans for line in lines[start:end]} - {""}


def leaks(chapter, notebook, solutions):
    """Return solution lines in the notebook that the chapter does not show elsewhere too."""
    shown = chapter
    for solution in solutions:
        shown = shown.replace(solution, "")
    shown_lines = {line.strip() for line in shown.splitlines()}
    secret = set().union(*map(body_lines, solutions)) - shown_lines if solutions else set()
    text = {line.strip() for cell in notebook.cells for line in cell.source.splitlines()}
    return secret & text


def test_a_planted_leak_is_found(convert):
    notebook = convert(EXERCISE)
    assert not leaks(EXERCISE, notebook, [SOLUTION])
    notebook.cells[-2].source += "\n    return secret[0]"
    assert leaks(EXERCISE, notebook, [SOLUTION]) == {"return secret[0]"}


def test_no_line_of_a_solution_is_in_a_student_notebook_of_the_book():
    book = make_notebooks.open_book()
    by_chapter = {path: [] for path in book.chapters}
    for path, _, solution, _ in make_notebooks.solutions(book):
        by_chapter[path].append(solution)
    for path, solutions in by_chapter.items():
        twin = path.with_suffix(".ipynb")
        assert twin.exists(), "run `make notebooks`"
        notebook = nbformat.reads(twin.read_text("utf-8"), as_version=4)
        assert not leaks(path.read_text("utf-8"), notebook, solutions), path


def test_check_finds_what_is_out_of_step(convert, tmp_path, capsys):
    convert(EXERCISE)
    twin = tmp_path / "book" / "cca" / "linear.ipynb"
    assert make_notebooks.main(["--check"], root=tmp_path) == 1
    assert "book/cca/linear.ipynb is out of step" in capsys.readouterr().out
    assert make_notebooks.main([], root=tmp_path) == 0
    first = twin.read_bytes()
    assert make_notebooks.main([], root=tmp_path) == 0
    assert twin.read_bytes() == first and first.endswith(b"}\n")
    assert make_notebooks.main(["--check"], root=tmp_path) == 0

    twin.write_text(twin.read_text().replace("After it.", "After that."))
    assert make_notebooks.main(["--check"], root=tmp_path) == 1
    make_notebooks.main([], root=tmp_path)
    (tmp_path / "book" / "orphan.ipynb").write_text("{}")
    capsys.readouterr()
    assert make_notebooks.main(["--check"], root=tmp_path) == 1
    assert capsys.readouterr().out == "book/orphan.ipynb belongs to no chapter: delete it.\n"


def test_a_source_error_is_one_line_and_writes_nothing(convert, tmp_path, capsys):
    with pytest.raises(myst_pages.SourceError):
        convert("{ref}`nowhere`")
    assert make_notebooks.main([], root=tmp_path) == 1
    assert capsys.readouterr().err.count("\n") == 1
    assert not list(tmp_path.rglob("*.ipynb"))
