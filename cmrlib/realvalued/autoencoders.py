"""Autoencoders of two modalities: one shared code, or two codes that are drawn together."""

from __future__ import annotations

from numbers import Integral, Real
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import ArrayLike
from sklearn.utils import check_scalar
from torch import Tensor, nn

from cmrlib.base import MODALITIES
from cmrlib.realvalued._model import Array, Batch, DeepModel
from cmrlib.realvalued.boltzmann import RBM
from cmrlib.realvalued.encoders import mlp
from cmrlib.realvalued.losses import pair_distance, reconstruction


class _Autoencoder(DeepModel):
    """Logistic hidden layers, which can start at Boltzmann machines, and a linear code."""

    def __init__(
        self,
        n_components: int,
        hidden: int,
        *,
        pretrain: bool,
        learning_rate: float,
        weight_decay: float,
        batch_size: int,
        max_epochs: int,
        patience: int,
        validation_size: float,
        random_state: int | None,
        device: str,
        verbose: bool,
    ) -> None:
        self.n_components = n_components
        self.hidden = hidden
        self.pretrain = pretrain
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
        for name in ("n_components", "hidden"):
            check_scalar(getattr(self, name), name, Integral, min_val=1)

    def _first_layer(self, modality: str) -> nn.Linear:
        """Return the layer that reads a modality."""
        network = self.networks_[modality]
        assert isinstance(network, nn.Sequential)
        layer = network[0]
        assert isinstance(layer, nn.Linear)
        return layer

    def _last_layers(self, modality: str) -> list[nn.Linear]:
        """Return the layers that write a modality."""
        raise NotImplementedError

    def _pretrain(self, X: Tensor, Y: Tensor, rng: np.random.RandomState) -> None:
        seeds = rng.randint(2**31, size=2)  # drawn always, so that the batches stay the same
        if not self.pretrain:
            return
        for modality, V, seed in zip(MODALITIES, (X, Y), seeds, strict=True):
            rbm = RBM(self.hidden, random_state=seed).fit(V.cpu().numpy())
            weights, visible_bias, hidden_bias = (
                torch.as_tensor(array, dtype=V.dtype)
                for array in (rbm.weights_, rbm.visible_bias_, rbm.hidden_bias_)
            )
            with torch.no_grad():
                first = self._first_layer(modality)
                first.weight.copy_(weights.T)
                first.bias.copy_(hidden_bias)
                for last in self._last_layers(modality):
                    last.weight.copy_(weights)  # torch keeps (outputs, inputs)
                    last.bias.copy_(visible_bias)

    def _unscaled(self, V_hat: Tensor, modality: str) -> Array:
        """Return a decoder's output in the units of the features."""
        scaler = getattr(self, f"scaler_{modality}_")
        V: Array = scaler.inverse_transform(V_hat.cpu().numpy())
        return V


