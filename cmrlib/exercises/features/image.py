"""Checks for the exercises of the chapter on image features."""

from __future__ import annotations

import numpy as np

from cmrlib.exercises import Answer, Wrong, close, exercise, shape


@exercise("features/image/scale")
def scale(answer: Answer) -> None:
    values = np.random.default_rng(0).integers(0, 256, size=(3, 5, 3), dtype=np.uint8)
    values[0, 0] = (0, 100, 255)
    got = shape(answer(values.copy()), (3, 3, 5))
    wrapped = (values - np.uint8(127)).transpose(2, 0, 1) / 128
    if np.allclose(got, wrapped):
        raise Wrong("Bytes have no negative numbers: change to floats before you subtract 127.")
    expected = (values.astype(float) - 127) / 128
    if np.allclose(got, expected.reshape(3, 3, 5)):
        raise Wrong("reshape keeps the order in memory and mixes the channels: use transpose.")
    if np.allclose(got, expected.transpose(2, 1, 0).reshape(3, 3, 5)):
        raise Wrong("Rows and columns are exchanged: the axes are (channel, row, column).")
    close(got, expected.transpose(2, 0, 1), "A byte v must become (v - 127) / 128.", 1e-6)


@exercise("features/image/convolve")
def convolve(answer: Answer) -> None:
    rng = np.random.default_rng(0)
    image, filters = rng.normal(size=(2, 6, 5)), rng.normal(size=(4, 2, 3, 3))
    got = shape(answer(image, filters), (4, 4, 3), "the maps of 4 filters of 3 x 3 on 6 x 5")
    expected = np.zeros((4, 4, 3))
    for m, u, v in np.ndindex(4, 4, 3):
        expected[m, u, v] = np.sum(filters[m] * image[:, u : u + 3, v : v + 3])
    if np.allclose(got, _maps(image, filters[:, :, ::-1, ::-1])):
        raise Wrong("The filter is flipped: the equation slides it as it is.")
    if np.allclose(got, _maps(image[:1], filters[:, :1])):
        raise Wrong("Only the first channel counts so far: sum over all channels c.")
    if np.allclose(2 * got, expected):
        raise Wrong("The channels are averaged: the equation sums over c.")
    if np.allclose(got, np.maximum(expected, 0)):
        raise Wrong("Negative responses are cut off: that is ReLU, which comes after this step.")
    close(got, expected, "The value at (u, v) is the sum over c, i, j of F[c,i,j] I[c,u+i,v+j].")


def _maps(image: np.ndarray, filters: np.ndarray) -> np.ndarray:
    windows = np.lib.stride_tricks.sliding_window_view(image, filters.shape[-2:], axis=(1, 2))
    return np.einsum("cuvij,mcij->muv", windows, filters)


@exercise("features/image/max_pool")
def max_pool(answer: Answer) -> None:
    maps = -np.arange(1.0, 41).reshape(2, 4, 5)[:, ::-1]
    maps[0, 0, 0] = 7
    even = maps[:, :, :4]
    blocks = np.stack([even[:, i::2, j::2] for i in (0, 1) for j in (0, 1)])
    got = shape(answer(even.copy()), (2, 2, 2), "the pooled maps of 4 x 4")
    if np.allclose(got, blocks.mean(axis=0)):
        raise Wrong("That is the mean of each block: max pooling keeps the largest value.")
    if np.allclose(got, np.maximum(blocks.max(axis=0), 0)):
        raise Wrong("A block of negative values has a negative maximum: do not start from 0.")
    if np.allclose(got, blocks[0]):
        raise Wrong("That is the first value of each block, not the largest.")
    close(got, blocks.max(axis=0), "Each value must be the largest of its 2 x 2 block.")
    got = shape(answer(maps.copy()), (2, 2, 2), "the pooled maps of 4 x 5, last column left out,")
    close(got, blocks.max(axis=0), "A last odd row or column must be left out.")


@exercise("features/image/agreement")
def agreement(answer: Answer) -> None:
    # Directions at 0, 10, 80 and 95 degrees, of very different lengths.
    angle = np.deg2rad([0, 10, 80, 95])
    X = np.column_stack([np.cos(angle), np.sin(angle)]) * np.array([[1.0], [10], [1], [100]])
    for labels, expected in (([0, 0, 1, 1], 1.0), ([0, 0, 0, 1], 0.5), ([0, 1, 2, 3], 0.0)):
        y = np.array(labels)
        got = float(shape(answer(X.copy(), y), ()))
        if expected < 1 and got == 1:
            raise Wrong("Every item finds itself: set the diagonal to -inf before the maximum.")
        if got == 4 * expected and expected:
            raise Wrong("That is a count: divide by the number of items.")
        close(got, expected, "The nearest by *cosine* counts: bring every row to length 1.")


@exercise("features/image/pca")
def principal_map(answer: Answer) -> None:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(12, 4)) * [5, 3, 1, 0.3] @ np.linalg.qr(rng.normal(size=(4, 4)))[0] + 3
    got = shape(answer(X.copy(), 2), (12, 2))
    if not np.allclose(got.mean(axis=0), 0):
        raise Wrong("The map is not centred: subtract the mean of every column before the SVD.")
    U, s, _ = np.linalg.svd(X - X.mean(axis=0), full_matrices=False)
    if np.allclose(np.abs(got), np.abs(U[:, :2])):
        raise Wrong("These are columns of U: coordinates on the directions are U times s.")
    why = (
        "Column j must be the centred X times the j-th principal direction, "
        "which is row j of Vᵀ (NumPy returns Vᵀ, not V)."
    )
    close(np.abs(got), np.abs(U[:, :2] * s[:2]), why)
    close(np.sign(got[0, 0] * got[:, 0]), np.sign(U[0, 0] * U[:, 0]), "A sign is lost: keep it.")
