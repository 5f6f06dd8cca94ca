"""The results file: whole or not at all, continued to the same content, never lost."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace

import pytest

from cmrlib.benchmark import _protocol, _results, comparable, load_results, run
from cmrlib.benchmark._measure import measure
from cmrlib.benchmark._results import ResultsFile

SEEDS, RECORDS = 2, 8  # two seeds, three candidates and a final fit each


@pytest.fixture
def models():
    import benchmark_models

    return benchmark_models


@pytest.fixture
def spy(models):
    return models.row("Spy", {"quality": [0.3, 0.9, 0.6]})


@pytest.fixture
def start(models, spy, tmp_path, in_process):
    """Begin or continue results.json with toy data."""

    def start(data=None, rows=None, **options):
        options = {"seeds": SEEDS, "output": tmp_path / "results.json"} | options
        return run(data or models.pairs(), rows or [spy], **options)

    return start


@pytest.fixture
def file(tmp_path):
    return tmp_path / "results.json"


def text(results):
    return json.dumps(comparable(results))


@pytest.mark.parametrize("finished", range(RECORDS + 1))
def test_interrupted_run_continues_to_the_same_file(start, file, tmp_path, monkeypatch, finished):
    whole = start(output=tmp_path / "whole.json")
    assert len(whole["records"]) == RECORDS
    runs = []

    def interrupted(task):
        if len(runs) == finished:
            raise KeyboardInterrupt
        runs.append(task)
        return measure(task)

    monkeypatch.setattr(_protocol, "measure_apart", interrupted)
    if finished < RECORDS:
        with pytest.raises(KeyboardInterrupt):
            start()
        if finished:
            assert len(load_results(file)["records"]) == finished
    monkeypatch.setattr(
        _protocol, "measure_apart", lambda task: (runs.append(task), measure(task))[1]
    )
    assert text(start()) == text(whole)
    assert text(load_results(file)) == text(whole)
    assert len(runs) == RECORDS  # nothing twice
    before = file.read_bytes()
    start()
    assert file.read_bytes() == before


def test_killed_process_continues_to_the_same_file(models, tmp_path, in_process):
    grid = {"quality": [0.1, 0.2, 0.3, 0.4, 0.9, 0.5, 0.6, 0.7]}
    whole = run(models.pairs(), [models.row("Spy", grid)], output=tmp_path / "whole.json")

    killed = tmp_path / "killed.json"
    command = [sys.executable, "-c", SCRIPT, str(killed), json.dumps(grid)]
    process = subprocess.Popen(command, env=ENVIRONMENT)
    while not killed.exists():
        assert process.poll() is None
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert 1 <= len(load_results(killed)["records"]) < len(whole["records"])
    subprocess.run(command, check=True, env=ENVIRONMENT)
    assert text(load_results(killed)) == text(whole)


ENVIRONMENT = {**os.environ, "PYTHONPATH": os.path.dirname(__file__)}
SCRIPT = """
import json, sys
from benchmark_models import pairs, row
from cmrlib.benchmark import run
if __name__ == "__main__":
    run(pairs(), [row("Spy", json.loads(sys.argv[2]))], output=sys.argv[1])
