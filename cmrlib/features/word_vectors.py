"""Word vectors: skip-gram with negative sampling, GloVe, and readers of pretrained ones.

A text becomes the mean of the vectors of its words. Bag of words, TF-IDF and topics need nothing
here: ``CountVectorizer``, ``TfidfVectorizer`` and ``LatentDirichletAllocation`` of scikit-learn
take the same texts and have the same ``fit`` and ``transform``.
"""

from __future__ import annotations

import gzip
import re
import warnings
import zlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice
from numbers import Integral, Real
from os import PathLike
from typing import IO, Any, Literal, Self, cast, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import sparse
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils import check_scalar
from sklearn.utils.validation import check_is_fitted
from tqdm import trange

from cmrlib.features._texts import check_texts

Array = NDArray[Any]
Tokenizer = Callable[[str], list[str]]
Format = Literal["word2vec-text", "word2vec-binary", "glove"]

_TWO_NUMBERS = rb"\d+ \d+\s*"  # the first line of a word2vec file
_LARGEST_DIMENSION = 100_000
_LONGEST_LINE = 1 << 22  # bytes
_LONGEST_WORD = 10_000


def words(text: str) -> list[str]:
    """Return the words of a text: lower case, two letters or digits and more.

    The same words as ``CountVectorizer`` of scikit-learn finds.
    """
    return re.findall(r"\b\w\w+\b", text.lower())


def cooccurrences(
    texts: Sequence[str],
    vocabulary: Mapping[str, int],
    weights: ArrayLike,
    *,
    tokenizer: Tokenizer = words,
) -> sparse.csr_array:
    """Count how often two words stand near each other.

    Parameters
    ----------
    texts : sequence of n str
    vocabulary : mapping of word to row
        Other words are left out, and do not add to the distance.
    weights : array-like of shape (window,)
        What a pair at distance 1, 2, ... counts. GloVe takes 1, 1/2, 1/3, ...; the random window
        of :class:`Word2Vec` amounts to 1, (c - 1) / c, ..., 1 / c.
    tokenizer : callable, default=words
        Text to list of words.

    Returns
    -------
    sparse array of shape (V, V)
        Symmetric. Entry (i, j) sums the weights over places with word i and word j near it.
    """
    weight = np.asarray(weights, dtype=float)
    tokens, text_of = _flatten(_tokenised(texts, tokenizer), vocabulary)
    V = len(vocabulary)
    N = sparse.csr_array((V, V))
    for distance, w in enumerate(weight, start=1):
        left, right = _neighbours(text_of, distance)
        pairs = (np.full(len(left), w), (tokens[left], tokens[right]))
        N = N + sparse.coo_array(pairs, shape=(V, V)).tocsr()
    return cast(sparse.csr_array, (N + N.T).tocsr())


def _tokenised(texts: Sequence[str], tokenizer: Tokenizer) -> list[list[str]]:
    check_texts(texts, empty=True)
    return [tokenizer(text) for text in texts]


def _flatten(texts: list[list[str]], vocabulary: Mapping[str, int]) -> tuple[Array, Array]:
    """Return all known words in a row, as numbers, and the number of the text each is in."""
    known = [[vocabulary[word] for word in text if word in vocabulary] for text in texts]
    tokens = np.array([token for text in known for token in text], dtype=np.int64)
    return tokens, np.repeat(np.arange(len(known)), [len(text) for text in known])


def _neighbours(text_of: Array, distance: int) -> tuple[Array, Array]:
    """Return the places of all pairs this far apart in one text."""
    left = np.flatnonzero(text_of[:-distance] == text_of[distance:])
    return left, left + distance


