"""ROHLSE: certified label recovery, balanced codes, frozen history, batch hash functions."""

from itertools import product

import numpy as np
import pytest

from cmrlib.datasets import make_hidden_signal
from cmrlib.evaluation import evaluate
from cmrlib.hashing import ROHLSE
from cmrlib.hashing._discrete import sign
from cmrlib.hashing.streaming import recover_labels


@pytest.fixture
def rng():
    return np.random.RandomState(0)


def wrong_labels(labels, rate, rng):
    """Return labels of which a share is replaced by another class."""
    n_classes = labels.max() + 1
    noisy = labels.copy()
    hit = rng.uniform(size=len(labels)) < rate
    noisy[hit] = (noisy[hit] + rng.randint(1, n_classes, size=hit.sum())) % n_classes
    return noisy


def in_chunks(model, data, size, labels=None):
    labels = data.labels if labels is None else labels
    for start in range(0, len(data), size):
        rows = slice(start, start + size)
        model.partial_fit(data.image[rows], data.text[rows], labels[rows])
    return model


# 1. labels


def test_label_recovery_is_certified(rng):
    """A, E and the multipliers satisfy the optimality conditions of the convex problem."""
    n, c, beta, tau, reg = 40, 3, 0.2, 0.3, 0.5
    L = np.eye(c)[rng.randint(c, size=n)]
    views = [rng.normal(size=(n, 6)), rng.normal(size=(n, 5))]
    hats = [P @ np.linalg.solve(P.T @ P + reg * np.eye(P.shape[1]), P.T) for P in views]
    A, E, Y_error, Y_rank = recover_labels(
        L, lambda A: sum(H @ A for H in hats), beta, tau, n_iter=5000
    )
    np.testing.assert_allclose(A + E, L, atol=1e-8)
    # gradient of the quadratic part: Σ (A - H A), with W eliminated
    np.testing.assert_allclose(sum(A - H @ A for H in hats), Y_error - Y_rank, atol=1e-7)
    # Y_error is in beta times the subgradient of ||E||_1
    assert np.abs(Y_error).max() <= beta + 1e-8
    active = np.abs(E) > 1e-6
    assert active.any() and not active.all()
    np.testing.assert_allclose(Y_error[active], beta * np.sign(E[active]), atol=1e-8)
    # Y_rank is in tau times the subgradient of the nuclear norm of A
    assert np.linalg.norm(Y_rank, 2) <= tau + 1e-8
    assert np.vdot(Y_rank, A) == pytest.approx(tau * np.linalg.norm(A, "nuc"), abs=1e-6)


def test_wrong_labels_are_found_where_features_tell(rng):
    data = make_hidden_signal(300, signal=4.0, nuisance=1.0, random_state=0)
    noisy = wrong_labels(data.labels, 0.3, rng)
    model = ROHLSE(16, random_state=0).partial_fit(data.image, data.text, noisy)
    assert np.mean(noisy == data.labels) < 0.75
    assert np.mean(model.classes_[model.labels_.argmax(axis=1)] == data.labels) > 0.98
    believing = ROHLSE(16, beta=np.inf, random_state=0).fit(data.image, data.text, noisy)
    np.testing.assert_array_equal(believing.labels_.argmax(axis=1), noisy)


# 2. codes


def test_code_steps_are_optimal(rng):
    F = np.eye(3)[rng.randint(3, size=8)]
    model = ROHLSE(3, phi=0.7, nu=0.4)
    model._rng = rng
    FB_old = rng.normal(size=(3, 3))
    alternation = model._alternation(F, FB_old)
    S = F @ F.T

    def objective(B, V):
        return np.trace(B.T @ (0.7 * V + 0.4 * S @ V)) + 0.4 * np.trace(V.T @ F @ FB_old)

    def check(name, s):
        assert alternation.objective(s) == pytest.approx(-objective(s.B, s.V))
        if name == "V":
            np.testing.assert_allclose(s.V.sum(axis=0), 0, atol=1e-12)
            np.testing.assert_allclose(s.V.T @ s.V, 8 * np.eye(3), atol=1e-12)
            M = 0.7 * s.B + 0.4 * S @ s.B + 0.4 * F @ FB_old
            bound = np.sqrt(8) * np.linalg.norm(M - M.mean(axis=0), "nuc")
            assert objective(s.B, s.V) == pytest.approx(bound)  # no V can do better
        else:
            for i, k in product(range(8), range(3)):
                flipped = s.B.copy()
                flipped[i, k] *= -1
                assert objective(flipped, s.V) <= objective(s.B, s.V)

    history = alternation.run(5, after=check)
    assert (np.diff(history) <= 1e-12).all()


def test_codes_of_a_class_stay_where_earlier_chunks_put_them():
    data = make_hidden_signal(400, signal=4.0, nuisance=1.0, random_state=0)

    def agreement(model):
        first, second = (
            np.stack([model.B_[rows][data.labels[rows] == k].mean(axis=0) for k in range(5)])
            for rows in (slice(0, 200), slice(200, 400))
        )
        return np.mean(first * second)

    tied = in_chunks(ROHLSE(16, random_state=0), data, 200)
    loose = ROHLSE(16, random_state=0)
    loose.partial_fit(data.image[:200], data.text[:200], data.labels[:200])
    loose._FB[:] = 0  # forget the old codes
    loose.partial_fit(data.image[200:], data.text[200:], data.labels[200:])
    assert agreement(tied) > 0.8
    assert agreement(loose) < 0.4


