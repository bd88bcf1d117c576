"""Geometries from Coulomb matrices, in which QM7b was published."""

from __future__ import annotations

import numpy as np
from ase.units import Bohr

from alkit.errors import DataError

_EXACT = 0.02  # Å; published matrices are rounded to seven digits or so


def geometry_of_coulomb(matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """``(n,)`` atomic numbers and ``(n, 3)`` Å, up to a rotation and a reflection.

    The diagonal is ``Z^2.4 / 2``, the rest ``Z Z' / distance`` in Bohr (Rupp et al.,
    https://doi.org/10.1103/PhysRevLett.108.058301); classical multidimensional scaling gives back the places.
    Which of two mirror images it was, the matrix does not say.

    Args:
        matrix: ``(m, m)``, filled up with zeros.

    Raises:
        DataError: no such matrix.
    """
    diagonal = np.diag(matrix)
    n = int((diagonal > 0).sum())
    exact = (2 * diagonal[:n]) ** (1 / 2.4)
    numbers = np.rint(exact).astype(np.int64)
    if not n or np.abs(exact - numbers).max() > 0.01 or not np.allclose(matrix, matrix.T, rtol=1e-4):
        raise DataError(
            "it is no Coulomb matrix: its diagonal is not half of an atomic number to the 2.4th power"
        )
    charges = np.outer(numbers, numbers).astype(np.float64)
    with np.errstate(divide="ignore"):
        distances = Bohr * charges / matrix[:n, :n]
    np.fill_diagonal(distances, 0.0)
    if not np.isfinite(distances).all():
        raise DataError("its Coulomb matrix has atoms at no finite distance")
    centred = np.eye(n) - 1.0 / n
    values, vectors = np.linalg.eigh(-0.5 * centred @ distances**2 @ centred)
    best = np.argsort(values)[::-1][:3]
    positions = np.zeros((n, 3))
    positions[:, : len(best)] = vectors[:, best] * np.sqrt(np.clip(values[best], 0.0, None))
    found = np.linalg.norm(positions[:, None] - positions[None], axis=-1)
    if np.abs(found - distances).max() > _EXACT:
        raise DataError("the distances of its Coulomb matrix are those of no arrangement in space")
    return numbers, positions
