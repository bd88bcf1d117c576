"""Labels on this machine, in processes of pebble, which can kill one that hangs."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
from collections.abc import Collection
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from typing import Any

import pebble

from alkit.engines import patches, worker
from alkit.engines.base import LABELS_PER_WORKER, Engine, Job, WorkerSettings
from alkit.engines.processes import UNEXPECTED_ZERO, PoolContext
from alkit.errors import AlkitError
from alkit.simulators.base import SimulatorSpec

# A pool breaks when its workers end without having taken a job: killed while idle (a new pool helps), or
# unable to start at all (a new pool does not help).
_BROKEN_IN_A_ROW = 3
_SECONDS_BETWEEN_LOOKS = 1.0


class LocalEngine(Engine):
    """Labels molecules in processes on this machine.

    A molecule whose worker died is tried once more, as the death need not be its fault: the kernel kills the
    largest process. After the second it is "worker_died". A timeout is final.

    Args:
        spec: of the simulator; None: there are no labels.
        workers: number of processes.
        timeout: seconds a label may take before its worker is killed; the first label of a worker includes
            the loading of the simulator.
        memory_limit: see `WorkerSettings`.
        labels_per_worker: see `WorkerSettings`.
    """

    def __init__(
        self,
        spec: SimulatorSpec | None,
        *,
        workers: int = 2,
        timeout: float = 600.0,
        memory_limit: float | None = None,
        labels_per_worker: int = LABELS_PER_WORKER,
    ):
        super().__init__(
            spec, workers=workers, settings=WorkerSettings(timeout, memory_limit, labels_per_worker)
        )
        self._pool: pebble.ProcessPool | None = None
        self._context = PoolContext()
        self._broken = 0
        self._inner: dict[Job, Future[Any]] = {}
        # Linux ends a worker with the *thread* that started it (PR_SET_PDEATHSIG). This one lives as long
        # as the engine, whatever thread submit() is called from; all that pebble needs a thread of ours for
        # happens in it.
        self._thread = ThreadPoolExecutor(1, "alkit-engine")
        self._closing = threading.Event()
        threading.Thread(target=self._look_after_the_pool, name="alkit-engine-watch", daemon=True).start()

    def _start(self, job: Job) -> None:
        self._thread.submit(self._schedule, job)

    def _begun(self, futures: Collection[Future[Any]]) -> set[Future[Any]]:
        running = {job.future for job, inner in list(self._inner.items()) if inner.running()}
        return {future for future in futures if future in running}

    def _look_after_the_pool(self) -> None:
        while not self._closing.wait(_SECONDS_BETWEEN_LOOKS):
            with contextlib.suppress(RuntimeError):  # closed since
                self._thread.submit(self._free_stranded)

    def _free_stranded(self) -> None:
        if self._pool is not None and self._inner and not self._pool.active:
            patches.abort_stranded(self._pool)

    def _stop(self) -> None:
        self._closing.set()
        with contextlib.suppress(RuntimeError):  # closed before
            self._thread.submit(self._stop_pool).result()
        self._thread.shutdown()

    def _schedule(self, job: Job) -> None:
        if job.future.cancelled():
            return
        try:
            if self._pool is None or not self._pool.active:
                self._start_pool()
            assert self._pool is not None
            job.started = time.monotonic()
            inner: Any = self._pool.schedule(worker.run, args=job.call, timeout=self.settings.timeout)
        except Exception as error:
            if self._pool is not None and isinstance(error, RuntimeError) and not self._pool.active:
                self._again(job)  # the pool broke since it was looked at
            else:  # not swallowed: it is the caller's to see, at result()
                job.answer(error)
            return
        patches.call_when_taken(inner, partial(_begin, job))
        self._inner[job] = inner
        job.future.add_done_callback(partial(_cancel_too, inner))
        inner.add_done_callback(partial(self._settle, job))

    def _start_pool(self) -> None:
        if self._broken >= _BROKEN_IN_A_ROW:
            raise AlkitError(
                f"the worker processes{self._of_simulator()} ended {self._broken} times in a row "
                "without taking a job; the reason should be on standard error"
            )
        self._free_stranded()
        self._stop_pool()
        self._broken += 1  # until a worker answers
        kind, settings = (self.spec.kind, dict(self.spec.settings)) if self.spec else ("", {})
        arguments = (os.getpid(), kind, settings, self.settings.memory_limit)
        self._context = PoolContext()
        patches.time_pebble_by_the_monotonic_clock()
        self._pool = pebble.ProcessPool(
            self.workers,
            max_tasks=self.settings.labels_per_worker,
            initializer=worker.initialize,
            initargs=arguments,
            context=self._context,
        )

    def _of_simulator(self) -> str:
        return f" of simulator {self.spec.kind!r}" if self.spec else ""

    def _stop_pool(self) -> None:
        if self._pool is not None:
            self._pool.stop()
            # Before pebble does: it removes the locks that a starting worker is about to open, and only then
            # ends the worker, which has complained on standard error by that time.
            self._context.end()
            self._pool.join()
            self._pool = None

    def _settle(self, job: Job, inner: Future[Any]) -> None:
        """Hand the answer of a worker, or of pebble in its place, to the job. Runs in pebble's threads."""
        self._inner.pop(job, None)
        try:
            answer = inner.result()
        except CancelledError:
            job.future.cancel()
        except BrokenProcessPool:
            self._again(job)
        except TimeoutError:
            job.fail("timeout", f"no answer within {self.settings.timeout:g} s")
        except pebble.ProcessExpired as error:
            self._bury(job, error.exitcode)
        except Exception as error:  # what pebble could not send or read
            job.fail("simulator_error", f"{type(error).__name__}: {error}")
        else:
            self._broken = 0
            job.answer(answer)

    def _bury(self, job: Job, exitcode: int) -> None:
        self._broken = 0  # it had taken a job
        if job.tries:
            job.fail("worker_died", f"{_how(exitcode)}, for the second time")
        else:
            job.bury()
            self._again(job)

    def _again(self, job: Job) -> None:
        """Back to the workers: of a new pool, if the old one broke while this job waited in it."""
        try:
            self._thread.submit(self._schedule, job)
        except RuntimeError:  # the engine is closing
            job.future.cancel()


def _begin(job: Job) -> None:
    job.started = time.monotonic()


def _cancel_too(inner: Future[Any], outer: Future[Any]) -> None:
    if outer.cancelled():
        inner.cancel()


def _how(exitcode: int) -> str:
    if exitcode >= 0:
        return f"the worker exited with code {0 if exitcode == UNEXPECTED_ZERO else exitcode}"
    with contextlib.suppress(ValueError):
        return f"the worker was ended by {signal.Signals(-exitcode).name}"
    return f"the worker was ended by signal {-exitcode}"
