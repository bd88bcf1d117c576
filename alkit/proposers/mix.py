"""Several proposers in turn."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from alkit.proposers.base import ProposalContext, Proposer, proposals


@dataclass(frozen=True)
class Part:
    """A proposer of a mix, what messages call it, and how many it proposes in a round."""

    proposer: Proposer
    name: str
    count: int


@dataclass(frozen=True)
class MixProposer:
    """Several proposers, one after the other, each with random numbers and a folder of its own.

    What two of them propose counts for the first: the second's is screened out as a repeat.
    """

    parts: tuple[Part, ...]

    def by_part(self, context: ProposalContext) -> Iterator[tuple[str, Iterator[str]]]:
        """The name of each part, and its proposals, to be read before those of the next."""
        for k, part in enumerate(self.parts):
            own = context
            if len(self.parts) > 1:
                rng = np.random.default_rng(context.rng.integers(2**31))
                own = replace(context, rng=rng, folder=context.folder / f"{k}_{part.name}")
            yield part.name, proposals(part.proposer, part.name, part.count, own)
