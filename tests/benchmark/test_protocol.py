"""What a run does: which rows a method sees and when, how it is chosen, what is recorded."""

import inspect
import json
from dataclasses import replace

import numpy as np
import pytest

from cmrlib.benchmark import data_hash, run, summarise, table
from cmrlib.benchmark._data import load_parts
from cmrlib.catalog import method, methods
from cmrlib.datasets import make_gaussian_views, make_hidden_signal
from cmrlib.evaluation import average_precision, evaluate, label_relevance


@pytest.fixture
def models():
    import benchmark_models

    return benchmark_models


@pytest.fixture
def measured(tmp_path):
    """Run on toy data; return the content of the file."""

    def measured(data, row, **options):
        return run(data, [row], output=tmp_path / "results.json", **options)

    return measured


def of_stage(results, stage):
    return [record for record in results["records"] if record["stage"] == stage]


def test_test_rows_are_seen_once_and_only_after_the_choice(models, measured, tmp_path):
    data, log = models.pairs(), tmp_path / "log"
    grid = {"log": [str(log)], "quality": [0.3, 1.0, 0.6]}
    measured(data, models.row("Spy", grid), seeds=2)
    train, test = (set(part.items.tolist()) for part in data.split(0.25, random_state=0))

    visits = {}  # by process, in order
    for line in log.read_text().splitlines():
        entry = json.loads(line)
        visit = visits.setdefault(entry["process"], {"fit": [], "encode": set(), **entry})
        if entry["event"] == "fit":
            visit["fit"].append(entry["rows"])
        else:
            visit["encode"] |= set(entry["rows"])
    visits = list(visits.values())
    assert len(visits) == 2 * (3 + 1)
    validation_parts = []
    for seed, of_seed in enumerate((visits[:4], visits[4:])):
        assert {visit["seed"] for visit in of_seed} == {seed}
        *tried, final = of_seed
        assert [visit["quality"] for visit in tried] == [0.3, 1.0, 0.6]
        for visit in tried:
            (fitted,) = map(set, visit["fit"])
            assert fitted | visit["encode"] == train
            assert not fitted & visit["encode"]
            assert visit["encode"] == tried[0]["encode"]
        (fitted,) = map(set, final["fit"])
        assert (fitted, final["encode"], final["quality"]) == (train, test, 1.0)
        classes = [row % models.N_CLASSES for row in tried[0]["encode"]]
        assert np.ptp(np.bincount(classes)) <= 1  # stratified
        validation_parts.append(tried[0]["encode"])
    assert validation_parts[0] != validation_parts[1]


def test_choice_ignores_the_test_score(models, measured, in_process):
    # rows from 45 on are the test part: perfect on validation and worthless there, or middling
    data = models.pairs(test=np.arange(60) >= 45)
    results = measured(data, models.row("Spy", {"quality": [0.6], "trap": [False, True]}), seeds=1)
    assert results["datasets"]["toy"]["split"] == "official"
    (final,) = of_stage(results, "test")
    assert final["parameters"]["trap"] is True
    assert final["score"] < 0.6
    assert [r["score"] == 1 for r in of_stage(results, "validation")] == [False, True]


def test_first_of_equals_is_chosen(models, measured, in_process):
    grid = {"quality": [0.2, 1.0], "trap": [False, True]}  # trap is perfect on validation as well
    data = models.pairs(test=np.arange(60) >= 45)
    (final,) = of_stage(measured(data, models.row("Spy", grid), seeds=1), "test")
    assert final["parameters"] == {"quality": 0.2, "trap": True}


