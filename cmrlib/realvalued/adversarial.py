"""Adversarial learning: encoders whose codes a discriminator of modalities cannot tell apart."""

from __future__ import annotations

from abc import abstractmethod
from math import exp
from numbers import Integral, Real
from typing import ClassVar

import torch
from sklearn.utils import check_scalar
from torch import Tensor, nn

from cmrlib.realvalued._model import Batch, DeepModel, class_retrieval, partner_retrieval
from cmrlib.realvalued.encoders import mlp
from cmrlib.realvalued.losses import (
    label_cross_entropy,
    modality_accuracy,
    modality_cross_entropy,
    pair_distance,
    reverse_gradient,
    triplet_hinge,
)

_DISCRIMINATOR_WIDTH = 64
_DISCRIMINATOR_PACE = (
    10  # its learning rate over that of the encoders: it answers each of their steps
)


def reversal_schedule(progress: float) -> float:
    """Return 2 / (1 + exp(-10 p)) - 1: the adversary enters slowly, from 0 at p = 0 to nearly 1.

    Parameters
    ----------
    progress : float
        p, from 0 at the first step of the training to 1 at the last.
    """
    return 2 / (1 + exp(-10 * progress)) - 1


def share_label(labels: Tensor) -> Tensor:
    """Return which items have a label in common, as bool of shape (n, n).

    Parameters
    ----------
    labels : Tensor of shape (n,) or (n, c)
        Class numbers, or multi-hot.
    """
    if labels.ndim == 1:
        return labels[:, None] == labels
    common: Tensor = labels.double() @ labels.double().T > 0
    return common


def euclidean_distances(F: Tensor, G: Tensor) -> Tensor:
    """Return the distance of every row of F (n, k) from every row of G (m, k), shape (n, m)."""
    return torch.cdist(F, G, compute_mode="donot_use_mm_for_euclid_dist")


def intermodal_invariance(
    D: Tensor, relevant: Tensor, margin: float = 1.0, negative_weight: float = 1.0
) -> Tensor:
    """Return the triplet loss of ACMR, both directions: relevant pairs close, others at a margin.

    The triples of image i are all (i, j, k) with text j relevant and text k not. Each costs
    D_ij + negative_weight [margin - D_ik]_+; the loss is the mean over the triples of an image,
    then over images, plus the same with texts as anchors (rows and columns exchanged).

    Parameters
    ----------
    D : Tensor of shape (n, n)
        Distances of images (rows) and texts (columns).
    relevant : Tensor of bool, shape (n, n)
    margin : float, default=1
        μ: what is not relevant and farther away than this is left alone.
    negative_weight : float, default=1
        λ, the weight of the hinge.

    Notes
    -----
    A triple's cost is a term of (i, j) plus a term of (i, k), so the mean over triples is the sum
    of two means and n³ of them cost no more than n². An anchor without a negative (or a positive)
    adds its other term alone.
    """
    push = negative_weight * (margin - D).clamp(min=0)
    terms = [
        _mean_of_means(values, chosen, axis)
        for axis in (1, 0)
        for values, chosen in ((D, relevant), (push, ~relevant))
    ]
    return torch.stack(terms).sum()


def _mean_of_means(values: Tensor, chosen: Tensor, axis: int) -> Tensor:
    """Return the mean over anchors of the mean of their chosen values, 0 if there is none."""
    weights = chosen.to(values.dtype)
    means: Tensor = (values * weights).sum(dim=axis) / weights.sum(dim=axis).clamp(min=1)
    return means.mean()


