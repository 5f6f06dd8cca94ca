"""Learning to rank: PAMIR and SSI from triples, and the polynomial loss of UWML."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Sequence
from numbers import Integral, Real
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from scipy.linalg.blas import dger
from scipy.sparse import csr_array, eye_array, issparse
from sklearn.metrics.pairwise import euclidean_distances
from sklearn.preprocessing import FunctionTransformer, StandardScaler, normalize
from sklearn.utils import check_random_state, check_scalar
from torch import Tensor, nn
from tqdm import tqdm

from cmrlib.base import SimilarityModel, check_unpaired
from cmrlib.evaluation import mean_average_precision
from cmrlib.realvalued._model import Batch, ShapedDeepModel, partner_retrieval
from cmrlib.realvalued.encoders import encoder_pair
from cmrlib.realvalued.losses import cosine_matrix

Array = NDArray[np.float64]
Rows = NDArray[np.intp]
Kernel = Callable[[Array, Array], Array]

_BLOCK = 64  # steps whose scores are computed with one matrix product


# --- triples ------------------------------------------------------------------------------------


def check_relevance(relevance: ArrayLike, n: int, m: int) -> NDArray[np.bool_]:
    """Return which of m texts each of n images is relevant to, as booleans (n, m).

    Raises
    ------
    TypeError
        If the entries are neither booleans nor whole numbers.
    ValueError
        If the shape is not (n, m), an entry is not 0 or 1, or no text has both a relevant and an
        irrelevant image.
    """
    if issparse(relevance):
        raise TypeError("relevance is a sparse matrix; pass a dense array, relevance.toarray().")
    array = np.asarray(relevance)
    if array.dtype.kind not in "biu":
        raise TypeError(f"relevance must hold 0 and 1, got dtype {array.dtype}.")
    if array.shape != (n, m):
        raise ValueError(
            f"relevance must have a row per image and a column per text, ({n}, {m}), "
            f"got {array.shape}."
        )
    if array.dtype.kind != "b" and not np.isin(array, (0, 1)).all():
        raise ValueError("relevance must hold only 0 and 1.")
    counts = array.sum(axis=0)
    if not ((counts > 0) & (counts < n)).any():
        raise ValueError(
            "no text has both a relevant and an irrelevant image; there is nothing to rank."
        )
    return array.astype(bool)


class TripleSampler:
    """Draws triples (query, relevant item, irrelevant item), each part uniformly.

    Parameters
    ----------
    relevant : sparse array of shape (m, n)
        Non-zero where item (column) is relevant to query (row).
    """

    def __init__(self, relevant: csr_array) -> None:
        m, n = relevant.shape
        self.start = relevant.indptr.astype(np.intp)
        self.items = relevant.sorted_indices().indices.astype(np.intp)
        self.counts: Rows = np.diff(self.start)
        self.n_items = n
        self.queries = np.flatnonzero((self.counts > 0) & (self.counts < n))
        # entry k of a row: how many irrelevant items precede its k-th relevant one; rows are kept
        # apart by multiples of n + 1, so that one search serves all
        place = np.arange(len(self.items)) - np.repeat(self.start[:-1], self.counts)
        self.before = self.items - place + np.repeat(np.arange(m), self.counts) * (n + 1)

    def draw(self, size: int, rng: np.random.RandomState) -> tuple[Rows, Rows, Rows]:
        """Return `size` queries, a relevant item of each, and an irrelevant one."""
        query = rng.choice(self.queries, size)
        relevant = self.start[query] + _uniform(self.counts[query], rng)
        r = _uniform(self.n_items - self.counts[query], rng)  # the r-th irrelevant item
        key = r + query * (self.n_items + 1)
        irrelevant = r + np.searchsorted(self.before, key, side="right") - self.start[query]
        return query, self.items[relevant], irrelevant


def _uniform(below: Rows, rng: np.random.RandomState) -> Rows:
    return (rng.random_sample(len(below)) * below).astype(np.intp)


class TripleModel(SimilarityModel):
    """A score learnt from triples: a text, an image relevant to it, and one that is not.

    ``fit`` takes a text's partner as its one relevant image, ``fit_relevance`` any relevance. A
    subclass writes ``_start``, ``_learn`` and ``_score``, and names its arrays in ``_learnt``.
    """

    n_steps: int
    check_every: int
    validation_size: float
    standardize: bool
    random_state: int | None
    verbose: bool

    def fit_relevance(self, image: ArrayLike, text: ArrayLike, relevance: ArrayLike) -> Self:
        """Learn from images and texts that need not be paired.

        Parameters
        ----------
        image : array-like of shape (n, p)
        text : array-like of shape (m, q)
        relevance : array-like of shape (n, m)
            1 (or True) where an image is relevant to a text, else 0.

        Returns
        -------
        self

        Raises
        ------
        TypeError, ValueError
            With one sentence saying what is wrong; an earlier fit is left as it was.
        """
        X, Y = check_unpaired(image, text)
        R = check_relevance(relevance, len(X), len(Y))
        self._fit_relevance(X, Y, csr_array(R.T))
        self.n_features_image_, self.n_features_text_ = X.shape[1], Y.shape[1]
        return self

    def _fit(self, X: Array, Y: Array, labels: Any) -> None:
        self._fit_relevance(X, Y, csr_array(eye_array(len(X), dtype=bool)))

    def _fit_relevance(self, X: Array, Y: Array, relevant: csr_array) -> None:
        """Learn from checked X (n, p), Y (m, q) and relevant (m, n)."""
        self._check_parameters(X.shape[1], Y.shape[1])
        rng = check_random_state(self.random_state)
        texts, images = _set_aside(relevant, self.validation_size, rng)
        learn = relevant[~texts][:, ~images]
        truth = relevant[texts][:, images].toarray()
        sampler = TripleSampler(learn)
        if not len(sampler.queries):
            raise ValueError(
                "too few pairs: no text is left with a relevant and an irrelevant image."
            )
        self.scaler_image_, self.scaler_text_ = self._scaler(X), self._scaler(Y)
        P, Q = self._prepare(X, "image"), self._prepare(Y, "text")
        Q_learn, P_held, Q_held = Q[~texts], P[images], Q[texts]
        P_learn = self._start(P[~images], Q_learn, rng)
        history: dict[str, list[float]] = {"step": [], "hinge": [], "validation": []}
        best = -np.inf
        checks = np.arange(0, self.n_steps, self.check_every)
        for step in tqdm(checks, desc=type(self).__name__, disable=not self.verbose):
            size = min(self.check_every, self.n_steps - step)
            hinges = self._learn(P_learn, Q_learn, *sampler.draw(size, rng))
            if not all(np.isfinite(getattr(self, name)).all() for name in self._learnt()):
                raise FloatingPointError(
                    f"the training of {type(self).__name__} diverged before step {step + size}; "
                    "use a smaller learning_rate."
                )
            score = mean_average_precision(self._score(P_held, Q_held).T, truth)
            for name, value in zip(history, (step + size, hinges.mean(), score), strict=True):
                history[name].append(float(value))
            if score > best:
                best, self.best_step_ = score, int(step + size)
                kept = {name: getattr(self, name).copy(order="K") for name in self._learnt()}
        for name, value in kept.items():
            setattr(self, name, value)
        self.history_ = history

    def _check_parameters(self, p: int, q: int) -> None:
        for name in ("n_steps", "check_every"):
            check_scalar(getattr(self, name), name, Integral, min_val=1)
        check_scalar(
            self.validation_size,
            "validation_size",
            Real,
            min_val=0,
            max_val=1,
            include_boundaries="neither",
        )

    def _scaler(self, V: Array) -> StandardScaler | FunctionTransformer:
        return (StandardScaler() if self.standardize else FunctionTransformer()).fit(V)

    def _prepare(self, V: Array, modality: str) -> Array:
        """Return features standardised, if they are to be, and every row of length 1 (or 0)."""
        scaled: Array = normalize(getattr(self, f"scaler_{modality}_").transform(V))
        return scaled

    def _similarity(self, X: Array, Y: Array) -> Array:
        return self._score(self._prepare(X, "image"), self._prepare(Y, "text"))

    @abstractmethod
    def _learnt(self) -> tuple[str, ...]:
        """Return the names of the arrays that are learnt."""

    @abstractmethod
    def _start(self, P: Array, Q: Array, rng: np.random.RandomState) -> Array:
        """Set the learnt arrays for images P (n, p) and texts Q (m, q); return P for ``_learn``."""

    @abstractmethod
    def _learn(self, P: Array, Q: Array, query: Rows, good: Rows, bad: Rows) -> Array:
        """Change them, triple by triple; return the hinge loss of each triple before its step."""

    @abstractmethod
    def _score(self, P: Array, Q: Array) -> Array:
        """Score prepared images P (n, p) for texts Q (m, q): (n, m)."""


def _set_aside(
    relevant: csr_array, size: float, rng: np.random.RandomState
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Return masks of the texts (m,) and the images (n,) that are set aside for validation.

    Texts are drawn among those with a relevant image, and with each goes one of these images, so
    that no query is without an answer. With partners, these are pairs.
    """
    m, n = relevant.shape
    answered = np.flatnonzero(np.diff(relevant.indptr))
    texts, images = np.zeros(m, dtype=bool), np.zeros(n, dtype=bool)
    for text in rng.permutation(answered)[: max(2, round(size * len(answered)))]:
        texts[text] = True
        row = relevant.indices[relevant.indptr[text] : relevant.indptr[text + 1]]
        images[rng.choice(row)] = True
    return texts, images


