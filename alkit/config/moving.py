"""A campaign's files and where they lie, so that a project that was moved or copied goes on."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from alkit.config.loading import changes
from alkit.config.schema import CampaignConfig
from alkit.files import digest

# Settings that name a file: of data, whose content counts, or another.
_DATA = ("seeds", "dataset", "file")
_OTHER = ("name", "kind", "parsl", "dask", "cache", "allowed", "references")
_SECTIONS = (
    "start",
    "start.labels",
    "acquisition",
    "domain",
    "simulator",
    "proposer",
    "target_set",
    "dataset_options",
    "surrogate",
    "surrogate.pretraining",
)
_HERE = os.curdir + os.sep

Change = Callable[[str, str], str]


def contents(config: CampaignConfig) -> dict[str, str]:
    """SHA-256 of the campaign's data files, by the setting that names them."""
    found: dict[str, str] = {}

    def look(key: str, path: str) -> str:
        if _is_data(key):
            found[key] = digest(Path(path))
        return path

    _with_paths(config.as_dict(), look)
    return found


def relative(values: dict[str, Any], base: Path, *, within: Path | None = None) -> dict[str, Any]:
    """Settings with absolute paths relative to the folder ``base``: all, or those that lie ``within``."""

    def change(_: str, path: str) -> str:
        if not os.path.isabs(path) or (within and not Path(path).is_relative_to(within)):
            return path
        return _HERE + os.path.relpath(path, base)

    return _with_paths(values, change)


def absolute(values: dict[str, Any], base: Path) -> dict[str, Any]:
    """Settings with what `relative` has made relative to ``base`` absolute again."""
    return _with_paths(
        values, lambda _, path: os.path.normpath(base / path) if path.startswith(_HERE) else path
    )


def changed(
    stored: dict[str, Any], base: Path, known: dict[str, str] | None, config: CampaignConfig
) -> list[str]:
    """Lines on what differs from the campaign as it began, and must not while it is under way.

    The content of a data file counts, wherever it lies. Another file is the same one in the same place, or in
    the same place beside the campaign file.

    Args:
        stored: settings as `relative` wrote them, or an earlier revision, with absolute paths.
        base: folder of the campaign file at that time.
        known: `contents` at that time; None of an earlier revision.
        config: the campaign as it is now.
    """
    old, new = absolute(stored, base), config.as_dict()
    if known is not None:
        old, new = _by_content(old, known), _by_content(new, contents(config))
    # A ledger says where it is by being there.
    old, new = old | {"folder": None}, new | {"folder": None}
    elsewhere = {line.partition(":")[0] for line in changes(relative(old, base), relative(new, config.base))}
    return [line for line in changes(old, new) if line.partition(":")[0] in elsewhere]


def _by_content(values: dict[str, Any], known: dict[str, str]) -> dict[str, Any]:
    def change(key: str, path: str) -> str:
        return f"content {known[key][:12]}" if key in known else path

    return _with_paths(values, change)


def _is_data(key: str) -> bool:
    return key.rpartition(".")[2] in _DATA


def _with_paths(values: dict[str, Any], change: Change, prefix: str = "") -> dict[str, Any]:
    """Settings with ``change(dotted key, path)`` in place of every path; ``file.py:name`` counts as one."""
    result = dict(values)
    for key, value in values.items():
        where = f"{prefix}{key}"
        if isinstance(value, dict) and where in _SECTIONS:
            result[key] = _with_paths(value, change, f"{where}.")
        elif where == "proposer.parts":
            result[key] = [_with_paths(part, change, f"{where}.{i}.") for i, part in enumerate(value or ())]
        elif isinstance(value, str) and (key in _DATA or (prefix and key in _OTHER)):
            result[key] = change(where, value)
    return result
