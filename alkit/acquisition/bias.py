"""Selection by errors that are known but for a little: the surrogate's, from xTB energies."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from alkit.acquisition.base import Pool, RoundContext
from alkit.acquisition.checks import number, whole
from alkit.acquisition.linear_model import Posterior, products, quadratic, regression, select_greedily

# Share of the mean squared length of an embedding: for learning how xTB energies and labels differ. Chosen
# on QM9 (docs/decisions/019).
RIDGE = 1e-4
# How far a label's news is thought to carry: chosen each round by the evidence of the errors themselves, from
# these and never less than what labels can be followed by (docs/decisions/019, 022).
_REACHES = tuple(10.0 ** (k / 2) for k in range(-8, 1))
_JUDGED = 1000  # molecules of the target at most that choose it: an eigenvalue problem of this size
# Times the root mean square of the errors but for the largest 1 %: beyond it an error counts no more, or one
# wild prediction would decide the whole batch. On QM9 the largest is at 6 to 8.
_WILD = 10.0


class Bias:
    """The molecules whose labels lower the surrogate's errors over the target set most.

    A candidate's label is unknown, but its GFN2-xTB energy is known. A ridge regression on the embeddings
    learns from the labelled molecules how the two differ. Both together, less the surrogate's prediction,
    estimate its error. To each squared error comes the regression's variance, on average as much: what the
    estimate does not tell. Then the molecule is taken whose label leaves the least of their sum over the
    target set, once such a regression knows it. The next is judged with all before it, and so on. So the
    density of the target counts, the uncertainty, and the error. Without a target set the sum is over the
    pool.

    To choose by what a label says of a target: EPIG (doi:10.48550/arXiv.2304.08151) does. A choice by
    variance alone is BAIT (doi:10.48550/arXiv.2106.09675), one by errors alone is orthogonal matching pursuit
    (doi:10.1109/ACSSC.1993.342465).

    Args:
        power: of the error whose mean over the target is to fall: with 2 its square, with more the large
            errors count for more. The gains are those of squares that are weighted once a batch.
        candidates: of a larger pool, or target, as many molecules are drawn at random, four times the batch
            at least, and stand for it; time and memory grow with them.

    Needs `Pool.xtb_energy`, and features that stay as they are. The embeddings of a SchNet of a few hundred
    labels carry over to other molecules too little for this (docs/decisions/019).
    """

    needs = ("xtb_energy", "soap")

    def __init__(self, power: float = 2.0, candidates: int = 10_000):
        self.power = number("bias", "power", power, least=2)
        self.candidates = whole("bias", "candidates", candidates, least=1)

    def select(self, pool: Pool, context: RoundContext, batch_size: int) -> Sequence[int]:
        """Take molecules one by one, each judged with all before it; of large pools from a random part."""
        size = max(self.candidates, 4 * batch_size)
        if context.target is not None and len(context.target) > size:
            part = np.sort(context.rng.choice(len(context.target), size, replace=False))
            context = replace(context, target=context.target[part])
        if len(pool) > size:
            part = np.sort(context.rng.choice(len(pool), size, replace=False))
            return part[self.select(pool[part], context, batch_size)].tolist()
        known = self._reduction(pool, context)
        return select_greedily(pool, context, batch_size, lambda: known.gains()[: len(pool)], known.learn)

    def score(self, pool: Pool, context: RoundContext) -> NDArray[np.float64]:
        """``(n,)``: what each molecule's label, alone, takes from the errors over the target set, eV²."""
        return self._reduction(pool, context).gains()[: len(pool)]

    def _reduction(self, pool: Pool, context: RoundContext) -> ErrorReduction:
        """Reduction over the pool, and after it over what of the target set is not in it."""
        assert context.xtb_energy is not None  # it is in `needs`
        known, parts, over = context.targets - context.xtb_energy, [pool], np.arange(len(pool))
        if context.target is not None:
            place = {smiles: row for row, smiles in enumerate(pool.smiles)}
            others = [row for row, smiles in enumerate(context.target.smiles) if smiles not in place]
            place |= {context.target.smiles[row]: len(pool) + k for k, row in enumerate(others)}
            over = np.array([place[smiles] for smiles in context.target.smiles])
            parts.append(context.target[others])
        points = np.concatenate([part.embeddings for part in parts])
        difference, posterior = regression(context.embeddings, known, points, RIDGE)
        estimated = np.concatenate([np.asarray(part.xtb_energy) - part.mean for part in parts])
        errors = _clip_outliers(estimated + difference)
        ridge = best_ridge(posterior.points[over], errors[over])
        if ridge != RIDGE:
            _, posterior = regression(context.embeddings, known, points, ridge)
        return ErrorReduction(posterior, errors, self.power, over)


