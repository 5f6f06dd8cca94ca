"""Autoencoders: their losses in plain loops, missing modalities, alpha, and where they start."""

import inspect

import numpy as np
import pytest
import torch

from cmrlib.datasets import make_gaussian_views
from cmrlib.realvalued.autoencoders import BimodalAE, CorrAE, CorrCrossAE, CorrFullAE
from cmrlib.realvalued.boltzmann import RBM
from cmrlib.training import validation_split

CORRESPONDENCE = [CorrAE, CorrCrossAE, CorrFullAE]
ALL = [BimodalAE, *CORRESPONDENCE]

# What each paper's figure shows: (modality whose code, modality decoded from it).
ROUTES = {
    CorrAE: [("image", "image"), ("text", "text")],
    CorrCrossAE: [("image", "text"), ("text", "image")],
    CorrFullAE: [("image", "image"), ("image", "text"), ("text", "image"), ("text", "text")],
}


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def pairs(n=400, seed=0, rho=0.8, p=6, q=6):
    """Return views of unit covariance, up to 6 correlations of rho between them."""
    data = make_gaussian_views(
        n, p, q, correlations=[rho] * min(p, q), condition=1, random_state=seed
    )
    return data.image, data.text


def small(method, **parameters):
    """Return a model of a size that trains in a blink."""
    return method(**{"n_components": 3, "hidden": 5, "max_epochs": 2, "random_state": 0,
                     "pretrain": False, **parameters})  # fmt: skip


def relative_error(V_hat, V):
    """Return the squared error as a share of that of the mean."""
    return ((V_hat - V) ** 2).sum() / ((V - V.mean(axis=0)) ** 2).sum()


# --- the losses ---------------------------------------------------------------------------------


def run(network, v):
    """Send one item through the layers of a network."""
    for layer in network if isinstance(network, torch.nn.Sequential) else [network]:
        if isinstance(layer, torch.nn.Linear):
            W, b = layer.weight.detach().numpy(), layer.bias.detach().numpy()
            v = np.array([sum(w * x for w, x in zip(row, v, strict=True)) for row in W]) + b
        else:
            assert isinstance(layer, torch.nn.Sigmoid)
            v = 1 / (1 + np.exp(-v))
    return v


def squared(u, v):
    return sum((a - b) ** 2 for a, b in zip(u, v, strict=True))


def batch_of(model, X, Y):
    from cmrlib.realvalued._model import Batch

    V, W = (model._tensor(A, m, torch.float64) for A, m in ((X, "image"), (Y, "text")))
    return Batch(V, W, None, 0.0)


def total(model, batch):
    return float(sum(term.detach() for term in model._losses(batch).values()))


