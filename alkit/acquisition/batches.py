"""Batches whose molecules differ from one another, chosen on the embeddings."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from alkit.acquisition.base import Pool, RoundContext


class LargestClusterMaximumDistance:
    """LCMD: always the farthest molecule of the cluster that explains the pool worst.

    Every pool molecule belongs to its nearest centre; labelled molecules are the first centres, chosen ones
    become further ones. The next choice comes from the cluster with the largest sum of squared distances.
    Holzmüller et al., JMLR 24 (2023) 1-81, https://doi.org/10.48550/arXiv.2203.09410, there LCMD-TP; here on
    the embeddings of all members.
    """

    def select(self, pool: Pool, context: RoundContext, batch_size: int) -> Sequence[int]:
        everything = np.concatenate([context.embeddings, pool.embeddings]).astype(np.float64)
        # Centred first: a feature that never changes would otherwise become a huge constant when it is
        # scaled, and drown all others in rounding errors.
        everything -= everything.mean(axis=0)
        everything /= everything.std(axis=0) + 1e-12
        known, points = np.split(everything, [len(context.embeddings)])
        distances, centres = _nearest(points, known)
        chosen: list[int] = []
        for _ in range(batch_size):
            sums = np.bincount(centres, weights=distances)
            # What is chosen has distance 0; -1 keeps exact repeats of it from being chosen again before it.
            within = np.where(centres == sums.argmax(), distances, -1.0)
            within[chosen] = -2.0
            new = int(within.argmax())
            chosen.append(new)
            to_new = ((points - points[new]) ** 2).sum(axis=1)
            nearer = to_new < distances
            distances = np.where(nearer, to_new, distances)
            centres = np.where(nearer, len(context.embeddings) + len(chosen) - 1, centres)
        return chosen


def _nearest(points: NDArray, centres: NDArray, chunk: int = 4096) -> tuple[NDArray, NDArray]:
    """Squared distance to, and index of, the nearest centre of every point, in bounded memory."""
    squares = (centres**2).sum(axis=1)
    distances, indices = [], []
    for start in range(0, len(points), chunk):
        part = points[start : start + chunk]
        table = (part**2).sum(axis=1)[:, None] + squares - 2 * part @ centres.T
        indices.append(table.argmin(axis=1))
        distances.append(np.maximum(table.min(axis=1), 0.0))
    return np.concatenate(distances), np.concatenate(indices)
