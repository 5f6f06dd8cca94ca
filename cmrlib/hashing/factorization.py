"""Collective matrix factorisation hashing: both modalities of a pair from one latent row.

CMFH explains the images and the texts of a training set by the same latent matrix, and learns a
linear map to it from each side. SMFH adds a graph of neighbours and labels, FS-CMFH gives each
modality a latent matrix of its own.
"""

from __future__ import annotations

import warnings
from abc import abstractmethod
from numbers import Integral, Real
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve
from sklearn.utils import check_random_state, check_scalar

from cmrlib._linalg import ridge
from cmrlib.alternating import Alternation, State
from cmrlib.hashing._discrete import sign
from cmrlib.hashing._features import standardiser
from cmrlib.hashing._graphs import Graph, knn_graph
from cmrlib.hashing._linear import graph_sylvester
from cmrlib.hashing._model import LinearHashModel

Array = NDArray[Any]


# steps and terms that the methods share


class Projection:
    """The step for P: ridge regression of changing targets V on the same features X.

    The Gram matrix is factored once, so that each sweep costs O(npr).

    Parameters
    ----------
    X : array of shape (n, p)
    reg : float
        Positive.
    """

    def __init__(self, X: Array, reg: float) -> None:
        gram = X.T @ X
        gram[np.diag_indices_from(gram)] += reg
        self._X, self._factor = X, cho_factor(gram, check_finite=False)

    def __call__(self, V: Array) -> Array:
        """Return argmin_P ||V - X P||² + reg ||P||², shape (p, r), for V (n, r)."""
        P: Array = cho_solve(self._factor, self._X.T @ V, check_finite=False)
        return P


def pull(X: Array, U: Array, P: Array, weight: float, projection: float) -> tuple[Array, Array]:
    """Return what one modality adds to the normal equations V A = C of the latent matrix.

    They set half the gradient of weight ||X - V U||² + projection ||V - X P||² to 0:
    A = weight U Uᵀ + projection I, shape (r, r), and C = X (weight Uᵀ + projection P), (n, r).
    """
    A = weight * U @ U.T
    A[np.diag_indices_from(A)] += projection
    return A, X @ (weight * U.T + projection * P)


def smooth_latent(A: Array, C: Array, graph: Graph | None = None, gamma: float = 0.0) -> Array:
    """Solve gamma L V + V A = C for V (n, r), L the Laplacian of a graph; C A⁻¹ if gamma is 0."""
    if graph is None or gamma == 0:
        V: Array = np.linalg.solve(A, C.T).T
        return V
    return graph_sylvester(graph, A / gamma, C / gamma)


def squared(M: Array) -> float:
    """Return ||M||², the sum of squared entries."""
    return float(np.vdot(M, M))


def indicator(labels: NDArray[np.int64]) -> Array:
    """Return labels as an (n, c) array of 0 and 1, one column for each class that occurs."""
    if labels.ndim == 1:
        return (labels[:, None] == np.unique(labels)).astype(np.float64)
    return labels[:, labels.any(axis=0)].astype(np.float64)


def bits(V: Array) -> NDArray[np.int8]:
    """Return the training codes sign(V - mean), (n, r)."""
    return sign(V - V.mean(axis=0)).astype(np.int8)


def positive(value: float, name: str) -> float:
    """Return a hyper-parameter, checked to be a positive number."""
    return float(check_scalar(value, name, Real, min_val=0, include_boundaries="neither"))


def non_negative(value: float, name: str) -> float:
    """Return a hyper-parameter, checked to be a number of at least 0."""
    return float(check_scalar(value, name, Real, min_val=0))


def share(value: float, name: str) -> float:
    """Return a hyper-parameter, checked to lie strictly between 0 and 1."""
    checked = check_scalar(value, name, Real, min_val=0, max_val=1, include_boundaries="neither")
    return float(checked)


# the common factorisation


def collective_start(X: Array, Y: Array, n_bits: int) -> State:
    """Return the data, and U and P at 0: the first sweep finds them from the latent matrix."""
    p, q = X.shape[1], Y.shape[1]
    return State(
        X=X,
        Y=Y,
        U_image=np.zeros((n_bits, p)),
        U_text=np.zeros((n_bits, q)),
        P_image=np.zeros((p, n_bits)),
        P_text=np.zeros((q, n_bits)),
    )


