"""Learning from a click log: random walks between images and queries, and networks beside them."""

from __future__ import annotations

from numbers import Integral, Real
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from scipy.sparse import block_array, csr_array, diags_array, eye_array, issparse
from sklearn.preprocessing import StandardScaler
from sklearn.utils import check_random_state, check_scalar
from torch import Tensor, nn
from torch.nn import functional

from cmrlib.base import CommonSpaceModel, check_unpaired
from cmrlib.realvalued._model import partner_retrieval
from cmrlib.realvalued.encoders import mlp
from cmrlib.training import History, Rows, seeded, train

Array = NDArray[Any]


class WeightedSampler:
    """Draws numbers from 0 to n - 1 in proportion to weights, by the inverse of their sum.

    Parameters
    ----------
    weights : array of shape (n,)
        Not negative, and not all 0; what weighs 0 is never drawn.
    """

    def __init__(self, weights: Array) -> None:
        self.cumulative = np.concatenate([[0.0], np.cumsum(weights, dtype=np.float64)])

    def between(self, first: Rows, last: Rows, rng: np.random.RandomState) -> Rows:
        """Draw a number from each stretch first, ..., last - 1; it must have some weight."""
        low, high = self.cumulative[first], self.cumulative[last]
        point = low + rng.random_sample(first.shape) * (high - low)
        drawn = np.searchsorted(self.cumulative, point, side="right") - 1
        rounded: Rows = np.clip(drawn, first, last - 1)  # `point` may be rounded up to `high`
        return rounded

    def draw(self, shape: tuple[int, ...], rng: np.random.RandomState) -> Rows:
        """Draw an array of this shape from all numbers."""
        first = np.zeros(shape, dtype=np.intp)
        return self.between(first, first + len(self.cumulative) - 1, rng)


class ClickGraph:
    """The bipartite graph of a click log: images and queries are vertices, clicks are edges.

    With n images and m queries, image i is vertex i and query j is vertex n + j.

    Parameters
    ----------
    clicks : array or sparse array of shape (n, m)
        Number of clicks on each image for each query.

    Attributes
    ----------
    weights : csr_array of shape (n + m, n + m)
        W, symmetric: the clicks in its upper right block, transposed in its lower left one.
    degrees : ndarray of shape (n + m,)
        d, the clicks of each vertex.
    """

    def __init__(self, clicks: ArrayLike | csr_array) -> None:
        C = csr_array(clicks, dtype=np.float64)
        W = csr_array(block_array([[None, C], [C.T, None]]))
        W.eliminate_zeros()  # an edge that weighs nothing is no edge
        self.weights = W
        self.degrees: Array = W.sum(axis=1)
        self._edges = WeightedSampler(W.data)

    def vertices(self, power: float) -> WeightedSampler:
        """Return a sampler of vertices in proportion to degree**power; none without an edge."""
        return WeightedSampler(np.where(self.degrees > 0, self.degrees**power, 0))

    def step(self, vertices: Rows, rng: np.random.RandomState) -> Rows:
        """Return a neighbour w of each vertex v, drawn with probability W_vw / d_v.

        Every vertex given needs an edge.
        """
        ends = self.weights.indptr
        edges = self._edges.between(ends[vertices], ends[vertices + 1], rng)
        neighbours: Rows = self.weights.indices[edges].astype(np.intp)
        return neighbours

    def walk(self, starts: Rows, length: int, rng: np.random.RandomState) -> Rows:
        """Walk `length` steps from each start: vertices of shape (n_starts, length + 1)."""
        walks = [np.asarray(starts, dtype=np.intp)]
        for _ in range(length):
            walks.append(self.step(walks[-1], rng))
        return np.stack(walks, axis=1)


