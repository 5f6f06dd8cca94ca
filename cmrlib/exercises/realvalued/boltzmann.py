"""Checks for the exercises of the chapter on Boltzmann machines."""

from __future__ import annotations

import itertools

import numpy as np
from scipy.special import entr, expit, logsumexp

from cmrlib.base import cosine_similarity
from cmrlib.exercises import Answer, Wrong, close, exercise, number, shape, statements


def _bits(n: int) -> np.ndarray:
    return np.array(list(itertools.product([0.0, 1.0], repeat=n)))


def _normal(*sizes: tuple[int, ...]) -> list[np.ndarray]:
    rng = np.random.default_rng(5)
    return [rng.normal(size=size) for size in sizes]


@exercise("realvalued/boltzmann/free-energy")
def free_energy(answer: Answer) -> None:
    W, a, b = _normal((4, 3), (4,), (3,))
    V, H = _bits(4), _bits(3)
    scores = (V @ a)[:, None] + V @ W @ H.T + H @ b
    truth = -logsumexp(scores, axis=1)
    got = shape(answer(V, W, a, b), (16,), "one number a row")
    if np.allclose(got, -truth):
        raise Wrong("The sign is wrong: a likely state has a low free energy.")
    if np.allclose(got, truth + V @ a):
        raise Wrong("The visible biases are missing: subtract vᵀa.")
    if np.allclose(got, -V @ a - (V @ W + b).sum(axis=1)):
        raise Wrong("log(1 + exp(z)) is not z: a hidden unit may also be off.")
    if np.allclose(got, -V @ a - expit(V @ W + b).sum(axis=1)):
        raise Wrong("σ(z) is the derivative of log(1 + exp(z)); the sum over h gives the latter.")
    close(got, truth, "This is not -log of the sum of exp(-E) over all hidden states.")
    large = answer(V, 1000 * W, a, b)
    if not np.isfinite(np.asarray(large, dtype=float)).all():
        raise Wrong("With large weights the result is infinite: use np.logaddexp.")


@exercise("realvalued/boltzmann/counts")
def counts(answer: Answer) -> None:
    W, b = _normal((3, 2), (2,))
    V = np.array([[2.0, 0.0, 1.0], [0.0, 0.0, 0.0], [3.0, 4.0, 1.0]])
    length = V.sum(axis=1, keepdims=True)
    got = shape(answer(V, W, b), (3, 2), "one row for each text")
    if np.allclose(got, expit(V @ W + b)):
        raise Wrong("The hidden bias must be multiplied by the number of words of each text.")
    if not np.isfinite(got).all() or np.allclose(
        got[[0, 2]], expit(V[[0, 2]] / length[[0, 2]] @ W + b)
    ):
        raise Wrong("Do not divide by the length: a longer text is more evidence.")
    if np.allclose(got, expit(V @ W + V.sum() * b)):
        raise Wrong("Each text has its own number of words: sum along its row.")
    close(got, expit(V @ W + length * b), "This is not σ(vᵀW + M b).")


@exercise("realvalued/boltzmann/mean-field")
def mean_field(answer: Answer) -> None:
    W1, W2, b1, b2 = _normal((3, 4), (4, 2), (4,), (2,))
    v = np.array([1.0, 0.0, 1.0])

    def sweeps(n: int, up: float = 1.0, together: bool = False) -> tuple[np.ndarray, np.ndarray]:
        m1, m2 = np.full(4, 0.5), np.full(2, 0.5)
        for _ in range(n):
            before = m1
            m1 = expit(v @ W1 + up * (W2 @ m2) + b1)
            m2 = expit((before if together else m1) @ W2 + b2)
        return m1, m2

    for n in (3, 1, 200):
        answered = answer(v, W1, W2, b1, b2, n)
        if not isinstance(answered, tuple | list) or len(answered) != 2:
            raise Wrong("Return two arrays, (m1, m2).")
        got = [shape(m, (d,), f"m{d // 2}") for m, d in zip(answered, (4, 2), strict=True)]
        for kind, why in (
            (sweeps(n, up=0.0), "The first layer does not hear from above: add W2 @ m2."),
            (sweeps(n, together=True), "Update m2 from the m1 just found, not from the old one."),
        ):
            if n == 3 and all(np.allclose(g, k) for g, k in zip(got, kind, strict=True)):
                raise Wrong(why)
        for name, mine, truth in zip(("m1", "m2"), got, sweeps(n), strict=True):
            close(mine, truth, f"{name} is not that of {n} sweeps.")


