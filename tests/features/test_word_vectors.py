"""Word vectors: what each objective says at its optimum, and what the file formats can hold."""

import gzip
import itertools
import math
import pickle
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy import sparse
from scipy.stats import chisquare
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer
from sklearn.pipeline import make_pipeline

from cmrlib.features import word_vectors as module
from cmrlib.features.word_vectors import (
    GloVe,
    Word2Vec,
    WordVectors,
    cooccurrences,
    glove_step,
    keep_probability,
    read_word_vectors,
    skip_gram_pairs,
    skip_gram_step,
    words,
)

COLOURS, SHAPES = ["red", "blue", "green", "pink"], ["cube", "ball", "star", "ring"]


@pytest.fixture(scope="module")
def captions():
    """Sentences of which is known which words can stand in the same place."""
    rng = np.random.default_rng(0)
    sizes, places = ["small", "large", "tiny"], ["above", "below", "beside"]

    def thing():
        return f"a {rng.choice(sizes)} {rng.choice(COLOURS)} {rng.choice(SHAPES)}"

    return [f"{thing()} is {rng.choice(places)} {thing()}" for _ in range(600)]


@pytest.fixture(scope="module")
def dense_texts():
    """Texts of six words in which every two of them co-occur, at different rates."""
    rng = np.random.default_rng(1)
    names = np.array(["aa", "bb", "cc", "dd", "ee", "ff"])
    p = [[0.4, 0.2, 0.1, 0.1, 0.1, 0.1], [0.05, 0.1, 0.35, 0.3, 0.1, 0.1]]
    return [" ".join(rng.choice(names, size=12, p=p[i % 2])) for i in range(60)]


SMALL = dict(vector_size=8, min_count=1, random_state=0)


# Words and counts ---------------------------------------------------------------------------------


def test_words_are_those_of_scikit_learn():
    text = "A Dog's 2nd-best ball, naïve café; x 42 _under"
    assert words(text) == CountVectorizer().build_analyzer()(text)
    assert words(text) == ["dog", "2nd", "best", "ball", "naïve", "café", "42", "_under"]


def test_cooccurrences_by_hand():
    rows = {"aa": 0, "bb": 1, "cc": 2}
    # aa bb xx cc: xx is unknown and left out, so that bb and cc are neighbours
    N = cooccurrences(["aa bb xx cc", "cc", "bb bb"], rows, [1, 0.5]).toarray()
    np.testing.assert_array_equal(N, [[0, 1, 0.5], [1, 2, 1], [0.5, 1, 0]])


def test_cooccurrences_are_those_of_a_plain_loop(captions):
    rows = {word: i for i, word in enumerate(sorted(set(words(" ".join(captions)))))}
    expected = np.zeros((len(rows), len(rows)))
    for text in captions:
        known = words(text)
        for i, j in itertools.permutations(range(len(known)), 2):
            if abs(i - j) <= 4:
                expected[rows[known[i]], rows[known[j]]] += 1 / abs(i - j)
    got = cooccurrences(captions, rows, 1 / np.arange(1, 5))
    assert sparse.issparse(got)
    np.testing.assert_allclose(got.toarray(), expected, rtol=1e-12)


def test_bag_of_words_forgets_order_and_adds_up():
    """The three properties that the chapter names, on scikit-learn's classes."""
    texts = ["dog bites man", "man bites dog", "hot dog", "the hot hot man"]
    counter = CountVectorizer().fit(texts)
    N = counter.transform(texts).toarray()
    np.testing.assert_array_equal(N[0], N[1])
    joined = counter.transform(["dog bites man the hot hot man"]).toarray()[0]
    np.testing.assert_array_equal(joined, N[0] + N[3])
    everywhere = TfidfVectorizer().fit([f"{text} thing" for text in texts])
    assert everywhere.idf_[everywhere.vocabulary_["thing"]] == 1  # ln 1 + 1: no bonus at all
    plain = TfidfVectorizer(smooth_idf=False).fit([f"{text} thing" for text in texts])
    assert plain.idf_[plain.vocabulary_["thing"]] - 1 == 0


# Skip-gram ----------------------------------------------------------------------------------------


def test_skip_gram_loss_by_hand():
    # w = (1, 2), context (3, -1): score 1; random words (0, 1), (-2, 0): scores 2, -2
    w = torch.tensor([[1.0, 2.0]])
    c = torch.tensor([[[3.0, -1.0], [0.0, 1.0], [-2.0, 0.0]]])
    loss, to_w, to_c = skip_gram_step(w, c)
    s = lambda x: 1 / (1 + math.exp(-x))  # noqa: E731
    assert loss.item() == pytest.approx(-math.log(s(1)) - math.log(s(-2)) - math.log(s(2)), 1e-6)
    e = [s(1) - 1, s(2), s(-2)]
    by_hand = [3 * e[0] - 2 * e[2], -e[0] + e[1]]
    np.testing.assert_allclose(to_w[0], by_hand, rtol=1e-5)
    np.testing.assert_allclose(to_c[0], np.outer(e, [1, 2]), rtol=1e-5)


