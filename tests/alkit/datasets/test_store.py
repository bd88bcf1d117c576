"""alkit.datasets.store: what goes into the database comes out again, for alkit, ASE and schnetpack."""

import json
import pickle
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import numpy as np
import pytest
from ase.build import molecule
from ase.db import connect
from hypothesis import given, settings
from hypothesis import strategies as st

from alkit.datasets import Dataset, Record, create_database
from alkit.errors import DataError

UNITS = {"energy_U0": "eV", "dipole_moment": "Debye"}
ATOMREFS = {"energy_U0": {1: -13.0, 6: -1030.0, 8: -2040.0}, "not_stored": {1: 1.0}}
ENERGIES = (-1099.125, -2076.25, -4213.375)
SYSTEMS = {"C": "CH4", "O": "H2O", "CCO": "CH3CH2OH"}


def records(positions=True):
    for i, (smiles, name) in enumerate(SYSTEMS.items()):
        atoms = molecule(name)
        labels = {"energy_U0": ENERGIES[i], "dipole_moment": 0.5 * i}
        yield Record(smiles, atoms.numbers, atoms.positions if positions else None, labels, gdb_id=i + 1)


def write(path, rows=None, geometry="dataset", **kwargs):
    rows = records(geometry == "dataset") if rows is None else rows
    settings_ = {"units": UNITS, "level": "L", "source": "test", "atomrefs": ATOMREFS, **kwargs}
    return create_database(path, rows, geometry=geometry, **settings_)


@pytest.fixture
def path(tmp_path):
    write(tmp_path / "some data%20#1.db")
    return tmp_path / "some data%20#1.db"


def test_round_trip(path):
    data = Dataset.open(path)
    assert len(data) == 3
    assert data.smiles == list(SYSTEMS)
    assert data.gdb_ids.tolist() == [1, 2, 3]
    assert (data.level, data.geometry, data.units) == ("L", "dataset", UNITS)
    for i, name in enumerate(SYSTEMS.values()):
        assert np.array_equal(data.numbers(i), molecule(name).numbers)
        assert np.array_equal(data.positions(i), molecule(name).positions)
    assert data.target("energy_U0").tolist() == [-1099.125, -2076.25, -4213.375]
    assert data.target("mu").tolist() == [0.0, 0.5, 1.0]


def test_target_of_one_and_of_some(path):
    data = Dataset.open(path)
    assert data.target("u0", 1) == -2076.25
    assert isinstance(data.target("u0", np.int64(1)), float)
    assert data.target("u0", [2, 0]).tolist() == [-4213.375, -1099.125]
    assert data.target("u0", []).shape == (0,)
    assert np.array_equal(data.numbers(-1), data.numbers(2))
    with pytest.raises(IndexError):
        data.numbers(3)


def test_index_takes_any_smiles_of_the_molecule(path):
    data = Dataset.open(path)
    assert data.index("OCC") == data.index("CCO") == 2
    assert "C(O)C" in data
    assert "CCCC" not in data
    with pytest.raises(KeyError, match="CCCC"):
        data.index("CCCC")
    with pytest.raises(KeyError):
        data.index("no SMILES")


def test_atomization(path):
    data = Dataset.open(path)
    expected = [-1099.125 + 1030 + 4 * 13, -2076.25 + 2040 + 26, -4213.375 + 2 * 1030 + 6 * 13 + 2040]
    assert data.atomization("u0") == pytest.approx(expected, abs=1e-9)
    with pytest.raises(DataError, match="no energies of isolated atoms for 'mu'"):
        data.atomization("mu")


def test_atomization_without_an_elements_energy(tmp_path):
    write(tmp_path / "a.db", atomrefs={"energy_U0": {1: -13.0, 6: -1030.0}})
    with pytest.raises(DataError, match=r"\[8\]"):
        Dataset.open(tmp_path / "a.db").atomization()


def test_nothing_read_can_be_changed(path):
    data = Dataset.open(path)
    for array in (data.numbers(0), data.positions(0), data.target("u0"), data.gdb_ids):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 0


def test_labels_without_geometry(tmp_path):
    write(tmp_path / "a.db", geometry="none")
    data = Dataset.open(tmp_path / "a.db")
    assert data.geometry == "none"
    assert data.numbers(0).tolist() == [6, 1, 1, 1, 1]
    with pytest.raises(DataError, match="etkdg, mmff or xtb"):
        data.positions(0)
    assert np.isnan(connect(tmp_path / "a.db").get(1).positions).all()


