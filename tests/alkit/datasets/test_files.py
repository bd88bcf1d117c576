"""alkit.datasets.files: users' SMILES lists and tables."""

import gzip
import os
import threading

import numpy as np
import pytest
from ase.build import bulk, molecule
from ase.db import connect
from ase.io import write
from hypothesis import given, settings
from hypothesis import strategies as st

from alkit.datasets import Columns, read_labelled, read_smiles, read_structures
from alkit.errors import DataError
from alkit.molecules.enumeration import seed_molecules

SEEDS = seed_molecules()


def test_smiles_with_comments_names_and_blank_lines(tmp_path):
    path = tmp_path / "pool.smi"
    path.write_text("# a pool\n\nOCC ethanol\nC1=CC=CC=C1\tbenzene ring\nCCO\n")
    assert read_smiles(path) == ["CCO", "c1ccccc1", "CCO"]


def test_a_header_line_is_passed_over(tmp_path):
    path = tmp_path / "pool.txt"
    path.write_text("SMILES name\nOCC ethanol\n")
    assert read_smiles(path) == ["CCO"]


def test_a_table_with_a_smiles_column_gzipped(tmp_path):
    path = tmp_path / "pool.csv.gz"
    path.write_bytes(gzip.compress('\ufeffid,smiles,note\n1,OCC,"a, b"\n2,C,x\n'.encode()))
    assert read_smiles(path) == ["CCO", "C"]


def test_tsv(tmp_path):
    path = tmp_path / "pool.tsv"
    path.write_text("id\tsmiles\n1\tOCC\n")
    assert read_smiles(path) == ["CCO"]


@settings(max_examples=20, deadline=None)
@given(st.lists(st.sampled_from(SEEDS), min_size=1, max_size=20))
def test_canonical_lists_come_back_as_they_are(tmp_path_factory, smiles):
    path = tmp_path_factory.mktemp("pool") / "pool.smi"
    path.write_text("\n".join(smiles))
    assert read_smiles(path) == smiles


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.smi", b"C\n# x\nC(C\n", "a.smi, line 3: 'C\\(C' is not a SMILES"),
        ("a.csv", b"id,smiles\n1,C\n2,\n", "a.csv, line 3: '' is not a SMILES"),
        ("a.csv", b"id,name\n1,C\n", "no column 'smiles'; its header names id, name"),
        ("a.csv", b"", "no column 'smiles'; its header names nothing"),
        ("a.csv", b"smiles\n", "holds no SMILES"),
        ("a.smi", b"# nothing\n\n", "holds no SMILES"),
        ("a.smi", b"\xff\xfe\x00", "not a UTF-8 text file"),
        ("a.smi.gz", gzip.compress(b"C\n" * 1000, mtime=0)[:-9], "damaged or incomplete"),
    ],
)
def test_bad_files_are_named(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=message):
        read_smiles(tmp_path / name)


def test_a_missing_file(tmp_path):
    with pytest.raises(DataError, match="Cannot read"):
        read_smiles(tmp_path / "none.smi")
    with pytest.raises(DataError, match="Cannot read"):
        read_smiles(tmp_path)


def test_labelled(tmp_path):
    path = tmp_path / "mine.csv"
    path.write_text("name,structure,energy\na,OCC,-1.5\nb,C,2e-3\nc,CCO,-1.5\n")
    found = read_labelled(path, "energy", Columns(smiles="structure"))
    assert found.smiles == ["CCO", "C"]
    assert found.values.tolist() == [-1.5, 0.002]
    assert found.repeated == 1


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("smiles,e\nC,1\nO,high\n", "line 3, column e: 'high' is not a finite number"),
        ("smiles,e\nC,nan\n", "line 2, column e: 'nan'"),
        ("smiles,e\nC\n", "line 2, column e: ''"),
        ("smiles,f\nC,1\n", "no column 'e'; its header names smiles, f"),
        ("smiles,e\nCCO,1\nO,2\nOCC,3\n", "line 4: CCO has the value 3.0, and 1.0 on line 2"),
        ("smiles,e\n", "holds no molecules"),
        ("smiles,e\nC1,1\n", "line 2: 'C1' is not a SMILES"),
    ],
)
def test_bad_tables_are_named(tmp_path, content, message):
    (tmp_path / "mine.csv").write_text(content)
    with pytest.raises(DataError, match=message):
        read_labelled(tmp_path / "mine.csv", "e")


def test_structures_go_by_their_smiles_or_by_place_and_formula(tmp_path):
    water, ethanol = molecule("H2O"), molecule("CH3CH2OH")
    ethanol.info["smiles"] = "CCO"
    write(tmp_path / "two.extxyz", [water, ethanol])
    found = read_structures(tmp_path / "two.extxyz")
    assert [one.smiles for one in found] == ["1 H2O", "CCO"]
    np.testing.assert_allclose(found[1].positions, ethanol.positions, atol=1e-7)
    assert found[1].numbers.tolist() == ethanol.numbers.tolist()


def test_structures_of_an_ase_database_go_by_their_smiles(tmp_path):
    with connect(tmp_path / "two.db") as database:
        database.write(molecule("CH3CH2OH"), key_value_pairs={"smiles": "CCO"})
        database.write(molecule("H2O"))
    assert [one.smiles for one in read_structures(tmp_path / "two.db")] == ["CCO", "2 H2O"]


def test_ions_and_magnets_are_refused(tmp_path):
    charged, magnetic = molecule("H2O"), molecule("O2")
    charged.info["charge"] = 1
    write(tmp_path / "charged.extxyz", charged)
    write(tmp_path / "magnetic.traj", magnetic)
    for name in ("charged.extxyz", "magnetic.traj"):
        with pytest.raises(DataError, match=rf"{name}: (structure|line) 1 is charged or magnetic"):
            read_structures(tmp_path / name)


def test_structures_that_are_none(tmp_path):
    (tmp_path / "bad.xyz").write_text("3\nwater\nO 0 0 zero\n")
    (tmp_path / "empty.xyz").write_text("")
    write(tmp_path / "crystal.extxyz", bulk("Cu"))
    for name, said in (("bad", "bad.xyz"), ("empty", "empty.xyz"), ("missing", "missing.xyz")):
        with pytest.raises(DataError, match=said):
            read_structures(tmp_path / f"{name}.xyz")
    with pytest.raises(DataError, match=r"(line 1: the structure|structure 1) is periodic"):
        read_structures(tmp_path / "crystal.extxyz")


def test_a_pipe_is_read_from_its_first_byte(tmp_path):
    path = tmp_path / "pipe"
    os.mkfifo(path)
    writer = threading.Thread(target=lambda: path.write_text("CCO\n" * 5000))
    writer.start()
    assert len(read_smiles(path)) == 5000
    writer.join()


def test_a_quote_that_is_not_closed_is_said(tmp_path):
    (tmp_path / "a.csv").write_text('smiles\n"CCO\n' + "CCO\n" * 60_000)
    with pytest.raises(DataError, match=r"a\.csv, line .* is a quote not closed"):
        read_smiles(tmp_path / "a.csv")
