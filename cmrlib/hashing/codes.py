"""Binary codes: what makes them good, and the baselines that every hashing method has to beat.

A baseline here finds real scores for both modalities, in one space, and takes their sign. They
differ in the scores: random or principal or canonical directions, or canonical directions turned so
that the sign loses less (:class:`CCAITQ`).
"""

from __future__ import annotations

from numbers import Integral, Real
from types import SimpleNamespace

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.linalg import eigh
from sklearn.utils import check_random_state, check_scalar

from cmrlib._linalg import fix_signs, procrustes, ridge
from cmrlib.alternating import Alternation, State
from cmrlib.cca import CCA
from cmrlib.hashing._discrete import sign
from cmrlib.hashing._features import standardiser
from cmrlib.hashing._model import LinearHashModel

Array = NDArray[np.float64]


def quantization_error(scores: ArrayLike, codes: ArrayLike | None = None) -> float:
    """Return the mean squared difference of codes and scores, ||B - V||² / (n r).

    Parameters
    ----------
    scores : array-like of shape (n, r)
        Real scores V, thresholds subtracted.
    codes : array-like of shape (n, r), optional
        Codes B of -1 and +1; the signs of the scores, which make it smallest, if not given.

    Raises
    ------
    ValueError
        If the shapes differ, or codes hold anything else than -1 and +1.

    Notes
    -----
    It depends on the scale of the scores: compare it only among scores of equal variance. For
    standard Gaussian scores it is 2 - 2 sqrt(2 / pi), about 0.40.

    Examples
    --------
    >>> from cmrlib.hashing import quantization_error
    >>> quantization_error([[0.5, -2.0]])  # (0.25 + 1) / 2
    0.625
    """
    V = np.asarray(scores, dtype=np.float64)
    if V.ndim != 2 or 0 in V.shape:
        raise ValueError(f"scores must be a table (n, r), got shape {V.shape}.")
    B = sign(V) if codes is None else _check_codes(codes)
    if B.shape != V.shape:
        raise ValueError(f"codes have shape {B.shape} and scores {V.shape}; they must agree.")
    return float(np.mean((B - V) ** 2))


def bit_balance(codes: ArrayLike) -> Array:
    """Return the mean of each bit over the items, (r,): 0 splits them in halves, ±1 is constant.

    Examples
    --------
    >>> from cmrlib.hashing import bit_balance
    >>> bit_balance([[1, 1], [-1, 1], [1, 1], [-1, -1]])
    array([0. , 0.5])
    """
    balance: Array = _check_codes(codes).mean(axis=0)
    return balance


def bit_correlation(codes: ArrayLike) -> Array:
    """Return the correlations between bits over the items, (r, r).

    A bit that is the same for all items says nothing: its row and column are 0, off the diagonal.

    Examples
    --------
    >>> from cmrlib.hashing import bit_correlation
    >>> bit_correlation([[1, 1, 1], [-1, -1, 1], [1, -1, 1], [-1, 1, 1]])
    array([[1., 0., 0.],
           [0., 1., 0.],
           [0., 0., 1.]])
    """
    B = _check_codes(codes)
    Z = B - B.mean(axis=0)
    length = np.linalg.norm(Z, axis=0)
    Z /= np.where(length == 0, 1, length)
    correlation: Array = Z.T @ Z
    np.fill_diagonal(correlation, 1)
    return correlation


def _check_codes(codes: ArrayLike) -> Array:
    B = np.asarray(codes)
    if B.ndim != 2 or 0 in B.shape or not np.isin(B, (-1, 1)).all():
        raise ValueError("codes must be a table (n, r) with entries -1 and +1.")
    return B.astype(np.float64)


