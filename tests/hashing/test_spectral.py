"""CVH, CMSSH and SRCH: what defines each, and what exposes a mislabelled one."""

import tracemalloc
from itertools import pairwise, product

import numpy as np
import pytest
import torch
from scipy.linalg import eigh
from scipy.sparse import csr_array

from cmrlib.cca import CCA
from cmrlib.datasets import make_gaussian_views, make_hidden_signal
from cmrlib.evaluation import label_relevance, mean_average_precision
from cmrlib.hashing import spectral
from cmrlib.hashing._graphs import Graph, knn_graph, label_factor
from cmrlib.hashing.spectral import CMSSH, CVH, SRCH


@pytest.fixture(scope="module")
def views():
    return make_gaussian_views(200, 7, 5, correlations=[0.9, 0.6, 0.3], random_state=1)


def standardised(X):
    return (X - X.mean(axis=0)) / X.std(axis=0)


def symmetric_affinity(n, seed=0):
    W = np.random.RandomState(seed).rand(n, n) * (np.random.RandomState(seed + 1).rand(n, n) < 0.1)
    return (W + W.T) / 2


def quality(model, data):
    relevant = label_relevance(data.labels, data.labels)
    S = model.similarity(data.image, data.text)
    return np.mean([mean_average_precision(s, relevant) for s in (S, S.T)])


# all three


@pytest.mark.parametrize(
    "model",
    [CVH(6), CMSSH(6, random_state=0), SRCH(6, random_state=0)],
    ids=["CVH", "CMSSH", "SRCH"],
)
def test_codes_depend_neither_on_batch_mates_nor_on_the_query_set(views, model):
    X, Y = views.image, views.text
    model.fit(X[:150], Y[:150])
    whole = model.encode_image(X[150:])
    np.testing.assert_array_equal(np.vstack([model.encode_image(x[None]) for x in X[150:]]), whole)
    moved = np.vstack([X[150:160], X[150:] + 100])  # a query set with another mean
    np.testing.assert_array_equal(model.encode_image(moved)[:10], whole[:10])


@pytest.mark.parametrize("method", [CVH, CMSSH, SRCH])
def test_no_array_of_n_by_n_is_made(method):
    n = 6000
    rng = np.random.RandomState(0)
    X = rng.normal(size=(n, 6))
    Y = X[:, :4] + rng.normal(size=(n, 4))
    model = method(4)
    tracemalloc.start()
    if method is CVH:
        model.fit_views({"image": X, "text": Y}, knn_graph(X, 5))
    else:
        model.fit(X, Y)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < n * n  # bytes: an eighth of one such array


# CVH


def cvh_oracle(views, W, reg):
    """Return both sides of the eigenproblem, dense and straight from the printed formula."""
    Z = [standardised(X) for X in views]
    n, K = len(W), len(Z)
    D = np.diag(W.sum(axis=1))
    L_prime = 2 * (D - W) + (K - 1) * D
    left = [[-Zv.T @ W @ Zw / n for Zw in Z] for Zv in Z]
    right = [[np.zeros((Zv.shape[1], Zw.shape[1])) for Zw in Z] for Zv in Z]
    for v, Zv in enumerate(Z):
        ridge = reg * np.eye(Zv.shape[1])  # standardised: tr C / p = 1
        left[v][v] = Zv.T @ L_prime @ Zv / n + ridge * np.trace(L_prime) / n
        right[v][v] = Zv.T @ Zv / n + ridge
    return np.block(left), np.block(right)


def check_cvh(model, views, W, reg):
    """Assert the eigenproblem, its normalisation, and that no bits cost less."""
    M, N = cvh_oracle(list(views.values()), W, reg)
    A = np.vstack([model.P_[name] for name in views])
    np.testing.assert_allclose(M @ A, N @ A * model.eigenvalues_, atol=1e-9)
    np.testing.assert_allclose(A.T @ N @ A, np.eye(A.shape[1]), atol=1e-9)
    smallest = eigh(M, N, eigvals_only=True)[: A.shape[1]]
    np.testing.assert_allclose(model.eigenvalues_, smallest, atol=1e-9)


