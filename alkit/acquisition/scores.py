"""Scores of single molecules; the batch is that of the highest scores, and only `Thompson` makes its own."""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.special import erfcx, ndtr

from alkit.acquisition import base
from alkit.acquisition.base import Pool, RoundContext
from alkit.acquisition.checks import flag, number
from alkit.descriptors import descriptor, descriptor_value
from alkit.errors import AcquisitionError, ConfigError

STD_FLOOR = 1e-6  # eV: no label is that exact, and nothing is divided by 0
_COST_FLOOR = 1e-3  # s: a label that costs nothing would be worth more than all others together


def random(pool: Pool, context: RoundContext) -> NDArray[np.float64]:
    """Uniform; ``(n,)``."""
    return context.rng.random(len(pool))


def std(pool: Pool, context: RoundContext) -> NDArray[np.float64]:
    """The calibrated standard deviation of the ensemble; ``(n,)`` eV."""
    return pool.std


# --- looking for extremes ----------------------------------------------------------------------------------


class Extremes:
    """Common settings of the functions that look for extremes.

    Args:
        minimise: whether low or high energies are looked for.
        per_heavy_atom: whether energies, labels and standard deviations are divided by the number of atoms
            that are not hydrogen. Otherwise the largest molecule has the lowest energy.
        weights: eV that one unit of a descriptor is worth, by its name (`alkit.descriptors`); added to what
            is looked for, negative for what should be low.
    """

    name = ""

    def __init__(
        self,
        *,
        minimise: bool = True,
        per_heavy_atom: bool = False,
        weights: Mapping[str, float] | None = None,
    ):
        self.minimise = flag(self.name, "minimise", minimise)
        self.per_heavy_atom = flag(self.name, "per_heavy_atom", per_heavy_atom)
        self.weights = checked_weights(self.name, weights)

    def gains(self, energies: NDArray, smiles: tuple[str, ...]) -> NDArray[np.float64]:
        """``(..., n)`` eV, higher is better, of energies ``(..., n)`` eV."""
        gains = (-1.0 if self.minimise else 1.0) * energies / self._sizes(smiles)
        for name, weight in self.weights.items():
            gains = gains + weight * descriptor_values(self.name, name, smiles)
        return gains

    def widths(self, pool: Pool) -> NDArray[np.float64]:
        """``(n,)`` eV above 0, the standard deviations of the gains."""
        return np.maximum(pool.std, STD_FLOOR) / self._sizes(pool.smiles)

    def standardised(self, pool: Pool, context: RoundContext) -> tuple[NDArray, NDArray]:
        """``(n,)`` the expected gain over the best label in standard deviations, and ``(n,)`` eV these."""
        widths = self.widths(pool)
        best = self.gains(context.targets, context.smiles).max()
        return (self.gains(pool.mean, pool.smiles) - best) / widths, widths

    def _sizes(self, smiles: tuple[str, ...]) -> NDArray[np.float64] | float:
        return heavy_atoms(smiles) if self.per_heavy_atom else 1.0


class ConfidenceBound(Extremes):
    """The optimistic end of what the energy may be: ``sqrt(beta)`` standard deviations beyond the mean; eV.

    Srinivas et al., ICML 2010, https://doi.org/10.48550/arXiv.0912.3995

    Args:
        beta: as BoTorch counts it, the square of the number of standard deviations; 0 trusts the mean.
    """

    name = "ucb"

    def __init__(
        self,
        beta: float = 2.0,
        *,
        minimise: bool = True,
        per_heavy_atom: bool = False,
        weights: Mapping[str, float] | None = None,
    ):
        super().__init__(minimise=minimise, per_heavy_atom=per_heavy_atom, weights=weights)
        self.beta = number(self.name, "beta", beta, least=0)

    def __call__(self, pool: Pool, context: RoundContext) -> NDArray[np.float64]:
        """``(n,)`` scores: the mean, in the wanted direction, plus ``√beta`` standard deviations."""
        return self.gains(pool.mean, pool.smiles) + np.sqrt(self.beta) * self.widths(pool)


class ExpectedImprovement(Extremes):
    """The expected improvement of a molecule on the best label, eV.

    Far from the best label it is 0 to the last digit and tells no molecule from another, which
    `LogExpectedImprovement` does. Jones et al., J. Global Optim. 13 (1998) 455,
    https://doi.org/10.1023/A:1008306431147
    """

    name = "ei"

    def __call__(self, pool: Pool, context: RoundContext) -> NDArray[np.float64]:
        """``(n,)`` expected improvements on the best label."""
        z, widths = self.standardised(pool, context)
        return widths * np.maximum(_density(z) + z * ndtr(z), 0.0)