"""


def test_comparable_leaves_out_time_memory_and_machine_only(start):
    results = start()
    assert set(results) - set(comparable(results)) == {"environment"}
    lost = set(results["records"][-1]) - set(comparable(results)["records"][-1])
    assert lost == {"cost"}
    assert "cost" not in comparable(results)["summary"][0]
    assert "cost" in results["summary"][0]  # results are left alone


@pytest.mark.parametrize("moment", ["write", "replace"])
def test_file_is_whole_whenever_saving_fails(start, file, monkeypatch, moment):
    whole = start(seeds=1)
    before = file.read_bytes()

    def fails(*arguments):
        raise OSError("no space left on device")

    target = (_results.os, "replace") if moment == "replace" else (_results, "_text")
    monkeypatch.setattr(*target, fails)
    with pytest.raises(OSError, match="no space left"):
        start()
    assert file.read_bytes() == before
    monkeypatch.undo()
    assert comparable(load_results(file)) == comparable(whole)


def test_save_never_writes_into_the_file_itself(start, file):
    start(seeds=1)
    inode, link = file.stat().st_ino, file.with_name("old.json")
    os.link(file, link)
    before = link.read_bytes()
    start()
    assert file.stat().st_ino != inode
    assert link.read_bytes() == before
    assert sorted(p.name for p in file.parent.iterdir()) == ["old.json", "results.json"]


def test_further_methods_seeds_and_data_are_added(start, file, models, spy):
    start(seeds=1)
    other = replace(spy, name="Other")
    start(rows=[spy, other])
    results = start(data=models.pairs(80, name="more"), rows=[other])
    found = {(r["dataset"], r["method"], r["seeds"]) for r in results["summary"]}
    assert found == {("toy", "Spy", 2), ("toy", "Other", 2), ("more", "Other", 2)}
    assert set(results["datasets"]) == {"toy", "more"}


def damaged(content):
    return content[: len(content) // 2]


def edited(path, value):
    """Return an edit of the JSON that sets the entry under `path`."""

    def edit(content):
        results = json.loads(content)
        *outer, last = path
        place = results
        for key in outer:
            place = place[key]
        if value is None:
            del place[last]
        else:
            place[last] = value
        return json.dumps(results)

    return edit


def doubled(content):
    results = json.loads(content)
    results["records"].append(results["records"][0])
    return json.dumps(results)


REFUSED = {
    "cut off": (damaged, "is damaged or no results file"),
    "empty": (lambda content: "", "is damaged or no results file"),
    "another JSON": (lambda content: "[1, 2]", "is damaged or no results file"),
    "another format": (edited(["format"], "x"), "its format is 'x'"),
    "no records": (edited(["records"], None), "no 'records'"),
    "records of another kind": (edited(["records"], 3), "records is no list"),
    "a record without score": (edited(["records", 0, "score"], None), "a record has no score"),
    "a record twice": (doubled, "stands in it twice"),
    "other data": (
        edited(["datasets", "toy", "sha256"], "0" * 64),
        "other data under the name toy",
    ),
    "another split": (edited(["datasets", "toy", "n_test"], 3), "other data under the name toy"),
    "another grid": (edited(["grids", "Spy"], {}), "chose Spy from another grid"),
    "another protocol": (edited(["protocol", "final"], "best epoch"), "under another protocol"),
    "another Python": (edited(["environment", "python"], "2.7"), "python 2.7 there"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_file_that_does_not_fit_is_refused_and_left_alone(start, file, case):
    start(seeds=1)
    spoil, message = REFUSED[case]
    content = spoil(file.read_text())
    file.write_text(content)
    with pytest.raises(ValueError, match=message) as caught:
        start()
    assert "name another output" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert file.read_text() == content
    assert [p.name for p in file.parent.iterdir()] == ["results.json"]  # no lock left


def test_changed_data_are_refused(start, file, models):
    start(seeds=1)
    before = file.read_bytes()
    data = models.pairs()
    data.image[7, 2] += 1e-6
    with pytest.raises(ValueError, match="made on other data"):
        start(data=data)
    assert file.read_bytes() == before


@pytest.mark.skipif(sys.platform == "win32", reason="no file locks there")
def test_second_run_is_kept_off_the_same_file(start, file, models):
    from cmrlib.benchmark._data import load_parts

    with (
        ResultsFile(file, load_parts(models.pairs()), {}, {}),
        pytest.raises(ValueError, match="another run is writing .*results.json"),
    ):
        start()
    start(seeds=1)


def test_schema(start):
    results = start()
    assert list(results) == [
        "format", "environment", "protocol", "datasets", "grids", "summary", "records"
    ]  # fmt: skip
    packages = results["environment"].pop("packages")
    assert {"cmrlib", "numpy", "scipy", "scikit-learn", "torch"} == set(packages)
    assert set(results["environment"]) == {
        "date", "python", "system", "machine", "processors", "threads"
    }  # fmt: skip
    assert time.strptime(results["environment"]["date"], "%Y-%m-%d")
    facts = results["datasets"]["toy"]
    assert set(facts) == {"sha256", "split", "n_train", "n_test", "criterion"}
    assert len(facts["sha256"]) == 64
    for record in results["records"]:
        names = {"dataset", "method", "bits", "seed", "stage", "parameters"}
        found = {"refused", "warnings", "score", "cost"}
        if record["stage"] == "test":
            found |= {"metrics", "standard_error"}
            for direction in ("image_to_text", "text_to_image", "random"):
                metrics = record["metrics"][direction]
                assert set(metrics) == {"mAP@all", "P@10", "R@1", "R@5", "R@10"}
                assert all(value == round(value, 6) for value in metrics.values())
        assert set(record) == names | found
        assert set(record["cost"]) == {
            "fit_seconds", "encode_seconds", "memory_before_mb", "peak_memory_mb"
        }  # fmt: skip
    assert json.loads(json.dumps(results, allow_nan=False)) == results


@pytest.mark.parametrize(
    "options, message",
    [
        ({"seeds": 0}, "seeds must be a whole number of at least 1, got 0"),
        ({"seeds": 2.0}, "seeds must be a whole number"),
        ({"bits": (16, 0)}, "a code length must be a whole number of at least 1, got 0"),
        ({"rows": ["SVM"]}, "no method 'SVM'; there are CCA"),
        ({"rows": ["CCA", "CCA"]}, "the method CCA is named twice"),
        ({"data": "imagenet"}, "no data set 'imagenet'; there are emoji, wikipedia"),
    ],
)
def test_bad_arguments_are_refused_before_anything_is_written(start, file, options, message):
    with pytest.raises(ValueError, match=message):
        start(**options)
    assert not file.parent.exists() or not list(file.parent.iterdir())


@pytest.mark.parametrize(
    "grid, message",
    [
        ({"quality": []}, "the grid of Spy needs a list of values for quality"),
        ({"quality": 0.5}, "the grid of Spy needs a list of values for quality"),
        ({"quality": [{1, 2}]}, "the grid of Spy does not fit into JSON"),
    ],
)
def test_bad_grid_is_refused(start, models, grid, message):
    with pytest.raises(ValueError, match=message):
        start(rows=[models.row("Spy", grid)])


def test_missing_folder_is_named(start, tmp_path):
    with pytest.raises(OSError, match="there is no folder .*nowhere; make it first"):
        start(output=tmp_path / "nowhere" / "results.json")
