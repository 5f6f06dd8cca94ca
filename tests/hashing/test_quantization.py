"""ACQ, QCH and IMVH: each step against the printed objective, and their exact reductions."""

import tracemalloc
from itertools import permutations, product

import numpy as np
import pytest
import torch

from cmrlib.datasets import make_gaussian_views, make_hidden_signal
from cmrlib.hashing.codes import CCASign, quantization_error, random_rotation
from cmrlib.hashing.quantization import ACQ, IMVH, QCH, paired_bits, signed_permutation


def sign(Z):
    return np.where(Z >= 0, 1.0, -1.0)


def two_views(n, r, seed=0):
    """Two correlated views of unit scale, skewed so that no rotation is like another."""
    rng = np.random.RandomState(seed)
    common = rng.laplace(size=(n, r))
    return tuple(0.7 * common + 0.5 * rng.laplace(size=(n, r)) for _ in range(2))


def planted_bits(n=500, r=4, p=12, q=10, noise=0.4, seed=0):
    """Pairs whose views are mixtures of the same hidden bits (n, r), and noise of their own."""
    rng = np.random.RandomState(seed)
    Z = sign(rng.normal(size=(n, r)))
    mixtures = (np.linalg.qr(rng.normal(size=(d, r)))[0].T for d in (p, q))
    return Z, *(Z @ M + noise * rng.normal(size=(n, M.shape[1])) for M in mixtures)


def standardised(X):
    return (X - X.mean(axis=0)) / X.std(axis=0)


# the objectives, as the docstrings print them


def squared(D):
    return (D**2).sum()


def published_acq(s):
    own = squared(s.B_image - s.V_image @ s.R_image) + squared(s.B_text - s.V_text @ s.R_text)
    other = squared(s.B_image - s.V_text @ s.R_text) + squared(s.B_text - s.V_image @ s.R_image)
    return own + s.gamma * other


def published_qch(s):
    """In the single-view form: B (2n, r), X block-diagonal, W stacked."""
    library = torch if isinstance(s.B, torch.Tensor) else np
    n = len(s.X)
    zero, one = library.zeros((n, n)), library.eye(n)
    if library is torch:
        zero, one = zero.double(), one.double()
        S = torch.cat([torch.cat([zero, one], 1), torch.cat([one, zero], 1)])
        XW = torch.cat([s.X @ s.W_image, s.Y @ s.W_text])
    else:
        S = np.block([[zero, one], [one, zero]])
        XW = np.vstack([s.X @ s.W_image, s.Y @ s.W_text])
    ridge = s.ridge_image * squared(s.W_image) + s.ridge_text * squared(s.W_text)
    return -(s.B.T @ S @ s.B).trace() / 2 + s.lam * (squared(s.B - XW) + ridge)


def published_imvh(s):
    error = squared(s.B_image - s.V_image @ s.R_image) + squared(s.B_text - s.V_text @ s.R_text)
    return error + s.mu * squared(s.B_image - s.B_text @ s.T)


# what each kind of block has to satisfy


def gradient(objective, state, block):
    tensors = {
        k: torch.from_numpy(np.array(v)) if isinstance(v, np.ndarray) else v
        for k, v in vars(state).items()
    }
    moved = type(state)(**tensors)
    variable = getattr(moved, block).requires_grad_()
    return torch.autograd.grad(objective(moved), variable)[0].numpy()


def check_directions(objective, state, block, metric):
    """W minimises the objective to first order among all with WᵀCW = I."""
    W = getattr(state, block)
    np.testing.assert_allclose(W.T @ metric @ W, np.eye(W.shape[1]), atol=1e-8)
    G = gradient(objective, state, block)
    M = W.T @ G  # the multipliers, symmetric: G = C W M
    scale = np.linalg.norm(G)
    assert np.linalg.norm(M - M.T) < 1e-6 * scale
    assert np.linalg.norm(G - metric @ W @ M) < 1e-6 * scale


