"""The models of these tests must be importable, here and in the processes of a run."""

from pathlib import Path

import pytest

from cmrlib.benchmark import _protocol
from cmrlib.benchmark._measure import measure


@pytest.fixture(autouse=True)
def models_are_importable(monkeypatch):
    monkeypatch.syspath_prepend(str(Path(__file__).parent))


@pytest.fixture
def in_process(monkeypatch):
    """Measure in this process, which is faster."""
    monkeypatch.setattr(_protocol, "measure_apart", measure)
