"""Labels for a batch of candidates: from the ledger, from the cache that campaigns share, or computed.

A label is in the ledger and in the cache, each by a transaction of its own, before the next one is looked at.
Where two campaigns want the same molecule at the same level one computes it, and the other waits.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from alkit.engines.base import DEADLINE
from alkit.errors import LabelError
from alkit.molecules.molecule import Molecule
from alkit.reporting.progress import Advance
from alkit.simulators.base import Label
from alkit.simulators.manual import MANUAL
from alkit.storage.label_cache import LabelCache
from alkit.storage.ledger import Candidate, Source

if TYPE_CHECKING:
    from alkit.campaign.round_state import RoundState


class LabelsToComeError(Exception):
    """A round waits for labels that come by hand.

    Args:
        round_: which one.
        count: how many.
    """

    def __init__(self, round_: int, count: int):
        super().__init__(f"round {round_} waits for {count} labels")
        self.round, self.count = round_, count


_POLL = 0.5  # seconds between two looks at what others compute


def label_batch(state: RoundState, batch: Sequence[Candidate]) -> None:
    """Label candidates that have a geometry; what fails, fails with its reason.

    What has no label when ``simulator.deadline`` has passed fails as "deadline"; if it is being computed, its
    label goes to the cache when it comes. The start has no deadline: nothing can begin without its labels.

    Raises:
        LabelsToComeError: they come by hand, and these are not there yet.
    """
    if not batch:
        return
    if state.config.simulator.kind == MANUAL:
        raise LabelsToComeError(state.round, len(batch))
    engine = state.labels.engine
    state.labels.check_level(engine.level)
    state.ledger.level = engine.level
    with state.progress.steps(f"labelling at {engine.level}", len(batch)) as advance:
        work = _Batch(state, {candidate.smiles: candidate.id for candidate in batch}, advance)
        missing = work.from_ledger()
        work.compute(missing)
        work.await_others()


@dataclass
class _Batch:
    state: RoundState
    ids: dict[str, int]
    advance: Advance

    def __post_init__(self) -> None:
        self._cache: LabelCache | None = self.state.labels.cache
        self._elsewhere: list[Molecule] = []  # other processes are at them
        deadline = self.state.config.simulator.deadline if self.state.round else None
        self._end = None if deadline is None else time.monotonic() + deadline

    def from_ledger(self) -> list[str]:
        """Settle what this campaign has labelled before; returns the others."""
        missing = []
        for smiles in self.ids:
            if (label := self.state.ledger.label(smiles, self.state.labels.engine.level)) is None:
                missing.append(smiles)
            else:
                self._settle(smiles, label, "ledger")
        return missing

    def compute(self, missing: Sequence[str]) -> None:
        """Label these, but for what others have labelled or are labelling."""
        self._run(self._claimed(self.state.molecules.molecule(smiles) for smiles in missing))

    def await_others(self) -> None:
        """Take what others are computing as it comes; compute it where they give up."""
        while self._elsewhere:
            waiting, self._elsewhere = self._elsewhere, []
            self._run(self._claimed(waiting))
            if self._elsewhere and self._end is not None and time.monotonic() > self._end:
                for molecule in self._elsewhere:
                    self._settle(molecule.smiles, LabelError(DEADLINE, "it is still being computed"))
                return
            if self._elsewhere:
                self.advance(0)  # an interrupt is noticed here
                time.sleep(_POLL)

    def _run(self, molecules: Iterator[Molecule]) -> None:
        left = None if self._end is None else max(self._end - time.monotonic(), 0.0)
        late = None if self._cache is None else self._keep
        for molecule, outcome in self.state.labels.engine.label_all(molecules, deadline=left, on_late=late):
            self._settle(molecule.smiles, outcome)
            if not _is_late(outcome):  # what is late keeps its claim until it comes
                self._keep(molecule, outcome)

    def _claimed(self, molecules: Iterator[Molecule] | Sequence[Molecule]) -> Iterator[Molecule]:
        for molecule in molecules:
            if self._cache is None:
                yield molecule
            elif (label := self._cache.get(molecule)) is not None:
                self._settle(molecule.smiles, label, "cache")
            elif self._cache.claim(molecule):
                yield molecule
            else:
                self._elsewhere.append(molecule)

    def _keep(self, molecule: Molecule, outcome: Label | LabelError) -> None:
        """Into the cache, or the claim given back; of late ones in a thread of the engine."""
        if self._cache is None:
            return
        if isinstance(outcome, Label):
            self._cache.put(molecule, outcome)
        else:
            self._cache.release(molecule)

    def _settle(self, smiles: str, outcome: Label | LabelError, source: Source = "computed") -> None:
        ledger, candidate = self.state.ledger, self.ids[smiles]
        if isinstance(outcome, Label):
            ledger.add_label(outcome)
            ledger.mark(candidate, "labelled")
        else:
            ledger.mark(candidate, "failed", reason=outcome.reason, detail=outcome.detail)
        ledger.add_outcome(candidate, outcome, self.state.labels.engine.level, source)
        ledger.commit()
        self.advance(1)


def _is_late(outcome: Label | LabelError) -> bool:
    """Whether a worker is still at it."""
    return isinstance(outcome, LabelError) and outcome.reason == DEADLINE and bool(outcome.attempts)


def label(state: RoundState) -> None:
    """Label the batch in worker processes; every label is on disk the moment it arrives."""
    label_batch(state, state.ledger.candidates(round_=state.round, status=("acquired",)))
