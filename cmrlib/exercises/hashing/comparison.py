"""Checks for the exercises of the chapter that compares hashing methods."""

from __future__ import annotations

import numpy as np

from cmrlib.exercises import Answer, Wrong, close, exercise, number, statements


@exercise("hashing/comparison/exponent")
def exponent(answer: Answer) -> None:
    n = np.array([1e3, 1e4, 1e5])
    value = number(answer(n, 3e-6 * n**1.5))
    if np.isclose(value, np.polyfit(n, 3e-6 * n**1.5, 1)[0]):
        raise Wrong("A power law is straight on logarithmic axes: take both logarithms first.")
    if np.isclose(value, 1 / 1.5):
        raise Wrong("This is the slope of log n over log seconds: exchange them.")
    if np.isclose(value, np.log(3e-6)):
        raise Wrong("This is the intercept, the logarithm of the factor.")
    close(value, 1.5, "seconds = 3e-6 n^1.5 has the exponent 1.5.")


@exercise("hashing/comparison/memory")
def memory(answer: Answer) -> None:
    value = number(answer(1_000_000, 64))
    if np.isclose(value, 64):
        raise Wrong("Eight bits make a byte.")
    close(value, 8, "A million codes of 64 bits fill 8 million bytes.")
    value = number(answer(1_000_000, 12))
    if np.isclose(value, 1.5) or np.isclose(value, 1):
        raise Wrong("A code fills whole bytes: 12 bits take two.")
    close(value, 2, "A million codes of 12 bits fill 2 million bytes.")


@exercise("hashing/comparison/gain")
def gain(answer: Answer) -> None:
    records = [
        {"method": "A", "bits": 16, "encoded": [0.1, 0.2], "learnt": [0.2, 0.5]},
        {"method": "A", "bits": 32, "encoded": [0.1, 0.3], "learnt": [0.1, 0.4]},
        {"method": "A", "bits": 64, "refused": "too long"},
        {"method": "B", "bits": 16, "encoded": [0.3, 0.3]},
    ]
    given = answer(records)
    if not isinstance(given, dict):
        raise Wrong("Return a dictionary.")
    if "B" in given:
        raise Wrong("B has no learnt codes and nothing to report: leave it out.")
    if set(given) != {"A"}:
        raise Wrong("The keys are the names of the methods that have learnt codes.")
    value = number(given["A"], "the gain of A")
    if np.isclose(value, 0.05):
        raise Wrong("Text to image is the second of the two figures.")
    if np.isclose(value, -0.2):
        raise Wrong("A gain is learnt minus encoded.")
    if np.isclose(value, 0.4):
        raise Wrong("Average over the code lengths; this is the sum.")
    close(value, 0.2, "The mean of 0.5 - 0.2 and 0.4 - 0.3 is 0.2.")


@exercise("hashing/comparison/comparable")
def comparable(answer: Answer) -> None:
    statements(
        answer,
        {
            "mAP@50 against mAP@all": (False, "the cut-off alone moves the figure"),
            "same split and features, both encoded": (True, "only the method differs"),
            "encoded against learnt": (False, "learnt codes have seen text and label"),
            "same protocol, 64 against 64 bits": (True, "only the method differs"),
            "parameters chosen on the test queries against on validation": (
                False,
                "the best of many noisy test figures is too good",
            ),
        },
    )
