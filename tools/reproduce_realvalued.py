"""Measure the real-valued methods on the Wikipedia benchmark, beside linear baselines.

    python tools/reproduce_realvalued.py                    # writes cmrlib/realvalued/measured.json
    python tools/reproduce_realvalued.py NAME ...           # measures these again, keeps the others
    python tools/reproduce_realvalued.py --check [NAME ...] # recomputes, and compares

The 693 test pairs are queries and database; mAP over the whole ranking, and over its first 50
places with the hits among them as denominator. Parameters are chosen from the catalogue's grid on
a quarter of the training pairs; then seeds 0, 1 and 2 train on all of them.
"""

from __future__ import annotations

import argparse
import itertools
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

from cmrlib.base import RetrievalModel
from cmrlib.catalog import Method, method, methods
from cmrlib.datasets import PairedDataset, fetch_wikipedia
from cmrlib.evaluation import label_relevance, mean_average_precision
from records import data_hash, made_with, write

TARGET = Path(__file__).resolve().parents[1] / "cmrlib" / "realvalued" / "measured.json"
PACKAGES = ("numpy", "scipy", "scikit-learn", "torch")
BASELINES = ("CCA", "KCCA", "DCCA", "SM", "SCM", "ml-CCA")
SEEDS = (0, 1, 2)
CUT_OFFS = {"mAP@all": None, "mAP@50": 50}
TOLERANCE = 0.02  # training in single precision differs from machine to machine


def measured_methods() -> list[Method]:
    """Return the baselines and the catalogue's real-valued methods."""
    return [method(name) for name in BASELINES] + [
        row for row in methods() if row.family == "realvalued"
    ]


def fit(row: Method, parameters: dict[str, Any], seed: int, train: PairedDataset) -> RetrievalModel:
    """Return the fitted model, with this seed where it has one."""
    model = row.load()(**parameters)
    if "random_state" in model.get_params():
        model.set_params(random_state=seed)
    return model.fit(train.image, train.text, *((train.labels,) if model.uses_labels else ()))


def both_ways(model: RetrievalModel, test: PairedDataset, k: int | None) -> list[float]:
    """Return mAP image to text and text to image, of the first k places or of all."""
    S = model.similarity(test.image, test.text)
    relevance = label_relevance(test.labels, test.labels)
    return [round(mean_average_precision(M, relevance, k), 4) for M in (S, S.T)]


def choose(row: Method, train: PairedDataset) -> dict[str, Any]:
    """Return the grid's best parameters on validation pairs, the first of equals."""
    candidates = [
        dict(zip(row.grid, values, strict=True)) for values in itertools.product(*row.grid.values())
    ]
    if len(candidates) == 1:
        return candidates[0]
    learn, validate = train.split(test_size=0.25, random_state=0)

    def quality(parameters: dict[str, Any]) -> float:
        try:
            return sum(both_ways(fit(row, parameters, 0, learn), validate, None))
        except ValueError:  # more components than these views have
            return -np.inf

    return max(candidates, key=quality)


def measure(row: Method, data: PairedDataset) -> dict[str, Any]:
    """Return the record of one method: a pair of figures for each cut-off and seed."""
    train, test = data.split()
    parameters = choose(row, train)
    seeds = SEEDS if "random_state" in row.load()(**parameters).get_params() else SEEDS[:1]
    models = [fit(row, parameters, seed, train) for seed in seeds]
    found = {name: [both_ways(m, test, k) for m in models] for name, k in CUT_OFFS.items()}
    return {
        "method": row.name,
        "supervision": row.supervision,
        "parameters": parameters,
        **found,
    }


def reproduce(names: list[str]) -> dict[str, Any]:
    """Return the records of the named methods, or of all, with what they were made with."""
    data = fetch_wikipedia()
    records = []
    for row in measured_methods():
        if not names or row.name in names:
            records.append(measure(row, data))
            print(json.dumps(records[-1]), flush=True)
    return {**made_with(PACKAGES), "data": data_hash(data), "records": records}


def differences(committed: dict[str, Any], found: dict[str, Any]) -> list[str]:
    """Say in what recomputed records differ from the committed ones, beyond the tolerance."""
    if committed["data"] != found["data"]:
        return ["the data differ"]
    known = {record["method"]: record for record in committed["records"]}
    said = []
    for new in found["records"]:
        name, old = new["method"], known.get(new["method"])
        if old is None or old["parameters"] != new["parameters"]:
            said.append(f"{name}: another record is committed")
            continue
        said += [
            f"{name}, {cut}: {old[cut]} is now {new[cut]}"
            for cut in CUT_OFFS
            if np.abs(np.mean(old[cut], axis=0) - np.mean(new[cut], axis=0)).max() > TOLERANCE
        ]
    return said


def merged(committed: dict[str, Any], found: dict[str, Any]) -> dict[str, Any]:
    """Put new records in the place of old ones, in the catalogue's order."""
    if committed["data"] != found["data"]:
        sys.exit("the committed records are of other data; measure all methods.")
    by_name = {r["method"]: r for part in (committed, found) for r in part["records"]}
    kept = [by_name[row.name] for row in measured_methods() if row.name in by_name]
    return {**found, "records": kept}


def main() -> None:
    """Write the records, or compare them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="compare with the committed records")
    parser.add_argument("names", nargs="*", metavar="NAME", help="only these methods")
    arguments = parser.parse_args()
    known = [row.name for row in measured_methods()]
    if unknown := [name for name in arguments.names if name not in known]:
        sys.exit(f"no method {unknown[0]!r} here; there are {', '.join(known)}.")
    found = reproduce(arguments.names)
    if arguments.check:
        if said := differences(json.loads(TARGET.read_text(encoding="utf-8")), found):
            sys.exit("\n".join(said))
        print("The committed records are reproduced.")
        return
    if arguments.names and TARGET.exists():
        found = merged(json.loads(TARGET.read_text(encoding="utf-8")), found)
    write(TARGET, found)


if __name__ == "__main__":
    main()
