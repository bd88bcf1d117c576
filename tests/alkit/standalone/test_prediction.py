"""Long lists are predicted by workers, on any engine, as this process predicts them."""

import csv
from pathlib import Path

import numpy as np
import pytest

from alkit.cli.app import main
from alkit.errors import DataError
from alkit.models.store import Provenance
from alkit.reporting.progress import CampaignProgress
from alkit.standalone import prediction
from surrogate import Ensemble, ModelSettings, TrainingSettings, graph_2d

SMILES = ["C", "CC", "OCC", "CCN", "C=O", "CC=O", "CO", "C1CC1", "CCC", "C#N", "C=C", "OCCO"]
POOL = [
    *SMILES,
    "CS",
    "C[N",
    *(f"{'C' * n}{end}" for n in range(1, 12) for end in ("O", "N", "C#N", "=O")),
    *SMILES * 90,
]


def _save_model(home: Path) -> None:
    graphs = [graph_2d(one, cutoff=5.0, chemistry=True) for one in SMILES]
    energies = np.array([-4.0 * len(one.numbers) for one in graphs])
    ensemble = Ensemble.fit(
        ModelSettings(
            mode="2d", features=8, interactions=1, elements=("H", "C", "N", "O"), inputs=("chemistry",)
        ),
        TrainingSettings(epochs=2, batch_size=4, device="cpu"),
        training=(graphs[:8], energies[:8]),
        validation=(graphs[8:], energies[8:]),
        members=2,
        seed=0,
    )
    ensemble.save(home)
    Provenance("mmff", 0, 3, "GFN2-xTB energy [eV]", 12).save(home)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    _save_model(tmp_path / "model")
    (tmp_path / "pool.smi").write_text("\n".join(POOL) + "\n")
    return tmp_path


def _table(home: Path, **options) -> tuple[str, tuple[int, int, str]]:
    out = home / "out.csv"
    out.unlink(missing_ok=True)
    said = prediction.predict_file(home / "model", home / "pool.smi", out, CampaignProgress(), **options)
    return out.read_text(), said


def test_workers_write_the_same_table(home, monkeypatch):
    here = _table(home)
    monkeypatch.setattr(prediction, "MANY", 10)
    monkeypatch.setattr(prediction, "predict_smiles", None)  # this process predicts nothing
    assert _table(home) == here
    rows = list(csv.DictReader(here[0].splitlines()))
    assert len(rows) == len(POOL)
    assert [row["smiles"] for row in rows[:3]] == ["C", "CC", "CCO"]
    assert [bool(row["reason"]) for row in rows[10:15]] == [False, False, True, True, False]


@pytest.mark.parametrize(("kind", "package"), [("parsl", "parsl"), ("dask", "distributed")])
def test_a_cluster_writes_the_same_table(home, kind, package):
    pytest.importorskip(package, reason=f"alkit[{kind}] is not installed")
    here = _table(home)
    assert _table(home, kind=kind) == here


def test_structures_are_refused_however_many(home, monkeypatch):
    monkeypatch.setattr(prediction, "MANY", 1)
    (home / "pool.xyz").write_text("3\n\nO 0 0 0\nH 0 0.76 0.59\nH 0 -0.76 0.59\n" * 3)
    with pytest.raises(DataError, match="give a file of SMILES"):
        prediction.predict_file(home / "model", home / "pool.xyz", home / "out.csv", CampaignProgress())


def test_an_engine_that_does_not_fit_is_refused(home, capsys, monkeypatch):
    monkeypatch.chdir(home)
    with pytest.raises(SystemExit, match="2"):
        main(["predict", "model", "pool.smi", "--dask", "tcp://127.0.0.1:1"])
    assert "--dask needs --engine dask, not local" in capsys.readouterr().err
    assert not (home / "out.csv").exists()
