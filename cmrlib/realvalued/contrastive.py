"""Contrastive learning: two encoders that pick each other's partner out of a batch."""

from __future__ import annotations

from collections.abc import Sequence
from math import log
from numbers import Integral, Real
from typing import Any

import torch
from sklearn.utils import check_scalar
from torch import Tensor, nn

from cmrlib.realvalued._model import Batch, ShapedDeepModel, partner_retrieval
from cmrlib.realvalued.encoders import encoder_pair
from cmrlib.realvalued.losses import cosine_matrix, info_nce

LOWEST_TEMPERATURE = 0.01  # CLIP multiplies cosines by no more than 100


class DualEncoder(ShapedDeepModel):
    """Contrastive dual encoder, trained as CLIP is: InfoNCE over the pairs of a batch.

    Two networks map images and texts to a common space. With S the cosines of a batch and τ a
    learnt temperature, the loss is the cross-entropy of finding the partner,
    -(1/2n) Σ_i [log softmax_j(S_ij / τ)_i + log softmax_j(S_ji / τ)_i] [1]_. Labels are not used.

    Parameters
    ----------
    n_components : int, default=256
        Dimension of the common space.
    hidden : tuple of int, default=(1024,)
        Widths of the hidden layers of networks that read features; () is a linear map.
    temperature : float of at least 0.01, default=0.07
        τ at the start. Its logarithm is learnt, and τ kept from falling below 0.01, as in CLIP.
    dropout : float in [0, 1), default=0.5
        Share of these hidden units that is switched off in training.
    image_shape : (channels, height, width), optional
        Rows of `image` are pictures of this shape, to be read by convolutions. White should be
        0, as empty margins are then columns of zeros.
    text_shape : (length, width), optional
        Rows of `text` are sentences of `length` word vectors; zeros are padding.
    learning_rate : float, default=0.001
    weight_decay : float, default=0
        Of AdamW; τ and biases do not decay.
    batch_size : int, default=256
        Pairs in a batch, each of which has all others as negatives.
    max_epochs : int, default=60
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
        By epoch: "contrastive", the loss; "validation", the mean reciprocal rank of the partner on
        the part set aside; "temperature".
    best_epoch_ : int
        Where in ``history_`` the networks are from, counted from 0.

    Raises
    ------
    ValueError
        From ``fit``: if a shape does not hold the features, or there are too few pairs.

    Notes
    -----
    CLIP trains transformers on 400 million pairs with a falling learning rate; what is of CLIP
    here is the loss and its temperature, with networks for data of a thousand pairs, a constant
    learning rate and early stopping.

    References
    ----------
    .. [1] A. Radford et al., "Learning transferable visual models from natural language
       supervision", ICML (2021).

    Examples
    --------
    >>> from cmrlib.datasets import make_hidden_signal
    >>> from cmrlib.realvalued import DualEncoder
    >>> train, test = make_hidden_signal(400, random_state=0).split(0.25, random_state=0)
    >>> model = DualEncoder(32, hidden=(64,), random_state=0).fit(train.image, train.text)
    >>> model.similarity(test.image, test.text).shape
    (100, 100)
    """

    def __init__(
        self,
        n_components: int = 256,
        hidden: tuple[int, ...] = (1024,),
        *,
        temperature: float = 0.07,
        dropout: float = 0.5,
        image_shape: Sequence[int] | None = None,
        text_shape: Sequence[int] | None = None,
        learning_rate: float = 1e-3,
        weight_decay: float = 0.0,
        batch_size: int = 256,
        max_epochs: int = 60,
        patience: int = 10,
        validation_size: float = 0.1,
        random_state: int | None = None,
        device: str = "cpu",
        verbose: bool = False,
    ) -> None:
        self.n_components = n_components
        self.hidden = hidden
        self.temperature = temperature
        self.dropout = dropout
        self.image_shape = image_shape
        self.text_shape = text_shape
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.batch_size = batch_size
        self.max_epochs = max_epochs
        self.patience = patience
        self.validation_size = validation_size
        self.random_state = random_state
        self.device = device
        self.verbose = verbose

    def _check_parameters(self) -> None:
        super()._check_parameters()
        check_scalar(self.n_components, "n_components", Integral, min_val=1)
        check_scalar(self.temperature, "temperature", Real, min_val=LOWEST_TEMPERATURE)
        check_scalar(self.dropout, "dropout", Real, min_val=0, max_val=1, include_boundaries="left")

    def _build(self, p: int, q: int, n_classes: int) -> nn.ModuleDict:
        networks = encoder_pair(
            p,
            q,
            self.n_components,
            hidden=self.hidden,
            dropout=self.dropout,
            image_shape=self.image_shape,
            text_shape=self.text_shape,
        )
        networks["temperature"] = nn.ParameterDict({"log": torch.tensor(self.temperature).log()})
        return networks

    def _optimizer(self) -> torch.optim.Optimizer:
        weights = [w for w in self.networks_.parameters() if w.ndim > 1]
        others = [w for w in self.networks_.parameters() if w.ndim <= 1]
        groups: list[dict[str, Any]] = [
            {"params": weights},
            {"params": others, "weight_decay": 0.0},
        ]
        return torch.optim.AdamW(groups, lr=self.learning_rate, weight_decay=self.weight_decay)

    def _temperature(self) -> Tensor:
        logarithms = self.networks_["temperature"]
        assert isinstance(logarithms, nn.ParameterDict)
        with torch.no_grad():
            logarithms["log"].clamp_(min=log(LOWEST_TEMPERATURE))
        tau: Tensor = logarithms["log"].exp()
        return tau

    def _losses(self, batch: Batch) -> dict[str, Tensor]:
        S = cosine_matrix(self._code(batch.X, "image"), self._code(batch.Y, "text"))
        return {"contrastive": info_nce(S, self._temperature())}

    def _scores(self, batch: Batch) -> dict[str, float]:
        F, G = self._code(batch.X, "image"), self._code(batch.Y, "text")
        return {
            "validation": partner_retrieval(F, G),
            "temperature": float(self._temperature()),
        }
