"""Plausible wrong answers to the exercises on autoencoders."""

import numpy as np
import torch


def incomplete_targets(X, Y):
    inputs = np.vstack([np.hstack([X, Y]), np.hstack([X, 0 * Y]), np.hstack([0 * X, Y])])
    return inputs, inputs


def only_the_text_missing(X, Y):
    pairs = np.hstack([X, Y])
    return np.vstack([pairs, np.hstack([X, 0 * Y]), np.hstack([X, 0 * Y])]), np.tile(pairs, (3, 1))


def interleaved_targets(X, Y):
    inputs = np.vstack([np.hstack([X, Y]), np.hstack([X, 0 * Y]), np.hstack([0 * X, Y])])
    return inputs, np.repeat(np.hstack([X, Y]), 3, axis=0)


def complete_pairs(X, Y):
    pairs = np.hstack([X, Y])
    return np.linalg.lstsq(pairs, pairs, rcond=None)[0]


def transposed(X, Y):
    inputs = np.vstack([np.hstack([X, Y]), np.hstack([X, 0 * Y]), np.hstack([0 * X, Y])])
    return np.linalg.lstsq(inputs, np.tile(np.hstack([X, Y]), (3, 1)), rcond=None)[0].T


def _loss(X, Y, F, G, D, alpha, routes):
    codes, views = {"image": F, "text": G}, {"image": X, "text": Y}
    errors = sum(((codes[s] @ D[s, t] - views[t]) ** 2).sum() for s, t in routes)
    return ((1 - alpha) * errors + alpha * ((F - G) ** 2).sum()) / len(X)


OWN, CROSS = [("image", "image"), ("text", "text")], [("image", "text"), ("text", "image")]
ROUTES = {"CorrAE": OWN, "CorrCrossAE": CROSS, "CorrFullAE": OWN + CROSS}


def weights_exchanged(method, X, Y, F, G, D, alpha):
    return _loss(X, Y, F, G, D, 1 - alpha, ROUTES[method])


def always_the_same(method, X, Y, F, G, D, alpha):
    return _loss(X, Y, F, G, D, alpha, OWN)


def summed(method, X, Y, F, G, D, alpha):
    return len(X) * _loss(X, Y, F, G, D, alpha, ROUTES[method])


def _linear(weight, bias):
    layer = torch.nn.Linear(weight.shape[1], weight.shape[0])
    with torch.no_grad():
        layer.weight.copy_(torch.as_tensor(weight))
        layer.bias.copy_(torch.as_tensor(bias))
    return layer


def without_logistic(W, a, b):
    return _linear(W.T, b), _linear(W, a)


def logistic_twice(W, a, b):
    return (
        torch.nn.Sequential(_linear(W.T, b), torch.nn.Sigmoid()),
        torch.nn.Sequential(_linear(W, a), torch.nn.Sigmoid()),
    )


def biases_forgotten(W, a, b):
    return torch.nn.Sequential(_linear(W.T, 0 * b), torch.nn.Sigmoid()), _linear(W, a)


def half_the_gradient(rho, t, a, b):
    s, d = (a + b) * np.exp(-(1 - rho) * t), (a - b) * np.exp(-(1 + rho) * t)
    return (s + d) / 2, (s - d) / 2


def one_rate(rho, t, a, b):
    return a * np.exp(-2 * (1 - rho) * t), b * np.exp(-2 * (1 - rho) * t)


def exchanged_rates(rho, t, a, b):
    s, d = (a + b) * np.exp(-2 * (1 + rho) * t), (a - b) * np.exp(-2 * (1 - rho) * t)
    return (s + d) / 2, (s - d) / 2


BELIEFS = {
    "an autoencoder of complete pairs that makes no error has learnt the relation of image "
    "and text": False,
    "with modalities left out, the targets are left out as well": False,
    "codes that nearly coincide can still be ranked by cosine": True,
    "the smallest loss on validation pairs tells the best alpha": False,
    "pre-training changes what the loss asks for": False,
}


def believes_in_the_loss():
    return BELIEFS | {"the smallest loss on validation pairs tells the best alpha": True}


def distrusts_the_cosine():
    return BELIEFS | {"codes that nearly coincide can still be ranked by cosine": False}


WRONG = {
    "realvalued/autoencoders/forms": [
        (incomplete_targets, "both modalities are always to be reconstructed"),
        (only_the_text_missing, "one input lacks the image"),
        (interleaved_targets, "mind the order"),
    ],
    "realvalued/autoencoders/linear-cure": [
        (complete_pairs, "the identity"),
        (transposed, "transpose"),
    ],
    "realvalued/autoencoders/loss": [
        (weights_exchanged, "α weighs the distance"),
        (always_the_same, "For CorrCrossAE this is the loss of CorrAE"),
        (summed, "Divide by the number of pairs"),
    ],
    "realvalued/autoencoders/unroll": [
        (without_logistic, "its logistic function"),
        (logistic_twice, "Gaussian units have no logistic function"),
        (biases_forgotten, "not p(h = 1 | v)"),
    ],
    "realvalued/autoencoders/survivors": [
        (half_the_gradient, "twice too slow"),
        (one_rate, "a - b is faster"),
        (exchanged_rates, "not where the gradient leads"),
    ],
    "realvalued/autoencoders/beliefs": [
        (believes_in_the_loss, "alpha is a part of the loss"),
        (distrusts_the_cosine, "does not feel the scale"),
    ],
}