class _WordVectors(TransformerMixin, BaseEstimator):
    """What can be done with words that have vectors."""

    vocabulary_: dict[str, int]
    vectors_: Array
    tokenizer: Tokenizer

    def transform(self, texts: Sequence[str]) -> Array:
        """Return the mean vector of the known words of each text.

        Parameters
        ----------
        texts : sequence of n str

        Returns
        -------
        ndarray of shape (n, vector_size)
            A text without a known word gets the zero vector, as it would in a bag of words;
            :meth:`unknown_words` tells which words those are.

        Raises
        ------
        TypeError
            If a text is not a string; the message names it.
        """
        check_is_fitted(self, "vectors_")
        features = np.zeros((len(texts), self.vectors_.shape[1]), self.vectors_.dtype)
        for i, text in enumerate(_tokenised(texts, self.tokenizer)):
            rows = [self.vocabulary_[word] for word in text if word in self.vocabulary_]
            if rows:
                features[i] = self.vectors_[rows].mean(axis=0)
        return features

    def unknown_words(self, texts: Sequence[str]) -> list[list[str]]:
        """Return, for each text, its words that have no vector."""
        check_is_fitted(self, "vectors_")
        return [
            [word for word in text if word not in self.vocabulary_]
            for text in _tokenised(texts, self.tokenizer)
        ]

    def most_similar(
        self, positive: str | Sequence[str], negative: Sequence[str] = (), n: int = 10
    ) -> list[tuple[str, float]]:
        """Return the words nearest by cosine, best first, the given words left out.

        Parameters
        ----------
        positive : str or sequence of str
            A word; or several, whose vectors are brought to length 1 and added.
        negative : sequence of str, default=()
            Words whose vectors are subtracted: the analogy "man is to king as woman is to ..." is
            ``most_similar(["king", "woman"], ["man"])``.
        n : int, default=10
            Number of words.

        Raises
        ------
        ValueError
            If a word has no vector.
        """
        check_is_fitted(self, "vectors_")
        plus, minus = [positive] if isinstance(positive, str) else list(positive), list(negative)
        for word in plus + minus:
            if word not in self.vocabulary_:
                raise ValueError(
                    f"the word {word!r} has no vector; it is not among the "
                    f"{len(self.vocabulary_)} words of the vocabulary."
                )
        given = [self.vocabulary_[word] for word in plus + minus]
        length = np.linalg.norm(self.vectors_, axis=1)
        unit = self.vectors_ / np.where(length == 0, 1, length)[:, None]
        signs = np.repeat([1.0, -1.0], [len(plus), len(minus)])
        query = signs @ unit[given]
        cosines = unit @ query / (np.linalg.norm(query) or 1)
        cosines[given] = -np.inf
        best = np.argsort(-cosines, kind="stable")[: min(n, len(cosines) - len(set(given)))]
        names = list(self.vocabulary_)
        return [(names[row], float(cosines[row])) for row in best]


class WordVectors(_WordVectors):
    """Words with given vectors, such as pretrained ones; see :func:`read_word_vectors`.

    Parameters
    ----------
    vocabulary : sequence of V str
        Words, none twice.
    vectors : array-like of shape (V, vector_size)
    tokenizer : callable, default=words
        Text to list of words.

    Attributes
    ----------
    vocabulary_ : dict of str to int
        Word to row.
    vectors_ : ndarray of shape (V, vector_size)

    Examples
    --------
    >>> from cmrlib.features.word_vectors import WordVectors
    >>> known = WordVectors(["red", "blue"], [[1.0, 0.0], [0.0, 1.0]])
    >>> known.transform(["red and blue", "green"])
    array([[0.5, 0.5],
           [0. , 0. ]])
    """

    def __init__(
        self, vocabulary: Sequence[str], vectors: ArrayLike, tokenizer: Tokenizer = words
    ) -> None:
        self.vocabulary = vocabulary
        self.vectors = vectors
        self.tokenizer = tokenizer
        self.fit()

    def fit(self, texts: Any = None, y: Any = None) -> Self:
        """Take the given vectors; texts change nothing."""
        vectors = np.asarray(self.vectors)
        if vectors.ndim != 2 or len(vectors) != len(self.vocabulary):
            raise ValueError(
                f"{len(self.vocabulary)} words need vectors of shape "
                f"({len(self.vocabulary)}, vector_size), got {vectors.shape}."
            )
        self.vocabulary_ = {word: row for row, word in enumerate(self.vocabulary)}
        if len(self.vocabulary_) < len(vectors):
            word = next(w for w, count in Counter(self.vocabulary).items() if count > 1)
            raise ValueError(f"the word {word!r} is given twice; every word needs one vector.")
        self.vectors_ = vectors
        return self


