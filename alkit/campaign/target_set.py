"""The target set: which molecules the surrogate must be good at, and which stand for it in a round."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from alkit.campaign.candidates import held_out_graphs, settled
from alkit.errors import CampaignError, ConfigError
from alkit.molecules.marginals import Marginals
from alkit.molecules.molecule import without_stereo

if TYPE_CHECKING:
    from collections.abc import Sequence

    from alkit.campaign.round_state import RoundState
    from alkit.storage.ledger import Candidate


def check_target_set(state: RoundState) -> None:
    """Whether a target set that is a file has molecules for a test set, and some to aim at.

    Raises:
        ConfigError: it has not.
    """
    section, start = state.config.target_set, state.config.start
    test = 0 if start.labels else start.test
    if section and section.file and (found := len(listed(state))) <= test:
        raise ConfigError(
            f"target_set.file {section.file}: {found} molecules of it are in the domain, and start.test "
            f"takes {test} of them; give more, or lower start.test."
        )


def listed(state: RoundState) -> list[str]:
    """Canonical SMILES of a target set that is a file; none of another. Test molecules come from it."""
    return state.molecules.target_file


def known(state: RoundState) -> list[str]:
    """Molecules of `listed` that the loop may learn from and choose; none if it knows a distribution."""
    return [] if _is_distribution(state) else listed(state)


def _is_distribution(state: RoundState) -> bool:
    section = state.config.target_set
    return section is not None and section.known == "distribution"


def distribution(state: RoundState) -> Marginals | None:
    """The distribution that stands for a target set; None for a list.

    Test molecules are not in it.
    """
    if not _is_distribution(state):
        return None
    tested = held_out_graphs(state.ledger.known().values())
    return Marginals.of([one for one in listed(state) if without_stereo(one) not in tested])


def draw(state: RoundState) -> list[str]:
    """The unlabelled molecules that stand for the target set in this round.

    The same ones in every round but for those that were labelled or failed since, which others replace.
    """
    section = state.config.target_set
    if section is None or section.kind == "pool" or _is_distribution(state):
        return []
    molecules = listed(state) if section.file else state.molecules.seeds
    taken, held_out = settled(state.ledger), held_out_graphs(state.ledger.known().values())
    drawn: list[str] = []
    for index in np.random.default_rng(state.config.seed).permutation(len(molecules)):
        smiles = molecules[index]
        if len(drawn) == section.count:
            break
        if smiles not in taken and without_stereo(smiles) not in held_out:
            drawn.append(smiles)
    return drawn


def rows(state: RoundState, screened: Sequence[Candidate]) -> NDArray[np.int64] | None:
    """Rows of this round's screened candidates that stand for the target set.

    None: there is no target set, or none of it is left.
    """
    if (section := state.config.target_set) is None:
        return None
    if marginals := distribution(state):
        return _in_their_place(state, marginals, screened, section.count)
    origins, wanted = state.ledger.origins(state.round), "pool" if section.kind == "pool" else "target"
    found = [k for k, candidate in enumerate(screened) if origins.get(candidate.id) == wanted]
    return np.array(found, dtype=np.int64) if found else None


def _in_their_place(
    state: RoundState, marginals: Marginals, screened: Sequence[Candidate], most: int
) -> NDArray[np.int64] | None:
    """Candidates that stand for a target set of which the distribution alone is known.

    They are drawn so that they have it, as many as their weights are worth (Kish's effective number).
    """
    if not screened:
        return None
    weights = marginals.weights([candidate.smiles for candidate in screened])
    number = min(most, max(1, int(1 / (weights**2).sum())))
    drawn = state.rng("target").choice(len(weights), size=number, replace=False, p=weights)
    return np.sort(drawn).astype(np.int64)


def offered(state: RoundState, n: int, rows: NDArray[np.int64] | None) -> NDArray[np.int64]:
    """Which of ``n`` screened candidates may be acquired.

    Args:
        state: of the round.
        n: number of screened candidates.
        rows: those that stand for the target set.

    Raises:
        CampaignError: none of them.
    """
    section, every = state.config.target_set, np.arange(n)
    if section is None or section.candidates or section.kind == "pool":
        return every
    if rows is None or _is_distribution(state):
        return every
    if not len(left := np.setdiff1d(every, rows)):
        raise CampaignError(
            f"round {state.round}: no proposal was left after screening, and target_set.candidates is false; "
            "let the proposer give more, or set it to true."
        )
    return left