def window_pairs(walks: Rows, window: int) -> tuple[Rows, Rows]:
    """Return all pairs of vertices that stand at most `window` steps apart on a walk.

    Parameters
    ----------
    walks : array of shape (n_walks, length + 1)
    window : int

    Returns
    -------
    centres, contexts : arrays of shape (n_pairs,)
        Each pair in both orders. Pairs of a vertex with itself are left out: a vertex is always
        like itself.
    """
    distances = range(1, min(window, walks.shape[1] - 1) + 1)
    a = np.concatenate([walks[:, :-t].ravel() for t in distances])
    b = np.concatenate([walks[:, t:].ravel() for t in distances])
    apart = a != b
    a, b = a[apart], b[apart]
    return np.concatenate([a, b]), np.concatenate([b, a])


def skip_gram_loss(
    centres: Tensor, contexts: Tensor, negatives: Tensor, offset: float | Tensor = 0.0
) -> Tensor:
    """Return the loss of skip-gram with negative sampling, a mean over pairs.

    -log σ(u·v + b) - Σ_r log σ(-u·w_r - b) for centre u, context v and negatives w_r.

    Parameters
    ----------
    centres, contexts : Tensor of shape (n_pairs, k)
    negatives : Tensor of shape (n_pairs, n_negatives, k)
        Vectors of vertices drawn at random, for each pair.
    offset : float or Tensor, default=0
        b.
    """
    positive = (centres * contexts).sum(dim=1) + offset
    negative = (negatives @ centres[:, :, None]).squeeze(2) + offset
    # -log σ(x) = softplus(-x)
    return (functional.softplus(-positive) + functional.softplus(negative).sum(dim=1)).mean()


