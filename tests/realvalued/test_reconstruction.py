"""MSAE and RRLSL: each step against its objective, written out again here."""

import numpy as np
import pytest
import torch
from scipy.linalg import solve_sylvester

from cmrlib._linalg import shrink_singular_values
from cmrlib.alternating import Alternation
from cmrlib.cca import CCA
from cmrlib.datasets import make_hidden_signal
from cmrlib.evaluation import label_relevance, mean_average_precision
from cmrlib.realvalued.reconstruction import (
    MSAE,
    RRLSL,
    ScaledView,
    UnsupervisedRRLSL,
    class_average,
    code_equations,
    joint_directions,
    semantic_codes,
    tied_projection,
)

DATA = make_hidden_signal(60, 14, 12, n_classes=4, n_nuisance=4, random_state=0)
MULTI = np.random.RandomState(1).randint(2, size=(60, 4))
ONE_HOT = np.eye(4)[DATA.labels]


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)


def alternation(model, labels=DATA.labels, data=DATA):
    """Return the model's alternation on scaled data, and nothing fitted."""
    x, y = ScaledView.fit(data.image), ScaledView.fit(data.text)
    return model._alternation(x, y, labels)


def squares(s, U, alpha):
    loss = ((s.X @ s.A - U) ** 2).sum() + ((s.Y @ s.B - U) ** 2).sum()
    loss = loss + alpha * ((s.X.T - s.A @ U.T) ** 2).sum()
    return loss + alpha * ((s.Y.T - s.B @ U.T) ** 2).sum()


def msae_objective(model):
    return lambda s: squares(s, s.U, model.alpha) + model.beta * ((s.U - s.S) ** 2).sum()


def rrlsl_objective(model, a):
    """The last term with the largest singular value of the start."""
    weight = model.mu * float(np.linalg.svd(a.state.Z, compute_uv=False).max())
    return lambda s: (
        squares(s, s.Z, model.lam) + weight * torch.linalg.svdvals(torch.as_tensor(s.Z)).sum()
    )


def tensors(s):
    return type(s)(**{name: torch.as_tensor(value) for name, value in vars(s).items()})


METHODS = {
    "MSAE": (MSAE(alpha=0.3, beta=2.0), DATA.labels),
    "MSAE, two directions": (MSAE(2, alpha=2.0, beta=0.5), DATA.labels),
    "MSAE, multi-label": (MSAE(alpha=0.3, beta=2.0), MULTI),
    "UnsupervisedRRLSL": (UnsupervisedRRLSL(5, lam=0.4, mu=0.02), None),
    "RRLSL": (RRLSL(lam=0.4, mu=0.005), DATA.labels),
    "RRLSL, multi-label": (RRLSL(6, lam=0.4, mu=0.005), MULTI),
}


def published_of(case, a):
    model = METHODS[case][0]
    return msae_objective(model) if "MSAE" in case else rrlsl_objective(model, a)


@pytest.mark.parametrize("case", METHODS)
def test_every_step_minimises_the_published_objective(case):
    model, labels = METHODS[case]
    a = alternation(model, labels)
    worst = a.stationarity(published_of(case, a), skip=("Z",))
    assert set(worst) == ({"A", "B", "U"} if "MSAE" in case else {"A", "B"})
    assert max(worst.values()) < 1e-10, worst


@pytest.mark.parametrize("case", METHODS)
def test_history_is_the_published_objective_and_never_rises(case):
    model, labels = METHODS[case]
    a = alternation(model, labels)
    published = published_of(case, a)
    values = [float(published(tensors(a.state)))]
    after = lambda name, s: values.append(float(published(tensors(s))))  # noqa: E731
    history = a.run(20, after=after)
    np.testing.assert_allclose(history, values[::3], rtol=1e-10)
    assert (np.diff(values) <= 1e-10 * values[0]).all()  # no step raises it
    assert history[-1] < history[1]


# the semantic autoencoder


def noise(*shape, seed=0):
    return np.random.RandomState(seed).normal(size=shape)


