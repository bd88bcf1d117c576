"""alkit.simulators.coordinates against finite differences and ASE's own angles."""

import numpy as np
import pytest
from ase import Atoms
from ase.units import Bohr
from hypothesis import given, settings
from hypothesis import strategies as st

from alkit.molecules.conformers import embed
from alkit.molecules.molecule import Molecule
from alkit.simulators.coordinates import Coordinates

ETHANOL = embed("CCO", seed=0)


def chosen(molecule: Molecule) -> tuple[Coordinates, np.ndarray]:
    x = molecule.positions / Bohr
    return Coordinates(molecule.numbers, x), x


@pytest.mark.parametrize("smiles", ["CCO", "O", "C", "CC#N", "C1CC1C=O", "FC#CF"])
def test_derivatives_are_those_of_the_values(smiles: str) -> None:
    coordinates, x = chosen(embed(smiles, seed=0))
    derivatives, step = coordinates.derivatives(x), 1e-5
    assert derivatives.shape == (len(coordinates.strengths), x.size)
    for i in range(x.size):
        moved = np.zeros(x.size)
        moved[i] = step
        moved = moved.reshape(x.shape)
        change = coordinates.difference(coordinates.values(x + moved), coordinates.values(x - moved))
        np.testing.assert_allclose(change / (2 * step), derivatives[:, i], atol=1e-6)


def test_values_are_distances_and_angles_as_ase_has_them() -> None:
    coordinates, x = chosen(ETHANOL)
    values = coordinates.values(x)
    atoms = Atoms(ETHANOL.numbers, ETHANOL.positions)
    rest = len(values) - 3 * len(atoms)
    lengths = [atoms.get_distance(i, j) / Bohr for i in range(9) for j in range(i)]
    angles = [
        np.radians(atoms.get_angle(i, j, k)) for i in range(9) for j in range(9) for k in range(9) if i < k
        if j not in (i, k)
    ]  # fmt: skip
    torsions = [
        np.radians(atoms.get_dihedral(i, j, k, m))
        for i in range(9) for j in range(9) for k in range(9) for m in range(9)
        if len({i, j, k, m}) == 4
    ]  # fmt: skip
    known = np.array([*lengths, *angles, *torsions, *(t - 2 * np.pi for t in torsions)])
    assert rest >= 8 + 13 + 12  # ethanol's bonds, angles and torsions
    assert all(np.abs(known - value).min() < 1e-8 for value in values[:rest])


def test_the_model_knows_hard_from_soft() -> None:
    coordinates, x = chosen(ETHANOL)
    slopes = coordinates.derivatives(x)
    curvatures = np.linalg.eigvalsh(slopes.T @ np.diag(coordinates.strengths) @ slopes)
    assert 0 < curvatures[0] < 0.01 < 0.3 < curvatures[-1] < 2.0  # hartree/bohr^2


@given(st.integers(0, 2**31 - 1))
@settings(max_examples=20, deadline=None)
def test_all_but_the_cartesians_stay_as_they_are_when_the_molecule_turns(seed: int) -> None:
    coordinates, x = chosen(ETHANOL)
    rotation = np.linalg.qr(np.random.default_rng(seed).normal(size=(3, 3)))[0]
    rotation *= np.sign(np.linalg.det(rotation))
    change = coordinates.difference(coordinates.values(x @ rotation + 1.0), coordinates.values(x))
    np.testing.assert_allclose(change[: -x.size], 0.0, atol=1e-8)


def test_a_torsion_takes_the_short_way_round() -> None:
    coordinates, x = chosen(ETHANOL)
    values = coordinates.values(x)
    turned = values + np.where(np.arange(len(values)) == len(values) - x.size - 1, 2 * np.pi - 0.1, 0.0)
    change = coordinates.difference(turned, values)
    assert change[len(values) - x.size - 1] == pytest.approx(-0.1)


def test_an_angle_that_straightens_is_seen() -> None:
    atoms = Atoms("OH2", [[0, 0, 0], [0.76, 0.59, 0], [-0.76, 0.59, 0]])
    coordinates = Coordinates(atoms.numbers, atoms.positions / Bohr)
    assert not coordinates.straightened(atoms.positions / Bohr)
    straight = np.array([[0, 0.55, 0], [0.96, 0.59, 0], [-0.96, 0.59, 0]])
    assert coordinates.straightened(straight / Bohr)
    # Chosen where it is straight, there is no angle to lose.
    assert not Coordinates(atoms.numbers, straight / Bohr).straightened(straight / Bohr)
