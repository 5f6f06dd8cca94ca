"""Diagnostics of codes by hand and by enumeration; each baseline against its definition."""

import tracemalloc
from itertools import product

import numpy as np
import pytest
from sklearn.decomposition import PCA

from cmrlib.cca import CCA
from cmrlib.datasets import make_gaussian_views, make_hidden_signal
from cmrlib.hashing.codes import (
    CCAITQ,
    CCASign,
    PCASign,
    RandomHyperplanes,
    bit_balance,
    bit_correlation,
    quantization_error,
    random_rotation,
)

VIEWS = make_gaussian_views(400, 9, 7, correlations=[0.9, 0.8, 0.6, 0.5, 0.3], random_state=0)


def standardised(X):
    return (X - X.mean(axis=0)) / X.std(axis=0)


X, Y = standardised(VIEWS.image), standardised(VIEWS.text)


def planted_bits(n=500, r=4, p=12, q=10, noise=0.5, seed=0):
    """Pairs whose views are mixtures of the same hidden bits (n, r), and noise of their own."""
    rng = np.random.RandomState(seed)
    Z = np.where(rng.normal(size=(n, r)) >= 0, 1.0, -1.0)
    mixtures = (np.linalg.qr(rng.normal(size=(d, r)))[0].T for d in (p, q))
    return Z, *(Z @ M + noise * rng.normal(size=(n, M.shape[1])) for M in mixtures)


def matched(B, Z):
    """Share of entries at which codes agree with Z under the best matching of bits and signs."""
    M = np.abs(Z.T @ B) / len(Z)
    assert sorted(M.argmax(axis=0)) == list(range(Z.shape[1]))  # one to one
    return float((1 + M.max(axis=0).mean()) / 2)


# diagnostics


def test_quantization_error_by_hand():
    V = np.array([[0.5, -2.0], [0.0, 1.0]])  # signs +, -, +, +
    assert quantization_error(V) == pytest.approx((0.25 + 1 + 1 + 0) / 4)
    assert quantization_error(V, [[1, 1], [-1, 1]]) == pytest.approx((0.25 + 9 + 1 + 0) / 4)


def test_signs_have_the_smallest_quantization_error():
    V = np.random.RandomState(1).normal(size=(2, 3))
    every = [np.reshape(bits, V.shape) for bits in product((-1, 1), repeat=V.size)]
    assert quantization_error(V) == pytest.approx(min(quantization_error(V, B) for B in every))


def test_quantization_error_of_gaussian_scores():
    V = np.random.RandomState(0).normal(size=(20000, 10))
    # E (1 - |v|)² = 2 - 2 E|v|, and E|v| = sqrt(2 / pi)
    standard_error = np.std((1 - np.abs(V)) ** 2) / np.sqrt(V.size)
    assert abs(quantization_error(V) - (2 - 2 * np.sqrt(2 / np.pi))) < 4 * standard_error


def test_balance_and_correlation_are_those_of_the_columns():
    B = np.where(np.random.RandomState(2).normal(0.3, 1, size=(50, 4)) >= 0, 1, -1)
    np.testing.assert_allclose(bit_balance(B), 2 * np.mean(B == 1, axis=0) - 1)
    np.testing.assert_allclose(bit_correlation(B), np.corrcoef(B.T), atol=1e-12)


def test_a_constant_bit_correlates_with_nothing():
    B = np.array([[1, 1, 1], [1, -1, -1], [1, 1, -1]])
    C = bit_correlation(B)
    np.testing.assert_array_equal(C[0], [1, 0, 0])
    assert C[1, 2] == pytest.approx(0.5)


@pytest.mark.parametrize("diagnose", [bit_balance, bit_correlation])
@pytest.mark.parametrize("bad", [[[0, 1]], [[0.5, 1]], [1, -1], np.empty((0, 2))])
def test_what_is_no_code_is_refused(diagnose, bad):
    with pytest.raises(ValueError, match="entries -1 and \\+1"):
        diagnose(bad)


def test_quantization_error_refuses_what_does_not_fit():
    with pytest.raises(ValueError, match="must agree"):
        quantization_error(np.ones((2, 3)), np.ones((2, 2)))
    with pytest.raises(ValueError, match="must be a table"):
        quantization_error(np.ones(3))
    with pytest.raises(ValueError, match="entries -1"):
        quantization_error(np.ones((1, 2)), [[1, 0]])


# baselines


