"""The code of a worker process.

It imports nothing heavy. Numpy and the chemistry libraries read the number of threads once, when they load,
and `initialize` has to come before that.
"""

from __future__ import annotations

import ctypes
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable
from multiprocessing import connection, parent_process
from typing import Any

from alkit.errors import AS_GIVEN
from alkit.threads import ONE_THREAD

_PR_SET_PDEATHSIG = 1

_kind: str = ""
_settings: dict[str, Any] = {}
_simulator: Any = None
_memory_limit: float | None = None


def initialize(parent: int, kind: str, settings: dict[str, Any], memory_limit: float | None = None) -> None:
    """Set up a new worker; called once in each.

    The spec comes in pieces, as its class would bring numpy along.

    Args:
        parent: process that this one ends with.
        kind: of the simulator.
        settings: of the simulator.
        memory_limit: GB (1e9 bytes) of data that this process may hold.
    """
    global _kind, _settings
    os.environ.update(ONE_THREAD)
    _die_with(parent)
    if memory_limit is not None:
        _limit_memory(memory_limit)
    # Blocked since before the process began (see alkit.engines.processes); pebble has set it to be ignored
    # by now.
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    _kind, _settings = kind, settings


def label(molecule: Any) -> Any:
    """The label of ``molecule``, which is placed first if it has no geometry."""
    from dataclasses import replace

    from alkit import __version__
    from alkit.errors import Attempt
    from alkit.molecules.molecule import Molecule
    from alkit.simulators.base import SimulatorSpec, check_electrons, check_label, create_simulator

    global _simulator
    if _simulator is None:
        _simulator = create_simulator(SimulatorSpec(_kind, _settings))
    if not isinstance(molecule, Molecule):
        molecule = molecule.place()
    check_electrons(_simulator, molecule)
    label = check_label(_simulator.label(molecule), molecule, _simulator.level)
    attempts = label.attempts or (Attempt(AS_GIVEN, "", label.seconds),)
    return replace(label, attempts=attempts, host=socket.gethostname(), version=__version__)


def run(name: str, function: Callable[[Any], Any], argument: Any) -> Any:
    """``function(argument)``, or the error in its place: returned, as not every exception pickles.

    Args:
        name: the molecule's, for messages.
        function: what is computed.
        argument: of the function.
    """
    from alkit.errors import AlkitError, Attempt, LabelError

    start = time.perf_counter()

    def failed(reason: str, detail: str, attempts: tuple[Attempt, ...] = ()) -> LabelError:
        alone = Attempt(AS_GIVEN, reason, time.perf_counter() - start)
        return LabelError(reason, detail, attempts or (alone,))

    try:
        return function(argument)
    except LabelError as error:
        return failed(str(error.reason), str(error.detail), tuple(error.attempts))
    except AlkitError as error:
        return type(error)(str(error)) if type(error).__module__ == "alkit.errors" else AlkitError(str(error))
    except MemoryError as error:
        # Whatever raised it has been unwound, so that there is memory again to say so.
        return failed("out_of_memory", f"{name}: {_words(error)}")
    except BaseException as error:  # a SIGINT is ignored here: a KeyboardInterrupt is the simulator's own
        return failed("simulator_error", f"{name}: {type(error).__name__}: {error}")


def _words(error: MemoryError) -> str:
    limit = "" if _memory_limit is None else f"more than the worker's {_memory_limit:g} GB"
    return "; ".join(part for part in (limit, str(error)) if part) or "MemoryError"


def _limit_memory(limit: float) -> None:
    """Make allocations beyond ``limit`` GB fail in this process, rather than the whole machine.

    Linux counts the private writable memory; the address space, which other systems count, also holds what
    libraries only reserve.
    """
    import resource

    global _memory_limit
    _memory_limit = limit
    what = resource.RLIMIT_DATA if sys.platform == "linux" else resource.RLIMIT_AS
    _, hard = resource.getrlimit(what)
    wanted = int(limit * 1e9)
    if hard != resource.RLIM_INFINITY:
        wanted = min(wanted, hard)
    resource.setrlimit(what, (wanted, hard))


def _die_with(parent: int) -> None:
    """End this process when the parent does, even by kill -9: nobody would read its answer.

    On Linux by the kernel, which also ends a worker that hangs in compiled code; elsewhere by a thread.
    """
    if sys.platform == "linux":
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL) != 0:
            raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG) failed")
        if os.getppid() != parent:  # it ended before we asked
            os._exit(1)
    else:
        threading.Thread(target=_watch_parent, daemon=True).start()


def end_with(parent: int) -> None:
    """End this process soon after the process ``parent`` ends, in a thread.

    It works where `_die_with` cannot be had, as the *thread* that started this process may end long before.
    """

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(1)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _watch_parent() -> None:
    origin = parent_process()
    if origin is not None:
        connection.wait([origin.sentinel])
        os._exit(1)
