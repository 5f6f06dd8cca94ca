"""Learning to rank: the passive-aggressive step, SSI's words, and the polynomial weights."""

import numpy as np
import pytest
import torch
from scipy.optimize import minimize
from scipy.sparse import csr_array, eye_array
from sklearn.metrics.pairwise import linear_kernel

from cmrlib.base import cosine_similarity
from cmrlib.datasets import make_gaussian_views, make_hidden_signal
from cmrlib.evaluation import label_relevance, mean_average_precision, recall_at_k
from cmrlib.realvalued.losses import cosine_matrix, hardest_hinge
from cmrlib.realvalued.ranking import (
    PAMIR,
    SSI,
    UWML,
    TripleSampler,
    _set_aside,
    check_relevance,
    passive_aggressive,
    polynomial_loss,
    ssi_step,
)


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


# --- triples ------------------------------------------------------------------------------------

RELEVANCE = np.array(  # rows are texts; text 2 has no relevant image, text 3 no irrelevant one
    [[1, 0, 0, 1, 0], [0, 0, 1, 0, 0], [0, 0, 0, 0, 0], [1, 1, 1, 1, 1], [0, 1, 1, 1, 1]]
)


def test_triples_are_drawn_uniformly_and_rightly():
    sampler = TripleSampler(csr_array(RELEVANCE.astype(bool)))
    n = 60_000
    query, good, bad = sampler.draw(n, np.random.RandomState(0))
    expected = np.zeros((5, 5, 5))
    for q in (0, 1, 4):
        positives, negatives = np.flatnonzero(RELEVANCE[q]), np.flatnonzero(RELEVANCE[q] == 0)
        for i in positives:
            expected[q, i, negatives] = 1 / (3 * len(positives) * len(negatives))
    counts = np.zeros((5, 5, 5))
    np.add.at(counts, (query, good, bad), 1)
    assert (counts[expected == 0] == 0).all()
    assert expected.sum() == pytest.approx(1)
    z = (counts - n * expected)[expected > 0] / np.sqrt(n * expected[expected > 0])
    assert np.abs(z).max() < 4


def test_partners_go_together_into_the_validation_part():
    texts, images = _set_aside(csr_array(eye_array(50, dtype=bool)), 0.2, np.random.RandomState(0))
    assert texts.sum() == 10
    np.testing.assert_array_equal(texts, images)


def test_every_text_set_aside_has_an_answer():
    R = csr_array(RELEVANCE.astype(bool))
    for seed in range(20):
        texts, images = _set_aside(R, 0.5, np.random.RandomState(seed))
        assert texts.sum() == 2 and not texts[2]
        assert RELEVANCE[texts][:, images].any(axis=1).all()


# --- the passive-aggressive step ----------------------------------------------------------------


def contrasts(n, seed=0, q=5, p=7):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(q, p)) / 4, rng.normal(size=(n, q)) / 2, rng.normal(size=(n, p)) / 2


def plain_steps(W, Q, D, C):
    """PA-I as in the book: one triple after the other."""
    W, taus = W.copy(), []
    for q, d in zip(Q, D, strict=True):
        loss = max(0.0, 1 - q @ W @ d)
        taus.append(min(C, loss / (q @ q * (d @ d))))
        W += taus[-1] * np.outer(q, d)
    return W, np.array(taus)


def check_step(step):
    """Assert what defines PA-I, for 200 successive steps."""
    C = 0.6
    W, Q, D = contrasts(200)
    kinds = {"passive": 0, "clipped": 0, "free": 0}
    for q, d in zip(Q, D, strict=True):
        before, margin = W.copy(), q @ W @ d
        step(W, q[None], d[None], C)
        change, limit = np.linalg.norm(W - before), C * np.linalg.norm(q) * np.linalg.norm(d)
        assert change <= limit * (1 + 1e-12)
        if margin >= 1:
            kinds["passive"] += 1
            np.testing.assert_array_equal(W, before)
        elif change < limit * (1 - 1e-9):
            kinds["free"] += 1
            assert q @ W @ d == pytest.approx(1, abs=1e-12)
        else:
            kinds["clipped"] += 1
            assert margin < q @ W @ d <= 1 + 1e-12
    assert min(kinds.values()) > 10, kinds


def test_unclipped_steps_end_at_margin_one():
    check_step(passive_aggressive)