def check_procrustes(V, B, R):
    """No rotation is better: RᵀVᵀB is symmetric and positive semidefinite."""
    M = R.T @ V.T @ B
    assert np.linalg.norm(M - M.T) < 1e-8 * np.linalg.norm(M)
    assert np.linalg.eigvalsh((M + M.T) / 2).min() > -1e-8 * np.linalg.norm(M)


def check_codes(objective, state, block):
    """No codes are better: all of them are tried."""
    found = getattr(state, block)
    value = objective(state)
    for bits in product((-1.0, 1.0), repeat=found.size):
        other = type(state)(**{**vars(state), block: np.reshape(bits, found.shape)})
        assert objective(other) >= value - 1e-9


def check_falls(values):
    assert (np.diff(values) <= 1e-9 * np.abs(values[0])).all()


# ACQ


def acq(gamma, n=60, r=4, **kwargs):
    return ACQ(r, gamma=gamma, **kwargs)._alternation(*two_views(n, r), np.random.RandomState(1))


def certify_acq(problem, sweeps=4):
    values = [published_acq(problem.state)]

    def check(block, s):
        values.append(published_acq(s))
        if block.startswith("R"):
            side, other = ("image", "text") if block == "R_image" else ("text", "image")
            R, V = getattr(s, block), getattr(s, f"V_{side}")
            target = getattr(s, f"B_{side}") + s.gamma * getattr(s, f"B_{other}")
            check_directions(published_acq, s, block, np.eye(len(R)))
            check_procrustes(V, target, R)
        elif getattr(s, block).size <= 8:
            check_codes(published_acq, s, block)

    history = problem.run(sweeps, after=check)
    np.testing.assert_allclose(history, values[::4])
    check_falls(values)


@pytest.mark.parametrize("gamma", [0.0, 0.3, 1.0, 2.0])
def test_each_half_step_of_acq_is_exact(gamma):
    certify_acq(acq(gamma))
    certify_acq(acq(gamma, n=4, r=2))


ACQ_MUTANTS = {
    "rotation deaf to the other codes": ("R_image", lambda s: _polar(s.V_image.T @ s.B_image)),
    "rotation transposed": (
        "R_text",
        lambda s: _polar(s.V_text.T @ (s.B_text + s.gamma * s.B_image)).T,
    ),
    "codes deaf to the other view": ("B_image", lambda s: sign(s.V_image @ s.R_image)),
    "coupling doubled": (
        "B_text",
        lambda s: sign(s.V_text @ s.R_text + 2 * s.gamma * s.V_image @ s.R_image),
    ),
    "other view not rotated": (
        "B_text",
        lambda s: sign(s.V_text @ s.R_text + s.gamma * s.V_image),
    ),
}


def _polar(M):
    P, _, Qt = np.linalg.svd(M)
    return P @ Qt


@pytest.mark.parametrize("name", ACQ_MUTANTS)
def test_mutants_of_acq_are_caught(name):
    block, update = ACQ_MUTANTS[name]
    with pytest.raises(AssertionError):
        for seed in range(10):
            views = two_views(4, 2, seed)
            problem = ACQ(2, gamma=0.6)._alternation(*views, np.random.RandomState(1))
            problem.updates[block] = update
            certify_acq(problem)


def itq(V, R, sweeps):
    for _ in range(sweeps):
        R = _polar(V.T @ sign(V @ R))
    return R


def test_uncoupled_acq_is_two_quantisations():
    problem, R = acq(0.0), random_rotation(4, np.random.RandomState(1))
    problem.run(9)
    for side in ("image", "text"):
        V = getattr(problem.state, f"V_{side}")
        alone = itq(V, R, 9)
        np.testing.assert_allclose(getattr(problem.state, f"R_{side}"), alone, atol=1e-10)
        np.testing.assert_array_equal(getattr(problem.state, f"B_{side}"), sign(V @ alone))


def test_fully_coupled_acq_has_common_codes():
    problem = acq(1.0)
    problem.run(6)
    s = problem.state
    np.testing.assert_array_equal(s.B_image, s.B_text)
    np.testing.assert_array_equal(s.B_text, sign(s.V_image @ s.R_image + s.V_text @ s.R_text))