class BimodalAE(_Autoencoder):
    """Bimodal deep autoencoder: one code of image and text, learnt with modalities missing.

    A layer for each modality, and a layer over both, make one code z(x, y); two decoders read both
    modalities from it [1]_. Every training pair enters three times, complete, without its text and
    without its image, and *both* modalities are always to be reconstructed. With (x̂, ŷ) decoded
    from z, the loss is

    (1/3n) Σ_i Σ_(u,v) ‖x_i - x̂(u, v)‖² + ‖y_i - ŷ(u, v)‖²,
    (u, v) = (x_i, y_i), (x_i, 0), (0, y_i).

    Inputs are standardised, so that 0 stands for the mean. An image is encoded as z(x, 0), a text
    as z(0, y).

    Parameters
    ----------
    n_components : int, default=64
        Dimension of the code.
    hidden : int, default=256
        Units of the layer that reads a modality, and of the layer that its decoder writes from.
    modality_dropout : bool, default=True
        Let pairs enter without a modality. If False, pairs enter complete: the naive shared
        autoencoder, which need not learn what one modality says about the other.
    pretrain : bool, default=True
        Start the layers that read and write a modality at a Gaussian :class:`RBM` of it: the
        encoder's at (W, b), the decoder's at (Wᵀ, a). Whitened features have nothing for an RBM to
        learn, and networks that start there hardly move: pass False.
    learning_rate, weight_decay : float
        Of Adam.
    batch_size : int, default=128
        Pairs in a batch, each of which enters three times.
    max_epochs : int, default=40
    patience : int, default=5
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
        By epoch: "image" and "text", the two errors; "validation", minus the loss on the part set
        aside.
    best_epoch_ : int
        Where in ``history_`` the networks are from, counted from 0.

    Notes
    -----
    The paper reads audio and video, and pre-trains sparse RBMs for the layers of both modalities
    and for the layer over both. Here the RBMs are not sparse, and the layer over both starts at
    random; it is linear, since a cosine between codes of one sign tells little. The paper does not
    state an optimiser; here Adam and early stopping. Each pair enters in its three forms in the
    same batch, where the paper enlarges the training set. The formula is written down from the
    paper's description.

    References
    ----------
    .. [1] J. Ngiam, A. Khosla, M. Kim, J. Nam, H. Lee and A. Y. Ng, "Multimodal deep learning",
       ICML (2011).
    """

    def __init__(
        self,
        n_components: int = 64,
        hidden: int = 256,
        *,
        modality_dropout: bool = True,
        pretrain: bool = True,
        learning_rate: float = 3e-3,
        weight_decay: float = 0.0,
        batch_size: int = 128,
        max_epochs: int = 40,
        patience: int = 5,
        validation_size: float = 0.1,
        random_state: int | None = None,
        device: str = "cpu",
        verbose: bool = False,
    ) -> None:
        super().__init__(
            n_components,
            hidden,
            pretrain=pretrain,
            learning_rate=learning_rate,
            weight_decay=weight_decay,
            batch_size=batch_size,
            max_epochs=max_epochs,
            patience=patience,
            validation_size=validation_size,
            random_state=random_state,
            device=device,
            verbose=verbose,
        )
        self.modality_dropout = modality_dropout

    def _build(self, p: int, q: int, n_classes: int) -> nn.ModuleDict:
        h, k = self.hidden, self.n_components
        return nn.ModuleDict(
            {
                "image": nn.Sequential(nn.Linear(p, h), nn.Sigmoid()),
                "text": nn.Sequential(nn.Linear(q, h), nn.Sigmoid()),
                "code": nn.Linear(2 * h, k),
                "to_image": mlp((k, h, p), nn.Sigmoid),
                "to_text": mlp((k, h, q), nn.Sigmoid),
            }
        )

    def _last_layers(self, modality: str) -> list[nn.Linear]:
        decoder = self.networks_[f"to_{modality}"]
        assert isinstance(decoder, nn.Sequential)
        return [decoder[-1]]  # type: ignore[list-item]  # mlp ends in a linear layer

    def _joint_code(self, X: Tensor, Y: Tensor) -> Tensor:
        read = [self.networks_["image"](X), self.networks_["text"](Y)]
        code: Tensor = self.networks_["code"](torch.cat(read, dim=1))
        return code

    def _losses(self, batch: Batch) -> dict[str, Tensor]:
        X, Y = batch.X, batch.Y
        inputs = [(X, Y)]
        if self.modality_dropout:
            inputs += [(X, torch.zeros_like(Y)), (torch.zeros_like(X), Y)]
        codes = torch.cat([self._joint_code(U, V) for U, V in inputs])
        return {
            "image": reconstruction(self.networks_["to_image"](codes), X.repeat(len(inputs), 1)),
            "text": reconstruction(self.networks_["to_text"](codes), Y.repeat(len(inputs), 1)),
        }

    def _missing(self, V: Tensor, modality: str) -> Tensor:
        """Return what stands for a modality that items beside V lack: zeros, its mean."""
        return V.new_zeros(len(V), self._first_layer(modality).in_features)

    def _code(self, V: Tensor, modality: str) -> Tensor:
        if modality == "image":
            return self._joint_code(V, self._missing(V, "text"))
        return self._joint_code(self._missing(V, "image"), V)

    def reconstruct(
        self, image: ArrayLike | None = None, text: ArrayLike | None = None
    ) -> tuple[Array, Array]:
        """Return both modalities as decoded from one of them or both, (n, p) and (n, q).

        Parameters
        ----------
        image : array-like of shape (n, p), optional
        text : array-like of shape (n, q), optional
            Beside `image`, row i of both is one pair.

        Raises
        ------
        ValueError
            If neither is given, or the row counts differ.
        """
        given = {"image": image, "text": text}
        tensors = {
            modality: self._tensor(self._check_encodable(V, modality), modality, torch.float64)
            for modality, V in given.items()
            if V is not None
        }
        if not tensors:
            raise ValueError("nothing to reconstruct from: give image, text or both.")
        if len({len(V) for V in tensors.values()}) == 2:
            raise ValueError(
                f"image has {len(tensors['image'])} rows and text has {len(tensors['text'])}; "
                "row i of both must be one pair."
            )
        with torch.no_grad():
            if len(tensors) == 2:
                code = self._joint_code(tensors["image"], tensors["text"])
            else:
                [(modality, V)] = tensors.items()
                code = self._code(V, modality)
            X_hat, Y_hat = self.networks_["to_image"](code), self.networks_["to_text"](code)
        return self._unscaled(X_hat, "image"), self._unscaled(Y_hat, "text")


