"""The building blocks of hashing methods, each against its defining equation or an enumeration."""

from itertools import product
from types import SimpleNamespace

import numpy as np
import pytest
from scipy.linalg import solve_sylvester

from cmrlib._linalg import procrustes, ridge, shrink_singular_values, soft_threshold
from cmrlib.hashing import Alternation, block_gradient
from cmrlib.hashing._discrete import cyclic_bits, likelihood_bits, sign
from cmrlib.hashing._features import Anchors, standardiser
from cmrlib.hashing._graphs import Graph, knn_graph, label_factor
from cmrlib.hashing._linear import balanced, graph_sylvester, top_eigenvectors
from cmrlib.hashing._twostep import KernelLogisticMap, MLPMap, RidgeMap


@pytest.fixture
def rng():
    return np.random.RandomState(0)


def spd(rng, n):
    A = rng.normal(size=(n, n))
    return A @ A.T + np.eye(n)


# linear steps


def test_ridge_has_zero_gradient(rng):
    A, B = rng.normal(size=(30, 5)), rng.normal(size=(30, 3))
    W = ridge(A, B, 0.7)
    np.testing.assert_allclose(A.T @ (A @ W - B) + 0.7 * W, 0, atol=1e-12)


def test_ridge_refuses_dependent_columns_without_a_ridge():
    A = np.array([[1.0, 1.0], [2.0, 2.0], [2.0, 2.0]])
    with pytest.raises(ValueError, match="positive ridge"):
        ridge(A, A, 0.0)


def test_graph_sylvester_solves_its_equation(rng):
    X = rng.normal(size=(40, 3))
    graph = Graph(knn_graph(X, 4), label_factor(rng.randint(3, size=40)))
    B, C = spd(rng, 5), rng.normal(size=(40, 5))
    V = graph_sylvester(graph, B, C)
    W = graph.toarray()
    L = np.diag(W.sum(axis=1)) - W
    np.testing.assert_allclose(V, solve_sylvester(L, B, C), atol=1e-9)


def test_top_eigenvectors(rng):
    A, B = rng.normal(size=(6, 6)), spd(rng, 6)
    A = A + A.T
    values, V = top_eigenvectors(A, B, 4)
    np.testing.assert_allclose(A @ V, B @ V * values, atol=1e-10)
    np.testing.assert_allclose(V.T @ B @ V, np.eye(4), atol=1e-12)
    assert (np.diff(values) <= 0).all()
    assert values[0] == pytest.approx(np.linalg.eigvals(np.linalg.solve(B, A)).real.max())


@pytest.mark.parametrize("shape", [(4, 4), (6, 3), (3, 6)])
def test_procrustes_certificate(rng, shape):
    M = rng.normal(size=shape)
    R = procrustes(M)
    small = R.T @ R if shape[0] >= shape[1] else R @ R.T
    np.testing.assert_allclose(small, np.eye(min(shape)), atol=1e-12)
    certificate = M @ R.T  # symmetric and positive semidefinite at the maximum
    np.testing.assert_allclose(certificate, certificate.T, atol=1e-12)
    assert np.linalg.eigvalsh(certificate).min() > -1e-12


@pytest.mark.parametrize("rank", [0, 2, 4])
def test_balanced_columns(rng, rank):
    n, r = 30, 4
    M = rng.normal(size=(n, rank)) @ rng.normal(size=(rank, r))
    V = balanced(M)
    np.testing.assert_allclose(V.sum(axis=0), 0, atol=1e-12)
    np.testing.assert_allclose(V.T @ V, n * np.eye(r), atol=1e-11)
    # the bound of von Neumann is reached
    s = np.linalg.svd(M - M.mean(axis=0), compute_uv=False)
    assert np.sum(V * M) == pytest.approx(np.sqrt(n) * s.sum(), abs=1e-9)


def test_balanced_needs_more_items_than_bits(rng):
    with pytest.raises(ValueError, match="more than 5 items"):
        balanced(rng.normal(size=(5, 5)))


