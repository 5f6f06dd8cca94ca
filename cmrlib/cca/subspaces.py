"""Subspaces next to CCA: partial least squares, cross-modal factor analysis, bilinear models.

All three are often written as one singular value decomposition of XᵀY. Only :class:`CFA` is;
:class:`PLS` deflates, and the bilinear models factor the two views themselves.
"""

from __future__ import annotations

from numbers import Integral, Real

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.linalg import eigh
from sklearn.exceptions import NotFittedError
from sklearn.utils import check_scalar

from cmrlib._linalg import RANK_TOLERANCE, fix_signs
from cmrlib.base import MODALITIES, CommonSpaceModel, check_view

Array = NDArray[np.float64]


class CFA(CommonSpaceModel):
    """Cross-modal factor analysis: one singular value decomposition of the cross-covariance.

    Finds A (p, k) and B (q, k) with orthonormal columns that maximise tr(Aᵀ C_xy B), where
    C_xy = XᵀY / n over centred rows [1]_: the first k left and right singular vectors.

    Parameters
    ----------
    n_components : int, default=2
        Number k of pairs of directions.

    Attributes
    ----------
    covariances_ : ndarray of shape (n_components,)
        Singular values of C_xy, descending: the covariance of each pair of scores.
    weights_image_, weights_text_ : ndarray of shape (p, k), (q, k)
        A and B.
    mean_image_, mean_text_ : ndarray of shape (p,), (q,)
        Training means, subtracted before projecting.

    Raises
    ------
    ValueError
        From ``fit``: if ``n_components`` exceeds the rank of C_xy.

    Notes
    -----
    The paper states the objective as min ‖XA - YB‖² with AᵀA = BᵀB = I. For square A and B that
    is the same problem, because ‖XA‖ and ‖YB‖ are then fixed. For k < min(p, q) it is not: the
    distance is smallest along directions that hardly vary at all. The paper keeps the first k of
    the full solution, and so does this class, which therefore maximises the trace.

    Columns with a larger scale count for more; CCA does not have this property. Bring columns to
    a common scale first if their units differ.

    References
    ----------
    .. [1] D. Li, N. Dimitrova, M. Li, I. K. Sethi, "Multimedia content processing through
       cross-modal association", ACM Multimedia (2003).

    Examples
    --------
    >>> from cmrlib.cca import CFA
    >>> from cmrlib.datasets import load_emoji
    >>> emoji = load_emoji()
    >>> CFA(n_components=8).fit(emoji.image, emoji.text).encode_text(emoji.text).shape
    (1898, 8)
    """

    def __init__(self, n_components: int = 2) -> None:
        self.n_components = n_components

    def _fit(self, X: Array, Y: Array, labels: Array | None) -> None:
        k = check_scalar(self.n_components, "n_components", Integral, min_val=1)
        mean_image, mean_text = X.mean(axis=0), Y.mean(axis=0)
        C = (X - mean_image).T @ (Y - mean_text) / len(X)  # (p, q)
        U, s, Vt = np.linalg.svd(C, full_matrices=False)
        rank = int(np.sum(s > RANK_TOLERANCE**2 * s[0]))
        if k > rank:
            raise ValueError(
                f"n_components={k} is more than the rank {rank} of the cross-covariance."
            )
        self.weights_image_, self.weights_text_ = fix_signs(U[:, :k], Vt[:k].T)
        self.mean_image_, self.mean_text_ = mean_image, mean_text
        self.covariances_ = s[:k]

    def _encode_image(self, X: Array) -> Array:
        return (X - self.mean_image_) @ self.weights_image_

    def _encode_text(self, Y: Array) -> Array:
        return (Y - self.mean_text_) @ self.weights_text_


