"""All methods of the catalogue under one protocol, with spread, time and memory.

From a shell::

    python -m cmrlib.benchmark --dataset emoji --methods all --output results.json

From Python, also for data and methods of your own::

    from cmrlib.benchmark import run, table

    if __name__ == "__main__":
        print(table(run("emoji", ["CCA"])["summary"]))

**The file** is JSON with the sections ``environment`` (versions, system, date), ``protocol``,
``datasets`` (the SHA-256 over the arrays of the training and the test part; sizes; the split),
``grids``, ``summary`` (:func:`summarise`) and ``records``. A record is named by ``dataset``,
``method``, ``bits``, ``seed``, ``stage`` ("validation" or "test") and ``parameters``. It holds
``score`` (the criterion, mean of both directions), ``refused`` (why the model declined, or null),
``warnings`` and ``cost``; a test record also ``metrics`` and ``standard_error`` (of mAP@all over
the queries). Scores have six digits.

**Cost**: ``fit_seconds`` and ``encode_seconds`` are wall time, the latter for all items that are
asked, both modalities (all pairs for a model without encodings). ``memory_before_mb`` and
``peak_memory_mb`` are ``resource.getrusage(RUSAGE_SELF).ru_maxrss`` of the fit's own process,
before the fit and after encoding: the most resident memory it had held until then, interpreter,
libraries and data included.

Everything but ``cost`` and ``environment`` is the same whenever the same command runs with the
same versions, interrupted or not; :func:`comparable` returns that part.
"""

from cmrlib.benchmark._data import DATASETS, data_hash
from cmrlib.benchmark._protocol import run
from cmrlib.benchmark._results import comparable, load_results
from cmrlib.benchmark._summary import summarise, table

__all__ = ["DATASETS", "comparable", "data_hash", "load_results", "run", "summarise", "table"]
