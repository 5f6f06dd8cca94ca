"""The results that come with the package, which the book shows."""

import pytest

from cmrlib.benchmark import data_hash, load_results, summarise
from cmrlib.benchmark._protocol import PROTOCOL
from cmrlib.catalog import method
from cmrlib.datasets import load_emoji
from cmrlib.evaluation import evaluate


@pytest.fixture(scope="module")
def results():
    return load_results()


def test_summary_follows_from_the_records(results):
    assert results["summary"] == summarise(results)
    assert results["protocol"] == PROTOCOL


def test_methods_were_chosen_from_the_grids_of_the_catalogue(results):
    for name, grid in results["grids"].items():
        assert grid == method(name).grid, f"measure {name} again: its grid has changed"


def test_every_row_is_complete(results):
    for row in results["summary"]:
        assert row["seeds"] == 3 or row["refused"], (row["dataset"], row["method"])


def test_quick_rows_are_found_again(results):
    train, test = load_emoji().split(test_size=0.25, random_state=0)
    assert data_hash(train, test) == results["datasets"]["emoji"]["sha256"]
    for record in results["records"]:
        where = record["dataset"], record["method"], record["seed"], record["stage"]
        if where not in [("emoji", name, 0, "test") for name in ("CFA", "CCA")]:
            continue
        model = method(record["method"]).load()(**record["parameters"])
        report = evaluate(model.fit(train.image, train.text), test)
        for direction in ("image_to_text", "text_to_image"):
            found = getattr(report, direction)["mAP@all"]
            assert found == pytest.approx(record["metrics"][direction]["mAP@all"], abs=1e-4)
