"""Plausible wrong answers to the exercises of the chapter on image features."""

import numpy as np


def scale_in_bytes(values):
    return (values - np.uint8(127)).transpose(2, 0, 1) / 128


def scale_by_reshape(values):
    return ((values.astype(float) - 127) / 128).reshape(3, *values.shape[:2])


def scale_to_unit_interval(values):
    return values.transpose(2, 0, 1) / 255


def scale_channels_last(values):
    return (values.astype(float) - 127) / 128


def windows_of(image, f):
    return np.lib.stride_tricks.sliding_window_view(image, (f, f), axis=(1, 2))


def convolve_flipped(image, filters):
    return np.einsum("cuvij,mcij->muv", windows_of(image, 3), filters[:, :, ::-1, ::-1])


def convolve_first_channel(image, filters):
    return np.einsum("uvij,mij->muv", windows_of(image, 3)[0], filters[:, 0])


def convolve_mean_over_channels(image, filters):
    return np.einsum("cuvij,mcij->muv", windows_of(image, 3), filters) / len(image)


def convolve_padded(image, filters):
    padded = np.pad(image, ((0, 0), (1, 1), (1, 1)))
    return np.einsum("cuvij,mcij->muv", windows_of(padded, 3), filters)


def convolve_transposed(image, filters):
    return np.einsum("cuvij,mcji->muv", windows_of(image, 3), filters)


def pool_by_mean(maps):
    c, h, w = maps.shape
    return maps[:, : h // 2 * 2, : w // 2 * 2].reshape(c, h // 2, 2, w // 2, 2).mean(axis=(2, 4))


def pool_from_zero(maps):
    c, h, w = maps.shape
    pooled = np.zeros((c, h // 2, w // 2))
    for i in range(2):
        for j in range(2):
            pooled = np.maximum(pooled, maps[:, i : h // 2 * 2 : 2, j : w // 2 * 2 : 2])
    return pooled


def pool_without_crop(maps):
    c, h, w = maps.shape
    return maps.reshape(c, h // 2, 2, w // 2, 2).max(axis=(2, 4))


def pool_by_stride(maps):
    return maps[:, ::2, ::2]


def pool_wrong_blocks(maps):
    c, h, w = maps.shape
    cropped = maps[:, : h // 2 * 2, : w // 2 * 2]
    return cropped.reshape(c, h // 2, w // 2, 4).max(axis=-1)


def agreement_with_itself(X, labels):
    unit = X / np.linalg.norm(X, axis=1, keepdims=True)
    return np.mean(labels[(unit @ unit.T).argmax(axis=1)] == labels)


def agreement_by_product(X, labels):
    S = X @ X.T
    np.fill_diagonal(S, -np.inf)
    return np.mean(labels[S.argmax(axis=1)] == labels)


def agreement_as_count(X, labels):
    unit = X / np.linalg.norm(X, axis=1, keepdims=True)
    S = unit @ unit.T
    np.fill_diagonal(S, -np.inf)
    return np.sum(labels[S.argmax(axis=1)] == labels)


def map_not_centred(X, k):
    return X @ np.linalg.svd(X, full_matrices=False)[2][:k].T


def map_of_u(X, k):
    return np.linalg.svd(X - X.mean(axis=0), full_matrices=False)[0][:, :k]


def map_on_columns_of_vt(X, k):
    centred = X - X.mean(axis=0)
    return centred @ np.linalg.svd(centred, full_matrices=False)[2][:, :k]


def map_without_signs(X, k):
    centred = X - X.mean(axis=0)
    return np.abs(centred @ np.linalg.svd(centred, full_matrices=False)[2][:k].T)


WRONG = {
    "features/image/scale": [
        (scale_in_bytes, "no negative numbers"),
        (scale_by_reshape, "use transpose"),
        (scale_to_unit_interval, "(v - 127) / 128"),
        (scale_channels_last, "to have shape (3, 3, 5)"),
    ],
    "features/image/convolve": [
        (convolve_flipped, "The filter is flipped"),
        (convolve_first_channel, "Only the first channel"),
        (convolve_mean_over_channels, "channels are averaged"),
        (convolve_padded, "to have shape (4, 4, 3), got (4, 6, 5)"),
        (convolve_transposed, "F[c,i,j] I[c,u+i,v+j]"),
    ],
    "features/image/max_pool": [
        (pool_by_mean, "the mean of each block"),
        (pool_from_zero, "do not start from 0"),
        (pool_without_crop, "cannot reshape"),
        (pool_by_stride, "the first value of each block"),
        (pool_wrong_blocks, "largest of its 2 x 2 block"),
    ],
    "features/image/agreement": [
        (agreement_with_itself, "finds itself"),
        (agreement_by_product, "bring every row to length 1"),
        (agreement_as_count, "divide by the number of items"),
    ],
    "features/image/pca": [
        (map_not_centred, "not centred"),
        (map_of_u, "columns of U"),
        (map_on_columns_of_vt, "row j of Vᵀ"),
        (map_without_signs, "not centred"),
    ],
}
