"""Exercises: every solution passes, every stub and every likely mistake is refused with a reason.

The wrong answers of ``cmrlib/exercises/<family>/<name>.py`` stand in
``tests/exercises/<family>/<name>.py`` as ``WRONG = {"<family>/<name>/<exercise>": [(function,
"words of the reason"), ...]}``, at least two an exercise.
"""

import ast
import importlib
import linecache
import pkgutil
import runpy
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import make_notebooks
from cmrlib import exercises
from cmrlib.exercises import Wrong, check, close, exercise, shape

ROOT = Path(__file__).resolve().parents[1]
BOOK = {found[1]: found for found in make_notebooks.solutions(make_notebooks.Book(ROOT))}
every_exercise = pytest.mark.parametrize("exercise_id", BOOK)


@pytest.fixture(autouse=True)
def outside_the_build(monkeypatch):
    monkeypatch.delenv("BOOK_BUILD", raising=False)


def run(cell):
    """Run a cell and return the value of its last line, as Jupyter shows it."""
    *before, last = ast.parse(cell).body
    namespace = {"__name__": "cell"}
    exec(compile(ast.Module(before, []), "cell", "exec"), namespace)
    return eval(compile(ast.Expression(last.value), "cell", "eval"), namespace)


def wrong_answers(exercise_id):
    path = ROOT / "tests" / "exercises" / f"{exercise_id.rpartition('/')[0]}.py"
    assert path.exists(), f"write {path.relative_to(ROOT)} with the wrong answers"
    return runpy.run_path(str(path))["WRONG"].get(exercise_id, [])


@every_exercise
def test_solution_of_the_book_passes(exercise_id):
    result = run(BOOK[exercise_id][2])
    assert result, result.message


@every_exercise
def test_stub_is_not_solved_yet(exercise_id):
    result = run(BOOK[exercise_id][3])
    assert not result
    assert "Not solved yet" in result.message


@every_exercise
def test_wrong_answers_get_their_reason(exercise_id):
    answers = wrong_answers(exercise_id)
    assert len(answers) >= 2, f"{exercise_id} needs at least two wrong answers"
    for answer, reason in answers:
        result = check(exercise_id, answer)
        assert reason, "a wrong answer needs words of its reason"
        assert not result, f"the wrong answer {answer.__name__} passes"
        assert reason in result.message, f"{answer.__name__}: {result.message}"


@every_exercise
def test_id_names_the_page(exercise_id):
    page = BOOK[exercise_id][0].relative_to(ROOT / "book").with_suffix("")
    assert exercise_id.rpartition("/")[0] == page.as_posix()


def test_every_check_and_wrong_answer_belongs_to_an_exercise():
    for module in pkgutil.walk_packages(exercises.__path__, "cmrlib.exercises."):
        importlib.import_module(module.name)
    assert set(exercises._CHECKS) <= set(BOOK)
    for path in (ROOT / "tests" / "exercises").rglob("*.py"):
        assert set(runpy.run_path(str(path))["WRONG"]) <= set(BOOK), path


@pytest.fixture
def doubling(monkeypatch):
    """An exercise "sample/page/double": return twice the argument."""
    monkeypatch.setattr(exercises, "_CHECKS", {})

    @exercise("sample/page/double")
    def double(answer):
        X = np.array([1.0, 2.0])
        close(answer(X), [2.0, 4.0], "Every number must be doubled.")
        assert X[0] == 1, "The function changes its argument: work on a copy."

    return "sample/page/double"


STUDENT = """\
def squares(X):
    return X**2

def in_place(X):
    X *= 2
    return X.copy()

def crashes(X):
    Y = X + 1
    return helps(Y)

def helps(Y):
    return Y["no such key"]

def asserts(X):
    assert len(X) == 3, "three expected"

def returns_nothing(X):
    X + X

def takes_two(X, Y):
    return X
"""


@pytest.fixture
def student(monkeypatch):
    """What a student's notebook defines."""
    monkeypatch.setitem(linecache.cache, "<cell>", (0, None, STUDENT.splitlines(True), "<cell>"))
    namespace = {}
    exec(compile(STUDENT, "<cell>", "exec"), namespace)
    return namespace


@pytest.mark.parametrize(
    "answer, reason",
    [
        ("squares", "Every number must be doubled. The largest difference is 1."),
        ("in_place", "changes its argument"),
        (lambda X: 2 * X[:1], "to have shape (2,), got (1,)"),
        (lambda X: X * np.nan, "NaN"),
        (lambda X: [[1], [1, 2]], "different lengths"),
        (lambda X: "ab", "Expected numbers, got str"),
        ("returns_nothing", "does the function return its result?"),
        ("crashes", 'stopped at line 13, `return Y["no such key"]`. IndexError: only integers'),
        ("asserts", 'stopped at line 16, `assert len(X) == 3, "three expected"`. AssertionError'),
        ("takes_two", "could not be used. TypeError: takes_two() missing 1 required"),
        (np.array([2.0, 4.0]), "the function itself, not a ndarray"),
        (make_notebooks, "the function itself, not a module"),
    ],
)
def test_check_says_why(doubling, student, answer, reason):
    result = check(doubling, student[answer] if isinstance(answer, str) else answer)
    assert not result
    assert reason in result.message
    assert repr(result) == f"{doubling}: not yet. {result.message}"


def test_right_answer(doubling):
    result = check(doubling, lambda X: 2 * X)
    assert result
    assert repr(result) == f"{doubling}: correct. Well done."
    assert "✓ Correct." in result._repr_html_()


def test_html_is_escaped_and_keeps_the_page_colours(doubling):
    def tagged(X):
        raise ValueError("<script>")

    page = check(doubling, tagged)._repr_html_()
    assert "&lt;script&gt;" in page
    assert "background" not in page and " color:" not in page


def test_wrong_answer_stops_the_build_of_the_book(doubling, student, monkeypatch):
    monkeypatch.setenv("BOOK_BUILD", "1")
    assert check(doubling, lambda X: 2 * X)
    with pytest.raises(Wrong, match="doubled"):
        check(doubling, student["squares"])


def test_unknown_exercise_lists_near_ones(doubling):
    with pytest.raises(ValueError, match="did you mean sample/page/double"):
        check("sample/page/dubble", len)
    with pytest.raises(ValueError, match="There is no exercise ''"):
        check("", len)


def test_helpers():
    assert shape([1, 2], (2,)).sum() == 3
    close([True, False], [True, False], "why")
    close([1.0, 1.0 + 1e-9], 1, "why")
    with pytest.raises(Wrong, match="why The result is empty"):
        close([], 1, "why")
    with pytest.raises(Wrong, match="Expected the codes to have shape"):
        shape([1, 2], (3,), "the codes")


def test_import_is_light():
    code = (
        "import sys, cmrlib.exercises\n"
        "heavy = {'numpy', 'scipy', 'sklearn', 'torch', 'matplotlib'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