class _Adversarial(DeepModel):
    """What the methods share: projectors, and a discriminator behind a gradient reversal."""

    n_components: int
    hidden: tuple[int, ...]
    dropout: float
    adversary: float

    # parameters that must not be negative
    _weights: ClassVar[tuple[str, ...]] = ("adversary",)

    def _check_parameters(self) -> None:
        super()._check_parameters()
        check_scalar(self.n_components, "n_components", Integral, min_val=1)
        check_scalar(self.dropout, "dropout", Real, min_val=0, max_val=1, include_boundaries="left")
        for name in self._weights:
            check_scalar(getattr(self, name), name, Real, min_val=0)

    def _projector(self, width: int) -> nn.Sequential:
        layers = mlp((width, *self.hidden, self.n_components), nn.Tanh, self.dropout)
        return nn.Sequential(nn.Dropout(self.dropout), layers)

    def _discriminator(self) -> nn.Module:
        return mlp((self.n_components, _DISCRIMINATOR_WIDTH, 1))

    def _optimizer(self) -> torch.optim.Optimizer:
        discriminator = list(self.networks_["discriminator"].parameters())
        encoders = [
            parameter
            for name, network in self.networks_.items()
            if name != "discriminator"
            for parameter in network.parameters()
        ]
        pace = {"params": discriminator, "lr": _DISCRIMINATOR_PACE * self.learning_rate}
        # without momentum, which makes two players circle each other instead of meeting
        return torch.optim.Adam(
            [{"params": encoders, "weight_decay": self.weight_decay}, pace],
            lr=self.learning_rate,
            betas=(0.0, 0.999),
        )

    @abstractmethod
    def _contested(self, V: Tensor, modality: str) -> Tensor:
        """Return the features whose modality the discriminator tells."""

    def _game(self, F: Tensor, G: Tensor, progress: float) -> Tensor:
        """Return the discriminator's loss; what stands before F and G gets it reversed."""
        scale = self.adversary * reversal_schedule(progress)
        discriminator = self.networks_["discriminator"]
        return modality_cross_entropy(
            discriminator(reverse_gradient(F, scale)), discriminator(reverse_gradient(G, scale))
        )

    def _scores(self, batch: Batch) -> dict[str, float]:
        F, G = self._code(batch.X, "image"), self._code(batch.Y, "text")
        score = (
            partner_retrieval(F, G) if batch.labels is None else class_retrieval(F, G, batch.labels)
        )
        discriminator = self.networks_["discriminator"]
        accuracy = modality_accuracy(
            discriminator(self._contested(batch.X, "image")),
            discriminator(self._contested(batch.Y, "text")),
        )
        return {"validation": score, "discriminator": accuracy}


