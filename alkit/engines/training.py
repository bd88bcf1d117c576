"""Processes that train: groups of networks, and the generator beside them.

They start on first use, load torch once, and end with this process. Each has one thread. So a training gives
the same numbers in them and in this process, on few cores and on many.
"""

from __future__ import annotations

import atexit
import os
import pickle
import queue
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, partial
from typing import Any

import pebble

from alkit import interrupts
from alkit.engines import worker
from alkit.engines.processes import PoolContext
from alkit.errors import AlkitError
from alkit.threads import ONE_THREAD

OnProgress = Callable[..., None]
_SECONDS_BETWEEN_LOOKS = 0.2

_events: Any = None  # in a worker: where progress goes


@dataclass(eq=False)
class Job:
    """A call that has been submitted."""

    future: Any
    on_progress: OnProgress | None
    reported: bool = False  # its last report has arrived, which may be after its result

    @property
    def settled(self) -> bool:
        """Whether nothing more comes of it."""
        if not self.future.done():
            return False
        return self.reported or self.future.cancelled() or self.future.exception() is not None

    def cancel(self) -> None:
        """End it, whatever it has done."""
        self.future.cancel()


class InTurn:
    """The same in this process, one call after the other when it is asked for: for one core."""

    def submit(
        self, function: Callable[..., Any], *arguments: Any, on_progress: OnProgress | None = None
    ) -> _Later:
        """Note the call, see `TrainingProcesses.submit`."""
        return _Later(partial(function, *arguments, on_progress or _unheard))

    def results(self, jobs: Sequence[_Later]) -> list[Any]:
        """Compute the calls, and return what they return."""
        return [job.call() for job in jobs]


@dataclass(frozen=True)
class _Later:
    """A call that has been noted."""

    call: Callable[[], Any]

    def cancel(self) -> None:
        """Nothing has begun."""


def _unheard(*report: Any) -> None:
    """Nobody asks for the progress."""


class TrainingProcesses:
    """Processes of this machine, at most ``count`` at work at once."""

    def __init__(self, count: int):
        self.count = count
        self._context = PoolContext()
        self._pool: pebble.ProcessPool | None = None
        self._events: Any = None
        self._jobs: dict[int, Job] = {}
        self._submitted = 0

    def submit(
        self, function: Callable[..., Any], *arguments: Any, on_progress: OnProgress | None = None
    ) -> Job:
        """Start ``function(*arguments, on_progress)`` in one of the processes.

        Args:
            function: of a module; it and its arguments pickle.
            *arguments: of the function.
            on_progress: called in this process, within `results`, with what the function reports.
        """
        if self._pool is None or not self._pool.active:
            self._start()
        assert self._pool is not None
        self._submitted += 1
        # As bytes: torch would hand tensors over in shared memory, and each needs an open file.
        content = pickle.dumps((function, arguments))
        future = self._pool.schedule(_call, args=(self._submitted, content))
        self._jobs[self._submitted] = job = Job(future, on_progress)
        return job

    def results(self, jobs: Sequence[Job]) -> list[Any]:
        """Wait for all calls, and return what they return.

        Raises:
            AlkitError: a process has ended before its call, such as for want of memory.
            Exception: whatever a call has raised.
        """
        try:
            while not all(job.settled for job in jobs):
                interrupts.check()
                self._hear()
            found = [pickle.loads(job.future.result()) for job in jobs]
        except pebble.ProcessExpired as error:
            self.close()
            raise AlkitError(
                f"A process that trained ended with code {error.exitcode} before it was done; often memory "
                "ran out. Run the same command to go on, with fewer members or smaller batches."
            ) from None
        except BaseException:
            self.close()
            raise
        self._jobs = {number: job for number, job in self._jobs.items() if not job.settled}
        return found

    def _hear(self) -> None:
        """Pass the next report on, if there is one soon."""
        try:
            number, report = self._events.get(timeout=_SECONDS_BETWEEN_LOOKS)
        except queue.Empty:
            return
        job = self._jobs.get(number)
        if job is None:  # cancelled since
            return
        if report is None:
            job.reported = True
        elif job.on_progress:
            job.on_progress(*report)

    def _start(self) -> None:
        self._context = PoolContext()
        self._events = self._context.Queue()
        self._pool = pebble.ProcessPool(
            self.count, initializer=_initialize, initargs=(os.getpid(), self._events), context=self._context
        )

    def close(self) -> None:
        """End all processes, whatever they are doing; the next call starts new ones."""
        if self._pool is not None:
            self._pool.stop()
            self._context.end()
            self._pool.join()
            self._pool, self._jobs = None, {}


def training_processes() -> TrainingProcesses | InTurn:
    """The processes of this interpreter that train, as many as torch may use cores.

    All is trained in this process with one core alone, or in another thread than the main one.
    """
    import torch

    cores = torch.get_num_threads()
    if cores < 2 or threading.current_thread() is not threading.main_thread():
        return InTurn()
    return _processes(cores)


@cache
def _processes(count: int) -> TrainingProcesses:
    processes = TrainingProcesses(count)
    atexit.register(processes.close)
    return processes


def _initialize(parent: int, events: Any) -> None:
    global _events
    os.environ.update(ONE_THREAD)
    worker.end_with(parent)
    _events = events


def _call(number: int, content: bytes) -> bytes:
    function, arguments = pickle.loads(content)
    result = pickle.dumps(function(*arguments, partial(_report, number)))
    _events.put((number, None))
    return result


def _report(number: int, *values: Any) -> None:
    _events.put((number, values))
