"""What the deep common-space models share: scaling, seeds, batches, the loop, encoding."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from numbers import Integral, Real
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.utils import check_random_state, check_scalar
from torch import Tensor, nn

from cmrlib.base import CommonSpaceModel
from cmrlib.evaluation import label_relevance, mean_average_precision
from cmrlib.realvalued.encoders import check_shape
from cmrlib.realvalued.losses import cosine_matrix
from cmrlib.training import seeded, train, validation_split

Array = NDArray[Any]

_ENCODED_AT_ONCE = 1024  # rows; bounds the memory of convolutions


class Batch(NamedTuple):
    """Training items of one step: X (n, p), Y (n, q), labels (n,) or (n, c) or None.

    ``progress`` runs from 0 at the first step to 1 at the last.
    """

    X: Tensor
    Y: Tensor
    labels: Tensor | None
    progress: float


class DeepModel(CommonSpaceModel):
    """A common-space model whose encoders are trained by the shared loop.

    A subclass writes ``_build`` (its networks, "image" and "text" among them) and ``_losses`` (the
    terms whose sum is minimised). Networks are trained in single precision and encode in double, so
    that an item's code does not depend on its batch.
    """

    learning_rate: float
    weight_decay: float
    batch_size: int
    max_epochs: int
    patience: int
    validation_size: float
    random_state: int | None
    device: str
    verbose: bool

    @abstractmethod
    def _build(self, p: int, q: int, n_classes: int) -> nn.ModuleDict:
        """Return freshly initialised networks for p image and q text features."""

    @abstractmethod
    def _losses(self, batch: Batch) -> dict[str, Tensor]:
        """Return the terms of the loss, each with its weight; their sum is minimised."""

    def _pretrain(self, X: Tensor, Y: Tensor, rng: np.random.RandomState) -> None:
        """Change ``networks_`` before the loop; X and Y are all training items, standardised."""

    def _scores(self, batch: Batch) -> dict[str, float]:
        """Judge on the validation part: "validation" is the score, larger is better."""
        return {"validation": -float(torch.stack(list(self._losses(batch).values())).sum())}

    def _optimizer(self) -> torch.optim.Optimizer:
        return torch.optim.Adam(
            self.networks_.parameters(), lr=self.learning_rate, weight_decay=self.weight_decay
        )

    def _code(self, V: Tensor, modality: str) -> Tensor:
        """Return the codes of standardised features V."""
        codes: Tensor = self.networks_[modality](V)
        return codes

    def _check_parameters(self) -> None:
        for name in ("batch_size", "max_epochs", "patience"):
            check_scalar(getattr(self, name), name, Integral, min_val=1)
        for name in ("learning_rate", "weight_decay"):
            check_scalar(getattr(self, name), name, Real, min_val=0)
        check_scalar(
            self.validation_size,
            "validation_size",
            Real,
            min_val=0,
            max_val=1,
            include_boundaries="neither",
        )

    def _scaler(self, V: Array, modality: str) -> StandardScaler | FunctionTransformer:
        return StandardScaler().fit(V)

    def _fit(self, X: Array, Y: Array, labels: Array | None) -> None:
        self._check_parameters()
        rng = check_random_state(self.random_state)
        learn, held_out = validation_split(len(X), self.validation_size, rng)
        self.scaler_image_, self.scaler_text_ = self._scaler(X, "image"), self._scaler(Y, "text")
        views = self._tensor(X, "image"), self._tensor(Y, "text")
        targets, n_classes = self._targets(labels)
        with seeded(rng):
            networks = self._build(X.shape[1], Y.shape[1], n_classes)
            self.networks_ = networks.to(self.device, torch.float32)
            self._pretrain(views[0][learn], views[1][learn], rng)
            optimizer = self._optimizer()

            def batch(rows: Array, progress: float) -> Batch:
                L = None if targets is None else targets[rows]
                return Batch(views[0][rows], views[1][rows], L, progress)

            def step(rows: Array, progress: float) -> dict[str, float]:
                terms = self._losses(batch(learn[rows], progress))
                optimizer.zero_grad()
                torch.stack(list(terms.values())).sum().backward()
                optimizer.step()
                return {name: float(value.detach()) for name, value in terms.items()}

            self.history_, self.best_epoch_ = train(
                self.networks_,
                step,
                lambda: self._scores(batch(held_out, 1.0)),
                n=len(learn),
                batch_size=self.batch_size,
                max_epochs=self.max_epochs,
                patience=self.patience,
                rng=rng,
                name=type(self).__name__,
                verbose=self.verbose,
            )
        self.networks_.eval().double()

    def _targets(self, labels: Array | None) -> tuple[Tensor | None, int]:
        """Return labels as a tensor, class numbers from 0 to c - 1, and c."""
        if labels is None:
            return None, 0
        if labels.ndim == 2:
            return torch.as_tensor(labels, device=self.device), labels.shape[1]
        self.classes_, numbers = np.unique(labels, return_inverse=True)
        return torch.as_tensor(numbers, device=self.device), len(self.classes_)

    def _tensor(self, V: Array, modality: str, dtype: torch.dtype = torch.float32) -> Tensor:
        scaled = getattr(self, f"scaler_{modality}_").transform(V)
        return torch.as_tensor(scaled, dtype=dtype, device=self.device)

    def _encoded(self, V: Array, modality: str) -> Array:
        tensor = self._tensor(V, modality, torch.float64)
        with torch.no_grad():
            parts = [self._code(part, modality) for part in tensor.split(_ENCODED_AT_ONCE)]
        codes: Array = torch.cat(parts).cpu().numpy()
        return codes

    def _encode_image(self, X: Array) -> Array:
        return self._encoded(X, "image")

    def _encode_text(self, Y: Array) -> Array:
        return self._encoded(Y, "text")


class ShapedDeepModel(DeepModel):
    """A deep model that also reads pictures and word sequences, if told their shapes.

    Rows that are pictures or sentences are not standardised: 0 stays the empty pixel and padding.
    """

    image_shape: Sequence[int] | None
    text_shape: Sequence[int] | None

    def _scaler(self, V: Array, modality: str) -> StandardScaler | FunctionTransformer:
        shape = getattr(self, f"{modality}_shape")
        check_shape(shape, V.shape[1], modality, {"image": 3, "text": 2}[modality])
        return super()._scaler(V, modality) if shape is None else FunctionTransformer()


def partner_retrieval(F: Tensor, G: Tensor) -> float:
    """Return the mean reciprocal rank of the partner by cosine, averaged over both directions."""
    S = cosine_matrix(F, G)
    pairs = S.diagonal()
    ranks = torch.cat([(pairs[:, None] <= S).sum(dim=1), (pairs <= S).sum(dim=0)])
    return float((1 / ranks).mean())


def class_retrieval(F: Tensor, G: Tensor, labels: Tensor) -> float:
    """Return mAP@all by cosine, two items being relevant if they share a class; both directions."""
    S = cosine_matrix(F, G).cpu().numpy()
    relevance = label_relevance(labels.cpu().numpy(), labels.cpu().numpy())
    by_image = mean_average_precision(S, relevance)
    by_text = mean_average_precision(S.T, relevance.T)
    return float(by_image + by_text) / 2
