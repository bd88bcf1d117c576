"""The name of a plug-in in messages."""

from __future__ import annotations

from typing import Any


def name_of(given: Any) -> str:
    return given if isinstance(given, str) else getattr(given, "__qualname__", type(given).__qualname__)
