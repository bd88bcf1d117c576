"""Predictions of a surrogate."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from surrogate.calibration import Calibration


@dataclass(frozen=True, eq=False, repr=False)
class Prediction:
    """Predictions of ``n`` molecules by a surrogate.

    Attributes:
        samples: ``(s, n)`` eV, one row per member, or per head of each member in turn; or joint draws.
        std: ``(n,)`` eV, calibrated standard deviation.
        embeddings: ``(n, d)``: of networks the members' pooled last atom features side by side.
        calibration: that made ``std``, and makes intervals.
    """

    samples: NDArray[np.float64]
    std: NDArray[np.float64]
    embeddings: NDArray[np.float32]
    calibration: Calibration = field(default_factory=Calibration)

    def __repr__(self) -> str:
        members, molecules = self.samples.shape
        return f"Prediction({molecules} molecules, {members} samples, {self.embeddings.shape[-1]} features)"

    def part(self, rows: NDArray) -> Prediction:
        """The same of some of the molecules, by index or mask."""
        return replace(
            self, samples=self.samples[:, rows], std=self.std[rows], embeddings=self.embeddings[rows]
        )

    @property
    def mean(self) -> NDArray[np.float64]:
        """``(n,)`` eV."""
        return self.samples.mean(axis=0)

    def interval(self, level: float = 0.9) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """``(n,)`` lower and upper ends, eV, that hold a new label with probability ``level``.

        Conformal (`Calibration.quantile`): for molecules drawn as the validation molecules were, and a little
        less where these are few, as they also fitted the calibration; infinite where they are too few for
        such a level (9 for 0.9).
        """
        half = self.calibration.quantile(level) * self.std
        return self.mean - half, self.mean + half


def joined(parts: Sequence[Prediction]) -> Prediction:
    """The predictions of several lists of molecules by one surrogate as those of one list.

    Args:
        parts: at least one.
    """
    return replace(
        parts[0],
        samples=np.concatenate([part.samples for part in parts], axis=1),
        std=np.concatenate([part.std for part in parts]),
        embeddings=np.concatenate([part.embeddings for part in parts]),
    )
