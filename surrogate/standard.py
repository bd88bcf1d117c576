"""Inputs of atoms on one scale: electronic numbers of one element differ by little, those of two by much."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from surrogate.inputs import AS_THEY_ARE, Graph

_SMALLEST = 1e-3  # of an input's unit: numbers that hardly differ stay small
_SHARE = 0.05  # of the deviation over all elements: the least that one element's may be


@dataclass(frozen=True, eq=False)
class Standard:
    """Mean and deviation of each atom input, per element; an element without any has those of all atoms.

    Attributes:
        numbers: ``e`` atomic numbers.
        means, deviations: ``(e, k)``.
    """

    numbers: tuple[int, ...]
    means: NDArray[np.float64]
    deviations: NDArray[np.float64]

    @classmethod
    def fit(cls, numbers: Sequence[int], graphs: Sequence[Graph]) -> Standard:
        """Mean and spread over the atoms of these molecules."""
        elements = np.concatenate([graph.numbers for graph in graphs])
        values = np.concatenate([graph.atom_inputs for graph in graphs]).astype(np.float64)
        means = np.tile(values.mean(axis=0), (len(numbers), 1))
        deviations = np.tile(values.std(axis=0), (len(numbers), 1))
        for row, number in enumerate(numbers):
            own = values[elements == number]
            if len(own):
                means[row] = own.mean(axis=0)
                deviations[row] = np.maximum(own.std(axis=0), _SHARE * values.std(axis=0))
        return cls(tuple(numbers), means, np.maximum(deviations, _SMALLEST))

    @classmethod
    def wanted(cls, inputs: Sequence[str]) -> bool:
        """Whether networks see these inputs standardised."""
        return bool(set(inputs) - AS_THEY_ARE)

    def __call__(self, graphs: Sequence[Graph]) -> list[Graph]:
        """The same molecules with standardised atom inputs."""
        rows = {number: row for row, number in enumerate(self.numbers)}
        found = []
        for graph in graphs:
            row = np.array([rows[z] for z in graph.numbers.tolist()], dtype=np.int64)
            scaled = (graph.atom_inputs - self.means[row]) / self.deviations[row]
            found.append(replace(graph, atom_inputs=scaled.astype(np.float32)))
        return found

    def as_dict(self) -> dict[str, list]:
        """Plain values, to be written."""
        return {
            "numbers": list(self.numbers),
            "means": self.means.tolist(),
            "deviations": self.deviations.tolist(),
        }

    @classmethod
    def from_dict(cls, values: dict[str, list]) -> Standard:
        """Read the values that `as_dict` gave.

        Raises:
            ValueError, KeyError: it is damaged.
        """
        numbers = tuple(int(number) for number in values["numbers"])
        means, deviations = (np.array(values[name], dtype=np.float64) for name in ("means", "deviations"))
        if means.ndim != 2 or means.shape != deviations.shape or len(means) != len(numbers):
            raise ValueError(f"standard has shapes {means.shape} and {deviations.shape}")
        if not (np.isfinite(means).all() and (deviations > 0).all()):
            raise ValueError("standard holds numbers that cannot be")
        return cls(numbers, means, deviations)
