"""Recurrent encoders against a reader in NumPy that goes token by token, and what defines each."""

import re

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from cmrlib.datasets import load_emoji
from cmrlib.features import recurrent
from cmrlib.features.recurrent import RecurrentEncoder, tokenize
from cmrlib.features.typos import add_typos

CELLS = ["rnn", "lstm", "gru"]
TEXTS = [
    "dog",
    "dog bites man",
    "man bites dog",
    "a red cat, and a blue cat!",
    "man sees a cat that sees a dog that bites a man",
    "blue dog",
    "red man sleeps",
    "a cat sleeps",
    "zebra?",
    "dog and man",
]
TARGETS = np.random.default_rng(0).normal(size=(len(TEXTS), 3))


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def small(cell="lstm", level="word", **parameters):
    parameters = {"n_embedding": 4, "n_hidden": 5, "max_epochs": 2, "random_state": 0} | parameters
    return RecurrentEncoder(cell, level, **parameters)


# --- a reader in NumPy ------------------------------------------------------------------------


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def parameters_of(encoder, suffix=""):
    module = encoder.network_.recurrent
    names = ("weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0")
    return [getattr(module, name + suffix).detach().double().numpy() for name in names]


def step(cell, x, h, c, W, U, b, d):
    """Return the next (h, c); torch stacks gates as i, f, g, o (LSTM) and r, z, n (GRU)."""
    if cell == "rnn":
        return np.tanh(W @ x + b + U @ h + d), c
    if cell == "lstm":
        i, f, g, o = np.split(W @ x + b + U @ h + d, 4)
        c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
        return sigmoid(o) * np.tanh(c), c
    (x_r, x_z, x_n), (h_r, h_z, h_n) = np.split(W @ x + b, 3), np.split(U @ h + d, 3)
    z = sigmoid(x_z + h_z)
    return (1 - z) * np.tanh(x_n + sigmoid(x_r + h_r) * h_n) + z * h, c


def read(encoder, text):
    """Return the states (T, d) of a text, one direction after the other, token by token."""
    E = encoder.network_.embedding.weight.detach().double().numpy()
    unknown = encoder.vocabulary_["<unk>"]
    tokens = tokenize(text, encoder.level)
    x = [E[encoder.vocabulary_.get(token, unknown)] for token in tokens]
    directions = []
    for suffix in ("", "_reverse")[: 1 + encoder.bidirectional]:
        h = c = np.zeros(encoder.n_hidden)
        H = []
        for vector in x[::-1] if suffix else x:
            h, c = step(encoder.cell, vector, h, c, *parameters_of(encoder, suffix))
            H.append(h)
        directions.append(H[::-1] if suffix else H)
    return np.hstack(directions)


def pool(encoder, H):
    if encoder.pooling == "mean":
        return H.mean(axis=0)
    h = encoder.n_hidden
    return np.concatenate([H[-1, :h], H[0, h:]])  # the last of each direction


@pytest.mark.parametrize("pooling", ["mean", "last"])
@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("level", ["word", "character"])
@pytest.mark.parametrize("cell", CELLS)
def test_states_and_vectors_are_those_of_a_reader_without_batches(
    cell, level, bidirectional, pooling
):
    encoder = small(cell, level, bidirectional=bidirectional, pooling=pooling).fit(TEXTS, TARGETS)
    texts = [*TEXTS, "cat", "a cow: unknown words", "x" * 50]
    states = encoder.states(texts)
    for text, H, vector in zip(texts, states, encoder.transform(texts), strict=True):
        expected = read(encoder, text)
        assert H.dtype == vector.dtype == np.float32
        np.testing.assert_allclose(H, expected, atol=1e-6)
        np.testing.assert_allclose(vector, pool(encoder, expected), atol=1e-6)


# --- batches ----------------------------------------------------------------------------------


@pytest.mark.parametrize("cell", CELLS)
def test_neither_padding_nor_batch_mates_nor_batch_limits_change_a_vector(cell, monkeypatch):
    encoder = small(cell, bidirectional=True).fit(TEXTS)
    together = encoder.transform(TEXTS)
    alone = np.vstack([encoder.transform([text]) for text in TEXTS])
    np.testing.assert_allclose(together, alone, atol=1e-6)
    order = np.random.default_rng(0).permutation(len(TEXTS))
    mixed = encoder.transform([TEXTS[i] for i in order] + ["long " * 300])
    np.testing.assert_allclose(mixed[:-1], together[order], atol=1e-6)
    monkeypatch.setattr(recurrent, "_TOKENS", 10)
    np.testing.assert_allclose(encoder.transform(TEXTS), together, atol=1e-6)