def test_equal_views_stay_equal():
    V, R = two_views(60, 4)[0], random_rotation(4, np.random.RandomState(1))
    problem = ACQ(4, gamma=0.5)._alternation(V, V, np.random.RandomState(1))
    problem.run(9)
    np.testing.assert_allclose(problem.state.R_image, itq(V, R, 9), atol=1e-10)
    np.testing.assert_allclose(problem.state.R_text, problem.state.R_image, atol=1e-10)


def test_acq_encodes_with_its_rotations():
    views = make_gaussian_views(300, 8, 6, correlations=[0.9, 0.8, 0.7], random_state=0)
    model = ACQ(3, gamma=0.4, reg=0.1, random_state=0).fit(views.image, views.text)
    plain = CCASign(3, reg=0.1).fit(views.image, views.text)
    for name, Z in (("image", views.image), ("text", views.text)):
        scores = plain._encode_image(Z) if name == "image" else plain._encode_text(Z)
        R = getattr(model, f"R_{name}_")
        expected = sign(scores * plain.correlations_ @ R)
        np.testing.assert_array_equal(model.encode(Z, name), expected)


# QCH


@pytest.mark.parametrize("lam", [0.01, 0.4, 1.0, 30.0])
def test_paired_bits_are_the_best_of_all(lam):
    rng = np.random.RandomState(0)
    for _ in range(20):
        V, W = rng.normal(size=(2, 2, 2))
        B, D = np.split(paired_bits(V, W, lam), 2)

        def value(B, D, V=V, W=W):
            return -np.sum(B * D) + lam * (squared(B - V) + squared(D - W))

        every = [np.reshape(bits, (2, 2, 2)) for bits in product((-1, 1), repeat=8)]
        assert value(B, D) == pytest.approx(min(value(*pair) for pair in every))


def qch(lam, reg=0.3, n=60, r=3, seed=0):
    X, Y = two_views(n, 6 if n > 10 else 3, seed)
    problem = QCH(r, lam=lam, reg=reg)
    return problem._alternation(standardised(X), standardised(Y), np.random.RandomState(1))


def check_pairs(s):
    """No pair of bits is better among the four there are."""
    (B, D), V, W = np.split(s.B, 2), s.X @ s.W_image, s.Y @ s.W_text

    def cost(b, d):
        return -b * d + s.lam * ((b - V) ** 2 + (d - W) ** 2)

    best = np.min([cost(b, d) for b, d in product((-1, 1), repeat=2)], axis=0)
    np.testing.assert_allclose(cost(B, D), best, atol=1e-9)


def certify_qch(problem, sweeps=4):
    values = [published_qch(problem.state)]

    def check(block, s):
        values.append(published_qch(s))
        if block == "B":
            check_pairs(s)
            if s.B.size <= 12:
                check_codes(published_qch, s, "B")
            return
        X, ridge = (s.X, s.ridge_image) if block == "W_image" else (s.Y, s.ridge_text)
        n, B = len(X), s.B[: len(X)] if block == "W_image" else s.B[len(X) :]
        C = (X.T @ X + ridge * np.eye(X.shape[1])) / n
        W = getattr(s, block)
        check_directions(published_qch, s, block, C)
        check_procrustes(X, B, W)

    history = problem.run(sweeps, after=check)
    np.testing.assert_allclose(history, values[::3])
    check_falls(values)


@pytest.mark.parametrize("lam", [0.1, 1.0, 10.0])
@pytest.mark.parametrize("reg", [0.0, 0.5])
def test_each_step_of_qch_is_exact(lam, reg):
    certify_qch(qch(lam, reg))
    certify_qch(qch(lam, max(reg, 0.1), n=3, r=2), sweeps=2)


def _constrained(s, X, target, ridge):
    """Best W for a target under WᵀCW = I, by the symmetric square root of C."""
    values, vectors = np.linalg.eigh((X.T @ X + ridge * np.eye(X.shape[1])) / len(X))
    root = vectors / np.sqrt(values) @ vectors.T
    P, _, Qt = np.linalg.svd(root @ X.T @ target, full_matrices=False)
    return root @ P @ Qt


