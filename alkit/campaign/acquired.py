"""How the acquired molecules had been predicted before their labels came.

Selection takes molecules whose predictions may be wrong. So an interval that holds 90 % of the labels of
random molecules holds fewer of theirs.
"""

from __future__ import annotations

import csv
import math
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from alkit.campaign.predictions import read_predictions
from alkit.files import read_columns, replace_file
from alkit.storage.round_files import ACQUIRED_FILE
from surrogate.calibration import conformal_quantile

if TYPE_CHECKING:
    from alkit.campaign.round_state import RoundState

LEVEL = 0.9  # of the intervals
_NUMBERS = ("label", "prediction", "std", "half_width")  # in the unit of the labels


def judge(state: RoundState) -> dict[str, float]:
    """Metrics of the round; the predictions are kept.

    Returns:
        ``acquired_coverage_90``: share of the acquired molecules whose label lies in the predicted 90 %
        interval. ``acquired_widening``: the factor on intervals that would have held 90 % of the labels of
        earlier rounds, by the conformal quantile of their scores. ``acquired_widened_90``: the share of this
        round's labels in intervals of that width. Each only where it can be known.
    """
    scores = _scores_of_round(state)
    if scores is None or not len(scores):
        return {}
    found = {"acquired_coverage_90": float((scores <= 1).mean())}
    earlier = [_read(state, state.path(ACQUIRED_FILE, round_=round_)) for round_ in range(1, state.round)]
    widening = widening_of(np.concatenate([np.empty(0), *earlier]))
    if math.isfinite(widening):
        found["acquired_widening"] = widening
        found["acquired_widened_90"] = float((scores <= widening).mean())
    return found


def widening_of(scores: NDArray[np.float64]) -> float:
    """The factor on half-widths that holds the next such score with 90 %; infinite where they are too few.

    Args:
        scores: ``(n,)`` absolute errors over the half-widths that were predicted.
    """
    return conformal_quantile(np.sort(scores).tolist(), LEVEL)


def _scores_of_round(state: RoundState) -> NDArray[np.float64] | None:
    """Conformal scores of this round's acquired molecules; None where their intervals are not known."""
    if state.round == 0:
        return None
    arrays = read_predictions(state)
    if "half_widths" not in arrays:  # predicted by an earlier revision
        return None
    row = {int(number): k for k, number in enumerate(arrays["ids"])}
    labelled = state.ledger.labelled("training", up_to_round=state.round)
    acquired = [(c.smiles, value, row[c.id]) for c, value in labelled if c.id in row]
    means, std = arrays["samples"].mean(axis=0), arrays["std"]
    rows = [(one, value, means[k], std[k], arrays["half_widths"][k]) for one, value, k in acquired]

    def write(path: Path) -> None:
        with path.open("w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows([("smiles", *map(state.ledger.quantity.column, _NUMBERS)), *rows])

    replace_file(state.path(ACQUIRED_FILE), write)
    return _read(state, state.path(ACQUIRED_FILE))


def _read(state: RoundState, path: Path) -> NDArray[np.float64]:
    """``(n,)`` scores; none of a round of an earlier revision."""
    if not path.exists():
        return np.empty(0)
    labels, predicted, halves = read_columns(
        path, *map(state.ledger.quantity.column, ("label", "prediction", "half_width"))
    ).T
    return np.abs(labels - predicted) / halves