# --- PAMIR --------------------------------------------------------------------------------------


def passive_aggressive(W: Array, Q: Array, D: Array, C: float) -> tuple[Array, Array]:
    """Take PA-I steps for the contrasts (q, d), one after the other, on W in place.

    Each step moves W as little as possible to have qᵀ W d >= 1: W + τ q dᵀ with
    τ = min(C, [1 - qᵀ W d]_+ / (||q||² ||d||²)).

    Parameters
    ----------
    W : array of shape (q, p)
        Changed.
    Q : array of shape (B, q)
        Queries.
    D : array of shape (B, p)
        For each, its relevant minus its irrelevant image.
    C : float
        Aggressiveness: the largest τ.

    Returns
    -------
    tau, hinge : arrays of shape (B,)
        Step sizes, and the loss of each contrast before its step.

    Notes
    -----
    The result is that of single steps up to rounding, but scores are computed for all contrasts at
    once: an earlier step r changes the score of s by τ_r (q_r·q_s)(d_r·d_s).
    """
    margins = np.einsum("ij,ij->i", Q @ W, D)
    tau, hinge = _step_sizes(margins, (Q @ Q.T) * (D @ D.T), C)
    active = tau > 0
    W += (tau[active, None] * Q[active]).T @ D[active]
    return tau, hinge


