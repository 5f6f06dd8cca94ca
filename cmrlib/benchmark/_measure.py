"""One fit and its measurement, in a process of its own."""

from __future__ import annotations

import inspect
import signal
import sys
import time
import warnings
from importlib import import_module
from multiprocessing import get_all_start_methods, get_context
from multiprocessing.connection import Connection
from typing import Any, NamedTuple

import numpy as np

from cmrlib.base import CommonSpaceModel, RetrievalModel
from cmrlib.datasets import PairedDataset
from cmrlib.evaluation import average_precision, evaluate, label_relevance

DIGITS = 6  # of a score in the results: beyond them BLAS libraries differ


class Task(NamedTuple):
    """What to fit, on what, and what to ask of it."""

    class_path: str
    parameters: dict[str, Any]
    seed: int
    fit: PairedDataset
    ask: PairedDataset
    criterion: str


def measure_apart(task: Task) -> dict[str, Any]:
    """Return :func:`measure` of a task, computed in a fresh process.

    Raises
    ------
    RuntimeError
        If the method fails with anything but a refusal, or its process is killed.
    """
    # Where it exists: forks of a small server that has everything imported, in milliseconds.
    fork = "forkserver" in get_all_start_methods()
    context: Any = get_context("forkserver" if fork else "spawn")
    if fork:
        context.set_forkserver_preload([__name__])
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_answer, args=(task, sender), daemon=True)
    process.start()
    sender.close()
    try:
        found, failure = receiver.recv()
    except EOFError as error:
        raise RuntimeError(
            "its process was killed, for lack of memory perhaps (or a script calls run() outside "
            '`if __name__ == "__main__":`).'
        ) from error
    finally:
        process.kill()
        process.join()
        receiver.close()
    if failure:
        raise RuntimeError(failure)
    return dict(found)


def _answer(task: Task, sender: Connection) -> None:
    """Send (what was measured, None), or (None, what went wrong)."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides
    try:
        sender.send((measure(task), None))
    except Exception as error:
        sender.send((None, f"{type(error).__name__}: {error}"))


def measure(task: Task) -> dict[str, Any]:
    """Fit a model and score it; return what a record holds beyond what names it.

    ``refused`` is the sentence with which the model declined parameters or data, if it did.
    """
    model = _make(task)
    if task.fit.labels is None and model.uses_labels:
        return _refusal(f"the method needs labels and {task.fit.name} has none.")
    before = _peak_memory()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            start = time.perf_counter()
            model.fit(task.fit.image, task.fit.text, *_labels(model, task.fit))
            fitted = time.perf_counter()
            _encode(model, task.ask)
            encoded = time.perf_counter()
        except ValueError as error:
            return _refusal(str(error))
        peak = _peak_memory()
        report = evaluate(model, task.ask)
    both = [report.image_to_text, report.text_to_image]
    return {
        "refused": None,
        "warnings": sorted({f"{w.category.__name__}: {w.message}" for w in caught}),
        "score": round(float(np.mean([found[task.criterion] for found in both])), DIGITS),
        "metrics": {
            "image_to_text": _rounded(report.image_to_text),
            "text_to_image": _rounded(report.text_to_image),
            "random": _rounded(report.random),
        },
        "standard_error": _standard_errors(model, task.ask),
        "cost": {
            "fit_seconds": round(fitted - start, 4),
            "encode_seconds": round(encoded - fitted, 4),
            "memory_before_mb": before,
            "peak_memory_mb": peak,
        },
    }


def _make(task: Task) -> RetrievalModel:
    module, _, name = task.class_path.rpartition(".")
    model_class: type[RetrievalModel] = getattr(import_module(module), name)
    seed = {"random_state": task.seed}
    known = inspect.signature(model_class).parameters
    return model_class(**task.parameters, **(seed if "random_state" in known else {}))


def _labels(model: RetrievalModel, data: PairedDataset) -> tuple[Any, ...]:
    return (data.labels,) if model.uses_labels else ()


def _encode(model: RetrievalModel, data: PairedDataset) -> None:
    """Encode both modalities; a model without encodings scores all pairs instead."""
    if isinstance(model, CommonSpaceModel):
        model.encode_image(data.image)
        model.encode_text(data.text)
    else:
        model.similarity(data.image, data.text)


def _refusal(reason: str) -> dict[str, Any]:
    return {
        "refused": reason,
        "warnings": [],
        "score": None,
        "metrics": {},
        "standard_error": {},
        "cost": {},
    }


def _rounded(found: dict[str, float]) -> dict[str, float]:
    return {name: round(value, DIGITS) for name, value in found.items()}


def _standard_errors(model: RetrievalModel, data: PairedDataset) -> dict[str, float]:
    """Return the standard error of mAP@all over the queries, for both directions."""
    if data.labels is None:
        return {}
    S = model.similarity(data.image, data.text)
    relevant = label_relevance(data.labels, data.labels)
    errors = {}
    for direction, scores in (("image_to_text", S), ("text_to_image", S.T)):
        ap = average_precision(scores, relevant)
        ap = ap[~np.isnan(ap)]  # queries with no relevant item
        errors[direction] = round(float(ap.std(ddof=1) / np.sqrt(len(ap))), DIGITS)
    return errors


def _peak_memory() -> float | None:
    """Return the most memory this process has held at a time so far, in MB; None on Windows."""
    try:
        import resource
    except ImportError:
        return None
    unit = 1 if sys.platform == "darwin" else 1024  # bytes there, KiB elsewhere
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6, 1)
