"""Take labels that come by hand: each row is checked, and kept or refused with the reason.

What is kept of one call is one transaction. A label is of a molecule that the open round asks for, at the
campaign's level of theory. It is finite, and an energy that its atoms can have. Its geometry, if there is
one, is that molecule's.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from alkit.campaign.asking import needed_round, reading_state
from alkit.campaign.by_hand import BY_HAND, RefusalError, check_level, label_of
from alkit.campaign.folder import LEDGER, locked_folder, open_campaign, stored_config
from alkit.campaign.label_files import (
    LabelRow,
    is_empty,
    names_a_label,
    text_of,
    value_column,
    whole_number,
)
from alkit.campaign.round_state import RoundState
from alkit.config.schema import CampaignConfig
from alkit.datasets.structures import perceived_smiles
from alkit.datasets.tables import parse_number
from alkit.errors import Attempt, CampaignError, DataError, LabelError
from alkit.molecules.energies import read_as
from alkit.molecules.identity import changes
from alkit.molecules.molecule import canonical, without_stereo
from alkit.simulators.base import Label, Level, create_simulator
from alkit.simulators.manual import LabelReading
from alkit.storage.ledger import Candidate, Ledger

_SAME = 1e-6  # in the unit of labels: one that comes again
_GIVEN_UP = LabelError("not_labelled", "no label came", (Attempt(BY_HAND, "not_labelled", 0.0),))


class Refused(NamedTuple):
    """A row that was not taken: where it stands, and why."""

    where: str
    why: str


@dataclass(frozen=True)
class Answer:
    """The fate of the rows of one call.

    Attributes:
        labelled, failed: labels and failures that were kept.
        repeated: rows that say what is known already.
        empty: rows without a label and without a reason.
        to_come: labels that the round still waits for.
        refused: the others.
        hint: what the refused numbers look like; mostly empty.
    """

    labelled: int = 0
    failed: int = 0
    repeated: int = 0
    empty: int = 0
    to_come: int = 0
    refused: list[Refused] = field(default_factory=list)
    hint: str = ""

    def __str__(self) -> str:
        """One sentence on what was taken."""
        counts = {
            "labels taken": self.labelled,
            "failures": self.failed,
            "known already": self.repeated,
            "empty": self.empty,
            "refused": len(self.refused),
        }
        said = ", ".join(f"{count} {what}" for what, count in counts.items() if count) or "nothing taken"
        return f"{said}; {self.to_come} labels to come."


def tell(
    folder: Path,
    rows: Iterable[LabelRow],
    *,
    what: str,
    column: str | None = None,
    level: str | None = None,
    unit: str | None = None,
    kind: str | None = None,
    references: str | Mapping[str, float] | None = None,
    replace: bool = False,
    rest_failed: bool = False,
) -> Answer:
    """Keep labels that came by hand.

    Args:
        folder: of the campaign.
        rows: one a molecule.
        what: names the rows in messages.
        column: that holds the labels; found by its usual names otherwise.
        level: the method they were computed with, which must be the campaign's.
        unit: of the numbers, where it is not that of the campaign file.
        kind: of the energies, likewise.
        references: energies of single atoms, likewise.
        replace: put labels in the place of those of the open round that say something else.
        rest_failed: count what is then still without a label as failed.

    Raises:
        CampaignError: no campaign, none that waits for labels, another level, or no row that could be taken.
        DataError: rows that cannot be read.
        ConfigError: options that cannot be read.
    """
    open_campaign(folder)[1].close()  # before a folder or a lock is made
    with locked_folder(Path(folder)), closing(Ledger(Path(folder) / LEDGER)) as ledger:
        config = stored_config(ledger)
        round_ = needed_round(ledger, config, folder)
        state = reading_state(config, ledger, Path(folder), round_)
        simulator: Any = create_simulator(state.labels.simulator)
        if level is not None and level not in (simulator.level.method, str(simulator.level)):
            raise CampaignError(
                f"{what} is of {level}, and the campaign's labels are {simulator.level}; levels never mix."
            )
        reading = _reading(config, simulator.reading, unit, kind, references)
        batch = _Tell(state, simulator.level, reading, what, column, replace)
        answer = batch.sort(rows)
        with ledger.transaction():
            batch.keep()
            if rest_failed:
                answer = batch.give_up(answer)
        return answer


def _reading(
    config: CampaignConfig,
    usual: LabelReading,
    unit: str | None,
    kind: str | None,
    references: str | Mapping[str, float] | None,
) -> LabelReading:
    if unit is None and kind is None and references is None:
        return usual
    settings = config.simulator.settings
    kind = kind or usual.kind
    if references is None and kind == "total":
        references = settings.get("references")
    return LabelReading(usual.target, unit or usual.unit, kind, references)


_Outcome = Label | LabelError


class _Tell:
    """The rows of one call, sorted into what is kept and what is refused."""

    def __init__(
        self,
        state: RoundState,
        level: Level,
        reading: LabelReading,
        what: str,
        column: str | None,
        replace: bool,
    ):
        self._state, self._level, self._reading = state, level, reading
        self._what, self._column, self._replace = what, column, replace
        settled = state.ledger.candidates(status=("acquired", "labelled", "failed"))
        self._by_id = {c.id: c for c in settled}
        # A molecule that was late in one round may have been asked for again in another.
        self._by_smiles = {c.smiles: c for c in settled}
        self._kept: dict[int, _Outcome] = {}
        self._numbers: list[tuple[float, Any]] = []  # as written, and the atoms: what do they look like?

    def sort(self, rows: Iterable[LabelRow]) -> Answer:
        """Check every row.

        Raises:
            CampaignError: none can be taken, and some were refused.
        """
        refused, counts = list[Refused](), {"repeated": 0, "empty": 0}
        found: dict[int, list[tuple[str, _Outcome]]] = {}
        listed = list(rows)
        if not listed:
            raise CampaignError(f"{self._what} holds no labels.")
        self._find_column(listed)
        for row in listed:
            try:
                if (outcome := self._outcome(row)) is None:
                    counts["empty"] += 1
                else:
                    candidate, result = outcome
                    found.setdefault(candidate.id, []).append((row.where, result))
            except (RefusalError, DataError) as error:
                refused.append(Refused(row.where, str(error).removeprefix(f"{row.where}: ").rstrip(".")))
        for key, outcomes in found.items():
            counts["repeated"] += self._settle(self._by_id[key], outcomes, refused)
        labelled = sum(isinstance(outcome, Label) for outcome in self._kept.values())
        if refused and not self._kept and not counts["repeated"]:
            first, more = refused[0], f" (and {len(refused) - 1} more)" if refused[1:] else ""
            raise CampaignError(
                f"{self._what}: no label was taken. {first.where}: {first.why}{more}.{self._hint()}"
            )
        asked = self._state.ledger.candidates(round_=self._state.round, status=("acquired",))
        return Answer(
            labelled=labelled,
            failed=len(self._kept) - labelled,
            to_come=sum(c.id not in self._kept for c in asked),
            refused=refused,
            hint=self._hint() if refused else "",
            **counts,
        )

    def keep(self) -> None:
        """Write what was sorted out as kept; the caller holds the transaction."""
        ledger = self._state.ledger
        for candidate, outcome in self._kept.items():
            ledger.level = self._level
            if isinstance(outcome, Label):
                ledger.add_label(outcome)
                ledger.mark(candidate, "labelled")
            else:
                ledger.mark(candidate, "failed", reason=outcome.reason, detail=outcome.detail)
            ledger.add_outcome(candidate, outcome, self._level, "manual")

    def give_up(self, answer: Answer) -> Answer:
        """Count what is still asked for as failed."""
        left = self._state.ledger.candidates(round_=self._state.round, status=("acquired",))
        self._kept = {candidate.id: _GIVEN_UP for candidate in left}
        self.keep()
        return Answer(**vars(answer) | {"failed": answer.failed + len(left), "to_come": 0})

    def _find_column(self, rows: list[LabelRow]) -> None:
        names = list(dict.fromkeys(name for row in rows for name in row.cells))
        target = self._state.config.target
        if not {"id", "smiles"} & set(names) and all(row.numbers is None for row in rows):
            raise DataError(
                f"{self._what} names no molecules; it has {', '.join(names) or 'nothing'}, and a column id "
                "or smiles is expected."
            )
        if "reason" in names and self._column is None and not names_a_label(names, target):
            self._column = ""  # failures alone
            return
        self._column = value_column(names, target, self._reading.unit, self._column, self._what)

    def _outcome(self, row: LabelRow) -> tuple[Candidate, _Outcome] | None:
        """The molecule that a row is about, with its label or failure; None where it says neither yet."""
        if row.problem:
            raise RefusalError(row.problem)
        value, reason = row.cells.get(self._column or ""), text_of(row.cells.get("reason"))
        if is_empty(value) and not reason:
            return None
        candidate = self._candidate(row)
        check_level(row, self._level)
        if reason and not is_empty(value):
            raise RefusalError(f"{candidate.smiles} has a label and a reason why it has none; keep one")
        if reason:
            named = reason.isidentifier()
            word, detail = (reason, text_of(row.cells.get("detail"))) if named else ("no_label", reason)
            return candidate, LabelError(word, detail, (Attempt(BY_HAND, word, 0.0),))
        return candidate, self._label(row, candidate, value)

    def _label(self, row: LabelRow, candidate: Candidate, value: Any) -> Label:
        number = parse_number(str(value), row.where, decimal_comma=row.decimal_comma)
        molecule = self._state.molecules.molecule(candidate.smiles)
        self._numbers.append((number, molecule.numbers))
        return label_of(row, molecule, number, self._level, self._reading)

    def _candidate(self, row: LabelRow) -> Candidate:
        smiles, number = text_of(row.cells.get("smiles")), text_of(row.cells.get("id"))
        if number:
            found = self._by_id.get(whole_number(number))
            if found is None:
                raise RefusalError(f"id {number} is of no molecule that was asked for")
            # Programs lose the stereo of a SMILES in an XYZ file; there the geometry says what it is.
            if smiles and row.numbers is None and canonical(smiles) != found.smiles:
                raise RefusalError(f"id {number} is {found.smiles}, and the row says {smiles}")
            return found
        if not smiles and row.numbers is None:
            raise RefusalError("it names no molecule; give its id or its SMILES")
        asked = self._by_smiles.get(canonical(smiles)) if smiles else None
        if asked is None and row.numbers is not None and row.positions is not None:
            smiles = perceived_smiles(row.numbers, row.positions) or smiles
            if not smiles:
                raise RefusalError("no bonds are found in its geometry; give its id")
            asked = self._by_geometry(smiles, row.numbers, row.positions)
        if asked is None:
            raise RefusalError(f"{smiles} was not asked for")
        return asked

    def _by_geometry(self, smiles: str, numbers: Any, positions: Any) -> Candidate | None:
        """The molecule that a geometry is of, also where its SMILES leaves the stereo open.

        Args:
            smiles: as perceived from the geometry.
            numbers: ``(n,)``.
            positions: ``(n, 3)`` Å.
        """
        if smiles in self._by_smiles:
            return self._by_smiles[smiles]
        alike = self._by_graph.get(without_stereo(smiles), [])
        fitting = [c for c in alike if not changes(c.smiles, numbers, positions)]
        return fitting[0] if len(fitting) == 1 else None

    @cached_property
    def _by_graph(self) -> dict[str, list[Candidate]]:
        found: dict[str, list[Candidate]] = {}
        for smiles, candidate in self._by_smiles.items():
            found.setdefault(without_stereo(smiles), []).append(candidate)
        return found

    def _settle(
        self, candidate: Candidate, outcomes: list[tuple[str, _Outcome]], refused: list[Refused]
    ) -> int:
        """Decide on all that was said of one molecule; how many rows say nothing new."""
        (where, first), *others = outcomes
        smiles, known, problem = candidate.smiles, self._known(candidate), ""
        if any(not _agree(first, other) for _, other in others):
            problem = f"{smiles} is there twice, with two results; keep one"
            refused += [Refused(at, problem) for at, _ in outcomes]
            return 0
        if known is not None and _agree(known, first):
            return len(outcomes)
        if candidate.round != self._state.round:
            problem = f"{smiles} {_said(known)} in round {candidate.round}, which is over"
        elif isinstance(known, Label) and not self._replace:
            problem = f"{smiles} {_said(known)} already; --replace puts this in its place"
        if problem:
            refused.append(Refused(where, problem))
            return len(others)
        self._kept[candidate.id] = first
        return len(others)

    def _known(self, candidate: Candidate) -> _Outcome | None:
        if candidate.status == "labelled":
            return self._state.ledger.label(candidate.smiles, self._level)
        return LabelError(candidate.reason) if candidate.status == "failed" else None

    def _hint(self) -> str:
        """A guess at what the refused numbers are."""
        if not self._numbers or self._reading.kind is None:
            return ""
        values, compositions = zip(*self._numbers, strict=True)
        reading = read_as(np.array(values), compositions)
        used = (self._reading.unit.lower(), self._reading.kind)
        if reading is None or (reading.unit.lower(), reading.kind) == used:
            return ""
        advice = {
            "atomization": f" Give --unit {reading.unit}.",
            "total": f" Give --unit {reading.unit} --kind total --references FILE.",
        }
        return f" The numbers look like {reading}.{advice.get(reading.kind, '')}"


def _agree(one: _Outcome, other: _Outcome) -> bool:
    if isinstance(one, Label) and isinstance(other, Label):
        return abs(one.value - other.value) <= _SAME
    return isinstance(one, LabelError) and isinstance(other, LabelError) and one.reason == other.reason


def _said(known: _Outcome | None) -> str:
    if isinstance(known, Label):
        return f"has the label {known.value:.6f} {known.level.unit}"
    return f"failed ({known.reason})" if known else "was asked for"