def test_skip_gram_gradients_are_those_of_the_loss():
    generator = torch.Generator().manual_seed(0)
    w = torch.randn(7, 4, generator=generator, dtype=torch.float64, requires_grad=True)
    c = torch.randn(7, 6, 4, generator=generator, dtype=torch.float64, requires_grad=True)
    loss, to_w, to_c = skip_gram_step(w, c)
    expected = torch.autograd.grad(loss.sum(), (w, c))
    np.testing.assert_allclose(to_w.detach(), expected[0], atol=1e-12)
    np.testing.assert_allclose(to_c.detach(), expected[1], atol=1e-12)


def expected_optimum(N, noise, k):
    """Minimise the exact expectation of the skip-gram loss over full-rank W and C."""
    V = len(N)
    N, noise = torch.from_numpy(N), torch.from_numpy(noise)
    generator = torch.Generator().manual_seed(0)
    W, C = (
        torch.randn(V, V, generator=generator, dtype=torch.float64).requires_grad_()
        for _ in range(2)
    )
    solver = torch.optim.LBFGS(
        [W, C],
        max_iter=4000,
        tolerance_grad=1e-13,
        tolerance_change=1e-18,
        history_size=50,
        line_search_fn="strong_wolfe",
    )

    def objective():
        """Sum over pairs (w, c), and over random words in place of c; all by the library's loss."""
        solver.zero_grad()
        # every word with every context: the loss of a pair and one random word is
        # softplus(-w·c) + softplus(w·n), so both parts follow from pairs with n = c
        w = W.repeat_interleave(V, dim=0)
        c = C.repeat(V, 1)
        zero = torch.zeros_like(c)
        half = math.log(2)  # a zero vector adds log 2
        pair = skip_gram_step(w, torch.stack([c, zero], dim=1))[0].reshape(V, V) - half
        random = skip_gram_step(w, torch.stack([zero, c], dim=1))[0].reshape(V, V) - half
        loss = (N * pair).sum() + k * (N.sum(dim=1)[:, None] * noise * random).sum()
        loss = loss / N.sum()
        loss.backward()
        return loss

    solver.step(objective)
    return (W @ C.T).detach().numpy()


@pytest.mark.parametrize("k", [1, 5])
def test_full_rank_optimum_is_pmi_less_log_k(dense_texts, k):
    rows = {word: i for i, word in enumerate(sorted(set(" ".join(dense_texts).split())))}
    N = cooccurrences(dense_texts, rows, [1, 2 / 3, 1 / 3]).toarray()
    assert N.min() > 0
    p = N / N.sum()
    pmi = np.log(p / np.outer(p.sum(axis=1), p.sum(axis=0)))
    assert np.ptp(pmi) > 0.3
    scores = expected_optimum(N, p.sum(axis=0), k)
    np.testing.assert_allclose(scores, pmi - np.log(k), atol=1e-6)


def test_other_noise_shifts_the_optimum(dense_texts):
    rows = {word: i for i, word in enumerate(sorted(set(" ".join(dense_texts).split())))}
    N = cooccurrences(dense_texts, rows, [1]).toarray()
    noise = N.sum(axis=0) ** 0.75
    noise /= noise.sum()
    expected = np.log(N / N.sum(axis=1, keepdims=True) / noise) - np.log(3)
    np.testing.assert_allclose(expected_optimum(N, noise, 3), expected, atol=1e-6)


@pytest.mark.parametrize("noise_power, k", [(1.0, 1), (0.75, 3)])
def test_training_leads_to_that_optimum(dense_texts, noise_power, k):
    """What the sampled pairs and random words teach is the optimum of the expectation."""
    model = Word2Vec(
        vector_size=6,
        window=3,
        negative=k,
        noise_power=noise_power,
        subsample=0,
        min_count=1,
        epochs=150,
        batch_size=256,
        learning_rate=0.3,
        random_state=0,
    ).fit(dense_texts)
    N = cooccurrences(dense_texts, model.vocabulary_, [1, 2 / 3, 1 / 3]).toarray()
    noise = model.counts_**noise_power / np.sum(model.counts_**noise_power)
    expected = np.log(N / N.sum(axis=1, keepdims=True) / noise) - np.log(k)
    scores = model.vectors_ @ model.context_vectors_.T
    assert np.sqrt(np.mean((scores - expected) ** 2)) < 0.05
    assert np.std(expected) > 0.15
    assert np.abs(np.mean(scores - expected)) < 0.02  # a wrong k shifts all by log k


