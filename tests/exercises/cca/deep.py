"""Plausible wrong answers to the exercises on deep canonical correlation analysis."""

import numpy as np

from cmrlib.cca import CCA
from cmrlib.exercises.cca.deep import _roots


def trace(F, G):
    return np.trace(_roots(F, G)[-1])


def frobenius(F, G):
    return np.linalg.norm(_roots(F, G)[-1])


def uncentred(F, G):
    return np.linalg.svd(np.linalg.qr(F)[0].T @ np.linalg.qr(G)[0], compute_uv=False).sum()


def _gradient(F, G, weight):
    F, G, R, Q, T = _roots(F, G)
    U, d, Vt = np.linalg.svd(T)
    nabla_11 = -0.5 * R @ U @ np.diag(d) @ U.T @ R
    return (weight * F @ nabla_11 + G @ (R @ U @ Vt @ Q).T) / (len(F) - 1)


def whitening_constant(F, G):
    return _gradient(F, G, 0)


def counted_once(F, G):
    return _gradient(F, G, 1)


def of_the_loss(F, G):
    return -_gradient(F, G, 2)


def last_networks(validation, patience):
    best = 0
    for epoch, value in enumerate(validation):
        if value > validation[best]:
            best = epoch
        elif epoch - best >= patience:
            break
    return epoch, epoch


def with_hindsight(validation, patience):
    best = int(np.argmax(validation))
    return best, min(best + patience, len(validation) - 1)


def covariances_averaged(n_outputs, batch_size, n_batches, seed):
    rng = np.random.default_rng(seed)
    F, G = rng.normal(size=(2, n_batches * batch_size * 50, n_outputs))
    return CCA(n_outputs).fit(F, G).correlations_.sum()


def mean_of_correlations(n_outputs, batch_size, n_batches, seed):
    rng = np.random.default_rng(seed)
    batches = [rng.normal(size=(2, batch_size, n_outputs)) for _ in range(n_batches)]
    return np.mean([CCA(n_outputs).fit(F, G).correlations_ for F, G in batches])


def small_batches_are_fine():
    return {
        "a training objective near n_components means that the networks learnt the relation": False,
        "the objective is a sum over pairs, so small batches are only noisier": True,
        "scaling the outputs of a network raises the objective": False,
        "the epoch may be chosen on the test pairs, since no weight is trained on them": False,
        "without hidden layers, the best networks are linear CCA": True,
    }


def test_pairs_choose():
    return small_batches_are_fine() | {
        "the objective is a sum over pairs, so small batches are only noisier": False,
        "the epoch may be chosen on the test pairs, since no weight is trained on them": True,
    }


WRONG = {
    "cca/deep/trace-norm": [
        (trace, "trace of T"),
        (frobenius, "Squares"),
        (uncentred, "Centre the outputs"),
    ],
    "cca/deep/gradient": [
        (whitening_constant, "through Σ₁₁ is missing"),
        (counted_once, "enters twice"),
        (of_the_loss, "sign"),
    ],
    "cca/deep/stopping": [
        (last_networks, "not the last ones"),
        (with_hindsight, "had stopped before"),
    ],
    "cca/deep/batch-noise": [
        (covariances_averaged, "Close to 0"),
        (mean_of_correlations, "their sum"),
    ],
    "cca/deep/beliefs": [
        (small_batches_are_fine, "biased"),
        (test_pairs_choose, "a choice is training"),
    ],
}
