"""Networks that turn features, pictures and word sequences into codes."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from math import prod

import torch
from torch import Tensor, nn


def mlp(
    widths: Sequence[int], activation: type[nn.Module] = nn.ReLU, dropout: float = 0.0
) -> nn.Sequential:
    """Return fully connected layers, with an activation between them but not after the last.

    Parameters
    ----------
    widths : sequence of int
        Input, hidden widths, output; two of them make one linear layer.
    activation : type of Module, default=ReLU
    dropout : float in [0, 1), default=0
        Share of hidden units that is switched off in training.
    """
    layers: list[nn.Module] = []
    for units, following in pairwise(widths):
        layers += [nn.Linear(units, following), activation()]
        if dropout:
            layers.append(nn.Dropout(dropout))
    keep = len(layers) - (2 if dropout else 1)
    return nn.Sequential(*layers[:keep])


class PictureNetwork(nn.Module):
    """Convolutions of 3 x 3 that halve the picture, and a linear layer over what is left.

    Parameters
    ----------
    shape : (channels, height, width)
        Of a picture; it comes as a row of channels * height * width numbers.
    n_outputs : int
    channels : sequence of int, default=(16, 32, 64)
        Of each convolution. Group normalisation, in which no picture feels its batch mates, and
        ReLU follow it.
    """

    def __init__(
        self, shape: Sequence[int], n_outputs: int, channels: Sequence[int] = (16, 32, 64)
    ) -> None:
        super().__init__()
        self.shape = tuple(shape)
        layers: list[nn.Module] = []
        for c, following in pairwise((self.shape[0], *channels)):
            layers += [
                nn.Conv2d(c, following, 3, stride=2, padding=1),
                nn.GroupNorm(1, following),
                nn.ReLU(),
            ]
        self.convolutions = nn.Sequential(*layers, nn.Flatten())
        with torch.no_grad():
            n_left = self.convolutions(torch.zeros(1, *self.shape)).shape[1]
        self.head = nn.Linear(n_left, n_outputs)

    def forward(self, X: Tensor) -> Tensor:
        """Map pictures (n, channels * height * width) to (n, n_outputs)."""
        codes: Tensor = self.head(self.convolutions(X.reshape(-1, *self.shape)))
        return codes


class WordNetwork(nn.Module):
    """Convolutions over neighbouring words, and the maximum over the sentence.

    Parameters
    ----------
    shape : (length, width)
        Words of the longest sentence and numbers that stand for a word (one-hot, or a word
        vector). A sentence comes as a row of length * width numbers; words of all zeros are
        padding and change nothing.
    n_outputs : int
    n_filters : int, default=64
        Of each width of window.
    windows : sequence of int, default=(1, 2, 3)
        Neighbouring words that a filter sees.
    """

    def __init__(
        self,
        shape: Sequence[int],
        n_outputs: int,
        n_filters: int = 64,
        windows: Sequence[int] = (1, 2, 3),
    ) -> None:
        super().__init__()
        self.shape = tuple(shape)
        self.convolutions = nn.ModuleList(
            nn.Conv1d(self.shape[1], n_filters, window, padding=window - 1, bias=False)
            for window in windows
        )
        self.head = nn.Linear(n_filters * len(windows), n_outputs)

    def forward(self, Y: Tensor) -> Tensor:
        """Map sentences (n, length * width) to (n, n_outputs)."""
        words = Y.reshape(-1, *self.shape).transpose(1, 2)  # (n, width, length)
        # a window that sees padding alone gives exactly 0 after ReLU, which no maximum notices
        found = [convolution(words).relu().amax(dim=2) for convolution in self.convolutions]
        codes: Tensor = self.head(torch.cat(found, dim=1))
        return codes


def encoder_pair(
    p: int,
    q: int,
    n_components: int,
    *,
    hidden: Sequence[int] = (),
    dropout: float = 0.0,
    image_shape: Sequence[int] | None = None,
    text_shape: Sequence[int] | None = None,
) -> nn.ModuleDict:
    """Return networks "image" and "text" that map both modalities to one space.

    Parameters
    ----------
    p, q : int
        Columns of the images and of the texts.
    n_components : int
        Outputs of both networks.
    hidden : sequence of int, default=()
        Widths of the hidden layers of a network that reads features.
    dropout : float, default=0
        Share of these hidden units that is switched off in training.
    image_shape : (channels, height, width), optional
        Read pictures with a :class:`PictureNetwork`.
    text_shape : (length, width), optional
        Read sentences with a :class:`WordNetwork`.
    """
    image = (
        mlp((p, *hidden, n_components), dropout=dropout)
        if image_shape is None
        else PictureNetwork(image_shape, n_components)
    )
    text = (
        mlp((q, *hidden, n_components), dropout=dropout)
        if text_shape is None
        else WordNetwork(text_shape, n_components)
    )
    return nn.ModuleDict({"image": image, "text": text})


def check_shape(shape: Sequence[int] | None, width: int, name: str, n_axes: int) -> None:
    """Refuse a shape of pictures or sentences that does not hold the features.

    Raises
    ------
    ValueError
        If there are not `n_axes` sizes, or their product is not `width`.
    """
    if shape is not None and (len(shape) != n_axes or prod(shape) != width):
        raise ValueError(
            f"{name}_shape={tuple(shape)} must be {n_axes} numbers whose product is the "
            f"{width} columns of {name}."
        )
