"""The command line: a table on success, one sentence on failure."""

import subprocess
import sys

import pytest

from cmrlib.benchmark import DATASETS, load_results
from cmrlib.benchmark.__main__ import main


@pytest.fixture
def output(tmp_path, monkeypatch):
    import benchmark_models

    from cmrlib.benchmark import _protocol

    rows = {name: benchmark_models.row("Spy", {"quality": [0.9]}) for name in ("Spy",)}
    monkeypatch.setattr(_protocol, "method", rows.__getitem__)
    monkeypatch.setattr(_protocol, "methods", lambda: tuple(rows.values()))
    monkeypatch.setitem(DATASETS, "toy", benchmark_models.pairs)
    return str(tmp_path / "results.json")


def test_table_on_success(output, capsys, in_process):
    assert main(["--dataset", "toy", "--seeds", "2", "--output", output, "--verbose"]) == 0
    printed = capsys.readouterr()
    assert printed.err == ""
    lines = printed.out.splitlines()
    assert lines[0].startswith("toy Spy seed 0 validation [quality=0.9] ")
    assert len(lines) == 4 + 2  # records, head and one row
    assert lines[-1].startswith("toy")
    assert len(load_results(output)["records"]) == 4
    assert main(["--dataset", "toy", "--seeds", "2", "--output", output]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 2


@pytest.mark.parametrize(
    "arguments, sentence",
    [
        (["--dataset", "imagenet"], "no data set 'imagenet'; there are emoji, wikipedia"),
        (["--dataset", "hidden-signal", "--methods", "CCA,SVM"], "no method 'SVM'; there are CCA"),
        (["--dataset", "hidden-signal", "--methods", ","], "name at least one method"),
        (["--dataset", "hidden-signal", "--seeds", "0"], "seeds must be a whole number"),
        (["--dataset", "hidden-signal", "--bits", "16,many"], "--bits takes numbers"),
    ],
)
def test_one_sentence_on_failure(tmp_path, capsys, arguments, sentence):
    output = tmp_path / "results.json"
    assert main([*arguments, "--output", str(output)]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith(f"error: {sentence}")
    assert printed.err.count("\n") == 1
    assert not output.exists()


def test_missing_data_say_where_to_put_them(tmp_path, capsys, monkeypatch):
    import pooch

    def offline(*arguments, **options):
        raise OSError("no network")

    monkeypatch.setattr(pooch, "retrieve", offline)
    monkeypatch.setenv("CMRLIB_DATA", str(tmp_path))
    assert main(["--dataset", "wikipedia", "--output", str(tmp_path / "results.json")]) == 2
    error = capsys.readouterr().err
    assert f"put it in {tmp_path / 'wikipedia'}" in error
    assert error.count("\n") == 1


def test_damaged_file_is_one_sentence(output, tmp_path, capsys):
    (tmp_path / "results.json").write_text("{")
    assert main(["--dataset", "toy", "--output", output]) == 2
    assert "is damaged or no results file" in capsys.readouterr().err


def test_interruption_says_how_to_continue(output, capsys, monkeypatch):
    from cmrlib.benchmark import _protocol

    def interrupt(task):
        raise KeyboardInterrupt

    monkeypatch.setattr(_protocol, "measure_apart", interrupt)
    assert main(["--dataset", "toy", "--output", output]) == 130
    assert f"the same command continues {output}" in capsys.readouterr().err


def test_module_is_a_command_and_loads_no_plotting():
    code = (
        "import runpy, sys\n"
        "sys.argv[1:] = ['--help']\n"
        "try:\n"
        "    runpy.run_module('cmrlib.benchmark', run_name='__main__', alter_sys=True)\n"
        "except SystemExit as end:\n"
        "    print('end', end.code)\n"
        "print([m for m in ('matplotlib', 'torch', 'pooch') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "--dataset" in done.stdout
    assert done.stdout.endswith("end 0\n[]\n")
