"""Labels by the semi-empirical tight-binding methods GFN2-xTB and GFN1-xTB, through xtb-python's ASE
calculator.

GFN2-xTB: doi:10.1021/acs.jctc.8b01176; GFN1-xTB: doi:10.1021/acs.jctc.7b00118. Where the time goes, 16
atoms, one thread: a gradient in a fresh API object takes 6 ms, in a kept one, whose SCF restarts from the
last density, 3 ms; with as many OpenMP threads as cores on a busy machine it takes 100 times that, so
labels use one thread.
"""

from __future__ import annotations

import importlib.util
import time
from dataclasses import dataclass
from typing import Any

import numpy as np
from ase import Atoms
from ase.calculators.calculator import CalculationFailed
from ase.units import invcm
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from alkit.errors import ConfigError, LabelError
from alkit.molecules import Molecule, same_bond_graph
from alkit.simulators import vibrations
from alkit.simulators.base import Label, Level
from alkit.simulators.relaxation import max_force, relax

# Total energies of isolated atoms in eV, in their ground-state multiplicity, at 300 K electronic temperature
# (which smears a degenerate open shell, and with it these numbers). A test recomputes all of them.
UNPAIRED = {1: 1, 5: 1, 6: 2, 7: 3, 8: 2, 9: 1, 14: 2, 15: 3, 16: 2, 17: 1, 35: 1, 53: 1}
ATOM_ENERGIES = {
    "GFN2-xTB": {
        1: -10.707211, 5: -25.917120, 6: -48.798080, 7: -70.908087, 8: -102.521807, 9: -125.698643,
        14: -42.793903, 15: -64.604696, 16: -85.619453, 17: -121.975722, 35: -110.160925, 53: -102.848978,
    },
    "GFN1-xTB": {
        1: -10.923452, 5: -32.650116, 6: -47.329357, 7: -78.783981, 8: -118.392338, 9: -135.973795,
        14: -44.176297, 15: -65.890568, 16: -96.167939, 17: -113.372266, 35: -103.894148, 53: -105.736841,
    },
}  # fmt: skip
TARGETS = ("energy", "u0")

# SCF thresholds relative to xtb's default: loose enough to relax on, tight enough to differentiate.
_ACCURACY_RELAX, _ACCURACY_FINAL = 1.0, 1e-3
# Displacement in Angstrom of each scheme. Forward differences need one gradient per coordinate, and under
# the tight SCF the step can be so short that each of them restarts next to its solution: a third of the
# time of central differences, and zero-point energies within 0.3 meV of them.
_STEPS = {"forward": 1e-4, "central": 5e-3}
_ESCAPES = 2
_ESCAPE_STEP = 0.2  # Angstrom, of the atom that the imaginary mode moves most
# A saddle that passed for relaxed is a flat one, most often a methyl group's rotation: the forces beside it
# are as small as on it, and only a finer criterion finds the way down. With it 10 of 200 molecules of up to
# seven heavy atoms reach their minimum after one push; with the first criterion 4 of them did not.
_ESCAPE_FMAX, _ACCURACY_ESCAPE = 0.1, 0.1


