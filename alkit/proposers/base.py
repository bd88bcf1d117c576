"""The contract of a proposer, and the check of what one returns."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np

from alkit.errors import ProposalError


@dataclass(frozen=True)
class ProposalContext:
    """The knowledge that a proposer may use. Nothing of the test set is in it.

    Attributes:
        round: from 1.
        rng: seeded for this round; draw every random number from it.
        molecules: canonical SMILES to learn from, seeds and acquired ones.
        labels: eV, of the molecules labelled for training.
        values: what the last round's candidates were worth to the acquisition function; higher is better. In
            the first round there are none.
        folder: for files of the proposer's own, which has to make it; the same one in every round. A killed
            round is run again.
    """

    round: int
    rng: np.random.Generator
    molecules: tuple[str, ...] = ()
    labels: Mapping[str, float] = field(default_factory=dict)
    values: Mapping[str, float] = field(default_factory=dict)
    folder: Path = Path(".")


@runtime_checkable
class Proposer(Protocol):
    """A source of candidates."""

    def propose(self, n: int, context: ProposalContext) -> Iterable[str]:
        """About ``n`` SMILES; repeats and impossible ones are screened out afterwards."""
        ...


def proposals(proposer: Proposer, name: str, n: int, context: ProposalContext) -> Iterator[str]:
    """Ask a proposer for at most ``n`` molecules.

    Yields:
        Checked proposals, as they come.

    Raises:
        ProposalError: it fails, or returns something else than texts; the message names it.
    """
    try:
        proposed = proposer.propose(n, context)
        if isinstance(proposed, str):
            raise ProposalError(
                f"proposer {name} proposed one text, {proposed!r:.100}; give a list of SMILES."
            )
        for smiles in islice(proposed, n):
            if not isinstance(smiles, str) or not smiles.isascii():
                raise ProposalError(
                    f"proposer {name} proposed {smiles!r:.100}, of type {type(smiles).__name__}; SMILES "
                    "are expected."
                )
            yield smiles
    except (ProposalError, GeneratorExit):
        raise
    # The user's code may raise anything, also an exit; the message must say that it was theirs.
    except (Exception, SystemExit) as error:
        problem = (str(error).splitlines() or [""])[0]
        raise ProposalError(f"proposer {name} failed: {type(error).__name__}: {problem}.") from error