def _step_sizes(margins: Array, gram: Array, C: float) -> tuple[Array, Array]:
    """Return τ and the losses of successive steps, of which step r adds τ_r gram[r] to margins."""
    tau, hinge = np.zeros(len(margins)), np.zeros(len(margins))
    for s in range(len(margins)):
        hinge[s] = max(0.0, 1 - margins[s] - gram[s, :s] @ tau[:s])
        if hinge[s] > 0 and gram[s, s] > 0:
            tau[s] = min(C, hinge[s] / gram[s, s])
    return tau, hinge


class PAMIR(TripleModel):
    """Passive-aggressive model for image retrieval.

    The score of an image p for a text query q is F(q, p) = Σ_t q_t w_t·φ(p) = qᵀ W φ(p): each
    query term t has weights w_t of its own for the image's features φ(p). The aim is

        min_W  ½ ||W||² + C Σ_(q, p⁺, p⁻) [1 - F(q, p⁺) + F(q, p⁻)]_+ ,

    approached online: for one triple after the other, drawn at random, W moves as little as
    possible to rank the relevant image above the irrelevant one by a margin of 1, in steps no
    larger than C (PA-I of Crammer et al. [2]_). There is no model of annotations [1]_.

    Parameters
    ----------
    C : float, default=0.1
        Aggressiveness, the largest step size τ. Chosen by the user; the best number of steps is
        chosen on the part set aside.
    kernel : "linear", "rbf" or callable, default="linear"
        What φ(p)·φ(p') is. A callable takes prepared features (n, p) and (m, p) and returns
        (n, m), as those of ``sklearn.metrics.pairwise`` do. All but "linear" hold w_t as weights of
        training images.
    gamma : float, default=1.0
        Of "rbf": exp(-gamma ||p - p'||² / mean of ||p - p'||² over the training images).
    n_steps : int, default=40_000
        Triples in all.
    check_every : int, default=2000
        Triples between looks at the validation part.
    validation_size : float, default=0.1
        Share of the texts set aside, each with a relevant image.
    standardize : bool, default=True
        Bring every feature to mean 0 and standard deviation 1 first; False suits word counts. Each
        item is then scaled to length 1, so that C means the same for all triples.
    random_state : int, optional
        Seeds the validation part and the triples.
    verbose : bool, default=False
        Show a progress bar.

    Attributes
    ----------
    weights_ : array of shape (q, p)
        W, for the linear kernel; row t is w_t.
    coefficients_ : array of shape (n, q)
        For other kernels: w_t = Σ_i coefficients_[i, t] φ(support_[i]).
    support_ : array of shape (n, p)
        For other kernels: the training images, prepared.
    history_ : dict of str to list of float
        At each look: "step"; "hinge", the mean loss of the triples since the last look, each
        before its step; "validation", the mean average precision of the texts set aside over the
        images set aside (with partners, the mean reciprocal rank).
    best_step_ : int
        After how many triples validation was best; the weights are from there, not averaged.

    Raises
    ------
    ValueError
        From ``fit``: if a parameter is out of range, or there are too few pairs.

    Notes
    -----
    The ranking is of images for texts; columns of ``similarity(image, text)`` are what was trained.
    How triples are drawn is open: here a query uniformly, then one of its relevant and one of its
    irrelevant images uniformly. The paper's features are sparse (bags of words and of visual
    words); standardising is an addition for dense ones.

    References
    ----------
    .. [1] D. Grangier and S. Bengio, "A discriminative kernel-based approach to rank images from
       text queries", IEEE TPAMI 30 (2008).
    .. [2] K. Crammer et al., "Online passive-aggressive algorithms", JMLR 7 (2006).
    """

    def __init__(
        self,
        C: float = 0.1,
        kernel: str | Kernel = "linear",
        gamma: float = 1.0,
        *,
        n_steps: int = 40_000,
        check_every: int = 2000,
        validation_size: float = 0.1,
        standardize: bool = True,
        random_state: int | None = None,
        verbose: bool = False,
    ) -> None:
        self.C = C
        self.kernel = kernel
        self.gamma = gamma
        self.n_steps = n_steps
        self.check_every = check_every
        self.validation_size = validation_size
        self.standardize = standardize
        self.random_state = random_state
        self.verbose = verbose

    def _check_parameters(self, p: int, q: int) -> None:
        super()._check_parameters(p, q)
        for name in ("C", "gamma"):
            check_scalar(getattr(self, name), name, Real, min_val=0, include_boundaries="neither")
        if self.kernel not in ("linear", "rbf") and not callable(self.kernel):
            raise ValueError(f"kernel must be linear, rbf or a function, got {self.kernel!r}.")

    def _learnt(self) -> tuple[str, ...]:
        return ("weights_",) if self.kernel == "linear" else ("coefficients_",)

    def _start(self, P: Array, Q: Array, rng: np.random.RandomState) -> Array:
        if self.kernel == "linear":
            self.weights_ = np.zeros((Q.shape[1], P.shape[1]))
            return P
        self.support_, self.coefficients_ = P, np.zeros((len(P), Q.shape[1]))
        if self.kernel == "rbf":
            self.scale_ = float(euclidean_distances(P, squared=True).mean())
        return self._kernel(P, P)

    def _kernel(self, P: Array, S: Array) -> Array:
        if callable(self.kernel):
            return self.kernel(P, S)
        return np.exp(-self.gamma / self.scale_ * euclidean_distances(P, S, squared=True))

    def _learn(self, P: Array, Q: Array, query: Rows, good: Rows, bad: Rows) -> Array:
        hinges = []
        for start in range(0, len(query), _BLOCK):
            rows = slice(start, start + _BLOCK)
            q, i, j = Q[query[rows]], good[rows], bad[rows]
            D = P[i] - P[j]
            if self.kernel == "linear":
                _, hinge = passive_aggressive(self.weights_, q, D, self.C)
            else:  # P holds the kernel of all training images with each other
                margins = np.einsum("ij,ij->i", D @ self.coefficients_, q)
                tau, hinge = _step_sizes(margins, (q @ q.T) * (D[:, i] - D[:, j]), self.C)
                np.add.at(self.coefficients_, i, tau[:, None] * q)
                np.subtract.at(self.coefficients_, j, tau[:, None] * q)
            hinges.append(hinge)
        return np.concatenate(hinges)

    def _score(self, P: Array, Q: Array) -> Array:
        if self.kernel == "linear":
            return P @ self.weights_.T @ Q.T
        return self._kernel(P, self.support_) @ self.coefficients_ @ Q.T


