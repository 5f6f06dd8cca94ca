"""Losses against plain loops, hand values and their gradients."""

import numpy as np
import pytest
import torch

from cmrlib.realvalued.losses import (
    cosine_matrix,
    hardest_hinge,
    info_nce,
    label_cross_entropy,
    modality_accuracy,
    modality_cross_entropy,
    pair_distance,
    reconstruction,
    reverse_gradient,
    triplet_hinge,
)


def tensor(values):
    return torch.tensor(values, dtype=torch.float64)


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def test_cosine_matrix(rng):
    F, G = rng.normal(size=(4, 3)), rng.normal(size=(5, 3))
    expected = [[f @ g / np.linalg.norm(f) / np.linalg.norm(g) for g in G] for f in F]
    np.testing.assert_allclose(cosine_matrix(tensor(F), tensor(G)), expected, atol=1e-12)


def test_pair_distance_by_hand():
    F, G = tensor([[0.0, 0.0], [1.0, 2.0]]), tensor([[3.0, 4.0], [1.0, 0.0]])
    assert pair_distance(F, G).item() == (25 + 4) / 2  # squared lengths of (3, 4) and (0, 2)
    assert reconstruction(F, G).item() == (25 + 4) / 2


# ranking


def slow_triplets(S, margin, relevant):
    """Return the triplet hinge as it is written: for every query, positive and negative."""
    total = 0.0
    for M, P in ((S, relevant), (S.T, relevant.T)):
        for query in range(len(M)):
            positives, negatives = np.flatnonzero(P[query]), np.flatnonzero(~P[query])
            for j in positives:
                hinges = [max(0, margin - M[query, j] + M[query, k]) for k in negatives]
                total += sum(hinges) / len(positives) / len(M)
    return total


def test_triplet_hinge_by_hand():
    # by image: [.2 - .9 + .8]_+ = .1 and [.2 - .5 + .1]_+ = 0; by text: [.2 - .9 + .1]_+ = 0 and
    # [.2 - .5 + .8]_+ = .5; means .05 and .25
    S = tensor([[0.9, 0.8], [0.1, 0.5]])
    assert triplet_hinge(S, 0.2).item() == pytest.approx(0.3)
    assert hardest_hinge(S, 0.2).item() == pytest.approx(0.3)  # a single negative is the hardest


def test_triplet_hinge_against_loops(rng):
    S = rng.uniform(-1, 1, size=(7, 7))
    value = triplet_hinge(tensor(S), 0.3).item()
    assert value == pytest.approx(slow_triplets(S, 0.3, np.eye(7, dtype=bool)))


def test_triplet_hinge_with_labels_against_loops(rng):
    S, labels = rng.uniform(-1, 1, size=(8, 8)), np.array([0, 0, 1, 1, 1, 2, 0, 2])
    relevant = labels[:, None] == labels
    value = triplet_hinge(tensor(S), 0.3, torch.tensor(relevant)).item()
    assert value == pytest.approx(slow_triplets(S, 0.3, relevant))


def test_triplet_hinge_with_one_class_is_zero(rng):
    S = tensor(rng.uniform(-1, 1, size=(4, 4)))
    assert triplet_hinge(S, 0.3, torch.ones(4, 4, dtype=torch.bool)).item() == 0


def test_hardest_hinge_against_loops(rng):
    S = rng.uniform(-1, 1, size=(6, 6))
    total = 0.0
    for i in range(6):
        others = [k for k in range(6) if k != i]
        total += max(0, 0.3 - S[i, i] + max(S[i, k] for k in others))
        total += max(0, 0.3 - S[i, i] + max(S[k, i] for k in others))
    assert hardest_hinge(tensor(S), 0.3).item() == pytest.approx(total / 6)


