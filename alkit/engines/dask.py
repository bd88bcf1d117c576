"""Labels on a Dask cluster: one that runs somewhere, or one of this machine."""

from __future__ import annotations

import contextlib
import json
import logging
import shutil
import uuid
import warnings
from collections.abc import Collection
from concurrent.futures import CancelledError, Future
from functools import partial
from pathlib import Path
from typing import Any

import dask
import distributed
from distributed.scheduler import KilledWorker

from alkit.engines import remote
from alkit.engines.base import LABELS_PER_WORKER, Engine, Job, WorkerSettings
from alkit.engines.patches import add_start_method
from alkit.engines.processes import FreshContext, deaf_to_interrupts
from alkit.errors import AlkitError, ConfigError
from alkit.files import temporary_folder
from alkit.simulators.base import SimulatorSpec

LOST_LIMIT = 3  # workers that may be lost with the same molecule, before it is thought to be the reason
_SECONDS_TO_CONNECT = 30
_METHOD = "alkit"
_SETTINGS = {
    # Workers that leave __main__ alone, see `alkit.engines.processes`.
    "distributed.worker.multiprocessing-method": _METHOD,
    "distributed.scheduler.allowed-failures": LOST_LIMIT - 1,
    # Dask would set OMP_NUM_THREADS and the like in *this* process, whose training wants its threads.
    "distributed.nanny.pre-spawn-environ": {},
    # No page says anything: whoever is on the machine could read them.
    "distributed.scheduler.http.routes": [],
    "distributed.worker.http.routes": [],
}


class DaskEngine(Engine):
    """Labels molecules through Dask.

    The workers' Python must have the same alkit, and see the file of a user's simulator under the same path.
    Dask sends out a molecule again whose worker is lost. It is "worker_died" after `LOST_LIMIT` losses, on a
    cluster of your own after as many as its `allowed-failures`.

    Limits hold in a process that each thread of a worker keeps beside it, so that no label ends a worker.

    Args:
        spec: of the simulator; None: there are no labels.
        address: of a scheduler, "tcp://host:port", or its scheduler file, "path.json"; None: processes on
            this machine.
        workers: number of these processes.
        timeout: see `WorkerSettings`.
        memory_limit: see `WorkerSettings`.
        labels_per_worker: see `WorkerSettings`.

    Raises:
        ConfigError: no scheduler answers at the address.
    """

    def __init__(
        self,
        spec: SimulatorSpec | None,
        *,
        address: str | None = None,
        workers: int = 2,
        timeout: float = 600.0,
        memory_limit: float | None = None,
        labels_per_worker: int = LABELS_PER_WORKER,
    ):
        super().__init__(
            spec, workers=workers, settings=WorkerSettings(timeout, memory_limit, labels_per_worker)
        )
        self._owner, self._portable = uuid.uuid4().hex, remote.portable(spec)
        self._keys: dict[Future[Any], str] = {}
        with contextlib.ExitStack() as stack, deaf_to_interrupts():
            where = {"address": _local_cluster(stack, workers)} if address is None else _where(address)
            if address is not None and not _is_encrypted(address):
                warnings.warn(
                    f"The Dask scheduler at {address} is reached without TLS: whoever reaches it can run "
                    "code as you (docs/reference/security.md).",
                    stacklevel=2,
                )
            try:
                self._client = distributed.Client(**where, timeout=_SECONDS_TO_CONNECT, set_as_default=False)
            except (OSError, ValueError) as error:  # TimeoutError is an OSError
                raise ConfigError(f"no Dask scheduler answers at {address}: {error}") from error
            stack.callback(self._client.close)
            self._stack = stack.pop_all()
        self._executor = self._client.get_executor(pure=False)

    def capacity(self) -> int:
        """Labels that run at once: threads of the connected workers, or those asked for."""
        return max(self.workers, sum(self._client.nthreads().values()))

    def _start(self, job: Job) -> None:
        key = f"alkit-label-{uuid.uuid4().hex}"
        try:
            inner = self._executor.submit(
                remote.run, self._owner, self._portable, self.settings, *job.call, key=key
            )
        except Exception as error:  # not swallowed: it is the caller's to see, at result()
            job.answer(AlkitError(f"Dask takes no work: {type(error).__name__}: {error}"))
            return
        self._keys[job.future] = key
        job.future.add_done_callback(partial(_cancel_too, inner))
        inner.add_done_callback(partial(_settle, job))

    def _begun(self, futures: Collection[Future[Any]]) -> set[Future[Any]]:
        running = {key for keys in self._client.processing().values() for key in keys}
        return {future for future in futures if self._keys.get(future) in running}

    def _forget(self, future: Future[Any]) -> None:
        super()._forget(future)
        self._keys.pop(future, None)

    def _stop(self) -> None:
        if self._client.status == "running":
            # A cluster elsewhere lives on and should not keep our processes; one of ours waits for them.
            with contextlib.suppress(OSError):
                self._client.run(remote.close, self._owner, on_error="ignore")
        self._stack.close()


def _settle(job: Job, inner: Future[Any]) -> None:
    """Runs in the thread of Dask's event loop."""
    try:
        answer = inner.result()
    except CancelledError:
        # By us, as the job was cancelled; or by the client, as its scheduler is gone.
        job.answer(AlkitError("Dask has no answer: the connection to its scheduler is lost"))
    except KilledWorker as error:
        job.fail("worker_died", f"{error.allowed_failures + 1} workers were lost with it")
    except Exception as error:
        job.answer(AlkitError(f"Dask has no answer: {type(error).__name__}: {error}"))
    else:
        job.answer(answer)


def _cancel_too(inner: Future[Any], outer: Future[Any]) -> None:
    if outer.cancelled():
        inner.cancel()


def _where(address: str) -> dict[str, Any]:
    if not address.endswith(".json"):
        return {"address": address}
    if not Path(address).is_file():  # for which Dask would wait for ever
        raise ConfigError(f"no Dask scheduler answers at {address}: there is no such file")
    return {"scheduler_file": address}


def _is_encrypted(address: str) -> bool:
    if not address.endswith(".json"):
        return address.startswith("tls://")
    try:
        return str(json.loads(Path(address).read_text(encoding="utf-8"))["address"]).startswith("tls://")
    except (OSError, ValueError, KeyError, TypeError):
        return False


def _local_cluster(stack: contextlib.ExitStack, workers: int) -> distributed.LocalCluster:
    add_start_method(_METHOD, FreshContext())
    stack.enter_context(dask.config.set(_SETTINGS))  # for as long as workers may be started
    folder = temporary_folder("dask")
    stack.callback(shutil.rmtree, folder, ignore_errors=True)
    return stack.enter_context(
        distributed.LocalCluster(
            n_workers=workers,
            threads_per_worker=1,
            host="127.0.0.1",
            memory_limit=0,  # theirs would count the worker, and not the process where the label is computed
            dashboard_address=None,
            # Without a certificate, whoever is on the machine could send code to the workers.
            security=distributed.Security.temporary(),
            local_directory=str(folder),
            silence_logs=logging.CRITICAL,  # a lost worker shows in its label, if it cost one
        )
    )
