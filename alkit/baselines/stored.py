"""A level of theory that a data set holds already, as the baseline of another."""

from __future__ import annotations

from pathlib import Path

from alkit.baselines.base import Baseline, Reading
from alkit.datasets.store import Dataset
from alkit.errors import LabelError
from alkit.molecules.molecule import Molecule
from alkit.simulators.base import Level


class Stored(Baseline):
    """The property of a data set, by SMILES.

    Args:
        path: an ASE database that `alkit data import` wrote.
        property: whose atomization energy is meant, such as "u0_pm6".
    """

    tier = "another level of the data set"

    def __init__(self, path: str, property: str):
        dataset = Dataset.open(Path(path))
        self._dataset = dataset.one_row_each("A level of a data set as baseline needs")
        self._property = property
        self._values = self._dataset.atomization(property)

    @property
    def level(self) -> Level:
        """The level of theory of the dataset's column, in eV."""
        return Level(f"{self._dataset.level_of(self._property)} {self._property} (stored)", "energy", "eV")

    def read(self, molecule: Molecule) -> Reading:
        """Look the molecule's energy up in the dataset.

        Raises:
            LabelError: "not_in_dataset".
        """
        if molecule.smiles not in self._dataset:
            raise LabelError("not_in_dataset", f"{molecule.smiles} is not in {self._dataset.path.name}")
        return self.reading(self._values[self._dataset.index(molecule.smiles)], molecule=molecule)

    def check(self) -> str:
        """The energies were checked when the data set was opened."""
        return f"{len(self._values)} energies of {self._dataset.path}"
