"""MCCA and GCCA: their eigenproblems, the one they share, and CCA where there are two views."""

import tracemalloc

import numpy as np
import pytest
import torch
from scipy.linalg import block_diag, eigh
from sklearn.exceptions import NotFittedError

from cmrlib.base import cosine_similarity
from cmrlib.cca.linear import CCA
from cmrlib.cca.many_views import GCCA, MCCA
from cmrlib.datasets import make_gaussian_views

METHODS = [MCCA, GCCA]
every_method = pytest.mark.parametrize("method", METHODS)


def make_views(n=200, widths=(6, 5, 4), noise=0.7, n_causes=3, seed=0):
    """Views of shared causes of falling strength, mixed at random and off centre."""
    rng = np.random.default_rng(seed)
    causes = rng.normal(size=(n, n_causes)) * np.geomspace(2, 0.7, n_causes)
    views = {}
    for name, p in zip(("image", "text", "sound", "tags"), widths, strict=False):
        signal = causes @ np.linalg.qr(rng.normal(size=(p, p)))[0][:n_causes]
        views[name] = (signal + noise * rng.normal(size=(n, p))) @ rng.normal(size=(p, p)) + 3
    return views


@pytest.fixture(scope="module")
def views():
    return make_views()


@pytest.fixture(scope="module")
def pairs():
    return make_gaussian_views(300, 7, 5, correlations=[0.9, 0.6, 0.3], random_state=1)


def covariances(views, reg=0.0):
    """Return C, all (co)variances, and D, its diagonal blocks with their ridges."""
    Z = [X - X.mean(axis=0) for X in views.values()]
    n = len(Z[0])
    C = np.hstack(Z).T @ np.hstack(Z) / n
    own = [X.T @ X / n for X in Z]
    D = block_diag(*[c + reg * np.trace(c) / len(c) * np.eye(len(c)) for c in own])
    return C, D, block_diag(*own)


def stacked(model, views):
    return np.vstack([model.weights_[name] for name in views])


# --------------------------------------------------------------------------------------- MCCA


def check_mcca(model, views, reg=0.0):
    """Assert the generalised eigenproblem, its normalisation, and that nothing does better."""
    C, D, own = covariances(views, reg)
    crossing = C - own
    A, m, k = stacked(model, views), len(views), model.n_components
    np.testing.assert_allclose(A.T @ D @ A, m * np.eye(k), atol=1e-8)
    gain = A.T @ crossing @ A / (m * (m - 1))
    np.testing.assert_allclose(gain, np.diag(model.correlations_), atol=1e-8)
    scale = np.abs(D).max()
    np.testing.assert_allclose(
        crossing @ A, D @ A * (m - 1) * model.correlations_, atol=1e-8 * scale
    )
    best = eigh(crossing, D, eigvals_only=True)[::-1][:k] / (m - 1)
    np.testing.assert_allclose(model.correlations_, best, atol=1e-8)
    for name, X in views.items():
        code = (X - X.mean(axis=0)) @ model.weights_[name]
        np.testing.assert_allclose(model.encode(X, name), code, atol=1e-8)


@pytest.mark.parametrize("reg", [0, 0.1])
@pytest.mark.parametrize("m", [2, 3, 4])
def test_mcca_solves_its_eigenproblem(m, reg):
    views = make_views(widths=(6, 5, 4, 3)[:m])
    check_mcca(MCCA(3, reg).fit_views(views), views, reg)


@pytest.mark.parametrize("reg", [0, 0.1])
def test_mcca_of_two_views_is_cca(pairs, reg):
    ours, cca = (method(5, reg).fit(pairs.image, pairs.text) for method in (MCCA, CCA))
    np.testing.assert_allclose(ours.correlations_, cca.correlations_, atol=1e-12)
    np.testing.assert_allclose(ours.weights_["image"], cca.weights_image_, atol=1e-10)
    np.testing.assert_allclose(ours.weights_["text"], cca.weights_text_, atol=1e-10)
    np.testing.assert_allclose(
        ours.similarity(pairs.image, pairs.text),
        cca.similarity(pairs.image, pairs.text),
        atol=1e-10,
    )


