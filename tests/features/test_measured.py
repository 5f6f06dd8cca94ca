"""The committed tables of extractors: whole, near their anchors, recomputable, and guarded."""

import copy
import json
import re

import numpy as np
import pytest

import measure_features as tool
from cmrlib import features
from cmrlib.evaluation import label_relevance, random_average_precision
from cmrlib.features import networks, recurrent

COMMITTED = json.loads(tool.TARGET.read_text(encoding="utf-8"))
ROWS = {row["name"]: row for row in COMMITTED["rows"]}
MEASURED = [row for row in COMMITTED["rows"] if not row["needs_weights"]]

# What cmrlib.features exports besides extractors.
NOT_EXTRACTORS = {
    "BadItems",
    "WordVectors",  # holds vectors that were trained elsewhere
    "add_typos",
    "build_network",
    "cached_features",
    "fetch_weights",
    "measure_layers",
    "read_word_vectors",
    "AlexNet",  # classes of the networks that network_features runs
    "ResNet",
    "VGG",
}
ENCODERS = {"EfficientNet-Lite0": "efficientnet-lite0"}  # run by cnn_features


def test_every_extractor_has_its_row():
    code = " ".join(row["code"] for row in COMMITTED["rows"])
    assert set(features.__all__) - NOT_EXTRACTORS == {
        name for name in features.__all__ if re.search(rf"\b{name}\b", code)
    }
    for name in networks.NETWORKS:
        assert f'"{name}"' in code or name in ENCODERS.values(), name
    for cell in recurrent.CELLS:
        assert f"cell='{cell}'" in code
    for level in recurrent.LEVELS:  # "word" is the default
        assert f"level='{level}'" in code or level == "word"
    assert "bidirectional=True" in code


def test_rows_are_those_of_the_tool_and_whole():
    assert [row["name"] for row in COMMITTED["rows"]] == [e.name for e in tool.EXTRACTORS]
    for row, extractor in zip(COMMITTED["rows"], tool.EXTRACTORS, strict=True):
        assert row["code"] == extractor.code
        assert row["dimension"] > 0 and row["ms"] > 0 and row["megabytes"] >= 0
        assert (row["multiply_adds"] is None) == (extractor.network is None)
        assert ("quality" in row) == (not extractor.needs_weights)


@pytest.mark.parametrize("row", MEASURED, ids=lambda row: row["name"])
def test_qualities_are_whole(row):
    for metric in tool.METRICS:
        values = np.array(row["quality"][metric])
        assert values.shape == (tool.BY_NAME[row["name"]].n_seeds, 2)
        assert ((values > 0) & (values < 1)).all()
        if row["modality"] == "text":
            lines = np.array(row["typos"][metric])
            assert lines.shape == (3, len(tool.RATES))
            # without errors it is the text-to-image figure
            clean = values[:, 1] if len(values) == 3 else np.repeat(values[:, 1], 3)
            np.testing.assert_allclose(lines[:, 0], clean)
    for query, found in row["neighbours"].items():
        assert query in tool.QUERIES and len(set(found)) == tool.N_NEIGHBOURS


def test_networks_without_weights_have_no_quality():
    assert {row["name"] for row in COMMITTED["rows"] if row["needs_weights"]} == {
        "AlexNet",
        "VGG-16",
        "VGG-19",
        "ResNet-18",
        "ResNet-50",
    }


def test_published_sizes():
    # millions of parameters and of multiply-adds, as widely printed for 1000 classes
    published = {
        "AlexNet": (61.1, 714),
        "VGG-16": (138.4, 15470),
        "VGG-19": (143.7, 19630),
        "ResNet-18": (11.7, 1814),
        "ResNet-50": (25.6, 4089),
        "EfficientNet-Lite0": (4.65, 385),
    }
    for name, (parameters, multiply_adds) in published.items():
        assert ROWS[name]["parameters"] / 1e6 == pytest.approx(parameters, rel=0.01)
        assert ROWS[name]["multiply_adds"] / 1e6 == pytest.approx(multiply_adds, rel=0.01)


