"""SOAP features of a round's candidates and of what is labelled."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from alkit.molecules import soap
from alkit.storage.ledger import Candidate

if TYPE_CHECKING:
    from ase import Atoms

    from alkit.campaign.round_state import RoundState


def features(state: RoundState, molecules: Sequence[Candidate]) -> NDArray[np.float32]:
    """``(n, d)`` SOAP features, the same in every round; a campaign that goes on computes them anew."""
    kept = state.described
    if kept.soap is None:
        kept.soap = _soap(state)
    new = [c.smiles for c in molecules if c.smiles not in kept.rows]
    with state.progress.steps("features", len(new)) as advance:
        found = kept.soap.features([_atoms(state, smiles) for smiles in new], advance)
    kept.rows.update(zip(new, found, strict=True))
    return np.array([kept.rows[c.smiles] for c in molecules])


def _soap(state: RoundState) -> soap.Soap:
    """Of the start and the first round's candidates: what they are does not change any more."""
    from ase.data import atomic_numbers

    start = [c for role in ("training", "validation") for c, _ in state.ledger.labelled(role, up_to_round=0)]
    first = [c for c in state.ledger.candidates(round_=1) if c.status not in ("proposed", "rejected")]
    return soap.Soap.fit(
        [_atoms(state, c.smiles) for c in (*start, *first)],
        np.random.default_rng(state.config.seed),
        elements=[atomic_numbers[symbol] for symbol in state.config.domain.elements],
    )


def _atoms(state: RoundState, smiles: str) -> Atoms:
    from ase import Atoms

    molecule = state.molecule(smiles)
    return Atoms(molecule.numbers, molecule.positions)
