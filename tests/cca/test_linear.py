"""CCA against its definition, the QR + SVD truth, and what it must not feel."""

import numpy as np
import pytest
from scipy.stats import ortho_group

from cmrlib._linalg import fix_signs, whiten
from cmrlib.base import CommonSpaceModel
from cmrlib.cca import CCA
from cmrlib.datasets import fetch_wikipedia, load_emoji, make_gaussian_views
from cmrlib.datasets._download import data_home
from cmrlib.evaluation import evaluate


def truth(X, Y):
    """Canonical correlations by Björck and Golub, independent of the library."""
    Q_x, Q_y = (np.linalg.qr(Z - Z.mean(axis=0))[0] for Z in (X, Y))
    return np.linalg.svd(Q_x.T @ Q_y, compute_uv=False)


def check_definition(model, X, Y, reg=0.0):
    """Assert Aᵀ C_xx A = Bᵀ C_yy B = I and Aᵀ C_xy B = diag(ρ), ρ descending in [0, 1]."""
    n, k = len(X), len(model.correlations_)
    Xc, Yc = X - X.mean(axis=0), Y - Y.mean(axis=0)
    A, B = model.weights_image_, model.weights_text_

    def covariance(Z):
        C = Z.T @ Z / n
        return C + reg * np.trace(C) / len(C) * np.eye(len(C))

    np.testing.assert_allclose(A.T @ covariance(Xc) @ A, np.eye(k), atol=1e-8)
    np.testing.assert_allclose(B.T @ covariance(Yc) @ B, np.eye(k), atol=1e-8)
    cross = A.T @ (Xc.T @ Yc / n) @ B
    np.testing.assert_allclose(cross, np.diag(model.correlations_), atol=1e-8)
    assert np.all(np.diff(model.correlations_) <= 0)
    assert 0 <= model.correlations_[-1] <= model.correlations_[0] <= 1
    # no other pair of directions does better: the rest of C_xy is orthogonal to what was found
    L_x, L_y = (np.linalg.cholesky(covariance(Z)) for Z in (Xc, Yc))
    M = np.linalg.solve(L_x, np.linalg.solve(L_y, Yc.T @ Xc / n).T)
    best = np.linalg.svd(M, compute_uv=False)[:k]
    np.testing.assert_allclose(model.correlations_, best, atol=1e-8)


@pytest.fixture(scope="module")
def views():
    rho = np.linspace(0.95, 0.5, 10)
    return make_gaussian_views(2000, 100, 100, correlations=rho, condition=100, random_state=0)


@pytest.fixture(scope="module")
def small():
    return make_gaussian_views(400, 8, 5, correlations=[0.9, 0.6, 0.3], random_state=1)


@pytest.mark.parametrize("reg", [0, 1e-3, 0.1, 10])
def test_defining_equations(small, reg):
    model = CCA(n_components=5, reg=reg).fit(small.image, small.text)
    check_definition(model, small.image, small.text, reg)


def test_correlations_equal_the_truth(views):
    model = CCA(n_components=100).fit(views.image, views.text)
    np.testing.assert_allclose(model.correlations_, truth(views.image, views.text), atol=1e-10)


class PartialLeastSquares(CommonSpaceModel):
    """A mutant: singular vectors of C_xy, which is not whitened."""

    def __init__(self, n_components=2):
        self.n_components = n_components

    def _fit(self, X, Y, labels):
        self.mean_image_, self.mean_text_ = X.mean(axis=0), Y.mean(axis=0)
        C = (X - self.mean_image_).T @ (Y - self.mean_text_) / len(X)
        U, s, Vt = np.linalg.svd(C, full_matrices=False)
        k = self.n_components
        self.weights_image_, self.weights_text_ = U[:, :k], Vt[:k].T
        self.correlations_ = s[:k]

    def _encode_image(self, X):
        return (X - self.mean_image_) @ self.weights_image_

    def _encode_text(self, Y):
        return (Y - self.mean_text_) @ self.weights_text_


class StandardisedPLS(PartialLeastSquares):
    """A mutant: each feature brought to unit variance, but the features not decorrelated."""

    def _fit(self, X, Y, labels):
        super()._fit(X / X.std(axis=0), Y / Y.std(axis=0), labels)
        self.weights_image_ = self.weights_image_ / X.std(axis=0)[:, None]
        self.weights_text_ = self.weights_text_ / Y.std(axis=0)[:, None]


@pytest.mark.parametrize("mutant", [PartialLeastSquares, StandardisedPLS])
def test_the_definition_exposes_relatives(small, mutant):
    model = mutant(2).fit(small.image, small.text)
    with pytest.raises(AssertionError):
        check_definition(model, small.image, small.text)


