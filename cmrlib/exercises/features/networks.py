"""Checks for the exercises of the chapter on convolutional networks."""

from __future__ import annotations

import numpy as np

from cmrlib.exercises import Answer, Wrong, close, exercise, number, shape


@exercise("features/networks/output_side")
def output_side(answer: Answer) -> None:
    for arguments, expected in (
        ((10, 3, 1, 0), 8),
        ((10, 3, 1, 1), 10),
        ((224, 11, 4, 2), 55),
        ((55, 3, 2, 0), 27),
    ):
        side, f, stride, padding = arguments
        got = number(answer(*arguments))
        case = f"({side}, {f}, stride {stride}, padding {padding})"
        if padding and got == (side + padding - f) // stride + 1:
            raise Wrong(f"Padding adds a rim at both ends of the map; for {case} count it twice.")
        if got == expected - 1:
            raise Wrong(f"One place is missing for {case}: a filter as large as the map fits once.")
        if got != int(got):
            raise Wrong(f"For {case} a step at the end does not fit any more: round down.")
        if got != expected:
            raise Wrong(f"For {case} the map has side {expected}, not {got:g}.")


@exercise("features/networks/cost")
def cost(answer: Answer) -> None:
    got = shape(answer(3, 64, 11, 55), (2,), "the pair (parameters, multiply-adds)")
    n_weights = 3 * 64 * 11**2
    if got[0] == n_weights:
        raise Wrong("The biases are missing: every filter has one.")
    if got[0] == n_weights // 3 + 64:
        raise Wrong("A filter spans all incoming maps: it has c_in f² weights, not f².")
    if got[0] != n_weights + 64:
        raise Wrong("Parameters: c_out filters of c_in f² weights and one bias each.")
    if got[1] == n_weights:
        raise Wrong("Each weight works at every place of the map: multiply by their number, side².")
    if got[1] == n_weights * 55:
        raise Wrong("A map has side² places, not side.")
    close(got[1], n_weights * 55**2, "Multiply-adds: the weights, without biases, times side².")


@exercise("features/networks/im2col")
def im2col(answer: Answer) -> None:
    rng = np.random.default_rng(0)
    maps = rng.normal(size=(2, 5, 6))
    got = np.asarray(answer(maps.copy(), 3))
    expected = _columns(maps, 3)
    if got.shape == expected.T.shape:
        raise Wrong("The windows are rows here: make each one a column.")
    got = shape(got, (18, 12), "the columns of two maps of 5 x 6 under a 3 x 3 filter")
    if np.allclose(got, expected.reshape(2, 9, 12).transpose(1, 0, 2).reshape(18, 12)):
        raise Wrong(
            "The order in a column is (place, channel): all places of channel 0 come first."
        )
    if np.allclose(np.sort(got, axis=None), np.sort(expected, axis=None)):
        wrong = "The right numbers, in other places: column u w' + v is the window at (u, v), and"
        close(got, expected, f"{wrong} in it come channel 0 row by row, then channel 1.")
    close(got, expected, "Column u w' + v must hold the window at (u, v).")


@exercise("features/networks/receptive_field")
def receptive_field(answer: Answer) -> None:
    for layers, expected in (
        ([(3, 1)], 3),
        ([(3, 1), (3, 1)], 5),
        ([(3, 1), (3, 1), (3, 1)], 7),
        ([(3, 1), (4, 2)], 6),
        ([(2, 2), (3, 1)], 6),
        ([(3, 1), (2, 2), (3, 2), (3, 1)], 16),
    ):
        got = number(answer(list(layers)))
        if got == sum(side for side, _ in layers) and len(layers) > 1:
            raise Wrong("Neighbouring windows overlap: a layer adds side - 1 places, not side.")
        if got == 1 + sum(side - 1 for side, _ in layers) != expected:
            raise Wrong(
                "After a stride of 2, a step of one place is two pixels: multiply by the strides "
                "of the layers before."
            )
        if got == 1 + _spread(layers, own=True) != expected:
            raise Wrong(
                "A layer's own stride widens the steps of the layers after it, not its own."
            )
        if got != expected:
            raise Wrong(
                f"For (side, stride) = {layers} a value sees {expected} pixels, not {got:g}."
            )