@pytest.mark.parametrize("reg", [0.0, 0.5])
@pytest.mark.parametrize("n_views", [2, 3])
def test_cvh_solves_the_block_eigenproblem_of_any_affinity(views, n_views, reg):
    third = views.image[:, :2] ** 2 + views.text[:, 1:3]
    named = dict(zip("abc", [views.image, views.text, third][:n_views], strict=False))
    for W in (np.eye(200), symmetric_affinity(200), np.ones((200, 200))):
        model = CVH(5, reg=reg).fit_views(named, W)
        check_cvh(model, named, W, reg)


def test_eigenvalues_are_the_cost_of_the_relaxed_codes(views):
    W = symmetric_affinity(200)
    model = CVH(4, reg=0).fit_views({"a": views.image, "b": views.text}, W)
    a, b = (model._scores(X, name) for X, name in ((views.image, "a"), (views.text, "b")))
    cost = 0.0
    for i, j in product(range(200), repeat=2):  # the published double sum
        if W[i, j]:
            cost += W[i, j] * ((a[i] - a[j]) ** 2 + (b[i] - b[j]) ** 2 + (a[i] - b[j]) ** 2)
    np.testing.assert_allclose(cost / 200, model.eigenvalues_, rtol=1e-10)


@pytest.mark.parametrize("reg", [0.0, 0.3])
def test_cvh_of_pairs_is_cca(views, reg):
    X, Y = standardised(views.image), standardised(views.text)
    cvh, cca = CVH(5, reg=reg).fit(views.image, views.text), CCA(5, reg=reg).fit(X, Y)
    np.testing.assert_allclose(1 - cvh.eigenvalues_, cca.correlations_, atol=1e-10)
    for name, weights in (("image", cca.weights_image_), ("text", cca.weights_text_)):
        # the constraint holds for the sum of both views, hence the factor
        np.testing.assert_allclose(np.abs(cvh.P_[name]) * np.sqrt(2), np.abs(weights), atol=1e-7)
    agree = np.sign(X @ cca.weights_image_) * cvh.encode_image(views.image)
    agree_text = np.sign(Y @ cca.weights_text_) * cvh.encode_text(views.text)
    assert (agree == agree[0]).all()  # the same bits, up to a sign that both views share
    np.testing.assert_array_equal(agree_text, np.tile(agree[0], (200, 1)))


class CVHWithoutInverse(CVH):
    """A mutant found in public code: Cxy Cyy Cxyᵀ instead of Cxy Cyy⁻¹ Cxyᵀ."""

    def _fit_views(self, views, W):
        super()._fit_views(views, W)
        X, Y = (standardised(Z) for Z in views.values())
        C_xx, C_yy, C_xy = X.T @ X / len(X), Y.T @ Y / len(X), X.T @ Y / len(X)
        values, A = eigh(C_xy @ C_yy @ C_xy.T, C_xx)
        values, A = values[::-1][: self.n_bits], A[:, ::-1][:, : self.n_bits]
        B = np.linalg.solve(C_yy, C_xy.T @ A) / np.sqrt(np.abs(values))
        self.P_ = {"image": A / np.sqrt(2), "text": B / np.sqrt(2)}
        self.eigenvalues_ = 1 - np.sqrt(np.abs(values))


class CVHOfPairsOnly(CVH):
    """A mutant: whatever the affinity, CCA."""

    def _fit_views(self, views, W):
        super()._fit_views(views, spectral._affinity(None, len(W.degrees)))


class CVHAcrossOnly(CVH):
    """A mutant: the distances within a view are forgotten, L' = (K - 1) D."""

    def _fit_views(self, views, W):
        class Across(Graph):
            def laplacian(self, V):
                return 0 * V

        super()._fit_views(views, Across(W.sparse, W.factor))


