"""alkit.molecules.identity: on real relaxations, on twisted bonds and on mirror images."""

import numpy as np
import pytest
from ase import Atoms
from hypothesis import given, settings
from hypothesis import strategies as st

from alkit.errors import LabelError
from alkit.molecules.bonds import atom_order
from alkit.molecules.conformers import embed
from alkit.molecules.identity import changes, stereoisomer
from alkit.molecules.molecule import Molecule, without_stereo
from alkit.simulators.xtb import XTBSimulator, calculator

pytest.importorskip("xtb.ase.calculator", reason="xtb has no wheel for this Python")


def orders(molecule: Molecule) -> np.ndarray:
    atoms = Atoms(molecule.numbers, molecule.positions)
    atoms.calc = calculator(method="GFN2-xTB", max_iterations=250)
    atoms.get_potential_energy()
    return atoms.calc._res.get_bond_orders()


@pytest.mark.parametrize("smiles", ["[NH3+]CC(=O)[O-]", "C[NH2+]CC(=O)[O-]", "[NH3+]CCS(=O)(=O)[O-]"])
def test_a_zwitterion_that_loses_its_proton_is_refused(smiles: str) -> None:
    simulator = XTBSimulator(target="energy", recover=False)
    with pytest.raises(LabelError) as failure:
        simulator.label(embed(smiles, seed=0))
    assert failure.value.reason == "identity_changed"


@pytest.mark.parametrize(
    "smiles",
    # Charges that stay where they are, resonance, small rings, hypervalent atoms, hydrogen bonds.
    [
        "C[N+](C)(C)CC(=O)[O-]",
        "C[N+](=O)[O-]",
        "CN=[N+]=[N-]",
        "C=[N+]=[N-]",
        "C[S+](C)[O-]",
        "CS(C)(=O)=O",
        "COP(=O)(OC)OC",
        "c1ccccc1",
        "C1=CC=CC=CC=C1",
        "C=C=C=C",
        "C1=CC1",
        "C12CC1C2",
        "NCC(=O)O",
        "CC(O)=CC=O",
        "O=C=C=C=O",
        "c1nonc1O",
        "OO",
        "NO",
    ],
)
@pytest.mark.parametrize("method", ["GFN2-xTB", "GFN1-xTB"])
def test_unusual_bonds_are_not(smiles: str, method: str) -> None:
    XTBSimulator(target="energy", method=method, recover=False).label(embed(smiles, geometry="etkdg", seed=0))


def test_the_order_of_the_atoms_does_not_matter() -> None:
    molecule = embed("C[C@H](O)C=C", seed=0)
    mixed = np.random.default_rng(0).permutation(len(molecule.numbers))
    order = atom_order(molecule.smiles, molecule.numbers[mixed], molecule.positions[mixed])
    assert order is not None
    assert np.array_equal(molecule.numbers[mixed][order], molecule.numbers)
    other = Molecule(molecule.smiles, molecule.numbers[mixed], molecule.positions[mixed], "given")
    assert changes(other.smiles, other.numbers, other.positions, orders(other)) == ""


@pytest.mark.parametrize("smiles", ["C[C@H](O)F", "N[C@@H](C)C(=O)O", "OC[C@H]1O[C@@H]1C"])
def test_the_mirror_image_is_another_molecule(smiles: str) -> None:
    molecule = embed(smiles, seed=0)
    assert changes(molecule.smiles, molecule.numbers, molecule.positions) == ""
    mirrored = molecule.positions * [1, 1, -1]
    assert "stereoisomer" in changes(molecule.smiles, molecule.numbers, mirrored)


def test_stereo_counts_only_where_it_is_stated() -> None:
    cis, trans = embed("C/C=C\\C", seed=0), embed("C/C=C/C", seed=0)
    assert "stereoisomer" in changes(cis.smiles, trans.numbers, trans.positions)
    assert changes("CC=CC", trans.numbers, trans.positions) == ""
    meso = embed("C[C@H](F)[C@@H](C)F", seed=0)  # mirrored it is itself, with its halves exchanged
    assert changes(meso.smiles, meso.numbers, meso.positions * [1, 1, -1]) == ""


@pytest.mark.parametrize(
    "smiles",
    [
        "C[C@H](F)C=CC",
        "C[C@H](O)C(=N)N",
        "N=C[C@H](C)O",
        "C[C@H](F)C(C)=NO",
        "C/C=C/C=CC",
        "CC=C/C=C\\C",
        "C/C=C/[C@H](F)C=CC",
        "CC[S@@](C)=NC",
    ],
)
@pytest.mark.parametrize("seed", range(4))
def test_stereo_may_be_stated_in_part(smiles: str, seed: int) -> None:
    molecule = embed(smiles, geometry="etkdg", seed=seed)
    assert changes(molecule.smiles, molecule.numbers, molecule.positions) == ""
    if "@" in smiles and "/" not in smiles:
        mirrored = molecule.positions * [1, 1, -1]
        assert "stereoisomer" in changes(molecule.smiles, molecule.numbers, mirrored)


def test_cis_for_trans_is_refused_where_another_double_bond_is_open() -> None:
    stated, other = "F/C=C/CC=CC", embed("F/C=C\\C/C=C/C", geometry="etkdg", seed=0)
    assert "stereoisomer" in changes(
        stated, other.numbers[(order := named(stated, other))], other.positions[order]
    )
    assert changes("F/C=C\\CC=CC", other.numbers, other.positions) == ""


def named(smiles: str, molecule: Molecule) -> np.ndarray:
    order = atom_order(smiles, molecule.numbers, molecule.positions)
    assert order is not None
    return order


