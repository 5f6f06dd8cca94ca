"""Linear canonical correlation analysis."""

from __future__ import annotations

from numbers import Integral, Real

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.utils import check_scalar

from cmrlib._linalg import column_correlations, fix_signs, whiten, whitened_cross_covariance
from cmrlib.base import CommonSpaceModel, check_pairs

Array = NDArray[np.float64]


class CCA(CommonSpaceModel):
    """Canonical correlation analysis: the linear maps under which two views correlate most.

    Finds A (p, k) and B (q, k) that maximise tr(Aᵀ C_xy B) subject to Aᵀ C_xx A = Bᵀ C_yy B = I,
    where C_xy = XᵀY / n over centred rows [1]_. Retrieval compares encodings by cosine; with
    ``n_components=7`` on the Wikipedia features this is *correlation matching* (CM) of [2]_.

    Parameters
    ----------
    n_components : int, default=2
        Number k of pairs of canonical directions.
    reg : float, default=0.0
        Unit-free ridge, for both views: C + reg (tr C / p) I. 0 is the exact method, unchanged by
        any invertible linear map of either view.

    Attributes
    ----------
    correlations_ : ndarray of shape (n_components,)
        Canonical correlations on the training set, descending in [0, 1]; with ``reg`` > 0 the
        regularised ones (singular values of the ridge-whitened C_xy), which are smaller.
    weights_image_, weights_text_ : ndarray of shape (p, k), (q, k)
        A and B. A column that the others of its view already span has weight 0.
    mean_image_, mean_text_ : ndarray of shape (p,), (q,)
        Training means, subtracted before projecting.
    rank_image_, rank_text_ : int
        Numerical ranks of the centred views (p and q when ``reg`` > 0).

    Raises
    ------
    ValueError
        From ``fit``: if ``n_components`` exceeds the smaller rank; or if, with ``reg=0``, the two
        ranks add up to more than n - 1, when some correlations are 1 whatever the data.

    Notes
    -----
    Björck and Golub [3]_: with Qx, Qy orthonormal bases of the centred views, the singular values
    of QxᵀQy are the canonical correlations. Cost O(n (p² + q²)); no n x n array.

    Other packages scale the ridge otherwise: (1 - c) C + c I, as in cca-zoo, is on standardised
    columns the same subspace as ``reg = c / (1 - c)``, with correlations 1 / (1 - c) times its
    own; a ridge r on XᵀX instead of C is ``reg = r p / tr(XᵀX)``.

    References
    ----------
    .. [1] H. Hotelling, "Relations between two sets of variates", Biometrika 28 (1936).
    .. [2] N. Rasiwasia et al., "A new approach to cross-modal multimedia retrieval", ACM
       Multimedia (2010).
    .. [3] Å. Björck and G. Golub, "Numerical methods for computing angles between linear
       subspaces", Mathematics of Computation 27 (1973).

    Examples
    --------
    >>> from cmrlib.cca import CCA
    >>> from cmrlib.datasets import make_gaussian_views
    >>> views = make_gaussian_views(5000, 6, 4, correlations=[0.9, 0.5], random_state=0)
    >>> CCA(n_components=2).fit(views.image, views.text).correlations_.round(1)
    array([0.9, 0.5])
    """

    def __init__(self, n_components: int = 2, reg: float = 0.0) -> None:
        self.n_components = n_components
        self.reg = reg

    def _fit(self, X: Array, Y: Array, labels: Array | None) -> None:
        k = check_scalar(self.n_components, "n_components", Integral, min_val=1)
        reg = check_scalar(self.reg, "reg", Real, min_val=0)
        n = len(X)
        x, y = whiten(X, reg), whiten(Y, reg)
        if reg == 0 and x.rank + y.rank > n - 1:
            raise ValueError(
                f"{n} pairs are too few for views of rank {x.rank} and {y.rank}: correlations "
                "would be 1 whatever the data; set reg > 0 or use fewer features."
            )
        if k > min(x.rank, y.rank):
            raise ValueError(
                f"n_components={k} is more than the smaller rank of the two views, "
                f"min({x.rank}, {y.rank})."
            )
        U, s, Vt = np.linalg.svd(whitened_cross_covariance(x, y), full_matrices=False)
        A, B = fix_signs(x.W @ U[:, :k], y.W @ Vt[:k].T)
        self.weights_image_, self.weights_text_ = A, B
        self.mean_image_, self.mean_text_ = x.mean, y.mean
        self.rank_image_, self.rank_text_ = x.rank, y.rank
        self.correlations_ = np.minimum(s[:k], 1.0)  # 1 + eps by rounding

    def _encode_image(self, X: Array) -> Array:
        return (X - self.mean_image_) @ self.weights_image_

    def _encode_text(self, Y: Array) -> Array:
        return (Y - self.mean_text_) @ self.weights_text_

    def correlations(self, image: ArrayLike, text: ArrayLike) -> Array:
        """Return the correlation of each pair of components on other pairs, (n_components,).

        Training correlations flatter; these, on pairs not trained on, tell what was learnt.
        """
        X, Y = check_pairs(image, text)
        return column_correlations(self.encode_image(X), self.encode_text(Y))
