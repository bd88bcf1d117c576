"""alkit.datasets.importing: the same molecules from every form of file, written by other programs."""

import csv
from collections.abc import Callable
from pathlib import Path

import ase.io
import h5py
import numpy as np
import pyarrow
import pyarrow.parquet
import pytest
from ase.db import connect
from datasets_importing import BOHR, HARTREE, KCAL, LEVEL, table, ten, write_table
from rdkit import Chem
from rdkit.Geometry import Point3D
from scipy.io import savemat

from alkit.datasets import Dataset, ImportOptions, import_files
from alkit.errors import DataError
from alkit.molecules.molecule import with_hydrogens

TOTAL = {"kinds": ("total",), "levels": (LEVEL,)}


def csv_file(folder: Path) -> tuple[list[Path], dict]:
    return [table(folder / "a.csv")], {"properties": ("E=energy",), "units": ("hartree",)}


def german(folder: Path) -> tuple[list[Path], dict]:
    rows = [
        {"Name": "x", "SMILES": o.smiles, "Energie (eV)": f"{o.energy:.9f}".replace(".", ",")} for o in ten()
    ]
    write_table(folder / "a.csv", rows, ";")
    return [folder / "a.csv"], {"properties": ("Energie (eV)=energy",), "units": ("eV",)}


def tab_separated(folder: Path) -> tuple[list[Path], dict]:
    return [table(folder / "a.tsv", 1 / KCAL, "\t")], {"properties": ("E=energy",), "units": ("kcal/mol",)}


def sdf(folder: Path) -> tuple[list[Path], dict]:
    with Chem.SDWriter(str(folder / "a.sdf")) as writer:
        for one in ten():
            mol = with_hydrogens(one.smiles)  # the atom order of `embed`
            conformer = Chem.Conformer(len(one.numbers))
            conformer.Set3D(True)
            for i, place in enumerate(one.positions):
                conformer.SetAtomPosition(i, Point3D(*place))
            mol.AddConformer(conformer)
            mol.SetProp("E_h", repr(one.energy / HARTREE))
            mol.SetProp("note", "two\nlines")
            writer.write(mol)
    return [folder / "a.sdf"], {"properties": ("E_h=energy",), "units": ("hartree",)}


def flat_sdf(folder: Path) -> tuple[list[Path], dict]:
    with Chem.SDWriter(str(folder / "a.sdf")) as writer:
        for one in ten():
            mol = Chem.MolFromSmiles(one.smiles)
            mol.SetDoubleProp("E", one.energy)
            writer.write(mol)
    return [folder / "a.sdf"], {"properties": ("E=energy",), "units": ("eV",)}


def extxyz(folder: Path) -> tuple[list[Path], dict]:
    ase.io.write(folder / "a.extxyz", [one.atoms for one in ten()])
    return [folder / "a.extxyz"], {}


def xyz_and_csv(folder: Path) -> tuple[list[Path], dict]:
    for one in ten():
        ase.io.write(folder / "all.xyz", one.atoms, format="xyz", append=True)
    rows = [{"id": k, "E": one.energy} for k, one in enumerate(ten())]
    return [folder / "all.xyz", write_table(folder / "e.csv", rows)], {
        "properties": ("E=energy",),
        "units": ("eV",),
    }


def folder_and_csv(folder: Path) -> tuple[list[Path], dict]:
    (folder / "xyz").mkdir()
    for k, one in enumerate(ten()):
        ase.io.write(folder / "xyz" / f"mol_{k}.xyz", one.atoms, format="xyz")
    rows = [{"file": f"mol_{k}.xyz", "E": ten()[k].energy} for k in (3, 1, 0, 2, 9, 8, 7, 6, 5, 4)]
    write_table(folder / "e.csv", rows)
    return [folder / "xyz", folder / "e.csv"], {"properties": ("E=energy",), "units": ("eV",)}


def plain_database(folder: Path) -> tuple[list[Path], dict]:
    with connect(folder / "in.db") as db:
        for one in ten():
            db.write(one.atoms)
    return [folder / "in.db"], {}


