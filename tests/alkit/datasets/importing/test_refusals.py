"""alkit.datasets.importing: what is wrong has one clear sentence, and leaves nothing behind."""

import csv
import os
import re
import signal
import sqlite3
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import ase.io
import numpy as np
import pytest
from ase.calculators.singlepoint import SinglePointCalculator
from datasets_importing import BOHR, HARTREE, LEVEL, table, ten, write_table

from alkit.datasets import Dataset, ImportOptions, import_files
from alkit.errors import DataError
from alkit.molecules.conformers import embed

TOTALS = ImportOptions(properties=("E=energy",), units=("hartree",), kinds=("total",), levels=(LEVEL,))


def rows_of(energies: dict[int, object] | None = None, smiles: dict[int, str] | None = None) -> list[dict]:
    return [
        {"smiles": (smiles or {}).get(k, one.smiles), "E": (energies or {}).get(k, one.energy / HARTREE)}
        for k, one in enumerate(ten())
    ]


def refused(folder: Path, files: list[Path], options: ImportOptions) -> str:
    before = sorted(folder.rglob("*"))
    with pytest.raises(DataError) as error:
        import_files(files, folder / "out.db", options)
    assert sorted(folder.rglob("*")) == before
    return str(error.value)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"properties": ()}, r"--property COLUMN=NAME.*smiles, E"),
        ({"properties": ("U=energy",)}, r"has no 'U' \(--property\); it has smiles, E"),
        ({"properties": ("=energy",)}, "COLUMN=NAME is expected"),
        ({"units": ()}, "give --unit .*look like total energies in Hartree: --unit hartree --kind total"),
        ({"kinds": ()}, "give --kind .*look like total energies in Hartree"),
        ({"levels": ()}, "give --level"),
        (
            {"units": ("eV",)},
            "look like total energies in Hartree, .* taken to be total energies in eV",
        ),
        (
            {"kinds": ("atomization",)},
            "taken to be atomization energies in Hartree.*--unit hartree --kind total",
        ),
        ({"kinds": ("sum",)}, "it is one of total, atomization, extensive, intensive, scalar"),
        ({"kinds": ("scalar",)}, "energy is an energy: total or atomization"),
        ({"units": ("Debye",)}, "a total energy is in one of eV, hartree"),
        (
            {"levels": ("PBE/def2-SVP",)},
            "needs the energies of the isolated atoms at PBE/def2-SVP.*fit",
        ),
        ({"references": "nowhere.json"}, "is neither a file nor a table"),
        ({"references": "QM9"}, "cannot have their energy.*references those of the same level"),
        ({"forces": "F"}, "There is no 'F'"),
        ({"conformers": "some"}, "it is one of all, lowest"),
        ({"limit": 0}, "at least 1"),
    ],
)
def test_what_is_not_known_is_asked_for(changed, said, tmp_path):
    files = [table(tmp_path / "a.csv")]
    assert re.search(said, refused(tmp_path, files, replace(TOTALS, **changed)))


def test_energies_of_the_wrong_sign(tmp_path):
    atoms = [-18.2, -31.4, -21.9]
    rows = [{"smiles": s, "E": -e} for s, e in zip(["C", "CC", "CO"], atoms, strict=True)]
    options = replace(TOTALS, units=("eV",), kinds=("atomization",))
    said = refused(tmp_path, [write_table(tmp_path / "a.csv", rows)], options)
    assert "atomization energies of the other sign in eV" in said
    assert "Bound molecules have negative energies" in said


BAD_ROWS = {
    "NaN": (rows_of({3: "nan"}), "line 5: its E is 'nan', not a finite number"),
    "text": (rows_of({3: "failed"}), "line 5: its E is 'failed', not a finite number"),
    "nothing": (rows_of({3: ""}), "line 5: it has no E"),
    "eV among Hartree": (rows_of({3: ten()[3].energy}), "line 5: its E is -"),
    "no SMILES": (rows_of(smiles={3: "C1CC"}), "line 5: 'C1CC' is not a SMILES"),
    "charged": (rows_of(smiles={3: "C[NH3+]"}), r"line 5: 'C\[NH3\+\]' has a net charge of \+1"),
    "radical": (rows_of(smiles={3: "[CH3]"}), r"line 5: '\[CH3\]' has unpaired electrons"),
    "isotope": (rows_of(smiles={3: "[2H]C"}), "line 5: .* names an isotope"),
    "salt": (rows_of(smiles={3: "C.O"}), "line 5: .* has several fragments"),
}


