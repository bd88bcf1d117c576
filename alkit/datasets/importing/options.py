"""The user's statements about the files that are imported."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from alkit.datasets.importing.rows import Wanted
from alkit.datasets.tables import USUAL, Columns
from alkit.errors import DataError
from alkit.properties import Scalar

Conformers = Literal["all", "lowest"]
Length = Literal["angstrom", "bohr"]
KINDS = ("total", "atomization", *get_args(Scalar), "scalar")


@dataclass(frozen=True)
class ImportOptions:
    """How files are read, and what their numbers are.

    Attributes:
        properties: "COLUMN=NAME" each: a number of the file, and the property that it is; or "NAME" for both.
        units, kinds, levels: of all properties, or "NAME=VALUE" of one.
        references: energies of the isolated atoms of total energies, see
            `alkit.datasets.references.read_references`; "fit": estimated from the energies themselves.
        forces, gradients: what holds the one or the other; by default ``forces``, where the file says its
            unit.
        forces_unit: such as "hartree/bohr"; by default the energy's unit per unit of length.
        length: unit of positions, where the file does not say it.
        smiles: of every structure, where the file has none.
        columns: of a table.
        positions, numbers, groups: see `alkit.datasets.importing.rows.Wanted`.
        conformers: of several geometries of one molecule ``all``, or the one of the ``lowest`` energy.
        skip_bad: leave out rows that cannot be used; else the first of them ends the import.
        limit: stop after so many rows.
    """

    properties: tuple[str, ...] = ()
    units: tuple[str, ...] = ()
    kinds: tuple[str, ...] = ()
    levels: tuple[str, ...] = ()
    references: str | None = None
    forces: str | None = None
    gradients: str | None = None
    forces_unit: str | None = None
    length: Length = "angstrom"
    smiles: str | None = None
    columns: Columns = USUAL
    positions: str = ""
    numbers: str = ""
    groups: str = ""
    conformers: Conformers = "all"
    skip_bad: bool = False
    limit: int | None = None

    def check(self) -> None:
        """Check the options before a file is read.

        Raises:
            DataError: values that cannot be.
        """
        if self.conformers not in get_args(Conformers):
            raise DataError(
                f"conformers is {self.conformers!r}; it is one of {', '.join(get_args(Conformers))}."
            )
        if self.length not in get_args(Length):
            raise DataError(f"length is {self.length!r}; it is one of {', '.join(get_args(Length))}.")
        if self.forces and self.gradients:
            raise DataError("--forces and --gradients say the same with the other sign; give one of them.")
        if self.limit is not None and self.limit < 1:
            raise DataError(f"limit is {self.limit}; it must be at least 1.")

    def wanted(self, properties: tuple[str, ...]) -> Wanted:
        """The columns and arrays that the readers must look for, with these properties."""
        columns = [pair.rpartition("=")[0] or pair for pair in properties]
        forces = [name for name in (self.forces, self.gradients) if name]
        return Wanted(self.columns, (*columns, *forces), self.positions, self.numbers, self.groups)


def of_each(given: tuple[str, ...], names: tuple[str, ...], option: str) -> dict[str, str]:
    """Values by property name: "VALUE" is all properties', "NAME=VALUE" that of one.

    Raises:
        DataError: two values for one property.
    """
    found: dict[str, str] = {}
    for text in given:
        head, sign, tail = text.partition("=")
        meant = {head: tail} if sign and head in names else dict.fromkeys(names, text)
        for name, value in meant.items():
            if name in found and found[name] != value and not (sign and head == name):
                raise DataError(f"{option} is given twice for {name}: {found[name]} and {value}.")
            found[name] = value
    return found
