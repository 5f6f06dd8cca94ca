"""Checks for the exercises of the page book/datasets/scenes.md."""

from __future__ import annotations

from math import isclose
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cmrlib.datasets.scenes import make_scenes, true_relations
from cmrlib.exercises import Answer, Wrong, close, exercise, number, shape, statements


@exercise("datasets/scenes/mirror")
def mirror(answer: Answer) -> None:
    boxes = np.array([[0.1, 0.2, 0.3, 0.4], [0.5, 0.6, 0.9, 1.0]])
    sentence = "a red star left of a pink cross and right of a blue heart"
    words = sentence.split()
    given, caption = boxes.copy(), list(words)
    result = answer(given, caption)
    if not isinstance(result, tuple) or len(result) != 2:
        raise Wrong("Return two things, the boxes and the words.")
    got, said = shape(result[0], (2, 4), "the boxes"), result[1]
    truth = np.array([[0.7, 0.2, 0.9, 0.4], [0.1, 0.6, 0.5, 1.0]])
    if np.allclose(got, truth[:, [2, 1, 0, 3]]):
        raise Wrong("A box has x0 > x1: in the mirror its right side is the left one.")
    if np.allclose(got, 1 - boxes[:, [2, 3, 0, 1]]):
        raise Wrong("y is mirrored too: above must stay above.")
    upside_down = np.abs(boxes[:, [0, 3, 2, 1]] - [0, 1, 0, 1])
    if np.allclose(got, upside_down):
        raise Wrong("You turn the picture upside down: mirror x, not y.")
    close(got, truth, "A box (x0, y0, x1, y1) must become (1 - x1, y0, 1 - x0, y1).")
    wanted = "a red star right of a pink cross and left of a blue heart"
    sentence = " ".join(said)
    if sentence == wanted.replace("right", "left"):
        raise Wrong('Every "right" is now "left": what was replaced first is replaced back.')
    if sentence == " ".join(words):
        raise Wrong("The caption is no longer true: left and right must change places in it.")
    if sentence != wanted:
        raise Wrong(f"Expected the words {wanted!r}, got {sentence!r}.")
    if not (np.array_equal(given, boxes) and caption == words):
        raise Wrong("The function changes its argument: work on a copy.")
    scenes = make_scenes(50, random_state=1)
    for row in range(50):
        got, said = answer(scenes.boxes[row].copy(), list(scenes.words(row)))
        first = [word for word in said if word in ("left", "right", "above", "below")][0]
        s, _, o = scenes.stated[row, 0]
        p = ("left", "right", "above", "below").index(first)
        assert true_relations(got)[s, o, p], f"The mirrored caption {' '.join(said)!r} is not true."


@exercise("datasets/scenes/blind")
def blind(answer: Answer) -> None:
    statements(
        answer,
        {
            "bag of words, any picture model: over 1/2 on swap": (
                False,
                "both captions get the same score, so that what one comparison wins another loses",
            ),
            "bag of adjacent word pairs: tells the captions of rebind apart": (
                True,
                'one caption has the pair "red star", the other has "blue star"',
            ),
            "bag of adjacent word pairs: tells the captions of swap apart": (
                True,
                'one has the pair "star left", the other "cross left"',
            ),
            "regions without their boxes: over 1/2 on move": (
                False,
                "the regions are the same before and after; only their boxes differ",
            ),
            "a score of the caption alone: over 1/2 on rebind": (
                False,
                "it prefers the same caption for both pictures, and is right for one of them",
            ),
            "1 on swap: the order of the words matters to the model": (
                True,
                "the two captions have the same words, so only their order can tell them apart",
            ),
        },
    )


@exercise("datasets/scenes/group")
def group(answer: Answer) -> None:
    S = np.array(
        [
            [[3.0, 1.0], [2.0, 4.0]],  # right in all
            [[3.0, 1.0], [3.5, 4.0]],  # captions are chosen right, pictures are not
            [[2.0, 1.0], [1.0, 1.0]],  # a tie
            [[3.0, 2.0], [9.0, 9.5]],  # captions again
            [[5.0, 6.0], [1.0, 7.0]],  # pictures are chosen right, captions are not
            [[1.0, 2.0], [4.0, 3.0]],  # nothing right
            [[3.0, 1.0], [5.0, 2.0]],  # one caption and one picture
        ]
    )
    given = S.copy()
    got = shape(answer(given), (3,))
    own = S[:, [0, 1], [0, 1]]
    text = (own > S[:, [0, 1], [1, 0]]).all(axis=1)
    image = (own > S[:, [1, 0], [0, 1]]).all(axis=1)
    truth = np.array([text.mean(), image.mean(), (text & image).mean()])
    loose = (own >= S[:, [0, 1], [1, 0]]).all(axis=1)
    each = (own > S[:, [0, 1], [1, 0]]).mean()
    if np.allclose(got, truth[[1, 0, 2]]) and not np.allclose(got, truth):
        raise Wrong("Text and image score are exchanged: text score means choosing a caption.")
    if isclose(got[0], loose.mean()):
        raise Wrong("A tie is no success: strictly greater.")
    if isclose(got[0], each):
        raise Wrong("Both pictures must choose their caption; you count them one by one.")
    close(got[:2], truth[:2], "Text score 3/7 and image score 2/7 were expected.")
    if isclose(got[2], truth[0] * truth[1]):
        raise Wrong("The two successes are not independent: count the scenes that have both.")
    close(got[2], truth[2], "The group score is the share of scenes with both successes, 1/7.")
    assert np.array_equal(given, S), "The function changes its argument: work on a copy."
    S = np.random.default_rng(0).normal(size=(400, 2, 2))
    d, e = S[:, [0, 1], [0, 1]], S[:, [0, 1], [1, 0]]
    text, image = (d > e).all(axis=1), (d > e[:, ::-1]).all(axis=1)
    close(
        answer(S),
        [text.mean(), image.mean(), (text & image).mean()],
        "Right on seven scenes, wrong on 400 random ones.",
    )


