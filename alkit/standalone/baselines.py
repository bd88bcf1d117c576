"""Baselines of a whole data set, ahead of the commands that need them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from alkit.baselines.base import create_baseline, specs_of
from alkit.baselines.cache import BaselineCache, beside
from alkit.baselines.computing import read_all
from alkit.datasets import Dataset
from alkit.engines.calling import calling_workers
from alkit.errors import DataError
from alkit.molecules.molecule import Molecule
from alkit.reporting.progress import CampaignProgress
from alkit.storage.label_cache import default_path


def add_baselines(
    data: Path,
    baselines: Sequence[Mapping[str, Any]],
    progress: CampaignProgress,
    *,
    workers: int = 2,
    timeout: float = 120.0,
) -> tuple[int, dict[str, int], Path]:
    """Compute baselines of all molecules of a data set, in its own geometries.

    Those that are kept are not computed again, so that an interrupted run continues.

    Returns:
        How many molecules have all of them, how often each reason kept one from having it, and the cache.

    Raises:
        AlkitError: no data set, one without geometries, or a baseline that cannot be made or is not right.
    """
    specs, source = specs_of(baselines), Dataset.open(data)
    if source.geometry == "none":
        raise DataError(f"{data} has no geometries, at which baselines are computed.")
    for spec in specs:
        create_baseline(spec).check()
    molecules = [
        Molecule(smiles, source.numbers(i), source.positions(i), "dataset")
        for i, smiles in enumerate(source.smiles)
    ]
    path, reasons, good = beside(default_path()), dict[str, int](), 0
    with (
        closing(BaselineCache(path)) as cache,
        calling_workers(workers, timeout) as call_all,
        progress,
        progress.steps("baselines", len(molecules)) as advance,
    ):
        for row in read_all(specs, molecules, call_all=call_all, cache=cache, advance=advance):
            if isinstance(row, tuple):
                good += 1
            else:
                reason = str(getattr(row, "reason", row))
                reasons[reason] = reasons.get(reason, 0) + 1
    return good, reasons, path