class CorrAE(_Autoencoder):
    """Correspondence autoencoder: an autoencoder for each modality, their codes close in pairs.

    With codes f(x) and g(y) and a decoder of each, the loss [1]_ is

    (1 - α) (1/n) Σ_i [‖x_i - x̂(f(x_i))‖² + ‖y_i - ŷ(g(y_i))‖²] + α (1/n) Σ_i ‖f(x_i) - g(y_i)‖².

    Two siblings differ in what each code has to reconstruct: the other modality
    (:class:`CorrCrossAE`), or both (:class:`CorrFullAE`).

    Parameters
    ----------
    n_components : int, default=64
        Dimension of the codes.
    hidden : int, default=256
        Units of the hidden layer of each encoder and decoder.
    alpha : float in [0, 1], default=0.9
        α. At 0 the codes know nothing of each other; at 1 nothing is reconstructed, the three
        siblings are the same, and the codes of all items move together.
    pretrain : bool, default=True
        Start the layers that read and write a modality at a Gaussian :class:`RBM` of it: the
        encoder's at (W, b), the decoder's at (Wᵀ, a). Whitened features have nothing for an RBM to
        learn, and networks that start there hardly move: pass False.
    learning_rate, weight_decay : float
        Of Adam.
    batch_size : int, default=128
    max_epochs : int, default=40
    patience : int, default=5
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
        By epoch: "image_to_image" and so on, the error of what one code says of a modality, times
        1 - α; "pair_distance", times α; "validation", minus the loss on the part set aside.
    best_epoch_ : int
        Where in ``history_`` the networks are from, counted from 0.

    Notes
    -----
    The paper stacks two RBMs below the autoencoder (Gaussian, and replicated softmax for word
    counts) and its units are logistic. Here there is one hidden layer of logistic units, texts are
    real features and so have a Gaussian RBM as well, and the code is linear, since a cosine between
    codes of one sign tells little. Whether the paper scales the errors by their dimension is not
    known to us; here they are plain sums of squares over standardised features. The best α
    therefore depends on the numbers of features. Adam and early stopping are ours.

    References
    ----------
    .. [1] F. Feng, X. Wang and R. Li, "Cross-modal retrieval with correspondence autoencoder",
       ACM Multimedia (2014).
    """

    _decodes: ClassVar[dict[str, tuple[str, ...]]] = {"image": ("image",), "text": ("text",)}

    def __init__(
        self,
        n_components: int = 64,
        hidden: int = 256,
        *,
        alpha: float = 0.9,
        pretrain: bool = True,
        learning_rate: float = 3e-3,
        weight_decay: float = 0.0,
        batch_size: int = 128,
        max_epochs: int = 40,
        patience: int = 5,
        validation_size: float = 0.1,
        random_state: int | None = None,
        device: str = "cpu",
        verbose: bool = False,
    ) -> None:
        super().__init__(
            n_components,
            hidden,
            pretrain=pretrain,
            learning_rate=learning_rate,
            weight_decay=weight_decay,
            batch_size=batch_size,
            max_epochs=max_epochs,
            patience=patience,
            validation_size=validation_size,
            random_state=random_state,
            device=device,
            verbose=verbose,
        )
        self.alpha = alpha

    def _check_parameters(self) -> None:
        super()._check_parameters()
        check_scalar(self.alpha, "alpha", Real, min_val=0, max_val=1)

    def _build(self, p: int, q: int, n_classes: int) -> nn.ModuleDict:
        h, k = self.hidden, self.n_components
        widths = {"image": p, "text": q}
        networks = {modality: mlp((d, h, k), nn.Sigmoid) for modality, d in widths.items()}
        for source, target in self._routes():
            networks[f"{source}_to_{target}"] = mlp((k, h, widths[target]), nn.Sigmoid)
        return nn.ModuleDict(networks)

    def _routes(self) -> list[tuple[str, str]]:
        """Return (modality whose code, modality decoded from it) of every decoder."""
        return [(source, target) for source in MODALITIES for target in self._decodes[source]]

    def _last_layers(self, modality: str) -> list[nn.Linear]:
        decoders = (self.networks_[f"{s}_to_{t}"] for s, t in self._routes() if t == modality)
        return [decoder[-1] for decoder in decoders]  # type: ignore[index]  # a Sequential

    def _losses(self, batch: Batch) -> dict[str, Tensor]:
        features = {"image": batch.X, "text": batch.Y}
        codes = {modality: self._code(V, modality) for modality, V in features.items()}
        terms = {}
        for source, target in self._routes():
            decoded = self.networks_[f"{source}_to_{target}"](codes[source])
            error = reconstruction(decoded, features[target])
            terms[f"{source}_to_{target}"] = (1 - self.alpha) * error
        terms["pair_distance"] = self.alpha * pair_distance(codes["image"], codes["text"])
        return terms

    def reconstruct(self, X: ArrayLike, modality: str) -> dict[str, Array]:
        """Return what the code of one modality says: {"image": (n, p), "text": (n, q)} or one.

        Parameters
        ----------
        X : array-like of shape (n, p) or (n, q)
        modality : {"image", "text"}
            Of `X`.
        """
        V = self._tensor(self._check_encodable(X, modality), modality, torch.float64)
        with torch.no_grad():
            code = self._code(V, modality)
            return {
                target: self._unscaled(self.networks_[f"{modality}_to_{target}"](code), target)
                for target in self._decodes[modality]
            }


