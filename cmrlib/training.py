"""The one training loop: mini-batches, a validation part, and early stopping on it alone."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from math import ceil

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from tqdm import tqdm

Rows = NDArray[np.intp]
History = dict[str, list[float]]


def validation_split(n: int, size: float, rng: np.random.RandomState) -> tuple[Rows, Rows]:
    """Return the row numbers that are learnt from, and those that are set aside.

    Parameters
    ----------
    n : int
        Training pairs.
    size : float
        Share to set aside; at least 2 pairs are.
    rng : RandomState

    Raises
    ------
    ValueError
        If fewer than 2 pairs would remain.
    """
    n_validation = max(2, round(size * n))
    if n - n_validation < 2:
        raise ValueError(
            f"{n} pairs are too few to set {n_validation} aside for validation; "
            "at least 2 must remain to learn from."
        )
    order: Rows = rng.permutation(n)
    return order[n_validation:], order[:n_validation]


@contextmanager
def seeded(rng: np.random.RandomState) -> Iterator[None]:
    """Let torch draw from a seed of `rng`, and put its own state back afterwards."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(rng.randint(2**31))
        yield


def train(
    networks: nn.Module,
    step: Callable[[Rows, float], dict[str, float]],
    validate: Callable[[], dict[str, float]],
    *,
    n: int,
    batch_size: int,
    max_epochs: int,
    patience: int,
    rng: np.random.RandomState,
    name: str = "",
    verbose: bool = False,
) -> tuple[History, int]:
    """Train until the validation score stops rising; leave the networks as they were at its best.

    Parameters
    ----------
    networks : Module
        All that is trained; in training mode during ``step``, in evaluation mode in ``validate``.
    step : callable(rows, progress) -> dict of str to float
        Learns from the training items of these row numbers and returns what to remember, such as
        the terms of the loss. `progress` runs from 0 at the first step to 1 at the last there
        could be.
    validate : callable() -> dict of str to float
        Called after each epoch without gradients. Its entry "validation" is the score, larger is
        better; others are only remembered.
    n : int
        Training items.
    batch_size : int
        At most so many a batch; batches of an epoch differ in size by one at most.
    max_epochs, patience : int
        Epochs in all; epochs without a better score before it stops.
    rng : RandomState
        Shuffles the items.
    name : str
        Shown before the progress bar.
    verbose : bool, default=False
        Show a progress bar.

    Returns
    -------
    history : dict of str to list of float
        A number an epoch: means over the steps, and what ``validate`` returned.
    best_epoch : int
        The epoch the networks are from, counted from 0.

    Raises
    ------
    FloatingPointError
        If the validation score is not finite: the training has diverged.
    """
    n_batches = ceil(n / batch_size)
    history: History = {}
    best, best_epoch = -np.inf, 0
    epochs = tqdm(range(max_epochs), desc=name, disable=not verbose)
    for epoch in epochs:
        networks.train()
        batches = np.array_split(rng.permutation(n), n_batches)
        last = max(1, max_epochs * n_batches - 1)
        steps = [step(rows, (epoch * n_batches + i) / last) for i, rows in enumerate(batches)]
        networks.eval()
        with torch.no_grad():
            scores = validate()
        means = {key: float(np.mean([terms[key] for terms in steps])) for key in steps[0]}
        for key, value in {**means, **scores}.items():
            history.setdefault(key, []).append(value)
        epochs.set_postfix(validation=scores["validation"])
        if not np.isfinite(scores["validation"]):
            raise FloatingPointError(
                f"the training of {name or 'the networks'} diverged in epoch {epoch}; "
                "use a smaller learning_rate."
            )
        if scores["validation"] > best:
            best, best_epoch = scores["validation"], epoch
            best_state = copy.deepcopy(networks.state_dict())
        elif epoch - best_epoch >= patience:
            break
    networks.load_state_dict(best_state)
    return history, best_epoch
