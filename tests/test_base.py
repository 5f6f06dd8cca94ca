"""The base classes, on the smallest models there can be."""

import numpy as np
import pytest

from cmrlib.base import HashModel, SimilarityModel, check_labels, cosine_similarity


class Sign(HashModel):
    """Hashes each modality by the signs of its first features, above the training mean."""

    def __init__(self, n_bits=3):
        self.n_bits = n_bits

    def _fit(self, X, Y, labels):
        self.mean_ = X.mean(axis=0), Y.mean(axis=0)

    def _encode_image(self, X):
        return (X - self.mean_[0])[:, : self.n_bits]

    def _encode_text(self, Y):
        return (Y - self.mean_[1])[:, : self.n_bits]


class Dot(SimilarityModel):
    """Scores a pair by the product of the first features."""

    uses_labels = True

    def _fit(self, X, Y, labels):
        self.labels_ = labels

    def _similarity(self, X, Y):
        return X[:, :1] @ Y[:, :1].T


@pytest.fixture
def pair():
    rng = np.random.default_rng(0)
    return rng.normal(size=(20, 4)), rng.normal(size=(20, 5))


def test_sign_of_zero_is_plus_one():
    X = np.array([[0.0, 0.0, 0.0], [2.0, -2.0, 4.0], [-2.0, 2.0, -4.0]])  # mean 0
    codes = Sign().fit(X, X).encode_image(X)
    assert codes.dtype == np.int8
    assert codes.tolist() == [[1, 1, 1], [1, -1, 1], [-1, 1, -1]]


def test_hamming_similarity_counts_equal_bits(pair):
    model = Sign().fit(*pair)
    B, D = model.encode_image(pair[0]), model.encode_text(pair[1])
    equal = (B[:, None, :] == D[None, :, :]).sum(axis=2)
    np.testing.assert_array_equal(model.similarity(*pair), equal)


def test_thresholds_come_from_training_not_from_the_queries(pair):
    model = Sign().fit(*pair)
    np.testing.assert_array_equal(
        model.encode_image(pair[0] + 100), np.ones((20, 3)), err_msg="queries were re-centred"
    )


def test_packed_bits_unpack_to_the_codes(pair):
    model = Sign().fit(*pair)
    codes = model.encode_image(pair[0])
    packed = model.pack(codes)
    assert packed.shape == (20, 1)
    assert packed.dtype == np.uint8
    np.testing.assert_array_equal(np.unpackbits(packed, axis=1)[:, :3] * 2.0 - 1, codes)


@pytest.mark.parametrize("codes", [np.zeros((2, 3)), np.ones((2, 4)), np.ones(3)])
def test_pack_refuses_what_is_no_code(pair, codes):
    with pytest.raises(ValueError, match=r"codes must be \(n, 3\)"):
        Sign().fit(*pair).pack(codes)


@pytest.mark.parametrize("n_bits", [0, -8, 1.5, "16"])
def test_n_bits_must_be_positive(pair, n_bits):
    with pytest.raises(ValueError, match="n_bits must be a whole number"):
        Sign(n_bits).fit(*pair)


def test_similarity_model_takes_labels_and_scores(pair):
    labels = np.arange(20) % 3
    model = Dot().fit(*pair, labels)
    assert model.labels_.dtype == np.int64
    np.testing.assert_allclose(model.similarity(*pair), np.outer(pair[0][:, 0], pair[1][:, 0]))


def test_a_failed_fit_leaves_an_unfitted_model_unfitted(pair):
    model = Dot()
    with pytest.raises(ValueError, match="supervised"):
        model.fit(*pair)
    assert not hasattr(model, "n_features_image_")


def test_cosine_of_a_zero_vector_is_zero():
    A, B = np.array([[3.0, 4.0], [0.0, 0.0]]), np.array([[4.0, 3.0], [-3.0, -4.0]])
    np.testing.assert_allclose(cosine_similarity(A, B), [[24 / 25, -1], [0, 0]])


def test_multi_hot_and_boolean_labels_are_integers_after_the_check():
    assert check_labels([[True, False], [False, True]], 2).tolist() == [[1, 0], [0, 1]]
    assert check_labels(np.array([3, 1], np.uint8), 2).dtype == np.int64
