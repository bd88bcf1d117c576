"""alkit.simulators.optimizer, on ASE's own potential and against ASE's BFGS."""

import numpy as np
import pytest
from ase import Atoms
from ase.calculators.emt import EMT
from ase.optimize import BFGS
from threadpoolctl import threadpool_limits

from alkit.errors import LabelError
from alkit.molecules.conformers import embed
from alkit.simulators.optimizer import max_force, positive, relax
from alkit.simulators.vibrations import hessian
from alkit.simulators.xtb import XTBSimulator

ETHANOL = embed("CCO", seed=0)


def test_relax_reaches_the_minimum() -> None:
    atoms = Atoms("N2", [[0, 0, 0], [0, 0, 1.3]], calculator=EMT())
    assert relax(atoms, fmax=1e-3, max_steps=50) > 0
    assert max_force(atoms) < 1e-3
    assert relax(atoms, fmax=1e-3, max_steps=50) == 0


def test_a_relaxation_that_does_not_end_is_named() -> None:
    atoms = Atoms("N2", [[0, 0, 0], [0, 0, 1.3]], calculator=EMT())
    with pytest.raises(LabelError, match="after 1 steps") as failure:
        relax(atoms, fmax=1e-6, max_steps=1)
    assert failure.value.reason == "not_relaxed"


@pytest.mark.parametrize("smiles", ["C#C", "O", "FC#CF", "CC#N", "CC(=O)N"])
def test_relax_agrees_with_ase(smiles: str) -> None:
    """From displaced atoms, also where a chain of atoms is straight and no angle describes its bend."""
    molecule = embed(smiles, seed=0)
    noise = np.random.default_rng(0).normal(scale=0.02, size=molecule.positions.shape)
    ours, theirs = (Atoms(molecule.numbers, molecule.positions + noise) for _ in range(2))
    for atoms in (ours, theirs):
        atoms.calc = XTBSimulator().new_calculator()
    with threadpool_limits(1):
        relax(ours, fmax=1e-3, max_steps=200)
        BFGS(theirs, logfile=None).run(fmax=1e-3, steps=200)
    assert ours.get_potential_energy() == pytest.approx(theirs.get_potential_energy(), abs=1e-5)


def test_relax_bends_a_molecule_that_starts_straight() -> None:
    atoms = Atoms("OH2", [[0, 0.05, 0], [0.97, 0, 0], [-0.97, 0, 0]])
    atoms.calc = XTBSimulator().new_calculator()
    with threadpool_limits(1):
        relax(atoms, fmax=0.01, max_steps=100)
    assert atoms.get_angle(1, 0, 2) == pytest.approx(107, abs=3)


def test_relax_goes_on_from_a_hessian_that_is_known() -> None:
    atoms = Atoms(ETHANOL.numbers, ETHANOL.positions, calculator=XTBSimulator().new_calculator())
    with threadpool_limits(1):
        known = hessian(atoms, step=5e-3, central=True)
        assert relax(atoms, fmax=0.01, max_steps=50, hessian=known) < 20
    assert max_force(atoms) < 0.01


def test_numbers_that_are_not_finite_are_named() -> None:
    class Broken(EMT):  # type: ignore[misc]
        def calculate(self, *arguments: object, **settings: object) -> None:
            super().calculate(*arguments, **settings)
            self.results["energy"] = float("nan")

    atoms = Atoms("N2", [[0, 0, 0], [0, 0, 1.3]], calculator=Broken())
    with pytest.raises(LabelError, match="not finite") as failure:
        relax(atoms, fmax=1e-3, max_steps=5)
    assert failure.value.reason == "calculation_failed"


def test_every_direction_of_a_positive_hessian_goes_up() -> None:
    values = np.linalg.eigvalsh(positive(np.diag([-5.0, 0.0, 0.1, 7.0]), softest=1.0))
    np.testing.assert_allclose(values, [1.0, 1.0, 5.0, 7.0])
