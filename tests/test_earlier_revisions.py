"""Files of earlier revisions open, continue and give the numbers that they gave.

`tests/fixtures/v0.1` was written by revision c218eec (`tests/fixtures/make_v01.py`) and never changes. Every
test works on a copy, and on the command line, as its users do.
"""

import csv
import importlib
import json
import os
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fixtures import make_v02

from surrogate import load_surrogate

FIXTURES = Path(__file__).parent / "fixtures" / "v0.1"
EXPECTED: dict[str, Any] = json.loads((FIXTURES / "expected.json").read_text())
STUDIES = {
    "2d-vs-3d": (
        "imported.db --arms 3d,2d-topological --sizes 20 --seeds 1 --test 10 --members 1 --features 8 "
        "--epochs 5 --noise-floor 0"
    ),
    "acquisition": (
        "labels.db -f lcmd -f bias --start 10 --batch 5 --labels 15 --pool 24 --test 10 --seeds 1"
    ),
}
_TIMES = ("seconds", "attempts", "source", "host", "version", "tries", "finished")


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """A copy of all files; the label cache among them."""
    return Path(shutil.copytree(FIXTURES, tmp_path / "old"))


def alkit(folder: Path, *arguments: object, cache: str = "labels.sqlite") -> str:
    """Run a command in ``folder``; returns its standard output."""
    command = [sys.executable, "-W", "ignore", "-m", "alkit", *map(str, arguments)]
    environment = os.environ | {"ALKIT_LABEL_CACHE": str(folder / cache)}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def rows(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(text.splitlines()))


def assert_same_rows(now: list[dict[str, str]], then: list[dict[str, str]], *, rel: float = 1e-5) -> None:
    """Texts are equal, numbers within ``rel``; columns of times are left out.

    An interval that cannot be given was infinite, and is empty since.
    """
    assert len(now) == len(then)
    for row, earlier in zip(now, then, strict=True):
        for name in earlier.keys() - set(_TIMES):
            if earlier[name] in ("-inf", "inf"):
                assert row[name] == "", name
                continue
            try:
                assert float(row[name]) == pytest.approx(float(earlier[name]), rel=rel, abs=1e-6), name
            except ValueError:
                assert row[name] == earlier[name], name


def ledger_of(folder: Path) -> tuple[list[dict[str, str]], dict[str, dict[str, float]], dict[str, float]]:
    """Candidates, metrics by round, and labels by SMILES."""
    out = folder.parent / f"{folder.name}-candidates.csv"
    alkit(folder.parent, "campaign", "ledger", folder.name, "--out", out)
    db = sqlite3.connect(folder / "ledger.sqlite")
    metrics: dict[str, dict[str, float]] = {}
    for round_, name, value in db.execute("SELECT * FROM metrics"):
        metrics.setdefault(str(round_), {})[name] = value
    labels = dict(db.execute("SELECT smiles, value FROM labels"))
    db.close()
    return rows(out.read_text()), metrics, labels


def test_the_files_are_small():
    assert sum(path.stat().st_size for path in FIXTURES.rglob("*") if path.is_file()) < 2_000_000


def test_a_finished_campaign_says_what_it_said(old):
    candidates, metrics, _ = ledger_of(old / "finished")
    assert_same_rows(candidates, EXPECTED["finished"]["candidates"], rel=1e-12)
    assert metrics == EXPECTED["finished"]["metrics"]
    assert "round 1 of 1 is done" in alkit(old, "campaign", "status", "finished")
    alkit(old, "campaign", "report", "finished")
    assert "<svg" in (page := (old / "finished" / "report.html").read_text()) or "data:image/png" in page
    again = alkit(old, "campaign", "run", "finished/campaign.yaml")
    assert "was finished already" in again


@pytest.mark.campaign
def test_an_unfinished_campaign_continues_to_the_same_end(old):
    """One of its last two labels comes from the cache of labels, the other is computed."""
    expected = EXPECTED["unfinished"]
    alkit(old, "campaign", "run", "unfinished/campaign.yaml")
    candidates, metrics, labels = ledger_of(old / "unfinished")
    for row in (*candidates, *expected["candidates"]):
        if row["smiles"] == expected["computed"]:  # its geometry differs in the last bits, and so its hash
            row["hash"] = ""
    assert_same_rows(candidates, expected["candidates"])
    assert {smiles: labels[smiles] for smiles in expected["labels_before"]} == expected["labels_before"]
    sources = {row["smiles"]: row["source"] for row in candidates}
    assert (sources[expected["cached"]], sources[expected["computed"]]) == ("cache", "computed")
    for round_, values in expected["metrics"].items():
        now = {name: metrics[round_][name] for name in values}  # later revisions measure more
        assert now == pytest.approx(values, rel=1e-3, abs=1e-6)


