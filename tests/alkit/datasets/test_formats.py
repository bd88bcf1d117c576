"""Files as people have them: kinds, dialects of XYZ, tables of others, SD and MOL2 files."""

import csv
import io
import sqlite3
from pathlib import Path

import ase.io
import numpy as np
import pytest
from ase import Atoms
from ase.units import Bohr
from hypothesis import given, settings
from hypothesis import strategies as st
from rdkit import Chem

from alkit.datasets import (
    Columns,
    perceived_smiles,
    read_labelled,
    read_smiles,
    read_structures,
    readable_smiles,
    scan_molecules,
)
from alkit.datasets.formats import kind_of
from alkit.errors import DataError
from alkit.molecules.conformers import embed

ETHANOL = embed("CCO", seed=0)
SYMBOLS = Atoms(ETHANOL.numbers).get_chemical_symbols()
ROWS = [(s, *place) for s, place in zip(SYMBOLS, ETHANOL.positions.tolist(), strict=True)]


def frame(
    rows=ROWS, comment: str = "", form: str = "{} {:.8f} {:.8f} {:.8f}", count: int | None = None
) -> str:
    body = "\n".join(form.format(*row) for row in rows)
    return f"{len(rows) if count is None else count}\n{comment}\n{body}\n"


DIALECTS = {
    "plain": frame(),
    "tabs and CRLF": frame(form="{}\t{:.8f}\t{:.8f}\t{:.8f}").replace("\n", "\r\n"),
    "small letters": frame([(s.lower(), *p) for s, *p in ROWS]),
    "atomic numbers": frame([(str(z), *row[1:]) for z, row in zip(ETHANOL.numbers, ROWS, strict=True)]),
    "labels": frame([(f"{s}{k}", *p) for k, (s, *p) in enumerate(ROWS, 1)]),
    "Fortran": frame(form="{} {:.8E} {:.8E} {:.8E}").replace("E", "D"),
    "charges in a fifth column": frame(form="{} {:.8f} {:.8f} {:.8f} -0.1"),
    "ORCA's comment": frame(comment="Coordinates from ORCA-job ethanol E -154.9"),
    "charge and multiplicity": frame(comment="0 1"),
    "xtb's comment": frame(comment=" energy: -11.391 gnorm: 0.0003 xtb: 6.6.1 (8d0f1dd)"),
    "blank lines": "\n\n" + frame() + "\n\n",
    "QM9": frame(comment="gdb 14 34.4 9.3", form="{}\t{:.8f}\t{:.8f}\t{:.8f}\t-0.1").replace("e-", "*^-")
    + "240.1\t300.2\nCCO\tCCO\nInChI=1S/C2H6O\tInChI=1S/C2H6O\n",
}


@pytest.mark.parametrize("dialect", DIALECTS)
def test_every_dialect_of_xyz_is_the_same_molecule(dialect: str, tmp_path: Path) -> None:
    (tmp_path / "a.xyz").write_text(DIALECTS[dialect])
    (molecule,) = read_structures(tmp_path / "a.xyz")
    assert molecule.numbers.tolist() == ETHANOL.numbers.tolist()
    np.testing.assert_allclose(molecule.positions, ETHANOL.positions, atol=1e-7)


def test_exponents_of_qm9(tmp_path: Path) -> None:
    (tmp_path / "a.xyz").write_text("2\ngdb 1 x\nH 0 0 1.0*^-6\nH 0 0 7.4*^-1\n1.0\nx\ty\nz\tw\n")
    (molecule,) = read_structures(tmp_path / "a.xyz")
    assert molecule.positions[:, 2].tolist() == [1e-6, 0.74]


