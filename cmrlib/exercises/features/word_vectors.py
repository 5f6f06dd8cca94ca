"""Checks for the exercises of the chapter on word vectors and topics."""

from __future__ import annotations

import warnings

import numpy as np

from cmrlib.exercises import Answer, Wrong, close, exercise, number, shape


@exercise("features/word_vectors/positive_pmi")
def positive_pmi(answer: Answer) -> None:
    N = np.array([[0.0, 6, 1], [6, 2, 1], [1, 1, 0]])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # log 0 is a matter of taste, its result is not
        got = shape(answer(N.copy()), (3, 3))
    P = N / N.sum()
    ratio = P / np.outer(P.sum(axis=1), P.sum(axis=1))
    expected = np.log(np.maximum(ratio, 1))
    if not np.isfinite(got).all():
        raise Wrong("A pair that never meets must get 0, not infinity or NaN.")
    if (got < 0).any():
        raise Wrong("Negative values must become 0.")
    if np.allclose(got, np.maximum(ratio, 0)):
        raise Wrong("The logarithm is missing.")
    if np.allclose(got, np.log2(np.maximum(ratio, 1))):
        raise Wrong("That is the logarithm to base 2: the equation has the natural one.")
    unscaled = np.log(np.maximum(N / np.outer(N.sum(axis=1), N.sum(axis=1)), 1))
    if np.allclose(got, unscaled):
        raise Wrong("Divide the counts by their sum first: the P are shares, not counts.")
    close(got, expected, "Entry (i, j) must be max(0, log P_ij / (P_i P_j)), with P_i a row sum.")


@exercise("features/word_vectors/gradients")
def gradients(answer: Answer) -> None:
    rng = np.random.default_rng(0)
    w, c, n = rng.normal(size=3), rng.normal(size=3), rng.normal(size=(4, 3))
    result = answer(w.copy(), c.copy(), n.copy())
    if not isinstance(result, tuple) or len(result) != 3:
        raise Wrong("Return three arrays: the gradients for w, for c and for n.")
    to_w = shape(result[0], (3,), "the gradient for w")
    to_c = shape(result[1], (3,), "the gradient for c")
    to_n = shape(result[2], (4, 3), "the gradient for n")
    pair, random = _sigma(w @ c) - 1, _sigma(n @ w)
    expected = (pair * c + random @ n, pair * w, np.outer(random, w))
    if all(
        np.allclose(mine, -right) for mine, right in zip((to_w, to_c, to_n), expected, strict=True)
    ):
        raise Wrong("All signs are turned: the gradient of the loss points uphill.")
    if np.allclose(to_c, _sigma(w @ c) * w):
        raise Wrong("For the true pair the error is σ(w·c) - 1: the score should rise.")
    if np.allclose(to_w, pair * c):
        raise Wrong("The random words pull at w as well: add the sum of σ(w·n_i) n_i.")
    if np.allclose(to_w, pair * c + random.mean() * n.mean(axis=0)) or np.allclose(
        to_w, pair * c + random @ n / 4
    ):
        raise Wrong("The loss sums over the random words: do not average.")
    close(to_w, expected[0], "The gradient for w is (σ(w·c) - 1) c + Σ σ(w·n_i) n_i.")
    close(to_c, expected[1], "The gradient for c is (σ(w·c) - 1) w.")
    close(to_n, expected[2], "The gradient for n_i is σ(w·n_i) w.")


def _sigma(x: np.ndarray) -> np.ndarray:
    result: np.ndarray = 1 / (1 + np.exp(-x))
    return result


@exercise("features/word_vectors/glove")
def glove(answer: Answer) -> None:
    x = np.array([[0.5, 1.0], [2.0, -0.3]])
    N = np.array([[1.0, 20.0], [5.0, 8.0]])

    def objective(x: np.ndarray, N: np.ndarray, weight: np.ndarray) -> float:
        return float(np.sum(weight * (x - np.log(N)) ** 2))

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        got = number(answer(x.copy(), N.copy(), 10.0), "the objective")
        uncut, plain = (N / 10) ** 0.75, np.minimum(1, N / 10)
        if np.isclose(got, objective(x, N, uncut)):
            raise Wrong("A pair with N above x_max must not weigh more than 1.")
        if np.isclose(got, objective(x, N, plain)):
            raise Wrong("The weight is (N / x_max) to the power of 0.75.")
        if np.isclose(got, objective(x, N, np.ones_like(N))):
            raise Wrong("All pairs weigh the same so far: multiply by f(N).")
        if np.isclose(got, objective(x, N, np.minimum(1, uncut)) / 4):
            raise Wrong("That is the mean: the equation sums.")
        right = objective(x, N, np.minimum(1, uncut))
        close(got, right, "Sum f(N) (x - log N)² over all pairs.")
        N[0, 0] = 0
        got = number(answer(x.copy(), N.copy(), 10.0), "the objective")
        if not np.isfinite(got):
            raise Wrong("A count of 0 gives NaN or infinity: 0 times log 0 is not 0 in NumPy.")
        x[0, 0] = 7
        again = number(answer(x.copy(), N.copy(), 10.0), "the objective")
    if not np.isclose(got, again):
        raise Wrong(
            "The score of a pair that never meets changes the result: leave such pairs out."
        )
    rest = right - 0.1**0.75 * 0.25  # without the pair (0, 0), whose N was 1 and x 0.5
    close(got, rest, "A pair that never meets must add nothing.")


