"""Events: what happens in a campaign or a command, as listeners hear of it.

The terminal, the lines of a pipe, JSON lines, the log and the callbacks of a notebook listen to the same
events. `alkit.reporting.progress.CampaignProgress` sends them. ``str(event)`` is its line for a person, and
empty where the event needs none; `as_record` makes the line of a program.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ClassVar, Literal, get_args

from alkit.storage.round_metrics import RoundMetrics
from alkit.units import CHEMICAL_ACCURACY

Outcome = Literal["finished", "already finished", "waits for labels", "paused", "failed", "interrupted"]


@dataclass(frozen=True)
class CampaignBegins:
    """A run of a campaign begins.

    Attributes:
        folder: of the campaign.
        name: of the campaign.
        version: of alkit.
        level: of theory of the labels, with property and unit.
        tier: what the surrogate knows beside its labels.
        device: that the surrogate is trained on.
        workers: labels computed at once, and where.
        resumed_from: the last finished stage; empty for a new campaign.
        mlflow_server: the command that serves the MLflow store; empty where a server has it.
        mlflow_run: the address of the campaign's run there.
        rounds: the metrics of those that are evaluated already.
    """

    event: ClassVar[str] = "campaign_begins"
    folder: Path
    name: str
    version: str
    level: str
    tier: str
    device: str
    workers: str
    resumed_from: str
    mlflow_server: str
    mlflow_run: str
    rounds: Sequence[RoundMetrics] = ()

    @property
    def facts(self) -> list[tuple[str, str]]:
        """Names and texts of the header."""
        rows = [
            ("folder", str(self.folder)),
            ("level", self.level),
            ("tier", self.tier),
            ("device", self.device),
            ("workers", self.workers),
            ("MLflow server", self.mlflow_server),
            ("MLflow run", self.mlflow_run),
            ("resumed after", self.resumed_from),
        ]
        return [(name, text) for name, text in rows if text]

    def __str__(self) -> str:
        return f"{self.name}, alkit {self.version}; " + "; ".join(
            f"{name}: {text}" for name, text in self.facts
        )


@dataclass(frozen=True)
class StageBegins:
    """A stage of a round begins.

    Attributes:
        folder: of the campaign.
        round: counted from 0, the start.
        stage: its name.
        twin: it is of the campaign's random twin.
    """

    event: ClassVar[str] = "stage_begins"
    folder: Path
    round: int
    stage: str
    twin: bool = False

    def __str__(self) -> str:
        return f"{_of(self.round, self.twin)}, {self.stage}: begins"


@dataclass(frozen=True)
class StageEvent:
    """A stage that has just ended, and is kept.

    Attributes:
        folder: of the campaign; ``Campaign.open`` reads it, also while it runs.
        round: 0 is the random start.
        stage: its name, such as "label" or "evaluate".
        seconds: wall time that it took.
        metrics: of the round, once "evaluate" has measured them.
        counts: the round's candidates by status, such as "labelled", and by ``status: reason``.
        twin: it is of the campaign's random twin.
    """

    event: ClassVar[str] = "stage_ends"
    folder: Path
    round: int
    stage: str
    seconds: float
    metrics: RoundMetrics | None = None
    counts: Mapping[str, int] = field(default_factory=dict)
    twin: bool = False

    def __str__(self) -> str:
        done = self._done()
        return f"{_of(self.round, self.twin)}, {self.stage} ({duration(self.seconds)}){done and f': {done}'}"

    def _done(self) -> str:
        """The work of the stage on the round's candidates, in words."""
        of = self.counts.get
        if self.stage == "propose":
            return f"{of('proposed', 0)} proposed"
        if self.stage == "screen":
            why = reasons({k: n for k, n in self.counts.items() if k.startswith("rejected: ")})
            return f"{of('screened', 0)} screened, {of('rejected', 0)} rejected{why and f': {why}'}"
        if self.stage == "acquire":
            return f"{of('acquired', 0)} of {of('acquired', 0) + of('not_acquired', 0)} acquired"
        if self.stage in ("label", "start"):
            failed, labelled = of("failed", 0), of("labelled", 0)
            why = reasons({k: n for k, n in self.counts.items() if k.startswith("failed: ")})
            said = f", {failed} of {failed + labelled} failed: {why}" if failed else ""
            return f"{labelled} labelled{said}"
        return ""


@dataclass(frozen=True)
class LabelEvent:
    """A molecule of a batch has its label, or a reason why it has none.

    Attributes:
        folder: of the campaign.
        round: of the batch.
        smiles: of the molecule.
        reason: why there is no label; empty where there is one.
        detail: more on the reason.
        source: "computed", or the "cache" or "ledger" that had the label.
        done: molecules of the batch so far.
        total: molecules of the batch.
        failed: how many of the batch failed so far, by reason.
    """

    event: ClassVar[str] = "label"
    folder: Path
    round: int
    smiles: str
    reason: str
    detail: str
    source: str
    done: int
    total: int
    failed: Mapping[str, int]

    def __str__(self) -> str:
        return f"{self.failures} ({self.smiles}: {self.reason})" if self.reason else ""

    @property
    def failures(self) -> str:
        """How many have failed so far, and why; empty where none has."""
        count = sum(self.failed.values())
        return f"{count} of {self.done} failed: {reasons(self.failed)}" if count else ""


