"""Quantisation and alignment of codes: the two modalities' codes are sought together.

All three methods add a term to a quantisation error that ties the codes of an image to those of its
text. :class:`ACQ` lets each modality's codes answer for both, :class:`QCH` rewards equal bits while
it moves the directions themselves, and :class:`IMVH` looks for which bit of one view is which bit
of the other.
"""

from __future__ import annotations

from numbers import Real
from types import SimpleNamespace

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import eigh
from scipy.optimize import linear_sum_assignment
from sklearn.utils import check_random_state, check_scalar

from cmrlib._linalg import fix_signs, procrustes, whiten, whitened_cross_covariance
from cmrlib.alternating import Alternation, State
from cmrlib.hashing._discrete import sign
from cmrlib.hashing._features import standardiser
from cmrlib.hashing._model import LinearHashModel
from cmrlib.hashing.codes import CCAHashModel, random_rotation

Array = NDArray[np.float64]


class ACQ(CCAHashModel):
    """Alternating co-quantisation: a rotation for each modality, codes that answer for both.

    With V_1 and V_2 the canonical variates of images and texts, column k times rho_k ** power,

        min sum_m ||B_m - V_m R_m||² + gamma sum_m ||B_m - V_m' R_m'||²,  m' the other modality,

    over codes B_1, B_2 in {-1, +1} and rotations R_1, R_2, by turns: the rotation and codes of
    one modality given the other's, then the reverse [1]_.

    Parameters
    ----------
    n_bits : int, default=32
        Number r of canonical directions, and of bits.
    gamma : float, default=0.3
        Weight of the coupling. 0 makes two separate iterative quantisations; at 1 both codes are
        the sign of the same sum, and agree when the sweeps have converged.
    reg : float, default=1.0
        Unit-free ridge of CCA.
    power : float, default=1.0
        Columns are scaled by canonical correlations to this power.
    max_iter : int, default=50
        Number of sweeps.
    tol : float, default=1e-6
        Stop when a sweep lowers the objective by less than this share.
    random_state : int, RandomState or None, default=None
        Draws the first rotation, the same for both modalities.
    verbose : bool, default=False
        Show a progress bar.

    Attributes
    ----------
    R_image_, R_text_ : ndarray of shape (n_bits, n_bits)
        The rotations.
    B_image_, B_text_ : ndarray of int8, shape (n, n_bits)
        Codes of the training pairs, as the objective has them; ``encode`` looks at one modality
        alone and may differ.
    correlations_ : ndarray of shape (n_bits,)
        Canonical correlations.
    history_ : list of float
        Objective before the first and after each sweep.
    P_image_, P_text_ : ndarray of shape (p, n_bits), (q, n_bits)
        Projections of the standardised features, rotations included.

    Raises
    ------
    ValueError
        From ``fit``: if there are more bits than canonical directions.

    Notes
    -----
    Reconstructed: the paper's text was not available. Its abstract says that binary quantisers
    are sought alternately for each modality, with the help of connections to the other
    modality's data, on top of a projection such as CCA, for the least quantisation error. The
    form of the coupling, its weight, the scaling and the start are chosen here; for
    R_1 = R_2 and gamma = 0 they make the method CCA-ITQ.

    References
    ----------
    .. [1] G. Irie, H. Arai and Y. Taniguchi, "Alternating co-quantization for cross-modal
       hashing", ICCV (2015).

    Examples
    --------
    >>> from cmrlib.datasets import make_gaussian_views
    >>> from cmrlib.hashing import ACQ
    >>> views = make_gaussian_views(200, 6, 4, correlations=[0.9, 0.8], random_state=0)
    >>> model = ACQ(n_bits=2, gamma=1.0, random_state=0).fit(views.image, views.text)
    >>> bool((model.B_image_ == model.B_text_).all())
    True
    """

    def __init__(
        self,
        n_bits: int = 32,
        *,
        gamma: float = 0.3,
        reg: float = 1.0,
        power: float = 1.0,
        max_iter: int = 50,
        tol: float = 1e-6,
        random_state: int | np.random.RandomState | None = None,
        verbose: bool = False,
    ) -> None:
        self.n_bits = n_bits
        self.gamma = gamma
        self.reg = reg
        self.power = power
        self.max_iter = max_iter
        self.tol = tol
        self.random_state = random_state
        self.verbose = verbose

    def _alternation(
        self, V_image: Array, V_text: Array, rng: np.random.RandomState
    ) -> Alternation:
        g, R = self.gamma, random_rotation(V_image.shape[1], rng)
        state = SimpleNamespace(
            V_image=V_image,
            V_text=V_text,
            gamma=g,
            R_image=R,
            B_image=sign(V_image @ R),
            R_text=R,
            B_text=sign(V_text @ R),
        )
        updates = {
            "R_image": lambda s: procrustes(s.V_image.T @ (s.B_image + g * s.B_text)),
            "B_image": lambda s: sign(s.V_image @ s.R_image + g * (s.V_text @ s.R_text)),
            "R_text": lambda s: procrustes(s.V_text.T @ (s.B_text + g * s.B_image)),
            "B_text": lambda s: sign(s.V_text @ s.R_text + g * (s.V_image @ s.R_image)),
        }
        return Alternation(state, updates, _acq_objective)

    def _fit(self, X: Array, Y: Array, labels: Array | None) -> None:
        check_scalar(self.gamma, "gamma", Real, min_val=0)
        P_image, P_text = self._scaled_directions(X, Y, self.power)
        V_image = self.scaler_image_.transform(X) @ P_image
        V_text = self.scaler_text_.transform(Y) @ P_text
        acq = self._alternation(V_image, V_text, check_random_state(self.random_state))
        self.history_ = acq.run(self.max_iter, self.tol, verbose=self.verbose)
        s = acq.state
        self.R_image_, self.R_text_ = s.R_image, s.R_text
        self.B_image_, self.B_text_ = s.B_image.astype(np.int8), s.B_text.astype(np.int8)
        self._set_projections(P_image @ s.R_image, P_text @ s.R_text)


