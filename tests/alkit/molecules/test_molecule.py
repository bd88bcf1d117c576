"""alkit.molecules: names, geometries and bonds."""

import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rdkit import Chem

from alkit.errors import DataError, LabelError
from alkit.molecules.bonds import TOUCHING, bond_ratios, same_bond_graph, same_bonds
from alkit.molecules.conformers import embed, molecule_seed
from alkit.molecules.molecule import Molecule, canonical, canonical_of_any, with_hydrogens, without_stereo

SMILES = [
    "C",
    "CCO",
    "OC1CC1",
    "C#CC(C)=O",
    "C[C@H](O)F",
    "F/C=C/F",
    "c1cc[nH]c1",
    "[O-][n+]1ccoc1",
    "C1C2C1C2",
]
QM9 = Path(__file__).parents[4] / "shared" / "data" / "qm9_12k.npz"


@given(st.sampled_from(SMILES), st.integers(0, 2**31 - 1))
@settings(max_examples=40, deadline=None)
def test_a_molecule_has_one_name_however_it_is_written(smiles: str, seed: int) -> None:
    key = canonical(smiles)
    mol = Chem.MolFromSmiles(smiles)
    order = [int(i) for i in np.random.default_rng(seed).permutation(mol.GetNumAtoms())]
    assert (
        canonical(Chem.MolToSmiles(Chem.RenumberAtoms(mol, order), canonical=False)) == key == canonical(key)
    )


@pytest.mark.parametrize(
    ("smiles", "expected"),
    [("OCC", "CCO"), ("C1=CC=CC=C1", "c1ccccc1"), ("C[C@H](O)F", None), ("[NH4+].[Cl-]", None)],
)
def test_the_name_of_any_molecule_is_rdkits(smiles: str, expected: str | None) -> None:
    assert canonical_of_any(smiles) == Chem.CanonSmiles(smiles)
    assert expected in (None, canonical_of_any(smiles))


@pytest.mark.parametrize("smiles", ["", "C(", "c1ccc", "C[N](C)(C)(C)C", "hello"])
def test_what_is_no_smiles_has_no_name(smiles: str, capfd: pytest.CaptureFixture[str]) -> None:
    assert canonical_of_any(smiles) is None
    assert capfd.readouterr().err == ""


def test_stereo_and_tautomers_are_different_molecules() -> None:
    assert canonical("C[C@H](O)F") != canonical("C[C@@H](O)F")
    assert canonical("CC(C)=O") != canonical("CC(O)=C")  # one InChI family, two energies
    assert canonical("[CH3:7]C") == "CC"


