"""Checks for the exercises of the chapter that compares deep and linear methods."""

from __future__ import annotations

import numpy as np

from cmrlib.exercises import Answer, Wrong, close, exercise, number, shape, statements


@exercise("realvalued/comparison/front")
def front(answer: Answer) -> None:
    points = np.array([[0.5, 0.4], [0.6, 0.3], [0.5, 0.3], [0.7, 0.1], [0.6, 0.3], [0.4, 0.4]])
    right = np.array([True, True, False, True, True, False])
    got = shape(answer(points.copy()), (6,)).astype(bool)
    if np.array_equal(got, ~right):
        raise Wrong("These are the methods that are beaten; return the others.")
    if not got[0] and not got[3]:
        raise Wrong("A method must lose in nothing to none: one better figure alone beats nobody.")
    if not got[1]:
        raise Wrong("Rows 1 and 4 are equal: neither beats the other, nor itself.")
    if got[2] or got[5]:
        raise Wrong("Rows 2 and 5 are beaten: as good in one figure, worse in the other.")
    assert np.array_equal(got, right), f"Expected {right.tolist()}, got {got.tolist()}."


@exercise("realvalued/comparison/apart")
def apart(answer: Answer) -> None:
    a, b = np.array([0.50, 0.52, 0.54]), np.array([0.47, 0.48, 0.49])  # 0.04 against 0.0258
    near = np.array([0.49, 0.50, 0.51])  # 0.02 against 0.0258
    if not bool(answer(a, b)):
        raise Wrong(
            "Means 0.52 and 0.48 with three seeds each are apart: two standard errors of the "
            "difference are 0.026. A standard deviation is larger than a standard error."
        )
    if not bool(answer(b, a)):
        raise Wrong("The order of the two methods must not matter: take the absolute difference.")
    if bool(answer(a, near)):
        raise Wrong(
            "Means 0.52 and 0.50 are not apart here: two standard errors are 0.026. Divide the "
            "variances by n - 1, and ask for two standard errors, not one."
        )


@exercise("realvalued/comparison/hindsight")
def hindsight(answer: Answer) -> None:
    validation = np.array([[0.5, 0.1, 0.3], [0.4, 0.6, 0.2], [0.3, 0.2, 0.9]])
    test = np.array([[0.50, 0.45, 0.48], [0.55, 0.40, 0.52], [0.10, 0.50, 0.47]])
    honest, best = (0.50 + 0.40 + 0.47) / 3, (0.55 + 0.50 + 0.52) / 3
    got = shape(answer(validation, test), (2,), "(honest, best)")
    for value, why in (
        ((best, honest), "The order is (honest, best)."),
        (
            (test[validation.mean(axis=1).argmax()].mean(), best),
            "Each seed chooses for itself: argmax over the settings, for each column.",
        ),
        (
            (validation.max(axis=0).mean(), best),
            "This is the validation score, not the test score.",
        ),
    ):
        if np.allclose(got, value):
            raise Wrong(why)
    close(got, (honest, best), "Not the two means.")


@exercise("realvalued/comparison/meet")
def meet(answer: Answer) -> None:
    sizes = np.array([100, 1000, 10000])
    a, b = 0.1 * np.log10(sizes), 0.2 * np.log10(sizes) - 0.6  # equal at log10 n = 6
    got = number(answer(sizes, a, b))
    for value, why in (
        (6.0, "This is the logarithm of the number of pairs; take its exponential."),
        (np.log(1e6), "This is the logarithm of the number of pairs; take its exponential."),
    ):
        if np.isclose(got, value):
            raise Wrong(why)
    slopes = [np.polyfit(sizes, curve, 1) for curve in (a, b)]
    straight = (slopes[0][1] - slopes[1][1]) / (slopes[1][0] - slopes[0][0])
    if np.isclose(got, straight):
        raise Wrong("The lines are against log(sizes), not against the sizes.")
    close(got / 1e6, 1, "The lines meet at a million pairs.", tol=1e-6)
    never = float(answer(sizes, a, 0.5 * a - 0.1))
    if not np.isposinf(never):
        raise Wrong("A curve that lies below and does not rise faster never gets there: np.inf.")


@exercise("realvalued/comparison/beliefs")
def beliefs(answer: Answer) -> None:
    right = {
        "mAP@50 and mAP@all of one model can be averaged": (
            False,
            "they are different measures, with different denominators",
        ),
        "a method that sees labels and one that does not answer the same question": (
            False,
            "one was told what will be asked, the other was not",
        ),
        "the parameters best for groups are best for partners": (
            False,
            "CCA wants few components for the one and many for the other",
        ),
        "features from deep networks leave less for a deep retrieval model to do": (
            True,
            "on such features linear methods with labels are level with networks",
        ),
        "a network can find relations whose correlation is zero": (
            True,
            "it found partners by squares, where CCA was at chance",
        ),
    }
    statements(answer, right)