def test_history_is_the_mean_loss_of_a_pair(dense_texts):
    model = Word2Vec(negative=3, epochs=1, batch_size=10**6, **SMALL).fit(dense_texts)
    assert model.history_ == pytest.approx([4 * math.log(2)], rel=1e-6)  # contexts start at zero


def test_window_is_drawn_for_each_word():
    """A pair at distance d is kept with probability (c - d + 1) / c, and none crosses texts."""
    tokens = np.arange(20000)
    text_of = tokens // 10
    i, j = skip_gram_pairs(tokens, text_of, 4, np.random.default_rng(0))
    assert (text_of[i] == text_of[j]).all()
    counts = np.bincount(np.abs(i - j), minlength=5)
    possible = np.array([2 * 2000 * (10 - d) for d in (1, 2, 3, 4)])
    assert counts[0] == 0 and len(counts) == 5
    np.testing.assert_allclose(counts[1:] / possible, [1, 0.75, 0.5, 0.25], atol=0.01)
    forward = np.mean(i < j)
    assert abs(forward - 0.5) < 0.01
    assert not (np.diff(i) >= 0).all()  # shuffled


def test_random_words_follow_the_power_of_their_counts(monkeypatch, dense_texts):
    seen = []
    step = module.skip_gram_step

    def spy(w, c):
        seen.append(c[:, 1:].clone())
        return step(w, c)

    # context vectors that name their word: row i is i everywhere, and nothing is learnt
    monkeypatch.setattr(module, "skip_gram_step", spy)
    monkeypatch.setattr(module._AdaGrad, "step", lambda *args: None)
    start = module._AdaGrad.__init__

    def named(self, rows, device):
        start(self, np.tile(np.arange(len(rows))[:, None], (1, rows.shape[1])), device)

    monkeypatch.setattr(module._AdaGrad, "__init__", named)
    model = Word2Vec(negative=5, epochs=4, subsample=0, **SMALL).fit(dense_texts)
    drawn = np.bincount(torch.cat([c[..., 0].flatten() for c in seen]).numpy().astype(int))
    expected = model.counts_**0.75 / np.sum(model.counts_**0.75) * drawn.sum()
    assert chisquare(drawn, expected).pvalue > 0.01
    assert chisquare(drawn, model.counts_ / model.counts_.sum() * drawn.sum()).pvalue < 1e-6


def test_subsampling_by_hand():
    # frequencies 0.9, 0.09, 0.01 and t = 0.01: sqrt(1/90), sqrt(1/9), 1
    got = keep_probability(np.array([90, 9, 1]), 0.01)
    np.testing.assert_allclose(got, [math.sqrt(1 / 90), 1 / 3, 1])
    np.testing.assert_array_equal(keep_probability(np.array([90, 9, 1]), 0), 1)


def test_subsampling_leaves_frequent_words_out(monkeypatch):
    seen = []
    pairs = module.skip_gram_pairs

    def spy(tokens, *args):
        seen.append(np.bincount(tokens, minlength=3))
        return pairs(tokens, *args)

    monkeypatch.setattr(module, "skip_gram_pairs", spy)
    texts = ["the cat the dog the the the the the the"] * 200
    model = Word2Vec(subsample=0.1, epochs=20, **SMALL).fit(texts)
    keep = keep_probability(model.counts_, 0.1)
    np.testing.assert_allclose(np.mean(seen, axis=0) / model.counts_, keep, atol=0.02)
    assert keep[0] < 0.4 and keep[1] == 1
    assert len({tuple(count) for count in seen}) > 1  # drawn anew every epoch


def neighbours_agree(model, *groups):
    for group in groups:
        for word in group:
            nearest = {name for name, _ in model.most_similar(word, n=len(group) - 1)}
            assert nearest == set(group) - {word}, word


def test_skip_gram_finds_words_of_a_kind(captions):
    model = Word2Vec(16, window=2, subsample=0, epochs=10, random_state=0).fit(captions)
    neighbours_agree(model, COLOURS, SHAPES)


ROLES = {
    "norway": ("fjord", "country"),
    "oslo": ("fjord", "city"),
    "egypt": ("desert", "country"),
    "cairo": ("desert", "city"),
    "japan": ("island", "country"),
    "tokyo": ("island", "city"),
}
THINGS = {
    "fjord": ["snow", "salmon", "north"],
    "desert": ["sand", "camel", "south"],
    "island": ["tea", "rice", "east"],
    "country": ["king", "border", "army"],
    "city": ["metro", "mayor", "street"],
}


