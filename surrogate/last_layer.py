"""The uncertainty of one network, from how far a molecule's atoms are from those it was trained on."""

from dataclasses import dataclass, fields
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from surrogate.files import write_weights

_FEATURES = 256
_NOISE = 0.1  # variance of a label's noise, over that which one atom's energy has a priori
_LEAST_LEFT = 1e-6  # share of a variance; keeps the division finite
_AT_ONCE = 1000  # molecules
_SAMPLE = 500  # atoms that the width of the kernel is found from


@dataclass(frozen=True, eq=False)
class LastLayerGP:
    """Posterior standard deviation of a Gaussian process on the last atom features of a trained network.

    A molecule's energy is a sum over its atoms. So its kernel with another molecule is the sum of a squared
    exponential over all pairs of their atoms. That is kernel regression on local environments (Bartók et al.,
    Phys. Rev. B 87, 184115 (2013), https://doi.org/10.1103/PhysRevB.87.184115). Random Fourier features
    (Rahimi and Recht, NeurIPS 2007) stand for the kernel. Training is one pass over the labelled molecules,
    and the cost of a prediction does not depend on their number.

    Attributes:
        shift, width: ``(f,)``, mean and standard deviation of the training atoms' features.
        frequencies, phases: ``(f, d)`` and ``(d,)`` of the Fourier features.
        factor: ``(d, d)``, lower Cholesky factor of the posterior precision of their weights.
    """

    shift: Tensor
    width: Tensor
    frequencies: Tensor
    phases: Tensor
    factor: Tensor

    @classmethod
    def fit(cls, atoms: Tensor, molecules: Tensor, *, seed: int, mean: bool = False) -> "LastLayerGP":
        """Labels do not enter: the posterior variance of a Gaussian process depends on where they are alone.

        Args:
            atoms: ``(n, f)`` features of the training molecules' atoms.
            molecules: ``(n,)`` number of each atom's molecule, ascending.
            seed: of the Fourier features.
            mean: whether the property is a mean over atoms, and so is the kernel.
        """
        generator = torch.Generator().manual_seed(seed)
        atoms, molecules = atoms.detach().cpu(), molecules.cpu()
        shift = atoms.mean(dim=0, dtype=torch.float64)
        width = ((atoms - shift.float()) ** 2).mean(dim=0, dtype=torch.float64).sqrt() + 1e-6
        some = (atoms[torch.randperm(len(atoms), generator=generator)[:_SAMPLE]] - shift) / width
        distances = torch.pdist(some)
        length = float(distances[distances > 0].median()) if bool((distances > 0).any()) else 1.0
        frequencies = (
            torch.randn(atoms.shape[1], _FEATURES, generator=generator, dtype=torch.float64) / length
        )
        phases = 2 * torch.pi * torch.rand(_FEATURES, generator=generator, dtype=torch.float64)
        precision = torch.eye(_FEATURES, dtype=torch.float64)
        process = cls(shift, width, frequencies, phases, precision)
        edges = torch.cat([torch.zeros(1, dtype=torch.int64), molecules.bincount().cumsum(0)])[
            ::_AT_ONCE
        ].tolist()
        for first, last in pairwise([*edges, len(atoms)]):
            if first < last:
                part = molecules[first:last] - molecules[first]
                pooled = process._pooled(atoms[first:last].double(), part, int(part[-1]) + 1, mean=mean)
                precision += pooled.T @ pooled / _NOISE
        return cls(shift, width, frequencies, phases, torch.linalg.cholesky(precision)).to(torch.float32)

    def __call__(self, atoms: Tensor, molecules: Tensor, count: int, *, mean: bool = False) -> Tensor:
        """``(count,)`` standard deviations, in units of one atom's prior one.

        Args:
            atoms: ``(n, f)``.
            molecules: ``(n,)`` number of each atom's molecule, below ``count``.
            count: molecules.
            mean: as `fit` was given it.
        """
        pooled = self._pooled(atoms, molecules, count, mean=mean)
        solved = torch.linalg.solve_triangular(self.factor, pooled.T, upper=False)
        return solved.norm(dim=0)

    @staticmethod
    def without_itself(deviations: NDArray[np.float64]) -> NDArray[np.float64]:
        """``(n,)`` standard deviations of training molecules, had each not been among them."""
        variances = deviations**2
        return np.sqrt(variances / np.maximum(1 - variances / _NOISE, _LEAST_LEFT))

    def _pooled(self, atoms: Tensor, molecules: Tensor, count: int, *, mean: bool) -> Tensor:
        waves = torch.cos(((atoms - self.shift) / self.width) @ self.frequencies + self.phases)
        waves = waves * (2 / len(self.phases)) ** 0.5
        sums = waves.new_zeros(count, waves.shape[1]).index_add(0, molecules, waves)
        return sums / molecules.bincount(minlength=count).clamp(min=1)[:, None] if mean else sums

    def to(self, where: torch.dtype | torch.device) -> "LastLayerGP":
        """The same on another device, or in another precision."""
        return LastLayerGP(*(getattr(self, one.name).to(where) for one in fields(self)))

    def save(self, path: Path) -> None:
        """Write what ``LastLayerGP(**torch.load(path, weights_only=True))`` reads."""
        write_weights({one.name: getattr(self, one.name) for one in fields(self)}, path)