@pytest.mark.parametrize("alpha", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("method", CORRESPONDENCE)
def test_correspondence_loss_in_plain_loops(method, alpha):
    X, Y = pairs(40, p=6, q=4)
    model = small(method, alpha=alpha).fit(X, Y)
    batch, networks = batch_of(model, X[:7], Y[:7]), model.networks_
    error = distance = 0.0
    for x, y in zip(batch.X.numpy(), batch.Y.numpy(), strict=True):
        item = {"image": x, "text": y}
        code = {modality: run(networks[modality], v) for modality, v in item.items()}
        for source, target in ROUTES[method]:
            error += squared(run(networks[f"{source}_to_{target}"], code[source]), item[target])
        distance += squared(code["image"], code["text"])
    truth = ((1 - alpha) * error + alpha * distance) / 7
    np.testing.assert_allclose(total(model, batch), truth, rtol=1e-10)
    assert set(model._losses(batch)) == {*(f"{s}_to_{t}" for s, t in ROUTES[method]),
                                         "pair_distance"}  # fmt: skip


@pytest.mark.parametrize("missing", [True, False])
def test_bimodal_loss_in_plain_loops(missing):
    X, Y = pairs(40, p=6, q=4)
    model = small(BimodalAE, modality_dropout=missing).fit(X, Y)
    batch, networks = batch_of(model, X[:7], Y[:7]), model.networks_
    errors = []
    for x, y in zip(batch.X.numpy(), batch.Y.numpy(), strict=True):
        inputs = [(x, y), (x, 0 * y), (0 * x, y)] if missing else [(x, y)]
        for u, v in inputs:
            read = np.concatenate([run(networks["image"], u), run(networks["text"], v)])
            code = run(networks["code"], read)
            errors.append(squared(run(networks["to_image"], code), x)
                          + squared(run(networks["to_text"], code), y))  # fmt: skip
    np.testing.assert_allclose(total(model, batch), np.mean(errors), rtol=1e-10)


@pytest.mark.parametrize("method", ALL)
def test_history_holds_each_term_and_the_validation_loss(method):
    X, Y = pairs(80)
    model = small(method, max_epochs=3, learning_rate=0.0).fit(X, Y)
    held_out = validation_split(80, 0.1, np.random.RandomState(0))[1]
    batch = batch_of(model, X[held_out], Y[held_out])
    np.testing.assert_allclose(model.history_["validation"], -total(model, batch), rtol=1e-4)
    assert set(model.history_) == {*model._losses(batch), "validation"}
    assert all(len(values) == 3 for values in model.history_.values())


# --- what is decoded from what ------------------------------------------------------------------


@pytest.mark.parametrize("method", CORRESPONDENCE)
def test_decoders_of_each_sibling(method):
    X, Y = pairs(60, p=6, q=4)
    model, widths = small(method).fit(X, Y), {"image": 6, "text": 4}
    for source, V in (("image", X), ("text", Y)):
        shapes = {t: V_hat.shape for t, V_hat in model.reconstruct(V[:5], source).items()}
        assert shapes == {t: (5, widths[t]) for s, t in ROUTES[method] if s == source}


def test_cross_decoders_say_the_other_modality():
    """On new pairs, close to the best there is, 1 - ρ² of the variance; for others' it is worse."""
    X, Y = pairs(1000)
    A, B = X[600:], Y[600:]
    settings = {"alpha": 0.2, "hidden": 64, "n_components": 8, "max_epochs": 40,
                "learning_rate": 0.01}  # fmt: skip
    for method in (CorrCrossAE, CorrFullAE):
        model = small(method, **settings).fit(X[:600], Y[:600])
        for source, target, V, truth in (("image", "text", A, B), ("text", "image", B, A)):
            said = model.reconstruct(V, source)[target]
            assert relative_error(said, truth) < 0.5  # 1 - 0.8² = 0.36
            assert relative_error(said, truth[::-1]) > 1
    for V, V_hat in ((A, model.reconstruct(A, "image")["image"]),
                     (B, model.reconstruct(B, "text")["text"])):  # fmt: skip
        assert relative_error(V_hat, V) < 0.2


def test_reconstructions_are_in_the_units_of_the_features():
    X, Y = pairs(60, p=6, q=4)
    scale = np.array([1e-3, 1, 10, 1e3])
    a, b = small(CorrFullAE).fit(X, Y), small(CorrFullAE).fit(X, 5 + Y * scale)
    expected = 5 + a.reconstruct(X, "image")["text"] * scale
    np.testing.assert_allclose(b.reconstruct(X, "image")["text"], expected, rtol=1e-3, atol=1e-3)
    c, d = small(BimodalAE).fit(X, Y), small(BimodalAE).fit(X, 5 + Y * scale)
    expected = 5 + c.reconstruct(image=X)[1] * scale
    np.testing.assert_allclose(d.reconstruct(image=X)[1], expected, rtol=1e-3, atol=1e-3)


# --- alpha --------------------------------------------------------------------------------------


def percentile_of_partner(model, X, Y):
    """Return the share of items that stand before the partner, ties by half; 1/2 is chance."""
    S = model.similarity(X, Y)
    shares = []
    for scores in (S, S.T):
        lead = scores - np.diag(S)[:, None]
        shares.append((lead > 0).mean() + (lead == 0).mean() / 2)
    return float(np.mean(shares))


@pytest.mark.parametrize("method", CORRESPONDENCE)
def test_without_alpha_codes_do_not_meet(method):
    X, Y = pairs(1000)
    settings = {"hidden": 32, "n_components": 6, "max_epochs": 15, "learning_rate": 0.01}
    found = {}
    for alpha in (0.0, 0.5):
        fits = [small(method, alpha=alpha, **settings, random_state=seed).fit(X[:600], Y[:600])
                for seed in range(3)]  # fmt: skip
        found[alpha] = np.mean([percentile_of_partner(fit, X[600:], Y[600:]) for fit in fits])
    assert found[0.0] == pytest.approx(0.5, abs=0.15)
    assert found[0.5] < 0.15


def test_without_alpha_an_image_code_does_not_depend_on_texts():
    X, Y = pairs(80)
    other = Y[np.random.default_rng(0).permutation(80)]
    for alpha, equal in ((0.0, True), (0.5, False)):
        a, b = (small(CorrAE, alpha=alpha, pretrain=True, max_epochs=1).fit(X, T)
                for T in (Y, other))  # fmt: skip
        assert np.array_equal(a.encode_image(X), b.encode_image(X)) == equal


@pytest.mark.parametrize("method", CORRESPONDENCE)
def test_codes_collapse_as_alpha_nears_one(method):
    X, Y = pairs(600)
    variance = {}
    for alpha in (0.5, 0.99, 1.0):
        model = small(method, alpha=alpha, hidden=32, n_components=6, max_epochs=40,
                      learning_rate=0.01).fit(X, Y)  # fmt: skip
        variance[alpha] = model.encode_image(X).var(axis=0).mean()
    assert variance[0.99] < 0.5 * variance[0.5]
    assert variance[1.0] < 0.01 * variance[0.5]


def test_at_alpha_one_the_siblings_are_the_same():
    X, Y = pairs(80)
    codes = [small(method, alpha=1.0).fit(X, Y).encode_image(X) for method in CORRESPONDENCE]
    np.testing.assert_array_equal(codes[0], codes[1])
    np.testing.assert_array_equal(codes[0], codes[2])
    others = [small(method, alpha=0.9).fit(X, Y).encode_image(X) for method in CORRESPONDENCE]
    assert min(np.abs(others[i] - others[j]).max() for i, j in ((0, 1), (0, 2), (1, 2))) > 1e-4


# --- missing modalities -------------------------------------------------------------------------


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_what_is_missing_is_said_only_if_modalities_were_missing_in_training(seed):
    """Correlations 0.8: the best error is 1 - 0.64 of the mean's, the naive code gives nothing."""
    X, Y = pairs(1000, seed)
    A, B = X[600:], Y[600:]
    errors = {}
    for missing in (True, False):
        model = BimodalAE(16, 64, modality_dropout=missing, pretrain=False, max_epochs=40,
                          learning_rate=0.01, random_state=seed).fit(X[:600], Y[:600])  # fmt: skip
        errors[missing] = [relative_error(model.reconstruct(image=A)[1], B),
                           relative_error(model.reconstruct(text=B)[0], A)]  # fmt: skip
        for V_hat, V in zip(model.reconstruct(A, B), (A, B), strict=True):
            assert relative_error(V_hat, V) < 0.2  # both of them learnt to reconstruct
    assert max(errors[True]) < 0.5
    assert min(errors[False]) > 0.9


def test_a_missing_modality_stands_at_its_mean():
    X, Y = pairs(60, p=6, q=4)
    model = small(BimodalAE).fit(X, Y)
    at_mean = np.tile(Y.mean(axis=0), (len(X), 1))
    for one, other in zip(model.reconstruct(image=X), model.reconstruct(X, at_mean), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-10)
    zeros = torch.zeros(len(X), 4, dtype=torch.float64)
    code = model._joint_code(batch_of(model, X, Y).X, zeros).detach().numpy()
    np.testing.assert_allclose(model.encode_image(X), code, atol=1e-12)
    with_text = model._joint_code(batch_of(model, X, Y).X, batch_of(model, X, Y).Y)
    assert np.abs(with_text.detach().numpy() - code).max() > 1e-3
    zeros = torch.zeros(len(X), 6, dtype=torch.float64)
    code = model._joint_code(zeros, batch_of(model, X, Y).Y).detach().numpy()
    np.testing.assert_allclose(model.encode_text(Y), code, atol=1e-12)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, "nothing to reconstruct from"),
        ({"image": (9, 6), "text": (8, 4)}, "image has 9 rows and text has 8"),
        ({"image": (9, 5)}, "5 features, but the model was fitted with 6"),
    ],
)
def test_what_cannot_be_reconstructed(given, message):
    X, Y = pairs(40, p=6, q=4)
    model = small(BimodalAE).fit(X, Y)
    with pytest.raises(ValueError, match=message):
        model.reconstruct(**{name: np.ones(shape) for name, shape in given.items()})