@pytest.mark.parametrize("side", ["image", "text"])
def test_column_scales_are_not_felt(views, side):
    X, Y = views.image, views.text
    scale = np.geomspace(1e-6, 1e6, 100)[np.random.default_rng(0).permutation(100)]
    scaled = CCA(10).fit(X * scale, Y) if side == "image" else CCA(10).fit(X, Y * scale)
    np.testing.assert_allclose(scaled.correlations_, truth(X, Y)[:10], atol=1e-8)
    check_definition(CCA(3).fit(X * np.geomspace(1e-2, 1e2, 100), Y), X * np.geomspace(1e-2, 1e2, 100), Y)  # fmt: skip # noqa: E501


def test_mixing_the_features_is_not_felt(views):
    X, Y = views.image, views.text
    mixing = (ortho_group.rvs(100, random_state=0) * np.geomspace(1, 1e-3, 100)) @ ortho_group.rvs(
        100, random_state=1
    )
    mixed = CCA(10).fit(X @ mixing + 5, Y)
    np.testing.assert_allclose(mixed.correlations_, truth(X, Y)[:10], atol=1e-8)
    original = CCA(10).fit(X, Y)
    np.testing.assert_allclose(
        mixed.similarity(X[:20] @ mixing + 5, Y[:20]),
        original.similarity(X[:20], Y[:20]),
        atol=1e-6,
    )


def test_a_repeated_column_is_not_felt(views):
    X, Y = views.image, views.text
    for repeated in (np.c_[X, X[:, 3]], np.c_[X[:, 3], X], np.c_[X, 1e5 * X[:, 3] + 2]):
        model = CCA(10).fit(repeated, Y)
        assert model.rank_image_ == 100
        np.testing.assert_allclose(model.correlations_, truth(X, Y)[:10], atol=1e-8)
        held_out = model.encode_image(repeated[:50])
        assert np.isfinite(held_out).all()


def test_a_sum_of_columns_in_single_precision_is_not_felt(small):
    X = small.image.astype(np.float32)
    X = np.c_[X, X.sum(axis=1)]
    model = CCA(3).fit(X, small.text)
    assert model.rank_image_ == 8
    np.testing.assert_allclose(model.correlations_, truth(X[:, :8], small.text)[:3], atol=1e-6)


def test_a_dead_column_gets_weight_zero(small):
    X = np.c_[small.image, np.zeros(len(small))]
    for reg in (0, 0.1):
        model = CCA(3, reg=reg).fit(X, small.text)
        np.testing.assert_allclose(model.weights_image_[8], 0, atol=1e-12)
    assert CCA(3).fit(X, small.text).rank_image_ == 8


def test_a_large_offset_is_not_felt(views):
    model = CCA(10).fit(views.image + 1e6, views.text)
    np.testing.assert_allclose(model.correlations_, truth(views.image, views.text)[:10], atol=1e-8)


def test_identical_views_correlate_perfectly(small):
    model = CCA(8).fit(small.image, small.image)
    np.testing.assert_allclose(model.correlations_, 1, atol=1e-12)
    assert model.correlations_.max() <= 1


def test_population_correlations_are_recovered():
    rho = [0.9, 0.6, 0.3]
    views = make_gaussian_views(100_000, 8, 5, correlations=rho, random_state=2)
    model = CCA(5).fit(views.image, views.text)
    # the sample correlation has standard error (1 - rho²) / sqrt(n) < 0.0032
    np.testing.assert_allclose(model.correlations_[:3], rho, atol=4 * 0.0032)
    np.testing.assert_allclose(model.correlations_[3:], 0, atol=0.02)


def test_one_feature_each_is_the_pearson_correlation():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(50, 1))
    y = -2 * x + rng.normal(size=(50, 1))
    model = CCA(1).fit(x, y)
    assert model.correlations_[0] == pytest.approx(-np.corrcoef(x.T, y.T)[0, 1], abs=1e-12)


def test_shuffled_pairing_lowers_the_first_correlation(small):
    Y = small.text[np.random.default_rng(0).permutation(len(small))]
    assert CCA(1).fit(small.image, Y).correlations_[0] < 0.3
    assert CCA(1).fit(small.image, small.text).correlations_[0] > 0.85


def test_components_are_nested(small):
    few, many = (CCA(k, reg=0.1).fit(small.image, small.text) for k in (2, 5))
    np.testing.assert_allclose(few.weights_image_, many.weights_image_[:, :2], atol=1e-10)


