"""Processes as fresh interpreters that leave ``__main__`` alone.

Workers are not forked: a fork would inherit torch and half-held locks. Neither of multiprocessing's two ways
to a fresh interpreter serves as it is, since both make the child import the user's ``__main__`` again. A
script without an ``if __name__`` guard would run itself again in every worker. A script that imports torch
would bring torch into workers that must never have it. Workers need nothing from ``__main__`` (a simulator
travels by name), so `_Popen` leaves it out.
"""

from __future__ import annotations

import contextlib
import io
import os
import signal
import weakref
from collections.abc import Iterator
from multiprocessing import context, popen_spawn_posix, reduction, resource_tracker, spawn, util
from typing import Any

# A worker's exit code once it has nothing more to do, so that 0 can mean what it means in a worker: that a
# compiled library has called exit(0) in the middle of a label.
_FINISHED = 91
UNEXPECTED_ZERO = 256  # no exit code of any process


@contextlib.contextmanager
def deaf_to_interrupts() -> Iterator[None]:
    """Processes and threads started in here never see a terminal's Ctrl-C.

    It goes to the whole group, and they inherit the mask of the starting thread. The parent decides what
    becomes of them.
    """
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)


class _Popen(popen_spawn_posix.Popen):
    """multiprocessing's spawn without the import of ``__main__``, and deaf to Ctrl-C from the very start."""

    _fds: list[Any]  # to be open in the child

    def _launch(self, process_obj: Any) -> None:
        tracker = resource_tracker.getfd()
        self._fds.append(tracker)
        preparation = spawn.get_preparation_data(process_obj._name)
        preparation.pop("init_main_from_name", None)
        preparation.pop("init_main_from_path", None)
        payload = io.BytesIO()
        context.set_spawning_popen(self)
        try:
            reduction.dump(preparation, payload)
            reduction.dump(process_obj, payload)
        finally:
            context.set_spawning_popen(None)
        self._start(tracker, payload)

    def _start(self, tracker: int | None, payload: io.BytesIO) -> None:
        parent_reads, child_writes = os.pipe()
        child_reads, parent_writes = os.pipe()
        command = spawn.get_command_line(tracker_fd=tracker, pipe_handle=child_reads)
        self._fds.extend([child_reads, child_writes])
        try:
            with deaf_to_interrupts():
                self.pid = util.spawnv_passfds(os.fsencode(spawn.get_executable()), command, self._fds)
        finally:
            os.close(child_reads)
            os.close(child_writes)
            self.finalizer = util.Finalize(self, _close, [parent_reads, parent_writes])
        self.sentinel = parent_reads
        with open(parent_writes, "wb", closefd=False) as pipe:
            pipe.write(payload.getbuffer())


def _close(*descriptors: int) -> None:
    for descriptor in descriptors:
        os.close(descriptor)


class FreshProcess(context.SpawnProcess):
    """A process that starts as a fresh interpreter without the user's ``__main__``."""

    @staticmethod
    def _Popen(process_obj: Any) -> Any:  # noqa: N802 - the name is multiprocessing's
        return _Popen(process_obj)


class FreshContext(context.SpawnContext):
    """Like multiprocessing's "spawn", with `FreshProcess`."""

    Process = FreshProcess


class _Worker(FreshProcess):
    """A worker of a pool, which takes any exit code but 0 for a death."""

    def _bootstrap(self, parent_sentinel: int | None = None) -> int:
        code = super()._bootstrap(parent_sentinel)  # type: ignore[misc]
        return _FINISHED if code == 0 else code

    @property
    def exitcode(self) -> int | None:
        code = super().exitcode
        if code == 0:
            return UNEXPECTED_ZERO
        return 0 if code == _FINISHED else code


class PoolContext(context.SpawnContext):
    """Starts the workers of one pool, and ends them."""

    def __init__(self) -> None:
        self._workers: weakref.WeakSet[_Worker] = weakref.WeakSet()
        self._ended = False

    def Process(self, *args: Any, **settings: Any) -> _Worker:  # type: ignore[override]  # noqa: N802
        """A new worker; none once the pool has ended.

        Args:
            *args: as of multiprocessing.
            **settings: as of multiprocessing.

        Raises:
            OSError: the pool has ended; pebble then gives it up.
        """
        if self._ended:
            raise OSError("the workers of this pool have ended")  # pebble gives the pool up
        process = _Worker(*args, **settings)
        self._workers.add(process)
        return process

    def end(self) -> None:
        """Kill all workers, and allow no new one."""
        self._ended = True
        for process in tuple(self._workers):
            if process.pid is not None:
                process.kill()
