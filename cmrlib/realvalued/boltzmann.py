"""Boltzmann machines: restricted ones, and the multimodal deep one."""

from __future__ import annotations

from numbers import Integral, Real
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import entr, expit, softmax
from sklearn.base import BaseEstimator
from sklearn.exceptions import NotFittedError
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.utils import check_random_state, check_scalar
from tqdm import tqdm

from cmrlib.base import CommonSpaceModel, check_view

Array = NDArray[Any]
Lengths = tuple[Array, Array]

History = dict[str, list[float]]

VISIBLE = ("gaussian", "binary", "counts")
# Layers of the multimodal machine, from the image, 0, to the text, 6.
_ALL, _HIDDEN, _JOINT = list(range(7)), list(range(1, 6)), 3
_TOLERANCE = 1e-7  # of mean-field


def _mean(kind: str, field: Array, length: Array) -> Array:
    """Return the mean of units under a field (n, d); `length` (n, 1) counts words."""
    if kind == "gaussian":
        return field
    if kind == "binary":
        states: Array = expit(field)
        return states
    return length * softmax(field, axis=1)


def _draw(kind: str, mean: Array, length: Array, rng: np.random.Generator) -> Array:
    """Draw states of units with this mean (n, d); of counts, `length` words a row."""
    if kind == "gaussian":
        return mean + rng.standard_normal(mean.shape, dtype=mean.dtype)
    if kind == "binary":
        return (rng.random(mean.shape, dtype=mean.dtype) < mean).astype(mean.dtype)
    shares = mean.astype(np.float64)
    shares /= np.maximum(shares.sum(axis=1, keepdims=True), 1e-300)
    return rng.multinomial(np.rint(length[:, 0]).astype(int), shares).astype(mean.dtype)


def _length(kind: str, V: Array) -> Array:
    """Return what multiplies the hidden biases, (n, 1): the words in a row of counts, else 1."""
    if kind == "counts":
        return V.sum(axis=1, keepdims=True)
    return np.ones((len(V), 1), dtype=V.dtype)


def _first_bias(kind: str, V: Array) -> Array:
    """Return the visible biases under which V has its mean, all weights being 0."""
    mean = V.mean(axis=0)
    if kind == "gaussian":
        return mean
    if kind == "binary":
        share = (mean * len(V) + 1) / (len(V) + 2)  # finite for a unit that never fires
        return np.log(share / (1 - share))
    total = V.sum(axis=0) + 1
    return np.log(total / total.sum())


def _ascend(
    theta: list[Array], speed: list[Array], gradient: list[Array], rate: float, momentum: float
) -> None:
    """Move the parameters up their gradient, with momentum, in place."""
    for part, velocity, slope in zip(theta, speed, gradient, strict=True):
        velocity *= momentum
        velocity += rate * slope
        part += velocity


def _check_visible(V: ArrayLike, kind: str, name: str, n_features: int | None = None) -> Array:
    """Return V as float64; refuse values that units of this kind cannot take."""
    checked = check_view(V, name, n_features)
    if kind == "binary" and (checked.min() < 0 or checked.max() > 1):
        raise ValueError(f"{name} must lie in [0, 1] for binary units.")
    if kind == "counts" and (checked.min() < 0 or (checked != np.floor(checked)).any()):
        raise ValueError(f"{name} must hold counts, whole numbers of at least 0.")
    return checked