@pytest.mark.parametrize(
    ("smiles", "why"),
    [
        ("", "empty"),
        ("  ", "empty"),
        ("C C", "blank"),
        ("C1CC", "not a SMILES"),
        ("FC(F)(F)(F)F", "not a SMILES"),
        ("C.C", "several fragments"),
        ("[NH4+]", r"net charge of \+1"),
        ("[CH3]", "unpaired"),
        ("[2H]C", "isotope"),
        ("C*", "wildcard"),
    ],
)
def test_what_is_no_molecule_of_ours_is_refused_with_the_reason(
    smiles: str, why: str, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(DataError, match=why):
        canonical(smiles)
    assert capfd.readouterr() == ("", "")  # RDKit's own grumbling stays off the terminal


@pytest.mark.parametrize("geometry", ["etkdg", "mmff"])
def test_a_geometry_depends_on_seed_and_name_only(geometry: str) -> None:
    first = embed("OCC", geometry=geometry, seed=3)
    embed("CCCC", geometry=geometry, seed=3)
    again = embed("CCO", geometry=geometry, seed=3)
    other = embed("CCO", geometry=geometry, seed=4)
    assert (first.smiles, first.geometry) == (again.smiles, again.geometry) == ("CCO", geometry)
    assert np.array_equal(first.positions, again.positions)
    assert not np.array_equal(first.positions, other.positions)
    assert first.numbers.tolist() == [a.GetAtomicNum() for a in with_hydrogens("CCO").GetAtoms()]


def test_mmff_relaxes_to_sensible_bond_lengths() -> None:
    molecule = embed("CC", geometry="mmff", seed=0)
    assert np.linalg.norm(molecule.positions[0] - molecule.positions[1]) == pytest.approx(1.51, abs=0.02)


# Relaxed GFN2-xTB atomization energies in eV: by tblite and ASE's BFGS from ASE's g2 geometries, but for BF3.
SMALL = {
    "[H][H]": -5.325830, "[C-]#[O+]": -15.264142, "Cl": -4.811125, "N#N": -15.028496, "FB(F)F": -20.791109,
}  # fmt: skip


@pytest.mark.parametrize("smiles", SMALL)
def test_what_mmff_cannot_type_stays_as_etkdg_placed_it_and_gets_its_label(smiles: str) -> None:
    from alkit.simulators.xtb import XTBSimulator

    placed = embed(smiles, seed=0)
    assert placed.geometry == ("mmff" if smiles == "N#N" else "etkdg")
    label = XTBSimulator(target="energy").label(placed)
    assert label.value == pytest.approx(SMALL[smiles], abs=5e-6)


def test_the_triplet_of_oxygen_and_the_zero_point_energy_of_hydrogen() -> None:
    from alkit.simulators.xtb import XTBSimulator

    assert XTBSimulator(target="energy", unpaired=2).label(embed("O=O")).value == pytest.approx(
        -10.0384, abs=1e-4
    )
    # Half of 0.46538 eV, by ASE's Vibrations with tblite and a step of 0.001 Å. Its sum over all six modes
    # with a step of 0.01 Å is 0.0043 eV more, as rotations count there.
    assert XTBSimulator().label(embed("[H][H]")).parts["zpve"] == pytest.approx(0.46538 / 2, abs=4e-4)


def test_failures_to_embed_are_named() -> None:
    with pytest.raises(LabelError) as failure:
        embed("C[C@]12C[C@]1(C)C2", geometry="etkdg", seed=0)  # stereo that no such ring can have
    assert failure.value.reason == "embed_failed"
    with pytest.raises(DataError, match="etkdg, mmff"):
        embed("C", geometry="xtb")


def test_molecules_pickle_and_check_their_arrays() -> None:
    molecule = embed("CO", seed=0)
    copy = pickle.loads(pickle.dumps(molecule))
    assert copy.smiles == molecule.smiles
    assert np.array_equal(copy.positions, molecule.positions)
    with pytest.raises(DataError, match=r"\(n,\) and \(n, 3\)"):
        Molecule("CO", molecule.numbers, molecule.positions[:-1], "given")
    with pytest.raises(DataError, match="finite"):
        Molecule("CO", molecule.numbers, molecule.positions * np.nan, "given")
    with pytest.raises(DataError, match="unknown geometry"):
        Molecule("CO", molecule.numbers, molecule.positions, "guess")


@given(st.integers(0, 2**63), st.text(max_size=20))
def test_seeds_fit_rdkit_and_differ(seed: int, smiles: str) -> None:
    assert 0 <= molecule_seed(seed, smiles) < 2**31
    assert molecule_seed(seed, smiles) == molecule_seed(seed, smiles)
    assert molecule_seed(seed, smiles) != molecule_seed(seed, smiles + "C")


def test_seeds_are_the_same_on_every_machine() -> None:
    assert molecule_seed(0, "CCO") == 1887124953


@given(st.sampled_from(SMILES), st.integers(0, 2**31 - 1))
@settings(max_examples=30, deadline=None)
def test_bonds_are_those_of_the_smiles_in_any_order_of_atoms(smiles: str, seed: int) -> None:
    molecule = embed(smiles, seed=seed)
    order = np.random.default_rng(seed).permutation(len(molecule.numbers))
    assert same_bond_graph(smiles, molecule.numbers, molecule.positions)
    assert same_bond_graph(smiles, molecule.numbers[order], molecule.positions[order])


def test_broken_new_and_moved_bonds_are_seen() -> None:
    molecule = embed("CCO", seed=0)
    torn = molecule.positions.copy()
    torn[-1] += 5.0  # the hydroxyl hydrogen flies off
    assert not same_bond_graph("CCO", molecule.numbers, torn)
    moved = molecule.positions.copy()
    moved[-1] = moved[0] + 0.95 * (moved[0] - moved[1]) / np.linalg.norm(moved[0] - moved[1])
    assert not same_bond_graph("CCO", molecule.numbers, moved)
    ether = embed("COC", seed=0)
    assert not same_bond_graph("CCO", ether.numbers, ether.positions)
    assert not same_bond_graph("CCN", molecule.numbers, molecule.positions)
    tautomer = embed("C=C(C)O", seed=0)
    assert not same_bond_graph("CC(C)=O", tautomer.numbers, tautomer.positions)


@pytest.mark.skipif(not QM9.is_file(), reason="the QM9 development data are not here")
def test_bonds_of_qm9_geometries_are_those_of_their_smiles() -> None:
    with np.load(QM9, allow_pickle=False) as data:
        ends = np.concatenate([[0], np.cumsum(data["n_atoms"])])
        wrong = [
            str(data["smiles"][i])
            for i in range(300)
            if not same_bond_graph(
                str(data["smiles"][i]),
                data["Z"][ends[i] : ends[i + 1]].astype(int),
                data["R"][ends[i] : ends[i + 1]],
            )
        ]
    assert wrong == []


def test_importing_the_module_is_light() -> None:
    code = "import alkit.molecules, sys; print([m for m in ('rdkit', 'torch') if m in sys.modules])"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"


def test_silicon_across_a_ring_of_four_may_be_as_close_as_a_bond() -> None:
    ring = Molecule("[SiH2]1O[SiH2]O1", *_cyclodisiloxane(), "given")
    ratios = bond_ratios(ring.numbers, ring.positions)
    assert ratios[0, 1] < TOUCHING
    for order in (np.arange(8), np.random.default_rng(0).permutation(8)):
        assert same_bond_graph(ring.smiles, ring.numbers[order], ring.positions[order])
    # Elsewhere two that close are bonded: disilane has that bond, and disilyl ether does not.
    for smiles, bonded in (("[SiH3][SiH3]", True), ("[SiH3]O[SiH3]", False)):
        molecule = embed(smiles, geometry="etkdg", seed=0)
        one, two = np.flatnonzero(molecule.numbers == 14)
        assert (bond_ratios(molecule.numbers, molecule.positions)[one, two] < TOUCHING) == bonded
        assert same_bond_graph(smiles, molecule.numbers, molecule.positions)


def _cyclodisiloxane() -> tuple[np.ndarray, np.ndarray]:
    silicon = [[x, 0, 0] for x in (-1.2, 1.2)]
    oxygen = [[0, y, 0] for y in (-1.2, 1.2)]
    hydrogen = [[2.0 * x, 0, z] for x in (-1, 1) for z in (-1.2, 1.2)]
    return np.array([14, 14, 8, 8, 1, 1, 1, 1]), np.array(silicon + oxygen + hydrogen, dtype=float)


@pytest.mark.parametrize(("smiles", "ways"), [("CCO", 0), ("C1=CC=CC=CC=C1", 1), ("CC(=O)O", 0), ("OC=O", 0)])
def test_the_other_ways_to_place_the_same_bonds(smiles: str, ways: int) -> None:
    mol = with_hydrogens(smiles)
    orders = list(same_bonds(mol))
    assert len(orders) == ways
    bonded = Chem.GetAdjacencyMatrix(mol)
    numbers = np.array([atom.GetAtomicNum() for atom in mol.GetAtoms()])
    for order in orders:
        assert np.array_equal(bonded[np.ix_(order, order)], bonded)
        assert np.array_equal(numbers[order], numbers)


# No geometry of these passes ETKDG's own checks.
CAGES = ["O=C1NC23CCC2C1C3", "C1OCC23CC4C2CC143", "C1CC23CC4C(C2)N4C13", "CC1C2COC13CCC23"]


@pytest.mark.parametrize("smiles", CAGES)
@pytest.mark.parametrize("geometry", ["etkdg", "mmff"])
def test_cages_that_etkdg_cannot_embed_get_a_geometry(smiles: str, geometry: str) -> None:
    from rdkit.Chem import rdDistGeom

    one, again = (embed(smiles, geometry=geometry, seed=3, conformers=3) for _ in range(2))
    np.testing.assert_array_equal(one.positions, again.positions)
    assert same_bond_graph(one.smiles, one.numbers, one.positions)
    # If RDKit learns to embed them, the way around it can go.
    assert rdDistGeom.EmbedMolecule(with_hydrogens(one.smiles), randomSeed=1) == -1


def test_a_cage_is_labelled() -> None:
    from alkit.simulators.xtb import XTBSimulator

    label = XTBSimulator(target="energy").label(embed(CAGES[0]))
    assert label.attempts[0].reason == ""


def test_a_hydrogen_written_for_stereo_alone_goes_with_the_stereo():
    for isomer in ("[H]/N=C(/C)N", "[H]/N=C(\\C)N", "CC(N)=N"):
        assert without_stereo(isomer) == "CC(=N)N"
    assert without_stereo("[H][H]") == "[H][H]"
