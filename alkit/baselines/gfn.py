"""GFN1- and GFN2-xTB single points: the energy, and what the same SCF says of atoms, bonds and the molecule.

By tblite, which has numbers of single atoms and of orbitals. Its energies agree with xtb-python's to 1e-6 eV
at the same thresholds and electronic temperature (300 K, xtb-python's default).
"""

from __future__ import annotations

from importlib.metadata import version
from importlib.util import find_spec
from typing import Any, ClassVar, NamedTuple

import numpy as np
from ase.units import Bohr, Hartree, kB
from numpy.typing import NDArray

from alkit.baselines.base import Baseline, Reading
from alkit.errors import ConfigError, LabelError
from alkit.molecules.free_atoms import ATOM_ENERGIES
from alkit.molecules.molecule import Molecule
from alkit.simulators.base import Level
from alkit.simulators.references import atom_energies
from alkit.threads import one_thread

_ACCURACY = 0.1  # of the SCF, relative to the default: energies to about 1e-6 eV
_MAX_ITERATIONS = 250
_KELVIN = 300.0
_NO_BOND = 10.0  # bohr: a pair that is further apart has no bond order
_OCCUPIED = 0.5  # electrons
_SHELLS = 3  # s, p and d
_WATER = Molecule(
    "O",
    np.array([8, 1, 1]),
    np.array([[0.0, 0.0, 0.119262], [0.0, 0.763239, -0.477047], [0.0, -0.763239, -0.477047]]),
    "given",
)
_SAME = 1e-3  # eV, between versions of tblite


class _GFN(Baseline):
    """One of the two methods, for neutral closed-shell molecules, on one thread."""

    tier = "semi-empirical"
    method: ClassVar[str]
    known: ClassVar[float]  # eV, atomization energy of `_WATER`, computed by xtb-python 22.1
    # Mulliken charge and populations of shells (electrons); atomic energy less that of the free atom, and
    # energies of the occupied and empty orbitals, each times its share at the atom (eV); sums over its bond
    # orders and over their squares.
    atom_inputs = ("charge", "energy", "s", "p", "d", "occupied", "empty", "valence", "valence2")
    pair_inputs = ("bond order",)
    whole_inputs = ("homo", "lumo", "dipole")  # eV, eV, e Å

    def __init__(self) -> None:
        if find_spec("tblite") is None:
            raise ConfigError(
                f"baseline {self.inputs} needs the package tblite, which is not installed: pip install tblite"
            )

    @property
    def level(self) -> Level:
        return Level(f"{self.method} (unrelaxed)", "energy", "eV")

    @property
    def version(self) -> str:
        return f"tblite {version('tblite')}"

    def read(self, molecule: Molecule) -> Reading:
        """Compute the single point.

        Raises:
            LabelError: "unsupported_element", "unpaired_electrons", "scf_not_converged" or "not_finite".
        """
        numbers = np.asarray(molecule.numbers, dtype=np.int64)
        references = atom_energies(self.method, numbers, molecule.smiles)
        if int(numbers.sum()) % 2:
            raise LabelError(
                "unpaired_electrons",
                f"{molecule.smiles}: an odd number of electrons is no closed-shell molecule",
            )
        with one_thread():
            found = _scf(self.method, numbers, np.asarray(molecule.positions) / Bohr, molecule.smiles)
        free = np.array([ATOM_ENERGIES[self.method][int(z)] for z in numbers])
        atoms = np.column_stack(
            [
                found.charges,
                found.energies * Hartree - free,
                found.shells,
                found.bands * Hartree,
                found.orders.sum(axis=1),
                (found.orders**2).sum(axis=1),
            ]
        )
        whole = (*(found.frontier * Hartree), float(np.linalg.norm(found.dipole)) * Bohr)
        energy = found.energy * Hartree - references
        return self.reading(energy, atoms, found.orders[..., None], whole, molecule=molecule)

    def check(self) -> str:
        energy = self.read(_WATER).energy
        if abs(energy - self.known) > _SAME:
            raise ConfigError(
                f"baseline {self.inputs}: water has {energy:.4f} eV here, and {self.known:.4f} eV by "
                f"xtb-python; {self.version} computes something else"
            )
        return f"water {energy:.4f} eV, as by xtb-python ({self.known:.4f} eV); {self.version}"