def mutant(rate):
    def step(W, Q, D, C):
        for q, d in zip(Q, D, strict=True):
            W += rate(max(0.0, 1 - q @ W @ d), q @ q * (d @ d), C) * np.outer(q, d)

    return step


@pytest.mark.parametrize(
    "rate",
    [
        lambda loss, square, C: min(C, loss / np.sqrt(square)),  # the norm, not its square
        lambda loss, square, C: loss / square,  # C forgotten
        lambda loss, square, C: C * (loss > 0),  # a perceptron
        lambda loss, square, C: loss / (square + 1 / (2 * C)),  # PA-II
        lambda loss, square, C: min(C, loss),
    ],
    ids=["norm", "no-C", "perceptron", "PA-II", "no-norm"],
)
def test_step_exposes_mutants(rate):
    with pytest.raises(AssertionError):
        check_step(mutant(rate))


@pytest.mark.parametrize("C", [0.05, 10.0], ids=["clipped", "free"])
def test_step_solves_the_constrained_problem(C):
    W, Q, D = contrasts(1, seed=3, q=2, p=3)
    W, q, d = W / 8, Q[0], D[0]

    def objective(z):  # 1/2 ||W' - W||² + C ξ
        return 0.5 * ((z[:-1] - W.ravel()) ** 2).sum() + C * z[-1]

    constraints = [
        {"type": "ineq", "fun": lambda z: q @ z[:-1].reshape(2, 3) @ d - 1 + z[-1]},
        {"type": "ineq", "fun": lambda z: z[-1]},
    ]
    found = minimize(
        objective, np.zeros(7), constraints=constraints, options={"ftol": 1e-14, "maxiter": 500}
    )
    tau, _ = passive_aggressive(W, Q, D, C)
    assert (tau[0] == C) == (C == 0.05)
    np.testing.assert_allclose(W.ravel(), found.x[:-1], atol=1e-5)


@pytest.mark.parametrize("C", [0.05, 0.6, 100.0])
def test_a_block_of_steps_is_single_steps(C):
    W, Q, D = contrasts(150, seed=1)
    D[7] = 0  # a triple of equal images teaches nothing
    truth, taus = plain_steps(W, Q[np.arange(150) != 7], D[np.arange(150) != 7], C)
    tau, hinge = passive_aggressive(W, Q, D, C)
    np.testing.assert_allclose(W, truth, atol=1e-11)
    np.testing.assert_allclose(tau, np.insert(taus, 7, 0), atol=1e-11)
    assert hinge[7] == 1


# --- PAMIR --------------------------------------------------------------------------------------

VIEWS = make_gaussian_views(200, 8, 6, correlations=[0.97] * 5, random_state=0)
SHORT = {"n_steps": 3000, "check_every": 500, "random_state": 0}


@pytest.mark.parametrize("kernel", ["linear", linear_kernel], ids=["linear", "kernel form"])
def test_learning_is_the_plain_loop(kernel):
    rng = np.random.RandomState(2)
    P, Q = rng.normal(size=(30, 4)), rng.normal(size=(20, 3))
    query, good, bad = (
        rng.randint(20, size=150),
        rng.randint(30, size=150),
        rng.randint(30, size=150),
    )
    bad[bad == good] = (bad[bad == good] + 1) % 30
    model = PAMIR(C=0.1, kernel=kernel)
    hinges = model._learn(model._start(P, Q, rng), Q, query, good, bad)
    W, _ = plain_steps(np.zeros((3, 4)), Q[query], P[good] - P[bad], 0.1)
    np.testing.assert_allclose(model._score(P, Q), P @ W.T @ Q.T, atol=1e-11)
    np.testing.assert_allclose(
        W if kernel == "linear" else model.coefficients_.T @ P,
        model.weights_ if kernel == "linear" else W,
        atol=1e-11,
    )
    assert hinges[0] == 1 and hinges.shape == (150,)


def test_kernel_form_is_the_linear_form_for_the_linear_kernel():
    linear = PAMIR(**SHORT).fit(VIEWS.image, VIEWS.text)
    dual = PAMIR(kernel=linear_kernel, **SHORT).fit(VIEWS.image, VIEWS.text)
    np.testing.assert_allclose(
        dual.similarity(VIEWS.image, VIEWS.text), linear.similarity(VIEWS.image, VIEWS.text),
        atol=1e-9,
    )  # fmt: skip
    np.testing.assert_allclose(dual.history_["hinge"], linear.history_["hinge"])
    assert dual.best_step_ == linear.best_step_


