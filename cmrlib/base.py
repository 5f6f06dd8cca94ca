"""Base classes of every retrieval model, and the one place that checks what goes in.

Three kinds of model, as in the literature:

* :class:`CommonSpaceModel` maps both modalities to one space and compares there by cosine;
* :class:`HashModel` is a common-space model whose codes are bits, compared by Hamming distance;
* :class:`SimilarityModel` scores an image-text pair directly, without a vector for each.

A method subclasses one of them and writes ``_fit`` and ``_encode_image`` / ``_encode_text`` (or
``_similarity``); the public methods here validate, so no method has to.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.sparse import issparse
from sklearn.base import BaseEstimator
from sklearn.exceptions import NotFittedError

Array = NDArray[Any]
MODALITIES = ("image", "text")


def check_view(X: ArrayLike, name: str, n_features: int | None = None) -> NDArray[np.float64]:
    """Return one modality's features as a finite float64 array of shape (n, p).

    Parameters
    ----------
    X : array-like of shape (n, p)
        Features, one row an item.
    name : str
        What to call the array in an error message, "image" or "text".
    n_features : int, optional
        The width the model was fitted with.

    Raises
    ------
    TypeError
        If `X` is sparse or does not hold real numbers.
    ValueError
        If `X` is not 2-d, is empty, holds NaN or infinity, or has the wrong width.
    """
    if issparse(X):
        raise TypeError(f"{name} is a sparse matrix; pass a dense array, {name}.toarray().")
    try:
        array = np.asarray(X)
    except ValueError as error:
        raise ValueError(
            f"{name} has rows of different lengths; every row needs the same width."
        ) from error
    if array.dtype.kind not in "biuf":
        raise TypeError(f"{name} must hold real numbers, got dtype {array.dtype}.")
    if array.ndim != 2:
        raise ValueError(
            f"{name} must be 2-d, (n_samples, n_features), got shape {array.shape}; "
            f"a single item is {name}[None, :]."
        )
    if 0 in array.shape:
        raise ValueError(f"{name} is empty: shape {array.shape}.")
    array = array.astype(np.float64, copy=False)
    finite = np.isfinite(array)
    if not finite.all():
        row, column = np.argwhere(~finite)[0]
        raise ValueError(f"{name} holds NaN or infinity, first at row {row}, column {column}.")
    if n_features is not None and array.shape[1] != n_features:
        raise ValueError(
            f"{name} has {array.shape[1]} features, but the model was fitted with {n_features}."
        )
    return array


def check_pairs(
    image: ArrayLike, text: ArrayLike
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return both modalities of a training set, checked to be paired and informative.

    Raises
    ------
    TypeError, ValueError
        As :func:`check_view`; and if the row counts differ, there is a single pair, or a column
        is constant (all-zero columns pass, unless all columns are constant).
    """
    X, Y = check_view(image, "image"), check_view(text, "text")
    if len(X) != len(Y):
        raise ValueError(
            f"image has {len(X)} rows and text has {len(Y)}; row i of both must be one pair."
        )
    if len(X) < 2:
        raise ValueError("one pair is not enough to fit a model; at least 2 are needed.")
    for name, array in (("image", X), ("text", Y)):
        check_varies(array, name)
    return X, Y


