"""The committed Wikipedia figures and costs of the hash methods: whole, and recomputable."""

import copy
import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest

import reproduce_hashing as tool
from cmrlib.datasets._download import data_home

COMMITTED = json.loads(tool.TARGET.read_text(encoding="utf-8"))
COST = json.loads((tool.TARGET.parent / "linear_time.json").read_text(encoding="utf-8"))


def test_every_hash_method_has_its_records():
    expected = [(row.name, n_bits) for row in tool.hash_methods() for n_bits in tool.BITS]
    assert [(r["method"], r["bits"]) for r in COMMITTED["records"]] == expected
    for record in COMMITTED["records"]:
        assert ("encoded" in record) != ("refused" in record), record


def test_published_figures_are_those_of_the_tool():
    assert COMMITTED["published"] == json.loads(json.dumps(tool.PUBLISHED))


def test_cmfh_on_centred_features_is_near_the_print():
    printed = np.array(tool.PUBLISHED["CMFH"]["printed"]).T
    np.testing.assert_allclose(COMMITTED["centred_cmfh"], printed, atol=0.02)


def test_learnt_codes_help_most_where_the_query_is_text():
    """What the chapter says of the methods with one code a pair."""
    by_name = {(r["method"], r["bits"]): r for r in COMMITTED["records"]}
    for name in ("CMFH", "SMFH", "LCMFH", "SCRATCH"):
        image, text = (
            by_name[name, 64]["learnt"][side] - by_name[name, 64]["encoded"][side]
            for side in (0, 1)
        )
        assert text > image, name


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda table: table.update(data="other"), "the data differ"),
        (lambda table: table["records"][0].update(encoded=[0.9, 0.9]), "encoded: "),
        (lambda table: table["records"][0].update(parameters={"reg": -1}), "another record"),
        (lambda table: table["records"].pop(0), "another record"),
    ],
)
def test_drifted_records_are_noticed(spoil, said):
    drifted = copy.deepcopy(COMMITTED)
    spoil(drifted)
    assert tool.differences(COMMITTED, COMMITTED) == []
    assert any(said in line for line in tool.differences(drifted, COMMITTED))


@pytest.mark.skipif(
    not (data_home() / "wikipedia" / "raw_features.mat").exists(),
    reason="the Wikipedia features are not in $CMRLIB_DATA",
)
def test_some_records_are_recomputed():
    assert tool.differences(COMMITTED, tool.reproduce(["PCA-sign", "CVH"])) == []


def test_costs_are_of_all_methods_at_all_sizes():
    path = Path(tool.__file__).parents[1] / "benchmarks" / "hashing_linear_time.py"
    spec = importlib.util.spec_from_file_location("hashing_linear_time", path)
    benchmark = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(benchmark)
    except ImportError:  # the timing package is in the extra "bench"
        pytest.skip("threadpoolctl is not installed")
    assert list(COST) == list(benchmark.METHODS)
    assert all(list(map(int, fits)) == list(benchmark.SIZES) for fits in COST.values())
