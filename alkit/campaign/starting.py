"""The start stage: draw the test, validation and first training molecules, and label them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from itertools import islice

from alkit.acquisition import starts
from alkit.campaign import target_set
from alkit.campaign.candidates import refusals
from alkit.campaign.labelling import label_batch
from alkit.campaign.round_state import RoundState
from alkit.campaign.start_labels import check_start_labels, take_start_labels
from alkit.errors import CampaignError, ConfigError, words_of
from alkit.molecules.molecule import without_stereo
from alkit.storage.ledger import Role
from surrogate.kernel_prior import prior_covariance

_OFFERED = 5  # molecules that each of the start is chosen from; 40 are no better (docs/decisions/025)


def check_start(state: RoundState) -> None:
    """Check that the campaign can start.

    The seeds must hold enough molecules of the domain, or the existing labels must be enough. The user's own
    predicate must answer.

    Raises:
        ConfigError: it cannot; the message says why.
    """
    if state.config.start.labels:
        check_start_labels(state)
        return
    section, domain, seeds = state.config.start, state.molecules.domain, state.molecules.seeds
    wanted = section.training + section.validation
    wanted += 0 if target_set.listed(state) else section.test
    why = refusals(state.molecules.seeds_before_domain, domain) if domain.config.constrained else ""
    if wanted > len(seeds):
        raise ConfigError(
            f"start asks for {wanted} molecules, and the seeds hold {len(seeds)} in the domain"
            f"{f' (rejected: {why})' if why else ''}; lower start.training, start.validation or start.test, "
            f"{'widen the domain, ' if why else ''}or give a larger `seeds`."
        )
    domain.check(seeds)
    if domain.config.constrained:
        state.progress.say(f"domain: {len(seeds)} of the seeds; rejected: {why or 'none'}")


def start(state: RoundState) -> None:
    """Draw the test, validation and first training molecules, and label them.

    Molecules that have labels are taken instead where the file says so.
    """
    if not state.ledger.candidates(round_=0):
        if state.config.start.labels:
            take_start_labels(state)
        else:
            _draw_start(state)
        state.ledger.commit()
    label_batch(state, state.ledger.candidates(round_=0, status=("acquired",)))
    for role in ("test", "validation", "training"):
        if (role != "validation" or state.config.start.validation) and len(state.ledger.labelled(role)) < 2:
            raise CampaignError(
                f"{_failures(state)}; fewer than 2 {role} molecules have a label, so nothing can start."
            )


def _draw_start(state: RoundState) -> None:
    sizes: dict[Role, int] = {
        "test": state.config.start.test,
        "validation": state.config.start.validation,
        "training": state.config.start.training,
    }
    graphs, seeds = dict[str, Role](), _shuffled(state, state.molecules.seeds, "start")
    # What is tested is what the surrogate must be good at.
    named = target_set.listed(state)
    tested = _shuffled(state, named, "start of the target set") if named else seeds
    with state.progress.steps("drawing start molecules", sum(sizes.values())) as advance:
        for role, size in sizes.items():
            # Stereoisomers share a set: what is tested must not be known from its mirror image.
            offered = tested if role == "test" else seeds
            usable: Iterator[str] = (
                one for one in offered if graphs.setdefault(without_stereo(one), role) == role
            )
            if role == "training" and state.config.start.choice != "random":
                usable = iter(_chosen(state, list(islice(usable, _OFFERED * size)), size))
            missing = size
            while missing:
                if not (drawn := list(islice(usable, missing))):
                    raise ConfigError(
                        f"start asks for {sum(sizes.values())} molecules, and the seeds hold "
                        f"{len(state.molecules.seeds)} in the domain, not all usable{_refused(state)}; lower "
                        "the numbers of start."
                    )
                admitted = _admit(state, drawn, role)
                advance(admitted)
                missing -= admitted


def _chosen(state: RoundState, offered: list[str], size: int) -> list[str]:
    """Molecules in the order of ``start.choice``, then the others, in case that some have no label."""
    failed = state.molecules.place(offered)
    placed = [smiles for smiles in offered if smiles not in failed]
    if state.config.start.choice == "kmeans++":
        features = state.molecules.soap_of(placed)
        rows = starts.far_apart(features, size, state.seed("start, far apart"))
    else:
        settings = state.molecules.builder.settings
        covariance = prior_covariance(settings, state.molecules.graphs(placed))
        rows = starts.least_variance(covariance, size)
    first = dict.fromkeys(placed[row] for row in rows)
    return [*first, *(smiles for smiles in placed if smiles not in first)]


def _shuffled(state: RoundState, molecules: list[str], purpose: str) -> Iterator[str]:
    return (molecules[index] for index in state.rng(purpose).permutation(len(molecules)))


def _admit(state: RoundState, smiles: list[str], role: Role) -> int:
    """Take molecules into the start sets, if they have a geometry; how many have one."""
    ids = state.ledger.add_candidates(0, smiles, status="acquired", role=role, origin="start")
    failed = state.molecules.place(smiles)
    for candidate, one in zip(ids, smiles, strict=True):
        if error := failed.get(one):
            reason, detail = words_of(error)
            state.ledger.mark(candidate, "rejected", reason=reason, detail=detail)
    return len(smiles) - len(failed)


def _refused(state: RoundState) -> str:
    """Why seeds have no geometry, with counts."""
    reasons = Counter(c.reason for c in state.ledger.candidates(round_=0, status=("rejected",)))
    counts = ", ".join(f"{count} {reason}" for reason, count in reasons.most_common())
    return f" ({counts})" if counts else ""


def _failures(state: RoundState) -> str:
    failed = Counter(c.reason for c in state.ledger.candidates(round_=state.round, status=("failed",)))
    counts = ", ".join(f"{count} {reason}" for reason, count in failed.most_common())
    return f"Labels failed ({counts})" if counts else "No label failed"
