"""Checks for the exercises of the chapter on quantisation and alignment of codes."""

from __future__ import annotations

import numpy as np

from cmrlib.exercises import Answer, Wrong, close, exercise, shape, statements


def _sign(Z: np.ndarray) -> np.ndarray:
    return np.where(Z >= 0, 1, -1)


def _rotation(r: int, seed: int) -> np.ndarray:
    return np.linalg.qr(np.random.default_rng(seed).normal(size=(r, r)))[0]


@exercise("hashing/quantization/codes")
def codes(answer: Answer) -> None:
    rng = np.random.default_rng(0)
    V, W = rng.normal(size=(2, 30, 3))
    R, T = _rotation(3, 1), _rotation(3, 2)
    image, text = V @ R, W @ T
    got = answer(V, W, R, T, 0.4)
    if not isinstance(got, tuple | list) or len(got) != 2:
        raise Wrong("Return two arrays: the codes of the images and those of the texts.")
    B, D = (shape(Z, (30, 3), "each set of codes") for Z in got)
    if not (np.isin(B, (-1, 1)).all() and np.isin(D, (-1, 1)).all()):
        raise Wrong("The entries must be -1 and +1.")
    if np.array_equal(B, _sign(image)) and np.array_equal(D, _sign(text)):
        raise Wrong("Each code looks at its own scores alone: add gamma times the other's.")
    if np.array_equal(B, _sign(image + 0.4 * W)):
        raise Wrong("The other modality's scores need their rotation, too.")
    if np.array_equal(B, _sign(text + 0.4 * image)):
        raise Wrong("The roles are exchanged: gamma weighs the *other* modality.")
    if np.array_equal(D, _sign(text + 0.4 * B)):
        raise Wrong("The coupling is to the other modality's scores, not to its codes.")
    close(B, _sign(image + 0.4 * text), "The images' codes are not the minimisers.")
    close(D, _sign(text + 0.4 * image), "The texts' codes are not the minimisers.")


@exercise("hashing/quantization/rotation")
def rotation(answer: Answer) -> None:
    rng = np.random.default_rng(3)
    V = rng.laplace(size=(60, 4))
    B, D = _sign(V @ _rotation(4, 1)), _sign(V @ _rotation(4, 2))

    def best(M: np.ndarray) -> np.ndarray:
        P, _, Qt = np.linalg.svd(M)
        rotated: np.ndarray = P @ Qt
        return rotated

    R = shape(answer(V, B, D, 0.7), (4, 4), "the rotation")
    if not np.allclose(R.T @ R, np.eye(4)):
        raise Wrong("The matrix is not orthogonal: R.T @ R must be the identity.")
    if np.allclose(R, best(V.T @ B)):
        raise Wrong("The other modality's codes play no part: they occur in the second sum.")
    truth = best(V.T @ (B + 0.7 * D))
    if np.allclose(R, truth.T):
        raise Wrong("This is the transpose of the answer.")
    if np.allclose(R, best(V.T @ D)):
        raise Wrong("The modality's own codes play no part: they occur in the first sum.")
    close(R, truth, "Another rotation makes the two errors smaller.")


@exercise("hashing/quantization/pairs")
def pairs(answer: Answer) -> None:
    def cost(b: float, d: float, v: float, w: float, lam: float) -> float:
        return -b * d + lam * ((b - v) ** 2 + (d - w) ** 2)

    for v, w, lam in ((1.0, -0.1, 0.5), (1.0, -1.0, 5.0), (-0.3, -2.0, 1.0), (0.2, -0.9, 1.0)):
        b, d = shape(answer(v, w, lam), (2,), "the pair")
        if not {b, d} <= {-1, 1}:
            raise Wrong("Both must be -1 or +1.")
        best = min(cost(s, t, v, w, lam) for s in (-1, 1) for t in (-1, 1))
        if cost(b, d, v, w, lam) > best + 1e-12:
            where = f"For v={v}, w={w}, lam={lam}"
            if (b, d) == (np.sign(v), np.sign(w)):
                raise Wrong(f"{where} the signs of v and w are not best: equal bits earn 1.")
            if b == d:
                raise Wrong(f"{where} different bits are best: equal bits cost too much here.")
            raise Wrong(f"{where} another of the four pairs costs less.")


