"""Labels by any ASE calculator, named by its import path."""

from __future__ import annotations

import hashlib
import importlib
import inspect
import math
import shutil
import tempfile
import weakref
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from ase import Atoms
from ase.calculators.calculator import BaseCalculator
from ase.data import chemical_symbols

from alkit.errors import LabelError
from alkit.files import temporary_folder
from alkit.molecules.molecule import Molecule
from alkit.plugins import nearest
from alkit.properties import known
from alkit.simulators.orbitals import observables
from alkit.simulators.recipes import System, single_point
from alkit.simulators.references import UNPAIRED
from alkit.simulators.simulator import RelaxingSimulator

_VERBOSE = ("verbosity", "label", "directory", "txt", "nthreads")  # arguments that change no number
# Arguments that are the molecule's, and would be its free atoms' too.
_OF_THE_MOLECULE = frozenset({"charge", "multiplicity", "spin", "uhf", "nelec", "magmom"})
# The names of their classes say which calculator it is; of others the module must be named too.
_KNOWN_PACKAGES = ("ase", "tblite", "xtb")


@dataclass(kw_only=True)
class ASESimulator(RelaxingSimulator):
    """Labels by any of ASE's calculators.

    Other settings are those of `RelaxingSimulator`. ``hessian`` is "central", as not every calculator is
    precise enough for forward differences. ``charge`` and ``unpaired`` are 0 unless set, as many calculators
    heed neither. For one that does, "from_smiles" labels ions and radicals.

    ``target`` may also be "mu" (Debye) of a calculator with dipole moments, or "homo", "lumo" and "gap" of
    one that has them. Or it is any number among the calculator's ``results`` by its name there, in ``unit``.

    Args:
        calculator: "module:Class", a subclass of ASE's ``Calculator``.
        arguments: of the class. With the molecule's charge or spin among them the calculator is not asked for
            atoms, as they are not those of the atom.
        method: the name of its level of theory, by default made of the class and the arguments.
        atom_energies: total energies of free atoms in eV, by symbol. For a missing one the calculator is
            asked, with the unpaired electrons of the atom's ground state as its initial magnetic moment. So
            it must be one that heeds them.
        unit: of a ``target`` that is the calculator's own.
    """

    calculator: str
    arguments: dict[str, Any] = field(default_factory=dict)
    method: str = ""
    atom_energies: dict[str, float] = field(default_factory=dict)
    hessian: str = "central"
    charge: int | str = 0
    unpaired: int | str = 0
    unit: str = ""

    engine: ClassVar[str] = "ase"

    def __post_init__(self) -> None:
        self.check_unit()
        super().__post_init__()
        for name, kind in (("arguments", dict), ("atom_energies", dict), ("method", str)):
            if not isinstance(getattr(self, name), kind):
                said = "a text" if kind is str else "a mapping of names to values"
                raise self.error(f"{name} is {getattr(self, name)!r}; it must be {said}")
        self.calculator_class = self._load()
        self._atoms_given = {self._number(symbol): value for symbol, value in self.atom_energies.items()}
        self._atoms_known = dict(self._atoms_given)
        self._arguments_of_molecule = sorted(_OF_THE_MOLECULE & set(self.arguments))
        if self._arguments_of_molecule and not self.atom_energies:
            raise self.error(
                f"arguments has the molecule's {', '.join(self._arguments_of_molecule)}, which would be its "
                "free atoms' too; give atom_energies"
            )
        self._folder: Path | None = None
        # A wrong argument is reported now, not with every label.
        implemented = getattr(self.new_calculator(), "implemented_properties", ())
        if self.target == "mu" and "dipole" not in implemented:
            raise self.error(f"{self.calculator} has no dipole moments, which target: mu needs")

    @property
    def targets(self) -> tuple[str, ...]:
        """The usual properties, frontier orbitals and dipole; and a number of the calculator's own."""
        usual = (*super().targets, "homo", "lumo", "gap", "mu")
        own = isinstance(self.target, str) and known(self.target) is None and self.unit
        return (*usual, self.target) if own else usual

    @property
    def target_unit(self) -> str:
        """The property's usual unit, or the one that the user states for a number of the calculator's own."""
        return self.unit if known(self.target) is None else super().target_unit

    def observed(self, atoms: Atoms) -> dict[str, float]:
        """Properties of atoms that were just computed, with the number that the target names."""
        if self.target == "mu":
            atoms.get_dipole_moment()  # some calculators compute it on demand
        found, own = observables(atoms), atoms.calc.results.get(self.target)
        if known(self.target) is None and own is not None and np.size(own) == 1:
            found[self.target] = float(np.asarray(own).item())
        return found

    @property
    def version(self) -> str:
        """The package of the calculator, with its version if it states one."""
        package = self.calculator.partition(".")[0].partition(":")[0]
        return f"{package} {getattr(importlib.import_module(package), '__version__', '')}".strip()

    def method_name(self) -> str:
        """``method``, or all that changes the number: class, arguments and a digest of ``atom_energies``."""
        if self.method:
            return self.method
        name, module = self.calculator_class.__name__, self.calculator_class.__module__
        if module.partition(".")[0] not in _KNOWN_PACKAGES:
            name = f"{module}.{name}"
        said = ", ".join(f"{k}={v}" for k, v in sorted(self.arguments.items()) if k not in _VERBOSE)
        atoms = sorted((number, float(value)) for number, value in self._atoms_given.items())
        digest = hashlib.sha256(repr(atoms).encode()).hexdigest()[:8]
        return f"{name}({said})" + (f", atom energies {digest}" if atoms else "")

    def new_calculator(self) -> Any:
        """A new calculator.

        One that writes files works in a folder of its own that ends with this simulator. Some programs go on
        from files that they find, whichever molecule these are of.
        """
        try:
            calculator = self.calculator_class(**self.arguments)
        except Exception as error:  # it is the user's code; the message must say whose it was
            problem = " ".join(str(error).split())
            raise self.error(
                f"{self.calculator} cannot be made: {type(error).__name__}: {problem}"
            ) from error
        if _writes_files(calculator) and "directory" not in self.arguments:
            if self._folder is None:
                self._folder = temporary_folder("ase")
                weakref.finalize(self, shutil.rmtree, self._folder, ignore_errors=True)
            calculator.directory = tempfile.mkdtemp(dir=self._folder)
        return calculator

    def check_unit(self) -> None:
        """Check the unit that the user states.

        Raises:
            ConfigError: a unit of a property that has its own.
        """
        if not isinstance(self.unit, str):
            raise self.error(f"unit is {self.unit!r}; it must be a text")
        named = known(self.target) if isinstance(self.target, str) else None
        if named is not None and self.unit not in ("", named.unit):
            raise self.error(f"unit is {self.unit!r}, and {self.target} is in {named.unit}; leave it out")

    def free_atoms(self, molecule: Molecule) -> float:
        """Total energy of the free atoms, eV: the user's, or computed in their ground states."""
        return sum(self._free_atom(int(z), molecule.smiles) for z in molecule.numbers)

    def bond_orders(self, atoms: Atoms) -> np.ndarray | None:
        """Bond orders ``(n, n)`` that the calculator keeps as ``bond-orders``, as tblite does; else None."""
        orders = getattr(atoms.calc, "results", {}).get("bond-orders")  # tblite's
        return None if orders is None else np.asarray(orders).sum(axis=-1)

    def _free_atom(self, number: int, smiles: str) -> float:
        if number not in self._atoms_known:
            symbol = chemical_symbols[number]
            if number not in UNPAIRED or self._arguments_of_molecule:
                raise LabelError("unsupported_element", f"{smiles}: atom_energies has no {symbol}")
            atom = Atoms([number], magmoms=[UNPAIRED[number]])
            atom.calc = self.new_calculator()
            try:
                energy = single_point(System(atom))["total_energy"]
            except LabelError as error:
                raise LabelError(
                    "unsupported_element", f"{smiles}: no energy of a free {symbol}: {error.detail}"
                ) from error
            self._atoms_known[number] = energy
        return self._atoms_known[number]

    def _load(self) -> Any:
        module, colon, name = str(self.calculator).partition(":")
        if not (module and colon and name):
            raise self.error(f"calculator is {self.calculator!r}; it must be 'module:Class'")
        try:
            loaded = importlib.import_module(module)
        except ImportError as error:
            raise self.error(
                f"{module} of calculator {self.calculator!r} cannot be imported: {error}"
            ) from error
        if not hasattr(loaded, name):
            public = [key for key in vars(loaded) if not key.startswith("_")]
            raise self.error(f"{module} has no {name!r}: {nearest(name, public)}")
        found = getattr(loaded, name)
        # Before anything is called: a campaign file may come from somebody else, and name "os:system".
        if not (inspect.isclass(found) and issubclass(found, BaseCalculator)):
            raise self.error(
                f"{self.calculator} is no ASE calculator: the name of a subclass of ase's Calculator is "
                "expected, which nothing else may stand for"
            )
        return found

    def _number(self, symbol: str) -> int:
        value = self.atom_energies[symbol]
        finite = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
        if symbol not in chemical_symbols[1:] or not finite:
            raise self.error(
                f"atom_energies: {symbol!r}: {value!r}; eV by the symbol of an element is expected"
            )
        return chemical_symbols.index(symbol)


def _writes_files(calculator: Any) -> bool:
    from ase.calculators.calculator import FileIOCalculator
    from ase.calculators.genericfileio import GenericFileIOCalculator

    return isinstance(calculator, FileIOCalculator | GenericFileIOCalculator)
