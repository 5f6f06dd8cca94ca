"""Plausible wrong answers to the exercises on labels as a third view."""

import numpy as np


def without_A(L, A, C):
    return np.linalg.pinv(L) @ C


def sums_of_classes(L, A, C):
    return L.T @ C @ np.linalg.inv(A)


def times_A(L, A, C):
    return np.linalg.pinv(L) @ C @ A


def for_one_hot_only(L, A, C):
    return L.T @ C / L.sum(axis=0)[:, None] @ np.linalg.inv(A)


def _label_step(L, U_l, links, lam, alpha, gamma, held):
    A = lam * U_l @ U_l.T + (held + gamma) * np.eye(len(U_l))
    C = lam * L @ U_l.T + alpha[0] * links[0] + alpha[1] * links[1]
    return C @ np.linalg.inv(A)


def not_held(L, U_l, links, lam, alpha, gamma):
    return _label_step(L, U_l, links, lam, alpha, gamma, 0)


def not_penalised(L, U_l, links, lam, alpha, gamma):
    return _label_step(L, U_l, links, lam, alpha, 0, sum(alpha))


def not_pulled(L, U_l, links, lam, alpha, gamma):
    return _label_step(L, U_l, links, lam, [0, 0], gamma, sum(alpha))


def not_weighted(L, U_l, links, lam, alpha, gamma):
    return _label_step(L, U_l, links, 1, alpha, gamma, sum(alpha))


def one_link(L, U_l, links, lam, alpha, gamma):
    return _label_step(L, U_l, [links[0], links[0]], lam, alpha, gamma, sum(alpha))


def image_alone(scores_image, scores_text):
    return np.where(scores_image >= 0, 1, -1)


def both_must_agree(scores_image, scores_text):
    return np.where((scores_image >= 0) & (scores_text >= 0), 1, -1)


def product(scores_image, scores_text):
    return np.where(scores_image * scores_text >= 0, 1, -1)


def plain_sign(scores_image, scores_text):
    return np.sign(scores_image + scores_text)


def never(encode, Q):
    return False


def always(encode, Q):
    return True


def first_query_only(encode, Q):
    return bool((encode(Q)[0] != encode(Q[:1])[0]).any())


def labels_are_secret():
    return {
        "Ours 2 uses labels of database items": False,
        "Ours 1 uses labels of the queries": False,
        "LCMFH: two training items with equal labels can have different codes": False,
        "LCMFH: two queries with equal labels can have different codes": True,
        "sign(V_l) with alpha = 0 depends on the images": False,
    }


def queries_have_labels():
    return labels_are_secret() | {
        "Ours 2 uses labels of database items": True,
        "LCMFH: two queries with equal labels can have different codes": False,
    }


WRONG = {
    "hashing/label_factorization/z": [
        (without_A, "A is missing"),
        (sums_of_classes, "sums over a class"),
        (times_A, "instead of its inverse"),
        (for_one_hot_only, "not one-hot"),
    ],
    "hashing/label_factorization/label_step": [
        (not_held, "lacks the alphas"),
        (not_penalised, "gamma is missing"),
        (not_pulled, "links are missing"),
        (not_weighted, "lam is missing"),
        (one_link, "gradient of the objective in V_l is not 0"),
    ],
    "hashing/label_factorization/pairs": [
        (image_alone, "Only the image"),
        (both_must_agree, "outvote"),
        (product, "sum of the log odds"),
        (plain_sign, "exactly 0"),
    ],
    "hashing/label_factorization/looks": [
        (never, "was not noticed"),
        (always, "was accused"),
        (first_query_only, "try every query"),
    ],
    "hashing/label_factorization/told": [
        (labels_are_secret, "codes of stage 1"),
        (queries_have_labels, "a query has no labels"),
    ],
}
