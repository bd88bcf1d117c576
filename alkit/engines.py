"""Where labels are computed: worker processes on this machine, behind ``concurrent.futures``.

Workers come from pebble (it can kill one that hangs) and are started as fresh interpreters, not forked: a
fork would inherit torch and half-held locks. Neither of multiprocessing's two ways to a fresh interpreter
serves as it is, since both make the worker import the user's ``__main__`` again: a script without an ``if
__name__`` guard would run itself anew in every worker, and a script that imports torch would bring torch
into workers that must never have it. Workers need nothing from ``__main__`` (a simulator travels by name),
so `_Popen` leaves it out.
"""

from __future__ import annotations

import concurrent.futures
import contextlib
import io
import os
import queue
import signal
import weakref
from collections.abc import Iterable, Iterator
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from multiprocessing import context, popen_spawn_posix, reduction, resource_tracker, spawn, util
from types import TracebackType
from typing import Any

import pebble

from alkit import worker
from alkit.errors import AlkitError, LabelError
from alkit.molecules import Molecule
from alkit.simulators.base import Label, Level, SimulatorSpec, create_simulator

_QUEUED_PER_WORKER = 4
# A pool breaks when its workers end without having taken a job: killed while idle (mended by a new pool), or
# unable to start at all (which a new pool does not mend).
_BROKEN_IN_A_ROW = 3


class LocalEngine:
    """Labels molecules in ``workers`` processes, each with one thread and without torch; use it in a
    ``with`` block.

    ``timeout``: seconds a label may take before its worker is killed; the first label of a worker includes
    the loading of the simulator. Failures reach the caller as `LabelError`: the simulator's own reasons,
    and "timeout", "worker_died" (crash or kill: costs that one label), "simulator_error" (any other
    exception, with its type and message), "not_finite". A spec that names no simulator raises `ConfigError`
    here, before any process starts. Leaving the block waits for what was submitted; leaving it by an
    exception stops the workers at once.
    """

    def __init__(self, spec: SimulatorSpec, *, workers: int = 2, timeout: float = 600.0):
        if workers < 1 or not 0 < timeout < float("inf"):
            raise AlkitError(
                f"an engine needs at least 1 worker and a positive timeout, not {workers} and {timeout:g}"
            )
        self.spec, self.workers, self.timeout = spec, workers, timeout
        self.level: Level = create_simulator(spec).level
        self._pool: pebble.ProcessPool | None = None
        self._context = _Context()
        self._broken = 0
        self._jobs: set[Future[Label]] = set()
        # Linux ends a worker with the *thread* that started it (PR_SET_PDEATHSIG). This one lives as long
        # as the engine, whatever thread submit() is called from; all that pebble needs a thread of ours for
        # happens in it.
        self._thread = ThreadPoolExecutor(1, "alkit-engine")

    def __enter__(self) -> LocalEngine:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close(wait=kind is None)

    def submit(self, molecule: Molecule) -> Future[Label]:
        """A future `Label`; ``result()`` raises `LabelError`, or `AlkitError` if none can be had at all."""
        job = _Job(molecule)
        self._jobs.add(job.future)
        job.future.add_done_callback(self._jobs.discard)
        self._thread.submit(self._schedule, job)
        return job.future

    def label_all(self, molecules: Iterable[Molecule]) -> Iterator[tuple[Molecule, Label | LabelError]]:
        """Every molecule with its label or the error that took its place, in the order in which they finish.

        ``molecules`` is read as workers become free, so it may be a generator. Closing this one early
        cancels the rest.
        """
        done: queue.SimpleQueue[Future[Label]] = queue.SimpleQueue()
        waiting: dict[Future[Label], Molecule] = {}
        source = iter(molecules)

        def submit(count: int) -> None:
            for molecule in islice(source, count):
                future = self.submit(molecule)
                waiting[future] = molecule
                future.add_done_callback(done.put)

        try:
            submit(_QUEUED_PER_WORKER * self.workers)
            while waiting:
                future = done.get()
                molecule = waiting.pop(future)
                try:
                    outcome: Label | LabelError = future.result()
                except LabelError as error:
                    outcome = error
                submit(1)
                yield molecule, outcome
        finally:
            for future in list(waiting):
                future.cancel()

    def close(self, *, wait: bool = True) -> None:
        """End the workers: after all that was submitted (``wait``), or now, cancelling it."""
        if wait:
            concurrent.futures.wait(list(self._jobs))
        for future in list(self._jobs):
            future.cancel()
        with contextlib.suppress(RuntimeError):  # closed before
            self._thread.submit(self._stop_pool).result()
        self._thread.shutdown()

    def _schedule(self, job: _Job) -> None:
        if job.future.cancelled():
            return
        try:
            if self._pool is None or not self._pool.active:
                self._start_pool()
            assert self._pool is not None
            inner = self._pool.schedule(worker.run, args=(job.molecule,), timeout=self.timeout)
        except Exception as error:  # not swallowed: it is the caller's to see, at result()
            job.fail(error)
            return
        job.future.add_done_callback(partial(_cancel_too, inner))
        inner.add_done_callback(partial(self._settle, job))

    def _start_pool(self) -> None:
        if self._broken >= _BROKEN_IN_A_ROW:
            raise AlkitError(
                f"the worker processes of simulator {self.spec.kind!r} ended {self._broken} times in a row "
                "without taking a job; the reason should be on standard error"
            )
        self._stop_pool()
        self._broken += 1  # until a worker answers
        arguments = (os.getpid(), self.spec.kind, dict(self.spec.settings))
        self._context = _Context()
        self._pool = pebble.ProcessPool(
            self.workers, initializer=worker.initialize, initargs=arguments, context=self._context
        )

    def _stop_pool(self) -> None:
        if self._pool is not None:
            self._pool.stop()
            # Before pebble does: it removes the locks that a starting worker is about to open, and only then
            # ends the worker, which has complained on standard error by that time.
            self._context.end()
            self._pool.join()
            self._pool = None

    def _settle(self, job: _Job, inner: Future[Any]) -> None:
        """Hand the answer of a worker, or of pebble in its place, to the job. Runs in pebble's threads."""
        smiles = job.molecule.smiles
        try:
            answer = inner.result()
        except CancelledError:
            job.future.cancel()
        except BrokenProcessPool:
            self._again(job)
        except TimeoutError:
            job.fail(LabelError("timeout", f"{smiles}: no label within {self.timeout:g} s"))
        except pebble.ProcessExpired as error:
            job.fail(LabelError("worker_died", f"{smiles}: {_how(error.exitcode)}"))
        except Exception as error:  # what pebble could not send or read
            job.fail(LabelError("simulator_error", f"{smiles}: {type(error).__name__}: {error}"))
        else:
            self._broken = 0
            if isinstance(answer, Exception):
                job.fail(answer)
            else:
                job.succeed(answer)

    def _again(self, job: _Job) -> None:
        """The pool broke while this job waited in it, through no fault of its own: into the next pool."""
        try:
            self._thread.submit(self._schedule, job)
        except RuntimeError:  # the engine is closing
            job.future.cancel()


