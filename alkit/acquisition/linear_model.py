"""Batches that a Bayesian linear model on the embeddings learns most from.

The model: weights of prior variance 1 on the standardised embeddings, scaled to a mean square of 1; labels
with normal noise. Its covariance depends on which molecules are labelled, not on their labels: every choice
can be counted as labelled before the next.
"""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve

from alkit.acquisition.base import Pool, RoundContext
from alkit.acquisition.checks import number
from alkit.acquisition.distances import Unchosen, standardised
from surrogate.low_rank import Covariance

NOISE = 0.1  # as the reference implementation of Holzmüller et al. has it


class Posterior:
    """The weights' covariance given the labelled molecules.

    Args:
        points: ``(n, k)`` features of the pool.
        known: ``(m, k)`` those of the labelled molecules.
        noise: standard deviation of a label.
        own: ``(n,)``, variance of each of the pool that no weight explains; none by default.

    Attributes:
        covariance: ``(k, k)`` of the weights.
        variances: ``(n,)`` of the pool's energies, without noise and what is their own.
    """

    def __init__(self, points: NDArray, known: NDArray, noise: float, own: NDArray | None = None):
        self.points, self.noise = points, noise
        self.unexplained = noise**2 + (np.zeros(len(points)) if own is None else own)
        unit = np.eye(points.shape[1])
        self.covariance = cho_solve(cho_factor(known.T @ known / noise**2 + unit), unit)
        self.variances = quadratic(points, self.covariance)

    def direction(self, index: int) -> NDArray[np.float64]:
        """``(k,)``, ``u`` of the change ``-u uᵀ`` of the covariance by a label of molecule ``index``."""
        direction = self.covariance @ self.points[index]
        return direction / np.sqrt(self.points[index] @ direction + self.unexplained[index])

    def add(self, direction: NDArray, along: NDArray) -> None:
        """Change by ``direction``; ``along`` is ``(n,)``, the points times it."""
        self.covariance -= np.outer(direction, direction)
        self.variances -= along**2


def regression(
    known: NDArray, values: NDArray, points: NDArray, ridge: float
) -> tuple[NDArray[np.float64], Posterior]:
    """Bayesian linear regression on embeddings: ``m`` values, for ``n`` points.

    Args:
        known: ``(m, d)`` embeddings of the molecules with a value.
        values: ``(m,)``, in any unit.
        points: ``(n, d)`` embeddings.
        ridge: variance of the noise, in units of the weights' prior.

    Returns:
        ``(n,)``, the values' mean in their unit, and the posterior of the weights in units of the prior's.
    """
    centre = known.mean(axis=0, dtype=np.float64)
    inputs, points = known - centre, points - centre
    scale = np.sqrt((inputs**2).sum(axis=1).mean()) or 1.0
    inputs, points = inputs / scale, points / scale
    posterior = Posterior(points, inputs, np.sqrt(ridge))
    offset = float(np.mean(values))
    weights = posterior.covariance @ (inputs.T @ (values - offset)) / ridge
    return offset + points @ weights, posterior


def quadratic(points: NDArray, matrix: NDArray, chunk: int = 4096) -> NDArray[np.float64]:
    """``(n,)``, ``xᵀ matrix x`` of every row ``x``, in bounded memory."""
    parts = [points[start : start + chunk] for start in range(0, len(points), chunk)]
    return np.concatenate([np.einsum("ij,ij->i", part @ matrix, part) for part in parts])


def products(points: NDArray, *vectors: NDArray, chunk: int = 2048) -> NDArray[np.float64]:
    """``(v, n)``, the points times each of ``v`` vectors ``(k,)``.

    Part by part: what takes the time is to fetch the points, and a part is fetched once for all vectors.
    """
    result = np.empty((len(vectors), len(points)))
    for start in range(0, len(points), chunk):
        part = points[start : start + chunk]
        for row, vector in zip(result, vectors, strict=True):
            row[start : start + chunk] = part @ vector
    return result


def _prepared(pool: Pool, context: RoundContext) -> tuple[NDArray, NDArray]:
    """Features of mean square 1: noise then means the same for any number of them."""
    points, known = standardised(pool, context)
    total = np.einsum("ij,ij->", points, points) + np.einsum("ij,ij->", known, known)
    scale = np.sqrt((len(points) + len(known)) / total) if total > 0 else 1.0
    points *= scale
    known *= scale
    return points, known