@pytest.mark.parametrize("case", BAD_ROWS)
def test_a_bad_row_is_named_and_left_out_on_request(case, tmp_path):
    rows, said = BAD_ROWS[case]
    file = write_table(tmp_path / "a.csv", rows)
    message = refused(tmp_path, [file], TOTALS)
    assert re.search(said, message)
    assert "--skip-bad" in message
    report = import_files([file], tmp_path / "out.db", replace(TOTALS, skip_bad=True))
    assert (report.written, sum(report.bad.values())) == (9, 1)
    assert Dataset.open(tmp_path / "out.db").smiles == [one.smiles for k, one in enumerate(ten()) if k != 3]
    with report.left_out.open() as listed:
        (row,) = csv.DictReader(listed)
    assert row["where"].endswith("line 5")
    assert row["reason"]


def test_a_row_of_another_unit_is_found_where_the_atoms_are_fitted(tmp_path):
    many = [{"smiles": "C" * n + "O", "E": -115.7 - 39.31 * (n - 1)} for n in range(1, 30)]
    many[20]["E"] *= 1.02  # half a percent is what bonds make of a total energy
    options = replace(TOTALS, levels=("B3LYP/def2-TZVP",), references="fit", units=("hartree",))
    said = refused(tmp_path, [write_table(tmp_path / "a.csv", many)], options)
    assert "line 22: its E, less the atoms that fit all rows, is" in said


def test_duplicates(tmp_path):
    rows = [*rows_of(), rows_of()[2]]
    report = import_files([write_table(tmp_path / "a.csv", rows)], tmp_path / "a.db", TOTALS)
    assert (report.written, report.repeated) == (10, 1)
    rows[-1] = {"smiles": "OCC", "E": rows[2]["E"] + 0.01}
    file = write_table(tmp_path / "b.csv", rows)
    said = refused(tmp_path, [file], TOTALS)
    assert "CCO has" in said
    assert "line 4" in said
    assert "line 12" in said
    report = import_files([file], tmp_path / "b.db", replace(TOTALS, skip_bad=True))
    assert report.written == 9  # of the two neither can be trusted
    report = import_files([file], tmp_path / "c.db", replace(TOTALS, conformers="lowest"))
    data = Dataset.open(tmp_path / "c.db")
    assert (report.written, report.higher) == (10, 1)
    assert data.target("energy", data.index("CCO")) == pytest.approx(ten()[2].energy)


def moved(one, by: float, seed: int):
    atoms = one.atoms
    atoms.positions += np.random.default_rng(seed).normal(0, by, atoms.positions.shape)
    atoms.calc = SinglePointCalculator(atoms, energy=one.energy + 0.1 * seed, forces=one.forces)
    return atoms


def test_conformers_are_all_kept_or_the_lowest(tmp_path):
    frames = [moved(ten()[2], 0.02, seed) for seed in (3, 1, 2)]
    ase.io.write(tmp_path / "a.extxyz", frames)
    options = ImportOptions(kinds=("total",), levels=(LEVEL,))
    import_files([tmp_path / "a.extxyz"], tmp_path / "all.db", options)
    data = Dataset.open(tmp_path / "all.db")
    assert data.smiles == ["CCO"] * 3
    assert data.several_geometries
    with pytest.raises(DataError, match=r"one row a molecule, and .* several geometries of CCO"):
        data.one_row_each("Something needs")
    report = import_files([tmp_path / "a.extxyz"], tmp_path / "one.db", replace(options, conformers="lowest"))
    assert (report.written, report.higher) == (1, 2)
    assert Dataset.open(tmp_path / "one.db").positions(0) == pytest.approx(frames[1].positions, abs=1e-6)


GEOMETRIES = {
    "in Bohr": (lambda one: one.positions / BOHR, "Bohr"),
    "one atom far away": (lambda one: one.positions + np.eye(len(one.numbers))[:, -3:] * 5, "bonds"),
    "two atoms in one place": (lambda one: np.vstack([one.positions[:1], one.positions[:-1]]), "0 Å apart"),
}


