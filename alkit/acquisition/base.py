"""The contract of an acquisition function, the built-in ones by name, and the check of what one returns."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from alkit.errors import AcquisitionError, ConfigError
from alkit.plugins import Registry, create
from alkit.units import CHEMICAL_ACCURACY
from surrogate.low_rank import Covariance

_SHOWN = 10  # molecules of a pool that a notebook shows


@dataclass(frozen=True, eq=False, repr=False)
class Pool:
    """The ``n`` molecules that may be acquired, as the ensemble of ``s`` members sees them.

    Where it says eV, predictions and labels of another property are in that property's unit.

    Attributes:
        smiles: ``n`` canonical SMILES, the molecules' identity.
        samples: ``(s, n)`` eV, the prediction of every member.
        std: ``(n,)`` eV, calibrated standard deviation.
        embeddings: ``(n, d)`` pooled last-layer features; or features of the geometry that labels start from
            (`alkit.molecules.soap`), where the function needs "soap" or ``acquisition.features`` says so.
        cost: ``(n,)`` seconds, the expected time of each label, from the times measured so far. A function
            that uses it may choose otherwise on another day.
        xtb_energy: ``(n,)`` eV, the atomization energy of a GFN2-xTB single point of each candidate, at the
            geometry that the surrogate sees. None unless the function `needs` it.
        covariance: of the energies given all labels (`surrogate.low_rank.Covariance`), of a surrogate that
            has a kernel. None unless the function `needs` it.
    """

    smiles: tuple[str, ...]
    samples: NDArray[np.float64]
    std: NDArray[np.float64]
    embeddings: NDArray[np.float32]
    cost: NDArray[np.float64]
    xtb_energy: NDArray[np.float64] | None = None
    covariance: Covariance | None = None

    def __len__(self) -> int:
        return len(self.smiles)

    def __getitem__(self, indices: Any) -> "Pool":
        """The part of the pool with these molecules.

        Args:
            indices: ``(k,)`` integers, or a slice.
        """
        rows = np.arange(len(self))[indices]
        return Pool(
            tuple(self.smiles[i] for i in rows),
            self.samples[:, rows],
            self.std[rows],
            self.embeddings[rows],
            self.cost[rows],
            None if self.xtb_energy is None else self.xtb_energy[rows],
            None if self.covariance is None else self.covariance[rows],
        )

    def __repr__(self) -> str:
        energies = "" if self.xtb_energy is None else ", with GFN2-xTB energies"
        members, features = len(self.samples), self.embeddings.shape[-1]
        return f"Pool({len(self)} molecules, {members} members, {features} features{energies})"

    def _repr_html_(self) -> str:
        import html

        import pandas  # MLflow brings it

        first = {"smiles": self.smiles, "mean": self.mean, "std": self.std, "cost, s": self.cost}
        table = pandas.DataFrame(first).head(_SHOWN).to_html(float_format="{:.3f}".format)
        more = f"<p>… and {len(self) - _SHOWN} more</p>" if len(self) > _SHOWN else ""
        return f"<b>{html.escape(repr(self))}</b>{table}{more}"

    @property
    def cheap(self) -> NDArray[np.float64] | None:
        """`xtb_energy` by its earlier name, for functions written before it."""
        return self.xtb_energy

    @property
    def mean(self) -> NDArray[np.float64]:
        """``(n,)`` eV."""
        return self.samples.mean(axis=0)

    def posterior(self) -> Any:
        """The members' predictions, uncalibrated, as a BoTorch ``EnsemblePosterior`` over all molecules."""
        from alkit.acquisition.posterior import pool_model

        model, choices = pool_model(self.samples)
        return model.posterior(choices)


@dataclass(frozen=True, eq=False, repr=False)
class RoundContext:
    """The knowledge of a campaign when it acquires.

    Attributes:
        round: from 1.
        smiles: ``m`` molecules labelled for training and validation.
        targets: ``(m,)`` eV, their labels.
        embeddings: ``(m, d)``, as the pool's.
        rng: seeded for this round; draw every random number from it.
        xtb_energy: ``(m,)`` eV, as the pool's.
        pending: acquired in earlier rounds, and without a label yet because the round's deadline passed.
        accuracy: the mean absolute error that the campaign aims at: ``stop.target_mae``; without it chemical
            accuracy of energies, of another property a tenth of the labels' standard deviation.
        target: the part of the pool that stands for the target set, the molecules that the surrogate must be
            good at; None where the campaign file names none.
    """

    round: int
    smiles: tuple[str, ...]
    targets: NDArray[np.float64]
    embeddings: NDArray[np.float32]
    rng: np.random.Generator
    xtb_energy: NDArray[np.float64] | None = None
    pending: tuple[str, ...] = ()
    accuracy: float = CHEMICAL_ACCURACY
    target: Pool | None = None

    def __repr__(self) -> str:
        pending = f", {len(self.pending)} pending" if self.pending else ""
        energies = "" if self.xtb_energy is None else ", with GFN2-xTB energies"
        return f"RoundContext(round {self.round}, {len(self.smiles)} labelled molecules{pending}{energies})"

    @property
    def cheap(self) -> NDArray[np.float64] | None:
        """`xtb_energy` by its earlier name, for functions written before it."""
        return self.xtb_energy

    @property
    def best(self) -> float:
        """Lowest label so far, eV."""
        return float(self.targets.min())


