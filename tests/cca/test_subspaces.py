"""PLS, CFA and BLM: what each is by definition, and what tells it from the other two."""

import numpy as np
import pytest
import torch
from scipy.stats import ortho_group
from sklearn.cross_decomposition import PLSSVD, PLSCanonical
from sklearn.exceptions import NotFittedError

from cmrlib.cca.linear import CCA
from cmrlib.cca.subspaces import BLM, CFA, PLS, SymmetricBLM
from cmrlib.datasets import load_emoji, make_gaussian_views


@pytest.fixture(scope="module")
def small():
    return make_gaussian_views(300, 7, 5, correlations=[0.9, 0.6, 0.3], random_state=1)


def centred(*views):
    return [Z - Z.mean(axis=0) for Z in views]


# ---------------------------------------------------------------------------------------- CFA


def check_cfa(model, X, Y):
    """Assert that A, B are orthonormal and reach the greatest trace there is (Ky Fan)."""
    Xc, Yc = centred(X, Y)
    C = Xc.T @ Yc / len(X)
    A, B = model.weights_image_, model.weights_text_
    k = A.shape[1]
    np.testing.assert_allclose(A.T @ A, np.eye(k), atol=1e-10)
    np.testing.assert_allclose(B.T @ B, np.eye(k), atol=1e-10)
    best = np.linalg.svd(C, compute_uv=False)[:k]
    np.testing.assert_allclose(A.T @ C @ B, np.diag(best), atol=1e-10 * best[0])
    np.testing.assert_allclose(model.covariances_, best, atol=1e-10 * best[0])
    np.testing.assert_allclose(model.encode_image(X), Xc @ A, atol=1e-6 * np.abs(Xc).max())
    np.testing.assert_allclose(model.encode_text(Y), Yc @ B, atol=1e-6 * np.abs(Yc).max())


@pytest.mark.parametrize("k", [1, 3, 5])
def test_cfa_is_one_svd(small, k):
    check_cfa(CFA(k).fit(small.image, small.text), small.image, small.text)


class CFAByDistance(CFA):
    """A mutant: takes the distance form at its word and keeps the closest pair of directions."""

    def _fit(self, X, Y, labels):
        super()._fit(X, Y, labels)
        k = self.n_components
        C_xx, C_yy = (np.cov(Z.T) for Z in (X, Y))
        self.weights_image_ = np.linalg.eigh(C_xx)[1][:, :k]
        self.weights_text_ = np.linalg.eigh(C_yy)[1][:, :k]


class CFAUncentred(CFA):
    """A mutant: the cross-product of the views as they come."""

    def _fit(self, X, Y, labels):
        super()._fit(X, Y, labels)
        U, _, Vt = np.linalg.svd(X.T @ Y, full_matrices=False)
        self.weights_image_ = U[:, : self.n_components]
        self.weights_text_ = Vt[: self.n_components].T


class CFAByCCA(CFA):
    """A mutant: canonical directions, brought to unit length."""

    def _fit(self, X, Y, labels):
        super()._fit(X, Y, labels)
        model = CCA(self.n_components).fit(X, Y)
        for name in ("weights_image_", "weights_text_"):
            A = getattr(model, name)
            setattr(self, name, A / np.linalg.norm(A, axis=0))


class CFAByPLS(CFA):
    """A mutant: deflated directions."""

    def _fit(self, X, Y, labels):
        super()._fit(X, Y, labels)
        model = PLS(self.n_components).fit(X, Y)
        self.weights_image_, self.weights_text_ = model.weights_image_, model.weights_text_


@pytest.mark.parametrize("mutant", [CFAByDistance, CFAUncentred, CFAByCCA, CFAByPLS])
def test_the_definition_of_cfa_exposes_relatives(small, mutant):
    X, Y = small.image + 2, small.text - 3
    with pytest.raises(AssertionError):
        check_cfa(mutant(3).fit(X, Y), X, Y)


