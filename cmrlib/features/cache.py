"""Features that were computed once are kept on disk."""

from __future__ import annotations

import hashlib
import io
import os
import re
import reprlib
import uuid
import warnings
from collections.abc import Callable, Iterable, Sequence
from numbers import Integral
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray
from PIL import Image
from sklearn.utils import check_scalar
from tqdm import tqdm

from cmrlib.datasets._download import data_home

Array = NDArray[Any]
Extract = Callable[[list[Any]], ArrayLike]
Value = TypeVar("Value")

NOT_THE_ITEM = (ImportError, MemoryError)  # errors that no other item would escape


class BadItems(ValueError):
    """Some items have no features; those of all others are in the cache.

    Attributes
    ----------
    reasons : dict of int to str
        Why each bad item failed, by its place in the sequence given.
    """

    def __init__(self, errors: dict[int, Exception], items: Sequence[Any], folder: Path) -> None:
        self.reasons = {i: str(errors[i]).rstrip(".") or type(errors[i]).__name__ for i in errors}
        named = [f"item {i} ({_describe(items[i])}): {why}" for i, why in self.reasons.items()]
        some = "; ".join(named[:5]) + ("; ..." if len(named) > 5 else "")
        super().__init__(
            f"{len(named)} of {len(items)} items have no features: {some}. The features of the "
            f"others are kept in {folder}; mend or leave out the bad items and run again."
        )


def cached_features(
    extract: Extract,
    items: Sequence[str | Image.Image | os.PathLike[str]],
    *,
    name: str,
    version: str | int,
    folder: str | Path | None = None,
    batch_size: int = 64,
    verbose: bool = False,
) -> Array:
    """Return the features of items, computing only those that are not on disk yet.

    A feature is found again by the extractor's name and version and by the *content* of its item,
    wherever the item now stands and whatever it is called. Each finished batch is written to a
    file of its own, which appears whole or not at all: a run that is interrupted, or killed, loses
    the batch that it was computing, and the next run goes on from there. Several runs may share a
    folder.

    Parameters
    ----------
    extract : callable
        Maps a list of b items to an array (b, d), each row from its own item alone; such as
        :func:`cnn_features`, or the method ``transform`` of a fitted :class:`BagOfVisualWords`.
    items : sequence of n str, PIL images, or paths
        A string is a text. A ``pathlib.Path`` is the file of a picture, opened only if its
        features are missing; `extract` gets the picture. Equal items are computed once.
    name : str
        Of the extractor: letters, digits, ``.``, ``_`` and ``-``.
    version : str or int
        Change it whenever the extractor, its settings or its weights change; for a fitted model,
        a hash of what it has learnt will do. The cache cannot see a change by itself.
    folder : path, optional
        Where to keep features; by default ``features`` in ``$CMRLIB_DATA`` or ~/.cache/cmrlib.
        They lie in folder / name / version, and may be deleted at any time.
    batch_size : int, default=64
        Items handed to `extract` at once, and lost at most.
    verbose : bool, default=False
        Show a progress bar, which starts at what is already there.

    Returns
    -------
    ndarray of shape (n, d)
        In the order of `items`, bit for bit as `extract` returned them.

    Raises
    ------
    BadItems
        A ValueError, raised after all other items are done, if some items cannot be read, or
        make `extract` fail on their own, or have features that are not finite. It names them.
    ValueError
        If what `extract` returns has not one row an item, or another width than the features that
        the cache holds under this name and version.
    TypeError
        If `items` is a single string.

    Warns
    -----
    UserWarning
        If a file of the cache is damaged. It is deleted, and its features are computed again.

    Notes
    -----
    The content of a picture is its mode, size, pixels, palette and transparency; that of a file
    is its bytes. A cache file holds keys and features as plain arrays (never pickled), is written
    beside its place and moved there, and is named by the SHA-256 of its bytes, which is verified
    before a feature is used.

    If a batch fails, its items are tried one by one. Missing packages and lack of memory are no
    item's fault: those errors are passed on at once, as are interrupts.

    Examples
    --------
    The second call finds two of its three captions, and asks for the third alone:

    >>> import tempfile
    >>> import numpy as np
    >>> from cmrlib.features import cached_features
    >>> def lengths(captions):
    ...     print("computing", captions)
    ...     return np.array([[len(caption)] for caption in captions])
    >>> folder = tempfile.mkdtemp()
    >>> cached_features(lengths, ["cat", "dog"], name="length", version=1, folder=folder)
    computing ['cat', 'dog']
    array([[3],
           [3]])
    >>> captions = ["dog", "giraffe", "cat"]
    >>> cached_features(lengths, captions, name="length", version=1, folder=folder)
    computing ['giraffe']
    array([[3],
           [7],
           [3]])

    With the encoders of this package, the version says which weights they use:

    >>> cached_features(
    ...     cnn_features, sorted(Path("photos").glob("*.jpg")), name="efficientnet-lite0",
    ...     version="5793442", verbose=True,
    ... )  # doctest: +SKIP

    To go on without the bad items:

    >>> try:
    ...     features = cached_features(extract, items, name="mine", version=1)
    ... except BadItems as error:
    ...     good = [item for i, item in enumerate(items) if i not in error.reasons]
    ...     features = cached_features(extract, good, name="mine", version=1)  # doctest: +SKIP
    """
    if isinstance(items, str | os.PathLike):
        raise TypeError("items must be a sequence of items, got a single one.")
    check_scalar(batch_size, "batch_size", Integral, min_val=1)
    store = _Store(_place(folder, name, str(version)))
    if not len(items):
        return np.asarray(extract([]))

    errors: dict[int, Exception] = {}
    keys = _collect(range(len(items)), lambda i: _key(items[i]), errors)
    first = {key: i for i, key in reversed(keys.items())}  # equal items are computed once
    rows = store.read(set(first))
    missing = sorted(i for key, i in first.items() if key not in rows)
    with tqdm(
        total=len(first), initial=len(rows), desc=name, unit="item", disable=not verbose
    ) as bar:
        for start in range(0, len(missing), batch_size):
            batch = missing[start : start + batch_size]
            ready = _collect(batch, lambda i: _open(items[i], keys[i]), errors)
            found = {keys[i]: row for i, row in _extracted(extract, ready, errors).items()}
            store.write(found)
            rows |= found
            bar.update(len(batch))

    bad = {
        i: errors[i if i in errors else first[keys[i]]]
        for i in range(len(items))
        if i in errors or keys[i] not in rows
    }
    if bad:
        raise BadItems(bad, items, store.folder) from bad[min(bad)]
    return np.stack([rows[keys[i]] for i in range(len(items))])


