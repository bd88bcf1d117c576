"""The user's own code, by name: ``./file.py:function`` or an installed entry point."""

import difflib
import importlib.util
import sys
from collections.abc import Iterable
from importlib.metadata import entry_points
from pathlib import Path
from types import ModuleType
from typing import Any

from alkit.errors import ConfigError


def is_code_path(name: str) -> bool:
    """Whether ``name`` has the form ``file.py:name``."""
    file, colon, attribute = name.rpartition(":")
    return bool(colon and attribute and file.endswith(".py"))


def load_code(name: str) -> Any:
    """The object that ``file.py:name`` names.

    Raises:
        ConfigError: no such file, it fails to run, or there is no such name in it.
    """
    file, _, attribute = name.rpartition(":")
    path = Path(file)
    if not path.is_file():
        raise ConfigError(f"{name}: there is no file {path}.")
    module = _run(path)
    if not hasattr(module, attribute):
        public = [key for key in vars(module) if not key.startswith("_")]
        raise ConfigError(f"{path} has no {attribute!r}; {nearest(attribute, public)}.")
    return getattr(module, attribute)


def _run(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"alkit_user_code:{path.resolve()}", path)
    if spec is None or spec.loader is None:
        raise ConfigError(f"{path} is not a Python file.")
    module = importlib.util.module_from_spec(spec)
    # Dataclasses look their module up by name; the path keeps two files of one name apart.
    sys.modules[spec.name] = module
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:  # whatever the user's file raises is the message
        del sys.modules[spec.name]
        raise ConfigError(f"{path} fails when it is loaded: {type(error).__name__}: {error}.") from error
    return module


def load_entry_point(group: str, name: str) -> Any | None:
    """The installed plug-in of that name, or None."""
    found = entry_points(group=group, name=name)
    return next(iter(found)).load() if found else None


def nearest(name: str, valid: Iterable[str]) -> str:
    """Words that point from a wrong name to the right one."""
    valid = sorted(valid)
    near = difflib.get_close_matches(name, valid, n=1, cutoff=0.5)
    return f"the nearest valid name is {near[0]!r}" if near else f"valid names: {', '.join(valid)}"
