"""Settings for the whole test suite."""

import os

# Two test processes share two cores; more threads than cores slow each other down.
os.environ.setdefault("OMP_NUM_THREADS", "1")
