"""Checks for the exercises of the chapter on autoencoders."""

from __future__ import annotations

import numpy as np

from cmrlib.datasets import make_gaussian_views
from cmrlib.exercises import Answer, Wrong, close, exercise, number, shape, statements


def _views() -> tuple[np.ndarray, np.ndarray]:
    views = make_gaussian_views(
        300, 4, 3, correlations=[0.9, 0.6, 0.3], condition=2, random_state=7
    )
    return views.image - views.image.mean(axis=0), views.text - views.text.mean(axis=0)


@exercise("realvalued/autoencoders/forms")
def forms(answer: Answer) -> None:
    X, Y = np.arange(1.0, 9.0).reshape(2, 4), -np.arange(1.0, 7.0).reshape(2, 3)
    before = X.copy(), Y.copy()
    result = answer(X, Y)
    if not isinstance(result, tuple) or len(result) != 2:
        raise Wrong("Return two arrays, (inputs, targets).")
    inputs, targets = (
        shape(array, (6, 7), name)
        for array, name in zip(result, ("inputs", "targets"), strict=True)
    )
    close(before[0], X, "The function changes X: work on a copy.")
    close(before[1], Y, "The function changes Y: work on a copy.")
    pairs = np.hstack([X, Y])
    if (targets == 0).any():
        raise Wrong("A target holds zeros: both modalities are always to be reconstructed.")

    def of(item: int) -> list[tuple[bool, bool]]:
        """Return which modalities the inputs show whose target is this pair."""
        rows = inputs[(targets == pairs[item]).all(axis=1)]
        for row in rows:
            for part, own in ((row[:4], pairs[item, :4]), (row[4:], pairs[item, 4:])):
                if (part != 0).any() and not np.array_equal(part, own):
                    raise Wrong("An input shows another pair than its target: mind the order.")
        return sorted((bool((row[:4] != 0).any()), bool((row[4:] != 0).any())) for row in rows)

    for item in range(2):
        seen = of(item)
        if len(seen) != 3:
            raise Wrong(f"Pair {item} is the target of {len(seen)} inputs instead of three.")
        if seen.count((True, True)) != 1:
            raise Wrong("One input of every three is complete.")
        if seen != [(False, True), (True, False), (True, True)]:
            raise Wrong("Of every pair, one input lacks the image and one lacks the text.")


@exercise("realvalued/autoencoders/linear-cure")
def linear_cure(answer: Answer) -> None:
    X, Y = _views()
    M = shape(answer(X, Y), (7, 7))
    inputs = np.vstack([np.hstack([X, Y]), np.hstack([X, 0 * Y]), np.hstack([0 * X, Y])])
    targets = np.tile(np.hstack([X, Y]), (3, 1))
    truth = np.linalg.lstsq(inputs, targets, rcond=None)[0]
    if np.allclose(M, np.eye(7), atol=1e-6):
        raise Wrong("This is the identity, the answer to complete pairs: count all three forms.")
    if np.allclose(M, truth.T):
        raise Wrong("This is the transpose: rows are items, so the map stands to the right.")
    own = np.linalg.lstsq(inputs, inputs, rcond=None)[0]
    if np.allclose(M, own):
        raise Wrong("The targets are complete in all three forms; only the inputs have zeros.")
    close(M, truth, "This is not the least-squares map from the three forms to the pairs.", 1e-6)


@exercise("realvalued/autoencoders/loss")
def loss(answer: Answer) -> None:
    rng = np.random.default_rng(3)
    X, Y, F, G = (rng.normal(size=(5, d)) for d in (4, 3, 2, 2))
    D = {
        ("image", "image"): rng.normal(size=(2, 4)),
        ("image", "text"): rng.normal(size=(2, 3)),
        ("text", "image"): rng.normal(size=(2, 4)),
        ("text", "text"): rng.normal(size=(2, 3)),
    }

    def squares(A: np.ndarray, B: np.ndarray) -> float:
        return float(((A - B) ** 2).sum() / 5)

    own = squares(F @ D["image", "image"], X) + squares(G @ D["text", "text"], Y)
    cross = squares(F @ D["image", "text"], Y) + squares(G @ D["text", "image"], X)
    wanted = {"CorrAE": own, "CorrCrossAE": cross, "CorrFullAE": own + cross}
    pair = squares(F, G)
    for method, errors in wanted.items():
        got = number(answer(method, X, Y, F, G, D, 0.25), f"the loss of {method}")
        right = 0.75 * errors + 0.25 * pair
        if np.isclose(got, 0.25 * errors + 0.75 * pair):
            raise Wrong("α weighs the distance of the codes, 1 - α the reconstructions.")
        if np.isclose(got, errors + 0.25 * pair):
            raise Wrong("The reconstructions have the weight 1 - α.")
        if np.isclose(got, 5 * right):
            raise Wrong("Divide by the number of pairs.")
        for other, others in wanted.items():
            if other != method and np.isclose(got, 0.75 * others + 0.25 * pair):
                raise Wrong(f"For {method} this is the loss of {other}: look at the table.")
        close(got, right, f"This is not the loss of {method}.")


