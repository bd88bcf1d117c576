"""BoTorch's acquisition functions over the pool, on the ensemble's or a Gaussian process's joint posterior.

Balandat et al., NeurIPS 2020, https://doi.org/10.48550/arXiv.1910.06403
"""

import inspect
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Literal

import botorch.acquisition
import numpy as np
import torch
from botorch.acquisition import AcquisitionFunction, OneShotAcquisitionFunction
from botorch.acquisition.acquisition import MCSamplerMixin
from botorch.acquisition.analytic import AnalyticAcquisitionFunction
from botorch.acquisition.monte_carlo import SampleReducingMCAcquisitionFunction, qPosteriorStandardDeviation
from botorch.models.model import Model
from botorch.optim import optimize_acqf_discrete
from botorch.posteriors.ensemble import EnsemblePosterior
from botorch.sampling import MCSampler, SobolQMCNormalSampler
from botorch.sampling.index_sampler import IndexSampler
from numpy.typing import NDArray
from torch import Tensor

from alkit.acquisition.base import Pool, RoundContext
from alkit.acquisition.checks import flag, number, whole
from alkit.acquisition.gaussian_process import Conditioned, exactly, fit_gaussian_process, project
from alkit.acquisition.posterior import IntegratedVariance, PoolGP, PoolModel, pool_model
from alkit.errors import ConfigError
from alkit.plugins import nearest

# Our own class where BoTorch's asks a question per candidate and pending molecule that has a closed form.
_FUNCTIONS: dict[str, type[AcquisitionFunction]] = {
    "qPosteriorStandardDeviation": qPosteriorStandardDeviation,
    "qNegIntegratedPosteriorVariance": IntegratedVariance,
    "qUpperConfidenceBound": botorch.acquisition.qUpperConfidenceBound,
    "qLogExpectedImprovement": botorch.acquisition.qLogExpectedImprovement,
    "qLogNoisyExpectedImprovement": botorch.acquisition.qLogNoisyExpectedImprovement,
    "qMaxValueEntropy": botorch.acquisition.qMaxValueEntropy,
    "qLowerBoundMaxValueEntropy": botorch.acquisition.qLowerBoundMaxValueEntropy,
}
# BoTorch's own numbers suit a batch of a few; these keep a batch of a hundred within seconds.
_SMALLER = {"qMaxValueEntropy": {"num_fantasies": 2, "num_y_samples": 16}}
_AT_ONCE = 64  # candidates: their draws stay in the processor's cache, at half the time of all at once
_FILLED = ("model", "sampler", "best_f", "X_baseline", "X_observed", "candidate_set", "mc_points")
# What asks for the labelled molecules' predictions, for fantasies or for a Gaussian.
_NEEDS_GP = ("X_baseline", "X_observed", "candidate_set", "mc_points", "num_fantasies")
_BASELINE = 50  # labelled molecules, the best, that a noisy improvement compares with


class EveryMember(IndexSampler):
    """Draws each member exactly once: the expectation over the ensemble without sampling noise."""

    def _construct_base_samples(self, posterior: EnsemblePosterior) -> None:
        members = torch.arange(posterior.ensemble_size)
        shape = [len(members)] + [1] * len(posterior.batch_shape)
        self.register_buffer("base_samples", members.reshape(shape).expand(-1, *posterior.batch_shape))


@dataclass(frozen=True)
class _Question:
    """The model that an acquisition function asks, and its inputs, each `c x 1` indices.

    ``candidates`` are the pool's indices, in the order of ``choices``.
    """

    model: Model
    sampler: MCSampler
    best: float
    candidates: NDArray[np.intp]
    choices: Tensor
    points: Tensor | None = None
    baseline: Tensor | None = None

    def argument(self, name: str) -> Any:
        return {
            "model": self.model,
            "sampler": self.sampler,
            "best_f": self.best,
            "candidate_set": self.choices,
            "mc_points": self.points,
            "X_baseline": self.baseline,
            "X_observed": self.baseline,
        }[name]


