"""The contract of a simulator: a molecule goes in, a label with its level of theory comes out.

A simulator is any class with a ``level`` and a ``label`` method whose settings are keyword arguments with
plain values. alkit finds it by name (its own, or an entry point in the group "alkit.simulators") or as
"path/file.py:ClassName". Every worker process builds its own, so it may hold what cannot be pickled.
"""

from __future__ import annotations

import inspect
import math
import pickle
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from functools import partial
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.distance import cdist

from alkit.errors import AlkitError, Attempt, ConfigError, LabelError
from alkit.molecules.energies import ATOMIZATION_ENERGIES
from alkit.molecules.energies import problem_of as problem_of_energy
from alkit.molecules.molecule import Molecule, charge_and_radicals
from alkit.molecules.scalars import problem_of, problem_of_orbitals
from alkit.plugins import Pickled, Registry, nearest
from alkit.properties import is_energy, usual_unit

SIMULATORS = {
    "xtb": "alkit.simulators.xtb:XTBSimulator",
    "tblite": "alkit.simulators.tblite:TBLiteSimulator",
    "ase": "alkit.simulators.ase_calculator:ASESimulator",
    "lookup": "alkit.simulators.lookup:Lookup",
    "manual": "alkit.simulators.manual:ManualSimulator",
}
_FARTHEST = 8.0  # Å between an atom and its nearest: the molecule has fallen apart, or the unit is another
REGISTRY = Registry("simulator", SIMULATORS, "alkit.simulators", "path/file.py:ClassName")


@dataclass(frozen=True)
class Level:
    """A level of theory: labels of two different levels are never compared or mixed.

    Attributes:
        method: how it was computed, "GFN2-xTB".
        property: "energy" (electronic atomization energy), "u0" (the same with zero-point energy), another of
            `alkit.properties`, or one of the user's own.
        unit: of its values, "eV" of energies.
    """

    method: str
    property: str
    unit: str = "eV"

    def __str__(self) -> str:
        return f"{self.method} {self.property} [{self.unit}]"


@dataclass(frozen=True, eq=False, repr=False)
class Label:
    """The result of a simulator for one molecule.

    Attributes:
        smiles: the molecule.
        value: in the level's unit. An energy is the atomization energy at the simulator's own level, negative
            for a bound molecule. It is the total energy (with zero-point energy for "u0") less that of the
            isolated atoms.
        level: of theory.
        parts: what the value is made of and what the same calculation says besides, by name, eV unless the
            name says otherwise.
        numbers: ``(n,)`` atomic numbers.
        positions: ``(n, 3)`` Å, the geometry that the value belongs to.
        seconds: wall time.
        attempts: every try, the last one the label's own.
        host: filled in by the worker.
        version: of alkit, filled in by the worker.
    """

    smiles: str
    value: float
    level: Level
    parts: dict[str, float]
    numbers: np.ndarray
    positions: np.ndarray
    seconds: float
    attempts: tuple[Attempt, ...] = ()
    host: str = ""
    version: str = ""

    def __repr__(self) -> str:
        label = f"{self.value:.6f} {self.level.unit}, {self.level}, {self.seconds:.2f} s"
        return f"Label({self.smiles!r:.80}, {label})"


@runtime_checkable
class Simulator(Protocol):
    """``label`` runs in a worker process of one thread, without torch; it raises `LabelError`.

    With ``ions = True`` it is also given ions and radicals, as their SMILES states them.
    """

    @property
    def level(self) -> Level:
        """The level of theory of its labels."""
        ...

    def label(self, molecule: Molecule) -> Label:
        """Label a molecule, from its geometry in Å."""
        ...


@dataclass(frozen=True)
class SimulatorSpec:
    """A simulator by name, with its settings: what travels to the workers in place of the simulator."""

    kind: str
    settings: Mapping[str, Any] = field(default_factory=dict)


def create_simulator(spec: SimulatorSpec) -> Simulator:
    """The simulator that ``spec`` names, or holds.

    Raises:
        ConfigError: an unknown name, setting or bad value.
    """
    given = spec.settings.get("pickled")
    # Bytes of this very process, or of the one that started this worker: a file may run code only by name.
    held = given if isinstance(given, Pickled) else None
    cls = REGISTRY.find(spec.kind) if held is None else partial(pickle.loads, held)
    try:
        if held is None:
            _check_settings(cls, spec)
        simulator = cls() if held is not None else cls(**spec.settings)
        level, method = getattr(simulator, "level", None), getattr(simulator, "label", None)
    except AlkitError:
        raise
    except Exception as error:  # a plug-in's own code may raise anything; the message must say whose it was
        problem = (str(error).splitlines() or [""])[0]
        raise ConfigError(
            f"simulator {spec.kind!r} cannot be made: {type(error).__name__}: {problem}"
        ) from error
    if not isinstance(level, Level) or not callable(method):
        raise ConfigError(
            f"simulator {spec.kind!r} is no simulator: it needs a `level` (alkit's Level) and label()"
        )
    return simulator