def collective_objective(s: State, V: Array, weight: float, projection: float, reg: float) -> float:
    """Return the objective of CMFH at the latent matrix V and the other blocks of `s`."""
    return (
        weight * squared(s.X - V @ s.U_image)
        + (1 - weight) * squared(s.Y - V @ s.U_text)
        + projection * (squared(V - s.X @ s.P_image) + squared(V - s.Y @ s.P_text))
        + reg * sum(squared(M) for M in (s.U_image, s.U_text, V, s.P_image, s.P_text))
    )


def collective_equations(
    s: State, weight: float, projection: float, reg: float
) -> tuple[Array, Array]:
    """Return A (r, r) and C (n, r): the objective of CMFH is least in V where V A = C."""
    A_image, C_image = pull(s.X, s.U_image, s.P_image, weight, projection)
    A_text, C_text = pull(s.Y, s.U_text, s.P_text, 1 - weight, projection)
    return A_image + A_text + reg * np.eye(len(A_image)), C_image + C_text


def collective_alternation(
    X: Array,
    Y: Array,
    n_bits: int,
    rng: np.random.RandomState,
    *,
    weight: float,
    projection: float,
    reg: float,
    graph: Graph | None = None,
    gamma: float = 0.0,
) -> Alternation:
    """Return CMFH as an alternation; with a graph of weight gamma > 0, SMFH."""
    project_image, project_text = Projection(X, reg / projection), Projection(Y, reg / projection)
    start = collective_start(X, Y, n_bits)
    start.V = rng.normal(size=(len(X), n_bits))

    def objective(s: State) -> float:
        rough = gamma * graph.smoothness(s.V) if graph is not None else 0.0
        return collective_objective(s, s.V, weight, projection, reg) + rough

    return Alternation(
        start,
        {
            "U_image": lambda s: ridge(s.V, s.X, reg / weight),
            "U_text": lambda s: ridge(s.V, s.Y, reg / (1 - weight)),
            "V": lambda s: smooth_latent(
                *collective_equations(s, weight, projection, reg), graph, gamma
            ),
            "P_image": lambda s: project_image(s.V),
            "P_text": lambda s: project_text(s.V),
        },
        objective,
    )


class FactorizationModel(LinearHashModel):
    """What the methods share: standardised features, one alternation, codes sign(Z P - t)."""

    max_iter: int
    tol: float
    random_state: int | None
    verbose: bool

    @abstractmethod
    def _alternation(
        self, X: Array, Y: Array, labels: Array | None, rng: np.random.RandomState
    ) -> Alternation:
        """Return the objective, its blocks and their steps, for standardised X and Y."""

    def _fit(self, X: Array, Y: Array, labels: Array | None) -> None:
        max_iter = check_scalar(self.max_iter, "max_iter", Integral, min_val=1)
        tol = non_negative(self.tol, "tol")
        scaler_image, scaler_text = standardiser(X), standardiser(Y)
        alternation = self._alternation(
            scaler_image.transform(X),
            scaler_text.transform(Y),
            labels,
            check_random_state(self.random_state),
        )
        self.history_ = alternation.run(max_iter, tol, verbose=self.verbose)
        s = alternation.state
        self.scaler_image_, self.scaler_text_ = scaler_image, scaler_text
        self.P_image_, self.P_text_ = s.P_image, s.P_text
        self.threshold_image_ = (s.X @ s.P_image).mean(axis=0)
        self.threshold_text_ = (s.Y @ s.P_text).mean(axis=0)
        self._store(s)
        nothing = {name: np.zeros_like(getattr(s, name)) for name in alternation.updates}
        limit = 0.999 * alternation.objective(State(**vars(s) | nothing))
        if len(self.history_) <= max_iter and self.history_[-1] > limit:  # converged, to nothing
            warnings.warn(
                "the codes explain nothing: the penalty outweighs the data and V shrinks to 0; "
                "lower the penalty on the blocks.",
                stacklevel=3,
            )

    def _store(self, s: State) -> None:
        """Keep the latent matrix and its codes."""
        self.V_, self.B_ = s.V, bits(s.V)


# the methods


