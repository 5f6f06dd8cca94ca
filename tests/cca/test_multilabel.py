"""ml-CCA and Fast ml-CCA against sums over all pairs, and against variants that are neither."""

import os
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from scipy.linalg import eigh

from cmrlib.base import cosine_similarity
from cmrlib.cca import multilabel
from cmrlib.cca.linear import CCA
from cmrlib.cca.multilabel import MLCCA, FastMLCCA
from cmrlib.datasets import fetch_wikipedia, make_gaussian_views, make_hidden_signal
from cmrlib.evaluation import evaluate, label_relevance, mean_average_precision

WIKIPEDIA = Path(os.environ.get("CMRLIB_DATA", "no folder")) / "wikipedia"


def multi_label_data(seed: int = 0, n: int = 60, m: int = 60, c: int = 5):
    """Unpaired views with multi-hot labels that show in both; some items have no label."""
    rng = np.random.default_rng(seed)
    L = (rng.random((n, c)) < [0.6, 0.4, 0.3, 0.3, 0.2]).astype(int)
    M = (rng.random((m, c)) < [0.2, 0.3, 0.3, 0.4, 0.6]).astype(int)
    L[0] = M[3] = 0
    X = L @ rng.normal(size=(c, 7)) + rng.normal(size=(n, 7))
    Y = M @ rng.normal(size=(c, 6)) + rng.normal(size=(m, 6))
    return X + 3, L, Y - 1, M


def dot(a: np.ndarray, b: np.ndarray) -> float:
    lengths = np.linalg.norm(a) * np.linalg.norm(b)
    return a @ b / lengths if lengths else 0.0


def exponential(sigma: float):
    return lambda a, b: np.exp(-np.linalg.norm(a - b) / sigma)


def all_pairs(X, L, Y, M, f):
    """Return C_xx, C_yy, C_xy as the sums over pairs that define ml-CCA."""
    X, Y = X - X.mean(axis=0), Y - Y.mean(axis=0)
    C_xx, C_yy = np.zeros((X.shape[1], X.shape[1])), np.zeros((Y.shape[1], Y.shape[1]))
    C_xy, Z = np.zeros((X.shape[1], Y.shape[1])), 0.0
    for x, a in zip(X, L, strict=True):
        for y, b in zip(Y, M, strict=True):
            weight = f(a, b)
            C_xx += weight * np.outer(x, x)
            C_yy += weight * np.outer(y, y)
            C_xy += weight * np.outer(x, y)
            Z += weight
    return C_xx / Z, C_yy / Z, C_xy / Z


def ridged(C: np.ndarray, reg: float) -> np.ndarray:
    return C + reg * np.trace(C) / len(C) * np.eye(len(C))


def assert_solves(model: MLCCA, C_xx, C_yy, C_xy) -> None:
    """The defining equations, and that no other directions correlate more."""
    A, B, rho = model.weights_image_, model.weights_text_, model.correlations_
    C_xx, C_yy = ridged(C_xx, model.reg), ridged(C_yy, model.reg)
    identity = np.eye(len(rho))
    np.testing.assert_allclose(A.T @ C_xx @ A, identity, atol=1e-9, err_msg="C_xx")
    np.testing.assert_allclose(B.T @ C_yy @ B, identity, atol=1e-9, err_msg="C_yy")
    np.testing.assert_allclose(A.T @ C_xy @ B, np.diag(rho), atol=1e-9, err_msg="C_xy")
    squared = eigh(C_xy @ np.linalg.solve(C_yy, C_xy.T), C_xx, eigvals_only=True)[::-1]
    np.testing.assert_allclose(rho**2, squared[: len(rho)], atol=1e-9, err_msg="not the largest")


def assert_multi_label_cca(model: MLCCA, n: int = 60, m: int = 60) -> None:
    """Structural test: all three matrices are sums over all pairs weighted by f."""
    f = dot if model.label_similarity == "dot" else exponential(model.sigma)
    data = multi_label_data(n=n, m=m)
    model.fit_unpaired(*data)
    assert_solves(model, *all_pairs(*data, f))
    X, _, Y, _ = data
    np.testing.assert_allclose(
        model.encode_image(X), (X - X.mean(axis=0)) @ model.weights_image_, atol=1e-12
    )
    np.testing.assert_allclose(
        model.encode_text(Y), (Y - Y.mean(axis=0)) @ model.weights_text_, atol=1e-12
    )


