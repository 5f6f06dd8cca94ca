"""Checks for the exercises of the chapter on text features."""

from __future__ import annotations

import numpy as np

from cmrlib.exercises import Answer, Wrong, close, exercise, shape


@exercise("features/text/bag")
def bag(answer: Answer) -> None:
    vocabulary = ["caterpillar", "dog", "cat", "red"]
    got = shape(answer("dog, red dog", vocabulary), (4,))
    if np.allclose(got, [0, 1, 0, 1]):
        raise Wrong("A word that occurs twice counts 2: count, do not only mark.")
    if np.allclose(got, [0, 2, 1, 0]) or np.allclose(got, [0, 0, 2, 1]):
        raise Wrong("The counts must stand in the order of the vocabulary given.")
    close(got, [0, 2, 0, 1], '"dog, red dog" holds "dog" twice and "red" once.')
    got = shape(answer("caterpillar", vocabulary), (4,))
    close(got, [1, 0, 0, 0], '"caterpillar" does not hold the word "cat": compare whole words.')
    got = shape(answer("Red Cat", vocabulary), (4,))
    close(got, [0, 0, 1, 1], '"Red" is the word "red": change the text to lower case.')
    got = shape(answer("a puppy", vocabulary), (4,), "the counts of unknown words")
    close(got, 0 * got, "Words that are not in the vocabulary must be ignored.")


@exercise("features/text/tfidf")
def tfidf(answer: Answer) -> None:
    N = np.array([[3, 1, 0], [0, 1, 0], [1, 0, 0], [0, 0, 2], [0, 1, 0]])
    got = shape(answer(N.copy()), N.shape)
    expected = _weights(N, np.sum(N > 0, axis=0))
    unit = _unit(expected)
    if np.allclose(got, expected):
        raise Wrong("The rows do not have length 1 yet: divide each by its norm.")
    if np.allclose(got, expected / expected.sum(axis=1, keepdims=True)):
        raise Wrong("The rows sum to 1, but it is the root of their sum of squares that must be 1.")
    if np.allclose(got, _unit(_weights(N, N.sum(axis=0)))):
        raise Wrong("d_j is the number of texts that hold word j, however often each holds it.")
    if np.allclose(got, _unit(_weights(N > 0, np.sum(N > 0, axis=0)))):
        raise Wrong("The counts are lost: a word that occurs three times weighs three times.")
    if np.allclose(got, _unit(_weights(N, np.sum(N > 0, axis=0), plus=0))):
        raise Wrong("The 1 that is added to the logarithm is missing.")
    close(got, unit, "A weight is N_ij (ln((1 + n) / (1 + d_j)) + 1), then rows of length 1.")
    N[1] = 0
    got = shape(answer(N.copy()), N.shape)
    if np.isnan(got).any():
        raise Wrong("A text without a word gives NaN: do not divide a row of zeros by its length.")
    close(got, _unit(_weights(N, np.sum(N > 0, axis=0))), "An empty text must stay zero.")


def _weights(N: np.ndarray, d: np.ndarray, plus: int = 1) -> np.ndarray:
    weights: np.ndarray = N * (np.log((1 + len(N)) / (1 + d)) + plus)
    return weights


def _unit(Z: np.ndarray) -> np.ndarray:
    length = np.linalg.norm(Z, axis=1, keepdims=True)
    unit: np.ndarray = Z / np.where(length == 0, 1, length)
    return unit


@exercise("features/text/mean_pool")
def mean_pool(answer: Answer) -> None:
    H = np.random.default_rng(0).normal(size=(3, 4, 5))
    mask = np.array([[1, 1, 1, 1], [1, 1, 0, 0], [1, 0, 0, 0]])
    got = shape(answer(H.copy(), mask.copy()), (3, 5))
    mean = np.stack([H[i, : m.sum()].mean(axis=0) for i, m in enumerate(mask)])
    if np.allclose(got, mean):
        raise Wrong("The means are right; now divide each by its length.")
    if np.allclose(got, _unit(H.mean(axis=1))):
        raise Wrong("Padding is in the mean: multiply by the mask, divide by its sum.")
    if np.allclose(got, _unit(H[:, 0])):
        raise Wrong("That is the first token, [CLS], alone: average all real tokens.")
    close(got, _unit(mean), "Each row is the mean of the real tokens, brought to length 1.")
    H[mask == 0] = 1e6
    close(answer(H, mask), got, "What stands at padded places must not matter.")


@exercise("features/text/synonyms")
def hidden_pair(answer: Answer) -> None:
    N = np.array([[1, 1, 0, 0], [1, 0, 0, 0], [0, 0, 1, 0], [0, 0, 2, 1], [0, 0, 0, 1]])
    S = np.full((5, 5), -0.5)
    for i, j, value in [(0, 1, 0.9), (2, 3, 0.8), (1, 4, -0.1), (0, 2, -0.3)]:
        S[i, j] = S[j, i] = value
    np.fill_diagonal(S, 1)
    i, j = (int(k) for k in shape(answer(S.copy(), N.copy()), (2,), "the pair (i, j)"))
    if i == j:
        raise Wrong("A text is paired with itself: only pairs with i < j count.")
    if (N[i] @ N[j]) > 0:
        raise Wrong(f"Texts {i} and {j} share a word: (N Nᵀ)_ij must be 0.")
    if (i, j) == (4, 1):
        raise Wrong("The pair is right, but give it with i < j.")
    if (i, j) != (1, 4):
        raise Wrong(
            f"({i}, {j}) has similarity {S[i, j]}, but the best pair has -0.1: similarities may be "
            "negative, so forbidden pairs must become -inf, not 0."
        )


@exercise("features/text/bridge")
def bridge(answer: Answer) -> None:
    rng = np.random.default_rng(0)
    X, Y = rng.normal(size=(30, 6)), rng.normal(size=(30, 4))
    X, Y = X - X.mean(axis=0), Y - Y.mean(axis=0)
    got = shape(answer(X.copy(), Y.copy(), 5.0), (6, 4), "the weights (p, q)")
    if np.allclose(got, np.linalg.lstsq(X, Y, rcond=None)[0]):
        raise Wrong("The penalty has no effect: add penalty * I to XᵀX.")
    gram = X.T @ X
    if np.allclose(got, np.linalg.solve(gram + 5.0, X.T @ Y)):
        raise Wrong("The penalty is added to every entry of XᵀX: it belongs on the diagonal.")
    if np.allclose(got, np.linalg.solve(gram / 30 + 5.0 * np.eye(6), X.T @ Y / 30)):
        raise Wrong("XᵀX is divided by n, the penalty is not: the objective sums over the pairs.")
    gradient = gram @ got + 5.0 * got - X.T @ Y
    close(gradient, 0 * gradient, "The gradient XᵀXW + λW - XᵀY must be zero at W.")
