"""Checks for the exercises of the page that compares the family."""

from __future__ import annotations

import numpy as np

from cmrlib.exercises import Answer, Wrong, close, exercise, shape


@exercise("cca/comparison/linear")
def linear(answer: Answer) -> None:
    rng = np.random.default_rng(0)
    X, Z, W = rng.normal(size=(9, 3)), rng.normal(size=(9, 3)), rng.normal(size=(3, 2))
    if not answer(lambda X: X @ W, X, Z):
        raise Wrong("A matrix product keeps midpoints: the answer is True.")
    if not answer(lambda X: (X - 1) @ W, X, Z):
        raise Wrong("Subtracting a constant keeps midpoints, too: test the midpoint, not the sum.")
    if answer(lambda X: X**2, X, Z):
        raise Wrong("Squares do not keep midpoints: the answer is False.")
    bent = np.zeros((200, 3))
    bent[0, 0] = 4
    if answer(lambda X: np.maximum(X - 2, 0), bent, np.zeros_like(bent)):
        raise Wrong("One row that is bent is enough: look at all rows, not at their mean.")


@exercise("cca/comparison/within")
def within(answer: Answer) -> None:
    labels = np.random.default_rng(1).integers(4, size=80)
    order = shape(answer(labels, 0), (80,), "the permutation")
    if not np.array_equal(np.sort(order), np.arange(80)):
        raise Wrong("Each item must appear once: it is no permutation.")
    if not np.array_equal(labels[order.astype(int)], labels):
        raise Wrong("Some item has moved to a place of another class.")
    if np.mean(order == np.arange(80)) > 0.3:
        raise Wrong("Most items have stayed where they were, so their pairs are still there.")
    close(answer(labels, 0), order, "The same seed must give the same permutation.")


@exercise("cca/comparison/memory")
def memory(answer: Answer) -> None:
    found = shape(answer(10_000, 100, 50, 20), (3,), "the three sizes")
    right = np.array([1.6, 0.0032, 8e-9 * (100**2 + 50**2 + 100 * 50)])
    if np.allclose(found * 8, right) or np.allclose(found * 2, right):
        raise Wrong("A number in double precision takes 8 bytes.")
    if np.isclose(found[0], right[0] / 2) or np.isclose(found[1], right[1] / 2):
        raise Wrong("There are two views, so two kernel matrices and two factors.")
    close(found[0], right[0], "Two 10,000 x 10,000 kernels take 1.6 GB.")
    close(found[1], right[1], "Two factors of 10,000 x 20 take 3.2 MB.")
    close(found[2], right[2], "Count C_xx, C_yy and C_xy: p p + q q + p q numbers.")


@exercise("cca/comparison/slope")
def slope(answer: Answer) -> None:
    sizes = np.array([100, 200, 400, 800])
    cubic = float(shape(answer(sizes, 1e-7 * sizes**3.0), ()))
    if abs(cubic - 1e-7) < 1e-3:
        raise Wrong("This is near 0: take the logarithm of both, not of one.")
    close(cubic, 3, "For seconds that grow as n cubed the exponent is 3, whatever the factor.")
    noisy = np.array([1.0, 2.5, 3.6, 9.0])
    right = np.polyfit(np.log(sizes), np.log(noisy), 1)[0]
    ends = np.log(noisy[-1] / noisy[0]) / np.log(sizes[-1] / sizes[0])
    found = float(np.asarray(answer(sizes, noisy)))
    if np.isclose(found, ends) and not np.isclose(right, ends):
        raise Wrong("Use all sizes, not only the first and the last.")
    close(found, right, "Fit a straight line to the logarithms by least squares.")


@exercise("cca/comparison/advice")
def advice(answer: Answer) -> None:
    cases = {
        (True, False): (["CCA", "KCCA"], "With pairs alone, what needs labels is out."),
        (False, True): (["SM", "ml-CCA"], "With labels alone, what needs pairs is out."),
        (True, True): (
            ["CCA", "KCCA", "SCM", "SM", "ml-CCA"],
            "With both, all five can be fitted; a method need not use all there is.",
        ),
        (False, False): ([], "With neither, nothing can be fitted."),
    }
    for given, (right, why) in cases.items():
        if list(answer(*given)) != right:
            raise Wrong(f"candidates{given} should be {right}. {why}")