def _acq_objective(s: State) -> Array:
    image, text = s.V_image @ s.R_image, s.V_text @ s.R_text
    own = ((s.B_image - image) ** 2).sum() + ((s.B_text - text) ** 2).sum()
    other = ((s.B_image - text) ** 2).sum() + ((s.B_text - image) ** 2).sum()
    total: Array = own + s.gamma * other
    return total


class QCH(LinearHashModel):
    """Quantised correlation hashing: directions and codes in one objective.

    With X_1 and X_2 the standardised images and texts,

        min -tr(B_1ᵀB_2) + lam sum_m ||B_m - X_m W_m||²

    over codes B_1, B_2 in {-1, +1} and directions with W_mᵀ C_m W_m = I, C_m the covariance: the
    constraint of CCA, without which all bits would become one [1]_. Stacked, B = [B_1; B_2] and
    X = diag(X_1, X_2), it is a problem in one view,

        min -tr(BᵀSB) / 2 + lam ||B - X W||²,    S = [[0, I], [I, 0]].

    Both blocks have exact minimisers: each pair of bits is the best of four, and each W_m is an
    orthogonal Procrustes problem in whitened features.

    Parameters
    ----------
    n_bits : int, default=32
        Number r of directions, and of bits.
    lam : float, default=1.0
        Weight lambda of the quantisation error. The larger, the more of the pairs may differ.
    reg : float, default=1.0
        Unit-free ridge rho of the constraint, C_m + rho I; lam n rho ||W_m||² is then part of the
        objective, so that the Procrustes step stays exact.
    max_iter : int, default=50
        Number of sweeps.
    tol : float, default=1e-6
        Stop when a sweep lowers the objective by less than this share.
    random_state : int, RandomState or None, default=None
        Draws a rotation of the canonical directions from which the method starts.
    verbose : bool, default=False
        Show a progress bar.

    Attributes
    ----------
    B_image_, B_text_ : ndarray of int8, shape (n, n_bits)
        Codes of the training pairs, as the objective has them; ``encode`` looks at one modality
        alone and may differ.
    history_ : list of float
        Objective before the first and after each sweep.
    P_image_, P_text_ : ndarray of shape (p, n_bits), (q, n_bits)
        W_1 and W_2, for standardised features.

    Raises
    ------
    ValueError
        From ``fit``: if there are more bits than directions in the narrower view.

    Notes
    -----
    Reconstructed: the paper's text was not available. What is known of it is that the quantisation
    loss of both modalities and the correlation of their codes are optimised in one, through a
    single-view form, by turns. Constraint, ridge, exact pairs and start are chosen here.

    CCA directions with their signs are a feasible point, and each step is exact.

    References
    ----------
    .. [1] B. Wu, Q. Yang, W.-S. Zheng, Y. Wang and J. Wang, "Quantized correlation hashing for
       fast cross-modal search", IJCAI (2015).

    Examples
    --------
    >>> from cmrlib.datasets import make_gaussian_views
    >>> from cmrlib.hashing import QCH
    >>> views = make_gaussian_views(200, 6, 4, correlations=[0.9, 0.8], random_state=0)
    >>> QCH(n_bits=2, random_state=0).fit(views.image, views.text).encode_image(views.image).shape
    (200, 2)
    """

    def __init__(
        self,
        n_bits: int = 32,
        *,
        lam: float = 1.0,
        reg: float = 1.0,
        max_iter: int = 50,
        tol: float = 1e-6,
        random_state: int | np.random.RandomState | None = None,
        verbose: bool = False,
    ) -> None:
        self.n_bits = n_bits
        self.lam = lam
        self.reg = reg
        self.max_iter = max_iter
        self.tol = tol
        self.random_state = random_state
        self.verbose = verbose

    def _alternation(self, X: Array, Y: Array, rng: np.random.RandomState) -> Alternation:
        x, y = whiten(X, self.reg), whiten(Y, self.reg)
        rank = min(x.rank, y.rank)
        if self.n_bits > rank:
            raise ValueError(
                f"QCH takes a direction for each bit, and the narrower view has {rank}, not "
                f"{self.n_bits}; lower n_bits or widen that view."
            )
        if self.reg == 0 and x.rank + y.rank > len(X) - 1:
            raise ValueError(
                f"{len(X)} pairs are too few for views of rank {x.rank} and {y.rank}: codes would "
                "agree whatever the data; set reg > 0 or use fewer features."
            )
        U, _, Vt = np.linalg.svd(whitened_cross_covariance(x, y), full_matrices=False)
        A, B = fix_signs(x.W @ U[:, : self.n_bits], y.W @ Vt[: self.n_bits].T)  # as in CCA
        R = random_rotation(self.n_bits, rng)
        W_image, W_text = A @ R, B @ R
        state = SimpleNamespace(
            X=X,
            Y=Y,
            lam=self.lam,
            ridge_image=self.reg * np.mean(X**2) * len(X),
            ridge_text=self.reg * np.mean(Y**2) * len(Y),
            B=paired_bits(X @ W_image, Y @ W_text, self.lam),
            W_image=W_image,
            W_text=W_text,
        )
        updates = {
            "W_image": lambda s: x.W @ procrustes(x.W.T @ (s.X.T @ s.B[: len(s.X)])),
            "W_text": lambda s: y.W @ procrustes(y.W.T @ (s.Y.T @ s.B[len(s.X) :])),
            "B": lambda s: paired_bits(s.X @ s.W_image, s.Y @ s.W_text, s.lam),
        }
        return Alternation(state, updates, _qch_objective)

    def _fit(self, X: Array, Y: Array, labels: Array | None) -> None:
        check_scalar(self.lam, "lam", Real, min_val=0, include_boundaries="neither")
        check_scalar(self.reg, "reg", Real, min_val=0)
        scaler_image, scaler_text = standardiser(X), standardiser(Y)
        rng = check_random_state(self.random_state)
        qch = self._alternation(scaler_image.transform(X), scaler_text.transform(Y), rng)
        self.history_ = qch.run(self.max_iter, self.tol, verbose=self.verbose)
        self.scaler_image_, self.scaler_text_ = scaler_image, scaler_text
        self.B_image_, self.B_text_ = np.split(qch.state.B.astype(np.int8), 2)
        self.P_image_, self.P_text_ = qch.state.W_image, qch.state.W_text
        self.threshold_image_ = self.threshold_text_ = np.zeros(self.n_bits)


