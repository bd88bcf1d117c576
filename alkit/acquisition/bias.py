"""Selection by errors that are known: those that the surrogate's features make on the cheap energies."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from alkit.acquisition.base import Pool, RoundContext
from alkit.acquisition.determinants import Posterior
from alkit.acquisition.settings import number

# Of the mean squared length of an embedding. Cheap energies are smoother than labels and without noise: a
# ridge by cross-validation, on them or on the labels, follows them too closely (1e-7), and the errors that
# are left are no longer those of the labels.
_RIDGE = 3e-5


class Bias:
    """The molecules whose cheap energies the surrogate's features get most wrong, knowing what is labelled.

    What a candidate's label is nobody knows, but its GFN2-xTB energy is known for all of them. So a ridge
    regression on the embeddings learns the cheap energies of the labelled molecules, and its errors on the
    pool show where the features do not yet carry over. The molecule with the largest error is taken, the
    regression is told its cheap energy, and so on: a batch does not repeat itself, and each choice is judged
    with all before it. This is the f-greedy rule of kernel interpolation (Schaback and Wendland,
    doi:10.1023/A:1019105612985; beta-greedy: Wenzel, Santin and Haasdonk, doi:10.1007/s00365-022-09592-3).

    Args:
        beta: from 1, the errors alone, to 0, the regression's own variance alone.

    Needs `Pool.cheap`. It is made for features that stay as they are, such as a Gaussian process has; on the
    embeddings of a SchNet that learns them anew from a few hundred labels it lost to random selection
    (docs/decisions/019). Of no use where the labels are learnt as a difference to the cheap energies.
    """

    needs = ("cheap",)

    def __init__(self, beta: float = 1.0):
        self.beta = number("bias", "beta", beta, least=0, most=1)

    def select(self, pool: Pool, context: RoundContext, batch_size: int) -> Sequence[int]:
        assert pool.cheap is not None  # it is in `needs`
        assert context.cheap is not None
        regression = Regression(context.embeddings, context.cheap, pool.embeddings)
        errors = np.asarray(pool.cheap, dtype=np.float64) - regression.mean
        chosen: list[int] = []
        for _ in range(batch_size):
            value = np.abs(errors) ** self.beta * np.sqrt(regression.variance) ** (1 - self.beta)
            value[chosen] = -1.0
            new = int(value.argmax())
            chosen.append(new)
            errors -= regression.learn(new) * errors[new]
        return chosen


class Regression:
    """Bayesian linear regression on embeddings, of ``m`` values that are known, for ``n`` points.

    ``mean (n,)``: in the values' unit, at first; ``variance (n,)``: with what was learnt since, in units of
    the prior's.
    """

    def __init__(self, known: NDArray, values: NDArray, points: NDArray):
        centre = known.mean(axis=0, dtype=np.float64)
        inputs, points = known - centre, points - centre
        scale = np.sqrt((inputs**2).sum(axis=1).mean()) or 1.0
        inputs, points = inputs / scale, points / scale
        self._posterior = Posterior(points, inputs, np.sqrt(_RIDGE))
        offset = float(np.mean(values))
        self.mean = offset + points @ (self._posterior.covariance @ (inputs.T @ (values - offset)) / _RIDGE)

    @property
    def variance(self) -> NDArray:
        return np.maximum(self._posterior.variances, 0.0)

    def learn(self, index: int) -> NDArray:
        """``(n,)``: by which share of its error at a point each point's mean is corrected when the value
        there becomes known, as it does now."""
        direction = self._posterior.direction(index)
        along = self._posterior.points @ direction
        share = along / np.sqrt(self._posterior.variances[index] + _RIDGE)
        self._posterior.add(direction, along)
        return share
