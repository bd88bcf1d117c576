"""The contract of a simulator: a molecule goes in, an atomization energy with its level of theory comes out.

A simulator is any class with a ``level`` and a ``label`` method whose settings are keyword arguments with
plain values. alkit finds it by name (its own, or an entry point in the group "alkit.simulators") or as
"path/file.py:ClassName". It is built anew in every worker process, so it may hold what cannot be pickled.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

import numpy as np

from alkit.errors import AlkitError, Attempt, ConfigError, LabelError
from alkit.molecules.molecule import Molecule
from alkit.plugins import Registry, nearest

SIMULATORS = {
    "xtb": "alkit.simulators.xtb:XTBSimulator",
    "tblite": "alkit.simulators.tblite:TBLiteSimulator",
    "ase": "alkit.simulators.ase_calculator:ASESimulator",
    "lookup": "alkit.simulators.lookup:Lookup",
}
REGISTRY = Registry("simulator", SIMULATORS, "alkit.simulators", "path/file.py:ClassName")


@dataclass(frozen=True)
class Level:
    """A level of theory: labels of two different levels are never compared or mixed.

    ``method``: how it was computed, "GFN2-xTB"; ``property``: "energy" (electronic atomization energy) or
    "u0" (the same with zero-point energy); ``unit``: "eV".
    """

    method: str
    property: str
    unit: str = "eV"

    def __str__(self) -> str:
        return f"{self.method} {self.property} [{self.unit}]"


@dataclass(frozen=True, eq=False, repr=False)
class Label:
    """What a simulator says of one molecule.

    ``value``: atomization energy in eV at the simulator's own level, negative for a bound molecule: its total
    energy (with zero-point energy for "u0") less that of its isolated atoms. ``parts``: what it is made of,
    by name, eV unless the name says otherwise. ``numbers (n,)`` and ``positions (n, 3)`` Angstrom: the
    geometry that the value belongs to. ``seconds``: wall time it took. ``attempts``: every try, the last one
    the label's own. ``host`` and ``version`` (of alkit): filled in by the worker.
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
    """``label`` runs in a worker process of one thread, without torch; it raises `LabelError`."""

    @property
    def level(self) -> Level: ...

    def label(self, molecule: Molecule) -> Label: ...


@dataclass(frozen=True)
class SimulatorSpec:
    """A simulator by name, with its settings: what travels to the workers in place of the simulator."""

    kind: str
    settings: Mapping[str, Any] = field(default_factory=dict)


def create_simulator(spec: SimulatorSpec) -> Simulator:
    """The simulator that ``spec`` names. Raises `ConfigError` for an unknown name, setting or bad value."""
    cls = REGISTRY.find(spec.kind)
    try:
        _check_settings(cls, spec)
        simulator = cls(**spec.settings)
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
    """``label``, if it can be trusted; a `LabelError` "not_finite" or "simulator_error" if not."""
    if not isinstance(label, Label):
        raise LabelError("simulator_error", f"label() returned {type(label).__name__}, not a Label")
    numbers, positions = np.asarray(label.numbers), np.asarray(label.positions)
    if label.smiles != molecule.smiles or label.level != level:
        raise LabelError(
            "simulator_error",
            f"label() of {molecule.smiles} at {level} answered for {label.smiles} at {label.level}",
        )
    if positions.shape != (len(numbers), 3) or sorted(numbers) != sorted(molecule.numbers):
        raise LabelError(
            "simulator_error", f"label() of {molecule.smiles} returned other atoms than it was given"
        )
    if not np.isfinite(label.value):
        raise LabelError("not_finite", f"the value of {molecule.smiles} is {label.value}")
    bad = [name for name, value in label.parts.items() if not np.isfinite(value)]
    if bad or not np.isfinite(positions).all():
        raise LabelError("not_finite", f"{molecule.smiles}: {', '.join(bad) or 'the geometry'} is not finite")
    return label


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
