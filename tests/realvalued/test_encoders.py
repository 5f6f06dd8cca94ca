"""The encoders: layers by hand, windows by a plain loop, and what must not change a code."""

import pytest
import torch
from torch import nn

from cmrlib.realvalued.encoders import (
    PictureNetwork,
    WordNetwork,
    check_shape,
    encoder_pair,
    mlp,
)


@pytest.fixture(autouse=True)
def one_thread_and_seed():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    yield
    torch.set_num_threads(before)


# --- fully connected ----------------------------------------------------------------------------


def test_layers_stand_where_they_should():
    kinds = [type(layer) for layer in mlp((5, 4, 3, 2), dropout=0.5)]
    assert kinds == [nn.Linear, nn.ReLU, nn.Dropout, nn.Linear, nn.ReLU, nn.Dropout, nn.Linear]
    assert [type(layer) for layer in mlp((5, 4, 2), nn.Tanh)] == [nn.Linear, nn.Tanh, nn.Linear]
    for dropout in (0.0, 0.5):
        assert [type(layer) for layer in mlp((5, 2), dropout=dropout)] == [nn.Linear]


def test_mlp_by_hand():
    network = mlp((2, 2, 1)).double()
    with torch.no_grad():
        network[0].weight.copy_(torch.tensor([[1.0, 0.0], [0.0, -1.0]]))
        network[0].bias.copy_(torch.tensor([0.0, 1.0]))
        network[2].weight.copy_(torch.tensor([[2.0, 3.0]]))
        network[2].bias.copy_(torch.tensor([-10.0]))
    X = torch.tensor([[4.0, 5.0], [-1.0, -2.0]], dtype=torch.float64)
    # hidden units (4, 0) and (0, 3)
    torch.testing.assert_close(network(X), torch.tensor([[-2.0], [-1.0]], dtype=torch.float64))


def test_dropout_is_of_training_alone():
    network, X = mlp((6, 50, 3), dropout=0.5), torch.randn(4, 6)
    assert not torch.equal(network(X), network(X))
    network.eval()
    assert torch.equal(network(X), network(X))


# --- pictures -----------------------------------------------------------------------------------


def picture_network(shape=(3, 12, 10), n_outputs=4):
    return PictureNetwork(shape, n_outputs, channels=(5, 6)).double()


def test_a_picture_is_read_channel_by_channel():
    network, X = picture_network(), torch.rand(2, 3, 12, 10, dtype=torch.float64)
    expected = network.head(network.convolutions(X))
    torch.testing.assert_close(network(X.reshape(2, -1)), expected)
    with torch.no_grad():
        network.convolutions[0].weight[:, 1:] = 0  # sees the first channel alone
    other = X.clone()
    other[:, 1:] = 0.3
    torch.testing.assert_close(network(other.reshape(2, -1)), network(X.reshape(2, -1)))
    other[:, 0, 5, 5] += 1
    assert not torch.allclose(network(other.reshape(2, -1)), network(X.reshape(2, -1)))


def test_a_picture_does_not_feel_its_batch_mates_even_in_training():
    network, X = picture_network().train(), torch.rand(5, 360, dtype=torch.float64)
    together = network(X)
    for i in range(5):
        torch.testing.assert_close(network(X[i : i + 1])[0], together[i])


def test_where_a_thing_is_changes_the_code():
    network = picture_network()
    X = torch.zeros(2, 3, 12, 10, dtype=torch.float64)
    X[0, :, 1:4, 1:4] = 1
    X[1, :, 7:10, 5:8] = 1
    codes = network(X.reshape(2, -1))
    assert (codes[0] - codes[1]).abs().max() > 1e-3


def test_each_convolution_halves_the_picture():
    network = PictureNetwork((1, 9, 16), 2, channels=(3, 4))
    assert network.head.in_features == 4 * 3 * 4  # 9 -> 5 -> 3 and 16 -> 8 -> 4


# --- sentences ----------------------------------------------------------------------------------