def test_ridge_conversion_of_the_docstring(small):
    """(1 - c) C + c I on standardised columns spans the same directions as reg = c / (1 - c)."""
    X, Y = ((Z - Z.mean(axis=0)) / Z.std(axis=0) for Z in (small.image, small.text))
    c, n = 0.2, len(X)
    L_x, L_y = (np.linalg.cholesky((1 - c) * Z.T @ Z / n + c * np.eye(Z.shape[1])) for Z in (X, Y))
    M = np.linalg.solve(L_x, np.linalg.solve(L_y, Y.T @ X / n).T)
    other = np.linalg.svd(M, compute_uv=False)
    ours = CCA(5, reg=c / (1 - c)).fit(X, Y).correlations_
    np.testing.assert_allclose(ours, (1 - c) * other, atol=1e-10)


def test_held_out_correlations_are_those_of_the_encodings(small):
    train, test = small.split(test_size=0.5, random_state=0)
    model = CCA(3).fit(train.image, train.text)
    S, T = model.encode_image(test.image), model.encode_text(test.text)
    expected = [np.corrcoef(S[:, j], T[:, j])[0, 1] for j in range(3)]
    np.testing.assert_allclose(model.correlations(test.image, test.text), expected, atol=1e-12)
    np.testing.assert_allclose(
        model.correlations(train.image, train.text), model.correlations_, atol=1e-10
    )


@pytest.mark.parametrize("reg", [0, 0.1])
def test_too_few_pairs(reg):
    rng = np.random.default_rng(0)
    X, Y = rng.normal(size=(30, 20)), rng.normal(size=(30, 15))
    if reg == 0:
        with pytest.raises(ValueError, match="30 pairs are too few.* set reg > 0"):
            CCA(2).fit(X, Y)
    else:
        model = CCA(2, reg=reg).fit(X, Y)
        check_definition(model, X, Y, reg)
        assert model.correlations_[0] < 1


def test_more_components_than_the_rank(small):
    X = np.c_[small.image[:, :3], small.image[:, :3].sum(axis=1)]
    with pytest.raises(ValueError, match=r"n_components=4 is more than .* min\(3, 5\)"):
        CCA(4).fit(X, small.text)


@pytest.mark.parametrize(
    ("parameters", "error"),
    [
        ({"n_components": 0}, ValueError),
        ({"n_components": 1.5}, TypeError),
        ({"reg": -0.1}, ValueError),
        ({"reg": "0.1"}, TypeError),
    ],
)
def test_bad_parameters_are_refused(small, parameters, error):
    with pytest.raises(error, match=next(iter(parameters))):
        CCA(**parameters).fit(small.image, small.text)


def test_whitening_is_exact_at_high_condition():
    rng = np.random.default_rng(0)
    mixing = (ortho_group.rvs(40, random_state=0) * np.geomspace(1, 1e-5, 40)) @ ortho_group.rvs(
        40, random_state=1
    )
    X = rng.normal(size=(500, 40)) @ mixing
    view = whiten(X)
    Z = (X - view.mean) @ view.W
    np.testing.assert_allclose(Z.T @ Z / 500, np.eye(40), atol=1e-9)
    np.testing.assert_allclose(view.Q @ view.S, Z, atol=1e-9)


def test_signs_are_fixed_in_pairs():
    A, B = np.array([[1.0, -3.0], [2.0, 1.0]]), np.array([[1.0, 2.0]])
    fixed_A, fixed_B = fix_signs(A, B)
    assert fixed_A.tolist() == [[1, 3], [2, -1]]
    assert fixed_B.tolist() == [[1, -2]]


@pytest.mark.skipif(
    not (data_home() / "wikipedia" / "raw_features.mat").exists(),
    reason="the Wikipedia features are not in $CMRLIB_DATA",
)
def test_wikipedia_reproduces_correlation_matching():
    """Rasiwasia et al. 2010 print 0.249 and 0.196; the exact method has no parameter to choose."""
    train, test = fetch_wikipedia().split()
    report = evaluate(CCA(n_components=7).fit(train.image, train.text), test)
    assert report.n_queries == 693
    assert report.image_to_text["mAP@all"] == pytest.approx(0.250, abs=0.005)
    assert report.text_to_image["mAP@all"] == pytest.approx(0.199, abs=0.005)
    assert report.random["mAP@all"] == pytest.approx(0.118, abs=0.001)


def test_emoji_are_retrieved():
    """Components and ridge as chosen on a validation part of the training set in the chapter."""
    train, test = load_emoji().split(test_size=0.25, random_state=0)
    report = evaluate(CCA(n_components=4, reg=10).fit(train.image, train.text), test)
    assert min(report.image_to_text["mAP@all"], report.text_to_image["mAP@all"]) >= 0.45
