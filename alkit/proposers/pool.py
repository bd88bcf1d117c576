"""Proposing from a list."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from alkit.proposers.base import ProposalContext


@dataclass(frozen=True)
class PoolProposer:
    """Molecules of a fixed list: all that were not taken yet, or a random ``n`` of them."""

    smiles: tuple[str, ...]
    taken: frozenset[str]

    def propose(self, n: int, context: ProposalContext) -> Iterable[str]:
        """Draw ``n`` molecules that were not taken before; all that are left if they are fewer."""
        free = [s for s in self.smiles if s not in self.taken]
        if n >= len(free):
            return free
        return [free[i] for i in sorted(context.rng.choice(len(free), n, replace=False))]
