"""Hashing of a stream whose labels are partly wrong: ROHLSE."""

from __future__ import annotations

from collections.abc import Callable
from numbers import Integral, Real
from types import SimpleNamespace
from typing import NamedTuple, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.linalg import cho_factor, cho_solve
from sklearn.utils import check_random_state, check_scalar

from cmrlib._linalg import shrink_singular_values, soft_threshold
from cmrlib.alternating import Alternation, State
from cmrlib.base import HashModel, check_labels, check_pairs
from cmrlib.hashing._discrete import sign
from cmrlib.hashing._features import Anchors, standardiser
from cmrlib.hashing._linear import balanced

Array = NDArray[np.float64]
Labels = NDArray[np.int64]


class Recovery(NamedTuple):
    """Labels L = A + E taken apart, with the multipliers that certify the split."""

    A: Array  # (n, c), recovered labels
    E: Array  # (n, c), errors
    Y_error: Array  # (n, c), of the constraint L = A + E
    Y_rank: Array  # (n, c), of A = N, where N carries the nuclear norm


def recover_labels(
    L: Array, predicted: Callable[[Array], Array], beta: float, tau: float, n_iter: int = 200
) -> Recovery:
    """Minimise tau ||A||_* + beta ||E||_1 + ½ Σ_m min_W (||A - Φ_m W||² + ridge) with L = A + E.

    By the alternating direction method of multipliers: A by its linear equation, the prediction
    of the last round standing in for the present one; the low-rank copy N of A by shrinking
    singular values; E by shrinking entries.

    Parameters
    ----------
    L : array of shape (n, c)
    predicted : callable
        Maps A to the sum over the two modalities of its ridge predictions Φ_m W_m, (n, c).
    beta, tau : float
    n_iter : int, default=200
    """
    A, E, N = L.copy(), np.zeros_like(L), L.copy()
    Y_error, Y_rank = np.zeros_like(L), np.zeros_like(L)
    for _ in range(n_iter):
        A = (predicted(A) + (L - E + Y_error) + (N - Y_rank)) / 4
        N = shrink_singular_values(A + Y_rank, tau)
        E = soft_threshold(L - A + Y_error, beta)
        Y_error += L - A - E
        Y_rank += A - N
    return Recovery(A, E, Y_error, Y_rank)


