"""An ensemble as an ASE calculator: energy, its uncertainty, and forces."""

from typing import Any

import torch
from ase import Atoms
from ase.calculators.calculator import Calculator, all_changes

from surrogate.batches import collate
from surrogate.compat import schnetpack
from surrogate.determinism import deterministic
from surrogate.ensemble import Ensemble
from surrogate.errors import SurrogateError
from surrogate.inputs import graph_3d
from surrogate.schnet import by_schnetpack

_keys = schnetpack.properties


class EnsembleCalculator(Calculator):
    """Mean energy (eV), forces (eV/Å) and ``energy_std`` (eV, calibrated) of an isolated molecule.

    The energy is what the ensemble was trained on: an atomization energy, in alkit. Labels are those of
    relaxed molecules, so forces are worth no more than what the model learned from minima.

    Raises:
        SurrogateError: a model in 2D mode, or one that needs an xTB calculation at every geometry; on
            calculation: a periodic cell, or an element that the model was not built for.
    """

    implemented_properties = ["energy", "forces", "energy_std"]  # noqa: RUF012 (as ASE has it)

    def __init__(self, ensemble: Ensemble, **arguments: Any):
        super().__init__(**arguments)
        settings = ensemble.settings
        if settings.mode == "2d" or settings.baseline or settings.inputs:
            raise SurrogateError(
                "The model sees more or less than a geometry (2d mode, a baseline or xtb inputs), so it "
                "is no function of one; train in 3d mode and directly."
            )
        if settings.intensive:
            raise SurrogateError(f"The model's pooling is {settings.pooling}: its property is no energy.")
        self.ensemble = ensemble

    def calculate(
        self,
        atoms: Atoms | None = None,
        properties: list[str] | None = None,
        system_changes: list[str] = all_changes,
    ) -> None:
        super().calculate(atoms, properties or ["energy"], system_changes)
        molecule: Any = self.atoms  # ASE's own copy
        if molecule.pbc.any():
            raise SurrogateError("The cell is periodic; the model knows isolated molecules (set pbc=False).")
        graph = graph_3d(molecule.numbers, molecule.positions, cutoff=self.ensemble.settings.cutoff)
        offset = float(self.ensemble.references([graph])[0])
        batch = collate([graph])
        positions = torch.tensor(molecule.positions, dtype=torch.float32, requires_grad=True)
        batch[_keys.Rij] = positions[batch[_keys.idx_j]] - positions[batch[_keys.idx_i]]
        with deterministic():
            members = [member.cpu().eval() for member in self.ensemble.members]
            outputs = torch.cat([by_schnetpack(member, batch)[0] for member in members])
            (gradient,) = torch.autograd.grad(outputs.mean(), positions)
        samples = self.ensemble.scale * outputs.detach().double().numpy() + offset
        self.results = {
            "energy": float(samples.mean()),
            "energy_std": float(self.ensemble.predict([graph], device="cpu").std[0]),
            "forces": -self.ensemble.scale * gradient.double().numpy(),
        }
