"""A model in MLflow's form predicts what `alkit predict` writes, from SMILES and from structures."""

import csv
import io
from types import SimpleNamespace

import numpy as np
import pandas
import pytest
from ase import Atoms
from ase.io import write

from alkit.cli import app
from alkit.errors import DataError
from alkit.models.served import Served
from alkit.models.store import Provenance
from alkit.molecules.conformers import embed
from alkit.reporting.logged_model import packed
from surrogate import Ensemble, ModelSettings, TrainingSettings, graph_2d, graph_3d

SMILES = ["C", "CC", "CCO", "CCN", "C=O", "CC=O", "CO", "C1CC1", "CCC", "C#N", "C=C", "OCCO",
          "CN", "O", "N", "CCCO", "C#C", "COC", "NCO", "CC#N", "CCF", "CF"]  # fmt: skip
LEVEL = "GFN2-xTB energy [eV]"


def _model(folder, mode: str, geometry: str) -> None:
    placed = [embed(one) for one in SMILES]
    if mode == "2d":
        graphs = [graph_2d(one, cutoff=5.0) for one in SMILES]
    else:
        graphs = [graph_3d(m.numbers, m.positions, cutoff=5.0) for m in placed]
    energies = np.array([-4.0 * len(m.numbers) - 0.1 * i for i, m in enumerate(placed)])
    Ensemble.fit(
        ModelSettings(mode=mode, features=8, interactions=1, elements=("H", "C", "N", "O", "F")),
        TrainingSettings(epochs=2, batch_size=4, device="cpu"),
        training=(graphs[:10], energies[:10]),
        validation=(graphs[10:], energies[10:]),
        members=2,
        seed=0,
    ).save(folder)
    Provenance(geometry, 0, 3, LEVEL, len(SMILES)).save(folder)


def _predicted_by_alkit(folder, molecules, capsys) -> list[dict[str, str]]:
    with pytest.raises(SystemExit) as ending:
        app.main(["predict", str(folder), str(molecules), "--workers", "1"])
    assert not ending.value.code
    return list(csv.DictReader(io.StringIO(capsys.readouterr().out)))


@pytest.mark.parametrize(("mode", "geometry"), [("2d", "mmff"), ("3d", "mmff"), ("3d", "dataset")])
def test_it_loads_and_predicts_the_same(mode, geometry, tmp_path, capsys):
    import mlflow.pyfunc

    _model(tmp_path / "model", mode, geometry)
    if geometry == "dataset":
        texts, file = [], tmp_path / "new.xyz"
        for one in (embed("CCO"), embed("CCCO"), embed("CS")):
            text = io.StringIO()
            write(text, Atoms(one.numbers, one.positions), format="extxyz")
            texts.append(text.getvalue())
        file.write_text("".join(texts))
        table = pandas.DataFrame({"structure": texts})
    else:
        file = tmp_path / "new.smi"
        file.write_text("CCO\nCCCO\nCS\n")
        table = pandas.DataFrame({"smiles": ["CCO", "CCCO", "CS"]})
    expected = _predicted_by_alkit(tmp_path / "model", file, capsys)
    with packed(tmp_path / "model", SimpleNamespace(model_id="m-1", artifact_location="here"), "run") as path:
        model = mlflow.pyfunc.load_model(str(path))
        found = model.predict(table)
        again = model.predict(model.input_example)
        assert model.metadata.metadata == {"level": LEVEL, "tier": "no baseline", "labels": len(SMILES)}
        assert not list(path.rglob("*.pkl"))
    assert np.isfinite(again.prediction_eV).all()
    assert found.level.tolist() == [LEVEL] * 3
    for column in ("prediction_eV", "std_eV", "low_90_eV", "high_90_eV"):
        written = [float(row[column]) if row[column] else np.nan for row in expected]
        np.testing.assert_allclose(found[column], written, atol=2e-6, equal_nan=True)
    assert [bool(reason) for reason in found.reason] == [bool(row["reason"]) for row in expected]
    assert found.low_90_eV.notna().tolist() == [True, True, False]


def test_what_it_cannot_read_is_named(tmp_path):
    _model(tmp_path, "3d", "dataset")
    served = Served(tmp_path)
    with pytest.raises(DataError, match="needs a column 'structure'; the table has smiles"):
        served.predict(pandas.DataFrame({"smiles": ["C"]}))
    with pytest.raises(DataError, match="is not the text of an XYZ file"):
        served.predict(pandas.DataFrame({"structure": ["three atoms"]}))