class Word2Vec(_WordVectors):
    """Skip-gram with negative sampling: a word's vector predicts the words around it.

    A word w and a word c near it are to score higher than w and k random words [1]_, [2]_:

        log σ(w·c) + Σ_{i=1..k} log σ(-w·n_i),   n_i drawn from P(n) ∝ count(n)^0.75.

    With vectors as wide as the vocabulary, the expectation is largest at
    w·c = log(N_wc / (N_w P(c))) - log k, with N_wc the number of pairs: for noise drawn as words
    occur, the pointwise mutual information less log k [3]_.

    Parameters
    ----------
    vector_size : int, default=100
        Dimension of the vectors.
    window : int, default=5
        Largest distance c of two words of a pair. For each word a distance is drawn from
        1, ..., c, so that near words count more.
    negative : int, default=5
        Number k of random words a pair.
    subsample : float, default=1e-3
        Threshold t: of a word with relative frequency f > t, the fraction 1 - sqrt(t / f) of
        occurrences is left out, drawn anew every epoch. 0 keeps all. The papers use 1e-5 on 10⁹
        words; a small corpus needs more.
    noise_power : float, default=0.75
        Exponent of the counts in P(n).
    min_count : int, default=5
        Rarer words get no vector.
    epochs : int, default=5
    batch_size : int, default=512
        Pairs a step.
    learning_rate : float, default=0.1
        Of AdaGrad, at the start; it falls linearly to 0.
    tokenizer : callable, default=words
        Text to list of words.
    random_state : int, optional
    device : str, default="cpu"
        Torch device.
    verbose : bool, default=False
        Show a progress bar.

    Attributes
    ----------
    vocabulary_ : dict of str to int
        Word to row, most frequent first.
    counts_ : ndarray of shape (V,)
        Occurrences of each word.
    vectors_ : ndarray of shape (V, vector_size)
        Vectors w of the words.
    context_vectors_ : ndarray of shape (V, vector_size)
        Vectors c.
    history_ : list of float
        Mean negative log-likelihood of a pair and its random words, for each epoch.

    Notes
    -----
    The papers take a step of gradient descent after every pair. Here a step takes a batch of pairs,
    and AdaGrad, as plain steps diverge when a frequent word is in a batch many times. The papers
    do not state how vectors start; here words are uniform in ±0.5 / vector_size and contexts zero.
    A random word may be the context itself, as the objective has it. Words left out by
    subsampling do not add to the distance. All pairs of an epoch are in memory.

    References
    ----------
    .. [1] T. Mikolov et al., "Efficient estimation of word representations in vector space", ICLR
       workshop (2013).
    .. [2] T. Mikolov et al., "Distributed representations of words and phrases and their
       compositionality", NIPS (2013).
    .. [3] O. Levy and Y. Goldberg, "Neural word embedding as implicit matrix factorization", NIPS
       (2014).

    Examples
    --------
    >>> from cmrlib.features.word_vectors import Word2Vec
    >>> texts = ["red ball", "blue ball", "red cube", "blue cube"] * 50
    >>> model = Word2Vec(vector_size=4, subsample=0, epochs=20, random_state=0).fit(texts)
    >>> model.most_similar("red", n=1)[0][0]
    'blue'
    """

    def __init__(
        self,
        vector_size: int = 100,
        window: int = 5,
        negative: int = 5,
        subsample: float = 1e-3,
        noise_power: float = 0.75,
        min_count: int = 5,
        epochs: int = 5,
        batch_size: int = 512,
        learning_rate: float = 0.1,
        tokenizer: Tokenizer = words,
        random_state: int | None = None,
        device: str = "cpu",
        verbose: bool = False,
    ) -> None:
        self.vector_size = vector_size
        self.window = window
        self.negative = negative
        self.subsample = subsample
        self.noise_power = noise_power
        self.min_count = min_count
        self.epochs = epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.tokenizer = tokenizer
        self.random_state = random_state
        self.device = device
        self.verbose = verbose

    def fit(self, texts: Sequence[str], y: Any = None) -> Self:
        """Learn the vectors from texts.

        Raises
        ------
        TypeError
            If a text is not a string; the message names it.
        ValueError
            If no word is frequent enough, or no two of them stand in one text.
        """
        import torch

        _check_at_least_one(self, "vector_size window negative min_count epochs batch_size")
        check_scalar(self.subsample, "subsample", Real, min_val=0)
        check_scalar(self.noise_power, "noise_power", Real, min_val=0)
        _check_positive(self, "learning_rate")
        tokenised = _tokenised(texts, self.tokenizer)
        self.vocabulary_, self.counts_ = _vocabulary(tokenised, self.min_count)
        tokens, text_of = _flatten(tokenised, self.vocabulary_)
        _check_pairs_exist(text_of)

        rng = np.random.default_rng(self.random_state)
        keep = keep_probability(self.counts_, self.subsample)
        noise = np.cumsum(self.counts_**self.noise_power)
        noise /= noise[-1]
        V, d = len(self.counts_), self.vector_size
        W = _AdaGrad(rng.uniform(-0.5 / d, 0.5 / d, (V, d)), self.device)
        C = _AdaGrad(np.zeros((V, d)), self.device)
        self.history_: list[float] = []
        for epoch in trange(self.epochs, disable=not self.verbose, unit="epoch"):
            kept = rng.random(len(tokens)) < keep[tokens]
            word, context = skip_gram_pairs(tokens[kept], text_of[kept], self.window, rng)
            total = 0.0
            for start in range(0, len(word), self.batch_size):
                batch = slice(start, start + self.batch_size)
                rate = self.learning_rate * (1 - (epoch + start / len(word)) / self.epochs)
                drawn = np.searchsorted(noise, rng.random((len(word[batch]), self.negative)))
                i = torch.from_numpy(word[batch]).to(self.device)
                j = torch.from_numpy(np.column_stack([context[batch], drawn])).to(self.device)
                loss, to_word, to_context = skip_gram_step(W.rows[i], C.rows[j])
                W.step(i, to_word, rate)
                C.step(j.flatten(), to_context.flatten(0, 1), rate)
                total += float(loss.sum())
            self.history_.append(total / max(len(word), 1))
        self.vectors_, self.context_vectors_ = W.array(), C.array()
        return self


