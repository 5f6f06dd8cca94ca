"""Linear codes from which the features can be rebuilt: semantic autoencoders, low-rank subspaces.

Both methods learn codes U of the training pairs together with linear maps that reach U from one
modality and, transposed, lead back to the features. MSAE takes its codes from the labels; RRLSL
asks that they be of low rank. Every step is in closed form, so that no network is needed.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from numbers import Integral, Real
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import eigh
from scipy.sparse import csr_matrix
from sklearn.utils import check_scalar

from cmrlib._linalg import RANK_TOLERANCE, shrink_singular_values
from cmrlib.alternating import Alternation, State
from cmrlib.base import CommonSpaceModel
from cmrlib.hashing.factorization import indicator

Array = NDArray[np.float64]
Labels = NDArray[np.int64]
Average = Callable[[Array], Array]


# steps that the methods share


class ScaledView(NamedTuple):
    """A view, centred and of mean squared length 1, with its singular value decomposition."""

    X: Array  # (n, p), X = Q diag(s) Vᵀ up to directions below RANK_TOLERANCE
    mean: Array  # (p,)
    scale: float
    Q: Array  # (n, rank)
    s: Array  # (rank,), positive
    V: Array  # (p, rank)

    @classmethod
    def fit(cls, X: Array) -> ScaledView:
        """Centre, scale and decompose features (n, p)."""
        mean = X.mean(axis=0)
        X = X - mean
        scale = float(np.sqrt(np.mean(np.sum(X**2, axis=1))))
        X /= scale
        Q, s, Vt = np.linalg.svd(X, full_matrices=False)
        kept = s > RANK_TOLERANCE * s[0]
        return cls(X, mean, scale, Q[:, kept], s[kept], Vt[kept].T)

    @property
    def rank(self) -> int:
        """Numerical rank of the centred view."""
        return len(self.s)


def tied_projection(view: ScaledView, U: Array, alpha: float) -> Array:
    """Return argmin_A ||X A - U||² + alpha ||X - U Aᵀ||², shape (p, k): a semantic autoencoder.

    Half the gradient vanishes where XᵀX A + alpha A UᵀU = (1 + alpha) XᵀU, a Sylvester equation.
    In the eigenvectors of XᵀX, with eigenvalues s_i², and of UᵀU, with t_j, it is one division
    for each entry, by s_i² + alpha t_j.

    That is 0 where a redundant feature meets a code of low rank. The right side is 0 there as
    well, and the entry free: directions in which X does not vary get weight 0, the solution of
    least norm.
    """
    t, W = eigh(U.T @ U)
    right = (1 + alpha) * view.s[:, None] * (view.Q.T @ (U @ W))
    rotated = right / (view.s[:, None] ** 2 + alpha * np.maximum(t, 0))
    A: Array = view.V @ rotated @ W.T
    return A


def code_equations(s: State, U_weight: float, alpha: float) -> tuple[Array, Array]:
    """Return H (k, k) and C (n, k): half the gradient in U of what both modalities ask is U H - C.

    The terms are ||X A - U||² + alpha ||X - U Aᵀ||², the same for Y and B, and U_weight ||U||².
    """
    H = alpha * (s.A.T @ s.A + s.B.T @ s.B)
    H[np.diag_indices_from(H)] += 2 + U_weight
    return H, (1 + alpha) * (s.X @ s.A + s.Y @ s.B)


def autoencoder_loss(s: State, U: Array, alpha: float) -> float:
    """Return ||X A - U||² + alpha ||X - U Aᵀ||² plus the same for Y and B."""
    loss = 0.0
    for X, A in ((s.X, s.A), (s.Y, s.B)):
        loss += np.sum((X @ A - U) ** 2) + alpha * np.sum((X - U @ A.T) ** 2)
    return float(loss)


def semantic_codes(
    x: ScaledView, y: ScaledView, L: Array, n_components: int, reg: float
) -> tuple[Array, Array]:
    """Return S = Lc V, (n, k), and V, (c, k): the label directions best predicted from features.

    V holds the first eigenvectors of Lcᵀ (H_x + H_y) Lc, where Lc are the centred labels and
    H = X (XᵀX + r I)⁻¹ Xᵀ is the hat matrix of ridge regression, of which H Lc are the
    predictions. With X = Q diag(s) Vᵀ it is Q diag(s² / (s² + r)) Qᵀ, so no n x n array is formed.
    """
    centred = L - L.mean(axis=0)
    predicted = np.zeros((L.shape[1], L.shape[1]))
    for view in (x, y):
        ridge = reg * np.sum(view.s**2) / len(view.mean)
        G = view.Q.T @ centred
        predicted += G.T @ (G * (view.s**2 / (view.s**2 + ridge))[:, None])
    V = np.fliplr(eigh(predicted)[1])[:, :n_components].copy()
    return centred @ V, V


def joint_directions(x: ScaledView, y: ScaledView, average: Average, n_components: int) -> Array:
    """Return the principal components of both modalities side by side, (n, k)."""
    both = np.hstack([average(x.X), average(y.X)])
    d = both.shape[1]
    directions = eigh(both.T @ both, subset_by_index=(d - n_components, d - 1))[1]
    return both @ np.fliplr(directions)


def class_average(labels: Labels) -> tuple[Average, int]:
    """Return the map of rows (n, k) to the mean row of their class, and the number of classes.

    Items with several labels form a class with those that have exactly the same ones.
    """
    _, group = np.unique(labels, axis=0, return_inverse=True)
    group = group.reshape(-1)
    size = np.bincount(group)
    n = len(group)
    mean = csr_matrix((1 / size[group], (group, np.arange(n))), shape=(len(size), n))
    return lambda T: (mean @ T)[group], len(size)


def checked_components(n_components: int | None, limit: int, reason: str) -> int:
    """Return the number of components, by default all; refuse more than `limit`."""
    if n_components is None:
        return limit
    k: int = check_scalar(n_components, "n_components", Integral, min_val=1)
    if k > limit:
        raise ValueError(f"n_components={k} is more than the {limit} directions that {reason}.")
    return k


def non_negative(value: float, name: str) -> float:
    """Return a weight, checked to be a number of at least 0."""
    return float(check_scalar(value, name, Real, min_val=0))


class TiedAutoencoder(CommonSpaceModel):
    """What the methods share: scaled views, one alternation with blocks A and B, codes X A."""

    n_components: int | None
    max_iter: int
    tol: float
    verbose: bool

    @abstractmethod
    def _alternation(self, x: ScaledView, y: ScaledView, labels: Labels | None) -> Alternation:
        """Return the objective, its blocks and their steps."""

    def _fit(self, X: Array, Y: Array, labels: Labels | None) -> None:
        max_iter = check_scalar(self.max_iter, "max_iter", Integral, min_val=1)
        tol = non_negative(self.tol, "tol")
        x, y = ScaledView.fit(X), ScaledView.fit(Y)
        alternation = self._alternation(x, y, labels)
        history = alternation.run(max_iter, tol, verbose=self.verbose)
        self._store(alternation.state)
        self.history_ = history
        self.weights_image_, self.weights_text_ = alternation.state.A, alternation.state.B
        self.mean_image_, self.mean_text_ = x.mean, y.mean
        self.scale_image_, self.scale_text_ = x.scale, y.scale

    @abstractmethod
    def _store(self, s: State) -> None:
        """Keep the codes of the training pairs."""

    def _encode_image(self, X: Array) -> Array:
        return (X - self.mean_image_) / self.scale_image_ @ self.weights_image_

    def _encode_text(self, Y: Array) -> Array:
        return (Y - self.mean_text_) / self.scale_text_ @ self.weights_text_


# the methods


class MSAE(TiedAutoencoder):
    """Multi-modal semantic autoencoder: codes from labels, decoders tied to the encoders.

    In the first stage every pair gets a code from its labels [1]_: S = Lc V, where Lc are the
    centred labels, multi-hot, and V the first eigenvectors of Lcᵀ (H_x + H_y) Lc, with H the hat
    matrix of ridge regression on one modality. Those are the label directions that both
    modalities predict best. The second stage minimises over U (n, k), A (p, k) and B (q, k)

        ‖X A - U‖² + α ‖X - U Aᵀ‖² + ‖Y B - U‖² + α ‖Y - U Bᵀ‖² + β ‖U - S‖².

    A and B solve a Sylvester equation each, U a linear system that both modalities enter.

    Parameters
    ----------
    n_components : int, optional
        Length k of the codes; by default all directions of the labels. Of items with one of c
        classes each these are c - 1.
    alpha : float, default=0.01
        α >= 0: weight of the reconstruction from codes. With 0, A = X⁺U.
    beta : float, default=1
        β >= 0: weight of the codes of the first stage. For β → ∞ U = S, and each modality has a
        semantic autoencoder of its own.
    reg : float, default=1
        Unit-free ridge of the first stage, XᵀX + reg (tr XᵀX / p) I. It matters only where
        `n_components` leaves directions out: otherwise V is a rotation, to which the second stage
        is blind. With too small a ridge features predict all labels of the training set equally
        well, and the directions kept are merely those of frequent classes.
    max_iter : int, default=5
        Most rounds of the second stage.
    tol : float, default=0
        Stop when a round lowers the objective by less than this share.
    verbose : bool, default=False
        Show a progress bar.

    Attributes
    ----------
    weights_image_, weights_text_ : ndarray of shape (p, k), (q, k)
        A and B, for features from which the mean is subtracted and which are divided by the scale.
    label_weights_ : ndarray of shape (c, k)
        V of the first stage, a row for each class that occurs, in ascending order.
    targets_ : ndarray of shape (n, k)
        S.
    codes_ : ndarray of shape (n, k)
        U.
    mean_image_, mean_text_ : ndarray of shape (p,), (q,)
        Training means.
    scale_image_, scale_text_ : float
        Root of the mean squared length of centred training items.
    history_ : list of float
        Objective of the second stage before the first and after each round.

    Raises
    ------
    ValueError
        From ``fit``: if a weight is out of its range, if all items have the same labels, or if
        `n_components` is more than the directions of the labels.

    Notes
    -----
    Queries are compared by cosine. The authors' code takes the inner product, which on the
    Wikipedia features scores 0.289 and 0.218 instead of 0.275 and 0.217 (mAP over the whole
    ranking).

    α weighs features against codes, so it depends on their scale. The paper's code starts from
    features "normalised, of zero mean" without saying how; here every view is centred and divided
    by one number, so that the mean squared length of an item is 1. Its parameters α = 0.01 and
    β = 1 and its five rounds are the defaults; its ridge of 0.001 is ``reg = 0.001 p / n`` here,
    which hardly acts.
    It keeps 99 % of the variance by PCA before; here only directions without any are dropped,
    which keeps the Sylvester equation solvable for p > n. The paper's code keeps as many
    components as there are classes; the last one is 0 for items with one class each.

    Cost O(n p min(n, p)) once, and O(n (p + q) k) for each round; no array has n x n entries
    unless p > n.

    References
    ----------
    .. [1] Y. Wu, S. Wang and Q. Huang, "Multi-modal semantic autoencoder for cross-modal
       retrieval", Neurocomputing 331 (2019).

    Examples
    --------
    >>> from cmrlib.datasets import make_hidden_signal
    >>> from cmrlib.realvalued.reconstruction import MSAE
    >>> data = make_hidden_signal(100, random_state=0)
    >>> model = MSAE().fit(data.image, data.text, labels=data.labels)
    >>> model.encode_image(data.image).shape
    (100, 4)
    """

    uses_labels = True

    def __init__(
        self,
        n_components: int | None = None,
        *,
        alpha: float = 0.01,
        beta: float = 1.0,
        reg: float = 1.0,
        max_iter: int = 5,
        tol: float = 0.0,
        verbose: bool = False,
    ) -> None:
        self.n_components = n_components
        self.alpha = alpha
        self.beta = beta
        self.reg = reg
        self.max_iter = max_iter
        self.tol = tol
        self.verbose = verbose

    def _alternation(self, x: ScaledView, y: ScaledView, labels: Labels | None) -> Alternation:
        assert labels is not None  # fit has refused to go on without
        alpha, beta = non_negative(self.alpha, "alpha"), non_negative(self.beta, "beta")
        L = indicator(labels)
        rank = int(np.linalg.matrix_rank(L - L.mean(axis=0)))
        if rank == 0:
            raise ValueError("all items have the same labels, so there is nothing to learn.")
        k = checked_components(self.n_components, rank, "these labels span")
        S, V = semantic_codes(x, y, L, k, non_negative(self.reg, "reg"))

        def codes(s: State) -> Array:
            H, C = code_equations(s, beta, alpha)
            U: Array = np.linalg.solve(H, (C + beta * s.S).T).T
            return U

        return Alternation(
            State(
                X=x.X,
                Y=y.X,
                S=S,
                V=V,
                U=S,
                A=np.zeros((x.X.shape[1], k)),
                B=np.zeros((y.X.shape[1], k)),
            ),
            {
                "A": lambda s: tied_projection(x, s.U, alpha),
                "B": lambda s: tied_projection(y, s.U, alpha),
                "U": codes,
            },
            lambda s: autoencoder_loss(s, s.U, alpha) + beta * float(np.sum((s.U - s.S) ** 2)),
        )

    def _store(self, s: State) -> None:
        self.label_weights_, self.targets_, self.codes_ = s.V, s.S, s.U


class UnsupervisedRRLSL(TiedAutoencoder):
    """Reconstruction regularised low-rank subspace learning from pairs, without labels.

    Both modalities of a pair share a code, a row of Z. The codes are reached from each modality
    by a linear map, lead back to its features by the same map transposed, and form a matrix of
    low rank [1]_. Minimises over Z (n, k), A (p, k) and B (q, k)

        ‖X A - Z‖² + ‖Y B - Z‖² + λ (‖X - Z Aᵀ‖² + ‖Y - Z Bᵀ‖²) + μ σ ‖Z‖_*,

    where ‖Z‖_* is the sum of the singular values, and σ the largest one at the start.

    **The formula is reconstructed**, from the paper's abstract and highlights: a shared latent
    representation; the recovery of both modalities from it in place of traditional regularisation
    terms; a low-rank term; and an algorithm with a convergence guarantee. What
    these leave open is decided here: squares; the nuclear norm for the rank; decoders tied to the
    encoders as in :class:`MSAE`; the factor σ, which frees μ of the number of pairs; and the
    steps. The paper's own objective may differ in any of these.

    Parameters
    ----------
    n_components : int, default=64
        Most dimensions k of the codes; the low-rank term may leave fewer in use.
    lam : float, default=0.1
        λ >= 0: weight of the reconstruction.
    mu : float, default=0.001
        μ >= 0: weight of the low-rank term. It acts against λ: where it is not much smaller, all
        codes may become 0.
    max_iter : int, default=30
        Most sweeps over the blocks.
    tol : float, default=1e-4
        Stop when a sweep lowers the objective by less than this share.
    verbose : bool, default=False
        Show a progress bar.

    Attributes
    ----------
    weights_image_, weights_text_ : ndarray of shape (p, k), (q, k)
        A and B, for features from which the mean is subtracted and which are divided by the scale.
    codes_ : ndarray of shape (n, k)
        Z, the codes of the training pairs.
    rank_ : int
        Rank of Z.
    mean_image_, mean_text_, scale_image_, scale_text_, history_
        As in :class:`MSAE`.

    Raises
    ------
    ValueError
        From ``fit``: if a weight is out of its range; if there are fewer directions than
        `n_components`; or if μ is so large that all codes are 0.

    Notes
    -----
    With decoders of their own the objective would have no minimum: Z / t, A / t and t times the
    decoder lower it for every t > 1. A tied decoder cannot grow while its encoder shrinks.

    A and B solve a Sylvester equation each. For Z the terms but the last are quadratic, with
    curvature H = 2 I + λ (AᵀA + BᵀB). One proximal step, shrink(Z - (Z H - C) / ℓ, μ σ / 2 ℓ) with
    C = (1 + λ) (X A + Y B) and ℓ the largest eigenvalue of H, minimises a bound that touches the
    objective, which therefore never rises. H is so near to a multiple of I that more steps in a
    sweep gain little.

    The paper does not state the start; here Z are the first principal components of both
    modalities side by side. Every view is centred and of mean squared length 1.

    With λ = μ = 0 it is plain joint regression: A = X⁺Z, B = Y⁺Z and Z the mean of their
    predictions. Codes of zero would be best then, and Z shrinks towards them, slowest where the
    two modalities correlate most.

    References
    ----------
    .. [1] J. Wu, X. Xie, L. Nie, Z. Lin and H. Zha, "Reconstruction regularized low-rank subspace
       learning for cross-modal retrieval", Pattern Recognition 113 (2021).

    Examples
    --------
    >>> from cmrlib.datasets import make_hidden_signal
    >>> from cmrlib.realvalued.reconstruction import UnsupervisedRRLSL
    >>> data = make_hidden_signal(100, random_state=0)
    >>> model = UnsupervisedRRLSL(8).fit(data.image, data.text)
    >>> model.encode_text(data.text[:3]).shape
    (3, 8)
    """

    def __init__(
        self,
        n_components: int | None = 64,
        *,
        lam: float = 0.1,
        mu: float = 0.001,
        max_iter: int = 30,
        tol: float = 1e-4,
        verbose: bool = False,
    ) -> None:
        self.n_components = n_components
        self.lam = lam
        self.mu = mu
        self.max_iter = max_iter
        self.tol = tol
        self.verbose = verbose

    def _alternation(self, x: ScaledView, y: ScaledView, labels: Labels | None) -> Alternation:
        return self._low_rank(x, y, lambda T: T, len(x.X))

    def _low_rank(
        self, x: ScaledView, y: ScaledView, average: Average, n_classes: int
    ) -> Alternation:
        """Return the alternation for codes that are equal within classes."""
        lam, mu = non_negative(self.lam, "lam"), non_negative(self.mu, "mu")
        limit = min(n_classes - 1, x.rank + y.rank)
        k = checked_components(self.n_components, limit, "the training set spans")
        start = joint_directions(x, y, average, k)
        weight = mu * float(np.linalg.norm(start, 2))

        def low_rank(s: State) -> Array:
            H, C = code_equations(s, 0.0, lam)
            curvature = float(np.linalg.eigvalsh(H)[-1])
            lower = s.Z - (s.Z @ H - average(C)) / curvature
            return shrink_singular_values(lower, weight / (2 * curvature))

        return Alternation(
            State(
                X=x.X,
                Y=y.X,
                Z=start,
                A=np.zeros((x.X.shape[1], k)),
                B=np.zeros((y.X.shape[1], k)),
            ),
            {
                "A": lambda s: tied_projection(x, s.Z, lam),
                "B": lambda s: tied_projection(y, s.Z, lam),
                "Z": low_rank,
            },
            lambda s: autoencoder_loss(s, s.Z, lam) + weight * np.linalg.norm(s.Z, "nuc"),
        )

    def _store(self, s: State) -> None:
        rank = int(np.linalg.matrix_rank(s.Z))
        if rank == 0:
            raise ValueError(f"mu={self.mu} is so large that all codes are 0; lower it.")
        self.codes_, self.rank_ = s.Z, rank


class RRLSL(UnsupervisedRRLSL):
    """Reconstruction regularised low-rank subspace learning from pairs and labels.

    :class:`UnsupervisedRRLSL` in which all items of a class share one code: row i of Z is
    m(class of i) [1]_. The rank of Z is then less than the number of classes, whatever μ.

    **The formula is reconstructed** from the paper's abstract, which says that features of
    different modalities "for samples of the same category share the same representation". See
    :class:`UnsupervisedRRLSL` for what the abstract leaves open.

    Parameters
    ----------
    n_components : int, optional
        Most dimensions k of the codes; by default one fewer than there are classes, which is all
        that codes shared within classes can span.
    lam : float, default=1
        λ >= 0: weight of the reconstruction.
    mu : float, default=0.01
        μ >= 0: weight of the low-rank term, which makes classes share directions.
    max_iter, tol, verbose
        As in :class:`UnsupervisedRRLSL`.

    Attributes
    ----------
    weights_image_, weights_text_, codes_, rank_, history_ and others
        As in :class:`UnsupervisedRRLSL`; `codes_` has a row for every pair with a label.

    Raises
    ------
    ValueError
        As :class:`UnsupervisedRRLSL`; and if there are fewer than two classes.

    Notes
    -----
    With several labels an item, items share a code if all their labels are equal. Items without
    a label are left out.

    Averaging within classes is an orthogonal projection and does not enlarge singular values, so
    the step for Z is that of the unsupervised method on averaged rows.

    References
    ----------
    .. [1] J. Wu, X. Xie, L. Nie, Z. Lin and H. Zha, "Reconstruction regularized low-rank subspace
       learning for cross-modal retrieval", Pattern Recognition 113 (2021).

    Examples
    --------
    >>> from cmrlib.datasets import make_hidden_signal
    >>> from cmrlib.realvalued.reconstruction import RRLSL
    >>> data = make_hidden_signal(100, random_state=0)
    >>> model = RRLSL().fit(data.image, data.text, labels=data.labels)
    >>> model.rank_  # of five classes
    4
    """

    uses_labels = True

    def __init__(
        self,
        n_components: int | None = None,
        *,
        lam: float = 1.0,
        mu: float = 0.01,
        max_iter: int = 30,
        tol: float = 1e-4,
        verbose: bool = False,
    ) -> None:
        super().__init__(n_components, lam=lam, mu=mu, max_iter=max_iter, tol=tol, verbose=verbose)

    def _fit(self, X: Array, Y: Array, labels: Labels | None) -> None:
        assert labels is not None  # fit has refused to go on without
        if labels.ndim == 2:
            labelled = labels.any(axis=1)
            X, Y, labels = X[labelled], Y[labelled], labels[labelled]
        if len(np.unique(labels, axis=0)) < 2:
            raise ValueError("one class is not enough; at least 2 are needed.")
        super()._fit(X, Y, labels)

    def _alternation(self, x: ScaledView, y: ScaledView, labels: Labels | None) -> Alternation:
        assert labels is not None
        return self._low_rank(x, y, *class_average(labels))