def test_ase_reads_it(path):
    with connect(path) as database:
        row = database.get(smiles="CCO")
        assert row.toatoms().get_chemical_formula() == "C2H6O"
        assert row.gdb_id == 3
        assert row.data["energy_U0"] == pytest.approx([-4213.375])
        assert database.count() == 3


def test_schnetpack_reads_it(path, monkeypatch):
    # schnetpack 2.0.4 imports a type variable that newer torch has renamed.
    monkeypatch.setattr("torch.utils.data.dataloader.T_co", TypeVar("T_co", covariant=True), raising=False)
    import torch
    from schnetpack.data import ASEAtomsData

    data = ASEAtomsData(str(path), distance_unit="Ang", property_units={"energy_U0": "kcal/mol"})
    assert len(data) == 3
    entry = data[1]
    assert entry["energy_U0"].item() == pytest.approx(-2076.25 * 23.0605, rel=1e-5)
    assert entry["_positions"].shape == (3, 3)
    assert torch.equal(entry["_atomic_numbers"], torch.tensor([8, 1, 1]))
    assert data.atomrefs["energy_U0"][6].item() == pytest.approx(-1030.0 * 23.0605, rel=1e-5)
    assert set(data.atomrefs) == {"energy_U0"}


def test_threads_and_processes(path):
    data = pickle.loads(pickle.dumps(Dataset.open(path)))
    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(lambda _: data.index("OCC") + Dataset.open(path).index("O"), range(50))) == {3}


def test_a_missing_label_is_named(tmp_path):
    rows = [Record("C", np.array([6, 1, 1, 1, 1]), np.zeros((5, 3)), {"energy_U0": 1.0})]
    with pytest.raises(DataError, match="C has no dipole_moment"):
        write(tmp_path / "a.db", rows)


def test_unknown_property_and_geometry(path, tmp_path):
    with pytest.raises(DataError, match=r"no property 'u1'.*energy_U0, dipole_moment"):
        Dataset.open(path).target("u1")
    with pytest.raises(DataError, match="one of dataset, none"):
        write(tmp_path / "b.db", geometry="rdkit")


def test_files_that_are_no_data_sets(tmp_path):
    with pytest.raises(DataError, match="There is no file"):
        Dataset.open(tmp_path / "none.db")
    (tmp_path / "text.db").write_text("not a database, but long enough to be taken for one " * 20)
    with pytest.raises(DataError, match="not an ASE SQLite database"):
        Dataset.open(tmp_path / "text.db")
    with connect(tmp_path / "bare.db") as database:
        database.write(molecule("H2O"))
    with pytest.raises(DataError, match="units"):
        Dataset.open(tmp_path / "bare.db")
    write(tmp_path / "empty.db", [])
    with pytest.raises(DataError, match="no molecules"):
        Dataset.open(tmp_path / "empty.db")


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE systems SET key_value_pairs = '{}' WHERE id = 2",
        "UPDATE systems SET data = x'00' WHERE id = 2",
        "UPDATE systems SET data = substr(data, 1, 40) WHERE id = 2",
        "UPDATE systems SET positions = x'0011' WHERE id = 2",
        "UPDATE systems SET positions = NULL WHERE id = 2",
        "UPDATE systems SET data = '{}' WHERE id = 2",
    ],
)
def test_damaged_rows_are_one_sentence(path, damage):
    connection = sqlite3.connect(path)
    connection.execute(damage)
    connection.commit()
    connection.close()
    with pytest.raises(DataError, match="damaged"):
        Dataset.open(path)


def test_a_newer_format_is_said(path):
    connection = sqlite3.connect(path)
    (text,) = connection.execute("SELECT value FROM information WHERE name = 'metadata'").fetchone()
    metadata = json.loads(text)
    metadata["alkit"]["format"] = 99
    connection.execute("UPDATE information SET value = ? WHERE name = 'metadata'", [json.dumps(metadata)])
    connection.commit()
    connection.close()
    with pytest.raises(DataError, match="format 99"):
        Dataset.open(path)


@settings(max_examples=20, deadline=None)
@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=12))
def test_labels_come_back_bit_for_bit(tmp_path_factory, values):
    path = tmp_path_factory.mktemp("labels") / "a.db"
    numbers = np.array([6, 1, 1, 1, 1])
    rows = [Record("C" * (i + 1), numbers, np.zeros((5, 3)), {"energy_U0": v}) for i, v in enumerate(values)]
    write(path, rows, units={"energy_U0": "eV"})
    assert Dataset.open(path).target("u0").tolist() == values