class PLS(CommonSpaceModel):
    """Partial least squares: pairs of directions of largest covariance, found one after another.

    Step h takes the unit vectors w, c that maximise the covariance of the scores t = X_h w and
    u = Y_h c, and then deflates each view by its own score [1]_:

        X_{h+1} = X_h - t pᵀ,  p = X_hᵀ t / tᵀt,    Y_{h+1} = Y_h - u dᵀ,  d = Y_hᵀ u / uᵀu.

    Therefore the scores of one view are mutually orthogonal; those of :class:`CFA`, which takes
    all directions from the first step, are not. The first pair is the same.

    Parameters
    ----------
    n_components : int, default=2
        Number k of pairs.

    Attributes
    ----------
    weights_image_, weights_text_ : ndarray of shape (p, k), (q, k)
        W, the directions w of all steps; orthonormal columns. They apply to deflated views.
    loadings_image_, loadings_text_ : ndarray of shape (p, k), (q, k)
        P, the vectors p (and d) of all steps.
    rotations_image_, rotations_text_ : ndarray of shape (p, k), (q, k)
        R = W (PᵀW)⁻¹, which gives the scores from the view as it came: T = X R.
    covariances_ : ndarray of shape (n_components,)
        Covariance of each pair of scores on the training set.
    mean_image_, mean_text_ : ndarray of shape (p,), (q,)

    Raises
    ------
    ValueError
        From ``fit``: if the deflated views stop to covary before ``n_components`` steps.

    Notes
    -----
    The survey of PLS variants [1]_ names this one, where both views are treated alike, "PLS
    mode A"; it equals ``PLSCanonical`` of scikit-learn with ``scale=False``. Columns with a
    larger scale count for more: standardise them first if their units differ.

    No step needs X_hᵀ Y_h anew: deflation changes it by two outer products, so that k steps cost
    O(npq + kn(p + q) + kpq min(p, q)).

    References
    ----------
    .. [1] R. Rosipal and N. Krämer, "Overview and recent advances in partial least squares",
       Subspace, Latent Structure and Feature Selection, LNCS 3940 (2006).

    Examples
    --------
    >>> from cmrlib.cca import PLS
    >>> from cmrlib.datasets import make_gaussian_views
    >>> views = make_gaussian_views(500, 6, 4, random_state=0)
    >>> T = PLS(n_components=2).fit(views.image, views.text).encode_image(views.image)
    >>> bool(abs(T[:, 0] @ T[:, 1]) < 1e-9)
    True
    """

    def __init__(self, n_components: int = 2) -> None:
        self.n_components = n_components

    def _fit(self, X: Array, Y: Array, labels: Array | None) -> None:
        k = check_scalar(self.n_components, "n_components", Integral, min_val=1)
        n = len(X)
        mean_image, mean_text = X.mean(axis=0), Y.mean(axis=0)
        X, Y = X - mean_image, Y - mean_text
        C = X.T @ Y
        weights_image, weights_text = np.empty((X.shape[1], k)), np.empty((Y.shape[1], k))
        loadings_image, loadings_text = np.empty_like(weights_image), np.empty_like(weights_text)
        covariances = np.empty(k)
        for h in range(k):
            w, c = _leading_pair(C)
            t, u = X @ w, Y @ c
            covariances[h] = t @ u / n
            if covariances[h] <= RANK_TOLERANCE**2 * covariances[0]:
                raise ValueError(
                    f"n_components={k} is too many: after {h} nothing is left that covaries."
                )
            p, d = X.T @ t / (t @ t), Y.T @ u / (u @ u)
            C -= np.outer(p, t @ Y)
            X -= np.outer(t, p)
            C -= np.outer(X.T @ u, d)
            Y -= np.outer(u, d)
            weights_image[:, h], weights_text[:, h] = w, c
            loadings_image[:, h], loadings_text[:, h] = p, d
        self.weights_image_, self.weights_text_ = weights_image, weights_text
        self.loadings_image_, self.loadings_text_ = loadings_image, loadings_text
        self.rotations_image_ = _rotations(weights_image, loadings_image)
        self.rotations_text_ = _rotations(weights_text, loadings_text)
        self.covariances_ = covariances
        self.mean_image_, self.mean_text_ = mean_image, mean_text

    def _encode_image(self, X: Array) -> Array:
        return (X - self.mean_image_) @ self.rotations_image_

    def _encode_text(self, Y: Array) -> Array:
        return (Y - self.mean_text_) @ self.rotations_text_


def _leading_pair(C: Array) -> tuple[Array, Array]:
    """Return the first left and right singular vector of C (p, q); zeros for one if C = 0."""
    wide = C.shape[0] < C.shape[1]
    gram = C @ C.T if wide else C.T @ C  # the smaller one; its first vector is well determined
    last = len(gram) - 1
    v = eigh(gram, subset_by_index=[last, last])[1]  # (min(p, q), 1)
    other = C.T @ v if wide else C @ v
    other /= np.linalg.norm(other) or 1.0
    w, c = fix_signs(v, other) if wide else fix_signs(other, v)
    return w[:, 0], c[:, 0]


def _rotations(W: Array, P: Array) -> Array:
    """Return W (PᵀW)⁻¹, (p, k): the maps from the view itself to the scores of every step."""
    return np.asarray(np.linalg.solve(W.T @ P, W.T).T)


