"""The committed figures of the real-valued methods: whole, and recomputable."""

import copy
import json

import pytest

import reproduce_realvalued as tool
from cmrlib.catalog import method
from cmrlib.datasets._download import data_home

COMMITTED = json.loads(tool.TARGET.read_text(encoding="utf-8"))


def test_every_method_has_a_record_on_both_data_sets():
    expected = {(data, row.name) for row in tool.measured_methods() for data in tool.METRICS}
    assert set(tool.by_name(COMMITTED)) == expected
    assert len(COMMITTED["records"]) == len(expected)


def test_records_hold_both_directions_of_every_seed():
    for record in COMMITTED["records"]:
        row = method(record["method"])
        random = "random_state" in row.load()().get_params()
        for metric in tool.METRICS[record["dataset"]]:
            assert [len(pair) for pair in record[metric]] == [2] * (3 if random else 1), record
        for name, value in record["parameters"].items():
            assert value in row.grid[name], record


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda table: table["data"].update(emoji="other"), "the data differ"),
        (lambda table: table["records"][1].update({"R@10": [[0.9, 0.9]]}), "R@10: "),
        (lambda table: table["records"][0].update(parameters={"reg": -1}), "another record"),
        (lambda table: table["records"].pop(0), "another record"),
    ],
)
def test_drifted_records_are_noticed(spoil, said):
    drifted = copy.deepcopy(COMMITTED)
    spoil(drifted)
    assert tool.differences(COMMITTED, COMMITTED) == []
    assert any(said in line for line in tool.differences(drifted, COMMITTED))


def test_new_records_take_the_place_of_old_ones():
    new = copy.deepcopy(COMMITTED["records"][1])
    new["R@10"] = [[0.5, 0.5]]
    table = tool.merged(COMMITTED, {**COMMITTED, "records": [new]})
    assert table["records"][1] == new
    assert table["records"][0] == COMMITTED["records"][0]
    assert len(table["records"]) == len(COMMITTED["records"])


def recomputed(name, dataset):
    """Return what differs when one record is computed again with the committed parameters."""
    old = tool.by_name(COMMITTED)[dataset, name]
    train, test = tool.parts(tool.load(dataset))
    model = tool.fit(method(name), old["parameters"], 0, train)
    new = {
        **old,
        **{metric: [tool.both_ways(model, test, metric)] for metric in tool.METRICS[dataset]},
    }
    only_seed_0 = {**old, **{metric: old[metric][:1] for metric in tool.METRICS[dataset]}}
    return tool.differences({"data": 0, "records": [only_seed_0]}, {"data": 0, "records": [new]})


@pytest.mark.parametrize("name", ["MSAE", "PAMIR"])
def test_emoji_records_are_reproduced(name):
    assert recomputed(name, "emoji") == []


@pytest.mark.skipif(
    not (data_home() / "wikipedia" / "raw_features.mat").exists(),
    reason="the Wikipedia features are not in $CMRLIB_DATA",
)
@pytest.mark.parametrize("name", ["CCA", "MSAE", "PAMIR"])
def test_wikipedia_records_are_reproduced(name):
    assert recomputed(name, "wikipedia") == []