# --- SSI ----------------------------------------------------------------------------------------


def ssi_step(U: Array, V: Array, q: Array, d: Array, learning_rate: float, identity: bool) -> float:
    """Take one step of gradient descent on [1 - qᵀ (UᵀV + I) d]_+, on U and V in place.

    Parameters
    ----------
    U, V : arrays of shape (k, q) and (k, p), in Fortran order
        Changed, if the loss is positive.
    q : array of shape (q,)
        Query.
    d : array of shape (p,)
        Its relevant minus its irrelevant document.
    learning_rate : float
    identity : bool
        Whether the score has the identity; if so, q = p.

    Returns
    -------
    float
        The loss before the step.

    Raises
    ------
    ValueError
        If U or V is not in Fortran order, so that it could not be changed in place.
    """
    if not (U.flags.f_contiguous and V.flags.f_contiguous):
        raise ValueError("U and V must be in Fortran order: np.asfortranarray(U).")
    Uq, Vd = U @ q, V @ d
    margin = float(Uq @ Vd + (q @ d if identity else 0.0))
    if margin >= 1:
        return 0.0
    dger(learning_rate, Vd, q, a=U, overwrite_a=1)  # U += rate Vd qᵀ, in place
    dger(learning_rate, Uq, d, a=V, overwrite_a=1)
    return 1 - margin