@pytest.fixture(scope="module")
def capitals():
    """Texts in which a name is decided by a region and a role; 3 of 10 things are any."""
    rng = np.random.default_rng(0)
    everything = sum(THINGS.values(), [])

    def thing(kind):
        return rng.choice(everything if rng.random() < 0.3 else THINGS[kind])

    return [
        f"{thing(region)} {name} {thing(role)}"
        for name, (region, role) in ROLES.items()
        for _ in range(300)
    ]


def analogies_hold(model):
    pairs = [("norway", "oslo"), ("egypt", "cairo"), ("japan", "tokyo")]
    for (a, b), (c, d) in itertools.permutations(pairs, 2):
        assert model.most_similar([b, c], [a], n=1)[0][0] == d


def test_skip_gram_finds_planted_analogies(capitals):
    analogies_hold(Word2Vec(12, window=2, subsample=0, epochs=20, random_state=0).fit(capitals))


# GloVe --------------------------------------------------------------------------------------------


def test_glove_loss_by_hand():
    # w·c = 1*2 + 0*5, biases 0.5 and -1: score 1.5; N = 10 of x_max 100: f = 0.1^0.75
    w, c = torch.tensor([[1.0, 0.0, 0.5]]), torch.tensor([[2.0, 5.0, -1.0]])
    f, error = 0.1**0.75, 1.5 - math.log(10)
    loss, to_w, to_c = glove_step(w, c, torch.tensor([10.0]))
    assert loss.item() == pytest.approx(f * error**2, rel=1e-5)
    np.testing.assert_allclose(to_w[0], 2 * f * error * np.array([2, 5, 1]), rtol=1e-5)
    np.testing.assert_allclose(to_c[0], 2 * f * error * np.array([1, 0, 1]), rtol=1e-5)
    assert glove_step(w, c, torch.tensor([500.0]))[0].item() == pytest.approx(
        (1.5 - math.log(500)) ** 2, rel=1e-5
    )  # f is 1 from x_max on


def test_glove_gradients_are_those_of_the_loss():
    generator = torch.Generator().manual_seed(0)
    w, c = (
        torch.randn(9, 5, generator=generator, dtype=torch.float64).requires_grad_()
        for _ in range(2)
    )
    count = torch.tensor([0, 0.5, 1, 3, 10, 29, 30, 31, 400.0], dtype=torch.float64)
    loss, to_w, to_c = glove_step(w, c, count, x_max=30, alpha=0.75)
    expected = torch.autograd.grad(loss.sum(), (w, c))
    np.testing.assert_allclose(to_w.detach(), expected[0], atol=1e-12)
    np.testing.assert_allclose(to_c.detach(), expected[1], atol=1e-12)


@pytest.mark.parametrize("alpha", [0.75, 0])  # 0 to the power of 0 is 1
def test_pairs_that_never_occur_contribute_nothing(alpha):
    generator = torch.Generator().manual_seed(0)
    w, c = (torch.randn(5, 4, generator=generator) for _ in range(2))
    count = torch.tensor([0, 2, 0, 7, 0.0])
    loss, to_w, to_c = glove_step(w, c, count, alpha=alpha)
    moved = c + 100 * (count == 0)[:, None]
    again, to_w_again, _ = glove_step(w, moved, count, alpha=alpha)
    np.testing.assert_array_equal(loss, again)
    np.testing.assert_array_equal(to_w, to_w_again)
    assert (loss[count == 0] == 0).all() and (loss[count > 0] > 0).all()
    assert (to_w[count == 0] == 0).all() and (to_c[count == 0] == 0).all()


def test_stored_zeros_change_nothing(monkeypatch, captions):
    count = module.cooccurrences

    def padded(*args, **kwargs):
        N = count(*args, **kwargs).tocoo()
        absent = np.argwhere(N.toarray() == 0)[:20].T
        return sparse.coo_array(
            (np.r_[N.data, np.zeros(20)], (np.r_[N.row, absent[0]], np.r_[N.col, absent[1]])),
            shape=N.shape,
        )

    model = GloVe(window=2, epochs=3, **SMALL).fit(captions)
    monkeypatch.setattr(module, "cooccurrences", padded)
    again = GloVe(window=2, epochs=3, **SMALL).fit(captions)
    np.testing.assert_array_equal(model.vectors_, again.vectors_)


