"""Measure the hashing methods on the Wikipedia benchmark, beside published figures.

    python tools/reproduce_hashing.py                    # writes cmrlib/hashing/reproducing.json
    python tools/reproduce_hashing.py --check [NAME ...] # recomputes it, or some, and compares

The 693 test pairs ask, the 2,173 training pairs are searched; mAP over the whole ranking, ties
taken at their expectation. The database is hashed by the hash functions ("encoded"), by both
functions of a pair together where a method defines that ("pairs"), and for methods that learn codes
of the training pairs these are searched, too ("learnt"). Parameters are
chosen from the catalogue's grid on a quarter of the training pairs, at 32 bits.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

from cmrlib.base import HashModel
from cmrlib.catalog import Method, methods
from cmrlib.datasets import PairedDataset, fetch_wikipedia
from cmrlib.evaluation import average_precision, label_relevance
from cmrlib.hashing import CMFH
from records import data_hash, made_with, write

TARGET = Path(__file__).resolve().parents[1] / "cmrlib" / "hashing" / "reproducing.json"
PACKAGES = ("numpy", "scipy", "scikit-learn")
BITS = (16, 32, 64, 128)
CHOICE_BITS = 32
# mAP@all at 16, 32, 64 and 128 bits, image to text and text to image, as printed by Mandal and
# Biswas (2017): their own for LCMF (the database hashed by both functions together; learnt codes),
# quoted from Lin et al. (2015) for the others.
PUBLISHED = {
    "CVH": {"printed": [(0.125, 0.121, 0.121, 0.117), (0.118, 0.103, 0.102, 0.099)]},
    "CMSSH": {"printed": [(0.187, 0.177, 0.164, 0.155), (0.163, 0.161, 0.153, 0.151)]},
    "CMFH": {"printed": [(0.213, 0.225, 0.236, 0.241), (0.488, 0.513, 0.526, 0.537)]},
    "SMFH": {"printed": [(0.270, 0.286, 0.295, 0.296), (0.605, 0.626, 0.635, 0.642)]},
    "LCMF": {
        "pairs": [(0.264, 0.284, 0.293, 0.302), (0.619, 0.655, 0.668, 0.674)],
        "learnt": [(0.338, 0.366, 0.373, 0.378), (0.729, 0.744, 0.753, 0.755)],
    },
}
PARTS = ("encoded", "pairs", "learnt")
TOLERANCE = 0.02  # a last digit that flips one sign in training changes some codes


def hash_methods() -> list[Method]:
    """Return the catalogue's hash methods."""
    return [row for row in methods() if row.kind == "hash"]


def fit(row: Method, n_bits: int, parameters: dict[str, Any], train: PairedDataset) -> HashModel:
    """Return the fitted model, with seed 0 where it has one."""
    model = row.load()(n_bits=n_bits, **parameters)
    if "random_state" in model.get_params():
        model.set_params(random_state=0)
    fitted: HashModel = model.fit(
        train.image, train.text, *((train.labels,) if model.uses_labels else ())
    )
    return fitted


def retrieval(
    queries: tuple[np.ndarray, np.ndarray],
    database: tuple[np.ndarray, np.ndarray],
    relevance: np.ndarray,
) -> list[float]:
    """Return mAP@all of image queries in the texts' codes and of text queries in the images'."""
    image, text = (codes.astype(np.float32) for codes in queries)
    images, texts = (codes.astype(np.float32) for codes in database)
    pairs = ((image, texts), (text, images))
    return [round(float(average_precision(q @ d.T, relevance).mean()), 4) for q, d in pairs]


def learnt_codes(model: HashModel) -> tuple[np.ndarray, np.ndarray] | None:
    """Return the codes a model learnt for its training images and texts, if it did."""
    if hasattr(model, "B_image_"):
        if hasattr(model, "H2_"):  # MTFH: images in the space of the texts' codes
            mapped = np.where(model.B_image_ @ model.H2_ >= 0, 1, -1)
            return mapped, model.B_text_
        return model.B_image_, model.B_text_
    if hasattr(model, "B_"):
        return model.B_, model.B_
    return None