class SSI(TripleModel):
    """Supervised semantic indexing: a low-rank matrix between words, plus the identity.

    The score of a document d for a query q is f(q, d) = qᵀ (UᵀV + I) d. The identity counts the
    words that both have; UᵀV, of rank k, learns which words stand for each other. Triples
    (q, d⁺, d⁻) are drawn at random, and stochastic gradient descent minimises

        Σ [1 - f(q, d⁺) + f(q, d⁻)]_+ :   U += λ V(d⁺ - d⁻) qᵀ,   V += λ Uq (d⁺ - d⁻)ᵀ

    whenever the loss is positive [1]_. Here texts are the queries and images the documents.

    Parameters
    ----------
    n_components : int, default=64
        k, the rank.
    identity : bool, default=False
        Add I. It needs both sides in one vocabulary: feature j must mean the same in `image` and
        `text`. Equal widths are checked, equal meaning cannot be. False is the model for queries
        and documents of different spaces.
    learning_rate : float, default=0.03
        λ. Chosen by the user; the best number of steps is chosen on the part set aside.
    init_scale : float, default=0.1
        Standard deviation of the entries of U and V at the start. With 0 nothing is ever learnt.
    n_steps, check_every, validation_size
        As in :class:`PAMIR`.
    standardize : bool, default=True
        Bring every feature to mean 0 and standard deviation 1 first; set False for word counts and
        tf-idf, so that the identity is their cosine. Each item is then scaled to length 1.
    random_state : int, optional
        Seeds the validation part, the start and the triples.
    verbose : bool, default=False
        Show a progress bar.

    Attributes
    ----------
    U_ : array of shape (k, q)
    V_ : array of shape (k, p)
    history_ : dict of str to list of float
        As in :class:`PAMIR`.
    best_step_ : int
        After how many triples validation was best; U and V are from there.

    Raises
    ------
    ValueError
        From ``fit``: if `identity` is set and the widths differ, a parameter is out of range, or
        there are too few pairs.
    FloatingPointError
        From ``fit``: if the training diverges.

    Notes
    -----
    The paper starts from normally distributed U and V; its scale suits sparse tf-idf vectors of
    tens of thousands of words, so that it is a parameter here. Its hashing of rare words and its
    sparse W are left out.

    References
    ----------
    .. [1] B. Bai et al., "Learning to rank with (a lot of) word features", Information Retrieval
       13 (2010).
    """

    def __init__(
        self,
        n_components: int = 64,
        identity: bool = False,
        *,
        learning_rate: float = 0.03,
        init_scale: float = 0.1,
        n_steps: int = 40_000,
        check_every: int = 2000,
        validation_size: float = 0.1,
        standardize: bool = True,
        random_state: int | None = None,
        verbose: bool = False,
    ) -> None:
        self.n_components = n_components
        self.identity = identity
        self.learning_rate = learning_rate
        self.init_scale = init_scale
        self.n_steps = n_steps
        self.check_every = check_every
        self.validation_size = validation_size
        self.standardize = standardize
        self.random_state = random_state
        self.verbose = verbose

    @property
    def weights_(self) -> Array:
        """W = UᵀV (+ I), of shape (q, p)."""
        W: Array = self.U_.T @ self.V_
        return W + np.eye(len(W)) if self.identity else W

    def _check_parameters(self, p: int, q: int) -> None:
        super()._check_parameters(p, q)
        check_scalar(self.n_components, "n_components", Integral, min_val=1)
        for name in ("learning_rate", "init_scale"):
            check_scalar(getattr(self, name), name, Real, min_val=0)
        if self.identity and p != q:
            raise ValueError(
                f"identity=True needs both sides in one vocabulary, but image has {p} features and "
                f"text {q}; use identity=False."
            )

    def _learnt(self) -> tuple[str, ...]:
        return ("U_", "V_")

    def _start(self, P: Array, Q: Array, rng: np.random.RandomState) -> Array:
        k = self.n_components
        # column by column in memory, so that BLAS can add to them in place
        self.U_ = np.asfortranarray(self.init_scale * rng.normal(size=(k, Q.shape[1])))
        self.V_ = np.asfortranarray(self.init_scale * rng.normal(size=(k, P.shape[1])))
        return P

    def _learn(self, P: Array, Q: Array, query: Rows, good: Rows, bad: Rows) -> Array:
        with np.errstate(over="ignore", invalid="ignore"):  # the caller looks for divergence
            return np.array(
                [
                    ssi_step(self.U_, self.V_, Q[t], P[i] - P[j], self.learning_rate, self.identity)
                    for t, i, j in zip(query, good, bad, strict=True)
                ]
            )

    def _score(self, P: Array, Q: Array) -> Array:
        S: Array = (P @ self.V_.T) @ (Q @ self.U_.T).T
        return S + P @ Q.T if self.identity else S


