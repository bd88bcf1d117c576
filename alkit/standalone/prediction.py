"""Predict a file of molecules, however long, with a saved model."""

import csv
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, closing
from itertools import islice
from pathlib import Path
from typing import Any

from alkit import datasets
from alkit.baselines.cache import BaselineCache, beside
from alkit.datasets.formats import kind_of
from alkit.datasets.tables import USUAL, Columns
from alkit.engines import Engine, create_engine
from alkit.engines.calling import calling_workers, in_order
from alkit.errors import DataError
from alkit.files import digest, growing_table
from alkit.models.geometries import FROM_SMILES
from alkit.models.prediction import (
    CHUNK,
    MANY,
    PredictionRow,
    SavedModel,
    columns_of,
    in_parts,
    parts_of,
    predict_smiles,
    predict_structures,
)
from alkit.models.store import load_model, model_files, model_home
from alkit.reporting.progress import CampaignProgress
from alkit.storage.label_cache import default_path

_LOOKED_AT = 1000  # molecules of which one has a name, if the file has any
_PART_SECONDS = 600.0  # of a part in a worker, with the loading


def predict_file(
    model: Path,
    molecules: Path,
    out: Path | None,
    progress: CampaignProgress,
    *,
    columns: Columns = USUAL,
    length: float = 1.0,
    workers: int = 2,
    timeout: float = 120.0,
    **where: Any,
) -> tuple[int, int, str]:
    """Write a CSV of predictions, in the unit that its columns name.

    Where SMILES are all that the model sees, workers predict long lists, a part each. Otherwise they make
    geometries and baselines.

    Args:
        model: folder of the model.
        molecules: SMILES; or structures, for a model of geometries that no SMILES gives.
        out: the CSV to write; standard output by default.
        progress: shows the predictions.
        columns: of a table.
        length: Å in the unit of the structures.
        workers: processes that compute at once.
        timeout: seconds that a geometry may take.
        **where: the engine's ``kind`` and its settings, see `alkit.engines.create_engine`; processes of this
            machine by default.

    Returns:
        How many molecules got one now, how many did not, and what they are. Rows of an interrupted run are
        kept, and not counted again.

    Raises:
        DataError: molecules that cannot be read, or do not fit the model.
    """
    home = model_home(model)
    ensemble, provenance = load_model(home)
    from_smiles = ensemble.settings.mode == "2d" or provenance.geometry in FROM_SMILES
    key, read_all, predictor, names = to_predict(molecules, columns, length, from_smiles=from_smiles)
    totals = bool(provenance.atoms)
    numbers = columns_of(provenance.quantity)
    header = [key, *numbers, "reason", *(["total_eV"] if totals else []), *(["name"] if names else [])]
    with ExitStack() as stack:
        if out is None:
            rows = csv.writer(sys.stdout)
            rows.writerow(header)
            done, add = 0, rows.writerows
        else:
            if not molecules.is_file():
                raise DataError(f"{molecules} is not a file; with --out it is read more than once.")
            source = digest(molecules, *model_files(home))
            done, add = stack.enter_context(growing_table(out, header, made_from=source, chunk=CHUNK))
        stack.enter_context(progress)
        total = sum(1 for _ in read_all())
        if done:
            progress.say(f"going on after {done} of {total} molecules")
        advance = stack.enter_context(progress.steps("predicting", total - done))
        left = islice(read_all(), done, None)
        elsewhere = where.get("kind", "local") != "local"
        worth_it = elsewhere or (workers > 1 and total - done >= MANY)
        if predictor is predict_smiles and worth_it and in_parts(ensemble):
            engine = stack.enter_context(create_engine(None, workers=workers, timeout=_PART_SECONDS, **where))
            predicted = _from_workers(engine, home, left, done, advance)
        else:
            predicted = predictor(
                ensemble,
                provenance,
                left,
                on_molecule=advance,
                call_all=stack.enter_context(calling_workers(workers, timeout, **where)),
                cache=stack.enter_context(closing(BaselineCache(beside(default_path())))),
            )
        if provenance.warning:
            progress.say(provenance.warning, warning=True)
        called = islice(names, done, None) if names else None
        good, failed = _write(predicted, called, add, progress, numbers, totals=totals)
    what = f"{provenance.energy} energies" if provenance.quantity.energy else str(provenance.quantity)
    return good, failed, f"{what}, {provenance.level}"


def _from_workers(
    engine: Engine, home: Path, smiles: Iterable[str], done: int, advance: Callable[[int], None]
) -> Iterator[PredictionRow]:
    for rows in in_order(engine, SavedModel.at(home).rows, parts_of(smiles, first=done + 1)):
        advance(len(rows))
        yield from rows


def _write(
    predicted: Iterator[PredictionRow],
    names: Iterator[str] | None,
    add: Callable[[list[tuple[str, ...]]], object],
    progress: CampaignProgress,
    numbers: Sequence[str],
    *,
    totals: bool,
) -> tuple[int, int]:
    """Add the rows, a chunk at a time; how many have a prediction, and how many do not."""
    good = failed = 0
    warned = False
    for part in iter(lambda: list(islice(predicted, CHUNK)), []):
        texts = [_as_text(row, totals=totals) for row in part]
        add([(*text, next(names)) for text in texts] if names else texts)
        if not warned and (missing := _without(part, numbers)):
            progress.say(missing, warning=True)
            warned = True
        bad = sum(bool(row.reason) for row in part)
        good, failed = good + len(part) - bad, failed + bad
    return good, failed


def _without(rows: Sequence[PredictionRow], numbers: Sequence[str]) -> str:
    """The part of its predictions that the model cannot give; empty where it gives all."""
    _, std, low, high = numbers
    if any(not row.reason and row.std is None for row in rows):
        return f"The model has one member and no spread: {std}, {low} and {high} are empty."
    if any(not row.reason and row.low is None for row in rows):
        return (
            "The model has seen too few validation molecules for a 90 % interval (9 are the least); "
            f"{low} and {high} are empty."
        )
    return ""


def _as_text(row: PredictionRow, *, totals: bool) -> tuple[str, ...]:
    values = (row.mean, row.std, row.low, row.high)
    numbers = ["" if value is None else f"{value:.6f}" for value in values]
    total = ["" if row.total is None else f"{row.total:.6f}"] if totals else []
    return (" ".join(row.smiles.split()), *numbers, " ".join(row.reason.split()), *total)  # a row is one line


def to_predict(
    molecules: Path, columns: Columns, length: float, *, from_smiles: bool
) -> tuple[str, Callable[[], Iterable[Any]], Callable[..., Iterator[PredictionRow]], Iterator[str] | None]:
    """Open a file of molecules to predict.

    Returns:
        The column that identifies a molecule, and two functions: one reads the file, the other predicts.
        Last, the molecules' names in the file, if it has any.
    """
    if from_smiles and kind_of(molecules) == "db":
        smiles = datasets.Dataset.open(molecules).smiles
        return "smiles", lambda: smiles, predict_smiles, None
    if datasets.holds_structures(molecules) or (datasets.may_hold_structures(molecules) and not from_smiles):
        structures = datasets.read_structures(molecules, length)
        return "structure", lambda: structures, predict_structures, None
    names = (" ".join(entry.name.split()) for entry in datasets.scan_molecules(molecules, columns))
    named = any(entry.name for entry in islice(datasets.scan_molecules(molecules, columns), _LOOKED_AT))
    return (
        "smiles",
        lambda: datasets.scan_smiles(molecules, columns),
        predict_smiles,
        names if named else None,
    )
