"""Checks for the exercises of the chapter on local features and visual words."""

from __future__ import annotations

import numpy as np

from cmrlib.exercises import Answer, Wrong, close, exercise, shape


@exercise("features/visual_words/directions")
def directions(answer: Answer) -> None:
    right = np.tile(np.arange(5.0), (4, 1))
    got = shape(answer(right.copy()), (8,), "the histogram of 8 directions")
    if np.allclose(got, np.eye(8)[2] * 20):
        raise Wrong(
            "Rows and columns are exchanged: np.gradient returns the derivative down first."
        )
    close(got, np.eye(8)[0] * 20, "A slope that brightens to the right is all direction 0.")
    steep = shape(answer(3 * right), (8,))
    if np.allclose(steep, got):
        raise Wrong("A pixel counts with the length of its gradient, not with 1.")
    left = shape(answer(-right), (8,))
    if np.allclose(left, got):
        raise Wrong("Opposite directions count as one: arctan2 tells them apart, arctan does not.")
    close(left, np.eye(8)[4] * 20, "A slope that brightens to the left is all direction 4.")
    rng = np.random.default_rng(0)
    patch = rng.random((7, 7))
    down, across = np.gradient(patch)
    degrees = np.rad2deg(np.arctan2(down, across))
    expected = np.zeros(8)
    floored = np.zeros(8)
    for d, g in zip(degrees.ravel(), np.hypot(down, across).ravel(), strict=True):
        expected[round(d / 45) % 8] += g
        floored[int(d // 45) % 8] += g
    got = shape(answer(patch.copy()), (8,))
    if np.allclose(got, floored):
        raise Wrong("Directions are 45° apart: round to the *nearest*, do not round down.")
    close(got, expected, "Each pixel adds the length of its gradient to the nearest direction.")


@exercise("features/visual_words/clip")
def clip(answer: Answer) -> None:
    rng = np.random.default_rng(0)
    h = np.vstack([rng.random((2, 30)), np.zeros((1, 30))])
    h[0, 3] = 9
    unit = h[:2] / np.linalg.norm(h[:2], axis=1, keepdims=True)
    cut = np.minimum(unit, 0.2)
    expected = cut / np.linalg.norm(cut, axis=1, keepdims=True)
    given = h.copy()
    got = shape(answer(given), (3, 30))
    if not np.isfinite(got).all():
        raise Wrong("A row of zeros must stay: do not divide by a length of 0.")
    if np.allclose(got[:2], unit):
        raise Wrong("Nothing is cut off: no entry may exceed 0.2 after the first scaling.")
    if np.allclose(got[:2], cut):
        raise Wrong("After the cut the rows are shorter than 1: scale them once more.")
    first = np.minimum(h[:2], 0.2)
    if np.allclose(got[:2], first / np.linalg.norm(first, axis=1, keepdims=True)):
        raise Wrong("Cut off at 0.2 only after the first scaling to length 1.")
    close(got[:2], expected, "Each row: length 1, then at most 0.2, then length 1.")
    close(got[2], np.zeros(30), "A row of zeros must stay as it is.")
    assert np.array_equal(given, h), "The function changes its argument: work on a copy."


@exercise("features/visual_words/lloyd")
def lloyd(answer: Answer) -> None:
    D = np.array([[0.0, 0], [1, 0], [4, 0], [5, 0], [12, 0], [13, 0]])
    W = np.array([[0.0, 0], [2, 0], [100, 0]])
    # Step 1 assigns 0, 1 | 4, 5, 12, 13 | nothing, where 1 is a tie that falls to the first.
    one = np.array([[0.5, 0], [8.5, 0], [100, 0]])
    # Step 2 assigns 0, 1, 4 | 5, 12, 13, as 4 is 3.5 from the first centre and 4.5 from the second.
    two = np.array([[5 / 3, 0], [10, 0], [100, 0]])
    given = W.copy()
    got = _centres(answer, D, given, 1)
    close(got[:2], one[:2], "After one step each centre is the mean of its descriptors.")
    assert np.array_equal(given, W), "The function changes its argument: work on a copy of W."
    close(got[2], one[2], "A centre without descriptors must stay where it is.")
    got = _centres(answer, D, W.copy(), 2)
    if np.allclose(got, one):
        raise Wrong("The second step changes nothing: assign anew after the centres have moved.")
    close(got, two, "After two steps the centres are not those of Lloyd's algorithm.")
    rng = np.random.default_rng(0)
    D, W = rng.normal(size=(40, 3)), rng.normal(size=(4, 3))
    expected = W.copy()
    for _ in range(5):
        nearest = np.sum((D[:, None] - expected[None]) ** 2, axis=2).argmin(axis=1)
        expected = np.stack(
            [
                D[nearest == k].mean(axis=0) if (nearest == k).any() else expected[k]
                for k in range(4)
            ]
        )
    close(_centres(answer, D, W.copy(), 5), expected, "The centres after five steps are wrong.")


def _centres(answer: Answer, D: np.ndarray, W: np.ndarray, n_steps: int) -> np.ndarray:
    with np.errstate(invalid="ignore", divide="ignore"):
        got = shape(answer(D.copy(), W, n_steps), W.shape, "the centres")
    if not np.isfinite(got).all():
        raise Wrong("A centre without descriptors has no mean: let it stay where it is.")
    return got


@exercise("features/visual_words/histogram")
def histogram(answer: Answer) -> None:
    W = np.array([[0.0, 0], [0, 3], [4, 0], [9, 9]])
    D = np.array([[0.0, 1], [0, 2.5], [3, 1], [5, 0], [0.5, 0.1]])
    got = shape(answer(D.copy(), W.copy()), (4,), "the histogram of 4 words (the last is not used)")
    if np.allclose(got, [2, 1, 2, 0]):
        raise Wrong("These are counts: divide by the number of descriptors.")
    close(got, [0.4, 0.2, 0.4, 0], "Count for each descriptor the word at the smallest distance.")
    got = shape(answer(np.empty((0, 2)), W.copy()), (4,), "the histogram without descriptors")
    if not np.isfinite(got).all():
        raise Wrong("Without descriptors 0 is divided by 0: return zeros.")
    close(got, np.zeros(4), "A picture without descriptors must get zeros.")


@exercise("features/visual_words/idf")
def idf(answer: Answer) -> None:
    H = np.array([[0.5, 0.5, 0, 0], [0.9, 0, 0.1, 0], [0.25, 0.75, 0, 0], [1, 0, 0, 0]])
    with np.errstate(invalid="ignore", divide="ignore"):
        got = shape(answer(H.copy()), (4, 4))
    if not np.isfinite(got).all():
        raise Wrong("A word that never occurs gives 0 times infinity: let its zeros be.")
    weights = np.log([1, 2, 4, 1])
    if np.allclose(got, H * np.log(4 / np.maximum(H.sum(axis=0), 1e-12))):
        raise Wrong("n_k counts the pictures that have the word, however often: sum H > 0, not H.")
    if np.allclose(got, H * np.log(1 + 4 / np.array([4, 2, 1, 1]))):
        raise Wrong("The factor is log(n / n_k), with no 1 added: a word of all pictures gets 0.")
    close(got[:, 0], np.zeros(4), "A word that all pictures have must get the weight log 1 = 0.")
    close(got, H * weights, "Each column must be multiplied by log(n / n_k).")


@exercise("features/visual_words/ratio")
def ratio(answer: Answer) -> None:
    E = np.array([[0.0, 0], [10, 0], [0, 20]])
    # Distances to the nearest two rows of E: 1 and 9; 4.95 and 5.05; 2 and 18; 1 and 9.
    D = np.array([[1.0, 0], [4.95, 0], [0, 18], [9, 0]])
    got = _pairs(answer, D, E, 0.8)
    if len(got) == 4:
        raise Wrong("Row 1 lies half-way between two rows of E: it must fail the test.")
    if np.array_equal(got[:, ::-1], [[0, 0], [2, 2], [3, 1]]):
        raise Wrong("The pairs are (i, j), i the row of D, ordered by i.")
    close(got, [[0, 0], [2, 2], [3, 1]], "Rows 0, 2 and 3 of D have the partners 0, 2 and 1.")
    # 0.85 lies above 0.8, its square below.
    if len(_pairs(answer, np.array([[8.5, 0]]), np.array([[0.0, 0], [18.5, 0]]), 0.8)):
        raise Wrong("Distances 8.5 and 10 have the ratio 0.85, not below 0.8: do not square them.")


def _pairs(answer: Answer, D: np.ndarray, E: np.ndarray, ratio: float) -> np.ndarray:
    got = np.asarray(answer(D.copy(), E.copy(), ratio))
    return shape(got, (len(got) if got.ndim else 0, 2), "the pairs")
