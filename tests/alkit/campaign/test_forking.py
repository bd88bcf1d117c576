"""alkit.campaign.forking: another campaign from a round of one that exists."""

import shutil
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from alkit.campaign.campaign import Campaign, open_campaign
from alkit.campaign.forking import fork
from alkit.cli.app import app
from alkit.errors import CampaignError
from alkit.storage.ledger import Ledger

from .test_folder import contents, metric_values

pytestmark = pytest.mark.campaign


def test_a_fork_goes_on_as_the_campaign_did(tiny, write_config, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    tiny["proposer"]["steering"] = 1.0
    result = Campaign(write_config(tiny | {"stop": {"rounds": 2}})).run()
    whole, values = contents(result.folder), metric_values(result.folder)
    done = CliRunner().invoke(app, ["campaign", "fork", str(result.folder), "other", "--round", "1"])
    assert done.exit_code == 0, done.output
    assert "other begins after round 1" in done.stdout

    config, ledger = open_campaign(Path("other"))
    assert (config.name, [row.round for row in ledger.metrics()]) == ("other", [0, 1])
    assert max(c.round for c in ledger.candidates()) == 1
    ledger.close()
    again = Campaign("other/campaign.yaml").run()
    assert contents(again.folder) == whole
    np.testing.assert_allclose(metric_values(again.folder), values, rtol=1e-6)
    assert "forked from" in (again.folder / "report.html").read_text()
    assert contents(result.folder) == whole  # which is untouched

    fork(result.folder, tmp_path / "third", 1)
    changed = Campaign.__new__(Campaign)
    changed.__init__("third/campaign.yaml")
    other = Campaign(changed.config.model_copy(update={"batch_size": 6})).run()
    assert [row["labels"] for row in other.metrics] == [17, 21, 27]
    with closing(Ledger(other.folder / "ledger.sqlite", read_only=True)) as ledger:
        assert ledger.changes() == [(2, "batch_size: 4 -> 6")]


def test_what_cannot_be_forked_leaves_nothing(tiny, tmp_path):
    with pytest.raises(CampaignError, match="is not a campaign's folder"):
        fork(tmp_path / "none", tmp_path / "new")
    result = Campaign(tiny).run()
    with pytest.raises(CampaignError, match="there is no round 5; evaluated rounds are 0 to 1"):
        fork(result.folder, tmp_path / "new", 5)
    with pytest.raises(CampaignError, match="exists already"):
        fork(result.folder, result.folder)
    with pytest.raises(CampaignError, match="names no campaign"):
        fork(result.folder, tmp_path / "my new one")
    assert not list(tmp_path.glob("new*"))
    assert not list(tmp_path.glob(".fork*"))
    assert fork(result.folder, tmp_path / "new") == 1
    shutil.rmtree(tmp_path / "new")
