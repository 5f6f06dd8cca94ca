"""Checks for the exercises of the chapter on collective matrix factorisation."""

from __future__ import annotations

import numpy as np

from cmrlib.exercises import Answer, Wrong, close, exercise, number, shape, statements


@exercise("hashing/factorization/step")
def step(answer: Answer) -> None:
    rng = np.random.default_rng(0)
    V, X = rng.normal(size=(12, 3)), rng.normal(size=(12, 5))
    U = shape(answer(V, X, 0.2, 3.0), (3, 5), "U")
    upside_down = np.linalg.solve(V.T @ V + 0.2 / 3.0 * np.eye(3), V.T @ X)
    if np.allclose(U, upside_down):
        raise Wrong("The penalty is upside down: dividing the gradient by lam leaves gamma / lam.")
    if np.allclose(U, np.linalg.solve(V.T @ V + 3.0 * np.eye(3), V.T @ X)):
        raise Wrong("lam is missing: it multiplies both VᵀV and VᵀX, but not the penalty.")
    if np.allclose(U, np.linalg.lstsq(V, X, rcond=None)[0]):
        raise Wrong("The penalty is missing: this is plain least squares.")
    gradient = 0.2 * V.T @ (V @ U - X) + 3.0 * U
    close(gradient, np.zeros((3, 5)), "The gradient of the objective in U is not 0.")


@exercise("hashing/factorization/smoothness")
def smoothness(answer: Answer) -> None:
    rng = np.random.default_rng(1)
    W, V = rng.uniform(size=(6, 6)), rng.normal(size=(6, 2))
    W = W + W.T
    value = number(answer(W, V), "the smoothness")
    pairs = sum(W[i, j] * np.sum((V[i] - V[j]) ** 2) for i in range(6) for j in range(6))
    if np.isclose(value, pairs):
        raise Wrong("Twice too much: the sum over ordered pairs counts every pair twice, halve it.")
    if np.isclose(value, np.sum(V * (W @ V))):
        raise Wrong("This is tr(VᵀWV): similar rows make it large. Subtract W from D.")
    if np.isclose(value, np.sum(V * ((W - np.diag(W.sum(axis=1))) @ V))):
        raise Wrong("The sign is wrong: the Laplacian is D - W.")
    close(value, pairs / 2, "It must equal half the sum of W_ij ||v_i - v_j||² over i and j.")
    close(answer(W, V + 7), pairs / 2, "Moving all rows by the same vector must not change it.")


@exercise("hashing/factorization/sylvester")
def sylvester(answer: Answer) -> None:
    rng = np.random.default_rng(2)
    W, root = rng.uniform(size=(8, 8)), rng.normal(size=(3, 3))
    W = W + W.T
    L, A, C = np.diag(W.sum(axis=1)) - W, root @ root.T + np.eye(3), rng.normal(size=(8, 3))
    V = shape(answer(L, A, C, 2.5), (8, 3), "V")
    close(
        answer(0 * L, A, C, 2.5),
        C @ np.linalg.inv(A),
        "Without a graph V must be C A⁻¹: is the result rotated back by Qᵀ?",
    )
    if np.allclose(L @ V + V @ A, C):
        raise Wrong("gamma is missing: it multiplies the Laplacian.")
    close(2.5 * L @ V + V @ A, C, "V does not solve gamma laplacian V + V A = C.")


@exercise("hashing/factorization/terms")
def terms(answer: Answer) -> None:
    statements(
        answer,
        {
            "CMFH, gamma = 0: the objective has no minimum": (
                True,
                "V and P shrink, U grows, and the weight of the maps has less and less to say",
            ),
            "SMFH, gamma = 0: labels change nothing": (
                True,
                "the labels stand in the graph and nowhere else",
            ),
            "FS-CMFH, eta = 0: a text query ranks images at random": (
                True,
                "no term contains both modalities, so that their bits have nothing in common",
            ),
            "FS-CMFH, eta = 0: images of a class still have similar codes": (
                True,
                "the graph within the images is still there",
            ),
            "CMFH, mu = 0: training pairs have no codes": (
                False,
                "the signs of V are there; it is the map for new items that is lost",
            ),
        },
    )


@exercise("hashing/factorization/gradient")
def gradient(answer: Answer) -> None:
    rng = np.random.default_rng(3)
    shapes = {"X": (7, 5), "Y": (7, 4), "V": (7, 3), "U_x": (3, 5), "U_y": (3, 4)}
    M = {name: rng.normal(size=size) for name, size in shapes.items()}
    M |= {"P_x": rng.normal(size=(5, 3)), "P_y": rng.normal(size=(4, 3))}
    X, Y, V, U_x, U_y, P_x, P_y = M.values()
    lam, mu, gamma = 0.3, 2.0, 0.7
    explain = lam * (V @ U_x - X) @ U_x.T + (1 - lam) * (V @ U_y - Y) @ U_y.T
    truth = 2 * (explain + mu * (2 * V - X @ P_x - Y @ P_y) + gamma * V)

    G = shape(answer(*M.values(), lam, mu, gamma), (7, 3), "the gradient")
    if np.allclose(G, truth / 2):
        raise Wrong("Half of it: the derivative of a square has a factor 2.")
    if np.allclose(G, -truth):
        raise Wrong("The sign is wrong: the gradient points to where the objective grows.")
    if np.allclose(G, truth - 2 * gamma * V):
        raise Wrong("The penalty on V is missing.")
    if np.allclose(G, truth - 2 * mu * V):
        raise Wrong("V stands in two terms with weight mu, one for each map.")
    close(G, truth, "This is not the gradient of the objective in V.")
