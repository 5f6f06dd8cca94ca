"""DCCA: its objective against canonical correlations, the gradient of the paper, and learning."""

import numpy as np
import pytest
import torch

from cmrlib.cca import CCA, DCCA
from cmrlib.cca.deep import trace_norm_correlation
from cmrlib.datasets import load_emoji, make_gaussian_views
from cmrlib.evaluation import evaluate


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def folded(n, seed):
    """Return (z, noise) mixed, and (|z|, noise) mixed: related, but not linearly."""
    rng = np.random.default_rng(seed)
    z = rng.normal(size=n)
    X = np.column_stack([z, rng.normal(size=(n, 4))])
    Y = np.column_stack([np.abs(z) + 0.05 * rng.normal(size=n), rng.normal(size=(n, 4))])
    mix = np.random.default_rng(99)
    return X @ mix.normal(size=(5, 5)), Y @ mix.normal(size=(5, 5))


# --- the objective ------------------------------------------------------------------------------


def outputs():
    views = make_gaussian_views(200, 4, 4, correlations=[0.9, 0.6, 0.3], random_state=0)
    return torch.as_tensor(views.image), torch.as_tensor(views.text)


def published_gradient(F, G):
    """Return d‖T‖_tr / dF as Andrew et al. state it: (2 ∇₁₁ F̄ + ∇₁₂ Ḡ) / (n - 1), rows as items."""
    n = len(F)
    F, G = F - F.mean(axis=0), G - G.mean(axis=0)

    def inverse_root(S):
        values, vectors = np.linalg.eigh(S)
        return (vectors / np.sqrt(values)) @ vectors.T

    R_f, R_g = inverse_root(F.T @ F / (n - 1)), inverse_root(G.T @ G / (n - 1))
    U, d, Vt = np.linalg.svd(R_f @ (F.T @ G / (n - 1)) @ R_g)
    nabla_12 = R_f @ U @ Vt @ R_g
    nabla_11 = -0.5 * R_f @ U @ np.diag(d) @ U.T @ R_f
    return (2 * F @ nabla_11 + G @ nabla_12.T) / (n - 1)


def check_objective(objective):
    """Assert the value (sum of canonical correlations), the invariance and the gradient."""
    F, G = outputs()
    F.requires_grad_()
    value = objective(F, G)
    value.backward()
    truth = CCA(4).fit(F.detach().numpy(), G.numpy()).correlations_.sum()
    np.testing.assert_allclose(value.item(), truth, atol=1e-10)
    mixed = F.detach() @ torch.randn(4, 4, dtype=torch.float64) * 5 + 3
    np.testing.assert_allclose(objective(mixed, G).item(), truth, atol=1e-8)
    expected = published_gradient(F.detach().numpy(), G.numpy())
    np.testing.assert_allclose(F.grad.numpy(), expected, atol=1e-10)


def test_objective_value_invariance_and_gradient():
    torch.manual_seed(0)
    check_objective(trace_norm_correlation)


def centred_covariances(F, G):
    F, G = F - F.mean(dim=0), G - G.mean(dim=0)
    return [A.T @ B / (len(F) - 1) for A, B in ((F, F), (F, G), (G, G))]


def trace_of_T(F, G):
    """A mutant: the trace of T, not the sum of its singular values."""
    S_ff, S_fg, S_gg = centred_covariances(F, G)
    T = torch.linalg.solve(torch.linalg.cholesky(S_ff), S_fg)
    T = torch.linalg.solve(torch.linalg.cholesky(S_gg), T.T)
    return T.trace()


def frobenius_norm(F, G):
    """A mutant: the root of the sum of squares, which 'uses all components' just as well."""
    S_ff, S_fg, S_gg = centred_covariances(F, G)
    K = torch.linalg.solve(S_ff, S_fg) @ torch.linalg.solve(S_gg, S_fg.T)
    return K.trace().sqrt()


def columnwise_correlation(F, G):
    """A mutant: output j against output j, without the whitening."""
    S_ff, S_fg, S_gg = centred_covariances(F, G)
    return (S_fg.diagonal() / (S_ff.diagonal() * S_gg.diagonal()).sqrt()).sum()