VIEWS = {
    "tall": (noise(30, 6), 3),
    "wide": (noise(8, 20), 3),
    "redundant": (noise(30, 4) @ noise(4, 9, seed=1), 3),
    "codes of low rank": (noise(8, 20), 1),
    "silent column": (noise(30, 6) * [1, 1, 0, 1, 1, 1], 3),
}


@pytest.mark.parametrize("alpha", [1e-3, 0.5, 40.0])
@pytest.mark.parametrize("case", VIEWS)
def test_projection_solves_the_sylvester_equation(case, alpha):
    X, rank = VIEWS[case]
    view = ScaledView.fit(X)
    U = noise(len(X), rank, seed=2) @ noise(rank, 3, seed=3)
    A = tied_projection(view, U, alpha)
    right = (1 + alpha) * view.X.T @ U
    residual = view.X.T @ view.X @ A + alpha * A @ (U.T @ U) - right
    assert np.abs(residual).max() < 1e-13 * np.abs(right).max()
    # of all solutions the one of least norm: nothing where X does not vary
    np.testing.assert_allclose(A - view.V @ (view.V.T @ A), 0, atol=1e-12)
    if case == "tall":
        known = solve_sylvester(view.X.T @ view.X, alpha * U.T @ U, right)
        np.testing.assert_allclose(A, known, atol=1e-12 * np.abs(known).max())


def test_without_reconstruction_it_is_least_squares():
    for X, rank in VIEWS.values():
        view = ScaledView.fit(X)
        U = noise(len(X), rank)
        known = np.linalg.pinv(view.X, rcond=1e-6) @ U
        np.testing.assert_allclose(tied_projection(view, U, 0.0), known, atol=1e-10)


def test_an_orthonormal_code_makes_reconstruction_a_ridge():
    view = ScaledView.fit(noise(30, 6))
    U = np.linalg.qr(noise(30, 3))[0]
    ridge = np.linalg.solve(view.X.T @ view.X + 0.7 * np.eye(6), view.X.T @ U)
    np.testing.assert_allclose(tied_projection(view, U, 0.7), 1.7 * ridge, atol=1e-12)


def test_views_are_centred_and_of_unit_mean_length():
    X = 100 + 7 * noise(30, 6)
    view = ScaledView.fit(X)
    np.testing.assert_allclose(view.X.mean(axis=0), 0, atol=1e-12)
    assert np.mean((view.X**2).sum(axis=1)) == pytest.approx(1)
    np.testing.assert_allclose(view.Q * view.s @ view.V.T, view.X, atol=1e-12)
    np.testing.assert_allclose(view.mean + view.scale * view.X, X)
    assert ScaledView.fit(VIEWS["redundant"][0]).rank == 4


# MSAE


def hat(X, reg):
    ridge = reg * np.trace(X.T @ X) / X.shape[1]
    return X @ np.linalg.inv(X.T @ X + ridge * np.eye(X.shape[1])) @ X.T


@pytest.mark.parametrize("L", [ONE_HOT, MULTI])
@pytest.mark.parametrize("reg", [1e-3, 0.5])
def test_codes_are_those_of_the_dense_eigenproblem(L, reg):
    x, y = ScaledView.fit(DATA.image), ScaledView.fit(DATA.text)
    S, V = semantic_codes(x, y, L, 2, reg)
    centred = L - L.mean(axis=0)
    dense = centred.T @ (hat(x.X, reg) + hat(y.X, reg)) @ centred
    values, vectors = np.linalg.eigh(dense)
    np.testing.assert_allclose(np.abs(vectors[:, :-3:-1].T @ V), np.eye(2), atol=1e-9)
    np.testing.assert_allclose(S, centred @ V)
    # what the two codes capture is the sum of the two largest eigenvalues
    captured = np.trace(S.T @ (hat(x.X, reg) + hat(y.X, reg)) @ S)
    assert captured == pytest.approx(values[-2:].sum())


def test_ridge_of_the_paper():
    """reg = 0.001 p / n is the 0.001 of the authors' code, on views of unit length."""
    view = ScaledView.fit(DATA.image)
    n, p = view.X.shape
    paper = view.X @ np.linalg.inv(view.X.T @ view.X + 0.001 * np.eye(p)) @ view.X.T
    np.testing.assert_allclose(hat(view.X, 0.001 * p / n), paper, atol=1e-12)