class MCCAByPairs(MCCA):
    """A mutant: CCA of the first view with each of the others, as if that made one space."""

    def _fit_views(self, views):
        super()._fit_views(views)
        first, *others = views
        for name in others:
            cca = CCA(self.n_components).fit(views[first], views[name])
            self.weights_[first], self.weights_[name] = cca.weights_image_, cca.weights_text_


class MCCAByPCA(MCCA):
    """A mutant: principal components of the standardised views side by side, not whitened."""

    def _fit_views(self, views):
        super()._fit_views(views)
        Z = np.hstack([(X - X.mean(axis=0)) / X.std(axis=0) for X in views.values()])
        A = np.linalg.eigh(Z.T @ Z)[1][:, ::-1][:, : self.n_components]
        ends = np.cumsum([X.shape[1] for X in views.values()])[:-1]
        for (name, X), block in zip(views.items(), np.split(A, ends), strict=True):
            self.weights_[name] = block / X.std(axis=0)[:, None]


class MCCAOfTwo(MCCA):
    """A mutant: all views but the first two are left out of the sum, then regressed on it."""

    def _fit_views(self, views):
        super()._fit_views(views)
        (a, X), (b, Y), *rest = views.items()
        pair = MCCA(self.n_components).fit_views({a: X, b: Y})
        self.weights_.update(pair.weights_)
        target = pair.encode(X, a) + pair.encode(Y, b)
        for name, V in rest:
            self.weights_[name] = np.linalg.lstsq(V - V.mean(axis=0), target, rcond=None)[0]


class MCCAWithEqualVariances(MCCA):
    """A mutant: every score brought to variance 1 afterwards, which breaks the joint optimum."""

    def _fit_views(self, views):
        super()._fit_views(views)
        for name, X in views.items():
            self.weights_[name] = self.weights_[name] / (X @ self.weights_[name]).std(axis=0)


@pytest.mark.parametrize("mutant", [MCCAByPairs, MCCAByPCA, MCCAOfTwo, MCCAWithEqualVariances])
def test_the_definition_of_mcca_exposes_relatives(views, mutant):
    with pytest.raises(AssertionError):
        check_mcca(mutant(3).fit_views(views), views)


# --------------------------------------------------------------------------------------- GCCA


def shared_configuration(model, views):
    """G as the docstring has it: the sum of the encodings over the eigenvalues."""
    return sum(model.encode(X, name) for name, X in views.items()) / model.eigenvalues_


def check_gcca(model, views, reg=0.0):
    """Assert MAXVAR against its own n x n matrix, and stationarity of the loss in every A_v."""
    n, k = len(next(iter(views.values()))), model.n_components
    G = shared_configuration(model, views)
    np.testing.assert_allclose(G.T @ G / n, np.eye(k), atol=1e-8)

    projections = np.zeros((n, n))
    blocks, loss = [], torch.zeros(())
    for name, X in views.items():
        Z = X - X.mean(axis=0)
        ridge = reg * np.sum(Z**2) / n / Z.shape[1]
        projections += Z @ np.linalg.solve(Z.T @ Z / n + ridge * np.eye(Z.shape[1]), Z.T) / n
        A = torch.tensor(model.weights_[name], requires_grad=True)
        blocks.append((A, 2 * np.linalg.norm(Z, 2) * np.linalg.norm(G)))
        loss = loss + torch.sum((torch.tensor(G) - torch.tensor(Z) @ A) ** 2)
        loss = loss + n * ridge * torch.sum(A**2)
    values, V = np.linalg.eigh(projections)
    np.testing.assert_allclose(model.eigenvalues_, values[::-1][:k], atol=1e-8)
    np.testing.assert_allclose(np.abs(G.T @ V[:, ::-1][:, :k]) / np.sqrt(n), np.eye(k), atol=1e-6)
    loss.backward()
    for A, scale in blocks:
        assert np.linalg.norm(A.grad.numpy()) < 1e-8 * scale
    assert loss.item() == pytest.approx(n * np.sum(len(views) - model.eigenvalues_), rel=1e-8)