def schnetpack_database(folder: Path) -> tuple[list[Path], dict]:
    with connect(folder / "in.db") as db:
        db.metadata = {
            "_property_unit_dict": {"E": "kcal/mol", "forces": "kcal/mol/Bohr"},
            "_distance_unit": "Bohr",
            "atomrefs": {},
        }
        for one in ten():
            data = {"E": np.array([one.energy / KCAL]), "forces": one.forces / KCAL * BOHR}
            atoms = one.atoms
            atoms.calc, atoms.positions = None, one.positions / BOHR
            db.write(atoms, data=data)
    return [folder / "in.db"], {"properties": ("E=energy",)}


def trajectory(folder: Path) -> tuple[list[Path], dict]:
    ase.io.write(folder / "a.traj", [one.atoms for one in ten()])
    return [folder / "a.traj"], {}


def parquet(folder: Path) -> tuple[list[Path], dict]:
    columns = {
        "atomic_numbers": [one.numbers.tolist() for one in ten()],
        "positions": [one.positions.tolist() for one in ten()],
        "e": [one.energy for one in ten()],
        "f": [one.forces.tolist() for one in ten()],
    }
    pyarrow.parquet.write_table(pyarrow.table(columns), folder / "a.parquet")
    options = {"properties": ("e=energy",), "units": ("eV",), "forces": "f"}
    return [folder / "a.parquet"], options


def padded(arrays: list[np.ndarray]) -> np.ndarray:
    longest = max(len(one) for one in arrays)
    return np.stack([np.pad(one, [(0, longest - len(one)), *[(0, 0)] * (one.ndim - 1)]) for one in arrays])


def npz(folder: Path) -> tuple[list[Path], dict]:
    np.savez(
        folder / "a.npz",
        Z=padded([one.numbers for one in ten()]),
        R=padded([one.positions for one in ten()]),
        G=padded([-one.forces for one in ten()]),
        E=np.array([one.energy for one in ten()]),
    )
    return [folder / "a.npz"], {"properties": ("E=energy",), "units": ("eV",), "gradients": "G"}


def concatenated_npz(folder: Path) -> tuple[list[Path], dict]:
    np.savez(
        folder / "a.npz",
        n_atoms=[len(one.numbers) for one in ten()],
        Z=np.concatenate([one.numbers for one in ten()]),
        R=np.concatenate([one.positions for one in ten()]),
        E=np.array([one.energy for one in ten()]),
        smiles=[one.smiles for one in ten()],
    )
    return [folder / "a.npz"], {"properties": ("E=energy",), "units": ("eV",)}


def matlab(folder: Path) -> tuple[list[Path], dict]:
    arrays = {
        "Z": padded([one.numbers for one in ten()]).astype(float),
        "R": padded([one.positions / BOHR for one in ten()]),
        "T": np.array([[one.energy, 1.0] for one in ten()]),
    }
    savemat(folder / "a.mat", arrays)
    return [folder / "a.mat"], {"properties": ("T[0]=energy",), "units": ("eV",), "length": "bohr"}


def hdf5(folder: Path) -> tuple[list[Path], dict]:
    with h5py.File(folder / "a.h5", "w") as file:
        for k, one in enumerate(ten()):
            group = file.create_group(f"mol{k:02d}")
            group["atomic_numbers"], group["coordinates"] = one.numbers, one.positions[None]
            group["E"], group["F"] = [one.energy], one.forces[None]
    return [folder / "a.h5"], {"properties": ("E=energy",), "units": ("eV",), "forces": "F"}


FORMS: list[Callable[[Path], tuple[list[Path], dict]]] = [
    csv_file, german, tab_separated, sdf, flat_sdf, extxyz, xyz_and_csv, folder_and_csv, plain_database,
    schnetpack_database, trajectory, parquet, npz, concatenated_npz, matlab, hdf5,
]  # fmt: skip
WITHOUT_GEOMETRY = {csv_file, german, tab_separated, flat_sdf}
WITH_FORCES = {extxyz, plain_database, schnetpack_database, trajectory, parquet, npz, hdf5}