class CMFH(FactorizationModel):
    """Collective matrix factorisation hashing: one latent matrix V explains both modalities.

    Minimises over V (n, r), U_x (r, p), U_y (r, q), P_x (p, r) and P_y (q, r) [1]_

        λ ‖X - V U_x‖² + (1 - λ) ‖Y - V U_y‖² + μ (‖V - X P_x‖² + ‖V - Y P_y‖²)
        + γ (‖U_x‖² + ‖U_y‖² + ‖V‖² + ‖P_x‖² + ‖P_y‖²),

    one block at a time, each in closed form. A query is hashed as sign(x P_x - t).

    Parameters
    ----------
    n_bits : int, default=64
        Length r of the codes.
    lam : float, default=0.5
        λ, between 0 and 1: how much the images count against the texts.
    mu : float, default=100
        μ > 0: weight of the linear maps that make V reachable from one modality.
    gamma : float, default=0.01
        γ > 0: penalty on all blocks. Without one the problem has no scale: V can shrink and U
        grow for ever.
    max_iter : int, default=50
        Most sweeps over the blocks.
    tol : float, default=1e-5
        Stop when a sweep lowers the objective by less than this share.
    random_state : int, optional
        Seed of the start.
    verbose : bool, default=False
        Show a progress bar.

    Attributes
    ----------
    P_image_, P_text_ : ndarray of shape (p, n_bits), (q, n_bits)
        Maps from standardised features to the latent space.
    V_ : ndarray of shape (n, n_bits)
        Latent rows of the training pairs.
    B_ : ndarray of shape (n, n_bits), int8
        Codes of the training pairs, sign(V - mean): one for both modalities.
    threshold_image_, threshold_text_ : ndarray of shape (n_bits,)
        t, the mean of the training scores. Since features are centred it is 0 up to rounding, and
        so is the mean of V, the paper's threshold.
    history_ : list of float
        Objective before the first and after each sweep.

    Raises
    ------
    ValueError
        From ``fit``: if a hyper-parameter is out of its range.

    Warns
    -----
    UserWarning
        From ``fit``: if γ is so large that the blocks shrink to 0.

    Notes
    -----
    The paper writes items as columns and centres the features; here items are rows, and features
    are brought to standard deviation 1 as well. Defaults of λ, μ and γ are the paper's. Since the
    loss grows with n and p while the penalty does not, γ should grow with them: choose it on
    validation data. The paper does not state the start; here V is drawn from a
    normal distribution, and U_x, U_y, P_x, P_y are 0.

    A later solver of the authors weighs the maps and the penalties by λ and 1 - λ, too. For λ = 1/2
    this amounts to half of μ, and half of γ except on V.

    A sweep costs O(n (p + q) r); no array has n x n entries.

    References
    ----------
    .. [1] G. Ding, Y. Guo and J. Zhou, "Collective matrix factorization hashing for multimodal
       data", CVPR (2014).

    Examples
    --------
    >>> from cmrlib.datasets import make_hidden_signal
    >>> from cmrlib.hashing.factorization import CMFH
    >>> data = make_hidden_signal(100, random_state=0)
    >>> model = CMFH(n_bits=8, gamma=0.1, random_state=0).fit(data.image, data.text)
    >>> model.encode_text(data.text[:3]).shape
    (3, 8)
    """

    def __init__(
        self,
        n_bits: int = 64,
        *,
        lam: float = 0.5,
        mu: float = 100.0,
        gamma: float = 0.01,
        max_iter: int = 50,
        tol: float = 1e-5,
        random_state: int | None = None,
        verbose: bool = False,
    ) -> None:
        self.n_bits = n_bits
        self.lam = lam
        self.mu = mu
        self.gamma = gamma
        self.max_iter = max_iter
        self.tol = tol
        self.random_state = random_state
        self.verbose = verbose

    def _alternation(
        self, X: Array, Y: Array, labels: Array | None, rng: np.random.RandomState
    ) -> Alternation:
        return collective_alternation(
            X,
            Y,
            self.n_bits,
            rng,
            weight=share(self.lam, "lam"),
            projection=positive(self.mu, "mu"),
            reg=positive(self.gamma, "gamma"),
        )


