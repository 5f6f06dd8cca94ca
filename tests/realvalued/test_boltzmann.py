"""Boltzmann machines against exact enumeration: energies, gradients, mean-field and its bound."""

import itertools

import numpy as np
import pytest
from scipy.special import expit, logit, logsumexp
from sklearn.preprocessing import FunctionTransformer

from cmrlib.datasets import make_hidden_signal
from cmrlib.realvalued.boltzmann import RBM, MultimodalDBM, _Chain


def bits(n):
    """Return all 2ⁿ rows of n bits."""
    return np.array(list(itertools.product([0.0, 1.0], repeat=n))).reshape(-1, n)


def words(counts):
    return [k for k, times in enumerate(counts) for _ in range(int(times))]


def documents(n_words, length):
    """Return the counts of all sequences of words; equal counts come as often as they can."""
    sequences = itertools.product(range(n_words), repeat=length)
    return np.array([np.bincount(s, minlength=n_words) for s in sequences], dtype=float)


# --- the restricted machine -----------------------------------------------------------------------


def small_rbm(kind, d=3, h=4, seed=0, **parameters):
    rng = np.random.default_rng(seed)
    rbm = RBM(h, kind, **parameters)
    rbm.weights_ = rng.normal(size=(d, h))
    rbm.visible_bias_, rbm.hidden_bias_ = rng.normal(size=d), rng.normal(size=h)
    rbm.n_features_in_ = d
    return rbm


def energy(rbm, v, h):
    """Return E(v, h) as the docstring states it, unit by unit and word by word."""
    W, a, b = rbm.weights_, rbm.visible_bias_, rbm.hidden_bias_
    if rbm.visible == "counts":
        each = [-a[k] - sum(W[k, j] * h[j] for j in range(len(h))) for k in words(v)]
        return sum(each) - v.sum() * sum(b[j] * h[j] for j in range(len(h)))
    value = -sum(v[i] * W[i, j] * h[j] for i in range(len(v)) for j in range(len(h)))
    value -= sum(b[j] * h[j] for j in range(len(h)))
    if rbm.visible == "gaussian":
        return value + sum((v[i] - a[i]) ** 2 for i in range(len(v))) / 2
    return value - sum(a[i] * v[i] for i in range(len(v)))


EXAMPLES = {
    "gaussian": np.random.default_rng(1).normal(size=(4, 3)),
    "binary": bits(3),
    "counts": np.array([[2.0, 0, 1], [0, 0, 0], [1, 1, 1], [0, 5, 0]]),
}


@pytest.mark.parametrize("kind", EXAMPLES)
def test_free_energy_and_hidden_posterior_are_those_of_enumeration(kind):
    rbm, V, H = small_rbm(kind), EXAMPLES[kind], bits(4)
    E = np.array([[energy(rbm, v, h) for h in H] for v in V])
    np.testing.assert_allclose(rbm.free_energy(V), -logsumexp(-E, axis=1), rtol=1e-12)
    posterior = np.exp(-E - logsumexp(-E, axis=1, keepdims=True))
    np.testing.assert_allclose(rbm.hidden(V), posterior @ H, rtol=1e-12)


def test_binary_visible_mean_is_that_of_enumeration():
    rbm, H, V = small_rbm("binary"), bits(4), bits(3)
    E = np.array([[energy(rbm, v, h) for v in V] for h in H])
    np.testing.assert_allclose(
        rbm.visible_mean(H), np.exp(-E - logsumexp(-E, axis=1, keepdims=True)) @ V, rtol=1e-12
    )


def test_gaussian_visible_mean_minimises_the_energy():
    rbm, h = small_rbm("gaussian"), np.array([1.0, 0, 1, 1])
    mean = rbm.visible_mean(h[None])[0]
    for i in range(3):
        slopes = [energy(rbm, mean + step * np.eye(3)[i], h) for step in (-1e-3, 1e-3)]
        assert abs(slopes[1] - slopes[0]) < 1e-9  # zero slope, and curvature 1:
        assert sum(slopes) - 2 * energy(rbm, mean, h) == pytest.approx(1e-6, rel=1e-4)