@pytest.mark.parametrize("reg", [0.0, 0.25])
@pytest.mark.parametrize("similarity", ["dot", "exp"])
def test_defining_equations(similarity, reg):
    assert_multi_label_cca(MLCCA(4, reg, similarity, sigma=0.7))
    assert_multi_label_cca(MLCCA(4, reg, similarity, sigma=0.7), n=50, m=33)


def test_blocks_of_label_sets_add_up(monkeypatch):
    whole = MLCCA(3).fit_unpaired(*multi_label_data())
    monkeypatch.setattr(multilabel, "_ENTRIES_AT_ONCE", 50)  # two label sets at a time
    blocks = MLCCA(3).fit_unpaired(*multi_label_data())
    np.testing.assert_allclose(blocks.weights_text_, whole.weights_text_, atol=1e-10)


# Variants that borrow the name.


class WeightedCrossCovarianceOnly(MLCCA):
    """C_xx and C_yy of the items as they are."""

    def _fit_unpaired(self, X, L, Y, M):
        plain = multilabel._whiten_weighted
        multilabel._whiten_weighted = lambda Z, weight, reg: plain(Z, np.ones(len(Z)), reg)
        try:
            super()._fit_unpaired(X, L, Y, M)
        finally:
            multilabel._whiten_weighted = plain


class PairsAfterAll(MLCCA):
    """f counts only between partners, row i and row i."""

    def _fit_unpaired(self, X, L, Y, M):
        everyone = np.arange(len(X))
        super()._fit_unpaired(X, everyone, Y, everyone)


class AnyCommonLabel(MLCCA):
    """f is 1 wherever a label is shared: a single-label method on multi-label data."""

    def _label_similarities(self, groups):
        for rows, F in super()._label_similarities(groups):
            yield rows, (F > 0).astype(float)


class SquaredDistance(MLCCA):
    """exp(-‖l_i - l_j‖² / σ)."""

    def _label_similarities(self, groups):
        for rows, F in super()._label_similarities(groups):
            yield rows, np.exp(-self.sigma * np.log(F) ** 2)


class AbsoluteRidge(MLCCA):
    """C + reg I."""

    def _fit_unpaired(self, X, L, Y, M):
        reg, self.reg = self.reg, self.reg / X.var(axis=0).mean()
        super()._fit_unpaired(X, L, Y, M)
        self.reg = reg


class ImagesWeightedByImages(MLCCA):
    """Σ_j f over the images for C_xx, as within one modality."""

    def _fit_unpaired(self, X, L, Y, M):
        super()._fit_unpaired(X, L, X, L)
        A, mean = self.weights_image_, self.mean_image_
        super()._fit_unpaired(X, L, Y, M)
        self.weights_image_, self.mean_image_ = A, mean


class WeightedMean(MLCCA):
    """Images centred where the weight is, not where the items are."""

    def _fit_unpaired(self, X, L, Y, M):
        super()._fit_unpaired(X, L, Y, M)
        weight = [sum(dot(a, b) for b in M) for a in L]
        self.mean_image_ = np.average(X, axis=0, weights=weight)


MUTANTS = {
    WeightedCrossCovarianceOnly: ("dot", "C_xx"),
    PairsAfterAll: ("dot", "C_xx"),
    AnyCommonLabel: ("dot", "C_xx"),
    SquaredDistance: ("exp", "C_xx"),
    AbsoluteRidge: ("dot", "C_xx"),
    ImagesWeightedByImages: ("dot", "C_xx"),
    WeightedMean: ("dot", "Not equal"),
}


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda m: m.__name__)
def test_rejects_what_is_not_multi_label_cca(mutant):
    similarity, reason = MUTANTS[mutant]
    with pytest.raises(AssertionError, match=reason):
        assert_multi_label_cca(mutant(4, 0.25, similarity, sigma=0.7))


# Reductions.


