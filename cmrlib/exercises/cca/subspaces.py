"""Checks for the exercises of the chapter on PLS, CFA and bilinear models."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from cmrlib.cca.subspaces import CFA
from cmrlib.datasets import make_gaussian_views
from cmrlib.exercises import Answer, Wrong, close, exercise, shape, statements

Array = NDArray[Any]


def _two(result: Any, names: str) -> tuple[Any, Any]:
    if not isinstance(result, tuple | list) or len(result) != 2:
        raise Wrong(f"Return two arrays, {names}.")
    return result[0], result[1]


@exercise("cca/subspaces/pair")
def pair(answer: Answer) -> None:
    views = make_gaussian_views(300, 5, 3, correlations=[0.9, 0.5], random_state=4)
    X, Y = views.image + 4, views.text - 2
    w, c = _two(answer(X, Y), "w and c")
    w, c = shape(w, (5,), "w"), shape(c, (3,), "c")
    close(
        [np.linalg.norm(w), np.linalg.norm(c)],
        [1, 1],
        "Both vectors must have length 1 (the right singular vectors are the rows of Vt).",
    )
    C = np.cov(X.T, Y.T, bias=True)[:5, 5:]
    best = np.linalg.svd(C, compute_uv=False)[0]
    value = w @ C @ c
    if np.isclose(value, -best):
        raise Wrong("This pair has the smallest covariance there is: flip the sign of one vector.")
    mean_pair = np.linalg.svd(X.T @ Y)[0][:, 0]
    if np.isclose(abs(w @ mean_pair), 1):
        raise Wrong("Centre both views first: this pair follows the means.")
    close(value, best, "Another pair of unit vectors has a larger covariance.")


@exercise("cca/subspaces/deflate")
def deflate(answer: Answer) -> None:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(60, 4)) @ rng.normal(size=(4, 4))
    X -= X.mean(axis=0)
    before = X.copy()
    w = np.array([0.5, 0.5, -0.5, 0.5])
    Z = shape(answer(X, w), X.shape)
    close(X, before, "The function changes its argument: subtract into a new array.", tol=0)
    t = X @ w
    if np.allclose(Z, X - np.outer(t, w)):
        raise Wrong(
            "This removes the direction w, not the score: other columns still correlate with t."
        )
    if np.allclose(Z, X - np.outer(t, X.T @ t)):
        raise Wrong("Divide by tᵀt: t is not of length 1.")
    close(Z.T @ t, np.zeros(4), "Some columns still correlate with the score t.")
    close(Z, X - np.outer(t, t @ X) / (t @ t), "More was removed than the score explains.")


@exercise("cca/subspaces/scale")
def scale(answer: Answer) -> None:
    right = {
        "CCA": (False, "its weights are free, so the one of this column is divided by 100"),
        "CCA with a ridge": (True, "the ridge charges for long weights, and this one got short"),
        "CFA": (True, "covariance grows with the scale, and the directions have unit length"),
        "PLS": (True, "covariance grows with the scale, and the directions have unit length"),
        "PLS after standardising": (False, "standardising takes the factor away again"),
    }
    statements(answer, right)


@exercise("cca/subspaces/distance")
def distance(answer: Answer) -> None:
    views = make_gaussian_views(200, 7, 6, correlations=[0.9, 0.6], random_state=5)
    X, Y = views.image - views.image.mean(axis=0), views.text - views.text.mean(axis=0)
    A, B = _two(answer(X, Y, 2), "A and B")
    A, B = shape(A, (7, 2), "A"), shape(B, (6, 2), "B")
    for name, M in (("A", A), ("B", B)):
        close(M.T @ M, np.eye(2), f"The columns of {name} must be orthonormal: no shrinking.")

    def apart(A: Array, B: Array) -> float:
        return float(np.sum((X @ A - Y @ B) ** 2))

    model = CFA(2).fit(X, Y)
    svd = apart(model.weights_image_, model.weights_text_)
    if np.isclose(apart(A, B), svd):
        raise Wrong("These are the singular vectors: they maximise the trace, not closeness.")
    if apart(A, B) > svd / 2:
        raise Wrong(
            f"The distance is {apart(A, B):.1f}, that of the singular vectors {svd:.1f}: look for "
            "directions along which neither side varies."
        )


@exercise("cca/subspaces/translate")
def translate(answer: Answer) -> None:
    rng = np.random.default_rng(1)
    A_x, A_y = rng.normal(size=(6, 3)), rng.normal(size=(4, 3))
    X = rng.normal(size=(9, 6))  # not all of it follows the model
    texts = shape(answer(X, A_x, A_y), (9, 4), "the texts")
    if np.allclose(texts, X @ A_x @ A_y.T):
        raise Wrong(
            "Projecting is no inference: the columns of A_x are not orthonormal, so solve "
            "x = A_x b by least squares."
        )
    content = X @ np.linalg.pinv(A_x).T
    if np.allclose(texts, content @ np.linalg.pinv(A_y)):
        raise Wrong("The content is right; to show it as a text, multiply by A_y itself.")
    close(texts, content @ A_y.T, "These are not the texts of the contents by least squares.")
