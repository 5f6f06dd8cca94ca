"""Deep canonical correlation analysis."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil
from numbers import Integral, Real

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from sklearn.preprocessing import StandardScaler
from sklearn.utils import check_random_state, check_scalar
from torch import Tensor, nn

from cmrlib._linalg import column_correlations
from cmrlib.base import CommonSpaceModel, check_pairs
from cmrlib.cca.linear import CCA
from cmrlib.training import seeded, train, validation_split

Array = NDArray[np.float64]

# L-BFGS iterations between two looks at the validation part.
_ITERATIONS = 5
SOLVERS = ("lbfgs", "adam", "sgd")


def trace_norm_correlation(F: Tensor, G: Tensor, reg: float = 0.0) -> Tensor:
    """Return the sum of the canonical correlations of two batches of outputs, differentiable.

    It is the trace norm (sum of singular values) of T = Σ_FF^(-1/2) Σ_FG Σ_GG^(-1/2), with
    Σ_FG = FᵀG / (n - 1) over centred rows and Σ_FF + reg (tr Σ_FF / o) I, likewise Σ_GG.

    Parameters
    ----------
    F, G : Tensor of shape (n, o)
        Row i of both is one pair; n must exceed o unless ``reg`` > 0.
    reg : float
        Unit-free ridge.

    Notes
    -----
    Cholesky factors take the place of the symmetric roots: they whiten as well, and singular
    values do not feel the rotation between the two.
    """
    F, G = F - F.mean(dim=0), G - G.mean(dim=0)

    def factor(H: Tensor) -> Tensor:
        S = H.T @ H / (len(H) - 1)
        ridge = reg * S.diagonal().mean()
        return torch.linalg.cholesky(S + ridge * torch.eye(len(S), dtype=H.dtype, device=H.device))

    T = torch.linalg.solve_triangular(factor(F), F.T @ G / (len(F) - 1), upper=False)
    T = torch.linalg.solve_triangular(factor(G), T.T, upper=False)
    return torch.linalg.svdvals(T).sum()


class DCCA(CommonSpaceModel):
    """Deep canonical correlation analysis: two networks whose outputs correlate most.

    Trains a network for each view to maximise the sum of the canonical correlations of their
    outputs, the trace norm of T = Σ₁₁^(-1/2) Σ₁₂ Σ₂₂^(-1/2) with ridged Σ₁₁ and Σ₂₂ [1]_. Then a
    linear :class:`CCA` of the outputs, on all training pairs, gives the encoding.

    The objective is of a batch, not a sum over pairs: it needs the covariances, so batches are
    the whole set (L-BFGS, as in the paper) or large. A network can correlate any training set, so
    a part of the training pairs is set aside and the networks return to the epoch at which the
    correlation there was highest.

    Parameters
    ----------
    n_components : int, default=2
        Outputs of each network, o in the paper, and dimension of the common space.
    hidden : tuple of int, default=(512,)
        Widths of the hidden layers, the same for both views; () is a linear map, whose optimum is
        linear CCA.
    reg : float, default=0.1
        Unit-free ridge of both outputs, Σ + reg (tr Σ / o) I, in the objective and in the final
        CCA. The paper's absolute r₁ is ``reg = r₁ o / tr Σ₁₁``, a ratio that changes while the
        outputs grow; relative, the ridge cannot be evaded by large outputs.
    weight_decay : float, default=0.1
        λ of the penalty (λ/2) Σ‖W‖² on all weight matrices, subtracted from the objective.
    solver : {"lbfgs", "adam", "sgd"}, default="lbfgs"
        Full-batch L-BFGS with line search, five iterations an epoch; or Adam or SGD (momentum
        0.9) on batches.
    batch_size : int, default=500
        Pairs in a batch of "adam" and "sgd"; more than ``n_components``, better ten times.
    learning_rate : float, default=0.001
        Of "adam" and "sgd".
    max_epochs : int, default=100
    patience : int, default=10
        Epochs without a better validation correlation before training stops.
    validation_size : float, default=0.1
        Share of the training pairs set aside.
    random_state : int, optional
        Seeds the initial weights, the validation part and the batches.
    device : str, default="cpu"
        Where torch computes, such as "cuda".
    verbose : bool, default=False
        Show a progress bar.

    Attributes
    ----------
    correlations_ : ndarray of shape (n_components,)
        Of the final linear CCA, on the training set. They flatter; see :meth:`correlations`.
    history_ : dict of str to list of float
        "train": the objective without penalty after each epoch; "validation": the sum of the
        correlations on the part set aside, of the linear CCA fitted to the other outputs.
    best_epoch_ : int
        Where in ``history_`` the networks were taken, from 0.
    cca_ : CCA
        The final linear CCA.

    Raises
    ------
    ValueError
        From ``fit``: if a batch holds no more pairs than ``n_components``, or there are too few
        pairs to set some aside.

    Notes
    -----
    The paper pretrains its layers as denoising autoencoders and uses a cube-root sigmoid; here
    the weights start at random, hidden units are ReLU, and early stopping is added. Inputs are
    standardised with training means and standard deviations. Arithmetic is in double precision.

    References
    ----------
    .. [1] G. Andrew, R. Arora, J. Bilmes and K. Livescu, "Deep canonical correlation analysis",
       ICML (2013).

    Examples
    --------
    >>> import numpy as np
    >>> from cmrlib.cca import CCA, DCCA
    >>> z = np.random.default_rng(0).normal(size=(600, 1))
    >>> train, test = z[:400], z[400:]
    >>> CCA(n_components=1).fit(train, abs(train)).correlations(test, abs(test)).round(1)
    array([0.1])
    >>> model = DCCA(n_components=1, hidden=(32,), random_state=0).fit(train, abs(train))
    >>> model.correlations(test, abs(test)).round(1)
    array([1.])
    """

    def __init__(
        self,
        n_components: int = 2,
        hidden: tuple[int, ...] = (512,),
        *,
        reg: float = 0.1,
        weight_decay: float = 0.1,
        solver: str = "lbfgs",
        batch_size: int = 500,
        learning_rate: float = 1e-3,
        max_epochs: int = 100,
        patience: int = 10,
        validation_size: float = 0.1,
        random_state: int | None = None,
        device: str = "cpu",
        verbose: bool = False,
    ) -> None:
        self.n_components = n_components
        self.hidden = hidden
        self.reg = reg
        self.weight_decay = weight_decay
        self.solver = solver
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.max_epochs = max_epochs
        self.patience = patience
        self.validation_size = validation_size
        self.random_state = random_state
        self.device = device
        self.verbose = verbose

    def _fit(self, X: Array, Y: Array, labels: Array | None) -> None:
        self._check_parameters()
        rng = check_random_state(self.random_state)
        rest, held_out = validation_split(len(X), self.validation_size, rng)
        n_batches = 1 if self.solver == "lbfgs" else max(1, len(rest) // self.batch_size)
        if len(rest) // n_batches <= self.n_components:
            raise ValueError(
                f"a batch of {len(rest) // n_batches} of {len(X)} pairs is too few for "
                f"n_components={self.n_components}: their correlations are 1 whatever the data."
            )
        self.scaler_image_, self.scaler_text_ = StandardScaler().fit(X), StandardScaler().fit(Y)
        with seeded(rng):
            self._network_image = self._network(X.shape[1])
            self._network_text = self._network(Y.shape[1])
        views = self._tensor(X, self.scaler_image_), self._tensor(Y, self.scaler_text_)
        self._train([V[rest] for V in views], [V[held_out] for V in views], n_batches, rng)
        self.cca_ = self._final_cca(self._outputs(views))
        self.correlations_ = self.cca_.correlations_

    def _check_parameters(self) -> None:
        for name in ("n_components", "batch_size", "max_epochs", "patience"):
            check_scalar(getattr(self, name), name, Integral, min_val=1)
        for name in ("reg", "weight_decay", "learning_rate"):
            check_scalar(getattr(self, name), name, Real, min_val=0)
        check_scalar(
            self.validation_size,
            "validation_size",
            Real,
            min_val=0,
            max_val=1,
            include_boundaries="neither",
        )
        if self.solver not in SOLVERS:
            raise ValueError(f"solver must be one of {', '.join(SOLVERS)}, got {self.solver!r}.")

    def _network(self, width: int) -> nn.Sequential:
        layers: list[nn.Module] = []
        for units in self.hidden:
            layers += [nn.Linear(width, units), nn.ReLU()]
            width = units
        layers.append(nn.Linear(width, self.n_components))
        return nn.Sequential(*layers).to(self.device, torch.float64)

    def _train(
        self,
        rest: list[Tensor],
        held_out: list[Tensor],
        n_batches: int,
        rng: np.random.RandomState,
    ) -> None:
        networks = nn.ModuleList([self._network_image, self._network_text])
        optimizer = self._optimizer(networks)

        def step(rows: NDArray[np.intp], progress: float) -> dict[str, float]:
            self._step(optimizer, networks, [V[rows] for V in rest])
            return {}

        def validate() -> dict[str, float]:
            F, G = self._outputs(rest)
            objective = trace_norm_correlation(torch.as_tensor(F), torch.as_tensor(G), self.reg)
            validation = self._final_cca((F, G)).correlations(*self._outputs(held_out)).sum()
            return {"train": float(objective), "validation": float(validation)}

        self.history_, self.best_epoch_ = train(
            networks,
            step,
            validate,
            n=len(rest[0]),
            batch_size=ceil(len(rest[0]) / n_batches),
            max_epochs=self.max_epochs,
            patience=self.patience,
            rng=rng,
            name="DCCA",
            verbose=self.verbose,
        )

    def _optimizer(self, networks: nn.Module) -> torch.optim.Optimizer:
        parameters = list(networks.parameters())
        if self.solver == "adam":
            return torch.optim.Adam(parameters, lr=self.learning_rate)
        if self.solver == "sgd":
            return torch.optim.SGD(parameters, lr=self.learning_rate, momentum=0.9)
        return torch.optim.LBFGS(
            parameters, max_iter=_ITERATIONS, history_size=20, line_search_fn="strong_wolfe"
        )

    def _step(
        self, optimizer: torch.optim.Optimizer, networks: nn.ModuleList, batch: list[Tensor]
    ) -> None:
        weights = [p for p in networks.parameters() if p.ndim == 2]

        def closure() -> float:
            optimizer.zero_grad()
            F, G = (network(V) for network, V in zip(networks, batch, strict=True))
            penalty = torch.stack([W.square().sum() for W in weights]).sum()
            loss = self.weight_decay / 2 * penalty - trace_norm_correlation(F, G, self.reg)
            loss.backward()
            return float(loss.detach())

        optimizer.step(closure)

    def _final_cca(self, outputs: tuple[Array, Array]) -> CCA:
        return CCA(self.n_components, reg=self.reg).fit(*outputs)

    def _tensor(self, X: Array, scaler: StandardScaler) -> Tensor:
        return torch.as_tensor(scaler.transform(X), dtype=torch.float64, device=self.device)

    def _outputs(self, views: Sequence[Tensor]) -> tuple[Array, Array]:
        return _output(self._network_image, views[0]), _output(self._network_text, views[1])

    def _encode_image(self, X: Array) -> Array:
        tensor = self._tensor(X, self.scaler_image_)
        return self.cca_.encode_image(_output(self._network_image, tensor))

    def _encode_text(self, Y: Array) -> Array:
        tensor = self._tensor(Y, self.scaler_text_)
        return self.cca_.encode_text(_output(self._network_text, tensor))

    def correlations(self, image: ArrayLike, text: ArrayLike) -> Array:
        """Return the correlation of each pair of components on other pairs, (n_components,)."""
        X, Y = check_pairs(image, text)
        return column_correlations(self.encode_image(X), self.encode_text(Y))


def _output(network: nn.Module, V: Tensor) -> Array:
    with torch.no_grad():
        Z: Array = network(V).cpu().numpy()
    return Z
