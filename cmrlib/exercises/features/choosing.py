"""Checks for the exercises on choosing features."""

from __future__ import annotations

from typing import Any

import numpy as np

from cmrlib.exercises import Answer, Wrong, close, exercise, number, shape


@exercise("features/choosing/time")
def time(answer: Answer) -> None:
    seconds = [9.0, 0.2, 0.1, 0.4, 0.3]  # the turns that count: median 0.25, mean 0.25
    seconds[3] = 2.0  # mean 0.65
    got = number(answer(list(seconds), 50), "the time")
    if np.isclose(got, 1000 * np.mean(seconds[1:]) / 50):
        raise Wrong("A mean is moved by one slow turn: take the median.")
    if np.isclose(got, 1000 * np.median(seconds) / 50):
        raise Wrong("The first turn loads weights and fills caches: leave it out.")
    if np.isclose(got, 1000 * min(seconds) / 50):
        raise Wrong("The fastest turn flatters: take the median of the turns after the first.")
    if np.isclose(got, np.median(seconds[1:]) / 50):
        raise Wrong("These are seconds: a second has 1000 milliseconds.")
    if np.isclose(got, 1000 * np.median(seconds[1:])):
        raise Wrong("This is the time of all items: divide by their number.")
    close(got, 5.0, "The turns after the first have the median 0.25 s, for 50 items.")


@exercise("features/choosing/front")
def front(answer: Answer) -> None:
    ms = np.array([1.0, 2.0, 3.0, 4.0, 2.0])
    quality = np.array([0.2, 0.5, 0.4, 0.6, 0.3])
    got = shape(answer(ms.copy(), quality.copy()), (5,), "the mask").astype(bool)
    if np.array_equal(got, quality == quality.max()):
        raise Wrong("The best extractor is not alone: a cheaper one that none beats belongs too.")
    if got[2] or got[4]:
        raise Wrong("An extractor that another beats in quality at no higher cost is not on it.")
    close(got, [True, True, False, True, False], "Extractors 0, 1 and 3 are on the front.")
    tied = np.asarray(answer(np.array([1.0, 1.0]), np.array([0.4, 0.4]))).astype(bool)
    if not tied.all():
        raise Wrong("Two equal extractors do not beat each other: both are on the front.")
    got = np.asarray(answer(np.array([1.0, 2.0]), np.array([0.4, 0.4]))).astype(bool)
    close(got, [True, False], "At equal quality the cheaper one wins: one strict < is enough.")


@exercise("features/choosing/retained")
def retained(answer: Answer) -> None:
    args = (0.5, 0.3, 0.1)  # clean, with typos, chance
    got = number(answer(*args), "the share")
    if np.isclose(got, 0.6):
        raise Wrong("A useless feature would retain something: subtract chance from both figures.")
    if np.isclose(got, 0.5 - 0.3):
        raise Wrong("This is what is lost, and not as a share: divide what is left by the whole.")
    if np.isclose(got, 2.0):
        raise Wrong("Upside down: what is left stands above, what there was below.")
    close(got, 0.5, "(0.3 - 0.1) / (0.5 - 0.1) is a half.")
    close(answer(0.5, 0.1, 0.1), 0, "At chance nothing is retained.")


@exercise("features/choosing/key")
def key(answer: Answer) -> None:
    one, again = (answer("bag", "2", "cat") for _ in range(2))
    if one is None:
        raise Wrong("Got None: does the function return its result?")
    if one != again:
        raise Wrong("The same extractor, version and item must get the same key every time.")
    if not isinstance(one, str | bytes):
        raise Wrong(
            "Return the digest of a hash such as SHA-256, as str or bytes: Python's own hash() of "
            "a string changes from process to process."
        )
    for other, what in (
        (("bag", "2", "cow"), "item"),
        (("bag", "3", "cat"), "version"),
        (("sift", "2", "cat"), "name"),
    ):
        if answer(*other) == one:
            raise Wrong(f"Another {what} gets the same key, and would get this item's features.")
    if answer("bag2", "", "cat") == one or answer("bag", "2c", "at") == one:
        raise Wrong('("bag", "2", "cat") and ("bag2", "", "cat") clash: separate the parts.')
    if not len(one) == len(answer("bag", "2", "cat " * 99)) >= 16:
        raise Wrong("A key must be short however long the item is, and long enough to be unique.")


@exercise("features/choosing/budget")
def budget(answer: Answer) -> None:
    table = [
        _row("a", 1.0, [[0.2, 0.3]]),
        _row("b", 5.0, [[0.5, 0.7], [0.2, 0.2]]),  # means 0.35, 0.45
        _row("c", 5.0, [[0.4, 0.46]]),
        {"name": "d", "ms": 2.0, "needs_weights": True},
        _row("e", 50.0, [[0.9, 0.9]]),
    ]
    try:
        got = answer(table, 10.0)
    except KeyError as error:
        raise Wrong(f"Rows that need weights have no {error}: leave them out.") from error
    if got == "e":
        raise Wrong("Extractor e takes 50 ms, more than the 10 that may be spent.")
    if got == "b":
        raise Wrong("Extractor b has the best seed, but c the better mean: average all values.")
    if got != "c":
        raise Wrong(f"Within 10 ms extractor c has the best mean mAP@all, got {got!r}.")
    if answer(table, 5.0) != "c":
        raise Wrong("An extractor that costs exactly the budget may be chosen.")
    try:
        none = answer(table, 0.5)
    except ValueError as error:
        raise Wrong("If no extractor is cheap enough, return None.") from error
    if none is not None:
        raise Wrong("If no extractor is cheap enough, return None.")


def _row(name: str, ms: float, values: list[list[float]]) -> dict[str, Any]:
    return {"name": name, "ms": ms, "needs_weights": False, "quality": {"mAP@all": values}}