def choose(row: Method, train: PairedDataset) -> dict[str, Any]:
    """Return the grid's best parameters on validation pairs, the first of equals."""
    candidates = [
        dict(zip(row.grid, values, strict=True)) for values in product(*row.grid.values())
    ]
    if len(candidates) < 2:
        return candidates[0] if candidates else {}
    learn, validate = train.split(test_size=0.25, random_state=0)
    relevance = label_relevance(validate.labels, learn.labels)

    def quality(parameters: dict[str, Any]) -> float:
        try:
            model = fit(row, CHOICE_BITS, parameters, learn)
        except ValueError:  # more bits or components than these views have
            return -np.inf
        ask, found = (
            (model.encode_image(data.image), model.encode_text(data.text))
            for data in (validate, learn)
        )
        return sum(retrieval(ask, found, relevance))

    return max(candidates, key=quality)


def measure(row: Method, data: PairedDataset) -> Iterator[dict[str, Any]]:
    """Yield a record for each code length that the method accepts."""
    train, test = data.split()
    relevance = label_relevance(test.labels, train.labels)
    parameters = choose(row, train)
    for n_bits in BITS:
        record: dict[str, Any] = {"method": row.name, "bits": n_bits, "parameters": parameters}
        try:
            model = fit(row, n_bits, parameters, train)
        except ValueError as refusal:
            yield {**record, "refused": str(refusal)}
            continue
        ask = model.encode_image(test.image), model.encode_text(test.text)
        found = model.encode_image(train.image), model.encode_text(train.text)
        record["encoded"] = retrieval(ask, found, relevance)
        if hasattr(model, "encode_pairs"):
            shared = model.encode_pairs(train.image, train.text)
            record["pairs"] = retrieval(ask, (shared, shared), relevance)
        if codes := learnt_codes(model):
            record["learnt"] = retrieval(ask, codes, relevance)
        yield record


def centred_cmfh(data: PairedDataset) -> list[list[float]]:
    """Return mAP of CMFH's learnt codes, features centred only, with the paper's weights.

    The class standardises, so that ten text features weigh little beside 128 image features.
    """
    train, test = data.split()
    relevance = label_relevance(test.labels, train.labels)
    mean_X, mean_Y = train.image.mean(axis=0), train.text.mean(axis=0)
    X, Y = train.image - mean_X, train.text - mean_Y
    rows = []
    for n_bits in BITS:
        model = CMFH(n_bits, mu=100.0, gamma=0.01)
        alternation = model._alternation(X, Y, None, np.random.RandomState(0))
        alternation.run(model.max_iter, model.tol)
        s = alternation.state
        codes = np.where(s.V.mean(axis=0) <= s.V, 1, -1)
        scores = (test.image - mean_X) @ s.P_image, (test.text - mean_Y) @ s.P_text
        ask = np.where(scores[0] >= 0, 1, -1), np.where(scores[1] >= 0, 1, -1)
        rows.append(retrieval(ask, (codes, codes), relevance))
    return rows


def reproduce(names: list[str]) -> dict[str, Any]:
    """Return the records of the named methods, or of all, with what they were made with."""
    data = fetch_wikipedia()
    records = []
    for row in hash_methods():
        if not names or row.name in names:
            for record in measure(row, data):
                records.append(record)
                print(json.dumps(record), flush=True)
    return {
        **made_with(PACKAGES),
        "data": data_hash(data),
        "published": PUBLISHED,
        "centred_cmfh": centred_cmfh(data),
        "records": records,
    }


def differences(committed: dict[str, Any], found: dict[str, Any]) -> list[str]:
    """Say in what recomputed records differ from the committed ones, beyond the tolerance."""
    if committed["data"] != found["data"]:
        return ["the data differ"]
    known = {(record["method"], record["bits"]): record for record in committed["records"]}
    said = []
    for new in found["records"]:
        name = f"{new['method']} {new['bits']} bits"
        old = known.get((new["method"], new["bits"]))
        if old is None or set(old) != set(new) or old["parameters"] != new["parameters"]:
            said.append(f"{name}: another record is committed")
            continue
        said += [
            f"{name}, {part}: {old[part]} is now {new[part]}"
            for part in PARTS
            if part in new and np.abs(np.subtract(old[part], new[part])).max() > TOLERANCE
        ]
    return said


def main() -> None:
    """Write the records, or compare them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="compare with the committed records")
    parser.add_argument("names", nargs="*", metavar="NAME", help="with --check: only these methods")
    arguments = parser.parse_args()
    if arguments.names and not arguments.check:
        sys.exit("names go with --check; the file holds all methods.")
    found = reproduce(arguments.names)
    if arguments.check:
        if said := differences(json.loads(TARGET.read_text(encoding="utf-8")), found):
            sys.exit("\n".join(said))
        print("The committed records are reproduced.")
        return
    write(TARGET, found)


if __name__ == "__main__":
    main()
