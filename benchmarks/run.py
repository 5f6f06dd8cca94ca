"""Run every benchmark of this folder, or those named.

python benchmarks/run.py [NAME ...]
"""

from __future__ import annotations

import runpy
import sys
from pathlib import Path

FOLDER = Path(__file__).parent


def main(names: list[str]) -> None:
    """Run the named benchmarks one after another; all of them if none is named."""
    known = sorted(p.stem for p in FOLDER.glob("*.py") if p.stem not in ("run", "harness"))
    if unknown := set(names) - set(known):
        sys.exit(f"There is no benchmark {', '.join(sorted(unknown))}; there are {known}.")
    for name in names or known:
        runpy.run_path(str(FOLDER / f"{name}.py"), run_name="__main__")


if __name__ == "__main__":
    main(sys.argv[1:])
