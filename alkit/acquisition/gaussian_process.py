"""A Gaussian process on the embeddings: the network gives the features, the process is its last layer.

Deep kernel learning (Wilson et al., AISTATS 2016, https://doi.org/10.48550/arXiv.1511.02222), with the
network as the campaign trained it. Only the kernel's few hyperparameters are fitted here.
"""

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, cast

import gpytorch
import numpy as np
import torch
from botorch.fit import fit_gpytorch_mll
from botorch.models import SingleTaskGP
from botorch.models.transforms import Standardize
from botorch.optim.closures import get_loss_closure_with_grads
from gpytorch.kernels import LinearKernel, MaternKernel, ScaleKernel
from gpytorch.mlls import ExactMarginalLogLikelihood
from gpytorch.utils.warnings import NumericalWarning
from linear_operator.utils.errors import NanError  # type: ignore[import-untyped]
from numpy.typing import NDArray
from torch import Tensor

from alkit.acquisition.distances import principal_axes, standardise

DIMENSIONS = 64  # more principal components cost time, and the kernel cannot tell them from noise
FITTED = 300  # molecules that the hyperparameters are fitted on; the cost of a step is their cube
CHUNK = 4096


@contextmanager
def exactly() -> Iterator[None]:
    """Cholesky at every size: GPyTorch's approximations draw random vectors beyond 800 molecules.

    Molecules that are nearly the same need a jitter of 1e-8, which is not worth a warning per pick.
    """
    with (
        gpytorch.settings.fast_computations(False, False, False),
        gpytorch.settings.max_cholesky_size(10**6),
        warnings.catch_warnings(),
    ):
        warnings.simplefilter("ignore", NumericalWarning)
        yield


def project(
    known: NDArray[np.float32], pool: NDArray[np.float32], rng: np.random.Generator, *, sample: int = 5000
) -> tuple[Tensor, Tensor]:
    """The leading principal components of ``(m, d)`` and ``(n, d)`` embeddings, `m x k` and `n x k`.

    Every feature is standardised first. Afterwards one number scales all components, so that the squared
    distance between two molecules is 2 on average. So one kernel's starting values suit all embeddings.
    Centre, scales and components come from the labelled molecules and at most ``sample`` of the pool.
    """
    shown = pool[np.sort(rng.choice(len(pool), min(sample, len(pool)), replace=False))]
    both = np.concatenate([known, shown]).astype(np.float64)
    means, factors = standardise(both)
    axes = principal_axes(both, DIMENSIONS)
    variance = max(((both @ axes) ** 2).sum() / len(both), 1e-12)
    axes = factors[:, None] * axes / np.sqrt(variance)
    parts = [
        [(part[i : i + CHUNK] - means) @ axes for i in range(0, len(part), CHUNK)] for part in (known, pool)
    ]
    first, second = (torch.from_numpy(np.concatenate(part)) for part in parts)
    return first, second


def untrained(X: Tensor, y: Tensor) -> SingleTaskGP:
    """Smooth deviations (Matern-5/2) from a plane, of `m x k` features and `m x 1` targets, eV."""
    kernel = ScaleKernel(MaternKernel(nu=2.5)) + LinearKernel()
    return SingleTaskGP(X, y, covar_module=kernel, outcome_transform=Standardize(1))


def fit_gaussian_process(
    X: Tensor, y: Tensor, rng: np.random.Generator, *, limit: int = FITTED
) -> SingleTaskGP:
    """The process given all `m x k` features and `m x 1` targets, eV; its posterior is in eV.

    The hyperparameters maximise the marginal likelihood of at most ``limit`` molecules drawn by ``rng``,
    which come first in the model's training data.
    """
    order = torch.from_numpy(rng.permutation(len(X)))
    X, y = X[order], y[order]
    with exactly():
        model = untrained(X[:limit], y[:limit])
        # Two points or fewer say nothing of scales and noise: the starting values stand.
        if len(X) > 2:
            likelihood = ExactMarginalLogLikelihood(model.likelihood, model)
            fit_gpytorch_mll(likelihood, closure=_loss(likelihood))
        return extended(model.eval(), X, y)


