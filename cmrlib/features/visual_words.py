"""Hand-made image features: local descriptors, visual words, colour and gradient histograms."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from importlib import import_module
from numbers import Integral
from typing import Any, NamedTuple, Self, TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from sklearn.base import BaseEstimator
from sklearn.cluster import MiniBatchKMeans
from sklearn.exceptions import NotFittedError
from sklearn.metrics import pairwise_distances_argmin
from sklearn.utils import check_random_state, check_scalar
from tqdm import tqdm

from cmrlib.features._pictures import grey, on_white

Array = NDArray[Any]
Pictures = Sequence[Image.Image]
Described = TypeVar("Described")

N_CELLS = 4  # a descriptor has 4 x 4 cells
N_DIRECTIONS = 8  # of 8 directions each
SMALLEST_SIDE = 12  # pixels; the scale space of SIFT needs as many
MOST_DESCRIPTORS = 100_000  # that a codebook is learnt from


class LocalFeatures(NamedTuple):
    """Places of a picture and what it looks like there; lengths in pixels of the picture given.

    Attributes
    ----------
    positions : ndarray of shape (m, 2)
        Row and column of the centre of each described square.
    sizes : ndarray of shape (m,)
        Its side.
    angles : ndarray of shape (m,)
        Its turn, in radians: its own first axis points along (row, column) = (cos, sin).
    descriptors : ndarray of shape (m, 128), float32
        Rows of unit length.
    """

    positions: Array
    sizes: Array
    angles: Array
    descriptors: NDArray[np.float32]


def patch_descriptors(patches: NDArray[Any]) -> NDArray[np.float32]:
    """Describe upright grey patches by their gradients, as SIFT does.

    Each patch is cut into 4 x 4 cells. A cell's histogram has 8 directions, 45° apart; each pixel
    adds the length of its gradient, shared between the two nearest directions. The 128 numbers
    are scaled to length 1, cut off at 0.2, and scaled to length 1 again.

    Parameters
    ----------
    patches : ndarray of shape (m, s, s)
        Brightness; s is a multiple of 4.

    Returns
    -------
    ndarray of shape (m, 128), float32
        Entry 32 r + 8 c + d is direction d of the cell in row r, column c; direction 0 is
        brighter to the right, direction 2 brighter downwards. A flat patch gives zeros.

    Notes
    -----
    Lowe [1]_ also weights the patch by a Gaussian and shares a gradient among neighbouring cells,
    as :func:`sift` does. Here neither, and gradients are taken inside the patch alone (one-sided
    at its border), so that the descriptor depends on nothing outside it.

    References
    ----------
    .. [1] D. Lowe, "Distinctive image features from scale-invariant keypoints", International
       Journal of Computer Vision 60 (2004).
    """
    m, side, _ = patches.shape
    down, right = np.gradient(patches, axis=(1, 2))
    strength = np.hypot(down, right)
    angle = np.arctan2(down, right) * (N_DIRECTIONS / (2 * np.pi))
    lower = np.floor(angle)
    cells = np.empty((m, N_CELLS, N_CELLS, N_DIRECTIONS))
    for direction in range(N_DIRECTIONS):
        share = np.where(lower % N_DIRECTIONS == direction, 1 - (angle - lower), 0.0)
        share += np.where((lower + 1) % N_DIRECTIONS == direction, angle - lower, 0.0)
        blocks = (strength * share).reshape(m, N_CELLS, side // N_CELLS, N_CELLS, side // N_CELLS)
        cells[..., direction] = blocks.sum(axis=(2, 4))
    clipped = np.minimum(_unit(cells.reshape(m, -1)), 0.2)
    return _unit(clipped).astype(np.float32)


def dense_sift(
    picture: Image.Image, *, size: int = 64, step: int = 8, cell: int = 4
) -> LocalFeatures:
    """Describe a picture on a fixed grid: upright squares of one size (dense SIFT).

    Parameters
    ----------
    picture : PIL image
        Any mode; transparent parts count as white.
    size : int, default=64
        Its longer side is scaled to so many pixels.
    step : int, default=8
        Distance between neighbouring squares, in pixels of the scaled picture.
    cell : int, default=4
        Side of a cell; a square has 4 x 4 cells.

    Returns
    -------
    LocalFeatures
        See :func:`patch_descriptors`. Flat squares have no direction and are left out, so that
        the result may be empty.
    """
    size, step, cell = _whole(size=size, step=step, cell=cell)
    scaled, factor = _scaled_grey(picture, size)
    side = N_CELLS * cell
    if min(scaled.shape) < side:
        return _no_features()
    windows = np.lib.stride_tricks.sliding_window_view(scaled, (side, side))[::step, ::step]
    corners = np.indices(windows.shape[:2]).reshape(2, -1).T * step
    descriptors = patch_descriptors(windows.reshape(-1, side, side))
    textured = descriptors.any(axis=1)
    positions = (corners[textured] + side / 2) / factor - 0.5
    n = len(positions)
    return LocalFeatures(positions, np.full(n, side / factor), np.zeros(n), descriptors[textured])


def sift(picture: Image.Image, *, size: int = 161) -> LocalFeatures:
    """Find the keypoints of a picture and describe each: SIFT, by scikit-image.

    Keypoints are extrema of differences of Gaussians over place and scale. Each gets the main
    direction of its surroundings (or several), and is described relative to it [1]_.

    Parameters
    ----------
    picture : PIL image
        Any mode; transparent parts count as white.
    size : int, default=161
        Its longer side is scaled to so many pixels first. The paper doubles the picture instead;
        photographs with fine detail want a larger `size`. One more than a multiple of 32 keeps
        the samples of the first octaves symmetric, and keypoints where they are when a square
        picture is turned by 90°.

    Returns
    -------
    LocalFeatures
        Empty if the picture has no keypoint, or a scaled side below 12 pixels.

    Raises
    ------
    ImportError
        If scikit-image is not installed.

    References
    ----------
    .. [1] D. Lowe, "Distinctive image features from scale-invariant keypoints", International
       Journal of Computer Vision 60 (2004).
    """
    (size,) = _whole(size=size)
    detector = _scikit_image().SIFT(upsampling=1)
    scaled, factor = _scaled_grey(picture, size)
    if min(scaled.shape) < SMALLEST_SIDE:
        return _no_features()
    try:
        with np.errstate(divide="ignore", invalid="ignore"):  # flat parts of drawn pictures
            detector.detect_and_extract(scaled)
    except RuntimeError as error:
        if "no features" not in str(error):
            raise
        return _no_features()
    return LocalFeatures(
        (detector.positions.astype(float) + 0.5) / factor - 0.5,
        2 * detector.lambda_descr * detector.sigmas / factor,
        detector.orientations.astype(float),
        _unit(detector.descriptors.astype(float)).astype(np.float32),
    )


class BagOfVisualWords(BaseEstimator):
    """Describe a picture by how often each visual word occurs in it.

    Local descriptors of training pictures are clustered by k-means; the centres are the *words*
    of a codebook. A picture's feature is the histogram of the words nearest to its descriptors,
    divided by their number. The idea comes from object search in films [1]_ and was taken up for
    classifying pictures [2]_.

    Parameters
    ----------
    n_words : int, default=300
        Size of the codebook.
    describe : callable, default=sift
        Returns the :class:`LocalFeatures` of one picture: :func:`sift`, :func:`dense_sift`, or
        either with other settings, ``functools.partial(sift, size=240)``.
    random_state : int, RandomState or None, default=None
        Of the k-means, and of the descriptors that it sees.
    verbose : bool, default=False
        Show progress bars.

    Attributes
    ----------
    words_ : ndarray of shape (n_words, 128), float32
        The codebook.

    Notes
    -----
    The codebook is learnt by mini-batch k-means, from at most about 100,000 descriptors: where
    there are more, an equal number is drawn from every picture that has enough.

    A picture without any descriptor (a flat one) has no words: its row is all zeros. Every other
    row sums to 1.

    References
    ----------
    .. [1] J. Sivic and A. Zisserman, "Video Google: a text retrieval approach to object matching
       in videos", ICCV (2003).
    .. [2] G. Csurka et al., "Visual categorization with bags of keypoints", ECCV Workshop on
       Statistical Learning in Computer Vision (2004).

    Examples
    --------
    >>> from cmrlib.datasets import load_emoji
    >>> from cmrlib.features import BagOfVisualWords, dense_sift
    >>> pictures = [load_emoji().picture(row) for row in range(20)]
    >>> bag = BagOfVisualWords(50, describe=dense_sift, random_state=0).fit(pictures)
    >>> bag.transform(pictures[:3]).shape
    (3, 50)
    """

    def __init__(
        self,
        n_words: int = 300,
        describe: Callable[[Image.Image], LocalFeatures] = sift,
        random_state: int | np.random.RandomState | None = None,
        verbose: bool = False,
    ) -> None:
        self.n_words = n_words
        self.describe = describe
        self.random_state = random_state
        self.verbose = verbose

    def fit(self, pictures: Pictures) -> Self:
        """Learn the codebook from pictures.

        Raises
        ------
        ValueError
            If they have fewer descriptors than ``n_words``.
        """
        check_scalar(self.n_words, "n_words", Integral, min_val=1)
        rng = check_random_state(self.random_state)
        quota = max(1, MOST_DESCRIPTORS // max(1, len(pictures)))
        found = [np.empty((0, N_CELLS * N_CELLS * N_DIRECTIONS), np.float32)]
        for local in _each(pictures, self.describe, self.verbose):
            descriptors = local.descriptors
            if len(descriptors) > quota:
                descriptors = descriptors[rng.choice(len(descriptors), quota, replace=False)]
            found.append(descriptors)
        D = np.concatenate(found)
        if len(D) < self.n_words:
            raise ValueError(
                f"n_words={self.n_words} is more than the {len(D)} descriptors of "
                f"{len(pictures)} pictures; use more pictures or fewer words."
            )
        kmeans = MiniBatchKMeans(self.n_words, n_init=3, random_state=rng).fit(D)
        self.words_: NDArray[np.float32] = kmeans.cluster_centers_.astype(np.float32)
        return self

    def assign(self, descriptors: NDArray[Any]) -> NDArray[np.intp]:
        """Return the number of the nearest word for each descriptor, (m,)."""
        if not hasattr(self, "words_"):
            raise NotFittedError("this BagOfVisualWords is not fitted yet; call fit(pictures).")
        if len(descriptors) == 0:
            return np.empty(0, np.intp)
        words: NDArray[np.intp] = pairwise_distances_argmin(
            np.asarray(descriptors, np.float32), self.words_
        )
        return words

    def transform(self, pictures: Pictures) -> NDArray[np.float32]:
        """Return the share of each word in each picture, (n, n_words)."""
        self.assign(np.empty((0, 0)))  # says at once if there is no codebook
        histograms = np.zeros((len(pictures), self.n_words), np.float32)
        for i, local in enumerate(_each(pictures, self.describe, self.verbose)):
            words = self.assign(local.descriptors)
            histograms[i] = np.bincount(words, minlength=self.n_words) / max(1, len(words))
        return histograms


def color_histogram(
    pictures: Pictures, *, bins: int = 8, verbose: bool = False
) -> NDArray[np.float32]:
    """Describe pictures by the share of their pixels in each box of the colour cube.

    Parameters
    ----------
    pictures : sequence of n PIL images
        Any size and mode; transparent parts count as white.
    bins : int, default=8
        Red, green and blue are each cut into so many equal parts, from 1 to 256.
    verbose : bool, default=False
        Show a progress bar.

    Returns
    -------
    ndarray of shape (n, bins³)
        Entry (r bins + g) bins + b is the share of box (r, g, b). Rows sum to 1.
    """
    (bins,) = _whole(bins=bins)
    if bins > 256:
        raise ValueError(f"bins must be at most 256, the values of a byte, got {bins}.")

    def shares(picture: Image.Image) -> Array:
        colours = np.asarray(on_white(picture)).reshape(-1, 3).astype(int) * bins // 256
        boxes = colours @ (bins**2, bins, 1)
        return np.bincount(boxes, minlength=bins**3) / len(boxes)

    histograms = np.empty((len(pictures), bins**3), np.float32)
    for i, row in enumerate(_each(pictures, shares, verbose)):
        histograms[i] = row
    return histograms


def gradient_histogram(
    pictures: Pictures, *, size: int = 64, cell: int = 8, verbose: bool = False
) -> NDArray[np.float32]:
    """Describe pictures by histograms of oriented gradients (HOG), by scikit-image.

    The picture is scaled to a square and cut into cells. Each cell counts its gradients in 9
    directions, opposite ones together; each block of 2 x 2 cells is brought to unit length, cut
    off at 0.2, and to unit length again [1]_.

    Parameters
    ----------
    pictures : sequence of n PIL images
        Any size and mode; transparent parts count as white.
    size : int, default=64
        Pictures are scaled to size x size.
    cell : int, default=8
        Side of a cell in pixels; at most half of `size`.
    verbose : bool, default=False
        Show a progress bar.

    Returns
    -------
    ndarray of shape (n, 36 (size // cell - 1)²)
        One block after the other, from the top left.

    Raises
    ------
    ImportError
        If scikit-image is not installed.

    References
    ----------
    .. [1] N. Dalal and B. Triggs, "Histograms of oriented gradients for human detection", CVPR
       (2005).
    """
    size, cell = _whole(size=size, cell=cell)
    if 2 * cell > size:
        raise ValueError(f"cell={cell} is more than half of size={size}; a block needs 2 cells.")
    hog = _scikit_image().hog

    def blocks(picture: Image.Image) -> Array:
        square = on_white(picture).resize((size, size), Image.Resampling.BICUBIC)
        row: Array = hog(
            np.asarray(square) / 255,
            orientations=9,
            pixels_per_cell=(cell, cell),
            cells_per_block=(2, 2),
            channel_axis=-1,
        )
        return row

    histograms = np.empty((len(pictures), 36 * (size // cell - 1) ** 2), np.float32)
    for i, row in enumerate(_each(pictures, blocks, verbose)):
        histograms[i] = row
    return histograms


def _scikit_image() -> Any:
    try:
        return import_module("skimage.feature")
    except ImportError as error:
        raise ImportError(
            "scikit-image is not installed; SIFT and gradient histograms need "
            "pip install 'cmrlib[encoders]'."
        ) from error


def _each(
    pictures: Pictures, describe: Callable[[Image.Image], Described], verbose: bool
) -> Iterator[Described]:
    """Describe one picture after the other; an error names the picture."""
    for i, picture in enumerate(tqdm(pictures, disable=not verbose, unit="picture")):
        try:
            yield describe(picture)
        except (OSError, TypeError, ValueError) as error:
            raise type(error)(f"picture {i}: {error}") from error


def _scaled_grey(picture: Image.Image, size: int) -> tuple[Array, float]:
    """Return the brightness with the longer side scaled to `size`, and the scale factor."""
    rgb = on_white(picture)
    factor = size / max(rgb.size)
    width, height = (max(1, round(side * factor)) for side in rgb.size)
    return grey(rgb.resize((width, height), Image.Resampling.BICUBIC)), factor


def _no_features() -> LocalFeatures:
    width = N_CELLS * N_CELLS * N_DIRECTIONS
    return LocalFeatures(
        np.empty((0, 2)), np.empty(0), np.empty(0), np.empty((0, width), np.float32)
    )


def _unit(rows: Array) -> Array:
    """Scale rows to unit length; zero rows stay."""
    norm = np.linalg.norm(rows, axis=1, keepdims=True)
    scaled: Array = rows / np.where(norm == 0, 1, norm)
    return scaled


def _whole(**values: int) -> list[int]:
    return [check_scalar(value, name, Integral, min_val=1) for name, value in values.items()]
