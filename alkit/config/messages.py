"""Validation errors of a campaign file as one sentence: the key, the line and the nearest valid key."""

import typing
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError

from alkit.plugins import nearest


def sentence(
    error: ValidationError,
    schema: type[BaseModel],
    path: Path | None,
    text: str,
    overridden: Sequence[str] = (),
) -> str:
    """The first problem of ``error``, found in ``text`` of the file ``path`` or in a key ``overridden``."""
    problem = error.errors()[0]
    section, keys = _walk(schema, problem["loc"])
    name = ".".join(str(key) for key in keys)
    line = _line_of(text, keys)
    where = f"{path}, line {line}" if line else str(path or "campaign")
    if name and any(name == key or name.startswith(f"{key}.") for key in overridden):
        where = f"--set {name}"
    if problem["type"].startswith("union_tag"):
        return f"{where}: {name} needs a kind: {' or '.join(_tags(section, keys))}."
    if problem["type"] == "extra_forbidden":
        hint = nearest(str(keys[-1]), section.model_fields if section else [], "key")
        return f"{where}: unknown key {name!r}; {hint}."
    if problem["type"] == "missing":
        return f"{where}: the key {name!r} is missing."
    message = problem["msg"].removeprefix("Value error, ")
    value = problem.get("input")
    shown = f" (given: {value!r})" if value is None or isinstance(value, str | int | float) else ""
    return f"{where}: {name + ': ' if name else ''}{message[0].lower() + message[1:]}{shown}."


def repeated_key(text: str) -> tuple[str, int] | None:
    """The first key that a mapping of ``text`` has twice, and the line of the second.

    YAML keeps the last without a word.
    """
    nodes = [yaml.compose(text, Loader=yaml.SafeLoader)]
    visited: set[int] = set()  # an anchor may stand inside itself
    while nodes:
        node = nodes.pop(0)
        if id(node) in visited:
            continue
        visited.add(id(node))
        if isinstance(node, yaml.SequenceNode):
            nodes += node.value
        if isinstance(node, yaml.MappingNode):
            seen: set[str] = set()
            for name, value in node.value:
                if str(name.value) in seen:
                    return name.value, name.start_mark.line + 1
                seen.add(str(name.value))
                nodes.append(value)
    return None


def _walk(schema: type[BaseModel], location: tuple[Any, ...]) -> tuple[type[BaseModel] | None, list[Any]]:
    """The section that holds the last key of ``location``, and the keys as the file has them.

    Pydantic puts the tag of a union (``proposer`` -> ``pool``) among the keys; the file does not.
    """
    section: type[BaseModel] | None = schema
    keys: list[Any] = []
    options: dict[str, type[BaseModel]] = {}
    for position, key in enumerate(location):
        if options and key in options:
            section, options = options[key], {}
            continue
        keys.append(key)
        if position == len(location) - 1 or section is None:
            break
        if isinstance(key, int):  # a place in a list; what may stand there its field has said
            continue
        field = section.model_fields.get(key) if isinstance(key, str) else None
        models = _models(field.annotation) if field else []
        options = {_tag(model): model for model in models} if len(models) > 1 else {}
        section = models[0] if len(models) == 1 else section if options else None
    return section, keys


def _models(annotation: Any) -> list[type[BaseModel]]:
    """Sections that a field's annotation allows."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for part in typing.get_args(annotation) for model in _models(part)]


def _tags(section: type[BaseModel] | None, keys: list[Any]) -> list[str]:
    """The kinds that the union at the last of ``keys`` knows."""
    names = [key for key in keys if isinstance(key, str)]
    field = section.model_fields.get(names[-1]) if section and names else None
    return sorted(_tag(model) for model in _models(field.annotation)) if field else []


def _tag(model: type[BaseModel]) -> str:
    return str(typing.get_args(model.model_fields["kind"].annotation)[0])


def _line_of(text: str, keys: list[Any]) -> int | None:
    """Line (from 1) of the deepest of ``keys`` that the file has."""
    node = yaml.compose(text, Loader=yaml.SafeLoader)
    line = None
    for key in keys:
        if isinstance(node, yaml.SequenceNode) and isinstance(key, int) and key < len(node.value):
            node = node.value[key]
            line = node.start_mark.line + 1
            continue
        if not isinstance(node, yaml.MappingNode):
            break
        for name, value in node.value:
            if name.value == str(key):
                line, node = name.start_mark.line + 1, value
                break
        else:
            break
    return line
