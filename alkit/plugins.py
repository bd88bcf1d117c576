"""Plug-ins by name: alkit's own, installed entry points, and ``./file.py:function`` of the user."""

import difflib
import importlib.util
import inspect
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from importlib.metadata import entry_points
from pathlib import Path
from types import ModuleType
from typing import Any

from alkit.errors import ConfigError

GIVEN = "python:"  # before the name of what was given as an object, which no file names


class Pickled(bytes):
    """An object that this process was given, on its way to the workers.

    It is a type of its own, because no campaign file, ledger or command line can hold one. What they hold as
    bytes is never loaded.
    """


@dataclass(frozen=True)
class Registry:
    """One kind of plug-in.

    Attributes:
        kind: what messages call it, such as "acquisition function".
        built_in: name -> "module:attribute". A module is loaded when its name is asked for, not before.
        group: the entry-point group of installed plug-ins; empty where there are none.
        path: the form of a file of the user, such as "./file.py:function"; empty where none is taken.
    """

    kind: str
    built_in: Mapping[str, str] = field(default_factory=dict)
    group: str = ""
    path: str = ""

    def find(self, name: str) -> Any:
        """The class, object or function of that name.

        Raises:
            ConfigError: there is none, or the user's file cannot be loaded.
        """
        if name in self.built_in:
            module, _, attribute = self.built_in[name].partition(":")
            return getattr(importlib.import_module(module), attribute)
        if self.path and is_code_path(name):
            return load_code(name)
        if name.startswith(GIVEN):
            raise ConfigError(
                f"The {self.kind} {name.removeprefix(GIVEN)} was given as a Python object; give it to "
                "alkit.Campaign again, which goes on with it."
            )
        installed = entry_points(group=self.group) if self.group else ()
        for entry in installed:
            if entry.name == name:
                return entry.load()
        names = [*self.built_in, *(entry.name for entry in installed)]
        hints = [nearest(name, names)] if names else []
        hints += [self.path] if self.path else []
        raise ConfigError(f"There is no {self.kind} {name!r}; {', or '.join(hints)}.")


def create(plugin: Any, name: str, settings: Mapping[str, Any] | None = None) -> Any:
    """An object of the class ``plugin``; an object or a function as it is, which takes no settings.

    Args:
        plugin: a class, an object or a function.
        name: what messages call it, such as "acquisition ./mine.py:score".
        settings: arguments of the class.

    Raises:
        ConfigError: it does not take the settings.
    """
    settings = settings or {}
    if not inspect.isclass(plugin):
        if settings:
            raise ConfigError(f"{name} takes no settings, but {sorted(settings)} are given.")
        return plugin
    try:
        return plugin(**settings)
    except ConfigError:
        raise
    except Exception as error:  # a user's class may refuse its settings with whatever it likes
        raise ConfigError(f"{name}: {error}.") from error


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


def nearest(name: str, valid: Iterable[str], what: str = "name") -> str:
    """Words that point from a wrong name to the right one."""
    valid = sorted(valid)
    near = difflib.get_close_matches(name, valid, n=1, cutoff=0.5)
    return f"the nearest valid {what} is {near[0]!r}" if near else f"valid {what}s: {', '.join(valid)}"