@pytest.mark.parametrize("mutant", [CVHWithoutInverse, CVHOfPairsOnly, CVHAcrossOnly])
def test_the_eigenproblem_exposes_mutants(views, mutant):
    named = {"image": views.image, "text": views.text}
    W = np.eye(200) if mutant is CVHWithoutInverse else symmetric_affinity(200)
    with pytest.raises(AssertionError):
        check_cvh(mutant(3, reg=0).fit_views(named, W), named, W, 0)


def test_affinity_changes_the_codes_and_its_form_does_not(views):
    named = {"image": views.image, "text": views.text}
    labels = np.arange(200) % 3
    W = np.equal.outer(labels, labels).astype(float)
    dense = CVH(3).fit_views(named, W)
    forms = [
        csr_array(W),
        Graph(factor=label_factor(labels)),
        Graph(csr_array(W / 2), np.eye(3)[labels] / 2**0.5),
    ]
    for form in forms:
        model = CVH(3).fit_views(named, form)
        np.testing.assert_allclose(model.eigenvalues_, dense.eigenvalues_, rtol=1e-9)
        np.testing.assert_allclose(model.P_["image"], dense.P_["image"], atol=1e-8)
    pairs = CVH(3).fit(views.image, views.text)
    assert (dense.encode_image(views.image) != pairs.encode_image(views.image)).mean() > 0.1
    scaled = CVH(3).fit_views(named, 5 * W)
    np.testing.assert_allclose(scaled.eigenvalues_, 5 * dense.eigenvalues_, rtol=1e-9)
    np.testing.assert_allclose(scaled.P_["image"], dense.P_["image"], atol=1e-8)


def test_swapping_views_swaps_the_maps_and_nothing_else(views):
    W = symmetric_affinity(200)
    one = CVH(4).fit_views({"image": views.image, "text": views.text}, W)
    other = CVH(4).fit_views({"image": views.text, "text": views.image}, W)
    np.testing.assert_allclose(one.eigenvalues_, other.eigenvalues_, rtol=1e-10)
    np.testing.assert_allclose(one.P_["image"], other.P_["text"], atol=1e-9)
    np.testing.assert_allclose(one.P_["text"], other.P_["image"], atol=1e-9)


def test_bits_beyond_the_smaller_view_are_useless_or_worse(views):
    X, Y = views.image, views.text  # 7 and 5 features: 12 bits
    model = CVH(12, reg=0).fit(X, Y)
    rho = CCA(5).fit(X, Y).correlations_
    np.testing.assert_allclose(model.eigenvalues_, np.r_[1 - rho, 1, 1, 1 + rho[::-1]], atol=1e-9)
    assert np.abs(model.P_["text"][:, 5:7]).max() < 1e-7  # two bits that ignore the text
    first, last = model.encode_image(X) * 1, model.encode_text(Y) * 1
    agree = [(first[:, k] == last[:, k]).mean() for k in (0, 11)]
    assert agree[0] == 1 - agree[1] > 0.8  # the last bit is the first, against itself
    with pytest.raises(ValueError, match=r"n_bits=13 is more than the 12 bits"):
        CVH(13, reg=0).fit(X, Y)


def test_cvh_without_a_ridge_refuses_too_few_items(views):
    with pytest.raises(ValueError, match="12 items are too few"):
        CVH(2, reg=0).fit(views.image[:12], views.text[:12])
    CVH(2, reg=0).fit(views.image[:13], views.text[:13])


def test_cvh_drops_dependent_and_zero_columns(views):
    X = np.column_stack([views.image, views.image[:, 0] + views.image[:, 1], np.zeros(200)])
    plain, more = (CVH(4, reg=0).fit(Z, views.text) for Z in (views.image, X))
    np.testing.assert_allclose(plain.eigenvalues_, more.eigenvalues_, atol=1e-9)
    np.testing.assert_array_equal(plain.encode_image(views.image), more.encode_image(X))


