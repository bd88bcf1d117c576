"""HTML pages in one look: templates and their style. A page is one file, and loads nothing."""

from __future__ import annotations

from importlib.resources import files
from typing import Any


def render(template: str, **values: Any) -> str:
    """The page of ``templates/<template>.html``; a value that it needs and does not get is an error."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        autoescape=True,
        undefined=StrictUndefined,
        loader=PackageLoader("alkit"),
        trim_blocks=True,
        lstrip_blocks=True,
    )
    style = files("alkit").joinpath("templates", "style.css").read_text(encoding="utf-8")
    return environment.get_template(f"{template}.html").render(style=style, **values)
