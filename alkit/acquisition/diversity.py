"""Batches whose molecules differ from one another: by distances between their embeddings."""

import warnings
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from alkit.acquisition.base import Pool, RoundContext
from alkit.acquisition.checks import number, whole
from alkit.acquisition.distances import NearestCentre, Unchosen, standardised
from alkit.threads import one_thread


class LargestClusterMaximumDistance:
    """LCMD: always the farthest molecule of the cluster that explains the pool worst.

    Every pool molecule belongs to its nearest centre; labelled molecules are the first centres, chosen ones
    become further ones. The next choice comes from the cluster with the largest sum of squared distances.
    Holzmüller et al., JMLR 24 (2023) 1-81, https://doi.org/10.48550/arXiv.2203.09410, there LCMD-TP; here on
    the embeddings of all members, standardised.
    """

    def select(self, pool: Pool, context: RoundContext, batch_size: int) -> Sequence[int]:
        """Always the farthest molecule of the cluster with the largest sum of squared distances."""

        def next_one(near: NearestCentre, left: Unchosen) -> int:
            largest = np.bincount(near.centres, weights=near.distances).argmax()
            return left.best(np.where(near.centres == largest, near.distances, -1.0))

        return _centre_by_centre(pool, context, batch_size, next_one)


class FarthestPoint:
    """Always the molecule farthest from all labelled and chosen ones, which finds outliers first.

    The greedy core-set of Sener & Savarese, ICLR 2018, https://doi.org/10.48550/arXiv.1708.00489
    """

    def select(self, pool: Pool, context: RoundContext, batch_size: int) -> Sequence[int]:
        """Always the molecule farthest from all labelled and chosen ones, in standardised embeddings."""
        return _centre_by_centre(pool, context, batch_size, lambda near, left: left.best(near.distances))


class KMeansPlusPlus:
    """Draws one by one, by squared distance to all labelled and chosen ones times ``std ** power``.

    As BADGE, whose gradients hold both in one: Ash et al., ICLR 2020,
    https://doi.org/10.48550/arXiv.1906.03671

    Args:
        power: how much the uncertainty counts; 0 not at all.
    """

    def __init__(self, power: float = 1.0):
        self.power = number("kmeans++", "power", power, least=0)

    def select(self, pool: Pool, context: RoundContext, batch_size: int) -> Sequence[int]:
        """Draw the batch molecule by molecule; where all allowed ones have weight 0, they have the same."""
        largest = pool.std.max(initial=0.0) or 1.0  # powers of the ratio cannot overflow
        weights = (pool.std / largest) ** self.power

        def next_one(near: NearestCentre, left: Unchosen) -> int:
            # Where no allowed one has any weight, all have the same.
            for values in (weights * near.distances, near.distances, np.ones(len(pool))):
                values = np.where(left.allowed(), values, 0.0)
                if values.sum() > 0:
                    return int(context.rng.choice(len(values), p=values / values.sum()))
            raise AssertionError("nothing is left to choose")

        return _centre_by_centre(pool, context, batch_size, next_one)


def _centre_by_centre(
    pool: Pool,
    context: RoundContext,
    batch_size: int,
    next_one: Callable[[NearestCentre, Unchosen], int],
) -> list[int]:
    """A batch in which each choice becomes a centre for the next."""
    near, left = NearestCentre(*standardised(pool, context)), Unchosen(pool, context)
    chosen: list[int] = []
    for _ in range(batch_size):
        chosen.append(next_one(near, left))
        near.add(chosen[-1])
        left.take(chosen[-1])
    return chosen


class ClusterTop:
    """The most uncertain molecule of every cluster, then the second of every cluster, and so on.

    K-means in small batches: Sculley, WWW 2010, https://doi.org/10.1145/1772690.1772862; for active learning:
    Zhdanov 2019, https://doi.org/10.48550/arXiv.1901.05954

    Args:
        clusters: how many; None for as many as the batch has molecules.
    """

    def __init__(self, clusters: int | None = None):
        self.clusters = None if clusters is None else whole("cluster_top", "clusters", clusters, least=1)

    def select(self, pool: Pool, context: RoundContext, batch_size: int) -> Sequence[int]:
        """The most uncertain molecule of each cluster, then the second of each, and so on; repeats last."""
        points, _ = standardised(pool, context)
        new = Unchosen(pool, context).first_of_each()
        clusters = np.zeros(len(pool), dtype=np.int64)
        count = min(self.clusters or batch_size, int(new.sum()))
        if count > 1:
            clusters = _clusters(points, count, int(context.rng.integers(2**31)))
        # Repeats are last, and each cluster's molecules are counted from the most uncertain one.
        order = np.lexsort((-pool.std, ~new))
        rank = np.empty(len(pool), dtype=np.int64)
        rank[order] = _occurrences(clusters[order])
        return np.lexsort((-pool.std, rank, ~new))[:batch_size].tolist()


def _clusters(points: NDArray, count: int, seed: int) -> NDArray[np.int64]:
    from sklearn.cluster import MiniBatchKMeans

    # One thread: sums of several come in another order every time, and near ties with them.
    with warnings.catch_warnings(), one_thread():
        warnings.simplefilter("ignore")  # fewer distinct points than clusters
        means = MiniBatchKMeans(count, batch_size=4096, n_init=1, random_state=seed)
        return means.fit_predict(points)


def _occurrences(values: NDArray) -> NDArray[np.int64]:
    """How often each value came before."""
    order = np.argsort(values, kind="stable")
    grouped = values[order]
    starts = np.flatnonzero(np.r_[True, grouped[1:] != grouped[:-1]])
    counts = np.arange(len(values)) - np.repeat(starts, np.diff(np.r_[starts, len(values)]))
    occurrences = np.empty(len(values), dtype=np.int64)
    occurrences[order] = counts
    return occurrences
