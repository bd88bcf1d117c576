"""Checks of the settings of the built-in acquisition functions; each message is one sentence with the fix."""

from numbers import Integral, Real
from typing import Any

import numpy as np

from alkit.errors import ConfigError


def number(name: str, setting: str, value: Any, *, above: float = -np.inf, least: float = -np.inf) -> float:
    """``value`` if it is a finite number, more than ``above`` and not less than ``least``.

    Raises:
        ConfigError: it is not.
    """
    bound = f"above {above:g}" if above > -np.inf else f"at least {least:g}"
    sound = isinstance(value, Real) and not isinstance(value, bool) and bool(np.isfinite(float(value)))
    if not sound or not (value > above and value >= least):
        raise ConfigError(f"acquisition {name}: {setting} is {value!r}; it must be a number {bound}.")
    return float(value)


def whole(name: str, setting: str, value: Any, *, least: int) -> int:
    """``value`` if it is a whole number and not less than ``least``.

    Raises:
        ConfigError: it is not.
    """
    if not isinstance(value, Integral) or isinstance(value, bool) or value < least:
        raise ConfigError(
            f"acquisition {name}: {setting} is {value!r}; it must be a whole number, at least {least}."
        )
    return int(value)


def flag(name: str, setting: str, value: Any) -> bool:
    """``value`` if it is true or false.

    Raises:
        ConfigError: it is something else, such as a word that would count as true.
    """
    if not isinstance(value, bool | np.bool_):
        raise ConfigError(f"acquisition {name}: {setting} is {value!r}; it must be true or false.")
    return bool(value)
