"""Baselines of many molecules: from the cache, in workers, or in batches where the method runs by torch."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from alkit.baselines.base import BaselineSpec, Reading, create_baseline
from alkit.baselines.cache import BaselineCache
from alkit.errors import DataError, LabelError
from alkit.molecules.molecule import Molecule

Readings = tuple[Reading, ...]
CallAll = Callable[[Callable[[Any], Any], Sequence[Any]], Iterable[tuple[Any, Any]]]
"""Every item with what a function says of it, or the error in its place, as they finish."""

_TOGETHER = 256  # molecules between two writes to the cache


def call_here(function: Callable[[Any], Any], items: Sequence[Any]) -> Iterable[tuple[Any, Any]]:
    """`CallAll` in this process, one after the other."""
    for item in items:
        try:
            yield item, function(item)
        except (LabelError, DataError) as error:
            yield item, error


@dataclass(frozen=True)
class Read:
    """The work of a worker on a molecule; it can be sent to one."""

    spec: BaselineSpec

    def __call__(self, molecule: Molecule) -> Reading:
        """Compute one molecule's reading in a worker."""
        return create_baseline(self.spec).read(molecule)


def read_all(
    specs: Sequence[BaselineSpec],
    molecules: Sequence[Molecule],
    *,
    call_all: CallAll = call_here,
    cache: BaselineCache | None = None,
    advance: Callable[[int], None] | None = None,
) -> list[Readings | LabelError | DataError]:
    """The readings of every molecule, one for each spec, or the first error in their place.

    Args:
        specs: baselines to compute.
        molecules: with geometries, in Å.
        call_all: how workers are called; baselines by torch run here, where the surrogate runs.
        cache: looked up before, filled after; none by default.
        advance: called with the number of molecules that are done.
    """
    found: list[Readings | LabelError | DataError] = []
    for start in range(0, len(molecules), _TOGETHER):
        part = molecules[start : start + _TOGETHER]
        columns = [_of(spec, part, call_all, cache) for spec in specs]
        for row in zip(*columns, strict=True) if columns else [()] * len(part):
            problem = next((one for one in row if isinstance(one, LabelError | DataError)), None)
            found.append(problem if problem is not None else tuple(row))
        if advance:
            advance(len(part))
    return found


def _of(
    spec: BaselineSpec, molecules: Sequence[Molecule], call_all: CallAll, cache: BaselineCache | None
) -> list[Any]:
    baseline = create_baseline(spec)
    found: list[Any] = [cache.get(spec, baseline, molecule) if cache else None for molecule in molecules]
    missing = [i for i, one in enumerate(found) if one is None]
    if baseline.by_torch:
        computed: Iterable[Any] = baseline.read_all([molecules[i] for i in missing])
    else:
        outcomes = {
            id(item): outcome for item, outcome in call_all(Read(spec), [molecules[i] for i in missing])
        }
        computed = [outcomes[id(molecules[i])] for i in missing]
    for i, outcome in zip(missing, computed, strict=True):
        found[i] = outcome
    if cache:
        cache.put(
            (spec, baseline, molecule, reading)
            for molecule, reading in ((molecules[i], found[i]) for i in missing)
            if isinstance(reading, Reading)
        )
    return found