def test_counts_are_words_drawn_one_by_one():
    rbm, h = small_rbm("counts"), np.array([1.0, 0, 1, 1])
    V = documents(3, 4)
    E = np.array([energy(rbm, v, h) for v in V])
    p = np.exp(-E - logsumexp(-E))
    np.testing.assert_allclose(rbm.visible_mean(h[None])[0], p @ V / 4, rtol=1e-12)


def test_hidden_bias_of_counts_grows_with_the_document():
    rbm, V = small_rbm("counts"), EXAMPLES["counts"]
    np.testing.assert_allclose(logit(rbm.hidden(3 * V)), 3 * logit(rbm.hidden(V)), rtol=1e-6)
    empty = rbm.hidden(np.zeros((1, 3)))
    np.testing.assert_allclose(empty, 0.5)  # no word, no evidence
    binary = small_rbm("binary")
    np.testing.assert_allclose(binary.hidden(np.zeros((1, 3)))[0], expit(binary.hidden_bias_))


def exact_rbm_gradient(rbm, V, states):
    """Return d/dθ of the mean of log p(v), by central differences; `states` are all v there are."""

    def log_likelihood():
        return -rbm.free_energy(V).mean() - logsumexp(-rbm.free_energy(states))

    gradient = []
    for name in ("weights_", "visible_bias_", "hidden_bias_"):
        theta, slope = getattr(rbm, name), np.zeros(getattr(rbm, name).shape)
        for at in np.ndindex(theta.shape):
            old, values = theta[at], []
            for step in (-1e-5, 1e-5):
                theta[at] = old + step
                values.append(log_likelihood())
            theta[at] = old
            slope[at] = (values[1] - values[0]) / 2e-5
        gradient.append(slope)
    return gradient


