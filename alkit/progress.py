"""What a person sees while a campaign runs: a bar for the campaign, one for the stage, and the time left."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

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
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            console=console or Console(quiet=True),
            disable=console is None or not console.is_terminal,
            transient=True,
        )
        self._campaign = self._bars.add_task("campaign", total=None)

    def __enter__(self) -> "CampaignProgress":
        self._bars.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._bars.stop()

    def expect(self, done: int, total: int | None) -> None:
        """Stages finished before, and stages of the whole campaign as far as its stop rules say."""
        self._bars.update(self._campaign, completed=done, total=total)

    def say(self, text: str) -> None:
        if self.console is not None:
            self._bars.console.print(text, highlight=False)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Advances the campaign's bar when the stage is through."""
        yield
        self._bars.update(self._campaign, advance=1)
        self.say(f"[dim]{name}[/dim]")

    @contextmanager
    def steps(self, what: str, total: int) -> Iterator[Advance]:
        """A bar of its own for ``total`` steps; the function given advances it."""
        task = self._bars.add_task(f"  {what}", total=total)
        try:
            yield lambda n=1: self._bars.update(task, advance=n)
        finally:
            self._bars.remove_task(task)
