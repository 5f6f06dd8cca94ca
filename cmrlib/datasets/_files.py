"""Reading the files of a distribution: fast, and never trusting them.

Every function refuses a file that is not what it should be with one sentence that names the file
and, where there is one, the line.
"""

from __future__ import annotations

import os
import re
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray
from PIL import Image

from cmrlib.datasets._download import data_home
from cmrlib.datasets._facts import dataset_facts

Array = NDArray[Any]
Folder = str | os.PathLike[str] | None
Features = ArrayLike | str | os.PathLike[str] | Callable[[Any], ArrayLike] | None
Keep = Literal["all", "labelled", "complete"]

_LINES_AT_ONCE = 4096


class Distribution:
    """The folder that the user has unpacked a data set in.

    Parameters
    ----------
    name : str
        Of the data set and of its folder.
    data_folder : path, optional
        Where that folder is; $CMRLIB_DATA by default.
    """

    def __init__(self, name: str, data_folder: Folder) -> None:
        self.facts = dataset_facts()[name]
        self.folder = Path(data_folder or data_home()) / name

    def find(self, *names: str) -> Path:
        """Return the first of these files or folders that is there.

        Raises
        ------
        FileNotFoundError
            If none is; the message says what to fetch and where to put it.
        """
        for name in names:
            if (self.folder / name).exists():
                return self.folder / name
        raise FileNotFoundError(
            f"there is no {self.folder / names[0]}; to have {self.facts.title}, {self.facts.get} "
            f"(here {self.folder})."
        )


def inside(folder: Path, name: str) -> Path:
    """Return folder / name; a name that leads out of the folder is refused."""
    parts = name.split("/")
    if any(part in ("", ".", "..") or "\\" in part or ":" in part for part in parts):
        raise ValueError(f"{name!r} is no file name inside {folder}.")
    return folder.joinpath(*parts)


def read_text(path: Path, *, errors: Literal["strict", "replace"] = "strict") -> str:
    """Return the content of a UTF-8 text file."""
    try:
        return path.read_text(encoding="utf-8-sig", errors=errors)
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is no UTF-8 text file: byte {error.start} is invalid.") from None


def read_lines(path: Path, *, errors: Literal["strict", "replace"] = "strict") -> list[str]:
    """Return the lines of a text file, stripped; empty ones at the end are dropped."""
    lines = [line.strip() for line in read_text(path, errors=errors).split("\n")]
    while lines and not lines[-1]:
        lines.pop()
    return lines


def read_numbers(path: Path, n_rows: int, width: int, *, binary: bool = False) -> Array:
    """Read a table of numbers, one row a line, separated by spaces or tabs.

    Parameters
    ----------
    path : Path
    n_rows, width : int
        Its expected shape.
    binary : bool, default=False
        Whether every number must be 0 or 1.

    Returns
    -------
    ndarray of shape (n_rows, width)
        uint8 if `binary`, else float32.
    """
    dtype = np.uint8 if binary else np.float32
    table = np.empty((n_rows, width), dtype)
    filled = line = 0
    with open(path, encoding="ascii", errors="replace") as file:
        while lines := list(islice(file, _LINES_AT_ONCE)):
            rows = _parse(lines, width, dtype, binary)
            if rows is None:
                raise ValueError(f"{path}, {_first_bad_line(lines, line, width, binary)}")
            if filled + len(rows) > n_rows:
                raise ValueError(
                    f"{path} has more than {n_rows} rows, the number of pictures: it is another "
                    "file, or the list of pictures is truncated."
                )
            table[filled : filled + len(rows)] = rows
            filled += len(rows)
            line += len(lines)
    if filled < n_rows:
        raise ValueError(f"{path} ends after {filled} of {n_rows} rows: it is truncated.")
    return table


def _parse(lines: list[str], width: int, dtype: type, binary: bool) -> Array | None:
    """Return the rows of some lines, None if there is a bad one."""
    if not any(line.strip() for line in lines):
        return np.empty((0, width), dtype)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # older NumPy rounds 0.5 to an integer, and only warns
            rows: Array = np.loadtxt(lines, dtype=dtype, comments=None, ndmin=2)
    except (ValueError, DeprecationWarning):
        return None
    good = rows.shape[1] == width and (rows.max() <= 1 if binary else np.isfinite(rows).all())
    return rows if good else None


def _first_bad_line(lines: list[str], before: int, width: int, binary: bool) -> str:
    for number, line in enumerate(lines, start=before + 1):
        words = line.split()
        if words and len(words) != width:
            return f"line {number}: {len(words)} numbers where {width} are expected."
        for word in words:
            if not (word in ("0", "1") if binary else _is_number(word)):
                return f"line {number}: {word!r} is no {'0 or 1' if binary else 'finite number'}."
    raise AssertionError("every line is good")