def test_test_record_is_what_one_gets_by_hand(measured):
    data = make_hidden_signal(120, 14, 12, n_classes=3, n_nuisance=4, random_state=0)
    row = models_row("CCA", {"n_components": [2, 6], "reg": [0.1]})
    results = measured(data, row, seeds=1)
    (final,) = of_stage(results, "test")

    train, test = data.split(0.25, random_state=0)
    fit, ask = train.split(0.25, random_state=0)
    scores = {}
    for k in (2, 6):
        model = row.load()(n_components=k, reg=0.1).fit(fit.image, fit.text)
        report = evaluate(model, ask)
        both = report.image_to_text["mAP@all"], report.text_to_image["mAP@all"]
        scores[k] = np.mean(both)
        assert both[0] != pytest.approx(both[1], abs=1e-4)
    found = [record["score"] for record in of_stage(results, "validation")]
    assert found == pytest.approx(list(scores.values()), abs=1e-6)
    best = max(scores, key=scores.get)
    assert final["parameters"] == {"n_components": best, "reg": 0.1}
    model = row.load()(n_components=best, reg=0.1).fit(train.image, train.text)
    report = evaluate(model, test)
    for direction in ("image_to_text", "text_to_image", "random"):
        assert final["metrics"][direction] == pytest.approx(getattr(report, direction), abs=1e-6)
    ap = average_precision(
        model.similarity(test.image, test.text), label_relevance(test.labels, test.labels)
    )
    error = final["standard_error"]["image_to_text"]
    assert error == pytest.approx(ap.std(ddof=1) / len(test) ** 0.5, abs=1e-6)


def models_row(name, grid):
    return replace(method(name), grid=grid)


def test_every_grid_of_the_catalogue_names_parameters():
    for row in methods():
        known = set(inspect.signature(row.load()).parameters) - {"random_state", "n_bits"}
        assert set(row.grid) <= known, row.name
        assert all(isinstance(values, list) and values for values in row.grid.values()), row.name


def test_refusals_and_warnings_are_recorded(models, measured, in_process):
    results = measured(models.pairs(), models.row("Picky", {"quality": [0.1, 0.6, 1.0]}), seeds=1)
    low, middle, high = of_stage(results, "validation")
    assert low["refused"] == "quality=0.1 is too little."
    assert low["score"] is None
    assert (middle["refused"], middle["warnings"]) == (None, [])
    assert high["warnings"] == ["UserWarning: too good to be true"]


def test_method_that_refuses_everything_has_a_reason_instead_of_a_score(
    models, measured, in_process
):
    results = measured(models.pairs(), models.row("Picky", {"quality": [0.1, 0.2]}), seeds=1)
    assert not of_stage(results, "test")
    (line,) = results["summary"]
    assert (line["seeds"], line["refused"]) == (0, "quality=0.1 is too little.")
    assert "refused: quality=0.1" in table(results["summary"])


def test_labels_go_to_supervised_methods_only(models, measured, in_process):
    supervised = models.row("Supervised", {}, supervision="pairs and labels")
    assert of_stage(measured(models.pairs(), supervised, seeds=1), "test")


def test_without_labels_recall_is_the_criterion(models, measured, in_process):
    data = make_gaussian_views(100, 6, 5, correlations=[0.99, 0.9], random_state=0)
    results = measured(data, models_row("CCA", {"n_components": [1, 2]}), seeds=1)
    assert results["datasets"]["gaussian views"]["criterion"] == "R@10"
    (final,) = of_stage(results, "test")
    both = [final["metrics"][d]["R@10"] for d in ("image_to_text", "text_to_image")]
    assert final["score"] == pytest.approx(np.mean(both))
    assert final["standard_error"] == {}
    assert "mAP@all" not in final["metrics"]["image_to_text"]
    supervised = models.row("Supervised", {}, supervision="pairs and labels")
    refusal = of_stage(measured(data, supervised, seeds=1), "validation")[-1]
    assert refusal["refused"] == "the method needs labels and gaussian views has none."


def test_hash_method_is_measured_at_every_length(models, measured, in_process):
    row = models.row("Hash", {}, kind="hash")
    results = measured(models.pairs(), row, seeds=2, bits=(4, 8))
    assert [r["bits"] for r in of_stage(results, "test")] == [4, 4, 8, 8]
    assert [(r["bits"], r["seeds"]) for r in results["summary"]] == [(4, 2), (8, 2)]