def test_a_random_bit_differs_with_probability_angle_over_pi():
    r = 20000
    model = RandomHyperplanes(r, n_components=3, reg=0.1, random_state=0)
    model.fit(VIEWS.image, VIEWS.text)
    B, D = model.encode_image(VIEWS.image[:12]), model.encode_text(VIEWS.text[:12])
    differ = np.mean(B[:, None] != D[None], axis=2)

    space = CCA(3, reg=0.1).fit(X, Y)
    p = np.arccos(space.similarity(X[:12], Y[:12])) / np.pi
    assert p.min() < 0.2 and p.max() > 0.8
    assert (np.abs(differ - p) < 5 * np.sqrt(p * (1 - p) / r)).all()


def test_random_hyperplanes_have_no_limit_and_depend_on_the_seed():
    codes = [
        RandomHyperplanes(40, n_components=2, random_state=seed)
        .fit(VIEWS.image, VIEWS.text)
        .encode_image(VIEWS.image)
        for seed in (0, 0, 1)
    ]
    np.testing.assert_array_equal(codes[0], codes[1])
    assert (codes[0] != codes[2]).any()


def test_pca_sign():
    reg, r, n = 0.3, 3, len(X)
    model = PCASign(r, reg=reg).fit(VIEWS.image, VIEWS.text)
    reference = PCA(r).fit(np.hstack([X, Y]))
    overlap = np.abs(reference.components_ @ model.components_)
    np.testing.assert_allclose(overlap, np.eye(r), atol=1e-9)  # same order, up to sign
    V = np.hstack([X, Y]) @ model.components_
    for Z, P in ((X, model.P_image_), (Y, model.P_text_)):
        np.testing.assert_allclose(Z.T @ (Z @ P - V) + reg * n * P, 0, atol=1e-8)
    np.testing.assert_array_equal(
        model.encode_image(VIEWS.image), np.where(X @ model.P_image_ >= 0, 1, -1)
    )


def test_cca_sign_is_the_sign_of_cca():
    model = CCASign(5, reg=0.2).fit(VIEWS.image, VIEWS.text)
    cca = CCA(5, reg=0.2).fit(X, Y)
    for name, Z in (("image", X), ("text", Y)):
        expected = np.where(cca.encode(Z, name) >= 0, 1, -1)
        np.testing.assert_array_equal(model.encode(getattr(VIEWS, name), name), expected)
    np.testing.assert_allclose(model.correlations_, cca.correlations_)


# CCA-ITQ


def itq_by_loops(V, R, sweeps):
    """ITQ as the paper prints it."""
    for _ in range(sweeps):
        B = np.where(V @ R >= 0, 1.0, -1.0)
        S, _, St = np.linalg.svd(B.T @ V)  # BᵀV = S Ω Ŝᵀ, R = Ŝ Sᵀ
        R = St.T @ S.T
    return R


@pytest.mark.parametrize("power", [0, 1, 0.5])
def test_cca_itq_is_the_algorithm_of_the_paper(power):
    r = 5
    model = CCAITQ(r, reg=0.1, power=power, max_iter=7, tol=0, random_state=0)
    model.fit(VIEWS.image, VIEWS.text)
    cca = CCA(r, reg=0.1).fit(X, Y)
    scale = cca.correlations_**power
    V = np.vstack([cca.encode_image(X) * scale, cca.encode_text(Y) * scale])
    R = itq_by_loops(V, random_rotation(r, np.random.RandomState(0)), 7)
    np.testing.assert_allclose(model.R_, R, atol=1e-9)
    scores = V @ R
    np.testing.assert_array_equal(
        model.encode_image(VIEWS.image), np.where(scores[:400] >= 0, 1, -1)
    )
    np.testing.assert_array_equal(model.encode_text(VIEWS.text), np.where(scores[400:] >= 0, 1, -1))
    assert model.history_[-1] == pytest.approx(scores.size * quantization_error(scores))


def published_itq(s):
    return ((s.B - s.V @ s.R) ** 2).sum()


def certify_rotation(V, B, R):
    """R has orthonormal columns, and RᵀVᵀB is symmetric and positive semidefinite."""
    np.testing.assert_allclose(R.T @ R, np.eye(len(R)), atol=1e-10)
    M = R.T @ V.T @ B
    np.testing.assert_allclose(M, M.T, atol=1e-8 * np.abs(M).max())
    assert np.linalg.eigvalsh((M + M.T) / 2).min() > -1e-8 * np.abs(M).max()


