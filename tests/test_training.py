"""The training loop: what it shuffles, when it stops, what it keeps."""

import numpy as np
import pytest
import torch
from torch import nn

from cmrlib.training import seeded, train, validation_split


def rng():
    return np.random.RandomState(0)


def test_validation_split_is_a_partition():
    learn, held_out = validation_split(50, 0.1, rng())
    assert len(held_out) == 5
    assert sorted([*learn, *held_out]) == list(range(50))


def test_validation_split_keeps_two_on_either_side():
    learn, held_out = validation_split(4, 0.1, rng())
    assert len(learn) == len(held_out) == 2
    with pytest.raises(ValueError, match="3 pairs are too few to set 2 aside"):
        validation_split(3, 0.1, rng())


def test_seeded_draws_from_the_generator_and_restores_torch():
    torch.manual_seed(7)
    before = torch.get_rng_state()
    with seeded(rng()):
        first = torch.rand(3)
    assert torch.equal(torch.get_rng_state(), before)
    with seeded(rng()):
        assert torch.equal(torch.rand(3), first)


class Recorder:
    """A single weight that counts steps, and validation scores from a list."""

    def __init__(self, scores):
        self.network = nn.Linear(1, 1)
        with torch.no_grad():
            self.network.weight.zero_()
        self.scores, self.rows, self.progress, self.modes = list(scores), [], [], []

    def step(self, rows, progress):
        self.rows.append(rows)
        self.progress.append(progress)
        self.modes.append(self.network.training)
        with torch.no_grad():
            self.network.weight += 1
        return {"loss": float(len(self.rows))}

    def validate(self):
        assert not self.network.training
        assert not torch.is_grad_enabled()
        return {"validation": self.scores[len(self.rows) // 2 - 1], "extra": 5.0}

    def run(self, max_epochs, patience):
        return train(
            self.network,
            self.step,
            self.validate,
            n=7,
            batch_size=4,
            max_epochs=max_epochs,
            patience=patience,
            rng=rng(),
        )


def test_every_item_once_an_epoch_in_another_order():
    recorder = Recorder([1, 2, 3])
    recorder.run(max_epochs=3, patience=3)
    assert [len(rows) for rows in recorder.rows] == [4, 3] * 3
    epochs = [np.concatenate(recorder.rows[i : i + 2]) for i in (0, 2, 4)]
    assert all(sorted(epoch) == list(range(7)) for epoch in epochs)
    assert not np.array_equal(epochs[0], epochs[1])
    assert all(recorder.modes)
    np.testing.assert_allclose(recorder.progress, np.linspace(0, 1, 6))


def test_stops_after_patience_and_returns_to_the_best_epoch():
    recorder = Recorder([1, 3, 2, 3, 2, 9])  # an equal score is no better one
    history, best_epoch = recorder.run(max_epochs=6, patience=2)
    assert best_epoch == 1
    assert history["validation"] == [1, 3, 2, 3]
    assert history["loss"] == [1.5, 3.5, 5.5, 7.5]  # means over the two steps of an epoch
    assert history["extra"] == [5.0] * 4
    assert recorder.network.weight.item() == 4  # two epochs of two steps


def test_runs_all_epochs_while_the_score_rises():
    history, best_epoch = Recorder([1, 2, 3]).run(max_epochs=3, patience=1)
    assert best_epoch == 2
    assert len(history["validation"]) == 3


def test_divergence_is_said():
    with pytest.raises(FloatingPointError, match="diverged in epoch 1; use a smaller learning_rat"):
        Recorder([1, np.nan]).run(max_epochs=3, patience=2)
