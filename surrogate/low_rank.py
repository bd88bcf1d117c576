"""The covariance of many molecules' energies by a few factors: enough to choose a batch, and quick."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

RANK = 320  # of 2,000 molecules of QM9 all but some per cent of the variance that is shared
_BLOCK = 40  # columns that are computed at a time
_LEAST = 1e-6  # of the largest eigenvalue of a block


@dataclass(frozen=True, eq=False, repr=False)
class Covariance:
    """How the energies of ``n`` molecules vary together, given what is known.

    Attributes:
        factors: ``(n, r)`` eV; products of rows are the covariances.
        own: ``(n,)`` eV², the variance of each beside that: what it shares with no other.
        noise: eV, standard deviation of a label about the energy.
    """

    factors: NDArray[np.float64]
    own: NDArray[np.float64]
    noise: float

    def __len__(self) -> int:
        return len(self.own)

    def __getitem__(self, rows: Any) -> Covariance:
        return Covariance(self.factors[rows], self.own[rows], self.noise)

    def __repr__(self) -> str:
        return f"Covariance({len(self)} molecules, {self.factors.shape[1]} factors)"


def factorised(
    columns: Callable[[NDArray[np.intp]], NDArray[np.float64]],
    variances: NDArray[np.float64],
    noise: float,
    *,
    rank: int = RANK,
) -> Covariance:
    """The covariance by pivoted Cholesky decomposition, the largest remaining variances first.

    Harbrecht, Peters, Schneider, https://doi.org/10.1016/j.apnum.2011.10.001; here in blocks of columns.

    Args:
        columns: ``(b,)`` molecules to ``(n, b)`` eV², their covariance with all.
        variances: ``(n,)`` eV².
        noise: eV, of `Covariance`.
        rank: factors at most.
    """
    left = np.maximum(variances, 0.0)
    factors = np.zeros((len(left), 0))
    while factors.shape[1] < min(rank, len(left)):
        size = min(_BLOCK, rank - factors.shape[1])
        chosen = np.sort(np.argsort(-left, kind="stable")[:size])
        rest = columns(chosen) - factors @ factors[chosen].T
        values, vectors = np.linalg.eigh(rest[chosen])
        good = values > _LEAST * max(values[-1], _LEAST * variances.max(initial=0.0))
        if not good.any():
            break
        new = rest @ vectors[:, good] / np.sqrt(values[good])
        factors = np.hstack([factors, new])
        left = np.maximum(left - (new**2).sum(axis=1), 0.0)
        left[chosen] = 0.0
    return Covariance(factors, left, noise)
