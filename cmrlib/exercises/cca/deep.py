"""Checks for the exercises of the chapter on deep canonical correlation analysis."""

from __future__ import annotations

import numpy as np

from cmrlib.cca import CCA
from cmrlib.datasets import make_gaussian_views
from cmrlib.exercises import Answer, Wrong, close, exercise, shape, statements


def _outputs() -> tuple[np.ndarray, np.ndarray]:
    views = make_gaussian_views(150, 3, 3, correlations=[0.9, 0.5], random_state=4)
    return views.image + 3, views.text - 1


def _roots(F: np.ndarray, G: np.ndarray) -> tuple[np.ndarray, ...]:
    """Return F̄, Ḡ, Σ₁₁^(-1/2), Σ₂₂^(-1/2) and T."""
    F, G = F - F.mean(axis=0), G - G.mean(axis=0)

    def inverse_root(S: np.ndarray) -> np.ndarray:
        values, vectors = np.linalg.eigh(S)
        return (vectors / np.sqrt(values)) @ vectors.T

    n = len(F)
    R, Q = inverse_root(F.T @ F / (n - 1)), inverse_root(G.T @ G / (n - 1))
    return F, G, R, Q, R @ (F.T @ G / (n - 1)) @ Q


@exercise("cca/deep/trace-norm")
def trace_norm(answer: Answer) -> None:
    F, G = _outputs()
    truth = CCA(3).fit(F, G).correlations_.sum()
    got = float(shape(answer(F, G), (), "one number"))
    T = _roots(F, G)[-1]
    if abs(got - np.trace(T)) < 1e-8:
        raise Wrong("This is the trace of T; the trace norm sums its singular values.")
    if abs(got - np.linalg.norm(T)) < 1e-8 or abs(got - (T**2).sum()) < 1e-8:
        raise Wrong("Squares: sum the singular values themselves.")
    uncentred = np.linalg.svd(np.linalg.qr(F)[0].T @ np.linalg.qr(G)[0], compute_uv=False).sum()
    if abs(got - uncentred) < 1e-8:
        raise Wrong("Centre the outputs first: a network may well add a constant.")
    close(got, truth, "This is not the sum of the canonical correlations.")
    mixture = np.array([[2.0, 1.0, 0.0], [0.0, 0.1, 3.0], [0.0, 0.0, 5.0]])
    close(answer(F @ mixture, G), truth, "Mixing the outputs of a network must change nothing.")


@exercise("cca/deep/gradient")
def gradient(answer: Answer) -> None:
    F, G = _outputs()
    Fc, Gc, R, Q, T = _roots(F, G)
    U, d, Vt = np.linalg.svd(T)
    pull = Gc @ (R @ U @ Vt @ Q).T / (len(F) - 1)
    push = -Fc @ R @ U @ np.diag(d) @ U.T @ R / (len(F) - 1)
    got = shape(answer(F, G), F.shape, "one row for each row of F")
    if np.allclose(got, pull):
        raise Wrong(
            "The part through Σ₁₁ is missing: with it, outputs that merely grow gain nothing."
        )
    if np.allclose(got, pull + push / 2):
        raise Wrong("∇₁₁ enters twice: F stands twice in Σ₁₁ = FᵀF / (n - 1).")
    if np.allclose(got, -(pull + push)):
        raise Wrong("The sign is that of a loss; the objective itself grows along its gradient.")
    close((got * Fc).sum(), 0, "Scaling F changes nothing, so the gradient has no part along F.")
    close(got, pull + push, "This is not the gradient of the trace norm.")


@exercise("cca/deep/stopping")
def stopping(answer: Answer) -> None:
    curve = [0.2, 0.5, 0.4, 0.9, 0.8, 0.7, 0.85, 0.95, 0.3]
    cases = [(curve, 3, (3, 6)), (curve, 4, (7, 8)), (curve, 1, (1, 2)), ([0.1, 0.2], 5, (1, 1))]
    for validation, patience, right in cases:
        got = tuple(int(v) for v in shape(answer(list(validation), patience), (2,), "(best, last)"))
        where = f"With {validation} and patience {patience}: "
        if got == right:
            continue
        if got[0] == got[1] and right[0] != right[1]:
            raise Wrong(f"{where}the networks of epoch {right[0]} are kept, not the last ones.")
        if got[0] == int(np.argmax(validation)) and got[0] > right[1]:
            raise Wrong(f"{where}training had stopped before epoch {got[0]} was ever seen.")
        raise Wrong(f"{where}expected (best, last) = {right}, got {got}.")


@exercise("cca/deep/batch-noise")
def batch_noise(answer: Answer) -> None:
    def truth(o: int, m: int) -> float:
        rng = np.random.default_rng(11)
        return float(
            np.mean(
                [CCA(o).fit(*rng.normal(size=(2, m, o))).correlations_.sum() for _ in range(60)]
            )
        )

    for o, m in ((4, 400), (4, 20)):
        got = float(shape(answer(o, m, 60, 0), (), "one number"))
        right = truth(o, m)
        if abs(got * o - right) < 0.1 * right:
            raise Wrong("This is the mean of the o correlations; the objective is their sum.")
        if abs(got) < 0.2 * right:
            raise Wrong(
                "Close to 0, but singular values are never negative: noise does not cancel in "
                "their sum. Average the objective, not the covariances."
            )
        if abs(got - right) > 0.1 * right:
            raise Wrong(
                f"For {o} outputs and batches of {m} about {right:.2f} is expected, got {got:.2f}."
            )
    close(answer(3, 50, 20, 5), answer(3, 50, 20, 5), "The same seed must give the same figure.")


@exercise("cca/deep/beliefs")
def beliefs(answer: Answer) -> None:
    right = {
        "a training objective near n_components means that the networks learnt the relation": (
            False,
            "networks of this size fit noise as well",
        ),
        "the objective is a sum over pairs, so small batches are only noisier": (
            False,
            "a small batch is biased: it shows high correlations whatever the outputs are",
        ),
        "scaling the outputs of a network raises the objective": (
            False,
            "canonical correlations do not feel the scale, and the ridge here is relative",
        ),
        "the epoch may be chosen on the test pairs, since no weight is trained on them": (
            False,
            "a choice is training, too; a part of the training pairs is set aside for it",
        ),
        "without hidden layers, the best networks are linear CCA": (
            True,
            "the maximum over linear maps is what CCA computes",
        ),
    }
    statements(answer, right)