def test_old_codes_are_frozen():
    data = make_hidden_signal(300, random_state=0)
    model = in_chunks(ROHLSE(8, random_state=0), data.take(range(200)), 100)
    old = model.B_.copy()
    model.partial_fit(data.image[200:], data.text[200:], data.labels[200:])
    np.testing.assert_array_equal(model.B_[:200], old)
    assert model.B_.shape == (300, 8)


# 3. hash functions


def test_sums_hold_all_chunks():
    data = make_hidden_signal(300, random_state=0)
    model = in_chunks(ROHLSE(8, beta=np.inf, random_state=0), data, 100)
    L = np.eye(5)[data.labels]
    np.testing.assert_allclose(model._FB, L.T @ model.B_)
    for modality, sums in zip(("image", "text"), model._statistics, strict=True):
        Phi = model._features(getattr(data, modality), modality)
        np.testing.assert_allclose(sums.D, Phi.T @ L, atol=1e-10)


def test_hash_functions_are_the_batch_ridge_of_all_chunks():
    data = make_hidden_signal(300, random_state=0)
    model = in_chunks(ROHLSE(8, ridge=0.01, random_state=0), data, 100)
    for modality in ("image", "text"):
        Phi = model._features(getattr(data, modality), modality)
        P = np.linalg.solve(
            Phi.T @ Phi + 0.01 * 300 * np.eye(Phi.shape[1]), Phi.T @ model.B_.astype(float)
        )
        np.testing.assert_allclose(getattr(model, f"P_{modality}_"), P, atol=1e-10)
        codes = model.encode(getattr(data, modality), modality)
        np.testing.assert_array_equal(codes, sign(Phi @ P))


def test_a_query_is_not_compared_with_the_mean_of_the_queries():
    data = make_hidden_signal(300, random_state=0)
    model = ROHLSE(8, random_state=0).fit(data.image, data.text, data.labels)
    codes = model.encode_image(data.image)
    np.testing.assert_array_equal(model.encode_image(data.image[:1]), codes[:1])
    cls = data.labels == 0
    np.testing.assert_array_equal(model.encode_image(data.image[cls]), codes[cls])


# the stream


def test_new_classes_may_come():
    data = make_hidden_signal(400, random_state=0)
    early, late = (data.take(rows) for rows in (data.labels < 3, data.labels >= 2))
    model = ROHLSE(8, random_state=0).partial_fit(early.image, early.text, early.labels)
    np.testing.assert_array_equal(model.classes_, [0, 1, 2])
    model.partial_fit(late.image, late.text, late.labels)
    np.testing.assert_array_equal(model.classes_, [0, 1, 2, 3, 4])


def test_multi_hot_labels_equal_class_numbers():
    data = make_hidden_signal(200, random_state=0)
    a = ROHLSE(8, random_state=0).fit(data.image, data.text, data.labels)
    b = ROHLSE(8, random_state=0).fit(data.image, data.text, np.eye(5, dtype=int)[data.labels])
    np.testing.assert_array_equal(a.B_, b.B_)


def test_fit_forgets_and_is_one_chunk():
    data = make_hidden_signal(200, random_state=0)
    once = ROHLSE(8, random_state=0).partial_fit(data.image, data.text, data.labels)
    again = in_chunks(ROHLSE(8, random_state=0), data, 50).fit(data.image, data.text, data.labels)
    np.testing.assert_array_equal(once.B_, again.B_)


@pytest.mark.parametrize(
    ("rows", "labels", "message"),
    [
        (slice(0, 8), slice(0, 8), "more pairs than bits: 8 pairs, 8 bits"),
        (slice(0, 50), slice(0, 49), "labels must have shape"),
    ],
)
def test_bad_chunks_are_refused_and_change_nothing(rows, labels, message):
    data = make_hidden_signal(200, random_state=0)
    model = ROHLSE(8, random_state=0).fit(data.image, data.text, data.labels)
    before = model.encode_image(data.image)
    with pytest.raises(ValueError, match=message):
        model.partial_fit(data.image[rows], data.text[rows], data.labels[labels])
    np.testing.assert_array_equal(model.encode_image(data.image), before)
    assert len(model.B_) == 200


def test_multi_hot_labels_keep_their_width():
    data = make_hidden_signal(200, random_state=0)
    L = np.eye(5, dtype=int)[data.labels]
    model = ROHLSE(8, random_state=0).fit(data.image, data.text, L)
    with pytest.raises(ValueError, match="4 columns, the chunks before had 5"):
        model.partial_fit(data.image, data.text, L[:, :4])


def test_finds_what_only_labels_show():
    train, test = make_hidden_signal(1200, random_state=1).split(0.25, random_state=0)
    scores = []
    for labels in (train.labels, np.random.RandomState(1).permutation(train.labels)):
        model = in_chunks(ROHLSE(16, n_anchors=200, random_state=0), train, 300, labels)
        report = evaluate(model, test)
        scores.append(min(report.image_to_text["mAP@all"], report.text_to_image["mAP@all"]))
    assert scores[0] > 0.55
    assert scores[1] < 0.25  # chance is 0.21