class ACMR(_Adversarial):
    """Adversarial cross-modal retrieval: classes, triplets, and a discriminator to be deceived.

    Two projectors f and g map images and texts to one space, in which a classifier shared by both
    names the class and a discriminator D names the modality. The projectors minimise
    L_emb - L_adv while D minimises L_adv [1]_:

    * L_emb = α L_imi + β L_imd + L_reg, with L_imd the cross-entropy of the classes, summed over
      the two modalities; L_imi the label-aware triplet loss of Euclidean distances in both
      directions, :func:`intermodal_invariance`; L_reg the sum of ‖W‖_F over the projectors'
      layers;
    * L_adv = the binary cross-entropy of D, at best log 2 for the projectors.

    One step plays both: a gradient reversal of strength λ(p) = 2 / (1 + exp(-10 p)) - 1 stands
    between projectors and D, where p is the share of ``max_epochs`` that is done.

    Parameters
    ----------
    n_components : int, default=32
        Dimension of the common space.
    hidden : tuple of int, default=(512,)
        Widths of the hidden layers, tanh after each; () is a linear map and tanh.
    alpha : float, default=0.1
        α, weight of the triplets; 0 leaves them out.
    beta : float, default=1
        β, weight of the classes.
    adversary : float, default=1
        What λ(p) is multiplied with; 0 only watches: D learns, the projectors do not hear of it.
    margin : float, default=2
        μ of the triplets, a distance between codes with entries from -1 to 1.
    negative_weight : float, default=1
        λ of the triplets: pushing away against pulling close.
    dropout : float, default=0.4
        Share of features and of hidden units switched off in training.
    learning_rate : float, default=0.001
        Of Adam for projectors and classifier; the discriminator learns ten times as fast.
    weight_decay : float, default=0.001
        Weight of L_reg; in the paper 1, beside weights α and β of another scale.
    batch_size : int, default=128
        Pairs in a batch, among which the triples are.
    max_epochs : int, default=40
    patience : int, default=10
        Epochs without a better validation score before training stops.
    validation_size : float, default=0.1
        Share of the training pairs set aside.
    random_state : int, optional
        Seeds the weights, the validation part and the batches.
    device : str, default="cpu"
        Where torch computes, such as "cuda".
    verbose : bool, default=False
        Show a progress bar.

    Attributes
    ----------
    history_ : dict of str to list of float
        By epoch: "invariance", "classes", "weights", the weighted terms of L_emb; "adversary",
        L_adv; and on the part set aside "validation", mAP@all of classes, and "discriminator", the
        accuracy of D.
    best_epoch_ : int
        Where in ``history_`` the networks are from, counted from 0.

    Raises
    ------
    ValueError
        From ``fit``: if a parameter is out of its range, or there are too few pairs.

    Notes
    -----
    The triplet loss adds D_ij + λ [μ - D_ik]_+ for each triple, as two published readings of the
    paper give it, not [μ + D_ij - D_ik]_+. The paper samples triples; here all of a batch enter.
    The authors' demonstration code puts sums over the batch into one hinge, which then acts on
    batches and not on triples; not so here.

    The paper does not state, and here chosen: dropout; early stopping; a discriminator with one
    hidden layer of 64 units (in the demonstration code its layers are linear, so that it
    sees differences in the mean alone); Adam with β₁ = 0 and the discriminator's own, faster pace,
    without which it is deceived by codes that a fresh discriminator tells apart at once. The paper
    takes several steps of the projectors to one of D.

    The epoch is chosen by retrieval, which does not see the adversary: an early one may come from a
    time when λ(p) was still small.

    References
    ----------
    .. [1] B. Wang, Y. Yang, X. Xu, A. Hanjalic and H. T. Shen, "Adversarial cross-modal
       retrieval", ACM Multimedia (2017).
    """

    uses_labels = True
    _weights = ("alpha", "beta", "adversary", "margin", "negative_weight")

    def __init__(
        self,
        n_components: int = 32,
        hidden: tuple[int, ...] = (512,),
        *,
        alpha: float = 0.1,
        beta: float = 1.0,
        adversary: float = 1.0,
        margin: float = 2.0,
        negative_weight: float = 1.0,
        dropout: float = 0.4,
        learning_rate: float = 1e-3,
        weight_decay: float = 1e-3,
        batch_size: int = 128,
        max_epochs: int = 40,
        patience: int = 10,
        validation_size: float = 0.1,
        random_state: int | None = None,
        device: str = "cpu",
        verbose: bool = False,
    ) -> None:
        self.n_components = n_components
        self.hidden = hidden
        self.alpha = alpha
        self.beta = beta
        self.adversary = adversary
        self.margin = margin
        self.negative_weight = negative_weight
        self.dropout = dropout
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.batch_size = batch_size
        self.max_epochs = max_epochs
        self.patience = patience
        self.validation_size = validation_size
        self.random_state = random_state
        self.device = device
        self.verbose = verbose

    def _build(self, p: int, q: int, n_classes: int) -> nn.ModuleDict:
        return nn.ModuleDict(
            {
                "image": self._projector(p).append(nn.Tanh()),
                "text": self._projector(q).append(nn.Tanh()),
                "classifier": nn.Linear(self.n_components, n_classes),
                "discriminator": self._discriminator(),
            }
        )

    def _optimizer(self) -> torch.optim.Optimizer:
        optimizer = super()._optimizer()
        optimizer.param_groups[0]["weight_decay"] = 0.0  # L_reg is a term of the loss instead
        return optimizer

    def _contested(self, V: Tensor, modality: str) -> Tensor:
        return self._code(V, modality)

    def _losses(self, batch: Batch) -> dict[str, Tensor]:
        L = batch.labels
        assert L is not None  # uses_labels
        F, G = self._code(batch.X, "image"), self._code(batch.Y, "text")
        invariance = intermodal_invariance(
            euclidean_distances(F, G), share_label(L), self.margin, self.negative_weight
        )
        classifier = self.networks_["classifier"]
        classes = label_cross_entropy(classifier(F), L) + label_cross_entropy(classifier(G), L)
        return {
            "invariance": self.alpha * invariance,
            "classes": self.beta * classes,
            "weights": self.weight_decay * self._weight_norms(),
            "adversary": self._game(F, G, batch.progress),
        }

    def _weight_norms(self) -> Tensor:
        projectors = [self.networks_["image"], self.networks_["text"]]
        norms = [W.norm() for f in projectors for W in f.parameters() if W.ndim == 2]
        return torch.stack(norms).sum()