def keep_probability(counts: Array, subsample: float) -> Array:
    """Return the probability sqrt(t / f) of keeping a word of relative frequency f, at most 1."""
    if subsample == 0:
        return np.ones(len(counts))
    return np.minimum(1, np.sqrt(subsample * counts.sum() / counts))


def skip_gram_pairs(
    tokens: Array, text_of: Array, window: int, rng: np.random.Generator
) -> tuple[Array, Array]:
    """Return words and contexts of all pairs in shuffled order; each word draws its own window.

    Parameters
    ----------
    tokens : ndarray of shape (T,)
        All texts in a row, as word numbers.
    text_of : ndarray of shape (T,)
        Number of the text of each; a pair does not cross texts.
    window : int
        Largest distance.
    rng : numpy Generator
    """
    reach = rng.integers(1, window + 1, size=len(tokens))
    word, context = [], []
    for distance in range(1, window + 1):
        left, right = _neighbours(text_of, distance)
        for here, there in ((left, right), (right, left)):
            near = reach[here] >= distance
            word.append(tokens[here[near]])
            context.append(tokens[there[near]])
    order = rng.permutation(sum(map(len, word)))
    return np.concatenate(word)[order], np.concatenate(context)[order]


def skip_gram_step(w: Any, c: Any) -> tuple[Any, Any, Any]:
    """Return the loss of each pair, and its gradients, as torch tensors.

    Parameters
    ----------
    w : tensor of shape (b, d)
        Vectors of words.
    c : tensor of shape (b, 1 + k, d)
        Vectors of the context of each, then of k random words.

    Returns
    -------
    loss : tensor of shape (b,)
        -log σ(w·c_0) - Σ_{i=1..k} log σ(-w·c_i).
    to_w, to_c : tensors of the shapes of w and c
        Gradients of the loss.
    """
    from torch.nn.functional import softplus  # softplus(-x) = -log σ(x)

    score = (c @ w[:, :, None])[:, :, 0]
    loss = softplus(-score[:, 0]) + softplus(score[:, 1:]).sum(dim=1)
    error = score.sigmoid()  # of all as random words
    error[:, 0] -= 1
    return loss, (error[:, None] @ c)[:, 0], error[:, :, None] * w[:, None]


