"""alkit.standalone.energies: energies of any unit and kind as atomization energies in eV."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from ase import units
from rdkit import Chem

from alkit.cli.app import main
from alkit.datasets.qm9 import ATOMREFS
from alkit.datasets.references import read_references
from alkit.errors import DataError
from alkit.models.store import load_model
from alkit.molecules.energies import UNITS
from alkit.standalone.energies import as_atomization

# U0 at B3LYP/6-31G(2df,p), Hartree: QM9.
TOTAL = {
    "C": -40.47893, "N": -56.525887, "O": -76.404702, "C#C": -77.308427, "C#N": -93.411888,
    "C=O": -114.483613,
    "CC": -79.764152, "CO": -115.679136, "CC#C": -116.609549, "CC#N": -132.71815, "CC=O": -153.787612,
    "NC=O": -169.860788, "CCC": -119.052475, "CCO": -154.972731, "COC": -154.960361, "C1CC1": -117.824798,
    "C1CO1": -153.762151, "CC(C)=O": -193.089129, "CC(=O)N": -209.163298, "NC(=O)N": -225.233838,
    "CC(C)C": -158.346394, "CC(C)O": -194.271221,
}  # fmt: skip
SMILES = list(TOTAL)
HARTREE = np.array(list(TOTAL.values()))


def atoms(smiles: str) -> np.ndarray:
    return np.array([atom.GetAtomicNum() for atom in Chem.AddHs(Chem.MolFromSmiles(smiles)).GetAtoms()])


COMPOSITIONS = [atoms(smiles) for smiles in SMILES]
ATOMIZATION = HARTREE * units.Hartree - [
    sum(ATOMREFS["energy_U0"][int(z)] for z in numbers) for numbers in COMPOSITIONS
]


def convert(values: np.ndarray, **changes) -> np.ndarray:
    options = {"unit": None, "kind": None, "references": None} | changes
    charges = np.zeros(len(values), dtype=int)
    return as_atomization(values, COMPOSITIONS, what="x.csv", names=SMILES, charges=charges, **options)


@pytest.mark.parametrize("unit", UNITS)
def test_every_unit_and_kind_becomes_the_same_energies(unit: str, tmp_path: Path) -> None:
    factor = UNITS[unit]
    np.testing.assert_allclose(convert(ATOMIZATION / factor, unit=unit), ATOMIZATION, rtol=1e-12)
    total = HARTREE * units.Hartree / factor
    np.testing.assert_allclose(
        convert(total, unit=unit, kind="total", references="QM9"), ATOMIZATION, rtol=1e-10
    )
    table = tmp_path / "atoms.json"
    symbols = {"H": 1, "C": 6, "N": 7, "O": 8}
    table.write_text(json.dumps({s: ATOMREFS["energy_U0"][z] / factor for s, z in symbols.items()}))
    np.testing.assert_allclose(
        convert(total, unit=unit, kind="total", references=str(table)), ATOMIZATION, rtol=1e-10
    )


@pytest.mark.parametrize(
    ("values", "options", "sentence"),
    [
        (
            HARTREE,
            {},
            "look like total energies in Hartree. Give --unit hartree --kind total --references FILE",
        ),
        (HARTREE * units.Hartree, {}, "look like total energies in eV. Give --kind total --references FILE"),
        (ATOMIZATION / units.Hartree, {}, "look like atomization energies in Hartree. Give --unit hartree."),
        (ATOMIZATION * 23.06, {}, "look like atomization energies in kcal/mol. Give --unit kcal/mol."),
        (-ATOMIZATION, {}, "of the other sign in eV. Bound molecules have negative energies"),
        (HARTREE, {"unit": "hartree"}, "look like total energies in eV. Give --kind total"),
        (ATOMIZATION, {"unit": "hartree"}, "They were taken to be in hartree"),
        (HARTREE, {"unit": "hartree", "kind": "total"}, "needs the energies of the isolated atoms"),
        (
            HARTREE,
            {"unit": "hartree", "kind": "total", "references": "GFN2-xTB"},
            "references those of the same",
        ),
        (HARTREE, {"unit": "hartree", "kind": "total", "references": "PBE"}, "neither a file nor a table"),
        (ATOMIZATION, {"references": "QM9"}, "give --kind total"),
        (ATOMIZATION, {"unit": "Ry"}, "'Ry' is no unit of energy"),
        (np.full(len(SMILES), -20.0), {}, "all 22 energies are -20 eV"),
    ],
)
def test_what_they_cannot_be_is_refused_with_the_way_out(values, options, sentence) -> None:
    with pytest.raises(DataError) as said:
        convert(values, **options)
    assert sentence in str(said.value)


@pytest.mark.parametrize(
    "text", ["{", "[]", '{"Xx": 1}', '{"H": "x"}', '{"H": true}', '{"H": NaN}', '{"H": null}', "\x00"]
)
def test_tables_of_atoms_that_are_none(text: str, tmp_path: Path) -> None:
    (tmp_path / "atoms.json").write_text(text)
    with pytest.raises(DataError, match="no table of atom energies"):
        read_references(str(tmp_path / "atoms.json"), 1.0)


def test_the_command_refuses_converts_and_keeps_the_level(tmp_path: Path, capsys, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    with open("mine.csv", "w", newline="") as file:
        csv.writer(file).writerows([("smiles", "u0"), *TOTAL.items()])
    small = ["--mode", "2d", "--members", "2", "--features", "4", "--epochs", "1"]

    def alkit(*arguments: str) -> tuple[int, str]:
        with pytest.raises(SystemExit) as done:
            main(["train", "mine.csv", *small, *arguments])
        return int(done.value.code or 0), " ".join(capsys.readouterr().err.split())

    code, said = alkit("--out", "wrong")
    assert code == 2
    assert "mine.csv, column u0: C has -40.4789" in said
    assert "look like total energies in Hartree" in said
    assert not Path("wrong").exists()
    assert alkit("--out", "right", "--unit", "hartree", "--kind", "total", "--references", "QM9")[0] == 0
    assert load_model(Path("right"))[1].level == "mine.csv u0"