class RBM(BaseEstimator):
    """Restricted Boltzmann machine: visible units v, binary hidden units h, no links within.

    p(v, h) = exp(-E(v, h)) / Z, with an energy for each kind of visible unit:

    * "gaussian", unit variance: E = ½‖v - a‖² - vᵀWh - bᵀh, so that v given h is N(a + Wh, I);
    * "binary": E = -aᵀv - vᵀWh - bᵀh, so that p(v_i = 1 | h) = σ(a_i + (Wh)_i);
    * "counts", the replicated softmax [2]_ of M = Σ_k v_k words: E = -aᵀv - vᵀWh - M bᵀh, so that
      the words given h are M draws from softmax(a + Wh).

    In all, p(h_j = 1 | v) = σ((vᵀW)_j + b_j), with M b_j for counts. Without h remains the free
    energy F(v) = -log Σ_h exp(-E), that is ½‖v - a‖² (Gaussian) or -aᵀv, minus
    Σ_j log(1 + exp((vᵀW)_j + b_j)).

    The gradient of log p(v), E[-∂E/∂θ | v] - E[-∂E/∂θ], needs the model's own mean. Contrastive
    divergence takes it from k steps of Gibbs sampling that start at the data [1]_; persistent
    contrastive divergence from chains that go on from where the last batch left them [3]_.

    Parameters
    ----------
    n_hidden : int, default=128
    visible : {"gaussian", "binary", "counts"}, default="gaussian"
        Give Gaussian units standardised features. Binary units also take probabilities.
    learning_rate : float, default=0.001
        Binary units bear 0.05; counts, the longer the documents are the less.
    momentum : float, default=0.9
    weight_decay : float, default=0.0002
        λ of the penalty (λ/2)‖W‖².
    batch_size : int, default=100
    n_epochs : int, default=20
    k : int, default=1
        Gibbs steps a gradient.
    persistent : bool, default=False
        Persistent chains, as many as a batch has items. They need a smaller learning rate, lest
        the weights change faster than the chains move.
    random_state : int, optional

    Attributes
    ----------
    weights_ : ndarray of shape (d, n_hidden)
        W.
    visible_bias_, hidden_bias_ : ndarray of shape (d,), (n_hidden,)
        a and b.
    history_ : dict of str to list of float
        By epoch, "reconstruction": mean squared difference between the data and their mean given
        hidden states drawn from the data. It is not what is minimised.

    Raises
    ------
    ValueError
        From ``fit``: if V holds what its units cannot take.
    FloatingPointError
        From ``fit``: if the weights diverge.

    Notes
    -----
    W starts at N(0, 0.01²), a at the mean of the data, b at 0. The last hidden states of a chain
    enter the gradient as probabilities. Training is in single precision, the result in double.

    References
    ----------
    .. [1] G. Hinton, "Training products of experts by minimizing contrastive divergence", Neural
       Computation 14 (2002).
    .. [2] R. Salakhutdinov and G. Hinton, "Replicated softmax: an undirected topic model", NIPS
       (2009).
    .. [3] T. Tieleman, "Training restricted Boltzmann machines using approximations to the
       likelihood gradient", ICML (2008).

    Examples
    --------
    >>> import numpy as np
    >>> from cmrlib.realvalued import RBM
    >>> V = np.repeat([[1, 1, 0, 0], [0, 0, 1, 1]], 100, axis=0)
    >>> rbm = RBM(2, "binary", learning_rate=0.1, n_epochs=100, random_state=0).fit(V)
    >>> rbm.visible_mean(rbm.hidden(V[[0, -1]])).round()
    array([[1., 1., 0., 0.],
           [0., 0., 1., 1.]])
    """

    # Pre-training a deep machine multiplies the weights in one direction or both.
    _up = _down = 1

    def __init__(
        self,
        n_hidden: int = 128,
        visible: str = "gaussian",
        *,
        learning_rate: float = 1e-3,
        momentum: float = 0.9,
        weight_decay: float = 2e-4,
        batch_size: int = 100,
        n_epochs: int = 20,
        k: int = 1,
        persistent: bool = False,
        random_state: int | None = None,
    ) -> None:
        self.n_hidden = n_hidden
        self.visible = visible
        self.learning_rate = learning_rate
        self.momentum = momentum
        self.weight_decay = weight_decay
        self.batch_size = batch_size
        self.n_epochs = n_epochs
        self.k = k
        self.persistent = persistent
        self.random_state = random_state

    def fit(self, V: ArrayLike, y: object = None) -> Self:
        """Learn from the rows of V (n, d); `y` is ignored."""
        self._check_parameters()
        rows = _check_visible(V, self.visible, "V").astype(np.float32)
        rng = np.random.default_rng(check_random_state(self.random_state).randint(2**31))
        d = rows.shape[1]
        theta = [
            rng.normal(scale=0.01, size=(d, self.n_hidden)).astype(np.float32),
            _first_bias(self.visible, rows),
            np.zeros(self.n_hidden, dtype=np.float32),
        ]
        speed = [np.zeros_like(part) for part in theta]
        n_batches = int(np.ceil(len(rows) / self.batch_size))
        history = []
        chains: Array | None = None
        for epoch in range(self.n_epochs):
            error = 0.0
            for batch in np.array_split(rng.permutation(len(rows)), n_batches):
                self.weights_, self.visible_bias_, self.hidden_bias_ = theta
                data = rows[batch]
                start = data if chains is None else chains[: len(batch)]
                gradient, end, lost = self._gradient(data, start, rng)
                if self.persistent and chains is None:
                    chains = end
                elif chains is not None:
                    chains[: len(batch)] = end
                gradient[0] -= self.weight_decay * theta[0]
                _ascend(theta, speed, gradient, self.learning_rate, self.momentum)
                error += lost * len(batch)
            history.append(error / len(rows))
            if not all(np.isfinite(part).all() for part in theta):
                raise FloatingPointError(
                    f"the RBM diverged in epoch {epoch}; use a smaller learning_rate."
                )
        self.weights_, self.visible_bias_, self.hidden_bias_ = (
            part.astype(np.float64) for part in theta
        )
        self.history_ = {"reconstruction": history}
        self.n_features_in_ = d
        return self

    def _check_parameters(self) -> None:
        for name in ("n_hidden", "batch_size", "n_epochs", "k"):
            check_scalar(getattr(self, name), name, Integral, min_val=1)
        for name in ("learning_rate", "momentum", "weight_decay"):
            check_scalar(getattr(self, name), name, Real, min_val=0)
        if self.visible not in VISIBLE:
            raise ValueError(f"visible must be one of {', '.join(VISIBLE)}, got {self.visible!r}.")

    def _hidden(self, V: Array) -> Array:
        bias = _length(self.visible, V) * self.hidden_bias_
        states: Array = expit(self._up * (V @ self.weights_) + bias)
        return states

    def _visible(self, H: Array, length: Array) -> Array:
        field = self._down * (H @ self.weights_.T) + self.visible_bias_
        return _mean(self.visible, field, length)

    def _gradient(
        self, V: Array, start: Array, rng: np.random.Generator
    ) -> tuple[list[Array], Array, float]:
        """Return the gradient of log p at V, where the chains from `start` end, and the error."""
        positive = self._hidden(V)
        length, ones = _length(self.visible, start), np.ones((len(V), 1), dtype=V.dtype)
        end, mean = start, positive if start is V else self._hidden(start)
        for _ in range(self.k):
            H = _draw("binary", mean, ones, rng)
            end = _draw(self.visible, self._visible(H, length), length, rng)
            mean = self._hidden(end)
        of_data = _length(self.visible, V)
        gradient = [
            (V.T @ positive - end.T @ mean) / len(V),
            (V - end).mean(axis=0),
            (of_data * positive - length * mean).mean(axis=0),
        ]
        seen = self._visible(_draw("binary", positive, ones, rng), of_data)
        return gradient, end, float(np.square(V - seen).mean())

    def _check_fitted(self) -> None:
        if not hasattr(self, "weights_"):
            raise NotFittedError("this RBM is not fitted yet; call fit(V) first.")

    def hidden(self, V: ArrayLike) -> Array:
        """Return p(h = 1 | v) for the rows of V (n, d): (n, n_hidden)."""
        self._check_fitted()
        return self._hidden(_check_visible(V, self.visible, "V", self.n_features_in_))

    def visible_mean(self, H: ArrayLike) -> Array:
        """Return E[v | h] for the rows of H (n, n_hidden): (n, d); of counts, each word's share."""
        self._check_fitted()
        states = check_view(H, "H", self.n_hidden)
        return self._visible(states, np.ones((len(states), 1)))

    def free_energy(self, V: ArrayLike) -> Array:
        """Return F(v) = -log p(v) - log Z for the rows of V (n, d): (n,).

        Of counts it is that of one sequence of words; M! / Π v_k! sequences have the same counts.
        """
        self._check_fitted()
        rows = _check_visible(V, self.visible, "V", self.n_features_in_)
        field = rows @ self.weights_ + _length(self.visible, rows) * self.hidden_bias_
        if self.visible == "gaussian":
            own = 0.5 * np.square(rows - self.visible_bias_).sum(axis=1)
        else:
            own = -rows @ self.visible_bias_
        energy: Array = own - np.logaddexp(0, field).sum(axis=1)
        return energy


