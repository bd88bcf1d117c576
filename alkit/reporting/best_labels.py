"""The best labels of a campaign: the lowest, and the Pareto front of several wishes with its volume."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from alkit.acquisition.scores import heavy_atoms
from alkit.config.schema import CampaignConfig
from alkit.reporting import plots
from alkit.reporting.page_parts import Plot, Table, number
from alkit.storage.ledger import Candidate, Ledger, Role

if TYPE_CHECKING:
    from alkit.acquisition.pareto import Pareto

COUNTED: tuple[Role, ...] = ("training", "validation")


@dataclass(frozen=True, eq=False)
class Front:
    """The labels that count, as a campaign's wishes see them.

    Attributes:
        headings: ``m`` names of the objectives, with units.
        candidates: ``n`` labelled molecules.
        values: ``(n, m)``, in the objectives' own units and senses.
        best: ``(n,)``, which of them are on the front.
        volumes: of every round, the hypervolume that the labels so far dominate. It is measured from
            `acquisition.settings.reference`, or from the worst values of the start.
    """

    headings: tuple[str, ...]
    candidates: tuple[Candidate, ...]
    values: NDArray[np.float64]
    best: NDArray[np.bool_]
    volumes: dict[int, float]

    def table(self) -> Table:
        """The molecules of the front, in the order of the first objective."""
        order = [k for k in np.argsort(self.values[:, 0]) if self.best[k]]
        rows = [
            (self.candidates[k].smiles, str(self.candidates[k].round), *(f"{v:.3f}" for v in self.values[k]))
            for k in order
        ]
        volumes = ", ".join(f"{round_}: {volume:.4g}" for round_, volume in self.volumes.items())
        note = f"No label so far beats these in every wish. Volume dominated, by round: {volumes}."
        return Table("Pareto front", ("molecule", "round", *self.headings), rows, texts=1, note=note)

    def plot(self) -> Plot:
        """Every label by its first two objectives, by round, and the front."""
        rounds = np.array([one.round for one in self.candidates])
        words = (
            f"{number(len(self.candidates), 'label')} by {self.headings[0]} and {self.headings[1]}, of which "
            f"{int(self.best.sum())} are on the Pareto front."
        )
        draw = partial(plots.front, self.values, self.best, rounds, self.headings)
        return Plot("front", "What has been found", words, draw, picture=True)


def looks_for_highest(config: CampaignConfig) -> bool:
    """Whether the acquisition function looks for high labels."""
    settings = config.acquisition.settings
    objectives = settings.get("objectives")
    sense = objectives.get("label") if isinstance(objectives, dict) else None
    return settings.get("minimise") is False or sense == "maximise"


def best_labels(ledger: Ledger, config: CampaignConfig, round_: int) -> dict[str, str]:
    """The best label so far as text and, of an energy, the best per heavy atom.

    Best is the lowest, or the highest where such are looked for. Only labels that count are compared.
    """
    rows = [row for role in COUNTED for row in ledger.labelled(role, up_to_round=round_)]
    if not rows:
        return {"best": "–", "best_per_heavy_atom": "–"}
    values, best = np.array([value for _, value in rows]), max if looks_for_highest(config) else min
    per_atom = values / heavy_atoms(tuple(candidate.smiles for candidate, _ in rows))
    return {"best": f"{best(values):.2f}", "best_per_heavy_atom": f"{best(per_atom):.3f}"}


def front_of(ledger: Ledger, config: CampaignConfig) -> Front | None:
    """The front of a campaign with ``acquisition: pareto``; None for another, or before its first label."""
    if config.acquisition.name != "pareto":
        return None
    from alkit.acquisition.pareto import Pareto

    pareto = Pareto(**config.acquisition.settings)
    labelled = [row for role in COUNTED for row in ledger.labelled(role)]
    labelled.sort(key=lambda row: row[0].id)
    if not labelled:
        return None
    candidates = tuple(candidate for candidate, _ in labelled)
    energies = np.array([value for _, value in labelled])
    gains = pareto.values(energies, tuple(one.smiles for one in candidates))
    return Front(
        headings=tuple(_heading(name, pareto, ledger) for name in pareto.names),
        candidates=candidates,
        values=gains * pareto.signs,
        best=pareto.best(gains),
        volumes=_volumes(pareto, candidates, gains),
    )


def _volumes(pareto: Pareto, candidates: Sequence[Candidate], gains: NDArray[np.float64]) -> dict[int, float]:
    rounds = np.array([one.round for one in candidates])
    first = gains[rounds == 0] if (rounds == 0).any() else gains
    reference = first.min(axis=0) if pareto.reference is None else pareto.reference
    return {int(k): pareto.volume(gains[rounds <= k], reference) for k in np.unique(rounds)}


def _heading(name: str, pareto: Pareto, ledger: Ledger) -> str:
    units = {"label": ledger.level.unit if ledger.level else "eV", "MW": "g/mol"}
    heading = f"{name}, {units[name]}" if name in units else name
    return f"{heading} per heavy atom" if name == "label" and pareto.per_heavy_atom else heading
