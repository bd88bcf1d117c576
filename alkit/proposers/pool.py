"""Proposing from a list."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from alkit.candidates import in_domain
from alkit.config import proposer
from alkit.errors import ConfigError
from alkit.proposers.base import ProposalContext

if TYPE_CHECKING:
    from alkit.state import RoundState


@dataclass(frozen=True)
class PoolProposer:
    """Molecules of a fixed list: all that were not taken yet, or a random ``n`` of them."""

    smiles: tuple[str, ...]
    taken: frozenset[str]

    def propose(self, n: int, context: ProposalContext) -> Iterable[str]:
        free = [s for s in self.smiles if s not in self.taken]
        if n >= len(free):
            return free
        return [free[i] for i in sorted(context.rng.choice(len(free), n, replace=False))]


def build(state: RoundState, section: proposer.PoolConfig) -> PoolProposer:
    # What was rejected once for what it is will be again; `known` alone would propose it every round.
    rejected = {c.smiles for c in state.ledger.candidates(status=("rejected",)) if c.reason != "repeated"}
    taken = set(state.ledger.known()) | rejected
    return PoolProposer(tuple(molecules(state, section)), frozenset(taken))


def molecules(state: RoundState, section: proposer.PoolConfig) -> list[str]:
    """The pool as given, one molecule once; screening says what is wrong with which."""
    if section.file is None:
        return list(dict.fromkeys(state.given_seeds))
    from alkit.datasets import read_smiles

    return list(dict.fromkeys(read_smiles(section.file)))


def check(state: RoundState, section: proposer.PoolConfig) -> None:
    """Once, before work begins: every round's screening judges the pool's molecules anyway.

    Raises:
        ConfigError: a pool file of which nothing is in the domain.
    """
    if section.file is not None and not in_domain(molecules(state, section), state.config.domain):
        raise ConfigError(
            f"proposer.file {section.file}: the pool is empty, no molecule of it is in the domain."
        )
