"""Supervised hashing that keeps its codes binary while it learns: SCRATCH and MTFH."""

from __future__ import annotations

from numbers import Integral
from types import SimpleNamespace

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.utils import check_random_state, check_scalar

from cmrlib._linalg import procrustes, ridge, ridge_solver
from cmrlib.alternating import Alternation, State
from cmrlib.base import HashModel, UnpairedModel
from cmrlib.hashing._discrete import cyclic_bits, sign
from cmrlib.hashing._features import Anchors, standardiser
from cmrlib.hashing._graphs import label_factor
from cmrlib.hashing._twostep import KernelLogisticMap

Array = NDArray[np.float64]
Labels = NDArray[np.int64]


class SCRATCH(HashModel):
    """SCRATCH: collective matrix factorisation of kernel features and labels, discrete codes.

    With Φ_m the features of modality m compared with anchors (n, m), L the labels (n, c), a shared
    representation V (n, r), a rotation R and codes B, it minimises [1]_

        Σ_m λ_m ||Φ_m - V U_m||² + alpha ||L - V G||² + mu Σ_m ||V - Φ_m W_m||² + ||B - V R||²
        + gamma (Σ_m ||U_m||² + ||G||² + Σ_m ||W_m||² + ||V||²),  RᵀR = I,  B in {-1, +1},

    one block at a time: all but R (a Procrustes problem) and B (a sign) are ridge regressions. The
    code of a new item is sign(φ(x) W_m R). The cost of a sweep is linear in n.

    Parameters
    ----------
    n_bits : int, default=64
        Code length r.
    lambda_image : float, default=0.5
        Weight λ of the image features; the text features have 1 - λ.
    alpha : float, default=500.0
        Weight of the labels.
    mu : float, default=1000.0
        Weight of the hash functions.
    gamma : float, default=5.0
        Ridge.
    n_anchors : int, default=500
        Radial basis functions a modality; all training items if there are fewer.
    max_iter : int, default=20
        Number of sweeps.
    random_state : int, RandomState or None
        Of the anchors and the starting values.
    verbose : bool, default=False
        Show a progress bar.

    Attributes
    ----------
    W_image_, W_text_ : ndarray of shape (n_anchors, r)
    R_ : ndarray of shape (r, r)
        The rotation.
    B_ : ndarray of shape (n, r), int8
        Learnt codes B of the training pairs.
    history_ : list of float
        The objective before the first and after each sweep.

    Notes
    -----
    Written with items as rows; the paper has them as columns. The default weights are those of the
    authors' demonstration. The bandwidth of the radial basis functions is
    :class:`~cmrlib.hashing._features.Anchors`'. Features are standardised first: unless they have
    comparable scales, the labels are drowned. Class numbers enter L as one-hot rows.

    References
    ----------
    .. [1] C.-X. Li et al., "SCRATCH: a scalable discrete matrix factorization hashing for
       cross-modal retrieval", ACM Multimedia (2018).

    Examples
    --------
    >>> from cmrlib.datasets import make_hidden_signal
    >>> from cmrlib.hashing import SCRATCH
    >>> data = make_hidden_signal(random_state=0)
    >>> model = SCRATCH(n_bits=16, random_state=0).fit(data.image, data.text, data.labels)
    >>> model.encode_image(data.image[:2]).shape
    (2, 16)
    """

    uses_labels = True

    def __init__(
        self,
        n_bits: int = 64,
        *,
        lambda_image: float = 0.5,
        alpha: float = 500.0,
        mu: float = 1000.0,
        gamma: float = 5.0,
        n_anchors: int = 500,
        max_iter: int = 20,
        random_state: int | np.random.RandomState | None = None,
        verbose: bool = False,
    ) -> None:
        self.n_bits = n_bits
        self.lambda_image = lambda_image
        self.alpha = alpha
        self.mu = mu
        self.gamma = gamma
        self.n_anchors = n_anchors
        self.max_iter = max_iter
        self.random_state = random_state
        self.verbose = verbose

    def _fit(self, X: Array, Y: Array, labels: Labels | None) -> None:
        assert labels is not None  # fit has refused to go on without
        rng = check_random_state(self.random_state)
        scaler_image, scaler_text = standardiser(X), standardiser(Y)
        X, Y = scaler_image.transform(X), scaler_text.transform(Y)
        anchors_image = Anchors.fit(X, self.n_anchors, rng)
        anchors_text = Anchors.fit(Y, self.n_anchors, rng)
        alternation = self._alternation(
            anchors_image.transform(X), anchors_text.transform(Y), _one_hot(labels), rng
        )
        self.history_ = alternation.run(self.max_iter, verbose=self.verbose)
        s = alternation.state
        self.scaler_image_, self.scaler_text_ = scaler_image, scaler_text
        self.anchors_image_, self.anchors_text_ = anchors_image, anchors_text
        self.W_image_, self.W_text_, self.R_ = s.W_image, s.W_text, s.R
        self.B_ = s.B.astype(np.int8)

    def _alternation(
        self, Phi: Array, Psi: Array, L: Array, rng: np.random.RandomState
    ) -> Alternation:
        r, lam, alpha, mu, gamma = self.n_bits, self.lambda_image, self.alpha, self.mu, self.gamma
        onto_images, onto_texts = ridge_solver(Phi, gamma / mu), ridge_solver(Psi, gamma / mu)

        def update_V(s: State) -> Array:
            left = (
                lam * s.U_image @ s.U_image.T
                + (1 - lam) * s.U_text @ s.U_text.T
                + alpha * s.G @ s.G.T
                + (2 * mu + 1 + gamma) * np.eye(r)  # ||V R|| = ||V||
            )
            right = (
                lam * s.Phi @ s.U_image.T
                + (1 - lam) * s.Psi @ s.U_text.T
                + alpha * s.L @ s.G.T
                + mu * (s.Phi @ s.W_image + s.Psi @ s.W_text)
                + s.B @ s.R.T
            )
            return np.linalg.solve(left, right.T).T

        n = len(Phi)
        state = SimpleNamespace(
            Phi=Phi,
            Psi=Psi,
            L=L,
            V=rng.normal(size=(n, r)),
            B=sign(rng.normal(size=(n, r))),
            R=np.linalg.qr(rng.normal(size=(r, r)))[0],
            W_image=np.zeros((Phi.shape[1], r)),
            W_text=np.zeros((Psi.shape[1], r)),
            U_image=np.zeros((r, Phi.shape[1])),
            U_text=np.zeros((r, Psi.shape[1])),
            G=np.zeros((r, L.shape[1])),
        )
        updates = {
            "U_image": lambda s: ridge(s.V, s.Phi, gamma / lam),
            "U_text": lambda s: ridge(s.V, s.Psi, gamma / (1 - lam)),
            "G": lambda s: ridge(s.V, s.L, gamma / alpha),
            "W_image": lambda s: onto_images(s.V),
            "W_text": lambda s: onto_texts(s.V),
            "V": update_V,
            "R": lambda s: procrustes(s.V.T @ s.B),
            "B": lambda s: sign(s.V @ s.R),
        }

        def objective(s: State) -> float:
            fit = lam * _squared(s.Phi - s.V @ s.U_image)
            fit += (1 - lam) * _squared(s.Psi - s.V @ s.U_text)
            hash_functions = _squared(s.V - s.Phi @ s.W_image) + _squared(s.V - s.Psi @ s.W_text)
            blocks = (s.U_image, s.U_text, s.G, s.W_image, s.W_text, s.V)
            return (
                fit
                + alpha * _squared(s.L - s.V @ s.G)
                + mu * hash_functions
                + _squared(s.B - s.V @ s.R)
                + gamma * sum(map(_squared, blocks))
            )

        return Alternation(state, updates, objective)

    def _encode_image(self, X: Array) -> Array:
        Phi = self.anchors_image_.transform(self.scaler_image_.transform(X))
        scores: Array = Phi @ self.W_image_ @ self.R_
        return scores

    def _encode_text(self, Y: Array) -> Array:
        Psi = self.anchors_text_.transform(self.scaler_text_.transform(Y))
        scores: Array = Psi @ self.W_text_ @ self.R_
        return scores


