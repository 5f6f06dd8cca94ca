"""Generated data: the truth that they promise is in them."""

import numpy as np
import pytest
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

from cmrlib.datasets import make_gaussian_views, make_hidden_signal
from cmrlib.datasets.synthetic import _random_map
from cmrlib.evaluation import label_relevance, mean_average_precision


def canonical(X, Y):
    """Return canonical correlations and the canonical variates of X, by QR and SVD."""
    Qx, Qy = (np.linalg.qr(Z - Z.mean(axis=0))[0] for Z in (X, Y))
    U, s, Vt = np.linalg.svd(Qx.T @ Qy)
    return s, Qx @ U, Qy @ Vt.T


# Gaussian views ------------------------------------------------------------------------------


def test_correlations_converge_to_those_of_the_population():
    truth = np.array([0.9, 0.7, 0.5, 0, 0])
    errors = []
    for n in (1_000, 100_000):
        views = make_gaussian_views(n, 8, 5, correlations=[0.9, 0.7, 0.5], random_state=0)
        found = canonical(views.image, views.text)[0]
        # sampling error of a correlation is (1 - rho^2) / sqrt(n), that of the largest of the
        # zero ones about (sqrt(p) + sqrt(q)) / sqrt(n): five such cover both
        assert np.abs(found - truth).max() < 5 * (1 + np.sqrt(8) + np.sqrt(5)) / 5 / np.sqrt(n)
        errors.append(np.abs(found - truth).max())
    assert errors[1] < errors[0] / 3


def test_perfect_and_zero_correlations():
    views = make_gaussian_views(500, 3, 3, correlations=[1, 1], random_state=0)
    found = canonical(views.image, views.text)[0]
    np.testing.assert_allclose(found[:2], 1, atol=1e-12)
    assert found[2] < 0.2
    views = make_gaussian_views(20_000, 4, 2, correlations=[], random_state=0)
    assert canonical(views.image, views.text)[0].max() < 0.03


@pytest.mark.parametrize("condition", [1.0, 10.0, 1e4])
def test_maps_are_invertible(condition):
    s = np.linalg.svd(_random_map(7, condition, np.random.RandomState(0)), compute_uv=False)
    np.testing.assert_allclose(s, np.geomspace(1, 1 / condition, 7), rtol=1e-8)
    views = make_gaussian_views(200, 7, 5, condition=condition, random_state=0)
    assert np.linalg.matrix_rank(views.image) == 7
    assert np.linalg.matrix_rank(views.text) == 5


def test_condition_does_not_change_the_sample_correlations():
    a, b = (make_gaussian_views(300, 6, 4, condition=c, random_state=1) for c in (1, 1e3))
    assert np.abs(a.image - b.image).max() > 0.1
    found = [canonical(views.image, views.text)[0] for views in (a, b)]
    np.testing.assert_allclose(found[0], found[1], atol=1e-9)


def test_gaussian_views_follow_the_seed():
    a, b, c = (make_gaussian_views(random_state=seed) for seed in (0, 0, 1))
    np.testing.assert_array_equal(a.image, b.image)
    np.testing.assert_array_equal(a.text, b.text)
    assert (a.image != c.image).all()
    assert a.image.shape == (1000, 20) and a.text.shape == (1000, 10)
    assert a.labels is None


@pytest.mark.parametrize("wrong", [[1.1], [-0.1, 0.5], [np.nan]])
def test_correlation_out_of_range(wrong):
    with pytest.raises(ValueError, match="between 0 and 1"):
        make_gaussian_views(correlations=wrong)


@pytest.mark.parametrize("wrong", [[0.5] * 4, [[0.5]]])
def test_too_many_correlations(wrong):
    with pytest.raises(ValueError, match=r"at most min\(5, 3\) numbers"):
        make_gaussian_views(10, 5, 3, correlations=wrong)


# Hidden signal -------------------------------------------------------------------------------

CHANCE = 1 / 5
SEEDS = range(5)


def parts(seed):
    return make_hidden_signal(random_state=seed).split(test_size=1 / 3, random_state=0)


def probe(X, labels, X_test):
    return LinearDiscriminantAnalysis().fit(X, labels).predict(X_test)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("view", ["image", "text"])
def test_labels_find_the_class(seed, view):
    train, test = parts(seed)
    found = probe(getattr(train, view), train.labels, getattr(test, view))
    assert np.mean(found == test.labels) > 0.7


@pytest.mark.parametrize("seed", SEEDS)
def test_permuted_labels_find_nothing(seed):
    train, test = parts(seed)
    permuted = np.random.default_rng(seed).permutation(train.labels)
    found = probe(train.image, permuted, test.image)
    # 200 test items: chance has a standard deviation of 0.028
    assert np.mean(found == test.labels) < CHANCE + 4 * 0.028


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("n_components", [1, 5, 10])
def test_leading_canonical_directions_carry_no_class(seed, n_components):
    train, test = parts(seed)
    views = train.image, train.text
    weights = [
        np.linalg.lstsq(X - X.mean(axis=0), variates[:, :n_components], rcond=None)[0]
        for X, variates in zip(views, canonical(*views)[1:], strict=True)
    ]
    A, B = weights
    found = probe(train.image @ A, train.labels, test.image @ A)
    assert np.mean(found == test.labels) < CHANCE + 4 * 0.028

    unit = [Z / np.linalg.norm(Z, axis=1, keepdims=True) for Z in (test.image @ A, test.text @ B)]
    S = unit[0] @ unit[1].T
    same_class = label_relevance(test.labels, test.labels)
    random = mean_average_precision(np.zeros_like(S), same_class)
    others = ~np.eye(len(S), dtype=bool)  # the partner is found, and it is of the query's class
    S[~others] = -2
    assert mean_average_precision(S, same_class & others) < random + 0.02


@pytest.mark.parametrize("seed", SEEDS)
def test_views_do_share_the_nuisance(seed):
    data = make_hidden_signal(random_state=seed)
    found = canonical(data.image, data.text)[0]
    # factors of variance 16 under noise of variance 1: population correlation 16 / 17
    np.testing.assert_allclose(found[:10], 16 / 17, atol=0.04)
    assert found[10] < 0.7


def test_features_have_unit_deviation():
    data = make_hidden_signal(random_state=0)
    np.testing.assert_allclose(data.image.std(axis=0), 1, rtol=1e-12)
    np.testing.assert_allclose(data.text.std(axis=0), 1, rtol=1e-12)
    assert data.image.shape == (600, 30) and data.text.shape == (600, 20)
    assert set(data.labels) == set(range(5)) and len(data.class_names) == 5


def test_hidden_signal_follows_the_seed():
    a, b, c = (make_hidden_signal(random_state=seed) for seed in (0, 0, 1))
    np.testing.assert_array_equal(a.image, b.image)
    np.testing.assert_array_equal(a.labels, b.labels)
    assert (a.image != c.image).all()


def test_view_too_narrow():
    with pytest.raises(ValueError, match=r"at least n_nuisance \+ n_classes features"):
        make_hidden_signal(n_features_text=14)
    make_hidden_signal(n_features_text=15)