def covariance(F, G):
    """A mutant: the trace norm of the covariance, which partial least squares maximises."""
    return torch.linalg.svdvals(centred_covariances(F, G)[1]).sum()


def whitening_held_constant(F, G):
    """A mutant: right value, but no gradient through the whitening (∇₁₁ is missing)."""
    S_ff, S_fg, S_gg = centred_covariances(F, G)
    L_f, L_g = torch.linalg.cholesky(S_ff).detach(), torch.linalg.cholesky(S_gg).detach()
    T = torch.linalg.solve_triangular(L_f, S_fg, upper=False)
    return torch.linalg.svdvals(torch.linalg.solve_triangular(L_g, T.T, upper=False)).sum()


@pytest.mark.parametrize(
    "mutant",
    [trace_of_T, frobenius_norm, columnwise_correlation, covariance, whitening_held_constant],
)
def test_objective_exposes_mutants(mutant):
    torch.manual_seed(0)
    with pytest.raises(AssertionError):
        check_objective(mutant)


@pytest.mark.parametrize("reg", [0.01, 0.1, 1.0])
def test_ridged_objective(reg):
    F, G = outputs()
    truth = CCA(4, reg=reg).fit(F.numpy(), G.numpy()).correlations_.sum()
    np.testing.assert_allclose(trace_norm_correlation(F, G, reg).item(), truth, atol=1e-10)
    np.testing.assert_allclose(trace_norm_correlation(1e3 * F, G, reg).item(), truth, atol=1e-10)
    F, G = F[:12].clone().requires_grad_(), G[:12].clone().requires_grad_()
    assert torch.autograd.gradcheck(lambda a, b: trace_norm_correlation(a, b, reg), (F, G))


# --- learning -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("solver", "rate"), [("lbfgs", 1.0), ("adam", 0.01), ("sgd", 1.0)], ids=["lbfgs", "adam", "sgd"]
)
def test_no_hidden_layer_is_linear_cca(solver, rate):
    views = make_gaussian_views(400, 6, 5, correlations=[0.9, 0.6], condition=3, random_state=0)
    X, Y = views.image, views.text
    model = DCCA(2, (), solver=solver, learning_rate=rate, reg=0, weight_decay=0, max_epochs=300,
                 patience=300, random_state=0).fit(X, Y)  # fmt: skip
    # the networks see the pairs that are not set aside for validation
    order = np.random.RandomState(0).permutation(400)
    rest = order[40:]
    truth = CCA(2).fit(X[rest], Y[rest]).correlations_.sum()
    assert max(model.history_["train"]) <= truth + 1e-9
    assert max(model.history_["train"]) == pytest.approx(truth, abs=2e-3)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_finds_what_linear_cca_cannot(seed):
    X, Y = folded(1500, seed)
    X_new, Y_new = folded(1000, seed + 10)
    assert abs(CCA(1).fit(X, Y).correlations(X_new, Y_new)[0]) < 0.15
    model = DCCA(1, (32,), random_state=0).fit(X, Y)
    assert model.correlations(X_new, Y_new)[0] >= 0.95


def test_without_hidden_layers_it_cannot_either():
    X, Y = folded(1500, 0)
    X_new, Y_new = folded(1000, 10)
    model = DCCA(1, (), random_state=0).fit(X, Y)
    assert abs(model.correlations(X_new, Y_new)[0]) < 0.15


def test_mini_batches_learn_too():
    X, Y = folded(1500, 0)
    X_new, Y_new = folded(1000, 10)
    model = DCCA(1, (32,), solver="adam", learning_rate=0.01, random_state=0).fit(X, Y)
    assert model.correlations(X_new, Y_new)[0] >= 0.95


def noise(n, seed):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, 10)), rng.normal(size=(n, 10))


