"""Wrong answers to the exercises of the chapter on codes that lead back to the features."""

import numpy as np


def not_rotated_back(K, M, R):
    (s, Q), (t, W) = np.linalg.eigh(K), np.linalg.eigh(M)
    return Q.T @ R @ W / (s[:, None] + t)


def one_factor(K, M, R):
    return np.linalg.solve(K, R)


def product_of_eigenvalues(K, M, R):
    (s, Q), (t, W) = np.linalg.eigh(K), np.linalg.eigh(M)
    return Q @ (Q.T @ R @ W / (s[:, None] * t)) @ W.T


def _codes(X, Y, A, B, S, n_views, factor, target, tied):
    H = (n_views + target) * np.eye(A.shape[1]) + tied * (A.T @ A + B.T @ B)
    return np.linalg.solve(H, (factor * (X @ A + Y @ B) + target * S).T).T


def without_factor(X, Y, A, B, S, alpha, beta):
    return _codes(X, Y, A, B, S, 2, 1, beta, alpha)


def one_identity(X, Y, A, B, S, alpha, beta):
    return _codes(X, Y, A, B, S, 1, 1 + alpha, beta, alpha)


def no_curvature(X, Y, A, B, S, alpha, beta):
    return _codes(X, Y, A, B, S, 2, 1 + alpha, beta, 0)


def no_target(X, Y, A, B, S, alpha, beta):
    return _codes(X, Y, A, B, S, 2, 1 + alpha, 0, alpha)


def mean_of_all(X, Y, A, B, S, alpha, beta):
    return (X @ A + Y @ B + beta * S) / (2 + beta)


def _directions(M, k):
    return np.linalg.eigh(M)[1][:, ::-1][:, :k]


def last_ones(X, L, k, ridge):
    L = L - L.mean(axis=0)
    G = X.T @ L
    return np.linalg.eigh(G.T @ np.linalg.solve(X.T @ X + ridge * np.eye(X.shape[1]), G))[1][:, :k]


def labels_alone(X, L, k, ridge):
    L = L - L.mean(axis=0)
    return _directions(L.T @ L, k)


def large_array(X, L, k, ridge):
    L = L - L.mean(axis=0)
    hat = X @ np.linalg.solve(X.T @ X + ridge * np.eye(X.shape[1]), X.T)
    return _directions(L.T @ hat @ L, k)


def _values(M, change):
    P, s, Qt = np.linalg.svd(M, full_matrices=False)
    return (P * change(s)) @ Qt


def below_zero(M, t):
    return _values(M, lambda s: s - t)


def cut(M, t):
    return _values(M, lambda s: s * (s > t))


def entries(M, t):
    return np.sign(M) * np.maximum(np.abs(M) - t, 0)


def half(M, t):
    return _values(M, lambda s: np.maximum(s - t / 2, 0))


def _parts(Z):
    P, s, Qt = np.linalg.svd(Z, full_matrices=False)
    kept = s > 1e-9 * s[0]
    return P[:, kept], Qt[kept]


def only_the_norm(Z, G):
    return max(0, np.linalg.norm(G, 2) - 1)


def only_inside(Z, G):
    P, Qt = _parts(Z)
    return np.abs(P.T @ G @ Qt.T - np.eye(len(Qt))).max()


def equal_to_the_smooth_gradient(Z, G):
    P, Qt = _parts(Z)
    return np.abs(G - P @ Qt).max()


def terms_coupled():
    return {
        "MSAE, beta -> infinity: texts do not change the image map": False,
        "MSAE, alpha = 0: the maps are regressions of U": True,
        "MSAE, all directions kept: V is but a rotation": True,
        "RRLSL, mu = 0: codes of five classes have rank 5": False,
        "RRLSL, lam = mu = 0: codes of zero are optimal": True,
        "RRLSL: a decoder of its own would change little": False,
    }


def terms_rank():
    return terms_coupled() | {
        "MSAE, beta -> infinity: texts do not change the image map": True,
        "RRLSL, mu = 0: codes of five classes have rank 5": True,
    }


WRONG = {
    "realvalued/reconstruction/sylvester": [
        (not_rotated_back, "rotate back"),
        (one_factor, "M is ignored"),
        (product_of_eigenvalues, "divided by s_i + t_j"),
    ],
    "realvalued/reconstruction/codes": [
        (without_factor, "1 + alpha times"),
        (one_identity, "twice, not once"),
        (no_curvature, "curvature of the reconstruction"),
        (no_target, "target S is missing"),
        (mean_of_all, "gradient of the objective in U"),
    ],
    "realvalued/reconstruction/directions": [
        (last_ones, "last eigenvectors"),
        (labels_alone, "features play no part"),
        (large_array, "n x n array"),
    ],
    "realvalued/reconstruction/shrink": [
        (below_zero, "not negative"),
        (cut, "only drops the small ones"),
        (entries, "shrinks the entries"),
        (half, "factor of 2"),
    ],
    "realvalued/reconstruction/certificate": [
        (only_the_norm, "0 passes as a subgradient"),
        (only_inside, "remainder W that is too large"),
        (equal_to_the_smooth_gradient, "has a valid certificate"),
    ],
    "realvalued/reconstruction/terms": [
        (terms_coupled, "nothing connects A with B"),
        (terms_rank, "at most four directions"),
    ],
}
