"""Checks for the exercises of the book, which say why an answer is wrong.

A student writes a function and hands it over::

    from cmrlib.exercises import check

    check("cca/linear/whiten", whiten)

**To write a check.** An exercise of the page ``book/<family>/<name>.md`` has its check in
``cmrlib/exercises/<family>/<name>.py``, which is imported when the exercise is first checked. The
check takes the student's function, tries it on small data, and raises :class:`Wrong` (or fails an
``assert``) with a sentence that says what is wrong and where to look::

    import numpy as np

    from cmrlib.exercises import Answer, close, exercise, shape

    @exercise("cca/linear/center")
    def center(answer: Answer) -> None:
        X = np.array([[1.0, 2.0], [3.0, 6.0]])
        Z = shape(answer(X), (2, 2))
        close(Z.mean(axis=0), 0, "The columns must have mean zero: subtract each column's mean.")
        assert X[0, 0] == 1, "The function changes its argument: work on a copy."

Test the likeliest mistake first, and name it. The reference solution stands in the chapter, at
least two wrong answers with the reason each must get in ``tests/exercises/<family>/<name>.py``.
"""

from __future__ import annotations

import difflib
import html
import importlib
import importlib.util
import linecache
import os
import pkgutil
import re
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

__all__ = [
    "Answer",
    "Result",
    "Wrong",
    "check",
    "close",
    "exercise",
    "number",
    "shape",
    "statements",
]

Answer = Callable[..., Any]
Check = Callable[[Answer], None]

_CHECKS: dict[str, Check] = {}


class Wrong(AssertionError):
    """An answer is wrong; the message says why."""


@dataclass(frozen=True)
class Result:
    """What :func:`check` found: true if the answer is right, else ``message`` says why not."""

    exercise: str
    ok: bool
    message: str

    def __bool__(self) -> bool:
        return self.ok

    def __repr__(self) -> str:
        return f"{self.exercise}: {'correct' if self.ok else 'not yet'}. {self.message}"

    def _repr_html_(self) -> str:
        # Text and background are the page's own, so that it reads in light and in dark.
        colour, word = ("#2e9e6b", "✓ Correct.") if self.ok else ("#d9822b", "✗ Not yet.")
        message = html.escape(self.message).replace("\n", "<br>")
        return (
            f'<div style="border-left: 4px solid {colour}; padding: 0.3em 0.8em">'
            f"<b>{word}</b> {message}</div>"
        )


def exercise(exercise_id: str) -> Callable[[Check], Check]:
    """Register a function as the check of the exercise ``<family>/<name>/<exercise>``."""

    def register(function: Check) -> Check:
        _CHECKS[exercise_id] = function
        return function

    return register


def check(exercise_id: str, answer: Answer) -> Result:
    """Check an answer to an exercise of the book.

    Parameters
    ----------
    exercise_id : str
        The exercise, such as "cca/linear/whiten".
    answer : callable
        The function that the exercise asks for (the function, not what it returns).

    Returns
    -------
    Result
        True if the answer is right; printed, it says what is still wrong.

    Raises
    ------
    ValueError
        If there is no such exercise.
    Wrong
        If the answer is wrong and the book is being built (``BOOK_BUILD`` is set), so that no
        wrong solution is published.
    """
    result = _judge(exercise_id, _find(exercise_id), answer)
    if not result and os.environ.get("BOOK_BUILD"):
        raise Wrong(repr(result))
    return result


def close(actual: ArrayLike, expected: ArrayLike, why: str, tol: float = 1e-8) -> None:
    """Refuse numbers that differ from ``expected`` by more than ``tol``, relative or absolute.

    ``why`` is the sentence the student reads; the largest difference is added to it.
    """
    import numpy as np

    wanted = np.asarray(expected) * 1.0
    got = shape(actual, wanted.shape) if wanted.ndim else _numbers(actual)
    if got.size == 0:
        raise Wrong(f"{why} The result is empty.")
    if not np.isfinite(got).all():
        raise Wrong(f"{why} The result holds NaN or infinity.")
    if not np.allclose(got, wanted, rtol=tol, atol=tol):
        raise Wrong(f"{why} The largest difference is {np.abs(got - wanted).max():.2g}.")


