"""A trained surrogate on disk, with what its right use needs: geometry source and level of theory."""

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from alkit.baselines.cache import BaselineCache
from alkit.baselines.computing import CallAll, call_here
from alkit.errors import DataError, LabelError
from alkit.files import digest
from alkit.models.geometries import FROM_SMILES
from alkit.models.graphs import GraphBuilder
from alkit.models.store import Provenance, load_model, model_files
from alkit.molecules.molecule import Molecule, canonical, charge_and_radicals
from alkit.properties import Quantity
from surrogate.settings import pick_device

if TYPE_CHECKING:
    import pandas
    from ase import Atoms

    from surrogate import Graph, Prediction, Surrogate

CHUNK = 512  # molecules that are predicted at a time
MANY = 20_000  # fewer are predicted before workers have loaded torch


@dataclass(frozen=True)
class PredictionRow:
    """Prediction for one molecule with its 90 % interval, in the model's unit, or why there is none.

    ``std`` is None for a model of one member; ``low`` and ``high`` where the model's validation molecules are
    too few for such an interval. ``total`` is the mean and the isolated atoms, where the model knows them.
    ``atoms`` are in the geometry that the model saw, with its energy (eV) and forces (eV/Å), where these were
    asked for.
    """

    smiles: str
    mean: float | None = None
    std: float | None = None
    low: float | None = None
    high: float | None = None
    reason: str = ""
    total: float | None = None
    atoms: "Atoms | None" = None


_NUMBERS = ("mean", "std", "low", "high")


def columns_of(quantity: Quantity) -> tuple[str, str, str, str]:
    """Names of the columns of a prediction's ``mean``, ``std``, ``low`` and ``high``, with their unit."""
    mean, std, low, high = (quantity.column(what) for what in ("prediction", "std", "low_90", "high_90"))
    return mean, std, low, high


def predict_smiles(
    ensemble: "Surrogate",
    provenance: Provenance,
    smiles: Iterable[str],
    *,
    on_molecule: Callable[[int], None] | None = None,
    call_all: CallAll = call_here,
    cache: BaselineCache | None = None,
    forces: bool = False,
) -> Iterator[PredictionRow]:
    """Predict molecules a chunk at a time, so that memory does not grow with the list.

    Args:
        ensemble: the surrogate.
        provenance: how it was trained: level, geometry, baselines.
        smiles: read a chunk at a time.
        on_molecule: called with the number of molecules that are done.
        call_all: how molecules get their geometries and baselines; `alkit.engines.Engine.call_all` does it in
            worker processes, with a time limit.
        cache: of baselines.
        forces: whether rows come with atoms, energy (eV) and forces (eV/Å).

    Yields:
        Rows in the order of the SMILES.

    Raises:
        ConfigError: the model needs GFN2-xTB, and no binding of it is installed.
        DataError: the model needs geometries that a SMILES cannot give.
        SurrogateError: forces are asked for, and the energy is no function of the geometry alone.
    """
    if ensemble.settings.mode == "3d" and provenance.geometry not in FROM_SMILES:
        raise DataError(
            f"The model was trained on {provenance.geometry} geometries, which a SMILES does not have; give "
            "structures (.xyz, .extxyz, .db), or train one with geometry mmff, etkdg or xtb, or in 2d mode."
        )
    yield from _predict(ensemble, provenance, smiles, on_molecule, call_all, cache, forces)


def predict_structures(
    ensemble: "Surrogate",
    provenance: Provenance,
    structures: Iterable[Molecule],
    *,
    on_molecule: Callable[[int], None] | None = None,
    call_all: CallAll = call_here,
    cache: BaselineCache | None = None,
    forces: bool = False,
) -> Iterator[PredictionRow]:
    """Predict molecules in their own geometries.

    These must be of the kind that the model was trained on. The arguments are those of `predict_smiles`, with
    structures in place of SMILES.

    Yields:
        Rows in the order of the structures.

    Raises:
        ConfigError: the model needs GFN2-xTB, and no binding of it is installed.
        DataError: the model makes its geometries from SMILES, or sees none.
        SurrogateError: forces are asked for, and the energy is no function of the geometry alone.
    """
    if ensemble.settings.mode == "2d" or provenance.geometry in FROM_SMILES:
        seen = "SMILES alone" if ensemble.settings.mode == "2d" else f"{provenance.geometry} geometries"
        raise DataError(f"The model was trained on {seen}; give a file of SMILES, not of structures.")
    yield from _predict(ensemble, provenance, structures, on_molecule, call_all, cache, forces)