def test_residual_vanishes_at_full_rank(captions):
    """With as many dimensions as words, every pair that occurs is fitted."""
    vocabulary = GloVe(epochs=1, **SMALL).fit(captions).vocabulary_
    model = GloVe(
        len(vocabulary),
        window=3,
        x_max=10,
        epochs=300,
        batch_size=64,
        learning_rate=0.5,
        random_state=0,
    ).fit(captions)
    N = cooccurrences(captions, model.vocabulary_, [1, 1 / 2, 1 / 3]).toarray()
    score = model.word_vectors_ @ model.context_vectors_.T
    score += model.word_biases_[:, None] + model.context_biases_
    seen = N > 0
    assert 0.3 < seen.mean() < 1
    assert np.abs(score[seen] - np.log(N[seen])).max() < 1e-3
    assert model.history_[-1] < 1e-6 < 1 < model.history_[0]
    np.testing.assert_array_equal(model.vectors_, model.word_vectors_ + model.context_vectors_)


def test_glove_finds_words_of_a_kind_and_analogies(capitals):
    model = GloVe(12, window=2, x_max=30, epochs=100, random_state=0).fit(capitals)
    analogies_hold(model)
    neighbours_agree(model, *THINGS.values())


def test_adagrad_by_hand():
    # row 1 twice: squares 4 + 16 = 20, so it moves by -0.1 (2 + 4) / sqrt(20)
    table = module._AdaGrad(np.array([[1.0], [1.0], [1.0]]), "cpu")
    table.step(torch.tensor([1, 2, 1]), torch.tensor([[2.0], [-3.0], [4.0]]), 0.1)
    np.testing.assert_allclose(table.array(), [[1], [1 - 0.6 / math.sqrt(20)], [1.1]], rtol=1e-6)
    table.step(torch.tensor([2]), torch.tensor([[4.0]]), 0.1)
    np.testing.assert_allclose(table.array()[2], 1.1 - 0.4 / 5, rtol=1e-6)


# Both ---------------------------------------------------------------------------------------------

both = pytest.mark.parametrize("cls", [Word2Vec, GloVe])


@both
def test_vocabulary_is_ordered_by_count(cls):
    texts = ["bb aa aa aa cc", "bb cc bb dd aa", "ee"] * 2
    model = cls(vector_size=3, min_count=2, epochs=1).fit(texts)
    assert list(model.vocabulary_) == ["aa", "bb", "cc", "dd", "ee"]
    assert model.counts_.tolist() == [8, 6, 4, 2, 2]
    assert list(cls(3, min_count=4, epochs=1).fit(texts).vocabulary_) == ["aa", "bb", "cc"]
    assert model.vectors_.shape == (5, 3)


@both
def test_same_seed_same_vectors(cls, captions):
    a, b, c = (cls(vector_size=4, epochs=2, random_state=seed).fit(captions) for seed in (0, 0, 1))
    np.testing.assert_array_equal(a.vectors_, b.vectors_)
    assert np.abs(a.vectors_ - c.vectors_).max() > 1e-3
    assert len(a.history_) == 2 and a.history_[1] < a.history_[0]


@both
def test_scikit_learn_style(cls, captions):
    model = cls(vector_size=4, epochs=1, min_count=2, random_state=3)
    assert clone(model).get_params() == model.get_params()
    features = make_pipeline(model).fit_transform(captions[:50])
    assert features.shape == (50, 4)
    with pytest.raises(NotFittedError):
        clone(model).transform(captions)


@both
@pytest.mark.parametrize(
    "parameter, value",
    [
        ("vector_size", 0),
        ("window", 0),
        ("epochs", 0),
        ("min_count", 0),
        ("batch_size", 0),
        ("learning_rate", 0),
        ("vector_size", 2.5),
    ],
)
def test_bad_parameters_are_refused(cls, parameter, value, captions):
    with pytest.raises((ValueError, TypeError), match=parameter):
        cls(**{parameter: value}).fit(captions)


@both
def test_texts_that_teach_nothing_are_refused(cls):
    with pytest.raises(ValueError, match=r"no word occurs min_count=5 times in the 2 texts; lower"):
        cls().fit(["red cube", "blue cube"])
    with pytest.raises(ValueError, match="no text holds two words of the vocabulary"):
        cls(min_count=1).fit(["red", "", "blue"])
    with pytest.raises(ValueError, match="no word occurs"):
        cls().fit([])


@both
def test_texts_must_be_strings(cls, captions):
    with pytest.raises(TypeError, match="text 2 is not a string but bytes"):
        cls().fit(["red", "blue", b"green"])
    with pytest.raises(TypeError, match="got a single string"):
        cls().fit("red cube")
    model = cls(4, epochs=1).fit(captions)
    with pytest.raises(TypeError, match="text 1 is not a string but NoneType"):
        model.transform(["red", None])


# Texts to vectors ---------------------------------------------------------------------------------