class ErrorReduction:
    """The sum over the target of weighted squared errors and variances, and what each molecule takes from it.

    Args:
        posterior: of a regression.
        errors: ``(n,)`` of its mean, eV.
        power: see `Bias`.
        over: rows of the target; all by default.

    A molecule's value changes the errors at all points ``x`` by ``shared / total`` times its own error.
    ``shared`` is their covariance ``xᵀ Σ xᵢ`` with it, ``total`` its own variance with noise.
    """

    def __init__(self, posterior: Posterior, errors: NDArray, power: float, over: NDArray | None = None):
        self._posterior, self.errors = posterior, np.array(errors, dtype=np.float64)
        points, covariance = posterior.points, posterior.covariance
        over = np.arange(len(points)) if over is None else over
        aimed, aimed_errors, variances = points[over], self.errors[over], self._variances[over]
        # In the errors' unit, and on average as large.
        squares = aimed_errors**2
        self._prior = float(squares.mean() / (variances.mean() or 1.0)) or 1.0
        expected = squares + self._prior * variances
        weights = (expected / (expected.max() or 1.0)) ** (power / 2 - 1)
        weights /= weights.mean() or 1.0
        self._moments = (aimed * weights[:, None]).T @ aimed
        weighted = aimed.T @ (weights * aimed_errors)
        self._weighted = weighted
        self._along = points @ (covariance @ weighted)  # sums of shared times weighted errors
        self._spread = quadratic(points, covariance @ self._moments @ covariance)  # of squares of shared

    @property
    def _variances(self) -> NDArray[np.float64]:
        return np.maximum(self._posterior.variances, 0.0)

    def gains(self) -> NDArray[np.float64]:
        """``(n,)``: by how much the sum falls when a molecule's value becomes known."""
        total = self._variances + self._posterior.noise**2
        share = self.errors / total
        return 2 * share * self._along + (self._prior / total - share**2) * self._spread

    def learn(self, index: int) -> None:
        """The value of molecule ``index`` becomes known."""
        direction = self._posterior.direction(index)
        moved = self._moments @ direction
        shared, across = products(self._posterior.points, direction, self._posterior.covariance @ moved)
        step = self.errors[index] / np.sqrt(self._variances[index] + self._posterior.noise**2)
        inner = float(direction @ moved)
        self._spread += shared * (inner * shared - 2 * across)
        self._along += shared * (step * inner - float(direction @ self._weighted)) - step * across
        self._weighted -= step * moved
        self.errors -= step * shared
        self._posterior.add(direction, shared)


def best_ridge(points: NDArray, errors: NDArray) -> float:
    """The noise, of `_REACHES`, under which the errors are likeliest, as a linear function of the points.

    By the marginal likelihood, with the errors' scale at its best (Rasmussen, Williams, "Gaussian Processes
    for Machine Learning" (2006), section 5.4.1). With a small one, an error says much of those elsewhere.

    Args:
        points: ``(n, k)``.
        errors: ``(n,)`` eV.
    """
    rows = np.unique(np.linspace(0, len(points) - 1, min(len(points), _JUDGED)).astype(int))
    if not errors[rows].any():
        return RIDGE
    values, vectors = np.linalg.eigh(points[rows] @ points[rows].T)
    values, squares = np.maximum(values, 0.0), (vectors.T @ errors[rows]) ** 2

    def evidence(ridge: float) -> float:
        total = values + ridge
        return float(-len(rows) * np.log((squares / total).mean()) - np.log(total).sum())

    return max(_REACHES, key=evidence)


def _clip_outliers(errors: NDArray) -> NDArray[np.float64]:
    """Errors of at most ten times the usual size: a wild prediction is not to decide the whole batch."""
    sizes = np.abs(errors)
    usual = sizes[sizes <= np.quantile(sizes, 0.99)]
    limit = _WILD * float(np.sqrt((usual**2).mean()))
    return np.clip(errors, -limit, limit) if limit > 0 else np.array(errors, dtype=np.float64)
