"""Fixed features of a geometry, which need no training: SOAP kernels to representative atoms, summed.

The energy is a sum over atoms, and so are the features. With them the linear kernel is a sum over all pairs
of atoms of a polynomial SOAP kernel, by the Nyström approximation. Bartók, Kondor, Csányi,
https://doi.org/10.1103/PhysRevB.87.184115; sparse points as in Bartók, Csányi,
https://doi.org/10.1002/qua.24927.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from alkit.threads import one_thread

if TYPE_CHECKING:
    from ase import Atoms

_RANGES = ((2.5, 0.25), (4.5, 0.4))  # cutoff and width of the atoms, Angstrom
_SPARSE = {1: 400, 6: 600}  # representative atoms of an element
_SPARSE_OTHER = 250
_SAMPLED = 800  # molecules that they are chosen from
_POWER = 3
_TOGETHER = 64  # molecules, and rows of a matrix product
_COMPARED = 16  # points at a time; more compare too many, fewer read the chosen ones too often
_LEAST = 1e-7  # of the largest eigenvalue of the kernel of representative atoms


@dataclass(frozen=True, eq=False)
class Soap:
    """SOAP of the elements in ``elements``, in that order.

    It has representative atoms, and what makes their kernel the unit matrix. ``length``: what one atom counts
    for beside them.
    """

    elements: tuple[int, ...]
    representative: tuple[tuple[NDArray, NDArray], ...]
    length: float

    @classmethod
    def fit(
        cls, molecules: Sequence[Atoms], rng: np.random.Generator, *, elements: Sequence[int] = ()
    ) -> Soap:
        """Choose representative atoms among those of ``molecules``, at most `_SAMPLED` of which are drawn.

        Args:
            molecules: with positions, Å.
            rng: of the draws.
            elements: atomic numbers that may come later; one that the molecules drawn lack is only counted.
        """
        sampled = [molecules[i] for i in rng.permutation(len(molecules))[:_SAMPLED]]
        drawn = {int(z) for atoms in sampled for z in atoms.numbers}
        counted = tuple(sorted({int(z) for atoms in molecules for z in atoms.numbers} | set(elements)))
        soaps = _soaps(sorted(drawn))  # their length grows with the square of the elements
        with one_thread():
            local = [(atoms.numbers, _local(soaps, atoms)) for atoms in sampled]
            chosen = tuple(_representative(local, element) for element in counted)
            bare = cls(counted, chosen, 0.0)
            rows = np.concatenate([bare._rows(part) for part in _parts(local)])
        counts = np.array([_counts(atoms, counted) for atoms in sampled], dtype=float)
        # What an element counts for is all but free: three times the length of the rest.
        length = 3 * np.sqrt((rows**2).sum(axis=1).mean() / max((counts**2).sum(axis=1).mean(), 1e-12))
        return cls(counted, chosen, float(length))

    def features(self, molecules: Sequence[Atoms], advance: Callable[[int], None]) -> NDArray[np.float32]:
        """``(n, d)``: of each molecule its atoms' features, summed, and the counts of the elements.

        Args:
            molecules: ``n``, with positions, Å.
            advance: called with the number of molecules that are done.
        """
        present = [
            z for z, (points, _) in zip(self.elements, self.representative, strict=True) if len(points)
        ]
        soaps, rows = _soaps(present), np.zeros((len(molecules), self.width), dtype=np.float32)
        with one_thread():
            for part, row in zip(_parts(molecules), _parts(rows), strict=True):
                row[:, -len(self.elements) :] = [self.length * _counts(one, self.elements) for one in part]
                known = [atoms[np.isin(atoms.numbers, present)] for atoms in part]
                row[:, : -len(self.elements)] = self._rows(
                    [(one.numbers, _local(soaps, one)) for one in known]
                )
                advance(len(part))
        return rows

    @property
    def width(self) -> int:
        """Number ``d`` of features: of the kernels, and one count an element."""
        return sum(whitening.shape[1] for _, whitening in self.representative) + len(self.elements)

    def _rows(self, local: Sequence[tuple[NDArray, NDArray]]) -> NDArray:
        """``(n, d)`` of ``n`` molecules: sums over atoms of kernels, the counts of elements left out.

        Args:
            local: atomic numbers and the ``(atoms, k)`` SOAP rows of each molecule.
        """
        numbers = np.concatenate([ours for ours, _ in local])
        owners = np.repeat(np.arange(len(local)), [len(ours) for ours, _ in local])
        atoms, parts = np.concatenate([rows for _, rows in local]), []
        for element, (points, whitening) in zip(self.elements, self.representative, strict=True):
            mine = numbers == element
            kernels = _product(atoms[mine], points.T).astype(float) ** _POWER
            sums = np.zeros((len(local), len(points)))
            np.add.at(sums, owners[mine], kernels)
            parts.append(_product(sums, whitening))
        return np.concatenate(parts, axis=1)


@dataclass
class SoapCache:
    """The features of molecules so far, by SMILES, and what they are computed by."""

    soap: Soap | None = None
    rows: dict[str, NDArray[np.float32]] = field(default_factory=dict)


def _product(rows: NDArray, matrix: NDArray) -> NDArray:
    """``rows @ matrix``, each row to the last bit the same whatever stands beside it.

    BLAS adds in another order at the edges of a matrix, so blocks of one shape are multiplied.
    """
    blocks = -(-len(rows) // _TOGETHER)
    padded = np.zeros((blocks * _TOGETHER, rows.shape[1]), dtype=rows.dtype)
    padded[: len(rows)] = rows
    found = padded.reshape(blocks, _TOGETHER, rows.shape[1]) @ matrix
    return found.reshape(len(padded), matrix.shape[1])[: len(rows)]


def _parts(items: Any) -> list[Any]:
    return [items[start : start + _TOGETHER] for start in range(0, len(items), _TOGETHER)]


def _counts(atoms: Atoms, elements: Sequence[int]) -> NDArray[np.int64]:
    return np.array([(atoms.numbers == z).sum() for z in elements])


def _soaps(elements: Sequence[int]) -> list[Any]:
    from dscribe.descriptors import SOAP

    shared = {"species": list(elements), "periodic": False, "n_max": 6, "l_max": 4, "dtype": "float32"}
    return [SOAP(r_cut=cutoff, sigma=width, **shared) for cutoff, width in _RANGES]


def _local(soaps: list[Any], atoms: Atoms) -> NDArray:
    """``(atoms, d)``, each row of length 1."""
    if not len(atoms):  # dscribe refuses to look at none
        return np.empty((0, sum(soap.get_number_of_features() for soap in soaps)), dtype=np.float32)
    parts = [soap.create(atoms) for soap in soaps]
    return np.hstack([part / np.linalg.norm(part, axis=1, keepdims=True) for part in parts]) / np.sqrt(
        len(soaps)
    )


def _representative(local: Sequence[tuple[NDArray, NDArray]], element: int) -> tuple[NDArray, NDArray]:
    """An element's most different atoms ``(r, d)``; what makes their kernel the unit matrix ``(r, k)``."""
    points = np.concatenate([rows[numbers == element] for numbers, rows in local])
    if not len(points):
        return points, np.zeros((0, 0))
    chosen = _farthest(points, _SPARSE.get(element, _SPARSE_OTHER))
    kernel = (chosen.astype(float) @ chosen.T.astype(float)) ** _POWER
    values, vectors = np.linalg.eigh(kernel)
    keep = values > _LEAST * values[-1]
    return chosen, vectors[:, keep] / np.sqrt(values[keep])


def _farthest(points: NDArray, count: int) -> NDArray:
    """Points ``(r, d)`` of length 1, each the farthest from those before.

    A distance to the nearest chosen point only shrinks. So points are compared with new ones only while their
    last known distance is among the largest; most never are again.
    """
    distances, chosen = 2 - 2 * (points @ points[0]), [0]
    compared = np.ones(len(points), dtype=int)  # with so many of the chosen
    for _ in range(min(count, len(points)) - 1):
        while compared[best := int(distances.argmax())] < len(chosen):
            largest = np.argpartition(distances, -min(_COMPARED, len(distances)))[-_COMPARED:]
            late = largest[compared[largest] < len(chosen)]
            late = late if len(late) else np.array([best])  # many are equally far
            new = points[chosen[compared[late].min() :]]
            distances[late] = np.minimum(distances[late], (2 - 2 * (points[late] @ new.T)).min(axis=1))
            compared[late] = len(chosen)
        chosen.append(best)
    return points[chosen]