def word_network(length=6, windows=(1, 2, 3)):
    torch.manual_seed(1)
    return WordNetwork((length, 4), 3, n_filters=5, windows=windows).double()


def sentences(n_words=4, n=3):
    return torch.randn(n, n_words, 4, dtype=torch.float64)


def padded(words, length=6, before=0):
    rows = torch.zeros(len(words), length, 4, dtype=torch.float64)
    rows[:, before : before + words.shape[1]] = words
    return rows.reshape(len(words), -1)


def test_words_against_a_plain_loop():
    network, words = word_network(), sentences()
    codes = network(padded(words))
    for sentence, code in zip(words, codes, strict=True):
        found = []
        for window, convolution in zip((1, 2, 3), network.convolutions, strict=True):
            edge = torch.zeros(window - 1, 4, dtype=torch.float64)
            line = torch.cat([edge, sentence, edge])
            places = [line[i : i + window] for i in range(len(line) - window + 1)]
            for weight in convolution.weight:  # (4, window)
                seen = [float((weight.detach().T * place).sum()) for place in places]
                found.append(max([0.0, *seen]))
        expected = network.head(torch.tensor(found, dtype=torch.float64))
        torch.testing.assert_close(code, expected)


@pytest.mark.parametrize("before", [0, 1, 2])
def test_padding_changes_nothing(before):
    network, words = word_network(), sentences()
    torch.testing.assert_close(network(padded(words, before=before)), network(padded(words)))
    longer = word_network(length=11)  # the same weights
    torch.testing.assert_close(longer(padded(words, 11, before)), network(padded(words)))
    full = word_network(length=4)
    torch.testing.assert_close(full(padded(words, 4)), network(padded(words)))


def test_the_order_of_words_counts_exactly_if_a_window_is_wider_than_one():
    words = sentences()
    turned = words[:, [2, 0, 3, 1]]
    bag = word_network(windows=(1,))
    torch.testing.assert_close(bag(padded(turned)), bag(padded(words)))
    for windows in ((2,), (3,), (1, 2, 3)):
        network = word_network(windows=windows)
        difference = network(padded(turned)) - network(padded(words))
        assert difference.abs().max() > 1e-3


def test_a_sentence_does_not_feel_its_batch_mates_even_in_training():
    network, rows = word_network().train(), padded(sentences(n=5))
    together = network(rows)
    for i in range(5):
        torch.testing.assert_close(network(rows[i : i + 1])[0], together[i])


# --- both ---------------------------------------------------------------------------------------


def test_a_pair_of_encoders_reads_what_its_shapes_say():
    plain = encoder_pair(8, 6, 3, hidden=(5, 4), dropout=0.1)
    assert sorted(plain) == ["image", "text"]
    widths = [[w.in_features for w in plain[m] if isinstance(w, nn.Linear)] for m in plain]
    assert widths == [[8, 5, 4], [6, 5, 4]]
    assert all(network[2].p == 0.1 for network in plain.values())
    shaped = encoder_pair(48, 6, 3, image_shape=(3, 4, 4), text_shape=(2, 3))
    assert isinstance(shaped["image"], PictureNetwork)
    assert isinstance(shaped["text"], WordNetwork)
    mixed = encoder_pair(48, 6, 3, image_shape=(3, 4, 4))
    assert [type(layer) for layer in mixed["text"]] == [nn.Linear]
    for networks in (plain, shaped, mixed):
        p = 8 if networks is plain else 48
        assert networks["image"](torch.ones(2, p)).shape == (2, 3)
        assert networks["text"](torch.ones(2, 6)).shape == (2, 3)


def test_shapes_that_do_not_hold_the_features_are_refused():
    check_shape((3, 4, 4), 48, "image", 3)
    check_shape(None, 48, "image", 3)
    with pytest.raises(ValueError, match=r"image_shape=\(3, 4, 5\) .* product is the 48 columns"):
        check_shape((3, 4, 5), 48, "image", 3)
    with pytest.raises(ValueError, match=r"text_shape=\(2, 2, 3\) must be 2 numbers"):
        check_shape((2, 2, 3), 12, "text", 2)
