"""The chemistry libraries on one thread: with one for each core, xtb takes many times as long."""

from __future__ import annotations

import contextlib
import os

from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from alkit.worker import THREAD_VARIABLES


def one_thread() -> contextlib.AbstractContextManager[object]:
    """Where the environment does not say so already, as it does in a worker: to look for the libraries that
    are loaded takes 4 ms, which is a tenth of a fast label."""
    if all(os.environ.get(name) == "1" for name in THREAD_VARIABLES):
        return contextlib.nullcontext()
    return threadpool_limits(limits=1)
