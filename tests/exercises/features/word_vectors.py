"""Plausible wrong answers to the exercises of the chapter on word vectors and topics."""

import numpy as np


def ratio(N):
    P = N / N.sum()
    return P / np.outer(P.sum(axis=1), P.sum(axis=1))


def pmi_infinite(N):
    with np.errstate(divide="ignore"):
        return np.log(ratio(N))


def pmi_negative(N):
    return np.where(N > 0, np.log(ratio(N) + (N == 0)), 0)


def pmi_without_log(N):
    return ratio(N)


def pmi_base_two(N):
    return np.log2(np.maximum(ratio(N), 1))


def pmi_of_counts(N):
    return np.log(np.maximum(N / np.outer(N.sum(axis=1), N.sum(axis=1)), 1))


def pmi_conditional(N):
    return np.maximum(0, np.log(1 + N / N.sum(axis=1, keepdims=True)))


def sigma(x):
    return 1 / (1 + np.exp(-x))


def right_gradients(w, c, n):
    pair, random = sigma(w @ c) - 1, sigma(n @ w)
    return pair * c + random @ n, pair * w, np.outer(random, w)


def gradients_turned(w, c, n):
    return tuple(-g for g in right_gradients(w, c, n))


def gradients_of_a_random_pair(w, c, n):
    random = sigma(n @ w)
    return sigma(w @ c) * c + random @ n, sigma(w @ c) * w, np.outer(random, w)


def gradients_without_noise_for_w(w, c, n):
    return (sigma(w @ c) - 1) * c, *right_gradients(w, c, n)[1:]


def gradients_averaged(w, c, n):
    pair, random = sigma(w @ c) - 1, sigma(n @ w)
    return pair * c + random @ n / len(n), pair * w, np.outer(random, w) / len(n)


def gradients_averaged_for_n(w, c, n):
    to_w, to_c, to_n = right_gradients(w, c, n)
    return to_w, to_c, to_n / len(n)


def gradients_as_list(w, c, n):
    return right_gradients(w, c, n)[0]


def glove_uncut(x, N, x_max):
    return np.sum((N / x_max) ** 0.75 * (x - np.log(N)) ** 2)


def glove_linear_weight(x, N, x_max):
    return np.sum(np.minimum(1, N / x_max) * (x - np.log(N)) ** 2)


def glove_unweighted(x, N, x_max):
    return np.sum((x - np.log(N)) ** 2)


def glove_mean(x, N, x_max):
    return np.mean(np.minimum(1, N / x_max) ** 0.75 * (x - np.log(N)) ** 2)


def glove_nan(x, N, x_max):
    return np.sum(np.minimum(1, N / x_max) ** 0.75 * (x - np.log(N)) ** 2)


def glove_floor(x, N, x_max):
    N = np.maximum(N, 1e-3)
    return np.sum(np.minimum(1, N / x_max) ** 0.75 * (x - np.log(N)) ** 2)


def text_sum(text, vectors):
    return np.sum([vectors[w] for w in text if w in vectors], axis=0)


def text_mean_over_all(text, vectors):
    return np.sum([vectors[w] for w in text if w in vectors], axis=0) / len(text)


def text_unit(text, vectors):
    mean = np.mean([vectors[w] for w in text if w in vectors], axis=0)
    return mean / np.linalg.norm(mean)


def text_set(text, vectors):
    return np.mean([vectors[w] for w in sorted(set(text)) if w in vectors], axis=0)


def text_nan(text, vectors):
    known = [vectors[w] for w in text if w in vectors]
    return np.mean(known, axis=0) if known else np.full(2, np.nan)


def text_unknown_is_an_error(text, vectors):
    return np.mean([vectors[w] for w in text], axis=0)


def unit(Z):
    return Z / np.linalg.norm(Z, axis=1, keepdims=True)


def analogy_keeps_given(Z, a, b, c):
    U = unit(Z)
    return int(np.argmax(U @ (U[b] - U[a] + U[c])))


def analogy_inner_product(Z, a, b, c):
    U = unit(Z)
    score = Z @ (U[b] - U[a] + U[c])
    score[[a, b, c]] = -np.inf
    return int(np.argmax(score))


