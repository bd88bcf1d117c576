"""alkit.datasets.qm9: every published form gives the same database; broken ones are named."""

import bz2
import io
import json
import tarfile
from pathlib import Path

import numpy as np
import pytest
from ase.build import molecule
from ase.db import connect
from ase.units import Hartree
from hypothesis import given
from hypothesis import strategies as st

from alkit.datasets import Dataset, import_qm9
from alkit.datasets.qm9_forms import ATOMREFS, LEVEL, UNITS, parse_xyz, read_uncharacterized
from alkit.errors import DataError

SHARED = Path(__file__).parents[4] / "shared" / "data"
needs_qm9 = pytest.mark.skipif(
    not SHARED.is_dir(), reason="QM9 development data (../shared/data) is not there"
)

# Geometries from ASE; U0 as published for QM9's first molecules; the other properties are made up.
MOLECULES = {1: ("CH4", "C", -40.47893), 2: ("NH3", "N", -56.525887), 3: ("H2O", "O", -76.404702)}

METHANE = """5
gdb 1\t157.7118\t157.70997\t157.70699\t0.\t13.21\t-0.3877\t0.1171\t0.5048\t35.3641\t0.044749\
\t-40.47893\t-40.476062\t-40.475117\t-40.498597\t6.469\t
C\t-0.0126981359\t 1.0858041578\t 0.0080009958\t-0.535689
H\t 2.150416*^-3\t-0.0060313176\t 0.0019761204\t 0.133921
H\t 1.0117308433\t 1.4637511618\t 0.0002765748\t 0.133922
H\t-0.540815069\t 1.4475266138\t-0.8766437152\t 0.133923
H\t-0.5238136345\t 1.4379326443\t 0.9063972942\t 0.133923
1341.307\t1341.3284\t1341.365\t1562.6731\t1562.7453\t3038.3205\t3151.6034\t3151.6788\t3151.7078
C\tC\t
InChI=1S/CH4/h1H4\tInChI=1S/CH4/h1H4
"""


def properties(u0):
    return [1.0, 2.0, 3.0, 0.5, 13.0, -0.4, 0.1, 0.5, 35.0, 0.04, u0, u0 + 0.003, u0 + 0.004, u0 - 0.02, 6.5]


def xyz(gdb_id, smiles=None, u0=None, gdb_smiles="CC"):
    name, own_smiles, own_u0 = MOLECULES[gdb_id]
    atoms = molecule(name)
    values = "\t".join(map(str, properties(own_u0 if u0 is None else u0)))
    lines = [str(len(atoms)), f"gdb {gdb_id}\t{values}\t"]
    for symbol, (x, y, z) in zip(atoms.get_chemical_symbols(), atoms.positions, strict=True):
        lines.append(f"{symbol}\t{x:.10f}\t{y:.10f}\t{z:.10f}\t0.1".replace("e-", "*^-"))
    return (
        "\n".join([*lines, "1000.0\t2000.0", f"{gdb_smiles}\t{smiles or own_smiles}\t", "InChI=x\tInChI=x"])
        + "\n"
    )


def folder(tmp_path, **changed):
    source = tmp_path / "xyz"
    source.mkdir()
    for gdb_id in MOLECULES:
        (source / f"dsgdb9nsd_{gdb_id:06d}.xyz").write_text(xyz(gdb_id))
    for name, text in changed.items():
        (source / f"{name}.xyz").write_text(text)
    return source


def archive(tmp_path):
    source = tmp_path / "dsgdb9nsd.xyz.tar.bz2"
    with tarfile.open(source, "w:bz2") as tar:
        for gdb_id in MOLECULES:
            data = xyz(gdb_id).encode()
            info = tarfile.TarInfo(f"dsgdb9nsd_{gdb_id:06d}.xyz")
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return source


def schnetpack_database(tmp_path, unit="Ha", factor=1.0):
    source = tmp_path / "schnetpack.db"
    units = {name: unit if own == "eV" else own for name, own in UNITS.items()}
    with connect(source) as database:
        database.metadata = {"_property_unit_dict": units, "_distance_unit": "Ang", "atomrefs": {}}
        for name, _, u0 in MOLECULES.values():
            values = np.array(properties(u0))
            values[[5, 6, 7, 9, 10, 11, 12, 13]] *= factor
            database.write(
                molecule(name), data={n: np.array([v]) for n, v in zip(UNITS, values, strict=True)}
            )
    return source