# --- pre-training -------------------------------------------------------------------------------


def rbms_of(X, Y, hidden):
    """Return the machines that a fit with random_state=0 should start from, fitted here."""
    rng = np.random.RandomState(0)
    learn, _ = validation_split(len(X), 0.1, rng)
    rng.randint(2**31)  # the seed of torch
    seeds = rng.randint(2**31, size=2)
    rbms = {}
    for modality, V, seed in zip(("image", "text"), (X, Y), seeds, strict=True):
        standard = ((V - V.mean(axis=0)) / V.std(axis=0)).astype("f4")
        rbms[modality] = RBM(hidden, random_state=seed).fit(standard[learn])
    return rbms


def decoders_of(model, modality):
    if isinstance(model, BimodalAE):
        return [model.networks_[f"to_{modality}"]]
    return [model.networks_[f"{s}_to_{t}"] for s, t in ROUTES[type(model)] if t == modality]


@pytest.mark.parametrize("method", ALL)
def test_networks_start_at_the_boltzmann_machines(method):
    X, Y = pairs(80, p=6, q=4)
    rbms = rbms_of(X, Y, hidden=5)
    model = small(method, pretrain=True, learning_rate=0.0).fit(X, Y)
    for modality, rbm in rbms.items():
        first = model.networks_[modality][0]
        read = torch.sigmoid(first(batch_of(model, X, Y)._asdict()["XY"[modality == "text"]]))
        standard = (X, Y)[modality == "text"] - getattr(model, f"scaler_{modality}_").mean_
        standard = standard / getattr(model, f"scaler_{modality}_").scale_
        np.testing.assert_allclose(read.detach().numpy(), rbm.hidden(standard), atol=1e-6)
        assert decoders_of(model, modality)
        for decoder in decoders_of(model, modality):
            last = decoder[-1]
            np.testing.assert_allclose(last.weight.detach().numpy(), rbm.weights_, atol=1e-6)
            np.testing.assert_allclose(last.bias.detach().numpy(), rbm.visible_bias_, atol=1e-6)


