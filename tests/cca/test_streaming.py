"""CCA from chunks equals CCA of everything, however the pairs are cut, ordered, shifted, scaled."""

import pickle
import tracemalloc

import numpy as np
import pytest
from scipy.stats import ortho_group
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from cmrlib.cca import streaming
from cmrlib.cca.linear import CCA
from cmrlib.cca.streaming import StreamingCCA
from cmrlib.datasets import make_gaussian_views


@pytest.fixture(scope="module")
def views():
    return make_gaussian_views(600, 12, 8, correlations=[0.9, 0.6, 0.4, 0.2], random_state=0)


def chunks_of(size, n):
    return [slice(start, start + size) for start in range(0, n, size)]


def streamed(X, Y, sizes, cls=StreamingCCA, **parameters):
    model = cls(**parameters)
    for part in sizes:
        model.partial_fit(X[part], Y[part])
    return model


def check_equal(model, X, Y, atol=1e-8):
    """Assert that the streamed model is CCA of all pairs at once."""
    batch = CCA(model.n_components, model.reg).fit(X, Y)
    assert model.n_samples_seen_ == len(X)
    np.testing.assert_allclose(model.cca_.correlations_, batch.correlations_, atol=atol)
    scale = 1 / np.abs(batch.weights_image_).max(axis=1, keepdims=True)
    np.testing.assert_allclose(
        scale * model.cca_.weights_image_, scale * batch.weights_image_, atol=atol
    )
    offset = np.abs(X).max() / X.std(axis=0).min()  # digits that the encoding itself can lose
    near = atol + 1e-14 * offset
    np.testing.assert_allclose(model.encode_image(X[:50]), batch.encode_image(X[:50]), atol=near)
    np.testing.assert_allclose(model.encode_text(Y[:50]), batch.encode_text(Y[:50]), atol=near)


@pytest.mark.parametrize("reg", [0, 0.1])
@pytest.mark.parametrize("size", [1, 7, 100, 599, 600])
def test_equals_the_batch_for_every_chunking(views, size, reg):
    model = streamed(views.image, views.text, chunks_of(size, 600), n_components=4, reg=reg)
    check_equal(model, views.image, views.text)


def test_order_of_the_pairs_does_not_matter(views):
    order = np.random.default_rng(0).permutation(600)
    X, Y = views.image[order], views.text[order]
    sizes = [slice(0, 3), slice(3, 300), slice(300, 301), slice(301, 600)]
    check_equal(streamed(X, Y, sizes, n_components=4), views.image, views.text)


def sorted_by_first_feature(views):
    """The worst order: the mean drifts from chunk to chunk."""
    order = np.argsort(views.image[:, 0])
    return views.image[order], views.text[order]


def test_drifting_means_are_accounted_for(views):
    X, Y = sorted_by_first_feature(views)
    check_equal(streamed(X, Y, chunks_of(50, 600), n_components=4), X, Y)


def test_large_offset(views):
    X, Y = views.image + 1e6, views.text - 1e6
    check_equal(streamed(X, Y, chunks_of(50, 600), n_components=4), X, Y)
    drift = X + 1e3 * np.arange(600)[:, None] * np.r_[1.0, np.zeros(11)]
    check_equal(streamed(drift, Y, chunks_of(50, 600), n_components=3), drift, Y)


def test_column_scales(views):
    X, Y = views.image * np.geomspace(1e-6, 1e6, 12), views.text * np.geomspace(1e4, 1e-4, 8)
    model = streamed(X, Y, chunks_of(50, 600), n_components=4)
    check_equal(model, X, Y)
    plain = CCA(4).fit(views.image, views.text)
    np.testing.assert_allclose(model.cca_.correlations_, plain.correlations_, atol=1e-8)


def nearly_dependent():
    """Views whose features depend on each other to 1e-5: the scatter's condition is 1e10."""
    base = make_gaussian_views(
        600, 12, 8, correlations=[0.9, 0.6, 0.4], condition=1, random_state=0
    )
    turn, back = (ortho_group.rvs(12, random_state=seed) for seed in (0, 1))
    X = base.image @ (turn * np.geomspace(1, 1e-5, 12)) @ back
    return X, base.text, CCA(4).fit(base.image, base.text).correlations_


def check_high_condition(cls):
    X, Y, truth = nearly_dependent()
    found = streamed(X, Y, chunks_of(50, 600), cls, n_components=4).cca_.correlations_
    np.testing.assert_allclose(found, truth, atol=1e-8)


def test_high_condition():
    check_high_condition(StreamingCCA)