@pytest.fixture
def known():
    return WordVectors(["red", "blue", "cube"], np.array([[1.0, 0], [0, 1], [3, 4]]))


def test_text_is_the_mean_of_its_known_words(known):
    got = known.transform(["red cube", "cube RED", "red red blue", "a red thing", "red"])
    np.testing.assert_allclose(got, [[2, 2], [2, 2], [2 / 3, 1 / 3], [1, 0], [1, 0]])


def test_text_without_a_known_word_is_zero(known):
    np.testing.assert_array_equal(known.transform(["purple", "", "?!"]), np.zeros((3, 2)))
    assert known.transform([]).shape == (0, 2)
    assert known.unknown_words(["purple cube", "red", ""]) == [["purple"], [], []]


def test_most_similar_by_hand(known):
    assert known.most_similar("red") == [("cube", pytest.approx(0.6)), ("blue", 0)]
    assert known.most_similar(["red", "blue"], n=1) == [("cube", pytest.approx(1.4 / 2**0.5))]
    # cube - red = (0.6 - 1, 0.8) and red + cube = (1.6, 0.8), of unit vectors
    assert known.most_similar("cube", ["red"]) == [("blue", pytest.approx(0.8 / 0.8**0.5))]
    assert known.most_similar(["red", "cube"]) == [("blue", pytest.approx(0.8 / 3.2**0.5))]
    with pytest.raises(ValueError, match=r"'purple' has no vector; it is not among the 3 words"):
        known.most_similar("purple")


def test_given_vectors_must_fit_the_words():
    with pytest.raises(ValueError, match=r"2 words need vectors of shape \(2, vector_size\)"):
        WordVectors(["red", "blue"], np.ones((3, 2)))
    with pytest.raises(ValueError, match="'red' is given twice"):
        WordVectors(["red", "red"], np.ones((2, 2)))


# Files --------------------------------------------------------------------------------------------

NAMES = ["the", "café", "New_York", "of"]
VECTORS = np.random.default_rng(0).normal(size=(4, 5)).astype(np.float32)


def write(path, format, names=NAMES, vectors=VECTORS, header=None):
    """Write the formats as their authors' programs do."""
    names = [name if isinstance(name, bytes) else name.encode() for name in names]
    lines = []
    for name, vector in zip(names, vectors, strict=True):
        if format == "word2vec-binary":
            lines.append(name + b" " + vector.astype("<f4").tobytes() + b"\n")
        else:
            lines.append(name + b" " + " ".join(f"{x:.9g}" for x in vector).encode() + b"\n")
    if format != "glove":
        announced = header or (len(names), np.shape(vectors)[1])
        lines.insert(0, b"%d %d\n" % announced)
    path.write_bytes(b"".join(lines))
    return path


FORMATS = ("word2vec-text", "word2vec-binary", "glove")
each_format = pytest.mark.parametrize("format", FORMATS)
with_header = pytest.mark.parametrize("format", FORMATS[:2])


@each_format
@pytest.mark.parametrize("named", [True, False])
@pytest.mark.parametrize("zipped", [True, False])
def test_reads_what_was_written(tmp_path, format, named, zipped):
    path = write(tmp_path / "vectors", format)
    if zipped:
        path.write_bytes(gzip.compress(path.read_bytes()))
    got = read_word_vectors(path, format=format if named else None)
    assert list(got.vocabulary_) == NAMES
    np.testing.assert_array_equal(got.vectors_, VECTORS)
    assert got.vectors_.dtype == np.float32
    np.testing.assert_allclose(got.transform(["of the"])[0], (VECTORS[0] + VECTORS[3]) / 2)


@each_format
def test_limit_reads_the_first_words(tmp_path, format):
    path = write(tmp_path / "vectors", format)
    got = read_word_vectors(path, limit=2)
    assert list(got.vocabulary_) == NAMES[:2]
    assert len(read_word_vectors(path, limit=4).vectors_) == 4
    assert len(read_word_vectors(path, limit=9).vectors_) == 4
    path.write_bytes(path.read_bytes()[:-20])  # damage after the second word is not met
    assert len(read_word_vectors(path, limit=2).vectors_) == 2


def test_variants_of_the_formats(tmp_path):
    path = write(tmp_path / "vectors", "word2vec-binary")
    whole = path.read_bytes()
    for i in range(4):  # newer writers leave the line breaks out
        whole = whole.replace(VECTORS[i].tobytes() + b"\n", VECTORS[i].tobytes())
    path.write_bytes(whole)
    np.testing.assert_array_equal(read_word_vectors(path).vectors_, VECTORS)
    path = write(tmp_path / "vectors", "word2vec-text")
    path.write_bytes(path.read_bytes().replace(b"\n", b" \r\n"))
    np.testing.assert_array_equal(read_word_vectors(path).vectors_, VECTORS)
    path = write(tmp_path / "vectors", "glove", ["the", ". . .", "at name", "of"])
    assert list(read_word_vectors(path).vocabulary_) == ["the", ". . .", "at name", "of"]