@dataclass
class XTBSimulator:
    """Relaxes a molecule and returns its atomization energy in eV.

    ``method``: "GFN2-xTB" or "GFN1-xTB". ``target``: "u0" is E + ZPE - sum of E(atom), "energy" leaves the
    harmonic zero-point energy (most of the cost) out. ``relax``: False takes the energy at the geometry as it
    comes ("energy" only). ``fmax``: relaxed when no force is larger, eV/A. ``max_steps``: of the optimizer.
    ``max_iterations``: of one SCF. ``hessian``: "forward" or "central" differences of analytic gradients.
    ``imaginary``: an imaginary wavenumber in cm-1 beyond which the point is a saddle and no minimum: the
    molecule is pushed along the mode and relaxed again, twice at most. Smaller ones are noise and count by
    magnitude.

    `label` raises `LabelError` "unsupported_element", "scf_not_converged", "not_relaxed",
    "identity_changed" or "imaginary_modes". The closed-shell singlet of the neutral molecule is computed.
    """

    method: str = "GFN2-xTB"
    target: str = "u0"
    relax: bool = True
    fmax: float = 0.01
    max_steps: int = 300
    max_iterations: int = 250
    hessian: str = "forward"
    imaginary: float = 50.0

    def __post_init__(self) -> None:
        choices = {"method": ATOM_ENERGIES, "target": TARGETS, "hessian": _STEPS, "relax": (True, False)}
        for name, valid in choices.items():
            if getattr(self, name) not in valid:
                said = ", ".join(str(value) for value in valid)
                raise ConfigError(
                    f"simulator xtb: {name} is {getattr(self, name)!r}; it must be one of {said}"
                )
        for name in ("fmax", "max_steps", "max_iterations", "imaginary"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < float("inf"):
                raise ConfigError(f"simulator xtb: {name} is {value!r}; it must be a positive number")
        if self.target == "u0" and not self.relax:
            raise ConfigError(
                "simulator xtb: u0 needs a minimum to vibrate about; set relax: true or target: energy"
            )
        if importlib.util.find_spec("xtb") is None:
            raise ConfigError("simulator xtb needs the package xtb, which is not installed: pip install xtb")

    @property
    def level(self) -> Level:
        """A single point at a given geometry is another level than the energy of the relaxed molecule."""
        return Level(self.method if self.relax else f"{self.method} (unrelaxed)", self.target, "eV")

    def label(self, molecule: Molecule) -> Label:
        """The label of ``molecule``, whose positions are the starting geometry."""
        start = time.perf_counter()
        references = atom_energies(self.method, molecule.numbers, molecule.smiles)
        atoms = Atoms(molecule.numbers, molecule.positions)
        atoms.calc = calculator(method=self.method, max_iterations=self.max_iterations)
        try:
            # In a worker OMP_NUM_THREADS says so already; elsewhere this saves a factor, and torch's threads.
            with threadpool_limits(limits=1):
                parts = self._compute(atoms, molecule.smiles)
        except CalculationFailed as error:
            raise LabelError("scf_not_converged", f"{molecule.smiles}: {error}") from error
        value = parts["total_energy"] + parts.get("zpve", 0.0) - references
        parts["atom_energies"] = references
        seconds = time.perf_counter() - start
        return Label(
            molecule.smiles,
            value,
            self.level,
            parts,
            molecule.numbers.copy(),
            atoms.positions.copy(),
            seconds,
        )

    def _compute(self, atoms: Atoms, smiles: str) -> dict[str, float]:
        parts: dict[str, float] = {"steps": 0.0}
        if self.relax:
            self._relax(atoms, smiles, parts)
        atoms.calc.set(accuracy=_ACCURACY_FINAL)
        if self.target == "u0":
            modes = self._vibrations(atoms, smiles, parts)
            parts["zpve"] = modes.zero_point
            parts["lowest_mode_cm1"] = modes.lowest
        parts["total_energy"] = float(atoms.get_potential_energy())
        parts["max_force"] = max_force(atoms)
        return parts

    def _relax(
        self, atoms: Atoms, smiles: str, parts: dict[str, float], hessian: np.ndarray | None = None
    ) -> None:
        fmax = self.fmax if hessian is None else self.fmax * _ESCAPE_FMAX
        parts["steps"] += relax(atoms, fmax=fmax, max_steps=self.max_steps, hessian=hessian)
        if not same_bond_graph(smiles, atoms.numbers, atoms.positions):
            raise LabelError("identity_changed", f"the relaxed geometry no longer has the bonds of {smiles}")

    def _vibrations(self, atoms: Atoms, smiles: str, parts: dict[str, float]) -> vibrations.Modes:
        step, central = _STEPS[self.hessian], self.hessian == "central"
        for escape in range(_ESCAPES + 1):
            hessian = vibrations.hessian(atoms, step=step, central=central)
            modes = vibrations.modes(atoms, hessian)
            if modes.lowest > -self.imaginary:
                parts["saddle_escapes"] = float(escape)
                return modes
            if escape < _ESCAPES:
                push = modes.shapes[0] / np.linalg.norm(modes.shapes[0], axis=1).max() * _ESCAPE_STEP
                # The sign of an eigenvector is the linear algebra library's whim: fix it, for the same
                # answer everywhere.
                push *= np.sign(push.flat[np.abs(push).argmax()])
                atoms.positions += push
                atoms.calc.set(accuracy=_ACCURACY_ESCAPE)
                self._relax(atoms, smiles, parts, hessian)
                atoms.calc.set(accuracy=_ACCURACY_FINAL)
        count = int((modes.energies < -self.imaginary * invcm).sum())
        raise LabelError("imaginary_modes", f"{smiles}: {count} left, lowest {modes.lowest:.0f} cm-1")


def atom_energies(method: str, numbers: np.ndarray, smiles: str) -> float:
    """Sum of the isolated atoms' energies in eV; `LabelError` "unsupported_element" where one is unknown."""
    known = ATOM_ENERGIES[method]
    if unknown := sorted({int(z) for z in numbers} - set(known)):
        raise LabelError("unsupported_element", f"{smiles}: no {method} atom energy for Z = {unknown}")
    return float(sum(known[int(z)] for z in numbers))


def calculator(*, method: str, max_iterations: float) -> Any:
    """xtb-python's calculator; imported here so that the library loads after a worker has set its threads."""
    from xtb.ase.calculator import XTB

    return XTB(method=method, accuracy=_ACCURACY_RELAX, max_iterations=int(max_iterations))
