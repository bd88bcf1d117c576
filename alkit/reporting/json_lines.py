"""Events as JSON lines, for programs: ``alkit campaign run --json``."""

import json
import time
from typing import TextIO

from alkit.reporting.events import Event, StepsEvent, as_record

EVERY = 1.0  # seconds between two lines of the same work


class JsonLines:
    """Writes a line for each event, flushed at once; counted steps at most once a second, and their last.

    Args:
        stream: where to write.
    """

    def __init__(self, stream: TextIO):
        self._stream = stream
        self._written: dict[str, float] = {}  # when each work was last written

    def __call__(self, event: Event) -> None:
        """Write the event as a line of JSON; of many steps only some."""
        if isinstance(event, StepsEvent) and not self._due(event):
            return
        self._stream.write(json.dumps(as_record(event), ensure_ascii=False, allow_nan=False) + "\n")
        self._stream.flush()

    def _due(self, event: StepsEvent) -> bool:
        now = time.monotonic()
        if event.ended:
            self._written.pop(event.what, None)
            return True
        if now - self._written.get(event.what, -EVERY) < EVERY:
            return False
        self._written[event.what] = now
        return True
