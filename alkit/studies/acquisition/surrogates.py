"""The surrogates that a study trains, over molecules that are named by their position in the data set."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_solve, solve_triangular

from alkit.engines.training import training_processes
from alkit.studies.geometry.settings import FEWEST_VALIDATION, VALIDATION_SHARE
from surrogate.low_rank import Covariance, factorised

if TYPE_CHECKING:
    from surrogate import Graph, ModelSettings, Prediction

# Variance of what features cannot know, of a molecule's prior variance. Between 1e-2 and 1e-6 it is the
# best with 800 labels on the 1,000 molecules that the benchmark leaves out of pool and test.
_NOISE = 1e-5
_DRAWS = 2


class Surrogate(Protocol):
    """The model of a study: fit, prediction, and the covariance where it has one."""

    def fit(
        self, known: NDArray[np.int64], targets: NDArray, rng: np.random.Generator, *, drawn: int
    ) -> None:
        """Learn ``targets`` (eV) of the molecules ``known``, the first ``drawn`` of them random ones."""
        ...

    def see(self, molecules: NDArray[np.int64]) -> Prediction:
        """Samples and deviations in eV, and embeddings."""
        ...

    def mean(self, molecules: NDArray[np.int64]) -> NDArray[np.float64]:
        """``(n,)`` predictions, eV."""
        ...

    def covariance(self, molecules: NDArray[np.int64]) -> Covariance | None:
        """Covariance of the energies given the labels; None where the surrogate has none."""
        ...


class Process:
    """A Gaussian process with the linear kernel of ``features (n, d)`` and a constant mean.

    The model of `alkit.acquisition.linear_model` in its dual form: where labels are fewer than features, the
    kernel of labels is the smaller matrix.
    """

    def __init__(self, features: NDArray[np.float32]):
        self._features = features

    def fit(
        self, known: NDArray[np.int64], targets: NDArray, rng: np.random.Generator, *, drawn: int
    ) -> None:
        """Fit constant, noise and variance by maximum likelihood, to targets in eV."""
        self._known = self._features[known].astype(np.float64)
        kernel = self._known @ self._known.T
        self._noise = _NOISE * float(np.trace(kernel)) / len(known)
        kernel[np.diag_indices(len(known))] += self._noise
        self._factor = np.linalg.cholesky(kernel)
        both = cho_solve((self._factor, True), np.column_stack([targets, np.ones(len(known))]))
        self._constant = float(both[:, 0].sum() / both[:, 1].sum())
        weights = both[:, 0] - self._constant * both[:, 1]
        self._weights = self._known.T @ weights
        self._variance = float((targets - self._constant) @ weights / len(known))  # maximum likelihood
        self._offsets = self._draw(rng)

    def mean(self, molecules: NDArray[np.int64]) -> NDArray[np.float64]:
        """``(n,)`` posterior means, eV."""
        return self._constant + self._features[molecules] @ self._weights

    def see(self, molecules: NDArray[np.int64]) -> Prediction:
        """``samples`` are joint draws in pairs about the mean."""
        from surrogate import Prediction

        inputs = self._features[molecules].astype(np.float64)
        seen = solve_triangular(self._factor, self._known @ inputs.T, lower=True, check_finite=False)
        left = np.maximum((inputs**2).sum(axis=1) - (seen**2).sum(axis=0), 0.0)
        mean, offsets = self.mean(molecules), self._offsets @ inputs.T
        samples = np.concatenate([mean + offsets, mean - offsets])
        return Prediction(samples, np.sqrt(self._variance * left), self._features[molecules])

    def covariance(self, molecules: NDArray[np.int64]) -> Covariance:
        """The posterior covariance of the molecules, eV²."""
        inputs = self._features[molecules].astype(np.float64)
        seen = solve_triangular(self._factor, self._known @ inputs.T, lower=True, check_finite=False)
        variance = max(self._variance, 0.0)

        def columns(chosen: NDArray[np.intp]) -> NDArray[np.float64]:
            return variance * (inputs @ inputs[chosen].T - seen.T @ seen[:, chosen])

        variances = variance * ((inputs**2).sum(axis=1) - (seen**2).sum(axis=0))
        return factorised(columns, variances, float(np.sqrt(variance * self._noise)))

    def _draw(self, rng: np.random.Generator) -> NDArray:
        """Weights of draws from the posterior less its mean (Matheron's rule)."""
        prior = rng.normal(size=(_DRAWS, self._known.shape[1]))
        noise = np.sqrt(self._noise) * rng.normal(size=(_DRAWS, len(self._known)))
        weights = cho_solve((self._factor, True), (prior @ self._known.T + noise).T)
        offsets: NDArray = np.sqrt(max(self._variance, 0.0)) * (prior - (self._known.T @ weights).T)
        return offsets


class Kernel:
    """The kernel of `surrogate.kernel`, on top of its baselines; it sets no label apart."""

    def __init__(self, graphs: Callable[[Sequence[int]], list[Graph]], settings: ModelSettings):
        self._graphs, self._settings = graphs, settings

    def fit(
        self, known: NDArray[np.int64], targets: NDArray, rng: np.random.Generator, *, drawn: int
    ) -> None:
        """Fit a `KernelModel` to all labels (eV); the random ones calibrate."""
        from surrogate import TrainingSettings
        from surrogate.kernel import KernelModel

        training, random = (self._graphs(known.tolist()), targets), np.arange(len(known)) < drawn
        self._model = KernelModel.fit(self._settings, TrainingSettings(), training=training, drawn=random)

    def see(self, molecules: NDArray[np.int64]) -> Prediction:
        """Joint draws about the mean with deviations, eV."""
        return self._model.predict(self._graphs(molecules.tolist()))

    def mean(self, molecules: NDArray[np.int64]) -> NDArray[np.float64]:
        """``(n,)`` posterior means, eV."""
        return self.see(molecules).mean

    def covariance(self, molecules: NDArray[np.int64]) -> Covariance:
        """The covariance of the energies given the labels, eV²."""
        return self._model.covariance(self._graphs(molecules.tolist()))


class Networks:
    """An ensemble of SchNets; a fifth of the labels stops its training and calibrates it."""

    def __init__(self, graphs: Callable[[Sequence[int]], list[Graph]], settings: dict[str, Any]):
        self._graphs, self._settings = graphs, settings

    def fit(
        self, known: NDArray[np.int64], targets: NDArray, rng: np.random.Generator, *, drawn: int
    ) -> None:
        """Train the networks from new weights; a random part of the labels (eV) stops the training."""
        from surrogate import Ensemble, TrainingSettings

        order = rng.permutation(len(known))
        cut = max(FEWEST_VALIDATION, round(VALIDATION_SHARE * len(known)))

        def labelled(part: NDArray) -> tuple[list[Graph], NDArray]:
            return self._graphs(known[part].tolist()), targets[part]

        validation = labelled(order[:cut])
        self._ensemble = Ensemble.fit(
            self._settings["model"],
            TrainingSettings(**self._settings["training"]),
            training=labelled(order[cut:]),
            validation=validation,
            members=self._settings["members"],
            seed=int(rng.integers(2**31)),
            processes=training_processes(),
        )

    def see(self, molecules: NDArray[np.int64]) -> Prediction:
        """Predictions of every member with deviations, eV, and embeddings."""
        return self._ensemble.predict(self._graphs(molecules.tolist()))

    def mean(self, molecules: NDArray[np.int64]) -> NDArray[np.float64]:
        """``(n,)`` means over the members, eV."""
        return self.see(molecules).mean

    def covariance(self, molecules: NDArray[np.int64]) -> None:
        """None: networks have no covariance between molecules."""
        return None
