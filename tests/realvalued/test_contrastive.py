"""The dual encoder: InfoNCE's gradient and limits, its temperature, and what a code depends on."""

from math import log

import numpy as np
import pytest
import torch
from torch import nn

from cmrlib.datasets import make_gaussian_views, make_probe, make_scenes, score_probe
from cmrlib.datasets.scenes import VOCABULARY
from cmrlib.evaluation import mean_reciprocal_rank, pair_relevance
from cmrlib.realvalued._model import Batch
from cmrlib.realvalued.contrastive import LOWEST_TEMPERATURE, DualEncoder
from cmrlib.realvalued.losses import cosine_matrix, hardest_hinge, info_nce


@pytest.fixture(autouse=True)
def one_thread_and_seed():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    yield
    torch.set_num_threads(before)


def views(n=300, seed=0):
    return make_gaussian_views(n, 12, 9, correlations=[0.98] * 6, random_state=seed)


SMALL = {"n_components": 16, "hidden": (32,), "dropout": 0.1, "max_epochs": 30, "random_state": 0}


def built(p=5, q=4, **parameters):
    """Return a model with fresh networks in double precision, not trained."""
    model = DualEncoder(**{"n_components": 3, "hidden": (6,), "dropout": 0.0} | parameters)
    model.networks_ = model._build(p, q, 0).double()
    return model


def batch(n=7, p=5, q=4):
    X, Y = (torch.randn(n, width, dtype=torch.float64) for width in (p, q))
    return Batch(X, Y, None, 0.0)


def loss_of(model, some):
    return model._losses(some)["contrastive"]


# --- the loss -----------------------------------------------------------------------------------


def test_loss_of_a_batch_against_a_plain_loop():
    model, some = built(temperature=0.3), batch()
    F = model.networks_["image"](some.X).detach().numpy()
    G = model.networks_["text"](some.Y).detach().numpy()
    total = 0.0
    for i in range(7):
        by_image, by_text = (
            [
                np.exp(a @ b / np.linalg.norm(a) / np.linalg.norm(b) / 0.3)
                for a, b in ((A[i], B[j]) for j in range(7))
            ]
            for A, B in ((F, G), (G, F))
        )
        total -= np.log(by_image[i] / sum(by_image)) + np.log(by_text[i] / sum(by_text))
    np.testing.assert_allclose(loss_of(model, some).item(), total / 14, rtol=1e-6)
    assert list(model._losses(some)) == ["contrastive"]


def test_exchanging_the_modalities_changes_nothing():
    model, some = built(), batch()
    turned = built(4, 5)
    turned.networks_["image"], turned.networks_["text"] = (
        model.networks_["text"],
        model.networks_["image"],
    )
    torch.testing.assert_close(
        loss_of(turned, Batch(some.Y, some.X, None, 0.0)), loss_of(model, some)
    )
    one_sided = nn.functional.cross_entropy
    S = torch.randn(6, 6)
    assert abs(one_sided(S, torch.arange(6)) - one_sided(S.T, torch.arange(6))) > 1e-3


def weights(S, tau):
    """Return n dL/d(S/τ): the mean of both softmaxes, minus the identity."""
    by_image, by_text = (S / tau).softmax(dim=1), (S / tau).softmax(dim=0)
    return (by_image + by_text) / 2 - torch.eye(len(S), dtype=S.dtype)


def test_gradient_is_softmax_minus_identity():
    S = torch.randn(8, 8, dtype=torch.float64, requires_grad=True)
    info_nce(S, 0.2).backward()
    expected = weights(S.detach(), 0.2) / (8 * 0.2)
    torch.testing.assert_close(S.grad, expected)
    torch.testing.assert_close(S.grad.sum(), torch.tensor(0.0, dtype=torch.float64))


def test_gradient_of_an_image_code_is_a_weighted_sum_over_texts():
    F, G = (torch.randn(6, 4, dtype=torch.float64) for _ in range(2))
    F.requires_grad_()
    info_nce(cosine_matrix(F, G), 0.1).backward()
    with torch.no_grad():
        S, length = cosine_matrix(F, G), F.norm(dim=1, keepdim=True)
        f, g = F / length, nn.functional.normalize(G)
        for i in range(6):
            pull = sum(weights(S, 0.1)[i, j] * (g[j] - S[i, j] * f[i]) for j in range(6))
            torch.testing.assert_close(F.grad[i], pull / (6 * 0.1) / length[i])


def test_cold_loss_is_the_hinge_of_the_hardest_negative_without_margin():
    S = torch.rand(20, 20, dtype=torch.float64)
    hinge = hardest_hinge(S, margin=0.0) / 2
    for tau in (0.1, 0.01, 0.001):
        cold = tau * info_nce(S, tau)
        assert hinge <= cold <= hinge + tau * log(20)
    mean_instead = (S.sum(dim=1) - S.diagonal()).mean() / 19 - S.diagonal().mean()
    assert abs(mean_instead - hinge) > 0.1