def test_labels_supervise_through_the_affinity():
    """An affinity of 5 classes has rank 5, the mean being one: it can order 4 bits."""
    gaps = []
    for seed in range(3):
        data = make_hidden_signal(1000, random_state=seed)
        train, test = data.split(test_size=0.5, random_state=seed)
        named = {"image": train.image, "text": train.text}
        permuted = np.random.RandomState(seed).permutation(train.labels)
        true, false = (
            quality(CVH(4).fit_views(named, Graph(factor=label_factor(L))), test)
            for L in (train.labels, permuted)
        )
        pairs = quality(CVH(4).fit(train.image, train.text), test)
        gaps.append(true - false)
        assert abs(false - 0.2) < 0.05
        assert abs(pairs - 0.2) < 0.05
    assert min(gaps) > 0.15


BAD_VIEWS = {
    "not a mapping": (lambda v: ([v["a"], v["b"]],), TypeError, "must be a mapping"),
    "one view": (lambda v: ({"a": v["a"]},), ValueError, "at least 2 views"),
    "rows": (lambda v: ({"a": v["a"], "b": v["b"][:-1]},), ValueError, "row i of every view"),
    "one item": (lambda v: ({k: X[:1] for k, X in v.items()},), ValueError, "one item is not"),
    "shape": (lambda v: (v, np.eye(199)), ValueError, r"of shape \(200, 200\)"),
    "oblong": (lambda v: (v, np.ones((200, 3))), ValueError, r"of shape \(200, 200\)"),
    "negative": (lambda v: (v, -np.eye(200)), ValueError, "not negative"),
    "infinite": (lambda v: (v, np.diag(np.r_[np.inf, np.ones(199)])), ValueError, "finite"),
    "asymmetric": (lambda v: (v, np.triu(np.ones((200, 200)))), ValueError, "symmetric"),
    "nothing": (lambda v: (v, np.zeros((200, 200))), ValueError, "every affinity is 0"),
}


@pytest.mark.parametrize("case", BAD_VIEWS)
def test_bad_views_and_affinities_are_refused(views, case):
    make, error, words = BAD_VIEWS[case]
    with pytest.raises(error, match=words):
        CVH(2).fit_views(*make({"a": views.image, "b": views.text}))


def test_views_are_encoded_by_their_names(views):
    model = CVH(2).fit_views({"photo": views.image, "tags": views.text})
    assert model.encode(views.text, "tags").shape == (200, 2)
    with pytest.raises(ValueError, match="'photo' or 'tags', got 'image'"):
        model.encode_image(views.image)
    with pytest.raises(ValueError, match="fitted with 7"):
        model.encode(views.text, "photo")


# CMSSH


def check_cmssh(model, X, Y):
    """Assert the algorithm bit by bit, with weights rebuilt from the codes alone."""
    Xs, Ys = standardised(X), standardised(Y)
    i, j, s = model.pairs_.T
    assert set(s) == {-1, 1}
    agreement = model.encode_image(X)[i] * model.encode_text(Y)[j].astype(float)
    w = np.where(s > 0, 0.5 / (s > 0).sum(), 0.5 / (s < 0).sum())
    first = w.copy()
    for t in range(model.n_bits):
        assert w.sum() == pytest.approx(1, abs=1e-12)
        C = sum(wk * sk * np.outer(Xs[a], Ys[b]) for wk, sk, a, b in zip(w, s, i, j, strict=True))
        p, q = model.P_image_[:, t], model.P_text_[:, t]
        best = np.linalg.svd(C, compute_uv=False)[0]
        np.testing.assert_allclose([np.linalg.norm(p), np.linalg.norm(q)], 1, atol=1e-10)
        assert abs(p @ C @ q) == pytest.approx(best, rel=1e-8)

        edge = np.sum(w * s * agreement[:, t])
        assert edge == pytest.approx(model.edges_[t], abs=1e-10)
        assert edge > 0
        u, v = np.sort(Xs @ p), np.sort(Ys @ q)
        xi, eta = model.encode_image(X)[:, t], model.encode_text(Y)[:, t]
        for cut in (u[1:] + u[:-1]) / 2:  # no other threshold of one side does better
            assert np.sum(w * s * np.sign(Xs @ p - cut)[i] * eta[j]) <= edge + 1e-10
        for cut in (v[1:] + v[:-1]) / 2:
            assert np.sum(w * s * xi[i] * np.sign(Ys @ q - cut)[j]) <= edge + 1e-10

        alpha = 1.0 if model.alpha == "unit" else 0.5 * np.log((1 + edge) / (1 - edge))
        assert model.alphas_[t] == pytest.approx(alpha, rel=1e-9)
        w = w * np.exp(-alpha * s * agreement[:, t])
        w /= w.sum()
        if model.alpha == "optimal":  # the bit is worth nothing under the next weights
            assert np.sum(w * s * agreement[:, t]) == pytest.approx(0, abs=1e-10)
        margin = s * (agreement[:, : t + 1] @ model.alphas_[: t + 1])
        assert model.history_[t + 1] == pytest.approx(np.sum(first * np.exp(-margin)), rel=1e-9)


