"""A kernel between molecules: Gaussians between atoms of one element, summed over all pairs of atoms.

An atom is its surroundings (SOAP, Bartók, Kondor, Csányi, https://doi.org/10.1103/PhysRevB.87.184115, by
DScribe, https://doi.org/10.1016/j.cpc.2019.106949) and its further inputs, standardised. The energy is a sum
over atoms; so is the kernel. An intensive property is a mean over atoms, and so is its kernel (``mean``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import eigh

from surrogate.errors import SurrogateError
from surrogate.inputs import Graph
from surrogate.standard import Standard

_RANGES = ((2.5, 0.25), (4.5, 0.4))  # cutoff and width of the atoms, Å
_RADIAL, _ANGULAR = 6, 4
_COMPONENTS = 160  # of the surroundings of the training atoms of one element; the rest is one length
_CHUNK = 64  # molecules whose kernel is computed at a time
_NOTHING = 1e-9  # of the largest eigenvalue: rounding of 32 bits
_REMEMBERED = 6000  # molecules whose SOAP is kept, some 100 kB each

_known: WeakKeyDictionary[Graph, tuple[tuple[int, ...], NDArray[np.float32]]] = WeakKeyDictionary()


@cache
def _soaps(numbers: tuple[int, ...]) -> list[Any]:
    from dscribe.descriptors import SOAP

    return [
        SOAP(
            species=list(numbers), periodic=False, n_max=_RADIAL, l_max=_ANGULAR, r_cut=cutoff, sigma=width,
            dtype="float32", compression={"mode": "mu1nu1"},
        )
        for cutoff, width in _RANGES
    ]  # fmt: skip


def surroundings(graph: Graph, numbers: tuple[int, ...]) -> NDArray[np.float32]:
    """``(n, d)`` of a molecule's atoms, each row of length 1; kept while the graph lives.

    Args:
        graph: one molecule.
        numbers: elements that the model is built for.

    Raises:
        SurrogateError: the graph has no positions.
    """
    from ase import Atoms

    if graph.positions is None:
        raise SurrogateError("The kernel needs the positions of atoms; use mode 3d.")
    held = _known.get(graph)
    if held is not None and held[0] == numbers:
        return held[1]
    atoms = Atoms(graph.numbers, graph.positions)
    parts = [np.asarray(soap.create(atoms)) for soap in _soaps(numbers)]
    parts = [part / np.maximum(np.linalg.norm(part, axis=1, keepdims=True), 1e-12) for part in parts]
    found = np.hstack(parts).astype(np.float32) / np.float32(np.sqrt(len(parts)))
    if len(_known) >= _REMEMBERED:
        _known.clear()
    _known[graph] = (numbers, found)
    return found


@dataclass(frozen=True, eq=False)
class AtomsOf:
    """The atoms of one element in several molecules.

    Attributes:
        places: ``(m, c)``, their surroundings.
        inputs: ``(m, k)``, standardised and divided by the root of ``k``.
        molecules: ``(m,)``, ascending: which molecule each is of.
    """

    places: NDArray[np.float32]
    inputs: NDArray[np.float32]
    molecules: NDArray[np.int64]

    def part(self, start: int, stop: int) -> AtomsOf:
        """The atoms of molecules from ``start`` to before ``stop``, counted from 0."""
        low, high = np.searchsorted(self.molecules, (start, stop))
        return AtomsOf(self.places[low:high], self.inputs[low:high], self.molecules[low:high] - start)

    def among(self, molecules: NDArray[np.intp]) -> AtomsOf:
        """The atoms of some molecules, ascending, counted from 0 among these."""
        rows = np.flatnonzero(np.isin(self.molecules, molecules))
        return AtomsOf(self.places[rows], self.inputs[rows], np.searchsorted(molecules, self.molecules[rows]))


Described = dict[int, AtomsOf]
"""By atomic number."""
Lengths = tuple[float, float]
"""Lengths of the Gaussians in surroundings and in inputs."""


@dataclass(frozen=True, eq=False)
class Descriptor:
    """Coordinates that make atoms comparable, learned from the training molecules without their labels.

    Attributes:
        numbers: elements, ascending.
        standard: of the atom inputs.
        bases: by element, ``(d, c)``: the main directions of its atoms' surroundings.
    """

    numbers: tuple[int, ...]
    standard: Standard
    bases: dict[int, NDArray[np.float32]]

    @classmethod
    def fit(cls, numbers: Sequence[int], graphs: Sequence[Graph]) -> Descriptor:
        """Fit to the atoms of these molecules."""
        elements, bases = tuple(sorted(numbers)), {}
        rows = [surroundings(graph, elements) for graph in graphs]
        for number in elements:
            own = np.concatenate(
                [row[graph.numbers == number] for row, graph in zip(rows, graphs, strict=True)]
            )
            bases[number] = _main_directions(own, _COMPONENTS)
        return cls(elements, Standard.fit(elements, graphs), bases)

    def __call__(self, graphs: Sequence[Graph]) -> Described:
        """The atoms of these molecules.

        Raises:
            SurrogateError: a molecule without positions.
        """
        rows = [surroundings(graph, self.numbers) for graph in graphs]
        scaled = [graph.atom_inputs for graph in self.standard(graphs)]
        found = {}
        for number in self.numbers:
            chosen = [graph.numbers == number for graph in graphs]
            counts = [int(mask.sum()) for mask in chosen]
            width = self.bases[number].shape[0]
            own = _stacked([row[mask] for row, mask in zip(rows, chosen, strict=True)], width)
            inputs = _stacked(
                [part[mask] for part, mask in zip(scaled, chosen, strict=True)], self.standard.means.shape[1]
            )
            places = own @ self.bases[number]
            rest = np.sqrt(np.maximum(1 - (places**2).sum(axis=1, keepdims=True), 0))
            found[number] = AtomsOf(
                np.hstack([places, rest]),
                inputs / np.float32(np.sqrt(max(inputs.shape[1], 1))),
                np.repeat(np.arange(len(graphs)), counts),
            )
        return found


def _main_directions(rows: NDArray[np.float32], most: int) -> NDArray[np.float32]:
    """``(d, c)``: those of the largest eigenvalues, and no more of them than rows that differ.

    The eigenvectors of the smaller of the two products give them: with few atoms, that of the rows with one
    another.
    """
    count, width = min(most, *rows.shape), rows.shape[1]
    if not count:
        return np.zeros((width, 0), dtype=np.float32)
    few, exact = len(rows) < width, rows.astype(np.float64)
    moments = exact @ exact.T if few else exact.T @ exact
    size = len(moments)
    values, vectors = eigh(moments, subset_by_index=(size - count, size - 1), check_finite=False)
    if few:
        kept = values > _NOTHING * values[-1]  # a row that others make up has no direction of its own
        vectors = exact.T @ (vectors[:, kept] / np.sqrt(values[kept]))
    return np.ascontiguousarray(vectors[:, ::-1], dtype=np.float32)


def _stacked(parts: list[NDArray], width: int) -> NDArray[np.float32]:
    return np.concatenate(parts) if parts else np.zeros((0, width), dtype=np.float32)


def sizes_of(described: Described, count: int, *, mean: bool) -> NDArray[np.float64]:
    """``(count,)``: what sums over atoms are divided by: the number of atoms, or 1."""
    if not mean:
        return np.ones(count)
    atoms = sum(np.bincount(atoms.molecules, minlength=count) for atoms in described.values())
    return np.maximum(np.asarray(atoms, dtype=np.float64), 1)


def atom_sums(described: Described, count: int, *, mean: bool = False) -> NDArray[np.float64]:
    """``(count, e)``: atoms of each element."""
    columns = [np.bincount(atoms.molecules, minlength=count) for atoms in described.values()]
    return np.stack(columns, axis=1) / sizes_of(described, count, mean=mean)[:, None]


def input_sums(described: Described, count: int, *, mean: bool = False) -> NDArray[np.float64]:
    """``(count, e * k)``: standardised inputs, summed over the atoms of each element."""
    sums = np.hstack([_summed(atoms.inputs, atoms.molecules, count) for atoms in described.values()])
    return sums / sizes_of(described, count, mean=mean)[:, None]


def place_sums(described: Described, count: int, *, mean: bool = False) -> NDArray[np.float64]:
    """``(count, e * c)``: surroundings, summed over the atoms of each element."""
    sums = np.hstack([_summed(atoms.places, atoms.molecules, count) for atoms in described.values()])
    return sums / sizes_of(described, count, mean=mean)[:, None]


def kernel(
    first: Described,
    rows: int,
    second: Described,
    columns: int,
    lengths: Lengths,
    *,
    mean: bool = False,
) -> NDArray[np.float64]:
    """Compare molecules: their ``(rows, columns)`` kernel.

    Args:
        first: atoms of the molecules in rows, by element.
        rows: number of the first molecules.
        second: atoms of the molecules in columns, by element.
        columns: number of the second molecules.
        lengths: of the Gaussians in surroundings and in inputs.
        mean: over pairs of atoms, and not their sum.
    """
    found = np.zeros((rows, columns))
    for start in range(0, rows, _CHUNK):
        stop = min(start + _CHUNK, rows)
        for number, atoms in first.items():
            found[start:stop] += _block(
                atoms.part(start, stop), stop - start, second[number], columns, lengths
            )
    found /= sizes_of(first, rows, mean=mean)[:, None]
    found /= sizes_of(second, columns, mean=mean)
    return found


def self_kernel(
    described: Described, count: int, lengths: Lengths, *, mean: bool = False
) -> NDArray[np.float64]:
    """``(count,)``: the kernel of each molecule with itself."""
    found = np.zeros(count)
    for atoms in described.values():
        for start in range(0, count, _CHUNK):
            part = atoms.part(start, start + _CHUNK)
            same = part.molecules[:, None] == part.molecules[None]
            sums = (_gaussians(part, part, lengths) * same).sum(axis=1)
            np.add.at(found, start + part.molecules, sums)
    return found / sizes_of(described, count, mean=mean) ** 2


def _block(first: AtomsOf, rows: int, second: AtomsOf, columns: int, lengths: Lengths) -> NDArray[np.float64]:
    """Summed over the atoms of one element in both molecules."""
    if not len(first.molecules) or not len(second.molecules):
        return np.zeros((rows, columns))
    by_row = _summed(_gaussians(first, second, lengths), first.molecules, rows)
    return _summed(by_row.T, second.molecules, columns).T


def _gaussians(first: AtomsOf, second: AtomsOf, lengths: Lengths) -> NDArray[np.float32]:
    left = np.hstack([first.places / lengths[0], first.inputs / lengths[1]])
    right = np.hstack([second.places / lengths[0], second.inputs / lengths[1]])
    exponents = left @ right.T
    exponents -= 0.5 * (left**2).sum(axis=1)[:, None]
    exponents -= 0.5 * (right**2).sum(axis=1)[None]
    return np.exp(np.minimum(exponents, 0, out=exponents), out=exponents)


def _summed(values: NDArray, molecules: NDArray[np.int64], count: int) -> NDArray[np.float64]:
    """``(count, c)``: rows summed over each molecule, whose atoms stand together."""
    found = np.zeros((count, values.shape[1]))
    if len(molecules):
        starts = np.flatnonzero(np.r_[True, np.diff(molecules) > 0])
        found[molecules[starts]] = np.add.reduceat(values, starts, axis=0, dtype=np.float64)
    return found