class SMFH(FactorizationModel):
    """Supervised matrix factorisation hashing: CMFH with a graph of neighbours and labels.

    Adds γ tr(Vᵀ 𝓛 V) to the objective of :class:`CMFH` [1]_, where 𝓛 is the sum of three graph
    Laplacians: nearest neighbours among the images, nearest neighbours among the texts, and the
    label graph with weights L Lᵀ, the number of classes that two items share. V then solves the
    Sylvester equation γ 𝓛 V + V A = C, with A and C those of CMFH.

    The letters of this paper differ from CMFH's: α is λ there, β is μ, and λ is γ.

    Parameters
    ----------
    n_bits : int, default=64
        Length r of the codes.
    alpha : float, default=0.5
        α, between 0 and 1: how much the images count against the texts.
    beta : float, default=100
        β > 0: weight of the linear maps.
    gamma : float, default=1
        γ >= 0: weight of the graph. With 0 the method is CMFH.
    lam : float, default=0.01
        λ > 0: penalty on all blocks.
    n_neighbors : int, default=5
        Neighbours in each modality's graph; two items are joined if either is a neighbour of the
        other.
    max_iter, tol, random_state, verbose
        As in :class:`CMFH`.

    Attributes
    ----------
    P_image_, P_text_, V_, B_, threshold_image_, threshold_text_, history_
        As in :class:`CMFH`.

    Raises
    ------
    ValueError
        From ``fit``: if a hyper-parameter is out of its range.

    Notes
    -----
    Not to be confused with the SMFH of Liu, Ji, Wu and Hua (IJCAI 2016), a non-negative
    factorisation. Defaults are those of the authors' code, which centres the features; here they
    are standardised.

    The label graph has degrees of the order n / c and outweighs the neighbours. It is held as its
    factor L, the neighbours as a sparse matrix, and the equation is solved by conjugate gradients:
    no array has n x n entries. The search for neighbours takes O(n²) time in wide features.

    References
    ----------
    .. [1] J. Tang, K. Wang and L. Shao, "Supervised matrix factorization hashing for cross-modal
       retrieval", IEEE Transactions on Image Processing 25 (2016).

    Examples
    --------
    >>> from cmrlib.datasets import make_hidden_signal
    >>> from cmrlib.hashing.factorization import SMFH
    >>> data = make_hidden_signal(100, random_state=0)
    >>> model = SMFH(n_bits=8, random_state=0).fit(data.image, data.text, data.labels)
    >>> model.encode_image(data.image[:3]).shape
    (3, 8)
    """

    uses_labels = True

    def __init__(
        self,
        n_bits: int = 64,
        *,
        alpha: float = 0.5,
        beta: float = 100.0,
        gamma: float = 1.0,
        lam: float = 0.01,
        n_neighbors: int = 5,
        max_iter: int = 50,
        tol: float = 1e-5,
        random_state: int | None = None,
        verbose: bool = False,
    ) -> None:
        self.n_bits = n_bits
        self.alpha = alpha
        self.beta = beta
        self.gamma = gamma
        self.lam = lam
        self.n_neighbors = n_neighbors
        self.max_iter = max_iter
        self.tol = tol
        self.random_state = random_state
        self.verbose = verbose

    def _alternation(
        self, X: Array, Y: Array, labels: Array | None, rng: np.random.RandomState
    ) -> Alternation:
        assert labels is not None
        k = check_scalar(self.n_neighbors, "n_neighbors", Integral, min_val=1)
        return collective_alternation(
            X,
            Y,
            self.n_bits,
            rng,
            weight=share(self.alpha, "alpha"),
            projection=positive(self.beta, "beta"),
            reg=positive(self.lam, "lam"),
            graph=Graph(knn_graph(X, k) + knn_graph(Y, k), indicator(labels)),
            gamma=non_negative(self.gamma, "gamma"),
        )