QCH_MUTANTS = {
    "plain least squares": ("W_image", lambda s: np.linalg.lstsq(s.X, s.B[: len(s.X)])[0]),
    "orthogonal, not whitened": ("W_image", lambda s: _constrained(s, s.X, s.B[: len(s.X)], 1e9)),
    "the other view's codes": (
        "W_text",
        lambda s: _constrained(s, s.Y, s.B[: len(s.X)], s.ridge_text),
    ),
    "no correlation": ("B", lambda s: sign(np.vstack([s.X @ s.W_image, s.Y @ s.W_text]))),
    "always equal": (
        "B",
        lambda s: np.vstack([sign(s.X @ s.W_image + s.Y @ s.W_text)] * 2),
    ),
}


@pytest.mark.parametrize("name", QCH_MUTANTS)
def test_mutants_of_qch_are_caught(name):
    block, update = QCH_MUTANTS[name]
    with pytest.raises(AssertionError):
        for lam in (0.5, 5.0):
            problem = qch(lam)
            problem.updates[block] = update
            certify_qch(problem)


def test_qch_step_agrees_with_another_square_root():
    problem = qch(1.0)
    s = problem.state
    W = problem.updates["W_image"](s)
    np.testing.assert_allclose(W, _constrained(s, s.X, s.B[: len(s.X)], s.ridge_image), atol=1e-8)


def test_large_lambda_leaves_quantisation_alone():
    problem = qch(1e12)
    s = problem.state
    W, V = s.W_image, s.W_text
    problem.run(8)
    for _ in range(8):
        W = _constrained(s, s.X, sign(s.X @ W), s.ridge_image)
        V = _constrained(s, s.Y, sign(s.Y @ V), s.ridge_text)
    np.testing.assert_allclose(s.W_image, W, atol=1e-7)
    np.testing.assert_allclose(s.W_text, V, atol=1e-7)
    np.testing.assert_array_equal(s.B, sign(np.vstack([s.X @ W, s.Y @ V])))


def test_small_lambda_makes_common_codes():
    problem = qch(1e-6)
    problem.run(5)
    s = problem.state
    np.testing.assert_array_equal(s.B[: len(s.X)], s.B[len(s.X) :])
    np.testing.assert_array_equal(s.B[: len(s.X)], sign(s.X @ s.W_image + s.Y @ s.W_text))


def scores(model, image, text):
    return model._encode_image(image), model._encode_text(text)


def agreement(V, W):
    return float(np.mean(sign(V) * sign(W)))


def test_qch_quantises_better_than_cca_and_sign_at_equal_correlation():
    _, image, text = planted_bits()
    plain = scores(CCASign(4, reg=0.0).fit(image, text), image, text)
    joint = scores(QCH(4, reg=0.0, random_state=0).fit(image, text), image, text)
    for V, W in zip(plain, joint, strict=True):
        np.testing.assert_allclose(V.T @ V / len(V), np.eye(4), atol=1e-8)  # of equal scale
        np.testing.assert_allclose(W.T @ W / len(W), np.eye(4), atol=1e-8)
        assert quantization_error(W) < 0.8 * quantization_error(V)
    assert agreement(*joint) > agreement(*plain) - 0.01


# IMVH


@pytest.mark.parametrize("seed", range(5))
def test_signed_permutation_is_the_best_of_all(seed):
    M = np.random.RandomState(seed).normal(size=(3, 3))
    T = signed_permutation(M)
    every = [
        np.eye(3)[list(order)] * np.array(signs)
        for order in permutations(range(3))
        for signs in product((-1, 1), repeat=3)
    ]
    assert np.sum(T * M) == pytest.approx(max(np.sum(P * M) for P in every))
    assert any(np.array_equal(T, P) for P in every)


def imvh(mu, n=60, r=4, seed=0):
    return IMVH(r, mu=mu)._alternation(*two_views(n, r, seed), np.random.RandomState(1))


def check_alignment(s):
    r = len(s.T)
    assert s.T.shape == (r, r)
    value = published_imvh(s)
    for order in permutations(range(r)):
        for signs in product((-1.0, 1.0), repeat=r):
            P = np.eye(r)[list(order)] * np.array(signs)
            assert published_imvh(type(s)(**{**vars(s), "T": P})) >= value - 1e-9


