"""The same numbers from the same seed."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def deterministic() -> Iterator[None]:
    """Sums over neighbours in a fixed order.

    By default threads add them as they come: after six epochs on 200 molecules two runs differed by 1e-4 eV.
    In a fixed order they agree to the last bit, in the same time. Another number of threads may change the
        last
    bits, as matrix products are then divided differently.
    """
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # what cuBLAS asks for; unused on a CPU
    before = torch.are_deterministic_algorithms_enabled()
    torch.use_deterministic_algorithms(True)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before)
