"""Check for the exercise of the front page."""

from __future__ import annotations

import numpy as np

from cmrlib.exercises import Answer, Wrong, close, exercise, shape


@exercise("index/best")
def best(answer: Answer) -> None:
    similarity = np.array([[0.1, 0.9, 0.5, 0.7], [0.8, 0.2, 0.3, 0.0], [0.3, 0.4, 0.6, 0.5]])
    found = shape(answer(similarity, 0, 3), (3,), "the three text numbers")
    if np.array_equal(found, [0, 2, 3]):
        raise Wrong("These are the farthest texts: larger similarities are closer.")
    if np.array_equal(found, [0.9, 0.7, 0.5]):
        raise Wrong("These are the similarities; return the numbers of the texts instead.")
    if np.array_equal(found, [2, 3, 1]):
        raise Wrong("The right texts, but the closest must come first.")
    close(found, [1, 3, 2], "For similarities 0.1, 0.9, 0.5, 0.7 the answer is 1, 3, 2.")
    close(answer(similarity, 1, 2), [0, 2], "Look up row i, and return k numbers.")