def test_each_step_of_itq_is_exact():
    V = np.random.RandomState(3).laplace(size=(60, 4))
    itq = CCAITQ(4)._alternation(V, np.random.RandomState(0))
    values = [float(published_itq(itq.state))]

    def check(block, state):
        if block == "R":
            certify_rotation(state.V, state.B, state.R)
        else:
            np.testing.assert_array_equal(state.B, np.where(state.V @ state.R >= 0, 1, -1))
        values.append(float(published_itq(state)))

    history = itq.run(10, after=check)
    assert (np.diff(values) <= 1e-9).all()
    np.testing.assert_allclose(history, values[::2])


@pytest.mark.parametrize("wrong", [np.transpose, lambda R: -R, lambda R: np.eye(len(R))])
def test_the_certificate_rejects_other_rotations(wrong):
    V = np.random.RandomState(3).laplace(size=(60, 4))
    itq = CCAITQ(4)._alternation(V, np.random.RandomState(0))
    B = itq.state.B
    with pytest.raises(AssertionError):
        certify_rotation(V, B, wrong(itq.updates["R"](itq.state)))


def test_itq_finds_planted_bits_that_plain_signs_miss():
    Z, image, text = planted_bits()
    plain = CCASign(4, reg=0.0).fit(image, text)
    rotated = CCAITQ(4, reg=0.0, power=0, random_state=0).fit(image, text)
    assert matched(rotated.encode_image(image), Z) > 0.95
    # CCA knows the space of the four bits, but not their axes
    assert np.abs(Z.T @ plain.encode_image(image)).max(axis=0).mean() / len(Z) < 0.9


def test_one_bit_cannot_be_rotated():
    plain = CCASign(1).fit(VIEWS.image, VIEWS.text)
    rotated = CCAITQ(1, random_state=0).fit(VIEWS.image, VIEWS.text)
    assert abs(rotated.R_[0, 0]) == pytest.approx(1)
    np.testing.assert_array_equal(
        rotated.encode_text(VIEWS.text), rotated.R_[0, 0] * plain.encode_text(VIEWS.text)
    )


def test_random_rotations_are_orthogonal_and_have_no_favourite():
    rng = np.random.RandomState(0)
    Q = np.array([random_rotation(3, rng) for _ in range(4000)])
    np.testing.assert_allclose(
        Q @ Q.transpose(0, 2, 1), np.tile(np.eye(3), (4000, 1, 1)), atol=1e-12
    )
    # entries of a rotation from the Haar measure: mean 0, variance 1/3
    assert np.abs(Q.mean(axis=0)).max() < 5 * np.sqrt(1 / 3 / 4000)


# all of them

MODELS = {
    "RandomHyperplanes": lambda r: RandomHyperplanes(r, n_components=4, random_state=0),
    "PCASign": PCASign,
    "CCASign": CCASign,
    "CCAITQ": lambda r: CCAITQ(r, random_state=0),
}


@pytest.mark.parametrize("name", MODELS)
def test_codes_do_not_depend_on_the_other_queries(name):
    data = make_hidden_signal(300, 18, 16, n_classes=3, n_nuisance=4, random_state=0)
    train, queries = slice(0, 200), slice(200, 300)
    model = MODELS[name](8).fit(data.image[train], data.text[train])
    together = model.encode_image(data.image[queries] + 0.5)  # far from the training mean
    alone = np.vstack([model.encode_image(x[None] + 0.5) for x in data.image[queries]])
    np.testing.assert_array_equal(together, alone)
    assert np.abs(bit_balance(together)).max() > 0.1  # not centred on the queries


@pytest.mark.parametrize("name", ["CCASign", "CCAITQ"])
def test_more_bits_than_canonical_directions(name):
    said = f"^{name} takes n_bits canonical directions.*at most 7, not 8"
    with pytest.raises(ValueError, match=said):
        MODELS[name](8).fit(VIEWS.image, VIEWS.text)


def test_more_bits_than_components():
    with pytest.raises(ValueError, match="n_bits=17 is more than the 16 features"):
        PCASign(17).fit(VIEWS.image, VIEWS.text)


@pytest.mark.parametrize(
    "model, message",
    [
        (RandomHyperplanes(4, n_components=0), "n_components"),
        (CCASign(2, reg=-1.0), "reg"),
        (PCASign(2, reg=-1.0), "reg"),
        (CCAITQ(2, power=-1.0), "power"),
    ],
)
def test_bad_parameters(model, message):
    with pytest.raises(ValueError, match=message):
        model.fit(VIEWS.image, VIEWS.text)


@pytest.mark.parametrize("name", MODELS)
def test_memory_grows_with_n_not_its_square(name):
    n = 4000
    views = make_gaussian_views(n, 12, 10, random_state=0)
    tracemalloc.start()
    MODELS[name](8).fit(views.image, views.text)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < n * n  # an n x n array of single bytes