def certify_imvh(problem, sweeps=3):
    values = [published_imvh(problem.state)]

    def check(block, s):
        values.append(published_imvh(s))
        if block == "T":
            check_alignment(s)
        elif block.startswith("R"):
            side = block[2:]
            R, V, B = getattr(s, block), getattr(s, f"V_{side}"), getattr(s, f"B_{side}")
            check_directions(published_imvh, s, block, np.eye(len(R)))
            check_procrustes(V, B, R)
        elif getattr(s, block).size <= 8:
            check_codes(published_imvh, s, block)

    history = problem.run(sweeps, after=check)
    np.testing.assert_allclose(history, values[::5])
    check_falls(values)


@pytest.mark.parametrize("mu", [0.0, 0.3, 2.0])
def test_each_step_of_imvh_is_exact(mu):
    certify_imvh(imvh(mu, r=3))
    certify_imvh(imvh(mu, n=4, r=2))


IMVH_MUTANTS = {
    "no alignment": ("T", lambda s: np.eye(len(s.T))),
    "signs forgotten": ("T", lambda s: np.abs(signed_permutation(s.B_text.T @ s.B_image))),
    "alignment the wrong way": ("T", lambda s: signed_permutation(s.B_image.T @ s.B_text)),
    "not transposed": ("B_text", lambda s: sign(s.V_text @ s.R_text + s.mu * s.B_image @ s.T)),
    "codes alone": ("B_image", lambda s: sign(s.V_image @ s.R_image)),
    "rotation to the other codes": ("R_text", lambda s: _polar(s.V_text.T @ s.B_image @ s.T.T)),
}


@pytest.mark.parametrize("name", IMVH_MUTANTS)
def test_mutants_of_imvh_are_caught(name):
    block, update = IMVH_MUTANTS[name]
    with pytest.raises(AssertionError):
        for seed in range(10):
            for n, r in ((4, 2), (30, 3)):
                problem = imvh(1.5, n=n, r=r, seed=seed)
                problem.updates[block] = update
                certify_imvh(problem)


def shuffled_imvh(freeze=False):
    """Run IMVH twice, the second time with the first bits of the texts permuted and flipped."""
    plain, moved = imvh(0.4), imvh(0.4)
    P = np.eye(4)[[2, 0, 3, 1]] * np.array([1, -1, -1, 1])
    s = moved.state
    s.R_text, s.B_text = s.R_text @ P, s.B_text @ P
    if freeze:
        for problem in (plain, moved):
            problem.updates["T"] = lambda s: np.eye(4)
    return plain.run(8)[1:], moved.run(8)[1:], plain.state, moved.state


def test_imvh_does_not_feel_the_order_and_signs_of_the_first_bits():
    first, second, s, t = shuffled_imvh()
    np.testing.assert_allclose(first, second, rtol=1e-10)
    np.testing.assert_array_equal(s.B_image, t.B_image)
    np.testing.assert_array_equal(s.B_text @ s.T, t.B_text @ t.T)
    np.testing.assert_allclose(s.R_text @ s.T, t.R_text @ t.T, atol=1e-10)


def test_without_alignment_it_would_feel_them():
    first, second, _, _ = shuffled_imvh(freeze=True)
    assert abs(first[-1] - second[-1]) > 0.01 * first[-1]


def test_imvh_aligns_in_each_sweep():
    problem = imvh(0.4)
    problem.run(3)
    before = problem.state.T
    P = np.eye(4)[[1, 0, 3, 2]] * np.array([-1, 1, 1, -1])
    problem.state.B_text, problem.state.R_text = problem.state.B_text @ P, problem.state.R_text @ P
    problem.run(1)
    np.testing.assert_array_equal(P @ problem.state.T, before)


def test_imvh_without_agreement_quantises_and_then_matches():
    problem, rng = imvh(0.0), np.random.RandomState(1)
    starts = {"image": random_rotation(4, rng), "text": random_rotation(4, rng)}
    problem.run(9)
    for side, R in starts.items():
        V = getattr(problem.state, f"V_{side}")
        np.testing.assert_allclose(getattr(problem.state, f"R_{side}"), itq(V, R, 9), atol=1e-10)


