"""Harmonic vibrations from forces: a Hessian by finite differences, without files, and its zero-point energy.

Whole-molecule motion is projected out of the mass-weighted Hessian, so a linear molecule loses 5 modes and
any other 6. ASE's VibrationsData leaves it in, where it mixes with soft modes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from ase import Atoms
from ase.units import _amu, _e, _hbar, invcm

# sqrt(eV / (A^2 amu)) to eV
_QUANTUM = _hbar * 1e10 / np.sqrt(_e * _amu)
# A molecule with no atom farther off its axis (Angstrom) is linear: a relaxed one is so up to the force that
# is left on its soft bends, and of a bent one an atom is several times as far off.
_OFF_AXIS = 0.05


@dataclass(frozen=True, eq=False)
class Modes:
    """Harmonic modes of a molecule.

    Attributes:
        energies: ``(m,)`` eV, ascending, imaginary ones negative.
        shapes: ``(m, n, 3)`` Cartesian, normed.
    """

    energies: np.ndarray
    shapes: np.ndarray

    @property
    def lowest(self) -> float:
        """The lowest wavenumber in cm-1, negative if imaginary; infinite for a single atom."""
        return float(self.energies[0] / invcm) if len(self.energies) else float("inf")

    @property
    def zero_point(self) -> float:
        """Zero-point energy in eV. A mode left slightly imaginary counts by its magnitude.

        Numerical noise and incomplete relaxation turn the softest real modes imaginary, so their magnitude is
        the better guess than nothing; the xtb program does the same. Which are too large to be noise is the
        caller's to judge.
        """
        return float(np.abs(self.energies).sum() / 2)


def hessian(atoms: Atoms, *, step: float, central: bool) -> np.ndarray:
    """``(3n, 3n)`` eV/A^2 by differences of forces over ``step`` Angstrom; ``atoms`` are put back."""
    start = atoms.positions.copy()
    rest = atoms.get_forces().ravel()
    rows = np.zeros((start.size, start.size))
    try:
        for i in range(start.size):
            forward = _displaced(atoms, start, i, step)
            rows[i] = (_displaced(atoms, start, i, -step) - forward) / 2 if central else rest - forward
    finally:
        atoms.positions = start
    rows /= step
    return (rows + rows.T) / 2


def modes(atoms: Atoms, hessian: np.ndarray) -> Modes:
    """The vibrations of ``atoms`` with a ``(3n, 3n)`` eV/A^2 Hessian, whole-molecule motion projected out."""
    root = np.sqrt(np.repeat(atoms.get_masses(), 3))
    internal = _internal_directions(atoms)
    curvatures, vectors = np.linalg.eigh(internal.T @ (hessian / np.outer(root, root)) @ internal)
    energies = np.sign(curvatures) * np.sqrt(np.abs(curvatures)) * _QUANTUM
    shapes = (internal @ vectors / root[:, None]).T
    shapes /= np.linalg.norm(shapes, axis=1, keepdims=True)
    return Modes(energies, shapes.reshape(len(shapes), len(atoms), 3))


def _displaced(atoms: Atoms, start: np.ndarray, coordinate: int, step: float) -> np.ndarray:
    moved = start.copy()
    moved.flat[coordinate] += step
    atoms.positions = moved
    return atoms.get_forces().ravel()


def _internal_directions(atoms: Atoms) -> np.ndarray:
    """``(3n, 3n - k)`` orthonormal mass-weighted directions, less the k = 3, 5 or 6 of the whole molecule."""
    root = np.sqrt(atoms.get_masses())[:, None]
    arms = atoms.positions - atoms.get_center_of_mass()
    axes = np.eye(3)
    motions = [np.broadcast_to(axis, arms.shape) * root for axis in axes]
    motions += [np.cross(axis, arms) * root for axis in axes]
    u = np.linalg.svd(np.array([motion.ravel() for motion in motions]).T)[0]
    axis = np.linalg.svd(root * arms)[2][0]
    linear = np.linalg.norm(np.cross(arms, axis), axis=1).max() < _OFF_AXIS
    return u[:, 3 if len(atoms) == 1 else 5 if linear else 6 :]
