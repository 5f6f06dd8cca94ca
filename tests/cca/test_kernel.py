"""KCCA against its dual definition, its reductions, and what it must not feel; tag features."""

import os
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from scipy.linalg import eigh
from sklearn.metrics.pairwise import chi2_kernel, polynomial_kernel, rbf_kernel
from sklearn.preprocessing import KernelCenterer

from cmrlib.base import CommonSpaceModel
from cmrlib.cca import CCA, KCCA, tag_features
from cmrlib.datasets import fetch_wikipedia, make_gaussian_views
from cmrlib.evaluation import evaluate

WIKIPEDIA = Path(os.environ.get("CMRLIB_DATA", "no folder")) / "wikipedia"
KERNELS = ["linear", "rbf", "chi2", "poly"]


def mean_distance(D):
    return D.sum() / D.size


def kernel_matrix(name, X, Z):
    """Return the kernels of X with the training set Z by scikit-learn, gamma = 1."""
    if name == "linear":
        return X @ Z.T
    if name == "rbf":
        scale = mean_distance(((Z[:, None] - Z) ** 2).sum(axis=2))
        return rbf_kernel(X, Z, gamma=1 / scale)
    if name == "chi2":
        total = Z[:, None] + Z
        difference = (Z[:, None] - Z) ** 2
        D = np.divide(difference, total, out=np.zeros_like(total), where=total > 0).sum(axis=2)
        return chi2_kernel(X, Z, gamma=1 / mean_distance(D))
    return polynomial_kernel(X, Z, degree=3, gamma=1 / (Z**2).sum(axis=1).mean(), coef0=1.0)


def smoother(K, ridge):
    """Return G = K (K + n r I)⁻¹, kernel ridge regression's map from targets to fitted values."""
    n = len(K)
    return np.linalg.solve(K + n * ridge * np.eye(n), K).T


def check_definition(model, image, text, kernel, reg):
    """Assert the stationarity of the dual objective, in terms of the encodings, and its maximum.

    With S = K̃_x α and T = K̃_y β, the derivative of the Lagrangian vanishes where
    ρ (K̃_x + n r_x I) α = T, that is ρ S = G_x T; likewise ρ T = G_y S. The constraints then say
    SᵀT / n = diag(ρ), and ρ² are the largest eigenvalues of G_x G_y.
    """
    n, rho = len(image), model.correlations_
    G = []
    for V in (image, text):
        K = KernelCenterer().fit_transform(kernel_matrix(kernel, V, V))
        G.append(smoother(K, reg * np.trace(K) / n / V.shape[1]))
    S, T = model.encode_image(image), model.encode_text(text)
    np.testing.assert_allclose(rho * S, G[0] @ T, atol=1e-6)
    np.testing.assert_allclose(rho * T, G[1] @ S, atol=1e-6)
    np.testing.assert_allclose(S.T @ T / n, np.diag(rho), atol=1e-6)
    largest = np.sort(np.linalg.eigvals(G[0] @ G[1]).real)[::-1][: len(rho)]
    np.testing.assert_allclose(rho**2, largest, atol=1e-6)


def check_held_out(model, image, text, fresh, kernel, reg):
    """Assert that new images are encoded by kernels centred with the training means."""
    centre = KernelCenterer().fit(kernel_matrix(kernel, image, image))
    K = centre.transform(kernel_matrix(kernel, image, image))
    ridge = reg * np.trace(K) / len(image) / image.shape[1]
    targets = model.encode_text(text) / model.correlations_
    dual = np.linalg.solve(K + len(image) * ridge * np.eye(len(image)), targets)
    expected = centre.transform(kernel_matrix(kernel, fresh, image)) @ dual
    np.testing.assert_allclose(model.encode_image(fresh), expected, atol=1e-5)