class _AdaGrad:
    """Rows of parameters, of which each step changes a few."""

    def __init__(self, rows: Array, device: str) -> None:
        import torch

        self.rows = torch.from_numpy(rows.astype(np.float32)).to(device)
        self.squares = torch.zeros_like(self.rows)

    def step(self, index: Any, gradient: Any, rate: float) -> None:
        """Move row index[m] against gradient[m], for all m; a row may come more than once."""
        self.squares.index_add_(0, index, gradient**2)
        step = gradient / (self.squares[index].sqrt() + 1e-10)
        self.rows.index_add_(0, index, step, alpha=-rate)

    def array(self) -> Array:
        return self.rows.cpu().numpy()


class GloVe(_WordVectors):
    """Global vectors: inner products fit the logarithms of co-occurrence counts.

    Minimises over words i and j that occur together [1]_

        Σ_ij f(N_ij) (w_i·c_j + b_i + b̃_j - log N_ij)²,   f(x) = min(1, (x / x_max)^alpha),

    with N_ij the sum of 1 / distance over all places with j near i. A pair that never occurs has
    f(0) = 0 and contributes nothing.

    Parameters
    ----------
    vector_size : int, default=100
        Dimension of the vectors.
    window : int, default=10
        Largest distance of two words.
    x_max : float, default=100.0
        Count from which on a pair has full weight; a small corpus needs less.
    alpha : float, default=0.75
        Exponent of the weight.
    min_count : int, default=5
        Rarer words get no vector.
    epochs : int, default=50
        The paper: 50 for vectors below 300 dimensions, 100 else.
    batch_size : int, default=512
        Pairs a step.
    learning_rate : float, default=0.05
        Of AdaGrad.
    tokenizer : callable, default=words
        Text to list of words.
    random_state : int, optional
    device : str, default="cpu"
        Torch device.
    verbose : bool, default=False
        Show a progress bar.

    Attributes
    ----------
    vocabulary_ : dict of str to int
        Word to row, most frequent first.
    counts_ : ndarray of shape (V,)
        Occurrences of each word.
    vectors_ : ndarray of shape (V, vector_size)
        w + c, as the paper advises.
    word_vectors_, context_vectors_ : ndarray of shape (V, vector_size)
        w and c.
    word_biases_, context_biases_ : ndarray of shape (V,)
        b and b̃.
    history_ : list of float
        Mean of the weighted squares over the pairs that occur, for each epoch.

    Notes
    -----
    The paper takes one step of AdaGrad a pair, here a step takes a batch. The paper does not state
    how parameters start; here all are uniform in ±0.5 / vector_size.

    References
    ----------
    .. [1] J. Pennington, R. Socher and C. Manning, "GloVe: global vectors for word
       representation", EMNLP (2014).

    Examples
    --------
    >>> from cmrlib.features.word_vectors import GloVe
    >>> texts = ["red ball", "blue ball", "red cube", "blue cube"] * 50
    >>> model = GloVe(vector_size=4, random_state=0).fit(texts)
    >>> model.transform(["red cube", "purple"]).shape
    (2, 4)
    """

    def __init__(
        self,
        vector_size: int = 100,
        window: int = 10,
        x_max: float = 100.0,
        alpha: float = 0.75,
        min_count: int = 5,
        epochs: int = 50,
        batch_size: int = 512,
        learning_rate: float = 0.05,
        tokenizer: Tokenizer = words,
        random_state: int | None = None,
        device: str = "cpu",
        verbose: bool = False,
    ) -> None:
        self.vector_size = vector_size
        self.window = window
        self.x_max = x_max
        self.alpha = alpha
        self.min_count = min_count
        self.epochs = epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.tokenizer = tokenizer
        self.random_state = random_state
        self.device = device
        self.verbose = verbose

    def fit(self, texts: Sequence[str], y: Any = None) -> Self:
        """Learn the vectors from texts.

        Raises
        ------
        TypeError
            If a text is not a string; the message names it.
        ValueError
            If no word is frequent enough, or no two of them stand in one text.
        """
        import torch

        _check_at_least_one(self, "vector_size window min_count epochs batch_size")
        check_scalar(self.alpha, "alpha", Real, min_val=0)
        _check_positive(self, "x_max")
        _check_positive(self, "learning_rate")
        tokenised = _tokenised(texts, self.tokenizer)
        self.vocabulary_, self.counts_ = _vocabulary(tokenised, self.min_count)
        _check_pairs_exist(_flatten(tokenised, self.vocabulary_)[1])
        N = cooccurrences(
            texts, self.vocabulary_, 1 / np.arange(1, self.window + 1), tokenizer=self.tokenizer
        ).tocoo()
        N.eliminate_zeros()

        rng = np.random.default_rng(self.random_state)
        V, d = len(self.counts_), self.vector_size
        # A row is a vector and, last, its bias.
        W = _AdaGrad(rng.uniform(-0.5 / d, 0.5 / d, (V, d + 1)), self.device)
        C = _AdaGrad(rng.uniform(-0.5 / d, 0.5 / d, (V, d + 1)), self.device)
        rows, columns, counts = N.row.astype(np.int64), N.col.astype(np.int64), N.data
        self.history_: list[float] = []
        for _ in trange(self.epochs, disable=not self.verbose, unit="epoch"):
            order = rng.permutation(len(counts))
            total = 0.0
            for start in range(0, len(order), self.batch_size):
                pairs = order[start : start + self.batch_size]
                i, j, count = (
                    torch.from_numpy(values[pairs]).to(self.device)
                    for values in (rows, columns, counts)
                )
                loss, to_w, to_c = glove_step(W.rows[i], C.rows[j], count, self.x_max, self.alpha)
                W.step(i, to_w, self.learning_rate)
                C.step(j, to_c, self.learning_rate)
                total += float(loss.sum())
            self.history_.append(total / len(counts))
        w, c = W.array(), C.array()
        self.word_vectors_, self.word_biases_ = w[:, :d].copy(), w[:, d].copy()
        self.context_vectors_, self.context_biases_ = c[:, :d].copy(), c[:, d].copy()
        self.vectors_ = self.word_vectors_ + self.context_vectors_
        return self


