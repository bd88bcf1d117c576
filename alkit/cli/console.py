"""The terminal: where commands print, and paths as a person reads them."""

import os
import sys
from pathlib import Path
from typing import Any


def open_console() -> tuple[Any, Any]:
    """A console for results, and progress on standard error, so that output can be piped."""
    from rich.console import Console

    from alkit.reporting.progress import CampaignProgress

    # Tables keep their columns in a file or a pipe, where rich would assume 80.
    wide = None if sys.stdout.isatty() else 140
    # No markup: names, paths and reasons are shown as they are, brackets and all.
    errors = Console(stderr=True, highlight=False, markup=False)
    return Console(width=wide, highlight=False, markup=False), CampaignProgress(errors)


def shown(path: Path) -> str:
    """A path as short as it can be said from here."""
    return os.path.relpath(path) if path.is_relative_to(Path.cwd()) else str(path)