def test_large_beta_gives_two_separate_autoencoders():
    a = alternation(MSAE(alpha=0.3, beta=1e12))
    a.run(3)
    s = a.state
    np.testing.assert_allclose(s.U, s.S, atol=1e-9)
    for X, A in ((s.X, s.A), (s.Y, s.B)):
        known = solve_sylvester(X.T @ X, 0.3 * s.S.T @ s.S, 1.3 * X.T @ s.S)
        np.testing.assert_allclose(A, known, atol=1e-9)


def test_without_reconstruction_the_maps_are_regressions():
    a = alternation(MSAE(alpha=0.0, beta=1.0))
    a.run(1)
    s = a.state
    np.testing.assert_allclose(s.A, np.linalg.pinv(s.X) @ s.S, atol=1e-10)
    np.testing.assert_allclose(s.B, np.linalg.pinv(s.Y) @ s.S, atol=1e-10)
    np.testing.assert_allclose(s.U, (s.X @ s.A + s.Y @ s.B + s.S) / 3)


def test_codes_couple_the_modalities():
    """The image map changes with the texts, unless beta holds the codes."""
    other = make_hidden_signal(60, 14, 12, n_classes=4, n_nuisance=4, random_state=5).text

    def image_map(text, beta):
        x, y = ScaledView.fit(DATA.image), ScaledView.fit(text)
        a = MSAE(alpha=0.3, beta=beta)._alternation(x, y, DATA.labels)
        a.state.S = a.state.U = ONE_HOT[:, :3] - ONE_HOT[:, :3].mean(axis=0)
        a.run(3)
        return a.state.A

    free = np.abs(image_map(DATA.text, 1.0) - image_map(other, 1.0)).max()
    held = np.abs(image_map(DATA.text, 1e12) - image_map(other, 1e12)).max()
    assert free > 1e-3
    assert held < 1e-9


def test_with_all_directions_the_first_stage_is_a_rotation():
    S = [
        MSAE(k, reg=reg, alpha=0.3).fit(DATA.image, DATA.text, DATA.labels)
        for k, reg in ((None, 1e-3), (3, 10.0), (2, 1e-3), (2, 10.0))
    ]
    S = [model.similarity(DATA.image, DATA.text) for model in S]
    np.testing.assert_allclose(S[0], S[1], atol=1e-9)
    assert np.abs(S[2] - S[3]).max() > 1e-4


def test_multi_hot_classes_are_class_numbers():
    a, b = (MSAE().fit(DATA.image, DATA.text, L) for L in (DATA.labels, ONE_HOT.astype(int)))
    np.testing.assert_array_equal(a.weights_image_, b.weights_image_)
    a, b = (RRLSL().fit(DATA.image, DATA.text, L) for L in (DATA.labels, ONE_HOT.astype(int)))
    np.testing.assert_allclose(
        a.similarity(DATA.image, DATA.text), b.similarity(DATA.image, DATA.text), atol=1e-8
    )


# RRLSL


def subgradient(Z, pull):
    """Return how far `pull` is from being a subgradient of ||Z||_* at Z.

    The subgradients are P Qᵀ + W with PᵀW = 0, W Q = 0 and spectral norm of W at most 1, for
    Z = P diag(s) Qᵀ over the nonzero singular values.
    """
    P, s, Qt = np.linalg.svd(Z, full_matrices=False)
    kept = s > 1e-9 * max(s[0], 1e-9)
    P, Qt = P[:, kept], Qt[kept]
    inside = max(np.abs(P.T @ pull - Qt).max(), np.abs(pull @ Qt.T - P).max())
    W = pull - P @ (P.T @ pull)
    return max(inside, np.linalg.norm(W - (W @ Qt.T) @ Qt, 2) - 1)