def test_distance_form_holds_for_all_components_and_fails_for_few():
    views = make_gaussian_views(200, 5, 5, correlations=[0.9, 0.5], random_state=0)
    X, Y = centred(views.image, views.text)

    def distance(A, B):
        return np.sum((X @ A - Y @ B) ** 2)

    full = CFA(5).fit(X, Y)
    least = distance(full.weights_image_, full.weights_text_)
    sizes = np.sum(X**2) + np.sum(Y**2)
    assert least == pytest.approx(sizes - 2 * 200 * full.covariances_.sum(), rel=1e-12)
    random = ortho_group.rvs(5, size=1000, random_state=0)
    assert min(distance(A, B) for A, B in zip(random[::2], random[1::2], strict=True)) > least

    few = CFA(2).fit(X, Y)
    still = [np.linalg.eigh(Z.T @ Z)[1][:, :2] for Z in (X, Y)]  # where the views hardly vary
    assert distance(*still) < distance(few.weights_image_, few.weights_text_) / 2


def test_scaling_a_column_changes_cfa_and_pls_but_not_cca(small):
    X, Y = small.image, small.text
    scaled = X * np.r_[100.0, np.ones(6)]
    np.testing.assert_allclose(
        CCA(3).fit(scaled, Y).similarity(scaled, Y), CCA(3).fit(X, Y).similarity(X, Y), atol=1e-8
    )
    for method in (CFA, PLS, BLM):
        before, after = method(3).fit(X, Y).similarity(X, Y), method(3).fit(scaled, Y)
        assert np.abs(after.similarity(scaled, Y) - before).max() > 0.1


# ---------------------------------------------------------------------------------------- PLS


def check_pls(model, X, Y):
    """Assert the definition step by step, with deflation done here by projecting on the scores."""
    Xh, Yh = centred(X, Y)
    T, U = model.encode_image(X), model.encode_text(Y)
    for h in range(T.shape[1]):
        left, s, right = np.linalg.svd(Xh.T @ Yh)
        t, u = T[:, h], U[:, h]
        assert t @ u == pytest.approx(s[0], rel=1e-8)  # no unit vectors covary more
        np.testing.assert_allclose(np.abs(left[:, 0] @ Xh.T @ t), t @ t, rtol=1e-7)
        np.testing.assert_allclose(np.abs(right[0] @ Yh.T @ u), u @ u, rtol=1e-7)
        Xh = Xh - np.outer(t, t @ Xh) / (t @ t)
        Yh = Yh - np.outer(u, u @ Yh) / (u @ u)
    for scores in (T, U):
        gram = scores.T @ scores
        lengths = np.sqrt(np.diag(gram))
        np.testing.assert_allclose(gram / np.outer(lengths, lengths), np.eye(len(gram)), atol=1e-9)


@pytest.mark.parametrize("k", [1, 3, 5])
def test_pls_deflates(small, k):
    X, Y = small.image, small.text
    model = PLS(k).fit(X, Y)
    check_pls(model, X, Y)
    W, P = model.weights_image_, model.loadings_image_
    np.testing.assert_allclose(W.T @ W, np.eye(k), atol=1e-10)
    np.testing.assert_allclose(model.rotations_image_ @ (P.T @ W), W, atol=1e-10)
    np.testing.assert_allclose(
        model.covariances_,
        np.sum(model.encode_image(X) * model.encode_text(Y), axis=0) / len(X),
        rtol=1e-10,
    )


def test_first_pair_is_that_of_cfa(small):
    pls, cfa = PLS(3).fit(small.image, small.text), CFA(3).fit(small.image, small.text)
    np.testing.assert_allclose(pls.rotations_image_[:, 0], cfa.weights_image_[:, 0], atol=1e-10)
    np.testing.assert_allclose(pls.rotations_text_[:, 0], cfa.weights_text_[:, 0], atol=1e-10)
    S = cfa.encode_image(small.image)
    assert np.abs(np.corrcoef(S.T)[0, 1]) > 0.01  # its scores do correlate


class PLSWithoutDeflation(PLS):
    """A mutant: all directions from one singular value decomposition (PLS-SVD)."""

    def _fit(self, X, Y, labels):
        super()._fit(X, Y, labels)
        model = CFA(self.n_components).fit(X, Y)
        self.rotations_image_, self.rotations_text_ = model.weights_image_, model.weights_text_


class PLSWithoutRotations(PLS):
    """A mutant: encodes with W, which belongs to the deflated views."""

    def _fit(self, X, Y, labels):
        super()._fit(X, Y, labels)
        self.rotations_image_, self.rotations_text_ = self.weights_image_, self.weights_text_