@runtime_checkable
class Acquisition(Protocol):
    """Chooses a batch.

    A function ``score(pool, context) -> (n,)`` does as well: higher is better, and alkit takes the best.
    Either may have an attribute ``needs``, a tuple of what it cannot do without. "xtb_energy" is
    `Pool.xtb_energy`, which is computed only then. "members" is an ensemble of two at least. "soap" is SOAP
    features as embeddings, unless the campaign file's ``acquisition.features`` says otherwise. "covariance"
    is `Pool.covariance`. A campaign that cannot give it says so before it begins.
    """

    def select(self, pool: Pool, context: RoundContext, batch_size: int) -> Sequence[int]:
        """``batch_size`` different indices into the pool."""
        ...


@dataclass(frozen=True)
class TopScore:
    """The batch of the highest scores; ties go to the earlier molecule.

    Args:
        score: ``(pool, context) -> (n,)`` finite numbers, higher is better.
        name: what messages call it.
    """

    score: Callable[..., Any]
    name: str

    def select(self, pool: Pool, context: RoundContext, batch_size: int) -> Sequence[int]:
        """The ``batch_size`` molecules of highest score, best first; equal scores in the pool's order.

        Args:
            pool: ``n`` molecules.
            context: of the round.
            batch_size: molecules to choose.

        Raises:
            AcquisitionError: the scores are not ``(n,)`` finite numbers.
        """
        returned = self.score(pool, context)
        try:
            scores = _numbers(returned)
        except Exception as error:  # what it returned may have array methods of its own
            raise AcquisitionError(
                f"{self.name} returned {type(returned).__name__} instead of {len(pool)} numbers ({error})."
            ) from None
        if scores.shape != (len(pool),):
            raise AcquisitionError(
                f"{self.name} returned an array of shape {scores.shape}; one score per molecule, shape "
                f"{(len(pool),)}, is expected."
            )
        if not np.isfinite(scores).all():
            bad = int(np.flatnonzero(~np.isfinite(scores))[0])
            raise AcquisitionError(f"{self.name} scored molecule {bad} {scores[bad]}; scores must be finite.")
        return np.argsort(-scores, kind="stable")[:batch_size].tolist()


def _numbers(returned: Any) -> NDArray[np.float64]:
    """An array of what a score function has returned; a tensor may be on a GPU, and have a gradient."""
    if callable(getattr(returned, "detach", None)):
        returned = returned.detach().cpu().numpy()
    if isinstance(returned, np.ma.MaskedArray) and np.ma.is_masked(returned):
        raise TypeError("a masked array leaves some molecules without a score")
    array = np.asarray(returned)
    if array.dtype.kind not in "fiub":
        array = np.asarray(returned, dtype=object)
        if any(isinstance(value, str | bytes | complex | np.complexfloating) for value in array.ravel()):
            raise TypeError("scores are real numbers, neither texts nor complex")
    return np.asarray(array, dtype=np.float64)


NEEDS = ("xtb_energy", "members", "soap", "covariance")
_EARLIER_NEEDS = {"cheap": "xtb_energy"}


def needs(acquisition: Acquisition) -> frozenset[str]:
    """The inputs of `NEEDS` that ``acquisition`` cannot do without.

    Raises:
        ConfigError: it asks for something else.
    """
    declared_by = acquisition.score if isinstance(acquisition, TopScore) else acquisition
    declared = getattr(declared_by, "needs", ())
    listed = isinstance(declared, tuple | list | set | frozenset)
    names = [_EARLIER_NEEDS.get(str(name), name) for name in declared] if listed else []
    if not listed or not all(name in NEEDS for name in names):
        raise ConfigError(f"acquisition: needs is {declared!r}; it is a tuple of {', '.join(NEEDS)}.")
    return frozenset(names)


