"""The conformance kit of proposers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from alkit import plugins
from alkit.campaign.candidates import in_domain
from alkit.campaign.domain import Domain
from alkit.config.domain import DomainConfig
from alkit.molecules.enumeration import seed_molecules
from alkit.proposers import ProposalContext, proposals
from alkit.proposers.registry import adapt_proposer
from alkit.testing.names import name_of

_LEARNED, _ASKED, _LEAST_USABLE = 300, 40, 0.1


def check_proposer(proposer: Any, folder: Path, **settings: Any) -> list[str]:
    """Check the contract of a proposer.

    It proposes usable SMILES, in the number asked for, and the same ones from the same context. That holds
    also without values and with few molecules to learn from. It draws random numbers from the context alone.

    Args:
        proposer: a class, an object, a function, or ``./file.py:Name``.
        folder: an empty folder for files of the proposer.
        **settings: arguments of the class.

    Returns:
        The last proposals, canonical.

    Raises:
        AssertionError: the contract is broken.
        AlkitError: it cannot be loaded, fails, or proposes something else than texts.
    """
    name = name_of(proposer)
    if isinstance(proposer, str):
        proposer = plugins.load_code(proposer)
    molecules = tuple(seed_molecules()[:_LEARNED])
    labels = {smiles: -4.0 * len(smiles) for smiles in molecules[:50]}
    values = {smiles: float(k % 7) for k, smiles in enumerate(molecules[50:150])}
    usable: list[str] = []
    for round_, (known, worth) in enumerate([(molecules[:30], {}), (molecules, values)], start=1):
        learned = {one: value for one, value in labels.items() if one in known}
        proposed = [
            list(
                proposals(
                    adapt_proposer(proposer, name, settings),
                    name,
                    _ASKED,
                    ProposalContext(round_, np.random.default_rng(seed), known, learned, worth, Path(folder)),
                )
            )
            for seed in (1, 1, 2)
        ]
        where = f"{name}, round {round_} with {len(known)} molecules"
        assert proposed[0], f"{where}: nothing was proposed; about n SMILES are expected."
        assert proposed[0] == proposed[1], (
            f"{where}: the same context was answered differently the second time; draw every random number "
            "from context.rng, and take what lies in context.folder for what it may be: of a round that was "
            "killed."
        )
        assert proposed[0] != proposed[2] or len(set(proposed[0])) < 2, (
            f"{where}: another context.rng gave the same proposals; draw from context.rng."
        )
        usable = _usable(proposed[0])
        assert len(usable) >= _LEAST_USABLE * len(proposed[0]), (
            f"{where}: {len(usable)} of {len(proposed[0])} proposals are molecules that alkit can label; a "
            f"tenth at least is expected."
        )
    return usable


def _usable(smiles: list[str]) -> list[str]:
    """Different molecules that a campaign with the default domain would let through, canonical."""
    return in_domain(smiles, Domain(DomainConfig.model_validate({})))
