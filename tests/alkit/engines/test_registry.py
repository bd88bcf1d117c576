"""alkit.engines: an engine by name."""

import subprocess
import sys
from typing import get_args

import pytest

from alkit.config.words import Engine
from alkit.engines import ENGINES, LocalEngine, create_engine
from alkit.errors import AlkitError, ConfigError
from alkit.simulators import SimulatorSpec


def test_the_package_loads_neither_parsl_nor_dask_nor_torch() -> None:
    code = (
        "import alkit.engines, sys; print([m for m in ('parsl', 'dask', 'distributed', 'torch', 'rdkit') "
        "if m in sys.modules])"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"


def test_local_takes_its_settings_and_ignores_the_others(spec: SimulatorSpec) -> None:
    with create_engine(
        spec,
        workers=3,
        timeout=5,
        memory_limit=2,
        labels_per_worker=7,
        parsl="no.py:config",
        dask="tcp://no:1",
    ) as engine:
        assert isinstance(engine, LocalEngine)
        assert engine.workers == 3
        assert (engine.settings.timeout, engine.settings.memory_limit) == (5, 2)
        assert engine.settings.labels_per_worker == 7


def test_unknown_engines_and_missing_packages_are_the_users_to_mend(
    spec: SimulatorSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ConfigError, match=r"no engine 'slurm'.*dask, local, parsl"):
        create_engine(spec, "slurm")
    for kind, package in (("parsl", "parsl"), ("dask", "distributed")):
        # An earlier test of this process may have imported it already, and what needs it.
        for name in {package, *(one for one in sys.modules if one.startswith(f"{package}."))}:
            monkeypatch.setitem(sys.modules, name, None)
        monkeypatch.delitem(sys.modules, f"alkit.engines.{kind}", raising=False)
        with pytest.raises(ConfigError, match=rf"pip install 'alkit\[{kind}\]'"):
            create_engine(spec, kind)


def test_a_parsl_config_that_is_none_is_refused(spec: SimulatorSpec, tmp_path) -> None:
    pytest.importorskip("parsl")
    file = tmp_path / "cluster.py"
    file.write_text("number = 3\ndef fails():\n    raise KeyError('account')\n")
    for name, words in (
        ("slurm", "path/file.py:name"),
        (f"{file}:number", "is a int; it must be a parsl Config"),
        (f"{file}:fails", "fails: KeyError: 'account'"),
        (f"{file}:config", "has no 'config'"),
    ):
        with pytest.raises(ConfigError, match=words):
            create_engine(spec, "parsl", parsl=name)


def test_no_dask_scheduler_is_said(spec: SimulatorSpec, monkeypatch: pytest.MonkeyPatch, tmp_path) -> None:
    pytest.importorskip("distributed")
    from alkit.engines import dask

    monkeypatch.setattr(dask, "_SECONDS_TO_CONNECT", 1)
    for address in ("tcp://127.0.0.1:9", "nonsense://x", str(tmp_path / "scheduler.json")):
        with pytest.raises(ConfigError, match="no Dask scheduler answers at"):
            create_engine(spec, "dask", dask=address)


def test_numbers_are_checked_before_anything_starts(spec: SimulatorSpec) -> None:
    for kind, package in (("parsl", "parsl"), ("dask", "distributed")):
        pytest.importorskip(package)
        with pytest.raises(AlkitError, match="memory_limit"):
            create_engine(spec, kind, memory_limit=0.01)


def test_the_words_of_the_campaign_file_are_the_engines() -> None:
    assert get_args(Engine) == ENGINES