class DualKCCA(CommonSpaceModel):
    """KCCA by its dual eigenproblem, transparent and slow, with switches to break it."""

    centre_training, centre_new, ridge_on = True, "training", "feature space"

    def __init__(self, kernel, n_components=2, reg=0.1):
        self.kernel, self.n_components, self.reg = kernel, n_components, reg

    def _fit(self, X, Y, labels):
        n, k = len(X), self.n_components
        self.views_ = X, Y
        K, ridged = [], []
        for V in (X, Y):
            raw = kernel_matrix(self.kernel, V, V)
            centred = KernelCenterer().fit_transform(raw) if self.centre_training else raw
            ridge = self.reg * np.trace(centred) / n / V.shape[1]
            penalty = centred if self.ridge_on == "feature space" else np.eye(n)
            K.append(centred)
            ridged.append(centred @ centred / n + ridge * penalty + 1e-11 * np.eye(n))
        cross = K[0] @ K[1] / n
        zero = np.zeros((n, n))
        values, vectors = eigh(
            np.block([[zero, cross], [cross.T, zero]]),
            np.block([[ridged[0], zero], [zero, ridged[1]]]),
            subset_by_index=[2 * n - k, 2 * n - 1],
        )
        self.correlations_ = values[::-1]
        self.dual_ = [half[:, ::-1] * np.sqrt(2) for half in (vectors[:n], vectors[n:])]

    def _encode(self, V, view):
        Z = self.views_[view]
        K, raw = kernel_matrix(self.kernel, V, Z), kernel_matrix(self.kernel, Z, Z)
        if self.centre_training and (len(V) == len(Z) or self.centre_new == "training"):
            K = KernelCenterer().fit(raw).transform(K)
        elif self.centre_new == "batch":
            K = K - K.mean(axis=0) - K.mean(axis=1, keepdims=True) + K.mean()
        return K @ self.dual_[view]

    def _encode_image(self, X):
        return self._encode(X, 0)

    def _encode_text(self, Y):
        return self._encode(Y, 1)


class Uncentred(DualKCCA):
    """A mutant: the kernels of the training set are not centred."""

    centre_training = False
    centre_new = "no"


class RidgeOnWeights(DualKCCA):
    """A mutant: the ridge on the dual weights, K² + r I, instead of in feature space."""

    ridge_on = "dual weights"


class NewNotCentred(DualKCCA):
    """A mutant: new kernels as they are."""

    centre_new = "no"


class NewCentredByBatch(DualKCCA):
    """A mutant: new kernels centred with the means of the batch they come in."""

    centre_new = "batch"


@pytest.fixture(scope="module")
def views():
    """Return 80 training and 20 other pairs of non-negative views, related nonlinearly."""
    rng = np.random.default_rng(0)
    z = rng.normal(size=(100, 2))
    X = np.abs(np.c_[z, rng.normal(size=(100, 3))]) + 0.1
    Y = np.c_[z[:, 0] ** 2, np.abs(z[:, 1]), rng.uniform(size=(100, 2))] + 0.2
    return X[:80], Y[:80], X[80:], Y[80:]


@pytest.mark.parametrize("reg", [0.05, 1.0])
@pytest.mark.parametrize("kernel", KERNELS)
def test_defining_equations(views, kernel, reg):
    X, Y, X_new, Y_new = views
    model = KCCA(2, kernel, reg=reg).fit(X, Y)
    check_definition(model, X, Y, kernel, reg)
    check_held_out(model, X, Y, X_new, kernel, reg)


@pytest.mark.parametrize("kernel", KERNELS)
def test_the_slow_dual_passes_too(views, kernel):
    X, Y, X_new, _ = views
    model = DualKCCA(kernel).fit(X, Y)
    check_definition(model, X, Y, kernel, 0.1)
    check_held_out(model, X, Y, X_new, kernel, 0.1)


