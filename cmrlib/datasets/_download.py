"""Files from outside: found, or fetched and verified, and never trusted."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path


def data_home() -> Path:
    """Return the folder of downloaded data: $CMRLIB_DATA, or ~/.cache/cmrlib."""
    if chosen := os.environ.get("CMRLIB_DATA"):
        return Path(chosen).expanduser()
    import pooch

    return Path(pooch.os_cache("cmrlib"))


def require_file(folder: Path, name: str, sha256: str, url: str | None) -> Path:
    """Return folder / name, verified; download it first if it is not there.

    A download goes to a temporary file, is verified, and only then moved into place.

    Raises
    ------
    OSError
        If the file cannot be read, or is missing and cannot be fetched.
    ValueError
        If its SHA-256 is not `sha256`.
    """
    path = folder / name
    content = _read(path)
    if content is None and url is not None:
        import pooch

        try:
            pooch.retrieve(url, known_hash=f"sha256:{sha256}", fname=name, path=folder)
        except ValueError as error:
            raise ValueError(f"{url} has changed: its sha256 is not {sha256}.") from error
        except Exception as error:
            raise OSError(
                f"cannot download {url} ({error}); fetch {name} yourself and put it in {folder}."
            ) from error
        content = _read(path)
    if content is None:
        raise FileNotFoundError(f"there is no file {path}.")
    digest = hashlib.sha256(content).hexdigest()
    if digest != sha256:
        raise ValueError(
            f"{path} is damaged or another file (sha256 {digest}, expected {sha256}); delete it "
            "and load again."
        )
    return path


def _read(path: Path) -> bytes | None:
    """Return the content of a file, None if there is no such file."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise OSError(f"cannot read {path}: {error.strerror or error}.") from error
