"""Plausible wrong answers to the exercises on multi-label CCA."""

import numpy as np


def common_labels(L, M):
    return L @ M.T


def not_a_number(L, M):
    return L @ M.T / np.sqrt(np.outer(L.sum(axis=1), M.sum(axis=1)))


def counts_as_lengths(L, M):
    return L @ M.T / np.maximum(np.outer(L.sum(axis=1), M.sum(axis=1)), 1)


def _centred(X, Y):
    return X - X.mean(axis=0), Y - Y.mean(axis=0)


def cross_covariance_only(X, Y, F):
    X, Y = _centred(X, Y)
    return X.T @ X / len(X), Y.T @ Y / len(Y), X.T @ F @ Y / F.sum()


def uncentred(X, Y, F):
    Z = F.sum()
    return (X.T * F.sum(axis=1)) @ X / Z, (Y.T * F.sum(axis=0)) @ Y / Z, X.T @ F @ Y / Z


def number_of_pairs(X, Y, F):
    X, Y = _centred(X, Y)
    return (
        (X.T * F.sum(axis=1)) @ X / F.size,
        (Y.T * F.sum(axis=0)) @ Y / F.size,
        X.T @ F @ Y / F.size,
    )


def all_pairs(X, L, Y, M):
    F = (L[:, None] == M).astype(float)
    return X.T @ F @ Y / F.sum()


def class_means(X, L, Y, M):
    classes = np.unique(L)
    x, y = (np.stack([Z[of == c].mean(axis=0) for c in classes]) for Z, of in ((X, L), (Y, M)))
    return x.T @ y / len(classes)


def no_division(X, L, Y, M):
    classes = np.unique(L)
    x, y = (np.stack([Z[of == c].sum(axis=0) for c in classes]) for Z, of in ((X, L), (Y, M)))
    return x.T @ y


TRUE_CHANGES = {
    "texts shuffled, their labels with them": False,
    "texts shuffled, labels left behind": True,
    "one image given twice": True,
    "classes renumbered": False,
    "all F doubled": False,
    "all texts of one class removed": True,
}


def pairs_matter():
    return TRUE_CHANGES | {"texts shuffled, their labels with them": True}


def duplicates_do_not_matter():
    return TRUE_CHANGES | {"one image given twice": False}


def as_many_as_features(labels, p, q):
    return min(p, q)


def as_many_as_classes(labels, p, q):
    return min(p, q, len(np.unique(labels)))


def largest_number(labels, p, q):
    return min(p, q, int(labels.max()))


def first_k(distance, k):
    share = np.zeros(len(distance))
    share[np.argsort(distance, kind="stable")[:k]] = 1
    return share


def all_tied(distance, k):
    return (distance <= np.sort(distance)[k - 1]).astype(float)


WRONG = {
    "cca/multilabel/similarity": [
        (common_labels, "common labels"),
        (not_a_number, "like nothing"),
        (counts_as_lengths, "square root"),
    ],
    "cca/multilabel/covariances": [
        (cross_covariance_only, "another method"),
        (uncentred, "Centre both views"),
        (number_of_pairs, "not by the number of pairs"),
    ],
    "cca/multilabel/grouped": [
        (all_pairs, "array of all pairs"),
        (class_means, "not its means"),
        (no_division, "Divide"),
    ],
    "cca/multilabel/changes": [(pairs_matter, "moved along"), (duplicates_do_not_matter, "twice")],
    "cca/multilabel/components": [
        (as_many_as_features, "cannot have rank 10"),
        (as_many_as_classes, "One fewer"),
        (largest_number, "gaps"),
    ],
    "cca/multilabel/nearest": [(first_k, "order of the rows"), (all_tied, "kept whole")],
}
