"""The screen stage: drop candidates that cannot be labelled or teach nothing, each with a reason."""

from alkit.campaign import candidates
from alkit.campaign.acquiring import needs_geometry
from alkit.campaign.round_state import RoundState
from alkit.errors import DataError, LabelError, words_of
from alkit.storage.ledger import Status


def screen(state: RoundState) -> None:
    """Drop what is invalid, repeated, known, outside the domain or without a geometry, with the reason."""
    taken, seen = state.ledger.known(), set[str]()
    held_out = candidates.held_out_graphs(taken.values())
    proposed = state.ledger.candidates(round_=state.round, status=("proposed",))
    verdicts = []
    for candidate in proposed:
        verdict = candidates.examine(candidate.smiles, state.molecules.domain, taken, seen, held_out)
        verdicts.append(verdict)
        if not verdict.reason:
            seen.add(verdict.smiles)
    accepted = [verdict.smiles for verdict in verdicts if not verdict.reason]
    failed: dict[str, LabelError | DataError] = {}
    if needs_geometry(state):
        with state.progress.steps("screening", len(accepted)) as advance:
            failed = state.molecules.place(accepted, advance)
    for candidate, verdict in zip(proposed, verdicts, strict=True):
        reason, detail = verdict.reason, verdict.detail
        if not reason and (error := failed.get(verdict.smiles)):
            reason, detail = words_of(error)
        status: Status = "rejected" if reason else "screened"
        state.ledger.mark(candidate.id, status, reason=reason, detail=detail, smiles=verdict.smiles)
