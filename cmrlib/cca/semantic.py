"""Semantic matching: compare posteriors over classes, with or without correlation before."""

from __future__ import annotations

from numbers import Integral, Real

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.utils import check_scalar

from cmrlib.base import CommonSpaceModel, UnpairedModel
from cmrlib.cca.linear import CCA

Array = NDArray[np.float64]
Labels = NDArray[np.int64]


class SM(UnpairedModel):
    """Semantic matching: an item is represented by its posterior over the classes.

    Each modality has a multinomial logistic regression of its own, π(x) = softmax(Wᵀx + b), where
    W and b minimise ½‖W‖² + C Σ_i −log π_{y_i}(x_i), and an image and a text are compared by
    their posteriors [1]_. Nothing links the two modalities but the meaning of the classes: no
    pairs are needed, see :meth:`fit_unpaired`.

    Parameters
    ----------
    C : float, default=10.0
        Weight of the data against the penalty ½‖W‖²; the larger, the more confident the
        posteriors. It depends on the scale of the features. ``np.inf`` drops the penalty.
    max_iter : int, default=5000
        Most iterations of the solver, L-BFGS.

    Attributes
    ----------
    classes_ : ndarray of shape (c,)
        The classes, in the order of the columns of an encoding.
    classifier_image_, classifier_text_ : sklearn.linear_model.LogisticRegression

    Raises
    ------
    ValueError
        From ``fit``: if there are fewer than two classes, or images and texts have different ones.

    Notes
    -----
    Similarity is the cosine of the posteriors, in the paper's words their normalised correlation.
    Their mean entry, 1 / c, is not subtracted first: on the Wikipedia features :class:`SCM` with 9
    components then gives the published figures, 0.277 and 0.226, and with the mean subtracted
    0.305 and 0.226.

    The paper treats items of one class each. A multi-hot row counts here as one item spread evenly
    over its classes (cross-entropy with the row divided by its sum); an item without labels is
    left out.

    References
    ----------
    .. [1] N. Rasiwasia et al., "A new approach to cross-modal multimedia retrieval", ACM
       Multimedia (2010).

    Examples
    --------
    >>> from cmrlib.cca import SM
    >>> from cmrlib.datasets import make_hidden_signal
    >>> data = make_hidden_signal(600, random_state=0)
    >>> model = SM(C=1.0).fit(data.image, data.text, labels=data.labels)
    >>> model.encode_image(data.image).sum(axis=1).round(6)[:3]
    array([1., 1., 1.])
    """

    def __init__(self, C: float = 10.0, max_iter: int = 5000) -> None:
        self.C = C
        self.max_iter = max_iter

    def _fit_unpaired(self, X: Array, L: Labels, Y: Array, M: Labels) -> None:
        C = check_scalar(self.C, "C", Real, min_val=0, include_boundaries="neither")
        max_iter = check_scalar(self.max_iter, "max_iter", Integral, min_val=1)
        of_images, of_texts = present_classes(L), present_classes(M)
        if not np.array_equal(of_images, of_texts):
            raise ValueError(
                f"images have the classes {of_images.tolist()} and texts {of_texts.tolist()}; "
                "posteriors can be compared only over the same ones."
            )
        if len(of_images) < 2:
            raise ValueError("one class is not enough; at least 2 are needed.")
        image, text = (_logistic(Z, T, C, max_iter) for Z, T in ((X, L), (Y, M)))
        self.classifier_image_, self.classifier_text_ = image, text
        self.classes_ = of_images

    def _encode_image(self, X: Array) -> Array:
        return self.classifier_image_.predict_proba(X)

    def _encode_text(self, Y: Array) -> Array:
        return self.classifier_text_.predict_proba(Y)


def present_classes(labels: Labels) -> Labels:
    """Return the class numbers that occur, ascending; of multi-hot labels, the used columns."""
    return np.unique(labels) if labels.ndim == 1 else np.flatnonzero(labels.any(axis=0))


def _logistic(X: Array, labels: Labels, C: float, max_iter: int) -> LogisticRegression:
    """Fit the posterior of one modality."""
    # The smallest tolerance that L-BFGS reaches in double precision: codes then do not depend on
    # where it stopped, nor on the order of the rows.
    model = LogisticRegression(C=C, tol=1e-8, max_iter=max_iter)
    if labels.ndim == 1:
        return model.fit(X, labels)
    item, label = np.nonzero(labels)
    return model.fit(X[item], label, sample_weight=1 / labels.sum(axis=1)[item])


class SCM(CommonSpaceModel):
    """Semantic correlation matching: canonical variates first, posteriors over classes on top.

    CCA learns from the pairs where the two modalities agree, and logistic regression learns from
    the labels what that means: :class:`SM` on the encodings of :class:`CCA` [1]_. The order
    matters; CCA of posteriors is another method.

    Parameters
    ----------
    n_components : int, default=2
        Number of canonical components.
    reg : float, default=0.0
        Unit-free ridge of CCA, C + reg (tr C / p) I.
    C : float, default=10.0
        As in :class:`SM`; canonical variates have variance 1 whatever the features, so that one
        value serves for many data sets.
    max_iter : int, default=5000

    Attributes
    ----------
    cca_ : CCA
        Fitted on the pairs.
    sm_ : SM
        Fitted on the canonical variates.
    classes_ : ndarray of shape (c,)
        The classes, in the order of the columns of an encoding.

    Raises
    ------
    ValueError
        From ``fit``, as :class:`CCA` and :class:`SM` do.

    Notes
    -----
    Where `n_components` is the full rank of a view, its canonical variates are an invertible map
    of its features, and with ``C=np.inf`` its posteriors are those of :class:`SM`.

    References
    ----------
    .. [1] N. Rasiwasia et al., "A new approach to cross-modal multimedia retrieval", ACM
       Multimedia (2010).

    Examples
    --------
    >>> from cmrlib.cca import SCM
    >>> from cmrlib.datasets import make_hidden_signal
    >>> data = make_hidden_signal(600, random_state=0)
    >>> model = SCM(n_components=8).fit(data.image, data.text, labels=data.labels)
    >>> model.encode_text(data.text).shape
    (600, 5)
    """

    uses_labels = True

    def __init__(
        self, n_components: int = 2, reg: float = 0.0, C: float = 10.0, max_iter: int = 5000
    ) -> None:
        self.n_components = n_components
        self.reg = reg
        self.C = C
        self.max_iter = max_iter

    def _fit(self, X: Array, Y: Array, labels: Labels | None) -> None:
        cca = CCA(self.n_components, self.reg).fit(X, Y)
        sm = SM(self.C, self.max_iter).fit(cca.encode_image(X), cca.encode_text(Y), labels)
        self.cca_, self.sm_, self.classes_ = cca, sm, sm.classes_

    def _encode_image(self, X: Array) -> Array:
        return self.sm_.encode_image(self.cca_.encode_image(X))

    def _encode_text(self, Y: Array) -> Array:
        return self.sm_.encode_text(self.cca_.encode_text(Y))