@pytest.mark.parametrize("t", [0.1, 2.0, 4.0])
def test_shrinking_singular_values_is_the_proximal_step(t):
    M = noise(9, 5)
    Z = shrink_singular_values(M, t)
    assert subgradient(Z, (M - Z) / t) < 1e-9
    assert np.linalg.matrix_rank(Z) == (np.linalg.svd(M, compute_uv=False) > t).sum()
    objective = lambda Z: t * np.linalg.norm(Z, "nuc") + np.sum((Z - M) ** 2) / 2  # noqa: E731
    for seed in range(20):
        assert objective(Z + 0.1 * noise(9, 5, seed=seed)) > objective(Z)


@pytest.mark.parametrize("case", ["UnsupervisedRRLSL", "RRLSL", "RRLSL, multi-label"])
def test_codes_end_where_no_code_is_better(case):
    model, labels = METHODS[case]
    a = alternation(model, labels)
    weight = model.mu * np.linalg.norm(a.state.Z, 2)
    a.run(5)
    Alternation(a.state, {"Z": a.updates["Z"]}, a.objective).run(500)  # A and B stay
    s = a.state
    loss = lambda Z: squares(s, Z, model.lam)  # noqa: E731
    Z = torch.from_numpy(s.Z).requires_grad_()
    fixed = tensors(s)
    gradient = torch.autograd.grad(squares(fixed, Z, model.lam), Z)[0].numpy()
    average = class_average(labels)[0] if labels is not None else lambda T: T
    assert subgradient(s.Z, -average(gradient) / weight) < 1e-7
    assert 0 < np.linalg.matrix_rank(s.Z) <= s.Z.shape[1]
    for seed in range(10):  # nor by trial
        other = s.Z + 1e-3 * average(noise(*s.Z.shape, seed=seed))
        rise = loss(other) + weight * np.linalg.norm(other, "nuc")
        assert rise > loss(s.Z) + weight * np.linalg.norm(s.Z, "nuc")


def test_class_average_is_a_projection():
    average, n_classes = class_average(np.array([7, 2, 7, 7, 2]))
    T = noise(5, 3)
    np.testing.assert_allclose(average(T)[[0, 1]], [T[[0, 2, 3]].mean(0), T[[1, 4]].mean(0)])
    np.testing.assert_allclose(average(average(T)), average(T))
    assert n_classes == 2
    same, n_sets = class_average(np.array([[1, 0], [1, 1], [1, 0], [0, 1]]))
    np.testing.assert_allclose(same(np.arange(4.0)[:, None]).ravel(), [1, 1, 1, 3])
    assert n_sets == 3


def test_items_of_a_class_share_a_code_of_low_rank():
    ranks = []
    for mu in (0.0, 0.01, 0.03):
        model = RRLSL(lam=0.3, mu=mu, max_iter=200, tol=1e-10)
        model.fit(DATA.image, DATA.text, DATA.labels)
        assert len(np.unique(model.codes_.round(12), axis=0)) <= 4
        np.testing.assert_allclose(model.codes_, class_average(DATA.labels)[0](model.codes_))
        np.testing.assert_allclose(model.codes_.sum(axis=0), 0, atol=1e-9)
        ranks.append(model.rank_)
    assert ranks[0] == 3  # four classes around their mean
    assert ranks == sorted(ranks, reverse=True)
    assert ranks[-1] < 3
    one = RRLSL(6, mu=0.0).fit(DATA.image, DATA.text, MULTI)
    assert one.rank_ <= len(np.unique(MULTI, axis=0)) - 1


def test_without_both_terms_it_is_joint_regression():
    """Z becomes the mean of two projections, so a sweep multiplies it by (P_x + P_y) / 2."""
    a = alternation(UnsupervisedRRLSL(5, lam=0.0, mu=0.0), None)
    P_x, P_y = (M @ np.linalg.pinv(M) for M in (a.state.X, a.state.Y))
    start = a.state.Z
    a.run(4)
    known = np.linalg.matrix_power((P_x + P_y) / 2, 4) @ start
    np.testing.assert_allclose(a.state.Z, known, atol=1e-10)
    # what shrinks slowest is what canonical correlation analysis finds first
    values, vectors = np.linalg.eigh((P_x + P_y) / 2)
    cca = CCA(1).fit(DATA.image, DATA.text)
    assert values[-1] == pytest.approx((1 + cca.correlations_[0]) / 2)
    both = cca.encode_image(DATA.image) + cca.encode_text(DATA.text)
    assert abs(vectors[:, -1] @ both[:, 0]) == pytest.approx(np.linalg.norm(both))


