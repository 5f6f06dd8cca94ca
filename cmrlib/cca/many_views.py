"""Canonical correlation analysis of two, three and more views."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from numbers import Integral, Real
from typing import Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.linalg import eigh
from sklearn.exceptions import NotFittedError
from sklearn.utils import check_scalar

from cmrlib._linalg import WhitenedView, fix_signs, whiten, whitened_cross_covariance
from cmrlib.base import CommonSpaceModel, check_varies, check_view

Array = NDArray[np.float64]


class ManyViewModel(CommonSpaceModel):
    """What the models of this module share: any number of views, each with a name.

    ``fit(image, text)`` learns from two views. ``fit_views`` learns from any number of them, given
    by name, and ``encode(X, name)`` then takes each of these names. ``encode_image``,
    ``encode_text`` and ``similarity`` work as ever where views are named "image" and "text".

    Both methods solve one eigenproblem in the whitened views. With X_v W_v whitened, M is the
    matrix of blocks W_vᵀ C_vw W_w, one a pair of views, and the weights of view v are
    A_v = W_v Z_v, where the columns of Z are the leading eigenvectors of M, scaled. The methods
    differ in that scale and, where ``reg`` > 0, in the diagonal blocks of M.
    """

    def __init__(self, n_components: int = 2, reg: float | Mapping[str, float] = 0.0) -> None:
        self.n_components = n_components
        self.reg = reg

    @abstractmethod
    def _diagonal_block(self, view: WhitenedView) -> Array:
        """Return the block of M that belongs to one view alone, (rank, rank)."""

    @abstractmethod
    def _lengths(self, eigenvalues: Array, n_views: int) -> Array:
        """Return the lengths that the unit eigenvectors are given, (k,)."""

    def fit_views(self, views: Mapping[str, ArrayLike]) -> Self:
        """Learn from any number of views of the same items.

        Parameters
        ----------
        views : mapping of str to array-like of shape (n, p_v)
            At least two, by name; row i of each is item i.

        Returns
        -------
        self

        Raises
        ------
        TypeError, ValueError
            With one sentence saying what is wrong; an earlier fit is left as it was.
        """
        if not isinstance(views, Mapping):
            raise TypeError("views must be a mapping such as {'image': X, 'text': Y, 'tags': Z}.")
        if len(views) < 2:
            raise ValueError(f"at least 2 views are needed, got {len(views)}.")
        checked = {name: check_view(X, name) for name, X in views.items()}
        rows = {name: len(X) for name, X in checked.items()}
        if len(set(rows.values())) > 1:
            raise ValueError(f"row i of every view must be item i, but the rows are {rows}.")
        if min(rows.values()) < 2:
            raise ValueError("one item is not enough to fit a model; at least 2 are needed.")
        for name, X in checked.items():
            check_varies(X, name)
        self._fit_views(checked)
        return self

    def _fit(self, X: Array, Y: Array, labels: Array | None) -> None:
        self._fit_views({"image": X, "text": Y})

    def _fit_views(self, views: Mapping[str, Array]) -> None:
        k = check_scalar(self.n_components, "n_components", Integral, min_val=1)
        regs = _ridges(self.reg, list(views))
        whitened = [whiten(X, reg) for X, reg in zip(views.values(), regs, strict=True)]
        _check_ranks(whitened, regs, k)

        M = self._eigenproblem(whitened)
        values, Z = eigh(M, subset_by_index=[len(M) - k, len(M) - 1])
        values, Z = values[::-1], Z[:, ::-1]
        Z = Z * self._lengths(values, len(views))
        parts = np.split(Z, np.cumsum([view.rank for view in whitened])[:-1])
        weights = [view.W @ part for view, part in zip(whitened, parts, strict=True)]

        first, rest = fix_signs(weights[0], np.vstack(weights[1:]))
        others = np.split(rest, np.cumsum([len(A) for A in weights[1:]])[:-1])
        self.weights_ = dict(zip(views, [first, *others], strict=True))
        self.means_ = dict(zip(views, [view.mean for view in whitened], strict=True))
        self.eigenvalues_ = values

    def _eigenproblem(self, whitened: list[WhitenedView]) -> Array:
        """Return M, (sum of ranks, sum of ranks)."""

        def block(i: int, j: int) -> Array:
            if i == j:
                return self._diagonal_block(whitened[i])
            return whitened_cross_covariance(whitened[i], whitened[j])

        views = range(len(whitened))
        return np.block([[block(i, j) for j in views] for i in views])

    def _check_encodable(self, X: ArrayLike, modality: str) -> NDArray[np.float64]:
        if not hasattr(self, "weights_"):
            raise NotFittedError(
                f"this {type(self).__name__} is not fitted yet; call fit(image, text) or "
                "fit_views(views) first."
            )
        if modality not in self.weights_:
            known = " or ".join(repr(name) for name in self.weights_)
            raise ValueError(f"modality must be {known}, got {modality!r}.")
        return check_view(X, modality, len(self.means_[modality]))

    def encode(self, X: ArrayLike, modality: str) -> Array:
        """Map one view, called by its name, to the common space: (n, k)."""
        return self._project(self._check_encodable(X, modality), modality)

    def _project(self, X: Array, name: str) -> Array:
        encoded: Array = (X - self.means_[name]) @ self.weights_[name]
        return encoded

    def _encode_image(self, X: Array) -> Array:
        return self._project(X, "image")

    def _encode_text(self, Y: Array) -> Array:
        return self._project(Y, "text")


def _ridges(reg: float | Mapping[str, float], names: list[str]) -> list[float]:
    """Return one ridge a view."""
    if isinstance(reg, Mapping):
        if set(reg) != set(names):
            raise ValueError(f"reg must name exactly the views {names}, got {list(reg)}.")
    else:
        reg = dict.fromkeys(names, reg)
    return [check_scalar(reg[name], "reg", Real, min_val=0) for name in names]


def _check_ranks(whitened: list[WhitenedView], regs: list[float], k: int) -> None:
    """Refuse what cannot be told apart from chance, and more components than views can share."""
    n = len(whitened[0].Q)
    bare = sorted(view.rank for view, reg in zip(whitened, regs, strict=True) if reg == 0)
    if len(bare) > 1 and bare[-2] + bare[-1] > n - 1:
        raise ValueError(
            f"{n} items are too few for views of rank {bare[-2]} and {bare[-1]}: correlations "
            "would be 1 whatever the data; set reg > 0 or use fewer features."
        )
    limit = sum(sorted(view.rank for view in whitened)[:-1])
    if k > limit:
        raise ValueError(
            f"n_components={k} is more than {limit}, the sum of all ranks but the largest."
        )


class MCCA(ManyViewModel):
    """Multiset canonical correlation analysis: directions along which all views agree in sum.

    One component is a weight vector a_v for each of m views that maximises the sum of covariances
    over all pairs, Σ_v≠w a_vᵀ C_vw a_w, while the variances add up to m: Σ_v a_vᵀ C_vv a_v = m.
    Further components are uncorrelated in the same sum. With two views this is
    :class:`~cmrlib.cca.CCA`, exactly.

    Parameters
    ----------
    n_components : int, default=2
        Number k of components.
    reg : float or mapping of str to float, default=0.0
        Unit-free ridge, C + reg (tr C / p) I: one for all views, or one for each by name.

    Attributes
    ----------
    correlations_ : ndarray of shape (n_components,)
        The sum over pairs, divided by its greatest value m (m - 1): 1 where all views agree,
        negative where they disagree more than they agree; with two views the canonical
        correlation.
    eigenvalues_ : ndarray of shape (n_components,)
        1 + (m - 1) correlations_, descending: at most m.
    weights_ : dict of str to ndarray of shape (p_v, k)
    means_ : dict of str to ndarray of shape (p_v,)

    Raises
    ------
    ValueError
        From ``fit`` and ``fit_views``: if ``n_components`` exceeds the sum of all ranks but the
        largest; or if the ranks of two views with ``reg=0`` add up to more than n - 1, when
        correlations are 1 whatever the data.

    Notes
    -----
    Of Kettenring's five criteria [1]_ this is SUMCOR under the joint constraint, which turns it
    into one eigenproblem; under one constraint a view, SUMCOR needs iteration. That joint form
    has the same directions as MAXVAR, which is :class:`GCCA`; only the lengths differ. A view
    that agrees less with the others gets a smaller share of the variance m.

    Cost O(n Σp_v² + (Σp_v)³) and no n x n array.

    References
    ----------
    .. [1] J. R. Kettenring, "Canonical analysis of several sets of variables", Biometrika 58
       (1971).

    Examples
    --------
    >>> import numpy as np
    >>> from cmrlib.cca import MCCA
    >>> rng = np.random.default_rng(0)
    >>> cause = rng.normal(size=(1000, 1))
    >>> views = {name: cause + rng.normal(size=(1000, 3)) for name in ("image", "text", "sound")}
    >>> model = MCCA(n_components=1).fit_views(views)
    >>> model.encode(views["sound"], "sound").shape
    (1000, 1)
    """

    def _fit_views(self, views: Mapping[str, Array]) -> None:
        super()._fit_views(views)
        self.correlations_ = np.minimum((self.eigenvalues_ - 1) / (len(views) - 1), 1.0)

    def _diagonal_block(self, view: WhitenedView) -> Array:
        return np.eye(view.rank)

    def _lengths(self, eigenvalues: Array, n_views: int) -> Array:
        return np.full(len(eigenvalues), np.sqrt(n_views))


class GCCA(ManyViewModel):
    """Generalised canonical correlation analysis, MAXVAR: one configuration near all views.

    Finds a shared configuration G (n, k) with GᵀG / n = I, and A_v (p_v, k) for every view, that
    minimise Σ_v ‖G - X_v A_v‖² [1]_. G is made of the leading eigenvectors of the sum of the
    projections on the views' column spaces; that n x n matrix is never formed.

    Parameters
    ----------
    n_components : int, default=2
        Number k of columns of G.
    reg : float or mapping of str to float, default=0.0
        Unit-free ridge, one for all views or one for each by name: the loss gets
        + n reg (tr C_vv / p_v) ‖A_v‖².

    Attributes
    ----------
    eigenvalues_ : ndarray of shape (n_components,)
        Of the sum of projections, descending; m where all m views agree. With ``reg=0`` the loss
        is n Σ_h (m - eigenvalues_[h]).
    weights_ : dict of str to ndarray of shape (p_v, k)
    means_ : dict of str to ndarray of shape (p_v,)

    Raises
    ------
    ValueError
        As :class:`MCCA`.

    Notes
    -----
    Σ_v X_v A_v = G Λ, so the shared configuration is the sum of the encodings, each column divided
    by its eigenvalue. With ``reg=0`` the weights are those of :class:`MCCA` times √(λ / m), one
    factor a component: the directions are the same, but components on which the views disagree
    are shortened, which a cosine notices.

    References
    ----------
    .. [1] J. D. Carroll, "Generalization of canonical correlation analysis to three or more sets
       of variables", Proceedings of the American Psychological Association (1968); Kettenring
       (1971) calls it MAXVAR.
    """

    def _diagonal_block(self, view: WhitenedView) -> Array:
        return whitened_cross_covariance(view, view)  # I - (ridge part)

    def _lengths(self, eigenvalues: Array, n_views: int) -> Array:
        return np.sqrt(eigenvalues)
