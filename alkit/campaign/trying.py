"""Label a few molecules before a campaign begins: whether its simulator works is known after seconds."""

from __future__ import annotations

from itertools import islice

from alkit.campaign.round_state import RoundState
from alkit.errors import CampaignError, LabelError, words_of
from alkit.simulators.base import Label
from alkit.simulators.manual import MANUAL

TRIED = 3


def try_labels(state: RoundState) -> list[tuple[str, Label | LabelError]]:
    """Labels of the first molecules that the campaign would draw, or why they have none; nothing is kept.

    Raises:
        CampaignError: not one of them has a label.
    """
    if state.config.simulator.kind == MANUAL:
        raise CampaignError("simulator: manual computes no label to try; leave out --try.")
    order = state.rng("start").permutation(len(state.molecules.seeds))
    drawn = [state.molecules.seeds[index] for index in islice(order, TRIED)]
    outcomes: dict[str, Label | LabelError] = {}
    with state.progress.steps(f"labelling {len(drawn)} molecules", len(drawn)) as advance:
        for smiles, error in state.molecules.place(drawn).items():
            outcomes[smiles] = error if isinstance(error, LabelError) else LabelError(*words_of(error))
        placed = [state.molecules.molecule(smiles) for smiles in drawn if smiles not in outcomes]
        for molecule, outcome in state.labels.engine.label_all(placed):
            outcomes[molecule.smiles] = outcome
            advance(1)
    if all(isinstance(outcome, LabelError) for outcome in outcomes.values()):
        reasons = "; ".join(str(outcome) for outcome in outcomes.values())
        raise CampaignError(f"None of {len(drawn)} molecules has a label: {reasons}.")
    return [(smiles, outcomes[smiles]) for smiles in drawn]
