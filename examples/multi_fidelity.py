"""An acquisition function of your own on two levels of theory: GFN2-xTB knows every molecule, DFT a few.

    acquisition: {name: ./examples/multi_fidelity.py:MultiFidelity, settings: {candidates: 150}}

A multi-fidelity Gaussian process (doi:10.48550/arXiv.1903.04703) sees the xTB energies of all molecules and
the labels of the labelled ones. It chooses what takes the most variance, per expected second of labelling,
from the DFT energies of the pool. Seconds are measured, so a choice may differ from one run to the next.
"""

import torch
from botorch.acquisition.cost_aware import InverseCostWeightedUtility
from botorch.fit import fit_gpytorch_mll
from botorch.models import SingleTaskMultiFidelityGP
from botorch.models.deterministic import GenericDeterministicModel
from gpytorch.mlls import ExactMarginalLogLikelihood

from alkit.acquisition.gaussian_process import exactly, project

XTB, DFT = 0.0, 1.0


class MultiFidelity:
    """``candidates``: pool molecules considered; ``labelled``: as many as the model is fitted on, at most."""

    needs = ("xtb_energy",)

    def __init__(self, candidates=150, labelled=75):
        self.candidates, self.labelled = candidates, labelled

    def select(self, pool, context, batch_size):
        def some(count, size):
            return context.rng.choice(count, min(count, size), replace=False)

        rows, known = (
            some(len(pool), max(self.candidates, 2 * batch_size)),
            some(len(context.targets), self.labelled),
        )
        parts = project(context.embeddings[known], pool.embeddings[rows], context.rng)
        old, new = (part[:, :8] for part in parts)  # each has a length scale of its own, to be fitted
        X = torch.cat([at(old, DFT), at(old, XTB), at(new, XTB)])
        energies = [context.targets[known], context.xtb_energy[known], pool.xtb_energy[rows]]
        y = torch.cat([torch.from_numpy(part).double() for part in energies]).unsqueeze(-1)
        with exactly():
            model = SingleTaskMultiFidelityGP(X, y, data_fidelities=[X.shape[1] - 1])
            likelihood = ExactMarginalLogLikelihood(model.likelihood, model)
            fit_gpytorch_mll(likelihood, optimizer_kwargs={"options": {"maxiter": 25}})
            with torch.no_grad():
                covariance = model.posterior(at(new, DFT)).distribution.covariance_matrix
        noise = model.likelihood.noise.item() * model.outcome_transform.stdvs.item() ** 2
        seconds = torch.from_numpy(pool.cost[rows]).double()[:, None, None]
        utility = InverseCostWeightedUtility(GenericDeterministicModel(lambda _: seconds))
        return rows[greedy(covariance, noise, utility, at(new, DFT), batch_size)]


def at(features, level):
    return torch.cat([features, torch.full_like(features[:, :1], level)], dim=1)


def greedy(covariance, noise, utility, X, size):
    """Each label takes ``cov[:, i]**2 / (cov[i, i] + noise)`` from the variances, whatever its value."""
    chosen = []
    for _ in range(size):
        gain = covariance.square().mean(dim=0) / (covariance.diagonal() + noise)
        value = utility(X.unsqueeze(1), deltas=gain.unsqueeze(0)).squeeze(0)
        value[chosen] = -torch.inf
        i = int(value.argmax())
        chosen.append(i)
        covariance = covariance - covariance[:, [i]] * covariance[i] / (covariance[i, i] + noise)
    return chosen
