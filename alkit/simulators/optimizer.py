"""Relaxation of a molecule with few gradients: BFGS in internal coordinates, from a model Hessian.

Plain BFGS starts from the same curvature in every direction, although a torsion is a thousand times softer
than a bond. In Cartesians it learns badly, see `alkit.simulators.coordinates`. Mean of 60 QM9 molecules of 18
atoms from MMFF94 geometries, GFN2-xTB to 0.01 eV/Å: 13 gradients; from the same model in Cartesians, 19.
"""

from __future__ import annotations

import numpy as np
from ase import Atoms
from ase.optimize import FIRE
from ase.units import Bohr, Hartree

from alkit.errors import LabelError
from alkit.simulators.coordinates import Coordinates

_LONGEST = 0.2  # A, by which a step may move an atom
_UPHILL = 0.01  # eV, by which the energy may rise before a step is taken back
_SOFTEST = 0.1  # eV/A^2, of a computed Hessian, which knows its soft directions
_UNIT = Hartree / Bohr  # eV/A
_TINY = 1e-6  # of the eigenvalues of B'B, so that whole-molecule motions have an inverse


def relax(atoms: Atoms, *, fmax: float, max_steps: int, hessian: np.ndarray | None = None) -> int:
    """Move ``atoms`` (with a calculator) to a stationary point; returns the number of steps.

    Args:
        atoms: moved in place, Å.
        fmax: largest force on an atom that counts as relaxed, eV/Å.
        max_steps: of the relaxation.
        hessian: ``(3n, 3n)`` eV/Å² to start from, a model if None.

    Raises:
        LabelError: "not_relaxed" after ``max_steps``, "calculation_failed" where the calculator gives numbers
            that are not finite.
    """
    descent = _InternalBFGS(atoms) if hessian is None else _CartesianBFGS(atoms, hessian)
    longest, lowest, moved = _LONGEST, np.inf, 0.0
    for steps in range(max_steps + 1):
        forces, energy = atoms.get_forces(), atoms.get_potential_energy()
        if not (np.isfinite(energy) and np.isfinite(forces).all()):
            raise LabelError("calculation_failed", f"energy or forces are not finite after {steps} steps")
        if np.linalg.norm(forces, axis=1).max() < fmax:
            return steps
        if steps == max_steps:
            break
        step = descent.step(atoms.positions, forces)
        if energy < lowest + _UPHILL:
            longest = min(2 * longest, _LONGEST)
            lowest, best = energy, (atoms.positions.copy(), forces)
        else:  # back, with what was learnt about the curvature, and less far
            longest = moved / 2
            atoms.positions = best[0]
            step = descent.step(*best)
        step *= min(1.0, longest / np.linalg.norm(step, axis=1).max())
        moved = np.linalg.norm(step, axis=1).max()
        atoms.positions += step
    force = max_force(atoms)
    raise LabelError("not_relaxed", f"{force:.3g} eV/A left after {max_steps} steps, fmax is {fmax:g} eV/A")


def descend(atoms: Atoms, *, fmax: float, max_steps: int) -> int:
    """Move ``atoms`` downhill by FIRE (doi:10.1103/PhysRevLett.97.170201); returns the number of steps.

    No model of the surface can mislead it, but it takes long: it ends at ``fmax`` (eV/A) or after
    ``max_steps``, wherever that is.
    """
    optimizer = FIRE(atoms, logfile=None, maxstep=0.1)
    optimizer.run(fmax=fmax, steps=max_steps)
    return int(optimizer.nsteps)


def max_force(atoms: Atoms) -> float:
    """The largest force on an atom, eV/A."""
    return float(np.linalg.norm(atoms.get_forces(), axis=1).max())


def positive(hessian: np.ndarray, softest: float) -> np.ndarray:
    """``(3n, 3n)`` with every curvature positive and at least ``softest``: each step goes downhill."""
    curvatures, modes = np.linalg.eigh(hessian)
    return (modes * np.maximum(np.abs(curvatures), softest)) @ modes.T


class _CartesianBFGS:
    """BFGS from a known Hessian ``(3n, 3n)`` eV/Å²; atomic units inside."""

    def __init__(self, atoms: Atoms, hessian: np.ndarray):
        self._hessian = positive(hessian, _SOFTEST) / _UNIT * Bohr
        self._last: tuple[np.ndarray, np.ndarray] | None = None

    def step(self, positions: np.ndarray, forces: np.ndarray) -> np.ndarray:
        """The move ``(n, 3)`` Å of ``positions`` (Å) where ``forces`` (eV/Å) are."""
        x, gradient = positions.ravel() / Bohr, -forces.ravel() / _UNIT
        if self._last is not None:
            _update(self._hessian, x - self._last[0], gradient - self._last[1])
        self._last = x, gradient
        return _newton(self._hessian, gradient)


class _InternalBFGS:
    """BFGS from Lindh's model in internal coordinates, chosen again where an angle straightens."""

    def __init__(self, atoms: Atoms):
        self._numbers = atoms.numbers
        self._coordinates: Coordinates | None = None

    def step(self, positions: np.ndarray, forces: np.ndarray) -> np.ndarray:
        """The move ``(n, 3)`` Å, as in `_CartesianBFGS.step`."""
        x, gradient = positions / Bohr, -forces.ravel() / _UNIT
        if self._coordinates is None or self._coordinates.straightened(x):
            self._coordinates = Coordinates(self._numbers, x)
            self._hessian = np.diag(self._coordinates.strengths)
            self._last: tuple[np.ndarray, np.ndarray] | None = None
        values, slopes = self._coordinates.values(x), self._coordinates.derivatives(x)
        # The least of the gradients in the coordinates that give these forces: there are more than one.
        metric = slopes.T @ slopes + _TINY * np.eye(x.size)
        inner = slopes @ np.linalg.solve(metric, gradient)
        if self._last is not None:
            change = self._coordinates.difference(values, self._last[0])
            _update(self._hessian, change, inner - self._last[1])
        self._last = values, inner
        return _newton(slopes.T @ self._hessian @ slopes, gradient)


def _newton(hessian: np.ndarray, gradient: np.ndarray) -> np.ndarray:
    """``(n, 3)`` A."""
    step: np.ndarray = -np.linalg.solve(hessian, gradient).reshape(-1, 3) * Bohr
    return step


def _update(hessian: np.ndarray, step: np.ndarray, change: np.ndarray) -> None:
    """BFGS, in place; where the curvature along the step is not positive, the ``hessian`` stays as it is."""
    curvature, product = change @ step, hessian @ step
    if curvature > 0:
        hessian += np.outer(change, change) / curvature - np.outer(product, product) / (step @ product)
