"""Charge and unpaired electrons of a molecule: as its SMILES states them, or as the settings say."""

from __future__ import annotations

from typing import NamedTuple

from alkit.errors import LabelError
from alkit.molecules.molecule import Molecule, charge_and_radicals

FROM_SMILES = "from_smiles"


class Electrons(NamedTuple):
    """Charge and spin of a molecule.

    Attributes:
        charge: e.
        unpaired: electrons.
        as_drawn: whether the SMILES states the same charge.
    """

    charge: int
    unpaired: int
    as_drawn: bool


def electrons_of(molecule: Molecule, charge: int | str, unpaired: int | str) -> Electrons:
    """Charge and spin that ``molecule`` is computed with.

    Args:
        molecule: its SMILES says what ``FROM_SMILES`` stands for.
        charge: e, or ``FROM_SMILES``. A neutral molecule may be computed as an ion; an ion has its charge.
        unpaired: electrons, or ``FROM_SMILES``.

    Raises:
        LabelError: "impossible_charge": the molecule has another charge, or cannot have so many unpaired
            electrons.
    """
    stated, radicals = charge_and_radicals(molecule.smiles)
    charge = stated if charge == FROM_SMILES else int(charge)
    unpaired = radicals if unpaired == FROM_SMILES else int(unpaired)
    electrons = int(molecule.numbers.sum()) - charge
    if stated not in (0, charge):
        raise LabelError(
            "impossible_charge",
            f"{molecule.smiles} has a charge of {stated:+d}, and the setting `charge` is {charge}; set it to "
            f"{FROM_SMILES}",
        )
    if electrons < 1 or unpaired > electrons or (electrons - unpaired) % 2:
        raise LabelError(
            "impossible_charge",
            f"{molecule.smiles}: with a charge of {charge:+d} it has {electrons} electrons, of which "
            f"{unpaired} cannot be unpaired; set `charge` or `unpaired`",
        )
    return Electrons(charge, unpaired, charge == stated)