class MaximumDeterminant:
    """MaxDet: always the molecule of the largest variance, given the labelled and the chosen ones.

    The greedy maximum of the determinant of the batch's covariance, which is that of its information.
    Holzmüller et al., JMLR 24 (2023) 1-81, https://doi.org/10.48550/arXiv.2203.09410, there MaxDet-P on the
    posterior kernel.

    Args:
        noise: standard deviation of a label, that of an average molecule before any label being 1.
    """

    def __init__(self, noise: float = NOISE):
        self.noise = number("maxdet", "noise", noise, above=0)

    def select(self, pool: Pool, context: RoundContext, batch_size: int) -> Sequence[int]:
        """Always the molecule of largest posterior variance, given the labels and those before it."""
        posterior = Posterior(*_prepared(pool, context), self.noise)

        def add(index: int) -> None:
            direction = posterior.direction(index)
            posterior.add(direction, posterior.points @ direction)

        return select_greedily(pool, context, batch_size, lambda: posterior.variances, add)


class Bait:
    """BAIT: always the molecule that takes most from the variance of all, summed over pool and labelled set.

    Unlike `MaximumDeterminant` it passes over what is uncertain but like nothing else. Ash et al.,
    NeurIPS 2021, https://doi.org/10.48550/arXiv.2106.09675; forward only, as BAIT-F of Holzmüller et al.,
    JMLR 24 (2023) 1-81, https://doi.org/10.48550/arXiv.2203.09410

    Args:
        noise: as in `MaximumDeterminant`.
    """

    def __init__(self, noise: float = NOISE):
        self.noise = number("bait", "noise", noise, above=0)

    def select(self, pool: Pool, context: RoundContext, batch_size: int) -> Sequence[int]:
        """Always the molecule whose label lowers the variance over pool and labelled molecules most."""
        points, known = _prepared(pool, context)
        lowered = VarianceReduction(Posterior(points, known, self.noise), points.T @ points + known.T @ known)
        return select_greedily(pool, context, batch_size, lowered.gains, lowered.add)


class IntegratedVariance:
    """Always the molecule whose label takes most from the surrogate's own variance over the target set.

    The covariance of the energies given all labels is the kernel's own, not that of a model on embeddings.
    Cohn, Neural Networks 9 (1996) 1071-1083, https://doi.org/10.1016/0893-6080(95)00137-9; Seo et al., IJCNN
    2000, https://doi.org/10.1109/IJCNN.2000.861310. Without a target set the sum is over the pool.
    """

    needs = ("covariance",)

    def select(self, pool: Pool, context: RoundContext, batch_size: int) -> Sequence[int]:
        """Choose one molecule after another, each given those before it; no label values are needed."""
        shared, target = pool.covariance, (pool if context.target is None else context.target).covariance
        assert shared is not None  # they are in `needs`
        assert target is not None
        lowered = VarianceReduction.among(shared, target)
        return select_greedily(pool, context, batch_size, lowered.gains, lowered.add)


class VarianceReduction:
    """The fall of the sum of variances ``xᵀ Σ x`` over several ``x`` by a label of each molecule.

    Args:
        posterior: of the weights, with the points that may be labelled.
        moments: ``(k, k)``, the sum of ``x xᵀ``.
    """

    def __init__(self, posterior: Posterior, moments: NDArray):
        self._posterior, self._moments = posterior, moments
        # The trace of moments Σ falls by xᵀ Σ moments Σ x / (xᵀ Σ x + noise) with a label of x.
        self._shared = quadratic(posterior.points, posterior.covariance @ moments @ posterior.covariance)

    @classmethod
    def among(cls, candidates: Covariance, target: Covariance) -> "VarianceReduction":
        """The fall of the target's variances by labels of the candidates; both by the same factors."""
        factors = candidates.factors
        posterior = Posterior(factors, factors[:0], candidates.noise, candidates.own)
        return cls(posterior, target.factors.T @ target.factors)

    def gains(self) -> NDArray[np.float64]:
        """``(n,)``."""
        gains: NDArray[np.float64] = self._shared / (
            np.maximum(self._posterior.variances, 0.0) + self._posterior.unexplained
        )
        return gains

    def add(self, index: int) -> None:
        """Molecule ``index`` has a label."""
        posterior = self._posterior
        direction = posterior.direction(index)
        moved = self._moments @ direction
        along, across = products(posterior.points, direction, posterior.covariance @ moved)
        self._shared += along * ((direction @ moved) * along - 2 * across)
        posterior.add(direction, along)


def select_greedily(
    pool: Pool,
    context: RoundContext,
    batch_size: int,
    values: Callable[[], NDArray],
    add: Callable[[int], object],
) -> list[int]:
    """A batch of the highest of ``values()``; ``add`` gets each choice before the next."""
    left, chosen = Unchosen(pool, context), []
    for _ in range(batch_size):
        chosen.append(left.best(values()))
        add(chosen[-1])
        left.take(chosen[-1])
    return chosen
