"""The command line: what it prints, and one sentence with exit code 2 for whatever is wrong."""

import csv
import hashlib
import json
import re
import subprocess
import sys
import threading
import time
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import yaml
from command_line import refused


def test_help_is_instant_and_loads_nothing_heavy():
    started = time.monotonic()
    code = "import sys; from alkit.cli import app\ntry: app.main(['--help'])\nexcept SystemExit: pass\n"
    code += "print(sorted({'torch', 'rdkit', 'mlflow', 'numpy', 'ase'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
    assert "campaign" in done.stdout
    assert time.monotonic() - started < 20  # a hang, not a benchmark


@pytest.mark.parametrize("module", ["alkit", "surrogate", "generator"])
def test_importing_loads_neither_torch_nor_rdkit(module):
    code = f"import sys, {module}; print({{'torch', 'rdkit'}} & set(sys.modules) or 'none')"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "none"


def test_template_validates_and_schema_is_one(alkit, tmp_path):
    _, template, _ = alkit("campaign", "template")
    (tmp_path / "mine.yaml").write_text(template)
    code, out, _ = alkit("campaign", "validate", "mine.yaml", "--set", "start.test=30")
    assert (code, out) == (0, "mine.yaml is a valid campaign.\n")
    code, out, _ = alkit("campaign", "schema")
    assert set(yaml.safe_load(template)) == set(json.loads(out)["properties"])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("name: a\nproposer: generator\nsurogate: {}\n", ["line 3", "'surogate'", "'surrogate'"]),
        ("name: a\nproposer: generator\nbatch_size: many\n", ["line 3", "batch_size", "integer"]),
        ("name: a\nproposer:\n  kind: pool\n  file: nowhere.smi\n", ["proposer.file", "nowhere.smi"]),
        ("name: a\nproposer: generator\ndomain: {elements: [C, Qq]}\n", ["line 3", "'Qq'"]),
        ("name: [a\n", ["not YAML"]),
        ("", ["holds no campaign"]),
        ("name: a\nproposer: generator\nacquisition: ./mine.py:score\n", ["no file", "mine.py"]),
        ("name: a\nproposer: generator\nacquisition: best\n", ["'best'"]),
        ("name: a\nproposer: generator\nsimulator: lookup\n", ["dataset"]),
    ],
)
def test_bad_campaign_files(alkit, tmp_path, text, said):
    (tmp_path / "bad.yaml").write_text(text)
    for command in ("run", "validate"):
        refused(alkit("campaign", command, "bad.yaml"), *said)
    assert not (tmp_path / "runs").exists()


def test_missing_files_and_folders(alkit, tmp_path):
    refused(alkit("campaign", "run", "nowhere.yaml"), "nowhere.yaml", "template")
    refused(alkit("campaign", "status", "nowhere"), "nowhere")
    refused(alkit("campaign", "report", tmp_path), "not a campaign's folder")
    refused(alkit("predict", tmp_path, "in.smi"), "no trained model")
    refused(alkit("label", "nowhere.smi"), "nowhere.smi")
    refused(alkit("generate", tmp_path), "generator")
    refused(alkit("data", "import", "qm9", "--from", "nowhere.tar.bz2", "--to", "qm9.db"), "nowhere.tar.bz2")


def test_bad_molecules(alkit, tmp_path):
    (tmp_path / "bad.smi").write_text("CCO ethanol\nC1CC broken\nC[NH3+] ion\nO water\n")
    refused(alkit("label", "bad.smi", "--strict", "--out", "labels.csv"), "bad.smi, line 2", "C1CC")
    assert not (tmp_path / "labels.csv").exists()
    code, out, err = alkit("label", "bad.smi", "--target", "energy")
    assert (code, err) == (0, "3 labelled, 1 failed (see the column reason).\n")
    rows = list(csv.DictReader(out.splitlines()))  # in the file's order, with its names
    assert [row["name"] for row in rows] == ["ethanol", "broken", "ion", "water"]
    assert [bool(row["energy_eV"]) for row in rows] == [True, False, True, True]
    assert "not a SMILES" in rows[1]["reason"]
    (tmp_path / "empty.smi").write_text("# nothing\n")
    refused(alkit("label", "empty.smi"), "empty.smi")
    (tmp_path / "broken.xyz").write_text("3\ngdb 1 x\nO 0 0\n")
    refused(alkit("data", "import", "qm9", "--from", "broken.xyz", "--to", "qm9.db"), "broken.xyz, line")
    assert not (tmp_path / "qm9.db").exists()


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


