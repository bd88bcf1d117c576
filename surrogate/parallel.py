"""Independent pieces of work on as many threads as torch may use; each piece has one for itself.

torch divides single operators between its threads. For the small tensors of molecules, dividing the work
above them costs less. A thread is woken once for a piece, not once for every operator.
"""

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from itertools import islice
from threading import Barrier, Lock
from typing import TypeVar

import torch

T = TypeVar("T")
R = TypeVar("R")
_AHEAD = 2  # pieces per thread that may wait for the one that is asked for

_pool: ThreadPoolExecutor | None = None
_size = 0
_changing = Lock()


def map_in_order(function: Callable[[T], R], pieces: Iterable[T]) -> Iterator[R]:
    """``function`` of every piece, in order; pieces are taken as threads become free."""
    threads = torch.get_num_threads()
    if threads == 1:
        yield from map(function, pieces)
        return
    source = iter(pieces)
    pool = _threads(threads)
    waiting: deque[Future[R]] = deque()
    try:
        for piece in islice(source, _AHEAD * threads):
            waiting.append(pool.submit(function, piece))
        while waiting:
            result = waiting.popleft().result()
            for piece in islice(source, 1):
                waiting.append(pool.submit(function, piece))
            yield result
    finally:
        for future in waiting:
            future.cancel()
        wait(waiting)  # what runs may use what the caller is about to change


@contextmanager
def one_thread() -> Iterator[None]:
    """Let torch use one thread meanwhile."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _threads(count: int) -> ThreadPoolExecutor:
    """A pool of so many threads, the same one while the number stays."""
    global _pool, _size
    with _changing:
        if _pool is None or _size != count:
            # All start at once and the setting is put back: torch gives its last one to every new thread.
            ready = Barrier(count)
            pool = ThreadPoolExecutor(count, "surrogate", _with_one_thread)
            for started in [pool.submit(ready.wait) for _ in range(count)]:
                started.result()
            torch.set_num_threads(count)
            _pool, _size = pool, count
        return _pool


def _with_one_thread() -> None:
    torch.get_num_threads()  # reads the setting of the process, which would otherwise replace the next line's
    torch.set_num_threads(1)


def _forget() -> None:
    global _pool, _changing
    _pool, _changing = None, Lock()


os.register_at_fork(after_in_child=_forget)  # a child has its parent's objects, not its threads