def test_hardest_hinge_gives_gradient_to_the_hardest_only():
    S = tensor([[0.5, 0.45, 0.4], [0.0, 0.9, 0.0], [0.0, 0.0, 0.9]]).requires_grad_()
    hardest_hinge(S, 0.2).backward()
    expected = np.zeros((3, 3))
    expected[0, 0], expected[0, 1] = -1 / 3, 1 / 3  # one query violates, by image
    np.testing.assert_allclose(S.grad, expected, atol=1e-12)


@pytest.mark.parametrize("loss", [triplet_hinge, hardest_hinge, info_nce])
def test_ranking_losses_treat_both_directions_alike(rng, loss):
    S = tensor(rng.uniform(-1, 1, size=(6, 6)))
    assert loss(S).item() == pytest.approx(loss(S.T).item(), rel=1e-12)


def test_info_nce_against_loops(rng):
    S = rng.uniform(-1, 1, size=(5, 5))
    total = 0.0
    for i in range(5):
        total -= np.log(np.exp(S[i, i] / 0.1) / sum(np.exp(S[i, j] / 0.1) for j in range(5)))
        total -= np.log(np.exp(S[i, i] / 0.1) / sum(np.exp(S[j, i] / 0.1) for j in range(5)))
    assert info_nce(tensor(S), 0.1).item() == pytest.approx(total / 10)


def test_info_nce_of_equal_similarities_is_log_n():
    assert info_nce(torch.zeros(7, 7), 0.1).item() == pytest.approx(np.log(7))


# labels


def test_label_cross_entropy_by_hand():
    logits = tensor([[0.0, np.log(3.0)], [0.0, 0.0]])
    single = label_cross_entropy(logits, torch.tensor([1, 0])).item()
    assert single == pytest.approx(-(np.log(3 / 4) + np.log(1 / 2)) / 2)
    # logistic of log 3 is 3/4, of 0 is 1/2: item 1 has labels (0, 1), item 2 has (1, 1)
    several = label_cross_entropy(logits, torch.tensor([[0, 1], [1, 1]])).item()
    assert several == pytest.approx(-(np.log(1 / 2) + np.log(3 / 4) + 2 * np.log(1 / 2)) / 2)


# adversary


def test_reverse_gradient_is_the_identity_forwards_and_minus_scale_backwards(rng):
    x = tensor(rng.normal(size=(3, 2))).requires_grad_()
    weights = tensor(rng.normal(size=(3, 2)))
    y = reverse_gradient(x, 0.7)
    np.testing.assert_array_equal(y.detach(), x.detach())
    (y * weights).sum().backward()
    np.testing.assert_allclose(x.grad, -0.7 * weights)


def test_one_step_moves_both_players():
    """The discriminator's gradient is that of its loss, the encoder's has the opposite sign."""
    w, d = tensor([2.0]).requires_grad_(), tensor([0.5]).requires_grad_()

    def loss(code):
        return modality_cross_entropy(d * code, d * tensor([1.0]))

    plain_w, plain_d = torch.autograd.grad(loss(w * tensor([1.0])), (w, d))
    game_w, game_d = torch.autograd.grad(loss(reverse_gradient(w * tensor([1.0]))), (w, d))
    assert game_d.item() == plain_d.item()
    assert game_w.item() == -plain_w.item()
    assert plain_w.item() != 0


def test_modality_cross_entropy_against_the_formula(rng):
    a, b = rng.normal(size=5), rng.normal(size=4)
    probability = [1 / (1 + np.exp(-scores)) for scores in (a, b)]
    expected = -(np.log(probability[0]).mean() + np.log(1 - probability[1]).mean()) / 2
    assert modality_cross_entropy(tensor(a), tensor(b)).item() == pytest.approx(expected)
    assert modality_cross_entropy(tensor([[0.0]]), tensor([[0.0]])).item() == pytest.approx(
        np.log(2)
    )


def test_modality_accuracy_weighs_both_modalities_alike():
    assert modality_accuracy(tensor([1.0, 2.0, -1.0, 3.0]), tensor([-1.0])) == (3 / 4 + 1) / 2
    assert modality_accuracy(tensor([0.0]), tensor([0.0])) == 0  # undecided is not right
