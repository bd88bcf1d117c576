"""Geometries and baselines of many molecules outside of a campaign's stages, in workers where these pay."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from alkit.baselines.computing import CallAll, call_here
from alkit.engines.local import LocalEngine

# So few molecules this small are placed before a worker has loaded its libraries.
_FEW, _SHORT = 16, 40


@contextmanager
def calling_workers(workers: int, timeout: float) -> Iterator[CallAll]:
    """Compute something of many molecules, in up to ``workers`` processes at once.

    Each molecule has ``timeout`` seconds. The results do not depend on where they are computed.
    """
    with LocalEngine(None, workers=workers, timeout=timeout) as engine:

        def call_all(function: Callable[[Any], Any], items: Sequence[Any]) -> Iterable[tuple[Any, Any]]:
            small = len(items) <= _FEW and all(len(str(one)) <= _SHORT for one in items)
            quick = not getattr(function, "slow", False)
            return call_here(function, items) if small and quick else engine.call_all(function, items)

        yield call_all