class _Store:
    """The cache files of one version of an extractor; a file is named by the hash of its bytes."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.form: tuple[int, np.dtype[Any]] | None = None  # width and type of all rows

    def read(self, wanted: set[bytes]) -> dict[bytes, Array]:
        """Return the rows of the wanted keys that are there."""
        rows: dict[bytes, Array] = {}
        for path in sorted(self.folder.glob("*.npz")):
            try:
                content = path.read_bytes()
            except FileNotFoundError:  # another run has found it damaged
                continue
            if hashlib.sha256(content).hexdigest() != path.stem:
                warnings.warn(
                    f"{path} is damaged; it is deleted, and its features are computed again.",
                    stacklevel=3,
                )
                path.unlink(missing_ok=True)
                continue
            with np.load(io.BytesIO(content), allow_pickle=False) as batch:
                keys, features = batch["keys"], batch["features"]
            self._check_form(features)
            for key, row in zip(map(bytes, keys), features, strict=True):
                if key in wanted:
                    rows.setdefault(key, row)
        return rows

    def write(self, rows: dict[bytes, Array]) -> None:
        """Write a file of these rows, whole or not at all."""
        if not rows:
            return
        features = np.stack(list(rows.values()))
        self._check_form(features)
        buffer = io.BytesIO()
        np.savez(buffer, keys=[np.frombuffer(key, np.uint8) for key in rows], features=features)
        content = buffer.getvalue()
        self.folder.mkdir(parents=True, exist_ok=True)
        temporary = self.folder / f"{uuid.uuid4().hex}.tmp"
        try:
            temporary.write_bytes(content)
            temporary.replace(self.folder / f"{hashlib.sha256(content).hexdigest()}.npz")
        finally:
            temporary.unlink(missing_ok=True)

    def _check_form(self, features: Array) -> None:
        form = features.shape[1], features.dtype
        if self.form is None:
            self.form = form
        if form != self.form:
            raise ValueError(
                f"{self.folder} holds features of width {self.form[0]} and type {self.form[1]}, "
                f"these have {form[0]} and {form[1]}: give the extractor another name or version."
            )


def _place(folder: str | Path | None, name: str, version: str) -> Path:
    for part, what in ((name, "name"), (version, "version")):
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", part):
            raise ValueError(
                f"{what} must be letters, digits, '.', '_' and '-', and not begin with the last "
                f"three, got {part!r}."
            )
    return (data_home() / "features" if folder is None else Path(folder)) / name / version


def _collect(
    places: Iterable[int], function: Callable[[int], Value], errors: dict[int, Exception]
) -> dict[int, Value]:
    """Return the function's value at each place, or note the error it raised there."""
    values = {}
    for i in places:
        try:
            values[i] = function(i)
        except NOT_THE_ITEM:
            raise
        except Exception as error:  # Pillow's decoders raise nearly anything
            errors[i] = error
    return values


