"""MRW-NN: sampling, walks, pairs and loss against enumeration, and what each term is for."""

import itertools
import math

import numpy as np
import pytest
import torch
from scipy.sparse import coo_array, csr_array, csr_matrix
from scipy.stats import chisquare

from cmrlib.base import cosine_similarity
from cmrlib.datasets import make_clicks, make_gaussian_views
from cmrlib.realvalued import clicks as clicks_module
from cmrlib.realvalued.clicks import (
    MRWNN,
    ClickGraph,
    WeightedSampler,
    set_aside,
    skip_gram_loss,
    window_pairs,
)


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def assert_frequencies(drawn, shares):
    """Assert by a chi-square test that numbers were drawn with these shares, and no others."""
    shares = np.asarray(shares, dtype=float) / np.sum(shares)
    counts = np.bincount(drawn, minlength=len(shares))
    assert (counts[shares == 0] == 0).all()
    possible = shares > 0
    assert (
        possible.sum() == 1
        or chisquare(counts[possible], counts.sum() * shares[possible]).pvalue > 1e-3
    )


# Images 0-2, queries 3-6; image 2 was only clicked for the last query.
CLICKS = np.array([[3, 1, 0, 0], [0, 2, 4, 0], [0, 0, 1, 5]])


# --- sampling and walks -------------------------------------------------------------------------


class Points:
    """Stands for a RandomState, and returns chosen points of [0, 1)."""

    def __init__(self, *points):
        self.points = np.array(points)

    def random_sample(self, shape):
        return self.points.reshape(shape)


def test_inverse_of_the_cumulative_weights():
    sampler = WeightedSampler(np.array([1.0, 0.0, 2.0, 5.0]))
    below = np.nextafter(1 / 8, 0)
    points = Points(0, below, 1 / 8, 0.3, np.nextafter(3 / 8, 0), 3 / 8, np.nextafter(1, 0))
    assert sampler.draw((7,), points).tolist() == [0, 0, 2, 2, 2, 3, 3]
    # the stretch 1, 2 has all its weight on 2; the stretch 2, 3 halves at 2 / 7
    first, last = np.array([1, 1, 2, 2]), np.array([3, 3, 4, 4])
    drawn = sampler.between(first, last, Points(0, np.nextafter(1, 0), 0.28, 0.29))
    assert drawn.tolist() == [2, 2, 2, 3]


def test_rounding_never_leaves_the_stretch():
    sampler = WeightedSampler(np.array([1e16, 1e-3, 1.0, 1e16]))
    first, last = np.arange(4), np.arange(1, 5)
    almost_one = Points(*[np.nextafter(1, 0)] * 4)
    np.testing.assert_array_equal(sampler.between(first, last, almost_one), first)


def test_sampler_frequencies():
    weights = np.array([0, 3, 0, 1, 6, 0])
    drawn = WeightedSampler(weights).draw((200, 100), np.random.RandomState(0))
    assert_frequencies(drawn.ravel(), weights)


def test_graph_has_clicks_beside_the_diagonal():
    graph = ClickGraph(csr_array(CLICKS))
    dense = np.block([[np.zeros((3, 3)), CLICKS], [CLICKS.T, np.zeros((4, 4))]])
    np.testing.assert_array_equal(graph.weights.toarray(), dense)
    np.testing.assert_array_equal(graph.degrees, dense.sum(axis=1))


def test_steps_follow_the_clicks():
    graph, rng = ClickGraph(CLICKS), np.random.RandomState(0)
    for vertex, shares in enumerate(graph.weights.toarray()):
        assert_frequencies(graph.step(np.full(20_000, vertex), rng), shares)


@pytest.mark.parametrize("power", [0, 0.75, 1])
def test_negatives_are_vertices_of_both_types(power):
    clicks = np.pad(CLICKS, ((0, 1), (0, 0)))  # image 3 has no click
    drawn = ClickGraph(clicks).vertices(power).draw((400, 100), np.random.RandomState(0))
    assert_frequencies(drawn.ravel(), [4**power, 6**power, 6**power, 0,
                                       3**power, 3**power, 5**power, 5**power])  # fmt: skip


