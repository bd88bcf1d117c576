"""Labels that people compute with programs of their own: alkit asks for them, and reads what comes back."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_args

from numpy.typing import NDArray

from alkit.config.words import Energy
from alkit.datasets.references import read_references
from alkit.errors import ConfigError, DataError, LabelError
from alkit.molecules.molecule import Molecule
from alkit.molecules.scalars import stored_unit
from alkit.properties import is_energy, short_name, usual_unit
from alkit.simulators.base import Label, Level

MANUAL = "manual"


class ManualSimulator:
    """The level of theory of labels that come by hand, and how their numbers are read.

    Args:
        level: the method, such as "PBE0/def2-TZVP".
        target: the property.
        unit: of the numbers, one that the property has. By default it is eV for energies and the usual one of
            a property that alkit knows. A property of one's own needs it.
        kind: "atomization", or "total" energies, from which those of the isolated atoms are subtracted.
        references: energies of the isolated atoms, in the same unit by element symbol, or the name of a table
            of alkit.

    Raises:
        ConfigError: settings that cannot be.
    """

    any_start = True
    ions = True

    def __init__(
        self,
        level: str = "",
        target: str = "u0",
        unit: str = "",
        kind: Energy | None = None,
        references: str | Mapping[str, float] | None = None,
    ):
        if not isinstance(level, str) or not level.strip():
            raise ConfigError(
                "simulator: manual needs the level of theory of your labels, such as "
                "settings: {level: PBE0/def2-TZVP}."
            )
        if isinstance(references, str) and Path(references).is_file():
            raise ConfigError(
                f"references: write the energies of {references} into the campaign file, such as "
                "references: {H: -0.5, C: -37.8}."
            )
        self.reading = LabelReading(target, unit, kind, references)
        self._level = Level(level.strip(), short_name(target), self.reading.stored_unit)

    @property
    def level(self) -> Level:
        """The level of theory that the campaign file states."""
        return self._level

    def label(self, molecule: Molecule) -> Label:
        """Always raises `LabelError` "by_hand": nothing here computes a label."""
        raise LabelError("by_hand", f"{molecule.smiles}: its label comes by hand, from `alkit campaign tell`")


class LabelReading:
    """How numbers of people's own become labels; see `ManualSimulator`.

    Attributes:
        target: the property.
        unit: that the numbers are in.
        stored_unit: that the labels are in.
        kind: of energies; None of another property.

    Raises:
        ConfigError: settings that cannot be.
    """

    def __init__(
        self,
        target: str,
        unit: str = "",
        kind: str | None = None,
        references: str | Mapping[str, float] | None = None,
    ):
        self.target, self.unit = target, str(unit or usual_unit(target))
        try:
            self.factor, self.stored_unit = stored_unit(target, self.unit)
        except DataError as error:
            raise ConfigError(f"unit: {error}.") from None
        self.kind: str | None = None
        self._atoms: dict[int, float] = {}
        if is_energy(target):
            self._set_energies(kind or "atomization", references)
        elif kind is not None or references is not None:
            raise ConfigError(
                f"kind and references are about energies, and {target} is none; leave them out."
            )

    def _set_energies(self, kind: str, references: str | Mapping[str, float] | None) -> None:
        if kind not in get_args(Energy):
            raise ConfigError(f"kind is {kind!r}; energies are {' or '.join(get_args(Energy))}.")
        if (kind == "total") != (references is not None):
            raise ConfigError(
                "kind: total and references belong together; total energies need those of the isolated atoms "
                "at the same level, such as references: {H: -0.5, C: -37.8} in the same unit."
            )
        self.kind = kind
        if isinstance(references, str):
            try:
                self._atoms = read_references(references, self.factor)
            except DataError as error:
                raise ConfigError(f"references: {error}") from None
        elif references is not None:
            self._atoms = _by_number(references, self.factor)

    def label_value(self, number: float, numbers: NDArray[Any]) -> float:
        """The label of a molecule of these atomic numbers, ``(n,)``, in `stored_unit`.

        For an energy it is the atomization energy.

        Raises:
            LabelError: there is no reference for one of its elements.
        """
        if self.kind != "total":
            return number * self.factor
        if missing := sorted({int(z) for z in numbers} - set(self._atoms)):
            raise LabelError("unsupported_element", f"references have no energy of the element {missing[0]}")
        return number * self.factor - sum(self._atoms[int(z)] for z in numbers)


def _by_number(references: Mapping[str, float], factor: float) -> dict[int, float]:
    from ase.data import atomic_numbers

    try:
        return {atomic_numbers[symbol]: float(energy) * factor for symbol, energy in references.items()}
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ConfigError(
            f"references: {references!r:.60} is no table of atom energies ({error}); it has them by element "
            "symbol, such as {H: -0.5, C: -37.8}."
        ) from None