def check_label(label: Any, molecule: Molecule, level: Level) -> Label:
    """``label`` with plain numbers in it, if it can be trusted.

    Raises:
        LabelError: "not_finite"; "impossible_energy", which no molecule of these atoms has (such as one in
            another unit, or a total energy); "impossible_value", of another property that no molecule has;
            "simulator_error", what else is wrong with it.
    """
    if not isinstance(label, Label):
        raise LabelError("simulator_error", f"label() returned {type(label).__name__}, not a Label")
    if label.smiles != molecule.smiles or label.level != level:
        raise LabelError(
            "simulator_error",
            f"label() of {molecule.smiles} at {level} answered for {label.smiles} at {label.level}",
        )
    parts = label.parts
    if not isinstance(parts, Mapping) or not all(isinstance(name, str) for name in parts):
        raise LabelError("simulator_error", f"{molecule.smiles}: parts is no dictionary of numbers by name")
    numbers, positions = _geometry(label, molecule)
    checked = replace(
        label,
        value=_number(label.value, "the value", molecule),
        parts={name: _number(value, f"parts[{name!r}]", molecule) for name, value in parts.items()},
        numbers=numbers,
        positions=positions,
        seconds=_number(label.seconds, "seconds", molecule),
        attempts=_attempts(label.attempts, molecule),
    )
    if checked.seconds < 0:
        raise LabelError("simulator_error", f"{molecule.smiles}: seconds is {checked.seconds}")
    if problem := _problem_of_scalars(checked):
        raise LabelError("impossible_value", f"{molecule.smiles}: {problem}")
    known = level.unit == "eV" and level.property in ATOMIZATION_ENERGIES
    if known and (problem := problem_of_energy(checked.value, numbers, _charge(molecule.smiles, level))):
        raise LabelError(
            "impossible_energy", f"{molecule.smiles}: an atomization energy in eV is expected, not {problem}"
        )
    return checked


def _problem_of_scalars(label: Label) -> str:
    """Why no molecule has these values of properties that alkit knows; empty where one can."""
    name, unit = label.level.property, label.level.unit
    if is_energy(name) or unit != usual_unit(name):  # alkit knows no bounds of other units and properties
        return ""
    return problem_of(name, label.value) or problem_of_orbitals(label.parts)


def _number(value: Any, name: str, molecule: Molecule) -> float:
    """A finite float; an array of one number is a number."""
    try:
        array = np.asarray(value)
        if array.dtype.kind not in "fiu" and not (array.dtype == object and isinstance(value, Decimal | int)):
            raise TypeError(f"{type(value).__name__} {value!r:.40}")
        if array.size != 1:
            raise TypeError(f"an array of shape {array.shape}")
        number = float(array.item())
    except Exception as error:  # whatever it returned may have methods of its own
        raise LabelError("simulator_error", f"{molecule.smiles}: {name} is no number ({error})") from None
    if not math.isfinite(number):
        raise LabelError("not_finite", f"{molecule.smiles}: {name} is {number}")
    return number


def _geometry(label: Label, molecule: Molecule) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    try:
        numbers, positions = np.asarray(label.numbers), np.asarray(label.positions)
        if numbers.dtype.kind not in "iu" or positions.dtype.kind not in "fiu":
            raise TypeError(f"arrays of {numbers.dtype} and {positions.dtype}")
        if positions.shape != (len(numbers), 3) or sorted(numbers) != sorted(molecule.numbers):
            raise TypeError("other atoms than it was given")
    except Exception as error:  # as above
        raise LabelError("simulator_error", f"label() of {molecule.smiles} returned {error}") from None
    if not np.isfinite(positions).all():
        raise LabelError("not_finite", f"{molecule.smiles}: the geometry is not finite")
    if len(numbers) > 1:
        nearest_other = cdist(positions, positions) + np.diag(np.full(len(numbers), np.inf))
        if (nearest_other.min(axis=0) > _FARTHEST).any():
            raise LabelError(
                "simulator_error",
                f"{molecule.smiles}: an atom is {_FARTHEST:g} Å and more from all others; positions are in Å",
            )
    return numbers.astype(np.int64), positions.astype(np.float64)


def _attempts(attempts: Any, molecule: Molecule) -> tuple[Attempt, ...]:
    try:
        checked = tuple(Attempt(*attempt) for attempt in attempts)
        if not all(
            isinstance(a.strategy, str) and isinstance(a.reason, str) and math.isfinite(a.seconds)
            for a in checked
        ):
            raise TypeError("not of texts and seconds")
    except Exception:  # as above
        raise LabelError(
            "simulator_error", f"{molecule.smiles}: attempts are no alkit.errors.Attempt"
        ) from None
    return checked


def check_electrons(simulator: Simulator, molecule: Molecule) -> None:
    """Refuse an ion or a radical where the simulator does not say that it heeds what the SMILES states.

    Raises:
        LabelError: "unsupported".
    """
    charge, radicals = charge_and_radicals(molecule.smiles)
    if (charge or radicals) and not getattr(simulator, "ions", False):
        raise LabelError(
            "unsupported",
            f"{molecule.smiles} has a charge of {charge:+d} and {radicals} unpaired electrons, and the "
            "simulator does not say that it labels ions and radicals (`ions = True`)",
        )


def _charge(smiles: str, level: Level) -> int:
    """The molecule's charge, which the SMILES or the level of theory says."""
    stated = re.search(r"\bcharge ([+-]\d+)", level.method)
    return int(stated[1]) if stated else charge_and_radicals(smiles)[0]


def _check_settings(cls: Any, spec: SimulatorSpec) -> None:
    parameters = inspect.signature(cls).parameters
    if any(p.kind is p.VAR_KEYWORD for p in parameters.values()):
        return
    for key in spec.settings:
        if key not in parameters:
            raise ConfigError(
                f"simulator {spec.kind!r} has no setting {key!r}: {nearest(key, list(parameters))}"
            )
    for key, parameter in parameters.items():
        required = parameter.default is parameter.empty and parameter.kind is not parameter.VAR_POSITIONAL
        if required and key not in spec.settings:
            raise ConfigError(f"simulator {spec.kind!r} needs the setting {key!r}")