@exercise("datasets/scenes/iou")
def iou(answer: Answer) -> None:
    a = np.array([[2, 6], [2, 6], [0, 4], [3, 5], [1, 9]])
    b = np.array([[2, 6], [4, 8], [7, 9], [5, 9], [3, 5]])
    given = a.copy(), b.copy()
    got = shape(answer(*given), (5,))
    overlap = np.minimum(a[:, 1], b[:, 1]) - np.maximum(a[:, 0], b[:, 0])
    both = np.diff(a)[:, 0] + np.diff(b)[:, 0]
    common = np.maximum(overlap, 0)
    if got[2] < 0:
        raise Wrong("Intervals that do not meet have no overlap: 0, not a negative number.")
    if isclose(got[1], 3 / 7):
        raise Wrong("The end of an interval is not in it: no + 1.")
    if isclose(got[0], 0.5):
        raise Wrong("Two equal intervals must give 1: count their common part once.")
    if isclose(got[1], common[1] / np.diff(a)[1, 0]):
        raise Wrong("Divide by the union of both intervals, not by one of them.")
    close(got, common / (both - common), "Expected 1, 1/3, 0, 0 and 1/4.")
    assert np.array_equal(given, (a, b)), "The function changes its argument: work on a copy."
    rng = np.random.default_rng(0)
    a, b = (np.sort(rng.integers(0, 30, size=(300, 2)), axis=1) + [0, 1] for _ in "ab")
    overlap = np.minimum(a[:, 1], b[:, 1]) - np.maximum(a[:, 0], b[:, 0])
    common, both = np.maximum(overlap, 0), np.diff(a)[:, 0] + np.diff(b)[:, 0]
    got = shape(answer(a, b), (300,))
    close(got, common / (both - common), "Right on five pairs, wrong on 300 random ones.")


@exercise("datasets/scenes/alignment")
def alignment(answer: Answer) -> None:
    rng = np.random.default_rng(1)
    A, owners = rng.normal(size=(40, 4, 4)), rng.integers(-1, 4, size=(40, 4))
    named = owners >= 0
    if isclose(number(answer(A, owners)), (A.argmax(axis=2) == owners)[named].mean()):
        raise Wrong("Each word chooses a region, not each region a word: argmax over axis 1.")
    owners = np.array([[-1, 1, 1, -1, 0, -1], [-1, 0, -1, 1, 2, 2]])
    chosen = np.array([[1, 1, 0, 0, 0, 2], [0, 0, 1, 2, 2, 2]])
    A = 0.1 * rng.random((2, 3, 6))
    np.put_along_axis(A, chosen[:, None], 1.0, axis=1)
    given = A.copy(), owners.copy()
    got = number(answer(*given))
    named, right = owners >= 0, chosen == owners
    reasons = {
        right.mean(): "Words that name nothing and padding are counted: leave out the -1.",
        (2 / 3 + 3 / 4) / 2: "You average over captions first: every word counts the same.",
        1 - right[named].mean(): "That is the share of the wrong ones.",
    }
    for wrong, reason in reasons.items():
        if isclose(got, wrong):
            raise Wrong(reason)
    close(got, right[named].mean(), "Of seven words that name an object, five find it.")
    assert np.array_equal(given[0], A), "The function changes its argument: work on a copy."
    A, owners = rng.normal(size=(40, 3, 9)), rng.integers(-1, 3, size=(40, 9))
    truth = (A.argmax(axis=1) == owners)[owners >= 0].mean()
    close(answer(A, owners), truth, "Right on the small example, wrong on a random one.")


@exercise("datasets/scenes/adjacency")
def adjacency(answer: Answer) -> None:
    #   a red star above a cross <pad> <pad>
    heads = np.array([[2, 2, -1, 2, 5, 3, -1, -1]])
    mask = np.arange(8)[None] < 6
    given = heads.copy(), mask.copy()
    got = shape(answer(*given), (1, 8, 8))
    truth = _adjacency(heads, mask)
    if got[0, 2, 7] != 0 or got[0, 7, 2] != 0:
        raise Wrong("The root is joined to the last place: index -1 means the last one in NumPy.")
    if got[0, 6:].any() or got[0, :, 6:].any():
        raise Wrong("Padding has neighbours: its rows and columns must be 0, the diagonal too.")
    if not np.array_equal(got, got.swapaxes(1, 2)):
        raise Wrong("Neither end is first here: if i is a neighbour of j, j is one of i.")
    if not (got[0].diagonal()[:6] == 1).all():
        raise Wrong("Every word is its own neighbour, once: 1 on the diagonal.")
    close(got, truth, "An entry is 1 if one word is the head of the other, and else 0.", tol=1e-12)
    assert np.array_equal(given[0], heads), "The function changes its argument: work on a copy."
    scenes = make_scenes(30, random_state=2)
    close(
        answer(scenes.heads, scenes.token_mask),
        _adjacency(scenes.heads, scenes.token_mask),
        "Right on one caption, wrong on several.",
        tol=1e-12,
    )


def _adjacency(heads: NDArray[Any], mask: NDArray[Any]) -> NDArray[Any]:
    n, length = heads.shape
    A = np.zeros((n, length, length))
    for row in range(n):
        for word in np.flatnonzero(mask[row]):
            A[row, word, word] = 1
            if (head := heads[row, word]) >= 0:
                A[row, word, head] = A[row, head, word] = 1
    return A
