"""Measure the real-valued methods on Wikipedia and on emoji, beside linear baselines.

    python tools/reproduce_realvalued.py                    # writes cmrlib/realvalued/measured.json
    python tools/reproduce_realvalued.py NAME ...           # measures these again, keeps the others
    python tools/reproduce_realvalued.py --check [NAME ...] # recomputes, and compares

The test pairs are queries and database: mAP over the whole ranking; on Wikipedia also over its
first 50 places, with the hits among them as denominator; on emoji also R@10 of the partner.
Parameters are chosen from the catalogue's grid by mAP on a quarter of the training pairs; then
seeds 0, 1 and 2 train on all of them.
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
from cmrlib.datasets import PairedDataset, fetch_wikipedia, load_emoji
from cmrlib.evaluation import label_relevance, mean_average_precision, recall_at_k
from records import data_hash, made_with, write

TARGET = Path(__file__).resolve().parents[1] / "cmrlib" / "realvalued" / "measured.json"
PACKAGES = ("numpy", "scipy", "scikit-learn", "torch")
BASELINES = ("CCA", "KCCA", "DCCA", "SCM", "ml-CCA")
SEEDS = (0, 1, 2)
METRICS = {"wikipedia": ("mAP@all", "mAP@50"), "emoji": ("mAP@all", "R@10")}
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


def load(dataset: str) -> PairedDataset:
    """Return a data set by its name in the records."""
    return fetch_wikipedia() if dataset == "wikipedia" else load_emoji()


def parts(data: PairedDataset) -> tuple[PairedDataset, PairedDataset]:
    """Return the training and the test pairs: the official ones, or a quarter drawn once."""
    return data.split() if data.test is not None else data.split(0.25, random_state=0)


def both_ways(model: RetrievalModel, test: PairedDataset, metric: str) -> list[float]:
    """Return one metric, image to text and text to image."""
    S = model.similarity(test.image, test.text)
    if metric == "R@10":
        partner = np.eye(len(test), dtype=bool)
        return [round(float(np.mean(recall_at_k(M, partner, 10))), 4) for M in (S, S.T)]
    relevance = label_relevance(test.labels, test.labels)
    k = 50 if metric == "mAP@50" else None
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
            return sum(both_ways(fit(row, parameters, 0, learn), validate, "mAP@all"))
        except ValueError:  # more components than these views have
            return -np.inf

    return max(candidates, key=quality)


def measure(row: Method, dataset: str, data: PairedDataset) -> dict[str, Any]:
    """Return the record of one method on one data set: a pair of figures a metric and seed."""
    train, test = parts(data)
    parameters = choose(row, train)
    seeds = SEEDS if "random_state" in row.load()(**parameters).get_params() else SEEDS[:1]
    models = [fit(row, parameters, seed, train) for seed in seeds]
    return {
        "dataset": dataset,
        "method": row.name,
        "supervision": row.supervision,
        "parameters": parameters,
        **{metric: [both_ways(m, test, metric) for m in models] for metric in METRICS[dataset]},
    }


def reproduce(names: list[str]) -> dict[str, Any]:
    """Return the records of the named methods, or of all, with what they were made with."""
    data = {name: load(name) for name in METRICS}
    records = []
    for row in measured_methods():
        for dataset in METRICS:
            if not names or row.name in names:
                records.append(measure(row, dataset, data[dataset]))
                print(json.dumps(records[-1]), flush=True)
    hashes = {name: data_hash(found) for name, found in data.items()}
    return {**made_with(PACKAGES), "data": hashes, "records": records}


def by_name(table: dict[str, Any]) -> dict[tuple[str, str], dict[str, Any]]:
    """Return the records by data set and method."""
    return {(r["dataset"], r["method"]): r for r in table["records"]}


def differences(committed: dict[str, Any], found: dict[str, Any]) -> list[str]:
    """Say in what recomputed records differ from the committed ones, beyond the tolerance."""
    if committed["data"] != found["data"]:
        return ["the data differ"]
    known = by_name(committed)
    said = []
    for key, new in by_name(found).items():
        name, old = f"{key[1]} on {key[0]}", known.get(key)
        if old is None or old["parameters"] != new["parameters"]:
            said.append(f"{name}: another record is committed")
            continue
        said += [
            f"{name}, {metric}: {old[metric]} is now {new[metric]}"
            for metric in METRICS[key[0]]
            if np.abs(np.mean(old[metric], 0) - np.mean(new[metric], 0)).max() > TOLERANCE
        ]
    return said


def merged(committed: dict[str, Any], found: dict[str, Any]) -> dict[str, Any]:
    """Put new records in the place of old ones, in the catalogue's order."""
    if committed["data"] != found["data"]:
        sys.exit("the committed records are of other data; measure all methods.")
    records = by_name(committed) | by_name(found)
    keys = [(dataset, row.name) for row in measured_methods() for dataset in METRICS]
    return {**found, "records": [records[key] for key in keys if key in records]}


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