class PLSDeflatedOnOneSide(PLS):
    """A mutant: the text is left whole, as if one of its directions could be used again."""

    def _fit(self, X, Y, labels):
        super()._fit(X, Y, labels)
        Xh, Yc = centred(X, Y)
        for h in range(self.n_components):
            left, _, right = np.linalg.svd(Xh.T @ Yc)
            t = Xh @ left[:, 0]
            Xh = Xh - np.outer(t, t @ Xh) / (t @ t)
            self.rotations_image_[:, h] = np.linalg.lstsq(X - X.mean(axis=0), t, rcond=None)[0]
            self.rotations_text_[:, h] = right[0]


class PLSDeflatedByWeights(PLS):
    """A mutant: X - X w wᵀ in place of X - t pᵀ, which is deflation of C_xy alone."""

    def _fit(self, X, Y, labels):
        super()._fit(X, Y, labels)
        Xh, Yh = centred(X, Y)
        for h in range(self.n_components):
            left, _, right = np.linalg.svd(Xh.T @ Yh)
            w, c = left[:, 0], right[0]
            self.rotations_image_[:, h], self.rotations_text_[:, h] = w, c
            Xh, Yh = Xh - np.outer(Xh @ w, w), Yh - np.outer(Yh @ c, c)


@pytest.mark.parametrize(
    "mutant",
    [PLSWithoutDeflation, PLSWithoutRotations, PLSDeflatedOnOneSide, PLSDeflatedByWeights],
)
def test_the_definition_of_pls_exposes_relatives(small, mutant):
    model = mutant(3).fit(small.image, small.text)
    with pytest.raises(AssertionError):
        check_pls(model, small.image, small.text)


def test_pls_equals_scikit_learn(small):
    X, Y = small.image, small.text
    ours, theirs = PLS(5).fit(X, Y), PLSCanonical(5, scale=False, algorithm="svd").fit(X, Y)
    S, T = theirs.transform(X, Y)
    np.testing.assert_allclose(np.abs(ours.encode_image(X)), np.abs(S), atol=1e-10)
    np.testing.assert_allclose(np.abs(ours.encode_text(Y)), np.abs(T), atol=1e-10)


def test_cfa_equals_pls_svd_of_scikit_learn(small):
    S, T = PLSSVD(3, scale=False).fit(small.image, small.text).transform(small.image, small.text)
    model = CFA(3).fit(small.image, small.text)
    np.testing.assert_allclose(np.abs(model.encode_image(small.image)), np.abs(S), atol=1e-10)
    np.testing.assert_allclose(np.abs(model.encode_text(small.text)), np.abs(T), atol=1e-10)


def test_regression_on_all_pls_scores_is_least_squares():
    views = make_gaussian_views(200, 4, 6, correlations=[0.9, 0.5], random_state=3)
    X, Y = centred(views.image, views.text)
    T = PLS(4).fit(X, Y).encode_image(X)
    through_scores = T @ np.linalg.lstsq(T, Y, rcond=None)[0]
    np.testing.assert_allclose(through_scores, X @ np.linalg.lstsq(X, Y, rcond=None)[0], atol=1e-9)


def test_pls_stops_when_nothing_covaries():
    rng = np.random.default_rng(0)
    cause = rng.normal(size=(100, 2))
    X, Y = cause @ rng.normal(size=(2, 5)), cause @ rng.normal(size=(2, 4))
    with pytest.raises(ValueError, match="n_components=3 is too many: after 2 nothing is left"):
        PLS(3).fit(X, Y)
    with pytest.raises(ValueError, match="n_components=3 is more than the rank 2"):
        CFA(3).fit(X, Y)


# ---------------------------------------------------------------------------------------- BLM


def planted(rng, n=60, p=6, q=4, k=3):
    """Pairs that follow the bilinear model exactly, with unequal and not orthogonal styles."""
    B = rng.normal(size=(n, k)) @ rng.normal(size=(k, k))
    A_x, A_y = rng.normal(size=(p, k)), 3 * rng.normal(size=(q, k))
    return B @ A_x.T + 5, B @ A_y.T - 1