class CCAHashModel(LinearHashModel):
    """A hash model that starts from canonical variates of the standardised features."""

    reg: float

    def _canonical(self, X: Array, Y: Array, k: int, parameter: str = "n_bits") -> CCA:
        """Fit scalers and CCA with k components, the `parameter`; its encodings have mean 0."""
        narrower = min(X.shape[1], Y.shape[1])
        if k > narrower:
            raise ValueError(
                f"{type(self).__name__} takes {parameter} canonical directions, and views of "
                f"{X.shape[1]} and {Y.shape[1]} features have at most {narrower}, not {k}; lower "
                f"{parameter} or widen the narrower view."
            )
        scaler_image, scaler_text = standardiser(X), standardiser(Y)
        cca = CCA(n_components=k, reg=self.reg)
        cca.fit(scaler_image.transform(X), scaler_text.transform(Y))
        self.scaler_image_, self.scaler_text_ = scaler_image, scaler_text
        self.correlations_ = cca.correlations_
        return cca

    def _scaled_directions(self, X: Array, Y: Array, power: float) -> tuple[Array, Array]:
        """Return n_bits pairs of canonical directions, times their correlations ** power."""
        check_scalar(power, "power", Real, min_val=0)
        cca = self._canonical(X, Y, self.n_bits)
        scale = cca.correlations_**power
        return cca.weights_image_ * scale, cca.weights_text_ * scale

    def _set_projections(self, P_image: Array, P_text: Array) -> None:
        """Keep projections whose scores have mean 0 over the training set: thresholds are 0."""
        self.P_image_, self.P_text_ = P_image, P_text
        self.threshold_image_ = self.threshold_text_ = np.zeros(P_image.shape[1])


class RandomHyperplanes(CCAHashModel):
    """Signs of random projections of canonical variates.

    A hyperplane through the origin, with a Gaussian normal vector, separates two vectors at the
    angle theta with probability theta / pi [1]_. The Hamming distance therefore estimates the
    angle: the more bits, the better, and their number has no limit. The estimate is unbiased
    whatever the data; nothing is learnt but the space.

    Parameters
    ----------
    n_bits : int, default=32
        Number of hyperplanes.
    n_components : int, default=16
        Dimensions of the common space.
    reg : float, default=1.0
        Unit-free ridge of CCA.
    random_state : int, RandomState or None, default=None
        Draws the hyperplanes.

    Attributes
    ----------
    correlations_ : ndarray of shape (n_components,)
        Canonical correlations of the common space.
    P_image_, P_text_ : ndarray of shape (p, n_bits), (q, n_bits)
        Projections of the standardised features.

    Notes
    -----
    The paper hashes vectors of one kind. Images and texts have no common angle; here both are
    brought to the space of regularised CCA first.

    References
    ----------
    .. [1] M. S. Charikar, "Similarity estimation techniques from rounding algorithms", STOC
       (2002).

    Examples
    --------
    >>> from cmrlib.datasets import make_gaussian_views
    >>> from cmrlib.hashing import RandomHyperplanes
    >>> views = make_gaussian_views(200, 6, 4, correlations=[0.9, 0.8], random_state=0)
    >>> model = RandomHyperplanes(n_bits=12, n_components=2, random_state=0)
    >>> model.fit(views.image, views.text).encode_text(views.text).shape
    (200, 12)
    """

    def __init__(
        self,
        n_bits: int = 32,
        *,
        n_components: int = 16,
        reg: float = 1.0,
        random_state: int | np.random.RandomState | None = None,
    ) -> None:
        self.n_bits = n_bits
        self.n_components = n_components
        self.reg = reg
        self.random_state = random_state

    def _fit(self, X: Array, Y: Array, labels: Array | None) -> None:
        k = check_scalar(self.n_components, "n_components", Integral, min_val=1)
        cca = self._canonical(X, Y, k, "n_components")
        normals = check_random_state(self.random_state).normal(size=(k, self.n_bits))
        self._set_projections(cca.weights_image_ @ normals, cca.weights_text_ @ normals)


