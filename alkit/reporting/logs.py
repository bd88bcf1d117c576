"""The log ``logging.getLogger("alkit")``: a line for every event that has one; ``--log-file`` keeps them."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from alkit.errors import ConfigError
from alkit.reporting.events import CampaignEnds, Event, LabelEvent, Message

LOGGER = logging.getLogger("alkit")
LOGGER.addHandler(logging.NullHandler())  # silent until somebody listens


def log(event: Event) -> None:
    """Log an event at the level INFO, warnings and errors at theirs; steps have no line."""
    if line := str(event):
        if isinstance(event, LabelEvent) and event.detail:
            line = f"{line}: {event.detail}"
        LOGGER.log(_level(event), "%s", line)


def _level(event: Event) -> int:
    if isinstance(event, CampaignEnds) and event.outcome == "failed":
        return logging.ERROR
    return logging.WARNING if isinstance(event, Message) and event.warning else logging.INFO


@contextmanager
def log_file(path: Path | None) -> Iterator[None]:
    """Append the log to a file while the block runs; None keeps none.

    Raises:
        ConfigError: the file cannot be written.
    """
    if path is None:
        yield
        return
    try:
        handler = logging.FileHandler(path, encoding="utf-8")
    except OSError as error:
        raise ConfigError(
            f"--log-file {path} cannot be written ({(error.strerror or '').lower()})."
        ) from None
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    before = LOGGER.level
    LOGGER.setLevel(logging.INFO)
    LOGGER.addHandler(handler)
    try:
        yield
    finally:
        LOGGER.removeHandler(handler)
        LOGGER.setLevel(before)
        handler.close()