def glove_step(
    w: Any, c: Any, count: Any, x_max: float = 100.0, alpha: float = 0.75
) -> tuple[Any, Any, Any]:
    """Return the loss of each pair, and its gradients, as torch tensors.

    Parameters
    ----------
    w, c : tensors of shape (b, d + 1)
        Vector and bias of the words and of the words near them.
    count : tensor of shape (b,)
        N_ij; where it is 0, the loss is.
    x_max, alpha : float
        Of the weight f.

    Returns
    -------
    loss : tensor of shape (b,)
        f(N) (w·c + b + b̃ - log N)².
    to_w, to_c : tensors of the shapes of w and c
        Gradients of the loss.
    """
    from torch.nn.functional import pad

    weight = (count / x_max).clamp(max=1) ** alpha
    score = (w[:, :-1] * c[:, :-1]).sum(dim=1) + w[:, -1] + c[:, -1]
    error = (score - count.clamp(min=1e-30).log()) * (count > 0)
    scale = (2 * weight * error).to(w.dtype)[:, None]  # derivative by the score
    to_w, to_c = (scale * pad(other[:, :-1], (0, 1), value=1.0) for other in (c, w))
    return weight * error**2, to_w, to_c


def _vocabulary(texts: list[list[str]], min_count: int) -> tuple[dict[str, int], Array]:
    """Return the rows of the frequent words, most frequent first, and their counts."""
    counts = Counter(word for text in texts for word in text)
    frequent = sorted(
        (word for word, count in counts.items() if count >= min_count),
        key=lambda word: (-counts[word], word),
    )
    if not frequent:
        raise ValueError(
            f"no word occurs min_count={min_count} times in the {len(texts)} texts; "
            "lower min_count or give more texts."
        )
    rows = {word: row for row, word in enumerate(frequent)}
    return rows, np.array([counts[word] for word in frequent])


