"""How close is a picture to a reference: PSNR, SSIM, and both over several scales.

For methods that *make* pictures: reconstructions of an autoencoder, pictures generated from a
text. Retrieval itself returns pictures that exist and needs none of this.

A picture is an array (height, width) or (height, width, channels). PSNR takes the squared error
over all channels; the structural indices are computed for each channel and averaged.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.ndimage import correlate1d

Picture = NDArray[np.float64]

WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)  # of the five scales, Wang et al. (2003)
_SIDE, _SIGMA, _K1, _K2 = 11, 1.5, 0.01, 0.03  # Wang et al. (2004)


def psnr(reference: ArrayLike, picture: ArrayLike, *, data_range: float | None = None) -> float:
    """Return the peak signal-to-noise ratio in decibels, 10 log10(range² / MSE).

    Parameters
    ----------
    reference, picture : array-like of shape (height, width) or (height, width, channels)
    data_range : float, optional
        Largest minus smallest possible value. Bytes (uint8) have 255; it must be given for every
        other type.

    Returns
    -------
    float
        Infinity for equal pictures.

    Raises
    ------
    TypeError, ValueError
        If the pictures are not of one shape or not finite, or the range is not known.
    """
    x, y, peak = _check(reference, picture, data_range)
    return _psnr(x, y, peak)


def ms_psnr(
    reference: ArrayLike,
    picture: ArrayLike,
    *,
    data_range: float | None = None,
    n_scales: int = len(WEIGHTS),
) -> float:
    """Return the mean of the PSNR over dyadic scales, in decibels.

    There is no one definition of a multi-scale PSNR. This one is a reconstruction: the plain mean
    of the PSNR of the two pictures, of their averages over 2 x 2 blocks, of the averages of those,
    and so on, `n_scales` in all.

    Parameters
    ----------
    reference, picture, data_range
        As in :func:`psnr`.
    n_scales : int, default=5
        As many as MS-SSIM has.

    Raises
    ------
    TypeError, ValueError
        As :func:`psnr`; and if the pictures are too small for so many scales.
    """
    x, y, peak = _check(reference, picture, data_range)
    if n_scales < 1 or min(x.shape[:2]) < 2 ** (n_scales - 1):
        raise ValueError(
            f"{n_scales} scales need at least 1 scale and pictures of {2 ** max(n_scales - 1, 0)} "
            f"pixels a side, got {x.shape[:2]}."
        )
    scales = zip(_scales(x, n_scales), _scales(y, n_scales), strict=True)
    return float(np.mean([_psnr(a, b, peak) for a, b in scales]))


def ssim(reference: ArrayLike, picture: ArrayLike, *, data_range: float | None = None) -> float:
    """Return the mean structural similarity index, from -1 to 1, 1 for equal pictures.

    In a Gaussian window of 11 x 11 pixels with standard deviation 1.5 that lies wholly inside the
    picture, with K1 = 0.01 and K2 = 0.03. The pictures are not shrunk first, as the authors'
    later program does.

    Parameters
    ----------
    reference, picture, data_range
        As in :func:`psnr`.

    Raises
    ------
    TypeError, ValueError
        As :func:`psnr`; and if a side is shorter than the window.

    References
    ----------
    Z. Wang, A. C. Bovik, H. R. Sheikh and E. P. Simoncelli, "Image quality assessment: from error
    visibility to structural similarity", IEEE Transactions on Image Processing (2004).
    """
    x, y, peak = _check(reference, picture, data_range)
    _check_side(x, 1)
    luminance, contrast = _ssim_maps(x, y, peak)
    return float((luminance * contrast).mean())


def ms_ssim(reference: ArrayLike, picture: ArrayLike, *, data_range: float | None = None) -> float:
    """Return the multi-scale structural similarity index, from 0 to 1.

    Π_j (mean contrast-structure of scale j)^{w_j} over five scales, each half as wide as the one
    before, with the luminance term in the last scale only. Scales are made by averages over 2 x 2
    blocks; of an odd side the last pixel is dropped. A negative mean, of which no power can be
    taken, counts as 0: the paper does not say.

    Parameters
    ----------
    reference, picture, data_range
        As in :func:`psnr`.

    Raises
    ------
    TypeError, ValueError
        As :func:`psnr`; and if a side is shorter than 176 pixels, so that the window does not fit
        into the last scale.

    References
    ----------
    Z. Wang, E. P. Simoncelli and A. C. Bovik, "Multiscale structural similarity for image quality
    assessment", Asilomar Conference on Signals, Systems and Computers (2003).
    """
    x, y, peak = _check(reference, picture, data_range)
    _check_side(x, 2 ** (len(WEIGHTS) - 1))
    n_scales = len(WEIGHTS)
    value = np.ones(x.shape[2])
    for j, (a, b) in enumerate(zip(_scales(x, n_scales), _scales(y, n_scales), strict=True)):
        luminance, contrast = _ssim_maps(a, b, peak)
        index = luminance * contrast if j == n_scales - 1 else contrast
        value *= np.maximum(index.mean(axis=(0, 1)), 0) ** WEIGHTS[j]
    return float(value.mean())


def _check(
    reference: ArrayLike, picture: ArrayLike, data_range: float | None
) -> tuple[Picture, Picture, float]:
    """Return both pictures as (height, width, channels) and the range of their values."""
    x, y = np.asarray(reference), np.asarray(picture)
    if x.shape != y.shape or x.ndim not in (2, 3) or 0 in x.shape:
        raise ValueError(
            "the two pictures must have one shape, (height, width) or (height, width, channels), "
            f"got {x.shape} and {y.shape}."
        )
    if x.dtype.kind not in "biuf" or y.dtype.kind not in "biuf":
        raise TypeError(f"pictures must hold real numbers, got {x.dtype} and {y.dtype}.")
    if data_range is None:
        if not x.dtype == y.dtype == np.uint8:
            raise ValueError(
                f"of {x.dtype} and {y.dtype} the range of values is not known: give data_range, "
                "such as 1.0."
            )
        data_range = 255
    if not 0 < data_range < np.inf:
        raise ValueError(f"data_range must be positive, got {data_range!r}.")
    x, y = (np.atleast_3d(array).astype(np.float64) for array in (x, y))
    if not (np.isfinite(x).all() and np.isfinite(y).all()):
        raise ValueError("the pictures hold NaN or infinity.")
    return x, y, float(data_range)


def _check_side(x: Picture, shrunk: int) -> None:
    if min(x.shape[:2]) < _SIDE * shrunk:
        raise ValueError(
            f"the window of {_SIDE} pixels needs pictures of at least {_SIDE * shrunk} pixels a "
            f"side, got {x.shape[:2]}; enlarge both, or take another measure."
        )


def _psnr(x: Picture, y: Picture, peak: float) -> float:
    error = np.mean((x - y) ** 2)
    return float(10 * np.log10(peak**2 / error)) if error > 0 else float("inf")


def _scales(x: Picture, n: int) -> Iterator[Picture]:
    """Yield a picture, its averages over 2 x 2 pixels, the averages of those, ..., n in all."""
    yield x
    for _ in range(n - 1):
        h, w = x.shape[0] // 2, x.shape[1] // 2
        x = x[: 2 * h, : 2 * w].reshape(h, 2, w, 2, x.shape[2]).mean(axis=(1, 3))
        yield x


def _window_mean(x: Picture) -> Picture:
    """Return the Gaussian mean around each pixel whose window lies inside the picture."""
    reach = _SIDE // 2
    weights = np.exp(-(np.arange(-reach, reach + 1) ** 2) / (2 * _SIGMA**2))
    weights /= weights.sum()
    smooth = correlate1d(correlate1d(x, weights, axis=0), weights, axis=1)
    inside: Picture = smooth[reach : x.shape[0] - reach, reach : x.shape[1] - reach]
    return inside


def _ssim_maps(x: Picture, y: Picture, peak: float) -> tuple[Picture, Picture]:
    """Return the luminance term and the contrast-structure term at each window."""
    C1, C2 = (_K1 * peak) ** 2, (_K2 * peak) ** 2
    mx, my = _window_mean(x), _window_mean(y)
    var_x, var_y = _window_mean(x * x) - mx**2, _window_mean(y * y) - my**2
    cov = _window_mean(x * y) - mx * my
    luminance = (2 * mx * my + C1) / (mx**2 + my**2 + C1)
    contrast = (2 * cov + C2) / (var_x + var_y + C2)
    return luminance, contrast