def analogy_raw_sum(Z, a, b, c):
    score = unit(Z) @ (Z[b] - Z[a] + Z[c])
    score[[a, b, c]] = -np.inf
    return int(np.argmax(score))


def analogy_nearest_to_c(Z, a, b, c):
    score = unit(Z) @ unit(Z)[c]
    score[[a, b, c]] = -np.inf
    return int(np.argmax(score))


def factors(n_dt, n_tw, d, w, alpha, beta):
    V = n_tw.shape[1]
    return n_dt[d] + alpha, (n_tw[:, w] + beta) / (n_tw.sum(axis=1) + V * beta)


def topics_not_normalised(n_dt, n_tw, d, w, alpha, beta):
    return np.prod(factors(n_dt, n_tw, d, w, alpha, beta), axis=0)


def topics_of_the_text(n_dt, n_tw, d, w, alpha, beta):
    p = factors(n_dt, n_tw, d, w, alpha, beta)[0]
    return p / p.sum()


def topics_of_the_word(n_dt, n_tw, d, w, alpha, beta):
    p = factors(n_dt, n_tw, d, w, alpha, beta)[1]
    return p / p.sum()


def topics_without_denominator(n_dt, n_tw, d, w, alpha, beta):
    p = (n_dt[d] + alpha) * (n_tw[:, w] + beta)
    return p / p.sum()


def topics_beta_once(n_dt, n_tw, d, w, alpha, beta):
    p = (n_dt[d] + alpha) * (n_tw[:, w] + beta) / (n_tw.sum(axis=1) + beta)
    return p / p.sum()


def topics_without_priors(n_dt, n_tw, d, w, alpha, beta):
    p = n_dt[d] * n_tw[:, w] / n_tw.sum(axis=1)
    return p / p.sum()


def topics_smooth_in_place(n_dt, n_tw, d, w, alpha, beta):
    n_tw += beta
    p = (n_dt[d] + alpha) * n_tw[:, w] / n_tw.sum(axis=1)
    return p / p.sum()


WRONG = {
    "features/word_vectors/positive_pmi": [
        (pmi_infinite, "must get 0, not infinity"),
        (pmi_negative, "Negative values"),
        (pmi_without_log, "logarithm is missing"),
        (pmi_base_two, "base 2"),
        (pmi_of_counts, "shares, not counts"),
        (pmi_conditional, "max(0, log P_ij"),
    ],
    "features/word_vectors/gradients": [
        (gradients_turned, "All signs are turned"),
        (gradients_of_a_random_pair, "σ(w·c) - 1: the score should rise"),
        (gradients_without_noise_for_w, "pull at w as well"),
        (gradients_averaged, "do not average"),
        (gradients_averaged_for_n, "gradient for n_i"),
        (gradients_as_list, "three arrays"),
    ],
    "features/word_vectors/glove": [
        (glove_uncut, "must not weigh more than 1"),
        (glove_linear_weight, "power of 0.75"),
        (glove_unweighted, "weigh the same"),
        (glove_mean, "That is the mean"),
        (glove_nan, "0 times log 0"),
        (glove_floor, "leave such pairs out"),
    ],
    "features/word_vectors/text_vector": [
        (text_sum, "That is the sum"),
        (text_mean_over_all, "number of known words"),
        (text_unit, "not brought to length 1"),
        (text_set, "counts twice"),
        (text_nan, "gives NaN"),
        (text_unknown_is_an_error, "KeyError"),
    ],
    "features/word_vectors/analogy": [
        (analogy_keeps_given, "one of the three given words"),
        (analogy_inner_product, "compare by cosine"),
        (analogy_raw_sum, "drowns c"),
        (analogy_nearest_to_c, "nearest to b - a + c"),
    ],
    "features/word_vectors/topic_probabilities": [
        (topics_not_normalised, "divide them by their sum"),
        (topics_of_the_text, "how the topics use the word is not"),
        (topics_of_the_word, "what the text is about is not"),
        (topics_without_denominator, "Divide the second factor"),
        (topics_beta_once, "n_t + V beta, with V"),
        (topics_without_priors, "alpha and beta are missing"),
        (topics_smooth_in_place, "changes the counts"),
    ],
}