class MTFH(UnpairedModel, HashModel):
    """Matrix tri-factorisation hashing: codes of unequal lengths, learnt from unpaired items.

    n images and m texts, not necessarily pairs, have semantic similarities S (n, m). Images have
    codes U of length q1, texts codes V of length q2; Ũ (m, q1) are codes of the texts in the
    images' length, Ṽ (n, q2) of the images in the texts' length, and H1, H2 (q1, q2) map a code
    into the other length. All four codes are in {-1, +1} and minimise [1]_

        alpha ||S - U Ũᵀ / q1||² + (1 - alpha) ||S - Ṽ Vᵀ / q2||²
        + beta (||Ũ - V H1ᵀ||² + ||Ṽ - U H2||²) + ridge beta (||H1||² + ||H2||²),

    one bit column of one of them at a time, each in closed form. Kernel logistic regression then
    learns one hash function a bit, from features to U and to V.

    Parameters
    ----------
    n_bits : int, default=64
        Code length q2 of the texts, and of the space in which ``encode`` and ``similarity``
        compare: the code of an image is mapped there, sign(u H2).
    n_bits_image : int, optional
        Code length q1 of the images; `n_bits` by default. :meth:`encode_in` has the space of the
        images' codes.
    alpha : float, default=0.5
        Weight of the first factorisation, between 0 and 1, both excluded.
    beta : float, default=0.1
        Weight of the maps between the lengths.
    ridge : float, default=0.1
        Of the maps.
    penalty : float, default=1e-4
        Of the kernel logistic regressions.
    n_anchors : int, default=500
        Radial basis functions a modality; all training items if there are fewer.
    max_iter : int, default=20
        Most sweeps.
    tol : float, default=1e-4
        Stop when a sweep lowers the objective by less than this share.
    random_state : int, RandomState or None
        Of the anchors and the starting codes.
    verbose : bool, default=False
        Show a progress bar.

    Attributes
    ----------
    B_image_ : ndarray of shape (n, q1), int8
        Learnt codes U of the training images.
    B_text_ : ndarray of shape (m, q2), int8
        Learnt codes V of the training texts.
    H1_, H2_ : ndarray of shape (q1, q2)
    history_ : list of float
        The objective before the first and after each sweep.

    Raises
    ------
    ValueError
        From ``fit``: if a weight or a length is out of its range.

    Notes
    -----
    S is the cosine of the label vectors, which for class numbers says whether two items share
    their class. It is used as F_image F_textᵀ and never made: time and memory are linear in the
    number of items. A column step starts from the present codes and goes through the columns in
    order; the authors' programme averages three runs that go through a random beginning of them.

    The weights alpha, beta and ridge of the default are those of the authors' demonstration. The
    paper's kernel logistic regression penalises the norm in the kernel's space, here that of the
    coefficients.

    References
    ----------
    .. [1] X. Liu, Z. Hu, H. Ling and Y.-M. Cheung, "MTFH: a matrix tri-factorization hashing
       framework for efficient cross-modal retrieval", IEEE TPAMI 43(3) (2021).

    Examples
    --------
    >>> from cmrlib.datasets import make_hidden_signal
    >>> from cmrlib.hashing import MTFH
    >>> data = make_hidden_signal(200, random_state=0)
    >>> model = MTFH(16, n_bits_image=8, random_state=0)
    >>> model = model.fit_unpaired(data.image, data.labels, data.text[:150], data.labels[:150])
    >>> model.B_image_.shape, model.B_text_.shape
    ((200, 8), (150, 16))
    """

    uses_labels = True

    def __init__(
        self,
        n_bits: int = 64,
        *,
        n_bits_image: int | None = None,
        alpha: float = 0.5,
        beta: float = 0.1,
        ridge: float = 0.1,
        penalty: float = 1e-4,
        n_anchors: int = 500,
        max_iter: int = 20,
        tol: float = 1e-4,
        random_state: int | np.random.RandomState | None = None,
        verbose: bool = False,
    ) -> None:
        self.n_bits = n_bits
        self.n_bits_image = n_bits_image
        self.alpha = alpha
        self.beta = beta
        self.ridge = ridge
        self.penalty = penalty
        self.n_anchors = n_anchors
        self.max_iter = max_iter
        self.tol = tol
        self.random_state = random_state
        self.verbose = verbose

    def _fit_unpaired(self, X: Array, L: Labels, Y: Array, M: Labels) -> None:
        q2 = check_scalar(self.n_bits, "n_bits", Integral, min_val=1)
        q1 = q2
        if self.n_bits_image is not None:
            q1 = check_scalar(self.n_bits_image, "n_bits_image", Integral, min_val=1)
        if not 0 < self.alpha < 1:
            raise ValueError(f"alpha must lie between 0 and 1, got {self.alpha}.")
        rng = check_random_state(self.random_state)
        factor = label_factor(L if L.ndim == 2 else np.concatenate([L, M]))
        F_image, F_text = (
            (factor, label_factor(M)) if L.ndim == 2 else (factor[: len(L)], factor[len(L) :])
        )
        alternation = self._alternation(F_image, F_text, q1, q2, rng)
        history = alternation.run(self.max_iter, self.tol, verbose=self.verbose)
        s = alternation.state
        scaler_image, scaler_text = standardiser(X), standardiser(Y)
        maps = [
            KernelLogisticMap(self.penalty, self.n_anchors, rng).fit(Z, codes)
            for Z, codes in ((scaler_image.transform(X), s.U), (scaler_text.transform(Y), s.V))
        ]
        self.scaler_image_, self.scaler_text_ = scaler_image, scaler_text
        self.map_image_, self.map_text_ = maps
        self.B_image_, self.B_text_ = s.U.astype(np.int8), s.V.astype(np.int8)
        self.H1_, self.H2_ = s.H1, s.H2
        self.history_ = history

    def _alternation(
        self, F_image: Array, F_text: Array, q1: int, q2: int, rng: np.random.RandomState
    ) -> Alternation:
        alpha, beta, reg = self.alpha, self.beta, self.ridge

        def S(B: Array, s: State) -> Array:  # S B, for codes B of texts
            product: Array = s.F_image @ (s.F_text.T @ B)
            return product

        def S_transposed(B: Array, s: State) -> Array:  # SᵀB, for codes B of images
            product: Array = s.F_text @ (s.F_image.T @ B)
            return product

        def update_U(s: State) -> Array:
            P = alpha / q1**2 * s.U_other.T @ s.U_other + beta * s.H2 @ s.H2.T
            return cyclic_bits(s.U, P, alpha / q1 * S(s.U_other, s) + beta * s.V_other @ s.H2.T)

        def update_U_other(s: State) -> Array:
            P = alpha / q1**2 * s.U.T @ s.U
            Q = alpha / q1 * S_transposed(s.U, s) + beta * s.V @ s.H1.T
            return cyclic_bits(s.U_other, P, Q)

        def update_V(s: State) -> Array:
            P = (1 - alpha) / q2**2 * s.V_other.T @ s.V_other + beta * s.H1.T @ s.H1
            Q = (1 - alpha) / q2 * S_transposed(s.V_other, s) + beta * s.U_other @ s.H1
            return cyclic_bits(s.V, P, Q)

        def update_V_other(s: State) -> Array:
            P = (1 - alpha) / q2**2 * s.V.T @ s.V
            Q = (1 - alpha) / q2 * S(s.V, s) + beta * s.U @ s.H2
            return cyclic_bits(s.V_other, P, Q)

        def objective(s: State) -> float:
            maps = _squared(s.U_other - s.V @ s.H1.T) + _squared(s.V_other - s.U @ s.H2)
            return (
                alpha * _misfit(s.F_image, s.F_text, s.U, s.U_other / q1)
                + (1 - alpha) * _misfit(s.F_image, s.F_text, s.V_other, s.V / q2)
                + beta * (maps + reg * (_squared(s.H1) + _squared(s.H2)))
            )

        n, m = len(F_image), len(F_text)
        state = SimpleNamespace(
            F_image=F_image,
            F_text=F_text,
            U=sign(rng.normal(size=(n, q1))),
            U_other=sign(rng.normal(size=(m, q1))),  # Ũ
            V=sign(rng.normal(size=(m, q2))),
            V_other=sign(rng.normal(size=(n, q2))),  # Ṽ
            H1=np.zeros((q1, q2)),
            H2=np.zeros((q1, q2)),
        )
        updates = {
            "H1": lambda s: ridge(s.V, s.U_other, reg).T,
            "H2": lambda s: ridge(s.U, s.V_other, reg),
            "U": update_U,
            "U_other": update_U_other,
            "V": update_V,
            "V_other": update_V_other,
        }
        return Alternation(state, updates, objective)

    def _scores(self, X: Array, modality: str) -> Array:
        """Return scores in the modality's own code length."""
        if modality == "image":
            return self.map_image_.scores(self.scaler_image_.transform(X))
        return self.map_text_.scores(self.scaler_text_.transform(X))

    def _encode_image(self, X: Array) -> Array:
        scores: Array = sign(self._scores(X, "image")) @ self.H2_
        return scores

    def _encode_text(self, Y: Array) -> Array:
        return self._scores(Y, "text")

    def encode_in(self, X: ArrayLike, modality: str, space: str) -> NDArray[np.int8]:
        """Hash one modality into the code length of one of the two.

        Parameters
        ----------
        X : array-like of shape (n, p) or (n, q)
        modality : {"image", "text"}
            What `X` holds.
        space : {"image", "text"}
            Whose codes to compare with, of length q1 or q2. A query goes into the space of the
            modality that is searched.

        Returns
        -------
        ndarray of shape (n, q1) or (n, q2), int8

        Raises
        ------
        ValueError
            If a modality is neither "image" nor "text", and as ``encode``.
        """
        if space not in ("image", "text"):
            raise ValueError(f"space must be 'image' or 'text', got {space!r}.")
        if space == "text":
            return self.encode(X, modality)
        scores = self._scores(self._check_encodable(X, modality), modality)
        codes = sign(scores) if modality == "image" else sign(sign(scores) @ self.H1_.T)
        return codes.astype(np.int8)


def _squared(M: Array) -> float:
    return float(np.vdot(M, M))


def _misfit(F: Array, G: Array, A: Array, B: Array) -> float:
    """Return ||F Gᵀ - A Bᵀ||² without either (n, m) product."""
    return float(
        np.vdot(F.T @ F, G.T @ G) - 2 * np.vdot(F.T @ A, G.T @ B) + np.vdot(A.T @ A, B.T @ B)
    )


def _one_hot(labels: Labels) -> Array:
    """Return labels as (n, c) with entries 0 and 1."""
    if labels.ndim == 2:
        return labels.astype(np.float64)
    return (labels[:, None] == np.unique(labels)).astype(np.float64)
