"""What pages take from elsewhere when the site is built: schema, commands, and files of the repository.

A page says ``<!-- made: campaign_file -->`` where its text comes from code, and GitHub shows the page without
it. Files that GitHub shows at their own place (`PAGES`) are whole pages here.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import typer
import yaml
from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined
from sphinx.application import Sphinx

ROOT = Path(__file__).parents[2]
PAGES = {
    "results": "campaigns/README.md",
    "contributing/index": "CONTRIBUTING.md",
    "changelog": "CHANGELOG.md",
}
BELOW = {"contributing/index": "\n```{toctree}\n:hidden:\n\narchitecture\n```\n"}
_MADE = re.compile(r"^<!-- made: (\w+) -->$", re.M)
_ARRAY = re.compile(r"~?numpy\.ndarray\[tuple\[~?typing\.Any, \.\.\.\], ~?numpy\.dtype\[~?numpy\.(\w+)\]\]")
_LINK = re.compile(r"\]\((?!https?:|#|mailto:)([^)\s]+)\)")


def campaign_file() -> str:
    """Every section of the campaign file, with its keys: type, default and what it means."""
    from alkit.config.proposer import PROPOSERS, MixConfig
    from alkit.config.schema import CampaignConfig

    lines = ["## The file", "", *_keys(CampaignConfig)]
    for name, section in _sections(CampaignConfig, ""):
        lines += ["", f"## `{name}`", "", _first_paragraph(section), "", *_keys(section)]
    lines += ["", "## `proposer`", "", f"{CampaignConfig.model_fields['proposer'].description}"]
    for kind, section in [*PROPOSERS.items(), ("mix", MixConfig)]:
        lines += ["", f"### `kind: {kind}`", "", _first_paragraph(section), "", *_keys(section)]
    return "\n".join(lines)


def command_line() -> str:
    """Every command with its arguments and options."""
    from alkit.cli.app import app

    return "\n".join(_command(typer.main.get_command(app), "alkit", 1))


def decisions() -> str:
    """A table of contents, and the list of decisions with their titles."""
    files = sorted((ROOT / "docs" / "decisions").glob("[0-9]*.md"))
    return "\n".join(["```{toctree}", ":maxdepth: 1", "", *(path.stem for path in files), "```"])


MADE: dict[str, Callable[[], str]] = {
    "campaign_file": campaign_file,
    "command_line": command_line,
    "decisions": decisions,
}


def _sections(schema: type[BaseModel], prefix: str) -> Iterator[tuple[str, type[BaseModel]]]:
    for key, field in schema.model_fields.items():
        models = [one for one in _parts(field.annotation) if _is_section(one)]
        if len(models) == 1:  # proposer has several
            yield f"{prefix}{key}", models[0]
            yield from _sections(models[0], f"{prefix}{key}.")


def _is_section(one: Any) -> bool:
    return isinstance(one, type) and issubclass(one, BaseModel)


def _parts(annotation: Any) -> list[Any]:
    """The types of a union, without the annotations around them."""
    if get_origin(annotation) is Annotated:
        return _parts(get_args(annotation)[0])
    if get_origin(annotation) in (Union, UnionType):
        return [one for part in get_args(annotation) for one in _parts(part)]
    return [annotation]


def _keys(schema: type[BaseModel]) -> list[str]:
    rows = ["| key | type | default | what it means |", "| --- | --- | --- | --- |"]
    for key, field in schema.model_fields.items():
        meaning = _cell(field.description or _about(field))
        rows.append(f"| `{key}` | {_cell(_type(field.annotation))} | {_default(field)} | {meaning} |")
    return rows


def _about(field: FieldInfo) -> str:
    for one in _parts(field.annotation):
        if _is_section(one):
            return _first_paragraph(one) or "a section of its own"
    return ""


def _default(field: FieldInfo) -> str:
    value = field.get_default(call_default_factory=True, validated_data={})
    if value is PydanticUndefined:
        return "needed"
    if isinstance(value, BaseModel):
        return "its defaults"
    plain = yaml.safe_dump(_plain(value), default_flow_style=True, width=1000)
    return f"`{_cell(plain.removesuffix(chr(10)).removesuffix(chr(10) + '...'))}`"


def _plain(value: Any) -> Any:
    if isinstance(value, tuple | list):
        return [_plain(one) for one in value]
    return str(value) if isinstance(value, Path) else value


_WORDS = {int: "whole number", float: "number", str: "text", bool: "true or false", Path: "path"}


def _type(annotation: Any) -> str:
    parts = _parts(annotation)
    if len(parts) > 1:
        return " or ".join(dict.fromkeys(_type(one) for one in parts))
    (one,) = parts
    origin, inner = get_origin(one), get_args(one)
    if one is NoneType:
        return "null"
    if _is_section(one):
        return "section"
    if origin is Literal:
        return ", ".join(f"`{word}`" for word in inner)
    if origin is tuple and inner[-1] is not Ellipsis:
        return f"[{', '.join(_type(part) for part in inner)}]"
    if origin in (list, tuple):
        return f"list of {_type(inner[0])}"
    if origin is dict:
        return f"mapping of {_type(inner[0])} to {_type(inner[1])}"
    return _WORDS.get(one, "anything")


def _cell(text: str) -> str:
    return " ".join(text.replace("|", "\\|").replace("<", "&lt;").split())


def _first_paragraph(section: type[BaseModel]) -> str:
    text = section.__dict__.get("__doc__") or ""
    return " ".join(text.split("\n\n")[0].split()).replace("``", "`")


def _command(command: Any, name: str, level: int) -> Iterator[str]:
    if hasattr(command, "commands"):  # typer brings its own click
        if level > 1:
            yield from (f"{'#' * level} `{name}`", "", _help(command), "")
        for part in sorted(command.commands):
            yield from _command(command.commands[part], f"{name} {part}", level + 1)
        return
    context = command.context_class(command, info_name=name)
    usage = " ".join(command.collect_usage_pieces(context))
    yield from (f"{'#' * level} `{name}`", "", _help(command), "", "```text", f"{name} {usage}", "```", "")
    rows = [row for one in command.params if (row := _parameter(one, context))]
    if rows:
        yield from ("| option | what it does |", "| --- | --- |", *rows, "")


def _help(command: Any) -> str:
    text = re.sub(r"\[/?\w*\]", "", command.help or "")  # rich's marks
    return "\n\n".join(" ".join(part.split()) for part in text.replace("\b", "").split("\n\n"))


def _parameter(one: Any, context: Any) -> str:
    if one.param_type_name == "argument":
        return f"| `{(one.metavar or one.name or '').upper()}` | {_cell(getattr(one, 'help', None) or '')} |"
    if one.hidden or "--help" in one.opts:
        return ""
    names = ", ".join(f"`{name}`" for name in [*one.opts, *one.secondary_opts])
    default = one.get_default(context)
    shown = "" if default in (None, False, (), [], "") or callable(default) else f" Default: `{default}`."
    return f"| {names} | {_cell(one.help or '')}{shown} |"


def _read(app: Sphinx, docname: str, source: list[str]) -> None:
    page = Path(docname).parent
    if docname in PAGES:
        origin = ROOT / PAGES[docname]
        app.env.note_dependency(str(origin))
        source[0] = origin.read_text(encoding="utf-8") + BELOW.get(docname, "")
        here = origin.parent
    else:
        here = ROOT / "docs" / page
    source[0] = _MADE.sub(lambda made: MADE[made.group(1)](), source[0])
    source[0] = _LINK.sub(lambda link: f"]({_link(link.group(1), here, page)})", source[0])


def _link(target: str, here: Path, page: Path) -> str:
    """A link as the site has it: files that are pages here, and files outside of docs/ at their place."""
    file, mark, anchor = target.partition("#")
    path = Path(os.path.normpath(here / file))
    if path == ROOT / "README.md":
        return "/index.md"
    pages = {ROOT / origin: name for name, origin in PAGES.items()}
    if path in pages:
        return f"/{pages[path]}.md{mark}{anchor}"
    docs = ROOT / "docs"
    if path == docs / "decisions":
        return "/decisions/index.md"
    if path.is_relative_to(docs):
        return f"/{path.relative_to(docs)}{mark}{anchor}"
    return os.path.relpath(path, docs / page) if path.is_file() else target


def _signature(
    app: Sphinx, what: str, name: str, one: Any, options: Any, signature: str | None, returned: str | None
) -> tuple[str | None, str | None]:
    """Arrays by their type alone, and nothing of a protocol's ``*args``."""

    def short(text: str | None) -> str | None:
        return text and _ARRAY.sub(r"NDArray[\1]", text)

    return "" if signature == "(*args, **kwargs)" else short(signature), short(returned)


def setup(app: Sphinx) -> dict[str, bool]:
    """Register with Sphinx."""
    app.connect("source-read", _read)
    app.connect("autodoc-process-signature", _signature)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
