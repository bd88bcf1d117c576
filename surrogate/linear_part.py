"""The linear part of the kernel: numbers of a molecule as a whole."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from surrogate.inputs import Graph

_LEAST = 1e-6  # of a deviation


@dataclass(frozen=True, eq=False)
class Linear:
    """Each number less its mean and over its deviation in training."""

    means: NDArray[np.float64]
    deviations: NDArray[np.float64]

    @classmethod
    def fit(cls, values: NDArray[np.float64]) -> Linear:
        """Fit to these ``(n, j)`` numbers."""
        spread = values.std(axis=0)
        return cls(values.mean(axis=0), np.where(spread > _LEAST, spread, np.inf))

    def __call__(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """``(n, j)``; a column that never varied is zero."""
        width = max(int(np.isfinite(self.deviations).sum()), 1)
        found: NDArray[np.float64] = (values - self.means) / self.deviations / np.sqrt(width)
        return found


def whole_numbers(graphs: Sequence[Graph]) -> NDArray[np.float64]:
    """``(n, j)``: inputs of the molecule, and how far each baseline is from their mean.

    So weights of baselines are learned, and drawn to equal ones.
    """
    apart = [np.array(graph.baselines[1:]) - graph.baseline for graph in graphs]
    whole = [np.concatenate([graph.whole_inputs, one]) for graph, one in zip(graphs, apart, strict=True)]
    return np.array(whole, dtype=np.float64).reshape(len(graphs), -1)
