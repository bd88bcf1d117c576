"""BoTorch's acquisition functions over the ensemble's joint posterior.

Balandat et al., NeurIPS 2020, https://doi.org/10.48550/arXiv.1910.06403
"""

from collections.abc import Sequence
from typing import Literal

import torch
from botorch.acquisition import (
    AcquisitionFunction,
    qLogExpectedImprovement,
    qUpperConfidenceBound,
)
from botorch.acquisition.monte_carlo import qPosteriorStandardDeviation
from botorch.optim import optimize_acqf_discrete
from botorch.posteriors.ensemble import EnsemblePosterior
from botorch.sampling.index_sampler import IndexSampler

from alkit.acquisition.base import Pool, RoundContext
from alkit.acquisition.posterior import pool_model
from alkit.errors import ConfigError

_FUNCTIONS = ("qPosteriorStandardDeviation", "qUpperConfidenceBound", "qLogExpectedImprovement")


class EveryMember(IndexSampler):
    """Draws each member exactly once: the expectation over the ensemble without sampling noise."""

    def _construct_base_samples(self, posterior: EnsemblePosterior) -> None:
        members = torch.arange(posterior.ensemble_size)
        shape = [len(members)] + [1] * len(posterior.batch_shape)
        self.register_buffer("base_samples", members.reshape(shape).expand(-1, *posterior.batch_shape))


class BoTorch:
    """A batch by greedy sequential optimisation over the pool (``optimize_acqf_discrete``).

    Args:
        function: ``qPosteriorStandardDeviation`` (the default: learn everywhere), or
            ``qUpperConfidenceBound`` and ``qLogExpectedImprovement`` (look for extremes).
        minimise: whether the last two look for low or for high energies.
        beta: of the upper confidence bound.
    """

    def __init__(
        self,
        function: Literal[
            "qPosteriorStandardDeviation", "qUpperConfidenceBound", "qLogExpectedImprovement"
        ] = "qPosteriorStandardDeviation",
        *,
        minimise: bool = True,
        beta: float = 2.0,
    ):
        if function not in _FUNCTIONS:
            raise ConfigError(
                f"acquisition botorch: there is no function {function!r}; one of {', '.join(_FUNCTIONS)}."
            )
        if beta <= 0:
            raise ConfigError(f"acquisition botorch: beta is {beta}; it must be above 0.")
        self.function, self.minimise, self.beta = function, minimise, beta

    def select(self, pool: Pool, context: RoundContext, batch_size: int) -> Sequence[int]:
        sign = -1.0 if self.minimise else 1.0
        model, choices = pool_model(sign * pool.samples)
        # The seed changes nothing; without one, the sampler draws one from the global random state.
        sampler = EveryMember(torch.Size([len(pool.samples)]), seed=0)
        acquisition: AcquisitionFunction
        if self.function == "qPosteriorStandardDeviation":
            acquisition = qPosteriorStandardDeviation(model, sampler=sampler)
        elif self.function == "qUpperConfidenceBound":
            acquisition = qUpperConfidenceBound(model, beta=self.beta, sampler=sampler)
        else:
            best = float((sign * context.targets).max())
            acquisition = qLogExpectedImprovement(model, best_f=best, sampler=sampler)
        chosen, _ = optimize_acqf_discrete(
            acquisition, q=batch_size, choices=choices, return_acq_values=False
        )
        return chosen.squeeze(-1).long().tolist()