def in_parts(ensemble: "Surrogate", device: str = "auto") -> bool:
    """Whether workers can predict parts of a list, graphs and all, as `SavedModel` does.

    They read SMILES alone. Where geometries are needed, or a GPU is there, this process predicts.
    """
    return ensemble.settings.mode == "2d" and pick_device(device) == "cpu"


@dataclass(frozen=True)
class SavedModel:
    """A surrogate of SMILES alone, for worker processes, which load it from its folder once.

    The graphs of such a surrogate take one core, as long as the networks do.

    Attributes:
        home: the model's folder, which workers see under the same path.
        version: digest of its files: one that was written again since is another model.
    """

    home: Path
    version: str

    @classmethod
    def at(cls, home: Path) -> "SavedModel":
        """The model of a folder as it is now."""
        return cls(home.resolve(), digest(*model_files(home)))

    def rows(self, part: "Part") -> list[PredictionRow]:
        """The rows of a part, in its order."""
        return list(predict_smiles(*_loaded(self), part.smiles))

    def prediction(self, part: "Part") -> "Prediction":
        """The prediction of a part, all of whose molecules have graphs."""
        ensemble, provenance = _loaded(self)
        builder = _builder(ensemble, provenance)
        return ensemble.predict([builder.graph(one) for one in part.smiles])


@dataclass(frozen=True)
class Part:
    """Some of many SMILES.

    Attributes:
        first: number of the first one among all, from 1.
        smiles: these.
    """

    first: int
    smiles: tuple[str, ...]

    def __str__(self) -> str:
        return f"molecules {self.first:,} to {self.first + len(self.smiles) - 1:,}"


def parts_of(smiles: Iterable[str], size: int = CHUNK, first: int = 1) -> Iterator[Part]:
    """SMILES in parts of one size; the last may be smaller."""
    source = iter(smiles)
    while chunk := tuple(islice(source, size)):
        yield Part(first, chunk)
        first += len(chunk)


@lru_cache(maxsize=1)
def _loaded(model: SavedModel) -> "tuple[Surrogate, Provenance]":
    return load_model(model.home)


def prediction_columns(provenance: Provenance) -> list[str]:
    """The columns of a table of predictions, but for the molecule's."""
    return [*columns_of(provenance.quantity), "reason", *(["total_eV"] if provenance.atoms else [])]


def table_of(rows: Iterable[PredictionRow], provenance: Provenance) -> "pandas.DataFrame":
    """The rows as a table; NaN where there is no number."""
    import pandas

    listed = list(rows)
    columns: dict[str, Any] = {"smiles": [row.smiles for row in listed]}
    for name, column in zip(_NUMBERS, columns_of(provenance.quantity), strict=True):
        columns[column] = pandas.Series([getattr(row, name) for row in listed], dtype=float)
    columns["reason"] = [row.reason for row in listed]
    if provenance.atoms:
        columns["total_eV"] = pandas.Series([row.total for row in listed], dtype=float)
    return pandas.DataFrame(columns)


def molecule_of(given: Any, *, from_smiles: bool) -> str | Molecule:
    """A SMILES, or a molecule in a geometry of its own, as the surrogate needs it.

    Args:
        given: a SMILES, or ASE's `Atoms`.
        from_smiles: whether the surrogate makes its geometries from SMILES.

    Raises:
        DataError: it is neither, or no SMILES can be found for it.
    """
    from ase import Atoms

    from alkit.datasets.structures import perceived_smiles

    if isinstance(given, str):
        return given
    if not isinstance(given, Atoms):
        raise DataError(f"{type(given).__name__} is neither a SMILES nor ASE's Atoms; give one of them.")
    formula = given.get_chemical_formula()
    smiles = perceived_smiles(given.numbers, given.positions)
    if not from_smiles:
        return Molecule(smiles or formula, given.numbers, given.positions, "given")
    if smiles is None:
        raise DataError(f"RDKit finds no bonds in the geometry of {formula}; give its SMILES.")
    return smiles


