"""A trained surrogate on disk, with what its right use needs: geometry source and level of theory."""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any

from alkit.errors import DataError, LabelError
from alkit.models.geometries import FROM_SMILES, Placed, Placing
from alkit.models.graphs import GraphBuilder, check_gfn2
from alkit.models.store import Provenance
from alkit.molecules.molecule import Molecule, canonical, charge_and_radicals
from alkit.simulators.single_point import SinglePoint

if TYPE_CHECKING:
    from surrogate import Ensemble

CHUNK = 512  # molecules that are predicted at a time
PlaceAll = Callable[[Placing, Sequence[str]], Iterable[tuple[str, Placed | Exception]]]


@dataclass(frozen=True)
class PredictionRow:
    """Prediction for one molecule in eV with its 90 % interval, or the reason why there is none.

    ``std`` is None for a model of one member; ``low`` and ``high`` where the model's validation molecules are
    too few for such an interval.
    """

    smiles: str
    mean: float | None = None
    std: float | None = None
    low: float | None = None
    high: float | None = None
    reason: str = ""


def place_here(placing: Placing, smiles: Sequence[str]) -> Iterator[tuple[str, Placed | Exception]]:
    """Every molecule with its geometry, or with the error in its place, made in this process."""
    for one in smiles:
        try:
            yield one, placing(one)
        except (LabelError, DataError) as error:
            yield one, error


def predict_smiles(
    ensemble: "Ensemble",
    provenance: Provenance,
    smiles: Iterable[str],
    *,
    on_molecule: Callable[[int], None] | None = None,
    place_all: PlaceAll = place_here,
) -> Iterator[PredictionRow]:
    """Predictions in the order given, a chunk at a time, so that memory does not grow with the list.

    Args:
        place_all: how many molecules get their geometries; `alkit.engines.Engine.call_all` does it in worker
            processes, with a time limit.

    Raises:
        ConfigError: the model needs GFN2-xTB, and no binding of it is installed.
        DataError: the model needs geometries that a SMILES cannot give.
    """
    if ensemble.settings.mode == "3d" and provenance.geometry not in FROM_SMILES:
        raise DataError(
            f"The model was trained on {provenance.geometry} geometries, which a SMILES does not have; give "
            "structures (.xyz, .extxyz, .db), or train one with geometry mmff, etkdg or xtb, or in 2d mode."
        )
    yield from _predict(ensemble, provenance, smiles, on_molecule, place_all)


def predict_structures(
    ensemble: "Ensemble",
    provenance: Provenance,
    structures: Iterable[Molecule],
    *,
    on_molecule: Callable[[int], None] | None = None,
) -> Iterator[PredictionRow]:
    """The same in geometries of one's own, which must be of the kind that the model was trained on.

    Raises:
        ConfigError: the model needs GFN2-xTB, and no binding of it is installed.
        DataError: the model makes its geometries from SMILES, or sees none.
    """
    if ensemble.settings.mode == "2d" or provenance.geometry in FROM_SMILES:
        seen = "SMILES alone" if ensemble.settings.mode == "2d" else f"{provenance.geometry} geometries"
        raise DataError(f"The model was trained on {seen}; give a file of SMILES, not of structures.")
    yield from _predict(ensemble, provenance, structures, on_molecule, place_here)


def _predict(
    ensemble: "Ensemble",
    provenance: Provenance,
    molecules: Iterable[str | Molecule],
    on_molecule: Callable[[int], None] | None,
    place_all: PlaceAll,
) -> Iterator[PredictionRow]:
    check_gfn2(ensemble.settings, provenance.geometry if ensemble.settings.mode == "3d" else "none")
    source = iter(molecules)
    while chunk := list(islice(source, CHUNK)):
        yield from _predict_chunk(ensemble, provenance, chunk, on_molecule, place_all)


def _predict_chunk(
    ensemble: "Ensemble",
    provenance: Provenance,
    chunk: list[str | Molecule],
    on_molecule: Callable[[int], None] | None,
    place_all: PlaceAll,
) -> list[PredictionRow]:
    from surrogate import SurrogateError

    builder = GraphBuilder(ensemble.settings, provenance.geometry, provenance.seed, provenance.conformers)
    readable = [_readable(molecule) for molecule in chunk]
    unplaced = {one for one in readable if isinstance(one, str)} if ensemble.settings.mode == "3d" else set()
    placed = {}
    for one, outcome in place_all(builder.placing, sorted(unplaced)):
        placed[one] = outcome
        if on_molecule:
            on_molecule(1)
    graphs, rows = [], []
    for given, molecule in zip(chunk, readable, strict=True):
        name = given if isinstance(given, str) else given.smiles
        try:
            if isinstance(molecule, DataError):
                raise molecule
            name = molecule if isinstance(molecule, str) else name
            graph = builder.graph(*with_geometry(molecule, placed))
            ensemble.references([graph])  # refuses an element that the model was not built for
            graphs.append(graph)
            rows.append(PredictionRow(name))
        except LabelError as error:
            rows.append(PredictionRow(name, reason=error.reason))
        except (DataError, SurrogateError) as error:
            rows.append(PredictionRow(name, reason=str(error)))
    if on_molecule:
        on_molecule(len(chunk) - len(placed))
    predicted = ensemble.predict(graphs)
    numbers = (predicted.mean, predicted.std, *predicted.interval(0.9))
    columns = ([value if math.isfinite(value) else None for value in column.tolist()] for column in numbers)
    values = iter(zip(*columns, strict=True))
    return [row if row.reason else PredictionRow(row.smiles, *next(values)) for row in rows]


def _readable(molecule: str | Molecule) -> str | Molecule | DataError:
    """A canonical SMILES, a molecule with its geometry, or why it is neither."""
    try:
        if isinstance(molecule, str):
            return canonical(molecule)
        if any(charge_and_radicals(molecule.smiles)):
            canonical(molecule.smiles)  # says why it is refused
        return molecule
    except DataError as error:
        return error


def with_geometry(
    molecule: str | Molecule, placed: dict[str, Any]
) -> tuple[str | Molecule, SinglePoint | None]:
    """The molecule as it was placed, and its single point, if one was computed.

    Raises:
        DataError, LabelError: it could not be placed.
    """
    if isinstance(molecule, Molecule) or molecule not in placed:
        return molecule, None
    outcome = placed[molecule]
    if isinstance(outcome, Exception):
        raise outcome
    return outcome
