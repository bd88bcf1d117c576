"""Molecules of a file with their labels, and the graphs that a model sees of them."""

import sys
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from alkit import datasets
from alkit.baselines.base import BaselineSpec
from alkit.baselines.cache import BaselineCache, beside
from alkit.baselines.computing import CallAll
from alkit.datasets import Dataset
from alkit.datasets.splits import grouped_split, stereo_groups
from alkit.datasets.tables import Columns
from alkit.errors import DataError
from alkit.models.graphs import GraphBuilder
from alkit.molecules.conformers import CONFORMERS
from alkit.molecules.molecule import Molecule, canonical
from alkit.properties import Quantity, kind_of, short_name
from alkit.reporting.progress import CampaignProgress
from alkit.standalone.table_labels import TableLabels
from alkit.storage.label_cache import default_path

if TYPE_CHECKING:
    from surrogate import ModelSettings
    from surrogate.forces import Labelled as Labels

FEWEST_TO_TRAIN = 20
USUAL_TARGET = "u0"


class Labelled:
    """Molecules with labels from either kind of file, and their graphs."""

    def __init__(
        self,
        data: Path,
        target: str | None,
        settings: "ModelSettings",
        geometry: str | None,
        seed: int,
        labels: TableLabels,
        columns: Columns,
        *,
        strict: bool,
        conformers: int = CONFORMERS,
        baselines: tuple[BaselineSpec, ...] = (),
    ):
        self._data, self.settings = data, settings
        self.dataset: Dataset | None = None
        self._forces = False
        if datasets.is_table(data):
            column = labels.column_of(data, target or USUAL_TARGET, columns)
            table = datasets.read_labelled(data, column, columns, strict=strict)
            for problem in table.problems:
                print(f"left out: {problem}", file=sys.stderr)
            atoms = [_atoms(smiles) for smiles in table.smiles]
            self.smiles, self.level = table.smiles, table.level or f"{data.name} {column}"
            self.values, self.quantity, self.kind = labels.read(
                column,
                np.asarray(table.values),
                [numbers for numbers, _ in atoms],
                charges=np.array([charge for _, charge in atoms]),
                what=f"{data}, column {column}",
                names=table.smiles,
            )
            self.geometry, target = geometry or "mmff", column
        else:
            self.dataset = Dataset.open(data)
            target = target or _usual_property(self.dataset)
            self.smiles, (self.values, unit) = self.dataset.smiles, self.dataset.labels(target)
            self.kind = kind_of(target, self.dataset.properties[self.dataset.property_name(target)].kind)
            self.quantity = Quantity(short_name(target), unit, self.kind == "energy")
            self.level = f"{self.dataset.level_of(target)} {target}"
            self.geometry = geometry or ("dataset" if self.dataset.geometry == "dataset" else "mmff")
            if settings.mode == "2d" or self.geometry != "dataset":
                self.dataset.one_row_each("A model that sees no geometry of the data set's learns")
        if self.geometry == "dataset" and self.dataset is None:
            raise DataError(f"{data} has no geometries; --geometry is mmff, etkdg or xtb for a CSV.")
        self.builder = GraphBuilder(settings, self.geometry, seed, conformers, baselines)
        self.atoms = _atoms_of(self.dataset, target)
        self.target = target
        self._graphs: dict[int, Any] = {}

    @property
    def elements(self) -> tuple[str, ...]:
        """Symbols of the elements in the molecules that have graphs, by atomic number."""
        from ase.data import chemical_symbols

        numbers = {int(z) for graph in self._graphs.values() for z in graph.numbers}
        return tuple(chemical_symbols[z] for z in sorted(numbers))

    def build(
        self,
        order: NDArray,
        progress: CampaignProgress,
        call_all: CallAll,
        *,
        fewest: int = FEWEST_TO_TRAIN,
    ) -> list[int]:
        """Graphs of these molecules; returns those that have one.

        Raises:
            DataError: too few have one.
        """
        given = [self.molecule(i) for i in order.tolist()]
        with (
            progress,
            progress.steps("building graphs", len(order)) as advance,
            closing(BaselineCache(beside(default_path()))) as cache,
        ):
            found = self.builder.graphs(given, call_all=call_all, cache=cache, advance=advance)
        for i, graph in zip(order.tolist(), found, strict=True):
            if isinstance(graph, Exception):
                print(f"left out: {graph}", file=sys.stderr)
            else:
                self._graphs[i] = graph
        if len(self._graphs) < fewest:
            raise DataError(
                f"{self._data}: {len(self._graphs)} usable molecules; at least {fewest} are needed."
            )
        return list(self._graphs)

    @property
    def without_forces(self) -> str:
        """Why there are no forces to learn or to compare with; empty where there are."""
        if self.dataset is None:
            return f"{self._data} is a table, which has none; `alkit data import` keeps those of a file"
        if not self.dataset.forces_of:
            return f"{self._data} has none; `alkit data import --forces NAME` keeps those of a file"
        if self.dataset.forces_of != self.dataset.property_name(self.target):
            return f"{self._data} has those of {self.dataset.forces_of}, and the target is {self.target}"
        if self.geometry != "dataset":
            return f"they belong to the geometries of {self._data}; leave out --geometry {self.geometry}"
        return ""

    def take_forces(self) -> None:
        """Let `pairs` give forces, too.

        Raises:
            DataError: there are none.
        """
        if why := self.without_forces:
            raise DataError(f"--forces needs forces: {why}.")
        self._forces = True

    def pairs(self, indices: list[int]) -> "Labels":
        """Graphs and labels ``(n,)`` of these molecules, as `surrogate.forces.Labelled` has them."""
        pairs = [self._graphs[i] for i in indices], self.values[indices]
        return (*pairs, self.forces(indices)) if self._forces else pairs

    def forces(self, indices: list[int]) -> list[NDArray[np.float64]]:
        """``(atoms, 3)`` eV/Å of each of these molecules.

        Raises:
            DataError: there are none.
        """
        if self.dataset is None:
            raise DataError(f"{self._data} is a table, which has no forces.")
        return [self.dataset.forces(i) for i in indices]

    def split(self, usable: list[int]) -> tuple[list[int], list[int], list[int]]:
        """About a tenth to test, a tenth to validate, the rest to train; `groups` are not cut."""
        tenth = max(2, len(usable) // 10)
        # A molecule of many geometries would fill a set by itself, and leave none to learn from.
        groups = sorted(self.groups(usable), key=lambda group: len(group) > tenth)
        test, validation, rest = grouped_split(groups, (tenth, tenth))
        return test, validation, rest

    def groups(self, usable: list[int]) -> list[list[int]]:
        """Rows that stay together: those of one molecule and its stereoisomers.

        Where a data set has few molecules and many geometries of each, each row is by itself.
        """
        together = list(stereo_groups(self.smiles, usable).values())
        tenth = max(2, len(usable) // 10)
        if sum(len(group) for group in together if len(group) <= tenth) >= 3 * tenth:
            return together
        return [[i] for i in usable]

    def molecule(self, one: int | str) -> str | Molecule | DataError:
        """The canonical SMILES of molecule ``one``, given by its number here or a SMILES.

        It comes with the data set's geometry where that is what the model sees.
        """
        try:
            smiles, dataset = canonical(self.smiles[one] if isinstance(one, int) else one), self.dataset
            if self.settings.mode == "3d" and self.geometry == "dataset" and dataset is not None:
                if isinstance(one, str) and smiles not in dataset:
                    return DataError(f"{smiles} is not in {dataset.path}, where its geometry would come from")
                i = dataset.index(smiles) if isinstance(one, str) else one
                return Molecule(smiles, dataset.numbers(i), dataset.positions(i), "dataset")
            return smiles
        except DataError as error:
            return error


def _usual_property(dataset: Dataset) -> str:
    """The property that is meant where none is named: the data set's only energy, its only one, or U0."""
    energies = [name for name, one in dataset.properties.items() if one.is_energy]
    named = energies or list(dataset.properties)
    return named[0] if len(named) == 1 else USUAL_TARGET


def _atoms_of(dataset: Dataset | None, target: str) -> tuple[tuple[int, float], ...]:
    """Atom energies (eV, by atomic number) that total energies of a data set count from."""
    if dataset is None or dataset.properties[dataset.property_name(target)].kind != "total":
        return ()
    return tuple(dataset.atom_energies(target).items())


def _atoms(smiles: str) -> tuple[NDArray[np.int64], int]:
    """Atomic numbers, hydrogens included, and the charge."""
    from rdkit import Chem

    mol = Chem.AddHs(Chem.MolFromSmiles(smiles))
    return np.array([atom.GetAtomicNum() for atom in mol.GetAtoms()]), Chem.GetFormalCharge(mol)
