"""The predictions of a round on disk: the predict stage writes them, the acquire stage reads them."""

from __future__ import annotations

import zipfile
import zlib
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from alkit.errors import CampaignError
from alkit.files import replace_file

if TYPE_CHECKING:
    from alkit.campaign.round_state import RoundState

PREDICTIONS_FILE = "predictions.npz"
_UNREADABLE = (
    OSError, ValueError, KeyError, IndexError, TypeError, EOFError, NotImplementedError, zipfile.BadZipFile,
    zlib.error,
)  # fmt: skip
_EARLIER_KEYS = {"cheap": "xtb_energy", "labelled_cheap": "labelled_xtb_energy"}


def save_predictions(state: RoundState, arrays: dict[str, Any]) -> None:
    """Keep what the predict stage has computed."""
    replace_file(state.path(PREDICTIONS_FILE), lambda path: np.savez_compressed(path, **arrays))


def read_predictions(state: RoundState) -> dict[str, NDArray]:
    """What `save_predictions` has kept.

    Raises:
        CampaignError: the file is missing or damaged.
    """
    path = state.path(PREDICTIONS_FILE)
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
    """Raises KeyError or ValueError for what `save_predictions` does not write."""
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