class BoTorch:
    """A batch by greedy sequential optimisation over the pool (``optimize_acqf_discrete``).

    Args:
        function: ``qPosteriorStandardDeviation`` (the default) and ``qNegIntegratedPosteriorVariance`` learn
            everywhere; ``qUpperConfidenceBound``, ``qLogExpectedImprovement``,
            ``qLogNoisyExpectedImprovement``, ``qMaxValueEntropy`` and ``qLowerBoundMaxValueEntropy`` look for
            extremes. Or any class of BoTorch's kind, as ``package.module:Class``.
        model: ``ensemble``, the members' predictions as they are; or ``gp``, a Gaussian process on the
            embeddings, fitted to the labels each round.
        arguments: of the function's constructor, beyond those that alkit fills.
        minimise: whether extremes are low or high energies.
        beta: of functions that take one.
        candidates: beyond as many molecules, the batch is chosen from a part of the pool. A third are the
            most promising (mean and two standard deviations), a third the most uncertain, and the rest
            random. Four times the batch at least.
        points: molecules drawn from the pool for which the variance is integrated.
        samples: joint draws from the Gaussian process for a Monte Carlo function; an even number.

    Raises:
        ConfigError: a model or function that is none, or arguments that do not fit it.
    """

    def __init__(
        self,
        function: str = "qPosteriorStandardDeviation",
        *,
        model: Literal["ensemble", "gp"] = "ensemble",
        arguments: dict[str, Any] | None = None,
        minimise: bool = True,
        beta: float = 2.0,
        candidates: int = 500,
        points: int = 500,
        samples: int = 64,
    ):
        if model not in ("ensemble", "gp"):
            raise ConfigError(f"acquisition botorch: model is {model!r}; it must be 'ensemble' or 'gp'.")
        self.function, self.model = function, model
        self.minimise = flag("botorch", "minimise", minimise)
        self.beta = number("botorch", "beta", beta, above=0)
        self.candidates = whole("botorch", "candidates", candidates, least=1)
        self.points = whole("botorch", "points", points, least=1)
        self.samples = whole("botorch", "samples", samples, least=1)
        self.arguments = {} if arguments is None else arguments
        self.kind = _find(function)
        self._check_arguments()
        self.needs = ("members",) if model == "ensemble" else ()

    def _check_arguments(self) -> None:
        said = f"acquisition botorch: {self.function}"
        if not isinstance(self.arguments, dict):
            raise ConfigError(f"acquisition botorch: arguments is {self.arguments!r}; a mapping is expected.")
        taken = _parameters(self.kind)
        self.filled = [name for name in taken if name in _FILLED and name not in self.arguments]
        # Elsewhere a sampler may mean another thing, such as of fantasies, and its default is better.
        optional = "sampler" in taken and taken["sampler"].default is not inspect.Parameter.empty
        if optional and not issubclass(self.kind, MCSamplerMixin):
            self.filled.remove("sampler")
        for name in self.arguments:
            if name in ("model", "sampler", "X_pending"):
                raise ConfigError(f"{said}: the argument {name!r} is alkit's to give.")
            if name not in taken and not _takes_any(self.kind):
                raise ConfigError(f"{said} takes no argument {name!r}; {nearest(str(name), taken)}.")
        for name, parameter in taken.items():
            known = name in self.filled or name in self.arguments or name == "beta"
            if parameter.default is parameter.empty and not known:
                raise ConfigError(
                    f"{said} needs the argument {name!r}, which alkit cannot fill; give it under arguments."
                )
        if self.model == "ensemble" and (asks := self._asks_process):
            raise ConfigError(
                f"{said} needs model: gp, since members that disagree have no Gaussian posterior for its "
                f"argument {asks[0]!r}."
            )

    def select(self, pool: Pool, context: RoundContext, batch_size: int) -> Sequence[int]:
        """Choose a batch with BoTorch's greedy discrete optimiser; of large pools from a part."""
        with _own_random_state(context.rng) as seed, exactly(), torch.no_grad():
            ask = self._ask_gp if self.model == "gp" else self._ask_ensemble
            question = ask(pool, context, max(self.candidates, 4 * batch_size), seed)
            chosen, _ = optimize_acqf_discrete(
                self._acquisition(question),
                q=batch_size,
                choices=question.choices,
                max_batch_size=_AT_ONCE if self._drawn else 2048,
                return_acq_values=False,
            )
        return question.candidates[chosen.squeeze(-1).long().numpy()].tolist()

    def _acquisition(self, question: _Question) -> AcquisitionFunction:
        arguments = {name: question.argument(name) for name in self.filled}
        taken = _parameters(self.kind)
        if "beta" in taken:
            arguments["beta"] = self.beta
        return self.kind(**arguments, **({**_SMALLER.get(self.function, {}), **self.arguments}))

    @property
    def _asks_process(self) -> list[str]:
        """Arguments that only a Gaussian process can serve."""
        return [name for name in _NEEDS_GP if name in _parameters(self.kind)]

    @property
    def _drawn(self) -> bool:
        """Whether all that it asks of a Gaussian process are joint draws.

        They are then the same for every candidate and pick. For a class that is not BoTorch's own this is
        unknown.
        """
        own = self.kind.__module__.startswith("botorch.")
        reduces = issubclass(self.kind, SampleReducingMCAcquisitionFunction)
        return own and reduces and not self._asks_process

    @property
    def _sign(self) -> float:
        """BoTorch maximises."""
        return -1.0 if self.minimise else 1.0

    def _ask_ensemble(self, pool: Pool, context: RoundContext, size: int, seed: int) -> _Question:
        samples = self._sign * pool.samples
        candidates = _preselect(samples.mean(axis=0), samples.std(axis=0), size, context.rng)
        model, choices = pool_model(samples[:, candidates])
        # The seed changes nothing; without one, the sampler draws one from the global random state.
        sampler = EveryMember(torch.Size([len(samples)]), seed=0)
        return _Question(model, sampler, self._best(context), candidates, choices)

    def _ask_gp(self, pool: Pool, context: RoundContext, size: int, seed: int) -> _Question:
        known, X = project(context.embeddings, pool.embeddings, context.rng)
        # The process is of what the functions maximise.
        targets = torch.from_numpy(self._sign * context.targets.astype(np.float64))
        with torch.enable_grad():
            fitted = fit_gaussian_process(known, targets.unsqueeze(-1), context.rng)
        process = Conditioned(fitted, drop_last=True)
        std = process.deviations(X).numpy() if len(pool) > size else np.zeros(len(pool))
        candidates = _preselect(self._sign * pool.mean, std, size, context.rng)
        points = np.sort(context.rng.choice(len(pool), min(self.points, len(pool)), replace=False))
        best = torch.argsort(-targets, stable=True)[:_BASELINE]
        rows = torch.cat([X[candidates], X[points], known[best], process.last])
        mean, covariance = process.joint(rows)
        model = PoolGP(
            mean,
            covariance,
            noise=process.observation_noise,
            last=len(rows) - 1,
            label=process.last_label,
        )
        inputs = torch.arange(len(rows), dtype=torch.float64).unsqueeze(-1)
        shares = [len(candidates), len(points), len(best), 1]
        choices, integration, baseline, _ = inputs.split(shares)
        best_label = self._best(context)
        if self._drawn:
            values = model.draws(self.samples, torch.Generator().manual_seed(seed))
            sampler = EveryMember(torch.Size([len(values)]), seed=0)
            return _Question(PoolModel(values), sampler, best_label, candidates, choices)
        exact = SobolQMCNormalSampler(torch.Size([self.samples]), seed=seed)
        return _Question(model, exact, best_label, candidates, choices, integration, baseline)

    def _best(self, context: RoundContext) -> float:
        return float((self._sign * context.targets).max())


