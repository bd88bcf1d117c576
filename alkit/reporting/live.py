"""A live table and learning curve where a campaign runs in a notebook: a listener of its events.

IPython is never imported here: a process that is a notebook's kernel has done so.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

from alkit.properties import Quantity
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
)
from alkit.storage.round_metrics import RoundMetrics

_EVERY = 0.5  # seconds between two pictures of the same work
_MOST_MESSAGES = 5


def live_listeners() -> list[Listener]:
    """A live table where this process is the kernel of a notebook; none elsewhere."""
    return [] if _shell() is None else [LiveTable()]


def _shell() -> Any:
    """IPython's shell, if a kernel runs it; a terminal's has none."""
    ipython = sys.modules.get("IPython")
    shell = None if ipython is None else ipython.get_ipython()
    return shell if getattr(shell, "kernel", None) is not None else None


class LiveTable:
    """Shows a campaign below the cell that runs it: what it does, its rounds as a table, and their curve.

    A second run in the same cell, as by `Campaign.step` in a loop, goes on in the same place.
    """

    def __init__(self) -> None:
        self._handle: Any = None
        self._place: tuple[Path, int] | None = None  # campaign and cell that the handle belongs to
        self._shown = 0.0
        self._begin: CampaignBegins | None = None
        self._rounds: dict[bool, list[RoundMetrics]] = {False: [], True: []}  # of the campaign; of its twin
        self._bar: tuple[int, int | None] = (0, None)
        self._line, self._steps, self._failures, self._ending = "", "", "", ""
        self._messages: list[str] = []
        self._curve = ""

    def __call__(self, event: Event) -> None:
        """Take an event, and show what it changes."""
        if isinstance(event, CampaignBegins):
            self._start(event)
        if self._begin is None:
            return
        self._take(event)
        if isinstance(event, StepsEvent | LabelEvent) and time.monotonic() - self._shown < _EVERY:
            return
        self._show()

    def _start(self, event: CampaignBegins) -> None:
        place = event.folder, _shell().execution_count
        if place != self._place:
            self._handle, self._place, self._messages = None, place, []
        self._begin, self._ending = event, ""
        self._rounds = {False: list(event.rounds), True: self._rounds[True]}

    def _take(self, event: Event) -> None:
        if isinstance(event, StagesExpected):
            self._bar = event.done, event.total
        elif isinstance(event, StageBegins):
            self._line, self._steps, self._failures = str(event).removesuffix(": begins"), "", ""
        elif isinstance(event, StageEvent):
            self._line, self._steps = str(event), ""
            self._bar = self._bar[0] + 1, self._bar[1]
        elif isinstance(event, StepsEvent):
            parts = (f"{event.what} {event.count}", event.note)
            self._steps = "" if event.ended else ", ".join(part for part in parts if part)
        elif isinstance(event, LabelEvent):
            self._failures = event.failures
        elif isinstance(event, RoundEvent):
            self._rounds[event.twin].append(event.metrics)
            self._draw(Quantity("label", event.unit, event.accuracy is not None))
        elif isinstance(event, Message):
            others = [text for text in self._messages if text != event.text]  # rounds repeat them
            self._messages = [*others, event.text][-_MOST_MESSAGES:]
        elif isinstance(event, CampaignEnds):
            self._ending = f"{event.outcome}{event.reason and f': {event.reason}'}"

    def _draw(self, quantity: Quantity) -> None:
        """The curve of the rounds so far; one point is none."""
        rounds = self._rounds[False]
        if len(rounds) < 2:
            return
        from alkit.reporting import plot_style, plots
        from alkit.reporting.verdicts import half_width_of

        widths = [half_width_of(one) for one in rounds]
        drawn = plots.learning_curve_figure(rounds, widths, quantity=quantity, twin=self._rounds[True])
        self._curve = plot_style.svg_text(drawn, legend=2)

    def _show(self) -> None:
        from IPython.display import HTML, display

        self._shown = time.monotonic()
        shown = HTML(self._page())
        if self._handle is None:
            self._handle = display(shown, display_id=True)
        else:
            self._handle.update(shown)

    def _page(self) -> str:
        """The whole picture as HTML."""
        import pandas

        from alkit.reporting.notebook import page

        assert self._begin is not None
        begin, (done, total) = self._begin, self._bar
        work = "; ".join(part for part in (self._line, self._steps, self._failures) if part)
        lines = [f"{begin.level}; {begin.tier}", self._ending or work, *self._messages]
        bar = f'<progress value="{done}" max="{total}" style="width: 20em"></progress>' if total else ""
        rounds = pandas.DataFrame([dict(one) for one in self._rounds[False]])
        table = page(begin.name, rounds, *(line for line in lines if line))
        return f'<div class="alkit-live">{table}{"" if self._ending else bar}{self._curve}</div>'