def test_rbf_score_by_its_definition():
    model = PAMIR(kernel="rbf", gamma=2.0, **SHORT).fit(VIEWS.image, VIEWS.text)
    P, Q = model._prepare(VIEWS.image[:4], "image"), model._prepare(VIEWS.text[:3], "text")
    support = model.support_
    mean = np.mean([((a - b) ** 2).sum() for a in support for b in support])
    truth = np.zeros((4, 3))
    for i, p in enumerate(P):
        k = np.exp(-2.0 * ((support - p) ** 2).sum(axis=1) / mean)
        for j, q in enumerate(Q):
            truth[i, j] = sum(q[t] * (model.coefficients_[:, t] @ k) for t in range(6))
    S = model.similarity(VIEWS.image[:4], VIEWS.text[:3])
    np.testing.assert_allclose(S, truth, atol=1e-10)
    assert np.abs(S).max() > 0.1


def test_score_adds_up_over_query_terms():
    # w_t·φ(p) for each term t on its own: a query of two words scores as the sum
    model = PAMIR(**SHORT).fit(VIEWS.image, VIEWS.text)
    P = model._prepare(VIEWS.image, "image")
    np.testing.assert_allclose(model._score(P, np.eye(6)), P @ model.weights_.T)
    np.testing.assert_allclose(
        model._score(P, np.ones((1, 6)))[:, 0], model._score(P, np.eye(6)).sum(axis=1)
    )


def test_fit_takes_partners_as_relevant():
    pairs = PAMIR(**SHORT).fit(VIEWS.image, VIEWS.text)
    relevance = PAMIR(**SHORT).fit_relevance(VIEWS.image, VIEWS.text, np.eye(200, dtype=int))
    np.testing.assert_array_equal(pairs.weights_, relevance.weights_)
    assert pairs.history_ == relevance.history_


def test_best_step_is_kept():
    model = PAMIR(**SHORT).fit(VIEWS.image, VIEWS.text)
    history = model.history_
    assert history["step"] == [500, 1000, 1500, 2000, 2500, 3000]
    assert model.best_step_ == history["step"][int(np.argmax(history["validation"]))]
    texts, images = _set_aside(csr_array(eye_array(200)), 0.1, np.random.RandomState(0))
    S = model.similarity(VIEWS.image[images], VIEWS.text[texts])
    score = mean_average_precision(S.T, np.eye(20, dtype=bool))
    assert score == pytest.approx(max(history["validation"]), abs=1e-12)


@pytest.mark.parametrize("Model", [PAMIR, SSI])
def test_relevance_from_classes_teaches_what_pairs_do_not(Model):
    # settings and bounds found with random_state=5 of the data
    data = make_hidden_signal(700, 20, 16, n_classes=4, n_nuisance=6, random_state=1)
    train, test = data.split(test_size=300, random_state=0)
    truth = label_relevance(test.labels, test.labels)
    shuffled = np.random.default_rng(0).permutation(train.labels)

    def score(relevance):
        model = Model(n_steps=8000, random_state=0)
        model.fit_relevance(train.image, train.text, relevance)
        return mean_average_precision(model.similarity(test.image, test.text).T, truth.T)

    by_class = score(label_relevance(train.labels, train.labels))
    assert by_class > 0.45
    assert score(np.eye(400, dtype=bool)) < 0.35
    assert score(label_relevance(train.labels, shuffled)) < 0.35  # chance is 1/4


@pytest.mark.parametrize("Model", [PAMIR, SSI])
def test_partners_are_found_and_only_with_the_right_pairing(Model):
    learn = make_gaussian_views(1200, 8, 6, correlations=[0.97] * 5, random_state=3)
    X, Y, held = learn.image[:1000], learn.text[:1000], slice(1000, 1200)
    partner = np.eye(200, dtype=bool)
    right = Model(n_steps=8000, random_state=0).fit(X, Y)
    wrong = Model(n_steps=8000, random_state=0).fit(X, np.roll(Y, 1, axis=0))
    found = [
        np.mean(recall_at_k(m.similarity(learn.image[held], learn.text[held]).T, partner, 10))
        for m in (right, wrong)
    ]
    assert found[0] > 0.5
    assert found[1] < 0.15  # chance is 10 / 200


