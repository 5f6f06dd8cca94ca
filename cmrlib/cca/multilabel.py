"""CCA that takes its correspondences from labels, not from pairs."""

from __future__ import annotations

from collections.abc import Iterator
from numbers import Integral, Real
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from sklearn.utils import check_scalar

from cmrlib._linalg import fix_signs, whiten
from cmrlib.base import UnpairedModel
from cmrlib.cca.semantic import Labels

Array = NDArray[np.float64]

_ENTRIES_AT_ONCE = 2_000_000  # label similarities held at a time


class MLCCA(UnpairedModel):
    """Multi-label CCA: every image is paired with every text, the more so the more alike labels.

    Ordinary CCA averages over given pairs. ml-CCA [1]_ averages over all pairs (i, j) of an image
    and a text, weighted by the similarity f_ij of their labels:

    C_xy = Σ_ij f_ij x_i y_jᵀ / Z,  C_xx = Σ_ij f_ij x_i x_iᵀ / Z,  C_yy = Σ_ij f_ij y_j y_jᵀ / Z,

    with Z = Σ_ij f_ij, and finds A, B that maximise tr(Aᵀ C_xy B) subject to Aᵀ C_xx A =
    Bᵀ C_yy B = I. All three are weighted: an item whose labels are common counts for more in C_xx
    too. No pairs are needed, see :meth:`fit_unpaired`.

    Parameters
    ----------
    n_components : int, default=2
        Number k of pairs of directions. The labels allow at most one fewer than there are
        different label sets.
    reg : float, default=0.25
        Unit-free ridge for both views, C + reg (tr C / p) I: κ in the authors' code, whose default
        this is. 0 is the exact method.
    label_similarity : {"dot", "exp"}, default="dot"
        f of two multi-hot label vectors. "dot": their cosine; of items with one class each, 1 if
        the classes are equal and 0 otherwise. "exp": exp(−‖l_i − l_j‖ / sigma).
    sigma : float, default=1.0
        σ of "exp".

    Attributes
    ----------
    correlations_ : ndarray of shape (n_components,)
        Correlations of the components over the weighted pairs, descending in [0, 1].
    weights_image_, weights_text_ : ndarray of shape (p, k), (q, k)
        A and B.
    mean_image_, mean_text_ : ndarray of shape (p,), (q,)
        Training means, subtracted before projecting.

    Raises
    ------
    ValueError
        From ``fit``: if `n_components` is more than the views or the labels allow; if no two
        items share a label; or if, with ``reg=0``, there are so few items that some correlations
        would be perfect whatever the data.

    Notes
    -----
    With a different label for every pair f is the identity, and ml-CCA is CCA. With one class an
    item and "dot" it is cluster-CCA [2]_: CCA over all pairs within the classes.

    Both views are centred by their plain means, as in the authors' code. There the distance of
    "exp" is not squared, although called a squared exponential; so it is here. Z cancels.

    Items with equal labels have equal f, so the sums run over the u different label sets: for n
    items O(u² (q + c) + n (p² + q²)) operations, and no array larger than O(n (p + q) + u c).

    References
    ----------
    .. [1] V. Ranjan, N. Rasiwasia and C. V. Jawahar, "Multi-label cross-modal retrieval", ICCV
       (2015).
    .. [2] N. Rasiwasia, D. Mahajan, V. Mahadevan and G. Aggarwal, "Cluster canonical correlation
       analysis", AISTATS (2014).

    Examples
    --------
    >>> from cmrlib.cca import MLCCA
    >>> from cmrlib.datasets import make_hidden_signal
    >>> data = make_hidden_signal(600, random_state=0)
    >>> model = MLCCA(n_components=4).fit(data.image, data.text, labels=data.labels)
    >>> model.encode_image(data.image).shape
    (600, 4)
    """

    def __init__(
        self,
        n_components: int = 2,
        reg: float = 0.25,
        label_similarity: str = "dot",
        sigma: float = 1.0,
    ) -> None:
        self.n_components = n_components
        self.reg = reg
        self.label_similarity = label_similarity
        self.sigma = sigma

    def _fit_unpaired(self, X: Array, L: Labels, Y: Array, M: Labels) -> None:
        k = check_scalar(self.n_components, "n_components", Integral, min_val=1)
        reg = check_scalar(self.reg, "reg", Real, min_val=0)
        check_scalar(self.sigma, "sigma", Real, min_val=0, include_boundaries="neither")
        if self.label_similarity not in ("dot", "exp"):
            raise ValueError(
                f"label_similarity must be 'dot' or 'exp', got {self.label_similarity!r}."
            )
        groups = _group(L, M)
        mean_x, mean_y = X.mean(axis=0), Y.mean(axis=0)
        X, Y = X - mean_x, Y - mean_y
        sums_x, sums_y = groups.of_images @ X, groups.of_texts @ Y  # (u, p), (u, q)

        weight_x, weight_y = np.zeros(groups.n), np.zeros(groups.n)  # Σ_j f_ij, Σ_i f_ij
        matched = np.zeros_like(sums_y)  # Σ_j f_ij y_j, for an image of each label set
        for rows, F in self._label_similarities(groups):
            weight_x[rows] = F @ groups.n_texts
            weight_y += groups.n_images[rows] @ F
            matched[rows] = F @ sums_y
        Z = weight_x @ groups.n_images
        if Z == 0:
            raise ValueError("no image and text share a label, so nothing relates the two views.")

        W_x = _whiten_weighted(X, weight_x @ groups.of_images, reg)  # (p, rank)
        W_y = _whiten_weighted(Y, weight_y @ groups.of_texts, reg)
        self._check_sizes(k, reg, len(X), len(Y), groups.n, W_x.shape[1], W_y.shape[1])
        U, s, Vt = np.linalg.svd((sums_x @ W_x).T @ (matched @ W_y) / Z, full_matrices=False)
        related = int((s > 1e-10).sum())
        if k > related:
            raise ValueError(
                f"n_components={k} is more than the {related} directions in which these labels "
                "relate the two views."
            )
        A, B = fix_signs(W_x @ U[:, :k], W_y @ Vt[:k].T)
        self.weights_image_, self.weights_text_ = A, B
        self.mean_image_, self.mean_text_ = mean_x, mean_y
        self.correlations_ = np.minimum(s[:k], 1.0)  # 1 + eps by rounding

    @staticmethod
    def _check_sizes(k: int, reg: float, n: int, m: int, u: int, rank_x: int, rank_y: int) -> None:
        if k > min(rank_x, rank_y):
            raise ValueError(
                f"n_components={k} is more than the smaller rank of the two views, "
                f"min({rank_x}, {rank_y})."
            )
        # Scores that are constant within label sets fill at least rank + u - n dimensions of the
        # u - 1 there are; when both views' together exceed these, they meet.
        if reg == 0 and (rank_x + u - n) + (rank_y + u - m) > u - 1:
            raise ValueError(
                f"{n} images and {m} texts are too few for views of rank {rank_x} and {rank_y}: "
                "some scores would depend on the labels alone whatever the data; set reg > 0 or "
                "use fewer features."
            )

    def _label_similarities(self, groups: _Groups) -> Iterator[tuple[slice, Array]]:
        """Yield f between some label sets and all, (b, u), block after block."""
        size = groups.size
        step = max(1, _ENTRIES_AT_ONCE // groups.n)
        for start in range(0, groups.n, step):
            rows = slice(start, start + step)
            common = (groups.vectors[rows] @ groups.vectors.T).toarray()
            squared_distance = size[rows, None] + size - 2 * common
            if self.label_similarity == "dot":
                F = common / np.sqrt(np.maximum(size[rows, None] * size, 1))  # 0 without labels
            else:
                F = np.exp(-np.sqrt(squared_distance) / self.sigma)
            yield rows, F * self._share(squared_distance, groups.n_texts)

    def _share(self, squared_distance: Array, n_texts: Array) -> Array | float:
        """Return which share of the texts of each label set takes part: here, all."""
        return 1.0

    def _encode_image(self, X: Array) -> Array:
        return (X - self.mean_image_) @ self.weights_image_

    def _encode_text(self, Y: Array) -> Array:
        return (Y - self.mean_text_) @ self.weights_text_


class FastMLCCA(MLCCA):
    """Fast ml-CCA: :class:`MLCCA` in which an image meets only the texts of nearest labels.

    Most of the n² pairs have small f. Fast ml-CCA [1]_ keeps, for each image, the `n_neighbors`
    texts whose label vectors are nearest to its own in Euclidean distance, so that the sums have
    n · n_neighbors terms. With `n_neighbors` the number of texts it is ml-CCA exactly.

    Parameters
    ----------
    n_components : int, default=2
    reg : float, default=0.25
    label_similarity : {"dot", "exp"}, default="exp"
        The authors' code of this variant has "exp" only.
    sigma : float, default=1.0
    n_neighbors : int, default=100
        Texts kept for each image, k in the paper.

    Notes
    -----
    Many texts are equally near, as labels are few. The authors' code keeps whichever its search
    returns first. Here the texts at the last distance share what is left of `n_neighbors` evenly:
    the expectation over a random choice among them, which no order of the rows changes.

    Because :class:`MLCCA` already sums over label sets instead of items, what is saved here is
    the noise of weak correspondences more than time.

    Attributes, errors and further parameters are those of :class:`MLCCA`.

    References
    ----------
    .. [1] V. Ranjan, N. Rasiwasia and C. V. Jawahar, "Multi-label cross-modal retrieval", ICCV
       (2015).
    """

    def __init__(
        self,
        n_components: int = 2,
        reg: float = 0.25,
        label_similarity: str = "exp",
        sigma: float = 1.0,
        n_neighbors: int = 100,
    ) -> None:
        super().__init__(n_components, reg, label_similarity, sigma)
        self.n_neighbors = n_neighbors

    def _fit_unpaired(self, X: Array, L: Labels, Y: Array, M: Labels) -> None:
        check_scalar(self.n_neighbors, "n_neighbors", Integral, min_val=1)
        if self.n_neighbors > len(Y):
            raise ValueError(f"n_neighbors={self.n_neighbors} is more than the {len(Y)} texts.")
        super()._fit_unpaired(X, L, Y, M)

    def _share(self, squared_distance: Array, n_texts: Array) -> Array:
        share = np.zeros_like(squared_distance)
        left = np.full(len(squared_distance), float(self.n_neighbors))
        for distance in np.unique(squared_distance):  # whole numbers, so that ties are exact
            here = squared_distance == distance
            n = here @ n_texts
            share += here * np.clip(left / np.maximum(n, 1), 0, 1)[:, None]
            left = np.maximum(left - n, 0)
        return share


class _Groups(NamedTuple):
    """The u different label sets of a training set, and who has them."""

    vectors: csr_matrix  # (u, c) multi-hot
    size: Array  # (u,) labels in each set
    of_images: csr_matrix  # (u, n) 1.0 where image i has label set u
    of_texts: csr_matrix  # (u, m)
    n_images: Array  # (u,)
    n_texts: Array  # (u,)

    @property
    def n(self) -> int:
        """Number of different label sets."""
        return len(self.size)


def _group(L: Labels, M: Labels) -> _Groups:
    """Group images with labels L and texts with labels M by equal label sets."""
    different, group = np.unique(np.concatenate([L, M]), axis=0, return_inverse=True)
    u = len(different)
    # a class number is a one-hot vector; sparse, lest u classes make a u x u array
    one_hot = (np.ones(u), (np.arange(u), np.arange(u)))
    vectors = csr_matrix(one_hot) if L.ndim == 1 else csr_matrix(different.astype(np.float64))

    def members(of: Labels) -> csr_matrix:
        return csr_matrix((np.ones(len(of)), (of, np.arange(len(of)))), shape=(u, len(of)))

    of_images, of_texts = members(group.ravel()[: len(L)]), members(group.ravel()[len(L) :])
    size, n_images, n_texts = (
        np.asarray(matrix.sum(axis=1)).ravel() for matrix in (vectors, of_images, of_texts)
    )
    return _Groups(vectors, size, of_images, of_texts, n_images, n_texts)


def _whiten_weighted(X: Array, weight: Array, reg: float) -> Array:
    """Return W (p, rank) with Wᵀ(C + reg (tr C / p) I)W = I, C = Σ_i w_i x_i x_iᵀ / Σ_i w_i.

    The rows of X are centred by their plain mean, and the weighted ones have another; with every
    row there goes its negative, so that ``whiten`` has nothing to subtract.
    """
    rows = X * np.sqrt(weight / weight.mean())[:, None]
    return whiten(np.concatenate([rows, -rows]), reg).W
