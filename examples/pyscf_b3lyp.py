"""A simulator of your own, and a costly second level: B3LYP/6-31G(2df,p), next to QM9's, with PySCF.

    pip install 'alkit[dft]'

    simulator:
      kind: ./examples/pyscf_b3lyp.py:B3LYP
      settings: {target: u0}

A u0 label takes a minute for water on one core and hours for nine heavy atoms: give it a long `timeout`.
The recipes, the recovery ladder and the checks are alkit's; this file brings energies and forces.
PySCF: doi:10.1063/5.0006074; B3LYP: doi:10.1063/1.464913.
"""

from dataclasses import dataclass
from functools import cache

from ase import Atoms
from ase.calculators.calculator import Calculator, SCFError, all_changes
from ase.units import Bohr, Hartree

from alkit.errors import LabelError
from alkit.simulators.recipes import System, single_point
from alkit.simulators.references import UNPAIRED
from alkit.simulators.simulator import RelaxingSimulator


class PySCF(Calculator):
    """Density functional theory as an ASE calculator: energy in eV, forces in eV/Angstrom."""

    implemented_properties = ["energy", "forces"]  # noqa: RUF012 - ASE's own convention
    default_parameters = {  # noqa: RUF012
        "xc": "b3lyp",
        "basis": "6-31g(2df,p)",
        "grid": 4,
        "max_iterations": 100,
        "density_fit": False,
    }

    def calculate(self, atoms=None, properties=("energy",), system_changes=all_changes):
        super().calculate(atoms, properties, system_changes)
        from pyscf import dft, gto

        given = self.parameters
        molecule = gto.M(
            atom=list(zip(self.atoms.get_chemical_symbols(), self.atoms.positions.tolist(), strict=True)),
            basis=given.basis,
            cart=True,
            charge=round(self.atoms.get_initial_charges().sum()),
            spin=round(self.atoms.get_initial_magnetic_moments().sum()),
            verbose=0,
        )
        field = dft.UKS(molecule) if molecule.spin else dft.RKS(molecule)
        field.xc, field.conv_tol, field.max_cycle = given.xc, 1e-10, given.max_iterations
        field.grids.level = given.grid
        if given.density_fit:
            field = field.density_fit()
        # The density of the step before is the best guess, as long as the molecule is the same.
        same = not {"numbers", "initial_charges", "initial_magmoms"} & set(system_changes)
        energy = field.kernel(dm0=self._density if same else None)
        if not field.converged:
            raise SCFError(f"SCF not converged in {given.max_iterations} iterations")
        self._density = field.make_rdm1()
        self.results = {"energy": energy * Hartree}
        if "forces" in properties:
            self.results["forces"] = -field.nuc_grad_method().kernel() * Hartree / Bohr

    _density = None


@dataclass(kw_only=True)
class B3LYP(RelaxingSimulator):
    """``basis``: by PySCF's name. ``density_fit``: Coulomb energies by density fitting, several times faster
    and equal to about 1 meV. Everything else as alkit's own simulators have it.

    Not quite QM9's level, and so not called the same: the program behind QM9 takes six d and seven f
    functions, PySCF six and ten, or five and seven. That is 9 meV of water's atomization energy.
    """

    basis: str = "6-31g(2df,p)"
    density_fit: bool = False
    hessian: str = "central"  # the grid's noise is too much for the short step of forward differences

    def method_name(self):
        fitted = ", density fitting" if self.density_fit else ""
        return f"B3LYP/{self.basis.replace('g', 'G')} (Cartesian{fitted})"

    def new_calculator(self):
        return PySCF(basis=self.basis, density_fit=self.density_fit)

    def free_atoms(self, molecule):
        if unknown := sorted(set(molecule.numbers.tolist()) - set(UNPAIRED)):
            raise LabelError("unsupported_element", f"{molecule.smiles}: no free atom for Z = {unknown}")
        try:
            return sum(_free_atom(z, self.basis, self.density_fit) for z in molecule.numbers.tolist())
        except LabelError as error:
            said = f"{molecule.smiles}: no energy of a free atom: {error.detail}"
            raise LabelError("unsupported_element", said) from error


@cache
def _free_atom(number, basis, density_fit):
    """Total energy in eV of one free atom in its ground-state multiplicity, computed once per process."""
    atom = Atoms([number], magmoms=[UNPAIRED[number]], calculator=PySCF(basis=basis, density_fit=density_fit))
    return single_point(System(atom))["total_energy"]
