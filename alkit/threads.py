"""One thread for the chemistry libraries: with one for each core, xtb takes many times as long.

Imports nothing at load time: a worker sets these variables before numpy and the chemistry libraries load.
"""

from __future__ import annotations

import contextlib
import os

THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
)
ONE_THREAD = dict.fromkeys(THREAD_VARIABLES, "1")
"""The environment of a process that computes with one thread."""


def one_thread() -> contextlib.AbstractContextManager[object]:
    """Limit the loaded libraries to one thread, unless the environment does so already, as in a worker.

    The check comes first because the search for loaded libraries takes 4 ms, a tenth of a fast label.
    """
    if all(os.environ.get(name) == "1" for name in THREAD_VARIABLES):
        return contextlib.nullcontext()
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    return threadpool_limits(limits=1)