class PCASign(LinearHashModel):
    """Signs of the principal components of both views side by side.

    The pairs give the components, V = [X Y] U over standardised features; a ridge regression from
    each view alone to V encodes an item of which only one view is known. This is a baseline: the
    components are directions of large variance, whether or not the views agree in them.

    Parameters
    ----------
    n_bits : int, default=32
        Number r of components.
    reg : float, default=1.0
        Unit-free ridge of the regressions: ||V - X P||² + reg n ||P||².

    Attributes
    ----------
    components_ : ndarray of shape (p + q, n_bits)
        U, orthonormal, by descending variance; the largest entry of each is positive.
    P_image_, P_text_ : ndarray of shape (p, n_bits), (q, n_bits)
        Projections of the standardised features.

    Raises
    ------
    ValueError
        From ``fit``: if there are more bits than features in both views together.

    Notes
    -----
    A view with more features has more weight in the components. With ``reg=0`` a view whose
    columns depend on each other has no unique regression, and ``fit`` says so.
    """

    def __init__(self, n_bits: int = 32, *, reg: float = 1.0) -> None:
        self.n_bits = n_bits
        self.reg = reg

    def _fit(self, X: Array, Y: Array, labels: Array | None) -> None:
        reg = check_scalar(self.reg, "reg", Real, min_val=0)
        width = X.shape[1] + Y.shape[1]
        if self.n_bits > width:
            raise ValueError(
                f"n_bits={self.n_bits} is more than the {width} features of both views together."
            )
        scaler_image, scaler_text = standardiser(X), standardiser(Y)
        image, text = scaler_image.transform(X), scaler_text.transform(Y)
        Z = np.hstack([image, text])
        U = eigh(Z.T @ Z, subset_by_index=[width - self.n_bits, width - 1])[1]
        U = fix_signs(U, U)[0][:, ::-1]
        V = Z @ U
        self.P_image_, self.P_text_ = ridge(image, V, reg * len(X)), ridge(text, V, reg * len(X))
        self.components_ = U
        self.scaler_image_, self.scaler_text_ = scaler_image, scaler_text
        self.threshold_image_ = self.threshold_text_ = np.zeros(self.n_bits)


class CCASign(CCAHashModel):
    """Signs of canonical variates: bit k of an item is the sign of its k-th canonical variate.

    Parameters
    ----------
    n_bits : int, default=32
        Number of pairs of canonical directions.
    reg : float, default=1.0
        Unit-free ridge of CCA.

    Attributes
    ----------
    correlations_ : ndarray of shape (n_bits,)
        Canonical correlations, descending: later bits agree less between image and text.
    P_image_, P_text_ : ndarray of shape (p, n_bits), (q, n_bits)
        Canonical directions of the standardised features.

    Raises
    ------
    ValueError
        From ``fit``: if there are more bits than canonical directions.

    Examples
    --------
    >>> from cmrlib.datasets import make_gaussian_views
    >>> from cmrlib.hashing import CCASign
    >>> views = make_gaussian_views(200, 6, 4, correlations=[0.9, 0.8], random_state=0)
    >>> model = CCASign(n_bits=2, reg=0.0).fit(views.image, views.text)
    >>> model.pack(model.encode_image(views.image)).shape
    (200, 1)
    """

    def __init__(self, n_bits: int = 32, *, reg: float = 1.0) -> None:
        self.n_bits = n_bits
        self.reg = reg

    def _fit(self, X: Array, Y: Array, labels: Array | None) -> None:
        cca = self._canonical(X, Y, self.n_bits)
        self._set_projections(cca.weights_image_, cca.weights_text_)