def _spread(layers: list[tuple[int, int]], own: bool) -> int:
    total, step = 0, 1
    for side, stride in layers:
        total += (side - 1) * (step * stride if own else step)
        step *= stride
    return total


@exercise("features/networks/gradients")
def gradients(answer: Answer) -> None:
    rng = np.random.default_rng(0)
    maps, filters = rng.normal(size=(2, 5, 6)), rng.normal(size=(4, 2, 3, 3))
    G = rng.normal(size=(4, 3, 4))
    result = answer(maps.copy(), filters.copy(), G.copy())
    if not isinstance(result, tuple) or len(result) != 2:
        raise Wrong("Return a pair: the gradient in the maps, then that in the filters.")
    in_filters = shape(result[1], filters.shape, "the gradient in the filters")
    right = np.zeros_like(filters)
    right_maps = np.zeros_like(maps)
    for m, u, v in np.ndindex(G.shape):
        right[m] += G[m, u, v] * maps[:, u : u + 3, v : v + 3]
        right_maps[:, u : u + 3, v : v + 3] += G[m, u, v] * filters[m]
    if np.allclose(in_filters, right / G[0].size):
        raise Wrong("The filters' gradient is a sum over all places, not a mean.")
    close(in_filters, right, "In the filters: the sum over (u, v) of G[m,u,v] times the window.")
    in_maps = shape(result[0], maps.shape, "the gradient in the maps")
    last = np.zeros_like(maps)
    for u, v in np.ndindex(G.shape[1:]):
        last[:, u : u + 3, v : v + 3] = np.einsum("m,mcij->cij", G[:, u, v], filters)
    if np.allclose(in_maps, last):
        raise Wrong("A pixel is in several windows: add their shares (+=), do not overwrite them.")
    close(in_maps, right_maps, "In the maps: to each window, add the sum over m of G[m,u,v] F[m].")


@exercise("features/networks/early_stop")
def early_stop(answer: Answer) -> None:
    losses = [2.0, 1.5, 1.4, 1.6, 1.45, 1.3, 1.35, 1.32, 1.5, 1.4, 1.1]
    kept, stopped = shape(answer(list(losses), 3), (2,), "the pair (kept, stopped)")
    if (kept, stopped) == (10, 10):
        raise Wrong(
            "The loss of epoch 10 is never seen: after three epochs in vain, training stops."
        )
    if kept == stopped == 8:
        raise Wrong("The weights to keep are those of the best epoch, not of the last one.")
    if (kept, stopped) == (2, 3):
        raise Wrong("One bad epoch does not end it: wait until `patience` epochs brought nothing.")
    if (kept, stopped) == (5, 9):
        raise Wrong("That is one epoch too long: epochs 6, 7 and 8 are three without a new best.")
    if (kept, stopped) != (5, 8):
        raise Wrong(
            "The best is epoch 5 (from 0), and 6, 7, 8 bring nothing better: return (5, 8)."
        )
    falling = shape(answer([3.0, 2.0, 1.0], 2), (2,))
    close(falling, (2, 2), "If the loss keeps falling, training ends with the last epoch given.")
    tie = shape(answer([1.0, 1.0, 1.0, 0.5], 2), (2,))
    close(tie, (0, 2), "An equal loss is not a better one: patience runs on, the first is kept.")


def _columns(maps: np.ndarray, side: int) -> np.ndarray:
    places = np.ndindex(maps.shape[1] - side + 1, maps.shape[2] - side + 1)
    return np.stack([maps[:, u : u + side, v : v + side].ravel() for u, v in places], axis=1)