def on_soap(acquisition: Acquisition, features: str | None) -> bool:
    """Whether its embeddings are SOAP features.

    Args:
        acquisition: the function.
        features: "embeddings" or "soap" of the campaign file, or None.
    """
    return features == "soap" or (features is None and "soap" in needs(acquisition))


BUILT_IN = {
    "random": "alkit.acquisition.scores:random",
    "std": "alkit.acquisition.scores:std",
    "ucb": "alkit.acquisition.scores:ConfidenceBound",
    "ei": "alkit.acquisition.scores:ExpectedImprovement",
    "log_ei": "alkit.acquisition.scores:LogExpectedImprovement",
    "pi": "alkit.acquisition.scores:ProbabilityOfImprovement",
    "thompson": "alkit.acquisition.scores:Thompson",
    "bald": "alkit.acquisition.scores:InformationGain",
    "outside_accuracy": "alkit.acquisition.scores:OutsideAccuracy",
    "per_second": "alkit.acquisition.scores:PerSecond",
    "pareto": "alkit.acquisition.pareto:Pareto",
    "lcmd": "alkit.acquisition.diversity:LargestClusterMaximumDistance",
    "farthest": "alkit.acquisition.diversity:FarthestPoint",
    "kmeans++": "alkit.acquisition.diversity:KMeansPlusPlus",
    "cluster_top": "alkit.acquisition.diversity:ClusterTop",
    "maxdet": "alkit.acquisition.linear_model:MaximumDeterminant",
    "bait": "alkit.acquisition.linear_model:Bait",
    "integrated_variance": "alkit.acquisition.linear_model:IntegratedVariance",
    "bias": "alkit.acquisition.bias:Bias",
    "botorch": "alkit.acquisition.botorch:BoTorch",
}


REGISTRY = Registry("acquisition function", BUILT_IN, "alkit.acquisition", "./file.py:function")


def resolve(name: str, settings: dict[str, Any] | None = None) -> Acquisition:
    """The acquisition function of that name: built in, ``./file.py:function``, or an installed plug-in.

    Raises:
        ConfigError: no such name, or settings it does not take.
    """
    return adapt(REGISTRY.find(name), name, settings)


def adapt(plugin: Any, name: str, settings: dict[str, Any] | None = None) -> Acquisition:
    """A function, a class or an object as an ``Acquisition``.

    Raises:
        ConfigError: it is none of these, or does not take the settings.
    """
    function = create(plugin, f"acquisition {name}", settings)
    if isinstance(function, Acquisition):
        return function
    if callable(function):
        return TopScore(function, name)
    raise ConfigError(
        f"{name} is a {type(function).__name__}; a function score(pool, context) or a class with "
        "select(pool, context, batch_size) is expected."
    )


def select(
    acquisition: Acquisition, name: str, pool: Pool, context: RoundContext, batch_size: int
) -> list[int]:
    """The checked choice of ``min(batch_size, n)`` molecules.

    Raises:
        AcquisitionError: it fails, or returns the wrong number, repeats or indices out of range; the message
            names the function and what it returned.
    """
    wanted = min(batch_size, len(pool))
    if wanted == 0:
        return []
    try:
        returned = acquisition.select(pool, context, wanted)
    except (AcquisitionError, ConfigError):
        raise
    # The user's code may raise anything, also an exit; the message must say that it was theirs.
    except (Exception, SystemExit, GeneratorExit) as error:
        problem = (str(error).splitlines() or [""])[0]
        raise AcquisitionError(f"{name} failed: {type(error).__name__}: {problem}.") from error
    try:
        indices = np.asarray(returned)
    except Exception:  # what it returned may have array methods of its own
        raise AcquisitionError(
            f"{name} returned {returned!r:.100}; {wanted} integer indices are expected."
        ) from None
    if indices.shape != (wanted,):
        raise AcquisitionError(
            f"{name} returned indices of shape {indices.shape}; {wanted} indices, shape {(wanted,)}, are "
            "expected."
        )
    if not np.issubdtype(indices.dtype, np.integer):
        raise AcquisitionError(f"{name} returned {indices.dtype} values; integer indices are expected.")
    outside = indices[(indices < 0) | (indices >= len(pool))]
    if len(outside):
        raise AcquisitionError(
            f"{name} returned index {outside[0]}, out of range for a pool of {len(pool)} molecules."
        )
    unique, counts = np.unique(indices, return_counts=True)
    if len(unique) < wanted:
        raise AcquisitionError(f"{name} returned index {unique[counts > 1][0]} more than once.")
    return [int(i) for i in indices]
