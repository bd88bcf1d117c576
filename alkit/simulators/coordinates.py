"""Coordinates in which a molecule's energy is nearly harmonic: bonds, angles, torsions, and their stiffness.

A straight step along a Cartesian direction that turns a torsion also stretches bonds, a thousand times as
stiff. So what one step teaches about the curvature is wrong at the next. In internal coordinates it stays
true. They are more than there are degrees of freedom: "redundant" (Peng, Ayala, Schlegel and Frisch,
https://doi.org/10.1002/(SICI)1096-987X(19960115)17:1<49::AID-JCC5>3.0.CO;2-0). All Cartesians are among them,
softly, so whatever no other coordinate describes needs no case of its own.
"""

from __future__ import annotations

import numpy as np
from ase.units import Bohr, Hartree

# Lindh, Bernhardsson, Karlstrom, Malmqvist, doi:10.1016/0009-2614(95)00646-L; atomic units, by the rows of
# the periodic table that the two atoms stand in (1, 2, 3 and below).
_DECAY = np.array([[1.0, 0.3949, 0.3949], [0.3949, 0.28, 0.28], [0.3949, 0.28, 0.28]])
_REFERENCE = np.array([[1.35, 2.10, 2.53], [2.10, 2.87, 3.40], [2.53, 3.40, 3.40]])
_STRETCH, _BEND, _TORSION = 0.45, 0.15, 0.005
# Share of the strength in a bond; what is weaker is no coordinate. From 0.01 to 0.4 all take as many steps,
# and few coordinates little time.
_NEAR = 0.2
# Cartesians have a scale beside the others, which keeps them from taking a share of the forces, and a
# curvature. Scales from 0.05 to 0.3 took as many steps within a twentieth.
_SCALE = 0.1
_SOFT = 0.1 / Hartree * Bohr**2
# The sine below which three atoms are a straight line, whose angle has no derivative.
_STRAIGHT, _STRAIGHTENED = 0.5, 0.35


class Coordinates:
    """Internal coordinates of ``numbers (n,)``, chosen at ``x (n, 3)``.

    Units are atomic: bohr, radian, hartree. ``strengths (m,)`` are second derivatives of the energy in the
    ``m`` coordinates by Lindh's model. Those of the last ``3n``, the Cartesians, are small.
    """

    def __init__(self, numbers: np.ndarray, x: np.ndarray):
        row = np.digitize(numbers, [3, 11])
        squared = ((x[:, None] - x[None]) ** 2).sum(axis=-1)
        rho = np.exp(_DECAY[row[:, None], row] * (_REFERENCE[row[:, None], row] ** 2 - squared))
        np.fill_diagonal(rho, 0.0)
        self._stretches, self._bends, self._torsions = _pairs(rho), _angles(rho), _dihedrals(rho)
        straight = _sines(x, self._bends) < _STRAIGHT
        lines, self._bends = self._bends[straight], self._bends[~straight]
        self._torsions = self._torsions[self._least_sines(x) > _STRAIGHT]
        self.strengths = np.concatenate(
            [
                _STRETCH * _along(rho, self._stretches),
                _BEND * _along(rho, self._bends),
                _TORSION * _along(rho, self._torsions),
                np.repeat(_BEND * _along(rho, lines), 3),
                np.full(x.size, _SOFT / _SCALE**2),
            ]
        )

        self._linear = np.vstack([_off_line(x, lines), _SCALE * np.eye(x.size)])

    def straightened(self, x: np.ndarray) -> bool:
        """Whether three atoms of an angle have come to lie on a line: it is time to choose again."""
        sines = np.concatenate([_sines(x, self._bends), self._least_sines(x), [1.0]])
        return bool(sines.min() < _STRAIGHTENED)

    def values(self, x: np.ndarray) -> np.ndarray:
        """``(m,)``."""
        stretches = np.linalg.norm(_vectors(x, self._stretches, 0, 1), axis=1)
        u, v = _vectors(x, self._bends, 0, 1), _vectors(x, self._bends, 2, 1)
        bends = np.arctan2(np.linalg.norm(np.cross(u, v), axis=1), (u * v).sum(axis=1))
        f, g, h = _chain(x, self._torsions)
        a, b = np.cross(f, g), np.cross(h, g)
        torsions = np.arctan2(
            (np.cross(b, a) * g).sum(axis=1) / np.linalg.norm(g, axis=1), (a * b).sum(axis=1)
        )
        return np.concatenate([stretches, bends, torsions, self._linear @ x.ravel()])

    def difference(self, new: np.ndarray, old: np.ndarray) -> np.ndarray:
        """Difference of two `values`: that of torsions the short way round."""
        change = new - old
        first = len(self._stretches) + len(self._bends)
        turns = change[first : first + len(self._torsions)]
        turns -= 2 * np.pi * np.round(turns / (2 * np.pi))
        return change

    def derivatives(self, x: np.ndarray) -> np.ndarray:
        """Derivatives ``(m, 3n)`` of `values` by the Cartesians: Wilson's B matrix."""
        parts = (
            (self._stretches, _stretch_derivatives(x, self._stretches)),
            (self._bends, _bend_derivatives(x, self._bends)),
            (self._torsions, _torsion_derivatives(x, self._torsions)),
        )
        return np.vstack([*(_by_atom(*part, len(x)) for part in parts), self._linear])

    def _least_sines(self, x: np.ndarray) -> np.ndarray:
        return np.minimum(_sines(x, self._torsions[:, :3]), _sines(x, self._torsions[:, 1:]))


