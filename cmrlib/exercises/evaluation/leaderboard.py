"""Checks for the exercises of the page book/evaluation/leaderboard.md."""

from __future__ import annotations

from math import isclose, isnan, sqrt

import numpy as np

from cmrlib.exercises import Answer, Wrong, close, exercise, shape


@exercise("evaluation/leaderboard/spread")
def spread(answer: Answer) -> None:
    scores = [0.30, 0.34, 0.44]  # deviations -0.06, -0.02, 0.08: squares add up to 0.0104
    mean, sd = shape(answer(list(scores)), (2,), "the pair (mean, spread)")
    close(mean, 0.36, "The mean of 0.30, 0.34 and 0.44 is 0.36.")
    reasons = {
        sqrt(0.0104 / 3): (
            "You divide the squares by n. The mean was taken from the same scores, which makes the "
            "deviations too small: divide by n - 1."
        ),
        0.0104 / 2: "That is the variance: take its square root.",
        sqrt(0.0104 / 2 / 3): (
            "That is the standard error of the mean, which shrinks with every further seed. The "
            "spread says how far one run may be from the next."
        ),
        0.14: "That is the range; it grows with the number of seeds.",
    }
    for wrong, reason in reasons.items():
        if isclose(sd, wrong, rel_tol=1e-9):
            raise Wrong(reason)
    close(sd, sqrt(0.0104 / 2), "The spread of 0.30, 0.34 and 0.44 is √(0.0104 / 2).")
    mean, sd = shape(answer([0.5]), (2,), "the pair (mean, spread)")
    close(mean, 0.5, "The mean of one score is that score.")
    if not isnan(sd):
        raise Wrong(f"One run says nothing about spread: return NaN for it, not {sd:g}.")
    for values in ([0.1, 0.9], [0.2, 0.2, 0.2, 0.2], [0.61, 0.6, 0.64, 0.7, 0.55]):
        truth = np.std(values, ddof=1)
        close(answer(values), [np.mean(values), truth], f"The spread of {values} is {truth:.4f}.")


LOGS: list[tuple[list[tuple[str, list[int]]], int | None, str]] = [
    (
        [("fit", [0, 1, 2]), ("score", [3, 4]), ("choose", []),
         ("fit", [0, 1, 2, 3, 4]), ("score", [5, 6, 7])],
        None,
        "This log is clean: the test rows are scored once, after the choice.",
    ),
    (
        [("fit", [0, 1, 2]), ("score", [3, 6]), ("choose", []), ("fit", [0, 1, 2, 3, 4]),
         ("score", [5, 6, 7])],
        1,
        "Row 6 is a test row and is scored before the choice. One test row is enough.",
    ),
    (
        [("fit", [0, 1, 2]), ("score", [3, 4]), ("choose", []), ("fit", [0, 1, 2, 3, 4, 5]),
         ("score", [5, 6, 7])],
        3,
        "The final model is fitted on row 5 and then asked for it: a fit on test rows is never "
        "right, not even after the choice.",
    ),
    (
        [("fit", [0, 1]), ("score", [3, 4]), ("choose", []), ("fit", [0, 1, 2, 3, 4]),
         ("score", [5, 6, 7]), ("fit", [0, 1, 2, 3, 4]), ("score", [5, 6, 7])],
        6,
        "The test rows are scored twice; whoever reports the better of the two has chosen on "
        "test.",
    ),
    (
        [("fit", [0, 1, 2]), ("score", [3, 4]), ("choose", []), ("fit", [0, 1, 2, 3, 4]),
         ("score", [5, 6, 7]), ("choose", []), ("fit", [0, 1, 2, 3, 4])],
        4,
        "The test rows are scored before the last choice, which may have followed their score.",
    ),
    (
        [("score", [5, 6]), ("fit", [5]), ("choose", [])],
        0,
        "Return the first event that breaks the rules.",
    ),
    (
        [("fit", [0, 1]), ("score", [2]), ("choose", []), ("fit", [0, 2]), ("score", [3]),
         ("choose", []), ("fit", [0, 1, 2, 3]), ("score", [5, 6, 7])],
        None,
        "Choosing twice on validation rows is allowed; only the last choice must come before the "
        "test score.",
    ),
]  # fmt: skip


@exercise("evaluation/leaderboard/leak")
def leak(answer: Answer) -> None:
    for log, truth, reason in LOGS:
        got = answer([(event, list(rows)) for event, rows in log], {5, 6, 7})
        if got is not None and (isinstance(got, bool) or not isinstance(got, int | np.integer)):
            raise Wrong(f"Return the number of an event, or None; got {got!r}.")
        if got != truth:
            raise Wrong(f"{reason} The log: {log}. Expected {truth}, got {got}.")