# --- relevance at the door ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("relevance", "error", "message"),
    [
        (np.eye(3), TypeError, "must hold 0 and 1, got dtype float64"),
        (np.eye(3, 4, dtype=int), ValueError, r"\(3, 3\), got \(3, 4\)"),
        (2 * np.eye(3, dtype=int), ValueError, "only 0 and 1"),
        (np.zeros((3, 3), dtype=int), ValueError, "nothing to rank"),
        (np.ones((3, 3), dtype=bool), ValueError, "nothing to rank"),
        (csr_array(np.eye(3, dtype=int)), TypeError, "sparse"),
    ],
)
def test_bad_relevance_is_refused(relevance, error, message):
    with pytest.raises(error, match=message):
        check_relevance(relevance, 3, 3)


def test_bad_relevance_leaves_the_model_alone():
    model = PAMIR(**SHORT).fit(VIEWS.image, VIEWS.text)
    before = model.similarity(VIEWS.image, VIEWS.text)
    with pytest.raises(ValueError, match="a row per image"):
        model.fit_relevance(VIEWS.image, VIEWS.text, np.eye(199, dtype=int))
    with pytest.raises(ValueError, match="one image is not enough"):
        model.fit_relevance(VIEWS.image[:1], VIEWS.text, np.ones((1, 200), dtype=int))
    with pytest.raises(ValueError, match="too few pairs"):
        model.fit(VIEWS.image[:3], VIEWS.text[:3])
    np.testing.assert_array_equal(model.similarity(VIEWS.image, VIEWS.text), before)


def test_numbers_of_images_and_texts_may_differ():
    R = np.zeros((200, 50), dtype=bool)
    R[np.arange(200), np.arange(200) % 50] = True
    model = PAMIR(**SHORT).fit_relevance(VIEWS.image, VIEWS.text[:50], R)
    assert model.similarity(VIEWS.image[:3], VIEWS.text[:2]).shape == (3, 2)


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (PAMIR(C=0), "C == 0"),
        (PAMIR(kernel="sigmoid"), "kernel must be linear, rbf or a function, got 'sigmoid'"),
        (PAMIR(n_steps=0), "n_steps == 0"),
        (PAMIR(validation_size=1.0), "validation_size == 1.0"),
        (SSI(n_components=0), "n_components == 0"),
        (SSI(learning_rate=-1), "learning_rate == -1"),
        (SSI(identity=True), "image has 8 features and text 6; use identity=False"),
        (UWML(margin=-0.1), "margin == -0.1"),
        (UWML(negative=()), "negative is empty"),
    ],
)
def test_bad_parameters_are_refused(model, message):
    with pytest.raises(ValueError, match=message):
        model.fit(VIEWS.image, VIEWS.text)


# --- SSI ----------------------------------------------------------------------------------------


def word_counts(n, width, seed):
    rng = np.random.default_rng(seed)
    counts = rng.poisson(0.4, size=(n, width))
    counts[np.arange(n), rng.integers(width, size=n)] += 1
    return counts


def test_without_anything_learnt_the_ranking_is_cosine():
    X, Y = word_counts(60, 15, 0), word_counts(60, 15, 1)
    model = SSI(8, identity=True, init_scale=0.0, standardize=False, n_steps=500, random_state=0)
    S = model.fit(X, Y).similarity(X, Y)
    np.testing.assert_allclose(S, cosine_similarity(X, Y), atol=1e-14)
    idf = np.log(60 / (1 + (Y > 0).sum(axis=0))) + 1
    S = model.fit(X * idf, Y * idf).similarity(X * idf, Y * idf)
    np.testing.assert_allclose(S, cosine_similarity(X * idf, Y * idf), atol=1e-14)
    none = SSI(8, init_scale=0.0, standardize=False, n_steps=500, random_state=0).fit(X, Y)
    assert (none.similarity(X, Y) == 0).all()