class LogExpectedImprovement(Extremes):
    """The logarithm of the expected improvement in eV, exact also where the improvement itself underflows.

    Ament et al., NeurIPS 2023, https://doi.org/10.48550/arXiv.2310.20708
    """

    name = "log_ei"

    def __call__(self, pool: Pool, context: RoundContext) -> NDArray[np.float64]:
        """``(n,)`` logarithms of the expected improvement, finite far below the best label too."""
        z, widths = self.standardised(pool, context)
        return np.log(widths) + log_improvement(z)


class ProbabilityOfImprovement(Extremes):
    """How probable it is that a molecule beats the best label, by however little.

    Kushner, J. Basic Eng. 86 (1964) 97, https://doi.org/10.1115/1.3653121
    """

    name = "pi"

    def __call__(self, pool: Pool, context: RoundContext) -> NDArray[np.float64]:
        """``(n,)`` probabilities, 0 to 1, of a label better than the best one."""
        return ndtr(self.standardised(pool, context)[0])


class Thompson(Extremes):
    """Every molecule of the batch is the best of one random draw of all energies.

    Thompson, Biometrika 25 (1933) 285, https://doi.org/10.1093/biomet/25.3-4.285; for batches of molecules:
    Hernández-Lobato et al., ICML 2017, https://doi.org/10.48550/arXiv.1706.01825

    Args:
        draw: ``members``, a member of the ensemble, whose errors in similar molecules go together; or
            ``normal``, the mean plus the calibrated standard deviation times a normal number for each.

    Raises:
        ConfigError: ``draw`` is neither members nor normal.
    """

    name = "thompson"

    def __init__(
        self,
        draw: Literal["members", "normal"] = "members",
        *,
        minimise: bool = True,
        per_heavy_atom: bool = False,
        weights: Mapping[str, float] | None = None,
    ):
        super().__init__(minimise=minimise, per_heavy_atom=per_heavy_atom, weights=weights)
        if draw not in ("members", "normal"):
            raise ConfigError(f"acquisition thompson: draw is {draw!r}; it must be members or normal.")
        self.draw = draw
        self.needs = ("members",) if draw == "members" else ()

    def select(self, pool: Pool, context: RoundContext, batch_size: int) -> Sequence[int]:
        """One draw a molecule of the batch: the best that is still free by that draw."""
        members, widths = self.gains(pool.samples, pool.smiles), self.widths(pool)
        mean, free = members.mean(axis=0), np.ones(len(pool), dtype=bool)
        chosen: list[int] = []
        for _ in range(batch_size):
            if self.draw == "members":
                drawn = members[context.rng.integers(len(members))]
            else:
                drawn = mean + widths * context.rng.standard_normal(len(pool))
            chosen.append(int(np.where(free, drawn, -np.inf).argmax()))
            free[chosen[-1]] = False
        return chosen


# --- learning everywhere -----------------------------------------------------------------------------------


class InformationGain:
    """BALD for regression: what a label tells of the model, ``log(1 + (std / noise)²) / 2``; nats.

    Alone it puts molecules in the order of the standard deviation; its value is for `PerSecond`, where
    doubling an already large uncertainty counts for little. Houlsby et al. 2011,
    https://doi.org/10.48550/arXiv.1112.5745

    Args:
        noise: eV, the standard deviation of what labels say beyond the model; None for the accuracy aimed at.
    """

    def __init__(self, noise: float | None = None):
        self.noise = None if noise is None else number("bald", "noise", noise, above=0)

    def __call__(self, pool: Pool, context: RoundContext) -> NDArray[np.float64]:
        """``(n,)`` nats that a label with the noise tells of the energy: ``½ log(1 + (std / noise)²)``."""
        noise = context.accuracy if self.noise is None else self.noise
        return 0.5 * np.log1p((pool.std / noise) ** 2)


class OutsideAccuracy:
    """How probable it is that the prediction errs by more than the accuracy aimed at, if errors are normal.

    The order is that of the standard deviation, but above a few times the accuracy all are about equal: for
    `PerSecond`. Reliability analysis learns where its sign may be wrong by the same tail probability: Echard
    et al., Struct. Saf. 33 (2011) 145, https://doi.org/10.1016/j.strusafe.2011.01.002

    Args:
        accuracy: eV; None for the campaign's.
    """

    def __init__(self, accuracy: float | None = None):
        own_accuracy = accuracy is not None
        self.accuracy = number("outside_accuracy", "accuracy", accuracy, above=0) if own_accuracy else None

    def __call__(self, pool: Pool, context: RoundContext) -> NDArray[np.float64]:
        """``(n,)`` probabilities, 0 to 1, that the error is larger than the accuracy."""
        accuracy = context.accuracy if self.accuracy is None else self.accuracy
        return 2 * ndtr(-accuracy / np.maximum(pool.std, STD_FLOOR))


