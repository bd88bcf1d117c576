"""Ctrl-C and SIGTERM, also where a library swallows the exception that they raise.

Some of the libraries below catch everything in places (`except: pass`); an interrupt that falls there would
be lost. So it is remembered, and raised again at the next step of whatever is going on.
"""

import signal
from typing import NoReturn

_requested = False


def install() -> None:
    """Take both signals for a wish to stop. Main thread only."""
    global _requested
    _requested = False
    signal.signal(signal.SIGINT, _handle)
    signal.signal(signal.SIGTERM, _handle)


def check() -> None:
    """Raise KeyboardInterrupt if one was wished for and got lost."""
    if _requested:
        raise KeyboardInterrupt


def _handle(number: int, frame: object) -> NoReturn:
    global _requested
    _requested = True
    raise KeyboardInterrupt