@exercise("realvalued/autoencoders/unroll")
def unroll(answer: Answer) -> None:
    import torch

    rng = np.random.default_rng(5)
    W, a, b = rng.normal(size=(4, 3)), rng.normal(size=4), rng.normal(size=3)
    V, H = rng.normal(size=(6, 4)), rng.uniform(size=(6, 3))
    result = answer(W, a, b)
    if not isinstance(result, tuple) or len(result) != 2:
        raise Wrong("Return two networks, (encoder, decoder).")
    encoder, decoder = result
    with torch.no_grad():
        code = encoder(torch.as_tensor(V, dtype=torch.float32)).numpy()
        mean = decoder(torch.as_tensor(H, dtype=torch.float32)).numpy()
    logits = V @ W + b
    if code.shape == logits.shape and np.allclose(code, logits, atol=1e-4):
        raise Wrong("The encoder returns the field; p(h = 1 | v) is its logistic function.")
    close(code, 1 / (1 + np.exp(-logits)), "The encoder is not p(h = 1 | v).", 1e-4)
    if mean.shape == (6, 4) and np.allclose(mean, 1 / (1 + np.exp(-(H @ W.T + a))), atol=1e-4):
        raise Wrong("Gaussian units have no logistic function: their mean is the field itself.")
    close(mean, H @ W.T + a, "The decoder is not the mean of v given h.", 1e-4)


@exercise("realvalued/autoencoders/survivors")
def survivors(answer: Answer) -> None:
    for rho, t, a, b in ((0.9, 0.7, 2.0, 0.5), (0.5, 0.4, 1.0, -1.0), (0.3, 0.25, 0.0, 1.0)):
        # Euler's method in steps so small that they do not show
        x, y, steps = a, b, 100_000
        for _ in range(steps):
            x, y = x - 2 * (x - rho * y) * t / steps, y - 2 * (y - rho * x) * t / steps
        got = shape(answer(rho, t, a, b), (2,), "(a, b) at time t")
        where = f"From ({a:g}, {b:g}) with ρ = {rho} to time {t}: "
        both, apart = (a + b) * np.exp(-(1 - rho) * t), (a - b) * np.exp(-(1 + rho) * t)
        half = (both + apart) / 2, (both - apart) / 2
        if np.allclose(got, half, atol=1e-6):
            raise Wrong(f"{where}twice too slow; the gradient of a² is 2a.")
        if np.allclose(got, (np.exp(-2 * (1 - rho) * t) * a, np.exp(-2 * (1 - rho) * t) * b)):
            raise Wrong(f"{where}only a + b decays at the rate 2(1 - ρ); a - b is faster.")
        close(got, (x, y), f"{where}this is not where the gradient leads.", 1e-4)


@exercise("realvalued/autoencoders/beliefs")
def beliefs(answer: Answer) -> None:
    right = {
        "an autoencoder of complete pairs that makes no error has learnt the relation of image "
        "and text": (
            False,
            "the identity makes no error and knows nothing of any relation",
        ),
        "with modalities left out, the targets are left out as well": (
            False,
            "then nothing would ask what an image says about its text",
        ),
        "codes that nearly coincide can still be ranked by cosine": (
            True,
            "the cosine does not feel the scale of the codes",
        ),
        "the smallest loss on validation pairs tells the best alpha": (
            False,
            "alpha is a part of the loss: at alpha = 1 collapsed codes have the smallest of all",
        ),
        "pre-training changes what the loss asks for": (
            False,
            "it changes where the search starts",
        ),
    }
    statements(answer, right)