@pytest.mark.parametrize("reg", [0.0, 0.3])
def test_a_label_for_every_pair_gives_cca(reg):
    views = make_gaussian_views(300, 8, 6, random_state=0)
    cca = CCA(4, reg).fit(views.image, views.text)
    ml = MLCCA(4, reg).fit(views.image, views.text, np.arange(300))
    for name in ("correlations_", "weights_image_", "weights_text_"):
        np.testing.assert_allclose(getattr(ml, name), getattr(cca, name), atol=1e-10)


def test_one_class_each_gives_cca_of_all_pairs_within_the_classes():
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(4), 15)  # balanced, so that the plain mean is that of the pairs
    X = rng.normal(size=(4, 6))[labels] + rng.normal(size=(60, 6))
    Y = rng.normal(size=(4, 5))[labels] + rng.normal(size=(60, 5))
    i, j = np.nonzero(labels[:, None] == labels)
    clusters = CCA(3).fit(X[i], Y[j])
    ml = MLCCA(3, reg=0.0).fit(X, Y, labels)
    np.testing.assert_allclose(ml.correlations_, clusters.correlations_, atol=1e-10)
    np.testing.assert_allclose(ml.weights_image_, clusters.weights_image_, atol=1e-8)


def test_class_numbers_are_one_hot_vectors():
    data = make_hidden_signal(200, 15, 15, n_classes=4, random_state=0)
    rows = np.eye(6, dtype=int)[data.labels]  # with two columns that nobody has
    for similarity in ("dot", "exp"):
        by_number = MLCCA(3, 0.25, similarity).fit(data.image, data.text, data.labels)
        by_row = MLCCA(3, 0.25, similarity).fit(data.image, data.text, rows)
        np.testing.assert_allclose(by_number.weights_image_, by_row.weights_image_, atol=1e-12)


# No pairs, and what else changes nothing.


def test_shuffling_the_pairing_changes_nothing_but_ruins_cca():
    X, L, Y, M = multi_label_data()
    rng = np.random.default_rng(1)
    i, j = rng.permutation(len(X)), rng.permutation(len(Y))
    before = MLCCA(4).fit_unpaired(X, L, Y, M)
    after = MLCCA(4).fit_unpaired(X[i], L[i], Y[j], M[j])
    np.testing.assert_allclose(after.weights_image_, before.weights_image_, atol=1e-12)
    np.testing.assert_allclose(after.weights_text_, before.weights_text_, atol=1e-12)

    views = make_gaussian_views(400, 6, 5, correlations=[0.9], random_state=0)
    text = views.text[np.random.default_rng(0).permutation(400)]
    assert CCA(1).fit(views.image, views.text).correlations_[0] > 0.85
    assert CCA(1).fit(views.image, text).correlations_[0] < 0.3


def test_any_invertible_map_of_a_view_leaves_the_correlations():
    X, L, Y, M = multi_label_data()
    rng = np.random.default_rng(0)
    mix = rng.normal(size=(7, 7)) * np.geomspace(1e-3, 1e3, 7)
    plain = MLCCA(4, reg=0.0).fit_unpaired(X, L, Y, M)
    mixed = MLCCA(4, reg=0.0).fit_unpaired(X @ mix + 1e3, L, Y, M)
    np.testing.assert_allclose(mixed.correlations_, plain.correlations_, atol=1e-8)


def test_dependent_columns_change_nothing():
    X, L, Y, M = multi_label_data()
    doubled = np.column_stack([X, X[:, 2], np.zeros(len(X)), 2 * X[:, 0] - X[:, 1]])
    plain = MLCCA(4, reg=0.0).fit_unpaired(X, L, Y, M)
    more = MLCCA(4, reg=0.0).fit_unpaired(doubled, L, Y, M)
    np.testing.assert_allclose(more.correlations_, plain.correlations_, atol=1e-10)


def test_labels_carry_the_signal():
    data = make_hidden_signal(900, 20, 18, n_classes=4, random_state=0)
    train, test = data.split(test_size=0.5, random_state=0)
    shuffled = np.random.default_rng(0).permutation(train.labels)
    for model in (MLCCA(3), FastMLCCA(3)):
        found = evaluate(model.fit(train.image, train.text, train.labels), test)
        lost = evaluate(model.fit(train.image, train.text, shuffled), test)
        chance = found.random["mAP@all"]
        assert found.image_to_text["mAP@all"] > chance + 0.25
        assert abs(lost.image_to_text["mAP@all"] - chance) < 0.06