@pytest.mark.parametrize("identity", [True, False])
def test_a_step_is_gradient_descent_on_the_hinge(identity):
    rng = np.random.RandomState(0)
    P, Q = rng.normal(size=(6, 5)), rng.normal(size=(4, 5))
    model = SSI(3, identity=identity, learning_rate=0.05, init_scale=0.4)
    model._start(P, Q, rng)
    active = 0
    for query, good, bad in zip(
        rng.randint(4, size=30), rng.randint(3, size=30), 3 + rng.randint(3, size=30), strict=True
    ):
        U, V = (torch.tensor(Z.copy(), requires_grad=True) for Z in (model.U_, model.V_))
        W = U.T @ V + (torch.eye(5, dtype=torch.float64) if identity else 0)
        f = torch.tensor(Q[query]) @ W @ torch.tensor(P.T)
        loss = (1 - f[good] + f[bad]).clamp(min=0)
        loss.backward()
        hinge = model._learn(P, Q, *(np.array([i]) for i in (query, good, bad)))
        assert hinge[0] == pytest.approx(loss.item(), abs=1e-12)
        for old, new in ((U, model.U_), (V, model.V_)):
            step = torch.zeros_like(old) if old.grad is None else -0.05 * old.grad
            np.testing.assert_allclose(new, (old + step).detach().numpy(), atol=1e-13)
        active += loss.item() > 0
    assert 5 < active < 30
    np.testing.assert_allclose(
        model._score(P, Q),
        P @ (model.U_.T @ model.V_ + identity * np.eye(5)).T @ Q.T,
        atol=1e-13,
    )


def synonyms(n, seed, n_words=30, n_synonyms=8):
    """Return counts of 4 words a document, and of queries that say word i + 8 for word i < 8."""
    rng = np.random.default_rng(seed)
    D = np.zeros((n, n_words))
    own = np.r_[np.arange(n_synonyms), np.arange(2 * n_synonyms, n_words)]  # words of documents
    for row in D:
        row[rng.choice(own, 4, replace=False)] = 1
    Q = D.copy()
    Q[:, n_synonyms : 2 * n_synonyms] = D[:, :n_synonyms]
    Q[:, :n_synonyms] = 0
    return D, Q


def test_planted_synonyms_are_found():
    D, Q = synonyms(600, seed=1)
    model = SSI(20, identity=True, standardize=False, n_steps=20_000, random_state=0).fit(D, Q)
    W = model.weights_
    learnt = W[8 + np.arange(8), np.arange(8)]  # query word, document word
    assert (learnt > 0).all()
    others = W[8:16, :8][~np.eye(8, dtype=bool)]
    assert learnt.min() > others.max()
    D_new, Q_new = synonyms(200, seed=2)
    partner = np.eye(200, dtype=bool)
    S = model.similarity(D_new, Q_new)
    by_words = mean_average_precision(cosine_similarity(D_new, Q_new).T, partner)
    assert mean_average_precision(S.T, partner) > by_words + 0.2


def test_the_identity_matches_words_that_training_never_saw():
    D, Q = synonyms(600, seed=1)
    D, Q = np.c_[D, np.zeros((600, 2))], np.c_[Q, np.zeros((600, 2))]  # words 30 and 31 are new
    new = np.eye(32)[30:]
    settings = {"standardize": False, "n_steps": 5000, "random_state": 0}
    S = SSI(20, identity=True, init_scale=0.01, **settings).fit(D, Q).similarity(new, new)
    np.testing.assert_allclose(S, np.eye(2), atol=0.01)  # an exact match still counts
    S = SSI(20, identity=False, init_scale=0.01, **settings).fit(D, Q).similarity(new, new)
    np.testing.assert_allclose(S, np.zeros((2, 2)), atol=0.01)


def test_what_is_learnt_has_low_rank():
    D, Q = synonyms(200, seed=1)
    model = SSI(3, identity=True, standardize=False, n_steps=2000, random_state=0).fit(D, Q)
    values = np.linalg.svd(model.weights_ - np.eye(30), compute_uv=False)
    assert values[2] > 1e-3 > 1e-10 > values[3]
    assert SSI(3, n_steps=2000, random_state=0).fit(D, Q).weights_.shape == (30, 30)


def test_arrays_that_cannot_be_changed_in_place_are_refused():
    U, V = np.ones((2, 3)), np.asfortranarray(np.ones((2, 3)))
    with pytest.raises(ValueError, match="Fortran order"):
        ssi_step(U, V, np.ones(3), np.ones(3), 0.1, True)


def test_divergence_is_reported():
    with pytest.raises(FloatingPointError, match="SSI diverged before step 500"):
        SSI(learning_rate=1e6, **SHORT).fit(VIEWS.image, VIEWS.text)


# --- the polynomial loss ------------------------------------------------------------------------

RELEASED = {"positive": (0.5, -0.7, 0.2), "negative": (0.03, -0.4, 0.9)}