@pytest.fixture
def small(views):
    return views.image[:60], views.text[:60]


@pytest.mark.parametrize("alpha", ["optimal", "unit"])
@pytest.mark.parametrize("n_negatives", [1, 3])
def test_cmssh_boosts_bit_by_bit(small, alpha, n_negatives):
    check_cmssh(CMSSH(4, n_negatives=n_negatives, alpha=alpha, random_state=0).fit(*small), *small)


def test_exponential_loss_falls_as_adaboost_promises(small):
    model = CMSSH(12, random_state=0).fit(*small)
    bound = np.cumprod(np.sqrt(1 - model.edges_**2))
    np.testing.assert_allclose(model.history_[1:], bound, rtol=1e-9)
    assert all(after < before for before, after in pairwise(model.history_))
    # the step 1 of the plain update misses it: Z = cosh 1 - r sinh 1
    unit = CMSSH(12, alpha="unit", random_state=0).fit(*small)
    exact = np.cumprod(np.cosh(1) - unit.edges_ * np.sinh(1))
    np.testing.assert_allclose(unit.history_[1:], exact, rtol=1e-9)
    assert unit.history_[-1] > np.prod(np.sqrt(1 - unit.edges_**2))


def frozen_weights(monkeypatch):
    """A mutant: the weights stay as they are at the first bit."""
    directions, thresholds, first = spectral._directions, spectral._thresholds, {}
    monkeypatch.setattr(
        spectral,
        "_directions",
        lambda X, Y, i, j, ws: directions(X, Y, i, j, first.setdefault("ws", ws)),
    )
    monkeypatch.setattr(
        spectral,
        "_thresholds",
        lambda u, v, i, j, ws: thresholds(u, v, i, j, first["ws"]),
    )


def one_svd(monkeypatch):
    """A mutant: all directions from one decomposition."""
    pairs = []

    def directions(X, Y, i, j, ws):
        if not pairs:
            C = X.T @ (csr_array((ws, (i, j)), shape=(len(X), len(Y))) @ Y)
            U, _, Vt = np.linalg.svd(C)
            pairs.extend(zip(U.T, Vt, strict=False))
        return pairs.pop(0)

    monkeypatch.setattr(spectral, "_directions", directions)


def no_search(monkeypatch):
    """A mutant: thresholds at the mean."""
    monkeypatch.setattr(spectral, "_thresholds", lambda u, v, i, j, ws: (1.0, 0.0, 0.0))


def positives_only(monkeypatch):
    """A mutant: negatives play no part in the directions."""
    directions = spectral._directions
    monkeypatch.setattr(
        spectral,
        "_directions",
        lambda X, Y, i, j, ws: directions(X, Y, i[ws > 0], j[ws > 0], ws[ws > 0]),
    )


@pytest.mark.parametrize("mutate", [frozen_weights, one_svd, no_search, positives_only])
def test_the_algorithm_exposes_mutants(small, mutate, monkeypatch):
    mutate(monkeypatch)
    with pytest.raises(AssertionError):
        check_cmssh(CMSSH(4, random_state=0).fit(*small), *small)


