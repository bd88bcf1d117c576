"""Changes that alkit makes inside other libraries, each with its reason.

`tests/alkit/engines/test_patches.py` fails where a new version of theirs works otherwise.
"""

from __future__ import annotations

import contextlib
import queue
import time
from collections.abc import Callable
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from multiprocessing import context, process
from typing import Any

import pebble


class _MonotonicTime:
    """The module `time`, but for `time.time`."""

    time = staticmethod(time.monotonic)

    def __getattr__(self, name: str) -> Any:
        return getattr(time, name)


def time_pebble_by_the_monotonic_clock() -> None:
    """Let pebble time tasks by the monotonic clock.

    By the wall clock, setting it forward would end all tasks, and setting it back none.
    """
    setattr(pebble.pool.process, "time", _MonotonicTime())  # noqa: B010 - mypy knows it for a module


def abort_stranded(pool: pebble.ProcessPool) -> None:
    """End the tasks of a broken pool that pebble has lost: those that it took while the pool broke.

    pebble aborts the tasks that it knows when a pool breaks. One that reaches its queue, or comes out of it,
    a moment later is never answered.
    """
    manager = pool._pool_manager
    with contextlib.suppress(queue.Empty):
        while True:
            if (task := manager.context.task_queue.get_nowait()) is not None:
                manager.task_manager.register(task)
    manager.task_manager.tasks_abort(BrokenProcessPool("the pool broke while it took the task"))


def call_when_taken(future: Any, callback: Callable[[], None]) -> None:
    """Call ``callback`` when a worker of pebble takes the task; pebble keeps that time to itself."""
    future.set_running_or_notify_cancel = partial(_notify, callback, future.set_running_or_notify_cancel)


def _notify(callback: Callable[[], None], notify: Callable[[], bool]) -> bool:
    callback()
    return notify()


def allow_children() -> None:
    """Let this process start others, also where it is a "daemon", as Dask's workers are.

    multiprocessing forbids them children, lest they be left behind. Ours end with their parent, even by
    ``kill -9``.
    """
    process.current_process()._config["daemon"] = False  # type: ignore[attr-defined]


def add_start_method(name: str, method: context.BaseContext) -> None:
    """Make ``method`` known to multiprocessing, which Dask asks for it by name."""
    methods: dict[str, Any] = context._concrete_contexts  # type: ignore[attr-defined]
    methods.setdefault(name, method)