def test_numbers_that_look_like_text(tmp_path):
    """A vector may hold the bytes of spaces, line breaks and digits."""
    vectors = np.frombuffer(b"\n 1 2 3 \n4 5\n 6 7 8 9 10", "<f4")[None]
    path = write(tmp_path / "vectors", "word2vec-binary", ["the"], vectors)
    np.testing.assert_array_equal(read_word_vectors(path).vectors_, vectors)


@each_format
def test_bytes_that_are_not_utf8_are_kept_apart(tmp_path, format):
    path = write(tmp_path / "vectors", format, [b"caf\xe9", b"caf\xe8", b"\xff", "café"])
    got = read_word_vectors(path)
    assert list(got.vocabulary_) == ["caf\\xe9", "caf\\xe8", "\\xff", "café"]
    np.testing.assert_array_equal(got.vectors_, VECTORS)


@each_format
def test_first_vector_of_a_word_counts(tmp_path, format):
    path = write(tmp_path / "vectors", format, ["the", "of", "the", "the"])
    with pytest.warns(UserWarning, match=r"gives 2 vector\(s\) to words that .* such as 'the'"):
        got = read_word_vectors(path)
    assert list(got.vocabulary_) == ["the", "of"]
    np.testing.assert_array_equal(got.vectors_, VECTORS[:2])


@with_header
def test_header_must_tell_the_number_of_words(tmp_path, format):
    path = write(tmp_path / "vectors", format, header=(7, 5))
    with pytest.raises(ValueError, match=r"vectors ends after 4 of the 7 words .* truncated"):
        read_word_vectors(path)
    with pytest.raises(ValueError, match="ends after 4 of the 7 words"):
        read_word_vectors(path, limit=6)
    path = write(tmp_path / "vectors", format, header=(3, 5))
    with pytest.raises(ValueError, match="goes on after the 3 words"):
        read_word_vectors(path)


@with_header
@pytest.mark.parametrize("d", [3, 4, 6, 7])
def test_header_must_tell_the_dimension(tmp_path, format, d):
    path = write(tmp_path / "vectors", format, header=(4, d))
    with pytest.raises(ValueError, match=re.escape(str(path))):
        read_word_vectors(path, format=format)


@pytest.mark.parametrize("header", [(0, 5), (4, 0), (4, 10**12), (10**15, 5)])
@with_header
def test_absurd_headers_are_refused_at_once(tmp_path, format, header):
    path = write(tmp_path / "vectors", format, header=header)
    if header[0] == 0:  # %d has no falsy pair
        path.write_bytes(path.read_bytes().replace(b"4 5\n", b"0 5\n", 1))
    with pytest.raises(ValueError, match="promises none|ends after 4 of"):
        read_word_vectors(path, format=format)


@each_format
def test_every_truncation_is_refused_or_ends_at_a_line(tmp_path, format):
    whole = write(tmp_path / "vectors", format).read_bytes()
    path = tmp_path / "cut"
    for size in range(len(whole) - 1):
        path.write_bytes(whole[:size])
        if format == "glove" and size and whole[size - 1 : size] == b"\n":
            lines = whole[:size].count(b"\n")
            assert len(read_word_vectors(path).vectors_) == lines
            continue
        with pytest.raises(ValueError, match=re.escape(str(path))):
            read_word_vectors(path, format=format)
        if size:
            with pytest.raises(ValueError, match=re.escape(str(path))):
                read_word_vectors(path)


def test_truncated_gzip_is_refused(tmp_path):
    path = write(tmp_path / "vectors", "glove")
    packed = gzip.compress(path.read_bytes())
    for damaged in (packed[:-12], packed[:30], packed[:25] + b"\xff\xff\xff" + packed[28:]):
        path.write_bytes(damaged)
        with pytest.raises(ValueError, match="damaged gzip file"):
            read_word_vectors(path)


def test_damaged_lines_are_named(tmp_path):
    path = tmp_path / "vectors"
    path.write_text("the 1 2\nof 1 x\n")
    with pytest.raises(ValueError, match="line 2 of .* is not a word and 2 numbers"):
        read_word_vectors(path)
    path.write_text("2 2\nthe 1 2\nof 1\n")
    with pytest.raises(ValueError, match="line 3 of .* is not a word and 2 numbers"):
        read_word_vectors(path)
    path.write_text("the 1 2\nof 1 nan\n")
    with pytest.raises(ValueError, match="NaN or infinity, first in the vector of 'of'"):
        read_word_vectors(path)
    path.write_text("the 1 2\nof 1 3")
    with pytest.raises(ValueError, match="line 2 of .* does not end"):
        read_word_vectors(path)