@pytest.mark.parametrize("method", ALL)
def test_pretraining_changes_the_start_and_nothing_else(method):
    X, Y = pairs(80, p=6, q=4)
    start = small(method, pretrain=True, learning_rate=0.0, max_epochs=1).fit(X, Y)
    plain = small(method, learning_rate=0.0, max_epochs=1).fit(X, Y)
    changed = {name for name, value in start.networks_.state_dict().items()
               if not torch.equal(value, plain.networks_.state_dict()[name])}  # fmt: skip
    outer = [start.networks_[m][0] for m in ("image", "text")]
    outer += [decoder[-1] for m in ("image", "text") for decoder in decoders_of(start, m)]
    parameters = {id(parameter) for layer in outer for parameter in layer.parameters()}
    assert changed == {name for name, parameter in start.networks_.named_parameters()
                       if id(parameter) in parameters}  # fmt: skip

    class Planted(method):
        def _pretrain(self, X, Y, rng):
            super()._pretrain(X, Y, rng)
            self.networks_.load_state_dict(start.networks_.state_dict())

    Planted.__init__.__signature__ = inspect.signature(method.__init__)
    planted, pretrained = small(Planted).fit(X, Y), small(method, pretrain=True).fit(X, Y)
    np.testing.assert_array_equal(planted.encode_image(X), pretrained.encode_image(X))
    assert planted.history_ == pretrained.history_


# --- all of them --------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ALL)
def test_a_code_does_not_depend_on_its_batch_and_a_seed_decides(method):
    X, Y = pairs(80, p=6, q=4)
    a, b, c = (small(method, random_state=seed, pretrain=True).fit(X, Y) for seed in (0, 0, 1))
    np.testing.assert_array_equal(a.encode_image(X), b.encode_image(X))
    assert np.abs(a.encode_image(X) - c.encode_image(X)).max() > 1e-3
    np.testing.assert_allclose(a.encode_text(Y[3:4])[0], a.encode_text(Y)[3], atol=1e-12)


@pytest.mark.parametrize(
    ("method", "parameters", "message"),
    [
        (CorrAE, {"alpha": 1.1}, "alpha"),
        (CorrFullAE, {"alpha": -0.1}, "alpha"),
        (CorrCrossAE, {"n_components": 0}, "n_components"),
        (BimodalAE, {"hidden": 0}, "hidden"),
    ],
)
def test_bad_parameters_are_refused(method, parameters, message):
    with pytest.raises(ValueError, match=message):
        small(method, **parameters).fit(*pairs(40))
