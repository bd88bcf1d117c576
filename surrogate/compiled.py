"""Loops compiled by numba when they are first called, and kept on disk."""

from typing import Any

import numba


def compiled(function: Any) -> Any:
    """``function`` compiled; it releases the interpreter's lock."""
    options = {"nogil": True, "fastmath": {"contract"}, "error_model": "numpy"}
    try:
        return numba.njit(cache=True, **options)(function)
    except RuntimeError:  # nowhere to keep it on this machine: compiled again in each process, in seconds
        return numba.njit(**options)(function)
