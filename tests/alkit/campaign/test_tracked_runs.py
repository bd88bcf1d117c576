"""A campaign in MLflow: what its runs hold, its model, and stores that go away, come back or change."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np
import pandas
import pytest

from alkit.campaign.campaign import Campaign
from alkit.campaign.folder import open_campaign
from alkit.campaign.tracked_runs import campaign_shown_at
from alkit.cli import app
from alkit.errors import ConfigError, TrackingError
from alkit.models.prediction import predict_smiles, table_of
from alkit.models.store import load_model


@pytest.fixture
def flat(tiny) -> dict:
    """The tiny campaign on SMILES alone, from a pool: the fewest seconds."""
    pool = {"kind": "pool", "file": tiny["seeds"], "per_round": 20}
    return tiny | {"acquisition": "random", "proposer": pool, "surrogate": tiny["surrogate"] | {"mode": "2d"}}


def _client(uri: str):
    from mlflow import MlflowClient

    return MlflowClient(uri)


def _runs(client) -> dict:
    experiment = client.get_experiment_by_name("alkit").experiment_id
    return {run.info.run_name: run for run in client.search_runs([experiment])}


def test_the_runs_say_where_they_come_from_and_what_they_mean(tiny):
    tiny["tracking"]["system_metrics"] = True
    result = Campaign(tiny).run()
    client = _client(tiny["tracking"]["uri"])
    runs = _runs(client)
    assert set(runs) == {"tiny", "round 0", "round 1"}
    parent, last = runs["tiny"], runs["round 1"]
    for run in runs.values():
        tags = run.data.tags
        assert tags["alkit.level"] == "GFN2-xTB energy [eV]"
        assert (tags["alkit.tier"], tags["alkit.device"]) == ("no baseline", "cpu")
        assert tags["alkit.folder"] == tiny["folder"]
        assert tags["alkit.host"]
        assert tags["mlflow.user"]
        assert run.data.params["surrogate.members"] == "2"
        assert run.data.params["batch_size"] == "4"
        assert "are in eV" in tags["mlflow.note.content"]
    assert "Step: labels" in parent.data.tags["mlflow.note.content"]
    assert "Step: epoch" in last.data.tags["mlflow.note.content"]
    for name in ("mae", "candidates/labelled", "seconds/train", "seconds/evaluate"):
        assert [p.step for p in client.get_metric_history(parent.info.run_id, name)] == [17, 21]
        assert [p.step for p in client.get_metric_history(last.info.run_id, name)] == [3]  # the last epoch
    assert last.data.metrics["candidates/labelled"] == 4
    assert 0 <= last.data.metrics["generator/novel"] <= 1
    assert {"member_0/val_MAE", "seconds/label"} <= set(last.data.metrics)
    assert {artifact.path for artifact in client.list_artifacts(parent.info.run_id)} == {
        "campaign.yaml", "candidates.csv", "plots", "report.html",
    }  # fmt: skip
    _datasets_have_digests(runs)
    assert (client.get_experiment(parent.info.experiment_id).tags["mlflow.experimentKind"]) == (
        "custom_model_development"
    )
    assert len(parent.outputs.model_outputs) == len(result.metrics)


def test_a_name_with_dots_names_its_models(flat):
    """Campaigns of a study are named after the keys that it varies, such as `proposer.kind`."""
    Campaign(flat | {"name": "proposer.kind-pool-1"}).run()
    client = _client(flat["tracking"]["uri"])
    runs = _runs(client)
    (found,) = client.search_logged_models(
        [runs["round 0"].info.experiment_id], filter_string="name = 'proposer-kind-pool-1-round-0'"
    )
    assert found.source_run_id == runs["round 0"].info.run_id
    assert client.get_registered_model("proposer.kind-pool-1").aliases


def _datasets_have_digests(runs) -> None:
    sets = {
        name: {one.dataset.name: one.dataset for one in run.inputs.dataset_inputs}
        for name, run in runs.items()
    }
    assert {tuple(sorted(one)) for one in sets.values()} == {("test", "training", "validation")}
    assert sets["round 0"]["test"].digest == sets["round 1"]["test"].digest
    assert sets["round 0"]["training"].digest != sets["round 1"]["training"].digest
    assert json.loads(sets["round 1"]["training"].profile)["num_rows"] == 16


def test_the_best_model_loads_and_serves_what_alkit_predicts(flat, tmp_path):
    import mlflow

    result = Campaign(flat).run()
    uri = flat["tracking"]["uri"]
    version = _client(uri).get_model_version_by_alias("tiny", "best")
    best = min(result.metrics, key=lambda row: (row["validation_mae"], -row.round))
    assert version.description.startswith(f"Round {best.round}: {best.labels} labels, validation MAE")
    smiles = ["CCO", "C1CC", "CCS"]
    rows = predict_smiles(*load_model(Path(flat["folder"]) / f"rounds/{best.round:02d}/model"), smiles)
    expected = table_of(rows, load_model(Path(flat["folder"]))[1])

    mlflow.set_tracking_uri(uri)
    model = mlflow.pyfunc.load_model("models:/tiny@best")
    predicted = model.predict(pandas.DataFrame({"smiles": smiles}))
    assert predicted.level.unique().tolist() == ["GFN2-xTB energy [eV]"]
    pandas.testing.assert_frame_equal(predicted.drop(columns="level"), expected)
    assert model.metadata.get_input_schema().input_names() == ["smiles"]
    assert model.metadata.get_output_schema().input_names() == list(predicted.columns)
    assert model.input_example.columns.tolist() == ["smiles"]
    assert any(line.startswith("alkit==") for line in Path(
        mlflow.artifacts.download_artifacts("models:/tiny@best"), "requirements.txt"
    ).read_text().splitlines())  # fmt: skip

    command = ["models", "serve", "-m", "models:/tiny@best", "--env-manager", "local", "-p"]
    with _serving(command, "/ping", {"MLFLOW_TRACKING_URI": uri}) as address:
        body = json.dumps({"dataframe_split": {"columns": ["smiles"], "data": [[one] for one in smiles]}})
        request = urllib.request.Request(
            f"{address}/invocations", body.encode(), {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=60) as answer:
            served = pandas.DataFrame(json.loads(answer.read())["predictions"])
    np.testing.assert_allclose(served.prediction_eV, expected.prediction_eV)
    np.testing.assert_allclose(served.std_eV, expected.std_eV)


@contextmanager
def _serving(arguments: list[str], page: str, environment: dict[str, str] | None = None, port: int = 0):
    """One of MLflow's servers, until the block ends; gives its address."""
    if not port:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
    # MLflow starts uvicorn by its name, so that the environment of this Python must be active.
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    process = subprocess.Popen(
        [sys.executable, "-m", "mlflow", *arguments, str(port)],
        env=os.environ | {"MLFLOW_DISABLE_TELEMETRY": "true", "PATH": path} | (environment or {}),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    address = f"http://127.0.0.1:{port}"
    try:
        end = time.monotonic() + 240
        while True:
            try:
                urllib.request.urlopen(f"{address}{page}", timeout=5).read()
                break
            except OSError:
                assert process.poll() is None
                assert time.monotonic() < end
                time.sleep(0.2)
        yield address
    finally:
        with suppress(ProcessLookupError):  # it has ended by itself
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def test_a_server_that_goes_away_and_comes_back(flat, mlflow_uri, tmp_path):
    """The campaign says so, and goes on in its own runs."""
    command = [
        "server", "--backend-store-uri", mlflow_uri, "--artifacts-destination", str(tmp_path / "files"),
        "--workers", "1", "--port",
    ]  # fmt: skip
    with _serving(command, "/health") as address:
        flat["tracking"] = {"uri": address}
        campaign = Campaign(flat)
        while campaign.step("stage").metrics == []:  # to the end of round 0
            pass
        _, ledger = open_campaign(campaign.folder)
        shown = campaign_shown_at(ledger)
        assert shown.server == ""
        assert shown.run.startswith(f"{address}/#/experiments/")
        assert shown.run.endswith("?workflowType=machine_learning")
    with pytest.raises((TrackingError, ConfigError), match=r"MLflow|tracking\.uri"):
        Campaign(flat).run()
    with _serving(command, "/health", port=int(address.rpartition(":")[2])):
        assert Campaign(flat).run().stopped_by == "round 1 of 1 is done"
        runs = _runs(_client(address))
    assert set(runs) == {"tiny", "round 0", "round 1"}
    assert {run.info.status for run in runs.values()} == {"FINISHED"}


def test_another_store_gets_all_rounds_and_a_restored_run_goes_on(flat, tmp_path):
    first = Campaign(flat)
    first.run()
    client = _client(flat["tracking"]["uri"])
    run = _runs(client)["tiny"].info.run_id
    client.delete_run(run)
    client.restore_run(run)
    Campaign(flat | {"stop": {"rounds": 2}}).run()
    assert _runs(client)["tiny"].info.run_id == run
    assert [p.step for p in client.get_metric_history(run, "mae")] == [17, 21, 25]

    other = f"sqlite:///{tmp_path / 'other.db'}"
    Campaign(flat | {"stop": {"rounds": 3}, "tracking": {"uri": other}}).run()
    moved = _runs(_client(other))
    assert set(moved) == {"tiny", "round 0", "round 1", "round 2", "round 3"}
    assert all(one.outputs.model_outputs for one in moved.values())
    assert _client(other).get_model_version_by_alias("tiny", "best")
    assert len(client.get_metric_history(run, "mae")) == 3  # the first store is left as it was


def test_tracking_none_makes_no_store(flat, write_config, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mlflow.db").unlink()
    config = write_config(flat | {"tracking": "none"})
    with pytest.raises(SystemExit) as ending:
        app.main(["campaign", "run", str(config)])
    assert ending.value.code == 0
    assert "MLflow" not in "".join(capsys.readouterr())
    assert not list(tmp_path.rglob("mlflow.db"))
    assert not (tmp_path / "mlruns").exists()
    with pytest.raises(SystemExit):
        app.main(["campaign", "status", flat["folder"]])
    assert "MLflow" not in capsys.readouterr().out


def test_validate_looks_at_the_store(flat, tmp_path):
    (tmp_path / "file").write_text("no folder")
    for uri in (f"sqlite:///{tmp_path}/file/mlflow.db", "http://127.0.0.1:9"):
        with pytest.raises(ConfigError, match=r"tracking\.uri"):
            Campaign(flat | {"tracking": {"uri": uri}}).check()
    Campaign(flat | {"tracking": {"uri": f"sqlite:///{tmp_path}/new.db"}}).check()
    assert not (tmp_path / "new.db").exists()


def test_status_prints_the_command_and_the_link(flat, capsys):
    Campaign(flat).run()
    with pytest.raises(SystemExit):
        app.main(["campaign", "status", flat["folder"]])
    said = capsys.readouterr().out
    run = _runs(_client(flat["tracking"]["uri"]))["tiny"]
    assert f"MLflow: `mlflow server --backend-store-uri {flat['tracking']['uri']}`, then " in said
    assert f"/#/experiments/{run.info.experiment_id}/runs/{run.info.run_id}?workflowType=" in said