def table(tmp_path):
    source = tmp_path / "qm9.csv"
    header = "mol_id,smiles,A,B,C,mu,alpha,homo,lumo,gap,r2,zpve,u0,u298,h298,g298,cv,u0_atom"
    rows = [f"gdb_{i},{s},{','.join(map(str, properties(u)))},-395.9" for i, (_, s, u) in MOLECULES.items()]
    source.write_text("\n".join([header, *rows]) + "\n")
    return source


def arrays():
    systems = [molecule(name) for name, _, _ in MOLECULES.values()]
    values = np.array([properties(u0) for _, _, u0 in MOLECULES.values()])
    short = [
        "A",
        "B",
        "C",
        "mu",
        "alpha",
        "homo",
        "lumo",
        "gap",
        "r2",
        "zpve",
        "u0",
        "u298",
        "h298",
        "g298",
        "cv",
    ]
    return {
        "gdb_id": np.array(list(MOLECULES), dtype=np.int32),
        "n_atoms": np.array([len(atoms) for atoms in systems], dtype=np.int32),
        "Z": np.concatenate([atoms.numbers for atoms in systems]).astype(np.uint8),
        "R": np.concatenate([atoms.positions for atoms in systems]),
        "smiles": np.array([smiles for _, smiles, _ in MOLECULES.values()]),
        **dict(zip(short, values.T, strict=True)),
    }


def npz(tmp_path, **changed):
    source = tmp_path / "qm9.npz"
    np.savez(source, **{**arrays(), **changed})
    return source


FORMS = {"folder": folder, "archive": archive, "schnetpack": schnetpack_database, "csv": table, "npz": npz}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_gives_the_same_labels(form, tmp_path):
    report = import_qm9(FORMS[form](tmp_path), tmp_path / "out.db")
    data = Dataset.open(tmp_path / "out.db")
    assert (report.read, report.written, report.skipped) == (3, 3, {})
    assert data.smiles == ["C", "N", "O"]
    assert data.gdb_ids.tolist() == ([0, 0, 0] if form == "schnetpack" else [1, 2, 3])
    assert data.level == LEVEL
    assert data.units == UNITS
    for i, (_, _, u0) in enumerate(MOLECULES.values()):
        expected = np.array(properties(u0)) * [Hartree if unit == "eV" else 1.0 for unit in UNITS.values()]
        assert [data.target(name, i) for name in UNITS] == pytest.approx(expected, rel=1e-12)
    # Methane: QM9's published atomisation energy at 0 K is -395.999595 kcal/mol.
    assert data.atomization("u0")[0] / 0.0433641 == pytest.approx(-395.9996, abs=2e-3)


@pytest.mark.parametrize("form", sorted(set(FORMS) - {"csv"}))
def test_every_form_with_geometry_keeps_it(form, tmp_path):
    import_qm9(FORMS[form](tmp_path), tmp_path / "out.db")
    data = Dataset.open(tmp_path / "out.db")
    assert data.geometry == "dataset"
    for i, (name, _, _) in enumerate(MOLECULES.values()):
        assert data.numbers(i).tolist() == molecule(name).numbers.tolist()
        assert data.positions(i) == pytest.approx(molecule(name).positions, abs=1e-9)


def test_the_table_has_labels_only(tmp_path):
    report = import_qm9(table(tmp_path), tmp_path / "out.db")
    data = Dataset.open(tmp_path / "out.db")
    assert report.geometry == data.geometry == "none"
    assert data.numbers(1).tolist() == [7, 1, 1, 1]
    with pytest.raises(DataError, match="etkdg"):
        data.positions(0)


def test_other_energy_units_of_schnetpack(tmp_path):
    import_qm9(schnetpack_database(tmp_path, "eV", Hartree), tmp_path / "out.db")
    assert Dataset.open(tmp_path / "out.db").target("u0", 0) == pytest.approx(-40.47893 * Hartree)


