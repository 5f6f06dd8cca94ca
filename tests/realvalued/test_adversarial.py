"""Adversarial methods: the losses against loops, both players, and what each term is for."""

from __future__ import annotations

from dataclasses import replace
from itertools import count
from math import exp, log, sqrt

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from torch import nn
from torch.nn import functional

from cmrlib.datasets import PairedDataset, make_hidden_signal
from cmrlib.evaluation import label_relevance, mean_average_precision
from cmrlib.realvalued._model import Batch
from cmrlib.realvalued.adversarial import (
    ACMR,
    MS2GAN,
    UCAL,
    euclidean_distances,
    intermodal_invariance,
    reversal_schedule,
    share_label,
)
from cmrlib.realvalued.losses import modality_cross_entropy, reverse_gradient, triplet_hinge
from cmrlib.training import validation_split

METHODS = [ACMR, UCAL, MS2GAN]
SMALL = {"n_components": 4, "hidden": (8,), "random_state": 0}


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def codes(n, m, k=3, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return (torch.randn(rows, k, generator=generator, dtype=torch.float64) for rows in (n, m))


# --- the losses against plain loops -------------------------------------------------------------


def invariance_by_loops(D, relevant, margin, weight):
    """The mean over an anchor's triples (j, k) of D_ij + λ [μ - D_ik]_+, then over anchors."""
    total = 0.0
    for distances, good in ((D, relevant), (D.T, relevant.T)):
        for d, g in zip(distances.tolist(), good.tolist(), strict=True):
            costs = [
                d[j] + weight * max(0.0, margin - d[k])
                for j in range(len(d))
                for k in range(len(d))
                if g[j] and not g[k]
            ]
            total += sum(costs) / len(costs) / len(distances)
    return total


def test_invariance_by_hand():
    """Items 0 and 1 of class a, item 2 of class b; μ = 2, λ = 10.

    Image 0: relevant at 1 and 3 (mean 2), the other at 1.5: 10 · 0.5. In all 7.
    Image 1: relevant at 1 and 1 (mean 1), the other at 5: nothing. In all 1.
    Image 2: relevant at 4, others at 1 and 9: 10 · (1 + 0) / 2. In all 9. Mean 17/3.
    Text 0: mean of 1 and 1, other at 1: 10 · 1. 11.   Text 1: mean of 3 and 1, other at 9. 2.
    Text 2: 4, others at 1.5 and 5: 10 · (0.5 + 0) / 2. 6.5. Mean 19.5/3.
    """
    D = torch.tensor([[1.0, 3.0, 1.5], [1.0, 1.0, 5.0], [1.0, 9.0, 4.0]])
    relevant = share_label(torch.tensor([0, 0, 1]))
    assert intermodal_invariance(D, relevant, 2.0, 10.0).item() == pytest.approx(36.5 / 3)


def check_invariance(loss):
    F, G = codes(9, 9)
    D = euclidean_distances(F, G)
    for labels in (torch.arange(9) % 3, torch.tensor([0, 0, 0, 0, 0, 1, 1, 2, 2])):
        relevant = share_label(labels)
        for margin, weight in ((1.0, 1.0), (3.0, 0.5)):
            expected = invariance_by_loops(D, relevant, margin, weight)
            assert loss(D, relevant, margin, weight).item() == pytest.approx(expected, rel=1e-9)


def test_invariance_by_loops():
    check_invariance(intermodal_invariance)


def hinge_on_sums(D, relevant, margin, weight):
    """A mutant: the demonstration code's one hinge on sums over the batch."""
    pull, push = (D * relevant).sum(), (D * ~relevant).sum()
    return 2 * (margin + pull - weight * push).clamp(min=0)


def relative_hinge(D, relevant, margin, weight):
    """A mutant: [μ + D_ij - D_ik]_+, the usual triplet loss."""
    return triplet_hinge(-D, margin, relevant)


def one_direction(D, relevant, margin, weight):
    """A mutant: images are anchors, texts are not."""
    square = torch.eye(len(D), dtype=torch.bool)
    both = intermodal_invariance(D, relevant, margin, weight)
    return both - intermodal_invariance(D.T, relevant.T, margin, weight) / 2 + 0 * square.sum()


def blind_to_labels(D, relevant, margin, weight):
    """A mutant: the partner alone is relevant."""
    return intermodal_invariance(D, torch.eye(len(D), dtype=torch.bool), margin, weight)


@pytest.mark.parametrize("mutant", [hinge_on_sums, relative_hinge, one_direction, blind_to_labels])
def test_invariance_exposes_mutants(mutant):
    with pytest.raises(AssertionError):
        check_invariance(mutant)


def test_an_anchor_without_negatives_is_pulled_only():
    F, G = codes(4, 4)
    D = euclidean_distances(F, G)
    everything = torch.ones(4, 4, dtype=torch.bool)
    expected = 2 * D.mean().item()
    assert intermodal_invariance(D, everything, 2.0, 5.0).item() == pytest.approx(expected)


def test_labelled_triplet_hinge_by_loops():
    F, G = codes(8, 8, seed=1)
    S = -euclidean_distances(F, G).square()
    relevant = share_label(torch.tensor([0, 0, 0, 1, 1, 2, 2, 3]))
    expected = 0.0
    for scores, good in ((S, relevant), (S.T, relevant.T)):
        for s, g in zip(scores.tolist(), good.tolist(), strict=True):
            positives, negatives = (
                [v for v, r in zip(s, g, strict=True) if r == w] for w in (1, 0)
            )
            hinges = [sum(max(0.0, 0.7 - p + q) for q in negatives) for p in positives]
            expected += sum(hinges) / len(hinges) / len(S)
    assert triplet_hinge(S, 0.7, relevant).item() == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize(
    "labels",
    [[0, 1, 1, 5], [[1, 0, 1], [0, 1, 1], [0, 1, 0], [0, 0, 0]]],
    ids=["classes", "multi-hot"],
)
def test_share_label(labels):
    L = np.array(labels)
    expected = [
        [bool(a == b) if L.ndim == 1 else bool(np.any((a == 1) & (b == 1))) for b in L] for a in L
    ]
    np.testing.assert_array_equal(share_label(torch.as_tensor(L)).numpy(), expected)


def test_distance_has_a_gradient_at_zero():
    F = torch.ones(3, 2, requires_grad=True)
    euclidean_distances(F, torch.ones(3, 2)).sum().backward()
    assert torch.isfinite(F.grad).all()


# --- the terms of each method -------------------------------------------------------------------


def batch(n=12, progress=0.3, multi_hot=False):
    data = make_hidden_signal(n, 14, 12, n_classes=3, n_nuisance=4, random_state=3)
    labels = torch.as_tensor(data.labels)
    if multi_hot:
        labels = functional.one_hot(labels, 3)
        labels[::4, 0] = 1
    X, Y = (torch.as_tensor(V, dtype=torch.float64) for V in (data.image, data.text))
    return Batch(X, Y, labels, progress)


def untrained(method, **parameters):
    """The method with fresh networks, in double precision and without dropout."""
    model = method(**{**SMALL, **parameters})
    with torch.random.fork_rng():
        torch.manual_seed(7)
        model.networks_ = model._build(14, 12, 3).double().eval()
    return model


def gradient(model, terms):
    """The gradient of some terms with respect to both encoders, as one vector."""
    networks = model.networks_
    parameters = [p for m in ("image", "text") for p in networks[m].parameters()]
    gradients = torch.autograd.grad(sum(terms), parameters, materialize_grads=True)
    return torch.cat([g.flatten() for g in gradients])


def binary_cross_entropy_by_loops(image, text):
    """Mean over images of -log σ(s), over texts of -log(1 - σ(s)), halved."""
    image, text = image.flatten().tolist(), text.flatten().tolist()
    a = sum(-log(1 / (1 + exp(-s))) for s in image) / len(image)
    b = sum(-log(1 - 1 / (1 + exp(-s))) for s in text) / len(text)
    return (a + b) / 2


def classes_by_loops(logits, labels):
    total = 0.0
    for row, label in zip(logits.tolist(), labels.tolist(), strict=True):
        if isinstance(label, list):
            probabilities = [1 / (1 + exp(-s)) for s in row]
            total += sum(-log(p if y else 1 - p) for p, y in zip(probabilities, label, strict=True))
        else:
            total -= row[label] - log(sum(exp(s) for s in row))
    return total / len(labels)


@pytest.mark.parametrize("multi_hot", [False, True])
def test_terms_of_acmr(multi_hot):
    model = untrained(ACMR, alpha=0.3, beta=0.7, margin=1.2, negative_weight=2.0, weight_decay=0.01)
    items = batch(multi_hot=multi_hot)
    terms = model._losses(items)
    nets = model.networks_
    F, G = nets["image"](items.X), nets["text"](items.Y)
    D = [[sqrt(sum((a - b) ** 2 for a, b in zip(f, g, strict=True))) for g in G.tolist()]
         for f in F.tolist()]  # fmt: skip
    invariance = invariance_by_loops(torch.tensor(D), share_label(items.labels), 1.2, 2.0)
    logits = [nets["classifier"](H) for H in (F, G)]
    norms = [sqrt(sum(w * w for w in W.flatten().tolist()))
             for m in ("image", "text") for W in nets[m].parameters() if W.ndim == 2]  # fmt: skip
    assert len(norms) == 4  # two layers in each projector
    expected = {
        "invariance": 0.3 * invariance,
        "classes": 0.7 * sum(classes_by_loops(H, items.labels) for H in logits),
        "weights": 0.01 * sum(norms),
        "adversary": binary_cross_entropy_by_loops(*(nets["discriminator"](H) for H in (F, G))),
    }
    assert {k: v.item() for k, v in terms.items()} == pytest.approx(expected, rel=1e-6)


def test_terms_of_ucal():
    model = untrained(UCAL)
    items = batch()
    nets = model.networks_
    F, G = nets["image"](items.X), nets["text"](items.Y)
    pairs = [sum((a - b) ** 2 for a, b in zip(f, g, strict=True))
             for f, g in zip(F.tolist(), G.tolist(), strict=True)]  # fmt: skip
    expected = {
        "pairs": sum(pairs) / len(pairs),
        "adversary": binary_cross_entropy_by_loops(*(nets["discriminator"](H) for H in (F, G))),
    }
    terms = model._losses(items)
    assert {k: v.item() for k, v in terms.items()} == pytest.approx(expected)


def summed_distance(parts_image, parts_text, u, v):
    """d(u, v): images and texts by specific features, an image and a text by shared ones."""

    def squared(a, b):
        return (a - b).square().sum().item()

    return (
        squared(parts_image[0][u], parts_image[0][v])
        + squared(parts_text[0][u], parts_text[0][v])
        + squared(parts_image[1][u], parts_text[1][v])
    )


@pytest.mark.parametrize("multi_hot", [False, True])
def test_terms_of_ms2gan(multi_hot):
    weights = {"alpha": 0.3, "beta": 0.7, "gamma": 0.2, "margin": 0.5, "difference_margin": 3.0}
    model = untrained(MS2GAN, **weights)
    items = batch(multi_hot=multi_hot)
    n, nets = len(items.X), model.networks_
    specific = [nets["image"](items.X), nets["text"](items.Y)]
    shared = [nets["shared"](H) for H in specific]
    image, text = zip(specific, shared, strict=True)
    d = np.array([[summed_distance(image, text, u, v) for v in range(n)] for u in range(n)])
    relevant = share_label(items.labels).numpy()
    similarity = 0.0
    for distances in (d, d.T):
        for u in range(n):
            near, far = distances[u][relevant[u]], distances[u][~relevant[u]]
            hinges = [sum(max(0.0, 0.5 + p - q) for q in far) for p in near]
            similarity += sum(hinges) / len(hinges) / n
    logits = [nets["classifier"](torch.cat(parts, dim=1)) for parts in (image, text)]
    gaps = [(H[i] - C[i]).square().sum().item() for H, C in (image, text) for i in range(n)]
    expected = {
        "similarity": 0.3 * similarity,
        "classes": 0.7 * sum(classes_by_loops(H, items.labels) for H in logits),
        "difference": 0.2 * sum(max(0.0, 3.0 - g) for g in gaps) / n,
        "adversary": binary_cross_entropy_by_loops(*(nets["discriminator"](C) for C in shared)),
    }
    assert expected["difference"] > 0
    terms = model._losses(items)
    assert {k: v.item() for k, v in terms.items()} == pytest.approx(expected, rel=1e-6)


def test_code_of_ms2gan_is_specific_and_shared():
    model = untrained(MS2GAN)
    items = batch()
    specific = model.networks_["text"](items.Y)
    expected = torch.cat([specific, model.networks_["shared"](specific)], dim=1)
    torch.testing.assert_close(model._code(items.Y, "text"), expected)
    torch.testing.assert_close(model._contested(items.Y, "text"), expected[:, 4:])


SWITCHES = [
    (ACMR, {"alpha": "invariance", "beta": "classes", "weight_decay": "weights"}),
    (MS2GAN, {"alpha": "similarity", "beta": "classes", "gamma": "difference"}),
]


@pytest.mark.parametrize(("method", "switches"), SWITCHES, ids=["ACMR", "MS2GAN"])
def test_each_weight_is_the_share_of_its_term_in_the_gradient(method, switches):
    model = untrained(method)
    whole = gradient(model, model._losses(batch()).values())
    for parameter, name in {**switches, "adversary": "adversary"}.items():
        off = untrained(method, **{parameter: 0.0})
        without = gradient(off, off._losses(batch()).values())
        model = untrained(method)
        part = gradient(model, [model._losses(batch())[name]])
        assert part.norm() > 0
        torch.testing.assert_close(whole - without, part, rtol=1e-9, atol=1e-12)


# --- the game -----------------------------------------------------------------------------------


def test_schedule():
    """2 / (1 + e^(-10p)) - 1 is tanh(5p)."""
    values = [reversal_schedule(p) for p in (0.0, 0.1, 0.5, 1.0)]
    assert values == pytest.approx([0, np.tanh(0.5), np.tanh(2.5), np.tanh(5)])
    assert values[1:] == pytest.approx([0.462, 0.987, 0.9999], abs=5e-4)


def test_reversal_is_identity_forwards_and_minus_lambda_backwards():
    x = torch.tensor([1.0, -2.0], requires_grad=True)
    y = reverse_gradient(x, 0.25)
    torch.testing.assert_close(y, x)
    (y * torch.tensor([4.0, 8.0])).sum().backward()
    torch.testing.assert_close(x.grad, torch.tensor([-1.0, -2.0]))


@pytest.mark.parametrize("method", METHODS)
def test_encoders_climb_the_loss_that_the_discriminator_descends(method):
    """The encoders' gradient is -adversary · λ(p) times the true one; D's is the true one."""
    model, items = untrained(method, adversary=0.7), batch(progress=0.2)
    discriminator = model.networks_["discriminator"]
    seen = [model._contested(V, m) for V, m in ((items.X, "image"), (items.Y, "text"))]
    honest = modality_cross_entropy(*(discriminator(H) for H in seen))
    played = model._losses(items)["adversary"]
    assert played.item() == pytest.approx(honest.item())
    scale = -0.7 * np.tanh(5 * 0.2)
    encoders = [p for m in ("image", "text") for p in model.networks_[m].parameters()]
    for player, factor in ((encoders, scale), (list(discriminator.parameters()), 1.0)):
        gradients = [
            torch.autograd.grad(loss, player, retain_graph=True) for loss in (played, honest)
        ]
        assert max(float(g.abs().max()) for g in gradients[1]) > 1e-6
        for ours, true in zip(*gradients, strict=True):
            torch.testing.assert_close(ours, factor * true)


def test_a_blind_discriminator_costs_log_2():
    assert modality_cross_entropy(torch.zeros(5), torch.zeros(5)).item() == pytest.approx(log(2))


@pytest.mark.parametrize("method", METHODS)
def test_players_have_their_own_pace_and_no_momentum(method):
    model = untrained(method, learning_rate=0.002)
    encoders, discriminator = model._optimizer().param_groups
    assert (encoders["lr"], discriminator["lr"]) == pytest.approx((0.002, 0.02))
    assert encoders["betas"][0] == discriminator["betas"][0] == 0
    named = {id(p): name for name, p in model.networks_.named_parameters()}
    of_players = [
        {named[id(p)].split(".")[0] for p in g["params"]} for g in (encoders, discriminator)
    ]
    assert of_players == [set(model.networks_) - {"discriminator"}, {"discriminator"}]


def fresh_accuracies(F, G):
    """Accuracies of two discriminators that learn from half of the codes and judge the others."""
    half = len(F) // 2
    train, test = np.r_[F[:half], G[:half]], np.r_[F[half:], G[half:]]
    mean, std = train.mean(axis=0), train.std(axis=0)
    train, test = (train - mean) / std, (test - mean) / std
    is_image, truth = np.repeat([1, 0], half), np.repeat([1, 0], len(F) - half)
    linear = LogisticRegression().fit(train, is_image).score(test, truth)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        D = nn.Sequential(nn.Linear(F.shape[1], 64), nn.ReLU(), nn.Linear(64, 1)).double()
    optimizer = torch.optim.Adam(D.parameters(), lr=0.01, weight_decay=1e-3)
    for _ in range(200):
        optimizer.zero_grad()
        wanted = torch.as_tensor(is_image[:, None], dtype=torch.float64)
        functional.binary_cross_entropy_with_logits(D(torch.as_tensor(train)), wanted).backward()
        optimizer.step()
    with torch.no_grad():
        said = D(torch.as_tensor(test)).numpy()[:, 0] > 0
    return linear, float((said == truth).mean())


def late(model):
    """The discriminator's own accuracy on the part set aside, over the last quarter of epochs."""
    accuracies = model.history_["discriminator"]
    return np.mean(accuracies[-len(accuracies) // 4 :])


def hidden(seed, noise=0.0, n=1000):
    """Training and new items of classes that both modalities show, images through noise."""
    data = make_hidden_signal(n, 20, 16, n_classes=4, n_nuisance=6, signal=1.5, random_state=seed)
    noisy = data.image + noise * np.random.default_rng(seed).normal(size=data.image.shape)
    data = replace(data, image=noisy)
    return data.take(np.arange(n // 2)), data.take(np.arange(n // 2, n))


GAME = {
    "n_components": 16, "hidden": (64,), "dropout": 0.0, "batch_size": 50, "max_epochs": 40,
    "patience": 40, "validation_size": 0.25, "random_state": 0,
}  # fmt: skip


def play(method, train, new, parts=(np.s_[:],), **parameters):
    """The discriminator's own accuracy late, fresh ones' on parts of new codes, and the mAP."""
    model = method(**{**GAME, **parameters})
    labels = {"labels": train.labels} if method.uses_labels else {}
    model.fit(train.image, train.text, **labels)
    F, G = model.encode_image(new.image), model.encode_text(new.text)
    return late(model), [fresh_accuracies(F[:, part], G[:, part]) for part in parts], model


def test_acmr_deceives_its_discriminator_and_a_fresh_one():
    """On other draws: own 0.83 to 0.90 and 0.50, a fresh network 0.93 to 0.96 and 0.71 to 0.83."""
    train, new = hidden(0)
    own_off, [fresh_off], off = play(ACMR, train, new, alpha=0.0, adversary=0.0)
    own_on, [fresh_on], on = play(ACMR, train, new, alpha=0.0)
    assert own_off > 0.75
    assert own_on < 0.6
    assert fresh_off[1] > 0.9
    assert fresh_on[1] < 0.87
    assert fresh_on[0] < fresh_off[0] - 0.05
    # and retrieval does not tell the two apart
    assert retrieval(on, new) == pytest.approx(retrieval(off, new), abs=0.03)


def test_shared_features_of_ms2gan_hide_their_modality_and_specific_ones_tell_it():
    """On other draws: own 0.64 to 0.74 and 0.52 to 0.56; shared features tell less in any case."""
    train, new = hidden(0, noise=1.0, n=800)
    parts = (np.s_[:8], np.s_[8:])
    settings = {"n_components": 8, "difference_margin": 4.0, "dropout": 0.2, "max_epochs": 30}
    own_off, fresh_off, _ = play(MS2GAN, train, new, parts, **settings, adversary=0.0)
    own_on, (specific, shared), _ = play(MS2GAN, train, new, parts, **settings)
    assert own_off > 0.62
    assert own_on < min(0.6, own_off - 0.1)
    assert specific[1] > 0.8
    assert shared[1] < specific[1] - 0.05
    assert shared[1] < fresh_off[1][1]


def keep_the_last(model):
    """Let every epoch be better than the one before, whatever it retrieves."""
    epochs = count()
    model._scores = lambda batch: {"validation": float(next(epochs))}
    return model


def test_large_margin_keeps_specific_and_shared_features_apart():
    train, _ = hidden(0)
    apart = {}
    for gamma in (0.0, 1.0):
        model = keep_the_last(
            MS2GAN(**{**GAME, "max_epochs": 10}, gamma=gamma, difference_margin=24.0)
        )
        model.fit(train.image, train.text, labels=train.labels)
        F = model.encode_image(train.image)
        apart[gamma] = ((F[:, :16] - F[:, 16:]) ** 2).sum(axis=1)
    assert np.mean(apart[1.0] > 20) > 0.8
    assert np.mean(apart[0.0] > 20) < 0.2


def folded(n, seed):
    """Texts know the signs of what images know: codes differ in the shape of their distribution."""
    rng = np.random.default_rng(seed)
    z, A, B = rng.normal(size=(n, 4)), rng.normal(size=(4, 12)), rng.normal(size=(4, 10))
    X, Y = z @ A, np.sign(z) @ B
    return [V + 0.3 * rng.normal(size=V.shape) for V in (X, Y)]


UNSUPERVISED = {"n_components": 4, "max_epochs": 60, "patience": 60}


def test_ucal_deceives_its_discriminators_while_pairs_come_closer():
    X, Y = folded(2000, 0)
    train, new = (PairedDataset("folded", X[s], Y[s]) for s in (np.s_[:1000], np.s_[1000:]))
    own_off, [fresh_off], _ = play(UCAL, train, new, **UNSUPERVISED, adversary=0.0)
    own_on, [fresh_on], model = play(UCAL, train, new, **UNSUPERVISED)
    assert own_on < 0.62
    assert own_off > own_on + 0.08
    assert fresh_on[1] < fresh_off[1] - 0.05
    assert model.history_["pairs"][-1] < 0.4 * model.history_["pairs"][0]


class PairsAlone(UCAL):
    """The pair distance and nothing else."""

    def _losses(self, batch):
        return {"pairs": super()._losses(batch)["pairs"]}


def test_ucal_without_adversary_is_the_pair_distance_exactly():
    X, Y = folded(200, 1)
    parameters = {**SMALL, "dropout": 0.3, "max_epochs": 4}
    plain = PairsAlone(**parameters).fit(X, Y)
    off = UCAL(**parameters, adversary=0.0).fit(X, Y)
    on = UCAL(**parameters).fit(X, Y)
    for encode in ("encode_image", "encode_text"):
        V = X if encode == "encode_image" else Y
        np.testing.assert_array_equal(getattr(off, encode)(V), getattr(plain, encode)(V))
        assert np.abs(getattr(on, encode)(V) - getattr(plain, encode)(V)).max() > 1e-4


class Collapsing(UCAL):
    """Pair distance and adversary without the standardised codes."""

    def _build(self, p, q, n_classes):
        networks = super()._build(p, q, n_classes)
        for modality in ("image", "text"):
            networks[modality] = networks[modality][:-1]
        return networks


def test_codes_of_ucal_do_not_collapse():
    X, Y = folded(400, 2)
    spread = {}
    for method in (UCAL, Collapsing):
        model = keep_the_last(method(**{**GAME, **UNSUPERVISED, "max_epochs": 20})).fit(X, Y)
        spread[method] = model.encode_image(X).var(axis=0).mean()
    assert 0.5 < spread[UCAL] < 2
    assert spread[Collapsing] < 0.5 * spread[UCAL]


# --- labels -------------------------------------------------------------------------------------


def retrieval(model, data):
    relevance = label_relevance(data.labels, data.labels)
    S = model.similarity(data.image, data.text)
    return mean_average_precision(S, relevance)


@pytest.mark.parametrize("method", [ACMR, MS2GAN])
def test_true_labels_are_used_and_permuted_ones_do_not_help(method):
    """Settings are those found on draw 5; chance is 0.26."""
    train, test = hidden(1)
    parameters = {**GAME, "n_components": 8, "max_epochs": 15}
    if method is MS2GAN:
        parameters["difference_margin"] = 4.0
    true = method(**parameters).fit(train.image, train.text, labels=train.labels)
    permuted = np.random.default_rng(0).permutation(train.labels)
    false = method(**parameters).fit(train.image, train.text, labels=permuted)
    assert retrieval(true, test) > 0.7
    assert retrieval(false, test) < 0.45


@pytest.mark.parametrize("method", [ACMR, MS2GAN])
def test_multi_hot_labels_are_learnt(method):
    """Items have one or two of six classes, shown by features among noise."""
    rng = np.random.default_rng(0)
    one, two = np.eye(6, dtype=int)[rng.integers(6, size=(2, 400))]
    L = one | two
    X, Y = (3 * L @ rng.normal(size=(6, 8)) + rng.normal(size=(400, 8)) for _ in range(2))
    model = method(**{**GAME, "max_epochs": 15}).fit(X[:300], Y[:300], labels=L[:300])
    relevance = label_relevance(L[300:], L[300:])
    S = model.similarity(X[300:], Y[300:])
    assert mean_average_precision(S, relevance) > relevance.mean() + 0.15


# --- the loop -----------------------------------------------------------------------------------


@pytest.mark.parametrize("method", METHODS)
def test_validation_is_retrieval_on_the_part_set_aside(method):
    data = make_hidden_signal(200, 14, 12, n_classes=3, n_nuisance=4, random_state=2)
    labels = {"labels": data.labels} if method.uses_labels else {}
    model = method(**SMALL, max_epochs=5, validation_size=0.3)
    model.fit(data.image, data.text, **labels)
    held_out = data.take(validation_split(200, 0.3, np.random.RandomState(0))[1])
    S = model.similarity(held_out.image, held_out.text)
    if method.uses_labels:
        relevance = label_relevance(held_out.labels, held_out.labels)
        expected = [mean_average_precision(T, relevance) for T in (S, S.T)]
    else:
        expected = [np.mean([1 / np.sum(row >= row[i]) for i, row in enumerate(T)])
                    for T in (S, S.T)]  # fmt: skip
    scores = model.history_["validation"]
    assert scores[model.best_epoch_] == max(scores)
    assert max(scores) == pytest.approx(np.mean(expected), abs=0.01)


@pytest.mark.parametrize("method", METHODS)
def test_codes_do_not_depend_on_batch_mates_and_the_seed_decides(method):
    data = make_hidden_signal(120, 14, 12, n_classes=3, n_nuisance=4, random_state=0)
    labels = {"labels": data.labels} if method.uses_labels else {}
    first, again, other = (
        method(**{**SMALL, "random_state": seed}, max_epochs=2).fit(data.image, data.text, **labels)
        for seed in (0, 0, 1)
    )
    codes_of_all = first.encode_image(data.image)
    np.testing.assert_array_equal(again.encode_image(data.image), codes_of_all)
    assert np.abs(other.encode_image(data.image) - codes_of_all).max() > 1e-3
    np.testing.assert_allclose(first.encode_image(data.image[:1]), codes_of_all[:1], atol=1e-12)
    assert not np.issubdtype(codes_of_all.dtype, np.integer)


@pytest.mark.parametrize(
    ("method", "parameters", "message"),
    [
        (ACMR, {"n_components": 0}, "n_components"),
        (ACMR, {"alpha": -1.0}, "alpha"),
        (ACMR, {"margin": -0.1}, "margin"),
        (UCAL, {"adversary": -1.0}, "adversary"),
        (UCAL, {"dropout": 1.0}, "dropout"),
        (MS2GAN, {"gamma": -1.0}, "gamma"),
        (MS2GAN, {"difference_margin": -1.0}, "difference_margin"),
    ],
)
def test_bad_parameters_are_refused(method, parameters, message):
    data = make_hidden_signal(60, 14, 12, n_classes=3, n_nuisance=4, random_state=0)
    labels = {"labels": data.labels} if method.uses_labels else {}
    with pytest.raises(ValueError, match=message):
        method(**parameters).fit(data.image, data.text, **labels)