class MRWNN(CommonSpaceModel):
    """Multimodal random walk neural network (MRW-NN): a common space from a click log.

    Images and text queries are the vertices of a bipartite graph whose edges weigh the clicks.
    Vertices that truncated random walks visit near each other are relevant to each other, even if
    nobody clicked one for the other. Every vertex v has a free vector u_v, and the network of its
    modality, N_m, learns to find that vector from the features x_v. Both are learnt together [1]_:

        min  E_(v,w) [ -log σ(u_v·u_w + b) - Σ_r log σ(-u_v·u_{n_r} - b) ]
             + λ mean_v ||u_v - N_m(x_v)||²

    with (v, w) at most `window` steps apart on a walk and n_r drawn at random. An item is encoded
    by its network alone, so that it need not have been in the log.

    Parameters
    ----------
    n_components : int, default=64
        Dimension of the common space.
    hidden : tuple of int, default=(512,)
        Widths of the hidden layers; () makes the networks linear.
    lam : float, default=1.0
        λ. With 0 the networks learn nothing.
    walk_length : int, default=4
        Steps of a walk.
    window : int, default=3
        Largest distance on a walk at which two vertices are a pair; 1 takes clicks alone.
    n_negatives : int, default=5
        Random vertices a pair.
    power : float, default=0.75
        A vertex is drawn as a negative in proportion to degree**power.
    dropout : float, default=0.2
        Share of hidden units switched off in training.
    learning_rate, weight_decay : float
        Of Adam, for the networks.
    vector_learning_rate : float, default=0.03
        Of Adam, for the free vectors and the offset.
    batch_size : int, default=256
        Walks in a batch, each from another vertex.
    max_epochs : int, default=40
        An epoch walks once from every vertex.
    patience : int, default=20
        Epochs without a better validation score before training stops.
    validation_size : float, default=0.1
        Share of the queries set aside, each with the image most clicked for it.
    random_state : int, optional
        Seeds the weights, the part set aside, the walks and the negatives.
    device : str, default="cpu"
        Where torch computes, such as "cuda".
    verbose : bool, default=False
        Show a progress bar.

    Attributes
    ----------
    image_vectors_, text_vectors_ : ndarray of shape (n, k), (m, k)
        u of the training images and queries. For items without clicks, and for those set aside,
        what their network says, which is the minimum of all terms they are in.
    offset_ : float
        b.
    history_ : dict of str to list of float
        By epoch: "walk", the first term; "distance", the second one before λ; "validation", the
        mean reciprocal rank of the images and queries set aside, from features alone.
    best_epoch_ : int
        Where in ``history_`` networks and vectors are from, counted from 0.

    Raises
    ------
    ValueError
        From ``fit``: if a parameter is out of its range or there are too few clicks.

    Notes
    -----
    The paper was at hand in its abstract and its objective only: the walks and the distance to the
    networks are its own, the form of the walk loss (skip-gram with negative sampling) and
    everything that follows are of this implementation. One vector a vertex serves as centre and as
    context: on a bipartite graph with a window of 1, two separate tables would never compare the
    vector of an image with that of a query. Most pairs of vertices never meet and want a negative
    score, but inner products of shared vectors cannot be negative on average; the learnt offset b
    makes room for that. Training stops by what is set aside: queries, drawn at random, and for
    each the image that was clicked most, without any of their clicks.

    A large λ (here 3 and more) lets networks and vectors agree on zero, where the first term stays
    at what the offset reaches alone, log(1 + K) + K log((1 + K) / K) with K negatives.

    ``fit(image, text)`` takes pairs for clicks: each image was clicked once, for its own text.

    References
    ----------
    .. [1] F. Wu, X. Lu, J. Song, S. Yan, Z. Zhang, Y. Rui and Y. Zhuang, "Learning of multimodal
       representations with random walks on the click graph", IEEE Transactions on Image Processing
       25(2) (2016).

    Examples
    --------
    >>> from cmrlib.datasets import make_clicks, make_hidden_signal
    >>> from cmrlib.realvalued import MRWNN
    >>> data = make_hidden_signal(200, random_state=0)
    >>> log = make_clicks(data, 1000, random_state=0)
    >>> model = MRWNN(8, (32,), max_epochs=5, random_state=0)
    >>> model = model.fit_clicks(data.image, data.text, log.counts())
    >>> model.image_vectors_.shape
    (200, 8)
    """

    def __init__(
        self,
        n_components: int = 64,
        hidden: tuple[int, ...] = (512,),
        *,
        lam: float = 1.0,
        walk_length: int = 4,
        window: int = 3,
        n_negatives: int = 5,
        power: float = 0.75,
        dropout: float = 0.2,
        learning_rate: float = 1e-3,
        weight_decay: float = 0.0,
        vector_learning_rate: float = 0.03,
        batch_size: int = 256,
        max_epochs: int = 40,
        patience: int = 20,
        validation_size: float = 0.1,
        random_state: int | None = None,
        device: str = "cpu",
        verbose: bool = False,
    ) -> None:
        self.n_components = n_components
        self.hidden = hidden
        self.lam = lam
        self.walk_length = walk_length
        self.window = window
        self.n_negatives = n_negatives
        self.power = power
        self.dropout = dropout
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.vector_learning_rate = vector_learning_rate
        self.batch_size = batch_size
        self.max_epochs = max_epochs
        self.patience = patience
        self.validation_size = validation_size
        self.random_state = random_state
        self.device = device
        self.verbose = verbose

    def fit_clicks(self, image: ArrayLike, text: ArrayLike, clicks: ArrayLike | csr_array) -> Self:
        """Learn from images, text queries, and how often each image was clicked for each query.

        Parameters
        ----------
        image : array-like of shape (n, p)
        text : array-like of shape (m, q)
            Features of the queries; not paired with the images.
        clicks : array-like or sparse array of shape (n, m)
            Counts of clicks, at least 0.

        Returns
        -------
        self

        Raises
        ------
        TypeError, ValueError
            With one sentence saying what is wrong; an earlier fit is left as it was.
        """
        X, Y = check_unpaired(image, text)
        self._fit_clicks(X, Y, _check_clicks(clicks, (len(X), len(Y))))
        self.n_features_image_, self.n_features_text_ = X.shape[1], Y.shape[1]
        return self

    def _fit(self, X: Array, Y: Array, labels: Array | None) -> None:
        self._fit_clicks(X, Y, csr_array(eye_array(len(X))))

    def _check_parameters(self) -> None:
        for name in ("n_components", "walk_length", "window", "n_negatives"):
            check_scalar(getattr(self, name), name, Integral, min_val=1)
        for name in ("batch_size", "max_epochs", "patience"):
            check_scalar(getattr(self, name), name, Integral, min_val=1)
        for name in ("lam", "power", "learning_rate", "weight_decay", "vector_learning_rate"):
            check_scalar(getattr(self, name), name, Real, min_val=0)
        size: dict[str, Any] = {"min_val": 0, "max_val": 1, "include_boundaries": "neither"}
        check_scalar(self.validation_size, "validation_size", Real, **size)

    def _fit_clicks(self, X: Array, Y: Array, clicks: csr_array) -> None:
        self._check_parameters()
        rng = check_random_state(self.random_state)
        held_out, rest = set_aside(clicks, self.validation_size, rng)
        graph = ClickGraph(rest)
        self.scaler_image_, self.scaler_text_ = StandardScaler().fit(X), StandardScaler().fit(Y)
        views = self._tensor(X, "image"), self._tensor(Y, "text")
        with seeded(rng):
            parts = _Parts(
                mlp((X.shape[1], *self.hidden, self.n_components), dropout=self.dropout),
                mlp((Y.shape[1], *self.hidden, self.n_components), dropout=self.dropout),
                nn.Embedding(len(graph.degrees), self.n_components),
            ).to(self.device)
            self.history_, self.best_epoch_ = self._train(parts, graph, views, held_out, rng)
        self.networks_ = nn.ModuleDict({"image": parts.image, "text": parts.text})
        self.networks_.eval().double()
        self.offset_ = parts.offset.item()
        # a vertex outside the graph is in no term but its distance, whose minimum is the network
        vectors = parts.vectors.weight.detach().cpu().double().numpy()
        n, seen = len(X), graph.degrees[:, None] > 0
        self.image_vectors_ = np.where(seen[:n], vectors[:n], self._encode_image(X))
        self.text_vectors_ = np.where(seen[n:], vectors[n:], self._encode_text(Y))

    def _train(
        self,
        parts: _Parts,
        graph: ClickGraph,
        views: tuple[Tensor, Tensor],
        held_out: tuple[Rows, Rows],
        rng: np.random.RandomState,
    ) -> tuple[History, int]:
        image, text = views
        n = len(image)
        starts = np.flatnonzero(graph.degrees)
        noise = graph.vertices(self.power)
        networks = [*parts.image.parameters(), *parts.text.parameters()]
        free = [parts.vectors.weight, parts.offset]
        optimizer = torch.optim.Adam(
            [
                {"params": networks, "lr": self.learning_rate, "weight_decay": self.weight_decay},
                {"params": free, "lr": self.vector_learning_rate},
            ]
        )

        def gaps(vertices: Rows) -> Tensor:
            """Return u_v - N(x_v) of each of the vertices, images first."""
            rows, columns = vertices[vertices < n], vertices[vertices >= n] - n
            found = torch.cat([parts.image(image[rows]), parts.text(text[columns])])
            return parts.free(np.concatenate([rows, columns + n])) - found

        def step(rows: Rows, progress: float) -> dict[str, float]:
            walks = graph.walk(starts[rows], self.walk_length, rng)
            centres, contexts = window_pairs(walks, self.window)
            negatives = noise.draw((len(centres), self.n_negatives), rng)
            u, v, w = (parts.free(vertices) for vertices in (centres, contexts, negatives))
            walk = skip_gram_loss(u, v, w, parts.offset)
            distance = gaps(starts[rows]).square().sum(dim=1).mean()
            optimizer.zero_grad()
            (walk + self.lam * distance).backward()
            optimizer.step()
            return {"walk": walk.item(), "distance": distance.item()}

        def validate() -> dict[str, float]:
            rows, columns = held_out
            F, G = parts.image(image[rows]), parts.text(text[columns])
            return {"validation": partner_retrieval(F, G)}

        return train(
            parts,
            step,
            validate,
            n=len(starts),
            batch_size=self.batch_size,
            max_epochs=self.max_epochs,
            patience=self.patience,
            rng=rng,
            name=type(self).__name__,
            verbose=self.verbose,
        )

    def _tensor(self, V: Array, modality: str, dtype: torch.dtype = torch.float32) -> Tensor:
        scaled = getattr(self, f"scaler_{modality}_").transform(V)
        return torch.as_tensor(scaled, dtype=dtype, device=self.device)

    def _encoded(self, V: Array, modality: str) -> Array:
        with torch.no_grad():
            codes = self.networks_[modality](self._tensor(V, modality, torch.float64))
        array: Array = codes.cpu().numpy()
        return array

    def _encode_image(self, X: Array) -> Array:
        return self._encoded(X, "image")

    def _encode_text(self, Y: Array) -> Array:
        return self._encoded(Y, "text")


