"""The contract of a baseline: a molecule in its geometry goes in, a cheap energy comes out.

A surrogate learns the label less the baseline: delta learning (Ramakrishnan et al.,
https://doi.org/10.1021/acs.jctc.5b00099). It may also see what the same calculation says of atoms and bonds.
A baseline is no label: it is never counted as one, and its energies are never mixed with labels.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from alkit.errors import AlkitError, ConfigError, LabelError
from alkit.molecules.molecule import Molecule
from alkit.plugins import Registry
from alkit.simulators.base import Level

BASELINES = {
    "gfn1": "alkit.baselines.gfn:GFN1",
    "gfn2": "alkit.baselines.gfn:GFN2",
    "gfnff": "alkit.baselines.calculator:GFNFF",
    "aimnet2-b973c": "alkit.baselines.aimnet2:B973c",
    "aimnet2-wb97m": "alkit.baselines.aimnet2:WB97M",
    "ase": "alkit.baselines.calculator:ASEBaseline",
    "dataset": "alkit.baselines.stored:Stored",
}
GROUPS = {"aimnet2": ("aimnet2-b973c", "aimnet2-wb97m")}
"""Names that stand for several baselines, whose mean is learned on top of."""
REGISTRY = Registry("baseline", BASELINES, "alkit.baselines")


@dataclass(frozen=True, eq=False)
class Reading:
    """The results of a baseline for one molecule in one geometry of ``n`` atoms.

    Attributes:
        energy: eV, atomization energy at ``level``.
        level: level of theory.
        atoms: ``(n, k)``, numbers of each atom, as the baseline's ``atom_inputs`` names them.
        pairs: ``(n, n, m)``, symmetric numbers of each pair, as its ``pair_inputs`` names them.
        whole: ``(j,)``, numbers of the molecule, as its ``whole_inputs`` names them.
    """

    energy: float
    level: Level
    atoms: NDArray[np.float64]
    pairs: NDArray[np.float64]
    whole: NDArray[np.float64]


@dataclass(frozen=True)
class BaselineSpec:
    """A baseline by name, with its settings: what travels to workers, and what a model keeps.

    Attributes:
        kind: its name.
        settings: pairs of name and value, sorted, so that equal specs are one key.
    """

    kind: str
    settings: tuple[tuple[str, Any], ...] = ()

    @classmethod
    def of(cls, kind: str, settings: Mapping[str, Any] | None = None) -> BaselineSpec:
        """The spec of a kind with its settings, which may come in any order."""
        return cls(kind, tuple(sorted((name, _frozen(value)) for name, value in (settings or {}).items())))

    def as_dict(self) -> dict[str, Any]:
        """Plain values, as a model and a campaign file hold them."""
        return {"kind": self.kind} | {name: _thawed(value) for name, value in self.settings}


class Baseline(ABC):
    """One cheap method.

    Attributes:
        tier: what a result on top of it is called: "semi-empirical", "force field", "pretrained", or another.
        learned_from: what a pretrained method has learned from; empty for others.
        inputs: the name of what it says of atoms, as the surrogate's settings have it; empty if nothing.
        earlier_inputs: the name of the same without ``whole_inputs``, in models of an earlier revision.
        atom_inputs, pair_inputs, whole_inputs: names of the columns of a `Reading`.
        by_torch: whether it runs where the surrogate runs, in batches, and never in a worker.
    """

    tier: ClassVar[str]
    learned_from: ClassVar[str] = ""
    inputs: ClassVar[str] = ""
    earlier_inputs: ClassVar[str] = ""
    atom_inputs: ClassVar[tuple[str, ...]] = ()
    pair_inputs: ClassVar[tuple[str, ...]] = ()
    whole_inputs: ClassVar[tuple[str, ...]] = ()
    by_torch: ClassVar[bool] = False

    @property
    @abstractmethod
    def level(self) -> Level:
        """Level of theory of its energies."""

    @property
    def version(self) -> str:
        """Everything else a number depends on: the package and its version, or a hash of weights."""
        return ""

    @abstractmethod
    def read(self, molecule: Molecule) -> Reading:
        """Compute the energy (eV) of a molecule in its geometry, and inputs of its atoms.

        Raises:
            LabelError: there is no energy.
        """

    def read_all(self, molecules: Sequence[Molecule]) -> list[Reading | LabelError]:
        """The same of many at once, an error in the place of a reading."""
        found: list[Reading | LabelError] = []
        for molecule in molecules:
            try:
                found.append(self.read(molecule))
            except LabelError as error:
                found.append(error)
        return found

    @abstractmethod
    def check(self) -> str:
        """Compute a known value, and say in words what came out.

        Raises:
            ConfigError: it cannot be computed here, or is another number than it must be.
        """

    def reading(
        self,
        energy: float,
        atoms: NDArray | None = None,
        pairs: NDArray | None = None,
        whole: Sequence[float] = (),
        *,
        molecule: Molecule,
    ) -> Reading:
        """A `Reading` whose numbers are finite.

        Raises:
            LabelError: "not_finite".
        """
        n = len(molecule.numbers)
        found = Reading(
            float(energy),
            self.level,
            np.zeros((n, 0)) if atoms is None else np.asarray(atoms, dtype=np.float64),
            np.zeros((n, n, 0)) if pairs is None else np.asarray(pairs, dtype=np.float64),
            np.asarray(whole, dtype=np.float64),
        )
        parts = (found.atoms, found.pairs, found.whole)
        if not (np.isfinite(found.energy) and all(np.isfinite(part).all() for part in parts)):
            raise LabelError(
                "not_finite", f"{molecule.smiles}: {self.level.method} gave a number that is not finite"
            )
        return found


@cache
def create_baseline(spec: BaselineSpec) -> Baseline:
    """The baseline that ``spec`` names; one object a process, as weights take long to load.

    Raises:
        ConfigError: an unknown name or setting, a bad value, or a package or file that is not there.
    """
    cls = REGISTRY.find(spec.kind)
    try:
        return cls(**{name: _thawed(value) for name, value in spec.settings})
    except AlkitError:
        raise
    except TypeError as error:
        raise ConfigError(f"baseline {spec.kind} cannot be made with {spec.as_dict()}: {error}") from None


def specs_of(
    given: Sequence[Mapping[str, Any]], what: str = "surrogate.baseline"
) -> tuple[BaselineSpec, ...]:
    """Specs of a list of mappings with a ``kind``; a name that stands for several becomes these.

    Args:
        given: mappings, as in the campaign file.
        what: the key that names them, for errors.

    Raises:
        ConfigError: a name that is none.
    """
    found: list[BaselineSpec] = []
    for one in given:
        kind = one["kind"]
        settings = {name: value for name, value in one.items() if name != "kind"}
        if kind not in BASELINES and kind not in GROUPS:
            REGISTRY.find(kind)  # an installed one, or a sentence with what there is
        found += [BaselineSpec.of(part, settings) for part in GROUPS.get(kind, (kind,))]
    if len(set(found)) < len(found):
        raise ConfigError(f"{what} names one baseline twice")
    return tuple(found)


def level_of(specs: Sequence[BaselineSpec]) -> str:
    """The level of theory that a model on top of these learns on: their mean, if they are several."""
    levels = [str(create_baseline(spec).level) for spec in specs]
    return levels[0] if len(levels) == 1 else f"mean of {', '.join(levels)}" if levels else ""


def tier_of(specs: Sequence[BaselineSpec]) -> str:
    """The tier of a result on top of these baselines, with the training data of a pretrained one."""
    order = ("pretrained", "semi-empirical", "force field")
    made = [create_baseline(spec) for spec in specs]
    tiers = sorted(
        {one.tier for one in made}, key=lambda tier: order.index(tier) if tier in order else len(order)
    )
    learned = sorted({one.learned_from for one in made if one.learned_from})
    said = f" ({'; '.join(learned)})" if learned else ""
    return f"{tiers[0]}{said}" if tiers else "no baseline"


def _frozen(value: Any) -> Any:
    if isinstance(value, Mapping):
        return ("mapping", tuple(sorted((name, _frozen(one)) for name, one in value.items())))
    if isinstance(value, list | tuple):
        return ("list", tuple(_frozen(one) for one in value))
    return value


def _thawed(value: Any) -> Any:
    if isinstance(value, tuple):
        kind, parts = value
        if kind == "mapping":
            return {name: _thawed(one) for name, one in parts}
        return [_thawed(one) for one in parts]
    return value
