"""Several wishes at once: the label, and descriptors that RDKit computes exactly.

The front is what no labelled molecule beats in every wish at once. A candidate is worth the volume that its
label is expected to add to what the front dominates. That is the expected hypervolume improvement of Emmerich
et al. (closed form: https://doi.org/10.1007/s10898-019-00798-7). BoTorch's box decomposition is from Daulton
et al., NeurIPS 2020, https://doi.org/10.48550/arXiv.2006.05078. One wish alone, the label, is uncertain.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np
import torch
from botorch.utils.multi_objective.box_decompositions import FastNondominatedPartitioning
from botorch.utils.multi_objective.pareto import is_non_dominated
from numpy.typing import NDArray
from scipy.special import logsumexp

from alkit.acquisition.base import Pool, RoundContext
from alkit.acquisition.checks import number
from alkit.acquisition.scores import Extremes, descriptor_values, log_improvement
from alkit.descriptors import descriptor
from alkit.errors import ConfigError

LABEL = "label"
_NOTHING = -1e12  # the logarithm of no improvement at all
_AT_ONCE = 256  # candidates whose worth is computed again together
_WORDS = ("minimise", "maximise")
Goal = Literal["minimise", "maximise"]


class Pareto(Extremes):
    """A batch by expected hypervolume improvement; each pick counts with its predicted label for the next.

    Believing the prediction of what is picked: Ginsbourger et al. 2010,
    https://doi.org/10.1007/978-3-642-10701-6_6

    Args:
        objectives: ``label`` and at least one descriptor (`alkit.descriptors`), each minimise or maximise.
        per_heavy_atom: whether the label, its predictions and deviations are divided by the number of atoms
            that are not hydrogen.
        reference: the least that counts of each objective, by name, in its own unit; None: the worst label so
            far, in each. A point just behind the front would blind the search to what lies beyond its ends.
    """

    name = "pareto"

    def __init__(
        self,
        objectives: Mapping[str, Goal] | None = None,
        *,
        per_heavy_atom: bool = False,
        reference: Mapping[str, float] | None = None,
    ):
        self.objectives = _checked(objectives)
        super().__init__(minimise=self.objectives[LABEL] == "minimise", per_heavy_atom=per_heavy_atom)
        self.reference = None if reference is None else self._checked_reference(reference)

    @property
    def names(self) -> list[str]:
        """The objectives in the order of `values`: the label first."""
        return [LABEL, *(name for name in self.objectives if name != LABEL)]

    @property
    def signs(self) -> NDArray[np.float64]:
        """``(m,)``: -1 for what is minimised."""
        return np.array([-1.0 if self.objectives[name] == "minimise" else 1.0 for name in self.names])

    def values(self, energies: NDArray, smiles: tuple[str, ...]) -> NDArray[np.float64]:
        """``(n, m)``, higher is better, of labels ``(n,)`` eV."""
        return np.column_stack([self.gains(energies, smiles), self._exact(smiles)])

    def best(self, values: NDArray[np.float64]) -> NDArray[np.bool_]:
        """``(n,)``: which rows of ``values`` are on their front."""
        return is_non_dominated(torch.from_numpy(values)).numpy()

    def least(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """``(m,)``: the point that volumes are measured from, given ``(n, m)`` values that are known."""
        return values.min(axis=0) if self.reference is None else self.reference

    def volume(self, values: NDArray[np.float64], reference: NDArray[np.float64]) -> float:
        """The hypervolume that ``(n, m)`` values dominate, from a reference point ``(m,)``."""
        partition = FastNondominatedPartitioning(torch.from_numpy(reference), torch.from_numpy(values))
        return float(partition.compute_hypervolume())

    def score(self, pool: Pool, context: RoundContext) -> NDArray[np.float64]:
        """``(n,)``: the logarithm of the expected hypervolume improvement of each molecule by itself."""
        known = self.values(context.targets, context.smiles)
        return _Improvement(self, pool, known).of(np.arange(len(pool)))

    def select(self, pool: Pool, context: RoundContext, batch_size: int) -> Sequence[int]:
        """Take the molecule of largest expected improvement, believe its mean, and repeat."""
        known = self.values(context.targets, context.smiles)
        improvement = _Improvement(self, pool, known)
        worth, chosen = improvement.of(np.arange(len(pool))), list[int]()
        current = np.ones(len(pool), dtype=bool)  # a volume on top of a larger front is never larger
        while len(chosen) < batch_size:
            first = int(worth.argmax())
            if not current[first]:
                stale = np.flatnonzero(~current)
                again = stale[np.argsort(-worth[stale], kind="stable")[:_AT_ONCE]]
                worth[again], current[again] = improvement.of(again), True
                continue
            chosen.append(first)
            improvement.believe(first)
            current[:] = False
            worth[chosen], current[chosen] = -np.inf, True
        return chosen

    def _exact(self, smiles: tuple[str, ...]) -> NDArray[np.float64]:
        """``(n, m - 1)``, higher is better: the objectives that are known without a label."""
        columns = [descriptor_values(self.name, name, smiles) for name in self.names[1:]]
        return self.signs[1:] * np.column_stack(columns)

    def _checked_reference(self, reference: Mapping[str, float]) -> NDArray[np.float64]:
        if not isinstance(reference, Mapping) or set(reference) != set(self.names):
            raise ConfigError(
                f"acquisition pareto: reference is {reference!r:.80}; give a number for each of "
                f"{', '.join(self.names)}."
            )
        point = [number("pareto", f"reference.{name}", reference[name]) for name in self.names]
        return self.signs * np.array(point)


class _Improvement:
    """The expected hypervolume improvement of a pool's molecules over a front that grows.

    Args:
        known: ``(k, m)`` values of the labelled molecules.
    """

    def __init__(self, pareto: Pareto, pool: Pool, known: NDArray[np.float64]):
        self._mean, self._widths = pareto.gains(pool.mean, pool.smiles), pareto.widths(pool)
        self._exact = pareto.values(pool.mean, pool.smiles)[:, 1:]
        self._reference = torch.from_numpy(pareto.least(known))
        self._front = known[pareto.best(known)]
        self._decompose()

    def believe(self, index: int) -> None:
        """Count a molecule as if its label were known to be as predicted."""
        believed = np.concatenate([[self._mean[index]], self._exact[index]])
        if (self._front >= believed).all(axis=1).any():
            return  # the front stays as it is
        self._front = np.concatenate([self._front, believed[None]])
        self._decompose()

    def of(self, indices: NDArray[np.intp]) -> NDArray[np.float64]:
        """``(k,)`` logarithms of the improvement of the molecules at ``(k,)`` indices; finite.

        There are ``c`` cells above the front, whose sides along exact objectives are known. The side along
        the label is the difference of two expected improvements, over its lower and its upper end.
        """
        low, high = self._cells  # c x m
        exact = self._exact[indices][:, None, :]
        with np.errstate(divide="ignore", invalid="ignore"):
            sides = np.log(np.clip(np.minimum(exact, high[:, 1:]) - low[:, 1:], 0.0, None)).sum(axis=-1)
            mean, width = self._mean[indices][:, None], self._widths[indices][:, None]
            lower = log_improvement((mean - low[:, 0]) / width)
            upper = log_improvement(np.maximum((mean - high[:, 0]) / width, -1e8))
            along = np.log(width) + lower + np.log1p(-np.exp(np.minimum(upper - lower, 0.0)))
            worth = logsumexp(np.where(np.isneginf(sides), -np.inf, sides + along), axis=1)
        return np.fmax(worth, _NOTHING)

    def _decompose(self) -> None:
        """The cells that the front leaves: ``(c, m)`` lower and upper ends, upper ones may be infinite."""
        partition = FastNondominatedPartitioning(self._reference, torch.from_numpy(self._front))
        low, high = partition.get_hypercell_bounds().numpy()
        self._cells = low, high


def _checked(objectives: Mapping[str, Goal] | None) -> dict[str, Goal]:
    said = "acquisition pareto: objectives"
    if not isinstance(objectives, Mapping) or LABEL not in objectives or len(objectives) < 2:
        raise ConfigError(
            f"{said} is {objectives!r:.80}; it has {LABEL} and at least one descriptor, such as "
            f"{{{LABEL}: minimise, QED: maximise}}."
        )
    for name, goal in objectives.items():
        if goal not in _WORDS:
            raise ConfigError(f"{said}.{name} is {goal!r:.40}; it must be minimise or maximise.")
        if name != LABEL:
            try:
                descriptor(str(name))
            except ConfigError as error:
                raise ConfigError(f"{said}: {error}.") from None
    return {str(name): goal for name, goal in objectives.items()}
