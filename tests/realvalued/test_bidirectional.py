"""DBRLM: the likelihood by hand, its threshold, both directions, unmatched pairs, convolutions."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from cmrlib.base import cosine_similarity
from cmrlib.datasets import make_hidden_signal
from cmrlib.realvalued import bidirectional
from cmrlib.realvalued._model import Batch, partner_retrieval
from cmrlib.realvalued.bidirectional import DBRLM, draw_pairs, likeliest_threshold, pair_loss
from cmrlib.realvalued.encoders import PictureNetwork, WordNetwork

SMALL = {"n_components": 8, "hidden": (32,), "batch_size": 64, "random_state": 0}


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def cosines(n=7, seed=0):
    rng = np.random.default_rng(seed)
    return torch.tensor(rng.uniform(-1, 1, size=(n, n)))


def slow_loss(S, counted, threshold, scale):
    """The likelihood of Bernoulli trials, one pair at a time."""
    total = 0.0
    for i in range(len(S)):
        for j in range(len(S)):
            probability = 1 / (1 + math.exp(-scale * (float(S[i, j]) - threshold)))
            if counted[i, j]:
                total += math.log(probability if i == j else 1 - probability)
    return -total / len(S)


def test_loss_is_the_likelihood_of_every_counted_pair():
    S = cosines()
    counted = draw_pairs(7, 3)
    for pairs in (counted, draw_pairs(7, None), draw_pairs(7, 0)):
        found = pair_loss(S, pairs, 0.3, 4.0)
        np.testing.assert_allclose(float(found), slow_loss(S, pairs, 0.3, 4.0), rtol=1e-12)


def test_gradient_is_probability_minus_truth():
    S = cosines().requires_grad_()
    counted = draw_pairs(7, 3)
    pair_loss(S, counted, 0.2, 5.0).backward()
    P = torch.sigmoid(5 * (S.detach() - 0.2))
    torch.testing.assert_close(S.grad, 5 * (P - torch.eye(7)) * counted / 7)


@pytest.mark.parametrize("scale", [0.5, 10.0, 60.0])
@pytest.mark.parametrize("n_unmatched", [1, 4, None])
def test_threshold_expects_as_many_matches_as_there_are(scale, n_unmatched):
    S = cosines(30, seed=1)
    counted = draw_pairs(30, n_unmatched)
    c = likeliest_threshold(S, counted, scale)
    expected = torch.sigmoid(scale * (S - c))[counted].sum()
    np.testing.assert_allclose(float(expected), 30, atol=1e-5)
    best = pair_loss(S, counted, c, scale)
    for step in (-0.02, 0.02):
        assert pair_loss(S, counted, c + step, scale) > best


def test_threshold_is_found_where_all_cosines_are_alike():
    # chance 1/20 for every pair: 1 / (1 + exp(-a (s - c))) = 1/20
    S = torch.full((20, 20), 0.4, dtype=torch.float64)
    c = likeliest_threshold(S, draw_pairs(20, None), 10.0)
    np.testing.assert_allclose(float(c), 0.4 + math.log(19) / 10, atol=1e-7)


def test_gradient_at_the_best_threshold_is_that_of_the_best_likelihood():
    S, counted, scale = cosines(6), draw_pairs(6, 2), 8.0

    def best(T):
        return float(pair_loss(T, counted, likeliest_threshold(T, counted, scale), scale))

    T = S.clone().requires_grad_()
    pair_loss(T, counted, likeliest_threshold(T, counted, scale), scale).backward()
    for i, j in ((0, 0), (0, 3), (4, 1), (5, 5)):
        step = torch.zeros_like(S)
        step[i, j] = 1e-5
        slope = (best(S + step) - best(S - step)) / 2e-5
        np.testing.assert_allclose(float(T.grad[i, j]), slope, atol=1e-6)
    # no push on all cosines at once, which is what starts the collapse
    np.testing.assert_allclose(float(T.grad.sum()), 0, atol=1e-6)


def test_drawn_pairs():
    torch.manual_seed(0)
    draws = torch.stack([draw_pairs(6, 2) for _ in range(3000)])
    assert draws.diagonal(dim1=1, dim2=2).all()
    assert (draws.sum(dim=2) == 3).all()
    share = draws.double().mean(dim=0)[~torch.eye(6, dtype=torch.bool)]
    np.testing.assert_allclose(share, 0.4, atol=0.04)  # 2 of 5; standard error 0.009
    assert (draw_pairs(6, 99) == draw_pairs(6, None)).all()
    assert (draw_pairs(6, 0) == torch.eye(6, dtype=torch.bool)).all()


def built(**parameters):
    """Return a model of 5 image and 5 text features with networks that nothing has trained."""
    model = DBRLM(3, hidden=(6,), dropout=0.0, **parameters)
    torch.manual_seed(0)
    model.networks_ = model._build(5, 5, 0).double()
    return model


def batch(n=9):
    rng = np.random.default_rng(3)
    X, Y = (torch.tensor(rng.normal(size=(n, 5))) for _ in range(2))
    return Batch(X, Y, None, 0.0)


def swapped(model, pairs):
    """Return the model and the pairs with images and texts exchanged."""
    own = {k: v for k, v in model.get_params().items() if k in ("n_unmatched", "direction")}
    twin = built(**own)
    twin.networks_ = torch.nn.ModuleDict(
        {"image": model.networks_["text"], "text": model.networks_["image"]}
    )
    return twin, Batch(pairs.Y, pairs.X, None, 0.0)


@pytest.mark.parametrize("n_unmatched", [3, None])
def test_exchanging_images_and_texts_exchanges_the_directions(n_unmatched, monkeypatch):
    counted = draw_pairs(9, n_unmatched)
    monkeypatch.setattr(bidirectional, "draw_pairs", lambda *_: counted)
    model, pairs = built(n_unmatched=n_unmatched), batch()
    twin, exchanged = swapped(model, pairs)
    terms, other = model._losses(pairs), twin._losses(exchanged)
    torch.testing.assert_close(terms["image->text"], other["text->image"])
    torch.testing.assert_close(terms["text->image"], other["image->text"])
    torch.testing.assert_close(sum(terms.values()), sum(other.values()))
    if n_unmatched is not None:  # rows of the draw are queries of either side
        difference = float((terms["image->text"] - terms["text->image"]).detach())
        assert abs(difference) > 1e-3


def test_the_side_that_asks_has_a_row_of_candidates(monkeypatch):
    counted = torch.eye(9, dtype=torch.bool)
    counted[0] = True  # query 0 has all candidates, the others have none
    monkeypatch.setattr(bidirectional, "draw_pairs", lambda *_: counted)
    model, pairs = built(threshold=0.1), batch()
    F, G = (model.networks_[m](V).detach() for m, V in (("image", pairs.X), ("text", pairs.Y)))
    S = torch.tensor(cosine_similarity(F.numpy(), G.numpy()))
    for direction, T in (("image->text", S), ("text->image", S.T)):
        found = 2 * float(model._losses(pairs)[direction].detach())
        np.testing.assert_allclose(found, slow_loss(T, counted, 0.1, 10.0), rtol=1e-9)


def test_with_all_pairs_both_directions_are_one_sum():
    model, pairs = built(), batch()
    terms = model._losses(pairs)
    torch.testing.assert_close(terms["image->text"], terms["text->image"])
    S = torch.tensor(
        cosine_similarity(
            model.networks_["image"](pairs.X).detach().numpy(),
            model.networks_["text"](pairs.Y).detach().numpy(),
        )
    )
    everything = draw_pairs(9, None)
    whole = slow_loss(S, everything, float(likeliest_threshold(S, everything, 10.0)), 10.0)
    np.testing.assert_allclose(float(sum(terms.values()).detach()), whole, rtol=1e-6)


def test_drawn_candidates_belong_to_the_side_that_asks():
    # text 0 alone is like every image: as candidate it hurts images that draw it, and as a query
    # it draws n_unmatched images, no more
    S = torch.zeros(40, 40, dtype=torch.float64)
    S[:, 0] = 1.0
    torch.manual_seed(0)
    rows = [float(pair_loss(S, draw_pairs(40, 1), 0.5, 20.0)) for _ in range(400)]
    columns = [float(pair_loss(S.T, draw_pairs(40, 1), 0.5, 20.0)) for _ in range(400)]
    assert np.std(columns) < 1e-12
    assert np.std(rows) > 0.1


def test_one_direction_alone_is_a_term_of_both():
    pairs = batch()
    both = built()._losses(pairs)
    for direction in ("image->text", "text->image"):
        alone = built(direction=direction)._losses(pairs)
        assert list(alone) == [direction]
        torch.testing.assert_close(alone[direction], 2 * both[direction])


class ToTheEnd(DBRLM):
    """Keeps the networks of the last epoch: what the loss asks for in the end."""

    def _scores(self, batch):
        self.epoch = getattr(self, "epoch", 0) + 1
        return {"validation": float(self.epoch)}


def test_without_unmatched_pairs_all_codes_become_one():
    data = make_hidden_signal(300, 14, 12, n_nuisance=4, random_state=1)
    found = {}
    for n_unmatched, threshold in ((0, 1.0), (None, None)):
        model = ToTheEnd(**SMALL, n_unmatched=n_unmatched, threshold=threshold, max_epochs=40)
        S = model.fit(data.image, data.text).similarity(data.image, data.text)
        others = S[~np.eye(300, dtype=bool)].mean()
        found[n_unmatched] = others, S.diagonal().mean() - others
    assert found[0][0] > 0.95  # pairs and strangers alike
    assert found[0][1] < 0.05
    assert found[None][1] > 0.3


def test_retrieval_needs_the_true_pairs():
    # settings found on the draws of other seeds
    data = make_hidden_signal(600, 14, 12, n_nuisance=4, random_state=2)
    train, test = data.split(test_size=200, random_state=0)
    shuffled = np.random.default_rng(0).permutation(len(train))
    scores = []
    for text in (train.text, train.text[shuffled]):
        model = DBRLM(**SMALL, max_epochs=20).fit(train.image, text)
        codes = model.encode_image(test.image), model.encode_text(test.text)
        scores.append(partner_retrieval(*(torch.tensor(code) for code in codes)))
    chance = sum(1 / rank for rank in range(1, 201)) / 200
    assert scores[0] > 0.2
    assert scores[1] < 2 * chance


def test_same_seed_same_candidates():
    data = make_hidden_signal(120, 14, 12, n_nuisance=4, random_state=0)
    models = [
        DBRLM(**SMALL, n_unmatched=4, max_epochs=3).fit(data.image, data.text) for _ in range(2)
    ]
    assert models[0].history_ == models[1].history_
    assert set(models[0].history_) == {"image->text", "text->image", "validation"}


# --- the convolutions ---------------------------------------------------------------------------


def test_maps_move_with_the_picture():
    torch.manual_seed(0)
    network = PictureNetwork((2, 32, 32), 4, channels=(3, 5)).double()
    picture = torch.zeros(1, 2, 32, 32, dtype=torch.float64)
    picture[:, :, 8:14, 8:14] = torch.rand(2, 6, 6, dtype=torch.float64)
    moved = torch.roll(picture, (4, 8), dims=(2, 3))  # two layers of stride 2: one cell is 4 pixels
    maps = [network.convolutions[:-1](x) for x in (picture, moved)]
    # but for the margin, where the zeros beyond the edge are felt
    torch.testing.assert_close(maps[0][..., 1:-2, 1:-3], maps[1][..., 2:-1, 3:-1])
    assert (maps[0] - maps[1]).abs().max() > 0.1


def test_words_in_another_order_are_another_sentence():
    torch.manual_seed(0)
    words = torch.eye(5)[[0, 1, 2, 3]]
    orders = torch.stack([words, words[[2, 1, 0, 3]], words[[3, 2, 1, 0]]]).reshape(3, -1)
    codes = WordNetwork((4, 5), 6)(orders)
    assert (codes[0] - codes[1]).abs().max() > 0.01
    alone = WordNetwork((4, 5), 6, windows=(1,))(orders)  # a bag of words
    torch.testing.assert_close(alone[0], alone[1])


def test_pictures_and_sentences_are_read():
    rng = np.random.default_rng(0)
    subject, order = rng.integers(3, size=(2, 160))
    X = np.zeros((160, 1, 6, 6))
    X[np.arange(160), 0, 2 * order, 2 * subject] = 1
    Y = np.zeros((160, 2, 6))
    Y[np.arange(160), 0, subject] = Y[np.arange(160), 1, 3 + order] = 1
    model = DBRLM(8, image_shape=(1, 6, 6), text_shape=(2, 6), batch_size=32, max_epochs=30,
                  random_state=0).fit(X.reshape(160, -1), Y.reshape(160, -1))  # fmt: skip
    assert isinstance(model.networks_["image"], PictureNetwork)
    assert isinstance(model.networks_["text"], WordNetwork)
    best = model.similarity(X.reshape(160, -1), Y.reshape(160, -1)).argmax(axis=1)
    # nine different pairs, each many times
    assert np.mean((subject[best] == subject) & (order[best] == order)) == 1


# --- refusals -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"n_unmatched": 0}, "n_unmatched=0 leaves no threshold"),
        ({"n_unmatched": -1}, "n_unmatched"),
        ({"direction": "image"}, "direction must be 'both'"),
        ({"scale": 0.0}, "scale"),
        ({"batch_size": 1}, "batch_size"),
        ({"dropout": 1.0}, "dropout"),
        ({"n_components": 0}, "n_components"),
        ({"image_shape": (1, 2, 6)}, "product is the 14 columns of image"),
        ({"text_shape": (5, 3)}, "product is the 12 columns of text"),
    ],
)
def test_refuses(parameters, message):
    data = make_hidden_signal(60, 14, 12, n_nuisance=4, random_state=0)
    with pytest.raises(ValueError, match=message):
        DBRLM(**parameters).fit(data.image, data.text)
