"""Molecules of a file with their labels, and the graphs that a model sees of them."""

import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from alkit import datasets
from alkit.config.words import Energy
from alkit.datasets import Dataset
from alkit.datasets.splits import grouped_split, stereo_groups
from alkit.datasets.tables import Columns
from alkit.errors import DataError, LabelError
from alkit.models.geometries import Placed
from alkit.models.graphs import GraphBuilder
from alkit.models.prediction import PlaceAll, with_geometry
from alkit.molecules.conformers import CONFORMERS
from alkit.molecules.molecule import Molecule, canonical
from alkit.reporting.progress import CampaignProgress
from alkit.standalone.energies import as_atomization

if TYPE_CHECKING:
    from surrogate import ModelSettings

FEWEST_TO_TRAIN = 20


class Labelled:
    """Molecules with labels from either kind of file, and their graphs."""

    def __init__(
        self,
        data: Path,
        target: str,
        settings: "ModelSettings",
        geometry: str | None,
        seed: int,
        energies: Callable[..., NDArray[np.float64]],
        columns: Columns,
        *,
        strict: bool,
        conformers: int = CONFORMERS,
    ):
        self._data, self.settings = data, settings
        self.dataset: Dataset | None = None
        if datasets.is_table(data):
            table = datasets.read_labelled(data, target, columns, strict=strict)
            for problem in table.problems:
                print(f"left out: {problem}", file=sys.stderr)
            atoms = [_atoms(smiles) for smiles in table.smiles]
            self.smiles, self.level = table.smiles, table.level or f"{data.name} {target}"
            self.values = energies(
                np.asarray(table.values),
                [numbers for numbers, _ in atoms],
                charges=np.array([charge for _, charge in atoms]),
                what=f"{data}, column {target}",
                names=table.smiles,
            )
            self.geometry = geometry or "mmff"
        else:
            self.dataset = Dataset.open(data)
            self.smiles, self.values = self.dataset.smiles, self.dataset.atomization(target)
            self.level = f"{self.dataset.level} {target}"
            self.geometry = geometry or "dataset"
        if self.geometry == "dataset" and self.dataset is None:
            raise DataError(f"{data} has no geometries; --geometry is mmff, etkdg or xtb for a CSV.")
        self._builder = GraphBuilder(settings, self.geometry, seed, conformers)
        self._graphs: dict[int, Any] = {}

    @property
    def elements(self) -> tuple[str, ...]:
        from ase.data import chemical_symbols

        numbers = {int(z) for graph in self._graphs.values() for z in graph.numbers}
        return tuple(chemical_symbols[z] for z in sorted(numbers))

    def build(
        self,
        order: NDArray,
        progress: CampaignProgress,
        place_all: PlaceAll,
        *,
        fewest: int = FEWEST_TO_TRAIN,
    ) -> list[int]:
        """Graphs of these molecules; returns those that have one.

        Raises:
            DataError: too few have one.
        """
        from surrogate import SurrogateError

        with progress, progress.steps("building graphs", len(order)) as advance:
            placed = self._placed(order, place_all, advance)
            for i in order.tolist():
                try:
                    self._graphs[i] = self._graph(i, placed)
                except (LabelError, DataError, SurrogateError) as error:
                    print(f"left out: {error}", file=sys.stderr)
            advance(len(order) - len(placed))
        if len(self._graphs) < fewest:
            raise DataError(
                f"{self._data}: {len(self._graphs)} usable molecules; at least {fewest} are needed."
            )
        return list(self._graphs)

    def pairs(self, indices: list[int]) -> tuple[list[Any], NDArray]:
        return [self._graphs[i] for i in indices], self.values[indices]

    def split(self, usable: list[int]) -> tuple[list[int], list[int], list[int]]:
        """About a tenth to test, a tenth to validate, the rest to train, with stereoisomers in one set."""
        tenth = max(2, len(usable) // 10)
        test, validation, rest = grouped_split(stereo_groups(self.smiles, usable).values(), (tenth, tenth))
        return test, validation, rest

    def _placed(
        self, order: NDArray, place_all: PlaceAll, advance: Callable[[int], None]
    ) -> dict[str, Placed | Exception]:
        """Geometries of these molecules, where they come from the SMILES and are seen."""
        if self.settings.mode == "2d" or self.geometry == "dataset":
            return {}
        unplaced = {_key(self.smiles[i]) for i in order.tolist()} - {""}
        placed = {}
        for smiles, outcome in place_all(self._builder.placing, sorted(unplaced)):
            placed[smiles] = outcome
            advance(1)
        return placed

    def _graph(self, i: int, placed: dict[str, Placed | Exception]) -> Any:
        smiles, dataset = canonical(self.smiles[i]), self.dataset
        if self.settings.mode == "3d" and self.geometry == "dataset" and dataset is not None:
            molecule = Molecule(smiles, dataset.numbers(i), dataset.positions(i), "dataset")
            return self._builder.graph(molecule)
        return self._builder.graph(*with_geometry(smiles, placed))


def _key(smiles: str) -> str:
    """Its canonical form, or nothing of what alkit does not cover."""
    try:
        return canonical(smiles)
    except DataError:
        return ""


def _atoms(smiles: str) -> tuple[NDArray[np.int64], int]:
    """Atomic numbers, hydrogens included, and the charge."""
    from rdkit import Chem

    mol = Chem.AddHs(Chem.MolFromSmiles(smiles))
    return np.array([atom.GetAtomicNum() for atom in mol.GetAtoms()]), Chem.GetFormalCharge(mol)


def converter(
    data: Path, unit: str | None, kind: Energy | None, references: str | None
) -> Callable[..., NDArray[np.float64]]:
    """What makes atomization energies in eV of a table's values.

    Raises:
        DataError: a data set says itself what its energies are.
    """
    if not datasets.is_table(data) and (unit or kind or references):
        raise DataError(
            f"{data} says itself what its energies are; leave out --unit, --kind and --references."
        )
    return partial(as_atomization, unit=unit, kind=kind, references=references)
