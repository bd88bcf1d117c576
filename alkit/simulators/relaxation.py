"""Relaxing a molecule with few gradients: ASE's BFGS, started from a model of the Hessian.

BFGS starts from 70 eV/A^2 in every direction, although a torsion is a thousand times softer than a bond.
Lindh's model knows the difference from the distances alone: on QM9 molecules of nine heavy atoms, from
MMFF94 geometries, 16 GFN2-xTB gradients instead of 50 (LBFGS 50, RFO 50, GoodOldQuasiNewton 38, FIRE more
than 100).
"""

from __future__ import annotations

import numpy as np
from ase import Atoms
from ase.optimize import BFGS, FIRE
from ase.units import Bohr, Hartree

from alkit.errors import LabelError

# Lindh, Bernhardsson, Karlstrom, Malmqvist, doi:10.1016/0009-2614(95)00646-L; atomic units, by the rows of
# the periodic table that the two atoms stand in (1, 2, 3 and below).
_DECAY = np.array([[1.0, 0.3949, 0.3949], [0.3949, 0.28, 0.28], [0.3949, 0.28, 0.28]])
_REFERENCE = np.array([[1.35, 2.10, 2.53], [2.10, 2.87, 3.40], [2.53, 3.40, 3.40]])
_STRETCH, _BEND, _TORSION = 0.45, 0.15, 0.005
# Directions that the model does not know (the whole molecule's, and bends of linear chains) get at least
# this: of 0.2 to 4 eV/A^2 the one of the fewest steps.
_SOFTEST = 0.3  # eV/A^2
_SOFTEST_KNOWN = 0.1  # of a computed Hessian, which knows its soft directions


def relax(atoms: Atoms, *, fmax: float, max_steps: int, hessian: np.ndarray | None = None) -> int:
    """Move ``atoms`` (with a calculator) to a stationary point; returns the number of steps.

    ``fmax``: largest force on an atom that counts as relaxed, eV/A; ``hessian``: ``(3n, 3n)`` eV/A^2 to start
    from, `model_hessian` if None. Raises `LabelError` "not_relaxed" after ``max_steps``.
    """
    start = model_hessian(atoms.numbers, atoms.positions) if hessian is None else hessian
    optimizer = BFGS(atoms, logfile=None, maxstep=0.2)
    optimizer.H0 = positive(start, _SOFTEST if hessian is None else _SOFTEST_KNOWN)
    if not optimizer.run(fmax=fmax, steps=max_steps):
        force = max_force(atoms)
        raise LabelError(
            "not_relaxed", f"{force:.3g} eV/A left after {max_steps} steps, fmax is {fmax:g} eV/A"
        )
    return int(optimizer.nsteps)


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


def model_hessian(numbers: np.ndarray, positions: np.ndarray) -> np.ndarray:
    """Lindh's model Hessian ``(3n, 3n)`` in eV/A^2 of ``numbers (n,)`` at ``positions (n, 3)`` Angstrom."""
    x = np.asarray(positions) / Bohr
    row = np.digitize(numbers, [3, 11])
    squared = ((x[:, None] - x[None]) ** 2).sum(axis=-1)
    rho = np.exp(_DECAY[row[:, None], row] * (_REFERENCE[row[:, None], row] ** 2 - squared))
    np.fill_diagonal(rho, 0.0)
    hessian = np.zeros((3 * len(x), 3 * len(x)))
    for atoms, strengths, derivatives in (_stretches(x, rho), _bends(x, rho), _torsions(x, rho)):
        by_atom = np.zeros((len(strengths), len(x), 3))
        for column, derivative in enumerate(derivatives):
            by_atom[np.arange(len(strengths)), atoms[:, column]] = derivative
        rows = by_atom.reshape(len(strengths), 3 * len(x))
        hessian += rows.T @ (strengths[:, None] * rows)
    return hessian * Hartree / Bohr**2


_Coordinates = tuple[
    np.ndarray, np.ndarray, tuple[np.ndarray, ...]
]  # atoms (m, k), strengths (m,), k x (m, 3)


def _stretches(x: np.ndarray, rho: np.ndarray) -> _Coordinates:
    atoms = np.argwhere(np.triu(rho > 1e-4))
    i, j = atoms.T
    unit = x[i] - x[j]
    unit /= np.linalg.norm(unit, axis=1, keepdims=True)
    return atoms, _STRETCH * rho[i, j], (unit, -unit)


def _bends(x: np.ndarray, rho: np.ndarray) -> _Coordinates:
    atoms = np.argwhere(rho[:, :, None] * rho[None] > 1e-3)  # i-j-k
    atoms = atoms[atoms[:, 0] < atoms[:, 2]]
    i, j, k = atoms.T
    u, v = x[i] - x[j], x[k] - x[j]
    a, b = np.linalg.norm(u, axis=1, keepdims=True), np.linalg.norm(v, axis=1, keepdims=True)
    u, v = u / a, v / b
    cosine = (u * v).sum(axis=1, keepdims=True)
    sine = np.sqrt(np.clip(1 - cosine**2, 0, None))
    keep = sine[:, 0] > 0.1  # the derivative of a straight angle is not defined
    with np.errstate(divide="ignore", invalid="ignore"):
        di, dk = (cosine * u - v) / (a * sine), (cosine * v - u) / (b * sine)
    di, dk = di[keep], dk[keep]
    return atoms[keep], (_BEND * rho[i, j] * rho[j, k])[keep], (di, -di - dk, dk)


def _torsions(x: np.ndarray, rho: np.ndarray) -> _Coordinates:
    found = [np.zeros((0, 4), dtype=int)]
    for j, k in np.argwhere(np.triu(rho > 0.05)):
        ends = np.argwhere(np.outer(rho[:, j], rho[k]) * rho[j, k] > 1e-2)  # i-j-k-l
        ends = ends[(ends[:, 0] != ends[:, 1]) & (ends[:, 0] != k) & (ends[:, 1] != j)]
        found.append(np.column_stack([ends[:, 0], np.full(len(ends), j), np.full(len(ends), k), ends[:, 1]]))
    atoms = np.concatenate(found)
    i, j, k, m = atoms.T
    f, g, h = x[i] - x[j], x[j] - x[k], x[m] - x[k]
    p, q = np.cross(f, g), np.cross(h, g)
    keep = np.minimum((p**2).sum(axis=1), (q**2).sum(axis=1)) > 0.1  # not straight at either end
    atoms, f, g, h, p, q = atoms[keep], f[keep], g[keep], h[keep], p[keep], q[keep]
    length = np.linalg.norm(g, axis=1, keepdims=True)
    p, q = p / (p**2).sum(axis=1, keepdims=True), q / (q**2).sum(axis=1, keepdims=True)
    fg, hg = (f * g).sum(axis=1, keepdims=True), (h * g).sum(axis=1, keepdims=True)
    di, dm = -length * p, length * q
    shift = fg / length * p - hg / length * q
    i, j, k, m = atoms.T
    return atoms, _TORSION * rho[i, j] * rho[j, k] * rho[k, m], (di, -di + shift, -shift - dm, dm)
