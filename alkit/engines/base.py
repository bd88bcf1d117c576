"""The one face of all engines: `concurrent.futures`, and generators of labels and of other results."""

from __future__ import annotations

import concurrent.futures
import queue
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import islice
from types import TracebackType
from typing import Any, Self, TypeVar

from alkit.engines import worker
from alkit.errors import AS_GIVEN, AlkitError, Attempt, DataError, LabelError
from alkit.molecules.conformers import Unplaced
from alkit.molecules.molecule import Molecule
from alkit.simulators.base import Label, Level, SimulatorSpec, create_simulator

DEADLINE = "deadline"
AGAIN = "again"  # the strategy of a second try, after a worker that died in the first
LABELS_PER_WORKER = 500
# An empty interpreter with numpy, RDKit and xtb takes 0.15 GB; a limit near that fails before any label.
LEAST_MEMORY = 0.25
_QUEUED_PER_WORKER = 4

Item = TypeVar("Item")
Labelled = TypeVar("Labelled", Molecule, Unplaced)
OnLate = Callable[[Any, Label | LabelError], None]


@dataclass(frozen=True)
class WorkerSettings:
    """The limits of a worker.

    Args:
        timeout: seconds one label may take.
        memory_limit: GB (1e9 bytes) of data one worker may hold, None for no limit.
        labels_per_worker: a worker ends after so many and a new one takes its place. So leaks of a compiled
            library cannot add up.

    Raises:
        AlkitError: a value that cannot work.
    """

    timeout: float = 600.0
    memory_limit: float | None = None
    labels_per_worker: int = LABELS_PER_WORKER

    def __post_init__(self) -> None:
        if not 0 < self.timeout < float("inf"):
            raise AlkitError(f"an engine needs a positive timeout in seconds, not {self.timeout:g}")
        if self.memory_limit is not None and not LEAST_MEMORY <= self.memory_limit < float("inf"):
            raise AlkitError(
                f"a worker's memory_limit is in GB and at least {LEAST_MEMORY:g}, as the libraries need that "
                f"much to load; not {self.memory_limit:g}"
            )
        if self.labels_per_worker < 1:
            raise AlkitError(f"labels_per_worker is at least 1, not {self.labels_per_worker}")


@dataclass(eq=False)
class Job:
    """A call of ``function(argument)`` on its way to a worker and back.

    Attributes:
        name: the molecule's, for messages.
        function: computes a label, for example.
        argument: of the function, such as a molecule.
        future: the result.
        tries: the attempts in which its worker died.
        started: seconds of the monotonic clock, of the present try.
    """

    name: str
    function: Callable[[Any], Any]
    argument: Any
    future: Future[Any] = field(default_factory=Future)
    tries: tuple[Attempt, ...] = ()
    started: float = field(default_factory=time.monotonic)  # of the present try

    @property
    def call(self) -> tuple[str, Callable[[Any], Any], Any]:
        """The arguments of `alkit.engines.worker.run`."""
        return self.name, self.function, self.argument

    def answer(self, outcome: Any) -> None:
        """Hand ``outcome`` to whoever waits, with earlier tries before its own."""
        if not self.future.set_running_or_notify_cancel():
            return
        if isinstance(outcome, Label):
            self.future.set_result(self._with_tries(outcome))
        elif isinstance(outcome, LabelError):
            self.future.set_exception(
                LabelError(outcome.reason, outcome.detail, self._all_tries(outcome.attempts))
            )
        elif isinstance(outcome, Exception):
            self.future.set_exception(outcome)
        else:
            self.future.set_result(outcome)

    def fail(self, reason: str, detail: str) -> None:
        """End without a label for a reason that is the engine's and not the simulator's."""
        attempt = Attempt(AS_GIVEN, reason, time.monotonic() - self.started)
        self.answer(LabelError(reason, f"{self.name}: {detail}", (attempt,)))

    def bury(self) -> None:
        """The worker of the present try has died, and there will be another try."""
        attempt = Attempt(AS_GIVEN, "worker_died", time.monotonic() - self.started)
        self.tries = self._all_tries((attempt,))
        self.started = time.monotonic()

    def _with_tries(self, label: Label) -> Label:
        return replace(label, attempts=self._all_tries(label.attempts)) if self.tries else label

    def _all_tries(self, attempts: tuple[Attempt, ...]) -> tuple[Attempt, ...]:
        if not self.tries:
            return attempts
        again = (one._replace(strategy=AGAIN) if one.strategy == AS_GIVEN else one for one in attempts)
        return (*self.tries, *again)


