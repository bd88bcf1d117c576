"""Labels for a batch of candidates: from the ledger, from the cache that campaigns share, or computed.

A label is in the ledger and in the cache, each by a transaction of its own, before the next one is looked at.
Where two campaigns want the same molecule at the same level one computes it, and the other waits.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from alkit.engines.base import DEADLINE
from alkit.errors import CampaignError, LabelError
from alkit.molecules.molecule import Molecule
from alkit.reporting.events import LabelEvent, reasons
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
_FIRST = 10  # labels, or two for each worker: if so many fail before the first succeeds, something is wrong


def label_batch(state: RoundState, batch: Sequence[Candidate]) -> None:
    """Label candidates that have a geometry; what fails, fails with its reason.

    What has no label when ``simulator.deadline`` has passed fails as "deadline"; if it is being computed, its
    label goes to the cache when it comes. The start has no deadline: nothing can begin without its labels.

    Raises:
        LabelsToComeError: they come by hand, and these are not there yet.
        CampaignError: the campaign has no label yet, and the first ones all failed. These failures are not
            kept: the same molecules are tried again.
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
        work.check_first(last=True)


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
        self._failed: Counter[str] = Counter()
        self._done = 0
        # Failures before the very first label of the campaign wait here: they say more of the simulator.
        self._held: list[tuple[str, LabelError]] = []
        self._proven = self.state.round > 0 or bool(self.state.ledger.candidates(status=("labelled",)))

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
            self.check_first()

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
        """Write a label into the cache, or give its claim back; for late ones in a thread of the engine."""
        if self._cache is None:
            return
        if isinstance(outcome, Label):
            self._cache.put(molecule, outcome)
        else:
            self._cache.release(molecule)

    def check_first(self, *, last: bool = False) -> None:
        """Stop where the first labels have all failed.

        Args:
            last: there are no more to come.

        Raises:
            CampaignError: they have.
        """
        enough = 1 if last else max(_FIRST, 2 * self.state.config.simulator.workers)
        if self._proven or len(self._held) < enough:
            return
        smiles, error = self._held[0]
        raise CampaignError(
            f"The first {len(self._held)} labels all failed ({reasons(self._failed)}), and the campaign "
            f"stops; the first was {smiles}: {error}. `alkit doctor` says which simulators work here. "
            "When the cause is put right, the same command tries these molecules again."
        )

    def _settle(self, smiles: str, outcome: Label | LabelError, source: Source = "computed") -> None:
        self._proven = self._proven or isinstance(outcome, Label)
        if isinstance(outcome, LabelError) and not self._proven:
            self._held.append((smiles, outcome))
        else:
            while self._held:
                self._write(*self._held.pop(0), "computed")
            self._write(smiles, outcome, source)
        self._announce(smiles, outcome, source)

    def _announce(self, smiles: str, outcome: Label | LabelError, source: Source) -> None:
        reason, detail = (outcome.reason, outcome.detail) if isinstance(outcome, LabelError) else ("", "")
        self._done += 1
        self._failed.update([reason] if reason else [])
        self.state.progress.send(
            LabelEvent(
                folder=self.state.folder,
                round=self.state.round,
                smiles=smiles,
                reason=reason,
                detail=detail,
                source=source,
                done=self._done,
                total=len(self.ids),
                failed=dict(self._failed),
            )
        )
        self.advance(1)

    def _write(self, smiles: str, outcome: Label | LabelError, source: Source) -> None:
        ledger, candidate = self.state.ledger, self.ids[smiles]
        if isinstance(outcome, Label):
            ledger.add_label(outcome)
            ledger.mark(candidate, "labelled")
        else:
            ledger.mark(candidate, "failed", reason=outcome.reason, detail=outcome.detail)
        ledger.add_outcome(candidate, outcome, self.state.labels.engine.level, source)
        ledger.commit()


def _is_late(outcome: Label | LabelError) -> bool:
    """Whether a worker is still at it."""
    return isinstance(outcome, LabelError) and outcome.reason == DEADLINE and bool(outcome.attempts)


def label(state: RoundState) -> None:
    """Label the batch in worker processes; every label is on disk the moment it arrives."""
    label_batch(state, state.ledger.candidates(round_=state.round, status=("acquired",)))