@pytest.mark.parametrize("kernel", ["rbf", "poly"])
@pytest.mark.parametrize("mutant", [Uncentred, RidgeOnWeights])
def test_the_definition_exposes_mutants(views, mutant, kernel):
    X, Y, *_ = views
    with pytest.raises(AssertionError):
        check_definition(mutant(kernel).fit(X, Y), X, Y, kernel, 0.1)


@pytest.mark.parametrize("mutant", [NewNotCentred, NewCentredByBatch])
def test_held_out_exposes_wrong_centring(views, mutant):
    X, Y, X_new, _ = views
    model = mutant("rbf").fit(X, Y)
    check_definition(model, X, Y, "rbf", 0.1)  # the training set does not show the error
    with pytest.raises(AssertionError):
        check_held_out(model, X, Y, X_new, "rbf", 0.1)


@pytest.mark.parametrize("shape", [(300, 12, 7), (40, 60, 50)], ids=["n > p", "n < p"])
@pytest.mark.parametrize("reg", [0, 1e-3, 0.1, 10])
def test_linear_kernel_is_ridge_cca(shape, reg):
    n, p, q = shape
    data = make_gaussian_views(n + 20, p, q, correlations=[0.9, 0.7], random_state=0)
    X, Y, X_new, Y_new = data.image[:n], data.text[:n], data.image[n:], data.text[n:]
    if reg == 0 and n < p:
        with pytest.raises(ValueError, match="too few"):
            KCCA(3, "linear", reg=0).fit(X, Y)
        return
    linear, kernel = CCA(3, reg=reg).fit(X, Y), KCCA(3, "linear", reg=reg).fit(X, Y)
    np.testing.assert_allclose(kernel.correlations_, linear.correlations_, atol=1e-10)
    for side, V in (("image", X_new), ("text", Y_new)):
        a, b = linear.encode(V, side), kernel.encode(V, side)
        np.testing.assert_allclose(b * np.sign((a * b).sum(axis=0)), a, atol=1e-8)
    np.testing.assert_allclose(kernel.similarity(X_new, Y_new), linear.similarity(X_new, Y_new),
                               atol=1e-8)  # fmt: skip
    np.testing.assert_allclose(kernel.correlations(X_new, Y_new), linear.correlations(X_new, Y_new),
                               atol=1e-8)  # fmt: skip


def test_a_pair_of_kernels_and_ridges_goes_to_image_and_text(views):
    X, Y, *_ = views
    model = KCCA(2, ("rbf", "linear"), reg=(0.5, 0.02)).fit(X, Y)
    swapped = KCCA(2, ("linear", "rbf"), reg=(0.02, 0.5)).fit(Y, X)
    np.testing.assert_allclose(model.correlations_, swapped.correlations_, atol=1e-10)
    other = KCCA(2, ("rbf", "linear"), reg=(0.02, 0.5)).fit(X, Y)
    assert np.abs(model.correlations_ - other.correlations_).max() > 1e-3


def test_a_constant_added_to_the_kernel_is_not_felt(views):
    X, Y, X_new, Y_new = views
    small, large = (KCCA(2, "poly", degree=1, coef0=c).fit(X, Y) for c in (0.0, 50.0))
    np.testing.assert_allclose(small.correlations_, large.correlations_, atol=1e-9)
    np.testing.assert_allclose(small.similarity(X_new, Y_new), large.similarity(X_new, Y_new),
                               atol=1e-7)  # fmt: skip
    # and a polynomial of degree 1 is the linear kernel, whatever its gamma
    linear = KCCA(2, "linear").fit(X, Y)
    np.testing.assert_allclose(small.correlations_, linear.correlations_, atol=1e-9)


@pytest.mark.parametrize("kernel", KERNELS)
def test_the_unit_of_the_features_is_not_felt(views, kernel):
    X, Y, X_new, Y_new = views
    model = KCCA(2, kernel).fit(X, Y)
    scaled = KCCA(2, kernel).fit(1000 * X, Y / 7)
    np.testing.assert_allclose(scaled.correlations_, model.correlations_, atol=1e-8)
    np.testing.assert_allclose(scaled.similarity(1000 * X_new, Y_new / 7),
                               model.similarity(X_new, Y_new), atol=1e-6)  # fmt: skip


