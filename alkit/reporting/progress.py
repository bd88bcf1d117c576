"""Progress: what stages and commands say while they work, sent as events to whoever listens."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from alkit import interrupts
from alkit.reporting.events import Event, Listener, Message, StepsEvent
from alkit.reporting.logs import log

if TYPE_CHECKING:
    from rich.console import Console

Advance = Callable[[int], None]


class CampaignProgress:
    """Sends events to listeners, and to the log ``alkit``.

    Args:
        console: where a person reads: bars on a terminal, timed lines in a file or a pipe; None prints
            nothing, as from the Python API.
        listeners: called with each event, after the console. Those that are context managers are entered
            while the work lasts.
    """

    def __init__(self, console: Console | None = None, listeners: Sequence[Listener] = ()):
        self.listeners: list[Listener] = [log]
        if console is not None:
            from alkit.reporting.terminal import person_listener

            self.listeners.append(person_listener(console))
        self.listeners += listeners
        self._open = contextlib.ExitStack()

    def also(self, *listeners: Listener) -> CampaignProgress:
        """The same progress, with more listeners."""
        more = CampaignProgress()
        more.listeners = [*self.listeners, *listeners]
        return more

    def __enter__(self) -> CampaignProgress:
        for listener in self.listeners:
            if isinstance(listener, contextlib.AbstractContextManager):
                self._open.enter_context(listener)
        return self

    def __exit__(self, *error: object) -> None:
        self._open.close()

    def send(self, event: Event) -> None:
        """Let every listener know."""
        for listener in self.listeners:
            listener(event)

    def say(self, text: str, *, warning: bool = False) -> None:
        """Send a sentence."""
        self.send(Message(text, warning))

    @contextlib.contextmanager
    def counter(self, what: str) -> Iterator[Callable[[int, int | None], None]]:
        """Work whose total shows only on the way: the function takes ``(done, total or None)``."""
        with self.counters() as update:
            yield lambda done, total: update(what, done, total)

    @contextlib.contextmanager
    def counters(self) -> Iterator[Callable[[str, int, int | None], None]]:
        """The same for work of several parts, named as they begin: ``(what, done, total or None)``."""
        last: dict[str, StepsEvent] = {}

        def update(what: str, done: int, total: int | None) -> None:
            interrupts.check()
            last[what] = StepsEvent(what, done, total)
            self.send(last[what])

        try:
            yield update
        finally:
            for event in last.values():
                self.send(StepsEvent(event.what, event.done, event.total, ended=True))

    @contextlib.contextmanager
    def steps(self, what: str, total: int) -> Iterator[Advance]:
        """Work of ``total`` steps; the function given counts so many more."""
        done = 0
        self.send(StepsEvent(what, done, total))

        def advance(n: int) -> None:
            nonlocal done
            interrupts.check()
            done += n
            self.send(StepsEvent(what, done, total))

        try:
            yield advance
        finally:
            self.send(StepsEvent(what, done, total, ended=True))

    @contextlib.contextmanager
    def epochs(
        self, total: int, *, unit: str = "eV"
    ) -> Iterator[Callable[[int, int, Mapping[str, float]], None]]:
        """Show the training of ``total`` epochs of all networks together.

        Training calls the function that is yielded after each epoch. Validation errors are in ``unit``.
        """
        done = 0
        self.send(StepsEvent("training", done, total))

        def update(member: int, epoch: int, row: Mapping[str, float]) -> None:
            nonlocal done
            interrupts.check()
            done += 1
            errors = [f"{row['val_MAE']:.4f} {unit}"]
            if "val_forces_MAE" in row:
                errors.append(f"{row['val_forces_MAE']:.4f} {unit}/Å")
            self.send(StepsEvent("training", done, total, note=f"MAE {', '.join(errors)}"))

        try:
            yield update
        finally:
            self.send(StepsEvent("training", done, total, ended=True))
