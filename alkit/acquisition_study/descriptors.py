"""Fixed features of a geometry for a Gaussian process: SOAP kernels to representative atoms, summed.

The energy is a sum over atoms, so are the features: with them the linear kernel is the sum over all pairs of
atoms of a polynomial SOAP kernel, by the Nystroem approximation. Bartok, Kondor, Csanyi,
doi:10.1103/PhysRevB.87.184115; sparse points as in Bartok, Csanyi, doi:10.1002/qua.24927.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from typing import Any

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from alkit.errors import ConfigError
from alkit.threads import one_thread

_RANGES = ((2.5, 0.25), (4.5, 0.4))  # cutoff and width of the atoms, Angstrom
_SPARSE = {1: 400, 6: 600}  # representative atoms of an element
_SPARSE_OTHER = 250
_SAMPLED = 800  # molecules that they are chosen from
_POWER = 3
_LEAST = 1e-7  # of the largest eigenvalue of the kernel of representative atoms


def check() -> None:
    """Raises `ConfigError` where dscribe, which computes SOAP, is not installed."""
    if importlib.util.find_spec("dscribe") is None:
        raise ConfigError("The surrogate gp needs the package dscribe: pip install dscribe.")


def features(
    molecules: list[Atoms], rng: np.random.Generator, advance: Callable[[int], None]
) -> NDArray[np.float32]:
    """``(n, d)`` of all ``molecules``: SOAP features, and the counts of the elements."""
    check()
    elements = sorted({int(z) for atoms in molecules for z in atoms.numbers})
    soaps = [_soap(elements, cutoff, width) for cutoff, width in _RANGES]
    with one_thread():
        sampled = rng.permutation(len(molecules))[:_SAMPLED]
        representative = _representative(
            [(molecules[i], _local(soaps, molecules[i])) for i in sampled], elements
        )
        rows = []
        for atoms in molecules:
            rows.append(_row(atoms, _local(soaps, atoms), representative))
            advance(1)
    found = np.array(rows)
    counts = np.array([[(atoms.numbers == z).sum() for z in elements] for atoms in molecules], dtype=float)
    # What an element counts for is all but free: three times the length of the rest.
    length = 3 * np.sqrt((found**2).sum(axis=1).mean() / max((counts**2).sum(axis=1).mean(), 1e-12))
    return np.column_stack([found, length * counts]).astype(np.float32)


def _soap(elements: list[int], cutoff: float, width: float) -> Any:
    from dscribe.descriptors import SOAP

    return SOAP(
        species=elements, periodic=False, r_cut=cutoff, n_max=6, l_max=4, sigma=width, dtype="float32"
    )


def _local(soaps: list[Any], atoms: Atoms) -> NDArray:
    """``(atoms, d)``, each row of length 1."""
    parts = [soap.create(atoms) for soap in soaps]
    return np.hstack([part / np.linalg.norm(part, axis=1, keepdims=True) for part in parts]) / np.sqrt(
        len(soaps)
    )


def _representative(
    sampled: list[tuple[Atoms, NDArray]], elements: list[int]
) -> dict[int, tuple[NDArray, NDArray]]:
    """Of each element: its most different atoms, and what makes their kernel the unit matrix."""
    found = {}
    for element in elements:
        rows = [local[atoms.numbers == element] for atoms, local in sampled]
        points = np.concatenate(rows) if rows else np.zeros((0, 1))
        chosen = _farthest(points, _SPARSE.get(element, _SPARSE_OTHER))
        kernel = (chosen.astype(float) @ chosen.T.astype(float)) ** _POWER
        values, vectors = np.linalg.eigh(kernel)
        keep = values > _LEAST * values[-1]
        found[element] = chosen, vectors[:, keep] / np.sqrt(values[keep])
    return found


def _farthest(points: NDArray, count: int) -> NDArray:
    distances, chosen = np.full(len(points), np.inf), [0]
    for _ in range(min(count, len(points)) - 1):
        distances = np.minimum(distances, 2 - 2 * points @ points[chosen[-1]])
        chosen.append(int(distances.argmax()))
    return points[chosen]


def _row(atoms: Atoms, local: NDArray, representative: dict[int, tuple[NDArray, NDArray]]) -> NDArray:
    parts = []
    for element, (points, whitening) in representative.items():
        kernel = ((local[atoms.numbers == element] @ points.T).astype(float)) ** _POWER
        parts.append((kernel @ whitening).sum(axis=0))
    return np.concatenate(parts)