class CCAITQ(CCAHashModel):
    """Canonical variates, rotated so that their signs lose less: CCA-ITQ.

    With V the canonical variates of the images stacked on those of the texts, column k times
    rho_k ** power, iterative quantisation (ITQ) finds codes B and a rotation R [1]_ [2]_:

        min ||B - V R||²    over B in {-1, +1}, RᵀR = I,

    by turns: R by the orthogonal Procrustes problem, B = sign(V R). The rotation changes no angle
    between items; it only moves them towards corners of the cube.

    Parameters
    ----------
    n_bits : int, default=32
        Number r of canonical directions, and of bits.
    reg : float, default=1.0
        Unit-free ridge of CCA.
    power : float, default=1.0
        Columns of V are scaled by canonical correlations to this power; 1 as in the papers, 0 for
        the plain canonical variates.
    max_iter : int, default=50
        Number of sweeps; the papers' 50.
    tol : float, default=1e-6
        Stop when a sweep lowers the objective by less than this share.
    random_state : int, RandomState or None, default=None
        Draws the first rotation.
    verbose : bool, default=False
        Show a progress bar.

    Attributes
    ----------
    R_ : ndarray of shape (n_bits, n_bits)
        The rotation.
    correlations_ : ndarray of shape (n_bits,)
        Canonical correlations.
    history_ : list of float
        ||B - V R||² before the first and after each sweep.
    P_image_, P_text_ : ndarray of shape (p, n_bits), (q, n_bits)
        Projections of the standardised features, rotation included.

    Raises
    ------
    ValueError
        From ``fit``: if there are more bits than canonical directions.

    Notes
    -----
    In the papers the second view holds the labels of images, and only images are hashed. Here it
    holds texts, and both are: one rotation for the stacked views keeps their codes comparable.
    The papers solve Xᵀ Y (YᵀY)⁻¹ YᵀX w = rho² XᵀX w and scale w by rho, which is ``power=1``.

    References
    ----------
    .. [1] Y. Gong and S. Lazebnik, "Iterative quantization: a Procrustean approach to learning
       binary codes", CVPR (2011).
    .. [2] Y. Gong, S. Lazebnik, A. Gordo and F. Perronnin, "Iterative quantization: a Procrustean
       approach to learning binary codes for large-scale image retrieval", IEEE TPAMI 35 (2013).

    Examples
    --------
    >>> from cmrlib.datasets import make_gaussian_views
    >>> from cmrlib.hashing import CCAITQ
    >>> views = make_gaussian_views(200, 6, 4, correlations=[0.9, 0.8], random_state=0)
    >>> model = CCAITQ(n_bits=2, random_state=0).fit(views.image, views.text)
    >>> model.history_[-1] <= model.history_[0]
    True
    """

    def __init__(
        self,
        n_bits: int = 32,
        *,
        reg: float = 1.0,
        power: float = 1.0,
        max_iter: int = 50,
        tol: float = 1e-6,
        random_state: int | np.random.RandomState | None = None,
        verbose: bool = False,
    ) -> None:
        self.n_bits = n_bits
        self.reg = reg
        self.power = power
        self.max_iter = max_iter
        self.tol = tol
        self.random_state = random_state
        self.verbose = verbose

    def _alternation(self, V: Array, rng: np.random.RandomState) -> Alternation:
        R = random_rotation(V.shape[1], rng)
        return Alternation(
            SimpleNamespace(V=V, R=R, B=sign(V @ R)),
            {"R": lambda s: procrustes(s.V.T @ s.B), "B": lambda s: sign(s.V @ s.R)},
            _itq_objective,
        )

    def _fit(self, X: Array, Y: Array, labels: Array | None) -> None:
        P_image, P_text = self._scaled_directions(X, Y, self.power)
        image, text = self.scaler_image_.transform(X), self.scaler_text_.transform(Y)
        V = np.vstack([image @ P_image, text @ P_text])
        itq = self._alternation(V, check_random_state(self.random_state))
        self.history_ = itq.run(self.max_iter, self.tol, verbose=self.verbose)
        self.R_ = itq.state.R
        self._set_projections(P_image @ self.R_, P_text @ self.R_)


def random_rotation(r: int, rng: np.random.RandomState) -> Array:
    """Return an orthogonal matrix (r, r), drawn from all of them alike."""
    Q, T = np.linalg.qr(rng.normal(size=(r, r)))
    rotation: Array = Q * sign(np.diag(T))  # without the signs some would be likelier
    return rotation


def _itq_objective(s: State) -> Array:
    difference: Array = s.B - s.V @ s.R
    return (difference**2).sum()
