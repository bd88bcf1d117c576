"""The predictions of a pool as BoTorch models: a molecule's input is its index."""

from typing import Any

import numpy as np
import torch
from botorch.acquisition import AcquisitionFunction
from botorch.models import SingleTaskGP
from botorch.models.ensemble import EnsembleModel
from gpytorch.constraints import Positive
from gpytorch.kernels import Kernel
from gpytorch.likelihoods import GaussianLikelihood
from gpytorch.means import Mean
from gpytorch.utils.cholesky import psd_safe_cholesky
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


class _TableMean(Mean):
    """`(b) x q x 1` indices to `(b) x q` entries of ``values``."""

    def __init__(self, values: Tensor):
        super().__init__()
        self.values = values  # no buffer: a fantasy model copies buffers

    def __deepcopy__(self, memo: Any) -> "_TableMean":
        return self

    def forward(self, x: Tensor) -> Tensor:
        return self.values[x.squeeze(-1).long()]


class _TableKernel(Kernel):
    """`(b) x q x 1` and `(b) x r x 1` indices to `(b) x q x r` entries of ``table``."""

    def __init__(self, table: Tensor):
        super().__init__()
        self.table = table

    def __deepcopy__(self, memo: Any) -> "_TableKernel":
        return self

    def forward(self, x1: Tensor, x2: Tensor, diag: bool = False, **params: Any) -> Tensor:
        rows, columns = x1.squeeze(-1).long(), x2.squeeze(-1).long()
        return self.table[rows, columns] if diag else self.table[rows[..., :, None], columns[..., None, :]]


class PoolGP(SingleTaskGP):
    """A Gaussian process on ``c`` molecules; a molecule's input is its index.

    It is a process given every label but one, as its prior, and the last label as its only training point. So
    every question costs a look-up instead of a solve with all labels. Everything that BoTorch does with a
    process (joint posteriors, ``fantasize``, ``condition_on_observations``) works and is exact.

    Args:
        mean: `c`, eV, given every label but the last.
        covariance: `c x c`, eV^2, likewise.
        noise: eV^2, variance of a label around the latent function.
        last: index of the molecule of the last label.
        label: eV, the last label.
    """

    def __init__(self, mean: Tensor, covariance: Tensor, *, noise: Tensor, last: int, label: float):
        likelihood = GaussianLikelihood(noise_constraint=Positive())
        likelihood.noise = noise
        super().__init__(
            torch.tensor([[float(last)]], dtype=torch.float64),
            torch.tensor([[label]], dtype=torch.float64),
            likelihood=likelihood,
            mean_module=_TableMean(mean),
            covar_module=_TableKernel(covariance),
            outcome_transform=None,
        )
        self.requires_grad_(False)
        self.eval()

    def tables(self) -> tuple[Tensor, Tensor]:
        """Posterior mean `c`, eV, and covariance `c x c`, eV^2, of all molecules."""
        prior, last = self.covar_module.table, int(self.train_inputs[0])
        gain = prior[:, last] / (prior[last, last] + self.likelihood.noise)
        residual = self.train_targets - self.mean_module.values[last]
        return self.mean_module.values + gain * residual, prior - gain[:, None] * prior[last]

    def draws(self, size: int, generator: torch.Generator) -> Tensor:
        """`size x c` joint draws, eV, whose mean and variance are the posterior's, molecule by molecule.

        Every draw has its mirror image, and each molecule's deviations are scaled, by a few per cent, to the
        variance that they should have; an odd ``size`` becomes the even one above. Scored as an ensemble, a
        batch costs a look-up where exact sampling costs a factorisation per candidate and pick.
        """
        mean, covariance = self.tables()
        half = (size + 1) // 2
        noise = torch.randn(len(mean), half, generator=generator, dtype=torch.float64)
        deviations = psd_safe_cholesky(covariance) @ noise
        # The samples' variance has a divisor of one less than their number.
        variances = deviations.square().sum(dim=1) * 2 / (2 * half - 1)
        scale = torch.sqrt(covariance.diagonal().clamp_min(0) / variances.clamp_min(1e-300))
        deviations = (deviations * scale[:, None]).T
        return mean + torch.cat([deviations, -deviations])


class IntegratedVariance(AcquisitionFunction):
    """qNegIntegratedPosteriorVariance in closed form, one molecule at a time.

    The variance that a label leaves does not depend on its value. So the pending molecules are conditioned on
    once, and every candidate costs one row of a table. Seo et al., IJCNN 2000,
    https://doi.org/10.1109/IJCNN.2000.861310

    Args:
        model: of ``c`` molecules.
        mc_points: `p x 1` indices of the molecules whose mean variance, eV^2, is to fall.
    """

    def __init__(self, model: PoolGP, mc_points: Tensor, X_pending: Tensor | None = None):
        super().__init__(model=model)
        self.noise = model.likelihood.noise
        _, covariance = model.tables()
        self.points = mc_points.squeeze(-1).long()
        self.variances, self.rows = covariance.diagonal().clone(), covariance
        self.set_X_pending(X_pending)

    def set_X_pending(self, X_pending: Tensor | None = None) -> None:  # noqa: N802 - BoTorch's name
        """Condition the table on the pending molecules ``(q, 1)``, given by their indices; None for none."""
        self.X_pending = X_pending  # type: ignore[assignment] # BoTorch's annotation forgets None
        self.left, self.towards = self.variances, self.rows[:, self.points]
        if X_pending is None:
            return
        pending = X_pending.squeeze(-1).long()
        inner = self.rows[pending[:, None], pending]
        inner.diagonal().add_(self.noise)
        half = torch.linalg.solve_triangular(psd_safe_cholesky(inner), self.rows[pending], upper=False)
        self.left = self.variances - half.square().sum(dim=0)
        self.towards = self.towards - half.T @ half[:, self.points]

    def forward(self, X: Tensor) -> Tensor:
        """`b x 1 x 1` indices to `b` values, minus eV^2."""
        chosen = X[:, 0, 0].long()
        explained = self.towards[chosen].square().mean(dim=-1) / (self.left[chosen] + self.noise)
        return explained - self.left[self.points].mean()
