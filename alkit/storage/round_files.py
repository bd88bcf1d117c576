"""The files of a round that hold predictions: their names, and what is in them."""

from __future__ import annotations

import csv
import zipfile
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from alkit.errors import CampaignError

PREDICTIONS_FILE = "predictions.npz"  # of the candidates, before their labels
TEST_FILE = "test_predictions.csv"
ACQUIRED_FILE = "acquired_predictions.csv"
VALUES_FILE = "values.csv"  # what the candidates were worth to the acquisition function
_UNREADABLE = (
    OSError, ValueError, KeyError, IndexError, TypeError, EOFError, NotImplementedError, zipfile.BadZipFile,
    zlib.error,
)  # fmt: skip
_EARLIER_KEYS = {"cheap": "xtb_energy", "labelled_cheap": "labelled_xtb_energy"}


def round_file(folder: Path, round_: int, name: str) -> Path:
    """A file of a round of the campaign in ``folder``."""
    return folder / "rounds" / f"{round_:02d}" / name


def read_table(path: Path) -> tuple[list[str], NDArray[np.float64]]:
    """SMILES and numbers ``(n, columns)`` of a CSV file of a round, in its order.

    Raises:
        CampaignError: the file is missing or damaged.
    """
    try:
        with path.open(newline="", encoding="utf-8") as file:
            rows = list(csv.reader(file))
        values = np.array([row[1:] for row in rows[1:]], dtype=np.float64).reshape(-1, len(rows[0]) - 1)
    except _UNREADABLE as error:
        raise CampaignError(
            f"{path} is missing or damaged ({error}); put the folder's files back, or start a new campaign."
        ) from None
    return [row[0] for row in rows[1:]], values


def read_arrays(path: Path) -> dict[str, NDArray]:
    """Read the arrays that the predict stage has kept in `PREDICTIONS_FILE`.

    Raises:
        CampaignError: the file is missing or damaged.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {_EARLIER_KEYS.get(key, key): array for key, array in file.items()}
        _check(arrays)
    except _UNREADABLE as error:
        raise CampaignError(
            f"{path} is missing or damaged ({error}); put the folder's files back, or start a new campaign."
        ) from None
    return arrays


def _check(arrays: dict[str, NDArray]) -> None:
    """Check that `save_predictions` can have written these arrays.

    Raises:
        KeyError: an array is missing.
        ValueError: one has another shape or kind.
    """
    n, labelled = len(arrays["ids"]), len(arrays["labelled_embeddings"])
    shapes = {
        "ids": (n,),
        "samples": (len(arrays["samples"]), n),
        "std": (n,),
        "half_widths": (n,),
        "embeddings": (
            n,
            arrays["labelled_embeddings"].shape[1] if labelled else arrays["embeddings"].shape[1],
        ),
        "labelled_embeddings": (labelled, arrays["embeddings"].shape[1]),
        "xtb_energy": (n,),
        "labelled_xtb_energy": (labelled,),
        "covariance_factors": (n, np.shape(arrays.get("covariance_factors", [[]]))[-1]),
        "covariance_own": (n,),
        "covariance_noise": (),
    }
    for name in arrays.keys() & shapes.keys():
        if arrays[name].shape != shapes[name] or arrays[name].dtype.kind not in "fiu":
            raise ValueError(f"{name} is of shape {arrays[name].shape} and type {arrays[name].dtype}")
        # Labelled molecules that xTB cannot compute have no energy.
        if name != "labelled_xtb_energy" and not np.isfinite(arrays[name]).all():
            raise ValueError(f"{name} is not finite")
    if (arrays["std"] < 0).any() or (arrays.get("half_widths", arrays["std"]) < 0).any():
        raise ValueError("a deviation is negative")
    if any((arrays[name] < 0).any() for name in ("covariance_own", "covariance_noise") if name in arrays):
        raise ValueError("a variance is negative")
    if 0 < len({"covariance_factors", "covariance_own", "covariance_noise"} & arrays.keys()) < 3:
        raise ValueError("a part of the covariance is missing")
    if missing := sorted({"samples", "std", "embeddings"} - arrays.keys()):
        raise KeyError(missing[0])