class _Chain:
    """Layers in a row, each linked to its neighbours alone: a deep Boltzmann machine.

    The first and the last layer may be of any kind, those between are binary. States of n items
    are a list of arrays (n, d_l); `lengths` holds for both ends how many words a row has, (n, 1).
    """

    def __init__(self, kinds: list[str], weights: list[Array], biases: list[Array]) -> None:
        self.kinds, self.weights, self.biases = kinds, weights, biases

    def astype(self, dtype: type) -> _Chain:
        weights: list[Array] = [W.astype(dtype) for W in self.weights]
        return _Chain(self.kinds, weights, [b.astype(dtype) for b in self.biases])

    def lengths(self, states: list[Array]) -> Lengths:
        return _length(self.kinds[0], states[0]), _length(self.kinds[-1], states[-1])

    def scale(self, layer: int, lengths: Lengths) -> Array:
        """Return what multiplies the biases of a layer: next to counts, the number of words."""
        if layer == 1:
            return lengths[0]
        if layer == len(self.weights) - 1:
            return lengths[1]
        return np.ones_like(lengths[0])

    def links(self, layer: int) -> list[tuple[int, Array]]:
        """Return the neighbours of a layer, each with the weights its message goes through."""
        below = [(layer - 1, self.weights[layer - 1])] if layer > 0 else []
        above = [(layer + 1, self.weights[layer].T)] if layer < len(self.weights) else []
        return [*below, *above]

    def mean(self, states: list[Array], layer: int, lengths: Lengths) -> Array:
        """Return the mean of a layer given its neighbours: the one below and the one above."""
        field = self.scale(layer, lengths) * self.biases[layer]
        for neighbour, W in self.links(layer):
            field = field + states[neighbour] @ W
        return _mean(self.kinds[layer], field, lengths[0] if layer == 0 else lengths[1])

    def mean_field(
        self, states: list[Array], free: list[int], lengths: Lengths, tol: float, max_sweeps: int
    ) -> list[Array]:
        """Set the free layers to their means in turn, there and back, until nothing changes."""
        states = [part.copy() for part in states]
        constant = {}  # biases, and messages of layers that are given
        for layer in free:
            constant[layer] = self.scale(layer, lengths) * self.biases[layer]
            for neighbour, W in self.links(layer):
                if neighbour not in free:
                    constant[layer] += states[neighbour] @ W
        moving = np.arange(len(states[0]))
        for _ in range(max_sweeps):
            rows = {layer: states[layer][moving] for layer in free}
            change = np.zeros(len(moving))
            for layer in [*free, *free[-2::-1]]:
                field = constant[layer][moving]
                for neighbour, W in self.links(layer):
                    if neighbour in free:
                        field += rows[neighbour] @ W
                length = (lengths[0] if layer == 0 else lengths[1])[moving]
                mean = _mean(self.kinds[layer], field, length)
                change = np.maximum(change, np.abs(mean - rows[layer]).max(axis=1))
                rows[layer] = mean
            for layer in free:
                states[layer][moving] = rows[layer]
            moving = moving[change > tol]  # an item stops by itself, whatever the others do
            if not moving.size:
                break
        return states

    def gibbs(
        self, states: list[Array], free: list[int], lengths: Lengths, rng: np.random.Generator
    ) -> list[Array]:
        """Draw the free layers anew: all even ones at once, then all odd ones."""
        states = list(states)
        for layer in sorted(free, key=lambda number: number % 2):
            mean = self.mean(states, layer, lengths)
            length = lengths[0] if layer == 0 else lengths[1]
            states[layer] = _draw(self.kinds[layer], mean, length, rng)
        return states

    def statistics(self, states: list[Array], lengths: Lengths) -> list[Array]:
        """Return the means over items of -∂E/∂W, of all layers, and of -∂E/∂b."""
        n = len(states[0])
        weights: list[Array] = [
            lower.T @ upper / n for lower, upper in zip(states[:-1], states[1:], strict=True)
        ]
        biases = [
            (self.scale(layer, lengths) * part).mean(axis=0) for layer, part in enumerate(states)
        ]
        return [*weights, *biases]

    def bound(self, states: list[Array], free: list[int], lengths: Lengths) -> Array:
        """Return E_q[-E] + H(q) for q independent over units, with the means `states`; (n,)."""
        total = np.zeros(len(states[0]))
        for W, lower, upper in zip(self.weights, states[:-1], states[1:], strict=True):
            total += (lower @ W * upper).sum(axis=1)
        for layer, (kind, m) in enumerate(zip(self.kinds, states, strict=True)):
            if kind == "gaussian":
                total -= 0.5 * np.square(m - self.biases[layer]).sum(axis=1)
            else:
                total += (self.scale(layer, lengths) * m) @ self.biases[layer]
            if layer not in free:
                continue
            if kind == "gaussian":  # unit variance: entropy, and the expected square around m
                total += 0.5 * m.shape[1] * np.log(2 * np.pi)
            elif kind == "binary":
                total += (entr(m) + entr(1 - m)).sum(axis=1)
            else:
                length = lengths[0] if layer == 0 else lengths[1]
                total += (length * entr(m / np.maximum(length, 1))).sum(axis=1)
        return total