def test_doubling_an_edge_doubles_its_odds():
    doubled = CLICKS.copy()
    doubled[0, 0] *= 2  # 3 : 1 becomes 6 : 1
    before, after = (
        ClickGraph(C).step(np.zeros(40_000, dtype=int), np.random.RandomState(0))
        for C in (CLICKS, doubled)
    )
    odds = [np.mean(step == 3) / np.mean(step == 4) for step in (before, after)]
    # the standard error of log odds is below 0.02 here
    assert math.log(odds[1] / odds[0]) == pytest.approx(math.log(2), abs=0.08)
    assert_frequencies(after, [0, 0, 0, 6, 1, 0, 0])


def test_walks_alternate_between_images_and_queries():
    walks = ClickGraph(CLICKS).walk(np.arange(7), 9, np.random.RandomState(0))
    assert walks.shape == (7, 10)
    is_image = walks < 3
    assert (is_image[:, 1:] != is_image[:, :-1]).all()
    weights = ClickGraph(CLICKS).weights.toarray()
    assert (weights[walks[:, :-1], walks[:, 1:]] > 0).all()


def test_an_edge_of_weight_zero_is_no_edge():
    stored_zero = coo_array(([0, 7, 7], ([0, 0, 1], [0, 1, 0])), shape=(2, 2))
    graph = ClickGraph(csr_array(stored_zero))
    assert graph.weights.nnz == 4
    walks = graph.walk(np.arange(4), 5, np.random.RandomState(0))
    assert np.isin(walks[0], (0, 3)).all()
    assert np.isin(walks[2], (2, 1)).all()


def test_visits_are_proportional_to_degree_in_the_long_run():
    graph = ClickGraph(CLICKS)
    walk = graph.walk(np.zeros(400, dtype=int), 400, np.random.RandomState(0))
    # after 100 steps the start is forgotten; two steps in a row see both types
    visits = np.bincount(walk[:, 101:].ravel(), minlength=7) / walk[:, 101:].size
    np.testing.assert_allclose(visits, graph.degrees / graph.degrees.sum(), atol=0.01)


def powers_cooccurrence(C, length, window):
    """Return expected counts of pairs of one walk from each vertex: sums of transition powers."""
    W = np.block([[np.zeros((len(C),) * 2), C], [C.T, np.zeros((C.shape[1],) * 2)]])
    P = W / W.sum(axis=1, keepdims=True)
    power = [np.linalg.matrix_power(P, t) for t in range(length + 1)]
    M = np.zeros_like(P)
    for t in range(1, window + 1):
        for start in range(length + 1 - t):  # visits after `start` steps, then t more
            M += power[start].sum(axis=0)[:, None] * power[t]
    M += M.T
    np.fill_diagonal(M, 0)
    return M


@pytest.mark.parametrize(("length", "window"), [(4, 3), (3, 1), (5, 5)])
def test_pairs_sample_powers_of_the_transition_matrix(length, window):
    graph, repeats = ClickGraph(CLICKS), 20_000
    walks = graph.walk(np.tile(np.arange(7), repeats), length, np.random.RandomState(0))
    centres, contexts = window_pairs(walks, window)
    found = coo_array((np.ones(len(centres)), (centres, contexts)), shape=(7, 7)).toarray()
    expected = powers_cooccurrence(CLICKS, length, window)
    np.testing.assert_array_equal(found[expected == 0], 0)
    # a pair may come several times a walk, so its variance is above that of a Poisson count
    np.testing.assert_allclose(
        found / repeats, expected, atol=8 * np.sqrt(expected.max() / repeats)
    )


@pytest.mark.parametrize("window", [1, 2, 3, 9])
def test_window_pairs_against_loops(window):
    walks = ClickGraph(CLICKS).walk(np.arange(7), 5, np.random.RandomState(0))
    expected = [
        (int(walk[i]), int(walk[j]))
        for walk in walks
        for i in range(6)
        for j in range(6)
        if 0 < abs(i - j) <= window and walk[i] != walk[j]
    ]
    centres, contexts = window_pairs(walks, window)
    assert sorted(zip(centres.tolist(), contexts.tolist(), strict=True)) == sorted(expected)


# --- the loss -----------------------------------------------------------------------------------


def sigma(x):
    return 1 / (1 + math.exp(-x))


