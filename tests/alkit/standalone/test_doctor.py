"""`alkit doctor` and `alkit --version`, on what is really here."""

import sqlite3

import pytest

import alkit
from alkit.cli import app
from alkit.errors import ConfigError
from alkit.standalone.doctor import examine


def _doctor(capsys, *arguments: str) -> tuple[int, str]:
    code = 0
    try:
        app.main(["doctor", *arguments])
    except SystemExit as ending:
        code = int(ending.code or 0)
    # A cell may go on in the next line.
    return code, " ".join(capsys.readouterr().out.replace("│", " ").split())


def test_version(capsys):
    with pytest.raises(SystemExit) as ending:
        app.main(["--version"])
    assert (ending.value.code, capsys.readouterr().out) == (0, f"alkit {alkit.__version__}\n")


def test_simulators_label_water_in_a_worker():
    found = {one.name: one for one in examine(["simulators"], "sqlite:///mlflow.db")}
    tried = [found[name] for name in ("xtb", "tblite") if found[name].state != "not here"]
    assert tried
    assert all((one.state, one.fix) == ("works", "") for one in tried)
    assert all("water -14.0403 eV" in one.said for one in tried)


def test_where_all_works_the_exit_code_is_0(capsys, mlflow_uri):
    code, said = _doctor(capsys, "versions", "devices", "extras", "stores", "--tracking", mlflow_uri)
    assert code == 0
    assert "Whatever is installed works." in said
    for words in ("torch", "cores", "label cache", "made when it is needed", "experiments", "GB are free"):
        assert words in said


def test_what_is_broken_is_named_with_its_fix(capsys, tmp_path, monkeypatch):
    (tmp_path / "labels.sqlite").write_text("no database " * 100)
    (tmp_path / "file").write_text("no folder")
    store = f"sqlite:///{tmp_path}/file/mlflow.db"
    code, said = _doctor(capsys, "stores", "--tracking", store)
    assert code == 1
    assert "2 broken." in said
    assert f"To repair label cache: move {tmp_path}/labels.sqlite away, or set ALKIT_LABEL_CACHE" in said
    assert f"To repair MLflow: mlflow db upgrade {store}, or another tracking.uri" in said


def test_an_older_store_of_mlflow_is_named(mlflow_uri, tmp_path, capsys):
    with sqlite3.connect(tmp_path / "mlflow.db") as store:
        store.execute("UPDATE alembic_version SET version_num = '451aebb31d03'")  # of an early MLflow
    code, said = _doctor(capsys, "stores", "--tracking", mlflow_uri)
    assert code == 1
    assert "mlflow db upgrade" in said


def test_looking_makes_nothing(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert _doctor(capsys, "stores")[0] == 0
    assert list(tmp_path.iterdir()) == []


def test_another_part(tmp_path):
    with pytest.raises(ConfigError, match="nearest valid name is 'stores'"):
        list(examine(["store"], "sqlite:///mlflow.db"))