def test_a_published_record():
    raw = parse_xyz(METHANE, "x")
    assert (raw.gdb_id, raw.smiles) == (1, "C")
    assert raw.numbers.tolist() == [6, 1, 1, 1, 1]
    assert raw.positions[1, 0] == pytest.approx(2.150416e-3)
    assert raw.labels["energy_U0"] == pytest.approx(-40.47893 * Hartree)
    assert raw.labels["heat_capacity"] == 6.469
    assert list(raw.labels) == list(UNITS)


def test_one_xyz_file(tmp_path):
    (tmp_path / "a.xyz").write_text(METHANE)
    assert import_qm9(tmp_path / "a.xyz", tmp_path / "out.db").written == 1


@pytest.mark.parametrize(
    ("line", "new", "message"),
    [
        (1, "five", "line 1: 'five' is not a number of atoms"),
        (1, "50", "the file ends early; 50 atoms take 55 lines"),
        (1, "4", "line 8: expected two SMILES, found 9"),
        (2, "gdb 1 2 3", "line 2: expected 'gdb', an id and 15 properties"),
        (2, "gdb 1 " + "1 " * 14 + "x", "line 2: 'x' is not a finite number"),
        (4, "H 1.0 x 0.0 0.1", "line 4: 'x' is not a finite number"),
        (4, "Hx 1.0 0.0 0.0 0.1", "line 4: 'Hx 1.0 0.0 0.0 0.1' is not an element"),
        (4, "H 1.0 nan 0.0 0.1", "line 4: 'nan'"),
        (4, "H 1.0", "line 4: 'H 1.0' is not an element"),
        (9, "C", "line 9: expected two SMILES, found 1"),
    ],
)
def test_broken_records_name_file_and_line(tmp_path, line, new, message):
    lines = METHANE.splitlines()
    lines[line - 1] = new
    (tmp_path / "bad.xyz").write_text("\n".join(lines))
    with pytest.raises(DataError, match=f"bad.xyz, line.*{message.removeprefix('line ')}"):
        import_qm9(tmp_path / "bad.xyz", tmp_path / "out.db")
    assert [path.name for path in tmp_path.iterdir()] == ["bad.xyz"]


@given(st.integers(0, 12), st.text(max_size=20))
def test_any_damage_is_a_data_error_or_a_molecule(cut, junk):
    lines = METHANE.splitlines()
    for text in ("\n".join([*lines[:cut], junk]), "\n".join([*lines[:cut], junk, *lines[cut + 1 :]])):
        message = ""
        try:
            raw = parse_xyz(text, "x")
        except DataError as error:
            message = str(error)
        assert message.startswith("x, line ") if message else np.isfinite(raw.positions).all()


def test_skipped_are_counted_by_reason(tmp_path):
    source = folder(
        tmp_path,
        x_duplicate=xyz(1, "[CH4]"),
        x_mismatch=xyz(1, "CC"),
        x_unparsable=xyz(1, "C(("),
        x_zero=xyz(2).replace("gdb 2", "gdb 21725"),
    )
    (tmp_path / "ids.txt").write_text("21725\n3\n")
    seen = []
    report = import_qm9(
        source, tmp_path / "o.db", uncharacterized=tmp_path / "ids.txt", on_progress=lambda *x: seen.append(x)
    )
    reasons = {"uncharacterized": 2, "duplicate": 1, "composition_mismatch": 1, "unparsable": 1}
    assert report.skipped == reasons
    assert report.read == report.written + sum(reasons.values()) == 7
    assert "2 uncharacterized" in str(report)
    assert seen == [(7, 7)]
    assert Dataset.open(tmp_path / "o.db").smiles == ["C", "N"]


def test_a_list_beside_the_source_is_used_and_told(tmp_path):
    (tmp_path / "uncharacterized.txt").write_text("2\n")
    report = import_qm9(archive(tmp_path), tmp_path / "out.db")
    assert report.uncharacterized == tmp_path / "uncharacterized.txt"
    assert report.skipped == {"uncharacterized": 1}


def test_the_published_list_has_nine_lines_of_header(tmp_path):
    path = tmp_path / "uncharacterized.txt"
    header = [f"3054 molecules, line {i}" for i in range(9)]
    path.write_text("\n".join([*header, "    58  C#N  N#C", "    61  CC  C", "", "footer"]))
    assert read_uncharacterized(path) == {58, 61}
    path.write_text("nothing here")
    with pytest.raises(DataError, match="not a list of QM9 ids"):
        read_uncharacterized(path)