def test_cold_gradient_is_of_the_hardest_negative_alone():
    S = torch.rand(20, 20, dtype=torch.float64)
    by_image = (S / 1e-4).softmax(dim=1)
    torch.testing.assert_close(
        by_image, nn.functional.one_hot(S.argmax(dim=1), 20).double(), atol=1e-6, rtol=0
    )
    warm = weights(S, 1e6) + torch.eye(20, dtype=S.dtype)
    torch.testing.assert_close(warm, torch.full_like(S, 1 / 20), atol=1e-6, rtol=0)


@pytest.mark.parametrize("tau", [0.02, 0.07, 1.0])
def test_equal_codes_cost_log_n(tau):
    model, some = built(temperature=tau), batch(n=11)
    with torch.no_grad():
        for modality in ("image", "text"):
            model.networks_[modality][-1].weight.zero_()
            model.networks_[modality][-1].bias.fill_(0.5)
    np.testing.assert_allclose(loss_of(model, some).item(), log(11), rtol=1e-12)


# --- the temperature ----------------------------------------------------------------------------


def test_gradient_of_the_temperature():
    model, some = built(temperature=0.2), batch()
    loss_of(model, some).backward()
    with torch.no_grad():
        S = cosine_matrix(*(model._code(V, m) for V, m in ((some.X, "image"), (some.Y, "text"))))
        expected = -(weights(S, 0.2) * S).sum() / (len(S) * 0.2)
    found = model.networks_["temperature"]["log"].grad
    assert abs(found) > 1e-3
    torch.testing.assert_close(found, expected, rtol=1e-6, atol=0)


def test_temperature_is_learnt():
    data = views()
    model = DualEncoder(**SMALL).fit(data.image, data.text)
    found = model.history_["temperature"]
    assert len(set(found)) == len(found)  # it changes in every epoch
    assert abs(found[-1] - 0.07) > 0.001


def test_temperature_stops_at_its_floor_and_can_leave_it():
    model, some = built(), batch()
    logarithm = model.networks_["temperature"]["log"]
    with torch.no_grad():
        logarithm.fill_(-9.0)
    loss = loss_of(model, some)
    assert model._temperature().item() == pytest.approx(LOWEST_TEMPERATURE) == 0.01
    loss.backward()
    assert logarithm.grad < 0  # random codes at 0.01: a larger temperature costs less
    model._optimizer().step()
    assert model._temperature() > 0.01


def test_weight_decay_is_of_weights_alone():
    model = built(weight_decay=0.1, learning_rate=0.01)
    before = {name: w.detach().clone() for name, w in model.networks_.named_parameters()}
    optimizer = model._optimizer()
    for w in model.networks_.parameters():
        w.grad = torch.zeros_like(w)
    optimizer.step()
    for name, w in model.networks_.named_parameters():
        shrunk = (1 - 0.01 * 0.1) if name.endswith("weight") else 1.0
        torch.testing.assert_close(w.detach(), shrunk * before[name], rtol=1e-12, atol=0)
    assert "temperature.log" in before


# --- the model ----------------------------------------------------------------------------------


def test_a_code_does_not_depend_on_what_it_is_paired_with():
    data, other = views(), views(seed=1)
    model = DualEncoder(**SMALL).fit(data.image, data.text)
    S = model.similarity(data.image[:5], data.text[:4])
    replaced = np.concatenate([other.text[:3], data.text[3:4]])
    np.testing.assert_array_equal(model.similarity(data.image[:5], replaced)[:, 3], S[:, 3])
    codes = model.encode_image(data.image)
    for i in (0, 7):
        np.testing.assert_allclose(model.encode_image(data.image[i : i + 1])[0], codes[i])
    F, G = model.encode_image(data.image[:5]), model.encode_text(data.text[:4])
    unit = [Z / np.linalg.norm(Z, axis=1, keepdims=True) for Z in (F, G)]
    np.testing.assert_allclose(S, unit[0] @ unit[1].T, atol=1e-12)


def test_without_hidden_layers_the_codes_are_affine():
    data = views(100)
    model = DualEncoder(8, hidden=(), max_epochs=3, random_state=0).fit(data.image, data.text)
    a, b = data.image[:5], data.image[5:10]
    middle = (model.encode_image(a) + model.encode_image(b)) / 2
    np.testing.assert_allclose(model.encode_image((a + b) / 2), middle, atol=1e-12)


def reciprocal_rank(model, data):
    S, partner = model.similarity(data.image, data.text), pair_relevance(len(data))
    return (mean_reciprocal_rank(S, partner) + mean_reciprocal_rank(S.T, partner)) / 2


def test_partners_are_found_and_shuffled_pairing_falls_to_chance():
    train, test = views(600).split(100, random_state=0)
    chance = sum(1 / rank for rank in range(1, 101)) / 100
    model = DualEncoder(**SMALL).fit(train.image, train.text)
    assert reciprocal_rank(model, test) > 4 * chance
    shuffled = np.random.default_rng(0).permutation(len(train))
    model = DualEncoder(**SMALL).fit(train.image, train.text[shuffled])
    assert abs(reciprocal_rank(model, test) - chance) < 0.03


