"""Checks for the exercises of the page book/datasets/image_text.md."""

from __future__ import annotations

import tempfile
import tracemalloc
from math import isclose
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cmrlib.exercises import Answer, Wrong, close, exercise, shape


def _write_labels(folder: str, columns: dict[str, str]) -> None:
    for concept, content in columns.items():
        (Path(folder) / f"Labels_{concept}.txt").write_bytes(content.encode())


@exercise("datasets/image_text/labels")
def labels(answer: Answer) -> None:
    with tempfile.TemporaryDirectory() as folder:
        _write_labels(folder, {"sky": "1\n0\n1\n1\n", "cat": "0\r\n0\r\n1\r\n0\r\n", "sea": "0\n"})
        got = np.asarray(answer(folder, ["sky", "cat"]))
        truth = np.array([[1, 0], [0, 0], [1, 1], [1, 0]])
        if got.shape == truth.T.shape:
            raise Wrong("A row must be a picture and a column a concept: transpose the result.")
        got = shape(got, truth.shape)
        if np.array_equal(got, truth[:, ::-1]):
            raise Wrong("The columns are in alphabetical order, not in the order given.")
        close(got, truth, "Column c must hold the lines of the file of concept c.")
        refused = {
            "sea": "The files have 4 lines and 1 line: refuse that with a ValueError.",
            "dog": "A label of 2 must be refused with a ValueError.",
            "ice": "A label of -1 must be refused with a ValueError.",
        }
        _write_labels(folder, {"dog": "1\n0\n2\n1\n", "ice": "1\n0\n-1\n1\n"})
        for concept, reason in refused.items():
            try:
                answer(folder, ["sky", concept])
            except ValueError:
                continue
            raise Wrong(reason)


@exercise("datasets/image_text/base_rate")
def base_rate(answer: Answer) -> None:
    L = np.array([[1, 0, 0], [1, 1, 0], [0, 1, 1], [0, 0, 0], [1, 1, 0], [0, 0, 0]])
    given = L.copy()
    got = float(shape(answer(given), ()))
    shared = L @ L.T
    relevant = shared > 0
    n, labelled = len(L), L.any(axis=1)
    others = relevant & ~np.eye(n, dtype=bool)
    reasons = {
        relevant[labelled].mean(): "You count a query as an answer to itself.",
        others[labelled].sum(axis=1).mean() / n: "Each query has n - 1 others, not n.",
        others.sum(axis=1).mean() / (n - 1): "An item without a label is no query: leave it out.",
        others[np.ix_(labelled, labelled)].sum(axis=1).mean() / (labelled.sum() - 1): (
            "Items without a label are searched too: they stay among the others."
        ),
        (shared * others)[labelled].sum(axis=1).mean() / (n - 1): (
            "Two shared labels count as one relevant item, not as two."
        ),
    }
    same = (L[:, None] == L[None]).all(axis=2) & ~np.eye(n, dtype=bool)
    reasons[same[labelled].sum(axis=1).mean() / (n - 1)] = (
        "One label in common is enough; the labels need not be all the same."
    )
    for wrong, reason in reasons.items():
        if isclose(got, wrong):
            raise Wrong(reason)
    close(got, 1 / 2, "Six items, two unlabelled: the queries have 2, 3, 2 and 3 of 5 others.")
    assert np.array_equal(given, L), "The function changes its argument: work on a copy."
    L = np.random.default_rng(0).integers(2, size=(300, 3)).astype(np.uint8)
    truth = ((L @ L.T.astype(int) > 0).sum(axis=1) - 1)[L.any(axis=1)].mean() / 299
    close(answer(L), truth, "Right on the small example, wrong on 300 items with uint8 labels.")


@exercise("datasets/image_text/leaks")
def leaks(answer: Answer) -> None:
    train = np.array([[3.0, 4.0], [1.0, 0.0], [0.0, 0.0]])
    test = np.array([[0.0, 1.0], [6.0, 8.0], [0.0, 0.0], [-1.0, 0.0], [1.0, 0.05]])
    with np.errstate(divide="raise", invalid="raise"):
        try:
            got = np.asarray(answer(train.copy(), test.copy(), 0.99))
        except FloatingPointError:
            raise Wrong("A row of zeros is divided by its length 0: guard the division.") from None
    if got.dtype == bool:
        raise Wrong("Return the numbers of the rows, not a mask: np.flatnonzero.")
    found = got.tolist()
    if 1 not in found:
        raise Wrong("Test row 1 is training row 0, twice as long: a cosine ignores the length.")
    if 0 in found or 3 in found:
        raise Wrong("A row is reported whose cosines are all below the threshold, by their sign.")
    if 4 not in found:
        raise Wrong("Test row 4 is nearly training row 1: look at all training rows, not at one.")
    if found != [1, 4]:
        raise Wrong(f"The answer is [1, 4], in rising order; got {found}.")
    if np.asarray(answer(train, test[[1]], 1 - 1e-12)).tolist() != [0]:
        raise Wrong("A cosine equal to the threshold counts: at least, not more than.")
    rng = np.random.default_rng(0)
    X, Y = rng.normal(size=(4000, 8)), rng.normal(size=(4000, 8))
    rows = np.array([5, 255, 256, 257, 3999])
    Y[rows] = 3 * X[[7, 3999, 0, 1, 2]]
    tracemalloc.start()
    try:
        got = np.asarray(answer(X, Y, 0.9999999))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    if not np.array_equal(got, rows):
        raise Wrong("Right on the small example, but rows of later blocks are missed or misnamed.")
    if peak > 60e6:
        raise Wrong(
            f"4,000 times 4,000 cosines took {peak / 1e6:.0f} MB: go through the test rows in "
            "blocks, and keep only what is found."
        )


def _random_labels(seed: int) -> NDArray[np.int64]:
    frequency = [0.5, 0.3, 0.2, 0.1, 0.06, 0.04, 0.03, 0.02]
    return (np.random.default_rng(seed).random((200, 8)) < frequency).astype(int)


@exercise("datasets/image_text/stratify")
def stratify(answer: Answer) -> None:
    for seed, share in ((0, 0.25), (1, 0.5), (2, 0.25), (3, 0.1)):
        L = _random_labels(seed)
        mask = np.asarray(answer(L.copy(), share))
        if mask.dtype != bool:
            raise Wrong("Return a boolean array with an entry for each item, True for test.")
        shape(mask, (200,))
        if abs(mask.sum() - 200 * (1 - share)) <= 1 and share != 0.5:
            raise Wrong("True must mark the test items; you mark the training items.")
        if abs(mask.sum() - 200 * share) > 1:
            raise Wrong(f"{mask.sum()} of 200 items are test items, {200 * share:.0f} were asked.")
        found, wanted = L[mask].sum(axis=0), share * L.sum(axis=0)
        worst = int(np.abs(found - wanted).argmax())
        if abs(found[worst] - wanted[worst]) > 1:
            raise Wrong(
                f"A label that {L[:, worst].sum()} items have is on {found[worst]} test items, "
                f"{wanted[worst]:.1f} were asked: deal out the labels, the rarest first."
            )
