"""Single point, relaxation and vibrations of ASE Atoms with a calculator: one recipe each, for every engine.

A calculator may have dials for its self-consistent field, by the names that xtb-python and tblite share:
``accuracy``, ``electronic_temperature``, ``max_iterations``. One that it lacks is left alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from ase import Atoms
from ase.calculators.calculator import CalculationFailed, CalculatorError, SCFError
from ase.units import invcm

from alkit.errors import LabelError
from alkit.properties import is_energy
from alkit.simulators import vibrations
from alkit.simulators.optimizer import descend, max_force, relax
from alkit.simulators.recovery import Strategy

# SCF thresholds relative to the calculator's own: loose enough to relax on, tight enough to differentiate.
_RELAXING, _FINAL = 1.0, 1e-3
# Displacement in Angstrom of each scheme. Forward differences need one gradient per coordinate, and under
# the tight SCF the step can be so short that each of them restarts next to its solution: a third of the
# time of central differences, and zero-point energies within 0.3 meV of them.
STEPS = {"forward": 1e-4, "central": 5e-3}
VIBRATIONAL = ("u0", "zpve")  # targets that need vibrations
_ESCAPES = 2
_ESCAPE_STEP = 0.2  # Angstrom, of the atom that the imaginary mode moves most
# A saddle that passed for relaxed is a flat one, most often a methyl group's rotation: the forces beside it
# are as small as on it, and only a finer criterion finds the way down. With it 10 of 200 molecules of up to
# seven heavy atoms reach their minimum after one push; with the first criterion 4 of them did not.
_ESCAPE_FMAX, _ESCAPING = 0.1, 0.1
# An SCF that does not converge: smear the occupations, which bridges a small gap, and cool down again, each
# step (K) from the density of the one before. Loose on the way, as asked for at the end.
_ANNEALING = (5000.0, 2500.0, 1200.0, 600.0)
_LOOSE = 10.0
PATIENCE = 4
_HOT = 2500.0  # K, of a whole relaxation
_COARSE = 10.0  # times fmax: where the other descent hands over
_DIALS = ("accuracy", "electronic_temperature", "max_iterations")


class System:
    """Atoms with a calculator of their own, and the settings of that calculator as it was made.

    Args:
        atoms: with the calculator.
        patience: a factor of the iterations that each SCF may take.
    """

    def __init__(self, atoms: Atoms, *, patience: int = 1):
        self.atoms, self._patience = atoms, patience
        known = getattr(atoms.calc, "parameters", {})
        self._made = {dial: known[dial] for dial in _DIALS if known.get(dial) is not None}

    def dial(self, *, accuracy: float, kelvin: float = 0.0) -> None:
        """Set how precise and how hot the SCF is.

        Args:
            accuracy: a factor of the SCF's threshold.
            kelvin: the electronic temperature, at least.
        """
        changed: dict[str, Any] = dict(self._made)
        if "accuracy" in changed:
            changed["accuracy"] *= accuracy
        if "electronic_temperature" in changed:
            changed["electronic_temperature"] = max(changed["electronic_temperature"], kelvin)
        if "max_iterations" in changed:
            changed["max_iterations"] = int(changed["max_iterations"] * self._patience)
        if not changed:
            return
        calc, known = self.atoms.calc, getattr(self.atoms.calc, "atoms", None)
        calc.set(**changed)
        # xtb-python and tblite forget with their results which atoms those were of, and then take the next
        # ones for others and start from no density. What they hold fits these atoms; the result alone is old.
        if hasattr(calc, "_xtb"):
            calc.atoms = known


@dataclass(frozen=True)
class Recipe:
    """The property to compute, and how well: the settings of `RelaxingSimulator` by the same names."""

    target: str
    relax: bool
    fmax: float
    max_steps: int
    hessian: str
    imaginary: float
    conformers: int = 1


Check = Callable[[Atoms], None]
"""Raises `LabelError` "identity_changed" for atoms that no longer are the molecule."""


def compute(
    conformers: Sequence[System], recipe: Recipe, strategy: Strategy, check: Check
) -> tuple[Atoms, dict[str, float]]:
    """The lowest of ``conformers`` where it ended, and the parts of its energy in eV.

    The parts are ``total_energy``, of what was relaxed ``max_force`` (eV/Å), and for "u0" and "zpve" also
    ``zpve``.

    Args:
        conformers: start geometries with calculators.
        recipe: settings of the relaxation.
        strategy: how the label is reached.
        check: says whether a geometry is still the molecule.

    Raises:
        LabelError: there is no such energy.
    """
    if not recipe.relax:
        system = conformers[0]
        parts = {"steps": 0.0} | single_point(system, anneal=strategy.scf != "cold")
        check(system.atoms)
        return system.atoms, parts
    system, parts = relaxation(conformers, recipe, strategy, check)
    if recipe.target in VIBRATIONAL:
        vibrational(system, recipe, check, parts)
    if not is_energy(recipe.target):
        system.dial(accuracy=_FINAL)  # orbital energies follow the density, the energy hardly does
    return system.atoms, parts | energy_and_force(system)


def single_point(system: System, *, anneal: bool = False) -> dict[str, float]:
    """Energy (eV) at the geometry as it is. Raises "scf_not_converged".

    Forces are not asked for: by DFT they take as long as the energy, and nothing is done with them.
    """
    with named_failures():
        if anneal:
            _anneal(system)
        system.dial(accuracy=_FINAL)
        return {"total_energy": float(system.atoms.get_potential_energy())}


def energy_and_force(system: System) -> dict[str, float]:
    """Energy (eV) and largest force (eV/Å) of the SCF as it is.

    After a relaxation there is no second one: the threshold that relaxes leaves 0.002 meV.
    """
    with named_failures():
        energy = float(system.atoms.get_potential_energy())
        return {"total_energy": energy, "max_force": max_force(system.atoms)}


def relaxation(
    conformers: Sequence[System], recipe: Recipe, strategy: Strategy, check: Check
) -> tuple[System, dict[str, float]]:
    """Relax each of ``conformers``; the lowest of those that relaxed, and its number of steps.

    Raises the first one's `LabelError` where none can be relaxed.
    """
    ends: list[tuple[float, int, int]] = []
    errors: list[LabelError] = []
    for i, system in enumerate(conformers):
        try:
            with named_failures():
                steps = _relax(system, recipe, strategy)
                check(system.atoms)
                ends.append((float(system.atoms.get_potential_energy()), i, steps))
        except LabelError as error:
            errors.append(error)
    if not ends:
        raise errors[0]
    energy, best, steps = min(ends)
    parts = {"steps": float(steps)}
    if recipe.conformers > 1:
        parts |= {"conformers": float(len(ends)), "conformer_spread": max(ends)[0] - energy}
    return conformers[best], parts


def vibrational(system: System, recipe: Recipe, check: Check, parts: dict[str, float]) -> None:
    """Add to ``parts`` the zero-point energy (eV) of a relaxed system, and its lowest mode (1/cm).

    From a saddle it is pushed along the imaginary mode and relaxed again.

    Args:
        system: relaxed.
        recipe: settings of the relaxation.
        check: says whether a geometry is still the molecule.
        parts: of the label.

    Raises:
        LabelError: "imaginary_modes" where it still is a saddle after two pushes.
    """
    for escape in range(_ESCAPES + 1):
        with named_failures():
            hessian = _hessian(system, recipe)
            modes = vibrations.modes(system.atoms, hessian)
            if modes.lowest > -recipe.imaginary:
                parts["zpve"], parts["lowest_mode_cm1"] = modes.zero_point, modes.lowest
                parts["saddle_escapes"] = float(escape)
                return
            if escape < _ESCAPES:
                system.atoms.positions += _push(modes)
                system.dial(accuracy=_ESCAPING)
                fmax = recipe.fmax * _ESCAPE_FMAX
                parts["steps"] += relax(system.atoms, fmax=fmax, max_steps=recipe.max_steps, hessian=hessian)
                check(system.atoms)
    count = int((modes.energies < -recipe.imaginary * invcm).sum())
    raise LabelError("imaginary_modes", f"{count} left, lowest {modes.lowest:.0f} cm-1")


@contextmanager
def named_failures() -> Iterator[None]:
    """Turn errors of an ASE calculator into `LabelError` "scf_not_converged" or "calculation_failed"."""
    try:
        yield
    except CalculatorError as error:
        said = " ".join(str(error).split())
        # xtb-python does not say why; of a geometry that was accepted it is the SCF.
        scf = any(word in said.lower() for word in ("scf", "converge", "xtb could not evaluate"))
        scf = isinstance(error, SCFError) or (isinstance(error, CalculationFailed) and scf)
        raise LabelError("scf_not_converged" if scf else "calculation_failed", said) from error


def _relax(system: System, recipe: Recipe, strategy: Strategy) -> int:
    steps, hessian = 0, None
    if strategy.scf == "hot":
        system.dial(accuracy=_LOOSE, kelvin=_HOT)
        steps += relax(system.atoms, fmax=recipe.fmax, max_steps=recipe.max_steps)
    if strategy.scf != "cold":
        _anneal(system)
    system.dial(accuracy=_RELAXING)
    if strategy.descent == "fire":
        steps += descend(system.atoms, fmax=recipe.fmax * _COARSE, max_steps=recipe.max_steps)
        hessian = _hessian(system, recipe)
        system.dial(accuracy=_ESCAPING)
    return steps + relax(system.atoms, fmax=recipe.fmax, max_steps=recipe.max_steps, hessian=hessian)


def _hessian(system: System, recipe: Recipe) -> np.ndarray:
    system.dial(accuracy=_FINAL)
    return vibrations.hessian(system.atoms, step=STEPS[recipe.hessian], central=recipe.hessian == "central")


def _push(modes: vibrations.Modes) -> np.ndarray:
    push = modes.shapes[0] / np.linalg.norm(modes.shapes[0], axis=1).max() * _ESCAPE_STEP
    # The sign of an eigenvector is the linear algebra library's whim: fix it, for the same answer everywhere.
    return push * np.sign(push.flat[np.abs(push).argmax()])


def _anneal(system: System) -> None:
    for kelvin in _ANNEALING:
        system.dial(accuracy=_LOOSE, kelvin=kelvin)
        system.atoms.get_potential_energy()
