"""The ledger as tables and structures, read back by the programs that they are for."""

import csv
import subprocess
import sys
from contextlib import closing
from importlib import import_module

import ase.io
import numpy as np
import pytest
from ase.db import connect

from alkit.cli.app import main
from alkit.datasets import Dataset
from alkit.errors import Attempt, CampaignError, DataError, LabelError
from alkit.molecules.conformers import embed
from alkit.simulators.base import Label, Level
from alkit.storage.ledger import Ledger
from alkit.storage.ledger_export import export, labels, rows

LEVEL = Level("GFN2-xTB", "u0")


@pytest.fixture
def ledger(tmp_path):
    with closing(Ledger(tmp_path / "ledger.sqlite")) as ledger:
        ledger.level = LEVEL
        ledger.add_candidates(0, ["O", "C", "CC"], status="acquired")
        ledger.add_candidates(1, ["nonsense"])
        failed, found = Attempt("as given", "not_relaxed", 1.25), Attempt("other optimiser", "", 0.5)
        for i, smiles in enumerate(("O", "C"), start=1):
            molecule = embed(smiles)
            label = Label(
                smiles, -9.5 * i, LEVEL, {"zpve": 0.5}, molecule.numbers, molecule.positions, 0.5,
                (failed, found), "node7", "0.1.0",
            )  # fmt: skip
            ledger.add_label(label)
            ledger.mark(i, "labelled")
            ledger.add_outcome(i, label, LEVEL, "computed")
        died = LabelError("worker_died", "SIGSEGV", (Attempt("as given", "worker_died", 0.1),))
        ledger.mark(3, "failed", reason=died.reason, detail=died.detail)
        ledger.add_outcome(3, died, LEVEL, "computed")
        ledger.mark(4, "rejected", reason="invalid_smiles")
        yield ledger


def test_rows_have_every_candidate(ledger):
    found = list(rows(ledger))
    assert [row["status"] for row in found] == ["labelled", "labelled", "failed", "rejected"]
    assert found[0]["attempts"] == "as given: not_relaxed (1.25 s), other optimiser: label (0.50 s)"
    assert (found[0]["tries"], found[0]["seconds"], found[0]["host"]) == (2, 1.75, "node7")
    assert (found[2]["reason"], found[2]["detail"], found[2]["value"]) == ("worker_died", "SIGSEGV", None)
    assert found[3]["tries"] == 0
    assert [row["smiles"] for row in rows(ledger, status="failed")] == ["CC"]
    with pytest.raises(DataError, match="'labelled'"):
        list(rows(ledger, status="labeled"))


def test_csv_and_parquet_say_the_same(ledger, tmp_path):
    from pyarrow import parquet

    assert export(ledger, tmp_path / "l.csv", name="x") == 4
    assert export(ledger, tmp_path / "l.parquet", name="x") == 4
    with (tmp_path / "l.csv").open(newline="") as file:
        text = list(csv.DictReader(file))
    table = parquet.read_table(tmp_path / "l.parquet").to_pylist()
    assert [[str(value) if value is not None else "" for value in row.values()] for row in table] == [
        list(row.values()) for row in text
    ]


def test_ase_and_schnetpack_read_the_database(ledger, tmp_path):
    import_module("surrogate.compat")  # before schnetpack
    from schnetpack.data import ASEAtomsData

    path = tmp_path / "labels.db"
    assert export(ledger, path, name="x") == 2
    molecule = embed("C")
    with connect(path) as database:
        row = database.get(smiles="C")
        np.testing.assert_array_equal(row.numbers, molecule.numbers)
        np.testing.assert_allclose(row.positions, molecule.positions)
    listed = subprocess.run(
        [sys.executable, "-m", "ase", "db", path], capture_output=True, text=True, check=True
    )
    assert "CH4" in listed.stdout
    data = ASEAtomsData(str(path))
    assert len(data) == 2
    assert float(data[1]["u0"]) == -19.0
    assert data.units == {"u0": "eV"}


def test_the_database_is_a_data_set_of_alkit(ledger, tmp_path):
    export(ledger, tmp_path / "labels.db", name="x")
    dataset = Dataset.open(tmp_path / "labels.db")
    assert dataset.smiles == ["O", "C"]
    np.testing.assert_array_equal(dataset.atomization("u0"), [-9.5, -19.0])
    assert dataset.level == "GFN2-xTB"


def test_ase_reads_the_structures(ledger, tmp_path):
    assert export(ledger, tmp_path / "labels.extxyz", name="x") == 2
    water, methane = ase.io.read(tmp_path / "labels.extxyz", index=":")
    assert methane.info["smiles"] == "C"
    assert methane.info["atomization_u0_eV"] == -19.0
    assert water.info["level"] == str(LEVEL)
    np.testing.assert_allclose(water.positions, embed("O").positions, atol=1e-7)


def test_a_molecule_proposed_twice_is_one_label(ledger):
    ledger.add_candidates(2, ["O"], status="labelled")
    assert [label.smiles for label in labels(ledger)] == ["O", "C"]


@pytest.mark.parametrize(
    ("name", "said"),
    [("l.xlsx", "ends in '.xlsx'"), ("l", "give a file that ends in"), ("old.csv", "exists")],
)
def test_other_files_are_refused(ledger, tmp_path, name, said):
    (tmp_path / "old.csv").write_text("mine")
    with pytest.raises(DataError, match=said):
        export(ledger, tmp_path / name, name="x")
    assert (tmp_path / "old.csv").read_text() == "mine"


def test_without_labels_there_are_no_structures(tmp_path):
    with (
        closing(Ledger(tmp_path / "empty.sqlite")) as ledger,
        pytest.raises(CampaignError, match="no label yet"),
    ):
        export(ledger, tmp_path / "labels.db", name="x")
    assert not (tmp_path / "labels.db").exists()


def test_the_command(tiny, ledger, tmp_path, capsys):
    import json

    ledger.set_meta("config", json.dumps(tiny | {"name": "shown"}))
    for arguments, said in (
        ([], "other optimiser"),
        (["--status", "failed"], "worker_died"),
        (["--out", str(tmp_path / "out.csv")], "4 candidates"),
        (["--out", str(tmp_path / "out.extxyz")], "2 labels"),
    ):
        with pytest.raises(SystemExit) as ending:
            main(["campaign", "ledger", str(tmp_path), *arguments])
        assert ending.value.code == 0
        assert said in capsys.readouterr().out