def _key(item: Any) -> bytes:
    """Return the hash of an item's content."""
    if isinstance(item, str):
        kind, content = "text", item.encode()
    elif isinstance(item, os.PathLike):
        kind, content = "file", Path(item).read_bytes()
    elif isinstance(item, Image.Image):
        content = item.tobytes()  # loads the picture, which its palette waits for
        palette = item.palette and (item.palette.mode, item.getpalette(None))
        kind = repr((item.mode, item.size, palette, item.info.get("transparency")))
    else:
        raise TypeError(f"an item is a str, a PIL image or a path, not {type(item).__name__}.")
    return hashlib.sha256(kind.encode() + b"\0" + content).digest()


def _open(item: Any, key: bytes) -> Any:
    """Return the item as the extractor wants it: the picture for a path."""
    if not isinstance(item, os.PathLike):
        return item
    content = Path(item).read_bytes()
    if hashlib.sha256(b"file\0" + content).digest() != key:
        raise OSError("the file has changed during the run.")
    picture = Image.open(io.BytesIO(content))
    picture.load()
    return picture


def _extracted(
    extract: Extract, ready: dict[int, Any], errors: dict[int, Exception]
) -> dict[int, Array]:
    """Return the features by place; a batch that fails is halved until the bad item is alone."""
    if not ready:
        return {}
    try:
        features = np.array(extract(list(ready.values())))  # a copy, should it reuse its memory
    except NOT_THE_ITEM:
        raise
    except Exception as error:
        places = list(ready)
        if len(places) == 1:
            errors[places[0]] = error
            return {}
        halves = places[: len(places) // 2], places[len(places) // 2 :]
        left, right = ({i: ready[i] for i in half} for half in halves)
        return _extracted(extract, left, errors) | _extracted(extract, right, errors)
    if features.ndim != 2 or len(features) != len(ready) or features.dtype.kind not in "biuf":
        raise ValueError(
            f"the extractor must return numbers of shape ({len(ready)}, d) for {len(ready)} "
            f"items, got {features.dtype} of shape {features.shape}."
        )
    finite = np.isfinite(features).all(axis=1)
    for i, fine in zip(ready, finite, strict=True):
        if not fine:
            errors[i] = ValueError("its features are not finite.")
    return {i: row for i, row, fine in zip(ready, features, finite, strict=True) if fine}


def _describe(item: Any) -> str:
    if isinstance(item, Image.Image):
        return f"{item.mode} picture of {item.width} x {item.height}"
    if isinstance(item, os.PathLike):
        return os.fspath(item)
    return reprlib.repr(item)