def _predict(
    ensemble: "Surrogate",
    provenance: Provenance,
    molecules: Iterable[str | Molecule],
    on_molecule: Callable[[int], None] | None,
    call_all: CallAll,
    cache: BaselineCache | None,
    forces: bool,
) -> Iterator[PredictionRow]:
    from surrogate.forces import check_sloped

    if forces:
        check_sloped(ensemble.settings)
    _builder(ensemble, provenance).check()
    source = iter(molecules)
    while chunk := list(islice(source, CHUNK)):
        yield from _predict_chunk(ensemble, provenance, chunk, on_molecule, call_all, cache, forces)


def _predict_chunk(
    ensemble: "Surrogate",
    provenance: Provenance,
    chunk: list[str | Molecule],
    on_molecule: Callable[[int], None] | None,
    call_all: CallAll,
    cache: BaselineCache | None,
    forces: bool,
) -> list[PredictionRow]:
    from surrogate import SurrogateError

    readable = [_readable(molecule) for molecule in chunk]
    names = [given if isinstance(given, str) else given.smiles for given in chunk]
    found = _builder(ensemble, provenance).graphs(
        readable, call_all=call_all, cache=cache, advance=on_molecule
    )
    graphs, rows, elements = [], [], frozenset(ensemble.references.numbers)
    for name, molecule, graph in zip(names, readable, found, strict=True):
        name = molecule if isinstance(molecule, str) else name
        try:
            if isinstance(graph, Exception):
                raise graph
            if not elements.issuperset(graph.numbers.tolist()):
                ensemble.references([graph])  # says which element the model was not built for
            graphs.append(graph)
            rows.append(PredictionRow(name))
        except LabelError as error:
            rows.append(PredictionRow(name, reason=error.reason))
        except (DataError, SurrogateError) as error:
            rows.append(PredictionRow(name, reason=str(error)))
    predicted = ensemble.predict(graphs)
    numbers = (predicted.mean, predicted.std, *predicted.interval(0.9))
    columns = ([value if math.isfinite(value) else None for value in column.tolist()] for column in numbers)
    values = iter(zip(*columns, strict=True))
    rows = [row if row.reason else PredictionRow(row.smiles, *next(values)) for row in rows]
    rows = _with_totals(rows, graphs, dict(provenance.atoms)) if provenance.atoms else rows
    return _with_forces(rows, graphs, ensemble) if forces else rows


def _with_totals(
    rows: list[PredictionRow], graphs: "list[Graph]", atoms: dict[int, float]
) -> list[PredictionRow]:
    """Total energies beside those that count from isolated atoms."""
    sums = iter([sum(atoms.get(int(z), math.nan) for z in graph.numbers) for graph in graphs])
    totals = [None if row.reason or row.mean is None else row.mean + next(sums) for row in rows]
    return [replace(row, total=total) for row, total in zip(rows, totals, strict=True)]


def _with_forces(
    rows: list[PredictionRow], graphs: "list[Graph]", ensemble: "Surrogate"
) -> list[PredictionRow]:
    """Molecules with energy and forces beside the rows; the energy is the one whose slope the forces are."""
    from ase import Atoms
    from ase.calculators.singlepoint import SinglePointCalculator

    from surrogate import Ensemble

    assert isinstance(ensemble, Ensemble)  # as `check_sloped` has found
    seen = []
    for graph, energy, forces in zip(graphs, *ensemble.forces(graphs), strict=True):
        seen.append(Atoms(graph.numbers, graph.positions))
        seen[-1].calc = SinglePointCalculator(seen[-1], energy=energy, forces=forces)
    given = iter(seen)
    return [row if row.reason else replace(row, atoms=next(given)) for row in rows]


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


def _builder(ensemble: "Surrogate", provenance: Provenance) -> GraphBuilder:
    return GraphBuilder(
        ensemble.settings,
        provenance.geometry,
        provenance.seed,
        provenance.conformers,
        provenance.baselines,
    )