def _loss(likelihood: ExactMarginalLogLikelihood) -> Callable[[], Any]:
    """BoTorch's loss with gradients.

    A step of the search can go so far that the covariance has no eigenvalues. The loss then fails as BoTorch
    expects, and the step is made shorter.
    """
    parameters = {name: value for name, value in likelihood.named_parameters() if value.requires_grad}
    loss = get_loss_closure_with_grads(likelihood, parameters=parameters)

    def guarded() -> Any:
        try:
            return loss()
        except torch.linalg.LinAlgError as error:
            raise NanError(str(error)) from error

    return guarded


def extended(model: SingleTaskGP, X: Tensor, y: Tensor) -> SingleTaskGP:
    """``model`` with its hyperparameters, but given `m x k` features and `m x 1` targets, eV.

    Equal to ``condition_on_observations`` with what is new, and quicker where that is most of it.
    """
    with torch.no_grad():
        transform: Any = model.outcome_transform
        standardised: Tensor = transform(y)[0].squeeze(-1)
        cast(Any, model).set_train_data(X, standardised, strict=False)
    return model


class Conditioned:
    """Posterior of a model's latent function in eV, its factor computed once.

    Args:
        model: from `fit`.
        drop_last: leave the last training molecule out, which `PoolGP` is given by itself. Its features, `1 x
            k`, are ``last``, its label in eV ``last_label``.
    """

    def __init__(self, model: SingleTaskGP, *, drop_last: bool = False):
        transform: Any = model.outcome_transform
        self.offset, self.scale = transform.means.squeeze(), transform.stdvs.squeeze()
        self.constant = model.mean_module.constant.detach()
        smooth, plane = model.covar_module.kernels
        self.height, self.slope = smooth.outputscale.detach(), plane.variance.detach().squeeze()
        self.length = smooth.base_kernel.lengthscale.detach().squeeze()
        n_known = len(model.train_targets) - drop_last
        self.X, self.last = model.train_inputs[0][:n_known], model.train_inputs[0][-1:]
        self.last_label = float(self.offset + self.scale * model.train_targets[-1])
        self.noise = model.likelihood.noise.detach().squeeze()
        with torch.no_grad():
            covariance = self._between(self.X, self.X)
            covariance.diagonal().add_(self.noise)
            self.factor = gpytorch.utils.cholesky.psd_safe_cholesky(covariance)
            residuals = (model.train_targets[:n_known] - self.constant).unsqueeze(-1)
            self.weights = torch.cholesky_solve(residuals, self.factor)

    def _between(self, A: Tensor, B: Tensor) -> Tensor:
        """`untrained`'s kernel: GPyTorch takes four times as long over a sum of kernels."""
        r = torch.cdist(A, B).mul_(5**0.5 / self.length)
        smooth = (1 + r + r.square() / 3).mul_(r.neg_().exp_())
        return smooth.mul_(self.height).add_(A @ B.T, alpha=float(self.slope))

    @property
    def observation_noise(self) -> Tensor:
        """eV^2, the variance of a label around the latent function."""
        return self.noise * self.scale**2

    @torch.no_grad()
    def joint(self, X: Tensor) -> tuple[Tensor, Tensor]:
        """Mean `c`, eV, and covariance `c x c`, eV^2, of `c x k` features."""
        across = self._between(self.X, X)
        half = torch.linalg.solve_triangular(self.factor, across, upper=False)
        mean = self.constant + (across.T @ self.weights).squeeze(-1)
        covariance = self._between(X, X) - half.T @ half
        return self.offset + self.scale * mean, self.scale**2 * (covariance + covariance.T) / 2

    @torch.no_grad()
    def deviations(self, X: Tensor, *, landmarks: int = FITTED) -> Tensor:
        """`n`, eV: an upper bound of the standard deviation of each of `n x k` features, in bounded memory.

        Given the first ``landmarks`` training molecules alone, to be quick for 100,000 molecules.
        """
        corner = self.factor[:landmarks, :landmarks]  # the leading block's factor is the factor's block
        variances = []
        for part in X.split(CHUNK):
            half = torch.linalg.solve_triangular(corner, self._between(self.X[:landmarks], part), upper=False)
            prior = self.height + self.slope * part.square().sum(dim=-1)
            variances.append(prior - half.square().sum(dim=0))
        return self.scale * torch.cat(variances).clamp_min(0).sqrt()
