"""Wrong answers to the exercises of book/evaluation/image_quality.md, with their reasons."""

import numpy as np


def psnr_with(log=np.log10, factor=10, peak=255**2, reduce=np.mean, convert=True):
    def psnr_of(x, y):
        x, y = (x.astype(float), y.astype(float)) if convert else (x, y)
        error = reduce((x - y) ** 2)
        return float("inf") if error == 0 else factor * log(peak / error)

    return psnr_of


def finite_for_equal(x, y):
    return psnr_with()(x, y) if (x != y).any() else 100.0


def absolute_error(x, y):
    return 20 * np.log10(255 / np.mean(np.abs(x.astype(float) - y.astype(float))))


def window_with(K1=0.01, K2=0.03, power=2, ddof=0, luminance=True, structure=True, fixed=None):
    def ssim_of_window(a, b, L):
        L = fixed or L
        C1, C2 = (K1 * L) ** power, (K2 * L) ** power
        ma, mb = a.mean(), b.mean()
        cov = ((a - ma) * (b - mb)).sum() / (a.size - ddof)
        l_term = (2 * ma * mb + C1) / (ma**2 + mb**2 + C1)
        s_term = (2 * cov + C2) / (a.var(ddof=ddof) + b.var(ddof=ddof) + C2)
        return (l_term if luminance else 1) * (s_term if structure else 1)

    return ssim_of_window


def correlation(a, b, L):
    return np.corrcoef(a.ravel(), b.ravel())[0, 1]


def every_second(x):
    return x[: len(x) // 2 * 2 : 2, : x.shape[1] // 2 * 2 : 2]


def summed(x):
    h, w = x.shape[0] // 2, x.shape[1] // 2
    return x[: 2 * h, : 2 * w].reshape(h, 2, w, 2).sum(axis=(1, 3))


def without_first(x):
    """Drops the first row and column of odd sides instead of the last."""
    x = x[x.shape[0] % 2 :, x.shape[1] % 2 :]
    return x.reshape(len(x) // 2, 2, x.shape[1] // 2, 2).mean(axis=(1, 3))


def rows_only(x):
    return (x[::2] + x[1::2]) / 2


def of_mean(errors):
    return 10 * np.log10(255**2 / np.mean(errors))


def mean_of(errors):
    return np.mean(10 * np.log10(255**2 / np.asarray(errors)))


WRONG = {
    "evaluation/image_quality/psnr": [
        (psnr_with(convert=False), "Bytes wrap around"),
        (psnr_with(log=np.log), "base 10"),
        (psnr_with(factor=20), "the squares are inside already"),
        (psnr_with(peak=255), "L is squared"),
        (psnr_with(reduce=np.sum), "not their sum"),
        (psnr_with(factor=1), "a bel has ten decibels"),
        (absolute_error, "have mean 125"),
        (finite_for_equal, "PSNR inf"),
    ],
    "evaluation/image_quality/window": [
        (window_with(K1=0, K2=0), "C1 and C2 are missing"),
        (window_with(power=1), "are squares"),
        (window_with(ddof=1), "not by one less"),
        (window_with(luminance=False), "luminance term is missing"),
        (window_with(structure=False), "luminance term alone"),
        (window_with(fixed=1.0), "use L"),
        (correlation, "another value"),
    ],
    "evaluation/image_quality/halve": [
        (every_second, "every second pixel"),
        (summed, "average them"),
        (without_first, "Of odd sides"),
        (rows_only, "shape (2, 3)"),
    ],
    "evaluation/image_quality/mean": [
        (lambda e: (of_mean(e), mean_of(e)), "the other way round"),
        (lambda e: (mean_of(e), mean_of(e)), "Both are the same"),
        (lambda e: mean_of(e), "Return two numbers"),
        (lambda e: (mean_of(e), 10 * np.log10(255**2 / np.median(e)) - 1), "mean error 50.5"),
        (lambda e: (mean_of(e[:2]), of_mean(e[:2])), "wrong for ten"),
    ],
}
