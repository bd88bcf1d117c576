"""The target of the networks: the property beyond what its atoms alone would give."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from surrogate.errors import SurrogateError
from surrogate.inputs import Graph

_SMALLEST_DEVIATION = 1e-6  # eV; below it there is rounding alone
FEWEST = 2  # molecules for each element, to tell what is left from what was fitted


@dataclass(frozen=True, eq=False)
class AtomReferences:
    """Energy per element (eV) whose sum over a molecule is subtracted before training and added after.

    For an intensive property it is a value per element whose mean over the atoms is subtracted.

    The fit is a ridge regression on element counts, drawn towards one shared energy per atom instead of
    towards zero. An element that the sample lacks, or has once, gets that shared value and never blows up.

    Attributes:
        numbers: atomic numbers.
        energies: eV, or the unit of the property, one for each of them.
        mean: whether the mean over atoms is taken, and not the sum.
    """

    numbers: tuple[int, ...]
    energies: tuple[float, ...]
    mean: bool = False

    @classmethod
    def fit(
        cls,
        numbers: Sequence[int],
        graphs: Sequence[Graph],
        energies: NDArray,
        *,
        kind: str = "elements",
        ridge: float = 1e-2,
        mean: bool = False,
    ) -> "AtomReferences":
        """Least squares with a small ridge.

        Args:
            numbers: atomic numbers the model is built for.
            graphs: ``n`` molecules.
            energies: ``(n,)`` eV.
            kind: ``elements``; or ``mean``, the shared energy per atom alone; or ``none``, zeros.
            ridge: weight of the pull towards the shared value, in molecules.
            mean: of an intensive property.

        Raises:
            SurrogateError: no molecules, or energies that are not finite or not one per molecule.
        """
        if len(graphs) == 0:
            raise SurrogateError("There is no labelled molecule to fit; at least one is needed.")
        energies = checked_labels(graphs, energies)
        counts = _counted(numbers, graphs, mean=mean)
        if kind == "none":
            return cls(tuple(numbers), (0.0,) * len(numbers), mean)
        shared = energies.sum() / counts.sum()
        if kind == "mean":
            return cls(tuple(numbers), (float(shared),) * len(numbers), mean)
        left = counts.T @ counts + ridge * np.eye(len(numbers))
        right = counts.T @ (energies - shared * counts.sum(axis=1))
        return cls(tuple(numbers), tuple((shared + np.linalg.solve(left, right)).tolist()), mean)

    def __call__(self, graphs: Sequence[Graph]) -> NDArray[np.float64]:
        """``(n,)`` eV: the sum of references of each molecule, or their mean."""
        return _counted(self.numbers, graphs, mean=self.mean) @ np.array(self.energies)

    def as_dict(self) -> dict[str, Any]:
        """Plain values; a sum is left out, which models of earlier revisions do not name."""
        return {"numbers": self.numbers, "energies": self.energies} | ({"mean": True} if self.mean else {})

    @classmethod
    def of(cls, values: dict[str, Any]) -> "AtomReferences":
        """Read the values that `as_dict` gave, from a file.

        Raises:
            KeyError, TypeError: it is damaged.
        """
        if set(values) - {"numbers", "energies", "mean"} or type(values.get("mean", False)) is not bool:
            raise TypeError("references are numbers and energies, and whether their mean is taken")
        return cls(tuple(values["numbers"]), tuple(values["energies"]), values.get("mean", False))


def _counted(numbers: Sequence[int], graphs: Sequence[Graph], *, mean: bool) -> NDArray[np.float64]:
    """``(n, len(numbers))``: atoms of each element, or their share of the molecule."""
    counts = element_counts(numbers, graphs)
    return counts / np.maximum(counts.sum(axis=1, keepdims=True), 1) if mean else counts


def per_atom_deviation(graphs: Sequence[Graph], rests: NDArray, *, mean: bool = False) -> float:
    """Standard deviation in eV of ``(n,)`` energies divided by the number of atoms; never zero.

    Values of an intensive property (``mean``) are not divided.

    It is 1 eV, schnetpack's own unit, where there are hardly more molecules than elements. References fitted
    to them leave next to nothing, and that says nothing of others.
    """
    if len(graphs) < FEWEST * len({int(z) for graph in graphs for z in graph.numbers}):
        return 1.0
    sizes = 1 if mean else np.array([len(graph) for graph in graphs])
    deviation = float(np.std(rests / sizes))
    return max(deviation, _SMALLEST_DEVIATION)


def baselines(graphs: Sequence[Graph], level: str) -> NDArray[np.float64]:
    """``(n,)`` eV: the energy that the model learns on top of.

    Raises:
        SurrogateError: a molecule has the baseline of another level than ``level``, or lacks one.
    """
    for i, graph in enumerate(graphs):
        if graph.baseline_level != level:
            level_of_graph, wanted = graph.baseline_level or "no baseline", level or "no baseline"
            raise SurrogateError(
                f"Molecule {i} comes with {level_of_graph}; the model learns on top of {wanted}."
            )
    return np.array([graph.baseline for graph in graphs], dtype=np.float64)


def checked_labels(graphs: Sequence[Graph], energies: NDArray) -> NDArray[np.float64]:
    """``(n,)`` eV, one finite number per molecule.

    Raises:
        SurrogateError: they are not.
    """
    energies = np.asarray(energies, dtype=np.float64)
    if energies.shape != (len(graphs),):
        raise SurrogateError(
            f"Labels have shape {energies.shape}; one per molecule, shape {(len(graphs),)}, is expected."
        )
    if not np.isfinite(energies).all():
        bad = int(np.flatnonzero(~np.isfinite(energies))[0])
        raise SurrogateError(f"Label {bad} is {energies[bad]}; every label must be a finite number in eV.")
    return energies


def element_counts(numbers: Sequence[int], graphs: Sequence[Graph]) -> NDArray[np.float64]:
    """``(n, len(numbers))`` atoms of each element.

    Raises:
        SurrogateError: a molecule has an element that is not among ``numbers``.
    """
    columns, sizes = np.array(numbers), np.array([len(graph) for graph in graphs], dtype=np.int64)
    atoms = np.concatenate([np.empty(0, dtype=np.int64), *(graph.numbers for graph in graphs)])
    counts = np.zeros((len(graphs), len(columns)))
    owners = np.repeat(np.arange(len(graphs)), sizes)
    for k, number in enumerate(columns):
        counts[:, k] = np.bincount(owners[atoms == number], minlength=len(graphs))
    strange = np.flatnonzero(counts.sum(axis=1) != sizes)
    if len(strange):
        unknown = sorted(set(graphs[strange[0]].numbers.tolist()) - set(columns.tolist()))
        raise SurrogateError(
            f"Molecule {strange[0]} has atomic numbers {unknown}; the model is built for {columns.tolist()}."
        )
    return counts