class _Parts(nn.Module):
    """All that is trained: two networks, the vectors u of all vertices, and the offset b."""

    def __init__(self, image: nn.Module, text: nn.Module, vectors: nn.Embedding) -> None:
        super().__init__()
        self.image = image
        self.text = text
        self.vectors = vectors
        nn.init.normal_(vectors.weight, std=0.1)
        self.offset = nn.Parameter(torch.zeros(()))

    def free(self, vertices: Rows) -> Tensor:
        """Return the vectors of these vertices, k along the last axis."""
        u: Tensor = self.vectors(torch.as_tensor(vertices, device=self.offset.device))
        return u


def set_aside(
    clicks: csr_array, size: float, rng: np.random.RandomState
) -> tuple[tuple[Rows, Rows], csr_array]:
    """Choose pairs of a query and the image most clicked for it, and take both out of the log.

    Parameters
    ----------
    clicks : csr_array of shape (n, m)
    size : float
        Share of the clicked queries to set aside; at least 2 are.
    rng : RandomState

    Returns
    -------
    (images, queries) : rows of the pairs, all different
    rest : csr_array of shape (n, m)
        The log without any click on these images or for these queries.

    Raises
    ------
    ValueError
        If no click would remain, or there are not two such pairs.
    """
    queries = rng.permutation(np.flatnonzero(clicks.sum(axis=0)))
    best = np.asarray(clicks.tocsc().argmax(axis=0)).ravel()[queries]
    first = np.sort(np.unique(best, return_index=True)[1])  # two queries may share their image
    chosen = first[: max(2, round(size * len(queries)))]
    image, query = best[chosen], queries[chosen]
    keep_image, keep_query = np.ones(clicks.shape[0]), np.ones(clicks.shape[1])
    keep_image[image], keep_query[query] = 0, 0
    rest = csr_array(diags_array(keep_image) @ clicks @ diags_array(keep_query))
    if len(chosen) < 2 or rest.sum() == 0:
        raise ValueError(
            f"clicks on {np.count_nonzero(clicks.sum(axis=1))} images for {len(queries)} queries "
            "are too few: 2 queries with an image each must be set aside, and clicks remain."
        )
    return (image, query), rest


def _check_clicks(clicks: ArrayLike | csr_array, shape: tuple[int, int]) -> csr_array:
    """Return counts of clicks as a sparse array of float64, without duplicate entries."""
    counts: Any = clicks if issparse(clicks) else np.asarray(clicks)
    if counts.dtype.kind not in "biuf":
        raise TypeError(f"clicks must hold counts, got dtype {counts.dtype}.")
    if counts.shape != shape:
        raise ValueError(
            f"clicks must have shape {shape}, a row an image and a column a text, "
            f"got {counts.shape}."
        )
    array = csr_array(counts, dtype=np.float64, copy=True)
    array.sum_duplicates()
    bad = np.flatnonzero(~(np.isfinite(array.data) & (array.data >= 0)))
    if bad.size:
        row = np.searchsorted(array.indptr, bad[0], side="right") - 1
        raise ValueError(
            f"clicks must be counts of at least 0, got {array.data[bad[0]]:g} at row {row}, "
            f"column {array.indices[bad[0]]}."
        )
    if array.sum() == 0:
        raise ValueError("clicks holds no click at all; there is nothing to learn from.")
    return array
