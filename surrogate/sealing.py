"""A seal on a description in JSON, so that a number that was changed by hand or by a disk is seen."""

import hashlib
import json
from typing import Any

_KEY = "seal"


def sealed(description: dict[str, Any]) -> dict[str, Any]:
    """The description with its seal."""
    return description | {_KEY: _hash(description)}


def unsealed(description: dict[str, Any]) -> dict[str, Any]:
    """The description without its seal; files of earlier revisions have none.

    Raises:
        ValueError: it is not what was sealed.
    """
    rest = {key: value for key, value in description.items() if key != _KEY}
    if description.get(_KEY, seal := _hash(rest)) != seal:
        raise ValueError("it was changed after it was written")
    return rest


def _hash(description: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(description, sort_keys=True).encode()).hexdigest()[:32]