def _is_number(word: str) -> bool:
    return re.fullmatch(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?", word) is not None and bool(
        np.isfinite(np.float32(word))
    )


class PictureFiles(Sequence[Image.Image]):
    """The pictures of a folder, in order, opened when asked for.

    Parameters
    ----------
    folder : Path
    names : sequence of str
        Relative to the folder, with "/".
    """

    def __init__(self, folder: Path, names: Sequence[str]) -> None:
        self.folder, self.names = folder, names

    def __len__(self) -> int:
        return len(self.names)

    def take(self, items: Array) -> PictureFiles:
        """Return the pictures of these items, in this order."""
        return PictureFiles(self.folder, [self.names[i] for i in items])

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return PictureFiles(self.folder, self.names[index])
        path = inside(self.folder, self.names[index])
        try:
            with Image.open(path) as picture:
                return picture.convert("RGB")
        except FileNotFoundError:
            raise FileNotFoundError(
                f"there is no picture {path}; unpack the pictures of the data set there."
            ) from None
        except (OSError, SyntaxError, Image.DecompressionBombError) as error:
            raise ValueError(f"{path} is damaged, or no picture ({error}).") from None


def bag_of_words(texts: Sequence[Iterable[str]], n_words: int) -> tuple[Array, list[str]]:
    """Return which text has which of the most frequent words.

    Parameters
    ----------
    texts : sequence of n iterables of str
    n_words : int
        At most this many words: those of the most texts, ties in alphabetical order.

    Returns
    -------
    X : ndarray of shape (n, n_words), uint8
    words : list of str
        What the columns stand for, the most frequent first.
    """
    if n_words < 1:
        raise ValueError(f"n_words must be at least 1, got {n_words}.")
    counts = Counter(word for text in texts for word in set(text))
    words = sorted(counts, key=lambda word: (-counts[word], word))[:n_words]
    column = {word: i for i, word in enumerate(words)}
    X = np.zeros((len(texts), len(words)), np.uint8)
    for row, text in zip(X, texts, strict=True):
        row[[column[word] for word in set(text) if word in column]] = 1
    return X, words


def features(given: Features, items: Array, n: int, sources: Sequence[Any], name: str) -> Array:
    """Return one row of features for each of the kept items.

    Parameters
    ----------
    given : None, array, path of a .npy file, or callable
        An array has a row for each of the `n` items of the distribution; a callable is given the
        sources of the kept items (pictures that open when indexed, or captions) and returns a row
        for each; None stands for no features, (len(items), 0).
    items : ndarray of int
        The kept items.
    n : int
    sources : sequence
        Of the kept items.
    name : str
        Of the argument, for messages.
    """
    if given is None:
        return np.empty((len(items), 0), np.float32)
    if callable(given):
        array, rows = np.asarray(given(sources)), len(items)
    else:
        array, rows = _load(given, name), n
    if array.ndim != 2 or array.dtype.kind not in "biuf":
        raise ValueError(
            f"{name} must be a 2-d array of real numbers, got {array.ndim}-d, dtype {array.dtype}."
        )
    if len(array) != rows:
        whose = "that are kept" if callable(given) else "of the whole data set"
        raise ValueError(f"{name} has {len(array)} rows; it needs one for each of {rows} {whose}.")
    return array if callable(given) or len(items) == n else array[items]


def _load(given: Any, name: str) -> Array:
    if not isinstance(given, str | os.PathLike):
        return np.asarray(given)
    try:
        loaded = np.load(given, allow_pickle=False)
    except FileNotFoundError:
        raise FileNotFoundError(f"there is no file {given} for {name}.") from None
    except (ValueError, EOFError) as error:
        raise ValueError(f"{given} is no array in the .npy format ({error}).") from None
    if not isinstance(loaded, np.ndarray):
        raise ValueError(f"{given} is an .npz archive; {name} needs one array, a .npy file.")
    return loaded


def kept_items(keep: str, labels: Array, texts: Array) -> Array:
    """Return the numbers of the items that `keep` asks for."""
    if keep not in get_args(Keep):
        raise ValueError(f"keep must be one of {', '.join(get_args(Keep))}; got {keep!r}.")
    rows = np.ones(len(labels), bool)
    if keep != "all":
        rows &= labels.any(axis=1)
    if keep == "complete":
        rows &= texts.any(axis=1)
    return np.flatnonzero(rows)
