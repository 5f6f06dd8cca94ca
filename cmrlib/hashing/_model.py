"""Hash models whose codes are the sign of a linear function of the features."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from sklearn.preprocessing import StandardScaler

from cmrlib.base import HashModel

Array = NDArray[np.float64]


class LinearHashModel(HashModel):
    """A hash model with codes sign(Z P - t), Z the features standardised as in training.

    Attributes
    ----------
    scaler_image_, scaler_text_ : StandardScaler
        Mean and standard deviation of each feature over the training set.
    P_image_, P_text_ : ndarray of shape (p, n_bits), (q, n_bits)
        Projections, applied to standardised features.
    threshold_image_, threshold_text_ : ndarray of shape (n_bits,)
        Subtracted before the sign; learnt from the training set, never from queries.
    """

    scaler_image_: StandardScaler
    scaler_text_: StandardScaler
    P_image_: Array
    P_text_: Array
    threshold_image_: Array
    threshold_text_: Array

    def _encode_image(self, X: Array) -> Array:
        scores: Array = self.scaler_image_.transform(X) @ self.P_image_ - self.threshold_image_
        return scores

    def _encode_text(self, Y: Array) -> Array:
        scores: Array = self.scaler_text_.transform(Y) @ self.P_text_ - self.threshold_text_
        return scores
