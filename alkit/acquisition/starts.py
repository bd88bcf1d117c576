"""The first molecules to label, chosen before any label is there."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from alkit.acquisition.linear_model import VarianceReduction
from surrogate.low_rank import Covariance


def far_apart(features: NDArray[np.float64], count: int, seed: int) -> list[int]:
    """Draw rows by k-means++ (Arthur and Vassilvitskii, SODA 2007).

    Each has a probability as its squared distance to the nearest before it. They may be fewer than ``count``,
    as equal rows are one.

    Args:
        features: ``(n, d)``.
        count: rows to draw.
        seed: of the draws.
    """
    from sklearn.cluster import kmeans_plusplus

    _, chosen = kmeans_plusplus(features, min(count, len(features)), random_state=seed)
    return [int(row) for row in np.unique(chosen)]


def least_variance(covariance: Covariance, count: int) -> list[int]:
    """Rows whose labels leave the least of the variance of all, one after the other.

    See `alkit.acquisition.linear_model.IntegratedVariance`.
    """
    lowered, chosen = VarianceReduction.among(covariance, covariance), list[int]()
    for _ in range(min(count, len(covariance))):
        gains = lowered.gains()
        gains[chosen] = -np.inf
        chosen.append(int(gains.argmax()))
        lowered.add(chosen[-1])
    return chosen
