"""Making uncertainty mean something, with molecules that were not trained on."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.stats import t as student

_SMALLEST = 1e-12  # eV²; keeps logarithms and divisions finite
_PRIOR_WEIGHTS = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0)
_FREEDOMS = (3.0, 4.0, 6.0, 10.0, 30.0, 100.0)
_TAIL_PRIOR = 6.0  # log-likelihood that tails as heavy as 1/freedom cost: they need evidence
_EXPONENTS = (0.05, 3.0)  # never 0: more uncertain sources stay more uncertain
_EXPONENT_PRIOR = 4.0  # log-likelihood that an exponent costs when it is 1 off


@dataclass(frozen=True)
class Calibration:
    """From raw measures of uncertainty to standard deviations and intervals.

    ``std = scale · (spread / typical_spread)^a · (distance / typical_distance)^b``, where the spread is that
    of an ensemble's members and the distance that of a Gaussian process (`surrogate.last_layer`). The
    exponents say how much each of them tells of errors: 0 where it tells nothing.

    The spread of two or three members is itself so noisy that it is often near zero by chance. It is
    therefore moderated towards the typical one (Smyth, Stat. Appl. Genet. Mol. Biol. 3, 3 (2004),
    https://doi.org/10.2202/1544-6115.1027): ``spread² = (w · typical_spread² + (s − 1) · var) / (w + s − 1)``
    for ``s`` members. Errors have heavy tails, so the fit is that of a Student t distribution, and the scale
    makes the mean squared error of the validation molecules what ``std`` says.

    Attributes:
        scale: eV, standard deviation of a typical molecule.
        typical_spread, typical_distance: root mean square of the validation molecules (eV, and the Gaussian
            process's unit).
        weight: ``w``, in members.
        exponents: ``a`` and ``b``.
        freedom: degrees of freedom of the errors' t distribution.
        width: its scale parameter, over ``std``.
        scores: absolute errors of the validation molecules over ``std``, ascending.
    """

    scale: float = 1.0
    typical_spread: float = 1.0
    typical_distance: float = 0.0
    weight: float = 0.0
    exponents: tuple[float, float] = (1.0, 0.0)
    freedom: float = _FREEDOMS[-1]
    width: float = 1.0
    scores: tuple[float, ...] = ()

    @classmethod
    def fit(cls, errors: NDArray, samples: NDArray, distances: NDArray | None = None) -> "Calibration":
        """Fit on ``(n,)`` errors of the mean (eV), ``(s, n)`` predictions (eV) and ``(n,)`` distances of the
        Gaussian process; of one member alone the distances are all there is."""
        errors, samples = np.asarray(errors, dtype=np.float64), np.asarray(samples, dtype=np.float64)
        typical = float(np.sqrt(samples.var(axis=0, ddof=1).mean())) if len(samples) > 1 else 0.0
        far = 0.0 if distances is None else float(np.sqrt(np.mean(np.square(distances))))
        fits = []
        for weight in _PRIOR_WEIGHTS if typical else (0.0,):
            raw = cls(1.0, typical, far, weight)
            sources = raw._sources(samples, distances)
            if not sources:
                return cls()
            fits += [(*_fit_tails(errors, sources, freedom), raw, freedom) for freedom in _FREEDOMS]
        _, found, raw, freedom = max(fits, key=lambda fit: fit[0])
        exponents = iter(found[1:].tolist())
        named = (next(exponents) if typical else 0.0, next(exponents) if far else 0.0)
        unscaled = replace(raw, exponents=named, freedom=freedom)
        scores = np.abs(errors) / unscaled(samples, distances)
        scale = float(np.sqrt(np.mean(scores**2) + _SMALLEST))
        width = float(np.exp(found[0])) / scale
        return replace(unscaled, scale=scale, width=width, scores=tuple(np.sort(scores / scale).tolist()))

    def __call__(self, samples: NDArray, distances: NDArray | None = None) -> NDArray[np.float64]:
        """``(n,)`` standard deviations, eV; NaN where there is nothing to tell them from."""
        samples = np.asarray(samples, dtype=np.float64)
        sources = self._sources(samples, distances)
        if not sources:
            return np.full(samples.shape[1], np.nan)
        exponents = [
            e for e, there in zip(self.exponents, self._known(samples, distances), strict=True) if there
        ]
        logs = sum(exponent * source for exponent, source in zip(exponents, sources, strict=True))
        return self.scale * np.exp(logs)

    def quantile(self, level: float) -> float:
        """Half-width of the central interval that holds a new error with probability ``level``, over ``std``.

        Split conformal prediction (Lei et al., J. Am. Stat. Assoc. 113, 1094 (2018),
        https://doi.org/10.1080/01621459.2017.1307116): whatever the errors' distribution, for molecules drawn
        as the ``n`` validation molecules were the interval covers at least ``level`` and at most ``1/(n +
        1)`` more. That is exact for scores of molecules that chose nothing; the validation molecules have
        also stopped the training and fitted the few numbers here, which costs a little of it where they are
        few.

        Infinite where they are too few for ``level``; without any it is the t distribution's, and promises
        nothing.
        """
        if not self.scores:
            return self.width * float(student.ppf((1 + level) / 2, self.freedom))
        rank = int(np.ceil(level * (len(self.scores) + 1)))
        return self.scores[rank - 1] if 0 < rank <= len(self.scores) else float("inf")

    def probability(self, scores: NDArray) -> NDArray[np.float64]:
        """Probability of absolute errors, over ``std``, below ``(n,)`` values: Student's t."""
        return 2 * student.cdf(np.abs(scores) / self.width, self.freedom) - 1

    def _known(self, samples: NDArray, distances: NDArray | None) -> tuple[bool, bool]:
        return (
            len(samples) > 1 and self.typical_spread > 0,
            distances is not None and self.typical_distance > 0,
        )

    def _sources(self, samples: NDArray, distances: NDArray | None) -> list[NDArray[np.float64]]:
        """Logarithms of the spread and of the distance, over the typical ones; those that there are."""
        found = []
        spread, distance = self._known(samples, distances)
        if spread:
            freedom = len(samples) - 1
            moderated = self.weight * self.typical_spread**2 + freedom * samples.var(axis=0, ddof=1)
            relative = moderated / (self.weight + freedom) / self.typical_spread**2
            found.append(0.5 * np.log(relative + _SMALLEST))
        if distance:
            relative = np.square(np.asarray(distances, dtype=np.float64)) / self.typical_distance**2
            found.append(0.5 * np.log(relative + _SMALLEST))
        return found


def _fit_tails(errors: NDArray, sources: list[NDArray], freedom: float) -> tuple[float, NDArray[np.float64]]:
    """Penalized log-likelihood of the errors, and the logarithm of the scale parameter with the exponents."""
    design, middle = np.stack(sources), 1 / len(sources)
    start = np.log(np.sqrt(np.mean(errors**2)) + np.sqrt(_SMALLEST))

    def loss(parameters: NDArray) -> float:
        logs = start + parameters[0] + parameters[1:] @ design
        likelihood = student.logpdf(errors * np.exp(-logs), freedom) - logs
        return -float(likelihood.sum()) + _EXPONENT_PRIOR * float(((parameters[1:] - middle) ** 2).sum())

    first = np.concatenate([[0.0], np.full(len(sources), middle)])
    found = minimize(loss, first, method="L-BFGS-B", bounds=[(-8, 8), *[_EXPONENTS] * len(sources)])
    found.x[0] += start
    return -float(found.fun) - _TAIL_PRIOR / freedom, found.x