def test_thresholds_are_proximal_points(rng):
    M, t = rng.normal(size=(6, 4)), 0.6
    Z = soft_threshold(M, t)
    for z, m in zip(Z.ravel(), M.ravel(), strict=True):
        grid = np.linspace(-4, 4, 80001)
        assert z == pytest.approx(grid[np.argmin(t * abs(grid) + (grid - m) ** 2 / 2)], abs=1e-4)
    # subgradient of the nuclear norm: (M - Z) / t = P Qᵀ + N, N orthogonal to P, Q, ||N|| <= 1
    t = 2.0
    Z = shrink_singular_values(M, t)
    P, s, Qt = np.linalg.svd(Z, full_matrices=False)
    kept = s > 1e-12
    assert 0 < kept.sum() < 4
    N = (M - Z) / t - P[:, kept] @ Qt[kept]
    np.testing.assert_allclose(P[:, kept].T @ N, 0, atol=1e-12)
    np.testing.assert_allclose(N @ Qt[kept].T, 0, atol=1e-12)
    assert np.linalg.norm(N, 2) <= 1 + 1e-12


# graphs


def test_label_factor_is_the_cosine_of_labels():
    single = label_factor(np.array([3, 5, 3]))
    np.testing.assert_array_equal(single @ single.T, [[1, 0, 1], [0, 1, 0], [1, 0, 1]])
    F = label_factor(np.array([[1, 1, 0], [1, 0, 0], [0, 0, 0]]))
    np.testing.assert_allclose(F @ F.T, [[1, 0.5**0.5, 0], [0.5**0.5, 1, 0], [0, 0, 0]])


def test_graph_smoothness_is_the_sum_over_pairs(rng):
    X, V = rng.normal(size=(12, 2)), rng.normal(size=(12, 3))
    graph = Graph(knn_graph(X, 3), rng.uniform(size=(12, 2)))
    W = graph.toarray()
    pairs = sum(
        W[i, j] * np.sum((V[i] - V[j]) ** 2) for i, j in product(range(12), repeat=2)
    )  # fmt: skip
    assert graph.smoothness(V) == pytest.approx(pairs / 2)
    np.testing.assert_allclose(graph.degrees, W.sum(axis=1))


def test_knn_graph_joins_either_way():
    X = np.array([[0.0], [1.0], [3.0], [100.0]])
    expected = np.zeros((4, 4))
    for i, j in [(0, 1), (1, 2), (2, 3)]:
        expected[i, j] = expected[j, i] = 1
    np.testing.assert_array_equal(knn_graph(X, 1).toarray(), expected)


# features


def test_anchors_by_hand(rng):
    X = np.array([[0.0, 0.0], [3.0, 4.0]])
    anchors = Anchors.fit(X, 5, rng)
    # squared distances 0, 25, 25, 0: mean 12.5; exp(-25 / 25) = 1 / e
    assert anchors.bandwidth == pytest.approx(12.5**0.5)
    half = (1 - np.exp(-1)) / 2
    np.testing.assert_allclose(anchors.transform(X), [[half, -half], [-half, half]])
    np.testing.assert_allclose(anchors.transform(X[1:]), [[-half, half]])  # no batch mates


def test_standardiser_leaves_a_silent_column_at_zero(rng):
    X = np.c_[rng.normal(3, 2, size=(50, 2)), np.zeros(50)]
    Z = standardiser(X).transform(X)
    np.testing.assert_allclose(Z.mean(axis=0), 0, atol=1e-12)
    np.testing.assert_allclose(Z.std(axis=0), [1, 1, 0], atol=1e-12)


# discrete steps


def all_codes(n, r):
    return [np.array(bits, float).reshape(n, r) for bits in product((-1, 1), repeat=n * r)]


def test_sign_of_zero_is_plus_one():
    np.testing.assert_array_equal(sign(np.array([-0.1, -0.0, 0.0, 2.0])), [-1, 1, 1, 1])


def test_cyclic_bits_reach_the_exhaustive_optimum(rng):
    n, r = 3, 4
    W, Y = rng.normal(size=(r, 5)), rng.normal(size=(n, 5))

    def objective(B):
        return np.sum((Y - B @ W) ** 2)

    best = min(map(objective, all_codes(n, r)))
    ends = []
    for _ in range(30):
        start = sign(rng.normal(size=(n, r)))
        end = cyclic_bits(start, W @ W.T, Y @ W.T)
        assert objective(end) <= objective(start) + 1e-12
        for i, k in product(range(n), range(r)):  # no single bit is better flipped
            flipped = end.copy()
            flipped[i, k] *= -1
            assert objective(flipped) >= objective(end) - 1e-12
        ends.append(objective(end))
    assert min(ends) == pytest.approx(best)