@pytest.mark.parametrize("between", ["", "\n", "\n\n \n", "\r\n"])
def test_no_frame_is_lost(between: str, tmp_path: Path) -> None:
    (tmp_path / "a.xyz").write_text(between.join([frame(), frame(comment="second"), frame(comment="third")]))
    assert len(read_structures(tmp_path / "a.xyz")) == 3


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (frame() + "rest\n", r"a.xyz, line 12: 'rest' is no number of atoms"),
        (frame(count=12), r"line 1: 12 atoms are announced, and 9 lines follow"),
        (frame(count=8), r"line 11: .* is no number of atoms"),
        (frame([("D", *ROWS[0][1:]), *ROWS[1:]]), r"line 3: D is deuterium"),
        (frame([("T", *ROWS[0][1:]), *ROWS[1:]]), r"line 3: T is tritium"),
        (frame([("Xx", *ROWS[0][1:]), *ROWS[1:]]), r"line 3: 'Xx' is no element"),
        (frame([("CO1", *ROWS[0][1:]), *ROWS[1:]]), r"line 3: 'CO1' may be two elements"),
        (frame([("0", *ROWS[0][1:]), *ROWS[1:]]), r"line 3: there is no element 0"),
        (frame(form="{} {:.3f} {:.3f}"), r"line 3: .* is no atom"),
        (frame(form="{} {:.3f} x {:.3f}"), r"line 3: .* not three coordinates"),
        (frame(form="{} nan {:.3f} {:.3f}"), r"line 3: a coordinate is not finite"),
        ("", r"holds no structures"),
    ],
)
def test_what_is_wrong_in_an_xyz_file_has_its_line(text: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "a.xyz").write_text(text)
    with pytest.raises(DataError, match=said):
        read_structures(tmp_path / "a.xyz")


def test_a_geometry_in_bohr_is_noticed_and_converted(tmp_path: Path) -> None:
    (tmp_path / "a.xyz").write_text(frame([(s, *(np.array(p) / Bohr)) for s, *p in ROWS]))
    with pytest.warns(UserWarning, match=r"structure 1 are bonded; is it in Bohr\? --length bohr"):
        read_structures(tmp_path / "a.xyz")
    (molecule,) = read_structures(tmp_path / "a.xyz", Bohr)
    np.testing.assert_allclose(molecule.positions, ETHANOL.positions, atol=1e-6)


@given(st.lists(st.sampled_from(["C", "CCO", "C#N", "CC(=O)N", "FC(F)F"]), min_size=1, max_size=5))
@settings(max_examples=15, deadline=None)
def test_what_ase_writes_comes_back(tmp_path_factory, smiles: list[str]) -> None:
    folder = tmp_path_factory.mktemp("ase")
    molecules = [embed(one, seed=0) for one in smiles]
    atoms = [Atoms(m.numbers, m.positions) for m in molecules]
    for name, form in (("a.xyz", "xyz"), ("b.xyz", "extxyz"), ("c.extxyz", "extxyz"), ("d.traj", "traj")):
        ase.io.write(folder / name, atoms, format=form)
        read = read_structures(folder / name)
        assert [perceived_smiles(m.numbers, m.positions) for m in read] == [m.smiles for m in molecules]
        for mine, theirs in zip(read, molecules, strict=True):
            np.testing.assert_allclose(mine.positions, theirs.positions, atol=1e-7)


# --- SD, MOL and MOL2 files -------------------------------------------------------------------------------
def sd_file(smiles: list[str], *, geometry: bool = True) -> str:
    text = io.StringIO()
    with Chem.SDWriter(text) as writer:
        for k, one in enumerate(smiles):
            mol = Chem.AddHs(Chem.MolFromSmiles(one)) if geometry else Chem.MolFromSmiles(one)
            if geometry:
                conformer = Chem.Conformer(mol.GetNumAtoms())
                conformer.SetPositions(embed(one, seed=0).positions)
                mol.AddConformer(conformer)
            mol.SetProp("_Name", f"molecule {k}")
            mol.SetProp("PUBCHEM_SMILES", one)
            writer.write(mol)
    return text.getvalue()


@pytest.mark.parametrize("name", ["a.sdf", "a.sd", "a.txt", "a.mol"])
def test_sd_files_are_read_whatever_their_name(name: str, tmp_path: Path) -> None:
    smiles = ["CCO", "CC(=O)N", "C[C@H](O)F"] if name != "a.mol" else ["C[C@H](O)F"]
    (tmp_path / name).write_text(sd_file(smiles))
    entries = list(scan_molecules(tmp_path / name))
    assert [entry.smiles for entry in entries] == [Chem.CanonSmiles(one) for one in smiles]
    assert [entry.name for entry in entries] == [f"molecule {k}" for k in range(len(smiles))]
    for molecule, one in zip(read_structures(tmp_path / name), smiles, strict=True):
        np.testing.assert_allclose(molecule.positions, embed(one, seed=0).positions, atol=1e-4)