def test_batches_hold_every_text_once_and_stay_small(monkeypatch):
    monkeypatch.setattr(recurrent, "_TOKENS", 100)
    lengths = np.random.default_rng(0).integers(1, 40, size=200).tolist() + [1000]
    batches = list(recurrent._batches([torch.zeros(n) for n in lengths]))
    assert sorted(i for batch in batches for i in batch) == list(range(201))
    areas = [len(batch) * max(lengths[i] for i in batch) for batch in batches]
    assert max(areas[:-1]) <= 100 and batches[-1] == [200]  # the longest text is alone


def test_a_very_long_text_and_no_texts():
    encoder = small("rnn", "character").fit(TEXTS)
    assert np.isfinite(encoder.transform(["dog " * 30_000, "dog"])).all()
    assert encoder.transform([]).shape == (0, 5) and encoder.states([]) == []


# --- tokens -----------------------------------------------------------------------------------


def test_tokens():
    assert tokenize("A dog's  o-ring\n!", "word") == ["a", "dog", "'", "s", "o", "-", "ring", "!"]
    assert tokenize("A  dog\n!", "character") == list("a dog !")
    for level in ("word", "character"):  # what is not blank has a token
        assert tokenize(" ★ ", level) == ["★"]


def test_vocabulary_is_of_the_texts_not_set_aside():
    texts = [f"word{i}" for i in range(50)]
    encoder = small(validation_size=0.2).fit(texts)
    held_out = np.random.RandomState(0).permutation(50)[:10]
    assert set(encoder.vocabulary_) - {"<unk>", "<edge>"} == {
        text for i, text in enumerate(texts) if i not in held_out
    }
    assert sorted(encoder.vocabulary_.values()) == list(range(42))


def test_unknown_tokens_share_one_vector_which_is_learnt():
    encoder = small().fit(TEXTS)
    a, b, c = encoder.transform(["dog qqq", "dog www", "dog man"])
    assert (a == b).all() and not np.allclose(a, c, atol=1e-3)
    rows = {}
    for rate in (0.0, 0.5):
        fits = [small(unknown_rate=rate, max_epochs=n).fit(TEXTS) for n in (1, 4)]
        rows[rate] = [fit.network_.embedding.weight[0].detach().numpy() for fit in fits]
    np.testing.assert_array_equal(*rows[0.0])  # never met in training, it stays where it began
    assert not np.allclose(*rows[0.5], atol=1e-3)


def test_a_character_model_knows_new_words_of_old_letters():
    encoder = small(level="character").fit(TEXTS)
    new = encoder.transform(["bold", "sand", "drama"])
    assert min(np.linalg.norm(new[i] - new[j]) for i, j in [(0, 1), (0, 2), (1, 2)]) > 1e-3
    a, b = encoder.transform(["dog★", "dog☃"])  # but letters that it never met are one to it
    assert (a == b).all()


# --- what defines each network ----------------------------------------------------------------


@pytest.mark.parametrize("pooling", ["mean", "last"])
@pytest.mark.parametrize("cell", CELLS)
def test_order_matters(cell, pooling):
    encoder = small(cell, pooling=pooling).fit(TEXTS)
    ab, ba = encoder.transform(["dog man", "man dog"])
    assert np.linalg.norm(ab - ba) > 1e-2


def jacobian(function, at):
    J = torch.autograd.functional.jacobian(function, at)
    return J.reshape(at.numel(), at.numel()).numpy()


def long_input(encoder, T):
    x = torch.randn(T, encoder.n_embedding, generator=torch.Generator().manual_seed(1))
    return x.double()