@pytest.mark.parametrize("kind", ["binary", "counts"])
def test_gradient_with_chains_at_equilibrium_is_the_exact_one(kind):
    rbm = small_rbm(kind, seed=3)
    states = bits(3) if kind == "binary" else documents(3, 4)
    rng = np.random.default_rng(0)
    V = states[[1, 1, 2, 6]]
    exact = exact_rbm_gradient(rbm, V, states)
    p = np.exp(-rbm.free_energy(states) - logsumexp(-rbm.free_energy(states)))
    n = 60_000
    start = states[rng.choice(len(states), size=n, p=p)]  # drawn from the model itself
    found = rbm._gradient(np.tile(V, (n // 4, 1)), start, rng)[0]
    for mine, truth in zip(found, exact, strict=True):
        np.testing.assert_allclose(mine, truth, atol=0.03)  # 4 / sqrt(n), counts up to 4


@pytest.mark.parametrize("k", [1, 3])
def test_contrastive_divergence_is_k_steps_of_gibbs_sampling(k):
    rbm, V, H = small_rbm("binary", k=k, seed=3), bits(3), bits(4)
    up = np.prod(np.where(H == 1, rbm.hidden(V)[:, None], 1 - rbm.hidden(V)[:, None]), axis=2)
    down = rbm.visible_mean(H)
    down = np.prod(np.where(V == 1, down[:, None], 1 - down[:, None]), axis=2)
    after = np.linalg.matrix_power(up @ down, k)[5]  # where k steps from state 5 may end
    n, rng = 60_000, np.random.default_rng(0)
    data = np.tile(V[5], (n, 1))
    weights, visible, hidden = rbm._gradient(data, data, rng)[0]
    np.testing.assert_allclose(visible, V[5] - after @ V, atol=0.01)
    expected = np.outer(V[5], rbm.hidden(V)[5]) - (V * after[:, None]).T @ rbm.hidden(V)
    np.testing.assert_allclose(weights, expected, atol=0.01)
    np.testing.assert_allclose(hidden, rbm.hidden(V)[5] - after @ rbm.hidden(V), atol=0.01)
    exact = exact_rbm_gradient(rbm, V[[5]], V)[0]
    assert (np.abs(weights - exact).max() > 0.05) == (k == 1)  # one step is biased


def test_gaussian_chain_has_the_noise_of_the_model():
    rbm = small_rbm("gaussian", seed=2)
    rng, n = np.random.default_rng(0), 60_000
    data = np.tile(EXAMPLES["gaussian"][0], (n, 1))
    end = rbm._gradient(data, data, rng)[1]
    H = bits(4)
    p = np.prod(np.where(H == 1, rbm.hidden(data[:1]), 1 - rbm.hidden(data[:1])), axis=1)
    means = rbm.visible_mean(H)
    mean = p @ means
    cov = np.eye(3) + (means - mean).T @ (p[:, None] * (means - mean))
    np.testing.assert_allclose(end.mean(axis=0), mean, atol=0.04)
    np.testing.assert_allclose(np.cov(end.T), cov, atol=0.12)


def patterns():
    """Return 200 rows of 6 bits, two patterns with one bit in twenty turned, and the patterns."""
    rng = np.random.default_rng(0)
    clean = np.repeat([[1, 1, 1, 0, 0, 0], [0, 0, 1, 1, 1, 1]], 100, axis=0)
    return np.abs(clean - (rng.random(clean.shape) < 0.05)), clean


@pytest.mark.parametrize("persistent", [False, True])
def test_training_raises_the_exact_likelihood(persistent):
    V, _ = patterns()
    scores = []
    for epochs in (1, 600):
        rbm = RBM(3, "binary", learning_rate=0.003, n_epochs=epochs, persistent=persistent,
                  weight_decay=0, batch_size=50, random_state=0).fit(V)  # fmt: skip
        scores.append(-rbm.free_energy(V).mean() - logsumexp(-rbm.free_energy(bits(6))))
    shares = V.mean(axis=0)
    independent = (V * np.log(shares) + (1 - V) * np.log(1 - shares)).sum(axis=1).mean()
    rows, times = np.unique(V, axis=0, return_counts=True)
    best = (times / len(V)) @ np.log(times / len(V))
    assert scores[0] == pytest.approx(independent, abs=0.05)
    assert scores[1] > independent + 0.8 * (best - independent)
    assert len(rbm.history_["reconstruction"]) == 600


def test_counts_learn_topics():
    rng = np.random.default_rng(0)
    topics = np.array([[0.3, 0.3, 0.3, 0.05, 0.025, 0.025], [0.025, 0.025, 0.05, 0.3, 0.3, 0.3]])
    V = np.array([rng.multinomial(10, topics[i % 2]) for i in range(300)])
    rbm = RBM(2, "counts", learning_rate=0.01, n_epochs=60, random_state=0).fit(V)
    shares = rbm.visible_mean(rbm.hidden(V))
    np.testing.assert_allclose(shares[::2].mean(axis=0), topics[0], atol=0.04)
    np.testing.assert_allclose(shares[1::2].mean(axis=0), topics[1], atol=0.04)


def test_persistent_chains_go_on():
    V, _ = patterns()
    kept = {"n_epochs": 30, "random_state": 0, "batch_size": 50}
    cd, pcd = (RBM(3, "binary", persistent=p, **kept).fit(V) for p in (False, True))
    assert np.abs(cd.weights_ - pcd.weights_).max() > 1e-4
    again = RBM(3, "binary", persistent=True, **kept).fit(V)
    np.testing.assert_array_equal(again.weights_, pcd.weights_)


def test_bad_rbm_input_is_refused():
    with pytest.raises(ValueError, match=r"lie in \[0, 1\]"):
        RBM(visible="binary").fit([[2.0, 0.0], [1.0, 1.0]])
    for V in ([[0.5, 1.0]], [[-1.0, 1.0]]):
        with pytest.raises(ValueError, match="whole numbers of at least 0"):
            RBM(visible="counts").fit(V)
    with pytest.raises(ValueError, match="visible must be one of"):
        RBM(visible="poisson").fit(np.eye(3))
    with pytest.raises(ValueError, match="not fitted yet"):
        RBM().hidden(np.eye(3))
    with (
        pytest.raises(FloatingPointError, match="smaller learning_rate"),
        np.errstate(all="ignore"),
    ):
        RBM(4, learning_rate=1e6, random_state=0).fit(np.random.default_rng(0).normal(size=(50, 9)))


# --- the deep machine -----------------------------------------------------------------------------

SIZES = (3, 2, 2, 2, 2, 2, 3)  # 16 units: 65,536 states


def tiny(image="binary", text="binary", sizes=SIZES, seed=0, scale=1.0, **parameters):
    """Return a model of chosen size with random weights, as if it had been fitted."""
    rng = np.random.default_rng(seed)
    model = MultimodalDBM(sizes[3], sizes[1:3], visible_image=image, visible_text=text)
    model.set_params(**{"max_sweeps": 2000, **parameters})
    model.weights_ = [
        scale * rng.normal(size=shape) for shape in zip(sizes[:-1], sizes[1:], strict=True)
    ]
    model.biases_ = [0.5 * rng.normal(size=d) for d in sizes]
    model.n_features_image_, model.n_features_text_ = sizes[0], sizes[-1]
    model.length_image_, model.length_text_ = 1.0, 3.0 if text == "counts" else 1.0
    same = FunctionTransformer()
    model.scaler_image_ = model.scaler_text_ = same
    return model


def negative_energy(model, states):
    """Return -E of states, a list of seven arrays (n, d), term by term."""
    kinds = [model.visible_image, *["binary"] * 5, model.visible_text]
    total = np.zeros(len(states[0]))
    for W, lower, upper in zip(model.weights_, states[:-1], states[1:], strict=True):
        total += np.einsum("ni,ij,nj->n", lower, W, upper)
    for layer, (kind, b, s) in enumerate(zip(kinds, model.biases_, states, strict=True)):
        times = np.ones(len(s))
        if layer == 1 and kinds[0] == "counts":
            times = states[0].sum(axis=1)
        if layer == 5 and kinds[6] == "counts":
            times = states[6].sum(axis=1)
        total += -0.5 * ((s - b) ** 2).sum(axis=1) if kind == "gaussian" else times * (s @ b)
    return total


def enumerated(model, given):
    """Return all states that agree with `given`, a dict from layer to its row, and -E of each.

    Layers that are not given are binary, or a text of ``length_text_`` words.
    """
    blocks = []
    for layer, b in enumerate(model.biases_):
        if layer in given:
            blocks.append(np.asarray(given[layer], dtype=float)[None])
        elif layer == 6 and model.visible_text == "counts":
            blocks.append(documents(len(b), int(model.length_text_)))
        else:
            blocks.append(bits(len(b)))
    index = np.indices([len(block) for block in blocks]).reshape(7, -1)
    states = [block[rows] for block, rows in zip(blocks, index, strict=True)]
    return states, negative_energy(model, states)


def posterior_means(model, given):
    states, score = enumerated(model, given)
    p = np.exp(score - logsumexp(score))
    return [p @ part for part in states]


def chain_of(model):
    return _Chain(model._kinds, model.weights_, model.biases_)


IMAGES, TEXTS = bits(3)[[1, 3, 6]], bits(3)[[4, 2, 7]]


@pytest.mark.parametrize(
    "kinds", [("binary", "binary"), ("counts", "binary"), ("binary", "counts")]
)
def test_a_layer_hears_from_above_and_from_below(kinds):
    model = tiny(*kinds)
    states = [np.asarray([row]) for row in ([1, 0, 1.0], [1, 0.0], [0, 1.0], [1, 1.0], [0, 1.0],
                                            [1, 0.0], [0, 1, 1.0])]  # fmt: skip
    chain = chain_of(model)
    lengths = chain.lengths(states)
    for layer in range(7) if kinds == ("binary", "binary") else (1, 2, 3, 4, 5):
        given = {j: part[0] for j, part in enumerate(states) if j != layer}
        exact = posterior_means(model, given)[layer]
        np.testing.assert_allclose(chain.mean(states, layer, lengths)[0], exact, rtol=1e-12)
    before = chain.mean(states, 1, lengths)
    states[2] = 1 - states[2]  # in a stack of RBMs, or a deep belief net, h¹ would not notice
    assert np.abs(chain.mean(states, 1, lengths) - before).min() > 0.05


@pytest.mark.parametrize("given", ["image", "text", "both"])
@pytest.mark.parametrize("kinds", [("binary", "binary"), ("gaussian", "counts"),
                                   ("gaussian", "gaussian"), ("counts", "binary")])  # fmt: skip
def test_mean_field_is_a_fixed_point_of_all_free_layers(given, kinds):
    model = tiny(*kinds)
    X = None if given == "text" else 2.0 * IMAGES
    Y = None if given == "image" else TEXTS
    if kinds[0] == "binary" and X is not None:
        X = IMAGES
    states = model.mean_field(X, Y)
    chain = chain_of(model)
    lengths = chain.lengths(states)
    free = [1, 2, 3, 4, 5] + ([0] if X is None else []) + ([6] if Y is None else [])
    for layer in free:
        residual = np.abs(chain.mean(states, layer, lengths) - states[layer]).max()
        assert residual < 1e-6
    for layer, V in ((0, X), (6, Y)):
        if V is not None:
            np.testing.assert_array_equal(states[layer], V)


def exact_log(model, given):
    """Return log Σ exp(-E) over all that is not given; a missing Gaussian layer is integrated."""
    states, score = enumerated(model, given)
    return logsumexp(score)


def test_bound_is_never_above_the_exact_likelihood():
    gaps = []
    for seed in range(4):
        model = tiny(seed=seed)
        V, T = bits(6)[:, :3], bits(6)[:, 3:]
        exact = [exact_log(model, {0: x, 6: y}) for x, y in zip(V[::5], T[::5], strict=True)]
        gaps.append(exact - model.lower_bound(V[::5], T[::5]))
    assert np.min(gaps) > 1e-6  # strictly below: the posterior does not factorise
    assert np.max(gaps) < 2


def test_bound_is_exact_where_the_posterior_factorises():
    model = tiny()
    for link in (1, 2, 3, 4):
        model.weights_[link] = np.zeros((2, 2))  # no link between hidden units: two RBMs
    exact = [exact_log(model, {0: x, 6: y}) for x, y in zip(IMAGES, TEXTS, strict=True)]
    np.testing.assert_allclose(model.lower_bound(IMAGES, TEXTS), exact, rtol=1e-12)


@pytest.mark.parametrize("text", ["binary", "counts"])
def test_bound_holds_with_the_text_missing(text):
    model = tiny(text=text)
    states = model.mean_field(image=IMAGES)
    chain = chain_of(model)
    bound = chain.bound(states, [1, 2, 3, 4, 5, 6], chain.lengths(states))
    exact = np.array([exact_log(model, {0: x}) for x in IMAGES])
    assert (bound < exact).all()
    assert (exact - bound < 3).all()
    for link in range(1, 6):
        model.weights_[link] = 0 * model.weights_[link]
    states = model.mean_field(image=IMAGES)
    bound = chain_of(model).bound(states, [1, 2, 3, 4, 5, 6], chain.lengths(states))
    np.testing.assert_allclose(bound, [exact_log(model, {0: x}) for x in IMAGES], rtol=1e-12)


def test_bound_holds_with_a_gaussian_image_missing():
    model = tiny(image="gaussian")
    W, b = model.weights_[0], model.biases_[0]
    states = model.mean_field(text=TEXTS)
    chain = chain_of(model)
    bound = chain.bound(states, [0, 1, 2, 3, 4, 5], chain.lengths(states))
    for y, mine in zip(TEXTS, bound, strict=True):
        grid, score = enumerated(model, {0: b, 6: y})  # at v = b, then integrate v exactly
        field = grid[1] @ W.T
        score = score - field @ b + 0.5 * ((b + field) ** 2 - b**2).sum(axis=1)
        assert mine < logsumexp(score) + 1.5 * np.log(2 * np.pi)
    idle = model.set_params(max_sweeps=1)._inferred(None, TEXTS)
    assert len(idle) == 7


def test_bound_rises_with_every_sweep():
    model = tiny(scale=2.0)
    chain, last = chain_of(model), -np.inf
    states = model._start(chain, IMAGES, None)
    for sweeps in range(1, 12):
        free = [1, 2, 3, 4, 5, 6]
        lengths = chain.lengths(states)
        now = chain.mean_field(states, free, lengths, 0, sweeps)
        bound = chain.bound(now, free, lengths)
        assert (bound >= last - 1e-12).all()
        last = bound


def test_gradient_is_that_of_the_bound():
    """Envelope theorem: mean-field minus exact statistics is d/dθ of E_q[-E] + H(q) - log Z."""
    model = tiny(text="counts", scale=0.7)
    model.length_text_ = 2.0
    Y = np.array([[2.0, 0, 0], [0, 1, 1], [0, 0, 2]])

    def objective():
        _, score = enumerated(model, {})
        return model.lower_bound(IMAGES, Y).mean() - logsumexp(score)

    chain = chain_of(model)
    states = model.mean_field(IMAGES, Y)
    positive = chain.statistics(states, chain.lengths(states))
    everything, score = enumerated(model, {})
    p = np.exp(score - logsumexp(score))
    lengths = np.ones((len(p), 1)), np.full((len(p), 1), 2.0)
    weighted = [part * p[:, None] * len(p) for part in everything]
    pairs = zip(weighted[:-1], everything[1:], strict=True)
    negative = [a.T @ b / len(p) for a, b in pairs]
    negative += chain.statistics(weighted, lengths)[6:]
    for i, theta in enumerate([*model.weights_, *model.biases_]):
        at = (0,) * theta.ndim
        old, values = theta[at], []
        for step in (-1e-4, 1e-4):
            theta[at] = old + step
            values.append(objective())
        theta[at] = old
        slope = (positive[i] - negative[i])[at]
        assert slope == pytest.approx((values[1] - values[0]) / 2e-4, abs=1e-6)


def gibbs_means(chain, states, free, steps, seed):
    rng, lengths = np.random.default_rng(seed), chain.lengths(states)
    sums, kept = None, 0
    for step in range(steps):
        states = chain.gibbs(states, free, lengths, rng)
        if step >= steps // 5:
            found = chain.statistics(states, lengths)
            sums = found if sums is None else [a + b for a, b in zip(sums, found, strict=True)]
            kept += 1
    return [part / kept for part in sums]


@pytest.mark.parametrize("text", ["binary", "counts"])
def test_chains_have_the_exact_statistics(text):
    model = tiny(text=text, scale=0.8)
    chain = chain_of(model)
    start = model._start(chain, np.zeros((4000, 3)), documents(3, 3)[np.zeros(4000, int)])
    found = gibbs_means(chain, start, list(range(7)), 60, 0)
    states, score = enumerated(model, {})
    p = np.exp(score - logsumexp(score))
    scale = np.ones(7)
    scale[5] = 3 if text == "counts" else 1
    pairs = zip(states[:-1], states[1:], strict=True)
    exact = [(a * p[:, None]).T @ b for a, b in pairs]
    exact += [s * (p @ part) for s, part in zip(scale, states, strict=True)]
    for mine, truth in zip(found, exact, strict=True):
        np.testing.assert_allclose(mine, truth, atol=0.02)


def test_three_layer_machine_against_enumeration():
    rng = np.random.default_rng(5)
    W, V = rng.normal(size=(3, 3)), rng.normal(size=(3, 2))
    chain = _Chain(["binary"] * 3, [W, V], [rng.normal(size=d) for d in (3, 3, 2)])
    grid = bits(8)
    parts = np.split(grid, [3, 6], axis=1)
    score = (parts[0] @ W * parts[1]).sum(axis=1) + (parts[1] @ V * parts[2]).sum(axis=1)
    score += sum(part @ b for part, b in zip(parts, chain.biases, strict=True))
    p = np.exp(score - logsumexp(score))
    start = [np.zeros((4000, d)) for d in (3, 3, 2)]
    found = gibbs_means(chain, start, [0, 1, 2], 60, 0)
    np.testing.assert_allclose(np.concatenate(found[2:]), p @ grid, atol=0.01)
    np.testing.assert_allclose(found[1], (parts[1] * p[:, None]).T @ parts[2], atol=0.01)
    # mean-field approaches the exact posterior, and is exact if the upper weights are 0
    v = np.array([1.0, 0, 1])
    for factor, tolerance in ((1.0, 0.1), (0.1, 1e-3), (0.0, 1e-9)):
        scaled = _Chain(chain.kinds, [W, factor * V], chain.biases)
        rows = [part[(parts[0] == v).all(axis=1)] for part in parts]
        score = (v @ W * rows[1]).sum(axis=1) + factor * (rows[1] @ V * rows[2]).sum(axis=1)
        score += rows[1] @ chain.biases[1] + rows[2] @ chain.biases[2]
        exact = np.exp(score - logsumexp(score)) @ rows[1]
        states = [v[None], np.full((1, 3), 0.5), np.full((1, 2), 0.5)]
        lengths = scaled.lengths(states)
        mean = scaled.mean_field(states, [1, 2], lengths, 1e-12, 500)[1]
        np.testing.assert_allclose(mean[0], exact, atol=tolerance)


def test_missing_modality_is_filled_in_as_enumeration_says():
    model = tiny(scale=0.8)
    exact = np.array([posterior_means(model, {0: x})[6] for x in IMAGES])
    rows = np.repeat(IMAGES, 500, axis=0)
    found = model.fill_in(rows, "image", n_steps=60, random_state=0).reshape(3, 500, 3)
    np.testing.assert_allclose(found.mean(axis=1), exact, atol=0.02)
    np.testing.assert_allclose(model.fill_in(IMAGES, "image"), exact, atol=0.15)  # mean-field
    back = np.array([posterior_means(model, {6: y})[0] for y in TEXTS])
    found = model.fill_in(np.repeat(TEXTS, 500, axis=0), "text", n_steps=60, random_state=0)
    np.testing.assert_allclose(found.reshape(3, 500, 3).mean(axis=1), back, atol=0.02)


def test_codes_are_joint_means_with_the_other_modality_inferred():
    model = tiny()
    np.testing.assert_array_equal(model.encode_image(IMAGES), model.mean_field(image=IMAGES)[3])
    np.testing.assert_array_equal(model.encode_text(TEXTS), model.mean_field(text=TEXTS)[3])
    before = model.encode_image(IMAGES)
    model.biases_[6] = model.biases_[6] + 2  # texts look different: so does what is missing
    assert np.abs(model.encode_image(IMAGES) - before).max() > 1e-3
    both = model.mean_field(IMAGES, TEXTS)
    np.testing.assert_array_equal(model.encode_pair(IMAGES, TEXTS), both[3])


def test_codes_do_not_depend_on_batch_mates():
    model = tiny(scale=2.0, max_sweeps=50)
    alone = np.vstack([model.encode_text(row[None]) for row in bits(3)])
    np.testing.assert_allclose(model.encode_text(bits(3)), alone, rtol=0, atol=1e-12)


def test_turning_a_missing_gaussian_layer_changes_nothing():
    model = tiny(image="gaussian", sizes=(6, 2, 2, 2, 2, 2, 3))
    chain = chain_of(model)
    states = model._start(chain, None, TEXTS)
    free = [5, 4, 3, 2, 1, 0]
    plain = chain.mean_field(states, free, chain.lengths(states), 1e-12, 2000)
    for mine, other in zip(model.mean_field(text=TEXTS), plain, strict=True):
        np.testing.assert_allclose(mine, other, atol=1e-6)


# --- training -------------------------------------------------------------------------------------


def related_bits(n, seed):
    """Return images and texts of 3 bits that say the same, with one bit in ten turned."""
    rng = np.random.default_rng(seed)
    z = rng.integers(2, size=n)
    clean = np.stack([z, z, 1 - z], axis=1)
    return (np.abs(clean - (rng.random((n, 3)) < 0.1)) for _ in range(2))


# found on draws 3, 5 and 7
SMALL = {
    "n_components": 6,
    "hidden": (8, 6),
    "visible_image": "binary",
    "visible_text": "binary",
    "pretrain_learning_rate": (0.02, 0.02),
    "pretrain_epochs": 100,
    "n_epochs": 100,
    "learning_rate": 0.003,
    "k": 3,
    "batch_size": 50,
    "weight_decay": 0.0,
    "random_state": 0,
}


def exact_log_by_layers(model, given):
    """Return log Σ exp(-E) of a binary machine, summing out one layer after the other."""
    log, below = 0.0, np.zeros((1, 0))
    for layer, b in enumerate(model.biases_):
        states = np.asarray(given[layer])[None] if layer in given else bits(len(b))
        links = model.weights_[layer - 1] if layer else np.zeros((0, len(b)))
        log = states @ b + logsumexp(np.reshape(log, (-1, 1)) + below @ links @ states.T, axis=0)
        below = states
    return logsumexp(log)


def test_two_ways_to_the_exact_likelihood_agree():
    model = tiny()
    for given in ({}, {0: IMAGES[0]}, {0: IMAGES[1], 6: TEXTS[1]}):
        assert exact_log_by_layers(model, given) == pytest.approx(exact_log(model, given))


@pytest.fixture(scope="module")
def learnt():
    return MultimodalDBM(**SMALL).fit(*related_bits(400, 0))


def test_joint_training_raises_the_exact_likelihood(learnt):
    X, Y = related_bits(400, 0)
    rows, times = np.unique(np.concatenate([X, Y], axis=1), axis=0, return_counts=True)
    shares, weights = times @ rows / 400, times / 400

    def exact(model):
        pairs = [exact_log_by_layers(model, {0: v[:3], 6: v[3:]}) for v in rows]
        return weights @ pairs - exact_log_by_layers(model, {})

    before = MultimodalDBM(**SMALL | {"n_epochs": 0}).fit(X, Y)
    after = learnt
    assert exact(after) > exact(before) + 0.05
    independent = weights @ np.log(rows * shares + (1 - rows) * (1 - shares)).sum(axis=1)
    best = weights @ np.log(weights)
    assert exact(after) > independent + 0.8 * (best - independent)
    assert len(after.history_["reconstruction_text"]) == 100


def test_pretraining_doubles_the_weights_of_the_missing_side():
    X, Y = related_bits(200, 0)
    model = MultimodalDBM(**SMALL | {"n_epochs": 0}).fit(X, Y)
    first, second, first_text, second_text, joint = model.rbms_
    H = first.hidden(X)
    np.testing.assert_allclose(H, expit(2 * X @ first.weights_ + first.hidden_bias_))
    down = second.visible_mean(second.hidden(H))
    np.testing.assert_allclose(
        down, expit(second.hidden(H) @ second.weights_.T + second.visible_bias_)
    )
    top = np.hstack([second.hidden(H), second_text.hidden(first_text.hidden(Y))])
    h3 = joint.hidden(top)
    np.testing.assert_allclose(h3, expit(top @ joint.weights_ + joint.hidden_bias_))
    np.testing.assert_allclose(
        joint.visible_mean(h3), expit(2 * h3 @ joint.weights_.T + joint.visible_bias_)
    )
    # put together, the field of a shared layer is the mean of what its two machines say
    states = [X, H, second.hidden(H), h3, top[:, 6:], first_text.hidden(Y), Y]
    chain = chain_of(model)
    lengths = chain.lengths(states)
    say = [(logit(H) + logit(second.visible_mean(states[2]))) / 2,
           (logit(states[2]) + logit(joint.visible_mean(h3))[:, :6]) / 2, logit(h3),
           (logit(states[4]) + logit(joint.visible_mean(h3))[:, 6:]) / 2]  # fmt: skip
    for layer, field in zip((1, 2, 3, 4), say, strict=True):
        np.testing.assert_allclose(logit(chain.mean(states, layer, lengths)), field, atol=1e-9)
    np.testing.assert_allclose(
        chain.mean(states, 0, lengths), first.visible_mean(states[1]), atol=1e-12
    )


def test_bits_of_the_missing_modality_are_recovered_unless_pairs_are_shuffled(learnt):
    X, Y = related_bits(400, 0)
    X_new, Y_new = related_bits(300, 1)
    right = ((learnt.fill_in(X_new, "image") > 0.5) == Y_new).mean()
    assert right > 0.8  # a clean guess of all bits is right in 0.9 of them
    shuffled = np.random.default_rng(0).permutation(len(Y))
    fooled = MultimodalDBM(**SMALL).fit(X, Y[shuffled])
    assert ((fooled.fill_in(X_new, "image") > 0.5) == Y_new).mean() < 0.65


def test_features_must_be_of_their_kind():
    data = make_hidden_signal(60, 14, 12, n_classes=3, n_nuisance=4, random_state=0)
    with pytest.raises(ValueError, match="text must hold counts"):
        MultimodalDBM(visible_text="counts").fit(data.image, data.text)
    with pytest.raises(ValueError, match=r"image must lie in \[0, 1\]"):
        MultimodalDBM(visible_image="binary").fit(data.image, data.text)
    with pytest.raises(ValueError, match="visible_text must be one of"):
        MultimodalDBM(visible_text="words").fit(data.image, data.text)
    model = tiny(text="counts")
    with pytest.raises(ValueError, match="text must hold counts"):
        model.encode_text([[0.5, 1, 0]])
    with pytest.raises(ValueError, match="nothing to infer from"):
        model.mean_field()
    with pytest.raises(ValueError, match="give pairs"):
        model.mean_field(IMAGES, TEXTS[:2])
    with (
        pytest.raises(FloatingPointError, match="smaller learning_rate"),
        np.errstate(all="ignore"),
    ):
        MultimodalDBM(4, (4, 4), learning_rate=1e8, random_state=0).fit(data.image, data.text)
