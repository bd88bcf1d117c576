"""Engines by name."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from alkit.config import words
from alkit.engines.base import LABELS_PER_WORKER, Engine
from alkit.engines.local import LocalEngine
from alkit.errors import ConfigError
from alkit.plugins import nearest
from alkit.simulators.base import SimulatorSpec

if TYPE_CHECKING:
    from parsl.config import Config

ENGINES = get_args(words.Engine)


def create_engine(
    spec: SimulatorSpec,
    kind: str = "local",
    *,
    workers: int = 2,
    timeout: float = 600.0,
    memory_limit: float | None = None,
    labels_per_worker: int = LABELS_PER_WORKER,
    parsl: str | Config = "local",
    dask: str | None = None,
    folder: Path | None = None,
) -> Engine:
    """An engine by name, "local", "parsl" or "dask"; the settings of the others are ignored.

    ``timeout``: seconds per label; ``memory_limit``: GB per worker process; ``parsl``: "local",
    "path/file.py:name" or a Config; ``dask``: the address of a scheduler, or None for workers on this
    machine; ``folder``: where Parsl may write its logs (None: a temporary one).

    Raises:
        ConfigError: an unknown name, a package that is not installed, or a spec or setting that cannot work.
        AlkitError: a number that cannot work.
    """
    common: dict[str, Any] = {
        "workers": workers,
        "timeout": timeout,
        "memory_limit": memory_limit,
        "labels_per_worker": labels_per_worker,
    }
    match kind:
        case "local":
            return LocalEngine(spec, **common)
        case "parsl":
            return _load("parsl", "parsl").ParslEngine(spec, config=parsl, folder=folder, **common)
        case "dask":
            return _load("dask", "distributed").DaskEngine(spec, address=dask, **common)
    raise ConfigError(f"unknown engine {kind!r}: {nearest(kind, ENGINES)}.")


def _load(kind: str, package: str) -> Any:
    try:
        import_module(package)
    except ModuleNotFoundError as error:
        raise ConfigError(
            f"the engine {kind!r} needs a package that is not installed ({error.name}): "
            f"pip install 'alkit[{kind}]'"
        ) from None
    return import_module(f"alkit.engines.{kind}")
