"""The terminal: where commands print, and paths as a person reads them."""

import os
import sys
from pathlib import Path
from typing import Any


def open_console(*, quiet: bool = False, json: bool = False) -> tuple[Any, Any]:
    """A console for results, and progress on standard error, so that output can be piped.

    Args:
        quiet: results alone.
        json: events as JSON lines on standard output in their place.

    Raises:
        ConfigError: both are asked for.
    """
    from rich.console import Console

    from alkit.errors import ConfigError
    from alkit.reporting.progress import CampaignProgress

    if quiet and json:
        raise ConfigError("--quiet and --json do not go together; give one of them.")
    if json:
        from alkit.reporting.json_lines import JsonLines

        return Console(quiet=True), CampaignProgress(listeners=[JsonLines(sys.stdout)])
    # Tables keep their columns in a file or a pipe, where rich would assume 80.
    wide = None if sys.stdout.isatty() else 140
    # No markup: names, paths and reasons are shown as they are, brackets and all.
    errors = Console(stderr=True, highlight=False, markup=False)
    out = Console(width=wide, highlight=False, markup=False)
    return out, CampaignProgress(None if quiet else errors)


def shown(path: Path) -> str:
    """A path as short as it can be said from here."""
    return os.path.relpath(path) if path.is_relative_to(Path.cwd()) else str(path)