# --- UWML ---------------------------------------------------------------------------------------


def polynomial_loss(
    S: Tensor,
    margin: float = 0.2,
    positive: Sequence[float] = (0.5, -0.7, 0.2),
    negative: Sequence[float] = (0.03, -0.4, 0.9),
) -> Tensor:
    """Return the polynomial loss of both directions, with the hardest selected negative (UWML).

    A query i whose hardest negative s⁻ is selected, s⁻ + margin > s⁺ = S_ii, pays
    [Σ_r a_r (s⁺)^r]_+ + [Σ_r b_r (s⁻)^r]_+ ; others pay nothing. The sum over queries, images and
    texts, is divided by n. What such a query gives as gradient is minus the *weight* |G'(s)| for
    its positive: the polynomial's derivative decides how much a pair counts.

    Parameters
    ----------
    S : Tensor of shape (n, n)
        Similarities of images (rows) and texts (columns), pairs on the diagonal; n at least 2.
    margin : float, default=0.2
    positive, negative : sequence of float
        a_0, a_1, ... and b_0, b_1, ...; by default 0.5 - 0.7 s + 0.2 s² and 0.03 - 0.4 s + 0.9 s²,
        which the authors' code uses on Flickr30K.
    """
    diagonal = torch.eye(len(S), dtype=torch.bool, device=S.device)
    others = S.masked_fill(diagonal, -torch.inf)
    pairs = S.diagonal()
    total = S.new_zeros(())
    for hardest in (others.amax(dim=1), others.amax(dim=0)):
        selected = hardest + margin > pairs
        drawn = _polynomial(pairs[selected], positive).clamp(min=0)
        pushed = _polynomial(hardest[selected], negative).clamp(min=0)
        total = total + (drawn + pushed).sum()
    return total / len(S)


def _polynomial(s: Tensor, coefficients: Sequence[float]) -> Tensor:
    value = torch.zeros_like(s)
    for coefficient in reversed(coefficients):  # Horner's rule
        value = value * s + coefficient
    return value


