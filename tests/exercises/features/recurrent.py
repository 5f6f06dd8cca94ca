"""Plausible wrong answers to the exercises of the chapter on recurrent encoders."""

import numpy as np


def last_column(H, lengths):
    return H[:, -1]


def one_too_late(H, lengths):
    return H[np.arange(len(H)), np.minimum(lengths, H.shape[1] - 1)]


def mean_state(H, lengths):
    return np.stack([H[i, :n].mean(axis=0) for i, n in enumerate(lengths)])


def every_pair(H, lengths):
    return H[:, lengths - 1]


def gate_itself(steps):
    return 0.5 ** (1 / steps)


def half_of_each_step(steps):
    f = 1 - 0.5 / steps
    return np.log(f / (1 - f))


def sign_of_bias(steps):
    f = 0.5 ** (1 / steps)
    return np.log((1 - f) / f)


def half_at_each_step(steps):
    return 0.0


def clip_each(gradients, max_norm):
    return [g * min(1, max_norm / np.linalg.norm(g)) for g in gradients]


def clip_entries(gradients, max_norm):
    return [np.clip(g, -max_norm, max_norm) for g in gradients]


def clip_always(gradients, max_norm):
    length = np.sqrt(sum(np.sum(g**2) for g in gradients))
    return [g * max_norm / length for g in gradients]


def clip_by_square(gradients, max_norm):
    length = sum(np.sum(g**2) for g in gradients)
    return [g * min(1, max_norm / length) for g in gradients]


def clip_in_place(gradients, max_norm):
    length = np.sqrt(sum(np.sum(g**2) for g in gradients))
    for g in gradients:
        g *= min(1, max_norm / length)
    return gradients


def both_from_the_start(X, read_there, read_back):
    return np.hstack([read_there(X), read_back(X)])


def states_not_turned_back(X, read_there, read_back):
    return np.hstack([read_there(X), read_back(X[::-1])])


def halves_exchanged(X, read_there, read_back):
    return np.hstack([read_there(X[::-1])[::-1], read_back(X)])


def stacked(X, read_there, read_back):
    return np.vstack([read_there(X), read_back(X[::-1])[::-1]])


def same_network_twice(X, read_there, read_back):
    return np.hstack([read_there(X), read_there(X[::-1])[::-1]])


def log_probabilities(scores):
    return scores - np.log(np.exp(scores).sum(axis=1, keepdims=True))


def predicts_itself(scores, ids, end):
    return -np.mean(log_probabilities(scores)[np.arange(len(ids)), ids])


def without_end(scores, ids, end):
    return -np.mean(log_probabilities(scores)[np.arange(len(ids) - 1), ids[1:]])


def predicts_previous(scores, ids, end):
    wanted = np.append(end, ids[:-1])
    return -np.mean(log_probabilities(scores)[np.arange(len(ids)), wanted])


def sums(scores, ids, end):
    return -np.sum(log_probabilities(scores)[np.arange(len(ids)), np.append(ids[1:], end)])


def in_bits(scores, ids, end):
    return sums(scores, ids, end) / len(ids) / np.log(2)


def without_softmax(scores, ids, end):
    return -np.mean(scores[np.arange(len(ids)), np.append(ids[1:], end)])


def without_slope(H, U, g):
    for _ in H:
        g = U.T @ g
    return g


def from_the_first(H, U, g):
    for h in H:
        g = U.T @ ((1 - h**2) * g)
    return g


def without_transpose(H, U, g):
    for h in H[::-1]:
        g = U @ ((1 - h**2) * g)
    return g


def slope_after_u(H, U, g):
    for h in H[::-1]:
        g = (1 - h**2) * (U.T @ g)
    return g


def one_step_short(H, U, g):
    for h in H[:0:-1]:
        g = U.T @ ((1 - h**2) * g)
    return g


WRONG = {
    "features/recurrent/last-states": [
        (last_column, "padding for the shorter texts"),
        (one_too_late, "one step too late"),
        (mean_state, "the mean of the real states"),
        (every_pair, "to have shape (3, 5)"),
    ],
    "features/recurrent/memory": [
        (gate_itself, "That is the gate f"),
        (half_of_each_step, "not half of 1 / steps"),
        (sign_of_bias, "The sign is wrong"),
        (half_at_each_step, "After 2 words half must be left"),
    ],
    "features/recurrent/clip": [
        (clip_each, "takes all of them together"),
        (clip_entries, "turns the gradient"),
        (clip_always, "not lengthened"),
        (clip_by_square, "all becomes a tenth"),
        (clip_in_place, "changes its argument"),
    ],
    "features/recurrent/both-ends": [
        (both_from_the_start, "turn the text round"),
        (states_not_turned_back, "turn the states back"),
        (halves_exchanged, "each with its own network"),
        (stacked, "to have shape (4, 6)"),
        (same_network_twice, "each with its own network"),
    ],
    "features/recurrent/next": [
        (predicts_itself, "just read"),
        (without_end, "The end is missing"),
        (predicts_previous, "the previous character"),
        (sums, "take the mean"),
        (in_bits, "That is in bits"),
        (without_softmax, "not log-probabilities"),
    ],
    "features/recurrent/bptt": [
        (without_slope, "1 - h², is missing"),
        (from_the_first, "wrong order"),
        (without_transpose, "not transposed"),
        (slope_after_u, "Step by step"),
        (one_step_short, "One step is missing"),
    ],
}
