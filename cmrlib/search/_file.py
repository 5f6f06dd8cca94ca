"""The file of a saved index: a versioned header, arrays as raw bytes, a checksum.

Layout: 16 bytes of magic, the format version and the length of the header (little-endian, 4 bytes
each), the header as JSON, the arrays one after another in C order, and the SHA-256 of all that.
Nothing in it is executed when it is read.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import secrets
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Arrays = dict[str, Array]
Header = dict[str, Any]

VERSION = 1
_MAGIC = b"cmrlib index\r\n\x1a\x00"  # line ends and a null: a transfer as text would change them
_DIGEST = hashlib.sha256().digest_size
_DTYPES = ("|u1", "<f4")


@contextmanager
def whole_file(target: Path) -> Iterator[Path]:
    """Yield a temporary path to write; it takes the place of `target` if all goes well."""
    temporary = target.with_name(f".{secrets.token_hex(4)}.{target.name}")
    try:
        yield temporary
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())
        os.replace(temporary, target)
    finally:
        temporary.unlink(missing_ok=True)


def write(path: str | os.PathLike[str], header: Header, arrays: Arrays) -> None:
    """Write a file at once: whatever happens, `path` holds the old content or the new one."""
    described = {
        **header,
        "arrays": {name: [a.dtype.str, list(a.shape)] for name, a in arrays.items()},
    }
    text = json.dumps(described).encode()
    start = _MAGIC + struct.pack("<II", VERSION, len(text)) + text
    parts: list[bytes | memoryview] = [start, *(_bytes(a) for a in arrays.values())]
    digest = hashlib.sha256()
    with whole_file(Path(path)) as temporary, temporary.open("xb") as file:
        for part in parts:
            digest.update(part)
            file.write(part)
        file.write(digest.digest())


def _bytes(array: Array) -> memoryview:
    return np.ascontiguousarray(array).reshape(-1).view(np.uint8).data


def read(path: str | os.PathLike[str]) -> tuple[Header, Arrays]:
    """Read a file of :func:`write`.

    Raises
    ------
    ValueError
        If it is another kind of file, of another version, cut short or damaged.
    """
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        header = _read_header(file, path, digest)
        arrays: Arrays = {}
        for name, (dtype, shape) in header.pop("arrays").items():
            arrays[name] = np.empty(shape, dtype)
            content = _bytes(arrays[name])
            file.readinto(content)
            digest.update(content)
        if file.read(_DIGEST + 1) != digest.digest():
            raise _damaged(path)
    return header, arrays


def read_header(path: str | os.PathLike[str]) -> Header:
    """Read what stands before the arrays, with the checks that need no more than that."""
    with open(path, "rb") as file:
        return _read_header(file, path, hashlib.sha256())


def _read_header(file: BinaryIO, path: str | os.PathLike[str], digest: Any) -> Header:
    """Check all that can be checked before memory is set aside for the arrays."""
    start = file.read(len(_MAGIC) + 8)
    if start[: len(_MAGIC)] != _MAGIC:
        raise ValueError(f"{path} is not an index that cmrlib saved.")
    size = os.fstat(file.fileno()).st_size
    if len(start) < len(_MAGIC) + 8:
        raise _truncated(path, size)
    version, length = struct.unpack("<II", start[len(_MAGIC) :])
    if version != VERSION:
        raise ValueError(
            f"{path} has format version {version}, this cmrlib reads version {VERSION}: "
            "build the index again, or use the cmrlib that saved it."
        )
    text = file.read(min(length, size))
    if len(text) < length:
        raise _truncated(path, size)
    digest.update(start)
    digest.update(text)
    try:
        header: Header = json.loads(text)
        content = sum(_n_bytes(*spec) for spec in header["arrays"].values())
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise _damaged(path) from error
    expected = len(start) + length + content + _DIGEST
    if size < expected:
        raise _truncated(path, size, expected)
    return header


def _n_bytes(dtype: str, shape: list[int]) -> int:
    if dtype not in _DTYPES or min(shape, default=0) < 0:
        raise ValueError(f"no index holds an array of dtype {dtype} and shape {shape}")
    return np.dtype(dtype).itemsize * math.prod(shape)


def _truncated(path: object, size: int, expected: int | None = None) -> ValueError:
    of = f" of {expected}" if expected else ""
    return ValueError(f"{path} is cut short after {size}{of} bytes: copy or save it again.")


def _damaged(path: object) -> ValueError:
    return ValueError(f"{path} is damaged, its checksum does not fit: copy or save it again.")