# Fast ml-CCA.


def neighbours(L: np.ndarray, M: np.ndarray, k: int) -> np.ndarray:
    """Return by plain loops how much of each text each image takes, (n, m)."""
    share = np.zeros((len(L), len(M)))
    for i, a in enumerate(L):
        distance = np.round(np.linalg.norm(M - a, axis=1), 9)
        last = np.sort(distance)[k - 1]
        nearer, tied = distance < last, distance == last
        share[i] = nearer + tied * (k - nearer.sum()) / tied.sum()
    return share


def assert_fast_multi_label_cca(model: FastMLCCA) -> None:
    """Structural test: the sums of ml-CCA over the nearest texts of each image alone."""
    X, L, Y, M = multi_label_data()
    share = neighbours(L, M, model.n_neighbors)
    np.testing.assert_allclose(share.sum(axis=1), model.n_neighbors)
    f = dot if model.label_similarity == "dot" else exponential(model.sigma)
    F = share * np.array([[f(a, b) for b in M] for a in L])
    rows = iter(F.ravel())
    model.fit_unpaired(X, L, Y, M)
    assert_solves(model, *all_pairs(X, L, Y, M, lambda a, b: next(rows)))


@pytest.mark.parametrize("similarity", ["dot", "exp"])
@pytest.mark.parametrize("k", [1, 7, 30, 60])
def test_fast_defining_equations(similarity, k):
    assert_fast_multi_label_cca(FastMLCCA(4, 0.25, similarity, 0.7, n_neighbors=k))


@pytest.mark.parametrize("similarity", ["dot", "exp"])
def test_fast_with_all_neighbours_is_ml_cca_exactly(similarity):
    X, L, Y, M = multi_label_data(m=45)
    full = MLCCA(4, 0.1, similarity).fit_unpaired(X, L, Y, M)
    fast = FastMLCCA(4, 0.1, similarity, n_neighbors=45).fit_unpaired(X, L, Y, M)
    np.testing.assert_array_equal(fast.weights_image_, full.weights_image_)
    np.testing.assert_array_equal(fast.weights_text_, full.weights_text_)


def test_fast_is_the_mean_over_random_choices_among_ties():
    """C_xy with ties shared out is what drawing k of the nearest texts gives on average."""
    rng = np.random.default_rng(0)
    _, L, Y, M = multi_label_data(n=4, m=12)
    expected, drawn = neighbours(L, M, 5) @ Y, np.zeros((4, 6))
    distance = np.linalg.norm(L[:, None] - M, axis=2).round(9)
    for _ in range(4000):
        nearest = np.lexsort((rng.random(distance.shape), distance), axis=1)[:, :5]
        drawn += Y[nearest].sum(axis=1) / 4000
    np.testing.assert_allclose(drawn, expected, atol=0.15)


class NoTruncation(FastMLCCA):
    """ml-CCA under the fast name."""

    def _share(self, squared_distance, n_texts):
        return 1.0


class NearestInStoredOrder(FastMLCCA):
    """Ties cut off by row number: the result depends on the order of the texts."""

    def _fit_unpaired(self, X, L, Y, M):
        seen: dict[tuple, int] = {}
        keep = []
        for row, label in enumerate(map(tuple, M)):
            seen[label] = seen.get(label, 0) + 1
            keep += [row] if seen[label] <= 3 else []
        super()._fit_unpaired(X, L, Y[keep], M[keep])


class NearestLabelSets(FastMLCCA):
    """k label sets, whatever number of texts has them."""

    def _share(self, squared_distance, n_texts):
        return super()._share(squared_distance, np.ones_like(n_texts))


class UnweightedNeighbours(FastMLCCA):
    """The nearest texts, all with weight 1."""

    def _label_similarities(self, groups):
        for rows, F in super()._label_similarities(groups):
            yield rows, (F > 0).astype(float)


FAST_MUTANTS = [NoTruncation, NearestInStoredOrder, NearestLabelSets, UnweightedNeighbours]


