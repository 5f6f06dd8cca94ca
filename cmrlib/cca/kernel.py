"""Kernel canonical correlation analysis, and the tag features it was applied to."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Integral, Real
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.linalg import solve_triangular
from scipy.linalg.lapack import dpstrf, dtrtri
from scipy.sparse.linalg import svds
from sklearn.metrics.pairwise import additive_chi2_kernel, euclidean_distances
from sklearn.utils import check_scalar

from cmrlib._linalg import RANK_TOLERANCE, column_correlations, fix_signs
from cmrlib.base import CommonSpaceModel, check_pairs

Array = NDArray[np.float64]

KERNELS = ("linear", "rbf", "chi2", "poly")
# Items from which the mean chi-squared distance is estimated.
_SCALE_SAMPLE = 1000
# A residual below this share of the kernel's trace is rounding.
_RESIDUAL_TOLERANCE = 1e-13


class _Kernel:
    """A kernel function whose unit of length was taken from a training set."""

    def __init__(self, name: str, X: Array, gamma: float, degree: int, coef0: float) -> None:
        if name not in KERNELS:
            raise ValueError(f"kernel must be one of {', '.join(KERNELS)}, got {name!r}.")
        self.name, self.degree, self.coef0 = name, degree, coef0
        # Centred linear and RBF kernels do not feel a shift; subtracting it saves their digits.
        shift_invariant = name in ("linear", "rbf")
        self.shift = X.mean(axis=0) if shift_invariant else np.zeros(X.shape[1])
        Z = self._prepare(X)
        if name == "rbf":
            self.scale = 2 * _mean_square(Z)  # mean squared distance
        elif name == "chi2":
            sample = Z[:: -(-len(Z) // _SCALE_SAMPLE)]
            self.scale = -additive_chi2_kernel(sample).mean()  # mean chi-squared distance
        elif name == "poly":
            self.scale = _mean_square(Z)  # mean squared length
        else:
            self.scale = 1.0
        self.gamma = gamma / self.scale

    def _prepare(self, X: Array) -> Array:
        if self.name == "chi2" and X.min() < 0:
            raise ValueError(
                "the chi2 kernel compares histograms and needs features >= 0; use rbf instead."
            )
        return X - self.shift

    def __call__(self, X: Array, Y: Array) -> Array:
        """Return the kernel of every row of X (n, p) with every row of Y (m, p): (n, m)."""
        X, Y = self._prepare(X), self._prepare(Y)
        if self.name == "rbf":
            return np.exp(-self.gamma * euclidean_distances(X, Y, squared=True))
        if self.name == "chi2":
            K: Array = additive_chi2_kernel(X, Y)  # minus the distance
            return np.exp(self.gamma * K)
        if self.name == "poly":
            return (self.gamma * (X @ Y.T) + self.coef0) ** self.degree
        return X @ Y.T

    def diagonal(self, X: Array) -> Array:
        """Return the kernel of every row of X with itself, (n,)."""
        if self.name in ("rbf", "chi2"):
            return np.ones(len(X))
        X = self._prepare(X)
        lengths = np.einsum("ij,ij->i", X, X)
        return (
            lengths if self.name == "linear" else (self.gamma * lengths + self.coef0) ** self.degree
        )


class _Features(NamedTuple):
    """Coordinates of the training items in the span of some of them, the pivots: Z Zᵀ ~ K."""

    Z: Array  # (n, m), not centred
    pivots: NDArray[np.intp]  # (m,)
    residual: float  # share of tr K that Z Zᵀ leaves out


def _cholesky(kernel: _Kernel, X: Array) -> _Features:
    """Factor the whole kernel matrix, K = Z Zᵀ, by Cholesky with complete pivoting."""
    K = kernel(X, X)
    L, pivots, rank, _ = dpstrf(K.T, lower=1, overwrite_a=1)
    pivots = pivots - 1
    Z = np.empty((len(X), rank))
    Z[pivots] = np.tril(L[:, :rank])
    return _Features(Z, pivots[:rank], 0.0)


def _incomplete_cholesky(kernel: _Kernel, X: Array, max_rank: int) -> _Features:
    """Factor K ~ Z Zᵀ from `max_rank` of its columns; the kernel matrix is never formed.

    Each step takes the item that the ones before it describe worst: the largest entry on the
    diagonal of K - Z Zᵀ, whose sum is the error in trace norm.
    """
    left = kernel.diagonal(X)  # diagonal of K - Z Zᵀ
    trace = left.sum()
    Z = np.zeros((len(X), max_rank), order="F")
    pivots = np.zeros(max_rank, dtype=np.intp)
    for j in range(max_rank):
        i = int(left.argmax())
        if left[i] <= 0 or left.sum() <= _RESIDUAL_TOLERANCE * trace:
            Z, pivots = Z[:, :j], pivots[:j]
            break
        column = kernel(X, X[i : i + 1])[:, 0] - Z[:, :j] @ Z[i, :j]
        Z[:, j] = column / np.sqrt(left[i])
        Z[pivots[:j], j] = 0  # exactly: earlier pivots are described without error
        pivots[j] = i
        left = np.maximum(left - Z[:, j] ** 2, 0)
        left[i] = 0
    return _Features(Z, pivots, float(left.sum() / trace))


def _whiten(Z: Array, ridge: float) -> Array:
    """Return W (m, rank) with Wᵀ(ZᵀZ/n + ridge I)W = I, for centred features Z (n, m)."""
    C = Z.T @ Z / len(Z)
    C[np.diag_indices_from(C)] += ridge
    R, pivots, rank, _ = dpstrf(C, tol=RANK_TOLERANCE**2 * C.diagonal().max())
    W = np.zeros((len(C), rank))
    W[pivots[:rank] - 1] = np.triu(dtrtri(np.triu(R[:rank, :rank]))[0])
    return W


def _leading_svd(T: Array, k: int) -> tuple[Array, Array, Array]:
    """Return the k leading singular triplets U (a, k), s (k,), V (b, k), s descending."""
    if min(T.shape) < max(20 * k, 200):
        U, s, Vt = np.linalg.svd(T, full_matrices=False)
    else:
        start = np.random.default_rng(0).normal(size=min(T.shape))
        U, s, Vt = svds(T, k, v0=start, ncv=max(4 * k, 40))
        U, s, Vt = U[:, ::-1], s[::-1], Vt[::-1]
    return U[:, :k], s[:k], Vt[:k].T


def _pair(value: Any, name: str) -> tuple[Any, Any]:
    """Return (image, text) from one value for both views or a pair."""
    if isinstance(value, tuple | list):
        if len(value) != 2:
            raise ValueError(f"{name} must be one value or a pair (image, text), got {value!r}.")
        return value[0], value[1]
    return value, value


def _mean_square(Z: Array) -> float:
    """Return the mean squared length of the rows of Z."""
    return float(np.einsum("ij,ij->", Z, Z) / len(Z))


class KCCA(CommonSpaceModel):
    """Kernel canonical correlation analysis: CCA between the feature spaces of two kernels.

    With K̃_x, K̃_y the centred n x n kernel matrices of the training set, finds dual weights α, β
    (n, k) that maximise tr(αᵀ K̃_x K̃_y β) / n subject to
    αᵀ(K̃_x² / n + r_x K̃_x)α = βᵀ(K̃_y² / n + r_y K̃_y)β = I [1]_ [2]_ [3]_. An item x is encoded as
    k̃(x, training set) α, its kernel row centred with *training* means. Hwang and Grauman [4]_
    apply it to images and ordered tags; for their text view see :func:`tag_features`.

    Parameters
    ----------
    n_components : int, default=2
        Number k of pairs of canonical directions.
    kernel : str or pair of str, default="rbf"
        One for both views, or (image, text). With d̄ the mean over the training set of the
        distance or squared length in question, so that no kernel feels the unit of its features:

        * "linear": xᵀy
        * "rbf": exp(-gamma ‖x - y‖² / d̄)
        * "chi2": exp(-gamma χ²(x, y) / d̄) with χ² = Σ (x_i - y_i)² / (x_i + y_i), for histograms
        * "poly": (gamma xᵀy / d̄ + coef0)^degree
    reg : float or pair of float, default=0.1
        Unit-free ridge, one for both views or (image, text): r = reg tr C / p. Here C is the
        covariance in feature space, so that tr C = tr K̃ / n, and p is the number of *input*
        columns of the view, whatever the kernel. For the linear kernel C is the covariance of the
        features themselves, and the result is that of :class:`CCA` with the same ``reg``; for the
        others the dimension of the feature space, often infinite, would be no use. 0 is no ridge;
        it is refused where the kernels are so rich that correlations would be 1.
    gamma : float, default=1.0
        Width of the kernels "rbf", "chi2" and "poly"; larger is more local.
    degree : int, default=3
        Of "poly".
    coef0 : float, default=1.0
        Of "poly".
    max_rank : int, optional
        None is exact: O(n³) time and about ten n x n arrays. Otherwise each kernel matrix is
        replaced by its incomplete Cholesky factor of this many columns, in O(n max_rank²) time
        and O(n max_rank) memory: n = 20,000 with 1,000 columns takes under a minute and 1 GB.

    Attributes
    ----------
    correlations_ : ndarray of shape (n_components,)
        Regularised canonical correlations on the training set, descending in [0, 1]. With a rich
        kernel and little ridge they are near 1 whatever the data; see :meth:`correlations`.
    pivots_image_, pivots_text_ : ndarray of shape (m, p), (m, q)
        The training items whose kernels with a new item encode it: all n of them, or the
        ``max_rank`` that were taken.
    dual_image_, dual_text_ : ndarray of shape (m, k)
        Their weights.
    offset_image_, offset_text_ : ndarray of shape (k,)
        What centring with training means subtracts.
    ridge_image_, ridge_text_ : float
        The ridges r, in the units of the kernels.
    residual_image_, residual_text_ : float
        Share of the kernel's trace that the factor of ``max_rank`` columns leaves out.

    Raises
    ------
    ValueError
        From ``fit``: if a kernel is unknown, "chi2" meets a negative feature, ``n_components``
        exceeds the smaller rank, or without ridge the ranks add up to more than n - 1. From
        encoding: if "chi2" meets a negative feature.

    Notes
    -----
    *Method.* A Cholesky factor K = Z Zᵀ turns the items into rows of Z whose inner products are
    the kernel; subtracting Z's column means centres the kernel, and ridge CCA of the rows is
    KCCA. With pivoting, the factor may stop early [2]_: then Z spans the feature vectors of the
    pivots. Incomplete Cholesky rather than Nyström columns drawn at random, because its greedy
    pivots need no seed, its error (``residual_image_``) is known while it runs, and where the
    kernel has finite rank it stops there with the exact result.

    *Scales of the ridge elsewhere*, to one view: the κ of (K̃² + κK̃) in [3]_ and [4]_ is
    ``reg = κ p / tr K̃``. The shrinkage c of cca-zoo 4, (1 - c) K̃² / (n - 1) + c K̃, is
    ``reg = c / (1 - c) (n - 1) p / tr K̃``.

    References
    ----------
    .. [1] S. Akaho, "A kernel method for canonical correlation analysis", IMPS (2001).
    .. [2] F. R. Bach and M. I. Jordan, "Kernel independent component analysis", Journal of
       Machine Learning Research 3 (2002).
    .. [3] D. R. Hardoon, S. Szedmak and J. Shawe-Taylor, "Canonical correlation analysis: an
       overview with application to learning methods", Neural Computation 16 (2004).
    .. [4] S. J. Hwang and K. Grauman, "Learning the relative importance of objects from tagged
       images for retrieval and cross-modal search", International Journal of Computer Vision 100
       (2012).

    Examples
    --------
    >>> import numpy as np
    >>> from cmrlib.cca import KCCA
    >>> x = np.linspace(-1, 1, 200)[:, None]
    >>> KCCA(n_components=1, reg=0.01).fit(x, x**2).correlations_.round(2)
    array([0.97])
    """

    def __init__(
        self,
        n_components: int = 2,
        kernel: str | tuple[str, str] = "rbf",
        *,
        reg: float | tuple[float, float] = 0.1,
        gamma: float = 1.0,
        degree: int = 3,
        coef0: float = 1.0,
        max_rank: int | None = None,
    ) -> None:
        self.n_components = n_components
        self.kernel = kernel
        self.reg = reg
        self.gamma = gamma
        self.degree = degree
        self.coef0 = coef0
        self.max_rank = max_rank

    def _fit(self, X: Array, Y: Array, labels: Array | None) -> None:
        k = check_scalar(self.n_components, "n_components", Integral, min_val=1)
        regs = [check_scalar(reg, "reg", Real, min_val=0) for reg in _pair(self.reg, "reg")]
        name_x, name_y = _pair(self.kernel, "kernel")
        kernel_x, kernel_y = self._kernel(name_x, X), self._kernel(name_y, Y)
        x, y = self._features(kernel_x, X), self._features(kernel_y, Y)
        mean_x, mean_y = x.Z.mean(axis=0), y.Z.mean(axis=0)
        Zx, Zy = x.Z - mean_x, y.Z - mean_y  # Z̃ Z̃ᵀ is the centred kernel
        ridge_x = regs[0] * _mean_square(Zx) / X.shape[1]  # reg tr C / p
        ridge_y = regs[1] * _mean_square(Zy) / Y.shape[1]
        Wx, Wy = _whiten(Zx, ridge_x), _whiten(Zy, ridge_y)
        n, ranks = len(X), (Wx.shape[1], Wy.shape[1])
        if max(regs) == 0 and sum(ranks) > n - 1:
            raise ValueError(
                f"{n} pairs are too few for kernels of rank {ranks[0]} and {ranks[1]}: "
                "correlations would be 1 whatever the data; set reg > 0 or a smaller max_rank."
            )
        if k > min(ranks):
            raise ValueError(
                f"n_components={k} is more than the smaller rank of the two kernels, min{ranks}."
            )
        U, s, V = _leading_svd(Wx.T @ (Zx.T @ Zy / n) @ Wy, k)
        A, B = fix_signs(Wx @ U, Wy @ V)  # in the coordinates Z
        self.correlations_ = np.minimum(s, 1.0)  # 1 + eps by rounding
        self._kernel_image, self._kernel_text = kernel_x, kernel_y
        self.pivots_image_, self.pivots_text_ = X[x.pivots], Y[y.pivots]
        self.dual_image_, self.dual_text_ = _dual(x, A), _dual(y, B)
        self.offset_image_, self.offset_text_ = mean_x @ A, mean_y @ B
        self.ridge_image_, self.ridge_text_ = ridge_x, ridge_y
        self.residual_image_, self.residual_text_ = x.residual, y.residual

    def _kernel(self, name: str, X: Array) -> _Kernel:
        gamma = check_scalar(self.gamma, "gamma", Real, min_val=0, include_boundaries="neither")
        degree = check_scalar(self.degree, "degree", Integral, min_val=1)
        coef0 = check_scalar(self.coef0, "coef0", Real, min_val=0)
        return _Kernel(name, X, gamma, degree, coef0)

    def _features(self, kernel: _Kernel, X: Array) -> _Features:
        if self.max_rank is None:
            return _cholesky(kernel, X)
        m = check_scalar(self.max_rank, "max_rank", Integral, min_val=1)
        return _incomplete_cholesky(kernel, X, min(m, len(X)))

    def _encode_image(self, X: Array) -> Array:
        return self._kernel_image(X, self.pivots_image_) @ self.dual_image_ - self.offset_image_

    def _encode_text(self, Y: Array) -> Array:
        return self._kernel_text(Y, self.pivots_text_) @ self.dual_text_ - self.offset_text_

    def correlations(self, image: ArrayLike, text: ArrayLike) -> Array:
        """Return the correlation of each pair of components on other pairs, (n_components,).

        The figure to believe: a rich kernel correlates any training set.
        """
        X, Y = check_pairs(image, text)
        return column_correlations(self.encode_image(X), self.encode_text(Y))


def _dual(features: _Features, A: Array) -> Array:
    """Return the weights of the pivots' kernels that equal the weights A of the coordinates Z.

    A new item's coordinates z solve Z_P z = k(P, x), with Z_P the pivots' own, triangular.
    """
    corner = features.Z[features.pivots]
    return solve_triangular(corner, A, lower=True, trans="T", check_finite=False)


class TagFeatures(NamedTuple):
    """What :func:`tag_features` returns, each of shape (n, vocabulary size)."""

    frequency: Array
    relative_rank: Array
    absolute_rank: Array


def tag_features(
    tag_lists: Sequence[Sequence[str]],
    vocabulary: Sequence[str],
    training_lists: Sequence[Sequence[str]] | None = None,
) -> TagFeatures:
    """Describe ordered tag lists so that what is named first weighs most [1]_.

    For the i-th word of the vocabulary and a list of tags, with rank 1 for the first tag:

    * *frequency*: how often the list names it;
    * *relative rank*: the percentile, from 0 to 1, of its rank among the ranks that it has in
      the training lists: 1 when it is named as early as ever;
    * *absolute rank*: 1 / log2(1 + rank): 1, 0.63, 0.5, ... for the first, second, third tag.

    All three are 0 for a word that the list does not name. ``np.hstack`` of the three is a text
    view for :class:`KCCA`.

    Parameters
    ----------
    tag_lists : sequence of n sequences of str
    vocabulary : sequence of str
        Distinct words; other tags take up a rank but have no column.
    training_lists : sequence of sequences of str, optional
        Where the usual rank of each word is taken from; pass the training lists when you
        describe test items. `tag_lists` themselves by default.

    Raises
    ------
    ValueError
        If a word stands twice in the vocabulary.
    TypeError
        If a tag list is one string.

    Notes
    -----
    Frequency and relative rank are as the authors describe them in public; the logarithm of the
    absolute rank is reconstructed. What we found does not state three things. Here a word named
    twice has the mean of its ranks; the percentile is the share of training ranks at or behind
    this one, so that earlier is larger, as for the absolute rank; and a word never seen in
    training has relative rank 0.

    References
    ----------
    .. [1] S. J. Hwang and K. Grauman, "Learning the relative importance of objects from tagged
       images for retrieval and cross-modal search", International Journal of Computer Vision 100
       (2012).

    Examples
    --------
    >>> from cmrlib.cca import tag_features
    >>> tag_features([["cow", "fence"], ["fence", "cow"]], ["cow", "fence"]).absolute_rank.round(2)
    array([[1.  , 0.63],
           [0.63, 1.  ]])
    """
    column = {word: i for i, word in enumerate(vocabulary)}
    if len(column) != len(vocabulary):
        raise ValueError("the vocabulary names a word twice; each word needs one column.")
    frequency, rank = _frequency_and_rank(tag_lists, column)
    training = rank
    if training_lists is not None:
        training = _frequency_and_rank(training_lists, column)[1]
    named = frequency > 0
    relative = np.zeros_like(rank)
    for i in range(len(column)):
        usual = np.sort(training[training[:, i] > 0, i])
        if len(usual):
            relative[:, i] = 1 - np.searchsorted(usual, rank[:, i], side="left") / len(usual)
    absolute = 1 / np.log2(1 + np.where(named, rank, 1))
    return TagFeatures(frequency, np.where(named, relative, 0), np.where(named, absolute, 0))


def _frequency_and_rank(
    tag_lists: Sequence[Sequence[str]], column: dict[str, int]
) -> tuple[Array, Array]:
    """Return counts and mean ranks of the words, each (n, V), 0 where a word is not named."""
    frequency, total = np.zeros((2, len(tag_lists), len(column)))
    for row, tags in enumerate(tag_lists):
        if isinstance(tags, str):
            raise TypeError(f"tag list {row} is one string; pass a list of tags.")
        for place, tag in enumerate(tags, start=1):
            if tag in column:
                frequency[row, column[tag]] += 1
                total[row, column[tag]] += place
    return frequency, total / np.maximum(frequency, 1)
