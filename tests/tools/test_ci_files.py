"""The files that only other machines run: they parse, and agree with the rest of the tree."""

import os
import re
import subprocess
import tomllib
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
SCRIPTS = [ROOT / ".ci" / "run", ROOT / ".binder" / "postBuild"]


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_workflow(path):
    workflow = yaml.safe_load(path.read_text())
    assert True in workflow  # YAML 1.1 reads the key "on" as a boolean
    jobs = workflow["jobs"]
    for name, job in jobs.items():
        needs = job.get("needs", [])
        assert set([needs] if isinstance(needs, str) else needs) <= set(jobs), name
        for step in job["steps"]:
            assert ("run" in step) != ("uses" in step), step
            if "run" in step:
                subprocess.run(["bash", "-n"], input=step["run"], text=True, check=True)
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"\bmake ([a-z]+)", path.read_text())) <= targets


def test_there_are_workflows():
    assert {path.name for path in WORKFLOWS} == {"ci.yml", "weekly.yml"}


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.name)
def test_script(path):
    subprocess.run(["bash", "-n", str(path)], check=True)
    assert os.access(path, os.X_OK)


def test_ci_run_stops_at_the_first_failure(tmp_path):
    fake = tmp_path / "make"
    fake.write_text('#!/bin/sh\necho "made $1"\n[ "$1" != test ]\n')
    chromium = tmp_path / "chromium"
    chromium.write_text("")
    for file in (fake, chromium):
        file.chmod(0o755)
    done = subprocess.run(
        [str(ROOT / ".ci" / "run")],
        env=os.environ | {"PATH": f"{tmp_path}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert "made lint" in done.stdout and "made test" in done.stdout
    assert "made book" not in done.stdout
    assert "FAILED" in done.stderr


def test_binder_brings_the_cpu_build_of_torch():
    environment = yaml.safe_load((ROOT / ".binder" / "environment.yml").read_text())
    assert any(package.startswith("pytorch-cpu") for package in environment["dependencies"])
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    lower_bound = next(d for d in project["dependencies"] if d.startswith("torch"))
    assert f"pytorch-cpu{lower_bound.removeprefix('torch')}" in environment["dependencies"]


def test_citation_agrees_with_the_package():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert {"cff-version", "message", "title", "authors"} <= set(citation)
    assert citation["version"] == project["version"]
    assert project["license"] in citation["license"]
    assert citation["authors"] == project["authors"]