def test_gradient_of_the_rnn_is_bounded_by_powers_of_the_norm_of_U():
    encoder = small("rnn").fit(TEXTS)
    module = encoder.network_.recurrent.double()
    with torch.no_grad():  # from a shrinking to an expanding map
        U = module.weight_hh_l0 / torch.linalg.matrix_norm(module.weight_hh_l0, 2)
    for scale in (0.5, 0.9, 1.5):
        module.weight_hh_l0.data = scale * U
        for T in (1, 5, 20):
            x = long_input(encoder, T)
            J = jacobian(lambda h, x=x: module(x, h)[0][-1], torch.zeros(1, 5).double())
            assert 0 < np.linalg.norm(J, 2) <= scale**T


def set_gates(module, n_hidden, values):
    """Hold gates at a constant: no weights, and a bias at which the sigmoid is exactly 0 or 1."""
    with torch.no_grad():
        for gate, value in values.items():
            rows = slice(gate * n_hidden, (gate + 1) * n_hidden)
            for name in ("weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0"):
                getattr(module, name)[rows] = 0
            module.bias_ih_l0[rows] = 1000 if value else -1000


def test_an_lstm_with_open_forget_gate_carries_its_cell_and_its_gradient_unchanged():
    encoder = small("lstm").fit(TEXTS)
    module = encoder.network_.recurrent.double()
    set_gates(module, 5, {0: 0, 1: 1})  # i = 0, f = 1
    x, h = long_input(encoder, 100), torch.zeros(1, 5).double()
    c = torch.randn(1, 5, generator=torch.Generator().manual_seed(2)).double()
    assert (module(x, (h, c))[1][1] == c).all()
    J = jacobian(lambda c: module(x, (h, c))[1][1], c)
    np.testing.assert_array_equal(J, np.eye(5))


def test_the_gru_copies_its_state_at_z_1_and_forgets_it_at_r_0_z_0():
    encoder = small("gru").fit(TEXTS)
    module = encoder.network_.recurrent.double()
    x = long_input(encoder, 100)
    h = torch.randn(1, 5, generator=torch.Generator().manual_seed(2)).double()
    set_gates(module, 5, {1: 1})  # torch's order is r, z, n
    copied = module(x, h)[1].detach().numpy()  # n + z (h - n), with rounding
    np.testing.assert_allclose(copied, h.numpy(), rtol=1e-13)
    set_gates(module, 5, {0: 0, 1: 0})
    np.testing.assert_array_equal(*(module(x, s * h)[1].detach().numpy() for s in (1, -3)))
    set_gates(module, 5, {0: 1, 1: 0})  # and with r = 1 it matters
    a, b = (module(x[:3], s * h)[1].detach().numpy() for s in (1, -3))
    assert not np.allclose(a, b, atol=1e-3)


@pytest.mark.parametrize("pooling", ["mean", "last"])
@pytest.mark.parametrize("cell", CELLS)
def test_reversing_a_text_swaps_the_halves_under_tied_weights(cell, pooling):
    encoder = small(cell, bidirectional=True, pooling=pooling).fit(TEXTS)
    module = encoder.network_.recurrent
    for name in ("weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0"):
        getattr(module, name + "_reverse").data = getattr(module, name).data.clone()
    there, back = encoder.transform(["dog bites man a cat", "cat a man bites dog"])
    assert not np.allclose(there, back, atol=1e-3)
    np.testing.assert_allclose(np.roll(there, 5), back, atol=1e-6)


@pytest.mark.parametrize("bidirectional", [False, True])
def test_only_a_bidirectional_state_depends_on_what_follows(bidirectional):
    encoder = small(bidirectional=bidirectional).fit(TEXTS)
    a, b = encoder.states(["dog bites man", "dog bites cat"])
    np.testing.assert_array_equal(a[:2, :5], b[:2, :5])  # the forward half has not read on
    assert bidirectional == (not np.allclose(a[:2], b[:2], atol=1e-4))


def test_the_lstm_remembers_the_first_word_where_the_rnn_forgets_it():
    """As the adding problem, in words: the target is said at the start, then 40 words of noise."""
    rng = np.random.default_rng(0)
    first = rng.integers(2, size=600)
    noise = rng.choice(["one", "two", "three"], size=(600, 40))
    texts = [" ".join([("red", "blue")[k], *row]) for k, row in zip(first, noise, strict=True)]
    targets = np.stack([2 * first - 1, 1 - 2 * first], axis=1)
    losses = {}
    for cell in ("rnn", "lstm"):
        encoder = RecurrentEncoder(
            cell, pooling="last", dropout=0, n_hidden=32, max_epochs=12, patience=12, random_state=0
        )
        losses[cell] = min(encoder.fit(texts, targets).history_["validation"])
    assert losses["lstm"] < 0.05  # 1 - cos
    assert losses["rnn"] > 0.7  # a guess costs 1


