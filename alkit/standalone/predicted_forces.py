"""Predict energies and forces, and write them with the geometries they are of."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, closing
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from alkit.baselines.cache import BaselineCache, beside
from alkit.datasets.tables import USUAL, Columns
from alkit.engines.calling import calling_workers
from alkit.files import by_ending, replace_file
from alkit.models.geometries import FROM_SMILES
from alkit.models.prediction import CHUNK, PredictionRow
from alkit.models.store import load_model
from alkit.reporting.progress import CampaignProgress
from alkit.standalone.prediction import to_predict
from alkit.storage.label_cache import default_path

if TYPE_CHECKING:
    from ase import Atoms


def predict_forces(
    model: Path,
    molecules: Path,
    out: Path,
    progress: CampaignProgress,
    *,
    columns: Columns = USUAL,
    length: float = 1.0,
    workers: int = 2,
    timeout: float = 120.0,
    **where: Any,
) -> tuple[int, int, str]:
    """Write structures with energy (eV) and forces (eV/Å) where ASE looks for them.

    Each has a ``name`` (the SMILES, or the number in the file) and the energy's standard deviation
    (``energy_std``, eV). A molecule without prediction is named on standard error.

    Args:
        model: folder of the model.
        molecules: SMILES or structures.
        out: a new file that ends as one of `WRITERS`.
        progress: shows the predictions.
        columns: of a table.
        length: Å in the unit of the structures.
        workers: processes that make geometries.
        timeout: seconds that a geometry may take.
        **where: the engine's ``kind`` and its settings, see `alkit.engines.create_engine`.

    Returns:
        How many molecules got a prediction, how many did not, and what energies they are.

    Raises:
        DataError: the file exists, or has another ending.
        SurrogateError: a model whose energy is no function of the geometry alone.
    """
    write = by_ending(out, WRITERS)
    ensemble, provenance = load_model(model)
    from_smiles = ensemble.settings.mode == "2d" or provenance.geometry in FROM_SMILES
    _, read_all, predictor, _ = to_predict(molecules, columns, length, from_smiles=from_smiles)
    with ExitStack() as stack:
        stack.enter_context(progress)
        rows = predictor(
            ensemble,
            provenance,
            read_all(),
            on_molecule=stack.enter_context(progress.steps("predicting", sum(1 for _ in read_all()))),
            call_all=stack.enter_context(calling_workers(workers, timeout, **where)),
            cache=stack.enter_context(closing(BaselineCache(beside(default_path())))),
            forces=True,
        )
        counts = {"done": 0, "failed": 0}
        replace_file(out, lambda path: write(path, _predicted(rows, counts)))
    if provenance.warning:
        progress.say(provenance.warning, warning=True)
    return counts["done"], counts["failed"], f"{provenance.energy} energies and forces, {provenance.level}"


def _predicted(rows: Iterable[PredictionRow], counts: dict[str, int]) -> Iterator[Atoms]:
    """Molecules with a prediction; the others are counted, and named."""
    for row in rows:
        if row.atoms is None:
            counts["failed"] += 1
            print(f"left out: {row.smiles}: {row.reason}", file=sys.stderr)
            continue
        counts["done"] += 1
        row.atoms.info["name"] = row.smiles
        for name, value in (("energy_std", row.std), ("total_eV", row.total)):
            if value is not None:
                row.atoms.info[name] = value
        yield row.atoms


def _write_extxyz(path: Path, structures: Iterator[Atoms]) -> None:
    from ase.io import write

    for part in iter(lambda: list(islice(structures, CHUNK)), []):
        write(path, part, format="extxyz", append=True)


def _write_database(path: Path, structures: Iterator[Atoms]) -> None:
    from ase.db import connect

    with connect(str(path), type="db", append=False, use_lock_file=False) as database:
        for atoms in structures:
            database.write(atoms, data=atoms.info)


WRITERS: Mapping[str, Callable[[Path, Iterator[Atoms]], None]] = {
    ".extxyz": _write_extxyz,
    ".db": _write_database,
}
"""What writes structures, by the ending of the file."""