class UCAL(_Adversarial):
    """Unsupervised cross-modal retrieval through adversarial learning: pairs and a discriminator.

    Two encoders bring the two halves of a pair close, (1/n) Σ_i ‖f(x_i) - g(y_i)‖², while a
    discriminator D tells the modality of a code by binary cross-entropy and the encoders try to
    deceive it [1]_. Codes are real numbers; the survey files the method under hashing, but no bit
    is ever taken.

    Parameters
    ----------
    n_components : int, default=64
        Dimension of the common space.
    hidden : tuple of int, default=(512,)
        Widths of the hidden layers, tanh after each; () is a linear map.
    adversary : float, default=3
        What the reversal's strength λ(p) is multiplied with, see :class:`ACMR`; at 0 the encoders
        are those of the pair distance alone.
    dropout : float, default=0.4
        Share of features and of hidden units switched off in training.
    learning_rate, weight_decay : float
        Of Adam for the encoders; the discriminator learns ten times as fast.
    batch_size : int, default=128
        Pairs in a batch.
    max_epochs : int, default=40
    patience : int, default=10
        Epochs without a better validation score before training stops.
    validation_size : float, default=0.1
        Share of the training pairs set aside.
    random_state : int, optional
        Seeds the weights, the validation part and the batches.
    device : str, default="cpu"
        Where torch computes, such as "cuda".
    verbose : bool, default=False
        Show a progress bar.

    Attributes
    ----------
    history_ : dict of str to list of float
        By epoch: "pairs", the distance; "adversary", D's cross-entropy; and on the part set aside
        "validation", the mean reciprocal rank of the partner, and "discriminator", D's accuracy.
    best_epoch_ : int
        Where in ``history_`` the networks are from, counted from 0.

    Raises
    ------
    ValueError
        From ``fit``: if a parameter is out of its range, or there are too few pairs.

    Notes
    -----
    The objective is reconstructed from the abstract and a published reading of the paper: two
    feature mappings, a modality classifier with binary cross-entropy, and the l2 distance of
    pairs. Both terms are at their best when all codes are equal, and training gets there. What
    keeps the paper's codes apart is not known to us; here each coordinate of the codes is
    standardised over the batch (batch normalisation without scale and shift, with running means
    and variances once trained). The paper does not state, and here chosen: the sizes, dropout,
    early stopping, and the optimisers of :class:`ACMR`.

    References
    ----------
    .. [1] L. He, X. Xu, H. Lu, Y. Yang, F. Shen and H. T. Shen, "Unsupervised cross-modal
       retrieval through adversarial learning", ICME (2017).
    """

    def __init__(
        self,
        n_components: int = 64,
        hidden: tuple[int, ...] = (512,),
        *,
        adversary: float = 3.0,
        dropout: float = 0.4,
        learning_rate: float = 1e-3,
        weight_decay: float = 0.0,
        batch_size: int = 128,
        max_epochs: int = 40,
        patience: int = 10,
        validation_size: float = 0.1,
        random_state: int | None = None,
        device: str = "cpu",
        verbose: bool = False,
    ) -> None:
        self.n_components = n_components
        self.hidden = hidden
        self.adversary = adversary
        self.dropout = dropout
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.batch_size = batch_size
        self.max_epochs = max_epochs
        self.patience = patience
        self.validation_size = validation_size
        self.random_state = random_state
        self.device = device
        self.verbose = verbose

    def _build(self, p: int, q: int, n_classes: int) -> nn.ModuleDict:
        k = self.n_components
        return nn.ModuleDict(
            {
                "image": self._projector(p).append(nn.BatchNorm1d(k, affine=False)),
                "text": self._projector(q).append(nn.BatchNorm1d(k, affine=False)),
                "discriminator": self._discriminator(),
            }
        )

    def _contested(self, V: Tensor, modality: str) -> Tensor:
        return self._code(V, modality)

    def _losses(self, batch: Batch) -> dict[str, Tensor]:
        F, G = self._code(batch.X, "image"), self._code(batch.Y, "text")
        return {"pairs": pair_distance(F, G), "adversary": self._game(F, G, batch.progress)}