def test_anchors():
    test = tool.parts()[2]
    same_group = label_relevance(test.labels, test.labels)
    assert COMMITTED["random"]["mAP@all"] == pytest.approx(
        random_average_precision(same_group).mean(), abs=1e-4
    )
    mean = {row["name"]: np.mean(row["quality"]["mAP@all"]) for row in MEASURED}
    assert mean["MiniLM"] == pytest.approx(0.47, abs=0.02)  # shipped features, regularised CCA
    assert mean["MiniLM"] == mean["EfficientNet-Lite0"]  # one and the same pair of views
    assert all(value > COMMITTED["random"]["mAP@all"] + 0.05 for value in mean.values())


def test_the_shipped_pair_is_recomputed():
    emoji, test = tool.emoji_data(), tool.parts()[2]
    for metric, space in tool.choose(emoji.image, emoji.text).items():
        S = space.similarity(emoji.image[test.items], emoji.text[test.items])
        found = tool.both_ways(S, test.labels)[metric]
        assert found == pytest.approx(ROWS["MiniLM"]["quality"][metric][0], abs=tool.TOLERANCE)


def test_a_fitted_row_is_recomputed():
    found = tool.quality("LDA topics", 0)
    for metric in tool.METRICS:
        committed = ROWS["LDA topics"]["quality"][metric][0]
        assert found["quality"][metric] == pytest.approx(committed, abs=tool.TOLERANCE)


@pytest.mark.parametrize("name", ["bag of words", "colour histogram"])
def test_costs_are_recomputed(name):
    found = tool.cost(name, tool.fitted_hastily(name))
    for key in ("dimension", "parameters", "multiply_adds", "timed", "batch_size"):
        assert found[key] == ROWS[name][key]
    assert 0 < found["ms"] < 100 * ROWS[name]["ms"]


def change(name, key, value):
    def spoil(table):
        row = next(row for row in table["rows"] if row["name"] == name)
        row[key] = value(row[key])

    return spoil


def worse(by):
    return lambda found: {**found, "mAP@all": (np.array(found["mAP@all"]) - by).tolist()}


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda table: table.update(data="other"), "the data differ"),
        (lambda table: table["rows"].pop(), "other rows: ['MiniLM']"),
        (change("TF-IDF", "quality", worse(0.006)), "TF-IDF: quality mAP@all"),
        (change("TF-IDF", "typos", worse(0.1)), "TF-IDF: typos mAP@all"),
        (change("LSTM", "dimension", lambda d: d + 1), "LSTM: dimension 64 is now 65"),
        (change("VGG-16", "multiply_adds", lambda n: n + 1), "VGG-16: multiply_adds"),
        (lambda table: table["rows"][-1].pop("typos"), "MiniLM: typos is in one table only"),
    ],
)
def test_a_table_that_drifted_is_noticed(spoil, said):
    drifted = copy.deepcopy(COMMITTED)
    spoil(drifted)
    assert tool.differences(COMMITTED, COMMITTED) == []
    assert any(said in line for line in tool.differences(COMMITTED, drifted))


@pytest.mark.parametrize("key", ["ms", "megabytes"])
def test_times_and_memory_are_not_compared(key):
    slower = copy.deepcopy(COMMITTED)
    change("LSTM", key, lambda value: 10 * value)(slower)
    assert tool.differences(COMMITTED, slower) == []


def test_noise_is_allowed_as_far_as_seeds_spread():
    row = ROWS["LDA topics"]
    spread = np.std(row["quality"]["mAP@all"], axis=0).min()
    assert spread > 0
    shifted = copy.deepcopy(COMMITTED)
    change("LDA topics", "quality", worse(0.9 * (tool.TOLERANCE + 2 * spread)))(shifted)
    assert tool.differences(COMMITTED, shifted) == []