def test_validation_score_is_the_mean_reciprocal_rank_of_the_part_set_aside():
    model, some = built(), batch(n=30)
    with torch.no_grad():
        scores = model._scores(some)
        S = cosine_matrix(model._code(some.X, "image"), model._code(some.Y, "text")).numpy()
    partner = pair_relevance(30)
    expected = (mean_reciprocal_rank(S, partner) + mean_reciprocal_rank(S.T, partner)) / 2
    np.testing.assert_allclose(scores["validation"], expected)
    assert scores["temperature"] == pytest.approx(0.07)


def test_training_returns_to_the_best_epoch():
    data = views()
    model = DualEncoder(**SMALL).fit(data.image, data.text)
    history = model.history_["validation"]
    assert history[model.best_epoch_] == max(history)
    again = model._temperature().item()
    np.testing.assert_allclose(again, model.history_["temperature"][model.best_epoch_], rtol=1e-6)


# --- pictures and sentences ---------------------------------------------------------------------


def dots(n, seed):
    """Return pictures with one dot (1, 8, 8), and sentences of two of 16 words: row, column."""
    rng = np.random.default_rng(seed)
    row, column = rng.integers(8, size=(2, n))
    pictures = np.zeros((n, 8, 8))
    pictures[np.arange(n), row, column] = 1
    words = np.zeros((n, 3, 16))
    words[np.arange(n), 0, row] = 1
    words[np.arange(n), 1, 8 + column] = 1
    return pictures.reshape(n, -1), words.reshape(n, -1)


def test_learns_from_pixels_and_words():
    X, Y = dots(500, seed=0)
    model = DualEncoder(
        16, image_shape=(1, 8, 8), text_shape=(3, 16), batch_size=64, max_epochs=25, random_state=0
    ).fit(X, Y)
    # every place of the grid once
    pictures = np.eye(64)
    words = np.zeros((64, 3, 16))
    words[np.arange(64), 0, np.arange(64) // 8] = 1
    words[np.arange(64), 1, 8 + np.arange(64) % 8] = 1
    S = model.similarity(pictures, words.reshape(64, -1))
    assert (S.argmax(axis=1) == np.arange(64)).mean() > 0.7
    assert model.encode_image(pictures[:2] * 0).shape == (2, 16)


def test_words_in_alphabetical_order_cannot_pass_the_probes():
    words = np.eye(len(VOCABULARY))
    words[[VOCABULARY.index(word) for word in ("<pad>", "a", "of")]] = 0

    def read(part, sort):
        tokens = np.sort(part.tokens, axis=1) if sort else part.tokens
        return words[tokens].reshape(len(part), -1)

    def ink(part):
        small = part.pixels()[:, 2::4, 2::4].transpose(0, 3, 1, 2)
        return 1 - small.reshape(len(part), -1) / 255

    scenes = make_scenes(120, 2, picture_size=48, random_state=0)
    found = {}
    for sort in (True, False):
        model = DualEncoder(
            image_shape=(3, 12, 12),
            text_shape=(scenes.tokens.shape[1], len(VOCABULARY)),
            max_epochs=2,
            random_state=0,
        ).fit(ink(scenes), read(scenes, sort))

        def score(pictures, captions, model=model, sort=sort):
            return model.similarity(ink(pictures), read(captions, sort)).diagonal()

        for kind in ("swap", "rebind"):
            found[sort, kind] = score_probe(make_probe(scenes, kind), score)
    for kind in ("swap", "rebind"):
        assert found[True, kind].accuracy == 0.5
        assert found[False, kind].changed == 1


def test_pictures_and_sentences_are_not_standardised():
    X, Y = dots(60, seed=1)
    model = DualEncoder(
        8, image_shape=(1, 8, 8), text_shape=(3, 16), max_epochs=1, random_state=0
    ).fit(X, Y)
    np.testing.assert_array_equal(model.scaler_image_.transform(X), X)
    np.testing.assert_array_equal(model.scaler_text_.transform(Y), Y)


# --- what is refused ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"image_shape": (3, 2, 3)}, r"image_shape=\(3, 2, 3\) must be 3 numbers"),
        ({"text_shape": (9,)}, r"text_shape=\(9,\) must be 2 numbers"),
        ({"temperature": 0.001}, "temperature == 0.001, must be >= 0.01"),
        ({"dropout": 1.0}, "dropout == 1.0, must be < 1"),
        ({"n_components": 0}, "n_components == 0, must be >= 1"),
    ],
)
def test_bad_parameters_are_refused(parameters, message):
    data = views(40)
    with pytest.raises(ValueError, match=message):
        DualEncoder(**parameters).fit(data.image, data.text)
