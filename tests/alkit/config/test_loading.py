"""alkit.config.loading: paths of a campaign file."""

import json
from pathlib import Path

import pytest

from alkit.campaign import Campaign
from alkit.errors import ConfigError


@pytest.mark.parametrize("bad", ["loop", "~nobody-of-that-name/x", "a\0b"])
@pytest.mark.parametrize(
    "config",
    [
        {"seeds": "{}"},
        {"dataset": "{}"},
        {"folder": "{}"},
        {"proposer": {"kind": "pool", "file": "{}"}},
        {"simulator": {"kind": "xtb", "cache": "{}"}},
        {"simulator": {"kind": "{}.py:Mine"}},
        {"acquisition": "{}.py:score"},
    ],
)
def test_paths_that_lead_nowhere_are_one_sentence(
    config: dict, bad: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("loop", "loop.py"):
        (tmp_path / name).symlink_to(tmp_path / name)
    filled = json.loads(json.dumps(config).replace("{}", json.dumps(bad)[1:-1]))
    with pytest.raises(ConfigError):
        Campaign({"name": "x", "proposer": "generator"} | filled).check()


@pytest.mark.parametrize(
    "config",
    [
        {"surrogate": {"members": 10**9}},
        {"surrogate": {"epochs": 10**20}},
        {"surrogate": {"lr": 1e300}},
        {"surrogate": {"cutoff": 1e300}},
        {"surrogate": {"conformers": 10**14}},
        {"simulator": {"kind": "xtb", "workers": 10**9}},
        {"simulator": {"kind": "xtb", "memory_limit": float("inf")}},
        {"name": "x" * 5000},
    ],
)
def test_settings_that_no_machine_can_keep_are_refused(config: dict) -> None:
    with pytest.raises(ConfigError, match=r"at most|less than or equal"):
        Campaign({"name": "x", "proposer": "generator"} | config)