@pytest.mark.parametrize("reg", [0, 0.1])
@pytest.mark.parametrize("m", [2, 3, 4])
def test_gcca_is_maxvar(m, reg):
    views = make_views(widths=(6, 5, 4, 3)[:m])
    check_gcca(GCCA(3, reg).fit_views(views), views, reg)


class GCCAWithoutRidgeInWeights(GCCA):
    """A mutant: G from ridge projections, the weights from a pseudo-inverse without the ridge."""

    def _fit_views(self, views):
        super()._fit_views(views)
        G = shared_configuration(self, views)
        for name, X in views.items():
            self.weights_[name] = np.linalg.pinv(X - X.mean(axis=0)) @ G


class GCCAOfLengthsOfMCCA(GCCA):
    """A mutant: the right directions, each component at the length it has in MCCA."""

    def _lengths(self, eigenvalues, n_views):
        return np.full(len(eigenvalues), np.sqrt(n_views))


class GCCAWithRidgeOnTheDiagonal(GCCA):
    """A mutant: the diagonal blocks of MCCA, as if a ridge were part of the covariance."""

    def _diagonal_block(self, view):
        return np.eye(view.rank)


@pytest.mark.parametrize(
    "mutant", [GCCAWithoutRidgeInWeights, GCCAOfLengthsOfMCCA, GCCAWithRidgeOnTheDiagonal]
)
def test_the_definition_of_gcca_exposes_mutants(views, mutant):
    with pytest.raises(AssertionError):
        check_gcca(mutant(3, 0.5).fit_views(views), views, 0.5)


def test_gcca_is_mcca_with_other_lengths(views):
    gcca, mcca = (method(4).fit_views(views) for method in (GCCA, MCCA))
    np.testing.assert_allclose(gcca.eigenvalues_, mcca.eigenvalues_, atol=1e-10)
    shrink = np.sqrt(gcca.eigenvalues_ / 3)
    assert shrink[-1] < 0.95  # so that the test can tell the two apart
    for name in views:
        np.testing.assert_allclose(gcca.weights_[name], mcca.weights_[name] * shrink, atol=1e-8)


def test_gcca_of_two_views_has_the_directions_of_cca(pairs):
    gcca, cca = (method(5).fit(pairs.image, pairs.text) for method in (GCCA, CCA))
    np.testing.assert_allclose(gcca.eigenvalues_, 1 + cca.correlations_, atol=1e-10)
    expected = cca.weights_image_ * np.sqrt((1 + cca.correlations_) / 2)
    np.testing.assert_allclose(gcca.weights_["image"], expected, atol=1e-8)


def test_a_view_that_shares_nothing_is_set_aside():
    views = make_views(n=40_000, widths=(6, 5))
    noise = np.random.default_rng(5).normal(size=(40_000, 4))
    model = MCCA(1).fit_views({**views, "noise": noise})
    spread = {name: model.encode(X, name).var() for name, X in [*views.items(), ("noise", noise)]}
    assert spread["noise"] < 0.01 < 1.4 < min(spread["image"], spread["text"])


def test_a_third_view_helps_to_find_what_is_shared():
    """Causes seen through heavy noise by three views: held-out agreement of the first two."""
    views = make_views(n=2000, widths=(30, 30, 30), noise=3.0, seed=3)
    train = {name: X[:400] for name, X in views.items()}

    def held_out(model):
        S, T = (model.encode(views[name][400:], name) for name in ("image", "text"))
        return np.diag(np.corrcoef(S.T, T.T)[:3, 3:]).sum()

    two = MCCA(3).fit_views({name: train[name] for name in ("image", "text")})
    assert held_out(MCCA(3).fit_views(train)) > held_out(two) + 0.05


