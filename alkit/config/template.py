"""A campaign file with every key, its default and what it means, made from the schema itself."""

from importlib.resources import files
from typing import Any

import yaml
from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from alkit.config.proposer import PROPOSERS
from alkit.config.schema import CampaignConfig
from alkit.errors import ConfigError
from alkit.plugins import nearest

_WIDTH = 34


def template(proposer: str = "generator") -> str:
    """YAML of a campaign with the proposer of that kind; it runs as it is, ``pool`` once a file is named."""
    settings = {"name": "my-campaign", "proposer": {"kind": proposer}}
    lines = ["# A campaign of alkit. Every key is here with its default; what you leave out keeps it."]
    lines += _section(CampaignConfig, settings, PROPOSERS[proposer], indent=0)
    return "\n".join(lines) + "\n"


def recipe(name: str) -> str:
    """A recipe that alkit ships, such as ``quickstart``, or a file beside one, such as ``optimise.smi``.

    Raises:
        ConfigError: there is none of that name.
    """
    folder = files("alkit") / "data" / "recipes"
    shipped = [file for file in folder.iterdir() if not file.name.endswith(".md")]
    texts = {file.name.removesuffix(".yaml"): file for file in shipped}
    if name not in texts:
        raise ConfigError(f"There is no recipe {name!r}; {nearest(name, texts)}.")
    return texts[name].read_text(encoding="utf-8")


def _section(
    schema: type[BaseModel], settings: dict[str, Any], proposer: type[BaseModel] | None, *, indent: int
) -> list[str]:
    lines = []
    for key, field in schema.model_fields.items():
        default = settings.get(key, field.get_default(call_default_factory=True, validated_data={}))
        inner = proposer if key == "proposer" else field.annotation
        margin = " " * indent
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            inner_settings = default.model_dump() if isinstance(default, BaseModel) else default
            lines += ["", f"{margin}{key}:", *_section(inner, inner_settings, None, indent=indent + 2)]
            continue
        if isinstance(default, BaseModel):  # a section that may be missing
            note = f" # {field.description}" if field.description else ""
            lines += ["", f"{margin}{key}:".ljust(_WIDTH if note else 0) + note]
            lines += _section(type(default), default.model_dump(mode="json"), None, indent=indent + 2)
            continue
        value = "" if default is PydanticUndefined else _inline(default)
        note = f"# {field.description}" if field.description else ""
        lines.append(f"{margin}{key}: {value}".ljust(_WIDTH if note else 0) + (f" {note}" if note else ""))
    return lines


def _inline(value: Any) -> str:
    return yaml.safe_dump(value, default_flow_style=True, width=1000).removesuffix("\n").removesuffix("\n...")
