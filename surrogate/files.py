"""Weights on disk."""

import io
import os
import secrets
import warnings
import zipfile
from pathlib import Path
from typing import Any

import torch


def write_weights(state: dict[str, Any], path: Path) -> None:
    """Write weights for ``torch.load(path, weights_only=True)``.

    Raises:
        OSError: the file cannot be written; torch itself says of a full disk only that a position in the file
            was unexpected.
    """
    content = io.BytesIO()
    torch.save(state, content)
    write_whole(path, content.getbuffer())


def read_whole(path: Path) -> Any:
    """Read a file of `write_weights`, once its check sums are right: ``torch.load`` does not look at them.

    Raises:
        OSError: it cannot be read.
        Exception: it was damaged, or is foreign, and broke torch's reader somewhere.
    """
    check_sums(path)
    with warnings.catch_warnings(action="ignore"):  # what torch says of a damaged file
        return torch.load(path, map_location="cpu", weights_only=True)


def check_sums(path: Path) -> None:
    """Look at the check sums of a file of ``torch.save``.

    Raises:
        OSError: it cannot be read.
        ValueError, zipfile.BadZipFile: it was damaged.
    """
    with zipfile.ZipFile(path) as archive:
        if damaged := archive.testzip():
            raise ValueError(f"the check sum of {damaged} is wrong")


def write_whole(path: Path, content: bytes | memoryview) -> None:
    """Write a new file of a name that nobody can foresee, and rename it.

    A file that exists is complete, and a link at ``path`` is replaced, not followed.
    """
    scratch = path.with_name(f".{path.stem}.part.{secrets.token_hex(8)}{path.suffix}")
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
    try:
        with open(os.open(scratch, flags, 0o666), "wb") as file:
            file.write(content)
        os.replace(scratch, path)
    finally:
        scratch.unlink(missing_ok=True)
