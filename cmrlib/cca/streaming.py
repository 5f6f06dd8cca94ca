"""Canonical correlation analysis of pairs that never fit in memory together."""

from __future__ import annotations

from typing import NamedTuple, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.exceptions import NotFittedError

from cmrlib.base import CommonSpaceModel, check_pairs, check_view
from cmrlib.cca.linear import CCA

Array = NDArray[np.float64]


class _Sample(NamedTuple):
    """What is kept of n rows z: their mean and the triangular factor of the centred rows."""

    n: int
    mean: Array  # (p + q,)
    R: Array  # (p + q, p + q), RᵀR = Σ (z - mean)(z - mean)ᵀ


def _merge(sample: _Sample | None, Z: Array) -> _Sample:
    """Return the sample with the rows of Z (m, p + q) added."""
    m = len(Z)
    mean = Z.mean(axis=0)
    Z = Z - mean
    if sample is None:
        return _Sample(m, mean, _triangle(Z))
    n = sample.n
    difference = mean - sample.mean
    R = _triangle(np.vstack([sample.R, Z, np.sqrt(n * m / (n + m)) * difference]))
    return _Sample(n + m, sample.mean + m / (n + m) * difference, R)


def _triangle(Z: Array) -> Array:
    return np.asarray(np.linalg.qr(Z, mode="r"))


class StreamingCCA(CommonSpaceModel):
    """Canonical correlation analysis from chunks: the result of :class:`CCA` on all of them.

    ``partial_fit`` takes any number of chunks of any size, in any order. What is kept is the mean
    and the triangular factor R of the centred pairs [X Y] = Q R, (p + q)² numbers whatever the
    number of pairs.

    Parameters
    ----------
    n_components : int, default=2
        Number k of pairs of canonical directions.
    reg : float, default=0.0
        Unit-free ridge, as in :class:`CCA`.

    Attributes
    ----------
    cca_ : CCA
        The model of all pairs seen, with ``correlations_``, ``weights_image_`` and so on. Solved
        when first asked for after a chunk; that is when :class:`CCA` may refuse the data.
    n_samples_seen_ : int

    Notes
    -----
    Chunks are merged by the update of Chan, Golub and LeVeque [1]_: the scatter of two samples of
    sizes n and m with mean difference d is the sum of both scatters and (nm / (n + m)) d dᵀ. Here
    it is done on triangular factors, by a QR decomposition of R, the centred chunk and the row
    √(nm / (n + m)) dᵀ stacked [2]_. Adding up the scatter matrix itself would be simpler but
    squares the condition number: with features that depend on each other to 1e-6, about half of
    the digits that :class:`CCA` gets right would be lost.

    Small chunks wait until there are more than 2 (p + q) rows, so that chunks of one row cost no
    more than large ones. Memory: that buffer, a chunk and R.

    References
    ----------
    .. [1] T. F. Chan, G. H. Golub, R. J. LeVeque, "Algorithms for computing the sample variance:
       analysis and recommendations", The American Statistician 37 (1983).
    .. [2] J. Demmel, L. Grigori, M. Hoemmen, J. Langou, "Communication-optimal parallel and
       sequential QR and LU factorizations", SIAM Journal on Scientific Computing 34 (2012).

    Examples
    --------
    >>> import numpy as np
    >>> from cmrlib.cca import CCA, StreamingCCA
    >>> from cmrlib.datasets import make_gaussian_views
    >>> views = make_gaussian_views(5000, 6, 4, correlations=[0.9, 0.5], random_state=0)
    >>> model = StreamingCCA(n_components=2)
    >>> for start in range(0, 5000, 1000):
    ...     chunk = slice(start, start + 1000)
    ...     model = model.partial_fit(views.image[chunk], views.text[chunk])
    >>> batch = CCA(n_components=2).fit(views.image, views.text)
    >>> bool(np.allclose(model.cca_.weights_image_, batch.weights_image_, rtol=1e-9))
    True
    """

    def __init__(self, n_components: int = 2, reg: float = 0.0) -> None:
        self.n_components = n_components
        self.reg = reg

    def partial_fit(self, image: ArrayLike, text: ArrayLike) -> Self:
        """Learn from more pairs.

        Parameters
        ----------
        image : array-like of shape (m, p)
            A chunk of image features, of one row or more.
        text : array-like of shape (m, q)
            The texts of the same pairs.

        Returns
        -------
        self

        Raises
        ------
        TypeError, ValueError
            With one sentence saying what is wrong; the pairs seen before stay as they were.
        """
        p = getattr(self, "n_features_image_", None)
        q = getattr(self, "n_features_text_", None)
        X, Y = check_view(image, "image", p), check_view(text, "text", q)
        if len(X) != len(Y):
            raise ValueError(
                f"image has {len(X)} rows and text has {len(Y)}; row i of both must be one pair."
            )
        if p is None:
            self.n_features_image_, self.n_features_text_ = X.shape[1], Y.shape[1]
            self.n_samples_seen_ = 0
            self._sample: _Sample | None = None
            self._waiting: list[Array] = []  # chunks not yet merged
            self._least = np.full(X.shape[1] + Y.shape[1], np.inf)
            self._greatest = -self._least
        Z = np.hstack([X, Y])
        if p is None:
            self._origin = Z[0]  # rows are kept relative to the first: an offset costs no digits
        self._least = np.minimum(self._least, Z.min(axis=0))
        self._greatest = np.maximum(self._greatest, Z.max(axis=0))
        self._waiting.append(Z - self._origin)
        if sum(map(len, self._waiting)) > 2 * Z.shape[1]:
            self._merge_waiting()
        self.n_samples_seen_ += len(Z)
        self._cca: CCA | None = None
        return self

    def _merge_waiting(self) -> _Sample:
        if self._waiting:
            self._sample = _merge(self._sample, np.concatenate(self._waiting))
            self._waiting = []
        assert self._sample is not None
        return self._sample

    def _fit(self, X: Array, Y: Array, labels: Array | None) -> None:
        fresh = StreamingCCA(self.n_components, self.reg).partial_fit(X, Y)
        _ = fresh.cca_  # if it refuses, an earlier fit stays as it was
        self.__dict__.update(fresh.__dict__)

    @property
    def cca_(self) -> CCA:
        """The CCA of all pairs seen so far, for the present ``n_components`` and ``reg``."""
        if not hasattr(self, "n_samples_seen_"):
            raise NotFittedError("this StreamingCCA has seen no pairs yet; call partial_fit first.")
        if self._cca is None or self._cca.get_params() != self.get_params():
            self._cca = self._solve()
        return self._cca

    def _solve(self) -> CCA:
        p = self.n_features_image_
        model = CCA(self.n_components, self.reg)
        if self._sample is None:  # few rows, all still there
            Z = np.concatenate(self._waiting) + self._origin
            return model.fit(Z[:, :p], Z[:, p:])
        # constant columns are constant in the least and the greatest row, too
        ends = np.stack([self._least, self._greatest])
        check_pairs(ends[:, :p], ends[:, p:])
        n, mean, R = self._merge_waiting()
        # 2 (p + q) rows of mean zero that have the covariance of all n
        rows = np.sqrt(len(R) / n) * np.vstack([R, -R])
        model.fit(rows[:, :p], rows[:, p:])
        mean = mean + self._origin
        model.mean_image_, model.mean_text_ = mean[:p], mean[p:]
        return model

    def _encode_image(self, X: Array) -> Array:
        return self.cca_.encode_image(X)

    def _encode_text(self, Y: Array) -> Array:
        return self.cca_.encode_text(Y)
