"""Command line of the benchmark: ``python -m cmrlib.benchmark --help``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from cmrlib.benchmark._data import DATASETS
from cmrlib.benchmark._protocol import BITS, run
from cmrlib.benchmark._summary import table


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m cmrlib.benchmark",
        description="Measure methods of the catalogue on one data set: parameters chosen on "
        "validation data, one evaluation on the test part a seed.",
        epilog="An interrupted run continues where it stopped when the same command is given.",
    )
    parser.add_argument("--dataset", required=True, help=", ".join(DATASETS))
    parser.add_argument("--methods", default="all", help="all, or names with commas between")
    parser.add_argument("--seeds", type=int, default=3, help="how many (default 3)")
    parser.add_argument(
        "--bits", default=",".join(map(str, BITS)), help="code lengths of hash methods"
    )
    parser.add_argument("--output", default="results.json", help="file to begin or continue")
    parser.add_argument("--verbose", action="store_true", help="a line for each fit")
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark; return the exit status."""
    given = _parser().parse_args(arguments)
    try:
        results = run(
            given.dataset,
            "all" if given.methods == "all" else _names(given.methods),
            seeds=given.seeds,
            bits=_lengths(given.bits),
            output=given.output,
            verbose=given.verbose,
        )
    except (ValueError, OSError, RuntimeError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"interrupted; the same command continues {given.output}.", file=sys.stderr)
        return 130
    print(table(row for row in results["summary"] if row["dataset"] == given.dataset))
    return 0


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]


def _lengths(text: str) -> list[int]:
    try:
        return [int(length) for length in text.split(",")]
    except ValueError:
        raise ValueError(f"--bits takes numbers with commas between, not {text!r}.") from None


if __name__ == "__main__":
    sys.exit(main())