# ------------------------------------------------------------------------------- both of them


@every_method
def test_names_take_the_place_of_modalities(views, method):
    model = method(2).fit_views(views)
    np.testing.assert_array_equal(
        model.encode_image(views["image"]), model.encode(views["image"], "image")
    )
    S = model.similarity(views["image"], views["text"])
    by_hand = [model.encode(views[name], name) for name in ("image", "text")]
    np.testing.assert_array_equal(S, cosine_similarity(*by_hand))
    with pytest.raises(ValueError, match="'image' or 'text' or 'sound', got 'smell'"):
        model.encode(views["image"], "smell")
    with pytest.raises(ValueError, match="sound has 3 features, but the model was fitted with 4"):
        model.encode(views["sound"][:, :3], "sound")


@every_method
def test_views_need_not_be_images_and_texts(views, method):
    model = method(2).fit_views({"left": views["image"], "right": views["sound"]})
    assert model.encode(views["sound"], "right").shape == (200, 2)
    with pytest.raises(ValueError, match="'left' or 'right', got 'image'"):
        model.encode_image(views["image"])


@every_method
def test_order_of_the_views_does_not_matter(views, method):
    forth = method(3).fit_views(views)
    back = method(3).fit_views(dict(reversed(views.items())))
    for name in views:
        np.testing.assert_allclose(
            np.abs(forth.weights_[name]), np.abs(back.weights_[name]), atol=1e-8
        )


@every_method
def test_components_are_nested(views, method):
    few, many = (method(k, 0.1).fit_views(views) for k in (2, 5))
    np.testing.assert_allclose(few.weights_["text"], many.weights_["text"][:, :2], atol=1e-8)


@every_method
def test_views_as_they_must_not_be_felt(views, method):
    """Scales, mixtures and offsets of one view leave every encoding as it was."""
    model = method(3).fit_views(views)
    mixing = np.random.default_rng(0).normal(size=(5, 5))
    for change in (
        lambda Y: Y * np.geomspace(1e-6, 1e6, 5),
        lambda Y: Y @ mixing,
        lambda Y: Y + 1e6,
        lambda Y: np.c_[Y, Y[:, 1]],
        lambda Y: np.c_[Y, np.zeros(len(Y))],
    ):
        changed = {**views, "text": change(views["text"])}
        other = method(3).fit_views(changed)
        np.testing.assert_allclose(other.eigenvalues_, model.eigenvalues_, atol=1e-7)
        for name in views:
            np.testing.assert_allclose(
                other.encode(changed[name], name), model.encode(views[name], name), atol=1e-6
            )


@every_method
def test_identical_views_agree_fully(views, method):
    same = {name: views["image"] for name in ("image", "text", "sound")}
    model = method(6).fit_views(same)
    np.testing.assert_allclose(model.eigenvalues_, 3, atol=1e-10)
    np.testing.assert_allclose(
        model.encode_image(same["image"]), model.encode_text(same["text"]), atol=1e-8
    )
    if method is MCCA:
        assert model.correlations_.max() <= 1


@every_method
def test_one_feature_each(method):
    x = np.arange(8.0)[:, None]
    model = method(1).fit_views({"a": x, "b": -2 * x + 1, "c": x})
    np.testing.assert_allclose(model.encode(x, "a"), model.encode(-2 * x + 1, "b"), atol=1e-10)


def test_a_ridge_for_each_view(views):
    regs = {"image": 0.0, "text": 0.5, "sound": 2.0}
    model = MCCA(3, regs).fit_views(views)
    _, _, own = covariances(views)
    D = block_diag(*[covariances({name: views[name]}, regs[name])[1] for name in views])
    A = stacked(model, views)
    np.testing.assert_allclose(A.T @ D @ A, 3 * np.eye(3), atol=1e-8)
    best = eigh(covariances(views)[0] - own, D, eigvals_only=True)[::-1][:3] / 2
    np.testing.assert_allclose(model.correlations_, best, atol=1e-8)


