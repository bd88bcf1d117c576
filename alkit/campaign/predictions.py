"""The predictions of a round on disk: the predict stage writes them, the acquire stage reads them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from alkit.files import replace_file
from alkit.storage.round_files import PREDICTIONS_FILE, read_arrays

if TYPE_CHECKING:
    from alkit.campaign.round_state import RoundState


def save_predictions(state: RoundState, arrays: dict[str, Any]) -> None:
    """Keep what the predict stage has computed."""
    replace_file(state.path(PREDICTIONS_FILE), lambda path: np.savez_compressed(path, **arrays))


def read_predictions(state: RoundState) -> dict[str, NDArray]:
    """Read the arrays that `save_predictions` has written.

    Raises:
        CampaignError: the file is missing or damaged.
    """
    return read_arrays(state.path(PREDICTIONS_FILE))