class SumOfProducts(StreamingCCA):
    """A mutant: adds up z and z zᵀ and centres at the end."""

    def partial_fit(self, image, text):
        super().partial_fit(image, text)
        Z = np.hstack([image, text])
        first = not hasattr(self, "sums")
        self.sums = Z.sum(axis=0) + (0 if first else self.sums)
        self.products = Z.T @ Z + (0 if first else self.products)
        return self

    def scatter(self):
        n = self.n_samples_seen_
        return self.products - np.outer(self.sums, self.sums) / n, self.sums / n

    def _solve(self):
        C, mean = self.scatter()
        values, V = np.linalg.eigh(C)
        n, p = self.n_samples_seen_, self.n_features_image_
        R = (V * np.sqrt(values.clip(0))) @ V.T
        rows = np.sqrt(len(R) / n) * np.vstack([R, -R])
        model = CCA(self.n_components, self.reg).fit(rows[:, :p], rows[:, p:])
        model.mean_image_, model.mean_text_ = mean[:p], mean[p:]
        return model


class SumOfScatters(SumOfProducts):
    """A mutant: Chan's update, on the scatter matrix itself."""

    def partial_fit(self, image, text):
        StreamingCCA.partial_fit(self, image, text)
        Z = np.hstack([image, text])
        m, mean = len(Z), Z.mean(axis=0)
        Z = Z - mean
        if not hasattr(self, "state"):
            self.state = (m, mean, Z.T @ Z)
            return self
        n, old, C = self.state
        d = mean - old
        C = C + Z.T @ Z + n * m / (n + m) * np.outer(d, d)
        self.state = (n + m, old + m / (n + m) * d, C)
        return self

    def scatter(self):
        return self.state[2], self.state[1]


def test_the_naive_sum_fails_at_a_large_offset(views):
    X, Y = views.image + 1e6, views.text - 1e6
    check_equal(streamed(views.image, views.text, chunks_of(50, 600), SumOfProducts), views.image, views.text)  # fmt: skip # noqa: E501
    with pytest.raises((AssertionError, ValueError)):
        check_equal(streamed(X, Y, chunks_of(50, 600), SumOfProducts, n_components=4), X, Y)


def test_the_scatter_matrix_fails_at_high_condition(views):
    X, Y = views.image + 1e6, views.text - 1e6
    check_equal(streamed(views.image, views.text, chunks_of(50, 600), SumOfScatters), views.image, views.text)  # fmt: skip # noqa: E501
    check_equal(streamed(X, Y, chunks_of(50, 600), SumOfScatters, n_components=4), X, Y, atol=1e-6)
    with pytest.raises((AssertionError, ValueError)):
        check_high_condition(SumOfScatters)


def without_difference(sample, Z):
    """A mutant: each chunk centred by its own mean, the means then forgotten."""
    if sample is None:
        return streaming._Sample(len(Z), Z.mean(axis=0), np.linalg.qr(Z - Z.mean(axis=0), "r"))
    n, m = sample.n, len(Z)
    R = np.linalg.qr(np.vstack([sample.R, Z - Z.mean(axis=0)]), mode="r")
    return streaming._Sample(n + m, (n * sample.mean + m * Z.mean(axis=0)) / (n + m), R)


def uncentred(sample, Z):
    """A mutant: the triangular factor of the rows as they come."""
    if sample is None:
        return streaming._Sample(len(Z), Z.mean(axis=0), np.linalg.qr(Z, mode="r"))
    n, m = sample.n, len(Z)
    R = np.linalg.qr(np.vstack([sample.R, Z]), mode="r")
    return streaming._Sample(n + m, (n * sample.mean + m * Z.mean(axis=0)) / (n + m), R)


@pytest.mark.parametrize("mutant", [without_difference, uncentred])
def test_drifting_means_expose_mutants(views, monkeypatch, mutant):
    monkeypatch.setattr(streaming, "_merge", mutant)
    X, Y = sorted_by_first_feature(views)
    with pytest.raises(AssertionError):
        check_equal(streamed(X, Y, chunks_of(50, 600), n_components=4), X, Y)


def test_model_is_of_use_between_chunks(views):
    model = StreamingCCA(4)
    for start, end in ((0, 30), (30, 250), (250, 600)):
        model.partial_fit(views.image[start:end], views.text[start:end])
        check_equal(model, views.image[:end], views.text[:end])


def test_fit_starts_afresh_and_partial_fit_goes_on(views):
    X, Y = views.image, views.text
    model = StreamingCCA(4).partial_fit(X[:100], Y[:100]).fit(X[:300], Y[:300])
    check_equal(model, X[:300], Y[:300])
    check_equal(model.partial_fit(X[300:], Y[300:]), X, Y)


def test_one_pass_serves_every_ridge(views):
    model = streamed(views.image, views.text, chunks_of(50, 600), n_components=4)
    for reg in (0, 0.1, 10):
        check_equal(model.set_params(reg=reg), views.image, views.text)


