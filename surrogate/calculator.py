"""An ensemble as an ASE calculator: energy, its uncertainty, and forces."""

from typing import Any

from ase import Atoms
from ase.calculators.calculator import Calculator, all_changes

from surrogate.ensemble import Ensemble
from surrogate.errors import SurrogateError
from surrogate.forces import check_sloped
from surrogate.inputs import graph_3d


class EnsembleCalculator(Calculator):
    """Mean energy (eV), forces (eV/Å) and ``energy_std`` (eV, calibrated) of an isolated molecule.

    The energy is what the ensemble was trained on: an atomization energy, in alkit. Forces of a model that
    was trained without forces, on relaxed molecules, are worth no more than what it learned from minima.

    Raises:
        SurrogateError: a model whose energy is no function of the geometry alone (2D mode, a baseline,
            inputs, a kernel, an intensive property); on calculation: a periodic cell, or an element that the
            model was not built for.
    """

    implemented_properties = ["energy", "forces", "energy_std"]  # noqa: RUF012 (as ASE has it)

    def __init__(self, ensemble: Ensemble, **arguments: Any):
        super().__init__(**arguments)
        check_sloped(ensemble.settings)
        self.ensemble = ensemble

    def calculate(
        self,
        atoms: Atoms | None = None,
        properties: list[str] | None = None,
        system_changes: list[str] = all_changes,
    ) -> None:
        """Compute what ASE asks for: energy and ``energy_std`` (eV), forces ``(n, 3)`` (eV/Å).

        Args:
            atoms: one isolated molecule.
            properties: ASE's names; all three are computed whatever they are.
            system_changes: what ASE says has changed since the last call.

        Raises:
            SurrogateError: a periodic cell, or a molecule that the model was not built for.
        """
        super().calculate(atoms, properties or ["energy"], system_changes)
        molecule: Any = self.atoms  # ASE's own copy
        if molecule.pbc.any():
            raise SurrogateError("The cell is periodic; the model knows isolated molecules (set pbc=False).")
        graph = graph_3d(molecule.numbers, molecule.positions, cutoff=self.ensemble.settings.cutoff)
        energies, forces = self.ensemble.forces([graph], device="cpu")
        self.results = {
            "energy": float(energies[0]),
            "energy_std": float(self.ensemble.predict([graph], device="cpu").std[0]),
            "forces": forces[0],
        }