def plain_loss(S, margin, positive, negative):
    """The definition, query by query."""
    total, n = 0.0, len(S)
    for rows in (S, S.T):
        for i in range(n):
            near = [rows[i, j] for j in range(n) if j != i and rows[i, j] + margin > rows[i, i]]
            if near:
                total += max(0.0, sum(a * rows[i, i] ** r for r, a in enumerate(positive)))
                total += max(0.0, sum(b * max(near) ** r for r, b in enumerate(negative)))
    return total / n


@pytest.mark.parametrize("margin", [0.0, 0.2, 0.5])
@pytest.mark.parametrize(
    ("positive", "negative"),
    [tuple(RELEASED.values()), ((1, -1), (1, 1)), ((0.3, -0.2, -0.4, 0.1), (-0.1, 0.2, 0, 0.5))],
)
def test_polynomial_loss_against_the_definition(margin, positive, negative):
    for seed in range(5):
        S = np.random.default_rng(seed).uniform(-1, 1, size=(7, 7))
        S[np.diag_indices(7)] += 0.6
        value = polynomial_loss(torch.tensor(S), margin, positive, negative).item()
        assert value == pytest.approx(plain_loss(S, margin, positive, negative), abs=1e-12)
        assert polynomial_loss(torch.tensor(S.T.copy()), margin, positive, negative).item() == (
            pytest.approx(value, abs=1e-12)
        )


def test_polynomial_loss_by_hand():
    # Pairs 0.5 and 0.9. Negatives 0.4 (image 0, text 1) and 0.1. With margin 0.2:
    # image 0: 0.4 + 0.2 > 0.5, selected; image 1: 0.1 + 0.2 < 0.9, not;
    # text 0: 0.1 + 0.2 < 0.5, not; text 1: 0.4 + 0.2 < 0.9, not.
    # 0.5 - 0.35 + 0.05 = 0.2 and 0.03 - 0.16 + 0.144 = 0.014; the sum over n = 2 is 0.107.
    S = torch.tensor([[0.5, 0.4], [0.1, 0.9]], dtype=torch.float64, requires_grad=True)
    loss = polynomial_loss(S)
    loss.backward()
    assert loss.item() == pytest.approx(0.107)
    # weights: 0.7 - 0.4 * 0.5 = 0.5 downhill for the positive, 1.8 * 0.4 - 0.4 = 0.32 uphill
    np.testing.assert_allclose(S.grad, [[-0.25, 0.16], [0, 0]])


def gradient(positive, negative, **options):
    """Return dL/ds⁺ and dL/ds⁻ of the one query that is selected, times n."""
    S = torch.tensor([[positive, negative], [-9.0, 9.0]], dtype=torch.float64, requires_grad=True)
    polynomial_loss(S, 0.2, **options).backward()
    return (2 * S.grad[0]).tolist()


def test_weights_are_the_derivatives():
    for s in np.linspace(0.36, 0.95, 20):
        drawn, pushed = gradient(s, s - 0.01)
        assert drawn == pytest.approx(-(0.7 - 0.4 * s))
        assert pushed == pytest.approx(1.8 * (s - 0.01) - 0.4) or s - 0.01 < 0.3489
    weights = [-gradient(s, s)[0] for s in (0.4, 0.6, 0.8)]
    assert weights == sorted(weights, reverse=True)  # a good positive counts less
    weights = [gradient(s, s)[1] for s in (0.4, 0.6, 0.8)]
    assert weights == sorted(weights)  # a hard negative counts more


def test_negatives_that_cost_nothing_and_those_below():
    low, high = (0.4 - np.sqrt(0.16 - 0.108)) / 1.8, (0.4 + np.sqrt(0.16 - 0.108)) / 1.8
    assert (round(low, 4), round(high, 4)) == (0.0955, 0.3489)
    for s in (low + 1e-6, 0.2, high - 1e-6):
        assert gradient(s, s)[1] == 0
    # the released polynomial is not monotone: below 0.0955 it draws a negative closer
    assert gradient(0.05, 0.05)[1] == pytest.approx(1.8 * 0.05 - 0.4)
    assert gradient(0.05, 0.05)[1] < 0 < gradient(0.4, 0.4)[1]


