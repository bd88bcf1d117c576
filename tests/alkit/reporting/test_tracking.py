import subprocess
import sys
import time

import pytest

from alkit.errors import ConfigError, TrackingError
from alkit.reporting.tracking import Tracker


@pytest.fixture
def tracker(mlflow_uri):
    return Tracker(mlflow_uri, "test")


@pytest.fixture
def client(mlflow_uri):
    from mlflow import MlflowClient

    return MlflowClient(mlflow_uri)


def test_a_resumed_run_is_the_same_run_set_running_again(tracker, client):
    run = tracker.open_run("first")
    tracker.close_run(run, "KILLED")
    assert client.get_run(run).info.status == "KILLED"
    assert tracker.open_run("first", resume=run) == run
    assert client.get_run(run).info.status == "RUNNING"


def test_a_deleted_run_is_replaced(tracker, client):
    run = tracker.open_run("first")
    client.delete_run(run)
    assert tracker.open_run("first", resume=run) != run


def test_params_are_flat_and_may_be_logged_again(tracker, client):
    run = tracker.open_run("first")
    for _ in range(2):
        tracker.log_params(run, {"a": {"b": 1, "c": {"d": [1, 2]}}, "e": None})
    assert client.get_run(run).data.params == {"a.b": "1", "a.c.d": "[1, 2]", "e": "None"}


def test_a_series_longer_than_one_request_arrives_whole(tracker, client):
    run = tracker.open_run("first")
    tracker.log_series(run, [(step, {"loss": 1.0 / (step + 1)}) for step in range(1234)])
    history = client.get_metric_history(run, "loss")
    assert len(history) == 1234
    assert sorted(point.step for point in history) == list(range(1234))


def test_files_lie_beside_the_database(tracker, client, tmp_path):
    run = tracker.open_run("first")
    (tmp_path / "plots").mkdir()
    (tmp_path / "plots" / "a.png").write_bytes(b"png")
    tracker.log_files(run, tmp_path / "plots", "plots")
    assert [f.path for f in client.list_artifacts(run, "plots")] == ["plots/a.png"]
    assert list((tmp_path / "mlartifacts").rglob("a.png"))


@pytest.mark.parametrize("uri", ["sqlite:///{folder}/file/mlflow.db", "gopher://x"])
def test_a_store_that_cannot_be_opened(uri, tmp_path):
    (tmp_path / "file").write_text("no folder")
    uri = uri.format(folder=tmp_path)
    with pytest.raises(ConfigError, match=r"tracking\.uri"):
        Tracker(uri, "test")


def test_a_store_that_breaks_is_told_in_a_sentence(tracker, tmp_path):
    run = tracker.open_run("first")
    (tmp_path / "mlflow.db").write_bytes(b"this was a database" * 1000)
    with pytest.raises(TrackingError, match="the same command goes on"):
        tracker.log_metrics(run, {"mae": 1.0})


def test_a_deleted_experiment_is_named(mlflow_uri, client):
    Tracker(mlflow_uri, "gone")
    client.delete_experiment(client.get_experiment_by_name("gone").experiment_id)
    with pytest.raises(ConfigError, match=r"tracking\.experiment gone was deleted"):
        Tracker(mlflow_uri, "gone")


_MAKER = """
import sys
from alkit.reporting.tracking import Tracker
Tracker(sys.argv[1], "mine")
"""


def test_a_store_is_whole_or_not_there_when_its_maker_is_killed(tmp_path):
    path = tmp_path / "mlflow.db"
    process = subprocess.Popen([sys.executable, "-W", "ignore", "-c", _MAKER, f"sqlite:///{path}"])
    while not list(tmp_path.glob("*.new")):  # it has begun with the tables
        assert process.poll() is None
        time.sleep(0.005)
    time.sleep(0.1)
    process.kill()
    process.wait()
    assert not path.exists()
    Tracker(f"sqlite:///{path}", "mine")
    assert path.exists()


@pytest.mark.parametrize("uri", ["sqlite://", "sqlite:///", "sqlite:///:memory:"])
def test_a_store_in_memory_is_refused(uri):
    with pytest.raises(ConfigError, match="a store in memory"):
        Tracker(uri, "alkit")


def test_what_a_killed_process_left_of_a_new_store_is_swept(tmp_path):
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    left = tmp_path / f"mlflow.db.{ended.pid}.new-journal"
    left.touch()
    Tracker(f"sqlite:///{tmp_path / 'mlflow.db'}", "alkit")
    assert not left.exists()


def test_a_changed_parameter_is_a_tag(tracker, client):
    run = tracker.open_run("one")
    tracker.log_params(run, {"a": {"workers": 1}, "b": 2})
    tracker.log_params(run, {"a": {"workers": 4}, "b": 2, "c": 3})
    data = client.get_run(run).data
    assert (data.params["a.workers"], data.params["c"]) == ("1", "3")
    assert {key: value for key, value in data.tags.items() if key.startswith("now.")} == {
        "now.a.workers": "4"
    }