@dataclass(frozen=True)
class RoundEvent:
    """A round has ended.

    Attributes:
        folder: of the campaign.
        round: which one.
        metrics: what it has measured.
        before: test MAE of the last round; None in the first.
        unit: of the errors.
        accuracy: the error that counts as chemically accurate; None where the labels are no energies.
        twin: it is a round of the campaign's random twin.
    """

    event: ClassVar[str] = "round_ends"
    folder: Path
    round: int
    metrics: RoundMetrics
    before: float | None = None
    unit: str = "eV"
    accuracy: float | None = CHEMICAL_ACCURACY
    twin: bool = False

    def __str__(self) -> str:
        row = self.metrics
        times = f" ({row['mae'] / self.accuracy:.1f} × chemical accuracy)" if self.accuracy else ""
        before = "" if self.before is None else f", last round {self.before:.3f} {self.unit}"
        names = {"elements": "element counts", "bonds": "bond counts", "xtb": "baseline with element counts"}
        trivial = [
            f"{text} {row[f'baseline_{n}']:.3f}" for n, text in names.items() if f"baseline_{n}" in row
        ]
        return (
            f"{_of(self.round, self.twin)}: {row.labels} labels, test MAE {row['mae']:.3f} {self.unit}"
            f"{times}{before}; {', '.join(trivial)}"
        )


@dataclass(frozen=True)
class Message:
    """A sentence for the person who runs the command.

    Attributes:
        text: the sentence.
        warning: something may have to be done.
    """

    event: ClassVar[str] = "message"
    text: str
    warning: bool = False

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True)
class StepsEvent:
    """Work of counted steps goes on: inside a stage, or in a command without stages.

    Attributes:
        what: the work, such as "screening".
        done: steps so far; 0 as the work begins.
        total: steps in all, where it is known.
        ended: the work has ended.
        note: what there is to say of it so far, such as its error.
    """

    event: ClassVar[str] = "steps"
    what: str
    done: int
    total: int | None
    ended: bool = False
    note: str = ""

    @property
    def count(self) -> str:
        """The steps so far in words, such as "28 of 40"; without the total where it is not known."""
        return f"{self.done}" if self.total is None else f"{self.done} of {self.total}"

    def __str__(self) -> str:
        return ""


@dataclass(frozen=True)
class StagesExpected:
    """How many stages are finished, and how many the campaign has if its number of rounds ends it."""

    event: ClassVar[str] = "stages_expected"
    done: int
    total: int | None

    def __str__(self) -> str:
        return ""


@dataclass(frozen=True)
class CampaignEnds:
    """A run of a campaign has ended.

    Attributes:
        folder: of the campaign.
        outcome: how.
        reason: the stop rule, or what went wrong.
        rounds: evaluated so far; None after an error.
        waiting: labels that are to come by hand.
    """

    event: ClassVar[str] = "campaign_ends"
    folder: Path
    outcome: Outcome
    reason: str
    rounds: int | None = None
    waiting: int = 0

    def __str__(self) -> str:
        return f"{self.folder.name} {self.outcome}{self.reason and f': {self.reason}'}"


Event = (
    CampaignBegins
    | StagesExpected
    | StageBegins
    | StepsEvent
    | LabelEvent
    | StageEvent
    | RoundEvent
    | Message
    | CampaignEnds
)
Listener = Callable[[Event], object]
EVENTS: dict[str, type] = {one.event: one for one in get_args(Event)}


def as_record(event: Event) -> dict[str, Any]:
    """The event as JSON has it: ``event``, ``time`` (UTC, ISO 8601) and its attributes under their names."""
    values = {one.name: getattr(event, one.name) for one in fields(event)}
    return {"event": event.event, "time": datetime.now(UTC).isoformat(timespec="milliseconds")} | {
        name: _plain(value) for name, value in values.items()
    }


def counts_of(rows: list[tuple[str, str, int]]) -> dict[str, int]:
    """Numbers of candidates by status and by ``status: reason``, from rows of status, reason and number."""
    counts: Counter[str] = Counter()
    for status, reason, n in rows:
        counts[status] += n
        if reason:
            counts[f"{status}: {reason}"] += n
    return dict(counts)


def reasons(counts: Mapping[str, int]) -> str:
    """The reasons with their numbers, the most frequent first: "identity_changed 9, timeout 3"."""
    ordered = sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))
    return ", ".join(f"{name.rpartition(': ')[2]} {n}" for name, n in ordered)


def duration(seconds: float) -> str:
    """Seconds as a person says them: "4.2 s", "3 min 20 s", "2 h 5 min"."""
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def _of(round_: int, twin: bool) -> str:
    return f"random twin, round {round_}" if twin else f"round {round_}"


def _plain(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return None  # JSON has no other word for it
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, Mapping):
        return {str(key): _plain(inner) for key, inner in value.items()}
    return [_plain(one) for one in value] if isinstance(value, tuple | list) else value