class PerSecond:
    """Another score, divided by the time that the label is expected to take.

    Snoek et al., NeurIPS 2012 (expected improvement per second), https://doi.org/10.48550/arXiv.1206.2944

    Args:
        score: the name of a score that is never negative, such as std, ei, pi, bald or outside_accuracy;
            ``./file.py:function`` as well.
        settings: those of that score.

    Raises:
        ConfigError: a score that may be negative, or gives no value of each molecule.
    """

    def __init__(self, score: str = "std", settings: dict[str, Any] | None = None):
        if score in _SIGNED:
            raise ConfigError(
                f"acquisition per_second: {score} may be negative, and such a value divided by a time says "
                "nothing; use ei, pi, std, bald or outside_accuracy."
            )
        inner = base.resolve(score, settings) if score != "per_second" else None
        if not isinstance(inner, base.TopScore):
            raise ConfigError(
                f"acquisition per_second: {score} gives no value of each molecule; use a score, such as std."
            )
        self.score, self.value = score, inner.score
        self.needs = tuple(sorted(base.needs(inner)))

    def __call__(self, pool: Pool, context: RoundContext) -> NDArray[np.float64]:
        """``(n,)`` values of the wrapped score, divided by the expected seconds of each label.

        Args:
            pool: ``n`` molecules with their cost.
            context: of the round.

        Raises:
            AcquisitionError: the score is negative for some molecule.
        """
        values = np.asarray(self.value(pool, context), dtype=np.float64)
        if (values < 0).any():
            bad = np.flatnonzero(values < 0)[0]
            raise AcquisitionError(
                f"per_second: {self.score} gave molecule {bad} a value below 0; divided by a time, such a "
                "value says nothing."
            )
        return values / np.maximum(pool.cost, _COST_FLOOR)


_SIGNED = ("ucb", "log_ei")


# --- parts -------------------------------------------------------------------------------------------------


def checked_weights(function: str, weights: Mapping[str, float] | None) -> dict[str, float]:
    """Weights of descriptors by name.

    Raises:
        ConfigError: they are no mapping of RDKit's descriptors to numbers.
    """
    if not isinstance(weights, Mapping | None):
        raise ConfigError(
            f"acquisition {function}: weights is {weights!r:.60}; a mapping such as {{QED: 1.0}} is expected."
        )
    for name in weights or {}:
        try:
            descriptor(str(name))
        except ConfigError as error:
            raise ConfigError(f"acquisition {function}: weights: {error}.") from None
    return {str(name): number(function, f"weights.{name}", one) for name, one in (weights or {}).items()}


def descriptor_values(function: str, name: str, smiles: tuple[str, ...]) -> NDArray[np.float64]:
    """``(n,)`` values of one of RDKit's descriptors.

    Raises:
        AcquisitionError: RDKit cannot compute one.
    """
    values = np.array([descriptor_value(one, name) for one in smiles], dtype=np.float64)
    if len(bad := np.flatnonzero(~np.isfinite(values))):
        raise AcquisitionError(
            f"{function}: RDKit cannot compute {name} of {smiles[bad[0]]}; keep such molecules out by a "
            "range of it in domain.descriptors."
        )
    return values


def heavy_atoms(smiles: tuple[str, ...]) -> NDArray[np.float64]:
    """``(n,)``, the atoms that are not hydrogen; 1 for a molecule that has none.

    Raises:
        AcquisitionError: RDKit cannot read one.
    """
    return np.array([_heavy_atoms(one) for one in smiles], dtype=np.float64)


@lru_cache(maxsize=2**18)  # a pool is asked about again in every round
def _heavy_atoms(smiles: str) -> int:
    from rdkit import Chem

    molecule = Chem.MolFromSmiles(smiles, sanitize=False)  # counting needs no chemistry: a fifth of the time
    if molecule is None:
        raise AcquisitionError(f"per_heavy_atom: RDKit cannot read {smiles!r}.")
    return max(molecule.GetNumHeavyAtoms(), 1)


def _density(z: NDArray) -> NDArray[np.float64]:
    return np.exp(-0.5 * z**2) / np.sqrt(2 * np.pi)


def log_improvement(z: NDArray) -> NDArray[np.float64]:
    """``log(φ(z) + z Φ(z))`` to at least ten digits for every finite ``z``; ``(n,)`` of ``(n,)``.

    Below -1 both terms cancel: ``φ`` is taken out, and the ratio left is the scaled complementary error
    function's. Below -50 that cancels too, and its asymptotic series is exact.
    """
    z = np.asarray(z, dtype=np.float64)
    high, far = np.maximum(z, -1.0), np.minimum(z, -50.0)
    middle = np.clip(z, -50.0, -1.0)
    direct = np.log(_density(high) + high * ndtr(high))
    ratio = np.sqrt(np.pi / 2) * -middle * erfcx(-middle / np.sqrt(2))
    inverse = far**-2.0
    series = np.log(inverse) + np.log1p(inverse * (-3 + inverse * (15 - 105 * inverse)))
    rest = np.where(z < -50, series, np.log1p(-ratio))
    return np.where(z > -1, direct, -0.5 * z**2 - 0.5 * np.log(2 * np.pi) + rest)