def test_a_typo_stays_near_its_word_for_characters_and_not_for_words():
    captions = load_emoji().captions[::4]
    words = sorted({w for text in captions for w in re.findall("[a-z]{5,}", text)})[:300]
    spoilt = add_typos(words, random_state=0)
    shares = {}
    for level in ("word", "character"):
        encoder = RecurrentEncoder(level=level, n_hidden=32, max_epochs=3, random_state=0)
        encoder.fit(captions)
        A, B = encoder.transform(words), encoder.transform(spoilt)
        A, B = (
            Z / np.linalg.norm(Z, axis=1, keepdims=True) for Z in (A - A.mean(0), B - A.mean(0))
        )
        S = B @ A.T  # row: typo; the word that it was, against a random other
        shares[level] = np.mean((np.diag(S)[:, None] > S).sum(axis=1) / (len(words) - 1))
    assert shares["character"] > 0.95
    assert shares["word"] < 0.6  # all typos are one unknown word: as near to any as to the right


# --- training ---------------------------------------------------------------------------------


def log_softmax(z):
    z = z - z.max()
    return z - np.log(np.exp(z).sum())


def validation_loss(encoder, texts, targets):
    """Return the loss on the texts set aside, from its definition."""
    order = np.random.RandomState(encoder.random_state).permutation(len(texts))
    n_validation = max(1, round(encoder.validation_size * len(texts)))
    held_out, rest = order[:n_validation], order[n_validation:]
    heads = [
        (head.weight.detach().double().numpy(), head.bias.detach().double().numpy())
        for head in encoder.network_.heads
    ]
    losses = []
    for i in held_out:
        H = read(encoder, texts[i])
        if targets is None:
            numbers = [encoder.vocabulary_.get(t, 0) for t in tokenize(texts[i], encoder.level)]
            for t in range(len(numbers)):
                after = numbers[t + 1] if t + 1 < len(numbers) else 1
                before = numbers[t - 1] if t else 1
                for half, (W, b), token in zip(
                    np.split(H[t], len(heads)), heads, (after, before), strict=False
                ):
                    losses.append(-log_softmax(W @ half + b)[token])
        else:
            W, b = heads[0]
            predicted = W @ pool(encoder, H) + b
            goal = (targets[i] - targets[rest].mean(axis=0)) / targets[rest].std(axis=0)
            norms = np.linalg.norm(predicted) * np.linalg.norm(goal)
            losses.append(1 - predicted @ goal / norms)
    return np.mean(losses)


@pytest.mark.parametrize("targets", [None, TARGETS], ids=["next token", "targets"])
@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("level", ["word", "character"])
def test_network_is_that_of_the_epoch_with_the_lowest_validation_loss(
    level, bidirectional, targets
):
    encoder = small(
        level=level, bidirectional=bidirectional, validation_size=0.4, max_epochs=40, patience=3,
        learning_rate=0.05,
    ).fit(TEXTS, targets)  # fmt: skip
    curve = encoder.history_["validation"]
    assert encoder.best_epoch_ == np.argmin(curve)
    assert len(curve) == len(encoder.history_["train"]) == min(40, encoder.best_epoch_ + 4)
    np.testing.assert_allclose(validation_loss(encoder, TEXTS, targets), min(curve), atol=1e-5)


@pytest.mark.parametrize("bidirectional", [False, True])
def test_next_token_loss_reaches_the_entropy_of_a_known_source(bidirectional):
    """A letter repeats with probability 0.9: no model predicts better than its entropy."""
    rng = np.random.default_rng(0)
    changes = np.cumsum(rng.random((300, 60)) < 0.1, axis=1) + rng.integers(2, size=(300, 1))
    texts = ["".join("ab"[k] for k in row % 2) for row in changes]
    encoder = RecurrentEncoder(
        "gru", "character", bidirectional, unknown_rate=0, max_epochs=6, random_state=0
    ).fit(texts)
    entropy = -(0.9 * np.log(0.9) + 0.1 * np.log(0.1))
    end = np.log(60) / 60  # what the end costs at most, once in 60 letters
    assert entropy - 0.04 < min(encoder.history_["validation"]) < entropy + end + 0.04


