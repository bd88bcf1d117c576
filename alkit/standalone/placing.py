"""Geometries from SMILES for the commands, in worker processes where these pay."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager

from alkit.engines.local import LocalEngine
from alkit.models.geometries import Placed, Placing
from alkit.models.prediction import PlaceAll, place_here

# So few molecules this small are placed before a worker has loaded its libraries.
_FEW, _SHORT = 16, 40


@contextmanager
def placing_in_workers(workers: int, timeout: float) -> Iterator[PlaceAll]:
    """What places many molecules: in up to ``workers`` processes at once, each molecule within ``timeout``
    seconds. Where a molecule is placed changes nothing of its geometry."""
    with LocalEngine(None, workers=workers, timeout=timeout) as engine:

        def place_all(placing: Placing, smiles: Sequence[str]) -> Iterable[tuple[str, Placed | Exception]]:
            small = len(smiles) <= _FEW and all(len(one) <= _SHORT for one in smiles)
            if small and placing.geometry != "xtb" and not placing.point:
                return place_here(placing, smiles)
            return engine.call_all(placing, smiles)

        yield place_all
