"""The code of the worker processes of Parsl and Dask.

Each of their threads has one `LocalEngine` with one process, kept from label to label. That process is what
hangs, crashes and is killed; no label loses a worker of Parsl or Dask.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from multiprocessing import util
from operator import eq
from pathlib import Path
from typing import Any

from alkit.engines.base import Job, WorkerSettings
from alkit.engines.local import LocalEngine
from alkit.engines.patches import allow_children
from alkit.errors import AlkitError, LabelError
from alkit.plugins import is_code_path
from alkit.simulators.base import SimulatorSpec

# A worker may serve several campaigns in turn, and one that ended badly has not closed its engines.
_KEPT_PER_THREAD = 2

_lock = threading.Lock()
_engines: dict[tuple[int, str], LocalEngine] = {}


def run(
    owner: str,
    spec: SimulatorSpec | None,
    settings: WorkerSettings,
    name: str,
    function: Callable[[Any], Any],
    argument: Any,
) -> Any:
    """``function(argument)``, or the error in its place.

    Args:
        owner: the engine that asks, by a name that no other has.
        spec: of the simulator; None: there are no labels.
        settings: limits of a worker.
        name: the molecule's, for messages.
        function: what is computed.
        argument: of the function.
    """
    try:
        return _engine(owner, spec, settings).send(Job(name, function, argument)).result()
    except (LabelError, AlkitError) as error:
        return error


def portable(spec: SimulatorSpec | None) -> SimulatorSpec | None:
    """``spec`` for workers that have another working folder."""
    if spec is None or not is_code_path(spec.kind):
        return spec
    file, _, name = spec.kind.rpartition(":")
    return replace(spec, kind=f"{Path(file).resolve()}:{name}")


def close(owner: str) -> None:
    """End the processes that serve ``owner``."""
    _close(lambda key: key[1] == owner)


def _engine(owner: str, spec: SimulatorSpec | None, settings: WorkerSettings) -> LocalEngine:
    key = threading.get_ident(), owner
    with _lock:
        engine = _engines.get(key)
    if engine is None:
        others = [other for other in list(_engines) if other[0] == key[0]]
        for other in others[: len(others) + 1 - _KEPT_PER_THREAD]:
            _close(partial(eq, other))
        allow_children()
        engine = LocalEngine(
            spec,
            workers=1,
            timeout=settings.timeout,
            memory_limit=settings.memory_limit,
            labels_per_worker=settings.labels_per_worker,
        )
        with _lock:
            _engines[key] = engine
    return engine


def _close(which: Callable[[tuple[int, str]], bool]) -> None:
    with _lock:
        ended = [_engines.pop(key) for key in list(_engines) if which(key)]
    for engine in ended:
        engine.close(wait=False)


# At exit multiprocessing waits for children, and ours wait for work.
util.Finalize(None, _close, [lambda key: True], exitpriority=100)