class Engine(ABC):
    """Labels molecules in worker processes, each with one thread and without torch.

    Other work that may hang, crash or need much memory runs there too. Use it in a ``with`` block. Leaving
    the block waits for submitted work; leaving it by an exception ends the work at once.

    Failures reach the caller as `LabelError`: the simulator's own reasons, and "timeout", "worker_died",
    "out_of_memory", "simulator_error" (any other exception, with its type and message), "not_finite". A spec
    that names no simulator raises `ConfigError` when the engine is made, before any process starts. Without a
    spec there are no labels, only `call_all`.
    """

    def __init__(self, spec: SimulatorSpec | None, *, workers: int, settings: WorkerSettings):
        if workers < 1:
            raise AlkitError(f"an engine needs at least 1 worker, not {workers}")
        self.spec, self.workers, self.settings = spec, workers, settings
        self._level = create_simulator(spec).level if spec else None
        self._jobs: dict[Future[Any], Job] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close(wait=kind is None)

    @property
    def level(self) -> Level:
        """Level of theory of the labels."""
        if self._level is None:
            raise RuntimeError("an engine without a simulator has no level of theory")
        return self._level

    def submit(self, molecule: Molecule | Unplaced) -> Future[Label]:
        """A future `Label`; ``result()`` raises `LabelError`, or `AlkitError` if none can be had at all."""
        return self.send(Job(molecule.smiles, worker.label, molecule))

    def send(self, job: Job) -> Future[Any]:
        """The job's future, once it is on its way."""
        self._jobs[job.future] = job
        job.future.add_done_callback(self._forget)
        self._start(job)
        return job.future

    def call_all(
        self, function: Callable[[Item], Any], items: Iterable[Item]
    ) -> Iterator[tuple[Item, Any | LabelError | DataError]]:
        """Yield every item with ``function(item)`` or the error in its place, as they finish.

        Each is under the timeout and memory limit of a label.

        Args:
            function: of a module, or an object that can be pickled. What it raises is a `DataError`, or comes
                as `LabelError` with reasons as for labels.
            items: read as workers become free. An item's name in messages is its text.
        """

        def send(item: Item) -> Future[Any]:
            return self.send(Job(str(item), function, item))

        return self._all(items, send, None, None, (LabelError, DataError))

    def label_all(
        self,
        molecules: Iterable[Labelled],
        *,
        deadline: float | None = None,
        on_late: OnLate | None = None,
    ) -> Iterator[tuple[Labelled, Label | LabelError]]:
        """Yield every molecule with its label or the error in its place, as they finish.

        Closing this generator early cancels the rest.

        Args:
            molecules: read as workers become free, so it may be a generator.
            deadline: seconds from the first ``next``. A molecule without label by then is yielded with
                `LabelError` "deadline". Work that has begun goes on, up to its timeout, and the engine has to
                stay open for it. Work that has not begun is cancelled.
            on_late: called with molecule and outcome when such work ends, *in a thread of the engine*. It
                must be quick (put it into a queue), and an error in it is only logged.
        """
        return self._all(molecules, self.submit, deadline, on_late, (LabelError,))

    def _all(
        self,
        items: Iterable[Any],
        submit_one: Callable[[Any], Future[Any]],
        deadline: float | None,
        on_late: OnLate | None,
        kept: tuple[type[Exception], ...],
    ) -> Iterator[tuple[Any, Any]]:
        """Run items as `label_all` does; errors of the kinds ``kept`` are an item's outcome."""
        end = None if deadline is None else time.monotonic() + deadline
        done: queue.SimpleQueue[Future[Any]] = queue.SimpleQueue()
        waiting: dict[Future[Any], Any] = {}
        source = iter(items)

        def submit(count: int) -> None:
            for item in islice(source, count):
                future = submit_one(item)
                waiting[future] = item
                future.add_done_callback(done.put)

        try:
            submit(_QUEUED_PER_WORKER * self.capacity())
            while waiting:
                future = _next_done(done, end)
                if future is None:
                    break
                # What is done is handed on before the source is read again: that may take its time, or fail.
                yield waiting.pop(future), _outcome(future, kept)
                if end is not None and time.monotonic() >= end:
                    continue
                try:
                    submit(1)
                except Exception:  # the source's own
                    yield from _finished(waiting, kept)
                    raise
            if end is not None and time.monotonic() >= end:
                yield from self._end_of_time(waiting, source, f"{deadline:g} s", on_late)
        finally:
            for future in list(waiting):
                future.cancel()

    def capacity(self) -> int:
        """How many labels may be computed at once, as far as is known."""
        return self.workers

    def close(self, *, wait: bool = True) -> None:
        """End the workers: after all that was submitted (``wait``), or now, cancelling it."""
        try:
            if wait:
                concurrent.futures.wait(list(self._jobs))
        finally:  # an interrupt of the wait is no reason to leave workers behind
            for future in list(self._jobs):
                future.cancel()
            self._stop()

    @abstractmethod
    def _start(self, job: Job) -> None:
        """Send the job on its way; it is answered from a thread of the engine."""

    @abstractmethod
    def _stop(self) -> None:
        """End the workers now. May be called more than once."""

    @abstractmethod
    def _begun(self, futures: Collection[Future[Any]]) -> set[Future[Any]]:
        """Jobs that a worker has, and that had better be left to end."""

    def _end_of_time(
        self,
        waiting: dict[Future[Any], Any],
        source: Iterator[Any],
        limit: str,
        on_late: OnLate | None,
    ) -> Iterator[tuple[Any, Label | LabelError]]:
        begun = self._begun(waiting)
        outcomes: list[tuple[Any, Label | LabelError]] = []
        for future, molecule in list(waiting.items()):
            if future.done() and not future.cancelled():  # at the last moment
                outcomes.append((molecule, _outcome(future)))
            elif future in begun:
                outcomes.append((molecule, _late(self._jobs.get(future), molecule, limit)))
                if on_late is not None:
                    future.add_done_callback(partial(_tell, on_late, molecule))
            elif future.cancel():
                outcomes.append((molecule, _never_begun(molecule, limit)))
            else:  # done in this very moment
                outcomes.append((molecule, _outcome(future)))
            del waiting[future]
        yield from outcomes
        for molecule in source:
            yield molecule, _never_begun(molecule, limit)

    def _forget(self, future: Future[Any]) -> None:
        self._jobs.pop(future, None)


