"""A label that was computed elsewhere, from a row of somebody's file: checked as a simulator's would be."""

from __future__ import annotations

from alkit import __version__
from alkit.campaign.label_files import LabelRow, is_empty, text_of
from alkit.datasets.tables import parse_number
from alkit.errors import Attempt, LabelError
from alkit.molecules.identity import changes
from alkit.molecules.molecule import Molecule
from alkit.simulators.base import Label, Level, check_label
from alkit.simulators.manual import LabelReading

BY_HAND = "by hand"


class RefusalError(Exception):
    """Why a row is not taken."""


def check_level(row: LabelRow, level: Level) -> None:
    """Raise `RefusalError` for a row that names another level of theory than the campaign's."""
    written = level_in(row)
    if written not in ("", level.method, str(level)):
        raise RefusalError(f"is of {written}, and the campaign's labels are {level}")


def level_in(row: LabelRow) -> str:
    """The level of theory that a row names; mostly none."""
    return next((text for key in ("method", "level") if (text := text_of(row.cells.get(key)))), "")


def label_of(row: LabelRow, molecule: Molecule, number: float, level: Level, reading: LabelReading) -> Label:
    """The label of a row, in the row's geometry or, where it has none, in the ``molecule``'s.

    Args:
        row: of the user's table.
        molecule: with the geometry that the campaign uses, Å.
        number: as the row has it.
        level: of the campaign.
        reading: how a number becomes a label: unit, kind and references.

    Raises:
        RefusalError: an energy that its atoms cannot have, or the geometry of another molecule.
        DataError: seconds that are no number.
    """
    numbers, positions = molecule.numbers, molecule.positions
    if row.numbers is not None and row.positions is not None:
        numbers, positions = row.numbers, row.positions
        if problem := changes(molecule.smiles, numbers, positions):
            raise RefusalError(f"{problem}; the reason of one that changed is identity_changed")
    seconds = row.cells.get("seconds")
    taken = 0.0 if is_empty(seconds) else parse_number(str(seconds), row.where)
    attempts = (Attempt(BY_HAND, "", taken),)
    try:
        value = reading.label_value(number, numbers)
        label = Label(
            molecule.smiles, value, level, {}, numbers, positions, taken, attempts, version=__version__
        )
        return check_label(label, molecule, level)
    except LabelError as error:
        raise RefusalError(error.detail or error.reason) from None