def test_fetch_from_a_mirror(alkit, tmp_path):
    content = b"not really QM9" * 1000
    (tmp_path / "mirror").mkdir()
    (tmp_path / "mirror" / "qm9.tar.bz2").write_bytes(content)
    handler = partial(_Quiet, directory=tmp_path / "mirror")
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}/qm9.tar.bz2"
        md5 = hashlib.md5(content).hexdigest()
        code, out, _ = alkit("data", "fetch", "qm9", "--to", "data", "--url", url, "--md5", md5)
        assert code == 0
        assert md5 in out
        assert (tmp_path / "data" / "dsgdb9nsd.xyz.tar.bz2").read_bytes() == content
        refused(alkit("data", "fetch", "qm9", "--to", "other", "--url", url), md5)  # not the published sum
        server.shutdown()


def test_a_file_is_never_overwritten(alkit, tmp_path):
    (tmp_path / "in.smi").write_text("CCO\n")
    (tmp_path / "labels.csv").write_text("mine")
    refused(alkit("label", "in.smi", "--target", "energy", "--out", "labels.csv"), "exists already")
    assert (tmp_path / "labels.csv").read_text() == "mine"


def test_label_with_another_simulator(alkit, tmp_path):
    (tmp_path / "in.smi").write_text("O\n")
    answer = {}
    for name in ("xtb", "tblite"):
        code, out, _ = alkit("label", "in.smi", "--simulator", name, "--set", "solvent=water")
        assert code == 0
        answer[name] = next(csv.DictReader(out.splitlines()))
    assert answer["xtb"]["method"] == answer["tblite"]["method"] == "GFN2-xTB GBSA(water)"
    assert float(answer["xtb"]["u0_eV"]) == pytest.approx(float(answer["tblite"]["u0_eV"]), abs=1e-3)
    refused(alkit("label", "in.smi", "--set", "solvnt=water"), "'solvent'")
    refused(alkit("label", "in.smi", "--set", "solvent"), "key=value")
    refused(alkit("label", "in.smi", "--simulator", "xtbb"), "'xtb'")


