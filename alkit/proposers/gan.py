"""The generator in a campaign: what it learns from each round, and its proposals."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from alkit.proposers.base import ProposalContext

if TYPE_CHECKING:
    from generator import GraphGAN


@dataclass(frozen=True)
class GANProposer:
    """Different molecules drawn from a trained generator, none of which it was trained on."""

    gan: GraphGAN

    def propose(self, n: int, context: ProposalContext) -> Iterable[str]:
        """Draw ``n`` new molecules, fewer if the generator does not give so many."""
        seed = int(context.rng.integers(2**31))
        return self.gan.stream(n, seed=seed, unique=True, novel_against=self.gan.known)