@exercise("features/word_vectors/text_vector")
def text_vector(answer: Answer) -> None:
    vectors = {"red": np.array([1.0, 0]), "blue": np.array([0, 1.0]), "cube": np.array([3.0, 5])}
    got = shape(answer(["red", "cube", "thing", "near"], vectors), (2,))
    if np.allclose(got, [4, 5]):
        raise Wrong("That is the sum: a long text would get a long vector. Take the mean.")
    if np.allclose(got, [1, 1.25]):
        raise Wrong("Divide by the number of known words, not of all words.")
    if np.allclose(got, np.array([2, 2.5]) / np.hypot(2, 2.5)):
        raise Wrong("The mean is asked for, not brought to length 1.")
    close(got, [2, 2.5], "The vector must be the mean of the vectors of the known words.")
    twice = shape(answer(["red", "red", "blue"], vectors), (2,))
    if np.allclose(twice, [0.5, 0.5]):
        raise Wrong("A word that comes twice counts twice.")
    close(twice, [2 / 3, 1 / 3], "The mean runs over all places with a known word.")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        got = shape(answer(["thing"], vectors), (2,), "the vector of a text of unknown words")
    if np.isnan(got).any():
        raise Wrong("A text without a known word gives NaN: return zeros.")
    close(got, [0, 0], "A text without a known word must get the zero vector.")


@exercise("features/word_vectors/analogy")
def analogy(answer: Answer) -> None:
    Z = np.array(
        [
            [1.0, 0, 0, 0],  # a
            [0.8, 0.6, 0, 0],  # b
            [0, 0, 1, 0],  # c, nearest to b - a + c itself
            [0, 0.6, 0.5, 0.62],  # the answer
            [0.6, -0.2, 0.77, 0],  # nearest to c alone
            [0, 30, 10, 40],  # long
            [0.7, 0.1, 0, -0.7],  # near b
        ]
    )
    got = number(answer(Z.copy(), 0, 1, 2), "the row")
    if got in (0, 1, 2):
        raise Wrong(f"Row {int(got)} is one of the three given words: leave them out.")
    if got == 5:
        raise Wrong("A long vector wins: compare by cosine, not by inner product.")
    close(got, 3, "The row must be nearest to b - a + c: a is to b as c is to it.")
    Z[1] *= 100  # the same word, only more frequent
    got = number(answer(Z.copy(), 0, 1, 2), "the row")
    close(got, 3, "Bring all vectors to length 1 before you add: here b is long and drowns c.")
    got = number(answer(Z.copy(), 2, 3, 0), "the row")
    close(got, 1, "a is subtracted, b and c are added.")


@exercise("features/word_vectors/topic_probabilities")
def topic_probabilities(answer: Answer) -> None:
    # Two texts, four words, two topics; the word to draw for has been taken out.
    z = [[0, 0, 1, 1, 1], [1, 1, 0]]
    texts = [[0, 1, 2, 3, 3], [0, 1, 1]]
    n_dt, n_tw = np.zeros((2, 2)), np.zeros((2, 4))
    for d, text in enumerate(texts):
        for topic, word in zip(z[d], text, strict=True):
            n_dt[d, topic] += 1
            n_tw[topic, word] += 1
    alpha, beta, d, w = 0.5, 0.1, 0, 1
    before = n_dt.copy(), n_tw.copy()
    got = shape(answer(n_dt, n_tw, d, w, alpha, beta), (2,), "the probabilities of the topics")
    if not (np.array_equal(before[0], n_dt) and np.array_equal(before[1], n_tw)):
        raise Wrong("The function changes the counts: they are the sampler's, only read them.")
    text_part = n_dt[d] + alpha
    word_part = (n_tw[:, w] + beta) / (n_tw.sum(axis=1) + 4 * beta)
    if np.allclose(got, text_part * word_part):
        raise Wrong("They are proportional to the probabilities: divide them by their sum.")
    if not np.isclose(got.sum(), 1):
        raise Wrong("Probabilities must sum to 1.")
    for factors, why in (
        (text_part, "What the text is about is in, how the topics use the word is not."),
        (word_part, "How the topics use the word is in, what the text is about is not."),
        (text_part * (n_tw[:, w] + beta), "Divide the second factor by n_t + V beta."),
        (
            text_part * (n_tw[:, w] + beta) / (n_tw.sum(axis=1) + beta),
            "The denominator is n_t + V beta, with V the number of words.",
        ),
        (n_dt[d] * n_tw[:, w] / n_tw.sum(axis=1), "alpha and beta are missing."),
    ):
        if factors.sum() > 0 and np.allclose(got, factors / factors.sum()):
            raise Wrong(why)
    expected = text_part * word_part
    close(got, expected / expected.sum(), "Multiply the two factors of the equation.")
