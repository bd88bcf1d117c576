"""Labels that somebody computed before: a data set that answers like a simulator."""

from __future__ import annotations

import time
from pathlib import Path

from alkit.datasets.store import Dataset
from alkit.errors import LabelError
from alkit.molecules.molecule import Molecule
from alkit.properties import short_name
from alkit.simulators.base import Label, Level


class Lookup:
    """Labels from a data set, at its level of theory and in its geometries.

    The label of an energy is the atomization energy (eV); of any other property it is the number in its unit.
    Where the data set has no geometries, the label's is the molecule's own. `label` raises `LabelError`
    "not_in_dataset" for a molecule that the data set does not hold.

    Args:
        dataset: the file.
        target: the property, "u0" for QM9's internal energy at 0 K.

    Raises:
        DataError: a file that is no data set or lacks the property.
    """

    any_start = True  # of the molecule: its geometry does not matter
    ions = True  # by their SMILES, as everything

    def __init__(self, dataset: str, target: str = "u0"):
        self._dataset = Dataset.open(Path(dataset)).one_row_each("Labels that are looked up need")
        self._values, unit = self._dataset.labels(target)
        self._level = Level(self._dataset.level_of(target), short_name(target), unit)

    @property
    def level(self) -> Level:
        """The level of theory of the data set's labels."""
        return self._level

    def label(self, molecule: Molecule) -> Label:
        """The stored label; takes no time worth naming."""
        start = time.perf_counter()
        try:
            i = self._dataset.index(molecule.smiles)
        except KeyError:
            raise LabelError(
                "not_in_dataset", f"{molecule.smiles} is not in {self._dataset.path.name}"
            ) from None
        numbers, positions = molecule.numbers, molecule.positions
        if self._dataset.geometry != "none":
            numbers, positions = self._dataset.numbers(i), self._dataset.positions(i)
        seconds = time.perf_counter() - start
        value = float(self._values[i])
        return Label(molecule.smiles, value, self.level, {}, numbers.copy(), positions.copy(), seconds)