@pytest.mark.parametrize("margin", [0.1, 0.3])
def test_degree_one_is_the_hardest_negative_hinge(margin):
    for seed in range(5):
        S = torch.rand(9, 9, dtype=torch.float64, generator=torch.manual_seed(seed))
        S[range(9), range(9)] += 0.3
        gradients = []
        for loss in (
            lambda S: polynomial_loss(S, margin, (2, -1), (1, 1)),
            lambda S: hardest_hinge(S, margin),
        ):
            S_copy = S.clone().requires_grad_()
            loss(S_copy).backward()
            gradients.append(S_copy.grad)
        assert gradients[0].abs().sum() > 0
        assert (gradients[0] == 0).any()
        torch.testing.assert_close(*gradients, atol=1e-15, rtol=0)


def test_nothing_selected_gives_zero_that_can_be_differentiated():
    S = torch.eye(4, dtype=torch.float64, requires_grad=True)
    loss = polynomial_loss(S)
    loss.backward()
    assert loss.item() == 0
    assert (S.grad == 0).all()


def all_negatives(S, margin, positive, negative):
    total = 0.0
    for rows in (S, S.T):
        for i in range(len(S)):
            near = [s for j, s in enumerate(rows[i]) if j != i and s + margin > rows[i, i]]
            poly = [np.polyval(negative[::-1], s) for s in near]
            total += sum(max(0.0, v) for v in poly)
            total += max(0.0, np.polyval(positive[::-1], rows[i, i])) * bool(near)
    return total / len(S)


def one_direction(S, margin, positive, negative):
    total = 0.0
    for i in range(len(S)):
        near = [s for j, s in enumerate(S[i]) if j != i and s + margin > S[i, i]]
        if near:
            total += max(0.0, np.polyval(positive[::-1], S[i, i]))
            total += max(0.0, np.polyval(negative[::-1], max(near)))
    return total / len(S)


@pytest.mark.parametrize("mutant", [all_negatives, one_direction])
def test_polynomial_mutants_are_told_apart(mutant):
    S = np.random.default_rng(0).uniform(0, 1, size=(7, 7))
    truth = plain_loss(S, 0.2, **RELEASED)
    assert abs(mutant(S, 0.2, **RELEASED) - truth) > 0.01


# --- UWML ---------------------------------------------------------------------------------------

SMALL = {"n_components": 4, "hidden": (16,), "dropout": 0.0, "max_epochs": 4, "random_state": 0}


class HardestHinge(UWML):
    def _losses(self, batch):
        S = cosine_matrix(self._code(batch.X, "image"), self._code(batch.Y, "text"))
        return {"polynomial": hardest_hinge(S, self.margin)}


def test_linear_polynomials_train_as_the_hardest_hinge_does():
    linear = UWML(positive=(2, -1), negative=(2, 1), **SMALL).fit(VIEWS.image, VIEWS.text)
    hinge = HardestHinge(**SMALL).fit(VIEWS.image, VIEWS.text)
    released = UWML(**SMALL).fit(VIEWS.image, VIEWS.text)
    S = [m.similarity(VIEWS.image, VIEWS.text) for m in (linear, hinge, released)]
    np.testing.assert_allclose(S[0], S[1], atol=1e-4)
    assert np.abs(S[2] - S[1]).max() > 1e-2


def test_uwml_minimises_the_loss_of_its_cosines():
    model = UWML(batch_size=400, validation_size=0.25, **(SMALL | {"max_epochs": 1}))
    model.fit(VIEWS.image, VIEWS.text)
    fresh = UWML(**(SMALL | {"learning_rate": 0.0, "max_epochs": 1, "validation_size": 0.25}))
    fresh.fit(VIEWS.image, VIEWS.text)
    learn = np.random.RandomState(0).permutation(200)[50:]
    S = fresh.similarity(VIEWS.image[learn], VIEWS.text[learn])
    truth = plain_loss(S, 0.2, **RELEASED)
    assert model.history_["polynomial"][0] == pytest.approx(truth, rel=1e-4)


def test_uwml_finds_partners():
    views = make_gaussian_views(1200, 8, 6, correlations=[0.97] * 5, random_state=3)
    settings = SMALL | {"n_components": 8, "max_epochs": 20, "learning_rate": 0.01}
    model = UWML(**settings).fit(views.image[:1000], views.text[:1000])
    S = model.similarity(views.image[1000:], views.text[1000:])
    assert np.mean(recall_at_k(S, np.eye(200, dtype=bool), 10)) > 0.5
