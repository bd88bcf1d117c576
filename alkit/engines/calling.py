"""Work on many molecules outside of a campaign's stages, in workers where these pay."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from typing import Any, Generic, TypeVar

from alkit.baselines.computing import CallAll, call_here
from alkit.engines.base import Engine
from alkit.engines.registry import create_engine
from alkit.errors import AlkitError

Item = TypeVar("Item")
Result = TypeVar("Result")

# So few molecules this small are placed before a worker has loaded its libraries.
_FEW, _SHORT = 16, 40


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
    early: dict[int, Result] = {}
    last = 0
    for place, outcome in engine.call_all(_Placed(function), map(_Place, count(), items)):
        if isinstance(outcome, Exception):
            raise AlkitError(f"{place}: {outcome}") from outcome
        early[place.number] = outcome
        while last in early:
            yield early.pop(last)
            last += 1


@dataclass(frozen=True)
class _Place(Generic[Item]):
    """An item and its number, which comes back with the result."""

    number: int
    item: Item

    def __str__(self) -> str:
        return str(self.item)


@dataclass(frozen=True)
class _Placed(Generic[Item, Result]):
    """A function of items, as one of items with their numbers."""

    function: Callable[[Item], Result]

    def __call__(self, place: _Place[Item]) -> Result:
        return self.function(place.item)