def _check_pairs_exist(text_of: Array) -> None:
    if not len(_neighbours(text_of, 1)[0]):
        raise ValueError(
            "no text holds two words of the vocabulary, so there is nothing to learn from; "
            "lower min_count or give longer texts."
        )


def _check_at_least_one(model: Any, names: str) -> None:
    for name in names.split():
        check_scalar(getattr(model, name), name, Integral, min_val=1)


def _check_positive(model: Any, name: str) -> None:
    value = getattr(model, name)
    check_scalar(value, name, Real, min_val=0, include_boundaries="neither")


def read_word_vectors(
    path: str | PathLike[str],
    *,
    format: Format | None = None,
    limit: int | None = None,
    tokenizer: Tokenizer = words,
) -> WordVectors:
    """Read pretrained word vectors in one of the three formats that are in common use.

    ``"word2vec-text"``
        A line with the number of words and their dimension, then a word and its numbers a line.
    ``"word2vec-binary"``
        The same first line; then each word, a space, and its numbers in float32, least byte first.
    ``"glove"``
        A word and its numbers a line, without a first line.

    Any of them may be compressed by gzip. Nothing in the file is executed or unpickled.

    Parameters
    ----------
    path : path
    format : str, optional
        One of the three names; recognised by default.
    limit : int, optional
        Read the first `limit` words only; files begin with the most frequent ones.
    tokenizer : callable, default=words
        Text to list of words, for :meth:`WordVectors.transform`. The default gives lower case.

    Returns
    -------
    WordVectors
        Vectors in float32. Bytes of a word that are not UTF-8 are written as ``\\xe9``. Of a word
        that comes twice the first vector counts; a warning says so.

    Raises
    ------
    ValueError
        If the file is truncated or damaged, or holds another number of words than it announces;
        the message names the file and the line or word. A GloVe file that ends early at the end
        of a line cannot be told from a whole one.

    Examples
    --------
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> from cmrlib.features.word_vectors import read_word_vectors
    >>> with TemporaryDirectory() as folder:
    ...     path = Path(folder) / "two.txt"
    ...     _ = path.write_text("red 1 0\\nblue 0 1\\n")
    ...     known = read_word_vectors(path)
    >>> known.transform(["red and blue"])
    array([[0.5, 0.5]], dtype=float32)
    """
    if format is not None and format not in get_args(Format):
        raise ValueError(f"format must be one of {', '.join(get_args(Format))}, got {format!r}.")
    if limit is not None:
        check_scalar(limit, "limit", Integral, min_val=1)
    try:
        with _opened(path) as file:
            names, vectors = _read(file, format or _recognise(file), limit, str(path))
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise ValueError(f"{path} is a damaged gzip file ({error}); fetch it again.") from error
    first: dict[str, int] = {}
    for row, name in enumerate(names):
        first.setdefault(name, row)
    if len(first) < len(names):
        twice = next(name for row, name in enumerate(names) if first[name] != row)
        warnings.warn(
            f"{path} gives {len(names) - len(first)} vector(s) to words that have one already, "
            f"such as {twice!r}; the first vector of a word counts.",
            stacklevel=2,
        )
        vectors = vectors[list(first.values())]
    return WordVectors(list(first), vectors, tokenizer=tokenizer)


