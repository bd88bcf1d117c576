"""Times of pieces of work, taken in turn so that a noisy machine slows all of them alike."""

import statistics
import time
from collections.abc import Callable
from typing import Any

import torch


def seconds(work: Callable[[], Any]) -> float:
    start = time.perf_counter()
    work()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter() - start


def in_turn(repeats: int, *works: Callable[[], Any]) -> list[float]:
    """Median seconds of each, after one run of each that does not count."""
    for work in works:
        work()
    times = [[seconds(work) for work in works] for _ in range(repeats)]
    return [statistics.median(column) for column in zip(*times, strict=True)]
