"""The folder of a study: one study, one process, one revision of the code."""

from __future__ import annotations

import json
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from alkit.errors import CampaignError
from alkit.files import replace_file, write_text


def write_settings(path: Path, settings: dict[str, Any]) -> None:
    """Write what the study is about, unless it is there already."""
    if not path.exists():
        replace_file(path, lambda part: write_text(part, json.dumps(settings, indent=2)))


def check_settings(path: Path, settings: dict[str, Any], *, later: Mapping[str, Any] | None = None) -> None:
    """See that what the study is about is what the folder's fits are about, if it has any.

    Args:
        path: of the settings that the folder holds.
        settings: of this study.
        later: settings that came after the first revision, with what studies without them had.

    Raises:
        CampaignError: it is not.
    """
    if not path.exists():
        return
    settings = json.loads(json.dumps(settings))
    try:
        stored = dict(later or {}) | dict(json.loads(path.read_text(encoding="utf-8")))
    except (ValueError, TypeError, RecursionError) as error:
        raise CampaignError(f"{path} is damaged ({error}); give another --out.") from None
    if changed := [key for key in settings if stored.get(key) != settings[key]]:
        raise CampaignError(
            f"{path.parent} holds a study with {changed[0]} = {stored.get(changed[0])}, not "
            f"{settings[changed[0]]}; give the same settings or another --out."
        )


@contextmanager
def open_arrays(path: Path) -> Iterator[Any]:
    """The arrays of a file that a study has kept. Raises CampaignError where it is damaged."""
    try:
        with np.load(path, allow_pickle=False) as file:
            yield file
    except (ValueError, KeyError, OSError, EOFError, zlib.error, zipfile.BadZipFile) as error:
        raise CampaignError(f"{path} is damaged ({error}); delete it, and it is computed again.") from None
