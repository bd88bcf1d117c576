"""The cheap calculation that delta mode learns on top of: a GFN2-xTB single point at the input geometry.

What the same calculation gives for free, charges and bond orders, can be inputs of the surrogate. Delta
learning: Ramakrishnan, Dral, Rupp, von Lilienfeld, doi:10.1021/acs.jctc.5b00099.

xtb-python and tblite, whichever is installed, agree to 1e-6 eV, and 1e-5 in charges and bond orders: they run
with the same thresholds, iterations and electronic temperature (300 K, xtb-python's default).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from ase.units import Bohr, Hartree, kB

from alkit.errors import LabelError
from alkit.simulators.base import Level
from alkit.simulators.bindings import require_binding
from alkit.simulators.references import atom_energies
from alkit.threads import one_thread

METHOD = "GFN2-xTB"
LEVEL = Level(f"{METHOD} (unrelaxed)", "energy", "eV")
_ACCURACY = 0.1  # of the SCF, relative to xtb's default: energies to about 1e-6 eV
_MAX_ITERATIONS = 250
_KELVIN = 300.0
_NO_BOND = 10.0  # bohr: xtb-python gives no bond order to a pair that is further apart


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

    By xtb-python where it is installed, else by tblite.

    Args:
        numbers: ``(n,)`` atomic numbers.
        positions: ``(n, 3)`` Å.
        smiles: names the molecule in errors.

    Raises:
        ConfigError: neither binding is installed.
        LabelError: "unsupported_element", "unpaired_electrons", "scf_not_converged" or "not_finite".
    """
    binding = require_binding("a single point")
    numbers, positions = np.asarray(numbers, dtype=np.int64), np.asarray(positions, dtype=np.float64)
    references = atom_energies(METHOD, numbers, smiles)
    if int(numbers.sum()) % 2:
        raise LabelError(
            "unpaired_electrons", f"{smiles}: an odd number of electrons is no closed-shell molecule"
        )
    compute = _by_xtb if binding == "xtb" else _by_tblite
    with one_thread():
        hartree, charges, orders = compute(numbers, positions / Bohr, smiles)
    energy = hartree * Hartree - references
    np.fill_diagonal(orders, 0.0)
    if not (np.isfinite(energy) and np.isfinite(charges).all() and np.isfinite(orders).all()):
        raise LabelError("not_finite", f"{smiles}: {METHOD} gave a number that is not finite")
    return SinglePoint(float(energy), charges, orders)


def _by_xtb(numbers: np.ndarray, bohr: np.ndarray, smiles: str) -> tuple[float, np.ndarray, np.ndarray]:
    """Energy in Hartree, charges and bond orders."""
    from xtb.interface import Calculator, Param, XTBException

    try:
        calculator = Calculator(Param.GFN2xTB, numbers, bohr)
        calculator.set_verbosity(0)
        calculator.set_accuracy(_ACCURACY)
        calculator.set_max_iterations(_MAX_ITERATIONS)
        result = calculator.singlepoint()
        return result.get_energy(), result.get_charges(), np.array(result.get_bond_orders())
    except XTBException as error:
        raise LabelError("scf_not_converged", f"{smiles}: {error}") from error


def _by_tblite(numbers: np.ndarray, bohr: np.ndarray, smiles: str) -> tuple[float, np.ndarray, np.ndarray]:
    """Energy in Hartree, charges and bond orders, these where xtb-python has them."""
    from tblite.exceptions import TBLiteRuntimeError
    from tblite.interface import Calculator

    try:
        calculator = Calculator(METHOD, numbers, bohr)
        calculator.set("verbosity", 0)
        calculator.set("accuracy", _ACCURACY)
        calculator.set("max-iter", _MAX_ITERATIONS)
        calculator.set("temperature", _KELVIN * kB / Hartree)
        result = calculator.singlepoint()
        energy, charges, orders = (result.get(name) for name in ("energy", "charges", "bond-orders"))
    except TBLiteRuntimeError as error:
        raise LabelError("scf_not_converged", f"{smiles}: {error}") from error
    orders = orders.reshape(len(numbers), len(numbers), -1).sum(axis=-1)  # over the spins
    distances = np.linalg.norm(bohr[:, None] - bohr[None], axis=-1)
    return float(energy), charges, np.where(distances < _NO_BOND, orders, 0.0)
