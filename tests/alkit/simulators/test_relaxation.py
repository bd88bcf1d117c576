"""alkit.simulators.relaxation, on ASE's own potential and on the model Hessian's symmetries."""

import numpy as np
import pytest
from ase import Atoms
from ase.calculators.emt import EMT
from hypothesis import given, settings
from hypothesis import strategies as st

from alkit.errors import LabelError
from alkit.molecules import embed
from alkit.simulators.relaxation import max_force, model_hessian, positive, relax

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


def test_the_model_is_a_sum_of_springs_between_atoms() -> None:
    hessian = model_hessian(ETHANOL.numbers, ETHANOL.positions)
    np.testing.assert_allclose(hessian, hessian.T, atol=1e-9)
    values = np.linalg.eigvalsh(hessian)
    # Six motions of the whole molecule cost nothing, every other one something. This fails at once if a
    # derivative of a stretch, bend or torsion is wrong.
    assert np.abs(values[:6]).max() < 1e-8 * values[-1]
    assert values[6] > 0.05
    assert 30 < values[-1] < 200


@given(st.integers(0, 2**31 - 1))
@settings(max_examples=20, deadline=None)
def test_the_model_turns_with_the_molecule(seed: int) -> None:
    rotation = np.linalg.qr(np.random.default_rng(seed).normal(size=(3, 3)))[0]
    turned = model_hessian(ETHANOL.numbers, ETHANOL.positions @ rotation + 1.0)
    big = np.kron(np.eye(len(ETHANOL.numbers)), rotation)
    original = model_hessian(ETHANOL.numbers, ETHANOL.positions)
    np.testing.assert_allclose(turned, big.T @ original @ big, atol=1e-8)


@pytest.mark.parametrize("smiles", ["C#C", "O", "FC#CF"])
def test_small_and_straight_molecules_have_a_model_too(smiles: str) -> None:
    molecule = embed(smiles, seed=0)
    assert np.isfinite(model_hessian(molecule.numbers, molecule.positions)).all()


def test_every_direction_of_a_positive_hessian_goes_up() -> None:
    values = np.linalg.eigvalsh(positive(np.diag([-5.0, 0.0, 0.1, 7.0]), softest=1.0))
    np.testing.assert_allclose(values, [1.0, 1.0, 5.0, 7.0])