def test_other_files_are_refused(tmp_path):
    path = tmp_path / "vectors"
    for content in (b"", b"\n", b"word\n", b"\x00" * 999, b"just a text\nof words\n"):
        path.write_bytes(content)
        with pytest.raises(ValueError, match=re.escape(str(path))):
            read_word_vectors(path)
    write(path, "glove")
    with pytest.raises(ValueError, match="the first line of .* must give the number of words"):
        read_word_vectors(path, format="word2vec-text")
    with pytest.raises(ValueError, match="format must be one of word2vec-text, word2vec-binary"):
        read_word_vectors(path, format="pickle")
    with pytest.raises(FileNotFoundError):
        read_word_vectors(tmp_path / "nowhere")


class Trap:
    def __reduce__(self):
        return (Path.touch, (Path("unpickled"),))


def test_nothing_is_unpickled(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "vectors.pkl"
    path.write_bytes(pickle.dumps(Trap()))
    with pytest.raises(ValueError):
        read_word_vectors(path)
    assert not Path("unpickled").exists()


# Topics -------------------------------------------------------------------------------------------

CHAPTER = Path(__file__).parents[2] / "book" / "features" / "word_vectors.md"


@pytest.fixture(scope="module")
def sampler():
    """What the cells of the chapter with the Gibbs sampler and the bars define and compute."""
    cells = re.findall(r"```\{code-cell\} ipython3\n(.*?)```", CHAPTER.read_text(), flags=re.S)
    namespace = {"np": np}
    for cell in cells:
        if "def gibbs_sweep(" in cell or "def bars(" in cell:
            exec(cell, namespace)
    return namespace


def log_joint(z, documents, T, V, alpha, beta):
    """Return log P(z, words) with the topic shares integrated out, up to a constant."""

    def log_dirichlet(counts, prior):
        terms = [math.lgamma(count + prior) for count in counts]
        return sum(terms) - math.lgamma(sum(counts) + len(counts) * prior)

    pairs = [
        (d, t, w) for d in range(len(documents)) for t, w in zip(z[d], documents[d], strict=True)
    ]
    total = 0.0
    for d in range(len(documents)):
        total += log_dirichlet([sum(p[:2] == (d, t) for p in pairs) for t in range(T)], alpha)
    for t in range(T):
        total += log_dirichlet([sum(p[1:] == (t, w) for p in pairs) for w in range(V)], beta)
    return total


def test_sampler_visits_topics_as_often_as_the_posterior_says(sampler):
    """All 2^5 assignments of a tiny corpus, against the exact posterior."""
    documents, alpha, beta = [np.array([0, 0, 1]), np.array([1, 2])], 0.4, 0.3
    rng = np.random.default_rng(0)
    z = [rng.integers(2, size=len(document)) for document in documents]
    n_dt, n_tw = sampler["start_counts"](documents, z, 2, 3)
    visits = np.zeros((2,) * 5)
    for _ in range(6000):
        sampler["gibbs_sweep"](documents, z, n_dt, n_tw, alpha, beta, rng)
        visits[tuple(np.concatenate(z))] += 1
    exact = np.zeros((2,) * 5)
    for states in itertools.product(range(2), repeat=5):
        exact[states] = log_joint((states[:3], states[3:]), documents, 2, 3, alpha, beta)
    exact = np.exp(exact - exact.max())
    exact /= exact.sum()
    assert np.ptp(exact) > 0.1
    np.testing.assert_allclose(visits / visits.sum(), exact, atol=0.02)


def matched(topics, planted):
    """Return, for each planted topic, the smallest distance and which topic has it."""
    share = topics / topics.sum(axis=1, keepdims=True)
    distance = np.abs(share[None] - planted[:, None]).sum(axis=2)
    return distance.min(axis=1), distance.argmin(axis=1)


def test_bars_are_found_up_to_order(sampler):
    distance, which = matched(sampler["n_tw"], sampler["planted"])
    assert sorted(which) == list(range(8))
    assert distance.max() < 0.15  # of at most 2; a row and a column differ by 1.5
    start, _ = matched(sampler["history"][0], sampler["planted"])
    assert start.min() > 1
    assert sampler["n_tw"].sum() == sampler["n_dt"].sum() == 200 * 40
    np.testing.assert_allclose(sampler["theta"].sum(axis=1), 1)
