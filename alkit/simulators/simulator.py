"""Common base of the simulators that compute: settings, level of theory, recipes, recovery, checks."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, fields
from typing import Any, ClassVar

import numpy as np
from ase import Atoms

from alkit.errors import ConfigError, LabelError
from alkit.molecules.identity import changes
from alkit.molecules.molecule import Molecule
from alkit.properties import column, is_energy, short_name, usual_unit
from alkit.simulators import recipes, recovery, start_geometries
from alkit.simulators.base import Label, Level
from alkit.simulators.electrons import FROM_SMILES, Electrons, electrons_of
from alkit.threads import one_thread

RELAXED = ("u0", "energy", "zpve")
"""Properties that any calculator with energies and forces gives."""
# The revision of recipes and recovery: raised by whoever changes what a label comes out as, so that labels
# that were kept are not taken for new ones.
REVISION = 2


def part_name(name: str) -> str:
    """The name of a property among the parts of a label: ``gap``, ``mu_Debye``."""
    return name if usual_unit(name) in ("eV", "") else column(name, usual_unit(name))


@dataclass(kw_only=True)
class RelaxingSimulator:
    """Relaxes a molecule and returns its atomization energy (eV), or another property of its minimum.

    The atomization energy is the total energy less that of the free atoms. A subclass is a dataclass that has
    `method_name`, `new_calculator` and `free_atoms`.

    `label` raises `LabelError` with one of the reasons "impossible_charge", "unsupported_element",
    "scf_not_converged", "calculation_failed", "not_relaxed", "identity_changed", "imaginary_modes" or
    "no_such_value". The last is for a calculator that does not have the property of this molecule.

    Args:
        target: "u0" is E + ZPE - sum of E(atom). "energy" leaves the harmonic zero-point energy (most of the
            cost) out; "zpve" is that alone. "homo", "lumo", "gap" (eV) and "mu" (Debye) where the method has
            them.
        relax: False takes the property at the geometry as it comes (none with vibrations).
        fmax: relaxed when no force is larger, eV/Å.
        max_steps: of one relaxation.
        hessian: "forward" or "central" differences of forces.
        imaginary: an imaginary wavenumber in cm-1 beyond which the point is a saddle and no minimum. The
            molecule is then pushed along the mode and relaxed again, twice at most. Smaller ones are noise
            and count by magnitude.
        charge: e, as the molecule's SMILES states it ("from_smiles"), or of every molecule. Free atoms stay
            neutral.
        unpaired: electrons, likewise.
        conformers: so many are relaxed, and the lowest is taken.
        recover: whether failures are tried again, see `alkit.simulators.recovery`.
    """

    target: str = "u0"
    relax: bool = True
    fmax: float = 0.01
    max_steps: int = 300
    hessian: str = "forward"
    imaginary: float = 50.0
    charge: int | str = FROM_SMILES
    unpaired: int | str = FROM_SMILES
    conformers: int = 1
    recover: bool = True

    engine: ClassVar[str] = ""
    ions: ClassVar[bool] = True

    def method_name(self) -> str:
        """Name of the level of theory, without what the settings of this class add to it."""
        raise NotImplementedError

    def new_calculator(self) -> Any:
        """A new ASE calculator.

        Charge and unpaired electrons reach it as initial charges and magnetic moments of the atoms.
        """
        raise NotImplementedError

    def free_atoms(self, molecule: Molecule) -> float:
        """Total energy of the free atoms, eV.

        Raises:
            LabelError: "unsupported_element".
        """
        raise NotImplementedError

    @property
    def targets(self) -> tuple[str, ...]:
        """The properties that it gives."""
        return RELAXED

    @property
    def target_unit(self) -> str:
        """The unit of its labels."""
        return usual_unit(self.target)

    def bond_orders(self, atoms: Atoms) -> np.ndarray | None:
        """Wiberg bond orders ``(n, n)`` of atoms that were just computed, if the calculator has them."""
        return None

    def __post_init__(self) -> None:
        self.target = short_name(self.target) if isinstance(self.target, str) else self.target
        self.choose("target", self.targets)
        self.choose("hessian", tuple(recipes.STEPS))
        self.choose("relax", (True, False))
        self.choose("recover", (True, False))
        for name in ("fmax", "imaginary"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < math.inf:
                raise self.error(f"{name} is {value!r}; it must be a positive number")
        for name, least in (("max_steps", 1), ("conformers", 1)):
            self.count(name, least)
        if self.charge != FROM_SMILES:
            self.count("charge", -math.inf, or_=f" or {FROM_SMILES}")
        if self.unpaired != FROM_SMILES:
            self.count("unpaired", 0, or_=f" or {FROM_SMILES}")
        if not self.relax and self.target in recipes.VIBRATIONAL:
            raise self.error(
                f"{self.target} needs a minimum to vibrate about; set relax: true or another target"
            )
        if not self.relax and self.conformers > 1:
            raise self.error("conformers need to be relaxed; set relax: true or conformers: 1")

    def observed(self, atoms: Atoms) -> dict[str, float]:
        """Other properties of atoms that were just computed, each in its usual unit."""
        return {}

    @property
    def level(self) -> Level:
        """Everything that changes the number: also where the geometry comes from, and of how many."""
        words = [self.method_name()]
        if self.charge not in (0, FROM_SMILES):
            words.append(f"charge {self.charge:+d}")
        if self.unpaired not in (0, FROM_SMILES):
            words.append(f"{self.unpaired} unpaired")
        if self.conformers > 1:
            words.append(f"lowest of {self.conformers}")
        # Finer ones change nothing that counts, coarser ones may.
        if self.relax and self.fmax > RelaxingSimulator.fmax:
            words.append(f"fmax {self.fmax:g}")
        if self.target in recipes.VIBRATIONAL and self.imaginary > RelaxingSimulator.imaginary:
            words.append(f"imaginary {self.imaginary:g}")
        return Level(", ".join(words) + ("" if self.relax else " (unrelaxed)"), self.target, self.target_unit)

    @property
    def any_start(self) -> bool:
        """Whether a label is the molecule's wherever it starts from, and not that of the geometry given."""
        return self.relax

    def label(self, molecule: Molecule) -> Label:
        """The label of ``molecule``, whose positions are the starting geometry."""
        start = time.perf_counter()
        electrons = electrons_of(molecule, self.charge, self.unpaired)
        self.check_electrons(molecule, electrons)
        free = float(self.free_atoms(molecule)) if is_energy(self.target) else None

        def attempt(strategy: recovery.Strategy) -> tuple[Atoms, dict[str, float]]:
            return self._attempt(molecule, electrons, strategy)

        def usable(strategy: recovery.Strategy) -> bool:
            # A single point belongs to its geometry: there, only the way to the density may change.
            if not self.relax:
                return self.recover and strategy == recovery.ANNEALED
            return self.recover and not strategy.start == molecule.geometry == "mmff"

        with one_thread():
            (atoms, parts), attempts = recovery.first_success(attempt, usable)
        if free is not None:
            parts["atom_energies"] = free
        return Label(
            molecule.smiles,
            self._value(molecule, parts, free),
            self.level,
            parts,
            atoms.numbers.copy(),
            atoms.positions.copy(),
            time.perf_counter() - start,
            attempts,
        )

    def _value(self, molecule: Molecule, parts: dict[str, float], free: float | None) -> float:
        """The target's value, of what was computed."""
        if free is not None:
            return parts["total_energy"] + parts.get("zpve", 0.0) - free
        if (value := parts.get(part_name(self.target))) is None:
            raise LabelError(
                "no_such_value",
                f"{molecule.smiles}: the calculator does not say its {self.target}; that of a neutral "
                "closed-shell molecule with an empty orbital is known",
            )
        return value

    def check_electrons(self, molecule: Molecule, electrons: Electrons) -> None:
        """Check charge and spin; a method that has all of them does nothing here.

        Raises:
            LabelError: "unsupported" for a charge or spin that the method does not have.
        """

    def check_closed_shell(self) -> None:
        """Check that neutral closed-shell molecules can have this charge and spin.

        Raises:
            ConfigError: none can.
        """
        charge, unpaired = (0 if one == FROM_SMILES else int(one) for one in (self.charge, self.unpaired))
        if (charge + unpaired) % 2:
            raise self.error(
                f"charge {charge:+d} with {unpaired} unpaired electrons cannot be: neutral closed-shell "
                "molecules, as those of a campaign, have an even number of electrons"
            )

    def choose(self, name: str, valid: Any) -> None:
        """Check that the setting ``name`` is one of ``valid``.

        Raises:
            ConfigError: it is none of them.
        """
        if getattr(self, name) not in valid:
            said = ", ".join(str(value) for value in valid)
            raise self.error(f"{name} is {getattr(self, name)!r}; it must be one of {said}")

    def count(self, name: str, least: float, *, or_: str = "") -> None:
        """Check that the setting ``name`` is a whole number of at least ``least``.

        Raises:
            ConfigError: it is not.
        """
        value = getattr(self, name)
        if isinstance(value, bool) or not isinstance(value, int) or value < least:
            bound = f" of at least {least}" if math.isfinite(least) else ""
            raise self.error(f"{name} is {value!r}; it must be a whole number{bound}{or_}")

    def error(self, problem: str) -> ConfigError:
        """An error about the settings, which names the simulator."""
        return ConfigError(f"simulator {self.engine or type(self).__name__}: {problem}")

    def _attempt(
        self, molecule: Molecule, electrons: Electrons, strategy: recovery.Strategy
    ) -> tuple[Atoms, dict[str, float]]:
        def check(atoms: Atoms) -> None:
            # A Lewis structure says bond orders where it has the charge and pairs all electrons.
            orders = self.bond_orders(atoms) if electrons.as_drawn and not electrons.unpaired else None
            if problem := changes(molecule.smiles, atoms.numbers, atoms.positions, orders):
                raise LabelError("identity_changed", problem)

        start = recovery.start_of(molecule, strategy)
        patience = 1 if strategy.scf == "cold" else recipes.PATIENCE
        systems = [
            recipes.System(self._atoms(one, electrons), patience=patience)
            for one in start_geometries.conformers(start, self.conformers)
        ]
        shared = {field.name for field in fields(recipes.Recipe)}
        recipe = recipes.Recipe(**{name: getattr(self, name) for name in shared})
        try:
            atoms, parts = recipes.compute(systems, recipe, strategy, check)
            # The dipole moment of an ion depends on the origin, and a radical has two highest orbitals.
            if not (electrons.charge or electrons.unpaired):
                parts |= {part_name(name): value for name, value in self.observed(atoms).items()}
            return atoms, parts
        except LabelError as error:
            if molecule.smiles in error.detail:
                raise
            raise LabelError(error.reason, f"{molecule.smiles}: {error.detail}") from error

    def _atoms(self, molecule: Molecule, electrons: Electrons) -> Atoms:
        atoms = Atoms(molecule.numbers, molecule.positions)
        if electrons.charge:
            # On one atom, as calculators take the sum, and shares of it would not add up to the last bit.
            atoms.set_initial_charges([electrons.charge] + [0] * (len(atoms) - 1))
        if electrons.unpaired:
            atoms.set_initial_magnetic_moments([electrons.unpaired / len(atoms)] * len(atoms))
        atoms.calc = self.new_calculator()
        return atoms
