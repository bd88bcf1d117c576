"""HTML pages in one look: templates, their style, and pictures inside the page."""

from __future__ import annotations

import base64
from importlib.resources import files
from pathlib import Path
from typing import Any


def render(template: str, **values: Any) -> str:
    """The page of ``templates/<template>.html``; a value that it needs and does not get is an error."""
    from jinja2 import Environment, StrictUndefined

    folder = files("alkit").joinpath("templates")
    text, style = (
        folder.joinpath(name).read_text(encoding="utf-8") for name in (f"{template}.html", "style.css")
    )
    page = Environment(autoescape=True, undefined=StrictUndefined).from_string(text)
    return page.render(style=style, **values)


def data_uri(path: Path) -> str:
    """A PNG as an address that holds the picture itself, so that the page is one file."""
    return "data:image/png;base64," + base64.b64encode(path.read_bytes()).decode()
