"""Checks for the exercises of the chapter on many views and many pairs."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from cmrlib.cca.linear import CCA
from cmrlib.cca.many_views import GCCA
from cmrlib.datasets import make_gaussian_views
from cmrlib.exercises import Answer, Wrong, close, exercise, shape, statements

Array = NDArray[Any]


@exercise("cca/many_views/eigen")
def eigen(answer: Answer) -> None:
    views = make_gaussian_views(300, 5, 3, correlations=[0.8, 0.4], random_state=6)
    X, Y = views.image - views.image.mean(axis=0), views.text - views.text.mean(axis=0)
    rho = shape(answer(X, Y), (3,), "the correlations, one for each of min(p, q),")
    truth = CCA(3).fit(X, Y).correlations_
    if np.allclose(rho, 1 + truth):
        raise Wrong("All are larger by 1: take D away from C, or 1 from the eigenvalues.")
    if np.allclose(rho, -truth) or np.allclose(rho, truth[::-1]):
        raise Wrong("eigh sorts in ascending order: take the last ones, largest first.")
    Z = np.hstack([X, Y])
    C = Z.T @ Z / len(Z)
    C[:5, :5], C[5:, 5:] = 0, 0
    if np.allclose(rho, np.linalg.eigvalsh(C)[::-1][:3]):
        raise Wrong("These are covariances: the problem is generalised, eigh(C - D, D).")
    close(rho, truth, "These are not the canonical correlations.")


@exercise("cca/many_views/shared")
def shared(answer: Answer) -> None:
    rng = np.random.default_rng(0)
    causes = rng.normal(size=(80, 2))
    views = []
    for width, loudness in ((4, 1.0), (5, 30.0), (3, 1.0)):
        X = loudness * rng.normal(size=(80, width))
        X[:, :2] = causes + 0.5 * rng.normal(size=(80, 2))
        views.append(X - X.mean(axis=0))
    G = shape(answer(views, 2), (80, 2), "G")
    gram = G.T @ G
    if np.allclose(gram, np.eye(2)):
        raise Wrong("The scale is off: Gᵀ G / n must be the identity, not Gᵀ G.")
    close(gram / 80, np.eye(2), "Gᵀ G / n must be the identity.")
    model = GCCA(2).fit_views(dict(zip("abc", views, strict=True)))
    truth = sum(model.encode(X, name) for name, X in zip("abc", views, strict=True))
    truth = truth / model.eigenvalues_
    loud = np.linalg.svd(np.hstack(views))[0][:, :2]
    if np.allclose(np.abs(np.linalg.svd(loud.T @ G)[1]), np.sqrt(80)):
        raise Wrong("These are principal components: the loud view decides. Orthonormalise each.")
    angles = np.linalg.svd(truth.T @ G / 80)[1]
    close(angles, np.ones(2), "Another configuration is nearer to the views in sum.")


@exercise("cca/many_views/merge")
def merge(answer: Answer) -> None:
    rng = np.random.default_rng(1)
    Z = rng.normal(size=(50, 3)) + np.linspace(0, 5, 50)[:, None]

    def sample(Z: Array) -> tuple[int, Array, Array]:
        mean = Z.mean(axis=0)
        return len(Z), mean, (Z - mean).T @ (Z - mean)

    merged = answer(sample(Z[:15]), sample(Z[15:]))
    if not isinstance(merged, tuple | list) or len(merged) != 3:
        raise Wrong("Return three things, n, mean and S.")
    n, mean, S = sample(Z)
    assert merged[0] == n, f"The merged sample has {n} rows, not {merged[0]}."
    got = shape(merged[1], (3,), "the mean")
    if np.allclose(got, (Z[:15].mean(axis=0) + Z[15:].mean(axis=0)) / 2):
        raise Wrong("The larger sample counts for more: weight the means by the sizes.")
    close(got, mean, "This is not the mean of all rows.")
    S_got = shape(merged[2], (3, 3), "S")
    if np.allclose(S_got, sample(Z[:15])[2] + sample(Z[15:])[2]):
        raise Wrong("The samples lie apart: the difference of the means adds to the scatter.")
    if np.allclose(S_got * n, S):
        raise Wrong("S is a sum, not divided by n.")
    close(S_got, S, "This is not the scatter of all rows.")


@exercise("cca/many_views/leak")
def leak(answer: Answer) -> None:
    right = {
        "groups of training items in fit_views": (True, "training data may carry labels"),
        "groups of test items in fit_views": (False, "the answers would be learnt by heart"),
        "group of the query, encoded with it": (False, "a user types a text, not its group"),
        "validation groups to choose k": (True, "they are part of the training data"),
        "a row in the table of unsupervised methods": (False, "labels were used in training"),
    }
    statements(answer, right)


@exercise("cca/many_views/variance")
def variance(answer: Answer) -> None:
    rng = np.random.default_rng(2)
    x = rng.normal(size=200) + np.linspace(0, 3, 200)
    parts = [x[:1], x[1:30], x[30:150], x[150:]]
    value = float(shape(answer(iter(parts)), (), "the variance"))
    if np.isclose(value, np.mean([part.var() for part in parts])) or np.isclose(
        value, sum(len(part) * part.var() for part in parts) / 200
    ):
        raise Wrong("The means of the chunks differ, and that is variance, too.")
    if np.isclose(value, x.var(ddof=1)):
        raise Wrong("Divide by n, not by n - 1.")
    close(value, x.var(), "This is not the variance of all numbers.")
    far = float(shape(answer(iter([part + 1e9 for part in parts])), ()))
    close(far, x.var(), "At an offset of 1e9 the digits are lost: centre before you square.", 1e-5)
