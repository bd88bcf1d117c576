"""The linear part of the kernel: numbers of a molecule as a whole, and weights of its baselines.

The model learns on top of the mean of the baselines. Each is weighted by how little it leaves to learn
(Bates and Granger, https://doi.org/10.1057/jors.1969.103), and labels draw the weights from there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from surrogate.inputs import Graph
from surrogate.targets import FEWEST

_LEAST = 1e-6  # of a deviation, eV
_SHARE = 1e-3  # of a number's deviation: where elements leave less, it is rounding


@dataclass(frozen=True, eq=False)
class Linear:
    """Columns of numbers, each less its mean and over its deviation.

    Attributes:
        means, deviations: ``(j,)``. Energies add up over parts that do not touch; a mean that is not zero is
            of a model of an earlier revision.
        weights: of the baselines, which add up to 1; empty in a model of an earlier revision, where they are
            equal.
    """

    means: NDArray[np.float64]
    deviations: NDArray[np.float64]
    weights: tuple[float, ...] = ()

    @classmethod
    def fit(
        cls, graphs: Sequence[Graph], counts: NDArray[np.float64], labels: NDArray | None = None
    ) -> Linear:
        """Scale columns by what elements leave of them, and weigh the baselines.

        Args:
            graphs: ``n`` molecules.
            counts: ``(n, e)``, their atoms of each element, or shares of these.
            labels: ``(n,)`` eV; without them, or with few, baselines have equal weights.
        """
        energies, whole = _energies(graphs), _whole(graphs)
        weights = np.full(energies.shape[1], 1 / max(energies.shape[1], 1))
        if labels is not None and len(graphs) >= FEWEST * counts.shape[1]:
            errors = np.maximum(_left_by(counts, labels[:, None] - energies), _LEAST)
            weights = errors**-2 / (errors**-2).sum()
        found = cls(np.zeros(0), np.zeros(0), tuple(weights.tolist()))
        columns = [whole, found._apart(energies)]
        left = np.concatenate([_left_by(counts, part) for part in columns])
        varied = left > np.maximum(_SHARE * np.hstack(columns).std(axis=0), _LEAST)
        shared = np.concatenate([np.full(part.shape[1], np.sqrt(part.shape[1])) for part in columns])
        return replace(found, means=np.zeros(len(left)), deviations=np.where(varied, left * shared, np.inf))

    def sized(self, sizes: NDArray[np.float64]) -> Linear:
        """The same columns in eV, with ``(j,)`` deviations (eV) of what each may contribute."""
        return replace(self, deviations=self.deviations / sizes)

    def of_earlier(self, size: float) -> Linear:
        """Columns of an earlier revision, which shared one deviation (eV) among those that ever varied."""
        shared = size / np.sqrt(max(int(np.isfinite(self.deviations).sum()), 1))
        return self.sized(np.full(len(self.deviations), shared))

    def __call__(self, graphs: Sequence[Graph]) -> NDArray[np.float64]:
        """``(n, j)``; a column that never varied is zero."""
        values = np.hstack([_whole(graphs), self._apart(_energies(graphs))])
        found: NDArray[np.float64] = (values - self.means) / self.deviations
        return found

    def parts(self, graphs: Sequence[Graph]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """The columns of numbers of the molecule, and those of its baselines."""
        columns, first = self(graphs), _whole(graphs).shape[1]
        return columns[:, :first], columns[:, first:]

    def offset(self, graphs: Sequence[Graph]) -> NDArray[np.float64]:
        """``(n,)`` eV: the weighted mean of the baselines beyond their plain mean."""
        energies = _energies(graphs)
        if not self.weights:
            return np.zeros(len(graphs))
        found: NDArray[np.float64] = energies @ np.array(self.weights) - energies.mean(axis=1)
        return found

    def _apart(self, energies: NDArray) -> NDArray[np.float64]:
        """How far each baseline is from their mean; earlier revisions left out the first."""
        if self.weights:
            return energies - (energies @ np.array(self.weights))[:, None]
        return energies[:, 1:] - energies.mean(axis=1, keepdims=True) if energies.size else energies


def _whole(graphs: Sequence[Graph]) -> NDArray[np.float64]:
    return np.array([graph.whole_inputs for graph in graphs], dtype=np.float64).reshape(len(graphs), -1)


def _energies(graphs: Sequence[Graph]) -> NDArray[np.float64]:
    return np.array([graph.baselines for graph in graphs], dtype=np.float64).reshape(len(graphs), -1)


def _left_by(counts: NDArray, values: NDArray) -> NDArray[np.float64]:
    """``(j,)``: the deviation of each column that element counts leave; its own where molecules are few."""
    if not values.size or len(values) < FEWEST * counts.shape[1]:
        return np.asarray(values.std(axis=0), dtype=np.float64)
    fitted, _, rank, _ = np.linalg.lstsq(counts, values, rcond=None)
    rests = ((values - counts @ fitted) ** 2).sum(axis=0) / (len(values) - rank)
    return np.asarray(np.sqrt(rests), dtype=np.float64)