class FSCMFH(FactorizationModel):
    """Flexible supervised CMFH: a latent matrix for each modality, joined by the labels.

    Minimises over V_m (n, r), U_m and P_m of both modalities m

        Σ_m [α_m ‖X_m - V_m U_m‖² + β ‖V_m - X_m P_m‖²]
        + (γ / 2) Σ_ij S_ij [Σ_m ‖v_mi - v_mj‖² + 2 η ‖v_xi - v_yj‖²] + λ (squares of all blocks),

    where S = L Lᵀ counts the classes that two items share: the first sum in brackets keeps each
    modality's items together within a class, the second pulls both modalities together.

    Parameters
    ----------
    n_bits : int, default=64
        Length r of the codes.
    alpha : float, default=0.5
        Weight α_x of the images, between 0 and 1; the texts have α_y = 1 - α_x.
    beta : float, default=100
        β > 0: weight of the linear maps.
    gamma : float, default=1
        γ >= 0: weight of the label graph.
    eta : float, default=1
        η >= 0: weight of its links between the modalities. With 0 they do not meet at all.
    lam : float, default=0.01
        λ > 0: penalty on all blocks.
    max_iter, tol, random_state, verbose
        As in :class:`CMFH`.

    Attributes
    ----------
    P_image_, P_text_ : ndarray of shape (p, n_bits), (q, n_bits)
        Maps from standardised features to the latent spaces.
    V_image_, V_text_ : ndarray of shape (n, n_bits)
        Latent rows of the training items.
    B_image_, B_text_ : ndarray of shape (n, n_bits), int8
        Their codes; both modalities of a pair may differ.
    threshold_image_, threshold_text_ : ndarray of shape (n_bits,)
        Means of the training scores.
    history_ : list of float
        Objective before the first and after each sweep.

    Raises
    ------
    ValueError
        From ``fit``: if a hyper-parameter is out of its range.

    Notes
    -----
    **The formula is reconstructed.** The paper's abstract [1]_ states individual latent spaces for
    the modalities, and label consistency within and across them as one joint graph term; the form
    of the graph term, the linear maps in the loop and the letters are taken over from SMFH here.
    The paper's own weights may differ.

    The joint graph has 2n items and weights S within a modality, η S across. For V_x the equation
    is γ [(1 + η) D - S] V_x + V_x A = C + γ η S V_y, solved without any n x n array.

    References
    ----------
    .. [1] X. Liu, A. Li, J.-X. Du, S.-J. Peng and W. Fan, "Efficient cross-modal retrieval via
       flexible supervised collective matrix factorization hashing", Multimedia Tools and
       Applications 77 (2018).

    Examples
    --------
    >>> from cmrlib.datasets import make_hidden_signal
    >>> from cmrlib.hashing.factorization import FSCMFH
    >>> data = make_hidden_signal(100, random_state=0)
    >>> model = FSCMFH(n_bits=8, random_state=0).fit(data.image, data.text, data.labels)
    >>> model.B_image_.shape == model.B_text_.shape == (100, 8)
    True
    """

    uses_labels = True

    def __init__(
        self,
        n_bits: int = 64,
        *,
        alpha: float = 0.5,
        beta: float = 100.0,
        gamma: float = 1.0,
        eta: float = 1.0,
        lam: float = 0.01,
        max_iter: int = 50,
        tol: float = 1e-5,
        random_state: int | None = None,
        verbose: bool = False,
    ) -> None:
        self.n_bits = n_bits
        self.alpha = alpha
        self.beta = beta
        self.gamma = gamma
        self.eta = eta
        self.lam = lam
        self.max_iter = max_iter
        self.tol = tol
        self.random_state = random_state
        self.verbose = verbose

    def _alternation(
        self, X: Array, Y: Array, labels: Array | None, rng: np.random.RandomState
    ) -> Alternation:
        assert labels is not None
        alpha, beta = share(self.alpha, "alpha"), positive(self.beta, "beta")
        gamma, eta = non_negative(self.gamma, "gamma"), non_negative(self.eta, "eta")
        lam = positive(self.lam, "lam")
        project_image, project_text = Projection(X, lam / beta), Projection(Y, lam / beta)
        graph, within = Graph(factor=indicator(labels)), Graph(factor=indicator(labels))
        within.degrees = (1 + eta) * graph.degrees  # links to the other modality count as well

        def latent(X: Array, U: Array, P: Array, weight: float, other: Array) -> Array:
            A, C = pull(X, U, P, weight, beta)
            A[np.diag_indices_from(A)] += lam
            return smooth_latent(A, C + gamma * eta * graph.product(other), within, gamma)

        def objective(s: State) -> float:
            loss = alpha * squared(s.X - s.V_image @ s.U_image)
            loss += (1 - alpha) * squared(s.Y - s.V_text @ s.U_text)
            loss += beta * squared(s.V_image - s.X @ s.P_image)
            loss += beta * squared(s.V_text - s.Y @ s.P_text)
            rough = within.smoothness(s.V_image) + within.smoothness(s.V_text)
            rough -= 2 * eta * float(np.vdot(s.V_image, graph.product(s.V_text)))
            blocks = (s.U_image, s.U_text, s.V_image, s.V_text, s.P_image, s.P_text)
            return loss + gamma * rough + lam * sum(squared(M) for M in blocks)

        start = collective_start(X, Y, self.n_bits)
        start.V_image, start.V_text = rng.normal(size=(2, len(X), self.n_bits))
        return Alternation(
            start,
            {
                "U_image": lambda s: ridge(s.V_image, s.X, lam / alpha),
                "U_text": lambda s: ridge(s.V_text, s.Y, lam / (1 - alpha)),
                "V_image": lambda s: latent(s.X, s.U_image, s.P_image, alpha, s.V_text),
                "V_text": lambda s: latent(s.Y, s.U_text, s.P_text, 1 - alpha, s.V_image),
                "P_image": lambda s: project_image(s.V_image),
                "P_text": lambda s: project_text(s.V_text),
            },
            objective,
        )

    def _store(self, s: State) -> None:
        self.V_image_, self.V_text_ = s.V_image, s.V_text
        self.B_image_, self.B_text_ = bits(s.V_image), bits(s.V_text)
