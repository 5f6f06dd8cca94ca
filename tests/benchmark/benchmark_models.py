"""Models with known behaviour, and data for them. Importable from the processes of a run."""

from __future__ import annotations

import json
import os
import time

import numpy as np

from cmrlib.base import CommonSpaceModel, HashModel
from cmrlib.catalog import Method
from cmrlib.datasets import PairedDataset

N_CLASSES = 3


def pairs(n=60, name="toy", labels=True, test=None):
    """Return data whose columns are the row's number and its class."""
    classes = np.arange(n) % N_CLASSES
    features = np.c_[np.arange(n), classes, np.arange(n) ** 2 % 7].astype(float)
    return PairedDataset(
        name=name,
        image=features,
        text=features[:, ::-1].copy(),
        labels=classes if labels else None,
        test=test,
    )


def row(class_name, grid, kind="common space", supervision="pairs"):
    return Method(
        name=class_name,
        title=class_name,
        survey=(),
        paper="",
        family="",
        kind=kind,
        supervision=supervision,
        class_path=f"benchmark_models.{class_name}",
        chapter="",
        section="",
        test="",
        grid=grid,
    )


class Spy(CommonSpaceModel):
    """Writes down the rows it is shown; ranks by class, the better the higher `quality`.

    With `trap`, it is perfect on rows below 45 only.
    """

    def __init__(self, log="", quality=1.0, trap=False, random_state=None):
        self.log = log
        self.quality = quality
        self.trap = trap
        self.random_state = random_state

    def _note(self, event, rows):
        if self.log:
            entry = {"event": event, "rows": rows.astype(int).tolist(), "process": os.getpid(),
                     "seed": self.random_state, "quality": self.quality}  # fmt: skip
            with open(self.log, "a", encoding="utf-8") as file:
                file.write(json.dumps(entry) + "\n")

    def _fit(self, X, Y, labels):
        self._note("fit", X[:, 0])

    def _angles(self, rows, classes, shift):
        noise = np.sin(12.9898 * (rows + shift) + 1) * 43758.5453 % 1 - 0.5  # by row alone
        quality = np.where(rows < 45, 1.0, 0.0) if self.trap else self.quality
        angle = 2 * np.pi * (classes / N_CLASSES + (1 - quality) * noise)
        return np.c_[np.cos(angle), np.sin(angle)]

    def _encode_image(self, X):
        self._note("encode", X[:, 0])
        return self._angles(X[:, 0], X[:, 1], 0)

    def _encode_text(self, Y):
        self._note("encode", Y[:, 2])
        return self._angles(Y[:, 2], Y[:, 1], 1000)


class Supervised(Spy):
    uses_labels = True

    def _fit(self, X, Y, labels):
        np.testing.assert_array_equal(labels, X[:, 1])


class Hash(HashModel):
    def __init__(self, n_bits=8):
        self.n_bits = n_bits

    def _fit(self, X, Y, labels):
        pass

    def _encode_image(self, X):
        return np.tile(X[:, :1] - 30, self.n_bits)

    def _encode_text(self, Y):
        return np.tile(Y[:, 2:] - 30, self.n_bits)


class Picky(Spy):
    """Refuses quality below 0.5, and warns at 1."""

    def _fit(self, X, Y, labels):
        import warnings

        if self.quality < 0.5:
            raise ValueError(f"quality={self.quality} is too little.")
        if self.quality == 1:
            warnings.warn("too good to be true", stacklevel=2)


class Broken(Spy):
    def _fit(self, X, Y, labels):
        if self.quality == 1:
            raise ZeroDivisionError("never mind")


class Killed(Spy):
    def _fit(self, X, Y, labels):
        os._exit(9)


class Costly(Spy):
    """Holds `megabytes` for a moment while it fits, and takes `seconds` for it."""

    def __init__(self, megabytes=0, seconds=0.0):
        super().__init__()
        self.megabytes = megabytes
        self.seconds = seconds

    def _fit(self, X, Y, labels):
        held = np.ones(self.megabytes * 125_000)
        time.sleep(self.seconds)
        del held