@pytest.mark.parametrize("model", ["2d", "3d", "delta", "painn"])
def test_a_model_predicts_what_it_predicted(model, old):
    molecules = "structures.xyz" if model in ("delta", "painn") else "molecules.smi"
    now = rows(alkit(old, "predict", f"models/{model}", molecules))
    assert_same_rows(now, EXPECTED["predictions"][model])


def test_a_campaigns_newest_model_predicts_what_it_predicted(old):
    now = rows(alkit(old, "predict", "finished", "molecules.smi"))
    assert_same_rows(now, EXPECTED["predictions"]["finished"])


def test_an_exported_model_is_read_again(old):
    arguments = ["--level", "x", "--elements", "H,C,N,O,F", "--energy", "atomization", "--geometry", "mmff"]
    alkit(old, "import", "best_model", "--out", "imported", *arguments)
    now = rows(alkit(old, "predict", "imported", "molecules.smi"))
    failed, earlier = ([bool(row["reason"]) for row in part] for part in (now, EXPECTED["predictions"]["3d"]))
    assert failed == earlier


def test_a_generator_draws_what_it_drew(old):
    drawn = alkit(old, "generate", "generator.pt", "-n", 8, "--unique").split()
    assert drawn == EXPECTED["generator"]


@pytest.mark.parametrize("study", STUDIES)
def test_a_study_continues_to_the_same_end(study, old):
    description = old / "studies" / study / "study.json"  # this one knows its data by the whole path
    settings = json.loads(description.read_text())
    if study == "2d-vs-3d":
        description.write_text(json.dumps(settings | {"data": str(old / settings["data"])}))
    alkit(old, "study", study, *STUDIES[study].split(), "--out", f"studies/{study}")
    with (old / "studies" / study / "results.csv").open(newline="") as file:
        now = list(csv.DictReader(file))
    then = EXPECTED["studies"][study]
    if study == "acquisition":  # bias chooses by another rule since (docs/decisions/022)
        assert {row["function"] for row in now} == {row["function"] for row in then}
        now, then = ([row for row in part if row["function"] != "bias"] for part in (now, then))
    assert_same_rows(now, then, rel=1e-3)


def test_a_campaign_file_is_valid(old):
    assert "valid" in alkit(old, "campaign", "validate", "campaign_template.yaml")


@pytest.mark.parametrize(
    ("module", "names"),
    [
        ("alkit", "Campaign Pool RoundContext Label LabelError Level Dataset load_config"),
        ("alkit.acquisition", "Acquisition Pool RoundContext resolve select"),
        ("alkit.acquisition.base", "Acquisition Pool RoundContext TopScore adapt needs resolve select"),
        ("alkit.campaign", "Campaign Result open_campaign"),
        ("alkit.config", "CampaignConfig check_config load_config"),
        ("alkit.datasets", "Dataset Record create_database read_smiles"),
        ("alkit.engines", "create_engine LocalEngine"),
        ("alkit.errors", "AlkitError LabelError Attempt"),
        ("alkit.models", "Provenance load_model predict_smiles predict_structures"),
        ("alkit.molecules", "Molecule canonical embed"),
        ("alkit.proposers.base", "ProposalContext Proposer proposals"),
        ("alkit.simulators", "Label Level Simulator SimulatorSpec create_simulator"),
        ("alkit.simulators.base", "Label Level Simulator SimulatorSpec check_label create_simulator"),
        ("alkit.testing", "check_acquisition check_proposer check_simulator"),
    ],
)
def test_documented_import_paths_stay(module, names):
    for name in names.split():
        assert hasattr(importlib.import_module(module), name), name


def test_a_kernel_of_an_earlier_revision_says_what_it_said(tmp_path: Path) -> None:
    """Written by revision 89866be, whose linear part had one size and equal weights of baselines."""
    folder = FIXTURES.parent / "v0.2"
    expected = json.loads((folder / "expected.json").read_text())
    graphs = [make_v02.graph(name) for name in expected["molecules"]]
    model = load_surrogate(folder / "kernel")
    model.save(tmp_path / "again")
    for one in (model, load_surrogate(tmp_path / "again")):
        predicted = one.predict(graphs)
        np.testing.assert_allclose(predicted.mean, expected["mean"], atol=1e-6)
        np.testing.assert_allclose(predicted.interval(0.9), [expected["low"], expected["high"]], atol=1e-6)
