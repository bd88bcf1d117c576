"""Train, score, predict and label properties that are no energies, as users do."""

import csv
from pathlib import Path

import numpy as np
import pytest
from ase.units import Hartree
from command_line import refused

from alkit.molecules.conformers import embed
from alkit.molecules.enumeration import seed_molecules
from alkit.simulators.base import SimulatorSpec, create_simulator

QUICK = ("--features", 16, "--epochs", 12, "--members", 2, "--mode", "2d", "--chemistry")


def words(text: str) -> str:
    return " ".join(text.split())


@pytest.fixture(scope="session")
def gaps(make_once) -> dict[str, dict[str, float]]:
    """GFN2-xTB gap (eV), dipole moment (Debye), HOMO and LUMO of 40 molecules in their ETKDG geometry."""

    def make(folder: Path) -> None:
        simulator = create_simulator(SimulatorSpec("tblite", {"target": "gap", "relax": False}))
        with (folder / "gaps.csv").open("w", newline="") as file:
            rows = csv.writer(file)
            rows.writerow(["smiles", "gap", "homo", "lumo", "mu_Debye"])
            for smiles in seed_molecules()[20:60]:
                parts = simulator.label(embed(smiles, seed=0)).parts
                rows.writerow([smiles, *(parts[name] for name in ("gap", "homo", "lumo", "mu_Debye"))])

    with (make_once("gaps", make) / "gaps.csv").open(newline="") as file:
        return {row.pop("smiles"): {k: float(v) for k, v in row.items()} for row in csv.DictReader(file)}


def write(path: Path, gaps: dict[str, dict[str, float]], **columns) -> None:
    """A table with these columns, each a function of the molecule's values."""
    with path.open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["smiles", *columns])
        for smiles, values in gaps.items():
            rows.writerow([smiles, *(column(values) for column in columns.values())])


def test_a_gap_from_a_table_in_any_unit(alkit, tmp_path, gaps) -> None:
    write(tmp_path / "a.csv", gaps, gap=lambda one: one["gap"] / Hartree, gap_eV=lambda one: one["gap"])
    refused(alkit("train", "a.csv", "--target", "gap", "--out", "m"), "the unit of gap is not known; give it")
    refused(
        alkit("train", "a.csv", "--target", "gap", "--unit", "Debye", "--out", "m"), "is no unit of gap", "eV"
    )
    refused(
        alkit("train", "a.csv", "--target", "gap", "--unit", "eV", "--out", "m"), "look like gap in hartree"
    )
    refused(
        alkit("train", "a.csv", "--target", "gap_eV", "--unit", "hartree", "--out", "m"), "in eV by its name"
    )
    refused(
        alkit("train", "a.csv", "--target", "gap_eV", "--kind", "total", "--out", "m"), "gap, the LUMO less"
    )
    refused(
        alkit("train", "a.csv", "--target", "gap_eV", "--learning", "delta", "--out", "m"),
        "about cheap energies",
    )
    assert not (tmp_path / "m").exists()
    code, out, _ = alkit("train", "a.csv", "--property", "gap", "--unit", "hartree", "--out", "one", *QUICK)
    assert code == 0
    assert "eV" in out
    assert "kcal" not in out
    assert "chemical" not in out
    code, named, _ = alkit("train", "a.csv", "--property", "gap_eV", "--out", "two", *QUICK)
    assert code == 0
    assert named.splitlines()[-3:] == out.splitlines()[-3:]  # the same numbers, whatever unit they came in

    (tmp_path / "new.smi").write_text("CCCO\nCC(=O)C\n")
    code, out, err = alkit("predict", "one", "new.smi")
    predicted = list(csv.DictReader(out.splitlines()))
    assert list(predicted[0])[:5] == ["smiles", "prediction_eV", "std_eV", "low_90_eV", "high_90_eV"]
    assert "2 predicted (gap [eV], a.csv gap)" in err
    assert 0 < float(predicted[0]["prediction_eV"]) < 25
    code, out, _ = alkit("score", "one", "a.csv", "--unit", "hartree")  # the model knows its property
    assert code == 0
    assert "MAE, eV" in out
    assert "kcal" not in out
    refused(alkit("score", "one", "a.csv", "--target", "gap", "--unit", "kcal/mol"), "look like")
    refused(alkit("export", "one", "--out", "best_model"), "predicts gap [eV]; only energies")