def test_likelihood_bits_never_raise_the_loss(rng):
    S = (rng.uniform(size=(20, 15)) < 0.4).astype(float)
    B, D = sign(rng.normal(size=(20, 6))), sign(rng.normal(size=(15, 6)))

    def loss(B):
        Theta = 0.5 * B @ D.T
        return np.sum(np.logaddexp(0, Theta) - S * Theta)

    losses = [loss(B)]
    for _ in range(8):
        B = likelihood_bits(B, D, S, 0.5)
        losses.append(loss(B))
    assert (np.diff(losses) <= 1e-9).all()
    assert losses[-1] < 0.9 * losses[0]


# alternation


def factorisation(rng, factor=1.0):
    """Return ridge-regularised factorisation of X; `factor` != 1 plants a wrong step for U."""
    X = rng.normal(size=(20, 6))
    state = SimpleNamespace(X=X, V=rng.normal(size=(20, 3)), U=rng.normal(size=(3, 6)))
    return Alternation(
        state,
        {
            "U": lambda s: ridge(s.V, s.X, 0.5 * factor),
            "V": lambda s: ridge(s.U.T, s.X.T, 0.5).T,
        },
        lambda s: (
            ((s.X - s.V @ s.U) ** 2).sum() + 0.5 * ((s.U**2).sum() + (s.V**2).sum())
        ),
    )  # fmt: skip


def test_alternation_goes_down_and_stops(rng):
    alternation = factorisation(rng)
    history = alternation.run(500, 1e-8)
    assert (np.diff(history) <= 1e-12).all()
    assert len(history) < 500
    assert history[-2] - history[-1] < 1e-8 * history[-2]


def test_updates_run_in_order(rng):
    seen = []
    factorisation(rng).run(2, after=lambda name, state: seen.append((name, state.V.shape)))
    assert [name for name, _ in seen] == ["U", "V", "U", "V"]


def test_stationarity_exposes_a_wrong_closed_form(rng):
    right = factorisation(rng)
    worst = right.stationarity(right.objective)
    assert set(worst) == {"U", "V"}
    assert max(worst.values()) < 1e-12
    wrong = factorisation(rng, factor=4.0)
    assert (np.diff(wrong.run(3)) < 0).all()  # the objective goes down nevertheless
    worst = factorisation(rng, factor=4.0).stationarity(wrong.objective, skip=("V",))
    assert set(worst) == {"U"}
    assert worst["U"] > 1e-3


def test_block_gradient_is_relative_and_leaves_the_state_alone():
    state = SimpleNamespace(x=np.array([3.0]), scale=1e9)
    objective = lambda s: s.scale * ((s.x - 1) ** 2).sum()  # noqa: E731
    assert block_gradient(objective, state, "x") == pytest.approx(2.0)  # 2 (3 - 1) / (2 * 1)
    assert state.x == 3.0


# two-step maps


@pytest.fixture
def planted(rng):
    X = rng.normal(size=(400, 6))
    return X, sign(X @ rng.normal(size=(6, 5)) + 0.3)


def test_ridge_map_solves_its_normal_equations(planted):
    X, B = planted
    fitted = RidgeMap(0.1).fit(X, B)
    Xc = X - X.mean(axis=0)
    gradient = Xc.T @ (fitted.scores(X) - B) + 0.1 * len(X) * fitted.W_
    np.testing.assert_allclose(gradient, 0, atol=1e-9)
    np.testing.assert_allclose((fitted.scores(X) - B).mean(axis=0), 0, atol=1e-12)


def test_kernel_logistic_map_is_stationary(planted, rng):
    X, B = planted
    fitted = KernelLogisticMap(1e-3, 50, rng).fit(X, B)
    Phi = np.column_stack([fitted.anchors_.transform(X), np.ones(len(X))])
    p = 1 / (1 + np.exp(-fitted.scores(X)))
    gradient = Phi.T @ (p - (B > 0)) / len(X)
    gradient[:-1] += 1e-3 * fitted.W_[:-1]
    assert abs(gradient).max() < 1e-6
    assert np.mean(sign(fitted.scores(X)) == B) > 0.9


def test_maps_recover_planted_codes_of_new_items(planted, rng):
    X, B = planted
    for two_step in (RidgeMap(1e-3), KernelLogisticMap(1e-3, 100, rng), MLPMap(32, rng)):
        fitted = two_step.fit(X[:300], B[:300])
        agreement = np.mean(sign(fitted.scores(X[300:])) == B[300:])
        assert agreement > 0.85, type(two_step).__name__
