"""Checks for the exercises of the chapter on recurrent encoders."""

from __future__ import annotations

import numpy as np

from cmrlib.exercises import Answer, Wrong, close, exercise, number, shape


@exercise("features/recurrent/last-states")
def last_states(answer: Answer) -> None:
    H = np.random.default_rng(0).normal(size=(3, 4, 5))
    lengths = np.array([4, 1, 2])
    got = shape(answer(H.copy(), lengths.copy()), (3, 5))
    expected = np.stack([H[i, n - 1] for i, n in enumerate(lengths)])
    if np.allclose(got, H[:, -1]):
        raise Wrong("H[:, -1] is the last column, which is padding for the shorter texts.")
    if np.allclose(got[1:], [H[1, 1], H[2, 2]]):
        raise Wrong("That is one step too late: the last of k states has number k - 1.")
    if np.allclose(got, [H[i, :n].mean(axis=0) for i, n in enumerate(lengths)]):
        raise Wrong("That is the mean of the real states; the last one alone is asked for.")
    close(got, expected, "Row i must be state lengths[i] - 1 of text i.")


@exercise("features/recurrent/memory")
def memory(answer: Answer) -> None:
    for steps in (2, 1, 50):
        b = number(answer(steps), f"forget_bias({steps})")
        f = 0.5 ** (1 / steps)
        if steps == 2 and np.isclose(b, f):
            raise Wrong("That is the gate f; the bias is what the sigmoid turns into f.")
        if steps == 2 and np.isclose(b, np.log(3)):
            raise Wrong("Half of the cell is lost in all, not half of 1 / steps at each step.")
        if steps == 2 and np.isclose(b, -np.log(f / (1 - f))):
            raise Wrong("The sign is wrong: with this bias the gate is 1 - f.")
        left = (1 / (1 + np.exp(-b))) ** steps
        close(left, 0.5, f"After {steps} words half must be left, but it is {left:.3g}.")


@exercise("features/recurrent/clip")
def clip(answer: Answer) -> None:
    gradients = [np.array([[3.0, 0.0], [0.0, -4.0]]), np.array([12.0])]  # together 13 long
    given = [g.copy() for g in gradients]
    got = list(answer(given, 1.3))
    if len(got) != 2:
        raise Wrong(f"Return as many arrays as there were, 2; got {len(got)}.")
    if any((a != b).any() for a, b in zip(given, gradients, strict=True)):
        raise Wrong("The function changes its argument: return new arrays.")
    got = [shape(a, g.shape) for a, g in zip(got, gradients, strict=True)]
    norms = [np.linalg.norm(a) for a in got]
    if np.allclose(norms, 1.3):
        raise Wrong("Each array was shortened by itself: the length takes all of them together.")
    if all(np.allclose(a, np.clip(g, -1.3, 1.3)) for a, g in zip(got, gradients, strict=True)):
        raise Wrong("Cutting off large entries turns the gradient: multiply all by one number.")
    for a, g in zip(got, gradients, strict=True):
        close(a, g / 10, "The gradient is 13 long: with max_norm 1.3, all becomes a tenth.")
    for a, g in zip(answer(gradients, 20.0), gradients, strict=True):
        close(a, g, "A gradient shorter than max_norm stays as it is; it is not lengthened.")


@exercise("features/recurrent/both-ends")
def both_ends(answer: Answer) -> None:
    X = np.random.default_rng(0).normal(size=(4, 3))

    def there(X: np.ndarray) -> np.ndarray:
        return np.cumsum(X, axis=0)

    def back(X: np.ndarray) -> np.ndarray:
        return np.cumsum(2 * X, axis=0)

    got = shape(answer(X.copy(), there, back), (4, 6), "the states (T, 2h)")
    backward = back(X[::-1])
    if np.allclose(got, np.hstack([there(X), back(X)])):
        raise Wrong("Both networks read from the first word: turn the text round for the second.")
    if np.allclose(got, np.hstack([there(X), backward])):
        raise Wrong(
            "Row 0 joins the first word with the state of the last: turn the states back as well."
        )
    if np.allclose(got, np.hstack([backward[::-1], there(X)])):
        raise Wrong("The halves are exchanged: the network that reads from the start comes first.")
    expected = np.hstack([there(X), backward[::-1]])
    close(got, expected, "Row t is [there at t ; back at t], each with its own network.")


@exercise("features/recurrent/next")
def next_character(answer: Answer) -> None:
    scores = np.random.default_rng(0).normal(size=(4, 5))
    ids, end = np.array([2, 0, 3, 1]), 4
    got = number(answer(scores.copy(), ids.copy(), end))
    logs = scores - np.log(np.exp(scores).sum(axis=1, keepdims=True))
    rows = np.arange(4)
    right = -logs[rows, [0, 3, 1, 4]].mean()
    if np.isclose(got, -logs[rows, ids].mean()):
        raise Wrong("That predicts the character that was just read: shift ids by one.")
    if np.isclose(got, -logs[rows[:3], ids[1:]].mean()):
        raise Wrong("The end is missing: after the last character, end is to be predicted.")
    if np.isclose(got, -logs[rows, [4, 2, 0, 3]].mean()):
        raise Wrong("That predicts the previous character, not the next.")
    if np.isclose(got, 4 * right):
        raise Wrong("That is the sum over the predictions: take the mean.")
    if np.isclose(got, right / np.log(2)):
        raise Wrong("That is in bits: nats take the natural logarithm.")
    if np.isclose(got, -right):
        raise Wrong("The sign is wrong: a cross-entropy is positive.")
    if np.isclose(got, -scores[rows, [0, 3, 1, 4]].mean()):
        raise Wrong("Scores are not log-probabilities yet: subtract the log of the sum of e^score.")
    close(got, right, "It is the mean of -log p(next character) over T predictions.")


@exercise("features/recurrent/bptt")
def backpropagation(answer: Answer) -> None:
    rng = np.random.default_rng(0)
    U, H, g = rng.normal(size=(3, 3)), np.tanh(rng.normal(size=(4, 3))), rng.normal(size=3)
    got = shape(answer(H.copy(), U.copy(), g.copy()), (3,), "the gradient")

    def chain(states: np.ndarray, U: np.ndarray, slope: bool = True) -> np.ndarray:
        J = np.eye(3)
        for h in states:
            J = np.diag(1 - h**2 if slope else np.ones(3)) @ U @ J
        gradient: np.ndarray = J.T @ g
        return gradient

    if np.allclose(got, chain(H, U, slope=False)):
        raise Wrong("The derivative of tanh, 1 - h², is missing.")
    if np.allclose(got, chain(H[::-1], U)):
        raise Wrong("The steps are taken in the wrong order: go from the last to the first.")
    if np.allclose(got, chain(H, U.T)):
        raise Wrong("U is not transposed: a gradient goes back through Uᵀ.")
    if np.allclose(got, chain(H[1:], U)):
        raise Wrong("One step is missing: T states are T steps, the first from h_0 to h_1.")
    close(got, chain(H, U), "Step by step, from the last: g becomes Uᵀ ((1 - h_t²) g).")