def test_the_name_of_a_shape_has_no_leftovers_of_how_it_was_found() -> None:
    for smiles in ("C[C@H](F)/C=C/C", "C/C=C\\C=C", "O/N=C/[C@H](C)F"):
        molecule = embed(smiles, geometry="etkdg", seed=0)
        assert stereoisomer(smiles, molecule.numbers, molecule.positions) == molecule.smiles
        assert stereoisomer(without_stereo(smiles), molecule.numbers, molecule.positions) == molecule.smiles


@pytest.mark.parametrize(
    "smiles",
    ["C[P@](CC)c1ccccc1", "C[P@H]CC", "C[P@](F)Cl", "C[As@](F)Cl", "C[P@]1CC[C@H]1C", "C[P@](=O)(F)Cl"],
)
@pytest.mark.parametrize("seed", range(2))
def test_phosphorus_keeps_its_handedness(smiles: str, seed: int) -> None:
    molecule = embed(smiles, geometry="etkdg", seed=seed)
    assert changes(molecule.smiles, molecule.numbers, molecule.positions) == ""
    mirrored = molecule.positions * [1, 1, -1]
    assert "stereoisomer" in changes(molecule.smiles, molecule.numbers, mirrored)
    assert stereoisomer("CP(C)C", *twins()) == "CP(C)C"


def twins() -> tuple[np.ndarray, np.ndarray]:
    molecule = embed("CP(C)C", geometry="etkdg", seed=0)
    return molecule.numbers, molecule.positions


@pytest.mark.parametrize("smiles", ["C1=CC=CC=CC=C1", "CC1=CC=CC=CC=C1"])
def test_double_bonds_may_be_at_any_of_their_equivalent_places(smiles: str) -> None:
    molecule = embed(smiles, seed=0)
    bonds = orders(molecule)
    for seed in range(6):
        mixed = np.random.default_rng(seed).permutation(len(molecule.numbers))
        there = bonds[np.ix_(mixed, mixed)]
        numbers, positions = molecule.numbers[mixed], molecule.positions[mixed]
        assert changes(molecule.smiles, numbers, positions, there) == ""
        assert changes(molecule.smiles, numbers, positions, there * 0.3) != ""


def test_stated_stereo_may_be_at_any_of_its_equivalent_places() -> None:
    given = embed("F/C=C/CC/C=C\\F", geometry="etkdg", seed=0)
    for seed in range(6):
        mixed = np.random.default_rng(seed).permutation(len(given.numbers))
        numbers, positions = given.numbers[mixed], given.positions[mixed]
        assert changes("F/C=C/CCC=CF", numbers, positions) == ""
        assert changes("F/C=C\\CCC=CF", numbers, positions) == ""


@pytest.mark.parametrize("smiles", ["[SiH2]1O[SiH2]O1", "B1OBO1", "[SiH2]1[SiH2]O1", "[SiH3][SiH3]"])
def test_rings_of_four_with_silicon_or_boron_are_whole(smiles: str) -> None:
    molecule = embed(smiles, geometry="etkdg", seed=0)
    mixed = np.random.default_rng(1).permutation(len(molecule.numbers))
    other = Molecule(molecule.smiles, molecule.numbers[mixed], molecule.positions[mixed], "given")
    simulator = XTBSimulator(target="energy", recover=False)
    assert simulator.label(molecule).value == pytest.approx(simulator.label(other).value, abs=1e-3)


def test_a_bond_across_such_a_ring_is_told_by_its_order() -> None:
    ring = embed("[SiH2]1O[SiH2]O1", geometry="etkdg", seed=0)
    made_up = orders(ring)
    one, two = np.flatnonzero(ring.numbers == 14)
    made_up[one, two] = made_up[two, one] = 0.9
    assert "has formed" in changes(ring.smiles, ring.numbers, ring.positions, made_up)


@given(st.integers(0, 2**31 - 1))
@settings(max_examples=20, deadline=None)
def test_turning_a_molecule_changes_nothing(seed: int) -> None:
    molecule = embed("C[C@H](O)F", seed=0)
    rotation = np.linalg.qr(np.random.default_rng(seed).normal(size=(3, 3)))[0]
    rotation *= np.linalg.det(rotation)  # no reflection
    assert changes(molecule.smiles, molecule.numbers, molecule.positions @ rotation + seed % 7) == ""


def test_a_double_bond_twisted_into_a_diradical_is_told_by_its_order() -> None:
    ethylene = embed("C=C", seed=0)
    assert changes("C=C", ethylene.numbers, ethylene.positions, orders(ethylene)) == ""
    twisted = ethylene.positions.copy()
    axis = twisted[1] - twisted[0]
    axis /= np.linalg.norm(axis)
    for i in np.argsort(np.linalg.norm(twisted - twisted[1], axis=1))[1:3]:
        if i > 1:
            arm = twisted[i] - twisted[1]
            along = axis * (arm @ axis)
            twisted[i] = twisted[1] + along + np.cross(axis, arm)  # a quarter turn
    other = Molecule("C=C", ethylene.numbers, twisted, "given")
    assert "C0-C1 has the order" in changes("C=C", other.numbers, other.positions, orders(other))


def test_a_bond_that_is_only_stretched_is_told_by_its_order() -> None:
    ethane = embed("CC", seed=0)
    made_up = orders(ethane)
    made_up[0, 1] = made_up[1, 0] = 0.2
    assert "C0-C1 is broken" in changes("CC", ethane.numbers, ethane.positions, made_up)
    far = embed("NCCCO", seed=0)
    made_up = orders(far)
    made_up[0, 4] = made_up[4, 0] = 0.8
    assert "N0-O4 has formed" in changes(far.smiles, far.numbers, far.positions, made_up)
