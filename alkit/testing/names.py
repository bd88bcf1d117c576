"""The name of a plug-in in messages."""

from __future__ import annotations

from typing import Any


def name_of(plugin: Any) -> str:
    """The name of a plug-in in messages: the text itself, or the name of the function or class."""
    return plugin if isinstance(plugin, str) else getattr(plugin, "__qualname__", type(plugin).__qualname__)
