"""The results file: one JSON, written whole or not at all."""

from __future__ import annotations

import json
import os
import platform
import sys
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from cmrlib.benchmark._data import Parts
from cmrlib.benchmark._summary import summarise

LEADERBOARD = Path(__file__).with_name("leaderboard.json")
FORMAT = "cmrlib benchmark 1"
PACKAGES = ("cmrlib", "numpy", "scipy", "scikit-learn", "torch")
SECTIONS = {
    "environment": dict,
    "protocol": dict,
    "datasets": dict,
    "grids": dict,
    "summary": list,
    "records": list,
}
_NAMES = ("dataset", "method", "bits", "seed", "stage", "parameters")  # what names a record
_FOUND = {"refused", "warnings", "score", "cost"}


def load_results(path: str | os.PathLike[str] | None = None) -> dict[str, Any]:
    """Read a results file; without a path, the leaderboard that comes with the package.

    Raises
    ------
    OSError
        If it cannot be read.
    ValueError
        If it is damaged, or no results file.
    """
    return _read(LEADERBOARD if path is None else Path(path))


def _read(path: Path, advice: str = "") -> dict[str, Any]:
    try:
        results: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        _check(results)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise ValueError(
            f"{path} is damaged or no results file ({_one_line(error)}){advice}."
        ) from error
    return results


def comparable(results: dict[str, Any]) -> dict[str, Any]:
    """Return results without what differs from run to run: date, machine, times and memory.

    That is the section ``environment`` and every ``cost``. The rest is the same whenever the same
    command runs with the same versions, interrupted or not.
    """

    def strip(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: strip(item) for key, item in value.items() if key != "cost"}
        return [strip(item) for item in value] if isinstance(value, list) else value

    return {key: strip(value) for key, value in results.items() if key != "environment"}


def _check(results: dict[str, Any]) -> None:
    if results["format"] != FORMAT:
        raise ValueError(f"its format is {results['format']!r}, not {FORMAT!r}")
    for section, kind in SECTIONS.items():
        if not isinstance(results[section], kind):
            raise TypeError(f"{section} is no {kind.__name__}")
    for record in results["records"]:
        if missing := {*_NAMES, *_FOUND} - set(record):
            raise ValueError(f"a record has no {min(missing)}")
    keys = [record_key(record) for record in results["records"]]
    if len(set(keys)) < len(keys):
        raise ValueError("a record stands in it twice")


def _one_line(error: Exception) -> str:
    text = f"no {error}" if isinstance(error, KeyError) else str(error)
    return " ".join(text.split())


def record_key(record: dict[str, Any]) -> str:
    """Return what names a record, as one string."""
    return json.dumps([record[name] for name in _NAMES], sort_keys=True)


def environment() -> dict[str, Any]:
    """Return what scores and times depend on beyond the data: versions, system, processors."""
    return {
        "python": platform.python_version(),
        "packages": {name: _version(name) for name in PACKAGES},
        "system": platform.system(),
        "machine": platform.machine(),
        "processors": os.cpu_count(),
        "threads": os.environ.get("OMP_NUM_THREADS"),
    }


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


class ResultsFile:
    """A results file that one run at a time adds to; used in a ``with`` statement.

    Every :meth:`add` replaces the file by a complete new one, so that a run that is killed leaves
    all finished records behind and nothing half-written.

    Raises
    ------
    ValueError
        If the file is damaged, was made on other data, with other grids or in another
        environment, or is in use. It is never changed then.
    OSError
        If it cannot be read or written.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        parts: Parts,
        protocol: dict[str, Any],
        grids: dict[str, dict[str, Any]],
    ) -> None:
        self.path = Path(path)
        if not self.path.parent.is_dir():
            raise OSError(f"there is no folder {self.path.parent}; make it first.")
        self._lock = _Lock(self.path)
        try:
            if self.path.exists():
                advice = "; it was left as it is, name another output"
                self.results = _read(self.path, advice)
                self._check_same(parts, protocol, grids)
            else:
                self.results = {
                    "format": FORMAT,
                    "environment": {"date": datetime.now(UTC).date().isoformat(), **environment()},
                    "protocol": protocol,
                    "datasets": {},
                    "grids": {},
                    "summary": [],
                    "records": [],
                }
        except BaseException:
            self._lock.release()
            raise
        self.results["datasets"][parts.name] = parts.facts
        self.results["grids"].update(grids)
        self._known = {record_key(record): record for record in self.results["records"]}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._lock.release()

    def find(self, name: dict[str, Any]) -> dict[str, Any] | None:
        """Return the finished record of this name, None if it has not run yet."""
        return self._known.get(record_key(name))

    def add(self, record: dict[str, Any]) -> None:
        """Add a finished record, and save."""
        self._known[record_key(record)] = record
        self.results["records"].append(record)
        self.results["summary"] = summarise(self.results)
        self._save()

    def _save(self) -> None:
        unfinished = self.path.with_name(f".{self.path.name}.new")
        with unfinished.open("w", encoding="utf-8", newline="\n") as file:
            file.write(_text(self.results))
            file.flush()
            os.fsync(file.fileno())
        os.replace(unfinished, self.path)

    def _check_same(
        self, parts: Parts, protocol: dict[str, Any], grids: dict[str, dict[str, Any]]
    ) -> None:
        here, there = environment(), self.results["environment"]
        differ = [name for name in here if here[name] != there.get(name)]
        if differ:
            name = differ[0]
            raise ValueError(
                f"{self.path} was made in another environment ({name} {there.get(name)} there, "
                f"{here[name]} here), and scores and times of two do not mix; name another output."
            )
        if self.results["protocol"] != protocol:
            raise ValueError(
                f"{self.path} was made under another protocol ({self.results['protocol']} there, "
                f"{protocol} here); name another output."
            )
        known = self.results["datasets"].get(parts.name, parts.facts)
        if known != parts.facts:
            raise ValueError(
                f"{self.path} was made on other data under the name {parts.name} (sha256 "
                f"{known.get('sha256')} there, {parts.facts['sha256']} here); name another output."
            )
        for method, grid in grids.items():
            if self.results["grids"].get(method, grid) != grid:
                raise ValueError(
                    f"{self.path} chose {method} from another grid, and a second choice would be "
                    "a second look at the test part; name another output."
                )


def _text(results: dict[str, Any]) -> str:
    """Return results as JSON, each record and each row of the summary on a line of its own."""
    sections = []
    for name, value in results.items():
        if isinstance(value, list):
            text = "[" + ",".join("\n  " + json.dumps(item) for item in value) + "\n ]"
        else:
            text = json.dumps(value)
        sections.append(f" {json.dumps(name)}: {text}")
    return "{\n" + ",\n".join(sections) + "\n}\n"


class _Lock:
    """Keeps a second run off the same file. The system frees it when a process is killed."""

    def __init__(self, path: Path) -> None:
        self._path = path.with_name(f".{path.name}.lock")
        self._file = self._path.open("w")
        if sys.platform == "win32":  # no fcntl there
            return
        import fcntl

        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            self._file.close()
            raise ValueError(
                f"another run is writing {path}; wait for it, or name another output."
            ) from None

    def release(self) -> None:
        self._file.close()
        self._path.unlink(missing_ok=True)