def paired_bits(V: Array, W: Array, lam: float) -> Array:
    """Return the stacked codes [B; D] that minimise -tr(BᵀD) + lam (||B - V||² + ||D - W||²).

    An entry b of B depends on one entry d of D only. Equal bits win -1 and, with the sign of
    v + w, 2 lam |v + w|; different ones cost 1 and win 2 lam |v - w|.
    """
    plus, minus = V + W, V - W
    equal = 1 + lam * (np.abs(plus) - np.abs(minus)) >= 0
    B = sign(np.where(equal, plus, minus))
    return np.vstack([B, np.where(equal, B, -B)])


def _qch_objective(s: State) -> Array:
    n = len(s.X)
    image, text = s.B[:n] - s.X @ s.W_image, s.B[n:] - s.Y @ s.W_text
    error = (image**2).sum() + (text**2).sum()
    ridge = s.ridge_image * (s.W_image**2).sum() + s.ridge_text * (s.W_text**2).sum()
    total: Array = -(s.B[:n] * s.B[n:]).sum() + s.lam * (error + ridge)
    return total


class IMVH(LinearHashModel):
    """Iterative multi-view hashing: each view codes its own similarities, and bits are matched.

    With V_m the first r principal components of view m, scaled to a mean variance of 1,

        min sum_m ||B_m - V_m R_m||² + mu ||B_1 - B_2 T||²

    over codes B_1, B_2 in {-1, +1}, rotations R_1, R_2, and the alignment T: a permutation with
    signs, which says which bit of the texts is which bit of the images, and whether flipped [1]_.
    The first term keeps the similarities within a view: a rotation leaves the inner products of
    V_m as they are. T is solved anew in each sweep, as an assignment problem.

    Parameters
    ----------
    n_bits : int, default=32
        Number r of components, and of bits.
    mu : float, default=0.3
        Weight of the agreement between views. 0 quantises each view alone, then matches bits.
    max_iter : int, default=50
        Number of sweeps.
    tol : float, default=1e-6
        Stop when a sweep lowers the objective by less than this share.
    random_state : int, RandomState or None, default=None
        Draws the first rotations.
    verbose : bool, default=False
        Show a progress bar.

    Attributes
    ----------
    T_ : ndarray of shape (n_bits, n_bits)
        The alignment: one entry -1 or +1 in each row and column.
    R_image_, R_text_ : ndarray of shape (n_bits, n_bits)
        The rotations.
    B_image_, B_text_ : ndarray of int8, shape (n, n_bits)
        Codes of the training pairs, as the objective has them, the texts' aligned (B_2 T).
    history_ : list of float
        Objective before the first and after each sweep.
    P_image_, P_text_ : ndarray of shape (p, n_bits), (q, n_bits)
        Projections of the standardised features, rotations and alignment included.

    Raises
    ------
    ValueError
        From ``fit``: if there are more bits than features in the narrower view.

    Notes
    -----
    Reconstructed: the paper's text was not available. What is known of it is that codes keep the
    similarities within each view, that an alignment between the views' codes is learnt, and that
    codes are found by discrete assignments, all by turns. How similarity is kept, here by
    rotated principal components, the weight and the start are chosen here.

    References
    ----------
    .. [1] Y. Hu, Z. Jin, H. Ren, D. Cai and X. He, "Iterative multi-view hashing for cross media
       indexing", ACM Multimedia (2014).

    Examples
    --------
    >>> from cmrlib.datasets import make_gaussian_views
    >>> from cmrlib.hashing import IMVH
    >>> views = make_gaussian_views(200, 6, 4, correlations=[0.9, 0.8], random_state=0)
    >>> abs(IMVH(n_bits=3, random_state=0).fit(views.image, views.text).T_).sum(axis=0)
    array([1., 1., 1.])
    """

    def __init__(
        self,
        n_bits: int = 32,
        *,
        mu: float = 0.3,
        max_iter: int = 50,
        tol: float = 1e-6,
        random_state: int | np.random.RandomState | None = None,
        verbose: bool = False,
    ) -> None:
        self.n_bits = n_bits
        self.mu = mu
        self.max_iter = max_iter
        self.tol = tol
        self.random_state = random_state
        self.verbose = verbose

    def _alternation(
        self, V_image: Array, V_text: Array, rng: np.random.RandomState
    ) -> Alternation:
        mu, r = self.mu, V_image.shape[1]
        R_image, R_text = random_rotation(r, rng), random_rotation(r, rng)
        state = SimpleNamespace(
            V_image=V_image,
            V_text=V_text,
            mu=mu,
            T=np.eye(r),
            R_image=R_image,
            B_image=sign(V_image @ R_image),
            R_text=R_text,
            B_text=sign(V_text @ R_text),
        )
        updates = {
            "T": lambda s: signed_permutation(s.B_text.T @ s.B_image),
            "B_image": lambda s: sign(s.V_image @ s.R_image + mu * (s.B_text @ s.T)),
            "R_image": lambda s: procrustes(s.V_image.T @ s.B_image),
            "B_text": lambda s: sign(s.V_text @ s.R_text + mu * (s.B_image @ s.T.T)),
            "R_text": lambda s: procrustes(s.V_text.T @ s.B_text),
        }
        return Alternation(state, updates, _imvh_objective)

    def _fit(self, X: Array, Y: Array, labels: Array | None) -> None:
        check_scalar(self.mu, "mu", Real, min_val=0)
        narrower = min(X.shape[1], Y.shape[1])
        if self.n_bits > narrower:
            raise ValueError(
                f"IMVH takes a component of each view for each bit, and the narrower view has "
                f"{narrower}, not {self.n_bits}; lower n_bits or widen that view."
            )
        scaler_image, scaler_text = standardiser(X), standardiser(Y)
        image, text = scaler_image.transform(X), scaler_text.transform(Y)
        U_image, U_text = _components(image, self.n_bits), _components(text, self.n_bits)
        rng = check_random_state(self.random_state)
        imvh = self._alternation(image @ U_image, text @ U_text, rng)
        self.history_ = imvh.run(self.max_iter, self.tol, verbose=self.verbose)
        s = imvh.state
        self.T_, self.R_image_, self.R_text_ = s.T, s.R_image, s.R_text
        self.B_image_, self.B_text_ = s.B_image.astype(np.int8), (s.B_text @ s.T).astype(np.int8)
        self.scaler_image_, self.scaler_text_ = scaler_image, scaler_text
        self.P_image_, self.P_text_ = U_image @ s.R_image, U_text @ s.R_text @ s.T
        self.threshold_image_ = self.threshold_text_ = np.zeros(self.n_bits)


def _components(X: Array, r: int) -> Array:
    """Return the first r principal directions of centred X, scaled to a mean variance of 1.

    The largest entry of each is positive.
    """
    p = X.shape[1]
    variances, U = eigh(X.T @ X / len(X), subset_by_index=[p - r, p - 1])
    scaled: Array = fix_signs(U, U)[0][:, ::-1] / np.sqrt(variances.mean())
    return scaled


def signed_permutation(M: Array) -> Array:
    """Return the permutation with signs T (r, r) that maximises tr(TᵀM), by assignment."""
    rows, columns = linear_sum_assignment(-np.abs(M))
    T = np.zeros_like(M)
    T[rows, columns] = sign(M[rows, columns])
    return T


def _imvh_objective(s: State) -> Array:
    error = ((s.B_image - s.V_image @ s.R_image) ** 2).sum() + (
        (s.B_text - s.V_text @ s.R_text) ** 2
    ).sum()
    total: Array = error + s.mu * ((s.B_image - s.B_text @ s.T) ** 2).sum()
    return total
