"""A map of chemical space: molecules by two components of the surrogate's embeddings."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np

from alkit.reporting import plots
from alkit.reporting.page_parts import Plot, number, percent
from alkit.storage.ledger import Ledger
from alkit.storage.round_files import PREDICTIONS_FILE, read_arrays, round_file
from alkit.threads import one_thread


def map_of(ledger: Ledger, folder: Path, last: int) -> Plot | str:
    """The map by the embeddings of the last round that predicted, or a sentence that says why there is none.

    Embeddings of different rounds are those of different surrogates, so that one round makes the map.

    Args:
        ledger: of the campaign.
        folder: of the campaign.
        last: round to begin with, from the end.
    """
    round_ = next((k for k in range(last, 0, -1) if round_file(folder, k, PREDICTIONS_FILE).is_file()), None)
    if round_ is None:
        return "No round has predicted candidates yet, so there are no embeddings to make a map of."
    arrays = read_arrays(round_file(folder, round_, PREDICTIONS_FILE))
    known = [
        candidate
        for role in ("training", "validation")
        for candidate, _ in ledger.labelled(role, up_to_round=round_ - 1)
    ]
    if len(arrays.get("labelled_embeddings", ())) != len(known):
        return (
            f"Round {round_} holds no embeddings of the molecules that are labelled now, so there is no map."
        )
    fates = {one.id: one.status for one in ledger.candidates(round_=round_)}
    taken = np.array([fates.get(int(k)) in ("acquired", "labelled", "failed") for k in arrays["ids"]], bool)
    points, shares = _components(np.concatenate([arrays["labelled_embeddings"], arrays["embeddings"]]))
    labelled, candidates = points[: len(known)], points[len(known) :]
    rounds = np.array([one.round for one in known], dtype=int)
    late = rounds > 0
    acquired = np.concatenate([labelled[late], candidates[taken]])
    acquired_in = np.concatenate([rounds[late], np.full(int(taken.sum()), round_)])
    held = percent(shares[0] + shares[1])
    words = (
        f"Molecules by the two main components of the surrogate's embeddings in round {round_}. They hold "
        f"{held} of the variance. Shown are {number((~late).sum(), 'molecule')} labelled at the start, "
        f"{len(acquired):,} acquired since, and {int((~taken).sum()):,} candidates of round {round_} that "
        "were not acquired. Candidates that screening rejected have no embeddings."
    )
    draw = partial(plots.chemical_space, labelled[~late], acquired, acquired_in, candidates[~taken], shares)
    return Plot("chemical_space", "Chemical space", words, draw)


def _components(embeddings: np.ndarray) -> tuple[np.ndarray, tuple[float, float]]:
    """``(n, 2)`` principal components, and the share of the variance that each holds."""
    from sklearn.decomposition import PCA

    if min(embeddings.shape) < 2 or not np.ptp(embeddings, axis=0).any():
        return np.zeros((len(embeddings), 2)), (0.0, 0.0)
    rows = embeddings.astype(np.float64)
    solver = (
        "arpack" if min(rows.shape) > 2 else "full"
    )  # for two of many components the others are not needed
    with one_thread():  # threads of BLAS wait for each other, 40 times as long where the cores are busy
        fitted = PCA(n_components=2, svd_solver=solver, random_state=0).fit(rows)
    first, second = fitted.explained_variance_ratio_
    return fitted.transform(rows), (float(first), float(second))
