"""What a person sees while a campaign runs: a bar for the campaign, one for the stage, and the time left."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from alkit import interrupts
from alkit.storage.round_metrics import RoundMetrics

Advance = Callable[[int], None]


class CampaignProgress:
    """Bars on a terminal; one line per finished stage where the output is a file or a pipe.

    Args:
        console: where to print; None prints nothing, as from the Python API.
    """

    def __init__(self, console: Console | None = None):
        self.console = console
        self._bars = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            console=console or Console(quiet=True),
            disable=console is None or not console.is_terminal,
            transient=True,
            speed_estimate_period=3600,  # stages are too slow for the usual 30 s to hold two of them
        )
        self._campaign = self._bars.add_task("campaign", total=None, visible=False)

    def __enter__(self) -> "CampaignProgress":
        self._bars.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._bars.stop()

    def expect(self, done: int, total: int | None) -> None:
        """Stages finished before, and stages of the whole campaign as far as its stop rules say."""
        self._bars.update(self._campaign, completed=done, total=total, visible=True)

    def say(self, text: str, *, style: str | None = None) -> None:
        if self.console is not None:
            self._bars.console.print(text, highlight=False, markup=False, style=style)

    def say_round(self, metrics: RoundMetrics, unit: str = "eV") -> None:
        """Say what a round has measured."""
        self.say(
            f"round {metrics.round}: {metrics.labels} labels, test MAE {metrics.mae:.3f} {unit} "
            f"(elements alone {metrics.baseline_elements:.3f} {unit})",
            style="bold",
        )

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Advances the campaign's bar when the stage is through."""
        interrupts.check()
        yield
        self._bars.update(self._campaign, advance=1)
        self.say(name, style="dim")

    @contextmanager
    def counter(self, what: str) -> Iterator[Callable[[int, int | None], None]]:
        """A bar for callers that give ``(done, total or None)``, where the total shows only on the way."""
        task = self._bars.add_task(f"  {what}", total=None)

        def update(done: int, total: int | None) -> None:
            self._bars.update(task, completed=done, total=total)

        try:
            yield update
        finally:
            self._bars.remove_task(task)

    @contextmanager
    def counters(self) -> Iterator[Callable[[str, int, int | None], None]]:
        """The same for work of several parts, named as they begin: ``(what, done, total or None)``."""
        tasks: dict[str, TaskID] = {}

        def update(what: str, done: int, total: int | None) -> None:
            interrupts.check()
            if what not in tasks:
                tasks[what] = self._bars.add_task(f"  {what}", total=total)
            self._bars.update(tasks[what], completed=done, total=total)

        try:
            yield update
        finally:
            for task in tasks.values():
                self._bars.remove_task(task)

    @contextmanager
    def epochs(
        self, total: int, *, unit: str = "eV"
    ) -> Iterator[Callable[[int, int, Mapping[str, float]], None]]:
        """A bar for ``total`` epochs of all networks together, with the last validation errors in ``unit``;
        the function given is what training calls after each."""
        task = self._bars.add_task("  training", total=total)

        def update(member: int, epoch: int, row: Mapping[str, float]) -> None:
            interrupts.check()
            errors = [f"{row['val_MAE']:.4f} {unit}"]
            if "val_forces_MAE" in row:
                errors.append(f"{row['val_forces_MAE']:.4f} {unit}/Å")
            self._bars.update(task, advance=1, description=f"  training, MAE {', '.join(errors)}")

        try:
            yield update
        finally:
            self._bars.remove_task(task)

    @contextmanager
    def steps(self, what: str, total: int) -> Iterator[Advance]:
        """A bar of its own for ``total`` steps; the function given advances it."""
        task = self._bars.add_task(f"  {what}", total=total)

        def advance(n: int) -> None:
            interrupts.check()
            self._bars.update(task, advance=n)

        try:
            yield advance
        finally:
            self._bars.remove_task(task)
