"""The ensemble's predictions of a pool as a BoTorch model."""

import numpy as np
import torch
from botorch.models.ensemble import EnsembleModel
from numpy.typing import NDArray
from torch import Tensor


class PoolModel(EnsembleModel):
    """The pool's samples as a BoTorch model; a molecule's input is its index.

    Args:
        samples: `s x n` predictions of the members.
    """

    def __init__(self, samples: Tensor):
        super().__init__()
        self._num_outputs = 1
        self.samples: Tensor
        self.register_buffer("samples", samples)

    def forward(self, X: Tensor) -> Tensor:
        """`(b) x q x 1` indices to `(b) x s x q x 1` values."""
        values = self.samples[:, X.squeeze(-1).long()]  # s x (b) x q
        return values.movedim(0, -2).unsqueeze(-1)


def pool_model(samples: NDArray[np.float64]) -> tuple[PoolModel, Tensor]:
    """The model of ``(s, n)`` predictions, eV, and all its inputs, `n x 1`."""
    choices = torch.arange(samples.shape[1], dtype=torch.float64).unsqueeze(-1)
    return PoolModel(torch.from_numpy(np.ascontiguousarray(samples))), choices
