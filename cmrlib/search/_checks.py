"""Checks of what goes into an index."""

from __future__ import annotations

from numbers import Integral

import numpy as np
from numpy.typing import ArrayLike, NDArray


def whole(value: int, name: str, least: int = 1) -> int:
    """Return a parameter as an int; refuse what is not a whole number of at least `least`."""
    if isinstance(value, bool) or not isinstance(value, Integral) or value < least:
        raise ValueError(f"{name} must be a whole number of at least {least}, got {value!r}.")
    return int(value)


def check_codes(codes: ArrayLike, n_bits: int, name: str = "codes") -> NDArray[np.uint8]:
    """Return packed codes as a (n, ceil(n_bits / 8)) uint8 array in C order.

    Raises
    ------
    TypeError
        If they are not bytes, as codes of -1 and +1 are not.
    ValueError
        If shape or width are wrong, or bits beyond `n_bits` are set.
    """
    array = np.asarray(codes)
    n_bytes = -(-n_bits // 8)
    if array.dtype != np.uint8:
        raise TypeError(
            f"{name} must be packed into bytes (uint8), got dtype {array.dtype}: use the model's "
            "pack(codes), or numpy.packbits(codes > 0, axis=1)."
        )
    if array.ndim != 2 or array.shape[1] != n_bytes:
        unpacked = array.ndim == 2 and array.shape[1] == n_bits
        raise ValueError(
            f"{name} must have shape (n, {n_bytes}), {n_bits} bits packed, got {array.shape}"
            + (": pack them with numpy.packbits(codes, axis=1)." if unpacked else ".")
        )
    unused = 8 * n_bytes - n_bits
    if unused and (array[:, -1] & ((1 << unused) - 1)).any():
        raise ValueError(
            f"{name} have bits set beyond n_bits={n_bits}: the last {unused} bits of each row "
            "must be 0, as numpy.packbits leaves them."
        )
    return np.ascontiguousarray(array)


def unit_rows(rows: ArrayLike, n_features: int, name: str = "rows") -> NDArray[np.float32]:
    """Return real vectors (n, n_features) divided by their lengths, in float32; zero rows stay 0.

    Raises
    ------
    TypeError
        If they are not real numbers.
    ValueError
        If shape or width are wrong, or a number is NaN or infinite.
    """
    array = np.asarray(rows)
    if array.dtype.kind not in "biuf":
        raise TypeError(f"{name} must be real numbers, got dtype {array.dtype}.")
    if array.ndim != 2 or array.shape[1] != n_features:
        raise ValueError(f"{name} must have shape (n, {n_features}), got {array.shape}.")
    unit = np.empty(array.shape, np.float32)
    for start in range(0, len(array), 8192):  # float64 only for a part at a time
        part = array[start : start + 8192].astype(np.float64)
        largest = np.abs(part).max(axis=1, keepdims=True)
        if not np.isfinite(largest).all():
            raise ValueError(f"{name} hold NaN or infinity.")
        part /= np.where(largest == 0, 1, largest)  # so that no square overflows
        length = np.linalg.norm(part, axis=1, keepdims=True)
        unit[start : start + 8192] = part / np.where(length == 0, 1, length)
    return unit
