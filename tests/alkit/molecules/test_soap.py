"""alkit.molecules.soap: SOAP features."""

import numpy as np
import pytest
from ase import Atoms
from dscribe.descriptors import SOAP
from hypothesis import given
from hypothesis import strategies as st

from alkit.molecules.conformers import embed
from alkit.molecules.soap import Soap, _farthest

SMILES = ("CCO", "CC=O", "CCN", "C1CC1", "OCC=O", "C#N")


@pytest.fixture(scope="module")
def molecules() -> list[Atoms]:
    placed = [embed(smiles) for smiles in SMILES]
    return [Atoms(one.numbers, one.positions) for one in placed]


def features(molecules: list[Atoms], **settings: object) -> np.ndarray:
    soap = Soap.fit(molecules, np.random.default_rng(0), **settings)  # type: ignore[arg-type]
    return soap.features(molecules, lambda n: None)


def test_they_do_not_depend_on_orientation_or_order(molecules: list[Atoms]) -> None:
    turned = [atoms.copy() for atoms in molecules]
    turned[0].rotate(40, (1, 2, 3))
    turned[0] = turned[0][::-1]
    one, other = features(molecules), features(turned)
    np.testing.assert_allclose(one @ one.T, other @ other.T, rtol=1e-3)


def test_their_kernel_is_the_sum_over_pairs_of_atoms(molecules: list[Atoms]) -> None:
    """Exact for these few, all atoms of which are representative."""
    soaps = [
        SOAP(species=[1, 6, 7, 8], periodic=False, r_cut=cutoff, n_max=6, l_max=4, sigma=width)
        for cutoff, width in ((2.5, 0.25), (4.5, 0.4))
    ]

    def local(atoms: Atoms) -> np.ndarray:
        parts = [soap.create(atoms) for soap in soaps]
        return np.hstack([part / np.linalg.norm(part, axis=1, keepdims=True) for part in parts]) / 2**0.5

    def kernel(one: Atoms, other: Atoms) -> float:
        same = one.numbers[:, None] == other.numbers
        return float(((local(one) @ local(other).T) ** 3)[same].sum())

    found = features(molecules)[:, :-4]  # without the counts
    expected = [[kernel(one, other) for other in molecules] for one in molecules]
    np.testing.assert_allclose(found @ found.T, expected, rtol=1e-3)


def test_an_element_that_comes_later_is_counted(molecules: list[Atoms]) -> None:
    soap = Soap.fit(molecules, np.random.default_rng(0), elements=[9])
    late = [embed(smiles) for smiles in ("CF", "FF")]
    given = [Atoms(one.numbers, one.positions) for one in late]
    with_it, alone, without = soap.features([*given, molecules[0]], lambda n: None)
    assert not alone[:-1].any()
    assert soap.elements == (1, 6, 7, 8, 9)
    assert with_it[-1] == pytest.approx(soap.length)
    assert without[-1] == 0
    assert len(with_it) == soap.width


def test_a_molecule_has_the_same_features_whatever_stands_beside_it(molecules: list[Atoms]) -> None:
    """To the last bit: a continued campaign computes other molecules together."""
    soap = Soap.fit(molecules, np.random.default_rng(0))
    expected = soap.features(molecules * 30, lambda n: None)
    for i, one in enumerate(molecules):
        np.testing.assert_array_equal(soap.features([one], lambda n: None)[0], expected[i])
        np.testing.assert_array_equal(expected[i + 24 * len(molecules)], expected[i])
    assert soap.features([], lambda n: None).shape == (0, soap.width)


@given(st.integers(1, 120), st.integers(1, 40), st.integers(1, 6), st.integers(0, 2**16))
def test_farthest_points_are_those_of_the_definition(n: int, count: int, width: int, seed: int) -> None:
    points = np.random.default_rng(seed).normal(size=(n, width))
    points /= np.linalg.norm(points, axis=1, keepdims=True)
    chosen = [0]
    while len(chosen) < min(count, n):
        distances = ((points[:, None] - points[chosen]) ** 2).sum(axis=-1).min(axis=1)
        if distances.max() < 1e-9:  # all that is left stands on a chosen point
            break
        chosen.append(int(distances.argmax()))
    found = _farthest(points, count)
    assert len(found) == min(count, n)
    np.testing.assert_array_equal(found[: len(chosen)], points[chosen])
