"""Plausible wrong answers to the exercises on binary codes."""

import numpy as np


def overflows(B, D):
    return (B.shape[1] - (B @ D.T).astype(int)) // 2


def equal_bits(B, D):
    return np.sum(B[:, None] == D[None], axis=2)


def inner_product(B, D):
    return B.astype(int) @ D.T.astype(int)


def mean_of_queries(training_scores, query_scores):
    return np.where(query_scores >= query_scores.mean(axis=0), 1, -1)


def zero_threshold(training_scores, query_scores):
    return np.where(query_scores >= 0, 1, -1)


def zero_bits(training_scores, query_scores):
    return np.sign(query_scores - training_scores.mean(axis=0))


def minus_at_zero(training_scores, query_scores):
    return np.where(query_scores > training_scores.mean(axis=0), 1, -1)


def medians(training_scores, query_scores):
    return np.where(query_scores >= np.median(training_scores, axis=0), 1, -1)


def cosine_of_codes(B, D):
    return B.astype(float) @ D.T.astype(float) / B.shape[1]


def the_angle(B, D):
    return np.pi * np.mean(B[:, None] != D[None], axis=2)


def without_pi(B, D):
    return np.cos(np.mean(B[:, None] != D[None], axis=2))


def transposed(V, B):
    P, _, Qt = np.linalg.svd(B.T @ V)
    return P @ Qt


def least_squares(V, B):
    return np.linalg.lstsq(V, B, rcond=None)[0]


def orthonormal_least_squares(V, B):
    return np.linalg.qr(np.linalg.lstsq(V, B, rcond=None)[0])[0]


def counts_columns(codes):
    return codes.shape[1]


def signed_correlations(codes):
    varying = codes[:, codes.std(axis=0) > 0]
    return varying.shape[1] ** 2 / np.sum(np.atleast_2d(np.corrcoef(varying.T)))


def uncentred(codes):
    varying = codes[:, codes.std(axis=0) > 0]
    products = varying.T @ varying / len(codes)
    products = np.where(np.eye(len(products), dtype=bool), 1, products * (abs(products) == 1))
    return varying.shape[1] ** 2 / np.sum(products**2)


def trips_over_a_constant_bit(codes):
    with np.errstate(all="ignore"):
        return codes.shape[1] ** 2 / np.sum(np.corrcoef(codes.T) ** 2)


def noise_is_good():
    return {
        "a rotation changes cosines": False,
        "flipping bit 3 in all codes changes Hamming distances": False,
        "scores times 10 have other codes": False,
        "scores times 10 have another quantisation error": True,
        "balanced uncorrelated bits retrieve well": True,
    }


def scale_does_not_matter():
    return noise_is_good() | {"scores times 10 have another quantisation error": False}


WRONG = {
    "hashing/codes/distances": [
        (overflows, "overflows"),
        (equal_bits, "equal bits"),
        (inner_product, "solve for d"),
    ],
    "hashing/codes/thresholds": [
        (mean_of_queries, "the queries' mean"),
        (zero_threshold, "The threshold is 0"),
        (zero_bits, "no bit"),
        (minus_at_zero, "sign(0) = +1"),
        (medians, "training mean 7"),
    ],
    "hashing/codes/cosine": [
        (cosine_of_codes, "cosine of the codes"),
        (the_angle, "take their cosine"),
        (without_pi, "not of 1"),
    ],
    "hashing/codes/rotation": [
        (transposed, "transpose"),
        (least_squares, "not orthogonal"),
        (orthonormal_least_squares, "Another rotation"),
    ],
    "hashing/codes/effective": [
        (counts_columns, "Five copies"),
        (signed_correlations, "by its square"),
        (trips_over_a_constant_bit, "NaN"),
        (uncentred, "need centring"),
    ],
    "hashing/codes/statements": [
        (noise_is_good, "balanced uncorrelated"),
        (scale_does_not_matter, "another quantisation error"),
    ],
}
