"""Checks for the exercises of the page book/evaluation/image_quality.md."""

from math import isclose, log, log10

import numpy as np

from cmrlib.exercises import Answer, Wrong, close, exercise, number, shape


@exercise("evaluation/image_quality/psnr")
def psnr(answer: Answer) -> None:
    x = np.array([[10, 20], [30, 40]], np.uint8)
    y = np.array([[20, 20], [30, 20]], np.uint8)  # squared errors 100, 0, 0, 400: MSE 125
    got = number(answer(x.copy(), y.copy()))
    reasons = {
        10 * log10(255**2 / 61): "Bytes wrap around: 20² becomes 144. Convert to floats first.",
        10 * log(255**2 / 125): "Decibels take the logarithm to base 10.",
        20 * log10(255**2 / 125): "Ten times the logarithm: the squares are inside already.",
        10 * log10(255 / 125): "L is squared, as the error is.",
        10 * log10(255**2 / 500): "Take the mean of the squared errors, not their sum.",
        log10(255**2 / 125): "Ten times the logarithm: a bel has ten decibels.",
    }
    for wrong, reason in reasons.items():
        if isclose(got, wrong):
            raise Wrong(reason)
    truth = 10 * log10(255**2 / 125)
    close(got, truth, f"The squared errors 100, 0, 0, 400 have mean 125: {truth:.2f} dB.")
    close(answer(y.copy(), x.copy()), truth, "Swapping the two pictures changes the value.")
    if number(answer(x.copy(), x.copy())) != float("inf"):
        raise Wrong("Equal pictures have PSNR inf.")


@exercise("evaluation/image_quality/window")
def window(answer: Answer) -> None:
    rng = np.random.default_rng(0)
    a, b = rng.random((5, 4)), rng.random((5, 4))
    b = 0.5 * a + 0.4 * b

    def value(
        L: float = 1, K1: float = 0.01, K2: float = 0.03, power: int = 2, ddof: int = 0
    ) -> dict[str, float]:
        C1, C2 = (K1 * L) ** power, (K2 * L) ** power
        ma, mb = a.mean(), b.mean()
        cov = ((a - ma) * (b - mb)).sum() / (a.size - ddof)
        va, vb = a.var(ddof=ddof), b.var(ddof=ddof)
        luminance = (2 * ma * mb + C1) / (ma**2 + mb**2 + C1)
        structure = (2 * cov + C2) / (va + vb + C2)
        return {"l": luminance, "cs": structure, "ssim": luminance * structure}

    got = number(answer(a.copy(), b.copy(), 1.0))
    reasons = {
        value(K1=0, K2=0)["ssim"]: "The constants C1 and C2 are missing.",
        value(power=1)["ssim"]: "C1 and C2 are squares: (0.01 L)² and (0.03 L)².",
        value(ddof=1)["ssim"]: "Divide by the number of pixels, not by one less.",
        value()["cs"]: "The luminance term is missing.",
        value()["l"]: "That is the luminance term alone.",
    }
    for wrong, reason in reasons.items():
        if isclose(got, wrong, rel_tol=1e-9):
            raise Wrong(reason)
    close(got, value()["ssim"], "Two random windows of 5 x 4 pixels have another value.")
    close(
        answer(255 * a, 255 * b, 255.0),
        value()["ssim"],
        "Windows in bytes with L = 255 have the value of those in [0, 1]: use L.",
    )
    flat = np.full((3, 3), 0.5)
    close(answer(flat, flat.copy(), 1.0), 1, "Two equal flat windows have SSIM 1.")


@exercise("evaluation/image_quality/halve")
def halve(answer: Answer) -> None:
    x = np.arange(24.0).reshape(4, 6) ** 2
    truth = np.array([[x[i : i + 2, j : j + 2].mean() for j in (0, 2, 4)] for i in (0, 2)])
    got = shape(answer(x.copy()), (2, 3))
    if np.allclose(got, x[::2, ::2]):
        raise Wrong("You take every second pixel: average the four of each block.")
    if np.allclose(got, 4 * truth):
        raise Wrong("You add up the four pixels of each block: average them.")
    close(got, truth, "Each value is the mean of a block of 2 x 2 pixels.")
    odd = np.random.default_rng(0).random((5, 7))
    even = odd[:4, :6]
    truth = even.reshape(2, 2, 3, 2).mean(axis=(1, 3))
    found = shape(answer(odd.copy()), (2, 3), "the half of a 5 x 7 picture")
    close(found, truth, "Of odd sides the last row and column are dropped.")


@exercise("evaluation/image_quality/mean")
def mean(answer: Answer) -> None:
    errors = [1.0, 100.0]
    got = answer(list(errors))
    if not isinstance(got, tuple | list) or len(got) != 2:
        raise Wrong("Return two numbers: the mean of the PSNRs, the PSNR of the mean error.")
    first, second = (number(value, "each number") for value in got)
    truth = 10 * log10(255**2 / 10), 10 * log10(255**2 / 50.5)
    if isclose(first, truth[1]) and isclose(second, truth[0]):
        raise Wrong("The two are the other way round.")
    if isclose(first, second):
        raise Wrong("Both are the same; the order of mean and logarithm makes the difference.")
    close(got, truth, "Errors 1 and 100 have PSNRs 48.13 and 28.13, and the mean error 50.5.")
    rng = np.random.default_rng(0)
    many = rng.uniform(1, 500, 10)
    truth = float(np.mean(10 * np.log10(255**2 / many))), 10 * log10(255**2 / many.mean())
    close(answer(many), truth, "Right for two errors, wrong for ten.")