def test_label_train_predict_generate(alkit, tmp_path):
    """What a user without a campaign does: label some molecules, train on them, predict others."""
    from alkit.molecules.enumeration import seed_molecules

    (tmp_path / "in.smi").write_text("\n".join(seed_molecules()[:45]))
    code, _, err = alkit("label", "in.smi", "--target", "energy", "--out", "labels.csv")
    assert (code, err.split()[0]) == (0, "45")
    with (tmp_path / "labels.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert all(float(row["energy_eV"]) < 0 for row in rows if not row["reason"])

    arguments = ["--target", "energy_eV", "--features", 16, "--epochs", 3, "--members", 2, "--out", "model"]
    code, out, _ = alkit("train", "labels.csv", *arguments)
    assert code == 0
    assert "elements" in out
    refused(alkit("train", "labels.csv", *arguments), "holds a trained model already")

    folded = ["--target", "energy_eV", "--features", 16, "--epochs", 3, "--out", "folded", "--folds"]
    refused(alkit("train", "labels.csv", *folded, "--members", 2), "members is 2")
    code, out, _ = alkit("train", "labels.csv", *folded, "--members", 3, "--heads", 2)
    assert code == 0
    learned = len(rows) - sum(bool(row["reason"]) for row in rows)
    assert f"{learned - max(2, learned // 10)} " in out  # all that is not tested

    first = [*arguments[:-1], "first", "--pretraining"]
    refused(alkit("train", "labels.csv", *first, "gfn2", "--representation", "kernel"), "is no network alone")
    refused(alkit("train", "labels.csv", *first, "{level: gfn2, epochs: 0}"), "--pretraining: epochs: input")
    few = "{level: gfn2, file: in.smi, molecules: 12}"
    refused(alkit("train", "labels.csv", *first, few, "--learning", "delta"), "is the baseline itself")
    code, out, _ = alkit(
        "train", "labels.csv", *first, "{level: gfn2, minus: gfn1, molecules: 12, epochs: 2}"
    )
    assert code == 0
    assert "semi-empirical: learned GFN2-xTB less GFN1-xTB first" in " ".join(out.split())

    (tmp_path / "new.smi").write_text("CCCO\nCC(=O)N\nCCS\n")
    code, out, err = alkit("predict", "model", "new.smi")
    predicted = list(csv.DictReader(out.splitlines()))
    assert code == 0
    assert [bool(row["prediction_eV"]) for row in predicted] == [True, True, False]
    assert float(predicted[0]["std_eV"]) > 0
    assert predicted[0]["low_90_eV"] == predicted[0]["high_90_eV"] == ""  # three validated: too few for 90 %
    assert "too few validation molecules for a 90 % interval" in " ".join(err.split())
    assert predicted[2]["high_90_eV"] == ""
    assert "16" in predicted[2]["reason"]  # sulfur
    assert "2 predicted (atomization energies, GFN2-xTB energy [eV]), 1 without" in err

    code, out, err = alkit("score", "model", "labels.csv", "--target", "energy_eV")
    assert (code, err) == (0, "")
    assert "no baseline" in out
    refused(alkit("score", "model", "labels.csv"), "no column 'u0'")
    alkit("predict", "model", "labels.csv", "--out", "again.csv")
    with (tmp_path / "again.csv").open(newline="") as file:
        again = {row["smiles"]: float(row["prediction_eV"]) for row in csv.DictReader(file)}
    errors = [abs(again[r["smiles"]] - float(r["energy_eV"])) for r in rows if not r["reason"]]
    assert f"{sum(errors) / len(errors):.4f} (" in out
    assert f" {len(errors)} " in out

    (tmp_path / "bad.smi").write_text("CCCO\nC(C\n")
    code, _, err = alkit("predict", "model", "bad.smi", "--out", "predicted.csv")
    assert code == 0
    assert "1 predicted" in err
    assert "is not a SMILES" in (tmp_path / "predicted.csv").read_text().splitlines()[2]
    refused(alkit("predict", "model", "bad.smi", "--out", "predicted.csv"), "exists already")
    assert not list(tmp_path.glob("*.part*"))

    code, out, _ = alkit("generate", "in.smi", "-n", 25, "--steps", 20, "--novelty-steps", 1)
    assert (code, len(out.split())) == (0, 25)


def test_an_element_that_no_label_has_is_said(alkit, tmp_path):
    lines = [f"{'C' * n}O,{-12.2 * n - 9.2:.1f}" for n in range(2, 22)]
    (tmp_path / "labels.csv").write_text("\n".join(["smiles,u0", *lines, "CCF,-30.0"]))
    settings = ["--features", 8, "--epochs", 1, "--members", 2, "--mode", "2d"]
    for seed in range(20):  # the one molecule with fluorine is tested in one of them
        code, _, err = alkit("train", "labels.csv", *settings, "--seed", seed, "--out", f"model{seed}")
        assert code == 0
        if "No label has F" in err:
            break
    assert "No label has F" in err
    (tmp_path / "new.smi").write_text("CCF\n")
    code, _, err = alkit("predict", f"model{seed}", "new.smi")
    assert "No label has F" in err


def test_generator_train_evaluate_generate(alkit, tmp_path):
    from rdkit import Chem

    from alkit.molecules.enumeration import seed_molecules

    (tmp_path / "in.smi").write_text("\n".join(seed_molecules()[:60]))
    quick = ["--steps", 9, "--novelty-steps", 1, "--adversarial-steps", 1]
    code, _, err = alkit("generator", "train", "in.smi", *quick, "--max-atoms", 6)
    assert (code, err.split(" in ")[0]) == (0, "generator.pt: 11 updates")
    refused(alkit("generator", "train", "in.smi", *quick), "generator.pt exists already", "--go-on")
    refused(alkit("generator", "train", "in.smi", "--go-on", "--max-atoms", 7), "up to 6 atoms of C,N,O,F")
    quick += ["--max-atoms", 6]
    assert "22 in all" in alkit("generator", "train", "in.smi", "--go-on", *quick)[2]

    code, out, _ = alkit("generate", "generator.pt", "-n", 30, "--unique", "--novel-against", "in.smi")
    drawn = out.split()
    assert (code, len(drawn), len(set(drawn))) == (0, 30, 30)
    assert not set(drawn) & set(seed_molecules()[:60])
    (tmp_path / "drawn.smi").write_text("\n".join([*drawn, "C("]))

    evaluation = ["--training", "in.smi", "--figure", "figure.png"]
    code, out, _ = alkit("generator", "evaluate", "drawn.smi", *evaluation)
    assert code == 0
    assert "31 draws" in out
    assert "96.8 %" in out  # valid
    refused(alkit("generator", "evaluate", "drawn.smi", *evaluation), "give another --figure")
    refused(alkit("generator", "evaluate", "drawn.smi", *evaluation[:3], "f.foo"), "f.foo", ".png")
    (tmp_path / "drawn.csv").write_text("name,smiles\na,CCO\nb,C(\n")
    assert "50.0 %" in alkit("generator", "evaluate", "drawn.csv", *evaluation[:2])[1]
    assert (tmp_path / "figure.png").read_bytes().startswith(b"\x89PNG")
    assert "valid" in alkit("generator", "evaluate", "generator.pt", "-n", 20, "--training", "in.smi")[1]

    for kind in ("sdf", "xyz"):
        code, _, err = alkit("generate", "generator.pt", "-n", 5, "--out", f"new.{kind}")
        assert (code, err.split()[0]) == (0, "5")
        refused(alkit("generate", "generator.pt", "--out", f"new.{kind}"), "exists already")
    from ase.io import read

    molecules = list(Chem.SDMolSupplier(str(tmp_path / "new.sdf"), removeHs=False))
    for molecule, atoms in zip(molecules, read(tmp_path / "new.xyz", ":"), strict=True):
        assert molecule.GetProp("_Name") == Chem.MolToSmiles(Chem.RemoveHs(molecule), isomericSmiles=False)
        assert [atom.GetSymbol() for atom in molecule.GetAtoms()] == atoms.get_chemical_symbols()
        for bond in molecule.GetBonds():
            assert atoms.get_distance(bond.GetBeginAtomIdx(), bond.GetEndAtomIdx()) < 1.8


def test_generators_that_cannot_be(alkit, tmp_path):
    (tmp_path / "few.smi").write_text("CCO\nCCN\n")
    (tmp_path / "thiols.smi").write_text("\n".join(f"{'C' * k}S" for k in range(1, 30)))
    (tmp_path / "noise.pt").write_bytes(b"\xff\xfe")
    (tmp_path / "noise.smi").write_bytes(b"\xff\xfe\x00")
    refused(alkit("generator", "train", "few.smi"), "Only 2 different molecules")
    refused(alkit("generator", "train", "thiols.smi"), "29 molecules have elements outside the alphabet")
    refused(alkit("generate", "few.smi", "--out", "new.smi"), "Only 2 different molecules")
    refused(alkit("generate", "few.smi", "--out", "new.pdb"), "new.pdb", ".smi, .sdf, .xyz")
    refused(alkit("generator", "evaluate", "noise.pt", "--training", "few.smi"), "noise.pt")
    refused(alkit("generator", "evaluate", "noise.smi", "--training", "few.smi"), "noise.smi")
    refused(alkit("generator", "evaluate", "absent.smi", "--training", "few.smi"), "absent.smi")
    assert sorted(path.suffix for path in tmp_path.iterdir()) == [".pt", ".smi", ".smi", ".smi"]


def test_campaign_run_status_report_predict(alkit, tiny, write_config):
    config = write_config(tiny)
    code, out, _ = alkit("campaign", "run", config, "--set", "stop.rounds=1")
    assert code == 0
    assert "run finished: round 1 of 1 is done" in out
    assert "MAE" in out
    folder = Path(tiny["folder"])
    code, out, _ = alkit("campaign", "status", folder)
    assert "tiny finished" in out
    assert "not acquired" in out
    assert "was finished already" in alkit("campaign", "run", config)[1]
    (folder / "report.html").unlink()
    assert alkit("campaign", "report", folder)[0] == 0
    assert "<h1>tiny" in (folder / "report.html").read_text()
    (folder.parent / "new.smi").write_text("CCCO\n")
    code, out, _ = alkit("predict", folder, "new.smi")
    assert float(out.splitlines()[1].split(",")[1]) < 0
    refused(alkit("campaign", "run", config, "--set", "surrogate.epochs=9"), "surrogate.epochs: ")


def test_import_and_lookup_campaign(alkit, tmp_path, tiny, write_config):
    """Real QM9 labels, where the development data is at hand; CI proves the same on made data below."""
    source = Path(__file__).parents[3] / "shared" / "data" / "qm9_12k.npz"
    if not source.is_file():
        pytest.skip("the QM9 development data is not here")
    code, out, _ = alkit("data", "import", "qm9", "--from", source, "--to", "data/qm9.db", "--limit", 60)
    assert code == 0
    assert "60 written" in out
    _lookup_campaign(alkit, tiny, write_config)


def test_lookup_campaign_on_a_made_data_set(alkit, tmp_path, tiny, write_config):
    from alkit.datasets import Record, create_database
    from alkit.molecules.conformers import embed
    from alkit.molecules.enumeration import seed_molecules

    (tmp_path / "data").mkdir()
    molecules = [embed(s) for s in seed_molecules()[40:100]]
    atoms = {1: -13.6, 6: -1029.0, 7: -1485.0, 8: -2042.0, 9: -2713.0}
    records = [
        Record(m.smiles, m.numbers, m.positions, {"energy_U0": sum(atoms[z] - 4.0 for z in m.numbers)})
        for m in molecules
    ]
    create_database(
        tmp_path / "data" / "qm9.db",
        records,
        units={"energy_U0": "eV"},
        level="made up",
        geometry="dataset",
        source="test",
        atomrefs={"energy_U0": atoms},
    )
    _lookup_campaign(alkit, tiny, write_config)


def _lookup_campaign(alkit, tiny, write_config):
    tiny |= {
        "dataset": "data/qm9.db",
        "target": "u0",
        "simulator": "lookup",
        "proposer": "pool",
        "seeds": None,
    }
    tiny["domain"] = {"max_heavy_atoms": 9}
    tiny["surrogate"]["geometry"] = "dataset"
    code, out, err = alkit("campaign", "run", write_config(tiny))
    assert code == 0, err
    assert "21" in out
    # Its geometries are the data set's own, so it predicts structures, and no SMILES.
    code, out, err = alkit("predict", tiny["folder"], "data/qm9.db")
    predicted = list(csv.DictReader(out.splitlines()))
    assert code == 0
    assert "60 predicted (atomization energies, " in err
    assert "0 without a prediction" in err
    assert all(float(row["prediction_eV"]) < 0 and row["structure"] for row in predicted)
    Path("new.smi").write_text("CCO\n")
    refused(alkit("predict", tiny["folder"], "new.smi"), "give structures")


def test_places_that_cannot_be_written_to(alkit, tmp_path, tiny, write_config):
    (tmp_path / "file").write_text("no folder")
    (tmp_path / "in.smi").write_text("CCO\n")
    for arguments in (
        ("label", "in.smi", "--out", "file/x.csv"),
        ("generate", "in.smi", "--out", "file/x.smi"),
        ("campaign", "run", write_config(tiny), "--set", "folder=file/x"),
    ):
        refused(alkit(*arguments), "file")


def test_failed_labels_are_rows_with_a_reason_and_training_leaves_them_out(alkit, tmp_path):
    from alkit.molecules.enumeration import seed_molecules

    (tmp_path / "in.smi").write_text("\n".join([*seed_molecules()[:30], "[NH4+]", "[Na]Cl"]))
    code, _, err = alkit("label", "in.smi", "--target", "energy", "--out", "labels.csv")
    assert (code, err) == (0, "31 labelled, 1 failed (see the column reason).\n")
    failed = list(csv.DictReader((tmp_path / "labels.csv").open()))[-1]
    assert (failed["reason"], "Na" in failed["detail"]) == ("unsupported_element", True)
    code, _, err = alkit(
        *("train", "labels.csv", "--target", "energy_eV", "--out", "model"),
        *("--features", 8, "--epochs", 1, "--members", 2),
    )
    assert code == 0, err
    # A surrogate sees no charge: it learns from neutral molecules alone.
    assert "'[NH4+]' has a net charge of +1" in err
    refused(alkit("train", "labels.csv", "--target", "energy_eV", "--out", "labels.csv"), "labels.csv")


def test_a_damaged_model_is_named(alkit, tmp_path):
    (tmp_path / "in.smi").write_text("CCO\n")
    (tmp_path / "model").mkdir()
    for text in ("junk", "{}", '{"format": 1}'):
        (tmp_path / "model" / "ensemble.json").write_text(text)
        refused(alkit("predict", "model", "in.smi"), "ensemble.json is damaged")


def test_reading_a_campaign_writes_nothing(alkit, tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / "ledger.sqlite").touch()
    refused(alkit("campaign", "status", "empty"), "not a campaign's ledger")
    assert (tmp_path / "empty" / "ledger.sqlite").stat().st_size == 0


def test_validate_tries_three_labels_and_keeps_none(alkit, tmp_path, tiny, write_config):
    config = write_config(tiny)
    before = sorted(tmp_path.rglob("*"))
    code, out, _ = alkit("campaign", "validate", config, "--try")
    assert code == 0
    *labels, last = out.splitlines()
    assert len(labels) == 3
    assert all(re.fullmatch(r"\S+: -\d+\.\d+ eV, GFN2-xTB energy \[eV\]", line) for line in labels)
    assert "is a valid campaign" in last
    assert sorted(tmp_path.rglob("*")) == before
    no_label = ("campaign", "validate", config, "--try", "--set", "simulator.settings={max_iterations: 1}")
    refused(alkit(*no_label), "None of 3 molecules has a label", "scf_not_converged")


def test_labels_of_an_sd_file_begin_at_its_geometries(alkit, tmp_path):
    from rdkit import Chem
    from rdkit.Chem import rdDistGeom

    from alkit.molecules.molecule import Molecule
    from alkit.simulators.xtb import XTBSimulator

    mol = Chem.AddHs(Chem.MolFromSmiles("CCO"))
    rdDistGeom.EmbedMolecule(mol, randomSeed=3)
    (tmp_path / "a.sdf").write_text(f"{Chem.MolToMolBlock(mol)}$$$$\n$$$$\n")
    code, out, _ = alkit("label", "a.sdf", "--target", "energy", "--set", "relax=false")
    assert code == 0
    first, second = csv.DictReader(out.splitlines())
    numbers = [atom.GetAtomicNum() for atom in mol.GetAtoms()]
    own = Molecule("CCO", numbers, mol.GetConformer().GetPositions(), "given")
    expected = XTBSimulator(target="energy", relax=False).label(own).value
    assert float(first["energy_eV"]) == pytest.approx(expected, abs=2e-3)  # SD files have four decimals
    assert second["reason"] == "RDKit cannot read it as a molecule"


def test_every_row_of_a_list_is_a_row_of_labels(alkit, tmp_path):
    """A molecule that comes again is computed once; two conformers of one are two labels."""
    (tmp_path / "a.smi").write_text("CCO first\nC1CC broken\nOCC second\nO water\nCCO third\n")
    code, out, err = alkit("label", "a.smi", "--target", "energy")
    assert (code, err) == (0, "4 labelled, 1 failed (see the column reason).\n")
    rows = list(csv.DictReader(out.splitlines()))
    assert [row["name"] for row in rows] == ["first", "broken", "second", "water", "third"]
    assert rows[0]["energy_eV"] == rows[2]["energy_eV"] == rows[4]["energy_eV"] != ""
    assert rows[0]["seconds"] == rows[2]["seconds"] == rows[4]["seconds"]

    from alkit.molecules.conformers import embed
    from alkit.simulators.start_geometries import conformers

    frames = []
    for molecule in conformers(embed("CCO"), 2):
        atoms = [
            f"{number} {x:.6f} {y:.6f} {z:.6f}"
            for number, (x, y, z) in zip(molecule.numbers, molecule.positions, strict=True)
        ]
        frames.append("\n".join([str(len(atoms)), "", *atoms, ""]))
    (tmp_path / "a.xyz").write_text("".join(frames))
    code, out, _ = alkit("label", "a.xyz", "--target", "energy")
    trans, gauche = (float(row["energy_eV"]) for row in csv.DictReader(out.splitlines()))
    assert trans == pytest.approx(-45.6273, abs=1e-3)
    assert gauche == pytest.approx(-45.6945, abs=1e-3)
