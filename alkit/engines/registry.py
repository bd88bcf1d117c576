"""Engines by name."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from alkit.engines.base import LABELS_PER_WORKER, Engine
from alkit.errors import ConfigError
from alkit.plugins import Registry
from alkit.simulators.base import SimulatorSpec

if TYPE_CHECKING:
    from parsl.config import Config

REGISTRY = Registry(
    "engine",
    {
        "local": "alkit.engines.local:LocalEngine",
        "parsl": "alkit.engines.parsl:ParslEngine",
        "dask": "alkit.engines.dask:DaskEngine",
    },
)
ENGINES = tuple(REGISTRY.built_in)


def create_engine(
    spec: SimulatorSpec | None,
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
    """An engine by name; the settings of the others are ignored.

    Args:
        spec: of the simulator; None: there are no labels.
        kind: "local", "parsl" or "dask".
        workers: labels that run at once.
        timeout: seconds per label.
        memory_limit: GB per worker process.
        labels_per_worker: a worker ends after so many.
        parsl: "local", "path/file.py:name" or a Config.
        dask: the address of a scheduler, or None for workers on this machine.
        folder: where Parsl may write its logs; None: a temporary one.

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
    engine = _find(kind)
    match kind:
        case "parsl":
            return engine(spec, config=parsl, folder=folder, **common)
        case "dask":
            return engine(spec, address=dask, **common)
    return engine(spec, **common)


def _find(kind: str) -> Any:
    try:
        return REGISTRY.find(kind)
    except ModuleNotFoundError as error:
        raise ConfigError(
            f"the engine {kind!r} needs a package that is not installed ({error.name}): "
            f"pip install 'alkit[{kind}]'"
        ) from None