def check_unpaired(
    image: ArrayLike, text: ArrayLike
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return both modalities of a training set without pairs, checked to be informative.

    Raises
    ------
    TypeError, ValueError
        As :func:`check_view`; and if there is a single item, or a column is constant, as in
        :func:`check_pairs`.
    """
    X, Y = check_view(image, "image"), check_view(text, "text")
    for name, array in (("image", X), ("text", Y)):
        if len(array) < 2:
            raise ValueError(f"one {name} is not enough to fit a model; give at least 2.")
        check_varies(array, name)
    return X, Y


def check_varies(array: Array, name: str) -> None:
    """Refuse constant columns, except zeros: a unit or word that never fires is no mistake."""
    suspects = np.flatnonzero(array[0] == array[-1])  # few, so that most columns are not read
    constant = suspects[(array[:, suspects] == array[0, suspects]).all(axis=0)]
    if constant.size == array.shape[1]:
        raise ValueError(f"every column of {name} is constant; there is nothing to learn from.")
    mistaken = constant[array[0, constant] != 0]
    if mistaken.size:
        raise ValueError(
            f"{name} has {mistaken.size} column(s) with one and the same non-zero value, first "
            f"column {mistaken[0]}; they say nothing about an item, drop them."
        )


def check_labels(labels: ArrayLike, n: int) -> NDArray[np.int64]:
    """Return labels as integers: (n,) class numbers, or (n, c) multi-hot with entries 0 and 1.

    Raises
    ------
    TypeError
        If the labels are not whole numbers.
    ValueError
        If there are not `n` of them, or a 2-d array is not multi-hot.
    """
    array = np.asarray(labels)
    if array.dtype.kind not in "biu":
        raise TypeError(f"labels must be integers or multi-hot, got dtype {array.dtype}.")
    if array.ndim not in (1, 2) or len(array) != n:
        raise ValueError(
            f"labels must have shape ({n},) or ({n}, n_classes), one row a pair, got {array.shape}."
        )
    if array.ndim == 2 and not np.isin(array, (0, 1)).all():
        raise ValueError("2-d labels must be multi-hot: only 0 and 1.")
    return array.astype(np.int64)


def cosine_similarity(A: Array, B: Array) -> NDArray[np.float64]:
    """Return the (n, m) cosines between rows of A (n, k) and rows of B (m, k); 0 for a zero row."""

    def unit(Z: Array) -> Array:
        norm = np.linalg.norm(Z, axis=1, keepdims=True)
        return Z / np.where(norm == 0, 1, norm)

    return unit(A) @ unit(B).T


class RetrievalModel(BaseEstimator, ABC):
    """What every model shares: ``fit`` with its checks, and parameters as in scikit-learn.

    Attributes
    ----------
    n_features_image_, n_features_text_ : int
        Widths p and q of the two modalities, set by ``fit``.
    """

    uses_labels: ClassVar[bool] = False

    def fit(self, image: ArrayLike, text: ArrayLike, labels: ArrayLike | None = None) -> Self:
        """Learn from pairs.

        Parameters
        ----------
        image : array-like of shape (n, p)
            Image features; row i belongs to row i of `text`.
        text : array-like of shape (n, q)
            Text features.
        labels : array-like of shape (n,) or (n, c), optional
            Class numbers or multi-hot labels. Required by supervised methods; refused by the
            others, so that no label is ever silently ignored.

        Returns
        -------
        self

        Raises
        ------
        TypeError, ValueError
            With one sentence saying what is wrong; an earlier fit is left as it was.
        """
        X, Y = check_pairs(image, text)
        method = type(self).__name__
        if self.uses_labels and labels is None:
            raise ValueError(f"{method} is supervised: call fit(image, text, labels=...).")
        if not self.uses_labels and labels is not None:
            raise ValueError(f"{method} does not use labels: call fit(image, text).")
        self._fit(X, Y, None if labels is None else check_labels(labels, len(X)))
        self.n_features_image_, self.n_features_text_ = X.shape[1], Y.shape[1]
        return self

    @abstractmethod
    def _fit(self, X: Array, Y: Array, labels: Array | None) -> None:
        """Learn from checked arrays X (n, p), Y (n, q); set the trailing-underscore attributes."""

    @abstractmethod
    def similarity(self, image: ArrayLike, text: ArrayLike) -> Array:
        """Return the (n_image, n_text) similarities; larger is closer."""

    def _check_encodable(self, X: ArrayLike, modality: str) -> NDArray[np.float64]:
        if modality not in MODALITIES:
            raise ValueError(f"modality must be 'image' or 'text', got {modality!r}.")
        if not hasattr(self, "n_features_image_"):
            name = type(self).__name__
            raise NotFittedError(f"this {name} is not fitted yet; call fit(image, text) first.")
        return check_view(X, modality, getattr(self, f"n_features_{modality}_"))


class CommonSpaceModel(RetrievalModel):
    """A model that maps images and texts to vectors of one space."""

    @abstractmethod
    def _encode_image(self, X: Array) -> Array:
        """Map checked image features (n, p) to the common space, (n, k)."""

    @abstractmethod
    def _encode_text(self, Y: Array) -> Array:
        """Map checked text features (n, q) to the common space, (n, k)."""

    def encode(self, X: ArrayLike, modality: str) -> Array:
        """Map one modality, "image" or "text", to the common space: (n, k)."""
        checked = self._check_encodable(X, modality)
        return self._encode_image(checked) if modality == "image" else self._encode_text(checked)

    def encode_image(self, image: ArrayLike) -> Array:
        """Map image features (n, p) to the common space, (n, k)."""
        return self.encode(image, "image")

    def encode_text(self, text: ArrayLike) -> Array:
        """Map text features (n, q) to the common space, (n, k)."""
        return self.encode(text, "text")

    def similarity(self, image: ArrayLike, text: ArrayLike) -> Array:
        """Return the cosine in the common space of every image with every text, (n, m)."""
        return cosine_similarity(self.encode_image(image), self.encode_text(text))


class HashModel(CommonSpaceModel):
    """A common-space model whose codes are bits, held as -1 and +1.

    Subclasses return real scores from ``_encode_image`` and ``_encode_text``, thresholds (learnt
    from the training set) already subtracted; the sign is taken here, with sign(0) = +1.
    """

    n_bits: int

    def fit(self, image: ArrayLike, text: ArrayLike, labels: ArrayLike | None = None) -> Self:
        """Learn from pairs; see :meth:`RetrievalModel.fit`."""
        if not isinstance(self.n_bits, int | np.integer) or self.n_bits < 1:
            raise ValueError(f"n_bits must be a whole number of at least 1, got {self.n_bits!r}.")
        return super().fit(image, text, labels)

    def encode(self, X: ArrayLike, modality: str) -> NDArray[np.int8]:
        """Hash one modality: (n, n_bits) int8, each entry -1 or +1."""
        scores = super().encode(X, modality)
        return np.where(scores >= 0, 1, -1).astype(np.int8)

    def pack(self, codes: ArrayLike) -> NDArray[np.uint8]:
        """Pack codes (n, n_bits) of -1 and +1 into (n, ceil(n_bits / 8)) bytes for search."""
        array = np.asarray(codes)
        if array.ndim != 2 or array.shape[1] != self.n_bits or not np.isin(array, (-1, 1)).all():
            raise ValueError(f"codes must be (n, {self.n_bits}) with entries -1 and +1.")
        return np.packbits(array > 0, axis=1)

    def similarity(self, image: ArrayLike, text: ArrayLike) -> NDArray[np.float32]:
        """Return the number of equal bits, n_bits - Hamming distance, (n, m)."""
        B = self.encode_image(image).astype(np.float32)
        D = self.encode_text(text).astype(np.float32)
        equal: NDArray[np.float32] = np.float32(0.5) * (np.float32(self.n_bits) + B @ D.T)
        return equal  # whole numbers, exact in float32


class UnpairedModel(CommonSpaceModel):
    """A common-space model that learns from labelled items, not from pairs.

    A subclass writes ``_fit_unpaired``; ``fit`` is the case in which row i of both modalities
    carries the same labels.
    """

    uses_labels = True

    def fit_unpaired(
        self, image: ArrayLike, image_labels: ArrayLike, text: ArrayLike, text_labels: ArrayLike
    ) -> Self:
        """Learn from images and texts that are not paired, each with labels of its own.

        Parameters
        ----------
        image : array-like of shape (n, p)
        image_labels : array-like of shape (n,) or (n, c)
            Class numbers or multi-hot labels.
        text : array-like of shape (m, q)
        text_labels : array-like of shape (m,) or (m, c)
            Of the same kind and over the same classes as `image_labels`.

        Returns
        -------
        self

        Raises
        ------
        TypeError, ValueError
            With one sentence saying what is wrong; an earlier fit is left as it was.
        """
        X, Y = check_unpaired(image, text)
        L, M = check_labels(image_labels, len(X)), check_labels(text_labels, len(Y))
        if L.shape[1:] != M.shape[1:]:
            raise ValueError(
                f"image_labels of shape {L.shape} and text_labels of shape {M.shape} differ in "
                "kind: give both as class numbers or both as multi-hot over the same classes."
            )
        self._fit_unpaired(X, L, Y, M)
        self.n_features_image_, self.n_features_text_ = X.shape[1], Y.shape[1]
        return self

    def _fit(self, X: Array, Y: Array, labels: Array | None) -> None:
        assert labels is not None  # fit has refused to go on without
        self._fit_unpaired(X, labels, Y, labels)

    @abstractmethod
    def _fit_unpaired(self, X: Array, L: Array, Y: Array, M: Array) -> None:
        """Learn from checked X (n, p) with labels L and Y (m, q) with labels M."""


class SimilarityModel(RetrievalModel):
    """A model that scores image-text pairs directly, such as cross-attention."""

    @abstractmethod
    def _similarity(self, X: Array, Y: Array) -> Array:
        """Score checked features X (n, p) against Y (m, q): (n, m)."""

    def similarity(self, image: ArrayLike, text: ArrayLike) -> Array:
        """Return the score of every image with every text, (n, m); larger is closer."""
        return self._similarity(
            self._check_encodable(image, "image"), self._check_encodable(text, "text")
        )