def test_early_stopping_returns_to_the_best_epoch():
    X, Y = noise(200, 0)
    model = DCCA(2, (64,), weight_decay=0, max_epochs=30, patience=5, random_state=0).fit(X, Y)
    train, validation = model.history_["train"], model.history_["validation"]
    assert model.best_epoch_ == int(np.argmax(validation))
    assert len(validation) == min(30, model.best_epoch_ + 6)
    assert train[-1] > 0.99 * 2 / (1 + model.reg)  # of any training set: the most that it can be
    order = np.random.RandomState(0).permutation(200)
    held_out, rest = order[:20], order[20:]
    outputs = [model._outputs([model._tensor(V[rows], s) for V, s in
                               ((X, model.scaler_image_), (Y, model.scaler_text_))])
               for rows in (rest, held_out)]  # fmt: skip
    again = CCA(2, reg=model.reg).fit(*outputs[0]).correlations(*outputs[1]).sum()
    np.testing.assert_allclose(again, max(validation), atol=1e-10)


def test_final_cca_is_of_the_outputs_of_all_pairs():
    X, Y = folded(300, 0)
    model = DCCA(2, (16,), max_epochs=5, random_state=0).fit(X, Y)
    S, T = model.encode_image(X), model.encode_text(Y)
    cross = S.T @ T / len(S)
    np.testing.assert_allclose(cross, np.diag(model.correlations_), atol=1e-10)
    np.testing.assert_allclose(S.mean(axis=0), 0, atol=1e-10)


def test_the_unit_of_the_features_is_not_felt():
    X, Y = folded(300, 0)
    scale = np.array([1e-6, 1, 1e6, 3, 10])
    model = DCCA(1, (8,), max_epochs=5, random_state=0).fit(X, Y)
    moved = DCCA(1, (8,), max_epochs=5, random_state=0).fit(X * scale + 7, Y)
    np.testing.assert_allclose(moved.correlations_, model.correlations_, atol=1e-6)


def test_seed_decides_and_the_global_generator_is_left_alone():
    X, Y = folded(200, 0)
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    a, b, c = (DCCA(1, (8,), max_epochs=3, random_state=s).fit(X, Y) for s in (1, 1, 2))
    assert torch.equal(torch.rand(3), expected)
    np.testing.assert_array_equal(a.encode_image(X), b.encode_image(X))
    assert np.abs(a.correlations_ - c.correlations_).max() > 1e-6


def test_a_column_of_zeros_is_allowed():
    X, Y = folded(200, 0)
    model = DCCA(1, (8,), max_epochs=2, random_state=0).fit(np.c_[X, np.zeros(200)], Y)
    assert np.isfinite(model.correlations_).all()


def test_progress_bar_is_shown_when_asked_for(capsys):
    X, Y = folded(100, 0)
    DCCA(1, (4,), max_epochs=2, random_state=0).fit(X, Y)
    assert capsys.readouterr().err == ""
    DCCA(1, (4,), max_epochs=2, random_state=0, verbose=True).fit(X, Y)
    assert "DCCA" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"n_components": 0}, "n_components"),
        ({"reg": -1}, "reg"),
        ({"weight_decay": -1}, "weight_decay"),
        ({"validation_size": 1.0}, "validation_size"),
        ({"solver": "newton"}, "solver must be one of lbfgs, adam, sgd"),
        ({"n_components": 30, "solver": "adam", "batch_size": 20}, "a batch of 22 of 100 pairs"),
        ({"n_components": 90}, "a batch of 90 of 100 pairs"),
    ],
)
def test_bad_parameters_are_refused(parameters, message):
    X, Y = folded(100, 0)
    with pytest.raises(ValueError, match=message):
        DCCA(**parameters).fit(X, Y)


def test_not_below_linear_cca_on_emoji():
    """Ridge and weight decay as the highest validation correlation chooses them."""
    train, test = load_emoji().split(test_size=0.25, random_state=0)
    linear = CCA(32, reg=1.0).fit(train.image, train.text)
    deep = DCCA(32, weight_decay=1.0, max_epochs=6, random_state=0).fit(train.image, train.text)
    held_out = [model.correlations(test.image, test.text).sum() for model in (deep, linear)]
    assert held_out[0] >= held_out[1] + 2  # 18.9 and 15.5 of 32
    ours, theirs = evaluate(deep, test), evaluate(linear, test)
    assert ours.image_to_text["mAP@all"] >= theirs.image_to_text["mAP@all"]
    assert ours.text_to_image["mAP@all"] >= theirs.text_to_image["mAP@all"]