@exercise("hashing/quantization/align")
def align(answer: Answer) -> None:
    rng = np.random.default_rng(0)
    B = _sign(rng.normal(size=(80, 5)))
    flips = np.array([1, -1, 1, -1, -1])
    D = (B * flips)[:, [3, 0, 4, 1, 2]]
    before = D.copy()
    aligned = shape(answer(B, D), B.shape, "the aligned codes")
    close(D, before, "The function changes its argument: fill a new array.")
    if np.array_equal(np.abs(aligned.T @ B) == 80, np.eye(5, dtype=bool)):
        close(aligned, B, "The columns are in the right places, but some have the wrong sign.")
    if np.array_equal(aligned, D):
        raise Wrong("Nothing was moved: permute the columns of D.")
    close(aligned, B, "D is B with columns permuted and flipped, so B itself must come back.")
    # one bit of D resembles two of B: the best partner of each may be taken only once
    noise = _sign(rng.normal(size=80))
    B = np.column_stack([noise, noise, _sign(rng.normal(size=80))])
    B[:5, 1] *= -1
    D = np.column_stack([noise, _sign(rng.normal(size=80)), B[:, 2]])
    aligned = shape(answer(B, D), B.shape, "the aligned codes")
    columns = {tuple(c) for c in D.T} | {tuple(-c) for c in D.T}
    used = {tuple(c * c[0]) for c in aligned.T}
    if not {tuple(c) for c in aligned.T} <= columns or len(used) < 3:
        raise Wrong("A column of D is used twice: each has to be used once, so assign them.")
    close(aligned[:, [0, 2]], D[:, [0, 2]], "Another assignment has more entries in common.")


@exercise("hashing/quantization/collapse")
def collapse(answer: Answer) -> None:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(50, 4))
    Y = X @ rng.normal(size=(4, 3)) + rng.normal(size=(50, 3))
    B = shape(answer(X, Y, 5, 1.0, 3), (50, 5), "the codes")
    if not np.isin(B, (-1, 1)).all():
        raise Wrong("Return the codes, with entries -1 and +1.")
    if len({tuple(c) for c in B.T}) > 1:
        raise Wrong("The bits differ: start from equal directions, and solve by least squares.")
    W, V = np.ones((4, 1)), np.ones((3, 1))
    for _ in range(3):
        v, w = X @ W, Y @ V
        equal = 1 + np.abs(v + w) - np.abs(v - w) >= 0
        b = _sign(np.where(equal, v + w, v - w))
        d = np.where(equal, b, -b)
        W, V = (np.linalg.lstsq(Z, t, rcond=None)[0] for Z, t in ((X, b), (Y, d)))
    if np.array_equal(B[:, :1], _sign(X @ W)) and not np.array_equal(B[:, :1], b):
        raise Wrong("Return the codes of the last sweep, not the signs of the last scores.")
    close(B, np.repeat(b, 5, axis=1), "The bits are equal, but not those of three sweeps.")


@exercise("hashing/quantization/statements")
def facts(answer: Answer) -> None:
    right = {
        "ACQ with gamma 1 has one code a pair": (
            True,
            "both codes are then the sign of the same sum",
        ),
        "learnt codes may be used for queries": (
            False,
            "a learnt code has seen the item's partner, and a query has none",
        ),
        "a large lambda in QCH makes codes agree": (
            False,
            "lambda weighs the quantisation errors, so a large one makes agreement count less",
        ),
        "IMVH needs equal numbers of bits in both views": (
            True,
            "a permutation matches each bit with exactly one other",
        ),
        "a lower quantisation error means better retrieval": (
            False,
            "with a large lambda QCH quantises better and retrieves worse",
        ),
    }
    statements(answer, right)