class MS2GAN(_Adversarial):
    """Modality-specific and shared adversarial network: one part of the code may tell its modality.

    A network for each modality gives *specific* features iˢ = f(x) and tˢ = g(y); one common
    network h on top of both gives *shared* features iᶜ = h(iˢ) and tᶜ = h(tˢ). An item is
    retrieved by both, [specific; shared]. With labels, the generative side minimises [1]_

    * α times the triplet hinge [margin + d(u, v⁺) - d(u, v⁻)]_+ in both directions, of the summed
      distances d(u, v) = ‖iˢ_u - iˢ_v‖² + ‖tˢ_u - tˢ_v‖² + ‖iᶜ_u - tᶜ_v‖²: within each modality on
      specific features, across modalities on shared ones;
    * β times the cross-entropy of the classes, from [specific; shared] of image and of text;
    * γ times a large margin between the two kinds, [difference_margin - ‖iˢ - iᶜ‖²]_+, and
      likewise for texts;

    and deceives a discriminator that tells the modality of shared features.

    Parameters
    ----------
    n_components : int, default=32
        Specific features, and as many shared ones: codes are twice as long.
    hidden : tuple of int, default=(512,)
        Widths of the hidden layers of the specific networks, tanh after each.
    alpha : float, default=0.001
        α, weight of the triplets, of which each anchor has hundreds.
    beta : float, default=1
        β, weight of the classes.
    gamma : float, default=0.1
        γ, weight of the difference of specific and shared features.
    adversary : float, default=1
        What the reversal's strength λ(p) is multiplied with, see :class:`ACMR`.
    margin : float, default=1
        Of the triplets, a squared distance.
    difference_margin : float, default=32
        Squared distance from which on specific and shared features differ enough; their entries
        lie between -1 and 1.
    dropout : float, default=0.4
        Share of features and of hidden units switched off in training.
    learning_rate, weight_decay : float
        Of Adam for all but the discriminator, which learns ten times as fast.
    batch_size : int, default=96
        Pairs in a batch, among which the triples are: memory grows with its cube.
    max_epochs : int, default=40
    patience : int, default=10
        Epochs without a better validation score before training stops.
    validation_size : float, default=0.1
        Share of the training pairs set aside.
    random_state : int, optional
        Seeds the weights, the validation part and the batches.
    device : str, default="cpu"
        Where torch computes, such as "cuda".
    verbose : bool, default=False
        Show a progress bar.

    Attributes
    ----------
    history_ : dict of str to list of float
        By epoch: "similarity", "classes", "difference", the weighted terms; "adversary", the
        discriminator's cross-entropy; and on the part set aside "validation", mAP@all of classes,
        and "discriminator", its accuracy on shared features.
    best_epoch_ : int
        Where in ``history_`` the networks are from, counted from 0.

    Raises
    ------
    ValueError
        From ``fit``: if a parameter is out of its range, or there are too few pairs.

    Notes
    -----
    Reconstructed from the abstract and a published reading of the paper. The reading writes the
    distance with images in all but one term and so without a part across modalities, which the
    abstract asks for; here the third term compares an image with a text. It calls the large margin
    a triplet loss without its triple; here it is the hinge above. Weights, margins, sizes, dropout,
    the place of the discriminator (on shared features alone) and the optimiser are not known to
    us; the latter is that of :class:`ACMR`. The classifier is shared by both modalities.

    References
    ----------
    .. [1] F. Wu, X.-Y. Jing, Z. Wu, Y. Ji, X. Dong, X. Luo, Q. Huang and R. Wang,
       "Modality-specific and shared generative adversarial network for cross-modal retrieval",
       Pattern Recognition 104 (2020).
    """

    uses_labels = True
    _weights = ("alpha", "beta", "gamma", "adversary", "margin", "difference_margin")

    def __init__(
        self,
        n_components: int = 32,
        hidden: tuple[int, ...] = (512,),
        *,
        alpha: float = 0.001,
        beta: float = 1.0,
        gamma: float = 0.1,
        adversary: float = 1.0,
        margin: float = 1.0,
        difference_margin: float = 32.0,
        dropout: float = 0.4,
        learning_rate: float = 1e-3,
        weight_decay: float = 0.0,
        batch_size: int = 96,
        max_epochs: int = 40,
        patience: int = 10,
        validation_size: float = 0.1,
        random_state: int | None = None,
        device: str = "cpu",
        verbose: bool = False,
    ) -> None:
        self.n_components = n_components
        self.hidden = hidden
        self.alpha = alpha
        self.beta = beta
        self.gamma = gamma
        self.adversary = adversary
        self.margin = margin
        self.difference_margin = difference_margin
        self.dropout = dropout
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.batch_size = batch_size
        self.max_epochs = max_epochs
        self.patience = patience
        self.validation_size = validation_size
        self.random_state = random_state
        self.device = device
        self.verbose = verbose

    def _build(self, p: int, q: int, n_classes: int) -> nn.ModuleDict:
        k = self.n_components
        return nn.ModuleDict(
            {
                "image": self._projector(p).append(nn.Tanh()),
                "text": self._projector(q).append(nn.Tanh()),
                "shared": mlp((k, k, k), nn.Tanh).append(nn.Tanh()),
                "classifier": nn.Linear(2 * k, n_classes),
                "discriminator": self._discriminator(),
            }
        )

    def _parts(self, V: Tensor, modality: str) -> tuple[Tensor, Tensor]:
        """Return specific and shared features, (n, n_components) each."""
        specific: Tensor = self.networks_[modality](V)
        return specific, self.networks_["shared"](specific)

    def _code(self, V: Tensor, modality: str) -> Tensor:
        return torch.cat(self._parts(V, modality), dim=1)

    def _contested(self, V: Tensor, modality: str) -> Tensor:
        return self._parts(V, modality)[1]

    def _losses(self, batch: Batch) -> dict[str, Tensor]:
        L = batch.labels
        assert L is not None  # uses_labels
        image, shared_image = self._parts(batch.X, "image")
        text, shared_text = self._parts(batch.Y, "text")
        compared = ((image, image), (text, text), (shared_image, shared_text))
        d = torch.stack([euclidean_distances(F, G).square() for F, G in compared]).sum(dim=0)
        both = ((image, shared_image), (text, shared_text))
        classifier = self.networks_["classifier"]
        classes = [label_cross_entropy(classifier(torch.cat(parts, dim=1)), L) for parts in both]
        difference = [self._difference(*parts) for parts in both]
        return {
            "similarity": self.alpha * triplet_hinge(-d, self.margin, share_label(L)),
            "classes": self.beta * torch.stack(classes).sum(),
            "difference": self.gamma * torch.stack(difference).sum(),
            "adversary": self._game(shared_image, shared_text, batch.progress),
        }

    def _difference(self, specific: Tensor, shared: Tensor) -> Tensor:
        distance = (specific - shared).square().sum(dim=1)
        return (self.difference_margin - distance).clamp(min=0).mean()
