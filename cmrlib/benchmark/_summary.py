"""Means and spreads over seeds, one row a method."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np


def summarise(results: dict[str, Any]) -> list[dict[str, Any]]:
    """Return one row for each data set, method and code length of a results file.

    Returns
    -------
    list of dict
        ``dataset``, ``method``, ``bits``; ``seeds``, the number measured on test; ``chosen``, the
        parameters by seed; ``validation``, ``image_to_text`` and ``text_to_image``, each metric as
        ``{"mean": ..., "spread": ...}``; ``random``; ``standard_error``; ``cost``; and
        ``refused``, a reason, where every parameter was refused. The spread is the standard
        deviation over seeds (n - 1 in the denominator), None for one seed. Times are medians over
        the seeds' final fits, memory is the largest of them.
    """
    groups: dict[tuple[Any, ...], list[dict[str, Any]]] = {}
    for record in results["records"]:
        key = (record["dataset"], record["method"], record["bits"])
        groups.setdefault(key, []).append(record)
    return [
        {"dataset": dataset, "method": method, "bits": bits, **_row(records)}
        for (dataset, method, bits), records in groups.items()
    ]


def _row(records: list[dict[str, Any]]) -> dict[str, Any]:
    final = [record for record in records if record["stage"] == "test"]
    if not final:
        tried = [record["refused"] for record in records]
        return {"seeds": 0, "refused": None if None in tried else tried[0]}
    chosen_scores = [
        record["score"]
        for test in final
        for record in records
        if record["stage"] == "validation"
        and (record["seed"], record["parameters"]) == (test["seed"], test["parameters"])
    ]
    return {
        "seeds": len(final),
        "refused": None,
        "chosen": [record["parameters"] for record in final],
        "validation": _spread(chosen_scores),
        **{
            direction: {
                name: _spread([record["metrics"][direction][name] for record in final])
                for name in final[0]["metrics"][direction]
            }
            for direction in ("image_to_text", "text_to_image")
        },
        "random": final[0]["metrics"]["random"],
        "standard_error": {
            direction: _round(np.mean([record["standard_error"][direction] for record in final]))
            for direction in final[0]["standard_error"]
        },
        "cost": _cost([record["cost"] for record in final]),
    }


def _round(value: Any) -> float:
    return round(float(value), 6)


def _spread(values: Sequence[float]) -> dict[str, float | None]:
    spread = _round(np.std(values, ddof=1)) if len(values) > 1 else None
    return {"mean": _round(np.mean(values)), "spread": spread}


def _cost(costs: Sequence[dict[str, Any]]) -> dict[str, float | None]:
    def column(name: str) -> list[float]:
        return [cost[name] for cost in costs if cost[name] is not None]

    peaks, before = column("peak_memory_mb"), column("memory_before_mb")
    return {
        "fit_seconds": float(np.median(column("fit_seconds"))),
        "encode_seconds": float(np.median(column("encode_seconds"))),
        "peak_memory_mb": max(peaks, default=None),
        "memory_of_fit_mb": max(
            (round(p - b, 1) for p, b in zip(peaks, before, strict=True)), default=None
        ),
    }


def table(rows: Iterable[dict[str, Any]]) -> str:
    """Return the rows of a summary as plain text, one line each."""
    head = (
        f"{'data set':14} {'method':16} {'bits':>4}  {'mAP@all i->t':>15}  {'mAP@all t->i':>15}"
        f"  {'R@10 i->t':>15}  {'fit s':>8}  {'fit MB':>7}"
    )
    return "\n".join([head, *map(_line, rows)])


def _line(row: dict[str, Any]) -> str:
    name = f"{row['dataset']:14} {row['method']:16} {row['bits'] or '':>4}  "
    if not row["seeds"]:
        return name + (f"refused: {row['refused']}" if row["refused"] else "not finished")
    cells = [
        _figure(row["image_to_text"].get("mAP@all")),
        _figure(row["text_to_image"].get("mAP@all")),
        _figure(row["image_to_text"]["R@10"]),
    ]
    memory = row["cost"]["memory_of_fit_mb"]
    return (
        f"{name}{'  '.join(f'{cell:>15}' for cell in cells)}"
        f"  {row['cost']['fit_seconds']:8.3f}  {'-' if memory is None else memory:>7}"
    )


def _figure(found: dict[str, float | None] | None) -> str:
    if found is None:
        return "-"
    spread = "" if found["spread"] is None else f" ± {found['spread']:.3f}"
    return f"{found['mean']:.3f}{spread}"
