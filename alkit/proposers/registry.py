"""Proposers of the user: by file path or entry point, as a class, an object or a function."""

from __future__ import annotations

from typing import Any

from alkit.config.proposer import CustomConfig
from alkit.errors import ConfigError
from alkit.plugins import Registry, create
from alkit.proposers.base import Proposer

REGISTRY = Registry("proposer", group="alkit.proposers", path="./file.py:Name")


def custom_proposer(section: CustomConfig) -> Proposer:
    """The user's own proposer.

    Raises:
        ConfigError: there is none of that name, or it is no proposer.
    """
    return adapt_proposer(REGISTRY.find(section.name), section.name, section.settings)


def adapt_proposer(plugin: Any, name: str, settings: dict[str, Any] | None = None) -> Proposer:
    """A class, an object, or a function ``propose(n, context)`` as a ``Proposer``.

    Raises:
        ConfigError: it is none of these, or does not take the settings.
    """
    proposer = create(plugin, f"proposer {name}", settings)
    if isinstance(proposer, Proposer):
        return proposer
    if callable(proposer):
        return _Function(proposer)
    raise ConfigError(
        f"{name} is of type {type(proposer).__name__}; a function propose(n, context) or a class with that "
        "method is expected."
    )


class _Function:
    def __init__(self, function: Any):
        self.propose = function