ROWS = [
    dict(zip(("method", "data", "sha256", "metric", "chosen_on"), values, strict=True))
    for values in [
        ("A", "emoji", "1f", "mAP@all", "validation"),
        ("B", "emoji", "1f", "mAP@all", "validation"),
        ("C", "emoji", "9c", "mAP@all", "validation"),
        ("D", "emoji", "1f", "mAP@50", "validation"),
        ("E", "emoji", "1f", "mAP@all", "test"),
        ("F", "smileys", "1f", "mAP@all", "validation"),
        ("G", "emoji", "1f", "mAP@50", "validation"),
        ("H", "emoji", "1f", "mAP@all", "test"),
    ]
]


@exercise("evaluation/leaderboard/comparable")
def comparable(answer: Answer) -> None:
    got = answer([dict(row) for row in ROWS])
    try:
        pairs = {frozenset(pair) for pair in got}
    except TypeError:
        raise Wrong("Return a list of pairs of method names, such as ('A', 'B').") from None
    if any(len(pair) != 2 for pair in pairs):
        raise Wrong("Each pair names two different methods.")
    if len(list(got)) != len(pairs):
        raise Wrong("A pair stands in the list twice: (A, B) and (B, A) are one.")
    reasons = [
        ("AC", "A and C have the same name of data but other arrays: compare the hashes."),
        ("AD", "A and D have other cut-offs, mAP@all and mAP@50: they share no scale."),
        ("AE", "E was chosen on test, so its score is flattered: it compares with nothing."),
        ("EH", "E and H were both chosen on test, and nobody knows by how much each gained."),
    ]
    for pair, reason in reasons:
        if frozenset(pair) in pairs:
            raise Wrong(reason)
    if frozenset("AF") not in pairs:
        raise Wrong("A and F have the same arrays under two names: the hash decides.")
    if frozenset("DG") not in pairs:
        raise Wrong("D and G are both mAP@50 on the same data: they compare.")
    if pairs != (expected := {frozenset(pair) for pair in ("AB", "AF", "BF", "DG")}):
        odd = sorted(next(iter(pairs ^ expected)))
        raise Wrong(f"Look at {odd[0]} and {odd[1]} again.")


@exercise("evaluation/leaderboard/one_se")
def one_se(answer: Answer) -> None:
    # four candidates on four validation parts, with these means and standard errors
    unit = 2 * sqrt(3 / 4) * np.array([-1, 1, -1, 1])  # standard error 1
    means, errors = [0.45, 0.484, 0.49, 0.50], [0.1, 0.02, 0.01, 0.012]
    scores = np.array([m + e * unit for m, e in zip(means, errors, strict=True)])
    size = np.array([1, 4, 8, 64])

    def ask(scores: np.ndarray, size: np.ndarray) -> int:
        return int(shape(answer(scores.copy(), size.copy()), (), "the index of a candidate"))

    reasons = {
        3: "That is the best mean. Is a smaller model within one standard error of it?",
        0: "0.45 is 0.05 below the best mean, 0.50, whose standard error is 0.012. The allowance "
        "is the standard error of the best candidate, not of the one you look at.",
        1: "0.484 lies within one standard deviation (0.024) of 0.50, not within one standard "
        "error (0.012): divide by the root of the number of parts.",
    }
    got = ask(scores, size)
    if got in reasons:
        raise Wrong(reasons[got])
    if got != 2:
        raise Wrong(f"There is no candidate {got}: return an index from 0 to 3.")
    order = np.array([2, 3, 0, 1])
    if ask(scores[order], size[order]) != 0:
        raise Wrong("The candidates may come in any order: it is `size` that says which is small.")
    rng = np.random.default_rng(0)
    for _ in range(20):
        scores = rng.normal(0.5, 0.03, size=(6, 5)).round(3)
        size = rng.permutation(6)
        best = scores.mean(axis=1).argmax()
        limit = scores[best].mean() - scores[best].std(ddof=1) / sqrt(5)
        able = np.flatnonzero(scores.mean(axis=1) >= limit)
        if ask(scores, size) != (truth := able[size[able].argmin()]):
            raise Wrong(
                f"Right on the small example; with the scores {scores.tolist()} and sizes "
                f"{size.tolist()} it is candidate {truth}."
            )