def test_reconstruction_alone_is_principal_component_analysis():
    x, y = (ScaledView.fit(noise(40, 3) @ noise(3, p, seed=p) + 0.1 * noise(40, p)) for p in (8, 6))
    a = UnsupervisedRRLSL(3, lam=1e9, mu=0.0)._alternation(x, y, None)
    a.state.Z = noise(40, 3, seed=9)  # not the start of the method, which is the solution
    a.run(200)
    both = np.hstack([x.X, y.X])
    P, s, Qt = np.linalg.svd(both, full_matrices=False)
    rebuilt = a.state.Z @ np.vstack([a.state.A, a.state.B]).T
    np.testing.assert_allclose(rebuilt, (P[:, :3] * s[:3]) @ Qt[:3], atol=1e-6)
    start = joint_directions(x, y, lambda T: T, 3)
    np.testing.assert_allclose(np.linalg.norm(start, axis=0), s[:3])


def test_a_decoder_of_its_own_leaves_no_minimum():
    """The claim of the docstring, on the published objective with free decoders."""
    X, Z, A = noise(20, 5), noise(20, 2), noise(5, 2)
    D = np.linalg.lstsq(Z, X, rcond=None)[0]

    def objective(t):
        loss = np.sum((X @ A / t - Z / t) ** 2) + np.sum((X - Z / t @ (t * D)) ** 2)
        return loss + np.linalg.norm(Z / t, "nuc")

    values = [objective(t) for t in (1, 10, 100, 1000)]
    assert (np.diff(values) < 0).all()
    assert values[-1] == pytest.approx(np.sum((X - Z @ D) ** 2), rel=1e-2)


def test_unlabelled_items_are_left_out():
    labels = MULTI.copy()
    labels[::7] = 0
    rows = labels.any(axis=1)
    a = RRLSL(4).fit(DATA.image, DATA.text, labels)
    b = RRLSL(4).fit(DATA.image[rows], DATA.text[rows], labels[rows])
    np.testing.assert_array_equal(a.weights_text_, b.weights_text_)
    assert len(a.codes_) == rows.sum()


# supervision, invariance, refusals

# the settings below were found on the draw with seed 0
LEARN, TEST = make_hidden_signal(1200, random_state=1).split(test_size=0.5, random_state=0)


def held_out_map(model, *labels):
    model.fit(LEARN.image, LEARN.text, *labels)
    S = model.similarity(TEST.image, TEST.text)
    relevance = label_relevance(TEST.labels, TEST.labels)
    return np.array([mean_average_precision(s, relevance) for s in (S, S.T)])


@pytest.mark.parametrize("model", [MSAE(), RRLSL()], ids=lambda m: type(m).__name__)
def test_labels_find_the_hidden_signal(model):
    unsupervised = held_out_map(UnsupervisedRRLSL(16))
    permuted = held_out_map(model, np.random.RandomState(0).permutation(LEARN.labels))
    supervised = held_out_map(model, LEARN.labels)
    assert (unsupervised < 0.25).all()  # five classes: random codes reach 0.2
    assert (permuted < 0.25).all()
    assert (supervised > 0.5).all()


MODELS = [MSAE(), RRLSL(), UnsupervisedRRLSL(6)]


@pytest.mark.parametrize("model", MODELS, ids=lambda m: type(m).__name__)
def test_scale_and_offset_of_the_features_do_not_matter(model):
    labels = (DATA.labels,) if model.uses_labels else ()
    plain = model.fit(DATA.image, DATA.text, *labels).similarity(DATA.image, DATA.text)
    image, text = 1000 * DATA.image + 3, DATA.text / 50 - 7
    moved = model.fit(image, text, *labels).similarity(image, text)
    np.testing.assert_allclose(plain, moved, atol=1e-7)


