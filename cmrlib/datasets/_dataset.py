"""The one container that every loader returns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray
from PIL import Image
from sklearn.model_selection import train_test_split

Array = NDArray[Any]


class Pictures(Protocol):
    """Pictures by item number, rendered or read when asked for."""

    def __getitem__(self, index: int) -> Image.Image: ...


@dataclass(frozen=True, repr=False)
class PairedDataset:
    """Images and texts in pairs: row i of ``image`` belongs to row i of ``text``.

    Parameters
    ----------
    name : str
    image, text : ndarray of shape (n, p), (n, q)
        Features.
    labels : ndarray of shape (n,) or (n, c), optional
        Class numbers or multi-hot labels.
    class_names : tuple of str
    captions : tuple of n str
        The texts themselves, where there are any.
    pictures : Pictures, optional
        ``pictures[item]`` is the picture of item `item` of the whole data set, made on demand;
        :meth:`picture` counts rows of this part instead.
    items : ndarray of shape (n,), optional
        Number of each row in the whole data set; all rows in order by default.
    test : ndarray of n bool, optional
        Where the literature has an official split, its test rows.
    licence, citation : str
    """

    name: str
    image: Array
    text: Array
    labels: Array | None = None
    class_names: tuple[str, ...] = ()
    captions: tuple[str, ...] = ()
    pictures: Pictures | None = None
    items: Array | None = None
    test: Array | None = None
    licence: str = ""
    citation: str = ""

    def __post_init__(self) -> None:
        n = len(self.image)
        if self.items is None:
            object.__setattr__(self, "items", np.arange(n))
        for field in ("text", "labels", "captions", "items", "test"):
            value: Any = getattr(self, field)
            if value is not None and len(value) not in ((0, n) if field == "captions" else (n,)):
                raise ValueError(f"{field} has {len(value)} rows, image has {n}.")

    def __len__(self) -> int:
        return len(self.image)

    def __repr__(self) -> str:
        classes = f", {len(self.class_names)} classes" if self.class_names else ""
        return (
            f"PairedDataset({self.name!r}, {len(self)} pairs, "
            f"image {self.image.shape[1]}-d, text {self.text.shape[1]}-d{classes})"
        )

    def picture(self, row: int) -> Image.Image:
        """Return the picture of one row.

        Raises
        ------
        ValueError
            If this data set comes without pictures.
        """
        if self.pictures is None or self.items is None:
            raise ValueError(f"the data set {self.name!r} has features but no pictures.")
        return self.pictures[int(self.items[row])]

    def take(self, rows: ArrayLike) -> PairedDataset:
        """Return the data set of these rows, in this order."""
        rows = np.asarray(rows)
        if rows.dtype == bool:
            rows = np.flatnonzero(rows)
        captions: Sequence[str] = [self.captions[i] for i in rows] if self.captions else ()
        arrays: dict[str, Any] = {
            field: None if value is None else value[rows]
            for field in ("image", "text", "labels", "items", "test")
            for value in (getattr(self, field),)
        }
        return replace(self, captions=tuple(captions), **arrays)

    def split(
        self, test_size: float | int | None = None, random_state: int | None = None
    ) -> tuple[PairedDataset, PairedDataset]:
        """Return (train, test).

        Parameters
        ----------
        test_size : float or int, optional
            Fraction or number of test pairs, drawn at random, stratified by class where each
            item has one. None takes the official split.
        random_state : int, optional
            Seed of the draw.

        Raises
        ------
        ValueError
            If there is no official split and no `test_size`.
        """
        if test_size is None:
            if self.test is None:
                raise ValueError(
                    f"{self.name!r} has no official split; call split(test_size=0.25, "
                    "random_state=0) for a random one."
                )
            return self.take(~self.test), self.take(self.test)
        one_class_each = self.labels is not None and self.labels.ndim == 1
        train, test = train_test_split(
            np.arange(len(self)),
            test_size=test_size,
            random_state=random_state,
            stratify=self.labels if one_class_each else None,
        )
        return self.take(np.sort(train)), self.take(np.sort(test))