@contextmanager
def _own_random_state(rng: np.random.Generator) -> Iterator[int]:
    """BoTorch draws from torch's global random state in places: seeded here, and given back as it was."""
    seed = int(rng.integers(2**31))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        yield seed


def _preselect(
    mean: NDArray[np.float64], std: NDArray[np.float64], size: int, rng: np.random.Generator
) -> NDArray[np.intp]:
    """``size`` of ``n`` indices, ascending: the most promising, the most uncertain, and some at random.

    Greedy choice evaluates every candidate once per pick, so all of a large pool would take minutes.
    """
    n = len(mean)
    if n <= size:
        return np.arange(n)
    third = size // 3
    order = [np.argsort(-score, kind="stable")[:third] for score in (mean + 2 * std, std)]
    chosen = np.unique(np.concatenate(order))
    rest = np.setdiff1d(np.arange(n), chosen, assume_unique=True)
    return np.sort(np.concatenate([chosen, rng.choice(rest, size - len(chosen), replace=False)]))


def _find(function: str) -> type[AcquisitionFunction]:
    if function in _FUNCTIONS:
        return _FUNCTIONS[function]
    module, colon, name = str(function).partition(":")
    if not colon:
        raise ConfigError(
            f"acquisition botorch: there is no function {function!r}; one of {', '.join(_FUNCTIONS)}, or "
            "package.module:Class."
        )
    try:
        kind = getattr(import_module(module), name, None)
    except Exception as error:  # the user's package may fail in any way
        raise ConfigError(
            f"acquisition botorch: {function} cannot be imported: {type(error).__name__}: {error}."
        ) from error
    if not (inspect.isclass(kind) and issubclass(kind, AcquisitionFunction)):
        raise ConfigError(f"acquisition botorch: {function} is not a BoTorch acquisition class.")
    if issubclass(kind, AnalyticAcquisitionFunction):
        raise ConfigError(
            f"acquisition botorch: {function} takes no pending points, so it can choose no batch; its Monte "
            "Carlo version, with a q before its name, can."
        )
    if issubclass(kind, OneShotAcquisitionFunction):
        raise ConfigError(
            f"acquisition botorch: {function} is optimised in one shot, which a choice from a pool cannot do."
        )
    return kind


def _parameters(kind: type[AcquisitionFunction]) -> dict[str, inspect.Parameter]:
    """The constructor's named arguments."""
    several = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    parameters = inspect.signature(kind).parameters
    return {name: parameter for name, parameter in parameters.items() if parameter.kind not in several}


def _takes_any(kind: type[AcquisitionFunction]) -> bool:
    parameters = inspect.signature(kind).parameters.values()
    return any(parameter.kind is inspect.Parameter.VAR_KEYWORD for parameter in parameters)