def test_limit(tmp_path):
    report = import_qm9(folder(tmp_path), tmp_path / "out.db", limit=2)
    assert (report.read, report.written) == (2, 2)


def test_energies_in_another_unit_are_refused(tmp_path):
    with pytest.raises(DataError, match=r"000003.xyz: U0 of O, less .* Hartree"):
        import_qm9(folder(tmp_path, dsgdb9nsd_000003=xyz(3, u0=-76.404702 * 27.2114)), tmp_path / "out.db")
    assert not (tmp_path / "out.db").exists()


def test_an_existing_database_is_left_alone(tmp_path):
    (tmp_path / "out.db").write_text("mine")
    with pytest.raises(DataError, match="already there"):
        import_qm9(folder(tmp_path), tmp_path / "out.db")
    assert (tmp_path / "out.db").read_text() == "mine"


@pytest.mark.parametrize(("name", "message"), [("out.sqlite", "end in .db"), ("none/out.db", "no folder")])
def test_unusable_destinations(tmp_path, name, message):
    with pytest.raises(DataError, match=message):
        import_qm9(folder(tmp_path), tmp_path / name)


def test_a_failed_import_leaves_nothing(tmp_path):
    def stop(*_):
        raise KeyboardInterrupt

    source = archive(tmp_path)
    with pytest.raises(KeyboardInterrupt):
        import_qm9(source, tmp_path / "out.db", on_progress=stop)
    assert list(tmp_path.iterdir()) == [source]


def test_truncated_archives(tmp_path):
    source = archive(tmp_path)
    whole = source.read_bytes()
    source.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match=r"none of QM9's|cut short"):
        import_qm9(source, tmp_path / "out.db")
    long = bz2.decompress(whole) + b"\0" * 10_000_000
    source.write_bytes(bz2.compress(long[:3000]) + b"no bzip2 at all")
    with pytest.raises(DataError, match="cut short"):
        import_qm9(source, tmp_path / "out.db")


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"Z": np.zeros(3, np.uint8)}, "array Z has 3 rows, expected 12"),
        ({"smiles": np.array(["C"])}, "array smiles has 1 rows, expected 3"),
        ({"smiles": np.array(["C", None, "O"], dtype=object)}, "not a readable .npz"),
    ],
)
def test_broken_npz(tmp_path, changed, message):
    with pytest.raises(DataError, match=message):
        import_qm9(npz(tmp_path, **changed), tmp_path / "out.db")


def test_unknown_sources(tmp_path):
    (tmp_path / "x.txt").write_text("hello")
    (tmp_path / "x.csv").write_text("smiles,y\nC,1\n")
    (tmp_path / "empty").mkdir()
    for name, message in [
        ("none", "no file or folder"),
        ("x.txt", "none of QM9's published forms"),
        ("x.csv", "lacks a column smiles or u0"),
        ("empty", "no .xyz files"),
    ]:
        with pytest.raises(DataError, match=message):
            import_qm9(tmp_path / name, tmp_path / "out.db")
    import_qm9(npz(tmp_path), tmp_path / "own.db")
    with pytest.raises(DataError, match=r"alkit's own database"):
        import_qm9(tmp_path / "own.db", tmp_path / "out.db")


def test_a_bad_number_in_the_table_names_line_and_column(tmp_path):
    source = table(tmp_path)
    source.write_text(source.read_text().replace("-56.525887", "?"))
    with pytest.raises(DataError, match=r"qm9\.csv, line 3, column u0"):
        import_qm9(source, tmp_path / "out.db")


@needs_qm9
def test_atomic_references_equal_the_published_table():
    elements = json.loads((SHARED / "qm9_atomref.json").read_text())["elements"]
    names = {
        "zpve": "zpve",
        "u0": "energy_U0",
        "u298": "energy_U",
        "h298": "enthalpy_H",
        "g298": "free_energy",
    }
    for values in elements.values():
        for short, full in names.items():
            assert ATOMREFS[full][values["Z"]] == pytest.approx(values[short] * Hartree, rel=1e-12)
        assert ATOMREFS["heat_capacity"][values["Z"]] == values["cv"]