def test_a_record_that_cannot_be_read_is_one_line(tmp_path: Path) -> None:
    good = sd_file(["CCO", "CC"])
    (tmp_path / "a.sdf").write_text(good.replace(" C ", " Qq ", 1))
    smiles, problems = readable_smiles(tmp_path / "a.sdf")
    assert smiles == ["CC"]
    assert "record 1 (molecule 0)" in problems[0]


def test_a_flat_record_is_no_geometry(tmp_path: Path) -> None:
    (tmp_path / "a.sdf").write_text(sd_file(["CCO"], geometry=False))
    assert read_smiles(tmp_path / "a.sdf") == ["CCO"]
    with pytest.raises(DataError, match=r"record 1.*is flat"):
        read_structures(tmp_path / "a.sdf")


MOL2 = """@<TRIPOS>MOLECULE
water
 3 2 0 0 0
SMALL
NO_CHARGES

@<TRIPOS>ATOM
      1 O           0.0000    0.0000    0.1173 O.3     1  UNL1        0.0000
      2 H           0.0000    0.7572   -0.4692 H       1  UNL1        0.0000
      3 H           0.0000   -0.7572   -0.4692 H       1  UNL1        0.0000
@<TRIPOS>BOND
     1     1     2    1
     2     1     3    1
"""


def test_mol2_files(tmp_path: Path) -> None:
    (tmp_path / "a.mol2").write_text(MOL2 * 2)
    assert [(entry.smiles, entry.name) for entry in scan_molecules(tmp_path / "a.mol2")] == [
        ("O", "water")
    ] * 2
    assert [m.numbers.tolist() for m in read_structures(tmp_path / "a.mol2")] == [[8, 1, 1]] * 2


# --- lists and tables -------------------------------------------------------------------------------------
LISTS = {
    "one a line": "CCO\nCC=O\n",
    "names": "CCO ethanol\nCC=O acetaldehyde\n",
    "identifiers first": "702\tCCO\n177\tCC=O\n",
    "identifiers first, with a header": "CID\tSMILES\n702\tCCO\n177\tCC=O\n",
    "a header": "SMILES ID\nCCO 1\nCC=O 2\n",
    "a table by another name": "smiles,id\nCCO,1\nCC=O,2\n",
    "semicolons": "Name;SMILES;Energie (eV)\nEthanol;CCO;-33,1\nAcetaldehyd;CC=O;-29,0\n",
    "capitals": '"SMILES","y"\n"CCO",-33.1\n"CC=O",-29.0\n',
    "blanks after the commas": "ID, SMILES, y\nm1, CCO, -33.1\nm2, CC=O, -29.0\n",
    "ChEMBL": "molregno\tcanonical_smiles\n1\tCCO\n2\tCC=O\n",
    "a mark at the beginning": "\ufeffsmiles\nCCO\nCC=O\n",
    "commas without a header": "CCO,1\nCC=O,2\n",
    "quotes": '"CCO" ethanol\n"CC=O"\n',
    "comments": "# two\nCCO\n# more\nCC=O\n",
}


@pytest.mark.parametrize("form", LISTS)
@pytest.mark.parametrize("name", ["a.smi", "a.txt", "a.csv"])
def test_lists_and_tables_as_others_write_them(form: str, name: str, tmp_path: Path) -> None:
    header = LISTS[form].partition("\n")[0].lower()
    if name == "a.csv" and not ("smiles" in header and any(mark in header for mark in ",;\t")):
        pytest.skip("no table")
    (tmp_path / name).write_text(LISTS[form], encoding="utf-8")
    assert read_smiles(tmp_path / name) == ["CCO", "CC=O"]