def check_blm(model, X, Y):
    """Assert that the styles and the best contents are stationary, by automatic gradients."""
    Xc, Yc = centred(X, Y)
    A = np.vstack([model.styles_image_, model.styles_text_])
    Z = np.hstack([Xc, Yc])
    B = Z @ np.linalg.pinv(A).T
    np.testing.assert_allclose(B.T @ B / len(B), np.eye(B.shape[1]), atol=1e-8)
    blocks = [torch.tensor(block, requires_grad=True) for block in (A, B)]
    loss = torch.sum((torch.tensor(Z) - blocks[1] @ blocks[0].T) ** 2)
    loss.backward()
    for block, other in ((blocks[0], B), (blocks[1], A)):
        scale = 2 * np.linalg.norm(Z) * np.linalg.norm(other)
        assert np.linalg.norm(block.grad.numpy()) < 1e-8 * scale
    # of all stationary points, the one with the least loss
    rest = np.linalg.svd(Z, compute_uv=False)[B.shape[1] :]
    assert loss.item() == pytest.approx(np.sum(rest**2), rel=1e-8, abs=1e-12 * np.sum(Z**2))
    # content by least squares: what is left of the item is orthogonal to its style
    for V, A_s, code in (
        (Xc, model.styles_image_, model.encode_image(X)),
        (Yc, model.styles_text_, model.encode_text(Y)),
    ):
        left_over = (V - code @ A_s.T) @ A_s
        assert np.abs(left_over).max() < 1e-8 * np.linalg.norm(V) * np.linalg.norm(A_s)


@pytest.mark.parametrize("method", [BLM, SymmetricBLM])
def test_blm_is_stationary(small, method):
    check_blm(method(3).fit(small.image, small.text), small.image, small.text)


class BLMByCrossCovariance(BLM):
    """A mutant, common in the literature: the singular vectors of XᵀY under the name BLM."""

    def _fit(self, X, Y, labels):
        super()._fit(X, Y, labels)
        model = CFA(self.n_components).fit(X, Y)
        self.styles_image_, self.styles_text_ = model.weights_image_, model.weights_text_


class BLMWithoutInference(BLM):
    """A mutant: projects on the styles where content should be inferred by least squares."""

    def _encode_image(self, X):
        return (X - self.mean_image_) @ self.styles_image_

    def _encode_text(self, Y):
        return (Y - self.mean_text_) @ self.styles_text_


class BLMOfEachView(BLM):
    """A mutant: each view factored on its own, so that their contents have nothing in common."""

    def _fit(self, X, Y, labels):
        super()._fit(X, Y, labels)
        for name, Z in (("image", X), ("text", Y)):
            _, s, Vt = np.linalg.svd(Z - Z.mean(axis=0), full_matrices=False)
            k = self.n_components
            setattr(self, f"styles_{name}_", Vt[:k].T * s[:k] / np.sqrt(len(Z)))


@pytest.mark.parametrize("mutant", [BLMByCrossCovariance, BLMWithoutInference, BLMOfEachView])
def test_the_definition_of_blm_exposes_relatives(small, mutant):
    with pytest.raises(AssertionError):
        check_blm(mutant(3).fit(small.image, small.text), small.image, small.text)


@pytest.mark.parametrize("method", [BLM, SymmetricBLM])
def test_planted_contents_are_shared_and_rendered_exactly(method):
    X, Y = planted(np.random.default_rng(0))
    model = method(3).fit(X[:40], Y[:40])
    content = model.encode_image(X)
    np.testing.assert_allclose(content, model.encode_text(Y), atol=1e-8)
    np.testing.assert_allclose(model.render(content, "image"), X, atol=1e-8)
    np.testing.assert_allclose(model.render(content, "text"), Y, atol=1e-8)  # of unseen images


def test_planted_contents_expose_the_cross_covariance():
    X, Y = planted(np.random.default_rng(0))
    model = CFA(3).fit(X, Y)
    assert np.abs(model.encode_image(X) - model.encode_text(Y)).max() > 1


def test_loss_does_not_depend_on_the_basis_of_the_content(small):
    model = BLM(3).fit(small.image, small.text)
    M = np.array([[2.0, 1.0, 0.0], [0.0, 1.0, 0.5], [0.3, 0.0, 1.0]])
    before = model.render(model.encode_image(small.image), "text")
    model.styles_image_, model.styles_text_ = model.styles_image_ @ M, model.styles_text_ @ M
    after = model.render(model.encode_image(small.image), "text")
    np.testing.assert_allclose(after, before, atol=1e-10)


