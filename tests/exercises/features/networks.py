"""Wrong answers to the exercises on convolutional networks, and the reason each must get."""

import numpy as np


def side_without_one(side, f, stride, padding):
    return (side + 2 * padding - f) // stride


def side_padded_once(side, f, stride, padding):
    return (side + padding - f) // stride + 1


def side_not_rounded(side, f, stride, padding):
    return (side + 2 * padding - f) / stride + 1


def side_rounded_up(side, f, stride, padding):
    return -(-(side + 2 * padding - f) // stride) + 1


def cost_without_biases(c_in, c_out, f, side):
    return c_in * c_out * f**2, c_in * c_out * f**2 * side**2


def cost_of_flat_filters(c_in, c_out, f, side):
    return c_out * f**2 + c_out, c_out * f**2 * side**2


def cost_of_one_place(c_in, c_out, f, side):
    return c_in * c_out * f**2 + c_out, c_in * c_out * f**2


def cost_of_one_row(c_in, c_out, f, side):
    return c_in * c_out * f**2 + c_out, c_in * c_out * f**2 * side


def cost_with_biases_as_work(c_in, c_out, f, side):
    n = c_in * c_out * f**2 + c_out
    return n, n * side**2


def windows(maps, f):
    return np.lib.stride_tricks.sliding_window_view(maps, (f, f), axis=(1, 2))


def columns_as_rows(maps, f):
    return windows(maps, f).transpose(1, 2, 0, 3, 4).reshape(-1, len(maps) * f * f)


def columns_by_reshape(maps, f):
    return windows(maps, f).reshape(len(maps) * f * f, -1)


def columns_channels_last(maps, f):
    return windows(maps, f).transpose(3, 4, 0, 1, 2).reshape(len(maps) * f * f, -1)


def columns_transposed(maps, f):
    return windows(maps, f).transpose(0, 4, 3, 1, 2).reshape(len(maps) * f * f, -1)


def field_as_sum(layers):
    return sum(side for side, _ in layers)


def field_without_strides(layers):
    return 1 + sum(side - 1 for side, _ in layers)


def field_with_own_stride(layers):
    field, step = 1, 1
    for side, stride in layers:
        step *= stride
        field += (side - 1) * step
    return field


def field_from_the_end(layers):
    field, step = 1, 1
    for side, stride in reversed(layers):
        field += (side - 1) * step
        step *= stride
    return field


def one_array(maps, filters, G):
    return np.einsum("cuvij,muv->mcij", windows(maps, 3), G)


def in_filters_of(maps, G):
    return np.einsum("cuvij,muv->mcij", windows(maps, 3), G)


def gradients_as_mean(maps, filters, G):
    return maps, in_filters_of(maps, G) / G[0].size


def gradients_overwritten(maps, filters, G):
    in_maps = np.zeros_like(maps)
    for u, v in np.ndindex(G.shape[1:]):
        in_maps[:, u : u + 3, v : v + 3] = np.einsum("m,mcij->cij", G[:, u, v], filters)
    return in_maps, in_filters_of(maps, G)


def gradients_flipped(maps, filters, G):
    in_maps = np.zeros_like(maps)
    for u, v in np.ndindex(G.shape[1:]):
        flipped = filters[:, :, ::-1, ::-1]
        in_maps[:, u : u + 3, v : v + 3] += np.einsum("m,mcij->cij", G[:, u, v], flipped)
    return in_maps, in_filters_of(maps, G)


def gradients_of_the_valid_part(maps, filters, G):
    return np.einsum("muv,mcij->cuv", G, filters), in_filters_of(maps, G)


def stop_never(losses, patience):
    return int(np.argmin(losses)), len(losses) - 1


def stop_and_keep_the_last(losses, patience):
    best = 0
    for epoch, loss in enumerate(losses):
        if loss < losses[best]:
            best = epoch
        elif epoch - best >= patience:
            return epoch, epoch
    return len(losses) - 1, len(losses) - 1


def stop_at_the_first_rise(losses, patience):
    for epoch in range(1, len(losses)):
        if losses[epoch] >= losses[epoch - 1]:
            return epoch - 1, epoch
    return len(losses) - 1, len(losses) - 1


def stop_one_late(losses, patience):
    best = 0
    for epoch, loss in enumerate(losses):
        if loss < losses[best]:
            best = epoch
        elif epoch - best > patience:
            return best, epoch
    return best, len(losses) - 1


def stop_with_equal_as_better(losses, patience):
    best = 0
    for epoch, loss in enumerate(losses):
        if loss <= losses[best]:
            best = epoch
        elif epoch - best >= patience:
            return best, epoch
    return best, len(losses) - 1


WRONG = {
    "features/networks/output_side": [
        (side_without_one, "One place is missing"),
        (side_padded_once, "a rim at both ends"),
        (side_not_rounded, "round down"),
        (side_rounded_up, "has side 55, not 56"),
    ],
    "features/networks/cost": [
        (cost_without_biases, "The biases are missing"),
        (cost_of_flat_filters, "spans all incoming maps"),
        (cost_of_one_place, "at every place of the map"),
        (cost_of_one_row, "not side"),
        (cost_with_biases_as_work, "without biases, times"),
    ],
    "features/networks/im2col": [
        (columns_as_rows, "The windows are rows"),
        (columns_by_reshape, "in other places"),
        (columns_channels_last, "all places of channel 0 come first"),
        (columns_transposed, "in other places"),
    ],
    "features/networks/receptive_field": [
        (field_as_sum, "windows overlap"),
        (field_without_strides, "a step of one place is two pixels"),
        (field_with_own_stride, "of the layers after it"),
        (field_from_the_end, "sees 6 pixels, not 8"),
    ],
    "features/networks/gradients": [
        (one_array, "Return a pair"),
        (gradients_as_mean, "a sum over all places"),
        (gradients_overwritten, "do not overwrite"),
        (gradients_flipped, "In the maps: to each window"),
        (gradients_of_the_valid_part, "to have shape (2, 5, 6), got (2, 3, 4)"),
    ],
    "features/networks/early_stop": [
        (stop_never, "is never seen"),
        (stop_and_keep_the_last, "not of the last one"),
        (stop_at_the_first_rise, "One bad epoch does not end it"),
        (stop_one_late, "one epoch too long"),
        (stop_with_equal_as_better, "An equal loss is not a better one"),
    ],
}
