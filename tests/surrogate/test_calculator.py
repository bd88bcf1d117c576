"""surrogate.calculator: an ensemble in ASE."""

import numpy as np
import pytest
from ase.build import molecule
from ase.calculators.fd import calculate_numerical_forces
from ase.optimize import BFGS

from surrogate import (
    AtomReferences,
    Calibration,
    Ensemble,
    EnsembleCalculator,
    ModelSettings,
    SurrogateError,
    graph_3d,
)
from surrogate.schnet import build_model

SETTINGS = ModelSettings(features=16, interactions=2, gaussians=8, elements=("H", "C", "O"))


def ensemble(settings: ModelSettings = SETTINGS) -> Ensemble:
    networks = [build_model(settings, seed=k).eval() for k in range(2)]
    return Ensemble(
        settings,
        AtomReferences((1, 6, 8), (-2.5, -7.25, -5.4)),
        networks,
        Calibration(2.0, {"ensemble": 0.3}, weight=1.0),
        scale=5.0,
    )


@pytest.mark.parametrize("representation", ["schnet", "painn"])
def test_energy_and_spread_are_the_ensembles_and_forces_its_slope(representation: str) -> None:
    settings = ModelSettings(**{**SETTINGS.as_dict(), "representation": representation})
    atoms = molecule("CH3CH2OH")
    atoms.rattle(0.05, seed=1)
    atoms.calc = EnsembleCalculator(ensemble(settings))
    answer = ensemble(settings).predict([graph_3d(atoms.numbers, atoms.positions, cutoff=5.0)])
    assert atoms.get_potential_energy() == pytest.approx(answer.mean[0], abs=1e-4)
    assert atoms.calc.results["energy_std"] == pytest.approx(answer.std[0], rel=1e-3)
    forces = atoms.get_forces()
    np.testing.assert_allclose(forces.sum(axis=0), 0, atol=1e-4)
    slope = calculate_numerical_forces(atoms, eps=2e-2, iatoms=[0, 3])
    assert np.abs(forces).max() > 0.01
    np.testing.assert_allclose(forces[[0, 3]], slope, atol=0.02 * np.abs(forces).max() + 2e-3)


def test_it_relaxes_downhill() -> None:
    atoms = molecule("H2O")
    atoms.calc = EnsembleCalculator(ensemble())
    before = atoms.get_potential_energy()
    BFGS(atoms, logfile=None).run(steps=3)
    assert atoms.get_potential_energy() < before


def test_what_is_no_function_of_a_molecules_geometry_is_refused() -> None:
    flat = Ensemble(ModelSettings(mode="2d", features=8), AtomReferences((1,), (0.0,)), [])
    with pytest.raises(SurrogateError, match="2d mode sees no geometry"):
        EnsembleCalculator(flat)
    atoms = molecule("H2O", vacuum=3.0, pbc=True)
    atoms.calc = EnsembleCalculator(ensemble())
    with pytest.raises(SurrogateError, match="periodic"):
        atoms.get_potential_energy()
    ammonia = molecule("NH3")
    ammonia.calc = EnsembleCalculator(ensemble())
    with pytest.raises(SurrogateError, match="atomic numbers"):
        ammonia.get_potential_energy()