class ROHLSE(HashModel):
    """Robust online hashing with label semantic enhancement: chunks of pairs with noisy labels.

    ``partial_fit`` takes a chunk, in three steps [1]_.

    1. *Labels.* The given labels L (n, c) are split into recovered ones A and errors E,

           min tau √(n / c) ||A||_* + beta ||E||_1 + ½ Σ_m (||A - Φ_m W_m||² + ridge n ||W_m||²)
           with L = A + E,

       A of low rank, E sparse, and A predictable from the features Φ_m of each modality m, radial
       basis functions and a constant; solved by 200 rounds of the alternating direction method of
       multipliers. W_m is fitted to all chunks.
    2. *Codes.* With F the recovered labels at unit length and S = F Fᵀ, binary codes B (n, r) and
       balanced, uncorrelated V (n, r) maximise

           tr(Bᵀ(phi V + nu S V)) + nu tr(Vᵀ F F_oldᵀ B_old),  VᵀV = nI, 1ᵀV = 0,

       in turn: B = sign(phi V + nu S V), V from a singular value decomposition. The last term
       keeps the codes of a class where the earlier chunks have put them.
    3. *Hash functions.* Ridge regression from Φ_m to the codes of all chunks.

    Earlier chunks enter by sums alone: ΦᵀΦ, ΦᵀA, ΦᵀB and FᵀB. Their codes never change.

    Parameters
    ----------
    n_bits : int, default=64
        Code length r. Every chunk needs more pairs than bits.
    beta : float, default=0.3
        Weight of the label errors, against that of the features, 1: an entry of L is believed
        while the predictions of both modalities together miss it by no more than about `beta`;
        ``np.inf`` believes all labels.
    tau : float, default=1e-3
        Weight of the nuclear norm. Above `beta`, if classes are equally frequent, all labels are
        taken for errors.
    phi : float, default=1.0
        Weight of the agreement of B and V.
    nu : float, default=1.0
        Weight r of the similarities in the paper.
    ridge : float, default=1e-4
        Of the regressions, per item.
    n_anchors : int, default=500
        Radial basis functions a modality, drawn from the first chunk.
    max_iter : int, default=20
        Sweeps over B and V in each chunk.
    random_state : int, RandomState or None
        Of the anchors and starting values, drawn at the first chunk.

    Attributes
    ----------
    B_ : ndarray of shape (n_seen, r), int8
        Codes of all pairs seen, in their order; those of earlier chunks are never changed.
    labels_ : ndarray of shape (n_chunk, c)
        Recovered labels A of the last chunk.
    classes_ : ndarray of shape (c,)
        Class numbers of the columns of ``labels_``; a chunk may bring new ones.
    P_image_, P_text_ : ndarray of shape (n_anchors + 1, r)
        Hash functions; the last row is the intercept.
    history_ : list of float
        Minus the objective of step 2 on the last chunk, before the first and after each sweep.

    Raises
    ------
    ValueError
        From ``fit`` and ``partial_fit``: if a chunk has no more pairs than bits, or multi-hot
        labels change their width.

    Notes
    -----
    The paper has items as columns. Two things are reconstructed here. Its labels are recovered as
    a product of two factors, L = Z M + E, with the nuclear norm on an auxiliary variable; here the
    recovered labels are one matrix A = Z M with its nuclear norm. And the term that ties a chunk to
    the earlier codes is written here from the statistics FᵀB that are kept; the weight tau √(n / c)
    makes the balance independent of the size of a chunk.

    V is balanced, B is not: with few classes the similarities outweigh phi V, and the codes of a
    class become nearly equal. Then the matrix that is decomposed for V has not full rank, and the
    directions of V that it leaves open are arbitrary.

    The authors' programme binarises queries at the mean of the query set, so that a code depends
    on the other queries; here the intercept is learnt.

    ``fit`` forgets what was seen and takes all pairs as one chunk.

    References
    ----------
    .. [1] L. Li, Z. Shu, Z. Yu, X.-J. Wu, "Robust online hashing with label semantic enhancement
       for cross-modal retrieval", Pattern Recognition 145 (2024).

    Examples
    --------
    >>> from cmrlib.datasets import make_hidden_signal
    >>> from cmrlib.hashing import ROHLSE
    >>> data = make_hidden_signal(300, random_state=0)
    >>> model = ROHLSE(16, random_state=0)
    >>> for start in range(0, 300, 100):
    ...     chunk = data.take(range(start, start + 100))
    ...     model = model.partial_fit(chunk.image, chunk.text, chunk.labels)
    >>> model.B_.shape
    (300, 16)
    """

    uses_labels = True

    B_: NDArray[np.int8]
    classes_: Labels
    _FB: Array  # (c, r), FᵀB of all chunks
    _statistics: list[SimpleNamespace]  # per modality: C = ΦᵀΦ, D = ΦᵀA, H = ΦᵀB

    def __init__(
        self,
        n_bits: int = 64,
        *,
        beta: float = 0.3,
        tau: float = 1e-3,
        phi: float = 1.0,
        nu: float = 1.0,
        ridge: float = 1e-4,
        n_anchors: int = 500,
        max_iter: int = 20,
        random_state: int | np.random.RandomState | None = None,
    ) -> None:
        self.n_bits = n_bits
        self.beta = beta
        self.tau = tau
        self.phi = phi
        self.nu = nu
        self.ridge = ridge
        self.n_anchors = n_anchors
        self.max_iter = max_iter
        self.random_state = random_state

    def _fit(self, X: Array, Y: Array, labels: Labels | None) -> None:
        assert labels is not None  # fit has refused to go on without
        fresh = type(self)(**self.get_params())
        fresh.partial_fit(X, Y, labels)  # if it refuses, an earlier fit stays as it was
        self.__dict__.update(fresh.__dict__)

    def partial_fit(self, image: ArrayLike, text: ArrayLike, labels: ArrayLike) -> Self:
        """Learn from one more chunk of pairs.

        Parameters
        ----------
        image : array-like of shape (n, p)
        text : array-like of shape (n, q)
        labels : array-like of shape (n,) or (n, c)
            Class numbers or multi-hot labels, some of which may be wrong.

        Returns
        -------
        self

        Raises
        ------
        TypeError, ValueError
            With one sentence saying what is wrong; what was learnt before stays as it was.
        """
        r = check_scalar(self.n_bits, "n_bits", Integral, min_val=1)
        for name in ("beta", "tau", "phi", "nu", "ridge"):
            value = getattr(self, name)
            check_scalar(value, name, Real, min_val=0, include_boundaries="neither")
        first = not hasattr(self, "n_features_image_")
        X, Y = (
            check_pairs(image, text)
            if first
            else (
                self._check_encodable(image, "image"),
                self._check_encodable(text, "text"),
            )
        )
        n = len(X)
        if n != len(Y):
            raise ValueError(
                f"image has {n} rows and text has {len(Y)}; row i of both must be one pair."
            )
        if n <= r:
            raise ValueError(f"a chunk needs more pairs than bits: {n} pairs, {r} bits.")
        L, classes = self._columns(check_labels(labels, n), None if first else self.classes_)
        if first:
            self._start(X, Y)
        features = self._features(X, "image"), self._features(Y, "text")
        self._grow(len(classes))
        A = self._recover(L, features)
        F = _unit_rows(np.maximum(A, 0))
        alternation = self._alternation(F, self._FB)
        history = alternation.run(self.max_iter)
        B = alternation.state.B
        for statistics, Phi in zip(self._statistics, features, strict=True):
            statistics.C += Phi.T @ Phi
            statistics.D += Phi.T @ A
            statistics.H += Phi.T @ B
        self._FB += F.T @ B
        self.B_ = np.vstack([self.B_, B.astype(np.int8)])
        self.P_image_, self.P_text_ = (
            _solve(statistics.C, statistics.H, self.ridge * len(self.B_))
            for statistics in self._statistics
        )
        self.labels_, self.classes_, self.history_ = A, classes, history
        self.n_features_image_, self.n_features_text_ = X.shape[1], Y.shape[1]
        return self

    @staticmethod
    def _columns(labels: Labels, known: NDArray[np.int64] | None) -> tuple[Array, Labels]:
        """Return labels as (n, c), and the classes of the columns, the known ones first."""
        if labels.ndim == 2:
            classes = np.arange(labels.shape[1])
            if known is not None and len(known) != len(classes):
                raise ValueError(
                    f"labels have {len(classes)} columns, the chunks before had {len(known)}."
                )
            return labels.astype(np.float64), classes
        new = np.unique(labels)
        classes = new if known is None else np.append(known, np.setdiff1d(new, known))
        return (labels[:, None] == classes).astype(np.float64), classes

    def _start(self, X: Array, Y: Array) -> None:
        """Fix what the first chunk decides, and set all sums to 0."""
        self._rng = check_random_state(self.random_state)
        self.scaler_image_, self.scaler_text_ = standardiser(X), standardiser(Y)
        self.anchors_image_ = Anchors.fit(
            self.scaler_image_.transform(X), self.n_anchors, self._rng
        )
        self.anchors_text_ = Anchors.fit(self.scaler_text_.transform(Y), self.n_anchors, self._rng)
        r = self.n_bits
        self.B_ = np.empty((0, r), np.int8)
        self._FB = np.zeros((0, r))
        self._statistics = []
        for anchors in (self.anchors_image_, self.anchors_text_):
            m = len(anchors.points) + 1
            self._statistics.append(
                SimpleNamespace(C=np.zeros((m, m)), D=np.zeros((m, 0)), H=np.zeros((m, r)))
            )

    def _grow(self, c: int) -> None:
        """Give the sums columns for classes that have not been seen before."""
        self._FB = np.pad(self._FB, ((0, c - len(self._FB)), (0, 0)))
        for statistics in self._statistics:
            statistics.D = np.pad(statistics.D, ((0, 0), (0, c - statistics.D.shape[1])))

    def _features(self, X: Array, modality: str) -> Array:
        """Return the anchors' functions and a constant, (n, n_anchors + 1)."""
        scaler, anchors = (
            getattr(self, f"scaler_{modality}_"),
            getattr(self, f"anchors_{modality}_"),
        )
        return np.column_stack([anchors.transform(scaler.transform(X)), np.ones(len(X))])

    def _recover(self, L: Array, features: tuple[Array, Array]) -> Array:
        """Return the recovered labels A of step 1, (n, c)."""
        if np.isinf(self.beta):
            return L
        reg = self.ridge * (len(self.B_) + len(L))
        factors = [
            cho_factor(statistics.C + Phi.T @ Phi + reg * np.eye(Phi.shape[1]))
            for statistics, Phi in zip(self._statistics, features, strict=True)
        ]

        def predicted(A: Array) -> Array:
            return sum(
                Phi @ cho_solve(factor, statistics.D + Phi.T @ A)
                for statistics, Phi, factor in zip(self._statistics, features, factors, strict=True)
            )

        n, c = L.shape
        return recover_labels(L, predicted, self.beta, self.tau * np.sqrt(n / c)).A

    def _alternation(self, F: Array, FB_old: Array) -> Alternation:
        """Return step 2 for unit label rows F (n, c); FB_old (c, r) is the sum over old items."""
        phi, nu, n, r = self.phi, self.nu, len(F), self.n_bits

        def similar(V: Array, s: State) -> Array:  # S V
            product: Array = s.F @ (s.F.T @ V)
            return product

        V = balanced(self._rng.normal(size=(n, r)))
        state = SimpleNamespace(F=F, FB_old=FB_old, V=V, B=sign(V))
        updates = {
            "V": lambda s: balanced(phi * s.B + nu * similar(s.B, s) + nu * s.F @ s.FB_old),
            "B": lambda s: sign(phi * s.V + nu * similar(s.V, s)),
        }

        def objective(s: State) -> float:
            return -float(
                np.vdot(s.B, phi * s.V + nu * similar(s.V, s)) + nu * np.vdot(s.V, s.F @ s.FB_old)
            )

        return Alternation(state, updates, objective)

    def _encode_image(self, X: Array) -> Array:
        scores: Array = self._features(X, "image") @ self.P_image_
        return scores

    def _encode_text(self, Y: Array) -> Array:
        scores: Array = self._features(Y, "text") @ self.P_text_
        return scores


def _solve(C: Array, H: Array, reg: float) -> Array:
    W: Array = cho_solve(cho_factor(C + reg * np.eye(len(C))), H)
    return W


def _unit_rows(A: Array) -> Array:
    norms = np.linalg.norm(A, axis=1, keepdims=True)
    return A / np.where(norms == 0, 1, norms)
