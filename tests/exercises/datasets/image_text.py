"""Wrong answers to the exercises of book/datasets/image_text.md, with the reason each must get."""

from pathlib import Path

import numpy as np


def columns(folder, concepts):
    files = [Path(folder) / f"Labels_{concept}.txt" for concept in concepts]
    return np.array([[int(word) for word in file.read_text().split()] for file in files])


def labels_alphabetical(folder, concepts):
    return columns(folder, sorted(concepts)).T


def labels_in_another_file(folder, concepts):
    return columns(folder, [concepts[0]] * len(concepts)).T


def labels_cut_to_the_shortest(folder, concepts):
    files = [columns(folder, [concept])[0] for concept in concepts]
    return np.array([file[: min(map(len, files))] for file in files]).T


def labels_by_sign(folder, concepts):
    """Refuses what is above 1, and takes -1 for a 0."""
    L = columns(folder, concepts).T
    if (L > 1).any():
        raise ValueError
    return L


def rate(labels, *, own=False, divide=None, unlabelled=False, among=None, count=False, all_=False):
    """Return a base rate with one mistake."""
    L = np.asarray(labels, int)
    R = L @ L.T if count else L @ L.T > 0
    if all_:
        R = (L[:, None] == L[None]).all(axis=2)
    R = R * 1
    if not own:
        R = R * (1 - np.eye(len(L), dtype=int))
    queries = np.ones(len(L), bool) if unlabelled else L.any(axis=1)
    items = L.any(axis=1) if among else np.ones(len(L), bool)
    n = items.sum() - (not own) if divide is None else divide(L)
    return R[np.ix_(queries, items)].sum(axis=1).mean() / n


def rate_in_place(labels):
    answer = rate(labels)
    labels[0] = 0
    return answer


def cosines(train, test):
    def unit(X):
        norm = np.linalg.norm(X, axis=1, keepdims=True)
        return X / np.where(norm > 0, norm, 1)

    return unit(test) @ unit(train).T


def leaks_by_product(train, test, threshold):
    return np.flatnonzero((test @ train.T).max(axis=1) < -1)


def leaks_unguarded(train, test, threshold):
    test = test / np.linalg.norm(test, axis=1, keepdims=True)
    return np.flatnonzero((test @ train.T).max(axis=1) >= threshold)


def leaks_absolute(train, test, threshold):
    return np.flatnonzero(np.abs(cosines(train, test)).max(axis=1) >= threshold)


def leaks_same_row(train, test, threshold):
    return np.flatnonzero(cosines(train[:1], test)[:, 0] >= threshold)


def leaks_first_block(train, test, threshold):
    return np.flatnonzero(cosines(train, test[:256]).max(axis=1) >= threshold)


def leaks_block_numbers(train, test, threshold):
    found = []
    for start in range(0, len(test), 256):
        twins = cosines(train, test[start : start + 256]).max(axis=1) >= threshold
        found += np.flatnonzero(twins).tolist()
    return np.array(found)


def leaks_all_at_once(train, test, threshold):
    return np.flatnonzero(cosines(train, test).max(axis=1) >= threshold)


def leaks_more_than(train, test, threshold):
    return np.flatnonzero(cosines(train, test).max(axis=1) > threshold + 1e-6)


def split_random(labels, share):
    n = len(labels)
    return np.random.default_rng(0).permutation(n) < round(share * n)


def split_by_most_frequent(labels, share):
    """Stratified by one label only."""
    mask = np.zeros(len(labels), bool)
    for value in (0, 1):
        rows = np.flatnonzero(labels[:, 0] == value)
        mask[rows[: round(share * len(rows))]] = True
    return mask


def split_every_nth(labels, share):
    return np.arange(len(labels)) % round(1 / share) == 0


WRONG = {
    "datasets/image_text/labels": [
        (columns, "transpose the result"),
        (labels_alphabetical, "not in the order given"),
        (labels_in_another_file, "Column c must hold"),
        (lambda folder, concepts: columns(folder, concepts).T, "A label of 2 must be refused"),
        (labels_cut_to_the_shortest, "The files have 4 lines and 1 line"),
        (labels_by_sign, "A label of -1 must be refused"),
    ],
    "datasets/image_text/base_rate": [
        (lambda labels: rate(labels, own=True), "an answer to itself"),
        (lambda labels: rate(labels, divide=len), "n - 1 others, not n"),
        (lambda labels: rate(labels, unlabelled=True), "no query: leave it out"),
        (lambda labels: rate(labels, among=True), "they stay among the others"),
        (lambda labels: rate(labels, count=True), "not as two"),
        (lambda labels: rate(labels, all_=True), "need not be all the same"),
        (rate_in_place, "changes its argument"),
        (lambda labels: 1 / 2, "Right on the small example"),
        (lambda labels: 0.4, "2, 3, 2 and 3 of 5"),
    ],
    "datasets/image_text/leaks": [
        (leaks_unguarded, "guard the division"),
        (lambda *a: cosines(*a[:2]).max(axis=1) >= a[2], "not a mask"),
        (leaks_by_product, "a cosine ignores the length"),
        (leaks_absolute, "by their sign"),
        (leaks_same_row, "look at all training rows"),
        (lambda *a: leaks_all_at_once(*a)[::-1], "in rising order"),
        (leaks_more_than, "at least, not more than"),
        (leaks_first_block, "later blocks are missed"),
        (leaks_block_numbers, "later blocks are missed or misnamed"),
        (leaks_all_at_once, "in blocks"),
    ],
    "datasets/image_text/stratify": [
        (split_random, "deal out the labels, the rarest first"),
        (split_by_most_frequent, "deal out the labels"),
        (split_every_nth, "deal out the labels"),
        (lambda labels, share: ~split_random(labels, share), "you mark the training items"),
        (lambda labels, share: np.arange(10), "Return a boolean array"),
        (lambda labels, share: np.zeros(200, bool), "0 of 200 items are test items"),
    ],
}