def test_a_dipole_moment_has_its_own_unit_everywhere(alkit, tmp_path, gaps) -> None:
    write(tmp_path / "a.csv", gaps, mu_Debye=lambda one: one["mu_Debye"])
    code, out, _ = alkit("train", "a.csv", "--target", "dipole", "--out", "m", *QUICK)
    assert code == 2  # the table names it mu
    code, out, _ = alkit("train", "a.csv", "--target", "mu", "--out", "m", *QUICK)
    assert code == 0
    assert "Debye" in out
    assert "eV" not in out
    (tmp_path / "new.smi").write_text("CCCO\n")
    out = alkit("predict", "m", "new.smi")[1]
    assert out.splitlines()[0] == "smiles,prediction_Debye,std_Debye,low_90_Debye,high_90_Debye,reason"
    code, out, _ = alkit("score", "m", "a.csv")
    assert code == 0
    assert "MAE, Debye" in out


def test_a_column_of_ones_own_says_whether_it_grows(alkit, tmp_path, gaps) -> None:
    write(tmp_path / "a.csv", gaps, logS=lambda one: one["gap"] - 10)
    arguments = ("train", "a.csv", "--target", "logS", "--out", "m", *QUICK)
    refused(alkit(*arguments), "If logS is no energy, say --kind extensive or intensive")
    refused(alkit(*arguments, "--kind", "intensive"), "the unit of logS is not known; give it")
    refused(alkit(*arguments, "--unit", "log(mol/L)"), "say whether it grows with the molecule")
    code, out, _ = alkit(*arguments, "--unit", "logM", "--pooling", "mean")
    assert code == 0
    assert "logM" in out
    assert '"pooling": "mean"' in (tmp_path / "m" / "ensemble.json").read_text()


def test_databases_say_what_their_properties_are(alkit, tmp_path, gaps) -> None:
    write(
        tmp_path / "a.csv", gaps, g=lambda one: one["gap"] / Hartree, homo=lambda one: one["homo"] / Hartree,
        lumo=lambda one: one["lumo"] / Hartree,
    )  # fmt: skip
    how = ("--property", "g=gap", "--property", "homo", "--property", "lumo", "--level", "GFN2-xTB")
    refused(
        alkit("data", "import", "a.csv", "--to", "a.db", *how, "--unit", "eV"), "look like gap in hartree"
    )
    refused(alkit("data", "import", "a.csv", "--to", "a.db", *how, "--unit", "Debye"), "is no unit of gap")
    swapped = ("--property", "homo=lumo", "--property", "lumo=homo", "--unit", "hartree", "--level", "L")
    refused(alkit("data", "import", "a.csv", "--to", "a.db", *swapped), "above lumo")
    code, out, _ = alkit("data", "import", "a.csv", "--to", "a.db", *how, "--unit", "hartree")
    assert code == 0
    assert "intensive" in out
    code, out, _ = alkit("train", "a.db", "--property", "gap", "--out", "m", *QUICK)
    assert code == 0
    assert '"pooling": "attention"' in (tmp_path / "m" / "ensemble.json").read_text()
    refused(
        alkit("train", "a.db", "--property", "gap", "--unit", "eV", "--out", "n"),
        "says itself what its numbers",
    )


def test_labels_of_a_gap_go_on_into_training(alkit, tmp_path, gaps) -> None:
    (tmp_path / "in.smi").write_text("\n".join(list(gaps)[:25]))
    code, _, err = alkit("label", "in.smi", "--property", "gap", "--out", "labels.csv")
    assert (code, err.split()[0]) == (0, "25")
    with (tmp_path / "labels.csv").open(newline="") as file:
        values = np.array([float(row["gap_eV"]) for row in csv.DictReader(file)])
    assert values.min() > 0
    code, _, err = alkit("train", "labels.csv", "--property", "gap", "--out", "m", *QUICK)
    assert code == 0
    (tmp_path / "new.smi").write_text("CCCO\n")
    assert "1 predicted (gap [eV], GFN2-xTB gap [eV])" in alkit("predict", "m", "new.smi")[2]
    assert alkit("data", "import", "labels.csv", "--to", "labels.db")[0] == 0
    refused(alkit("label", "in.smi", "--property", "h298", "--out", "x.csv"), "must be one of u0, energy")