def test_reweighting_changes_the_second_bit(small, monkeypatch):
    right = CMSSH(2, random_state=0).fit(*small)
    frozen_weights(monkeypatch)
    frozen = CMSSH(2, random_state=0).fit(*small)
    np.testing.assert_array_equal(frozen.P_image_[:, 0], right.P_image_[:, 0])
    np.testing.assert_array_equal(frozen.P_image_[:, 1], frozen.P_image_[:, 0])  # bit 1 again
    assert (frozen.encode_image(small[0])[:, 1] != right.encode_image(small[0])[:, 1]).any()


def test_negatives_are_mismatched_and_positives_are_the_pairs(small):
    i, j, s = CMSSH(1, n_negatives=4, random_state=0).fit(*small).pairs_.T
    np.testing.assert_array_equal(np.c_[i, j][s > 0], np.c_[range(60), range(60)])
    assert (i[s < 0] != j[s < 0]).all()
    np.testing.assert_array_equal(np.bincount(i[s < 0]), 4)


def test_given_pairs_may_be_unpaired_items(small):
    X, Y = small
    model = CMSSH(3, random_state=0).fit(X, Y)
    again = CMSSH(3).fit_pairs(X, Y, model.pairs_)
    np.testing.assert_array_equal(again.encode_image(X), model.encode_image(X))
    shuffled = np.random.RandomState(0).permutation(60)
    moved = model.pairs_ * 1
    moved[:, 1] = np.argsort(shuffled)[moved[:, 1]]
    unpaired = CMSSH(3).fit_pairs(X, Y[shuffled], moved)
    np.testing.assert_allclose(unpaired.edges_, model.edges_, rtol=1e-9)


BAD_PAIRS = {
    "shape": (np.zeros((4, 2), int), "integers of shape"),
    "type": (np.array([[0, 0, 1.0], [0, 1, -1.0]]), "integers of shape"),
    "one sign": (np.array([[0, 0, 1], [1, 1, 1]]), "both signs"),
    "row": (np.array([[0, 0, 1], [0, 60, -1]]), "does not have"),
    "negative row": (np.array([[0, 0, 1], [-1, 0, -1]]), "does not have"),
}


@pytest.mark.parametrize("case", BAD_PAIRS)
def test_bad_pairs_are_refused(small, case):
    pairs, words = BAD_PAIRS[case]
    with pytest.raises(ValueError, match=words):
        CMSSH(2).fit_pairs(*small, pairs)


def test_unknown_step_is_refused(small):
    with pytest.raises(ValueError, match="'optimal' or 'unit'"):
        CMSSH(2, alpha="half").fit(*small)


# SRCH


def published(s):
    """The objective, over all pairs of items, with what is no edge weighted 0."""
    n = len(s.B)
    squared = ((s.Z[:, None, :] - s.Z[None, :, :]) ** 2).sum(-1)
    E = torch.zeros((n, n), dtype=torch.float64).index_put((s.rows, s.columns), s.C)
    S = torch.zeros((n, n), dtype=torch.float64).index_put((s.rows, s.columns), s.S)
    coding = 0
    for X, P in ((s.X, s.P_image), (s.Y, s.P_text)):
        coding = coding + ((X @ P - s.B) ** 2).sum() + ((X - s.B @ P.T) ** 2).sum()
    graph = (E * (S**2 * squared + (S - 1) ** 2)).sum()
    return coding + graph + ((s.Z - s.B) ** 2).sum() / 2


def alternation(X, Y, n_bits, **parameters):
    model = SRCH(n_bits, **parameters)
    return model._alternation(standardised(X), standardised(Y), None, np.random.RandomState(0))


@pytest.mark.parametrize("n_bits", [3, 9])  # fewer and more than the 7 and 5 features
def test_smooth_codes_and_strengths_minimise_their_blocks(small, n_bits):
    problem = alternation(*small, n_bits)
    worst = problem.stationarity(published, 4, skip=("P_image", "P_text", "B"))
    assert max(worst.values()) < 1e-6
    s = problem.state
    tensors = {
        k: torch.as_tensor(v) if isinstance(v, np.ndarray) else v for k, v in vars(s).items()
    }
    assert problem.objective(s) == pytest.approx(float(published(type(s)(**tensors))), rel=1e-12)


