"""What several tests share: a small real campaign, and an MLflow database whose tables are made once."""

import os

# Before a test module loads numpy, scikit-learn or torch: they read it once. Threads that spin while they
# wait make two test processes on two cores three times as slow.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("OPENBLAS_THREAD_TIMEOUT", "4")
if int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1")) > 1:  # each of the test processes has a core
    os.environ.setdefault("OMP_NUM_THREADS", "1")

import fcntl
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A test that asks for the campaign `tiny` carries the marker `campaign`: it runs a real one."""
    for item in items:
        if "tiny" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.campaign)


@pytest.fixture(scope="session")
def make_once(tmp_path_factory) -> Callable[[str, Callable[[Path], None]], Path]:
    """``make_once(name, make)``: a folder that ``make`` has filled, for all processes of the run together."""
    base = tmp_path_factory.getbasetemp()
    shared = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base

    def once(name: str, make: Callable[[Path], None]) -> Path:
        folder = shared / name
        with (shared / f"{name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not folder.exists():
                part = Path(tempfile.mkdtemp(dir=shared))
                make(part)
                part.rename(folder)
        return folder

    return once


@pytest.fixture(scope="session")
def _mlflow_database(make_once) -> Path:
    from alkit.reporting.tracking import Tracker

    def make(folder: Path) -> None:
        Tracker(f"sqlite:///{folder / 'mlflow.db'}", "unused")  # making the tables takes seconds

    return make_once("mlflow", make) / "mlflow.db"


@pytest.fixture(autouse=True)
def _own_label_cache(tmp_path, monkeypatch) -> None:
    """No test reads or leaves labels outside its folder."""
    monkeypatch.setenv("ALKIT_LABEL_CACHE", str(tmp_path / "labels.sqlite"))


@pytest.fixture
def mlflow_uri(_mlflow_database, tmp_path) -> str:
    """A database of the test's own."""
    shutil.copy(_mlflow_database, tmp_path / "mlflow.db")
    return f"sqlite:///{tmp_path / 'mlflow.db'}"


@pytest.fixture
def tiny(tmp_path, mlflow_uri) -> dict:
    """A campaign with every real part (GFN2-xTB, SchNet, GAN, MLflow), as small as they go."""
    from campaign_files import small_seeds

    return {
        "name": "tiny",
        "seed": 3,
        "folder": str(tmp_path / "run"),
        "target": "energy",
        "seeds": str(small_seeds(tmp_path)),
        "domain": {"elements": ["H", "C", "N", "O", "F"], "max_heavy_atoms": 5},
        "start": {"training": 12, "validation": 5, "test": 6},
        "target_set": "none",
        "proposer": {
            "kind": "generator",
            "per_round": 30,
            "steps": 20,
            "steps_per_round": 5,
            "adversarial_steps": 2,
            "steering": 0,
        },
        "surrogate": {"members": 2, "features": 16, "interactions": 1, "epochs": 4, "batch_size": 8},
        "acquisition": "lcmd",
        "batch_size": 4,
        "simulator": {"kind": "xtb", "cache": "none"},
        "stop": {"rounds": 1},
        "tracking": {"uri": mlflow_uri},
    }


@pytest.fixture
def write_config(tmp_path):
    """Write a campaign file; returns its path."""

    def write(config: dict, name: str = "campaign.yaml") -> Path:
        path = tmp_path / name
        path.write_text(yaml.safe_dump(config, sort_keys=False))
        return path

    return write