@pytest.mark.parametrize("kernel", ["linear", "rbf"])
def test_a_far_origin_is_not_felt(views, kernel):
    X, Y, X_new, Y_new = views
    model, moved = KCCA(2, kernel).fit(X, Y), KCCA(2, kernel).fit(X + 1e6, Y)
    np.testing.assert_allclose(moved.correlations_, model.correlations_, atol=1e-7)
    np.testing.assert_allclose(moved.similarity(X_new + 1e6, Y_new),
                               model.similarity(X_new, Y_new), atol=1e-6)  # fmt: skip


def test_training_correlations_of_noise_tend_to_one():
    rng = np.random.default_rng(0)
    X, Y, X_new, Y_new = rng.normal(size=(4, 200, 3))
    rho = [KCCA(1, "rbf", reg=reg).fit(X, Y).correlations_[0] for reg in (1, 1e-3, 1e-6)]
    assert np.all(np.diff(rho) > 0) and rho[-1] > 0.999
    held_out = KCCA(1, "rbf", reg=1e-6).fit(X, Y).correlations(X_new, Y_new)
    assert abs(held_out[0]) < 0.25
    with pytest.raises(ValueError, match="correlations would be 1 whatever the data"):
        KCCA(1, "rbf", reg=0).fit(X, Y)


def test_finds_what_linear_cca_cannot():
    z, new = np.random.default_rng(0).normal(size=(2, 500, 1))
    assert abs(CCA(1).fit(z, np.abs(z)).correlations(new, np.abs(new))[0]) < 0.15
    assert KCCA(1).fit(z, np.abs(z)).correlations(new, np.abs(new))[0] > 0.99


def test_incomplete_factor_of_full_rank_is_exact(views):
    X, Y, X_new, Y_new = views
    exact = KCCA(2, "rbf").fit(X, Y)
    model = KCCA(2, "rbf", max_rank=500).fit(X, Y)
    assert model.residual_image_ < 1e-10
    np.testing.assert_allclose(model.correlations_, exact.correlations_, atol=1e-8)
    np.testing.assert_allclose(model.similarity(X_new, Y_new), exact.similarity(X_new, Y_new),
                               atol=1e-6)  # fmt: skip


def test_incomplete_factor_stops_at_the_rank_of_the_kernel():
    views = make_gaussian_views(300, 6, 5, correlations=[0.9], random_state=0)
    model = KCCA(2, "linear", max_rank=100).fit(views.image, views.text)
    assert model.pivots_image_.shape == (6, 6) and model.pivots_text_.shape == (5, 5)
    expected = CCA(2, reg=0.1).fit(views.image, views.text)
    np.testing.assert_allclose(model.correlations_, expected.correlations_, atol=1e-10)


def test_residual_is_the_error_of_the_kernel(views):
    X, Y, *_ = views
    K = kernel_matrix("rbf", X, X)
    residuals = []
    for m in (2, 10, 30):
        model = KCCA(1, "rbf", max_rank=m).fit(X, Y)
        P = model.pivots_image_
        column = kernel_matrix("rbf", X, X)[:, [np.flatnonzero((x == X).all(1))[0] for x in P]]
        corner = column[[np.flatnonzero((x == X).all(1))[0] for x in P]]
        approximation = column @ np.linalg.solve(corner, column.T)  # of Nyström, at the pivots
        error = np.trace(K - approximation) / np.trace(K)
        np.testing.assert_allclose(model.residual_image_, error, atol=1e-10)
        residuals.append(error)
    assert residuals[0] > residuals[1] > residuals[2] > 0