@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.__name__)
def test_every_form_is_the_same_ten_molecules(form, tmp_path):
    files, options = form(tmp_path)
    report = import_files(files, tmp_path / "out.db", ImportOptions(**TOTAL, **options))
    assert (report.read, report.written, report.molecules) == (10, 10, 10)
    data = Dataset.open(tmp_path / "out.db")
    known = {one.smiles: one for one in ten()}
    assert sorted(data.smiles) == sorted(known)
    assert data.geometry == ("none" if form in WITHOUT_GEOMETRY else "dataset")
    assert bool(data.forces_of) == (form in WITH_FORCES)
    for i, smiles in enumerate(data.smiles):
        assert data.target("energy", i) == pytest.approx(known[smiles].energy, abs=2e-5)
        if form not in WITHOUT_GEOMETRY:
            assert data.positions(i) == pytest.approx(known[smiles].positions, abs=2e-4)
        if form in WITH_FORCES:
            assert data.forces(i) == pytest.approx(known[smiles].forces, abs=2e-5)
    assert data.level_of("energy") == LEVEL
    assert (data.atomization("energy") > -60).all()


def test_coulomb_matrices_in_place_of_geometries(tmp_path):
    def matrix(one):
        with np.errstate(divide="ignore"):
            gaps = np.linalg.norm(one.positions[:, None] - one.positions[None], axis=-1) / BOHR
            found = np.outer(one.numbers, one.numbers) / gaps
        np.fill_diagonal(found, 0.5 * one.numbers**2.4)
        return np.pad(found, (0, 23 - len(found)))

    arrays = {
        "X": np.stack([matrix(one) for one in ten()]).astype("f4"),
        "T": np.array([[o.energy] for o in ten()]),
    }
    savemat(tmp_path / "a.mat", arrays)
    options = ImportOptions(properties=("T[0]=energy",), units=("eV",), **TOTAL)
    import_files([tmp_path / "a.mat"], tmp_path / "out.db", options)
    data = Dataset.open(tmp_path / "out.db")
    assert data.smiles == [one.smiles for one in ten()]
    for i, one in enumerate(ten()):
        wanted, found = (
            np.linalg.norm(p[:, None] - p[None], axis=-1) for p in (one.positions, data.positions(i))
        )
        assert found == pytest.approx(wanted, abs=2e-3)


def test_a_table_of_alkit_label_says_itself_what_it_is(tmp_path):
    rows = [
        {"smiles": "C", "energy_eV": "-18.2", "method": "GFN2-xTB", "reason": ""},
        {"smiles": "CCCC", "energy_eV": "", "method": "", "reason": "timeout"},
        {"smiles": "CC", "energy_eV": "-31.4", "method": "GFN2-xTB", "reason": ""},
    ]
    report = import_files([write_table(tmp_path / "labels.csv", rows)], tmp_path / "out.db")
    assert (report.written, report.unlabelled, report.bad) == (2, 1, {})
    data = Dataset.open(tmp_path / "out.db")
    assert data.properties["energy"].kind == "atomization"
    assert data.level_of("energy") == "GFN2-xTB"
    assert data.atomization("energy").tolist() == [-18.2, -31.4]


def test_several_files_of_one_kind_follow_each_other(tmp_path):
    ase.io.write(tmp_path / "a.extxyz", [one.atoms for one in ten()[:4]])
    ase.io.write(tmp_path / "b.extxyz", [one.atoms for one in ten()[4:]])
    import_files([tmp_path / "a.extxyz", tmp_path / "b.extxyz"], tmp_path / "out.db", ImportOptions(**TOTAL))
    assert Dataset.open(tmp_path / "out.db").smiles == [one.smiles for one in ten()]


def test_geometries_and_rows_that_do_not_go_together(tmp_path):
    files, options = xyz_and_csv(tmp_path)
    rows = list(csv.DictReader(files[1].open()))
    options = ImportOptions(**TOTAL, **options)
    for kept, said in ((rows[:-1], "has no row left for it"), ([*rows, rows[0]], "no geometry left for it")):
        write_table(files[1], kept)
        with pytest.raises(DataError, match=said):
            import_files(files, tmp_path / "out.db", options)
    named = [{"smiles": one.smiles, "E": one.energy} for one in (*ten()[1:], ten()[0])]
    write_table(files[1], named)
    with pytest.raises(DataError, match="its geometry is of CH4, and its SMILES CO of CH4O"):
        import_files(files, tmp_path / "out.db", options)