def test_symmetric_blm_with_two_styles_is_the_asymmetric_one(small):
    asymmetric = BLM(3).fit(small.image, small.text)
    symmetric = SymmetricBLM(3, n_styles=2).fit(small.image, small.text)
    for name in ("styles_image_", "styles_text_"):
        np.testing.assert_allclose(getattr(symmetric, name), getattr(asymmetric, name), atol=1e-10)


def one_basis(rng, noise):
    """Two views of width 5 that share one basis up to a factor."""
    B, W = rng.normal(size=(80, 2)), rng.normal(size=(5, 2))
    return [factor * B @ W.T + noise * rng.normal(size=(80, 5)) for factor in (1.0, -2.5)]


def test_symmetric_blm_with_one_style_shares_one_basis():
    X, Y = one_basis(np.random.default_rng(0), noise=0)
    model = SymmetricBLM(2, n_styles=1).fit(X, Y)
    np.testing.assert_allclose(model.styles_text_, -2.5 * model.styles_image_, atol=1e-8)
    np.testing.assert_allclose(model.encode_image(X), model.encode_text(Y), atol=1e-7)
    assert model.history_[-1] == pytest.approx(0, abs=1e-10)


def check_symmetric(model, X, Y):
    """Assert that styles, bases and contents are stationary, and that no turn raised the loss."""
    Z = np.stack(centred(X, Y))  # (2, n, width)
    a, W = model.style_vectors_, model.bases_
    A = np.einsum("si,idj->sdj", a, W)
    B = np.linalg.lstsq(np.vstack(A), np.hstack(Z).T, rcond=None)[0].T
    blocks = [torch.tensor(block, requires_grad=True) for block in (a, W, B)]
    fitted = torch.einsum("si,idj,nj->snd", *blocks)
    loss = torch.sum((torch.tensor(Z) - fitted) ** 2)
    loss.backward()
    for block in blocks:
        # relative to what one term of the gradient is made of; a stops at its own tolerance
        scale = 2 * np.sum(Z**2) / np.linalg.norm(block.detach().numpy())
        assert np.linalg.norm(block.grad.numpy()) < 1e-6 * scale
    assert loss.item() / np.sum(Z**2) == pytest.approx(model.history_[-1], abs=1e-8)
    assert np.all(np.diff(model.history_) <= 1e-12)


def test_symmetric_blm_alternates_to_a_stationary_point():
    X, Y = one_basis(np.random.default_rng(1), noise=2.0)
    model = SymmetricBLM(2, n_styles=1, tol=0).fit(X, Y)
    assert len(model.history_) > 2
    check_symmetric(model, X, Y)


class SymmetricBLMStoppedEarly(SymmetricBLM):
    """A mutant: styles from the asymmetric start, never fitted to the contents again."""

    def _fit(self, X, Y, labels):
        self.max_iter = 1
        super()._fit(X, Y, labels)


class SymmetricBLMWithEqualStyles(SymmetricBLM):
    """A mutant: one basis without factors."""

    def _fit(self, X, Y, labels):
        super()._fit(X, Y, labels)
        self.style_vectors_ = np.full((2, 1), np.sqrt(0.5))


@pytest.mark.parametrize("mutant", [SymmetricBLMStoppedEarly, SymmetricBLMWithEqualStyles])
def test_stationarity_exposes_mutants_of_the_symmetric_model(mutant):
    X, Y = one_basis(np.random.default_rng(1), noise=2.0)
    with pytest.raises(AssertionError):
        check_symmetric(mutant(2, n_styles=1, tol=0).fit(X, Y), X, Y)


def test_rendering_is_checked(small):
    with pytest.raises(NotFittedError, match="BLM is not fitted yet"):
        BLM().render(np.ones((2, 2)), "text")
    model = BLM(2).fit(small.image, small.text)
    with pytest.raises(ValueError, match="'image' or 'text', got 'sound'"):
        model.render(np.ones((2, 2)), "sound")
    with pytest.raises(ValueError, match="content has 3 features, but the model was fitted with 2"):
        model.render(np.ones((2, 3)), "text")