@pytest.mark.parametrize("model", MODELS, ids=lambda m: type(m).__name__)
def test_codes_do_not_depend_on_the_other_queries(model):
    labels = (DATA.labels,) if model.uses_labels else ()
    model.fit(DATA.image, DATA.text, *labels)
    for modality in ("image", "text"):
        queries = getattr(DATA, modality)
        together = model.encode(queries, modality)
        np.testing.assert_allclose(model.encode(queries[:1], modality), together[:1], atol=1e-12)
        shifted = np.r_[queries[:5], queries[5:] + 100]
        np.testing.assert_allclose(model.encode(shifted, modality)[:5], together[:5], atol=1e-12)


@pytest.mark.parametrize("model", MODELS, ids=lambda m: type(m).__name__)
def test_more_features_than_pairs(model):
    wide = make_hidden_signal(30, 50, 40, n_classes=4, random_state=0)
    labels = (wide.labels,) if model.uses_labels else ()
    model.fit(wide.image, wide.text, *labels)
    assert np.isfinite(model.similarity(wide.image, wide.text)).all()
    assert (np.diff(model.history_) <= 1e-9 * model.history_[0]).all()


@pytest.mark.parametrize(
    "model, labels, message",
    [
        (MSAE(alpha=-1.0), DATA.labels, "alpha"),
        (MSAE(beta=-1.0), DATA.labels, "beta"),
        (MSAE(reg=-1.0), DATA.labels, "reg"),
        (MSAE(max_iter=0), DATA.labels, "max_iter"),
        (MSAE(tol=-1.0), DATA.labels, "tol"),
        (MSAE(4), DATA.labels, "n_components=4 is more than the 3 directions that these labels"),
        (MSAE(0), DATA.labels, "n_components"),
        (MSAE(), 0 * DATA.labels, "all items have the same labels"),
        (RRLSL(4), DATA.labels, "n_components=4 is more than the 3 directions"),
        (RRLSL(), 0 * DATA.labels, "one class is not enough"),
        (RRLSL(), 0 * MULTI, "one class is not enough"),
        (RRLSL(lam=-1.0), DATA.labels, "lam"),
        (RRLSL(mu=-1.0), DATA.labels, "mu"),
        (RRLSL(mu=9.0), DATA.labels, "mu=9.0 is so large that all codes are 0"),
        (UnsupervisedRRLSL(27), None, "n_components=27 is more than the 26 directions"),
    ],
)
def test_refusals(model, labels, message):
    with pytest.raises(ValueError, match=message):
        model.fit(DATA.image, DATA.text, labels)
    assert not hasattr(model, "history_")


# mutants: planted errors that the tests above must catch


def mutate(model, labels, block, step):
    a = alternation(model, labels)
    published = msae_objective(model) if isinstance(model, MSAE) else rrlsl_objective(model, a)
    a.updates[block] = step(a)
    return a.stationarity(published, skip=("Z",))


def untied(s):
    """Ridge regression instead of the Sylvester equation."""
    return np.linalg.solve(s.X.T @ s.X + 0.3 * np.eye(14), s.X.T @ s.U)


def without_factor(s):
    """(1 + alpha) forgotten on the right."""
    return solve_sylvester(s.X.T @ s.X, 0.3 * s.U.T @ s.U, s.X.T @ s.U)


def codes_of_one_modality(s):
    H = 0.3 * s.A.T @ s.A + (1 + 2.0) * np.eye(3)
    return np.linalg.solve(H, (1.3 * s.X @ s.A + 2.0 * s.S).T).T


def codes_without_target(s):
    H, C = code_equations(s, 0.0, 0.3)
    return np.linalg.solve(H, C.T).T


MUTANTS = {
    "ridge for Sylvester": ("A", untied),
    "1 + alpha forgotten": ("A", without_factor),
    "one modality in U": ("U", codes_of_one_modality),
    "beta forgotten in U": ("U", codes_without_target),
}


@pytest.mark.parametrize("mutant", MUTANTS)
def test_stationarity_catches(mutant):
    block, step = MUTANTS[mutant]
    worst = mutate(MSAE(alpha=0.3, beta=2.0), DATA.labels, block, lambda a: step)
    assert worst.pop(block) > 1e-3
    assert max(worst.values()) < 1e-10  # and only there