def _opened(path: str | PathLike[str]) -> IO[bytes]:
    with open(path, "rb") as file:
        compressed = file.read(2) == b"\x1f\x8b"
    return cast(IO[bytes], gzip.open(path, "rb") if compressed else open(path, "rb"))


def _recognise(file: IO[bytes]) -> Format:
    first, second = file.readline(_LONGEST_LINE), file.readline(_LONGEST_LINE)
    file.seek(0)
    if not re.fullmatch(_TWO_NUMBERS, first):
        return "glove"
    try:
        numbers = [float(field) for field in second.split()[1:]]
    except ValueError:
        return "word2vec-binary"
    return "word2vec-text" if len(numbers) == int(first.split()[1]) else "word2vec-binary"


def _read(
    file: IO[bytes], format: Format, limit: int | None, path: str
) -> tuple[list[str], NDArray[np.float32]]:
    """Return words and vectors; neither the header nor the length of a line is trusted."""
    announced = None
    if format == "glove":
        d = len(file.readline(_LONGEST_LINE).split()) - 1
        file.seek(0)
    else:
        first = file.readline(_LONGEST_LINE)
        if not re.fullmatch(_TWO_NUMBERS, first):
            raise ValueError(
                f"the first line of {path} must give the number of words and their dimension, "
                "as in '400000 100'; a file without it has format='glove'."
            )
        announced, d = map(int, first.split())
    if not 1 <= d <= _LARGEST_DIMENSION or announced == 0:
        raise ValueError(f"{path} is no file of word vectors: its first line promises none.")

    records = _binary_records if format == "word2vec-binary" else _text_records
    rest = records(file, d, path, format)
    wanted = min((n for n in (announced, limit) if n is not None), default=None)
    names, values = [], bytearray()
    for word, numbers in islice(rest, wanted):
        names.append(word.decode("utf-8", errors="backslashreplace"))
        values += numbers
    if announced is not None and wanted is not None and len(names) < wanted:
        raise ValueError(
            f"{path} ends after {len(names)} of the {announced} words that its first line "
            "announces; it is truncated, fetch it again."
        )
    if len(names) == announced and next(rest, None) is not None:
        raise ValueError(
            f"{path} goes on after the {announced} words that its first line announces; "
            "correct that line."
        )
    vectors = np.frombuffer(values, "<f4").reshape(-1, d).astype(np.float32, copy=False)
    bad = np.flatnonzero(~np.isfinite(vectors).all(axis=1))
    if bad.size:
        raise ValueError(f"{path} holds NaN or infinity, first in the vector of {names[bad[0]]!r}.")
    return names, vectors


def _text_records(
    file: IO[bytes], d: int, path: str, format: Format
) -> Iterator[tuple[bytes, bytes]]:
    for number, line in enumerate(file, start=1 if format == "glove" else 2):
        if not line.endswith(b"\n"):
            raise ValueError(
                f"line {number} of {path} does not end: the file is truncated, fetch it again "
                "(if it is whole, end it with a line break)."
            )
        fields = line.rstrip().split(b" ")
        # A few words of the published GloVe files hold spaces.
        word = b" ".join(fields[:-d]) if format == "glove" else fields[0]
        try:
            numbers = np.array([float(field) for field in fields[-d:]], "<f4")
        except ValueError:
            numbers = np.empty(0)
        if not word or len(numbers) != d or (format != "glove" and len(fields) != d + 1):
            raise ValueError(
                f"line {number} of {path} is not a word and {d} numbers; the file is damaged or "
                "has another format."
            )
        yield word, numbers.tobytes()


def _binary_records(
    file: IO[bytes], d: int, path: str, format: Format
) -> Iterator[tuple[bytes, bytes]]:
    while True:
        word = bytearray()
        while (byte := file.read(1)) not in (b" ", b"") and len(word) < _LONGEST_WORD:
            word += byte
        if not byte and not word.strip():
            return
        numbers = file.read(4 * d)
        if byte != b" " or len(numbers) < 4 * d:
            raise ValueError(
                f"{path} is damaged or truncated after byte {file.tell()}; fetch it again."
            )
        yield bytes(word.lstrip(b"\n")), numbers
