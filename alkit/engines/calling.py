"""Work on many molecules outside of a campaign's stages, in workers where these pay."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from itertools import islice
from typing import Any, TypeVar

from alkit.baselines.computing import CallAll, call_here
from alkit.engines.base import Engine, Job
from alkit.engines.registry import create_engine
from alkit.errors import AlkitError, LabelError

Item = TypeVar("Item")
Result = TypeVar("Result")

# So few molecules this small are placed before a worker has loaded its libraries.
_FEW, _SHORT = 16, 40
_QUEUED_PER_WORKER = 4  # items that are sent ahead of the one that is asked for


@contextmanager
def calling_workers(workers: int, timeout: float, **where: Any) -> Iterator[CallAll]:
    """Compute something of many molecules, in up to ``workers`` processes at once.

    Each molecule has ``timeout`` seconds. The results do not depend on where they are computed: in processes
    of this machine, unless ``where`` names another engine, see `alkit.engines.create_engine`.
    """
    with create_engine(None, workers=workers, timeout=timeout, **where) as engine:

        def call_all(function: Callable[[Any], Any], items: Sequence[Any]) -> Iterable[tuple[Any, Any]]:
            small = len(items) <= _FEW and all(len(str(one)) <= _SHORT for one in items)
            quick = not getattr(function, "slow", False)
            return call_here(function, items) if small and quick else engine.call_all(function, items)

        yield call_all


def in_order(engine: Engine, function: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
    """Results of workers in the order of the items, which are read as workers become free.

    Yields:
        ``function(item)`` of each.

    Raises:
        AlkitError: a worker could not compute one of them; the sentence has the item's name.
    """
    source, waiting = iter(items), deque[tuple[Item, Future[Result]]]()
    try:
        while True:
            room = _QUEUED_PER_WORKER * engine.capacity() - len(waiting)  # workers come and go
            for item in islice(source, max(1, room)):
                waiting.append((item, engine.send(Job(str(item), function, item))))
            if not waiting:
                return
            item, future = waiting.popleft()
            try:
                yield future.result()
            except LabelError as error:
                raise AlkitError(f"{item}: {error}") from error
    finally:
        for _, future in waiting:
            future.cancel()
