"""Visual words: descriptors against plain loops and their invariances, histograms by hand."""

import sys
from functools import partial

import numpy as np
import pytest
from PIL import Image, ImageDraw
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from cmrlib.datasets import load_emoji
from cmrlib.features import visual_words as module
from cmrlib.features._pictures import grey, on_white
from cmrlib.features.visual_words import (
    BagOfVisualWords,
    LocalFeatures,
    color_histogram,
    dense_sift,
    gradient_histogram,
    patch_descriptors,
    sift,
)

QUANTUM = 2 / 512  # scikit-image rounds the entries of a descriptor down to 1 / 512


@pytest.fixture(scope="module")
def pictures():
    emoji = load_emoji()
    return [emoji.picture(row) for row in range(0, 1898, 120)]


@pytest.fixture
def patches():
    return np.random.default_rng(0).random((5, 16, 16))


def noise(*shape):
    return np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)


def disc(size, row, column, radius):
    """Draw a dark disc with soft edges: eight times as large, then shrunk."""
    picture = Image.new("L", (8 * size, 8 * size), 200)
    box = [8 * (v + 0.5) + 8 * s * radius for s in (-1, 1) for v in (column, row)]
    ImageDraw.Draw(picture).ellipse(box, fill=40)
    return picture.resize((size, size), Image.Resampling.BOX)


# Descriptors of patches


