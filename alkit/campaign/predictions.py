"""The predictions of a round on disk: the predict stage writes them, the acquire stage reads them."""

from __future__ import annotations

import zipfile
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from alkit.errors import CampaignError
from alkit.files import replace_file

if TYPE_CHECKING:
    from alkit.campaign.round_state import RoundState

PREDICTIONS_FILE = "predictions.npz"
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
            return {_EARLIER_KEYS.get(key, key): array for key, array in file.items()}
    except (OSError, ValueError, zipfile.BadZipFile):
        raise CampaignError(
            f"{path} is missing or damaged; put the folder's files back, or start a new campaign."
        ) from None
