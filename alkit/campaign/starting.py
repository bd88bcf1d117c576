"""The start stage: draw the test, validation and first training molecules, and label them."""

from collections import Counter

from alkit.campaign.labelling import label_batch
from alkit.campaign.round_state import RoundState
from alkit.errors import CampaignError, ConfigError, LabelError
from alkit.molecules.molecule import without_stereo
from alkit.storage.ledger import Role


def start(state: RoundState) -> None:
    """Draw the test, validation and first training molecules at random, and label them."""
    if not state.ledger.candidates(round_=0):
        _draw_start(state)
        state.ledger.commit()
    label_batch(state, state.ledger.candidates(round_=0, status=("acquired",)))
    for role in ("test", "validation", "training"):
        if len(state.ledger.labelled(role)) < 2:
            raise CampaignError(
                f"{_failures(state)}; fewer than 2 {role} molecules have a label, so nothing can start."
            )


def _draw_start(state: RoundState) -> None:
    sizes: dict[Role, int] = {
        "test": state.config.start.test,
        "validation": state.config.start.validation,
        "training": state.config.start.training,
    }
    seeds, graphs = state.molecules.seeds, dict[str, Role]()
    order = iter(state.rng("start").permutation(len(seeds)))
    with state.progress.steps("drawing start molecules", sum(sizes.values())) as advance:
        for role, size in sizes.items():
            drawn = 0
            while drawn < size:
                index = next(order, None)
                if index is None:
                    raise ConfigError(
                        f"start asks for {sum(sizes.values())} molecules, and the seeds hold {len(seeds)} in "
                        f"the domain, not all usable{_refused(state)}; lower the numbers of start."
                    )
                # Stereoisomers share a set: what is tested must not be known from its mirror image.
                graph = without_stereo(seeds[index])
                if graphs.setdefault(graph, role) == role and _admit(state, seeds[index], role):
                    drawn += 1
                    advance(1)


def _admit(state: RoundState, smiles: str, role: Role) -> bool:
    """Take a molecule into the start sets, if it has a geometry."""
    (candidate,) = state.ledger.add_candidates(0, [smiles], status="acquired", role=role)
    try:
        state.molecules.place(smiles)
    except LabelError as error:
        state.ledger.mark(candidate, "rejected", reason=error.reason, detail=error.detail)
        return False
    return True


def _refused(state: RoundState) -> str:
    """Why seeds have no geometry, with counts."""
    reasons = Counter(c.reason for c in state.ledger.candidates(round_=0, status=("rejected",)))
    counts = ", ".join(f"{count} {reason}" for reason, count in reasons.most_common())
    return f" ({counts})" if counts else ""


def _failures(state: RoundState) -> str:
    failed = Counter(c.reason for c in state.ledger.candidates(round_=state.round, status=("failed",)))
    counts = ", ".join(f"{count} {reason}" for reason, count in failed.most_common())
    return f"Labels failed ({counts})" if counts else "No label failed"
