"""Spectral and boosted hash functions: CVH, CMSSH and SRCH."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from numbers import Integral, Real
from types import SimpleNamespace
from typing import Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.linalg import eigh
from scipy.sparse import csr_array, eye_array, issparse
from sklearn.exceptions import NotFittedError
from sklearn.preprocessing import StandardScaler
from sklearn.utils import check_random_state, check_scalar

from cmrlib._linalg import procrustes, whiten
from cmrlib.alternating import Alternation, State
from cmrlib.base import HashModel, check_varies, check_view
from cmrlib.hashing._discrete import cyclic_bits, sign
from cmrlib.hashing._features import standardiser
from cmrlib.hashing._graphs import Graph, knn_graph
from cmrlib.hashing._model import LinearHashModel

Array = NDArray[np.float64]
Rows = NDArray[np.int64]


class CVH(HashModel):
    """Cross-view hashing: codes of related items differ in few bits, in and across views.

    For codes Y^v of views v = 1..K and an affinity W of items, it minimises [1]_

        sum_ij W_ij ( sum_v d(y_i^v, y_j^v) + sum_{v<w} d(y_i^v, y_j^w) ),

    d the Hamming distance, over balanced, uncorrelated bits. With ±1 relaxed to real numbers and
    Y^v = X_v A_v linear in centred features, this is one generalised eigenproblem in all views:

        X_vᵀ L' X_v A_v - sum_{w != v} X_vᵀ W X_w A_w = X_vᵀ X_v A_v Lambda,

    where L' = 2 (D - W) + (K - 1) D and D holds the row sums of W. Its smallest eigenvalues give
    the maps. With W = I and two views it is linear CCA: the eigenvalues are 1 - correlation.

    Parameters
    ----------
    n_bits : int, default=16
        At most the sum of the views' ranks, p + q in the usual case.
    reg : float, default=0.1
        Unit-free ridge of every view's covariance, C + reg (tr C / p) I; 0 is exact.

    Attributes
    ----------
    eigenvalues_ : ndarray of shape (n_bits,)
        Cost of each bit, ascending. With W = I and two views, bit k costs 1 - rho_k; a bit that
        costs more than 1 sets image and text of a pair *apart* (see the notes).
    P_ : dict of str to ndarray of shape (p_v, n_bits)
        A_v, applied to standardised features of the view of that name.
    scalers_ : dict of str to StandardScaler
        Mean and standard deviation of each feature over the training set.

    Raises
    ------
    ValueError
        From ``fit``: if ``n_bits`` exceeds the sum of the ranks; or if, with ``reg=0``, that sum is
        more than n - 1, when bits without any cost exist whatever the data.

    Notes
    -----
    ``fit`` takes W = I, all that pairs tell. Any other affinity enters by :meth:`fit_views`: a
    neighbourhood graph keeps the method unsupervised, an affinity from labels makes it supervised.
    W stays sparse or low-rank, so that no n x n array is made.

    A bit is the sign of its score; the threshold is the mean of the training scores, which is 0.

    The paper's constraints hold for the sum over views, so p + q bits exist, not min(p, q). For
    W = I the eigenvalues are 1 - rho, 1 and 1 + rho: beyond min(p, q) bits come some that ignore
    one view (all +1 there), and last those whose text half is the negative of an earlier bit.

    The paper does not state a ridge that acts on both sides; here it stands for noise of variance
    r_v = reg (tr C_v / p_v) in each feature, independent between items and views: it adds r_v to
    the covariance on the right, and r_v tr(L') / n to the diagonal blocks on the left. With W = I
    this is ridge CCA.

    Cost O(n (p + q)²) and O(nnz(W) (p + q)), and (p + q)³ for the eigenproblem.

    References
    ----------
    .. [1] S. Kumar and R. Udupa, "Learning hash functions for cross-view similarity search",
       IJCAI (2011).

    Examples
    --------
    >>> from cmrlib.datasets import make_gaussian_views
    >>> from cmrlib.hashing.spectral import CVH
    >>> views = make_gaussian_views(5000, 6, 4, correlations=[0.9, 0.5], random_state=0)
    >>> (1 - CVH(n_bits=2, reg=0).fit(views.image, views.text).eigenvalues_).round(1)
    array([0.9, 0.5])
    """

    eigenvalues_: Array
    P_: dict[str, Array]
    scalers_: dict[str, StandardScaler]

    def __init__(self, n_bits: int = 16, *, reg: float = 0.1) -> None:
        self.n_bits = n_bits
        self.reg = reg

    def fit_views(
        self, views: Mapping[str, ArrayLike], affinity: Graph | ArrayLike | None = None
    ) -> Self:
        """Learn from any number of views of the same items, and an affinity of the items.

        Parameters
        ----------
        views : mapping of str to array-like of shape (n, p_v)
            At least two, by name; row i of each is item i. ``encode(X, name)`` takes these names.
        affinity : Graph, sparse array or array-like of shape (n, n), optional
            W, symmetric, not negative; the identity if left out. W_ii weighs the pairing of item i
            with itself across views.

        Returns
        -------
        self

        Raises
        ------
        TypeError, ValueError
            With one sentence saying what is wrong; an earlier fit is left as it was.
        """
        check_scalar(self.n_bits, "n_bits", Integral, min_val=1)
        checked = _check_views(views)
        self._fit_views(checked, _affinity(affinity, len(next(iter(checked.values())))))
        return self

    def _fit(self, X: Array, Y: Array, labels: Array | None) -> None:
        self._fit_views({"image": X, "text": Y}, _affinity(None, len(X)))

    def _fit_views(self, views: dict[str, Array], W: Graph) -> None:
        reg = check_scalar(self.reg, "reg", Real, min_val=0)
        scalers = {name: standardiser(X) for name, X in views.items()}
        standardised = [scalers[name].transform(X) for name, X in views.items()]
        whitened = [whiten(X, reg) for X in standardised]
        ridges = [reg * X.var(axis=0).mean() for X in standardised]
        scores = [view.Q @ view.S for view in whitened]  # (n, rank), X_v W_v
        n, n_views, n_bits = len(scores[0]), len(views), self.n_bits

        ranks = [view.rank for view in whitened]
        if n_bits > sum(ranks):
            raise ValueError(
                f"n_bits={n_bits} is more than the {sum(ranks)} bits that views of rank "
                f"{' and '.join(map(str, ranks))} have together."
            )
        if reg == 0 and sum(ranks) > n - 1:
            raise ValueError(
                f"{n} items are too few for views of rank {' and '.join(map(str, ranks))}: some "
                "bits would cost nothing whatever the data; set reg > 0 or use fewer features."
            )

        def spread(V: Array) -> Array:
            """Return L' V."""
            return 2 * W.laplacian(V) + (n_views - 1) * W.degrees[:, None] * V

        trace = (n_views + 1) * W.degrees.sum() - 2 * _trace(W)  # of L'

        def block(v: int, w: int) -> Array:
            if v != w:
                return -scores[v].T @ W.product(scores[w]) / n
            noise = ridges[v] * trace / n * whitened[v].W.T @ whitened[v].W
            return scores[v].T @ spread(scores[v]) / n + noise

        order = range(n_views)
        M = np.block([[block(v, w) for w in order] for v in order])
        values, vectors = eigh(M, subset_by_index=[0, n_bits - 1])
        parts = np.split(vectors, np.cumsum(ranks)[:-1])
        A = np.vstack([view.W @ part for view, part in zip(whitened, parts, strict=True)])
        largest = np.abs(A).argmax(axis=0)  # an eigenvector has no sign of its own
        A *= np.where(A[largest, np.arange(n_bits)] < 0, -1.0, 1.0)

        widths = np.cumsum([X.shape[1] for X in standardised])[:-1]
        self.P_ = dict(zip(views, np.split(A, widths), strict=True))
        self.scalers_ = scalers
        self.eigenvalues_ = values

    def _check_encodable(self, X: ArrayLike, modality: str) -> Array:
        if not hasattr(self, "P_"):
            raise NotFittedError(
                "this CVH is not fitted yet; call fit(image, text) or fit_views(views) first."
            )
        if modality not in self.P_:
            known = " or ".join(repr(name) for name in self.P_)
            raise ValueError(f"modality must be {known}, got {modality!r}.")
        return check_view(X, modality, len(self.P_[modality]))

    def encode(self, X: ArrayLike, modality: str) -> NDArray[np.int8]:
        """Hash one view, called by its name: (n, n_bits) int8, each entry -1 or +1."""
        return sign(self._scores(self._check_encodable(X, modality), modality)).astype(np.int8)

    def _scores(self, X: Array, name: str) -> Array:
        scores: Array = self.scalers_[name].transform(X) @ self.P_[name]
        return scores

    def _encode_image(self, X: Array) -> Array:
        return self._scores(X, "image")

    def _encode_text(self, Y: Array) -> Array:
        return self._scores(Y, "text")


def _check_views(views: Mapping[str, ArrayLike]) -> dict[str, Array]:
    """Return any number of views of the same items, checked as a pair of views is."""
    if not isinstance(views, Mapping):
        raise TypeError("views must be a mapping such as {'image': X, 'text': Y, 'tags': Z}.")
    if len(views) < 2:
        raise ValueError(f"at least 2 views are needed, got {len(views)}.")
    checked = {name: check_view(X, name) for name, X in views.items()}
    rows = {name: len(X) for name, X in checked.items()}
    if len(set(rows.values())) > 1:
        raise ValueError(f"row i of every view must be item i, but the rows are {rows}.")
    if min(rows.values()) < 2:
        raise ValueError("one item is not enough to fit a model; at least 2 are needed.")
    for name, X in checked.items():
        check_varies(X, name)
    return checked


def _affinity(W: Graph | ArrayLike | None, n: int) -> Graph:
    """Return an affinity of n items as a graph, checked."""
    if W is None:
        return Graph(sparse=csr_array(eye_array(n)))
    if isinstance(W, Graph):
        graph = W
    else:
        graph = Graph(sparse=csr_array(W if issparse(W) else np.asarray(W, dtype=np.float64)))
    sparse = graph.sparse
    if len(graph.degrees) != n or (sparse is not None and sparse.shape != (n, n)):
        raise ValueError(f"the affinity must be of shape ({n}, {n}), one row an item.")
    if sparse is not None:
        if not np.isfinite(sparse.data).all() or (sparse.data < 0).any():
            raise ValueError("affinities must be finite and not negative.")
        if abs(sparse - sparse.T).max() > 1e-10 * abs(sparse).max():
            raise ValueError("the affinity must be symmetric; use (W + W.T) / 2.")
    if not graph.degrees.any():
        raise ValueError("every affinity is 0; there is nothing to preserve.")
    return graph


def _trace(graph: Graph) -> float:
    """Return the trace of W."""
    trace = 0.0
    if graph.sparse is not None:
        trace += float(graph.sparse.diagonal().sum())
    if graph.factor is not None:
        trace += float(np.sum(graph.factor**2))
    return trace


class CMSSH(LinearHashModel):
    """Cross-modality similarity-sensitive hashing: every bit is a weak classifier of pairs.

    From pairs k of an image and a text with signs s_k (+1 belong together, -1 do not), AdaBoost
    learns one bit at a time [1]_. Bit t compares xi(x) = sign(pᵀx - a) with eta(y) = sign(qᵀy - b),
    and is to agree on positive pairs and disagree on negative ones: it maximises the edge

        r_t = sum_k w_k s_k xi(x_k) eta(y_k),

    with weights w that grow on the pairs that earlier bits got wrong,

        w_k <- w_k exp(-alpha_t s_k xi(x_k) eta(y_k)) / Z_t.

    Parameters
    ----------
    n_bits : int, default=16
    n_negatives : int, default=1
        Mismatched pairs drawn for every pair of the training set.
    alpha : {"optimal", "unit"}, default="optimal"
        Step of the weights: ½ log((1 + r_t) / (1 - r_t)), the one that AdaBoost derives, or 1.
    random_state : int, optional
        Draws the mismatched pairs.

    Attributes
    ----------
    edges_ : ndarray of shape (n_bits,)
        r_t > 0.
    alphas_ : ndarray of shape (n_bits,)
        Steps of the weights.
    history_ : list of float
        Exponential loss sum_k w_k exp(-s_k sum_t alpha_t xi_t eta_t), w the first weights, before
        the first bit (1) and after each.
    pairs_ : ndarray of shape (n_pairs, 3)
        Row of the image, row of the text, sign.

    Notes
    -----
    Maximising r_t over p and q is relaxed by leaving out both signs: r = pᵀ C q with the weighted
    C = sum_k w_k s_k x_k y_kᵀ, solved by the first pair of singular vectors. The thresholds a, b
    are then found by exact search over one at a time, on the true r_t, until neither changes.

    The formulas are reconstructed from descriptions of the paper. In them the step is 1, which
    suits codes that are compared by the plain Hamming distance but can raise the exponential loss:
    Z = cosh 1 - r sinh 1 is above 1 unless r > 0.46. With the step of AdaBoost Z = sqrt(1 - r²),
    and each bit has edge 0 under the weights that follow it, so that the next must differ. It is
    the default here.

    The paper does not state how negatives are drawn; here uniformly among all mismatched pairs,
    without looking at labels, and positive and negative pairs begin with half of the weight each.
    Features are standardised. Thresholds that make all codes equal are left out of the search.

    A bit may come out nearly constant, +1 for images and -1 for texts or the reverse: it answers
    "apart" to every pair, the intercept that boosting asks for, and changes no ranking.

    No weight is given to a bit when codes are compared. Cost O(n p q) a bit.

    References
    ----------
    .. [1] M. Bronstein, A. Bronstein, F. Michel and N. Paragios, "Data fusion through
       cross-modality metric learning using similarity-sensitive hashing", CVPR (2010).
    """

    def __init__(
        self,
        n_bits: int = 16,
        *,
        n_negatives: int = 1,
        alpha: str = "optimal",
        random_state: int | None = None,
    ) -> None:
        self.n_bits = n_bits
        self.n_negatives = n_negatives
        self.alpha = alpha
        self.random_state = random_state

    def _fit(self, X: Array, Y: Array, labels: Array | None) -> None:
        check_scalar(self.n_negatives, "n_negatives", Integral, min_val=1)
        rng, n = check_random_state(self.random_state), len(X)
        i = np.arange(n)
        rows = np.repeat(i, self.n_negatives)
        others = (rows + rng.randint(1, n, size=len(rows))) % n  # never the row itself
        positive = np.column_stack([i, i, np.ones(n, int)])
        negative = np.column_stack([rows, others, np.full(len(rows), -1)])
        self._boost(X, Y, np.vstack([positive, negative]))

    def fit_pairs(self, image: ArrayLike, text: ArrayLike, pairs: ArrayLike) -> Self:
        """Learn from given pairs, such as pairs of equal and of different labels.

        Parameters
        ----------
        image, text : array-like of shape (n, p), (m, q)
            Features; the two need not be paired, nor be equally many.
        pairs : array-like of shape (n_pairs, 3)
            Row of the image, row of the text, and +1 or -1; some of each sign.

        Returns
        -------
        self
        """
        check_scalar(self.n_bits, "n_bits", Integral, min_val=1)
        X, Y = check_view(image, "image"), check_view(text, "text")
        for name, Z in (("image", X), ("text", Y)):
            check_varies(Z, name)
        array = np.asarray(pairs)
        if array.ndim != 2 or array.shape[1] != 3 or array.dtype.kind not in "iu":
            raise ValueError("pairs must be integers of shape (n_pairs, 3): image, text, sign.")
        rows, columns, s = array.T
        if set(np.unique(s)) != {-1, 1}:
            raise ValueError("pairs need both signs: +1 (belong together) and -1 (do not).")
        if min(rows.min(), columns.min()) < 0 or rows.max() >= len(X) or columns.max() >= len(Y):
            raise ValueError("a pair names a row that image or text does not have.")
        self._boost(X, Y, array)
        self.n_features_image_, self.n_features_text_ = X.shape[1], Y.shape[1]
        return self

    def _boost(self, X: Array, Y: Array, pairs: NDArray[np.int64]) -> None:
        if self.alpha not in ("optimal", "unit"):
            raise ValueError(f"alpha must be 'optimal' or 'unit', got {self.alpha!r}.")
        scaler_image, scaler_text = standardiser(X), standardiser(Y)
        X, Y = scaler_image.transform(X), scaler_text.transform(Y)
        i, j, s = pairs.T
        w = np.where(s > 0, 0.5 / np.sum(s > 0), 0.5 / np.sum(s < 0))
        P, Q = np.empty((X.shape[1], self.n_bits)), np.empty((Y.shape[1], self.n_bits))
        a, b = np.empty(self.n_bits), np.empty(self.n_bits)
        edges, alphas, history = np.empty(self.n_bits), np.empty(self.n_bits), [1.0]
        for t in range(self.n_bits):
            p, q = _directions(X, Y, i, j, w * s)
            orientation, a[t], b[t] = _thresholds(X @ p, Y @ q, i, j, w * s)
            P[:, t], Q[:, t] = orientation * p, q
            agree = sign(X @ P[:, t] - a[t])[i] * sign(Y @ q - b[t])[j]
            edges[t] = np.sum(w * s * agree)
            alphas[t] = 1.0 if self.alpha == "unit" else np.arctanh(min(edges[t], 1 - 1e-12))
            w = w * np.exp(-alphas[t] * s * agree)
            history.append(history[-1] * float(w.sum()))
            w /= w.sum()
        self.scaler_image_, self.scaler_text_ = scaler_image, scaler_text
        self.P_image_, self.P_text_ = P, Q
        self.threshold_image_, self.threshold_text_ = a, b
        self.edges_, self.alphas_, self.history_ = edges, alphas, history
        self.pairs_ = pairs


def _directions(X: Array, Y: Array, i: Rows, j: Rows, ws: Array) -> tuple[Array, Array]:
    """Return the unit p, q that maximise pᵀ C q, C = sum_k ws_k x_k y_kᵀ over pairs k = (i, j)."""
    pairing = csr_array((ws, (i, j)), shape=(len(X), len(Y)))
    C = X.T @ (pairing @ Y)
    wide = C.shape[0] < C.shape[1]
    gram = C @ C.T if wide else C.T @ C
    last = len(gram) - 1
    shorter = eigh(gram, subset_by_index=[last, last])[1][:, 0]
    longer = C.T @ shorter if wide else C @ shorter
    longer /= np.linalg.norm(longer)
    return (shorter, longer) if wide else (longer, shorter)


def _thresholds(u: Array, v: Array, i: Rows, j: Rows, ws: Array) -> tuple[float, float, float]:
    """Find thresholds a, b of scores u (n,), v (m,) with a large edge sum_k ws_k xi_k eta_k.

    Each is the best while the other is fixed. Returns the orientation of u, +1 or -1, then a, b.
    """
    c = _sums(i, ws * sign(v)[j], len(u))
    a, edge = _threshold(u, c)
    a_negated, edge_negated = _threshold(-u, c)
    orientation = 1.0
    if edge_negated > edge:
        orientation, a, edge, u = -1.0, a_negated, edge_negated, -u
    while True:
        b, _ = _threshold(v, _sums(j, ws * sign(u - a)[i], len(v)))
        better, best = _threshold(u, _sums(i, ws * sign(v - b)[j], len(u)))
        if best <= edge + 1e-12:
            return orientation, a, b
        a, edge = better, best


def _sums(i: Rows, values: Array, n: int) -> Array:
    """Return for each of n items the sum of the values of its pairs."""
    return np.bincount(i, values, n).astype(np.float64)


def _threshold(u: Array, c: Array) -> tuple[float, float]:
    """Return the a that maximises sum_i c_i sign(u_i - a), with both signs, and the maximum.

    Of equally good places between two items, which weights that cancel make common, the widest is
    taken: neither rounding nor the sign of u decides.
    """
    order = np.argsort(u, kind="stable")
    u, c = u[order], c[order]
    gaps = np.diff(u)
    sums = c.sum() - 2 * np.cumsum(c)[:-1]  # a between the items k and k + 1
    sums[gaps <= 1e-9 * (u[-1] - u[0])] = -np.inf  # apart by rounding only
    k = int(np.where(sums >= sums.max() - 1e-12, gaps, -1).argmax())
    return float((u[k] + u[k + 1]) / 2), float(sums[k])


class SRCH(LinearHashModel):
    """Semantic-rebased cross-modal hashing: a neighbourhood graph that the codes correct.

    With codes B (n, r), smooth codes Z (n, r), orthonormal maps P_g (p_g, r) and edges E between
    neighbours, it minimises [1]_

        sum_g ( ||X_g P_g - B||² + ||X_g - B P_gᵀ||² )
          + sum_{ij in E} C_ij ( S_ij² ||z_i - z_j||² + (S_ij - 1)² ) + ½ ||Z - B||²

    over P_g, Z, the strengths S of the edges and B. The edges are *set* once, from the neighbours
    within each modality. Their strengths are *rebased* in every sweep: S = 1 / (1 + ||z_i - z_j||²)
    is 1 between equal codes and near 0 where the codes have parted.

    Parameters
    ----------
    n_bits : int, default=16
        r.
    n_neighbors : int, default=5
        Nearest neighbours of each item, in each modality.
    weight : float, default=1.0
        C_ij is this times the number of modalities that join i and j, 1 or 2.
    max_iter : int, default=30
    tol : float, default=1e-4
        Stop when a sweep lowers the objective by less than this share of it.
    random_state : int, optional
        Draws the first codes.
    verbose : bool, default=False

    Attributes
    ----------
    history_ : list of float
        Objective before the first sweep and after each.
    B_, Z_ : ndarray of shape (n, r)
        Codes of the training items, which both modalities share, and their smooth version.
    edges_ : ndarray of shape (n_edges, 2)
        The two items of each edge.
    strengths_ : ndarray of shape (n_edges,)
        S, in (0, 1].

    Notes
    -----
    Each sweep updates the maps, Z (sparse systems (I + 2 L) Z = B, L the Laplacian of the weights
    C S²), S and B, in this order.

    The paper does not state the following; here

    * each view is centred, standardised, and scaled as a whole so that its rows have the mean
      squared length r, that of a code: orthonormal maps have no scale of their own;
    * P_gᵀ P_g = I for r <= p_g, and P_g P_gᵀ = I for more bits than features;
    * the map step, a quadratic problem on the orthonormal matrices, is one step of majorisation,
      solved by Procrustes, which cannot raise the objective;
    * every edge is counted once, and C_ij is as above;
    * the first codes are signs of random projections of both views, S = 1 and Z = B;
    * notes on the paper mention BᵀB = n I. It would make ||B P_gᵀ|| a constant, which it is anyway
      for r <= p_g; codes of ±1 do not meet it in general, and it is not imposed.

    New items are hashed by their view's map alone. Cost O(n (p + q) r) a sweep, beside the search
    for neighbours; no n x n array.

    References
    ----------
    .. [1] W. Wang, Y. Shen, H. Zhang, Y. Yao and L. Liu, "Set and rebase: determining the semantic
       graph connectivity for unsupervised cross-modal hashing", IJCAI (2020).
    """

    def __init__(
        self,
        n_bits: int = 16,
        *,
        n_neighbors: int = 5,
        weight: float = 1.0,
        max_iter: int = 30,
        tol: float = 1e-4,
        random_state: int | None = None,
        verbose: bool = False,
    ) -> None:
        self.n_bits = n_bits
        self.n_neighbors = n_neighbors
        self.weight = weight
        self.max_iter = max_iter
        self.tol = tol
        self.random_state = random_state
        self.verbose = verbose

    def _alternation(
        self, X: Array, Y: Array, labels: Array | None, rng: np.random.RandomState
    ) -> Alternation:
        r = self.n_bits
        X, Y = X * _scale(X, r), Y * _scale(Y, r)
        joined = knn_graph(X, self.n_neighbors) + knn_graph(Y, self.n_neighbors)
        upper = joined.tocoo()
        once = upper.row < upper.col
        rows, columns = upper.row[once].astype(np.int64), upper.col[once].astype(np.int64)
        B = sign(X @ rng.normal(size=(X.shape[1], r)) + Y @ rng.normal(size=(Y.shape[1], r)))

        s = SimpleNamespace(X=X, Y=Y, rows=rows, columns=columns, C=self.weight * upper.data[once])
        s.B, s.Z, s.S = B, B, np.ones(len(rows))
        s.P_image, s.P_text = procrustes(X.T @ B), procrustes(Y.T @ B)
        gram_X, gram_Y = X.T @ X, Y.T @ Y
        top_X, top_Y = (float(eigh(G, eigvals_only=True)[-1]) for G in (gram_X, gram_Y))

        def Z(s: State) -> Array:
            weights = s.C * s.S**2
            A = csr_array((weights, (s.rows, s.columns)), shape=(len(s.B), len(s.B)))
            return _smooth(Graph(sparse=(A + A.T).tocsr()), s.B, s.Z)

        def S(s: State) -> Array:
            return 1 / (1 + _edge_lengths(s))

        def B_(s: State) -> Array:
            M = 2 * (s.X @ s.P_image + s.Y @ s.P_text) + s.Z / 2
            if r <= min(s.X.shape[1], s.Y.shape[1]):  # ||B Pᵀ|| is a constant
                return sign(M)
            return cyclic_bits(s.B, s.P_image.T @ s.P_image + s.P_text.T @ s.P_text, M)

        updates: dict[str, Callable[[State], Array]] = {
            "P_image": lambda s: _orthonormal(gram_X, top_X, s.X.T @ s.B, s.B, s.P_image),
            "P_text": lambda s: _orthonormal(gram_Y, top_Y, s.Y.T @ s.B, s.B, s.P_text),
            "Z": Z,
            "S": S,
            "B": B_,
        }
        return Alternation(s, updates, _srch_objective)

    def _fit(self, X: Array, Y: Array, labels: Array | None) -> None:
        check_scalar(self.n_neighbors, "n_neighbors", Integral, min_val=1)
        check_scalar(self.weight, "weight", Real, min_val=0)
        check_scalar(self.max_iter, "max_iter", Integral, min_val=1)
        scaler_image, scaler_text = standardiser(X), standardiser(Y)
        X, Y = scaler_image.transform(X), scaler_text.transform(Y)
        problem = self._alternation(X, Y, labels, check_random_state(self.random_state))
        self.history_ = problem.run(self.max_iter, self.tol, verbose=self.verbose)
        s = problem.state
        self.scaler_image_, self.scaler_text_ = scaler_image, scaler_text
        self.P_image_, self.P_text_ = s.P_image, s.P_text
        # standardised features and their sums have the mean 0
        self.threshold_image_ = self.threshold_text_ = np.zeros(self.n_bits)
        self.B_, self.Z_, self.strengths_ = s.B, s.Z, s.S
        self.edges_ = np.column_stack([s.rows, s.columns])


def _scale(X: Array, r: int) -> float:
    """Return the factor that brings the rows of X to the mean squared length r."""
    return float(np.sqrt(r * len(X) / np.sum(X**2)))


def _edge_lengths(s: State) -> Array:
    """Return ||z_i - z_j||² for each edge."""
    squared = np.zeros(len(s.rows))
    for z in s.Z.T.copy():  # a column at a time: (n_edges, r) would be large
        squared += (z[s.rows] - z[s.columns]) ** 2
    return squared


def _srch_objective(s: State) -> float:
    views = ((s.X, s.P_image), (s.Y, s.P_text))
    coding = sum(np.sum((X @ P - s.B) ** 2) + np.sum((X - s.B @ P.T) ** 2) for X, P in views)
    graph = np.sum(s.C * (s.S**2 * _edge_lengths(s) + (s.S - 1) ** 2))
    return float(coding + graph + np.sum((s.Z - s.B) ** 2) / 2)


def _orthonormal(gram: Array, top: float, K: Array, B: Array, P: Array) -> Array:
    """Lower ||X P - B||² + ||X - B Pᵀ||² over orthonormal P, from the present P (p, r).

    With PᵀP = I (r <= p) that is tr(Pᵀ A P) - 4 tr(PᵀK) and a constant, A = XᵀX and K = XᵀB; with
    P Pᵀ = I (r > p) it is tr(P A Pᵀ) - 4 tr(PᵀK), A = BᵀB. Since t I - A is positive semidefinite
    for t the largest eigenvalue of A, the quadratic term lies below its tangent at P, and the
    matrix that minimises the tangent is a Procrustes solution.
    """
    p, r = P.shape
    if r <= p:
        return procrustes(top * P - gram @ P + 2 * K)
    A = B.T @ B
    return procrustes(float(np.linalg.norm(A, 2)) * P - P @ A + 2 * K)


def _smooth(graph: Graph, B: Array, start: Array, tol: float = 1e-10) -> Array:
    """Solve (I + 2 L) Z = B for Z (n, r), all columns at once, by conjugate gradients."""
    diagonal = 1 + 2 * graph.degrees[:, None]

    def system(V: Array) -> Array:
        return V + 2 * graph.laplacian(V)

    Z = start.copy()
    R = B - system(Z)
    D = R / diagonal
    rho = np.sum(R * D, axis=0)
    bound = tol**2 * np.sum(B * B, axis=0)
    for _ in range(10 * len(B)):
        if (np.sum(R * R, axis=0) <= bound).all():
            return Z
        M = system(D)
        step = rho / np.maximum(np.sum(D * M, axis=0), np.finfo(float).tiny)
        Z += step * D
        R -= step * M
        scaled = R / diagonal
        rho, previous = np.sum(R * scaled, axis=0), rho
        D = scaled + rho / np.maximum(previous, np.finfo(float).tiny) * D
    raise ArithmeticError("the graph step did not converge; lower the graph's weight.")
