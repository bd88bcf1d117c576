"""Making uncertainty mean something, with molecules that were not trained on."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.stats import t as student

from surrogate.errors import SurrogateError

SPREAD = "ensemble"
_SMALLEST = 1e-12  # keeps logarithms and divisions finite
_PRIOR_WEIGHTS = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0)
_FREEDOMS = (3.0, 4.0, 6.0, 10.0, 30.0, 100.0)
_USUAL_FREEDOM = 6.0
_TAIL_PRIOR = 6.0  # log-likelihood that tails as heavy as 1/freedom cost: they need evidence
_EXPONENTS = (0.05, 3.0)  # never 0: more uncertain sources stay more uncertain
_EXPONENT_PRIOR = 4.0  # log-likelihood that an exponent costs when it is 1 off


@dataclass(frozen=True)
class Calibration:
    """A map from raw measures of uncertainty to standard deviations and intervals.

    ``std = scale · Π (source / typical source)^exponent``, over sources by name. "ensemble" is the spread of
    the members, "gp" the distance of a Gaussian process (`surrogate.last_layer`), "variance" what a second
    head has learned. An exponent says how much its source tells of errors: near 0 where it tells nothing.

    The spread of two or three members is itself so noisy that it is often near zero by chance. It is
    therefore moderated towards the typical one (Smyth, Stat. Appl. Genet. Mol. Biol. 3, 3 (2004),
    https://doi.org/10.2202/1544-6115.1027). For ``s`` members, ``spread² = (w · typical² + (s − 1) · var) /
    (w + s − 1)``. Errors have heavy tails, so the fit is that of a Student t distribution. The scale makes
    ``std`` agree with the mean squared error of the validation molecules.

    Attributes:
        scale: eV, standard deviation of a typical molecule.
        typical: root mean square of each source over the validation molecules (eV for the spread).
        exponents: of each source.
        weight: ``w``, in members.
        freedom: degrees of freedom of the errors' t distribution.
        width: its scale parameter, over ``std``.
        scores: absolute errors of the validation molecules over ``std``, ascending.
    """

    scale: float = 1.0
    typical: dict[str, float] = field(default_factory=lambda: {SPREAD: 1.0})
    exponents: dict[str, float] = field(default_factory=lambda: {SPREAD: 1.0})
    weight: float = 0.0
    freedom: float = _FREEDOMS[-1]
    width: float = 1.0
    scores: tuple[float, ...] = ()

    @classmethod
    def fit(
        cls, errors: NDArray, samples: NDArray, others: Mapping[str, NDArray] | None = None
    ) -> "Calibration":
        """Fit scale, exponents and the t distribution to validation errors.

        Args:
            errors: ``(n,)`` of the mean, eV.
            samples: ``(s, n)`` predictions, eV; those of one member alone have no spread, and only the others
                count.
            others: ``(n,)`` other sources of uncertainty, by name.
        """
        errors, samples = np.asarray(errors, dtype=np.float64), np.asarray(samples, dtype=np.float64)
        named = {name: np.asarray(values, dtype=np.float64) for name, values in (others or {}).items()}
        typical = {name: float(np.sqrt(np.mean(values**2))) for name, values in named.items()}
        if len(samples) > 1:
            typical = {SPREAD: float(np.sqrt(samples.var(axis=0, ddof=1).mean()))} | typical
        typical = {name: value for name, value in typical.items() if value > 0}
        if not typical:
            return cls()
        weights = _PRIOR_WEIGHTS if SPREAD in typical else (0.0,)
        raws = [cls(1.0, typical, dict.fromkeys(typical, 1.0), weight) for weight in weights]
        logs = [raw._logs(samples, named) for raw in raws]
        likely = int(np.argmax([_fit_tails(errors, one, _USUAL_FREEDOM)[0] for one in logs]))
        fits = [(*_fit_tails(errors, logs[likely], freedom), freedom) for freedom in _FREEDOMS]
        _, best, freedom = max(fits, key=lambda fit: fit[0])
        exponents = dict(zip(typical, best[1:].tolist(), strict=True))
        unscaled = replace(raws[likely], exponents=exponents, freedom=freedom)
        scores = np.abs(errors) / unscaled(samples, named)
        scale = float(np.sqrt(np.mean(scores**2) + _SMALLEST))
        width = float(np.exp(best[0])) / scale
        return replace(unscaled, scale=scale, width=width, scores=tuple(np.sort(scores / scale).tolist()))

    def __call__(self, samples: NDArray, others: Mapping[str, NDArray] | None = None) -> NDArray[np.float64]:
        """``(n,)`` standard deviations, eV; NaN where there is nothing to tell them from."""
        samples = np.asarray(samples, dtype=np.float64)
        if SPREAD in self.typical and len(samples) < 2:
            return np.full(samples.shape[1], np.nan)
        powers = np.array(list(self.exponents.values())) @ self._logs(samples, others or {})
        return self.scale * np.exp(powers)

    def quantile(self, level: float) -> float:
        """Half-width of the central interval that holds a new error with probability ``level``, over ``std``.

        Split conformal prediction (Lei et al., J. Am. Stat. Assoc. 113, 1094 (2018),
        https://doi.org/10.1080/01621459.2017.1307116) holds for any distribution of errors. For molecules
        drawn as the ``n`` validation molecules were, the interval covers at least ``level`` and at most
        ``1/(n + 1)`` more. That is exact for scores of molecules that chose nothing. The validation molecules
        have also stopped the training and fitted the few numbers here, which costs a little where they are
        few.

        Infinite where they are too few for ``level``; without any it is the t distribution's, and promises
        nothing.

        Raises:
            SurrogateError: a level that is not between 0 and 1.
        """
        if not 0 < level < 1:
            raise SurrogateError(f"The level of an interval is {level}; it lies between 0 and 1.")
        if not self.scores:
            return self.width * float(student.ppf((1 + level) / 2, self.freedom))
        return conformal_quantile(self.scores, level)

    def probability(self, scores: NDArray) -> NDArray[np.float64]:
        """Probability of absolute errors, over ``std``, below ``(n,)`` values: Student's t."""
        return 2 * student.cdf(np.abs(scores) / self.width, self.freedom) - 1

    def _logs(self, samples: NDArray, others: Mapping[str, NDArray]) -> NDArray[np.float64]:
        """``(k, n)`` logarithms of the sources, over what is typical of each."""
        return np.stack(
            [
                0.5
                * np.log(
                    (self._moderated(samples) if name == SPREAD else others[name] ** 2) / size**2 + _SMALLEST
                )
                for name, size in self.typical.items()
            ]
        )

    def _moderated(self, samples: NDArray) -> NDArray[np.float64]:
        freedom = len(samples) - 1
        variance = samples.var(axis=0, ddof=1)
        return (self.weight * self.typical[SPREAD] ** 2 + freedom * variance) / (self.weight + freedom)


def conformal_quantile(scores: Sequence[float], level: float) -> float:
    """The bound that the next score is below with probability ``level``; infinite where scores are too few.

    Args:
        scores: ascending.
        level: share of new scores below the result, 0 to 1.
    """
    rank = int(np.ceil(level * (len(scores) + 1)))
    return float(scores[rank - 1]) if 0 < rank <= len(scores) else float("inf")


def _fit_tails(errors: NDArray, sources: NDArray, freedom: float) -> tuple[float, NDArray[np.float64]]:
    """Penalized log-likelihood of the errors, and the logarithm of the scale parameter with the exponents."""
    middle = 1 / len(sources)
    start = np.log(np.sqrt(np.mean(errors**2)) + np.sqrt(_SMALLEST))
    constant = float(student.logpdf(0.0, freedom))

    def loss(parameters: NDArray) -> tuple[float, NDArray]:
        logs = start + parameters[0] + parameters[1:] @ sources
        squares = (errors * np.exp(-logs)) ** 2 / freedom
        likelihood = constant * len(errors) - (0.5 * (freedom + 1) * np.log1p(squares) + logs).sum()
        slopes = (freedom + 1) * squares / (1 + squares) - 1  # of each molecule's, with its logarithm
        from_middle = parameters[1:] - middle
        gradient = np.concatenate([[slopes.sum()], sources @ slopes - 2 * _EXPONENT_PRIOR * from_middle])
        return _EXPONENT_PRIOR * float((from_middle**2).sum()) - float(likelihood), -gradient

    first = np.concatenate([[0.0], np.full(len(sources), middle)])
    optimum = minimize(
        loss, first, jac=True, method="L-BFGS-B", bounds=[(-8, 8), *[_EXPONENTS] * len(sources)]
    )
    optimum.x[0] += start
    return -float(optimum.fun) - _TAIL_PRIOR / freedom, optimum.x