def _pairs(rho: np.ndarray) -> np.ndarray:
    return np.argwhere(np.triu(rho > _NEAR))


def _angles(rho: np.ndarray) -> np.ndarray:
    atoms = np.argwhere(rho[:, :, None] * rho[None] > _NEAR)  # i-j-k
    return atoms[atoms[:, 0] < atoms[:, 2]]


def _dihedrals(rho: np.ndarray) -> np.ndarray:
    dihedrals = [np.zeros((0, 4), dtype=int)]
    for j, k in np.argwhere(np.triu(rho > _NEAR)):
        ends = np.argwhere(np.outer(rho[:, j], rho[k]) * rho[j, k] > _NEAR)  # i-j-k-l
        ends = ends[(ends[:, 0] != ends[:, 1]) & (ends[:, 0] != k) & (ends[:, 1] != j)]
        dihedrals.append(
            np.column_stack([ends[:, 0], np.full(len(ends), j), np.full(len(ends), k), ends[:, 1]])
        )
    return np.concatenate(dihedrals)


def _along(rho: np.ndarray, atoms: np.ndarray) -> np.ndarray:
    """The product of ``rho`` over the neighbours in each row of ``atoms (m, k)``."""
    strengths: np.ndarray = rho[atoms[:, :-1], atoms[:, 1:]].prod(axis=1)
    return strengths


def _vectors(x: np.ndarray, atoms: np.ndarray, end: int, start: int) -> np.ndarray:
    vectors: np.ndarray = x[atoms[:, end]] - x[atoms[:, start]]
    return vectors


def _sines(x: np.ndarray, atoms: np.ndarray) -> np.ndarray:
    u, v = _vectors(x, atoms, 0, 1), _vectors(x, atoms, 2, 1)
    sines: np.ndarray = _norms(np.cross(u, v))[:, 0] / (_norms(u) * _norms(v))[:, 0]
    return sines


def _norms(vectors: np.ndarray) -> np.ndarray:
    return np.linalg.norm(vectors, axis=1, keepdims=True)


def _chain(x: np.ndarray, atoms: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Vectors of i-j-k-l: j to i, k to j, k to l."""
    return _vectors(x, atoms, 0, 1), _vectors(x, atoms, 1, 2), _vectors(x, atoms, 3, 2)


def _by_atom(atoms: np.ndarray, derivatives: tuple[np.ndarray, ...], n: int) -> np.ndarray:
    rows = np.zeros((len(atoms), n, 3))
    for column, derivative in enumerate(derivatives):
        rows[np.arange(len(atoms)), atoms[:, column]] = derivative
    return rows.reshape(len(atoms), 3 * n)


def _off_line(x: np.ndarray, atoms: np.ndarray) -> np.ndarray:
    """How far the middle one of three atoms is from between the others.

    It is an angle along x, y and z: ``(3m, 3n)``, by which to multiply positions.
    """
    reach = _norms(_vectors(x, atoms, 0, 2))[:, 0] / 2
    rows = np.zeros((len(atoms), len(x)))
    for column, share in ((0, -1.0), (1, 2.0), (2, -1.0)):
        rows[np.arange(len(atoms)), atoms[:, column]] = share / reach
    return np.kron(rows, np.eye(3))


def _stretch_derivatives(x: np.ndarray, atoms: np.ndarray) -> tuple[np.ndarray, ...]:
    unit = _vectors(x, atoms, 0, 1)
    unit /= _norms(unit)
    return unit, -unit


def _bend_derivatives(x: np.ndarray, atoms: np.ndarray) -> tuple[np.ndarray, ...]:
    u, v = _vectors(x, atoms, 0, 1), _vectors(x, atoms, 2, 1)
    a, b = _norms(u), _norms(v)
    u, v = u / a, v / b
    cosine = (u * v).sum(axis=1, keepdims=True)
    sine = np.sqrt(1 - cosine**2)
    di, dk = (cosine * u - v) / (a * sine), (cosine * v - u) / (b * sine)
    return di, -di - dk, dk


def _torsion_derivatives(x: np.ndarray, atoms: np.ndarray) -> tuple[np.ndarray, ...]:
    """Blondel and Karplus, doi:10.1002/(SICI)1096-987X(19960715)17:9<1132::AID-JCC5>3.0.CO;2-T."""
    f, g, h = _chain(x, atoms)
    a, b, length = np.cross(f, g), np.cross(h, g), _norms(g)
    a2, b2 = (a**2).sum(axis=1, keepdims=True), (b**2).sum(axis=1, keepdims=True)
    di, dl = -length / a2 * a, length / b2 * b
    shift = (f * g).sum(axis=1, keepdims=True) / (a2 * length) * a
    shift = shift - (h * g).sum(axis=1, keepdims=True) / (b2 * length) * b
    return di, shift - di, -shift - dl, dl