@every_method
def test_ridges_of_other_views_are_refused(views, method):
    with pytest.raises(ValueError, match="reg must name exactly the views .*'sound'.*'smell'"):
        method(2, {"image": 0, "text": 0, "smell": 0}).fit_views(views)
    with pytest.raises(ValueError, match="reg"):
        method(2, {"image": 0, "text": 0, "sound": -1}).fit_views(views)


@every_method
def test_fewer_items_than_features(method):
    views = make_views(n=12, widths=(9, 8, 7))
    with pytest.raises(ValueError, match="12 items are too few for views of rank 8 and 9.* reg"):
        method(2).fit_views(views)
    check = {MCCA: check_mcca, GCCA: check_gcca}[method]
    check(method(2, 0.2).fit_views(views), views, 0.2)
    method(2, {"image": 0.2, "text": 0, "sound": 0.2}).fit_views(views)


@every_method
def test_more_components_than_can_be_shared(views, method):
    assert method(9).fit_views(views).encode_image(views["image"]).shape == (200, 9)  # 4 + 5
    with pytest.raises(ValueError, match="n_components=10 is more than 9"):
        method(10).fit_views(views)


@every_method
@pytest.mark.parametrize(
    ("spoil", "error", "message"),
    [
        (lambda v: list(v.values()), TypeError, "must be a mapping"),
        (lambda v: {"image": v["image"]}, ValueError, "at least 2 views are needed, got 1"),
        (lambda v: {**v, "sound": v["sound"][1:]}, ValueError, "row i of every view"),
        (lambda v: {**v, "sound": v["sound"] * np.nan}, ValueError, "sound holds NaN"),
        (lambda v: {**v, "sound": np.ones((200, 2))}, ValueError, "every column of sound"),
        (lambda v: {**v, "sound": np.c_[v["sound"], np.ones(200)]}, ValueError, "first column 4"),
        (lambda v: {name: X[:1] for name, X in v.items()}, ValueError, "one item is not enough"),
    ],
)
def test_bad_views_are_refused(views, method, spoil, error, message):
    model = method(2).fit_views(views)
    before = model.encode_image(views["image"])
    with pytest.raises(error, match=message) as caught:
        model.fit_views(spoil(views))
    assert "\n" not in str(caught.value)
    np.testing.assert_array_equal(model.encode_image(views["image"]), before)


@every_method
def test_unfitted_model_is_refused(views, method):
    with pytest.raises(NotFittedError, match=f"{method.__name__} is not fitted yet"):
        method().encode(views["sound"], "sound")


@every_method
def test_bad_parameters_are_refused(views, method):
    for parameters in ({"n_components": 0}, {"reg": -1}, {"n_components": 1.5}):
        with pytest.raises((TypeError, ValueError), match=next(iter(parameters))):
            method(**parameters).fit_views(views)


@every_method
def test_no_array_of_items_by_items(method):
    n = 20_000
    rng = np.random.default_rng(0)
    views = {name: rng.normal(size=(n, 4)) for name in ("image", "text", "sound")}
    tracemalloc.start()
    method(2).fit_views(views)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 50 * 4 * n * 8  # some tens of copies of a view; n x n would be 5000 of them


def test_gcca_equals_cca_zoo(views):
    zoo = pytest.importorskip("cca_zoo.linear")
    theirs = zoo.GCCA(3).fit(list(views.values()))
    ours = GCCA(3).fit_views(views)
    for (name, X), code in zip(views.items(), theirs.transform(list(views.values())), strict=True):
        mine = ours.encode(X, name)
        correlation = np.abs(np.sum(mine * code, axis=0))
        correlation /= np.linalg.norm(mine, axis=0) * np.linalg.norm(code, axis=0)
        np.testing.assert_allclose(correlation, 1, atol=1e-8)