def _without_idle_directions(
    chain: _Chain, states: list[Array], missing: int | None
) -> tuple[_Chain, list[Array]]:
    """Turn a missing Gaussian layer so that only directions with weights remain, W = QR."""
    if missing is None or chain.kinds[missing] != "gaussian":
        return chain, states
    weights, biases, states = list(chain.weights), list(chain.biases), list(states)
    link = 0 if missing == 0 else -1
    Q, R = np.linalg.qr(weights[link] if link == 0 else weights[link].T)
    weights[link] = R if link == 0 else R.T
    biases[missing], states[missing] = biases[missing] @ Q, states[missing] @ Q
    return _Chain(chain.kinds, weights, biases), states


class MultimodalDBM(CommonSpaceModel):
    """Multimodal deep Boltzmann machine: a deep pathway each, and a joint layer in which they meet.

    Seven layers in a row, each linked to the next without direction [1]_:

        image v, h¹, h²  -  joint h³  -  h², h¹, v text,

    p(all layers) = exp(-E) / Z, where -E sums sᵀWt over neighbouring layers s, t and bᵀs over all;
    Gaussian units have -½‖v - b‖² instead, and next to word counts bᵀh¹ is multiplied by the number
    of words, as in :class:`RBM`. So a layer hears from both sides: p(h² = 1 | h¹, h³) =
    σ(h¹W² + W³h³ + b).

    Training has two stages. First an :class:`RBM` for each layer, from the data upwards; as it
    misses the layer on its other side, its weights are doubled: of the first, on the way up; of the
    joint one, on the way down; of those between, in both [2]_. Then all layers together climb the
    gradient E_q[-∂E/∂θ] - E_p[-∂E/∂θ] of the variational bound
    log p(v) ≥ E_q[-E] + H(q) - log Z: q, independent over units, is set by mean-field sweeps in
    which every layer is replaced by its mean given the means of its neighbours; E_p is taken over
    persistent chains of Gibbs sampling.

    The code of an item is the mean of h³ under q when only one modality is given: the other one is
    one more layer that mean-field fills in. It is not Bayes' exact posterior; nor is q always the
    best one, since the sweeps end in a local optimum.

    Parameters
    ----------
    n_components : int, default=128
        Units of the joint layer.
    hidden : (int, int), default=(256, 128)
        Units of h¹ and of h², in both pathways.
    visible_image, visible_text : {"gaussian", "binary", "counts"}, default="gaussian"
        Kind of the features, as in :class:`RBM`. Gaussian ones are standardised by the model.
    pretrain_epochs, n_epochs : int
        Epochs of each RBM, and of all layers together; ``n_epochs=0`` leaves it at pre-training.
    pretrain_learning_rate : (float, float), default=(0.003, 0.02)
        Of the RBMs of the features, and of those of hidden units.
    learning_rate : float, default=1e-4
        Of the second stage; it falls to 0 linearly.
    momentum, weight_decay : float
        Of both stages.
    batch_size : int, default=100
    n_chains : int, default=100
        Persistent chains; those with words have the lengths of training texts.
    k : int, default=1
        Gibbs steps of the chains between two gradients.
    max_sweeps : int, default=50
        Mean-field sweeps, there and back, at most, when something is inferred. An item stops
        earlier if no unit of it moves by more than 1e-7. Items with one modality missing may take
        hundreds; on the emoji they are ranked as well after 10.
    random_state : int, optional
        Seeds the weights, the batches and the chains.
    verbose : bool, default=False
        Show a progress bar of the second stage.

    Attributes
    ----------
    weights_ : list of 6 ndarrays
        Between neighbouring layers, from the image to the text: (p, h¹), (h¹, h²), (h², k),
        (k, h²), (h², h¹), (h¹, q).
    biases_ : list of 7 ndarrays
        Of the layers, in the same order.
    rbms_ : list of 5 RBM
        The pre-trained machines: of the image h¹ and h², of the text h¹ and h², and the joint one.
    length_image_, length_text_ : float
        Words of a mean training item; 1 if the modality is not counts.
    history_ : dict of str to list of float
        By epoch of the second stage, "reconstruction_image" and "reconstruction_text": mean
        squared difference between the features and their mean given h¹ of the mean-field.

    Raises
    ------
    ValueError
        From ``fit``: if features are not of the kind they should be.
    FloatingPointError
        From ``fit``: if the weights diverge.

    Notes
    -----
    The equations are reconstructed: those of deep Boltzmann machines, for the layers and the kinds
    of unit that the paper names; the tests compare each with a sum over all states.

    What the paper does not state, and what is done here: the bias of a layer that two RBMs share is
    the mean of theirs, so that its field is; mean-field starts at 0.5 and sweeps from the data to
    the far end and back, in training at most 5 times; a missing text has the mean training
    length; codes are compared by cosine. The number of epochs is fixed, nothing is set aside. The
    likelihood itself is never computed.

    References
    ----------
    .. [1] N. Srivastava and R. Salakhutdinov, "Multimodal learning with deep Boltzmann machines",
       NIPS (2012) and JMLR 15 (2014).
    .. [2] R. Salakhutdinov and G. Hinton, "Deep Boltzmann machines", AISTATS (2009).
    """

    def __init__(
        self,
        n_components: int = 128,
        hidden: tuple[int, int] = (256, 128),
        *,
        visible_image: str = "gaussian",
        visible_text: str = "gaussian",
        pretrain_epochs: int = 20,
        n_epochs: int = 5,
        pretrain_learning_rate: tuple[float, float] = (3e-3, 2e-2),
        learning_rate: float = 1e-4,
        momentum: float = 0.9,
        weight_decay: float = 2e-4,
        batch_size: int = 100,
        n_chains: int = 100,
        k: int = 1,
        max_sweeps: int = 50,
        random_state: int | None = None,
        verbose: bool = False,
    ) -> None:
        self.n_components = n_components
        self.hidden = hidden
        self.visible_image = visible_image
        self.visible_text = visible_text
        self.pretrain_epochs = pretrain_epochs
        self.n_epochs = n_epochs
        self.pretrain_learning_rate = pretrain_learning_rate
        self.learning_rate = learning_rate
        self.momentum = momentum
        self.weight_decay = weight_decay
        self.batch_size = batch_size
        self.n_chains = n_chains
        self.k = k
        self.max_sweeps = max_sweeps
        self.random_state = random_state
        self.verbose = verbose

    def _fit(self, X: Array, Y: Array, labels: Array | None) -> None:
        self._check_parameters()
        rng = np.random.default_rng(check_random_state(self.random_state).randint(2**31))
        views, scalers = [], []
        for V, kind, name in (
            (X, self.visible_image, "image"),
            (Y, self.visible_text, "text"),
        ):
            V = _check_visible(V, kind, name)
            scaler = StandardScaler() if kind == "gaussian" else FunctionTransformer()
            views.append(scaler.fit_transform(V))
            scalers.append(scaler)
        self.scaler_image_, self.scaler_text_ = scalers
        self.length_image_, self.length_text_ = (
            float(max(1, np.round(_length(kind, V).mean())))
            for V, kind in zip(views, (self.visible_image, self.visible_text), strict=True)
        )
        chain = self._pretrain(views, rng).astype(np.float32)
        self.history_ = self._train(chain, [V.astype(np.float32) for V in views], rng)
        double = chain.astype(np.float64)
        self.weights_, self.biases_ = double.weights, double.biases

    def _check_parameters(self) -> None:
        for name in (
            "n_components",
            "pretrain_epochs",
            "batch_size",
            "n_chains",
            "k",
            "max_sweeps",
        ):
            check_scalar(getattr(self, name), name, Integral, min_val=1)
        check_scalar(self.n_epochs, "n_epochs", Integral, min_val=0)
        for name in ("learning_rate", "momentum", "weight_decay"):
            check_scalar(getattr(self, name), name, Real, min_val=0)
        for name in ("visible_image", "visible_text"):
            kind = getattr(self, name)
            if kind not in VISIBLE:
                raise ValueError(f"{name} must be one of {', '.join(VISIBLE)}, got {kind!r}.")

    # Training ---------------------------------------------------------------------------------

    def _rbm(self, n_hidden: int, kind: str, first: bool, seed: int) -> RBM:
        return RBM(
            n_hidden,
            kind,
            learning_rate=self.pretrain_learning_rate[0 if first else 1],
            momentum=self.momentum,
            weight_decay=self.weight_decay,
            batch_size=self.batch_size,
            n_epochs=self.pretrain_epochs,
            random_state=seed,
        )

    def _pretrain(self, views: list[Array], rng: np.random.Generator) -> _Chain:
        """Train an RBM for each layer, and put them together."""
        seeds = rng.integers(2**31, size=5).tolist()
        kinds = self.visible_image, self.visible_text
        paths, tops = [], []
        for V, kind in zip(views, kinds, strict=True):
            first = self._rbm(self.hidden[0], kind, True, seeds.pop())
            first._up = 2
            H = first.fit(V).hidden(V)
            second = self._rbm(self.hidden[1], "binary", False, seeds.pop()).fit(H)
            paths.append((first, second))
            tops.append(second.hidden(H))
        joint = self._rbm(self.n_components, "binary", False, seeds.pop())
        joint._down = 2
        joint.fit(np.hstack(tops))
        self.rbms_ = [*paths[0], *paths[1], joint]

        halves = []
        shares = np.split(joint.weights_, 2), np.split(joint.visible_bias_, 2)
        for (first, second), V, kind, W, a in zip(paths, views, kinds, *shares, strict=True):
            words = _length(kind, V).mean()
            # trained with doubled weights in both directions, that is as an RBM of weights 2W
            weights = [first.weights_, second.weights_ / 2, W]
            biases = [
                first.visible_bias_,
                (first.hidden_bias_ + second.visible_bias_ / words) / 2,
                (second.hidden_bias_ + a) / 2,
            ]
            halves.append((weights, biases))
        (lower, below), (upper, above) = halves
        return _Chain(
            self._kinds,
            [*lower, *[W.T for W in upper[::-1]]],
            [*below, joint.hidden_bias_, *above[::-1]],
        )

    def _train(self, chain: _Chain, views: list[Array], rng: np.random.Generator) -> History:
        """Climb the bound with all layers together; changes `chain`."""
        theta = [*chain.weights, *chain.biases]
        speed = [np.zeros_like(part) for part in theta]
        history: History = {"reconstruction_image": [], "reconstruction_text": []}
        n = len(views[0])
        fantasies = self._start(chain, *[V[rng.integers(n, size=self.n_chains)] for V in views])
        words = chain.lengths(fantasies)
        n_batches = int(np.ceil(n / self.batch_size))
        epochs = tqdm(range(self.n_epochs), desc="MultimodalDBM", disable=not self.verbose)
        for epoch in epochs:
            rate = self.learning_rate * (1 - epoch / self.n_epochs)
            errors = np.zeros(2)
            for batch in np.array_split(rng.permutation(n), n_batches):
                states = self._start(chain, *[V[batch] for V in views])
                lengths = chain.lengths(states)
                states = chain.mean_field(states, _HIDDEN, lengths, 1e-3, 5)
                for _ in range(self.k):
                    fantasies = chain.gibbs(fantasies, _ALL, words, rng)
                positive, negative = (
                    chain.statistics(states, lengths),
                    chain.statistics(fantasies, words),
                )
                gradient = [a - b for a, b in zip(positive, negative, strict=True)]
                for slope, W in zip(gradient, chain.weights, strict=False):
                    slope -= self.weight_decay * W
                _ascend(theta, speed, gradient, rate, self.momentum)
                for end in (0, 1):
                    error = np.square(states[-end] - chain.mean(states, 6 * end, lengths)).mean()
                    errors[end] += error * len(batch) / n
            if not all(np.isfinite(part).all() for part in theta):
                raise FloatingPointError(
                    f"MultimodalDBM diverged in epoch {epoch}; use a smaller learning_rate."
                )
            for name, error in zip(history, errors, strict=True):
                history[name].append(float(error))
        return history

    # Inference --------------------------------------------------------------------------------

    @property
    def _kinds(self) -> list[str]:
        return [self.visible_image, *["binary"] * 5, self.visible_text]

    def _start(self, chain: _Chain, X: Array | None, Y: Array | None) -> list[Array]:
        """Return states from which mean-field starts: hidden units at 0.5, what misses at b."""
        given = X if X is not None else Y
        assert given is not None  # the callers pass one
        n = len(given)
        states = [np.full((n, len(b)), 0.5, dtype=given.dtype) for b in chain.biases]
        for end, V, length in ((0, X, self.length_image_), (-1, Y, self.length_text_)):
            if V is None:
                words = np.full((n, 1), length, dtype=given.dtype)
                field = np.tile(chain.biases[end], (n, 1))
                V = _mean(chain.kinds[end], field, words)
            states[end] = V
        return states

    def _given(self, V: ArrayLike | None, modality: str) -> Array | None:
        if V is None:
            return None
        checked = self._check_encodable(V, modality)
        _check_visible(checked, getattr(self, f"visible_{modality}"), modality)
        scaled: Array = getattr(self, f"scaler_{modality}_").transform(checked)
        return scaled

    def mean_field(
        self, image: ArrayLike | None = None, text: ArrayLike | None = None
    ) -> list[Array]:
        """Return the mean-field of all seven layers, given images, texts, or pairs of them.

        Parameters
        ----------
        image : array-like of shape (n, p), optional
        text : array-like of shape (n, q), optional
            At least one of the two.

        Returns
        -------
        list of 7 ndarrays
            From the image to the text; Gaussian features are standardised ones.

        Raises
        ------
        ValueError
            If both are missing, or differ in length.
        """
        X, Y = self._given(image, "image"), self._given(text, "text")
        if X is None and Y is None:
            raise ValueError("give image, text or both; there is nothing to infer from.")
        if X is not None and Y is not None and len(X) != len(Y):
            raise ValueError(f"image has {len(X)} rows and text has {len(Y)}; give pairs.")
        return self._inferred(X, Y)

    def _inferred(self, X: Array | None, Y: Array | None) -> list[Array]:
        chain = _Chain(self._kinds, list(self.weights_), list(self.biases_))
        states = self._start(chain, X, Y)
        lengths = chain.lengths(states)
        free = [*_HIDDEN, *([6] if Y is None else [])] if X is not None else [5, 4, 3, 2, 1, 0]
        missing = None if len(free) == 5 else free[-1]
        # Of Gaussian features that are missing, only what the weights span acts on the others.
        small, narrow = _without_idle_directions(chain, states, missing)
        found = small.mean_field(narrow, free, lengths, _TOLERANCE, self.max_sweeps)
        if missing is not None:
            found[missing] = states[missing]
            found[missing] = chain.mean(found, missing, lengths)
        return found

    def _encode_image(self, X: Array) -> Array:
        return self.mean_field(image=X)[_JOINT]

    def _encode_text(self, Y: Array) -> Array:
        return self.mean_field(text=Y)[_JOINT]

    def encode_pair(self, image: ArrayLike, text: ArrayLike) -> Array:
        """Return the joint layer's means when both modalities are given: (n, n_components)."""
        return self.mean_field(image, text)[_JOINT]

    def fill_in(
        self, V: ArrayLike, modality: str, *, n_steps: int = 0, random_state: int | None = None
    ) -> Array:
        """Return the other modality as the model imagines it.

        Parameters
        ----------
        V : array-like of shape (n, p) or (n, q)
        modality : {"image", "text"}
            What `V` is.
        n_steps : int, default=0
            Gibbs steps that follow the mean-field; the result is the mean over their second half.
            With 0, the mean-field itself.
        random_state : int, optional
            Of the Gibbs steps.

        Returns
        -------
        ndarray of shape (n, q) or (n, p)
            Means of the features, in their own units; of counts, for a text of mean length.
        """
        given = self._given(V, modality)
        image = modality == "image"
        states = self._inferred(given, None) if image else self._inferred(None, given)
        missing, other = (6, "text") if image else (0, "image")
        mean = states[missing]
        if n_steps:
            chain = _Chain(self._kinds, self.weights_, self.biases_)
            rng = np.random.default_rng(check_random_state(random_state).randint(2**31))
            lengths, free = chain.lengths(states), [*_HIDDEN, missing]
            sums, kept = np.zeros_like(mean), range(n_steps // 2, n_steps)
            for step in range(n_steps):
                states = chain.gibbs(states, free, lengths, rng)
                if step in kept:
                    sums += chain.mean(states, missing, lengths)
            mean = sums / len(kept)
        features: Array = getattr(self, f"scaler_{other}_").inverse_transform(mean)
        return features

    def lower_bound(self, image: ArrayLike, text: ArrayLike) -> Array:
        """Return E_q[-E] + H(q) for pairs, (n,): at most log p(image, text) + log Z.

        Z is the same for all pairs (of equal numbers of words), so that differences compare pairs.
        Gaussian features count as standardised ones.
        """
        states = self.mean_field(image, text)
        chain = _Chain(self._kinds, self.weights_, self.biases_)
        return chain.bound(states, _HIDDEN, chain.lengths(states))
