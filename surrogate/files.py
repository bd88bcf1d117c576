"""Weights on disk."""

import io
from pathlib import Path
from typing import Any

import torch


def write_weights(state: dict[str, Any], path: Path) -> None:
    """What ``torch.load(path, weights_only=True)`` reads.

    Raises:
        OSError: the file cannot be written; torch itself says of a full disk only that a position in the file
            was unexpected.
    """
    content = io.BytesIO()
    torch.save(state, content)
    path.write_bytes(content.getbuffer())