@dataclass(eq=False)
class _Job:
    molecule: Molecule
    future: Future[Label] = field(default_factory=Future)

    def succeed(self, label: Label) -> None:
        if self.future.set_running_or_notify_cancel():
            self.future.set_result(label)

    def fail(self, error: Exception) -> None:
        if self.future.set_running_or_notify_cancel():
            self.future.set_exception(error)


def _cancel_too(inner: Future[Any], outer: Future[Label]) -> None:
    if outer.cancelled():
        inner.cancel()


def _how(exitcode: int) -> str:
    if exitcode >= 0:
        return f"the worker exited with code {exitcode}"
    with contextlib.suppress(ValueError):
        return f"the worker was ended by {signal.Signals(-exitcode).name}"
    return f"the worker was ended by signal {-exitcode}"


def _close(*descriptors: int) -> None:
    for descriptor in descriptors:
        os.close(descriptor)


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
        # A terminal's Ctrl-C goes to every process of the group. A child inherits the mask of the starting
        # thread, and so never sees one while it imports; the parent decides what becomes of its workers.
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            self.pid = util.spawnv_passfds(os.fsencode(spawn.get_executable()), command, self._fds)
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
            os.close(child_reads)
            os.close(child_writes)
            self.finalizer = util.Finalize(self, _close, [parent_reads, parent_writes])
        self.sentinel = parent_reads
        with open(parent_writes, "wb", closefd=False) as pipe:
            pipe.write(payload.getbuffer())


class _Process(context.SpawnProcess):
    @staticmethod
    def _Popen(process_obj: Any) -> Any:  # noqa: N802 - the name is multiprocessing's
        return _Popen(process_obj)


class _Context(context.SpawnContext):
    """Starts the workers of one pool, and ends them."""

    def __init__(self) -> None:
        self._workers: weakref.WeakSet[_Process] = weakref.WeakSet()
        self._ended = False

    def Process(self, *args: Any, **settings: Any) -> _Process:  # type: ignore[override]  # noqa: N802
        if self._ended:
            raise OSError("the workers of this pool have ended")  # pebble gives the pool up
        process = _Process(*args, **settings)
        self._workers.add(process)
        return process

    def end(self) -> None:
        self._ended = True
        for process in tuple(self._workers):
            if process.pid is not None:
                process.kill()
