"""What the tools that measure share: how a table of records is kept, and what it was made with."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Iterable
from datetime import date
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from cmrlib.datasets import PairedDataset


def data_hash(data: PairedDataset) -> str:
    """Return the SHA-256 of the features and labels."""
    digest = hashlib.sha256()
    for array in (data.image, data.text, data.labels):
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


def made_with(packages: Iterable[str]) -> dict[str, Any]:
    """Return today's date and the versions of these packages."""
    return {
        "date": date.today().isoformat(),
        "versions": {package: version(package) for package in packages},
    }


def write(target: Path, table: dict[str, Any]) -> None:
    """Write a table as JSON, all of it or nothing."""
    with tempfile.NamedTemporaryFile(
        "w", dir=target.parent, suffix=".json", delete=False, encoding="utf-8"
    ) as file:
        json.dump(table, file, indent=1, ensure_ascii=False)
        file.write("\n")
    os.chmod(file.name, 0o644)
    os.replace(file.name, target)
    print(f"wrote {target}")