def replace(problem, block, update):
    problem.updates[block] = update
    return problem


@pytest.mark.parametrize(
    ("block", "update"),
    [
        ("S", lambda s: 1 / (1 + spectral._edge_lengths(s)) ** 0.5),
        ("S", lambda s: np.exp(-spectral._edge_lengths(s))),
        ("Z", lambda s: s.B),  # no graph
        (
            "Z",  # L instead of 2 L: every edge counted half
            lambda s: np.linalg.solve(
                np.eye(len(s.B)) + laplacian(s.rows, s.columns, s.C * s.S**2, len(s.B)), s.B
            ),
        ),
        (
            "Z",  # S instead of S²
            lambda s: np.linalg.solve(
                np.eye(len(s.B)) + 2 * laplacian(s.rows, s.columns, s.C * s.S, len(s.B)), s.B
            ),
        ),
    ],
)
def test_stationarity_exposes_mutants(small, block, update):
    problem = replace(alternation(*small, 3, weight=0.1), block, update)
    assert problem.stationarity(published, 4, skip=("P_image", "P_text", "B"))[block] > 1e-3


def laplacian(rows, columns, weights, n):
    W = np.zeros((n, n))
    W[rows, columns] = weights
    W += W.T
    return np.diag(W.sum(axis=1)) - W


def test_smoothing_solves_its_system(small):
    s = alternation(*small, 3).state
    strengths = s.C * np.random.RandomState(0).rand(len(s.C))
    A = csr_array((strengths, (s.rows, s.columns)), shape=(60, 60))
    Z = spectral._smooth(Graph(sparse=(A + A.T).tocsr()), s.B, s.B)
    L = laplacian(s.rows, s.columns, strengths, 60)
    np.testing.assert_allclose(Z, np.linalg.solve(np.eye(60) + 2 * L, s.B), atol=1e-8)


def map_loss(X, B, P):
    return np.sum((X @ P - B) ** 2) + np.sum((X - B @ P.T) ** 2)


def projected_gradient(X, B, P):
    """Return the part of the gradient that orthonormality leaves free, relative to the whole."""
    G = 2 * X.T @ (X @ P - B) - 2 * (X - B @ P.T).T @ B
    if P.shape[0] < P.shape[1]:
        G, P = G.T, P.T
    PG = P.T @ G
    free = G - P @ (PG + PG.T) / 2
    return np.linalg.norm(free) / np.linalg.norm(G)


@pytest.mark.parametrize("n_bits", [3, 7, 9])
def test_maps_are_orthonormal_and_reach_a_stationary_point(small, n_bits):
    problem = alternation(*small, n_bits)
    problem.run(3)
    s = problem.state
    for name, X in (("P_image", s.X), ("P_text", s.Y)):
        p, losses = X.shape[1], []
        for _ in range(2000):
            P = getattr(s, name)
            gram = P.T @ P if n_bits <= p else P @ P.T
            np.testing.assert_allclose(gram, np.eye(min(p, n_bits)), atol=1e-10)
            losses.append(map_loss(X, s.B, P))
            setattr(s, name, problem.updates[name](s))
        assert max(after - before for before, after in pairwise(losses)) < 1e-9 * losses[0]
        assert projected_gradient(X, s.B, getattr(s, name)) < 1e-6


def test_one_map_step_carries_the_procrustes_certificate(small):
    problem = alternation(*small, 3)
    problem.run(2)
    s = problem.state
    A = s.X.T @ s.X
    M = np.linalg.eigvalsh(A)[-1] * s.P_image - A @ s.P_image + 2 * s.X.T @ s.B
    H = problem.updates["P_image"](s).T @ M
    np.testing.assert_allclose(H, H.T, atol=1e-8 * np.abs(H).max())
    assert np.linalg.eigvalsh((H + H.T) / 2).min() > 0


