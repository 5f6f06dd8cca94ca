"""Plausible wrong answers to the exercises of the chapter on text features."""

import re

import numpy as np


def words(text):
    return re.findall(r"\b\w\w+\b", text.lower())


def bag_by_substring(text, vocabulary):
    return np.array([text.lower().count(word) for word in vocabulary])


def bag_of_marks(text, vocabulary):
    return np.array([word in words(text) for word in vocabulary])


def bag_sorted(text, vocabulary):
    return np.array([words(text).count(word) for word in sorted(vocabulary)])


def bag_keeps_case(text, vocabulary):
    found = re.findall(r"\b\w\w+\b", text)
    return np.array([found.count(word) for word in vocabulary])


def bag_unknown_last(text, vocabulary):
    counts = np.zeros(len(vocabulary))
    for word in words(text):
        counts[vocabulary.index(word) if word in vocabulary else -1] += 1
    return counts


def weights(N, d, plus=1):
    return N * (np.log((1 + len(N)) / (1 + d)) + plus)


def unit(Z):
    length = np.linalg.norm(Z, axis=1, keepdims=True)
    return Z / np.where(length == 0, 1, length)


def tfidf_not_unit(N):
    return weights(N, np.sum(N > 0, axis=0))


def tfidf_sum_to_one(N):
    w = weights(N, np.sum(N > 0, axis=0))
    return w / w.sum(axis=1, keepdims=True)


def tfidf_total_counts(N):
    return unit(weights(N, N.sum(axis=0)))


def tfidf_binary(N):
    return unit(weights(N > 0, np.sum(N > 0, axis=0)))


def tfidf_without_one(N):
    return unit(weights(N, np.sum(N > 0, axis=0), plus=0))


def tfidf_unsmoothed(N):
    return unit(N * (np.log(len(N) / np.sum(N > 0, axis=0)) + 1))


def tfidf_divides_by_zero(N):
    w = weights(N, np.sum(N > 0, axis=0))
    with np.errstate(invalid="ignore"):
        return w / np.linalg.norm(w, axis=1, keepdims=True)


def pool_with_padding(H, mask):
    return unit(H.mean(axis=1))


def pool_not_unit(H, mask):
    return np.sum(mask[:, :, None] * H, axis=1) / mask.sum(axis=1, keepdims=True)


def pool_first_token(H, mask):
    return unit(H[:, 0])


def pool_unit_tokens(H, mask):
    tokens = H / np.linalg.norm(H, axis=2, keepdims=True)
    return unit(np.sum(mask[:, :, None] * tokens, axis=1))


def pair_with_itself(S, N):
    return np.unravel_index(S.argmax(), S.shape)


def pair_with_common_word(S, N):
    return np.unravel_index(np.where(np.triu(np.ones_like(S), 1) > 0, S, -np.inf).argmax(), S.shape)


def pair_masked_by_zero(S, N):
    return np.unravel_index((S * np.triu(N @ N.T == 0, k=1)).argmax(), S.shape)


def pair_least_similar(S, N):
    return np.unravel_index(np.where(np.triu(N @ N.T == 0, k=1), S, np.inf).argmin(), S.shape)


def pair_in_wrong_order(S, N):
    return np.unravel_index(np.where(np.tril(N @ N.T == 0), S, -np.inf).argmax(), S.shape)


def bridge_without_penalty(X, Y, penalty):
    return np.linalg.lstsq(X, Y, rcond=None)[0]


def bridge_penalty_everywhere(X, Y, penalty):
    return np.linalg.solve(X.T @ X + penalty, X.T @ Y)


def bridge_of_means(X, Y, penalty):
    n = len(X)
    return np.linalg.solve(X.T @ X / n + penalty * np.eye(X.shape[1]), X.T @ Y / n)


def bridge_the_other_way(X, Y, penalty):
    return np.linalg.solve(Y.T @ Y + penalty * np.eye(Y.shape[1]), Y.T @ X)


def bridge_penalty_squared(X, Y, penalty):
    return np.linalg.solve(X.T @ X + penalty**2 * np.eye(X.shape[1]), X.T @ Y)


WRONG = {
    "features/text/bag": [
        (bag_by_substring, "compare whole words"),
        (bag_of_marks, "counts 2"),
        (bag_sorted, "order of the vocabulary"),
        (bag_keeps_case, "lower case"),
        (bag_unknown_last, "must be ignored"),
    ],
    "features/text/tfidf": [
        (tfidf_not_unit, "do not have length 1"),
        (tfidf_sum_to_one, "root of their sum of squares"),
        (tfidf_total_counts, "number of texts"),
        (tfidf_binary, "The counts are lost"),
        (tfidf_without_one, "The 1 that is added"),
        (tfidf_unsmoothed, "then rows of length 1"),
        (tfidf_divides_by_zero, "gives NaN"),
    ],
    "features/text/mean_pool": [
        (pool_with_padding, "Padding is in the mean"),
        (pool_not_unit, "divide each by its length"),
        (pool_first_token, "[CLS]"),
        (pool_unit_tokens, "mean of the real tokens"),
    ],
    "features/text/synonyms": [
        (pair_with_itself, "paired with itself"),
        (pair_with_common_word, "share a word"),
        (pair_masked_by_zero, "paired with itself"),
        (pair_least_similar, "the best pair has -0.1"),
        (pair_in_wrong_order, "with i < j"),
    ],
    "features/text/bridge": [
        (bridge_without_penalty, "no effect"),
        (bridge_penalty_everywhere, "on the diagonal"),
        (bridge_of_means, "divided by n"),
        (bridge_the_other_way, "the weights (p, q) to have shape (6, 4)"),
        (bridge_penalty_squared, "gradient"),
    ],
}