def test_repeated_column_and_dead_column(views):
    X = np.c_[views.image, views.image[:, 3], np.zeros(600)]
    model = streamed(X, views.text, chunks_of(50, 600), n_components=4)
    assert model.cca_.rank_image_ == 12
    plain = CCA(4).fit(views.image, views.text)
    np.testing.assert_allclose(model.cca_.correlations_, plain.correlations_, atol=1e-8)
    np.testing.assert_allclose(model.encode_image(X), plain.encode_image(views.image), atol=1e-8)


def test_identical_views(views):
    model = streamed(views.image, views.image, chunks_of(50, 600), n_components=12)
    np.testing.assert_allclose(model.cca_.correlations_, 1, atol=1e-12)


def test_one_feature_each_is_the_pearson_correlation():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(50, 1))
    y = -2 * x + rng.normal(size=(50, 1))
    model = streamed(x, y, chunks_of(3, 50), n_components=1)
    assert model.cca_.correlations_[0] == pytest.approx(-np.corrcoef(x.T, y.T)[0, 1], abs=1e-12)


@pytest.mark.parametrize("n", [15, 200])
def test_constant_column_is_refused_as_in_one_batch(views, n):
    """Rounding of the mean must not turn a constant column into a tiny feature."""
    X = np.c_[views.image, np.full(600, 0.1)][:n]
    model = streamed(X, views.text[:n], chunks_of(7, n))
    with pytest.raises(ValueError, match="same non-zero value, first column 12"):
        model.encode_image(X)
    with pytest.raises(ValueError, match="every column of text is constant"):
        streamed(views.image[:n], 0 * views.text[:n], chunks_of(7, n)).encode_image(views.image)


def test_column_constant_within_each_chunk_only(views):
    X = np.c_[views.image, np.repeat(np.arange(12.0), 50)]
    check_equal(streamed(X, views.text, chunks_of(50, 600), n_components=4), X, views.text)


def test_too_few_pairs_until_there_are_enough(views):
    X, Y = views.image, views.text
    model = StreamingCCA(2).partial_fit(X[:1], Y[:1])
    with pytest.raises(ValueError, match="one pair is not enough"):
        model.encode_image(X)
    with pytest.raises(ValueError, match="15 pairs are too few.* set reg > 0"):
        model.partial_fit(X[1:15], Y[1:15]).encode_image(X)
    check_equal(model.partial_fit(X[15:], Y[15:]), X, Y)


def test_more_components_than_the_rank(views):
    model = streamed(views.image, views.text, chunks_of(50, 600), n_components=9)
    with pytest.raises(ValueError, match=r"n_components=9 is more than .* min\(12, 8\)"):
        model.encode_image(views.image)


def test_bad_chunk_is_refused_and_leaves_no_trace(views):
    X, Y = views.image, views.text
    model = streamed(X, Y, chunks_of(50, 600), n_components=4)
    spoilt = X[:5].copy()
    spoilt[2, 1] = np.nan
    for image, text, message in (
        (spoilt, Y[:5], "row 2, column 1"),
        (X[:5], Y[:4], "must be one pair"),
        (X[:5, :11], Y[:5], "image has 11 features, but the model was fitted with 12"),
        (X[:0], Y[:0], "is empty"),
    ):
        with pytest.raises(ValueError, match=message):
            model.partial_fit(image, text)
    check_equal(model, X, Y)


def test_bad_first_chunk_leaves_the_model_unfitted(views):
    model = StreamingCCA()
    with pytest.raises(ValueError, match="must be one pair"):
        model.partial_fit(views.image, views.text[1:])
    with pytest.raises(NotFittedError, match="not fitted yet"):
        model.encode_image(views.image)
    with pytest.raises(NotFittedError, match="has seen no pairs yet"):
        model.cca_  # noqa: B018


def test_clone_and_pickle(views):
    model = streamed(views.image[:300], views.text[:300], chunks_of(50, 300), n_components=4)
    assert not hasattr(clone(model), "n_samples_seen_")
    again = pickle.loads(pickle.dumps(model))
    check_equal(again.partial_fit(views.image[300:], views.text[300:]), views.image, views.text)


def test_memory_does_not_grow_with_the_pairs():
    rng = np.random.default_rng(0)
    X, Y = rng.normal(size=(500, 30)), rng.normal(size=(500, 20))
    model = StreamingCCA(4).partial_fit(X, Y)

    def peak(n_chunks):
        tracemalloc.start()
        for _ in range(n_chunks):
            model.partial_fit(X, Y)
        _, highest = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return highest

    assert peak(40) < 1.2 * peak(4)
    assert model.n_samples_seen_ == 45 * 500
