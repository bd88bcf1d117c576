"""alkit.molecules.enumeration: the packaged seed molecules, the rules, and the command that makes them."""

import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rdkit import Chem
from rdkit.Chem import rdDistGeom

from alkit.errors import DataError
from alkit.molecules import enumeration
from alkit.molecules.enumeration import enumerate_molecules, main, seed_molecules

SEEDS = seed_molecules()
MOLECULES = {smiles: Chem.MolFromSmiles(smiles) for smiles in SEEDS}


def test_packaged_list_has_the_promised_size_and_order():
    sizes = [MOLECULES[smiles].GetNumHeavyAtoms() for smiles in SEEDS]
    assert 3000 <= len(SEEDS) <= 8000
    assert set(sizes) == {1, 2, 3, 4, 5, 6, 7}
    assert sorted(zip(sizes, SEEDS, strict=True)) == list(zip(sizes, SEEDS, strict=True))
    assert len(set(SEEDS)) == len(SEEDS)


def test_packaged_molecules_are_canonical_neutral_and_without_stereo():
    for smiles, molecule in MOLECULES.items():
        assert molecule is not None, smiles
        assert Chem.MolToSmiles(molecule) == smiles
        assert not set("@/\\+-.") & set(smiles), smiles
        assert {atom.GetAtomicNum() for atom in molecule.GetAtoms()} <= {6, 7, 8, 9}
        assert not any(atom.GetNumRadicalElectrons() for atom in molecule.GetAtoms())


def test_packaged_molecules_obey_independently_written_rules():
    forbidden = [
        "OO",
        "[N;!R]~[N;!R]",
        "F[!#6]",
        "C1=CC1",
        "C1=CCC1",
        "*=C=*",
        "C([OH])[OH]",
        "C1CC1=*",
        "*1~*2~*~*~1~2",
    ]
    patterns = {smarts: Chem.MolFromSmarts(smarts) for smarts in forbidden}
    for smiles, molecule in MOLECULES.items():
        for smarts, pattern in patterns.items():
            assert not molecule.HasSubstructMatch(pattern), f"{smiles} holds {smarts}"


@pytest.mark.parametrize(
    "smiles",
    [
        "C",
        "N",
        "O",
        "CO",
        "C=O",
        "C#N",
        "CC(=O)O",
        "NC(N)=O",
        "c1cc[nH]c1",
        "c1ccoc1",
        "c1c[nH]cn1",
        "c1ccccc1",
        "c1ccncc1",
    ],
)
def test_well_known_molecules_are_there(smiles):
    assert Chem.CanonSmiles(smiles) in MOLECULES


@pytest.mark.parametrize(
    "smiles",
    ["F", "OO", "NN", "C=CO", "C1=CC1", "C=C=C", "OCO", "OC(=O)O", "C1C2CC12", "N=C", "FCO", "C12CC1C2"],
)
def test_unsound_molecules_are_not(smiles):
    assert Chem.CanonSmiles(smiles) not in MOLECULES


def test_saturated_hydrocarbons_are_complete():
    """Against the textbook numbers of constitutional isomers: alkanes (OEIS A000602) and cycloalkanes."""
    alkanes, cyclic = [], []
    for skeletons in enumeration._skeletons(7):
        rings = [m.GetNumBonds() - m.GetNumAtoms() + 1 for m in skeletons.values()]
        alkanes.append(rings.count(0))
        cyclic.append(rings.count(1))
    assert alkanes == [1, 1, 1, 2, 3, 5, 9]
    assert cyclic == [0, 0, 1, 2, 5, 12, 29]


def test_the_command_repeats_the_packaged_file_up_to_five_heavy_atoms(tmp_path):
    out = tmp_path / "seeds.smi"
    command = [sys.executable, "-m", "alkit.molecules.enumeration", "--max-heavy", "5", "--out", str(out)]
    run = subprocess.run(command, capture_output=True, text=True, check=False, cwd=Path(__file__).parents[3])
    assert run.returncode == 0, run.stderr
    lines = out.read_text().splitlines()
    assert lines[0].startswith("#")
    assert "python -m alkit.molecules.enumeration --max-heavy 5" in lines[1]
    made = [line for line in lines if not line.startswith("#")]
    assert made == [smiles for smiles, molecule in MOLECULES.items() if molecule.GetNumHeavyAtoms() <= 5]


@pytest.mark.long
def test_the_command_repeats_the_whole_packaged_file(tmp_path):
    packaged = Path(enumeration.__file__).parents[1] / "data" / "seed_molecules.smi"
    out = tmp_path / packaged.name
    assert main(["--max-heavy", "7", "--out", str(out)]) == 0
    assert out.read_bytes() == packaged.read_bytes()


def test_sampling_is_a_seeded_subset():
    everything = enumerate_molecules(4)
    sample = enumerate_molecules(4, per_size=10, seed=3)
    assert set(sample) < set(everything)
    assert sample == enumerate_molecules(4, per_size=10, seed=3)
    assert sample != enumerate_molecules(4, per_size=10, seed=4)
    assert enumerate_molecules(4, seed=5) == everything


@given(st.sets(st.text(min_size=1, max_size=6), max_size=30), st.integers(0, 40), st.integers(0, 5))
def test_samples_are_nested(smiles, n, seed):
    smaller, larger = enumeration._sample(smiles, n, seed), enumeration._sample(smiles, n + 1, seed)
    assert set(smaller) <= set(larger) <= smiles
    assert len(smaller) == min(n, len(smiles))


def test_most_molecules_embed():
    sample = SEEDS[:: len(SEEDS) // 200][:200]
    parameters = rdDistGeom.ETKDGv3()
    parameters.randomSeed = 1
    embedded = [rdDistGeom.EmbedMolecule(Chem.AddHs(MOLECULES[smiles]), parameters) == 0 for smiles in sample]
    assert sum(embedded) >= 0.98 * len(sample)


@pytest.mark.parametrize("max_heavy", [0, 9, -1])
def test_sizes_out_of_range_are_refused(max_heavy):
    with pytest.raises(DataError, match="1 to 8"):
        enumerate_molecules(max_heavy)


def test_a_missing_folder_is_one_sentence_and_exit_code_2(tmp_path, capsys):
    assert main(["--max-heavy", "1", "--out", str(tmp_path / "none" / "x.smi")]) == 2
    assert "Cannot write" in capsys.readouterr().err