@exercise("realvalued/boltzmann/bound")
def bound(answer: Answer) -> None:
    W1, W2, a, b1, b2 = _normal((3, 4), (4, 2), (3,), (4,), (2,))
    v = np.array([1.0, 0.0, 1.0])
    m1, m2 = np.linspace(0.1, 0.9, 4), np.array([0.3, 0.6])
    minus_energy = a @ v + v @ W1 @ m1 + b1 @ m1 + m1 @ W2 @ m2 + b2 @ m2
    entropy = sum((entr(m) + entr(1 - m)).sum() for m in (m1, m2))
    got = number(answer(v, m1, m2, W1, W2, a, b1, b2))
    for value, why in (
        (minus_energy, "The entropy is missing: without it, q = a single state would always win."),
        (minus_energy - entropy, "The entropy is added, not subtracted."),
        (-minus_energy + entropy, "E_q[-E] has the opposite sign of the energy."),
        (
            minus_energy + entr(m1).sum() + entr(m2).sum(),
            "A bit has two states: its entropy is entr(mu) + entr(1 - mu).",
        ),
        (minus_energy + entropy - a @ v, "The visible biases are missing: add aᵀv."),
    ):
        if abs(got - value) < 1e-8:
            raise Wrong(why)
    close(got, minus_energy + entropy, "This is not E_q[-E] + H(q).")
    sure = number(answer(v, np.round(m1), np.round(m2), W1, W2, a, b1, b2), "the bound of a state")
    if not np.isfinite(sure):
        raise Wrong("Means of 0 and 1 must give a number: use entr, for which 0 log 0 is 0.")


@exercise("realvalued/boltzmann/centre")
def centre(answer: Answer) -> None:
    rng = np.random.default_rng(3)
    F, G, F_train, G_train = (rng.random((n, 5)) + shift for n, shift in
                              ((4, 0.0), (3, 0.3), (30, 0.1), (30, 0.4)))  # fmt: skip
    got = shape(answer(F, G, F_train, G_train), (4, 3), "the similarities")
    both = np.vstack([F_train, G_train]).mean(axis=0)
    for other, why in (
        (cosine_similarity(F, G), "Nothing has been subtracted from the codes."),
        (
            cosine_similarity(F - F.mean(axis=0), G - G.mean(axis=0)),
            "Subtract the mean of the training codes: a query arrives alone, and has no mean.",
        ),
        (
            cosine_similarity(F - both, G - both),
            "Each modality needs its own mean: they lie in different places.",
        ),
        (
            (F - F_train.mean(axis=0)) @ (G - G_train.mean(axis=0)).T,
            "These are inner products: divide by the lengths of both rows.",
        ),
    ):
        if np.allclose(got, other):
            raise Wrong(why)
    truth = cosine_similarity(F - F_train.mean(axis=0), G - G_train.mean(axis=0))
    close(got, truth, "These are not the cosines of the centred codes.")


@exercise("realvalued/boltzmann/beliefs")
def beliefs(answer: Answer) -> None:
    right = {
        "a falling reconstruction error proves that the likelihood rises": (
            False,
            "it looks one step around the data; what the model dreams of elsewhere enters Z",
        ),
        "a mean-field update can lower the bound": (
            False,
            "each update is the exact maximum over one layer, the others being fixed",
        ),
        "in a deep Boltzmann machine the first hidden layer depends on the second": (
            True,
            "links have no direction, so it hears from above",
        ),
        "to compare two pairs of one machine, Z must be known": (
            False,
            "Z is the same for both and cancels in the ratio",
        ),
        "a longer text needs a larger hidden bias in a replicated softmax": (
            True,
            "the field of the words grows with their number, so the bias must keep pace",
        ),
    }
    statements(answer, right)