@pytest.mark.parametrize("offset", [0.0, -1.5])
def test_skip_gram_loss_against_loops(offset):
    rng = np.random.default_rng(0)
    U, V, W = rng.normal(size=(5, 3)), rng.normal(size=(5, 3)), rng.normal(size=(5, 4, 3))
    total = 0.0
    for i in range(5):
        total -= math.log(sigma(sum(U[i, k] * V[i, k] for k in range(3)) + offset))
        for r in range(4):
            total -= math.log(1 - sigma(sum(U[i, k] * W[i, r, k] for k in range(3)) + offset))
    u, v, w = (torch.tensor(A, requires_grad=True) for A in (U, V, W))
    loss = skip_gram_loss(u, v, w, offset)
    assert loss.item() == pytest.approx(total / 5, abs=1e-12)
    loss.backward()
    # d/dx of -log σ(x) is σ(x) - 1, of -log σ(-x) it is σ(x)
    pull = [sigma(U[i] @ V[i] + offset) - 1 for i in range(5)]
    push = [[sigma(U[i] @ W[i, r] + offset) for r in range(4)] for i in range(5)]
    np.testing.assert_allclose(v.grad, np.array(pull)[:, None] * U / 5, atol=1e-12)
    np.testing.assert_allclose(w.grad, np.array(push)[..., None] * U[:, None] / 5, atol=1e-12)


def test_loss_of_large_scores_is_finite():
    u = torch.tensor([[100.0]], dtype=torch.float64)
    assert skip_gram_loss(u, -u, u[None]).item() == pytest.approx(2e4)


def test_the_optimum_is_shifted_pointwise_mutual_information():
    """Every pair of a corpus, with every context of it as a negative: k is the number of pairs."""
    N = np.array([[4, 1, 2], [1, 6, 1], [2, 1, 2]])
    k, marginal = N.sum(), N.sum(axis=1)
    offset = 0.7
    scores = np.log(N * k / np.outer(marginal, marginal)) - np.log(k) - offset
    centres, contexts = (np.repeat(axis.ravel(), N.ravel()) for axis in np.indices((3, 3)))

    def gradient(scores):
        x, unit = torch.tensor(scores, requires_grad=True), torch.eye(3, dtype=torch.float64)
        negatives = unit[contexts].expand(k, k, 3)
        skip_gram_loss(x[centres], unit[contexts], negatives, offset).backward()
        return np.abs(x.grad.numpy()).max()

    assert gradient(scores) < 1e-12
    assert gradient(scores + np.log(k)) > 1e-3  # without the shift


# --- setting aside ------------------------------------------------------------------------------


def random_log(n=40, m=30, seed=0):
    rng = np.random.default_rng(seed)
    counts = rng.poisson(0.15, size=(n, m)) * rng.integers(1, 9, size=(n, m))
    counts[:, :3] = 0  # queries without clicks
    counts[:2] = 0  # images without clicks
    return csr_array(counts)


def test_set_aside_takes_the_most_clicked_image_of_random_queries():
    clicks = random_log()
    (images, queries), rest = set_aside(clicks, 0.2, np.random.RandomState(0))
    dense = clicks.toarray()
    assert len(queries) == round(0.2 * np.count_nonzero(dense.sum(axis=0)))
    assert len(set(images)) == len(set(queries)) == len(queries)
    np.testing.assert_array_equal(dense[images, queries], dense[:, queries].max(axis=0))
    assert (dense[images, queries] > 0).all()
    dense[images] = 0
    dense[:, queries] = 0
    np.testing.assert_array_equal(rest.toarray(), dense)


def test_pairs_are_set_aside_as_pairs():
    (images, queries), rest = set_aside(csr_array(np.eye(50)), 0.1, np.random.RandomState(0))
    np.testing.assert_array_equal(images, queries)
    assert len(images) == 5
    assert rest.sum() == 45


# --- the method ---------------------------------------------------------------------------------


VIEWS = make_gaussian_views(200, 8, 6, correlations=[0.99, 0.99, 0.99], condition=1, random_state=0)
SMALL = {"n_components": 8, "hidden": (), "max_epochs": 3, "random_state": 0}