def test_low_rank_never_forms_the_kernel_matrix():
    views = make_gaussian_views(5000, 8, 6, correlations=[0.9], random_state=0)
    tracemalloc.start()
    KCCA(1, "rbf", max_rank=40).fit(views.image, views.text)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 5000**2 * 8 / 10


def test_same_correlations_as_cca_zoo():
    zoo = pytest.importorskip("cca_zoo.nonparametric")
    views = make_gaussian_views(150, 6, 5, correlations=[0.9, 0.6], random_state=0)
    X, Y = views.image, views.text
    n, c = 150, 0.1
    gammas, regs, K = [], [], []
    for V in (X, Y):
        gammas.append(1 / mean_distance(((V[:, None] - V) ** 2).sum(axis=2)))
        K.append(KernelCenterer().fit_transform(rbf_kernel(V, gamma=gammas[-1])))
        regs.append(c / (1 - c) * (n - 1) * V.shape[1] / np.trace(K[-1]))
    peer = zoo.KCCA(2, kernel="rbf", gamma=gammas, shrinkage=c).fit([X, Y])
    S, T = peer.transform([X, Y])
    expected = [np.corrcoef(S[:, j], T[:, j])[0, 1] for j in range(2)]
    model = KCCA(2, "rbf", reg=tuple(regs)).fit(X, Y)
    np.testing.assert_allclose(model.correlations(X, Y), expected, atol=1e-8)


def test_ridge_of_hardoon(views):
    X, Y, *_ = views
    unit = KCCA(1, "rbf", reg=1.0).fit(X, Y)
    kappa = 0.7  # of (K² + κ K): r = κ / n
    regs = tuple(kappa / len(X) / r for r in (unit.ridge_image_, unit.ridge_text_))
    K = [KernelCenterer().fit_transform(kernel_matrix("rbf", V, V)) for V in (X, Y)]
    smooth = [np.linalg.solve(k + kappa * np.eye(len(k)), k) for k in K]
    largest = np.linalg.eigvals(smooth[0] @ smooth[1]).real.max()
    model = KCCA(1, "rbf", reg=regs).fit(X, Y)
    np.testing.assert_allclose(model.correlations_[0] ** 2, largest, atol=1e-8)


def test_repeated_columns_rows_and_identical_views(views):
    X, Y, *_ = views
    model = KCCA(2, "rbf").fit(np.r_[X, X], np.r_[Y, Y])
    single = KCCA(2, "rbf").fit(X, Y)
    np.testing.assert_allclose(model.correlations_, single.correlations_, atol=1e-8)
    repeated = KCCA(2, "rbf").fit(np.c_[X, X], Y)
    assert np.isfinite(repeated.correlations_).all()
    same = KCCA(1, "linear", reg=0).fit(X, X)
    np.testing.assert_allclose(same.correlations_, 1)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"kernel": "cosine"}, "kernel must be one of linear, rbf, chi2, poly"),
        ({"kernel": ("rbf", "rbf", "rbf")}, "kernel must be one value or a pair"),
        ({"reg": (0.1,)}, "reg must be one value or a pair"),
        ({"reg": -1}, "reg"),
        ({"gamma": 0}, "gamma"),
        ({"degree": 0}, "degree"),
        ({"coef0": -1}, "coef0"),
        ({"max_rank": 0}, "max_rank"),
        ({"n_components": 0}, "n_components"),
        ({"n_components": 5, "kernel": "linear", "reg": 0}, "more than the smaller rank"),
    ],
)
def test_bad_parameters_are_refused(views, parameters, message):
    X, Y, *_ = views
    with pytest.raises(ValueError, match=message):
        KCCA(**parameters).fit(X, Y)


def test_chi2_refuses_negative_features(views):
    X, Y, X_new, _ = views
    with pytest.raises(ValueError, match="needs features >= 0"):
        KCCA(1, "chi2").fit(X - 5, Y)
    model = KCCA(1, "chi2").fit(X, Y)
    with pytest.raises(ValueError, match="needs features >= 0"):
        model.encode_image(-X_new)