def test_same_seed_same_result_and_the_global_generator_is_left_alone():
    torch.manual_seed(5)
    before = torch.get_rng_state()
    a, b, c = (small(random_state=s).fit(TEXTS).transform(TEXTS) for s in (0, 0, 1))
    assert (torch.get_rng_state() == before).all()
    np.testing.assert_array_equal(a, b)
    assert not np.allclose(a, c, atol=1e-3)


def test_scaling_and_shifting_the_targets_changes_nothing():
    a = small().fit(TEXTS, TARGETS).transform(TEXTS)
    b = small().fit(TEXTS, 100 * TARGETS - 7).transform(TEXTS)
    np.testing.assert_allclose(a, b, atol=1e-4)


def test_targets_teach_what_they_know_and_nothing_if_they_are_permuted():
    """Two made-up words, used alike, with opposite pictures."""
    rng = np.random.default_rng(0)
    blick = rng.integers(2, size=200)
    texts = [f"a very nice {('dax', 'blick')[k]}" for k in blick]
    targets = np.stack([2 * blick - 1, 1 - 2 * blick], axis=1)
    losses = [
        min(small(max_epochs=40, patience=40).fit(texts, goal).history_["validation"])
        for goal in (targets, rng.permutation(targets))
    ]
    assert losses[0] < 0.01
    assert losses[1] > 0.5


def test_it_is_a_transformer_of_scikit_learn():
    encoder = small("gru", "character", n_hidden=7)
    copy = clone(encoder)
    assert copy.get_params() == encoder.get_params()
    np.testing.assert_array_equal(copy.fit_transform(TEXTS), encoder.fit(TEXTS).transform(TEXTS))


def test_progress_bar(capsys):
    small().fit(TEXTS)
    assert capsys.readouterr().err == ""
    small(verbose=True).fit(TEXTS)
    assert "RecurrentEncoder" in capsys.readouterr().err


# --- what is refused --------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["fit", "transform", "states"])
def test_bad_texts_are_refused_by_name(method):
    call = getattr(small().fit(TEXTS), method)
    for bad, error, message in [
        ("one text", TypeError, "got a single string"),
        (["dog", None], TypeError, "text 1 is not a string but NoneType"),
        (["dog", "cat", b"dog"], TypeError, "text 2 is not a string but bytes"),
        (["dog", ""], ValueError, "text 1 is empty"),
        (["dog", "cat", " \n"], ValueError, "text 2 is empty"),
    ]:
        with pytest.raises(error, match=message):
            call(bad)


def test_bad_targets_are_refused_and_the_earlier_fit_is_kept():
    encoder = small().fit(TEXTS, TARGETS)
    before = encoder.transform(TEXTS)
    for bad, message in [
        (TARGETS[:-1], "10 texts and 9 targets"),
        (TARGETS[:, 0], "targets must be 2-d"),
        (np.full((10, 2), np.nan), "NaN"),
        (np.ones((10, 2)), "constant"),
    ]:
        with pytest.raises(ValueError, match=message):
            encoder.fit(TEXTS, bad)
    with pytest.raises(ValueError, match="at least 2 texts"):
        encoder.fit(["dog"])
    np.testing.assert_array_equal(encoder.transform(TEXTS), before)


@pytest.mark.parametrize(
    "parameters",
    [
        {"cell": "transformer"},
        {"level": "sentence"},
        {"pooling": "max"},
        {"n_hidden": 0},
        {"dropout": 1.0},
        {"unknown_rate": -0.1},
        {"validation_size": 0.0},
        {"max_epochs": 0},
    ],
)
def test_bad_parameters_are_refused(parameters):
    with pytest.raises(ValueError, match=next(iter(parameters))):
        small(**parameters).fit(TEXTS)


def test_unfitted():
    for method in (small().transform, small().states):
        with pytest.raises(NotFittedError):
            method(TEXTS)