@pytest.mark.parametrize("case", GEOMETRIES)
def test_geometries_that_cannot_be(case, tmp_path):
    change, said = GEOMETRIES[case]
    atoms = ten()[2].atoms
    atoms.calc = None
    atoms.positions = change(ten()[2])
    atoms.info["energy_x"], atoms.info["smiles"] = ten()[2].energy, "CCO"
    ase.io.write(tmp_path / "a.extxyz", atoms)
    options = replace(TOTALS, properties=("energy_x=energy",), units=("eV",))
    assert said in refused(tmp_path, [tmp_path / "a.extxyz"], options)


def test_a_geometry_of_another_stereoisomer(tmp_path):
    one = embed(r"C/C=C\C", seed=0)
    atoms = ase.Atoms(one.numbers, one.positions, info={"smiles": "C/C=C/C", "e": -50.0})
    ase.io.write(tmp_path / "a.extxyz", atoms)
    options = replace(TOTALS, properties=("e=energy",), units=("eV",), kinds=("atomization",))
    assert "another stereoisomer" in refused(tmp_path, [tmp_path / "a.extxyz"], options)


def test_charged_and_periodic_structures(tmp_path):
    atoms = ten()[0].atoms
    atoms.info["charge"] = 1
    ase.io.write(tmp_path / "a.extxyz", atoms)
    options = ImportOptions(kinds=("total",), levels=(LEVEL,))
    assert "charged or magnetic" in refused(tmp_path, [tmp_path / "a.extxyz"], options)
    atoms.info.clear()
    atoms.pbc, atoms.cell = True, [9, 9, 9]
    ase.io.write(tmp_path / "b.extxyz", atoms)
    assert "periodic" in refused(tmp_path, [tmp_path / "b.extxyz"], options)


def test_databases_that_are_none(tmp_path):
    options = ImportOptions(kinds=("total",), levels=(LEVEL,))
    with sqlite3.connect(tmp_path / "foreign.db") as db:
        db.execute("CREATE TABLE t (x)")
    before = (tmp_path / "foreign.db").read_bytes()
    assert "not an ASE SQLite database" in refused(tmp_path, [tmp_path / "foreign.db"], options)
    assert (tmp_path / "foreign.db").read_bytes() == before
    import_files([table(tmp_path / "a.csv")], tmp_path / "own.db", TOTALS)
    assert "alkit's own database already" in refused(tmp_path, [tmp_path / "own.db"], options)
    with pytest.raises(DataError, match="is already there"):
        import_files([tmp_path / "a.csv"], tmp_path / "own.db", TOTALS)


@pytest.mark.parametrize("name", ["a.npz", "a.mat", "a.h5", "a.parquet", "a.db", "a.traj"])
@pytest.mark.parametrize("content", [b"", b"\x00\x01garbage" * 50, b"PK\x03\x04 cut"])
def test_damaged_files(name, content, tmp_path):
    (tmp_path / name).write_bytes(content)
    refused(tmp_path, [tmp_path / name], replace(TOTALS, units=("eV",)))
    refused(tmp_path, [tmp_path / f"missing_{name}"], TOTALS)


def test_objects_in_arrays_are_never_loaded(tmp_path):
    np.savez(tmp_path / "a.npz", smiles=["C", "CC"], E=np.array([-1.0, "x"], dtype=object))
    assert "There is no array 'E'" in refused(tmp_path, [tmp_path / "a.npz"], TOTALS)


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_nothing_is_left_of_an_interrupted_import(how, tmp_path):
    rows = [{"smiles": "C" * (n % 200 + 1), "E": -1.0} for n in range(200_000)]
    write_table(tmp_path / "a.csv", rows)
    command = [sys.executable, "-W", "ignore", "-m", "alkit", "data", "import", "a.csv", "--to", "out.db"]
    command += ["-p", "E=energy", "--unit", "hartree", "--kind", "atomization", "--level", "X", "--skip-bad"]
    process = subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, env=os.environ, text=True)
    deadline = time.monotonic() + 120
    while not list(tmp_path.glob(".out.db.*")) and time.monotonic() < deadline:
        time.sleep(0.05)
    time.sleep(0.3)
    process.send_signal(how)
    process.communicate(timeout=60)
    assert process.returncode == (130 if how != signal.SIGKILL else -signal.SIGKILL)
    assert not (tmp_path / "out.db").exists()
    if how != signal.SIGKILL:
        assert [path.name for path in tmp_path.iterdir()] == ["a.csv"]
    table(tmp_path / "b.csv")
    import_files([tmp_path / "b.csv"], tmp_path / "out.db", TOTALS)  # sweeps what was left
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.csv", "b.csv", "out.db"]