class BLM(CommonSpaceModel):
    """Bilinear model of style and content, asymmetric: each modality is a style of one content.

    An item with content b in R^k is seen as the image x = A_x b and as the text y = A_y b, up to
    noise [1]_: the style is the modality, the content is the pair. The model minimises

        ‖X - B A_xᵀ‖² + ‖Y - B A_yᵀ‖²

    over A_x (p, k), A_y (q, k) and B (n, k), by one decomposition of the stacked views [X Y]. A
    new item has one style only, and its content is inferred by least squares: b = A_x⁺ x.

    Parameters
    ----------
    n_components : int, default=2
        Dimension k of the content (J in the paper).

    Attributes
    ----------
    styles_image_, styles_text_ : ndarray of shape (p, k), (q, k)
        A_x and A_y.
    mean_image_, mean_text_ : ndarray of shape (p,), (q,)

    Raises
    ------
    ValueError
        From ``fit``: if ``n_components`` exceeds the rank of the stacked views, or one modality
        does not show all of the content, so that it cannot be inferred from it.

    Notes
    -----
    The loss leaves B free up to an invertible M: B M and A M⁻ᵀ fit as well. As in the paper, the
    training contents are made white (BᵀB / n = I); cosine similarity depends on this choice.
    The paper fits observations as they come; here the views are centred, as everywhere in the
    book. Both views weigh by their variance: rescale one, and the content changes.

    In one line of the literature "BLM" stands for the singular value decomposition of XᵀY; that
    is :class:`CFA`, and it neither reconstructs the views nor infers anything.

    References
    ----------
    .. [1] J. B. Tenenbaum and W. T. Freeman, "Separating style and content with bilinear models",
       Neural Computation 12 (2000).

    Examples
    --------
    >>> from cmrlib.cca import BLM
    >>> from cmrlib.datasets import make_gaussian_views
    >>> views = make_gaussian_views(500, 6, 4, random_state=0)
    >>> model = BLM(n_components=2).fit(views.image, views.text)
    >>> content = model.encode_image(views.image)
    >>> model.render(content, "text").shape  # the same contents in the other style
    (500, 4)
    """

    def __init__(self, n_components: int = 2) -> None:
        self.n_components = n_components

    def _fit(self, X: Array, Y: Array, labels: Array | None) -> None:
        k = check_scalar(self.n_components, "n_components", Integral, min_val=1)
        n, p = X.shape
        mean_image, mean_text = X.mean(axis=0), Y.mean(axis=0)
        Z = np.hstack([X - mean_image, Y - mean_text])  # (n, p + q)
        variance, E = _leading_eigenvectors(Z.T @ Z / n, k)
        _check_content_visible(E[:p], E[p:])
        A = E * np.sqrt(variance)
        self._set_styles(A[:p], A[p:], mean_image, mean_text)

    def _set_styles(
        self, A_image: Array, A_text: Array, mean_image: Array, mean_text: Array
    ) -> None:
        self.styles_image_, self.styles_text_ = A_image, A_text
        self.mean_image_, self.mean_text_ = mean_image, mean_text

    def _encode_image(self, X: Array) -> Array:
        return (X - self.mean_image_) @ np.linalg.pinv(self.styles_image_).T

    def _encode_text(self, Y: Array) -> Array:
        return (Y - self.mean_text_) @ np.linalg.pinv(self.styles_text_).T

    def render(self, content: ArrayLike, modality: str) -> Array:
        """Show contents (n, k) as a modality: features (n, p) or (n, q).

        With ``encode`` before it, this translates: ``render(encode_image(X), "text")``.
        """
        if modality not in MODALITIES:
            raise ValueError(f"modality must be 'image' or 'text', got {modality!r}.")
        if not hasattr(self, "styles_image_"):
            raise NotFittedError(
                f"this {type(self).__name__} is not fitted yet; call fit(image, text) first."
            )
        A, mean = getattr(self, f"styles_{modality}_"), getattr(self, f"mean_{modality}_")
        return check_view(content, "content", A.shape[1]) @ A.T + mean