@pytest.mark.skipif(
    not WIKIPEDIA.is_dir(), reason="the Wikipedia features are not in $CMRLIB_DATA/wikipedia"
)
def test_wikipedia():
    train, test = fetch_wikipedia().split()
    # reg = κ p / tr K̃ for κ = 1, and the 7 components of correlation matching in the 2010 paper
    model = KCCA(7, "chi2", reg=(0.0941, 0.0078)).fit(train.image, train.text)
    np.testing.assert_allclose([model.ridge_image_, model.ridge_text_], 1 / len(train), rtol=0.01)
    report = evaluate(model, test)
    assert report.image_to_text["mAP@all"] == pytest.approx(0.263, abs=0.01)
    assert report.text_to_image["mAP@all"] == pytest.approx(0.215, abs=0.01)


# --- tag features -------------------------------------------------------------------------------

TRAINING = [["cow", "fence", "mud"], ["fence", "cow"], ["pole", "mud", "cow"], ["cow"]]
WORDS = ["cow", "fence", "mud", "pole"]


def check_order_counts(describe):
    """Assert that swapping two tags moves both rank parts and leaves the frequency."""
    first, second = (
        describe([tags], WORDS, TRAINING) for tags in (["cow", "fence"], ["fence", "cow"])
    )
    np.testing.assert_array_equal(first.frequency, second.frequency)
    for part in ("relative_rank", "absolute_rank"):
        a, b = getattr(first, part)[0], getattr(second, part)[0]
        assert a[0] > b[0], f"{part} of cow must fall when it is named later"
        assert a[1] < b[1], f"{part} of fence must rise when it is named earlier"
    for parts in (first, second):
        np.testing.assert_array_equal(np.array(parts)[:, 0, 2:], 0)  # not named


def test_swapping_tags_moves_the_ranks_alone():
    check_order_counts(tag_features)


def bag_of_words(tag_lists, vocabulary, training_lists=None):
    """A mutant: the order of the tags plays no part."""
    parts = tag_features([sorted(tags) for tags in tag_lists], vocabulary, training_lists)
    return parts


def relative_to_the_list(tag_lists, vocabulary, training_lists=None):
    """A mutant: ranks of the tags among those of the same list, not the training ranks."""
    return tag_features(tag_lists, vocabulary, tag_lists)


@pytest.mark.parametrize("mutant", [bag_of_words, relative_to_the_list])
def test_order_exposes_mutants(mutant):
    with pytest.raises(AssertionError):
        check_order_counts(mutant)


def test_tag_features_by_hand():
    parts = tag_features([["mud", "cow", "sky", "cow"], []], WORDS, TRAINING)
    # cow stands at 2 and 4, mean 3; mud at 1. Training ranks: cow 1, 2, 3, 1; mud 3, 2.
    np.testing.assert_array_equal(parts.frequency, [[2, 0, 1, 0], [0, 0, 0, 0]])
    absolute = [[1 / np.log2(4), 0, 1 / np.log2(2), 0], [0, 0, 0, 0]]
    np.testing.assert_allclose(parts.absolute_rank, absolute)
    # of the ranks of cow, one in four is at or behind 3; of mud's both are behind 1
    np.testing.assert_allclose(parts.relative_rank, [[0.25, 0, 1, 0], [0, 0, 0, 0]])


def test_relative_rank_of_a_word_that_training_never_named_is_zero():
    parts = tag_features([["pole"]], ["pole"], [["cow"]])
    assert parts.relative_rank == 0 and parts.frequency == parts.absolute_rank == 1


def test_tag_features_refuse_bad_lists():
    with pytest.raises(TypeError, match="tag list 1 is one string"):
        tag_features([["cow"], "fence"], WORDS)
    with pytest.raises(ValueError, match="names a word twice"):
        tag_features([["cow"]], ["cow", "cow"])
