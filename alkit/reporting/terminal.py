"""Events for a person: a header, bars and lines on a terminal; timed lines in a file or a pipe."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping, Sequence

from rich.bar import Bar
from rich.console import Console, RenderableType
from rich.padding import Padding
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    SpinnerColumn,
    Task,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table
from rich.text import Text

from alkit.properties import ENERGY, Quantity
from alkit.reporting.events import (
    CampaignBegins,
    CampaignEnds,
    Event,
    LabelEvent,
    Listener,
    Message,
    RoundEvent,
    StageBegins,
    StageEvent,
    StagesExpected,
    StepsEvent,
    duration,
)
from alkit.units import CHEMICAL_ACCURACY

MINUTE = 60.0
_MOST_ROWS = 12  # of a learning curve


def person_listener(console: Console) -> Listener:
    """Bars where the console is a terminal, timed lines otherwise."""
    return Bars(console) if console.is_terminal else PlainLines(console)


class _Rate(ProgressColumn):
    """Steps in a second or a minute."""

    def render(self, task: Task) -> Text:
        speed = task.speed or task.finished_speed
        return Text(_rate(speed) if speed and task.fields.get("steps") else "")


class _WithNote(Progress):
    """Bars, and a line below them."""

    note = ""

    def get_renderables(self) -> Iterator[RenderableType]:
        yield self.make_tasks_table(self.tasks)
        if self.note:
            yield Text(f"  {self.note}", style="yellow")


class Bars:
    """Live bars of the campaign and of the work at hand, above them a line for all that has ended."""

    def __init__(self, console: Console):
        self._bars = _WithNote(
            SpinnerColumn(),
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=None),
            MofNCompleteColumn(),
            _Rate(),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            console=console,
            transient=True,
            expand=True,
            speed_estimate_period=3600,  # stages are too slow for the usual 30 s to hold two of them
        )
        self._campaign = self._bars.add_task("campaign", total=None, visible=False)
        self._tasks: dict[str, TaskID] = {}

    def __enter__(self) -> Bars:
        self._bars.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._bars.stop()

    def __call__(self, event: Event) -> None:
        """Show an event: steps move a bar, other events print a line above the bars."""
        if isinstance(event, StepsEvent):
            self._step(event)
        elif isinstance(event, StagesExpected):
            self._bars.update(self._campaign, completed=event.done, total=event.total, visible=True)
        elif isinstance(event, StageBegins):
            twin = "twin, " if event.twin else ""
            self._bars.update(self._campaign, description=f"{twin}round {event.round}, {event.stage}")
        elif isinstance(event, LabelEvent):
            self._bars.note = event.failures
        elif isinstance(event, CampaignBegins):
            self._print(header(event))
        elif not isinstance(event, CampaignEnds):  # the command says how it ended
            if isinstance(event, StageEvent):
                self._bars.note = ""
                self._bars.update(self._campaign, advance=1)
            self._print(Text(str(event), style=_style(event)))

    def _step(self, event: StepsEvent) -> None:
        if event.ended:
            if (task := self._tasks.pop(event.what, None)) is not None:
                self._bars.remove_task(task)
            return
        if event.what not in self._tasks:
            self._tasks[event.what] = self._bars.add_task(f"  {event.what}", total=event.total, steps=True)
        self._bars.update(
            self._tasks[event.what],
            completed=event.done,
            total=event.total,
            description=f"  {event.what}{event.note and f', {event.note}'}",
        )

    def _print(self, what: RenderableType) -> None:
        self._bars.console.print(what)


class PlainLines:
    """A line with the time at the start and end of each stage, and one every minute within.

    Args:
        console: where to print.
        every: seconds between two lines within a stage.
    """

    def __init__(self, console: Console, every: float = MINUTE):
        self._console, self._every = console, every
        self._lock, self._ended = threading.RLock(), threading.Event()
        self._timed = False  # commands that take seconds print their sentences alone
        self._stage: str = ""
        self._failures: str = ""
        self._since = self._said = time.monotonic()
        self._steps: dict[str, tuple[float, StepsEvent]] = {}  # when they began, and the last one
        self._thread: threading.Thread | None = None

    def __enter__(self) -> PlainLines:
        self._ended.clear()
        self._thread = threading.Thread(target=self._repeat, name="alkit-lines", daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._ended.set()
        if self._thread is not None:
            self._thread.join()

    def __call__(self, event: Event) -> None:
        """Print an event as a line, safely from several threads; labels and the end print nothing."""
        with self._lock:
            self._note(event)
            if isinstance(event, CampaignBegins):
                self._timed = True
                for name, text in [("campaign", f"{event.name}, alkit {event.version}"), *event.facts]:
                    self._print(f"{name}: {text}")
            elif not isinstance(event, LabelEvent | CampaignEnds) and (line := str(event)):
                self._print(line, _style(event))

    def _note(self, event: Event) -> None:
        if isinstance(event, StageBegins | StageEvent):
            begins = isinstance(event, StageBegins)
            self._stage = str(event).rpartition(":")[0] if begins else ""
            self._failures, self._since = "", time.monotonic()
        elif isinstance(event, LabelEvent):
            self._failures = event.failures
        elif isinstance(event, StepsEvent) and event.ended:
            self._steps.pop(event.what, None)
        elif isinstance(event, StepsEvent):
            began, _ = self._steps.get(event.what, (time.monotonic(), event))
            self._steps[event.what] = began, event

    def _repeat(self) -> None:
        left = self._every
        while not self._ended.wait(left):
            with self._lock:
                left = self._every - (time.monotonic() - self._said)
                if left <= 0:  # nothing was said for so long
                    left = self._every
                    if self._stage or self._steps:
                        self._print(self._so_far())

    def _so_far(self) -> str:
        now = time.monotonic()
        if not self._steps:
            return f"{self._stage}: {duration(now - self._since)} so far"
        began, event = next(reversed(self._steps.values()))
        parts = [f"{event.what}, {event.count}", event.note, self._failures]
        if event.done and (speed := event.done / max(now - began, 1e-9)):
            left = (
                "" if event.total is None else f", about {duration((event.total - event.done) / speed)} left"
            )
            parts.append(f"{_rate(speed)}{left}")
        else:
            parts.append(f"{duration(now - began)} so far")
        stage = f"{self._stage}: " if self._stage else ""
        return stage + "; ".join(part for part in parts if part)

    def _print(self, text: str, style: str | None = None) -> None:
        self._said = time.monotonic()
        clock = f"{time.strftime('%H:%M:%S')}  " if self._timed else ""
        self._console.print(f"{clock}{text}", highlight=False, markup=False, style=style, soft_wrap=True)


def header(event: CampaignBegins) -> RenderableType:
    """The first lines of a run: folder, level, tier, device, workers, MLflow, and where it continues."""
    shown = Table.grid(padding=(0, 2))
    shown.add_column(style="dim", no_wrap=True)
    shown.add_column(overflow="fold")
    shown.add_row(Text(event.name, style="bold"), Text(f"alkit {event.version}"))
    for name, text in event.facts:
        shown.add_row(name, Text(text, style=f"link {text}" if text.startswith("http") else ""))
    return Padding(shown, (0, 0, 1, 0))


def learning_curve(metrics: Sequence[Mapping[str, float]], quantity: Quantity = ENERGY) -> RenderableType:
    """The test MAE over labels, as bars; of many rounds some, the first and the last among them.

    Args:
        metrics: of the rounds.
        quantity: what the labels are; chemical accuracy is shown beside energies alone.
    """
    most = min(len(metrics), _MOST_ROWS)
    chosen = [metrics[round(i * (len(metrics) - 1) / max(most - 1, 1))] for i in range(most)]
    aim = CHEMICAL_ACCURACY if quantity.energy else 0.0
    largest = max(*(row["mae"] for row in metrics), aim)
    shown = Table(title="Learning curve", title_justify="left", box=None, padding=(0, 1), pad_edge=False)
    shown.add_column("labels", justify="right")
    shown.add_column(Text(f"test MAE [{quantity.unit}]"), justify="right")
    shown.add_column("", ratio=1)
    for row in chosen:
        color = "green" if row["mae"] <= aim else "blue"
        bar = Bar(largest, 0, row["mae"], color=color, width=40)
        shown.add_row(f"{row['labels']:.0f}", f"{row['mae']:.3f}", bar)
    if quantity.energy:
        shown.add_row("", f"{aim:.3f}", Bar(largest, 0, aim, color="green", width=40), style="dim")
        shown.caption, shown.caption_justify = "The last bar is chemical accuracy.", "left"
    return Padding(shown, (1, 0))


def _rate(speed: float) -> str:
    return f"{speed:.1f}/s" if speed >= 1 else f"{60 * speed:.1f}/min"


def _style(event: Event) -> str:
    if isinstance(event, Message):
        return "yellow" if event.warning else ""
    return "bold" if isinstance(event, RoundEvent) else "dim"