@pytest.mark.parametrize(
    "name, message",
    [
        ("Broken", r"Broken with {'quality': 1.0} failed on toy, ZeroDivisionError: never mind"),
        ("Killed", r"Killed .* failed on toy, its process was killed"),
    ],
)
def test_failure_names_the_method_and_keeps_what_is_finished(
    models, measured, tmp_path, name, message
):
    measured(models.pairs(), models.row("Spy", {"quality": [0.6]}), seeds=1)
    with pytest.raises(RuntimeError, match=message):
        measured(models.pairs(), models.row(name, {"quality": [0.6, 1.0]}), seeds=1)
    kept = json.loads((tmp_path / "results.json").read_text())["records"]
    assert [r["method"] for r in kept] == ["Spy", "Spy"] + ["Broken"] * (name == "Broken")


def test_cost_is_that_of_the_fit_in_a_process_of_its_own(models, measured):
    grid = {"megabytes": [0, 200], "seconds": [0.1]}
    frugal, greedy = (
        record["cost"]
        for record in of_stage(
            measured(models.pairs(), models.row("Costly", grid), seeds=1), "validation"
        )
    )
    held = [cost["peak_memory_mb"] - cost["memory_before_mb"] for cost in (frugal, greedy)]
    assert held[0] < 20
    assert 195 < held[1] < 230
    assert 0.1 <= frugal["fit_seconds"] < 1
    assert 0 <= frugal["encode_seconds"] < 0.1


def test_mean_and_spread_over_seeds():
    def record(seed, value, seconds):
        found = {"mAP@all": value, "R@10": 0.5}
        cost = {"fit_seconds": seconds, "encode_seconds": 0.1, "memory_before_mb": 100.0,
                "peak_memory_mb": 110.0 + seed}  # fmt: skip
        name = {"dataset": "toy", "method": "A", "bits": None, "seed": seed, "parameters": {}}
        metrics = {"image_to_text": found, "text_to_image": found, "random": found}
        rest = {"refused": None, "score": value, "cost": cost}
        errors = {"image_to_text": 0.01 * seed, "text_to_image": 0.02}
        return [
            {**name, "stage": "validation", **rest, "score": value + 0.1},
            {**name, "stage": "test", **rest, "metrics": metrics, "standard_error": errors},
        ]

    records = record(0, 0.2, 1.0) + record(1, 0.4, 5.0) + record(2, 0.6, 2.0)
    (row,) = summarise({"records": records})
    assert row["seeds"] == 3
    assert row["image_to_text"]["mAP@all"] == {"mean": 0.4, "spread": 0.2}  # √(2 · 0.2² / 2)
    assert row["image_to_text"]["R@10"] == {"mean": 0.5, "spread": 0}
    assert row["validation"] == {"mean": 0.5, "spread": 0.2}
    assert row["standard_error"] == {"image_to_text": 0.01, "text_to_image": 0.02}
    assert row["cost"]["fit_seconds"] == 2
    assert (row["cost"]["peak_memory_mb"], row["cost"]["memory_of_fit_mb"]) == (112, 12)
    assert "0.400 ± 0.200" in table([row])
    (one,) = summarise({"records": records[:2]})
    assert one["validation"]["spread"] is None
    assert "±" not in table([one])


def test_known_data_sets_are_loaded_and_hashed():
    parts = load_parts("hidden-signal")
    again = load_parts(make_hidden_signal(random_state=0))
    assert parts.facts == again.facts
    assert (parts.facts["n_train"], parts.facts["n_test"]) == (450, 150)
    changed = parts.train.image.copy()
    changed[-1, -1] += 1e-9
    assert data_hash(parts.train, parts.test) == parts.facts["sha256"]
    assert data_hash(replace(parts.train, image=changed), parts.test) != parts.facts["sha256"]
    assert data_hash(parts.test, parts.train) != parts.facts["sha256"]
    swapped = replace(parts.train, labels=(parts.train.labels + 1) % 5)
    assert data_hash(swapped, parts.test) != parts.facts["sha256"]
