"""Matrix factorisation hashing that factors the labels, too, or lets them dictate the factors.

LCMF factors the label matrix as a third view; LCMFH goes further and makes the labels the only
source of the latent matrix, V = L Z.
"""

from __future__ import annotations

from collections.abc import Callable
from numbers import Integral
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.preprocessing import StandardScaler
from sklearn.utils import check_random_state, check_scalar

from cmrlib._linalg import ridge
from cmrlib.alternating import Alternation, State
from cmrlib.base import HashModel
from cmrlib.hashing._discrete import sign
from cmrlib.hashing._features import standardiser
from cmrlib.hashing._graphs import label_factor
from cmrlib.hashing._twostep import KernelLogisticMap
from cmrlib.hashing.factorization import (
    FactorizationModel,
    Projection,
    bits,
    collective_equations,
    collective_objective,
    collective_start,
    indicator,
    non_negative,
    positive,
    share,
    squared,
)

Array = NDArray[Any]
Step = Callable[[State], Array]

LATENT = ("V_image", "V_text", "V_label")
SHARED = ("U_image", "U_text", "U_label", "W_image", "W_text")  # do not belong to single items
MAP_ITER = 100  # iterations of a logistic regression; more change codes of queries little


class LCMF(HashModel):
    """Label consistent matrix factorisation hashing: the labels are a third view.

    Stage 1 factors the images, the texts and the label matrix L, each with a latent matrix of its
    own, and links the first two to the third [1]_: it minimises

        λ_x ‖X - V_x U_x‖² + λ_y ‖Y - V_y U_y‖² + λ_l ‖L - V_l U_l‖²
        + α_x ‖V_l - V_x W_x‖² + α_y ‖V_l - V_y W_y‖² + γ (squares of all blocks)

    one block at a time, each in closed form, and takes the signs of V_l, or of V_m W_m, as codes
    of the training items. Stage 2 learns them from the features, by a kernel logistic regression
    for each bit and modality.

    Parameters
    ----------
    n_bits : int, default=64
        Length r of the codes.
    lam_image, lam_text, lam_label : float, default=1
        λ_x, λ_y, λ_l > 0: weights of the images, texts and labels.
    alpha_image, alpha_text : float, default=0.1
        α_x, α_y >= 0: weights of the links to the labels. With 0 a modality is on its own.
    gamma : float, default=0.1
        γ > 0: penalty on all blocks.
    codes : {"labels", "links"}, default="labels"
        "labels" for B_x = B_y = sign(V_l), "links" for B_m = sign(V_m W_m).
    batch_size : int, optional
        Learn stage 1 from so many pairs at a time. By default from all at once.
    rho : float, default=0.1
        ρ, with batches: after the first batch, U and W move by a share of ρ at each step,
        (1 - ρ) old + ρ new, so that they remember earlier batches.
    reg : float, default=1e-5
        Penalty of the logistic regressions.
    n_anchors : int, default=500
        Anchors of their radial basis functions.
    n_map : int, default=5000
        Most training items that stage 2 learns from.
    max_iter : int, default=50
        Most sweeps of stage 1, in each batch.
    tol : float, default=1e-6
        Stop stage 1 when a sweep lowers the objective by less than this share.
    random_state : int, optional
        Seed of the start, the batches and the anchors.
    verbose : bool, default=False
        Show a progress bar of stage 1.

    Attributes
    ----------
    B_image_, B_text_ : ndarray of shape (n, n_bits), int8
        Stage-1 codes of the training items. With ``codes="labels"`` both are the same.
    V_image_, V_text_, V_label_ : ndarray of shape (n, n_bits)
        Latent rows of the training pairs.
    map_image_, map_text_ : KernelLogisticMap
        Stage 2.
    scaler_image_, scaler_text_ : StandardScaler
    history_ : list of float
        Objective of stage 1 before the first and after each sweep; with batches, of one batch
        after the other.

    Raises
    ------
    ValueError
        From ``fit``: if a hyper-parameter is out of its range.

    Notes
    -----
    The paper writes the codes as B_m = sign(V_m W_m). The authors' published code takes sign(V_l)
    for both modalities, and only that comes near the figures of the paper, so it is the default.

    The paper reports two results, which differ by what the database holds. "Ours 1" encodes
    database items anew from both modalities: :meth:`encode_pairs`. "Ours 2" keeps the stage-1
    codes, ``B_image_`` or ``B_text_``, which were learnt *with the labels of the database*. The
    second is far higher and answers another question: how well queries find items that a person
    has labelled.

    The authors' code divides where the paper multiplies: MATLAB's ``gamma\\lambda`` is λ / γ. Here
    the steps solve the printed objective, with γ / λ. Their code also penalises the logistic
    regressions by wᵀK w; here by ‖w‖² (:class:`~cmrlib.hashing._twostep.KernelLogisticMap`). The
    paper centres the features, here they are standardised as well. It does not state the order of
    items in batches; here it is random. Nor the start: here the V are drawn from a normal
    distribution, U and W are 0.

    Stage 1 costs O(n (p + q + c) r) a sweep; no array has n x n entries.

    References
    ----------
    .. [1] D. Mandal and S. Biswas, "Label consistent matrix factorization based hashing for
       cross-modal retrieval", ICIP (2017).

    Examples
    --------
    >>> from cmrlib.datasets import make_hidden_signal
    >>> from cmrlib.hashing.label_factorization import LCMF
    >>> data = make_hidden_signal(100, random_state=0)
    >>> model = LCMF(n_bits=8, max_iter=20, random_state=0)
    >>> model = model.fit(data.image, data.text, data.labels)
    >>> model.encode_pairs(data.image[:3], data.text[:3]).shape
    (3, 8)
    """

    uses_labels = True

    def __init__(
        self,
        n_bits: int = 64,
        *,
        lam_image: float = 1.0,
        lam_text: float = 1.0,
        lam_label: float = 1.0,
        alpha_image: float = 0.1,
        alpha_text: float = 0.1,
        gamma: float = 0.1,
        codes: str = "labels",
        batch_size: int | None = None,
        rho: float = 0.1,
        reg: float = 1e-5,
        n_anchors: int = 500,
        n_map: int = 5000,
        max_iter: int = 50,
        tol: float = 1e-6,
        random_state: int | None = None,
        verbose: bool = False,
    ) -> None:
        self.n_bits = n_bits
        self.lam_image = lam_image
        self.lam_text = lam_text
        self.lam_label = lam_label
        self.alpha_image = alpha_image
        self.alpha_text = alpha_text
        self.gamma = gamma
        self.codes = codes
        self.batch_size = batch_size
        self.rho = rho
        self.reg = reg
        self.n_anchors = n_anchors
        self.n_map = n_map
        self.max_iter = max_iter
        self.tol = tol
        self.random_state = random_state
        self.verbose = verbose

    def _alternation(
        self,
        X: Array,
        Y: Array,
        L: Array,
        rng: np.random.RandomState,
        before: State | None = None,
    ) -> Alternation:
        """Return stage 1 for one batch; `before` is the state after the batch before it."""
        lam_image = positive(self.lam_image, "lam_image")
        lam_text = positive(self.lam_text, "lam_text")
        lam_label = positive(self.lam_label, "lam_label")
        alpha_image = non_negative(self.alpha_image, "alpha_image")
        alpha_text = non_negative(self.alpha_text, "alpha_text")
        gamma, r = positive(self.gamma, "gamma"), self.n_bits
        eye = np.eye(r)

        def view(X: Array, U: Array, W: Array, V_label: Array, lam: float, alpha: float) -> Array:
            A = lam * U @ U.T + alpha * W @ W.T + gamma * eye
            V: Array = np.linalg.solve(A, (lam * X @ U.T + alpha * V_label @ W.T).T).T
            return V

        def label(s: State) -> Array:
            A = lam_label * s.U_label @ s.U_label.T + (alpha_image + alpha_text + gamma) * eye
            C = lam_label * s.L @ s.U_label.T
            C += alpha_image * s.V_image @ s.W_image + alpha_text * s.V_text @ s.W_text
            V: Array = np.linalg.solve(A, C.T).T
            return V

        def link(V: Array, V_label: Array, alpha: float) -> Array:
            return ridge(V, V_label, gamma / alpha) if alpha > 0 else np.zeros((r, r))

        def objective(s: State) -> float:
            return (
                lam_image * squared(s.X - s.V_image @ s.U_image)
                + lam_text * squared(s.Y - s.V_text @ s.U_text)
                + lam_label * squared(s.L - s.V_label @ s.U_label)
                + alpha_image * squared(s.V_label - s.V_image @ s.W_image)
                + alpha_text * squared(s.V_label - s.V_text @ s.W_text)
                + gamma * sum(squared(getattr(s, name)) for name in steps)
            )

        start = State(X=X, Y=Y, L=L)
        for name, features in (("image", X), ("text", Y), ("label", L)):
            setattr(start, f"V_{name}", rng.normal(size=(len(X), r)))
            setattr(start, f"U_{name}", np.zeros((r, features.shape[1])))
        start.W_image, start.W_text = np.zeros((2, r, r))

        steps: dict[str, Step] = {
            "U_image": lambda s: ridge(s.V_image, s.X, gamma / lam_image),
            "U_text": lambda s: ridge(s.V_text, s.Y, gamma / lam_text),
            "U_label": lambda s: ridge(s.V_label, s.L, gamma / lam_label),
            "V_image": lambda s: view(
                s.X, s.U_image, s.W_image, s.V_label, lam_image, alpha_image
            ),
            "V_text": lambda s: view(s.Y, s.U_text, s.W_text, s.V_label, lam_text, alpha_text),
            "V_label": label,
            "W_image": lambda s: link(s.V_image, s.V_label, alpha_image),
            "W_text": lambda s: link(s.V_text, s.V_label, alpha_text),
        }  # fmt: skip
        if before is None:
            return Alternation(start, steps, objective)
        for name in SHARED:
            setattr(start, name, getattr(before, name))
        rho = share(self.rho, "rho")
        damped = {
            name: _damped(name, step, rho) if name in SHARED else step
            for name, step in steps.items()
        }
        return Alternation(start, damped, objective)

    def _stage_1(self, X: Array, Y: Array, L: Array, rng: np.random.RandomState) -> State:
        """Return V_image, V_text, V_label, W_image and W_text, learnt from batches if asked to."""
        max_iter = check_scalar(self.max_iter, "max_iter", Integral, min_val=1)
        tol = non_negative(self.tol, "tol")
        n = len(X)
        result = State(history=[], **{name: np.empty((n, self.n_bits)) for name in LATENT})
        codes_image, codes_text = np.empty((2, n, self.n_bits))
        batches = [np.arange(n)]
        if self.batch_size is not None:
            size = check_scalar(self.batch_size, "batch_size", Integral, min_val=2)
            batches = np.array_split(rng.permutation(n), -(-n // size))
        s = None
        for rows in batches:
            alternation = self._alternation(X[rows], Y[rows], L[rows], rng, s)
            result.history += alternation.run(max_iter, tol, verbose=self.verbose)
            s = alternation.state
            for name in LATENT:
                getattr(result, name)[rows] = getattr(s, name)
            codes_image[rows], codes_text[rows] = s.V_image @ s.W_image, s.V_text @ s.W_text
        if self.codes == "labels":
            codes_image = codes_text = result.V_label
        result.B_image = sign(codes_image).astype(np.int8)
        result.B_text = sign(codes_text).astype(np.int8)
        return result

    def _fit(self, X: Array, Y: Array, labels: Array | None) -> None:
        assert labels is not None
        if self.codes not in ("links", "labels"):
            raise ValueError(f"codes must be 'links' or 'labels', got {self.codes!r}.")
        reg = positive(self.reg, "reg")
        n_anchors = check_scalar(self.n_anchors, "n_anchors", Integral, min_val=1)
        n_map = check_scalar(self.n_map, "n_map", Integral, min_val=2)
        rng = check_random_state(self.random_state)
        scaler_image, scaler_text = standardiser(X), standardiser(Y)
        X, Y = scaler_image.transform(X), scaler_text.transform(Y)
        s = self._stage_1(X, Y, indicator(labels), rng)

        rows = np.arange(len(X)) if len(X) <= n_map else np.sort(rng.permutation(len(X))[:n_map])
        map_image = KernelLogisticMap(reg, n_anchors, rng, MAP_ITER)
        map_text = KernelLogisticMap(reg, n_anchors, rng, MAP_ITER)
        self.map_image_ = map_image.fit(X[rows], s.B_image[rows].astype(float))
        self.map_text_ = map_text.fit(Y[rows], s.B_text[rows].astype(float))
        self.scaler_image_: StandardScaler = scaler_image
        self.scaler_text_: StandardScaler = scaler_text
        self.V_image_, self.V_text_, self.V_label_ = s.V_image, s.V_text, s.V_label
        self.B_image_, self.B_text_ = s.B_image, s.B_text
        self.history_: list[float] = s.history

    def _encode_image(self, X: Array) -> Array:
        return self.map_image_.scores(self.scaler_image_.transform(X))

    def _encode_text(self, Y: Array) -> Array:
        return self.map_text_.scores(self.scaler_text_.transform(Y))

    def encode_pairs(self, image: ArrayLike, text: ArrayLike) -> NDArray[np.int8]:
        """Hash items of which both modalities are known: the database codes of "Ours 1".

        A bit is +1 if that is more probable than -1 under both regressions together, that is, if
        the sum of their log odds is not negative.

        Parameters
        ----------
        image : array-like of shape (n, p)
        text : array-like of shape (n, q)

        Returns
        -------
        codes : ndarray of shape (n, n_bits), int8
        """
        X, Y = self._check_encodable(image, "image"), self._check_encodable(text, "text")
        if len(X) != len(Y):
            raise ValueError(
                f"image has {len(X)} rows and text has {len(Y)}; row i of both must be one pair."
            )
        return sign(self._encode_image(X) + self._encode_text(Y)).astype(np.int8)


def _damped(name: str, step: Step, rho: float) -> Step:
    """Return the step that goes a share `rho` of the way to the minimiser."""

    def update(s: State) -> Array:
        moved: Array = (1 - rho) * getattr(s, name) + rho * step(s)
        return moved

    return update


class LCMFH(FactorizationModel):
    """Label consistent matrix factorisation hashing (TPAMI 2019): V = L Z, one row for a class.

    The objective of :class:`~cmrlib.hashing.factorization.CMFH` over Z (c, r) in place of V
    [1]_: with V = L Z it minimises

        λ ‖X - V U_x‖² + (1 - λ) ‖Y - V U_y‖² + μ (‖V - X P_x‖² + ‖V - Y P_y‖²)
        + γ (‖U_x‖² + ‖U_y‖² + ‖V‖² + ‖P_x‖² + ‖P_y‖²),

    where L (n, c) holds the labels, each row scaled to length 1. Items with the same labels
    therefore have the same latent row and the same code, exactly, and V has rank c at most.

    Parameters
    ----------
    n_bits : int, default=64
        Length r of the codes.
    lam : float, default=0.5
        λ, between 0 and 1: how much the images count against the texts.
    mu : float, default=10
        μ > 0: weight of the linear maps.
    gamma : float, default=0.001
        γ > 0: penalty on all blocks.
    max_iter : int, default=50
        Most sweeps over the blocks.
    tol : float, default=1e-6
        Stop when a sweep lowers the objective by less than this share.
    random_state : int, optional
        Seed of the start.
    verbose : bool, default=False
        Show a progress bar.

    Attributes
    ----------
    Z_ : ndarray of shape (c, n_bits)
        Latent rows of the classes.
    V_ : ndarray of shape (n, n_bits)
        L Z.
    B_ : ndarray of shape (n, n_bits), int8
        Codes of the training pairs, sign(V - mean).
    P_image_, P_text_ : ndarray of shape (p, n_bits), (q, n_bits)
        Maps from standardised features to the latent space.
    threshold_image_, threshold_text_ : ndarray of shape (n_bits,)
        Mean of the training scores.
    history_ : list of float
        Objective before the first and after each sweep.

    Raises
    ------
    ValueError
        From ``fit``: if a hyper-parameter is out of its range.

    Notes
    -----
    The authors' code binarises the queries by the mean of *their own* scores: a code then depends
    on the other queries, and a single query always scores 0. Here the threshold is the mean of the
    training scores. Their code also prints the objective with norms that are not squared, while
    its steps minimise the squared ones, as here. Defaults of λ, μ and γ are those of the code,
    which centres the features; here they are standardised.

    If columns of L are dependent, Z is not unique, but V is; the Z of least norm is taken.

    A sweep costs O(n (p + q) r); no array has n x n entries.

    References
    ----------
    .. [1] D. Wang, X. Gao, X. Wang and L. He, "Label consistent matrix factorization hashing for
       large-scale cross-modal similarity search", IEEE Transactions on Pattern Analysis and
       Machine Intelligence 41 (2019).

    Examples
    --------
    >>> from cmrlib.datasets import make_hidden_signal
    >>> from cmrlib.hashing.label_factorization import LCMFH
    >>> data = make_hidden_signal(100, n_classes=5, random_state=0)
    >>> model = LCMFH(n_bits=8, random_state=0).fit(data.image, data.text, data.labels)
    >>> model.Z_.shape
    (5, 8)
    """

    uses_labels = True

    def __init__(
        self,
        n_bits: int = 64,
        *,
        lam: float = 0.5,
        mu: float = 10.0,
        gamma: float = 0.001,
        max_iter: int = 50,
        tol: float = 1e-6,
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
        assert labels is not None
        lam, mu, gamma = (
            share(self.lam, "lam"),
            positive(self.mu, "mu"),
            positive(self.gamma, "gamma"),
        )
        project_image, project_text = Projection(X, gamma / mu), Projection(Y, gamma / mu)
        L = label_factor(labels)
        L_inverse = np.linalg.pinv(L)  # (c, n), (LᵀL)⁻¹Lᵀ where that exists

        def classes(s: State) -> Array:
            A, C = collective_equations(s, lam, mu, gamma)
            Z: Array = np.linalg.solve(A, (L_inverse @ C).T).T
            return Z

        start = collective_start(X, Y, self.n_bits)
        start.L, start.Z = L, rng.normal(size=(L.shape[1], self.n_bits))
        return Alternation(
            start,
            {
                "U_image": lambda s: ridge(s.L @ s.Z, s.X, gamma / lam),
                "U_text": lambda s: ridge(s.L @ s.Z, s.Y, gamma / (1 - lam)),
                "Z": classes,
                "P_image": lambda s: project_image(s.L @ s.Z),
                "P_text": lambda s: project_text(s.L @ s.Z),
            },
            lambda s: collective_objective(s, s.L @ s.Z, lam, mu, gamma),
        )

    def _store(self, s: State) -> None:
        self.Z_, self.V_ = s.Z, s.L @ s.Z
        self.B_ = bits(self.V_)
