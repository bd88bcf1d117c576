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
