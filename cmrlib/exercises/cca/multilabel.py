"""Checks for the exercises of the chapter on multi-label CCA."""

from __future__ import annotations

import tracemalloc

import numpy as np

from cmrlib.exercises import Answer, Wrong, close, exercise, shape, statements


@exercise("cca/multilabel/similarity")
def similarity(answer: Answer) -> None:
    L = np.array([[1, 1, 0], [0, 0, 1], [0, 0, 0], [1, 1, 1]])
    M = np.array([[1, 0, 0], [1, 1, 1]])
    before = L.copy()
    with np.errstate(all="ignore"):
        F = np.asarray(answer(L, M))
    shape(F, (4, 2), "the similarities")
    close(L, before, "The function changes its argument: divide into a new array.")
    if np.isnan(F[2]).any():
        raise Wrong("An item without labels is like nothing: 0, where 0 / 0 gives NaN.")
    if np.allclose(F, L @ M.T):
        raise Wrong("These are numbers of common labels: divide by both lengths.")
    if np.allclose(F, (L @ M.T) / np.maximum(np.outer(L.sum(1), M.sum(1)), 1)):
        raise Wrong("The length of a label vector is the square root of its number of labels.")
    truth = np.array([[1 / 2**0.5, 2 / 6**0.5], [0, 1 / 3**0.5], [0, 0], [1 / 3**0.5, 1]])
    close(F, truth, "This is not the cosine of the label vectors.")


@exercise("cca/multilabel/covariances")
def covariances(answer: Answer) -> None:
    rng = np.random.default_rng(0)
    X, Y, F = rng.normal(size=(6, 3)) + 2, rng.normal(size=(8, 2)) - 1, rng.random((6, 8))
    given = answer(X, Y, F)
    if not isinstance(given, tuple | list) or len(given) != 3:
        raise Wrong("Return three matrices: C_xx, C_yy and C_xy.")
    C_xx, C_yy, C_xy = (
        shape(C, size, name)
        for C, size, name in zip(
            given, ((3, 3), (2, 2), (3, 2)), ("C_xx", "C_yy", "C_xy"), strict=True
        )
    )
    Xc, Yc, Z = X - X.mean(axis=0), Y - Y.mean(axis=0), F.sum()
    if np.allclose(C_xy, X.T @ F @ Y / Z):
        raise Wrong("Centre both views first, by their plain means.")
    if np.allclose(C_xy, Xc.T @ F @ Yc):
        raise Wrong("Divide by Z, the sum of all of F.")
    if np.allclose(C_xy, Xc.T @ F @ Yc / F.size):
        raise Wrong("Divide by Z, the sum of all of F, not by the number of pairs.")
    close(C_xy, Xc.T @ F @ Yc / Z, "C_xy is off.")
    if np.allclose(C_xx, Xc.T @ Xc / 6):
        raise Wrong(
            "C_xx is unweighted: image i takes part in every pair (i, j), with weight Σ_j F_ij. "
            "Weighting C_xy alone is another method."
        )
    close(C_xx, (Xc.T * F.sum(axis=1)) @ Xc / Z, "C_xx is off: image i has weight Σ_j F_ij.")
    close(C_yy, (Yc.T * F.sum(axis=0)) @ Yc / Z, "C_yy is off: text j has weight Σ_i F_ij.")


@exercise("cca/multilabel/grouped")
def grouped(answer: Answer) -> None:
    rng = np.random.default_rng(1)
    X, Y = rng.normal(size=(50, 4)), rng.normal(size=(40, 3))
    L, M = rng.integers(5, size=50) * 10, rng.integers(5, size=40) * 10
    F = (L[:, None] == M).astype(float)
    C = shape(answer(X, L, Y, M), (4, 3), "C_xy")
    if np.allclose(C, X.T @ F @ Y):
        raise Wrong("Divide by the number of pairs of one class.")
    means = [
        [Z[labels == c].mean(axis=0) for c in range(0, 50, 10)] for Z, labels in ((X, L), (Y, M))
    ]
    if np.allclose(C, np.transpose(means[0]) @ means[1] / 5):
        raise Wrong("Large classes have more pairs: multiply the sums of a class, not its means.")
    close(C, X.T @ F @ Y / F.sum(), "This is not the mean of x yᵀ over all pairs of one class.")
    many = 3000
    X, Y, L = rng.normal(size=(many, 2)), rng.normal(size=(many, 2)), rng.integers(3, size=many)
    tracemalloc.start()
    answer(X, L, Y, L)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    if peak > many * many / 2:
        raise Wrong(
            f"For {many} items this takes {peak / 1e6:.0f} MB: an array of all pairs is still "
            "being made. Add up the rows of each class first."
        )


@exercise("cca/multilabel/changes")
def changes(answer: Answer) -> None:
    right = {
        "texts shuffled, their labels with them": (
            False,
            "only labels link the two modalities, and they have moved along",
        ),
        "texts shuffled, labels left behind": (
            True,
            "every text now has the labels of another one",
        ),
        "one image given twice": (True, "it then takes part in twice as many pairs"),
        "classes renumbered": (False, "only whether labels are equal matters"),
        "all F doubled": (False, "numerator and Z both double"),
        "all texts of one class removed": (
            True,
            "the images of that class lose all their pairs",
        ),
    }
    statements(answer, right)


@exercise("cca/multilabel/components")
def components(answer: Answer) -> None:
    labels = np.array([3, 3, 7, 9, 9, 3, 7])

    def most(labels: np.ndarray, p: int, q: int) -> int:
        return int(np.asarray(shape(answer(labels, p, q), ())))

    found = most(labels, 20, 10)
    if found == 10:
        raise Wrong(
            "C_xy is a sum of one product for each class: with 3 classes it cannot have rank 10."
        )
    if found == 3:
        raise Wrong(
            "One fewer: in centred views the sum of one class is minus the sum of all others."
        )
    if found in (8, 9):
        raise Wrong("Count the different classes; their numbers may have gaps.")
    assert found == 2, f"Three classes allow 2 components, not {found}."
    assert most(np.arange(50), 6, 4) == 4, "With many classes the narrower view sets the limit."


@exercise("cca/multilabel/nearest")
def nearest(answer: Answer) -> None:
    distance = np.array([0.0, 1.0, 0.0, 1.0, 2.0, 1.0])
    share = shape(answer(distance, 3), (6,), "the shares")
    if np.allclose(share, [1, 1, 1, 0, 0, 0]):
        raise Wrong(
            "Texts 1, 3 and 5 are equally near, but only text 1 is kept: which one should not "
            "depend on the order of the rows. Share what is left evenly."
        )
    if np.allclose(share, [1, 1, 1, 1, 0, 1]):
        raise Wrong(
            "All tied texts are kept whole, which is more than 3: the shares must sum to k."
        )
    close(share.sum(), 3.0, "The shares must sum to k.")
    close(share, [1, 1 / 3, 1, 1 / 3, 0, 1 / 3], "The shares are off for distances 0 1 0 1 2 1.")
    close(answer(distance, 6), np.ones(6), "With k the number of texts, all are kept whole.")
    close(answer(distance, 2), [1, 0, 1, 0, 0, 0], "With k = 2 no tie is cut: keep texts 0 and 2.")
    close(answer(distance, 1), [0.5, 0, 0.5, 0, 0, 0], "With k = 1 the two nearest share it.")
