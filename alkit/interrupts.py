"""Ctrl-C and SIGTERM, also where a library keeps them from Python.

RDKit takes SIGINT for itself while it embeds a molecule: it cuts a substructure search short, and tells
nobody. Others catch everything in places (`except: pass`). So SIGINT is blocked in all threads but waited
for in one, which hands it to the main thread as SIGTERM; and a wish to stop is remembered, and raised again
at the next step of whatever is going on.
"""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_requested = False
_deferred = 0


@contextmanager
def listening() -> Iterator[None]:
    """Make both signals raise KeyboardInterrupt in the main thread, from where this must be called.

    Threads that are started inside have SIGINT blocked, and so do child processes unless they unblock it.
    """
    global _requested
    _requested = False
    # A handler for SIGINT too: where the parent has it ignored, as shells do for `command &`, the kernel
    # would drop it before anyone could wait for it.
    before = {one: signal.signal(one, _handle) for one in (signal.SIGTERM, signal.SIGINT)}
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    ended = threading.Event()
    waiting = threading.Thread(target=_wait, args=(ended,), name="alkit-interrupts", daemon=True)
    waiting.start()
    try:
        yield
    finally:
        ended.set()
        if waiting.ident is not None:
            signal.pthread_kill(waiting.ident, signal.SIGINT)
        waiting.join()
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        for one, handler in before.items():
            signal.signal(one, handler)


@contextmanager
def deferred() -> Iterator[None]:
    """Let a wish to stop wait for the end of what must not be cut in two.

    Such is a transaction that would keep its lock. A second wish does not wait.
    """
    global _deferred
    before, _deferred = _requested, _deferred + 1
    try:
        yield
    finally:
        _deferred -= 1
    if not before:  # one that was known before has been raised before
        check()


def requested() -> bool:
    """Whether there was a wish to stop."""
    return _requested


def check() -> None:
    """Raise KeyboardInterrupt if one was wished for and got lost."""
    if _requested:
        raise KeyboardInterrupt


def _wait(ended: threading.Event) -> None:
    main = threading.main_thread().ident
    while True:
        signal.sigwait({signal.SIGINT})
        if ended.is_set() or main is None:
            return
        signal.pthread_kill(main, signal.SIGTERM)


def _handle(number: int, frame: object) -> None:
    global _requested
    again, _requested = _requested, True
    if again or not _deferred:
        raise KeyboardInterrupt