def test_pairs_are_a_log_of_one_click_each():
    X, Y = VIEWS.image, VIEWS.text
    paired = MRWNN(**SMALL).fit(X, Y)
    for clicks in (np.eye(200), csr_array(np.eye(200)), csr_matrix(np.eye(200, dtype=int))):
        logged = MRWNN(**SMALL).fit_clicks(X, Y, clicks)
        np.testing.assert_array_equal(logged.encode_image(X), paired.encode_image(X))
        np.testing.assert_array_equal(logged.text_vectors_, paired.text_vectors_)
    many = MRWNN(**SMALL).fit_clicks(X, Y, 4 * np.eye(200))  # only ratios of clicks matter
    np.testing.assert_allclose(many.encode_image(X), paired.encode_image(X), atol=1e-4)


def test_images_and_queries_need_not_be_paired():
    log = random_log(150, 60)
    model = MRWNN(**SMALL).fit_clicks(VIEWS.image[:150], VIEWS.text[:60], log)
    assert model.image_vectors_.shape == (150, 8)
    assert model.text_vectors_.shape == (60, 8)
    assert model.similarity(VIEWS.image[150:], VIEWS.text[60:]).shape == (50, 140)


def test_vectors_of_items_outside_the_graph_are_the_networks():
    log = random_log(150, 60)
    X, Y = VIEWS.image[:150], VIEWS.text[:60]
    model = MRWNN(**SMALL).fit_clicks(X, Y, log)
    rest = set_aside(log, 0.1, np.random.RandomState(0))[1].toarray()
    gap_image = np.abs(model.image_vectors_ - model.encode_image(X)).max(axis=1)
    gap_text = np.abs(model.text_vectors_ - model.encode_text(Y)).max(axis=1)
    np.testing.assert_array_equal(gap_image == 0, rest.sum(axis=1) == 0)
    np.testing.assert_array_equal(gap_text == 0, rest.sum(axis=0) == 0)


def test_only_lambda_ties_the_vectors_to_the_features():
    X, Y, order = VIEWS.image, VIEWS.text, np.random.default_rng(0).permutation(200)
    in_graph = set_aside(csr_array(np.eye(200)), 0.1, np.random.RandomState(0))[1].sum(axis=1) > 0
    for lam, equal in ((0, True), (1, False)):
        one_epoch = {**SMALL, "max_epochs": 1, "lam": lam}
        a, b = (MRWNN(**one_epoch).fit(image, Y) for image in (X, X[order]))
        same = np.array_equal(a.image_vectors_[in_graph], b.image_vectors_[in_graph])
        assert same == equal


def test_distance_is_a_mean_over_the_vertices_of_the_graph():
    X, Y = VIEWS.image, VIEWS.text
    model = MRWNN(8, (5,), dropout=0, learning_rate=0, vector_learning_rate=0, max_epochs=2)
    model.set_params(batch_size=60, random_state=0).fit(X, Y)  # 6 batches of 60 walks
    in_graph = set_aside(csr_array(np.eye(200)), 0.1, np.random.RandomState(0))[1].sum(axis=1) > 0
    total = 0.0
    for vectors, codes in (
        (model.image_vectors_, model.encode_image(X)),
        (model.text_vectors_, model.encode_text(Y)),
    ):
        for u, code in zip(vectors[in_graph], codes[in_graph], strict=True):
            total += sum((a - b) ** 2 for a, b in zip(u, code, strict=True))
    np.testing.assert_allclose(model.history_["distance"], total / 360, rtol=1e-5)


def mean_rank(model, views):
    """Return the mean share of texts that are nearer to an image than its own; 1/2 is chance."""
    S = model.similarity(views.image, views.text)
    partner = np.diag(S)[:, None]
    return np.mean(partner < S)


def unseen_and_seen():
    views = make_gaussian_views(
        500, 8, 6, correlations=[0.99, 0.99, 0.99], condition=1, random_state=1
    )
    return views.take(np.arange(300)), views.take(np.arange(300, 500))


