"""Steering: a reward head learns what molecules are worth to a campaign, and draws are rewarded by it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from rdkit import Chem
from scipy.stats import spearmanr
from torch import Tensor

from generator.errors import GeneratorError
from generator.graphs import GraphSet, read_training_set
from generator.networks import GraphValue, one_hot, reset_parameters
from generator.settings import GeneratorSettings

_UPDATES, _BATCH, _RATE = 400, 64, 2e-3
_HELD_OUT = 5  # every fifth value is kept back, to tell whether the head has learned anything
_WIDEST = 3.0  # standard deviations: a single value out of reach must not be all that counts
_LEAST_CORRELATION = 0.1
_REPEAT = 2.0  # standard deviations that a repeat loses: what is worth most must not be drawn for ever
Values = dict[str, float]


def check_values(
    values: Mapping[str, float] | None, steering: float, settings: GeneratorSettings
) -> Values | None:
    """Check the values to steer by; None without steering.

    Args:
        values: by canonical SMILES; higher is better.
        steering: the strength, 0 or more.
        settings: elements and sizes that the generator knows.

    Raises:
        GeneratorError: a strength that is no number of 0 or more, or values that are missing, not finite, or
            all the same.
    """
    strength = steering if isinstance(steering, int | float) and not isinstance(steering, bool) else math.nan
    if not 0.0 <= strength < math.inf:
        raise GeneratorError(f"steering is {steering!r}; give a number of 0 or more.")
    if strength == 0.0:
        return None
    if not values:
        raise GeneratorError("steering needs values of molecules; give them, or steering 0.")
    if len(set(values.values())) == 1:
        raise GeneratorError("All values are the same; give values that differ, or steering 0.")
    bad = [smiles for smiles, value in values.items() if not math.isfinite(value)]
    if bad:
        raise GeneratorError(f"The value of {bad[0]} is {values[bad[0]]}; give finite values.")
    read_training_set(list(values), settings)
    return dict(values)


@dataclass(frozen=True)
class Steering:
    """A trained reward head; called with graphs it gives their rewards `(B,)`, `strength` wide.

    Those that are `repeated` `(B,)`, drawn before, gain nothing and lose `_REPEAT` times the strength: the
    memory of a diversity filter (doi:10.1186/s13321-020-00473-0).
    """

    head: GraphValue
    strength: float
    rank_correlation: float
    held_out: int  # values that it was judged by

    @property
    def convincing(self) -> bool:
        """Whether chance alone would seldom (2 %) order the held-out values so well."""
        least = max(_LEAST_CORRELATION, 2 / math.sqrt(max(self.held_out - 1, 1)))
        return self.rank_correlation > least

    @classmethod
    def fit(
        cls, values: Values, settings: GeneratorSettings, strength: float, random: torch.Generator
    ) -> Steering:
        """A head trained on four fifths of the values, judged by its order of the rest."""
        graphs = read_training_set(list(values), settings)
        worth = _standardized(values, graphs)
        order = torch.randperm(len(worth), generator=random).numpy()
        held_out, learned = order[::_HELD_OUT], np.delete(order, np.s_[::_HELD_OUT])
        head = GraphValue(settings)
        reset_parameters(head, random)
        optimizer = torch.optim.AdamW(head.parameters(), lr=_RATE, weight_decay=0.01)
        targets = torch.from_numpy(worth).float()
        for _ in range(_UPDATES):
            chosen = learned[torch.randint(len(learned), (_BATCH,), generator=random).numpy()]
            loss = ((head(*_graphs(graphs, chosen, settings)) - targets[chosen]) ** 2).mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        head.requires_grad_(False)
        predicted = head(*_graphs(graphs, held_out, settings)).numpy()
        return cls(head, strength, float(spearmanr(predicted, worth[held_out])[0]), len(held_out))

    def __call__(self, nodes: Tensor, bonds: Tensor, repeated: Tensor) -> Tensor:
        """Rewards of B draws, in standard deviations of the head's values times the strength.

        A draw that repeats a molecule loses a fixed reward and never gains one.
        """
        values: Tensor = self.head(nodes, bonds)
        worth = (values - values.mean()) / (values.std() + 1e-6)
        return self.strength * torch.where(repeated, worth.clamp(max=0.0) - _REPEAT, worth)


def _standardized(values: Values, graphs: GraphSet) -> np.ndarray:
    """Standardized values in the order of the graphs; stereoisomers, one graph, have their mean."""
    of_graph: dict[str, list[float]] = {}
    for smiles, value in values.items():
        key = Chem.MolToSmiles(Chem.MolFromSmiles(smiles), isomericSmiles=False)
        of_graph.setdefault(key, []).append(value)
    worth = np.array([np.mean(of_graph[key]) for key in graphs.smiles])
    return np.clip((worth - worth.mean()) / (worth.std() + 1e-12), -_WIDEST, _WIDEST)


def _graphs(graphs: GraphSet, rows: np.ndarray, settings: GeneratorSettings) -> tuple[Tensor, Tensor]:
    nodes, bonds = torch.from_numpy(graphs.nodes[rows]), torch.from_numpy(graphs.bonds[rows])
    return one_hot(nodes, bonds, len(settings.elements) + 1)