class UWML(ShapedDeepModel):
    """Universal weighting metric learning: a dual encoder trained with the polynomial loss.

    The loss weighs the hardest selected pairs of a batch by polynomials of their similarity: see
    :func:`polynomial_loss`, which works on any similarity matrix [1]_. Here the similarity is the
    cosine of two encoders' codes.

    Parameters
    ----------
    n_components : int, default=64
        Dimension of the common space.
    hidden : tuple of int, default=(512,)
        Widths of the hidden layers of networks that read features; () is a linear map.
    margin : float, default=0.2
        A negative is selected if it comes this close to its query's positive.
    positive, negative : sequence of float
        Coefficients of the polynomials, constant first; by default those that the authors' code
        uses on Flickr30K.
    dropout : float, default=0.2
        Share of hidden units switched off in training.
    image_shape : (channels, height, width), optional
        Rows of `image` are pictures of this shape, to be read by convolutions.
    text_shape : (length, width), optional
        Rows of `text` are sentences of `length` word vectors; zeros are padding.
    learning_rate, weight_decay : float
        Of Adam.
    batch_size : int, default=256
        Pairs in a batch; the hardest negative is sought among them.
    max_epochs : int, default=60
    patience : int, default=10
        Epochs without a better validation score before training stops.
    validation_size : float, default=0.1
        Share of the training pairs set aside.
    random_state : int, optional
        Seeds the weights, the validation part and the batches.
    device : str, default="cpu"
        Where torch computes, such as "cuda".
    verbose : bool, default=False
        Show a progress bar.

    Attributes
    ----------
    history_ : dict of str to list of float
        By epoch: "polynomial", the loss; "validation", the mean reciprocal rank of the partner on
        the part set aside.
    best_epoch_ : int
        Where in ``history_`` the networks are from, counted from 0.

    Raises
    ------
    ValueError
        From ``fit``: if a shape does not hold the features, or there are too few pairs.

    Notes
    -----
    The coefficients are the published code's, which has others for other data sets. The negative
    polynomial is not monotone: the loss is 0 for s⁻ in (0.0955, 0.3489) and rises again below, so
    that a selected negative below 0.0955 is drawn *closer*. The authors' similarities come from
    attention between regions and words; the encoders here are this package's own. Their code
    compares negatives with the smallest positive of a query, which is its only one, and leaves out
    queries whose positive has reached 1 - 1e-5; here these count.

    References
    ----------
    .. [1] J. Wei et al., "Universal weighting metric learning for cross-modal matching", CVPR
       (2020).
    """

    def __init__(
        self,
        n_components: int = 64,
        hidden: tuple[int, ...] = (512,),
        *,
        margin: float = 0.2,
        positive: Sequence[float] = (0.5, -0.7, 0.2),
        negative: Sequence[float] = (0.03, -0.4, 0.9),
        dropout: float = 0.2,
        image_shape: Sequence[int] | None = None,
        text_shape: Sequence[int] | None = None,
        learning_rate: float = 1e-3,
        weight_decay: float = 0.0,
        batch_size: int = 256,
        max_epochs: int = 60,
        patience: int = 10,
        validation_size: float = 0.1,
        random_state: int | None = None,
        device: str = "cpu",
        verbose: bool = False,
    ) -> None:
        self.n_components = n_components
        self.hidden = hidden
        self.margin = margin
        self.positive = positive
        self.negative = negative
        self.dropout = dropout
        self.image_shape = image_shape
        self.text_shape = text_shape
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.batch_size = batch_size
        self.max_epochs = max_epochs
        self.patience = patience
        self.validation_size = validation_size
        self.random_state = random_state
        self.device = device
        self.verbose = verbose

    def _check_parameters(self) -> None:
        super()._check_parameters()
        check_scalar(self.n_components, "n_components", Integral, min_val=1)
        check_scalar(self.margin, "margin", Real, min_val=0)
        for name in ("positive", "negative"):
            if not len(getattr(self, name)):
                raise ValueError(f"{name} is empty; a polynomial needs at least one coefficient.")

    def _build(self, p: int, q: int, n_classes: int) -> nn.ModuleDict:
        return encoder_pair(
            p,
            q,
            self.n_components,
            hidden=self.hidden,
            dropout=self.dropout,
            image_shape=self.image_shape,
            text_shape=self.text_shape,
        )

    def _losses(self, batch: Batch) -> dict[str, Tensor]:
        S = cosine_matrix(self._code(batch.X, "image"), self._code(batch.Y, "text"))
        return {"polynomial": polynomial_loss(S, self.margin, self.positive, self.negative)}

    def _scores(self, batch: Batch) -> dict[str, float]:
        F, G = self._code(batch.X, "image"), self._code(batch.Y, "text")
        return {"validation": partner_retrieval(F, G)}