def test_content_that_one_modality_hides_is_refused(small):
    with pytest.raises(ValueError, match="n_components=6 is too many: text shows only 5"):
        BLM(6).fit(small.image, small.text)
    with pytest.raises(ValueError, match="n_components=13 is more than the rank"):
        BLM(13).fit(small.image, small.text)


# ------------------------------------------------------------------------------- all of them

METHODS = [CFA, PLS, BLM, SymmetricBLM]
CHECKS = {CFA: check_cfa, PLS: check_pls, BLM: check_blm, SymmetricBLM: check_blm}
every_method = pytest.mark.parametrize("method", METHODS)


@every_method
def test_column_scales_leave_the_definition(small, method):
    X = small.image * np.geomspace(1e-3, 1e3, 7)
    CHECKS[method](method(2).fit(X, small.text), X, small.text)


@every_method
def test_a_repeated_column_leaves_the_definition(small, method):
    X = np.c_[small.image, small.image[:, 2]]
    CHECKS[method](method(3).fit(X, small.text), X, small.text)


@every_method
def test_a_large_offset_is_not_felt(small, method):
    X, Y = small.image, small.text
    moved, model = method(3).fit(X + 1e6, Y), method(3).fit(X, Y)
    np.testing.assert_allclose(moved.encode_image(X + 1e6), model.encode_image(X), atol=1e-6)
    np.testing.assert_allclose(moved.encode_text(Y), model.encode_text(Y), atol=1e-6)


@every_method
def test_fewer_pairs_than_features(method):
    rng = np.random.default_rng(0)
    cause = rng.normal(size=(12, 3))
    X = cause @ rng.normal(size=(3, 30)) + 0.1 * rng.normal(size=(12, 30))
    Y = cause @ rng.normal(size=(3, 20)) + 0.1 * rng.normal(size=(12, 20))
    CHECKS[method](method(3).fit(X, Y), X, Y)
    with pytest.raises(ValueError, match="n_components=15 is"):
        method(15).fit(X, Y)


@every_method
def test_identical_views_are_encoded_alike(small, method):
    model = method(3).fit(small.image, small.image)
    np.testing.assert_allclose(
        model.encode_image(small.image), model.encode_text(small.image), atol=1e-9
    )


@every_method
def test_one_feature_each(method):
    x = np.arange(6.0)[:, None]
    model = method(1).fit(x, -x)
    np.testing.assert_allclose(model.encode_image(x), model.encode_text(-x), atol=1e-12)


@every_method
def test_a_dead_column_changes_nothing(small, method):
    X, Y = np.c_[small.image, np.zeros(len(small))], small.text
    with_it, without = method(3).fit(X, Y), method(3).fit(small.image, Y)
    np.testing.assert_allclose(with_it.similarity(X, Y), without.similarity(small.image, Y), atol=1e-8)  # fmt: skip # noqa: E501


@every_method
@pytest.mark.parametrize("value", [0, 1.5])
def test_bad_number_of_components_is_refused(small, method, value):
    with pytest.raises((TypeError, ValueError), match="n_components"):
        method(value).fit(small.image, small.text)


def test_three_styles_for_two_modalities_are_refused(small):
    with pytest.raises(ValueError, match="n_styles"):
        SymmetricBLM(2, n_styles=3).fit(small.image, small.text)


def test_uncorrelated_views_are_refused():
    X = np.array([[1.0], [-1.0], [1.0], [-1.0]])
    Y = np.array([[1.0], [1.0], [-1.0], [-1.0]])
    with pytest.raises(ValueError, match="more than the rank 0"):
        CFA(1).fit(X, Y)
    with pytest.raises(ValueError, match="after 0 nothing is left"):
        PLS(1).fit(X, Y)


def test_three_names_are_three_methods_on_emoji():
    """On real features, too, no two of the three give the same similarities."""
    emoji = load_emoji().take(np.arange(0, 1898, 6))
    X, Y = emoji.image[:, :60], emoji.text[:, :40]
    S = [method(8).fit(X, Y).similarity(X, Y) for method in (CFA, PLS, BLM)]
    for i, j in ((0, 1), (0, 2), (1, 2)):
        assert np.abs(S[i] - S[j]).max() > 0.1
