"""Plausible wrong answers to the exercises on canonical correlation analysis."""

import numpy as np

from cmrlib.cca import CCA


def standardised(X):
    return (X - X.mean(axis=0)) / X.std(axis=0)


def whitened_without_centring(X):
    return np.linalg.solve(np.linalg.cholesky(X.T @ X / len(X)), X.T).T


def orthonormal(X):
    return np.linalg.qr(X - X.mean(axis=0))[0]


def uncentred(X, Y):
    return np.linalg.svd(np.linalg.qr(X)[0].T @ np.linalg.qr(Y)[0], compute_uv=False)


def _correlations(X, Y):
    Q_x, Q_y = (np.linalg.qr(Z - Z.mean(axis=0))[0] for Z in (X, Y))
    return np.linalg.svd(Q_x.T @ Q_y, compute_uv=False)


def squared(X, Y):
    return _correlations(X, Y) ** 2


def ascending(X, Y):
    return _correlations(X, Y)[::-1]


def scale_matters():
    return {
        "column times 1000": True,
        "column plus 7": False,
        "column squared": True,
        "column repeated": False,
        "rows shuffled": True,
    }


def pairing_does_not_matter():
    return scale_matters() | {"column times 1000": False, "rows shuffled": False}


def _largest(X, Y, n_permutations, seed):
    rng = np.random.default_rng(seed)
    shuffles = [Y[rng.permutation(len(Y))] for _ in range(n_permutations)]
    return np.array([CCA(1).fit(X, Z).correlations_[0] for Z in shuffles])


def may_be_zero(X, Y, n_permutations, seed):
    return np.mean(_largest(X, Y, n_permutations, seed) >= CCA(1).fit(X, Y).correlations_[0])


def counts_the_misses(X, Y, n_permutations, seed):
    missed = np.sum(_largest(X, Y, n_permutations, seed) < CCA(1).fit(X, Y).correlations_[0])
    return (1 + missed) / (1 + n_permutations)


def not_refitted(X, Y, n_permutations, seed):
    rng = np.random.default_rng(seed)
    model = CCA(1).fit(X, Y)
    shuffles = [Y[rng.permutation(len(Y))] for _ in range(n_permutations)]
    reached = [model.correlations(X, Z)[0] >= model.correlations_[0] for Z in shuffles]
    return (1 + np.sum(reached)) / (1 + n_permutations)


def unnormalised(model, image, text, power):
    weight = model.correlations_**power
    return (model.encode_image(image) * weight) @ (model.encode_text(text) * weight).T


def weights_ignored(model, image, text, power):
    return model.similarity(image, text)


WRONG = {
    "cca/linear/whiten": [
        (standardised, "is not whitening"),
        (whitened_without_centring, "centre X first"),
        (orthonormal, "divided by n"),
    ],
    "cca/linear/correlations": [
        (uncentred, "Centre both views"),
        (squared, "squared"),
        (ascending, "largest must come first"),
    ],
    "cca/linear/invariance": [
        (scale_matters, "column times 1000"),
        (pairing_does_not_matter, "rows shuffled"),
    ],
    "cca/linear/permutation": [
        (may_be_zero, "never 0"),
        (counts_the_misses, "hardly ever reach"),
        (not_refitted, "refit each time"),
    ],
    "cca/linear/weighting": [
        (unnormalised, "cosine lies between"),
        (weights_ignored, "no effect"),
    ],
}