def _next_done(done: queue.SimpleQueue[Future[Any]], end: float | None) -> Future[Any] | None:
    """The next to finish, or None at ``end``. What has finished by then comes first."""
    try:
        return done.get(timeout=None if end is None else max(0.0, end - time.monotonic()))
    except queue.Empty:
        return None


def _outcome(future: Future[Any], kept: tuple[type[Exception], ...] = (LabelError,)) -> Any:
    try:
        return future.result()
    except kept as error:
        return error


def _tell(on_late: OnLate, molecule: Any, future: Future[Label]) -> None:
    if not future.cancelled() and not isinstance(future.exception(), AlkitError):
        on_late(molecule, _outcome(future))


def _finished(
    waiting: dict[Future[Any], Any], kept: tuple[type[Exception], ...]
) -> Iterator[tuple[Any, Any]]:
    for future in [one for one in waiting if one.done() and not one.cancelled()]:
        yield waiting.pop(future), _outcome(future, kept)


def _late(job: Job | None, molecule: Any, limit: str) -> LabelError:
    seconds = time.monotonic() - job.started if job else 0.0
    detail = f"no label within the round's {limit}; its result goes to the label cache when it comes"
    return LabelError(DEADLINE, f"{molecule.smiles}: {detail}", (Attempt(AS_GIVEN, DEADLINE, seconds),))


def _never_begun(molecule: Any, limit: str) -> LabelError:
    return LabelError(DEADLINE, f"{molecule.smiles}: not begun within the round's {limit}")
