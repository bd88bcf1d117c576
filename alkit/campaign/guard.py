"""The guard: what says that a campaign learns the wrong things, after each round."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.distance import cdist
from scipy.stats import binomtest, ttest_rel

from alkit.acquisition.distances import standardise
from alkit.campaign import target_set
from alkit.campaign.proposing import acquired_molecules
from alkit.files import read_columns
from alkit.reporting import verdicts

if TYPE_CHECKING:
    from alkit.campaign.round_state import RoundState
    from surrogate import Surrogate

VALIDATION_FILE = "validation_predictions.csv"
_FEWEST, _MOST = 20, 1000  # molecules that stand for the target set
_BY_CHANCE = 0.05  # share of the target's molecules that lie further from their nearest one than is usual
_CHANCE = 0.01  # p-value below which a share is none


def watch(state: RoundState, ensemble: Surrogate) -> dict[str, float]:
    """Metrics of the round; a warning on the terminal where one of them is bad.

    Returns:
        ``validation_rise``: p-value of a paired t-test, one-sided, that the validation errors are not larger
        than in the best round before. ``outside_target``: share of the acquired molecules that lie outside of
        the target set, on the surrogate's embeddings; 0.05 is chance. Each only where it can be known.
    """
    found = {}
    if (rise := _rise(state)) is not None:
        found["validation_rise"] = rise
    if (outside := _outside(state, ensemble)) is not None:
        found["outside_target"] = outside
    if said := verdicts.guard_verdict([found]):
        state.progress.say(f"guard: {said}", warning=True)
    return found


def _rise(state: RoundState) -> float | None:
    earlier = [
        errors for round_ in range(state.round) if (errors := _validation_errors(state, round_)) is not None
    ]
    now = _validation_errors(state, state.round)
    if now is None or not earlier:
        return None
    best = min(earlier, key=lambda errors: float(errors.mean()))
    if len(best) != len(now) or np.array_equal(best, now):
        return None
    return float(ttest_rel(now, best, alternative="greater").pvalue)


def _validation_errors(state: RoundState, round_: int) -> NDArray[np.float64] | None:
    """``(n,)`` absolute errors; campaigns of earlier revisions did not keep them."""
    path, quantity = state.path(VALIDATION_FILE, round_=round_), state.ledger.quantity
    if not path.exists():
        return None
    labels, predicted = read_columns(path, quantity.column("label"), quantity.column("prediction")).T
    return np.abs(labels - predicted)


def _outside(state: RoundState, ensemble: Surrogate) -> float | None:
    """The share of the acquired molecules outside of the target; what chance gives where it may be chance."""
    candidates = state.ledger.candidates(round_=state.round)
    seen = [c for c in candidates if c.status not in ("proposed", "rejected")]
    rows, acquired = target_set.rows(state, seen), acquired_molecules(state)
    if rows is None or len(rows) < _FEWEST or not acquired:
        return None
    part = np.unique(np.linspace(0, len(rows) - 1, min(len(rows), _MOST)).astype(int))
    aimed = [seen[k].smiles for k in rows[part]]
    graphs = state.molecules.graphs([*aimed, *acquired])
    points = ensemble.predict(graphs, device=state.config.surrogate.device).embeddings.astype(np.float64)
    standardise(points)
    target, others = np.split(points, [len(aimed)])
    within = cdist(target, target)
    np.fill_diagonal(within, np.inf)
    usual = np.quantile(within.min(axis=1), 1 - _BY_CHANCE)
    own = {smiles: k for k, smiles in enumerate(aimed)}
    distances = cdist(others, target)
    for row, smiles in enumerate(acquired):  # one that was of the target itself has other neighbours
        if smiles in own:
            distances[row, own[smiles]] = np.inf
    far = int((distances.min(axis=1) > usual).sum())
    chance = binomtest(far, len(acquired), _BY_CHANCE, alternative="greater").pvalue
    return far / len(acquired) if chance < _CHANCE else min(far / len(acquired), _BY_CHANCE)