@pytest.mark.parametrize("forgotten", ["quadratic", "decoder"])
def test_stationarity_exposes_wrong_maps(small, forgotten):
    problem = alternation(*small, 3)
    problem.run(3)
    s = problem.state
    A, K, P = s.X.T @ s.X, s.X.T @ s.B, s.P_image
    for _ in range(2000):
        wrong = K if forgotten == "quadratic" else np.linalg.norm(A, 2) * P - A @ P + K
        P = spectral.procrustes(wrong)
    assert projected_gradient(s.X, s.B, P) > 1e-2


def test_codes_are_the_best_of_all(small):
    X, Y = small
    problem = alternation(X[:6], Y[:6], 2, n_neighbors=2)
    problem.run(1)
    s = problem.state
    found, least = problem.updates["B"](s), np.inf
    for bits in product((-1.0, 1.0), repeat=12):  # every pattern of 6 codes of 2 bits
        s.B = np.reshape(bits, (6, 2))
        if (loss := problem.objective(s)) < least:
            least, best = loss, s.B
    np.testing.assert_array_equal(found, best)


def test_codes_of_more_bits_than_features_are_the_best_bit_by_bit(small):
    X, Y = small[0][:6], small[1][:6]
    problem = alternation(X, Y, 9, n_neighbors=2)
    problem.run(1)
    s = problem.state
    s.B = problem.updates["B"](s)
    reached, codes = problem.objective(s), s.B
    for k, bits in product(range(9), product((-1.0, 1.0), repeat=6)):
        s.B = codes.copy()
        s.B[:, k] = bits
        assert problem.objective(s) >= reached - 1e-9


def test_strengths_stay_on_the_support_and_say_which_codes_are_equal(small):
    X, Y = small
    model = SRCH(4, n_neighbors=3, random_state=0).fit(X, Y)
    i, j = model.edges_.T
    support = (knn_graph(standardised(X), 3) + knn_graph(standardised(Y), 3)).toarray()
    joined = np.zeros((60, 60))
    joined[i, j] = 1
    np.testing.assert_array_equal(joined + joined.T, support > 0)
    state = alternation(X, Y, 4, n_neighbors=3, weight=0.7).state
    np.testing.assert_allclose(state.C, 0.7 * support[i, j])
    lengths = np.sum((model.Z_[i] - model.Z_[j]) ** 2, axis=1)
    np.testing.assert_allclose(model.strengths_, 1 / (1 + lengths), rtol=1e-12)
    assert (model.strengths_ > 0).all()
    assert (model.strengths_ <= 1).all()
    # without smoothing Z = B, and a strength is 1 exactly where the codes are equal
    plain = SRCH(4, weight=0, random_state=0).fit(X, Y)
    i, j = plain.edges_.T
    np.testing.assert_array_equal(plain.strengths_ == 1, (plain.B_[i] == plain.B_[j]).all(axis=1))


def test_rebasing_changes_the_codes():
    data = make_hidden_signal(300, random_state=0)
    rebased, frozen = (alternation(data.image, data.text, 8) for _ in range(2))
    frozen.updates["S"] = lambda s: s.S  # as set
    for problem in (rebased, frozen):
        problem.run(10)
    assert (rebased.state.B != frozen.state.B).any()
    assert frozen.state.S.min() == 1 > rebased.state.S.min()


def test_without_weight_the_graph_plays_no_part(small):
    few, many = (SRCH(3, n_neighbors=k, weight=0, random_state=0).fit(*small) for k in (2, 9))
    np.testing.assert_array_equal(few.B_, many.B_)
    np.testing.assert_array_equal(few.Z_, few.B_)
    strong = SRCH(3, weight=1e6, random_state=0).fit(*small)
    assert np.ptp(strong.Z_, axis=0).max() < 1e-2  # a connected graph of infinite weight: one Z


@pytest.mark.parametrize("n_bits", [4, 9])
def test_the_objective_never_rises(views, n_bits):
    history = SRCH(n_bits, tol=0, random_state=0).fit(views.image, views.text).history_
    assert len(history) == 31
    assert all(after <= before * (1 + 1e-9) for before, after in pairwise(history))