class GFN1(_GFN):
    """GFN1-xTB, https://doi.org/10.1021/acs.jctc.7b00118."""

    method, inputs, known = "GFN1-xTB", "gfn1", -16.728264


class GFN2(_GFN):
    """GFN2-xTB, https://doi.org/10.1021/acs.jctc.8b01176."""

    method, inputs, known = "GFN2-xTB", "gfn2", -14.031547


class _SCF(NamedTuple):
    """The results of a single point, in atomic units.

    Energy, charges and energies of atoms, shells ``(n, 3)``, bands ``(n, 2)``, bond orders, HOMO and LUMO,
    dipole.
    """

    energy: float
    charges: NDArray[np.float64]
    energies: NDArray[np.float64]
    shells: NDArray[np.float64]
    bands: NDArray[np.float64]
    orders: NDArray[np.float64]
    frontier: NDArray[np.float64]
    dipole: NDArray[np.float64]


def _scf(method: str, numbers: NDArray, bohr: NDArray, smiles: str) -> _SCF:
    from tblite.exceptions import TBLiteRuntimeError
    from tblite.interface import Calculator

    try:
        calculator = Calculator(method, numbers, bohr)
        calculator.set("verbosity", 0)
        calculator.set("accuracy", _ACCURACY)
        calculator.set("max-iter", _MAX_ITERATIONS)
        calculator.set("temperature", _KELVIN * kB / Hartree)
        calculator.set("save-integrals", 1)
        result = calculator.singlepoint()
        energy, charges, energies, orders, dipole = (
            np.array(result.get(name)) for name in ("energy", "charges", "energies", "bond-orders", "dipole")
        )
        shells, bands, frontier = _of_orbitals(calculator, result, len(numbers))
    except TBLiteRuntimeError as error:
        raise LabelError("scf_not_converged", f"{smiles}: {error}") from error
    orders = orders.reshape(len(numbers), len(numbers), -1).sum(axis=-1)  # over the spins
    distances = np.linalg.norm(bohr[:, None] - bohr[None], axis=-1)
    orders = np.where(distances < _NO_BOND, orders, 0.0)
    np.fill_diagonal(orders, 0.0)
    return _SCF(float(energy), charges, energies, shells, bands, orders, frontier, dipole)


def _of_orbitals(
    calculator: Any, result: Any, atoms: int
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Populations, bands and frontier orbitals.

    Returns:
        Mulliken populations ``(n, 3)`` of s, p and d. Energies ``(n, 2)`` of the occupied and the empty
        orbitals, weighted by electrons or holes and by their share at each atom. HOMO and LUMO.
    """
    density, overlap, coefficients, energies, occupations = (
        np.array(result.get(name))
        for name in (
            "density-matrix", "overlap-matrix", "orbital-coefficients", "orbital-energies",
            "orbital-occupations",
        )
    )  # fmt: skip
    shell = np.asarray(calculator.get("orbital-map"))
    atom = np.asarray(calculator.get("shell-map"))[shell]
    momentum = np.asarray(calculator.get("angular-momenta"))[shell]
    populations = np.zeros((atoms, _SHELLS))
    np.add.at(populations, (atom, momentum), (density * overlap).sum(axis=1))
    shares = coefficients * (overlap @ coefficients)
    bands = np.zeros((atoms, 2))
    np.add.at(bands, (atom, 0), shares @ (occupations * energies))
    np.add.at(bands, (atom, 1), shares @ ((2 - occupations) * energies))
    highest = int(np.flatnonzero(occupations > _OCCUPIED)[-1])
    empty = energies[highest + 1] if highest + 1 < len(energies) else energies[highest]
    return populations, bands, np.array([energies[highest], empty])