class CorrCrossAE(CorrAE):
    """Correspondence cross-modal autoencoder: each code reconstructs the other modality.

    The loss of :class:`CorrAE` with ŷ decoded from f(x) and x̂ from g(y) [1]_:

    (1 - α) (1/n) Σ_i [‖y_i - ŷ(f(x_i))‖² + ‖x_i - x̂(g(y_i))‖²] + α (1/n) Σ_i ‖f(x_i) - g(y_i)‖².

    Parameters, attributes, notes and reference are those of :class:`CorrAE`.
    """

    _decodes = {"image": ("text",), "text": ("image",)}


class CorrFullAE(CorrAE):
    """Correspondence full-modal autoencoder: each code reconstructs both modalities.

    The loss of :class:`CorrAE` with four decoders [1]_:

    (1 - α) (1/n) Σ_i [‖x_i - x̂(f(x_i))‖² + ‖y_i - ŷ(f(x_i))‖² + ‖x_i - x̂(g(y_i))‖² +
    ‖y_i - ŷ(g(y_i))‖²] + α (1/n) Σ_i ‖f(x_i) - g(y_i)‖².

    Parameters, attributes, notes and reference are those of :class:`CorrAE`.
    """

    _decodes = {"image": ("image", "text"), "text": ("image", "text")}
