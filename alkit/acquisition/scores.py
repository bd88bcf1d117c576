"""Scores of single molecules; the batch is the highest of them."""

import numpy as np
from numpy.typing import NDArray

from alkit.acquisition.base import Pool, RoundContext


def random(pool: Pool, context: RoundContext) -> NDArray[np.float64]:
    """A random order: the baseline that every other acquisition function has to beat."""
    return context.rng.random(len(pool))


def std(pool: Pool, context: RoundContext) -> NDArray[np.float64]:
    """The ensemble's standard deviation (Seung et al., COLT 1992, https://doi.org/10.1145/130385.130417)."""
    return pool.std
