"""Proposers of the user: by file path or entry point, as a class, an object or a function."""

from __future__ import annotations

import inspect
from typing import Any

from alkit import plugins
from alkit.config.proposer import CustomConfig
from alkit.errors import ConfigError
from alkit.proposers.base import Proposer

_GROUP = "alkit.proposers"


def custom_proposer(section: CustomConfig) -> Proposer:
    """The user's own proposer.

    Raises:
        ConfigError: there is none of that name, or it is no proposer.
    """
    if plugins.is_code_path(section.name):
        return adapt_proposer(plugins.load_code(section.name), section.name, section.settings)
    found = plugins.load_entry_point(_GROUP, section.name)
    if found is None:
        raise ConfigError(
            f"There is no proposer {section.name!r}; give ./file.py:Name, or install a plug-in of that name."
        )
    return adapt_proposer(found, section.name, section.settings)


def adapt_proposer(given: Any, name: str, settings: dict[str, Any] | None = None) -> Proposer:
    """A class, an object, or a function ``propose(n, context)`` as a ``Proposer``.

    Raises:
        ConfigError: it is none of these, or does not take the settings.
    """
    settings = settings or {}
    if inspect.isclass(given):
        try:
            given = given(**settings)
        except Exception as error:  # the user's class may refuse its settings with whatever it likes
            raise ConfigError(f"proposer {name}: {error}.") from error
    elif settings:
        raise ConfigError(f"proposer {name} takes no settings, but {sorted(settings)} are given.")
    if isinstance(given, Proposer):
        return given
    if callable(given):
        return _Function(given)
    raise ConfigError(
        f"{name} is of type {type(given).__name__}; a function propose(n, context) or a class with that "
        "method is expected."
    )


class _Function:
    def __init__(self, function: Any):
        self.propose = function