class SymmetricBLM(BLM):
    """Bilinear model of style and content, symmetric: the modality, too, is a vector.

    Coordinate d of the item with content b in style s is aₛᵀ W_d b, with a_s in R^I and b in R^J
    [1]_: a style no longer has a matrix of its own but mixes I shared ones,
    A_s = Σ_i a_si W_i. Styles and contents are fitted in turn, each by the leading vectors of the
    data projected on the other, which lowers the loss at every turn.

    Parameters
    ----------
    n_components : int, default=2
        Dimension J of the content.
    n_styles : {1, 2}, default=2
        Dimension I of the style.
    tol : float, default=1e-10
        Stop when the loss falls by less than this fraction of the data's sum of squares.
    max_iter : int, default=200

    Attributes
    ----------
    style_vectors_ : ndarray of shape (2, n_styles)
        a_s for image and text; orthonormal columns.
    bases_ : ndarray of shape (n_styles, max(p, q), n_components)
        W_i.
    styles_image_, styles_text_ : ndarray of shape (p, k), (q, k)
        A_s, as in :class:`BLM`.
    history_ : list of float
        Loss after each turn, as a fraction of the data's sum of squares.

    Notes
    -----
    Two modalities are two styles, so a style has at most two useful dimensions. With
    ``n_styles=2`` every pair of style matrices can be mixed from two bases, and the model equals
    :class:`BLM`. With ``n_styles=1`` both modalities share one basis up to a factor, which makes
    sense only where coordinate d means the same in both (two photographs of one scene, the two
    languages of one topic model). The paper has observations of one width; here the narrower view
    is padded with zeros.

    References
    ----------
    .. [1] J. B. Tenenbaum and W. T. Freeman, "Separating style and content with bilinear models",
       Neural Computation 12 (2000).
    """

    def __init__(
        self, n_components: int = 2, n_styles: int = 2, tol: float = 1e-10, max_iter: int = 200
    ) -> None:
        super().__init__(n_components)
        self.n_styles = n_styles
        self.tol = tol
        self.max_iter = max_iter

    def _fit(self, X: Array, Y: Array, labels: Array | None) -> None:
        k = check_scalar(self.n_components, "n_components", Integral, min_val=1)
        n_styles = check_scalar(self.n_styles, "n_styles", Integral, min_val=1, max_val=2)
        tol = check_scalar(self.tol, "tol", Real, min_val=0)
        turns = check_scalar(self.max_iter, "max_iter", Integral, min_val=1)
        p, q = X.shape[1], Y.shape[1]
        width = max(p, q)
        mean_image, mean_text = X.mean(axis=0), Y.mean(axis=0)
        Z = np.hstack([_padded(X - mean_image, width), _padded(Y - mean_text, width)])
        # both updates need the items only through their covariance
        C = (Z.T @ Z / len(Z)).reshape(2, width, 2, width)
        total = float(np.einsum("sdsd->", C))

        a = np.eye(2)  # (2, I): the start is the asymmetric model, where each style is its own
        W, _ = _fit_contents(C, a, k)
        history: list[float] = []
        for _ in range(turns):
            a = _fit_styles(C, a, W, n_styles)
            W, explained = _fit_contents(C, a, k)
            history.append(1 - explained / total)
            if len(history) > 1 and history[-2] - history[-1] <= tol:
                break
        A_image, A_text = np.einsum("si,idj->sdj", a, W)
        _check_content_visible(A_image, A_text)
        self._set_styles(A_image[:p], A_text[:q], mean_image, mean_text)
        self.style_vectors_, self.bases_ = a, W
        self.history_ = history


def _fit_contents(C: Array, a: Array, k: int) -> tuple[Array, float]:
    """Given styles a (2, I), return the best bases W (I, width, k) and the variance they explain.

    The contents that go with them are white; they are not needed and not formed.
    """
    width = C.shape[1]
    mixed = np.einsum("si,sdte,tj->idje", a, C, a, optimize=True)
    variance, E = _leading_eigenvectors(mixed.reshape(a.shape[1] * width, -1), k)
    return (E * np.sqrt(variance)).reshape(-1, width, k), float(variance.sum())


def _fit_styles(C: Array, a: Array, W: Array, n_styles: int) -> Array:
    """Given the contents that go with a and W, return the best styles (2, n_styles)."""
    variance = np.einsum("idj,idj->j", W, W)
    views = np.einsum("sdte,ti,iej->sdj", C, a, W, optimize=True) / variance  # Z_sᵀ B / n
    gram = np.einsum("sdj,tdj->st", views, views)
    a = np.linalg.eigh(gram)[1][:, ::-1][:, :n_styles]
    return fix_signs(a, a)[0]


def _leading_eigenvectors(C: Array, k: int) -> tuple[Array, Array]:
    """Return the k largest eigenvalues of C, descending, and their eigenvectors as columns."""
    width = len(C)
    if k <= width:
        values, E = eigh(C, subset_by_index=[width - k, width - 1])
        values, E = values[::-1], E[:, ::-1]
    if k > width or values[-1] <= RANK_TOLERANCE**2 * values[0]:
        raise ValueError(f"n_components={k} is more than the rank of the two views side by side.")
    return values, fix_signs(E, E)[0]


def _check_content_visible(A_image: Array, A_text: Array) -> None:
    """Refuse style matrices that hide a part of the content, which could not be inferred."""
    for modality, A in (("image", A_image), ("text", A_text)):
        whole = np.sqrt(np.sum(A_image**2, axis=0) + np.sum(A_text**2, axis=0))
        seen = np.linalg.svd(A / whole, compute_uv=False)
        rank = int(np.sum(seen > RANK_TOLERANCE))
        if rank < A.shape[1]:
            raise ValueError(
                f"n_components={A.shape[1]} is too many: {modality} shows only {rank} of the "
                f"content's dimensions, so the others cannot be inferred from it."
            )


def _padded(X: Array, width: int) -> Array:
    """Return X (n, p) with zero columns appended up to `width`."""
    return np.pad(X, ((0, 0), (0, width - X.shape[1])))
