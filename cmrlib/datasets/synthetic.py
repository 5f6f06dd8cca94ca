"""Generated data whose truth is known."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from sklearn.utils import check_random_state

from cmrlib.datasets._dataset import PairedDataset

Array = NDArray[np.float64]


def _random_map(size: int, condition: float, rng: np.random.RandomState) -> Array:
    """Return a random (size, size) matrix with singular values from 1 down to 1 / condition."""
    left, right = (np.linalg.qr(rng.normal(size=(size, size)))[0] for _ in range(2))
    return (left * np.geomspace(1, 1 / condition, size)) @ right


def make_gaussian_views(
    n_samples: int = 1000,
    n_features_image: int = 20,
    n_features_text: int = 10,
    *,
    correlations: Sequence[float] = (0.9, 0.7, 0.5),
    condition: float = 10.0,
    random_state: int | None = None,
) -> PairedDataset:
    """Draw two Gaussian views with chosen population canonical correlations.

    Latent pairs (z_i, w_i) have correlation ``correlations[i]`` and are independent of all
    others; the views are X = Z M and Y = W N with random invertible M and N, which canonical
    correlations do not feel.

    Parameters
    ----------
    n_samples : int
    n_features_image, n_features_text : int
        p and q.
    correlations : sequence of float in [0, 1]
        At most min(p, q); the remaining ones are 0.
    condition : float, default=10
        Condition number of M and N, at least 1.
    random_state : int, optional

    Raises
    ------
    ValueError
        If a correlation is outside [0, 1] or there are too many.

    Examples
    --------
    >>> from cmrlib.datasets import make_gaussian_views
    >>> make_gaussian_views(100, 5, 4, correlations=[0.9], random_state=0)
    PairedDataset('gaussian views', 100 pairs, image 5-d, text 4-d)
    """
    rho = np.asarray(correlations, dtype=float)
    if rho.ndim != 1 or len(rho) > min(n_features_image, n_features_text):
        raise ValueError(
            f"correlations must list at most min({n_features_image}, {n_features_text}) numbers."
        )
    if not ((rho >= 0) & (rho <= 1)).all():
        raise ValueError("canonical correlations lie between 0 and 1.")
    rng = check_random_state(random_state)
    k = len(rho)
    Z = rng.normal(size=(n_samples, n_features_image))
    W = rng.normal(size=(n_samples, n_features_text))
    W[:, :k] = rho * Z[:, :k] + np.sqrt(1 - rho**2) * W[:, :k]
    return PairedDataset(
        name="gaussian views",
        image=Z @ _random_map(n_features_image, condition, rng),
        text=W @ _random_map(n_features_text, condition, rng),
    )


def make_hidden_signal(
    n_samples: int = 600,
    n_features_image: int = 30,
    n_features_text: int = 20,
    *,
    n_classes: int = 5,
    signal: float = 1.0,
    n_nuisance: int = 10,
    nuisance: float = 4.0,
    random_state: int | None = None,
) -> PairedDataset:
    """Draw classes that only the labels give away: a test of whether a method uses them.

    Both views share strong nuisance factors that have nothing to do with the class, and carry the
    class itself in directions of low variance. An unsupervised method aligns the nuisance; a
    supervised one finds the class; with permuted labels it must fall back.

    Parameters
    ----------
    n_samples, n_features_image, n_features_text, n_classes : int
    signal : float, default=1
        Standard deviation of the class centres; the unshared noise has 1.
    n_nuisance : int, default=10
        Number of shared nuisance factors: an unsupervised method with at most that many
        components retrieves classes at random.
    nuisance : float, default=4
        Standard deviation that these factors have in the views.
    random_state : int, optional

    Returns
    -------
    PairedDataset
        Features at unit standard deviation, labels (n_samples,).

    Raises
    ------
    ValueError
        If a view is too narrow to hold class and nuisance in separate directions.
    """
    if min(n_features_image, n_features_text) < n_nuisance + n_classes:
        raise ValueError("each view needs at least n_nuisance + n_classes features.")
    rng = check_random_state(random_state)
    labels = rng.randint(n_classes, size=n_samples)
    shared = nuisance * rng.normal(size=(n_samples, n_nuisance))
    # one-hot classes centred, so that the class signal has mean 0
    classes = signal * np.sqrt(n_classes) * (np.eye(n_classes)[labels] - 1 / n_classes)

    def view(p: int) -> Array:
        basis = np.linalg.qr(rng.normal(size=(p, p)))[0]  # orthonormal rows
        X = shared @ basis[:n_nuisance] + classes @ basis[n_nuisance : n_nuisance + n_classes]
        X += rng.normal(size=X.shape)
        return X / X.std(axis=0)

    return PairedDataset(
        name="hidden signal",
        image=view(n_features_image),
        text=view(n_features_text),
        labels=labels,
        class_names=tuple(f"class {c}" for c in range(n_classes)),
    )