def test_names_come_with_their_molecules(tmp_path: Path) -> None:
    for text in (
        "CCO grain alcohol\nCC=O\tx\n",
        "Name,smiles\ngrain alcohol,CCO\nx,CC=O\n",
        "x1 CCO\nx2 CC=O\n",
    ):
        (tmp_path / "a.smi").write_text(text)
        names = [entry.name for entry in scan_molecules(tmp_path / "a.smi")]
        assert names in (["grain alcohol", "x"], ["x1", "x2"])


def test_decimal_commas_beside_semicolons(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(LISTS["semicolons"])
    assert read_labelled(tmp_path / "a.csv", "Energie (eV)").values.tolist() == [-33.1, -29.0]


def test_columns_that_are_named(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("left|right|what\nCCO|CC|a\nCO|C|b\n")
    columns = Columns("right", "what", "|")
    assert [(e.smiles, e.name) for e in scan_molecules(tmp_path / "a.csv", columns)] == [
        ("CC", "a"),
        ("C", "b"),
    ]
    with pytest.raises(DataError, match=r"no column 'x' \(--smiles-column\); its header names left"):
        list(scan_molecules(tmp_path / "a.csv", Columns("x")))
    with pytest.raises(DataError, match=r"no column 'smiles'.*--smiles-column"):
        list(scan_molecules(tmp_path / "a.csv"))


def test_lines_that_cannot_be_read_are_left_out_with_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("smiles,y\nc1ccnc1,-40\nCCO,-35\nC1CC,-30\n")
    table = read_labelled(tmp_path / "a.csv", "y", strict=False)
    assert table.smiles == ["CCO"]
    assert [problem.partition(":")[0] for problem in table.problems] == [
        f"{tmp_path / 'a.csv'}, line {line}" for line in (2, 4)
    ]
    with pytest.raises(DataError, match="line 2"):
        read_labelled(tmp_path / "a.csv", "y")


@pytest.mark.parametrize("name", ["a.pdf", "a.docx", "a.parquet", "a.cif"])
def test_unknown_kinds_are_refused_by_name(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(b"\0\1\2 no molecules" if name != "a.cif" else b"data_x\n_cell 1 %\n")
    with pytest.raises(
        DataError, match=rf"{name}: alkit does not read \{Path(name).suffix} files; it reads .smi"
    ):
        read_smiles(tmp_path / name)


def test_a_database_that_is_not_ases_stays_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "x.db"
    with sqlite3.connect(path) as db:
        db.execute("CREATE TABLE notes (text)")
    before = path.read_bytes()
    with pytest.raises(DataError, match="is no database of ASE"):
        read_structures(path)
    (tmp_path / "empty.db").touch()
    with pytest.raises(DataError, match="is no database of ASE"):
        read_structures(tmp_path / "empty.db")
    assert path.read_bytes() == before
    assert (tmp_path / "empty.db").read_bytes() == b""


def test_cells_and_lines_of_any_length_are_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("smiles,y\nCCO," + "1" * 200_000 + "\n")
    with pytest.raises(DataError, match=r"a\.csv, line [12]: not a table \(field larger"):
        read_labelled(tmp_path / "a.csv", "y")
    (tmp_path / "b.smi").write_text("C" * 12_000_000)
    with pytest.raises(DataError, match=r"b\.smi, line 1 is longer than"):
        read_smiles(tmp_path / "b.smi")


def test_kinds_by_content(tmp_path: Path) -> None:
    cases = {
        "smiles": "CCO\n",
        "table": "smiles,y\nCCO,1\n",
        "sdf": sd_file(["CCO"]),
        "mol2": MOL2,
        "xyz": frame(),
    }
    for kind, text in cases.items():
        (tmp_path / "noending").write_text(text)
        assert kind_of(tmp_path / "noending") == kind


def test_a_table_written_by_csv_comes_back(tmp_path: Path) -> None:
    for delimiter in ",;|\t":
        with (tmp_path / "a.csv").open("w", newline="") as file:
            rows = csv.writer(file, delimiter=delimiter)
            rows.writerows([("id", "SMILES", "y"), ("a, b", "CCO", "-1.5"), ("c;d", "CC", "-2")])
        entries = list(scan_molecules(tmp_path / "a.csv"))
        assert [(e.name, e.smiles) for e in entries] == [("a, b", "CCO"), ("c;d", "CC")]