def test_without_lambda_unseen_items_are_at_chance():
    seen, unseen = unseen_and_seen()
    ranks = {}
    for lam in (0, 1):
        model = MRWNN(8, (), lam=lam, max_epochs=25, learning_rate=0.01, batch_size=64)
        fits = [model.set_params(random_state=s).fit(seen.image, seen.text) for s in range(3)]
        ranks[lam] = np.mean([mean_rank(fit, unseen) for fit in fits])
    assert ranks[1] < 0.1  # 0.05 to 0.06 on another draw
    # maps that were never trained: each is lucky or unlucky by 0.06, as on another draw
    assert ranks[0] == pytest.approx(0.5, abs=3 * 0.06 / np.sqrt(3))


def test_without_lambda_networks_stay_as_they_began():
    X, Y = VIEWS.image, VIEWS.text
    short, long = (
        MRWNN(**{**SMALL, "lam": 0, "max_epochs": epochs}).fit(X, Y) for epochs in (1, 4)
    )
    np.testing.assert_array_equal(short.encode_image(X), long.encode_image(X))
    np.testing.assert_array_equal(short.encode_text(Y), long.encode_text(Y))


def chains(n_chains):
    """Return clicks of n chains image - query - image - query - image: (3 n, 2 n)."""
    one = np.array([[3, 0], [2, 2], [0, 3]])  # its ends share no query
    return np.kron(np.eye(n_chains, dtype=int), one)


def chain_vectors(monkeypatch, window):
    """Return the vectors that 40 chains have in the end, and the chains that are whole."""
    clicks, rng = chains(40), np.random.default_rng(0)
    X, Y = rng.normal(size=(120, 10)), rng.normal(size=(80, 10))  # features say nothing
    # so validation says nothing either: let each epoch be better than the one before
    epoch = itertools.count()
    monkeypatch.setattr(clicks_module, "partner_retrieval", lambda F, G: next(epoch))
    model = MRWNN(
        16, (), lam=1e-3, window=window, max_epochs=30, batch_size=64, random_state=0
    ).fit_clicks(X, Y, clicks)
    rest = set_aside(csr_array(clicks), 0.1, np.random.RandomState(0))[1].toarray()
    whole = [c for c in range(40) if rest[3 * c : 3 * c + 3, 2 * c : 2 * c + 2].sum() == 10]
    assert len(whole) > 25
    return model.image_vectors_, model.text_vectors_, whole


def test_implicit_relevance(monkeypatch):
    """Images without a common query, and an image three steps from a query, are near."""
    U, V, whole = chain_vectors(monkeypatch, window=4)
    images, mixed = cosine_similarity(U, U), cosine_similarity(U, V)
    for c in whole:
        others = [d for d in whole if d != c]
        # 4 steps apart, no common query
        assert images[3 * c, 3 * c + 2] > max(images[3 * c, 3 * d + 2] for d in others) + 0.2
        # 3 steps apart, never clicked
        assert mixed[3 * c, 2 * c + 1] > max(mixed[3 * c, 2 * d + 1] for d in others) + 0.2


def test_longer_windows_bring_the_ends_of_a_chain_nearer(monkeypatch):
    ends = []
    for window in (1, 2, 4):
        U, _, whole = chain_vectors(monkeypatch, window)
        S = cosine_similarity(U, U)
        ends.append(np.median([S[3 * c, 3 * c + 2] for c in whole]))
    assert ends[1] > ends[0] + 0.1
    assert ends[2] > ends[1] + 0.05


def test_noisy_clicks_teach_what_generalises():
    """Settings were found on another draw (random_state=1)."""
    views = make_gaussian_views(
        500, 8, 6, correlations=[0.99, 0.99, 0.99], condition=1, random_state=2
    )
    seen, unseen = views.take(np.arange(300)), views.take(np.arange(300, 500))
    log = make_clicks(seen, 1200, related=0, noise=0.4, random_state=2)
    model = MRWNN(8, (), max_epochs=15, learning_rate=0.01, batch_size=64, random_state=0)
    assert (
        mean_rank(model.fit_clicks(seen.image, seen.text, log.counts()), unseen) < 0.25
    )  # 0.18 on the other draw
    shuffled = log.counts()[np.random.default_rng(0).permutation(300)]
    assert mean_rank(model.fit_clicks(seen.image, seen.text, shuffled), unseen) > 0.35


