"""Losses of deep cross-modal retrieval, each in one place.

All take tensors and return one number to minimise, a mean over items, so that its size does not
depend on the batch. Losses of a similarity matrix `S` take it with image i in row i and text i in
column i: the pairs are the diagonal.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

# entries of a masked similarity matrix that must not be the largest
_NEVER = -torch.inf


def cosine_matrix(F: Tensor, G: Tensor) -> Tensor:
    """Return the cosine of every row of F (n, k) with every row of G (m, k), shape (n, m)."""
    return functional.normalize(F, dim=1) @ functional.normalize(G, dim=1).T


def pair_distance(F: Tensor, G: Tensor) -> Tensor:
    """Return the mean squared distance of pairs, (1/n) Σ_i ||f_i - g_i||².

    Parameters
    ----------
    F, G : Tensor of shape (n, k)
        Codes; row i of both is one pair.
    """
    return (F - G).square().sum(dim=1).mean()


def reconstruction(X_hat: Tensor, X: Tensor) -> Tensor:
    """Return the mean squared error per item, (1/n) Σ_i ||x̂_i - x_i||².

    Parameters
    ----------
    X_hat, X : Tensor of shape (n, p)
        What a decoder returns, and what it should have returned.
    """
    return pair_distance(X_hat, X)


def triplet_hinge(S: Tensor, margin: float = 0.2, relevant: Tensor | None = None) -> Tensor:
    """Return the triplet hinge of both directions, summed over all negatives.

    (1/n) Σ_i Σ_j⁺ Σ_k⁻ [margin - S_ij + S_ik]_+ with images as queries, the same with texts as
    queries (rows and columns exchanged), and the sum of the two.

    Parameters
    ----------
    S : Tensor of shape (n, n)
        Similarities of images (rows) and texts (columns).
    margin : float, default=0.2
    relevant : Tensor of bool, shape (n, n), optional
        Which pairs count as positive; by default the diagonal alone. With several positives j of
        a query, their hinges are averaged, so that a large class weighs no more than a small one.
    """
    positive = _diagonal(S) if relevant is None else relevant
    return _one_direction(S, margin, positive) + _one_direction(S.T, margin, positive.T)


def _diagonal(S: Tensor) -> Tensor:
    return torch.eye(len(S), dtype=torch.bool, device=S.device)


def _one_direction(S: Tensor, margin: float, positive: Tensor) -> Tensor:
    if positive.sum() == len(S) and bool(positive.diagonal().all()):  # one positive each
        hinge = (margin - S.diagonal()[:, None] + S).clamp(min=0)
        return hinge.masked_fill(positive, 0).sum(dim=1).mean()
    # (n, n, n): query, positive, negative
    hinge = (margin - S[:, :, None] + S[:, None, :]).clamp(min=0)
    hinge = hinge.masked_fill(positive[:, None, :], 0).sum(dim=2)
    weight = positive.to(S.dtype) / positive.sum(dim=1, keepdim=True).clamp(min=1)
    return (hinge * weight).sum(dim=1).mean()


def hardest_hinge(S: Tensor, margin: float = 0.2) -> Tensor:
    """Return the triplet hinge of both directions with the hardest negative alone (VSE++).

    (1/n) Σ_i [margin - S_ii + max_{k≠i} S_ik]_+ + [margin - S_ii + max_{k≠i} S_ki]_+.

    Parameters
    ----------
    S : Tensor of shape (n, n)
        Similarities of images (rows) and texts (columns), pairs on the diagonal; n at least 2.
    margin : float, default=0.2
    """
    negatives = S.masked_fill(_diagonal(S), _NEVER)
    pairs = S.diagonal()
    by_image = (margin - pairs + negatives.amax(dim=1)).clamp(min=0)
    by_text = (margin - pairs + negatives.amax(dim=0)).clamp(min=0)
    return (by_image + by_text).mean()


def info_nce(S: Tensor, temperature: float | Tensor = 0.07) -> Tensor:
    """Return the symmetric cross-entropy of finding the partner in the batch (CLIP).

    The mean over i of -log softmax(S / temperature)_ii, half by rows and half by columns.

    Parameters
    ----------
    S : Tensor of shape (n, n)
        Similarities of images (rows) and texts (columns), pairs on the diagonal.
    temperature : float or Tensor, default=0.07
        Positive; a tensor can be learnt.
    """
    logits = S / temperature
    partner = torch.arange(len(S), device=S.device)
    by_image = functional.cross_entropy(logits, partner)
    by_text = functional.cross_entropy(logits.T, partner)
    return (by_image + by_text) / 2


def label_cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    """Return the cross-entropy of a classifier, for one label an item or several.

    Parameters
    ----------
    logits : Tensor of shape (n, c)
    labels : Tensor of shape (n,) or (n, c)
        Class numbers from 0 to c - 1: softmax cross-entropy. Multi-hot: the sum over classes of
        the binary cross-entropies of the logistic function.
    """
    if labels.ndim == 1:
        return functional.cross_entropy(logits, labels)
    entropies = functional.binary_cross_entropy_with_logits(
        logits, labels.to(logits.dtype), reduction="none"
    )
    return entropies.sum(dim=1).mean()


class _ReverseGradient(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, scale: float) -> Tensor:
        ctx.scale = scale
        return x.view_as(x)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        return -ctx.scale * gradients[0], None


def reverse_gradient(x: Tensor, scale: float = 1.0) -> Tensor:
    """Return x; the gradient that comes back is multiplied by -scale (Ganin & Lempitsky, 2015).

    What stands behind it is trained to minimise a loss, what stands before it to maximise it:
    with an encoder before and a discriminator behind, one step is a step of both players.
    """
    reversed_: Tensor = _ReverseGradient.apply(x, scale)
    return reversed_


def modality_cross_entropy(scores_image: Tensor, scores_text: Tensor) -> Tensor:
    """Return the binary cross-entropy of telling images from texts; log 2 is chance.

    Parameters
    ----------
    scores_image, scores_text : Tensor of shape (n,) or (n, 1)
        The discriminator's logits of being an image.
    """
    image, text = scores_image.reshape(-1), scores_text.reshape(-1)
    return (functional.softplus(-image).mean() + functional.softplus(text).mean()) / 2


def modality_accuracy(scores_image: Tensor, scores_text: Tensor) -> float:
    """Return the share that a discriminator tells rightly; one half is chance.

    Parameters
    ----------
    scores_image, scores_text : Tensor of shape (n,) or (n, 1)
        Its logits of being an image.
    """
    right = (scores_image > 0).double().mean() + (scores_text < 0).double().mean()
    return float(right / 2)