@pytest.mark.parametrize("mutant", FAST_MUTANTS, ids=lambda m: m.__name__)
def test_rejects_what_is_not_fast_multi_label_cca(mutant):
    with pytest.raises(AssertionError, match="C_xx|C_yy"):
        assert_fast_multi_label_cca(mutant(4, 0.25, "exp", 0.7, n_neighbors=20))


# Cost and refusals.


def test_memory_does_not_grow_with_the_square_of_the_items():
    n = 6000
    views = make_gaussian_views(n, 8, 6, random_state=0)
    for labels in (np.arange(n) % 7, np.arange(n)):  # few label sets, and one for every item
        tracemalloc.start()
        MLCCA(3).fit(views.image, views.text, labels)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 120e6  # n x n float64 is 288e6


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (MLCCA(0), "n_components"),
        (MLCCA(7), r"smaller rank of the two views, min\(7, 6\)"),
        (MLCCA(reg=-1.0), "reg"),
        (MLCCA(sigma=0.0), "sigma"),
        (MLCCA(label_similarity="cosine"), "'dot' or 'exp'"),
        (FastMLCCA(n_neighbors=0), "n_neighbors"),
        (FastMLCCA(n_neighbors=61), "more than the 60 texts"),
    ],
)
def test_refuses_bad_parameters(model, message):
    with pytest.raises(ValueError, match=message):
        model.fit_unpaired(*multi_label_data())


def test_refuses_more_components_than_the_labels_allow():
    data = make_hidden_signal(200, 15, 15, n_classes=4, random_state=0)
    MLCCA(3).fit(data.image, data.text, data.labels)
    with pytest.raises(ValueError, match="3 directions in which these labels relate"):
        MLCCA(4).fit(data.image, data.text, data.labels)


def test_refuses_labels_that_relate_nothing():
    X, L, Y, M = multi_label_data()
    with pytest.raises(ValueError, match="no image and text share a label"):
        MLCCA().fit_unpaired(X, np.zeros(60, int), Y, np.ones(60, int))
    with pytest.raises(ValueError, match="differ in kind"):
        MLCCA().fit_unpaired(X, L, Y, M[:, :3])


def test_refuses_fewer_items_than_the_views_need():
    rng = np.random.default_rng(0)
    X, Y, labels = rng.normal(size=(40, 36)), rng.normal(size=(40, 36)), np.arange(40) % 8
    with pytest.raises(ValueError, match="set reg > 0"):
        MLCCA(2, reg=0.0).fit(X, Y, labels)
    # it refuses exactly where noise alone gives a perfect correlation
    assert MLCCA(2, reg=1e-13).fit(X, Y, labels).correlations_[0] > 1 - 1e-9
    assert MLCCA(2, reg=0.0).fit(X, Y[:, :35], labels).correlations_[0] < 1 - 1e-6


# The published experiment.

needs_wikipedia = pytest.mark.skipif(
    not (WIKIPEDIA / "raw_features.mat").is_file(),
    reason="the Wikipedia features are not in $CMRLIB_DATA/wikipedia",
)


@needs_wikipedia
@pytest.mark.parametrize("model", [MLCCA(5), FastMLCCA(5, n_neighbors=2173)], ids=["full", "fast"])
def test_wikipedia(model):
    train, test = fetch_wikipedia(WIKIPEDIA.parent).split()
    model.set_params(label_similarity="dot")
    report = evaluate(model.fit(train.image, train.text, train.labels), test)
    assert report.image_to_text["mAP@all"] == pytest.approx(0.274, abs=0.01)
    assert report.text_to_image["mAP@all"] == pytest.approx(0.216, abs=0.01)


@needs_wikipedia
def test_wikipedia_validation_chooses_five_components():
    train, _ = fetch_wikipedia(WIKIPEDIA.parent).split()
    learn, validate = train.split(test_size=0.25, random_state=0)

    model = MLCCA(9).fit(learn.image, learn.text, learn.labels)
    S, T = model.encode_image(validate.image), model.encode_text(validate.text)
    same_class = label_relevance(validate.labels, validate.labels)

    def score(k: int) -> float:  # the first k of nine components are those of a fit with k
        similarity = cosine_similarity(S[:, :k], T[:, :k])
        return sum(mean_average_precision(s, same_class) for s in (similarity, similarity.T))

    assert max(range(2, 10), key=score) == 5
