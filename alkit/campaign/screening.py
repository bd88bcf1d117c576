"""The screen stage: drop candidates that cannot be labelled or teach nothing, each with a reason."""

from alkit.campaign import candidates
from alkit.campaign.round_state import RoundState
from alkit.errors import LabelError
from alkit.storage.ledger import Status


def screen(state: RoundState) -> None:
    """Drop what is invalid, repeated, known, outside the domain or without a geometry, with the reason."""
    taken, seen = state.ledger.known(), set[str]()
    held_out = candidates.held_out_graphs(taken.values())
    proposed = state.ledger.candidates(round_=state.round, status=("proposed",))
    with state.progress.steps("screening", len(proposed)) as advance:
        for candidate in proposed:
            verdict = candidates.examine(candidate.smiles, state.config.domain, taken, seen, held_out)
            reason, detail = verdict.reason, verdict.detail
            if not reason:
                seen.add(verdict.smiles)
                try:
                    state.molecules.place(verdict.smiles)
                except LabelError as error:
                    reason, detail = error.reason, error.detail
            status: Status = "rejected" if reason else "screened"
            state.ledger.mark(candidate.id, status, reason=reason, detail=detail, smiles=verdict.smiles)
            advance(1)
