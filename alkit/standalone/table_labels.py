"""The meaning of the labels in a user's own table, and their way to what a model learns."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from alkit import datasets
from alkit.config.words import Energy, LabelKind
from alkit.datasets.tables import Columns, table_rows
from alkit.errors import DataError
from alkit.molecules.scalars import check_values, split_column, stored_unit, units_of
from alkit.properties import Kind, Quantity, kind_of, known, short_name
from alkit.standalone.energies import as_atomization


@dataclass(frozen=True)
class TableLabels:
    """The user's statements about a table's labels.

    Attributes:
        unit: that they are in; where nobody says it, that of the column's name, and eV of energies.
        kind: ``atomization`` (energies where nobody says it) or ``total`` energies; ``extensive`` or
            ``intensive``: a property that is no energy.
        references: of total energies, see `alkit.datasets.references.read_references`.
    """

    unit: str | None = None
    kind: LabelKind | None = None
    references: str | None = None

    def check(self, data: Path) -> None:
        """Raise `DataError` where a data set says itself what its numbers are."""
        if not datasets.is_table(data) and (self.unit or self.kind or self.references):
            raise DataError(
                f"{data} says itself what its numbers are; leave out --unit, --kind and --references."
            )

    def column_of(self, data: Path, target: str, columns: Columns) -> str:
        """The column of a table that holds a property: of its name, or of name and unit, as ``gap_eV``."""
        first = next(table_rows(data, columns), None)
        names = [name for name in first[1] if name] if first else []
        if target in names:
            return target
        found = [name for name in names if split_column(name)[1] and split_column(name)[0] == target]
        return found[0] if len(found) == 1 else target

    def read(
        self,
        column: str,
        values: NDArray[np.float64],
        compositions: list[NDArray[np.int64]],
        *,
        charges: NDArray[np.int64],
        what: str,
        names: list[str],
    ) -> tuple[NDArray[np.float64], Quantity, Kind | None]:
        """Read a column as ``(n,)`` labels, what they are, and whether the property grows with the molecule.

        Args:
            column: its name, which may name the unit.
            values: ``(n,)`` as written.
            compositions: ``n`` arrays of atomic numbers.
            charges: ``(n,)``.
            what: names file and column in messages.
            names: ``n`` SMILES, for messages.

        Raises:
            DataError: values that molecules cannot have; a unit that is not known, or not the property's; a
                kind that is not.
        """
        name, written = split_column(column)
        kind = self._kind(name, what)
        if kind != "energy" and self.references:
            raise DataError(f"{what}: --references are the atoms of total energies; {name} is none.")
        try:
            unit = self._unit(name, written)
            factor, stored = (1.0, "eV") if kind == "energy" else stored_unit(name, unit or "")
        except DataError as error:
            raise DataError(f"{what}: {error} (--unit).") from None
        quantity = Quantity(short_name(name), stored, kind == "energy")
        if kind == "energy":
            return self._energies(name, unit, values, compositions, charges, what, names), quantity, kind
        values = np.asarray(values, dtype=np.float64) * factor
        check_values(name, values, compositions, what, names=names, factor=factor)
        return values, quantity, kind

    def _energies(
        self,
        name: str,
        unit: str | None,
        values: NDArray[np.float64],
        compositions: list[NDArray[np.int64]],
        charges: NDArray[np.int64],
        what: str,
        names: list[str],
    ) -> NDArray[np.float64]:
        try:
            return as_atomization(
                values, compositions, unit=unit, kind=self._energy(), references=self.references, what=what,
                names=names, charges=charges,
            )  # fmt: skip
        except DataError as error:
            if known(name) is not None or self.kind is not None:
                raise
            advice = f"If {name} is no energy, say --kind extensive or intensive."
            raise DataError(f"{error} {advice}") from None

    def _unit(self, name: str, written: str) -> str | None:
        """The unit that is meant, of the user's and that of the column's name."""
        if self.unit and written and stored_unit(name, self.unit) != stored_unit(name, written):
            raise DataError(f"the column is in {written} by its name, and {self.unit} is given")
        return self.unit or written or None

    def _kind(self, name: str, what: str) -> Kind | None:
        named = known(name)
        if named is not None and self.kind in ("atomization", "total") and named.kind != "energy":
            raise DataError(f"{what}: --kind is {self.kind}, and {name}, the {named.what}, is {named.kind}.")
        if named is not None and self.kind in ("extensive", "intensive") and named.kind == "energy":
            raise DataError(f"{what}: --kind is {self.kind}, and {name} is an energy: atomization or total.")
        # Numbers of another name are energies, unless their unit or the user says something else.
        other = self.unit is not None and self.unit.lower() not in {u.lower() for u in units_of("u0")}
        return kind_of(name, self.kind or "") or (None if other else "energy")

    def _energy(self) -> Energy | None:
        return self.kind if self.kind in ("atomization", "total") else None
