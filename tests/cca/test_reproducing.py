"""The committed table of Wikipedia figures: whole, near what was published, and recomputable."""

import copy
import json

import pytest

import reproduce_wikipedia
from cmrlib.datasets._download import data_home

COMMITTED = json.loads(reproduce_wikipedia.TARGET.read_text(encoding="utf-8"))
# image to text, text to image; recomputed from the published method descriptions
ANCHORS = {
    ("CCA", 7): (0.250, 0.199),
    ("SM", 10.0): (0.217, 0.218),
    ("SCM", 7): (0.272, 0.230),
    ("SCM", 9): (0.277, 0.226),
    ("ml-CCA", 5): (0.274, 0.216),
    ("KCCA", 7): (0.263, 0.215),  # with the penalty of the literature, not chosen
}


def test_every_run_has_its_row():
    assert [row["method"] for row in COMMITTED["rows"]] == [
        run.method for run in reproduce_wikipedia.RUNS
    ]
    assert set(COMMITTED) == {"date", "data", "versions", "rows"}


def test_figures_are_near_their_anchors():
    seen = set()
    for row in COMMITTED["rows"]:
        parameters = row["parameters"]
        key = (row["method"], parameters.get("n_components", parameters.get("C")))
        if key in ANCHORS and "reg" not in row["chosen"]:
            seen.add(key)
            assert row["ours"] == pytest.approx(ANCHORS[key], abs=0.01), row
    assert seen == set(ANCHORS)


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda table: table.update(data="other"), "the data differ"),
        (lambda table: table["rows"].pop(), "differ in length"),
        (lambda table: table["rows"][0].update(ours=[0.3, 0.2]), "CCA: "),
        (lambda table: table["rows"][0].update(parameters={"n_components": 6}), "CCA {"),
    ],
)
def test_a_table_that_drifted_is_noticed(spoil, said):
    drifted = copy.deepcopy(COMMITTED)
    spoil(drifted)
    assert reproduce_wikipedia.differences(COMMITTED, COMMITTED) == []
    assert any(said in line for line in reproduce_wikipedia.differences(COMMITTED, drifted))


@pytest.mark.skipif(
    not (data_home() / "wikipedia" / "raw_features.mat").exists(),
    reason="the Wikipedia features are not in $CMRLIB_DATA",
)
def test_the_table_is_recomputed():
    assert reproduce_wikipedia.differences(COMMITTED, reproduce_wikipedia.reproduce()) == []