def test_early_stopping_and_history():
    model = MRWNN(8, (), max_epochs=12, patience=3, learning_rate=0.05, random_state=0)
    model.fit(VIEWS.image, VIEWS.text)
    assert set(model.history_) == {"walk", "distance", "validation"}
    scores = model.history_["validation"]
    assert model.best_epoch_ == int(np.argmax(scores))
    assert len(scores) == min(12, model.best_epoch_ + 4)
    images, queries = set_aside(csr_array(np.eye(200)), 0.1, np.random.RandomState(0))[0]
    S = model.similarity(VIEWS.image[images], VIEWS.text[queries])
    ranks = [(axis >= np.diag(S)).sum(axis=0) for axis in (S, S.T)]
    assert np.mean(1 / np.array(ranks)) == pytest.approx(max(scores), abs=1e-5)


def test_seed_decides_and_the_global_generator_is_left_alone():
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    a, b, c = (
        MRWNN(**{**SMALL, "random_state": seed}).fit(VIEWS.image, VIEWS.text) for seed in (1, 1, 2)
    )
    assert torch.equal(torch.rand(3), expected)
    np.testing.assert_array_equal(a.image_vectors_, b.image_vectors_)
    assert np.abs(a.image_vectors_ - c.image_vectors_).max() > 1e-3


def test_progress_bar_is_shown_when_asked_for(capsys):
    MRWNN(**SMALL).fit(VIEWS.image, VIEWS.text)
    assert capsys.readouterr().err == ""
    MRWNN(**SMALL, verbose=True).fit(VIEWS.image, VIEWS.text)
    assert "MRWNN" in capsys.readouterr().err


# --- bad input ----------------------------------------------------------------------------------


def entry(value):
    clicks = np.eye(200)
    clicks[7, 3] = value
    return clicks


@pytest.mark.parametrize(
    ("clicks", "error", "message"),
    [
        (np.eye(199), ValueError, r"must have shape \(200, 200\).*got \(199, 199\)"),
        (np.ones(200), ValueError, "must have shape"),
        (entry(-1), ValueError, "at least 0, got -1 at row 7, column 3"),
        (csr_array(entry(-1)), ValueError, "at least 0, got -1 at row 7, column 3"),
        (entry(np.nan), ValueError, "got nan at row 7, column 3"),
        (np.zeros((200, 200)), ValueError, "no click at all"),
        (np.eye(200).astype(str), TypeError, "must hold counts"),
        (None, TypeError, "must hold counts"),
        (np.eye(200) * (np.arange(200) < 2), ValueError, "are too few"),
    ],
)
def test_bad_clicks_are_refused(clicks, error, message):
    model = MRWNN(**SMALL).fit(VIEWS.image, VIEWS.text)
    before = model.encode_image(VIEWS.image)
    with pytest.raises(error, match=message) as caught:
        model.fit_clicks(VIEWS.image, VIEWS.text, clicks)
    assert "\n" not in str(caught.value)
    np.testing.assert_array_equal(model.encode_image(VIEWS.image), before)


def test_duplicate_entries_of_a_sparse_log_are_added_and_the_log_left_alone():
    rows = np.r_[np.arange(200), np.arange(200)]
    clicks = coo_array((np.ones(400), (rows, rows)), shape=(200, 200))
    model = MRWNN(**SMALL).fit_clicks(VIEWS.image, VIEWS.text, clicks)
    assert clicks.nnz == 400
    twice = MRWNN(**SMALL).fit_clicks(VIEWS.image, VIEWS.text, 2 * np.eye(200))
    np.testing.assert_array_equal(model.image_vectors_, twice.image_vectors_)


def test_one_image_is_refused():
    with pytest.raises(ValueError, match="one image is not enough"):
        MRWNN(**SMALL).fit_clicks(VIEWS.image[:1], VIEWS.text, np.ones((1, 200)))


@pytest.mark.parametrize(
    "parameter",
    [
        {"n_components": 0},
        {"lam": -1},
        {"walk_length": 0},
        {"window": 0},
        {"n_negatives": 0},
        {"power": -1},
        {"vector_learning_rate": -1},
        {"validation_size": 1.0},
    ],
)
def test_bad_parameters_are_refused(parameter):
    with pytest.raises(ValueError, match=next(iter(parameter))):
        MRWNN(**parameter).fit(VIEWS.image, VIEWS.text)
