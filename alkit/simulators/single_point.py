"""The cheap calculation that delta mode learns on top of: a GFN2-xTB single point at the input geometry.

What the same calculation gives for free, charges and bond orders, can be inputs of the surrogate. Delta
learning: Ramakrishnan, Dral, Rupp, von Lilienfeld, doi:10.1021/acs.jctc.5b00099.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from ase.units import Bohr, Hartree

from alkit.errors import LabelError
from alkit.simulators.base import Level
from alkit.simulators.references import atom_energies
from alkit.threads import one_thread

METHOD = "GFN2-xTB"
LEVEL = Level(f"{METHOD} (unrelaxed)", "energy", "eV")
_ACCURACY = 0.1  # of the SCF, relative to xtb's default: energies to about 1e-6 eV
_MAX_ITERATIONS = 250


@dataclass(frozen=True, eq=False)
class SinglePoint:
    """What one single point says of a molecule in one geometry.

    Attributes:
        energy: eV, atomization energy at ``level``: total electronic energy less that of the isolated atoms.
        charges: ``(n,)`` e, Mulliken charges.
        bond_orders: ``(n, n)``, Wiberg bond orders; the diagonal is zero.
        level: level of theory of ``energy``.
    """

    energy: float
    charges: np.ndarray
    bond_orders: np.ndarray
    level: Level = LEVEL


def single_point(numbers: np.ndarray, positions: np.ndarray, *, smiles: str = "") -> SinglePoint:
    """GFN2-xTB (doi:10.1021/acs.jctc.8b01176) of a neutral closed-shell molecule, on one thread.

    Args:
        numbers: ``(n,)`` atomic numbers.
        positions: ``(n, 3)`` Å.
        smiles: names the molecule in errors.

    Raises:
        LabelError: "unsupported_element", "unpaired_electrons" or "scf_not_converged".
    """
    from xtb.interface import Calculator, Param, XTBException

    numbers, positions = np.asarray(numbers, dtype=np.int64), np.asarray(positions, dtype=np.float64)
    references = atom_energies(METHOD, numbers, smiles)
    if int(numbers.sum()) % 2:
        raise LabelError(
            "unpaired_electrons", f"{smiles}: an odd number of electrons is no closed-shell molecule"
        )
    try:
        with one_thread():
            calculator = Calculator(Param.GFN2xTB, numbers, positions / Bohr)
            calculator.set_verbosity(0)
            calculator.set_accuracy(_ACCURACY)
            calculator.set_max_iterations(_MAX_ITERATIONS)
            found = calculator.singlepoint()
            energy = found.get_energy() * Hartree - references
            charges, orders = found.get_charges(), np.array(found.get_bond_orders())
    except XTBException as error:
        raise LabelError("scf_not_converged", f"{smiles}: {error}") from error
    np.fill_diagonal(orders, 0.0)
    if not (np.isfinite(energy) and np.isfinite(charges).all() and np.isfinite(orders).all()):
        raise LabelError("not_finite", f"{smiles}: {METHOD} gave a number that is not finite")
    return SinglePoint(float(energy), charges, orders)
