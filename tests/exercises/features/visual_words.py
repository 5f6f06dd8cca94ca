"""Wrong answers to the exercises on visual words, each with the reason it must get."""

import warnings

import numpy as np


def _directions(patch, angle=np.arctan2, weigh=True, rounding=np.rint, swap=False):
    down, right = np.gradient(patch)
    if swap:
        down, right = right, down
    nearest = rounding(angle(down, right) / (2 * np.pi) * 8).astype(int) % 8
    weights = np.hypot(down, right).ravel() if weigh else None
    return np.bincount(nearest.ravel(), weights=weights, minlength=8)


def directions_swapped(patch):
    return _directions(patch, swap=True)


def directions_counted(patch):
    return _directions(patch, weigh=False)


def directions_half_circle(patch):
    return _directions(patch, angle=lambda y, x: np.arctan2(y, x) % np.pi)


def directions_floored(patch):
    return _directions(patch, rounding=np.floor)


def _unit(h):
    length = np.linalg.norm(h, axis=1, keepdims=True)
    return h / np.where(length == 0, 1, length)


def clip_once(h):
    return np.minimum(_unit(h), 0.2)


def clip_never(h):
    return _unit(h)


def clip_first(h):
    return _unit(np.minimum(h, 0.2))


def clip_divides_by_zero(h):
    with np.errstate(invalid="ignore"):
        unit = np.minimum(h / np.linalg.norm(h, axis=1, keepdims=True), 0.2)
        return unit / np.linalg.norm(unit, axis=1, keepdims=True)


def clip_in_place(h):
    h /= np.where(h.any(axis=1), np.linalg.norm(h, axis=1), 1)[:, None]
    return _unit(np.minimum(h, 0.2))


def lloyd_empty(D, W, n_steps):
    for _ in range(n_steps):
        nearest = np.sum((D[:, None] - W[None]) ** 2, axis=2).argmin(axis=1)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            W = np.stack([D[nearest == k].mean(axis=0) for k in range(len(W))])
    return W


def lloyd_assigned_once(D, W, n_steps):
    W = W.copy()
    nearest = np.sum((D[:, None] - W[None]) ** 2, axis=2).argmin(axis=1)
    for _ in range(n_steps):
        for k in np.unique(nearest):
            W[k] = D[nearest == k].mean(axis=0)
    return W


def lloyd_in_place(D, W, n_steps):
    for _ in range(n_steps):
        nearest = np.sum((D[:, None] - W[None]) ** 2, axis=2).argmin(axis=1)
        for k in np.unique(nearest):
            W[k] = D[nearest == k].mean(axis=0)
    return W


def lloyd_minima(D, W, n_steps):
    W = W.copy()
    for _ in range(n_steps):
        nearest = np.sum((D[:, None] - W[None]) ** 2, axis=2).argmin(axis=1)
        for k in np.unique(nearest):
            W[k] = D[nearest == k].min(axis=0)
    return W


def _nearest(D, W):
    return np.sum((D[:, None] - W[None]) ** 2, axis=2).argmin(axis=1)


def histogram_counts(D, W):
    return np.bincount(_nearest(D, W), minlength=len(W))


def histogram_short(D, W):
    return np.bincount(_nearest(D, W)) / len(D)


def histogram_nan(D, W):
    with np.errstate(invalid="ignore"):
        return np.bincount(_nearest(D, W), minlength=len(W)) / np.float64(len(D))


def histogram_by_product(D, W):
    return np.bincount((D @ W.T).argmax(axis=1), minlength=len(W)) / len(D)


def idf_of_sums(H):
    return H * np.log(len(H) / np.maximum(H.sum(axis=0), 1e-12))


def idf_plus_one(H):
    return H * np.log(1 + len(H) / np.maximum(np.sum(H > 0, axis=0), 1))


def idf_infinite(H):
    return H * np.log(len(H) / np.sum(H > 0, axis=0))


def idf_upside_down(H):
    return H * np.log(np.maximum(1, np.sum(H > 0, axis=0)) / len(H))


def _matches(D, E, ratio, power=1):
    distances = np.linalg.norm(D[:, None] - E[None], axis=2) ** power
    first, second = np.partition(distances, 1, axis=1)[:, :2].T
    i = np.flatnonzero(first < ratio * second)
    return np.column_stack([i, distances[i].argmin(axis=1)])


def ratio_squared(D, E, ratio):
    return _matches(D, E, ratio, power=2)


def ratio_ignored(D, E, ratio):
    return _matches(D, E, 1)


def ratio_swapped(D, E, ratio):
    return _matches(D, E, ratio)[:, ::-1]


def ratio_transposed(D, E, ratio):
    return _matches(D, E, ratio).T


WRONG = {
    "features/visual_words/directions": [
        (directions_swapped, "returns the derivative down first"),
        (directions_counted, "with the length of its gradient, not with 1"),
        (directions_half_circle, "Opposite directions count as one"),
        (directions_floored, "do not round down"),
    ],
    "features/visual_words/clip": [
        (clip_once, "scale them once more"),
        (clip_never, "Nothing is cut off"),
        (clip_first, "only after the first scaling"),
        (clip_divides_by_zero, "do not divide by a length of 0"),
        (clip_in_place, "changes its argument"),
    ],
    "features/visual_words/lloyd": [
        (lloyd_empty, "A centre without descriptors has no mean"),
        (lloyd_assigned_once, "assign anew after the centres have moved"),
        (lloyd_in_place, "changes its argument"),
        (lloyd_minima, "is the mean of its descriptors"),
    ],
    "features/visual_words/histogram": [
        (histogram_counts, "divide by the number of descriptors"),
        (histogram_short, "the last is not used"),
        (histogram_nan, "0 is divided by 0"),
        (histogram_by_product, "the smallest distance"),
    ],
    "features/visual_words/idf": [
        (idf_of_sums, "counts the pictures that have the word"),
        (idf_plus_one, "with no 1 added"),
        (idf_infinite, "0 times infinity"),
        (idf_upside_down, "multiplied by log(n / n_k)"),
    ],
    "features/visual_words/ratio": [
        (ratio_squared, "do not square them"),
        (ratio_ignored, "it must fail the test"),
        (ratio_swapped, "The pairs are (i, j)"),
        (ratio_transposed, "shape"),
    ],
}
