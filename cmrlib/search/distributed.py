"""Search beyond one machine, with Dask; needs ``pip install 'cmrlib[scale]'``.

A database is cut into *shards*, ranges of rows of ``.npy`` files. Three steps, each a function from
files to files, go from features to answers::

    with connect(n_workers=2) as client:              # or connect("tcp://scheduler:8786")
        shards = row_shards(["features.npy"], rows=1_000_000)
        codes = encode_shards(model, "image", shards, folder, client)
        paths = index_shards(lambda: HammingIndex(n_bits=64), codes, folder, client)
        distances, ids = search_shards(paths, queries, k=100, client=client)

Workers read shards as memory maps and write whole files or none, so that memory holds one shard a
worker at the most, and a worker that dies takes nothing along: its shards are done again by
another. On a cluster the folder must be one that all machines see. Without a client, the same
functions do the same in this process.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cmrlib.base import CommonSpaceModel, HashModel
from cmrlib.search._checks import whole
from cmrlib.search._file import read_header, whole_file
from cmrlib.search._index import SearchIndex
from cmrlib.search._topk import Result, merge_top_k

Array = NDArray[Any]
AnyPath = str | os.PathLike[str]

_ROWS_AT_ONCE = 8192  # rows that a worker encodes at a time


class Shard(NamedTuple):
    """Rows `start` to `stop` of a ``.npy`` file."""

    path: Path
    start: int
    stop: int

    def rows(self) -> Array:
        """Return the rows as a memory map: nothing is read before it is used."""
        rows: Array = np.load(self.path, mmap_mode="r", allow_pickle=False)[self.start : self.stop]
        return rows


@contextmanager
def connect(address: str | None = None, *, n_workers: int = 2) -> Iterator[Any]:
    """Yield a ``distributed.Client``, and close at the end what was started.

    Parameters
    ----------
    address : str, optional
        The scheduler of a running cluster, such as "tcp://10.0.0.1:8786". None starts processes
        on this machine. A scheduler executes what its clients send: only connect to your own.
    n_workers : int, default=2
        Processes of one thread each, if no address is given.

    Raises
    ------
    ImportError
        If Dask is not installed.
    """
    try:
        from distributed import Client, LocalCluster
    except ImportError as error:
        raise ImportError("Dask is not installed: pip install 'cmrlib[scale]'.") from error
    if address is not None:
        with Client(address) as client:
            yield client
        return
    with (
        LocalCluster(
            n_workers=whole(n_workers, "n_workers"),
            threads_per_worker=1,
            dashboard_address=None,
            memory_limit=None,  # memory maps count as a worker's memory, and are no reason to stop
        ) as cluster,
        Client(cluster) as client,
    ):
        yield client


def row_shards(paths: Sequence[AnyPath], rows: int) -> list[Shard]:
    """Cut ``.npy`` files into shards of at most `rows` rows, in order.

    Raises
    ------
    ValueError
        If there is nothing to cut, a file is no ``.npy`` file, or the files differ in width.
    """
    rows = whole(rows, "rows")
    shards, widths = [], set()
    for path in map(Path, paths):
        try:
            shape = np.load(path, mmap_mode="r", allow_pickle=False).shape
        except (ValueError, EOFError) as error:
            raise ValueError(f"{path} is not a complete .npy file of numbers.") from error
        if len(shape) != 2 or shape[0] == 0:
            raise ValueError(f"{path} must hold rows (n, width) with n at least 1, has {shape}.")
        widths.add(shape[1])
        starts = range(0, shape[0], rows)
        shards += [Shard(path.resolve(), s, min(s + rows, shape[0])) for s in starts]
    if len(widths) != 1:
        raise ValueError(f"the files must have one width, got {sorted(widths)}.")
    return shards


def encode_shards(
    model: CommonSpaceModel,
    modality: str,
    shards: Sequence[Shard],
    folder: AnyPath,
    client: Any = None,
) -> list[Shard]:
    """Encode shards of features, each to a file in `folder`: packed codes, or float32 vectors.

    Parameters
    ----------
    model : CommonSpaceModel
        Fitted; a :class:`~cmrlib.base.HashModel` gives packed codes.
    modality : {"image", "text"}
    shards : sequence of Shard
        As from :func:`row_shards`.
    folder : path
        Where to write; it is made if it does not exist.
    client : distributed.Client, optional
        None works in this process.

    Returns
    -------
    list of Shard
        The encoded shards, in the same order.
    """
    targets = _targets(folder, "encoded", len(shards), ".npy")
    jobs = list(zip(shards, targets, strict=True))
    for _ in _run(_encode, (model, modality), jobs, client):
        pass
    return [
        Shard(target, 0, shard.stop - shard.start)
        for shard, target in zip(shards, targets, strict=True)
    ]


def _encode(how: tuple[CommonSpaceModel, str], job: tuple[Shard, Path]) -> None:
    (model, modality), (shard, target) = how, job
    rows, out = shard.rows(), None
    with whole_file(target) as temporary:
        for start in range(0, len(rows), _ROWS_AT_ONCE):
            codes = model.encode(rows[start : start + _ROWS_AT_ONCE], modality)
            part = model.pack(codes) if isinstance(model, HashModel) else codes.astype(np.float32)
            if out is None:
                shape = (len(rows), part.shape[1])
                out = np.lib.format.open_memmap(temporary, "w+", part.dtype, shape)
            out[start : start + len(part)] = part
        del out  # writes what is still in memory


def index_shards(
    make_index: Callable[[], SearchIndex],
    shards: Sequence[Shard],
    folder: AnyPath,
    client: Any = None,
) -> list[Path]:
    """Build and save one index for each shard of encodings.

    Parameters
    ----------
    make_index : callable
        Returns an empty index, such as ``lambda: HammingIndex(n_bits=64)``.
    shards : sequence of Shard
    folder : path
    client : distributed.Client, optional

    Returns
    -------
    list of Path
        The saved indexes, in the order of the shards.
    """
    targets = _targets(folder, "shard", len(shards), ".index")
    for _ in _run(_index, make_index, list(zip(shards, targets, strict=True)), client):
        pass
    return targets


def _index(make_index: Callable[[], SearchIndex], job: tuple[Shard, Path]) -> None:
    shard, target = job
    make_index().add(shard.rows()).save(target)


def search_shards(
    paths: Sequence[AnyPath], queries: ArrayLike, k: int, client: Any = None
) -> Result:
    """Search saved indexes as if they were one.

    Every search reads every shard once, so send many queries at a time.

    Parameters
    ----------
    paths : sequence of path
        As from :func:`index_shards`: the items of the second file are numbered on from the first.
    queries : array-like
        As the indexes take them.
    k : int
    client : distributed.Client, optional

    Returns
    -------
    values, ids : ndarray of shape (n_queries, k)
        As from :meth:`SearchIndex.search` of one index that holds everything. For exact indexes
        they are the same, ties included.
    """
    k = whole(k, "k")
    headers = [read_header(path) for path in paths]
    kinds = {header["class"] for header in headers}
    if len(kinds) != 1:
        raise ValueError(f"paths must name indexes of one kind, got {sorted(kinds) or 'none'}.")
    ends = np.cumsum([header["items"] for header in headers])
    firsts = [int(end) - header["items"] for end, header in zip(ends, headers, strict=True)]
    jobs = list(zip((Path(path).resolve() for path in paths), firsts, strict=True))
    merged: Result | None = None
    for values, ids, larger_is_closer in _run(_search, (np.asarray(queries), k), jobs, client):
        parts = [(values, ids)] if merged is None else [merged, (values, ids)]
        merged = merge_top_k(parts, k, larger_is_closer=larger_is_closer)
    assert merged is not None  # there is at least one path
    return merged


def _search(question: tuple[Array, int], job: tuple[Path, int]) -> tuple[Array, Array, bool]:
    (queries, k), (path, first) = question, job
    index = SearchIndex.load(path)
    values, ids = index.search(queries, k)
    return values, np.where(ids >= 0, ids + first, ids), index.larger_is_closer


def _targets(folder: AnyPath, stem: str, n: int, suffix: str) -> list[Path]:
    place = Path(folder).resolve()
    place.mkdir(parents=True, exist_ok=True)
    return [place / f"{stem}-{i:05d}{suffix}" for i in range(n)]


def _run(
    task: Callable[[Any, Any], Any], shared: Any, jobs: Sequence[Any], client: Any
) -> Iterator[Any]:
    """Yield task(shared, job) for all jobs, as they are done."""
    if client is None:
        for job in jobs:
            yield task(shared, job)
        return
    import cloudpickle
    import dask
    from distributed import as_completed

    # `shared` travels once, as the result of a task of its own. What a task returned can be had
    # again when the worker that held it dies; what was scattered to that worker could not. It goes
    # as bytes, so that one that cannot be unpacked there is the task's error, and not the worker's.
    content = cloudpickle.dumps(shared)
    with dask.config.set({"distributed.admin.large-graph-warning-threshold": "1TiB"}):
        sent = client.submit(_unpack, content, pure=False)
        futures = [client.submit(task, sent, job, pure=False) for job in jobs]
    for _, result in as_completed(futures, with_results=True):
        yield result


def _unpack(content: bytes) -> Any:
    import cloudpickle

    return cloudpickle.loads(content)
