"""What every catalogued method must do: one test module for all classes."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from cmrlib.base import CommonSpaceModel, HashModel, SimilarityModel
from cmrlib.catalog import methods
from cmrlib.datasets import make_hidden_signal

DATA = make_hidden_signal(120, 14, 12, n_classes=3, n_nuisance=4, random_state=0)
KINDS = {"common space": CommonSpaceModel, "similarity": SimilarityModel, "hash": HashModel}


@pytest.fixture(params=methods(), ids=lambda method: method.name)
def method(request):
    return request.param


def labels_of(method):
    return (DATA.labels,) if "labels" in method.supervision else ()


def make(method):
    return method.load()(**method.example)


def fitted(method):
    return make(method).fit(DATA.image, DATA.text, *labels_of(method))


def test_class_is_of_its_kind(method):
    assert issubclass(method.load(), KINDS[method.kind])
    assert method.load().uses_labels == ("labels" in method.supervision)


def test_fit_returns_self_and_leaves_the_data_alone(method):
    model, image, text = make(method), DATA.image.copy(), DATA.text.copy()
    assert model.fit(image, text, *labels_of(method)) is model
    np.testing.assert_array_equal(image, DATA.image)
    np.testing.assert_array_equal(text, DATA.text)


def test_similarity_has_a_row_per_image_and_a_column_per_text(method):
    S = fitted(method).similarity(DATA.image[:7], DATA.text[:5])
    assert S.shape == (7, 5)
    assert np.isfinite(S).all()


def test_same_seed_same_result(method):
    first, second = fitted(method), fitted(method)
    np.testing.assert_array_equal(
        first.similarity(DATA.image, DATA.text), second.similarity(DATA.image, DATA.text)
    )


def test_clone_and_parameters(method):
    model = make(method)
    assert clone(model).get_params() == model.get_params()
    assert set(method.example) <= set(model.get_params())


def test_pickle_keeps_the_model(method):
    model = fitted(method)
    again = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(
        again.similarity(DATA.image, DATA.text), model.similarity(DATA.image, DATA.text)
    )


def test_an_item_does_not_depend_on_its_batch(method):
    model = fitted(method)
    S = model.similarity(DATA.image, DATA.text)
    alone = np.array([[model.similarity(x[None], y[None])[0, 0] for y in DATA.text[:3]]
                      for x in DATA.image[:3]])  # fmt: skip
    np.testing.assert_allclose(alone, S[:3, :3], rtol=1e-6, atol=1e-8)


def test_single_precision_input_is_accepted(method):
    model = make(method).fit(DATA.image.astype("f4"), DATA.text.astype("f4"), *labels_of(method))
    assert model.similarity(DATA.image[:2], DATA.text[:2]).shape == (2, 2)


def with_entry(X, value):
    X = X.copy()
    X[3, 2] = value
    return X


BAD_FITS = {
    "different row counts": (lambda X, Y: (X[:-1], Y), ValueError, "must be one pair"),
    "NaN": (lambda X, Y: (with_entry(X, np.nan), Y), ValueError, "row 3, column 2"),
    "infinity": (lambda X, Y: (X, with_entry(Y, np.inf)), ValueError, "text holds NaN or inf"),
    "1-d image": (lambda X, Y: (X[:, 0], Y), ValueError, "must be 2-d"),
    "1-d text": (lambda X, Y: (X, Y[:, 0]), ValueError, "must be 2-d"),
    "3-d": (lambda X, Y: (X[..., None], Y), ValueError, "must be 2-d"),
    "one pair": (lambda X, Y: (X[:1], Y[:1]), ValueError, "one pair is not enough"),
    "no pair": (lambda X, Y: (X[:0], Y[:0]), ValueError, "is empty"),
    "no features": (lambda X, Y: (X[:, :0], Y), ValueError, "is empty"),
    "constant column": (
        lambda X, Y: (np.c_[X, np.ones(len(X))], Y),
        ValueError,
        "same non-zero value, first column 14",
    ),
    "all columns constant": (lambda X, Y: (X, 0 * Y), ValueError, "every column of text"),
    "strings": (lambda X, Y: (X.astype(str), Y), TypeError, "must hold real numbers"),
    "complex": (lambda X, Y: (X + 1j, Y), TypeError, "must hold real numbers"),
    "None": (lambda X, Y: (X, None), TypeError, "must hold real numbers"),
    "ragged": (lambda X, Y: ([[1, 2], [3]], Y), ValueError, "different lengths"),
}


@pytest.mark.parametrize("case", BAD_FITS)
def test_bad_training_data_is_refused(method, case):
    spoil, error, message = BAD_FITS[case]
    model = fitted(method)
    before = model.similarity(DATA.image[:4], DATA.text[:4])
    with pytest.raises(error, match=message) as caught:
        model.fit(*spoil(DATA.image, DATA.text), *labels_of(method))
    assert "\n" not in str(caught.value)
    np.testing.assert_array_equal(model.similarity(DATA.image[:4], DATA.text[:4]), before)


def test_sparse_is_refused(method):
    from scipy.sparse import csr_array

    with pytest.raises(TypeError, match="pass a dense array"):
        make(method).fit(csr_array(DATA.image), DATA.text, *labels_of(method))


def test_labels_are_asked_for_or_refused(method):
    if "labels" in method.supervision:
        with pytest.raises(ValueError, match="is supervised"):
            make(method).fit(DATA.image, DATA.text)
        for bad, error in [
            (DATA.labels[:-1], ValueError),
            (DATA.labels.astype(float), TypeError),
            (2 * np.eye(3, dtype=int)[DATA.labels], ValueError),
            (DATA.labels[:, None, None], ValueError),
        ]:
            with pytest.raises(error, match="labels"):
                make(method).fit(DATA.image, DATA.text, bad)
    else:
        with pytest.raises(ValueError, match="does not use labels"):
            make(method).fit(DATA.image, DATA.text, DATA.labels)


def test_unfitted_model_is_refused(method):
    with pytest.raises(NotFittedError, match="not fitted yet"):
        make(method).similarity(DATA.image, DATA.text)


def test_wrong_width_is_refused_when_encoding(method):
    with pytest.raises(ValueError, match="13 features, but the model was fitted with 14"):
        fitted(method).similarity(DATA.image[:, :-1], DATA.text)
    with pytest.raises(ValueError, match="11 features, but the model was fitted with 12"):
        fitted(method).similarity(DATA.image, DATA.text[:, :-1])


def test_encodings_of_both_modalities_share_a_space(method):
    if method.kind == "similarity":
        pytest.skip("a similarity model has no encodings")
    model = fitted(method)
    image, text = model.encode_image(DATA.image), model.encode_text(DATA.text)
    assert image.shape == text.shape
    np.testing.assert_array_equal(model.encode(DATA.image, "image"), image)
    with pytest.raises(ValueError, match="'image' or 'text', got 'audio'"):
        model.encode(DATA.image, "audio")


def test_codes_are_bits(method):
    if method.kind != "hash":
        pytest.skip("not a hash model")
    model = fitted(method)
    codes = model.encode_image(DATA.image)
    assert codes.dtype == np.int8
    assert set(np.unique(codes)) <= {-1, 1}
    assert model.pack(codes).shape == (len(codes), -(-model.n_bits // 8))
