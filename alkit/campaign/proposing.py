"""The propose stage, and what proposers may learn from.

That is molecules that are not held out, and what candidates were worth to the acquisition function.
"""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from numpy.typing import NDArray

from alkit.acquisition.base import Acquisition, Pool, RoundContext, TopScore
from alkit.campaign import target_set
from alkit.campaign.build_proposers import build_mix
from alkit.campaign.candidates import examine, held_out_graphs
from alkit.config.proposer import PoolConfig
from alkit.errors import CampaignError
from alkit.files import replace_file
from alkit.molecules.molecule import without_stereo
from alkit.proposers.base import ProposalContext
from alkit.storage.round_files import VALUES_FILE
from alkit.storage.words import Origin

if TYPE_CHECKING:
    from alkit.campaign.round_state import RoundState


def acquired_molecules(state: RoundState) -> list[str]:
    """Molecules that rounds so far have added to the training set."""
    rows = state.ledger.labelled("training", up_to_round=state.round)
    return [candidate.smiles for candidate, _ in rows if candidate.round > 0]


def learned_molecules(state: RoundState) -> list[str]:
    """Seeds and acquired molecules.

    Those of a target set that is a list are among the seeds. Test molecules are left out: no proposer learns
    to propose what may not be acquired. So are their stereoisomers, as most proposers write no stereo.
    """
    acquired = acquired_molecules(state)
    held_out = {without_stereo(c.smiles) for c in state.ledger.candidates(role="test")}
    taken = set(acquired)
    given = dict.fromkeys([*state.molecules.seeds, *target_set.known(state)])
    return [s for s in given if without_stereo(s) not in held_out and s not in taken] + acquired


def recorded(acquisition: Acquisition, kept: list[Any]) -> Acquisition:
    """The same function, which leaves its scores in ``kept``, if it is one that gives scores."""
    if not isinstance(acquisition, TopScore):
        return _also_scored(acquisition, kept) if hasattr(acquisition, "score") else acquisition
    if acquisition.name == "random":
        return acquisition
    score = acquisition.score

    def record(pool: Pool, context: RoundContext) -> Any:
        kept.append(score(pool, context))
        return kept[-1]

    return replace(acquisition, score=record)


def _also_scored(acquisition: Any, kept: list[Any]) -> Acquisition:
    """The same function, of those that choose a batch as a whole and can say what each molecule is worth."""

    class Scored:
        def select(self, pool: Pool, context: RoundContext, batch_size: int) -> Any:
            kept.append(acquisition.score(pool, context))
            return acquisition.select(pool, context, batch_size)

    return Scored()


def save_values(state: RoundState, pool: Pool, scores: list[Any]) -> None:
    """Keep what this round's candidates are worth.

    It is their scores, which `acquisition.base.select` has checked. Where a batch is chosen as a whole or at
    random, it is their standard deviations.
    """
    worth: NDArray[np.float64] = np.asarray(scores[0], dtype=np.float64) if scores else pool.std

    def write(path: Path) -> None:
        with path.open("w", newline="", encoding="utf-8") as file:
            rows = csv.writer(file)
            rows.writerow(["smiles", "value"])
            rows.writerows(zip(pool.smiles, worth.tolist(), strict=True))

    replace_file(state.path(VALUES_FILE), write)


def values(state: RoundState, round_: int) -> dict[str, float]:
    """The worth of a round's candidates by canonical SMILES; empty before the first round."""
    path = state.path(VALUES_FILE, round_=round_)
    if not path.exists():
        return {}
    with path.open(newline="", encoding="utf-8") as file:
        return {row["smiles"]: float(row["value"]) for row in csv.DictReader(file)}


def propose(state: RoundState) -> None:
    """Ask the proposer for candidates; those of the target set join them."""
    wanted = target_set.draw(state)
    state.ledger.add_candidates(state.round, wanted, origin="target")
    drawn, context = set(wanted), proposal_context(state)
    for kind, proposed in build_mix(state).by_part(context):
        others = (smiles for smiles in proposed if smiles not in drawn)
        state.ledger.add_candidates(state.round, others, origin=cast(Origin, kind))


def propose_given(state: RoundState, given: Sequence[str]) -> None:
    """Take candidates that somebody has handed over in place of the proposer's.

    Raises:
        CampaignError: none of them can be acquired, for these reasons.
    """
    taken, seen, reasons = state.ledger.known(), set[str](), Counter[str]()
    held_out = held_out_graphs(taken.values())
    for smiles in given:
        verdict = examine(str(smiles), state.molecules.domain, taken, seen, held_out)
        reasons[verdict.reason] += 1
        seen.add(verdict.smiles)
    if not reasons.pop("", 0):
        counts = ", ".join(f"{count} {reason}" for reason, count in reasons.most_common()) or "there is none"
        raise CampaignError(f"No candidate can be acquired: {counts}.")
    state.ledger.add_candidates(state.round, map(str, given), origin="given")


def proposal_context(state: RoundState) -> ProposalContext:
    """The knowledge that this round's proposer may use."""
    folder, rng = state.folder / "proposer", state.rng("propose")
    if all(isinstance(section, PoolConfig) for section in state.config.proposers):
        return ProposalContext(state.round, rng, folder=folder)  # a large pool is not read once more
    labelled = state.ledger.labelled("training", up_to_round=state.round - 1)
    return ProposalContext(
        state.round,
        rng,
        molecules=tuple(learned_molecules(state)),
        labels={candidate.smiles: value for candidate, value in labelled},
        values=values(state, state.round - 1),
        folder=folder,
    )