def shape(actual: ArrayLike, expected: tuple[int, ...], what: str = "the result") -> NDArray[Any]:
    """Return ``actual`` as an array; refuse it if it has not the shape ``expected``."""
    array = _numbers(actual)
    if array.shape != expected:
        raise Wrong(f"Expected {what} to have shape {expected}, got {array.shape}.")
    return array


def number(actual: Any, what: str = "the result") -> float:
    """Return ``actual`` as a float; refuse it if it is not a single number."""
    return float(shape(actual, (), what))


def statements(answer: Answer, right: dict[str, tuple[bool, str]]) -> None:
    """Refuse a dictionary of statements and truth values that is wrong in one.

    ``right`` holds for each statement whether it is true, and why.
    """
    given = answer()
    if not isinstance(given, dict) or set(given) != set(right):
        raise Wrong(f"Return a dictionary with exactly these keys: {sorted(right)}.")
    for statement, (true, why) in right.items():
        if bool(given[statement]) != true:
            raise Wrong(f"Think again about {statement!r}: {why}.")


def _numbers(actual: ArrayLike) -> NDArray[Any]:
    import numpy as np

    if actual is None:
        raise Wrong("Got None: does the function return its result?")
    try:
        array = np.asarray(actual)
    except ValueError:
        raise Wrong("Expected an array, got rows of different lengths.") from None
    if array.dtype.kind not in "biufc":
        raise Wrong(f"Expected numbers, got {type(actual).__name__}.")
    return array


def _judge(exercise_id: str, function: Check, answer: Answer) -> Result:
    if not callable(answer):
        message = f"Hand over the function itself, not a {type(answer).__name__}."
        return Result(exercise_id, False, message)
    try:
        function(answer)
    except NotImplementedError:
        return Result(exercise_id, False, "Not solved yet: write the function, then run it again.")
    except Exception as error:
        if isinstance(error, Wrong) or _raised_by(error, function):
            return Result(exercise_id, False, str(error))
        return Result(exercise_id, False, _explain(error, answer))
    return Result(exercise_id, True, "Well done.")


def _raised_by(error: Exception, function: Check) -> bool:
    """Tell a failed ``assert`` of the check from one in the student's own code."""
    frame = _frames(error.__traceback__)[-1][0]
    return isinstance(error, AssertionError) and frame.f_globals is function.__globals__


def _explain(error: Exception, answer: Answer) -> str:
    """Say what the answer raised, and at which line of the student's code."""
    what = f"{type(error).__name__}: {error}"
    own = getattr(answer, "__globals__", None)
    places = [(f, line) for f, line in _frames(error.__traceback__) if f.f_globals is own]
    if not places:
        return f"Your answer could not be used. {what}"
    frame, line = places[-1]
    text = linecache.getline(frame.f_code.co_filename, line).strip()
    return f"Your function stopped at line {line}{f', `{text}`' if text else ''}. {what}"


def _frames(tb: TracebackType | None) -> list[tuple[Any, int]]:
    return list(traceback.walk_tb(tb))


def _find(exercise_id: str) -> Check:
    page = exercise_id.rpartition("/")[0]
    if re.fullmatch(r"\w+(/\w+)*", page):
        _load(f"{__name__}.{page.replace('/', '.')}")
    if exercise_id in _CHECKS:
        return _CHECKS[exercise_id]
    for module in pkgutil.walk_packages(__path__, f"{__name__}."):
        _load(module.name)
    near = difflib.get_close_matches(exercise_id, _CHECKS, n=3, cutoff=0.4)
    hint = f"did you mean {', '.join(near)}?" if near else "see the exercise for its id."
    raise ValueError(f"There is no exercise {exercise_id!r}: {hint}")


def _load(module: str) -> None:
    """Import a module of checks; one that does not exist has none."""
    try:
        importlib.import_module(module)
    except ModuleNotFoundError as error:
        if not (error.name or "").startswith(__name__):
            raise
