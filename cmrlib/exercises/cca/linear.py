"""Checks for the exercises of the chapter on canonical correlation analysis."""

from __future__ import annotations

import numpy as np

from cmrlib.cca import CCA
from cmrlib.datasets import make_gaussian_views
from cmrlib.exercises import Answer, Wrong, close, exercise, shape, statements


@exercise("cca/linear/whiten")
def whiten(answer: Answer) -> None:
    X = np.random.default_rng(0).normal(size=(200, 3)) @ np.array(
        [[2.0, 1.0, 0.0], [0.0, 1.0, 0.5], [0.0, 0.0, 0.1]]
    )
    X += 5
    before = X.copy()
    Z = shape(answer(X), X.shape)
    close(X, before, "The function changes its argument: subtract into a new array.")
    close(Z.mean(axis=0), np.zeros(3), "The columns must have mean zero: centre X first.")
    C = Z.T @ Z / len(Z)
    if np.allclose(C, np.eye(3) * len(X) / (len(X) - 1)) or np.allclose(C * len(Z), np.eye(3)):
        raise Wrong("The scale is off: the covariance here is Z.T @ Z / n, divided by n.")
    close(np.diag(C), np.ones(3), "Every column must have variance 1.")
    close(
        C,
        np.eye(3),
        "The columns still correlate with one another: standardising each is not whitening.",
    )
    Xc = X - X.mean(axis=0)
    W = np.linalg.lstsq(Xc, Z, rcond=None)[0]
    close(Xc @ W, Z, "Z must be a linear map of the centred X.")


@exercise("cca/linear/correlations")
def correlations(answer: Answer) -> None:
    views = make_gaussian_views(300, 5, 3, correlations=[0.8, 0.4], random_state=1)
    X, Y = views.image + 10, views.text - 3
    rho = np.asarray(shape(answer(X, Y), (3,), "the correlations, one for each of min(p, q),"))
    truth = CCA(n_components=3).fit(X, Y).correlations_
    if np.allclose(np.sort(rho), np.sort(truth)):
        close(rho, truth, "The correlations are right, but the largest must come first.")
    if np.allclose(rho, truth**2):
        raise Wrong("These are the squared correlations: singular values need no square.")
    uncentred = np.linalg.svd(np.linalg.qr(X)[0].T @ np.linalg.qr(Y)[0], compute_uv=False)
    if np.allclose(rho, uncentred):
        raise Wrong("Centre both views first: otherwise their means correlate, too.")
    close(rho, truth, "These are not the canonical correlations.")


@exercise("cca/linear/invariance")
def invariance(answer: Answer) -> None:
    right = {
        "column times 1000": (False, "scaling a column leaves the possible weighted sums as is"),
        "column plus 7": (False, "centring takes a constant away again"),
        "column squared": (True, "a square is no weighted sum of the old features: it is new"),
        "column repeated": (False, "a repeated column adds no weighted sum that was not there"),
        "rows shuffled": (True, "CCA learns from which row belongs to which, and that is lost"),
    }
    statements(answer, right)


@exercise("cca/linear/permutation")
def permutation(answer: Answer) -> None:
    related = make_gaussian_views(150, 6, 5, correlations=[0.95], random_state=2)
    p = float(shape(answer(related.image, related.text, 60, 0), (), "the p-value"))
    if p == 0:
        raise Wrong("A p-value is never 0: the true pairing is itself one of the possible ones.")
    if p > 0.9:
        raise Wrong("These views correlate at 0.95, so shuffles should hardly ever reach it.")
    close(p, 1 / 61, "No shuffle of 60 comes near 0.95 here, so the p-value is (1 + 0) / (1 + 60).")

    noise = make_gaussian_views(40, 4, 3, correlations=[], random_state=3)
    X, Y = noise.image, noise.text
    rng = np.random.default_rng(7)
    null = [CCA(1).fit(X, Y[rng.permutation(40)]).correlations_[0] for _ in range(400)]
    right = np.mean(np.array(null) >= CCA(1).fit(X, Y).correlations_[0])
    p = float(np.asarray(answer(X, Y, 200, 0)))
    if abs(p - (1 - right)) < 0.1 < abs(p - right):
        raise Wrong("Count the shuffles that reach the true correlation, not those that miss it.")
    # 200 shuffles estimate a share with a standard error below 0.036
    if abs(p - right) > 0.15:
        raise Wrong("For noise the share is off: compare largest correlations, refit each time.")
    close(answer(X, Y, 200, 0), p, "The same seed must give the same value: use default_rng(seed).")


@exercise("cca/linear/weighting")
def weighting(answer: Answer) -> None:
    views = make_gaussian_views(200, 6, 5, correlations=[0.9, 0.5, 0.2], random_state=3)
    model = CCA(n_components=3).fit(views.image, views.text)
    image, text = views.image[:7], views.text[:4]
    plain = np.asarray(shape(answer(model, image, text, 0), (7, 4), "the similarity"))
    if np.abs(plain).max() > 1 + 1e-9:
        raise Wrong("A cosine lies between -1 and 1: divide each row by its length.")
    close(
        plain,
        model.similarity(image, text),
        "With power 0 all weights are 1, and the plain cosine of the model must come out.",
    )

    S, T = model.encode_image(image), model.encode_text(text)
    S, T = S * model.correlations_**2, T * model.correlations_**2
    S /= np.linalg.norm(S, axis=1, keepdims=True)
    T /= np.linalg.norm(T, axis=1, keepdims=True)
    weighted = answer(model, image, text, 2)
    if np.allclose(weighted, plain):
        raise Wrong("The weights have no effect: scale the columns before the rows are normalised.")
    close(weighted, S @ T.T, "Scale both encodings by correlations_ ** power, then normalise.")
