"""The protocol: choose on validation data, measure once on test."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from itertools import product
from typing import Any

from cmrlib.benchmark._data import Parts, load_parts
from cmrlib.benchmark._measure import Task, measure_apart
from cmrlib.benchmark._results import ResultsFile
from cmrlib.catalog import Method, method, methods
from cmrlib.datasets import PairedDataset

BITS = (16, 32, 64, 128)
VALIDATION_SIZE = 0.25
PROTOCOL = {
    "validation": f"{VALIDATION_SIZE:.0%} of the training part, random_state=seed, "
    "stratified where an item has one class",
    "choice": "highest score; score = criterion, mean of both directions; first of equals",
    "final": "refitted on the whole training part, measured once on the test part",
}


def run(
    dataset: str | PairedDataset,
    chosen: str | Sequence[str | Method] = "all",
    *,
    seeds: int = 3,
    bits: Sequence[int] = BITS,
    output: str | os.PathLike[str] = "results.json",
    verbose: bool = False,
) -> dict[str, Any]:
    """Measure methods on one data set under one protocol, and add the records to a file.

    The test part is fixed: the official one, or 25 % drawn once. A seed draws a validation part
    from the training part and is the ``random_state`` of methods that have one. For each seed,
    every combination of the method's grid (:class:`cmrlib.catalog.Method`) is fitted without the
    validation part and scored on it; the best is refitted on the whole training part and measured
    on the test part, once. Every fit has a process of its own, which is not given the test part
    before its turn.

    A hash method is measured at every code length; ``n_bits`` is not chosen.

    Parameters
    ----------
    dataset : str or PairedDataset
        A name of ``DATASETS``, or data of your own under its own name.
    chosen : "all" or sequence of str and Method
        Names of the catalogue, or rows of your own.
    seeds : int, default=3
        Seeds 0, 1, ..., seeds - 1.
    bits : sequence of int
        Code lengths of hash methods.
    output : path
        The results file. Records that are in it already are not computed again, so that an
        interrupted run continues where it stopped.
    verbose : bool
        Print a line for each record.

    Returns
    -------
    dict
        The content of the file.

    Raises
    ------
    ValueError
        For an unknown name or a bad number, or if `output` is damaged, was made on other data,
        with other grids or in another environment, or is in use; it is not changed then.
    OSError
        If the data are missing, or `output` cannot be written.
    RuntimeError
        If a fit fails with anything but the model's refusal. What is finished stays in `output`.

    Notes
    -----
    Processes are started afresh, so a script calls this under ``if __name__ == "__main__":``.
    """
    _whole_number(seeds, "seeds")
    for length in bits:
        _whole_number(length, "a code length")
    rows = _resolve(chosen)
    parts = load_parts(dataset)
    grids = {row.name: _grid(row) for row in rows}
    with ResultsFile(output, parts, PROTOCOL, grids) as file:
        for row in rows:
            lengths: Sequence[int | None] = bits if row.kind == "hash" else (None,)
            for n_bits, seed in product(lengths, range(seeds)):
                _Selection(file, parts, row, n_bits, seed, verbose).run()
        return file.results


def _whole_number(value: Any, name: str) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise ValueError(f"{name} must be a whole number of at least 1, got {value!r}.")


def _resolve(chosen: str | Sequence[str | Method]) -> list[Method]:
    if isinstance(chosen, str):
        chosen = [row.name for row in methods()] if chosen == "all" else [chosen]
    rows = [row if isinstance(row, Method) else method(row) for row in chosen]
    if not rows:
        raise ValueError('name at least one method, or "all".')
    names = [row.name for row in rows]
    if twice := [name for name in names if names.count(name) > 1]:
        raise ValueError(f"the method {twice[0]} is named twice.")
    return rows


def _grid(row: Method) -> dict[str, list[Any]]:
    """Return a method's grid as it reads back from JSON."""
    try:
        grid: dict[str, list[Any]] = json.loads(json.dumps(row.grid))
    except TypeError as error:
        raise ValueError(f"the grid of {row.name} does not fit into JSON: {error}.") from error
    for name, values in grid.items():
        if not isinstance(values, list) or not values:
            raise ValueError(f"the grid of {row.name} needs a list of values for {name}.")
    return grid


def combinations(grid: dict[str, list[Any]]) -> Iterator[dict[str, Any]]:
    """Return every choice of one value for each parameter, the last one running fastest."""
    for values in product(*grid.values()):
        yield dict(zip(grid, values, strict=True))


class _Selection:
    """One method at one seed: all candidates on validation, the best of them on test."""

    def __init__(
        self,
        file: ResultsFile,
        parts: Parts,
        row: Method,
        bits: int | None,
        seed: int,
        verbose: bool,
    ) -> None:
        self.file, self.parts, self.row, self.verbose = file, parts, row, verbose
        self.bits, self.seed = bits, seed

    def run(self) -> None:
        fit, ask = self.parts.train.split(test_size=VALIDATION_SIZE, random_state=self.seed)
        tried = [
            self._record("validation", parameters, fit, ask)
            for parameters in combinations(_grid(self.row))
        ]
        able = [record for record in tried if record["refused"] is None]
        if able:
            best = max(able, key=lambda record: record["score"])  # max keeps the first of equals
            self._record("test", best["parameters"], self.parts.train, self.parts.test)

    def _record(
        self, stage: str, parameters: dict[str, Any], fit: PairedDataset, ask: PairedDataset
    ) -> dict[str, Any]:
        """Return the record of one fit; it is only run if the file does not have it."""
        name = {
            "dataset": self.parts.name,
            "method": self.row.name,
            "bits": self.bits,
            "seed": self.seed,
            "stage": stage,
            "parameters": parameters,
        }
        if known := self.file.find(name):
            return known
        with_bits = parameters if self.bits is None else {"n_bits": self.bits, **parameters}
        criterion = self.parts.facts["criterion"]
        task = Task(self.row.class_path, with_bits, self.seed, fit, ask, criterion)
        try:
            found = measure_apart(task)
        except RuntimeError as error:
            raise RuntimeError(
                f"{self.row.name} with {with_bits} failed on {self.parts.name}, {error}; what is "
                f"finished stays in {self.file.path}."
            ) from error
        if stage == "validation":
            # the choice needs the score alone
            found = {key: found[key] for key in ("refused", "warnings", "score", "cost")}
        record = {**name, **found}
        self.file.add(record)
        if self.verbose:
            print(_line(record), flush=True)
        return record


def _line(record: dict[str, Any]) -> str:
    settings = ", ".join(f"{key}={value}" for key, value in record["parameters"].items())
    length = "" if record["bits"] is None else f" {record['bits']} bits"
    outcome = (
        f"refused: {record['refused']}"
        if record["refused"]
        else f"{record['score']:.4f} ({record['cost']['fit_seconds']:.2f} s)"
    )
    return (
        f"{record['dataset']} {record['method']}{length} seed {record['seed']} {record['stage']} "
        f"[{settings}] {outcome}"
    )