def descriptor_by_loops(patch):
    """Return one descriptor, pixel by pixel, with complex numbers for the directions."""
    side = len(patch)
    cells = np.zeros((4, 4, 8))
    for r in range(side):
        for c in range(side):
            up, down = max(r - 1, 0), min(r + 1, side - 1)
            left, right = max(c - 1, 0), min(c + 1, side - 1)
            dx = (patch[r, right] - patch[r, left]) / (right - left)
            dy = (patch[down, c] - patch[up, c]) / (down - up)
            turns = np.angle(dx + 1j * dy) / (2 * np.pi) % 1
            for d in range(8):
                away = abs(turns * 8 - d)
                share = max(0, 1 - min(away, 8 - away))
                cells[4 * r // side, 4 * c // side, d] += abs(dx + 1j * dy) * share
    d = cells.ravel() / np.linalg.norm(cells)
    d = np.minimum(d, 0.2)
    return d / np.linalg.norm(d)


def test_descriptor_equals_plain_loops(patches):
    got = patch_descriptors(patches)
    assert got.dtype == np.float32
    np.testing.assert_allclose(got, [descriptor_by_loops(patch) for patch in patches], atol=1e-6)


def test_clipping_matters_for_the_loops():
    patch = np.zeros((16, 16))
    patch[6, 6] = 1  # one cell holds all
    d = descriptor_by_loops(patch)
    assert d.max() > 0.2
    np.testing.assert_allclose(patch_descriptors(patch[None])[0], d, atol=1e-6)


@pytest.mark.parametrize(
    "degrees, shares",
    [(0, {0: 1}), (90, {2: 1}), (180, {4: 1}), (270, {6: 1}), (-30, {7: 2, 0: 1})],
)
def test_descriptor_of_a_slope(degrees, shares):
    # The gradient is the same everywhere, so all cells are equal. -30° lies two thirds of the way
    # from 0 to -45°. All entries are at most 2 / sqrt(5) / 4 > 0.2, so clipping evens them out.
    down, right = np.indices((8, 8))
    angle = np.deg2rad(degrees)
    got = patch_descriptors((np.cos(angle) * right + np.sin(angle) * down)[None])[0]
    expected = np.zeros((4, 4, 8))
    for direction, share in shares.items():
        expected[..., direction] = share
    expected = np.minimum(expected / np.linalg.norm(expected), 0.2).ravel()
    np.testing.assert_allclose(got, expected / np.linalg.norm(expected), atol=1e-6)


@pytest.mark.parametrize("a, b", [(0.01, 0.3), (7, 0), (1, -4), (1e-3, 1e3)])
def test_descriptor_ignores_brightness_and_contrast(patches, a, b):
    np.testing.assert_allclose(
        patch_descriptors(a * patches + b), patch_descriptors(patches), atol=1e-6
    )


def test_inverted_contrast_turns_every_direction_round(patches):
    got = patch_descriptors(-patches).reshape(-1, 4, 4, 8)
    expected = np.roll(patch_descriptors(patches).reshape(-1, 4, 4, 8), 4, axis=3)
    np.testing.assert_allclose(got, expected, atol=1e-6)


def turned(descriptors):
    """Permute descriptors as a turn of the patch by 90° anticlockwise does."""
    cells = np.rot90(descriptors.reshape(-1, 4, 4, 8), axes=(1, 2))
    return np.roll(cells, -2, axis=3).reshape(-1, 128)  # what grew to the right grows upwards


def test_turn_by_90_degrees_permutes_the_bins(patches):
    got = patch_descriptors(np.rot90(patches, axes=(1, 2)))
    np.testing.assert_allclose(got, turned(patch_descriptors(patches)), atol=1e-6)
    assert np.abs(got - patch_descriptors(patches)).max() > 0.1  # no constant would pass


def test_flat_patch_has_a_descriptor_of_zeros():
    np.testing.assert_array_equal(patch_descriptors(np.full((1, 16, 16), 0.3)), 0)


# Dense SIFT


def test_dense_sift_describes_the_squares_of_a_grid():
    picture = Image.fromarray(noise(32, 48))
    got = dense_sift(picture, size=48, step=8, cell=4)
    brightness = grey(picture)
    corners = [(r, c) for r in (0, 8, 16) for c in (0, 8, 16, 24, 32)]
    patches = np.stack([brightness[r : r + 16, c : c + 16] for r, c in corners])
    np.testing.assert_array_equal(got.descriptors, patch_descriptors(patches))
    np.testing.assert_array_equal(got.positions, np.array(corners) + 7.5)  # the middle pixel edge
    np.testing.assert_array_equal(got.sizes, 16)
    np.testing.assert_array_equal(got.angles, 0)


def test_dense_sift_places_squares_in_the_picture_given():
    got = dense_sift(Image.fromarray(noise(32, 48)), size=24, step=8, cell=2)
    np.testing.assert_array_equal(got.sizes, 16)  # 8 pixels at half size
    np.testing.assert_allclose(got.positions[0], 7.5)
    np.testing.assert_allclose(got.positions[-1], [23.5, 39.5])


def test_dense_sift_leaves_flat_squares_out():
    picture = Image.new("L", (64, 64), 255)
    picture.paste(Image.fromarray(noise(16, 16)), (32, 16))
    got = dense_sift(picture, size=64, step=16, cell=4)
    np.testing.assert_array_equal(got.positions, [[23.5, 39.5]])


@pytest.mark.parametrize("size", [(1, 1), (1, 300), (15, 64)])
def test_picture_smaller_than_a_square_has_no_dense_features(size):
    got = dense_sift(Image.fromarray(noise(*size)), size=max(size))
    assert [len(part) for part in got] == [0, 0, 0, 0]
    assert got.descriptors.shape == (0, 128)


def test_histogram_is_unchanged_when_tiles_are_shuffled(pictures):
    small = [picture.resize((64, 64)) for picture in pictures]
    tiles = partial(dense_sift, size=64, step=16, cell=4)
    bag = BagOfVisualWords(20, describe=tiles, random_state=0).fit(small)
    values = np.asarray(small[0])
    cut = values.reshape(4, 16, 4, 16, 3).transpose(0, 2, 1, 3, 4).reshape(16, 16, 16, 3)
    cut = np.random.default_rng(1).permutation(cut)
    shuffled = cut.reshape(4, 4, 16, 16, 3).transpose(0, 2, 1, 3, 4).reshape(64, 64, 3)
    pair = [Image.fromarray(v) for v in (values, shuffled)]
    before, after = bag.transform(pair)
    np.testing.assert_array_equal(before, after)
    assert np.count_nonzero(before) > 3
    bag.describe = partial(dense_sift, size=64, step=8, cell=4)  # squares across the seams
    before, after = bag.transform(pair)
    assert not np.array_equal(before, after)


# SIFT


def test_sift_is_that_of_scikit_image():
    from skimage.feature import SIFT

    values = np.asarray(disc(161, 60, 90, 12)) // 2 + noise(161, 161) // 4
    reference = SIFT(upsampling=1)
    reference.detect_and_extract(values / 255)
    got = sift(Image.fromarray(values))
    np.testing.assert_allclose(got.positions, reference.positions)
    np.testing.assert_allclose(got.angles, reference.orientations)
    np.testing.assert_allclose(got.sizes, 12 * reference.sigmas)  # 4 cells of 3 sigma
    np.testing.assert_allclose(512 * got.descriptors, reference.descriptors, atol=10)
    np.testing.assert_allclose(np.linalg.norm(got.descriptors, axis=1), 1, atol=1e-6)


@pytest.mark.parametrize("radius, size", [(8, 161), (16, 161), (16, 322)])
def test_keypoint_of_a_disc_sits_at_its_centre_and_grows_with_it(radius, size):
    # In the picture given, whatever it is scaled to. The Laplacian of a Gaussian answers a disc
    # of radius r most strongly at sigma = r / sqrt(2); a difference of Gaussians is close to it.
    scale = size // 161
    got = sift(disc(size, 70 * scale, 91 * scale, radius * scale))
    centre = np.linalg.norm(got.positions - [70 * scale, 91 * scale], axis=1) < 0.75 * scale
    assert centre.any()
    expected = 12 * radius * scale / np.sqrt(2)
    assert np.abs(got.sizes[centre] / expected - 1).min() < 0.15


def match(a, b, positions, turn=0.0):
    """Return for each keypoint of a the largest difference to the one of b at its new place."""
    differences = []
    for i, position in enumerate(positions):
        away = np.linalg.norm(b.positions - position, axis=1)
        away += np.abs(b.sizes - a.sizes[i])
        away += np.abs(np.exp(1j * b.angles) - np.exp(1j * (a.angles[i] + turn)))
        near = away.argmin()
        differences.append(
            np.abs(b.descriptors[near] - a.descriptors[i]).max() if away[near] < 0.01 else np.inf
        )
    return np.array(differences)


def square(picture):
    return picture.convert("L").resize((161, 161), Image.Resampling.BICUBIC)


def test_turn_by_90_degrees_leaves_keypoint_descriptors_unchanged(pictures):
    differences = []
    for picture in pictures:
        a = sift(square(picture))
        b = sift(square(picture).transpose(Image.Transpose.ROTATE_90))  # anticlockwise
        moved = np.column_stack([160 - a.positions[:, 1], a.positions[:, 0]])
        differences.extend(match(a, b, moved, turn=np.pi / 2))
    assert len(differences) > 300
    # scikit-image leaves out the last row and column of a square that reaches the border.
    assert np.mean(np.array(differences) < QUANTUM) > 0.9
    assert max(differences) < 0.05


def test_keypoint_descriptors_ignore_brightness_and_contrast(pictures):
    differences = []
    for picture in pictures:
        dim = np.asarray(square(picture)) // 2
        a, b = sift(Image.fromarray(dim)), sift(Image.fromarray((2 * dim + 1).astype(np.uint8)))
        differences.extend(match(a, b, a.positions))  # b may have more: its contrast is higher
    assert len(differences) > 300
    assert np.mean(np.array(differences) < QUANTUM) > 0.98


@pytest.mark.parametrize(
    "picture",
    [
        Image.new("RGB", (224, 224), "white"),
        Image.new("RGB", (1, 1)),
        Image.new("RGB", (300, 2)),
        Image.new("RGBA", (50, 50), (0, 0, 0, 0)),
    ],
)
def test_picture_without_keypoints(picture):
    got = sift(picture)
    assert [part.shape for part in got] == [(0, 2), (0,), (0,), (0, 128)]


def test_other_failures_of_the_detector_are_passed_on(monkeypatch, pictures):
    class Broken:
        def __init__(self, upsampling):
            pass

        def detect_and_extract(self, image):
            raise RuntimeError("out of order")

    monkeypatch.setattr("skimage.feature.SIFT", Broken)
    with pytest.raises(RuntimeError, match="out of order"):
        sift(pictures[0])


# Visual words


def planted(picture):
    """Describe a picture by its size: width copies of word 0, height copies of word 1."""
    descriptors = np.zeros((picture.width + picture.height, 128), np.float32)
    descriptors[: picture.width, 0] = 1
    descriptors[picture.width :, 1] = 1
    n = len(descriptors)
    return LocalFeatures(np.zeros((n, 2)), np.ones(n), np.zeros(n), descriptors)


def test_histogram_of_planted_words():
    sizes = [(3, 1), (2, 2), (1, 9)]
    bag = BagOfVisualWords(2, describe=planted, random_state=0)
    got = bag.fit([Image.new("L", size) for size in sizes]).transform(
        [Image.new("L", size) for size in sizes]
    )
    first = bag.words_[:, 0].argmax()
    np.testing.assert_allclose(bag.words_[first], np.eye(128)[0], atol=1e-6)
    np.testing.assert_allclose(bag.words_[1 - first], np.eye(128)[1], atol=1e-6)
    np.testing.assert_allclose(got[:, first], [3 / 4, 1 / 2, 1 / 10])
    np.testing.assert_allclose(got.sum(axis=1), 1)


@pytest.fixture(scope="module")
def bag(pictures):
    return BagOfVisualWords(30, describe=dense_sift, random_state=0).fit(pictures)


def test_histogram_counts_the_nearest_words(bag, pictures):
    got = bag.transform(pictures)
    assert got.dtype == np.float32
    for picture, row in zip(pictures, got, strict=True):
        counts = np.zeros(30)
        for d in dense_sift(picture).descriptors:
            counts[np.argmin(np.sum((bag.words_ - d) ** 2, axis=1))] += 1
        np.testing.assert_allclose(row, counts / counts.sum(), atol=1e-6)
    np.testing.assert_allclose(got.sum(axis=1), 1, atol=1e-6)


def test_picture_without_descriptors_has_a_row_of_zeros(bag, pictures):
    got = bag.transform([pictures[0], Image.new("RGB", (99, 99), "red")])
    assert got[0].any()
    np.testing.assert_array_equal(got[1], 0)
    assert bag.transform([]).shape == (0, 30)


def test_row_depends_on_its_picture_alone(bag, pictures):
    alone = [bag.transform([picture])[0] for picture in pictures]
    np.testing.assert_array_equal(bag.transform(pictures), alone)


def test_same_seed_same_words(bag, pictures):
    np.testing.assert_array_equal(clone(bag).fit(pictures).words_, bag.words_)
    other = clone(bag).set_params(random_state=1).fit(pictures)
    assert not np.array_equal(other.words_, bag.words_)


def test_codebook_fits_better_than_one_of_random_descriptors(bag, pictures):
    D = np.concatenate([dense_sift(picture).descriptors for picture in pictures])

    def inertia(words):
        return np.min(np.sum((D[:, None] - words[None]) ** 2, axis=2), axis=1).sum()

    rng = np.random.default_rng(0)
    at_random = [inertia(D[rng.choice(len(D), 30, replace=False)]) for _ in range(5)]
    assert inertia(bag.words_) < 0.9 * min(at_random)


def test_large_pictures_do_not_rule_the_codebook(monkeypatch):
    # 20 descriptors in all: 10 from each picture, though the first has a hundred times as many.
    monkeypatch.setattr(module, "MOST_DESCRIPTORS", 20)
    seen = []

    class Recorded(module.MiniBatchKMeans):
        def fit(self, D):
            seen.append(D)
            return super().fit(D)

    monkeypatch.setattr(module, "MiniBatchKMeans", Recorded)
    bag = BagOfVisualWords(2, describe=planted, random_state=0)
    bag.fit([Image.new("L", (1000, 0)), Image.new("L", (0, 10))])
    np.testing.assert_array_equal(seen[0][:, :2].sum(axis=0), [10, 10])


def test_unfitted_bag_is_refused(pictures):
    for use in (lambda bag: bag.transform(pictures), lambda bag: bag.assign(np.zeros((1, 128)))):
        with pytest.raises(NotFittedError, match="call fit"):
            use(BagOfVisualWords())


@pytest.mark.parametrize("few", [[], [Image.new("L", (2, 3))]])
def test_too_few_descriptors_are_refused(few):
    with pytest.raises(ValueError, match=rf"n_words=6 is more than the {5 * len(few)} descriptors"):
        BagOfVisualWords(6, describe=planted).fit(few)


@pytest.mark.parametrize("n_words", [0, 2.5])
def test_bad_number_of_words_is_refused(pictures, n_words):
    with pytest.raises((TypeError, ValueError), match="n_words"):
        BagOfVisualWords(n_words, describe=dense_sift).fit(pictures)


def test_progress_bar_only_on_demand(bag, pictures, capfd):
    bag.transform(pictures[:2])
    assert capfd.readouterr() == ("", "")
    clone(bag).set_params(verbose=True, n_words=2).fit(pictures[:2])
    assert "2/2" in capfd.readouterr().err


# Histograms of colours and gradients


def test_colour_histogram_by_hand():
    # With 2 bins a channel: black is box 0, (0, 0, 128) is 1, (127, 128, 0) is 2, white is 7.
    picture = Image.new("RGB", (4, 2), "black")
    for x, colour in enumerate([(0, 0, 128), (127, 128, 0), (255, 255, 255)]):
        picture.putpixel((x, 0), colour)
    (got,) = color_histogram([picture], bins=2)
    assert got.dtype == np.float32
    np.testing.assert_array_equal(got, [5 / 8, 1 / 8, 1 / 8, 0, 0, 0, 0, 1 / 8])


def test_colour_histogram_ignores_places_and_counts_shares(pictures):
    values = np.asarray(pictures[3]).reshape(-1, 3)
    shuffled = np.random.default_rng(0).permutation(values).reshape(224, 224, 3)
    twice = Image.fromarray(np.tile(np.asarray(pictures[3]), (2, 1, 1)))
    got = color_histogram([pictures[3], Image.fromarray(shuffled), twice])
    assert got.shape == (3, 512)
    np.testing.assert_array_equal(got[1:], got[[0, 0]])
    np.testing.assert_allclose(got.sum(axis=1), 1, atol=1e-6)


def test_colour_histogram_of_odd_pictures():
    odd = [
        Image.new("RGBA", (5, 5), (9, 9, 9, 0)),
        Image.new("1", (1, 1), 1),
        Image.new("L", (2, 3)),
    ]
    got = color_histogram(odd, bins=3)
    np.testing.assert_array_equal(got.argmax(axis=1), [26, 26, 0])
    np.testing.assert_array_equal(got.max(axis=1), 1)


def hog_by_loops(image, cell):
    """Return the histogram of oriented gradients of a grey square, pixel by pixel."""
    n = len(image) // cell
    cells = np.zeros((n, n, 9))
    for r in range(n * cell):
        for c in range(n * cell):
            down = image[r + 1, c] - image[r - 1, c] if 0 < r < len(image) - 1 else 0
            right = image[r, c + 1] - image[r, c - 1] if 0 < c < len(image) - 1 else 0
            degrees = np.rad2deg(np.arctan2(down, right)) % 180
            cells[r // cell, c // cell, int(degrees // 20) % 9] += np.hypot(down, right) / cell**2
    blocks = []
    for r in range(n - 1):
        for c in range(n - 1):
            block = cells[r : r + 2, c : c + 2].ravel()
            block = np.minimum(block / np.sqrt(np.sum(block**2) + 1e-10), 0.2)
            blocks.append(block / np.sqrt(np.sum(block**2) + 1e-10))
    return np.concatenate(blocks)


@pytest.mark.parametrize("size, cell", [(32, 8), (30, 10), (24, 5)])
def test_gradient_histogram_equals_plain_loops(size, cell):
    picture = Image.fromarray(noise(size, size))
    (got,) = gradient_histogram([picture], size=size, cell=cell)
    assert got.dtype == np.float32
    np.testing.assert_allclose(got, hog_by_loops(np.asarray(picture) / 255, cell), atol=1e-5)


def test_gradient_histogram_of_any_picture():
    odd = [Image.new("RGBA", (1, 1), (0, 0, 0, 0)), Image.fromarray(noise(7, 50, 3))]
    got = gradient_histogram(odd)
    assert got.shape == (2, 1764)
    np.testing.assert_array_equal(got[0], 0)  # flat
    np.testing.assert_allclose(np.linalg.norm(got[1].reshape(-1, 36), axis=1), 1, atol=1e-3)


@pytest.mark.parametrize("describe", [color_histogram, gradient_histogram])
def test_no_pictures_and_progress_bar(describe, capfd):
    assert len(describe([])) == 0
    assert capfd.readouterr() == ("", "")
    describe([Image.new("L", (9, 9))], verbose=True)
    assert "1/1" in capfd.readouterr().err


@pytest.mark.parametrize(
    "call, match",
    [
        (partial(color_histogram, bins=257), "bins must be at most 256"),
        (partial(color_histogram, bins=0), "bins"),
        (partial(gradient_histogram, size=15, cell=8), "cell=8 is more than half of size=15"),
        (partial(gradient_histogram, cell=0), "cell"),
    ],
)
def test_bad_settings_are_refused(call, match):
    with pytest.raises(ValueError, match=match):
        call([Image.new("L", (9, 9))])


# Pictures of any mode


def test_pictures_of_sixteen_bits_are_scaled_and_not_clipped():
    values = np.array([[0, 257, 30000, 65535]], np.uint16)
    expected = np.repeat(np.array([[[0], [1], [117], [255]]]), 3, axis=2)  # 30000 / 257 = 116.7
    np.testing.assert_array_equal(on_white(Image.fromarray(values)), expected)
    big_endian = Image.frombytes("I;16B", (4, 1), values.astype(">u2").tobytes())
    np.testing.assert_array_equal(on_white(big_endian), expected)


def test_palette_alpha_and_grey_are_put_on_white():
    palette = Image.new("P", (2, 1))
    palette.putpalette([10, 20, 30, 1, 2, 3])
    palette.putpixel((1, 0), 1)
    palette.info["transparency"] = 1
    np.testing.assert_array_equal(on_white(palette), [[[10, 20, 30], [255, 255, 255]]])
    half = Image.new("LA", (1, 1), (0, 51))  # 51 / 255 = 0.2 black
    np.testing.assert_array_equal(on_white(half), [[[204, 204, 204]]])
    np.testing.assert_array_equal(grey(Image.new("L", (1, 1), 51)), 0.2)


BAD = [
    (Image.new("F", (2, 2)), ValueError, 'mode "F" have no known range'),
    (Image.new("I", (2, 2)), ValueError, 'mode "I" have no known range'),
    (Image.new("RGB", (0, 5)), ValueError, "a picture of 0 x 5 has no pixels"),
    (np.zeros((5, 5, 3)), TypeError, "a picture must be a PIL image, got ndarray"),
]


@pytest.mark.parametrize("bad, kind, match", BAD)
def test_bad_picture_is_named(bag, pictures, bad, kind, match):
    for describe in (bag.fit, bag.transform, color_histogram, gradient_histogram):
        with pytest.raises(kind, match=f"picture 1: .*{match}"):
            describe([pictures[0], bad])


def test_missing_package_says_what_to_install(monkeypatch, pictures):
    monkeypatch.setitem(sys.modules, "skimage.feature", None)
    for call in (lambda: sift(pictures[0]), lambda: gradient_histogram(pictures[:1])):
        with pytest.raises(ImportError, match=r"scikit-image is not installed.*cmrlib\[encoders\]"):
            call()