def test_imvh_keeps_the_similarities_within_a_view():
    views = make_gaussian_views(200, 8, 6, random_state=0)
    model = IMVH(6, random_state=0).fit(views.image, views.text)
    Y = standardised(views.text)
    V = model._encode_text(views.text)
    # all components kept: rotated and aligned scores have the view's own inner products
    np.testing.assert_allclose(V @ V.T * np.sum(Y**2) / len(Y) / 6, Y @ Y.T, atol=1e-8)


# all three

MODELS = {
    "ACQ": lambda r, **kw: ACQ(r, random_state=0, **kw),
    "QCH": lambda r, **kw: QCH(r, random_state=0, **kw),
    "IMVH": lambda r, **kw: IMVH(r, random_state=0, **kw),
}


@pytest.mark.parametrize("name", MODELS)
def test_planted_bits_are_found(name):
    Z, image, text = planted_bits()
    model = MODELS[name](4).fit(image[:400], text[:400])
    for B in (model.encode_image(image[400:]), model.encode_text(text[400:])):
        M = np.abs(Z[400:].T @ B) / 100
        assert sorted(M.argmax(axis=0)) == [0, 1, 2, 3]
        assert M.max(axis=0).mean() > 0.85
    assert agreement(model.encode_image(image[400:]), model.encode_text(text[400:])) > 0.75


@pytest.mark.parametrize("name", MODELS)
def test_codes_do_not_depend_on_the_other_queries(name):
    data = make_hidden_signal(300, 18, 16, n_classes=3, n_nuisance=4, random_state=0)
    train, queries = slice(0, 200), slice(200, 300)
    model = MODELS[name](8).fit(data.image[train], data.text[train])
    together = model.encode_text(data.text[queries] + 0.5)  # far from the training mean
    alone = np.vstack([model.encode_text(y[None] + 0.5) for y in data.text[queries]])
    np.testing.assert_array_equal(together, alone)
    assert np.abs(together.mean(axis=0)).max() > 0.1  # not centred on the queries


@pytest.mark.parametrize("name", MODELS)
def test_learnt_codes_are_kept(name):
    _, image, text = planted_bits()
    model = MODELS[name](4).fit(image, text)
    for kept, encoded in (
        (model.B_image_, model.encode_image(image)),
        (model.B_text_, model.encode_text(text)),
    ):
        assert kept.dtype == np.int8 and set(np.unique(kept)) == {-1, 1}
        assert np.mean(kept == encoded) > 0.9  # all but the undecided entries
    assert np.mean(model.B_image_ == model.B_text_) > np.mean(
        model.encode_image(image) == model.encode_text(text)
    )
    check_falls(model.history_)


@pytest.mark.parametrize("name", MODELS)
def test_more_bits_than_directions(name):
    _, image, text = planted_bits(q=6)
    with pytest.raises(ValueError, match="6, not 7; lower n_bits|at most 6, not 7; lower n_bits"):
        MODELS[name](7).fit(image, text)


@pytest.mark.parametrize(
    "model, message",
    [
        (ACQ(2, gamma=-0.1), "gamma"),
        (QCH(2, lam=0.0), "lam"),
        (QCH(2, reg=-1.0), "reg"),
        (IMVH(2, mu=-1.0), "mu"),
    ],
)
def test_bad_parameters(model, message):
    _, image, text = planted_bits()
    with pytest.raises(ValueError, match=message):
        model.fit(image, text)


def test_too_few_pairs_without_a_ridge():
    _, image, text = planted_bits(n=20)
    with pytest.raises(ValueError, match="20 pairs are too few"):
        QCH(4, reg=0.0).fit(image, text)


@pytest.mark.parametrize("name", MODELS)
def test_memory_grows_with_n_not_its_square(name):
    n = 4000
    views = make_gaussian_views(n, 12, 10, random_state=0)
    tracemalloc.start()
    MODELS[name](8, max_iter=3).fit(views.image, views.text)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < n * n  # an n x n array of single bytes
