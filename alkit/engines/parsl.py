"""Labels wherever Parsl has workers: Slurm, PBS, Kubernetes, the cloud, or this machine."""

from __future__ import annotations

import os
import shutil
import sys
import uuid
from collections.abc import Collection
from concurrent.futures import Future
from functools import partial
from pathlib import Path
from typing import Any

from parsl.config import Config
from parsl.dataflow.dflow import DataFlowKernel
from parsl.executors import HighThroughputExecutor
from parsl.executors.high_throughput.errors import ManagerLost, WorkerLost
from parsl.executors.high_throughput.executor import DEFAULT_INTERCHANGE_LAUNCH_CMD, DEFAULT_LAUNCH_CMD
from parsl.launchers import SimpleLauncher
from parsl.providers import LocalProvider

from alkit.engines import remote
from alkit.engines.base import LABELS_PER_WORKER, Engine, Job, WorkerSettings
from alkit.engines.processes import deaf_to_interrupts
from alkit.errors import AlkitError, ConfigError
from alkit.files import temporary_folder
from alkit.plugins import is_code_path, load_code
from alkit.simulators.base import SimulatorSpec

LOST_LIMIT = 3  # workers that may be lost with the same molecule, before it is thought to be the reason
_PARSLS_OWN_FOLDER = "runinfo"  # in the working folder, unless the user says otherwise
_MODULES = "parsl.executors.high_throughput"


class ParslEngine(Engine):
    """Labels molecules through Parsl.

    The workers' Python must have the same alkit, and see the file of a user's simulator under the same path.
    A molecule whose worker, node or batch job is lost is sent out again. It is "worker_died" after
    `LOST_LIMIT` losses. Parsl cannot take work back: to a deadline, all that it has counts as begun.

    Limits hold in a process that each worker keeps beside itself, so that no label ends a worker.

    Args:
        spec: of the simulator; None: there are no labels.
        config: "local" (processes on this machine), a `parsl.config.Config`, or "path/file.py:name" of one or
            of a function that returns one. A Config serves one engine only.
        workers: how many labels may run at once, as far as is known. Four times as many are handed to Parsl.
        timeout: see `WorkerSettings`.
        memory_limit: see `WorkerSettings`.
        labels_per_worker: see `WorkerSettings`.
        folder: where Parsl writes its logs and scripts, unless the Config says so; None: a temporary folder.

    Raises:
        ConfigError: Parsl does not start.
    """

    def __init__(
        self,
        spec: SimulatorSpec | None,
        *,
        config: str | Config = "local",
        workers: int = 2,
        timeout: float = 600.0,
        memory_limit: float | None = None,
        labels_per_worker: int = LABELS_PER_WORKER,
        folder: Path | None = None,
    ):
        super().__init__(
            spec, workers=workers, settings=WorkerSettings(timeout, memory_limit, labels_per_worker)
        )
        self._kernel: DataFlowKernel | None = None
        self._owner, self._portable = uuid.uuid4().hex, remote.portable(spec)
        made = _config(config, workers)
        self._temporary = temporary_folder("parsl") if folder is None else None
        if made.run_dir == _PARSLS_OWN_FOLDER:
            made.run_dir = str(folder or self._temporary)
        for executor in made.executors:
            _watch_parent(executor)
        try:
            with deaf_to_interrupts():
                self._kernel = DataFlowKernel(made)
        except Exception as error:
            self._clear()
            raise ConfigError(f"Parsl does not start: {type(error).__name__}: {error}") from error

    def _start(self, job: Job) -> None:
        try:
            assert self._kernel is not None
            inner = self._kernel.submit(
                remote.run,
                app_args=(self._owner, self._portable, self.settings, *job.call),
                executors="all",
                cache=False,
                ignore_for_cache=None,
                app_kwargs={},
            )
        except Exception as error:  # not swallowed: it is the caller's to see, at result()
            job.answer(AlkitError(f"Parsl takes no work: {type(error).__name__}: {error}"))
            return
        inner.add_done_callback(partial(self._settle, job))

    def _begun(self, futures: Collection[Future[Any]]) -> set[Future[Any]]:
        return set(futures)

    def _stop(self) -> None:
        kernel, self._kernel = self._kernel, None
        if kernel is not None:
            kernel.cleanup()
        self._clear()

    def _clear(self) -> None:
        if self._temporary is not None:
            shutil.rmtree(self._temporary, ignore_errors=True)

    def _settle(self, job: Job, inner: Future[Any]) -> None:
        """Runs in Parsl's threads."""
        error = inner.exception()
        if error is None:
            job.answer(inner.result())
        elif isinstance(error, WorkerLost | ManagerLost):
            self._lost(job, str(error))
        else:
            job.answer(AlkitError(f"Parsl has no answer: {type(error).__name__}: {error}"))

    def _lost(self, job: Job, how: str) -> None:
        if len(job.tries) < LOST_LIMIT - 1 and self._kernel is not None:
            job.bury()
            self._start(job)
        else:
            job.fail("worker_died", f"{how}; {len(job.tries) + 1} workers were lost with it")


def _config(config: str | Config, workers: int) -> Config:
    if isinstance(config, Config):
        return config
    if config == "local":
        return _local(workers)
    if not is_code_path(config):
        raise ConfigError(f"parsl is {config!r}; it must be 'local' or path/file.py:name of a Config.")
    made = load_code(config)
    try:
        made = made() if callable(made) else made
    except (Exception, SystemExit) as error:  # whatever the user's function raises is the message
        raise ConfigError(f"{config} fails: {type(error).__name__}: {error}") from error
    if not isinstance(made, Config):
        raise ConfigError(f"{config} is a {type(made).__name__}; it must be a parsl Config or return one.")
    return made


def _local(workers: int) -> Config:
    # By module and not by script name: the scripts need not be on the PATH.
    script, _, options = DEFAULT_LAUNCH_CMD.partition(" ")
    launch = f"{sys.executable} -m {_MODULES}.{script.removesuffix('.py')} {options}"
    executor = HighThroughputExecutor(
        label="alkit",
        address="127.0.0.1",
        encrypted=True,
        launch_cmd=launch,
        max_workers_per_node=workers,
        cores_per_worker=1e-3,  # as many as asked for, on however many cores
        heartbeat_period=2,  # how soon a lost worker is noticed, s
        heartbeat_threshold=30,
        provider=LocalProvider(init_blocks=1, min_blocks=1, max_blocks=1, launcher=SimpleLauncher()),
    )
    return Config(executors=[executor], strategy="simple", strategy_period=1)


def _watch_parent(executor: Any) -> None:
    """Parsl's interchange outlives a parent killed by kill -9, and its workers live as long as it does."""
    if getattr(executor, "interchange_launch_cmd", None) == DEFAULT_INTERCHANGE_LAUNCH_CMD:
        code = (
            f"import runpy; from alkit.engines import worker; worker.end_with({os.getpid()}); "
            f"runpy.run_module('{_MODULES}.interchange', run_name='__main__')"
        )
        executor.interchange_launch_cmd = [sys.executable, "-c", code]
