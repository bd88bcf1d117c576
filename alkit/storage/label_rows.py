"""A label as a row of a database: columns, and the hash that proves it unchanged."""

import hashlib

import numpy as np
from numpy.typing import NDArray

from alkit.simulators.base import Label, Level


def level_columns(level: Level) -> tuple[str, str, str]:
    return level.method, level.property, level.unit


def label_hash(label: Label) -> str:
    """Of what a label says: molecule, level, value and geometry; not of how long it took, or where."""
    said = [label.smiles, *level_columns(label.level), float(label.value).hex()]
    content = "\n".join(said).encode() + pack(label.numbers, "<i4") + pack(label.positions, "<f8")
    return hashlib.sha256(content).hexdigest()


def pack(values: NDArray, kind: str) -> bytes:
    return np.ascontiguousarray(values, dtype=kind).tobytes()


def unpack(numbers: bytes, positions: bytes) -> tuple[NDArray[np.int32], NDArray[np.float64]]:
    return np.frombuffer(numbers, "<i4"), np.frombuffer(positions, "<f8").reshape(-1, 3)
