"""alkit.campaign.folder: what may change while a campaign is under way, and a campaign that goes on."""

import sqlite3
from pathlib import Path

import mlflow
import numpy as np
import pytest

from alkit.campaign.campaign import Campaign, open_campaign
from alkit.config.loading import may_change
from alkit.errors import CampaignError, ConfigError


def contents(folder: Path) -> dict[str, list]:
    """What the ledger holds, but for times."""
    queries = {
        "candidates": "SELECT * FROM candidates ORDER BY id",
        "labels": "SELECT smiles, method, property, unit, value, numbers, positions FROM labels "
        "ORDER BY smiles",
        "geometries": "SELECT * FROM geometries ORDER BY smiles",
        "stages": "SELECT round, stage FROM stages ORDER BY round, stage",
        "origins": "SELECT * FROM origins ORDER BY candidate",
    }
    db = sqlite3.connect(folder / "ledger.sqlite")
    found = {name: db.execute(query).fetchall() for name, query in queries.items()}
    db.close()
    return found


def metric_values(folder: Path) -> np.ndarray:
    db = sqlite3.connect(folder / "ledger.sqlite")
    values = [row[0] for row in db.execute("SELECT value FROM metrics ORDER BY round, name")]
    db.close()
    return np.array(values)


@pytest.mark.parametrize(
    ("key", "free"),
    [
        ("stop.rounds", True),
        ("acquisition.settings.beta", True),
        ("batch_size", True),
        ("tracking.uri", True),
        ("simulator.workers", True),
        ("simulator.kind", False),
        ("simulator.settings.fmax", False),
        ("surrogate.batch_size", False),
        ("seed", False),
        ("stopped", False),
    ],
)
def test_what_no_past_result_depends_on_may_change(key, free):
    assert may_change(key) == free


def test_a_finished_campaign_goes_on_and_ends_as_if_it_had_never_ended(tiny, write_config, tmp_path):
    first = Campaign(write_config(tiny)).run()
    longer = write_config(tiny | {"stop": {"rounds": 2}}, "longer.yaml")
    result = Campaign(longer).run()
    assert (first.stopped_by, result.stopped_by) == ("round 1 of 1 is done", "round 2 of 2 is done")
    assert not result.already_finished
    again = Campaign(write_config(tiny)).run()  # the earlier file: there is nothing left to do
    assert (again.already_finished, again.stopped_by) == (True, "round 2 of 2 is done")

    whole = Campaign(tiny | {"stop": {"rounds": 2}, "folder": str(tmp_path / "whole")}).run()
    assert contents(result.folder) == contents(whole.folder)
    np.testing.assert_allclose(metric_values(result.folder), metric_values(whole.folder), rtol=1e-6)
    config, ledger = open_campaign(result.folder)
    assert ledger.changes() == [(2, "stop.rounds: 1 -> 2")]
    assert config.stop.rounds == 2
    assert "stop.rounds: 1 -&gt; 2 from round 2 on" in (result.folder / "report.html").read_text()


def test_selection_and_tracking_may_change_between_rounds(tiny, tmp_path):
    Campaign(tiny).run()
    store = f"sqlite:///{tmp_path / 'other.db'}"
    changed = tiny | {
        "stop": {"rounds": 2},
        "batch_size": 6,
        "acquisition": "std",
        "tracking": {"uri": store, "experiment": "later"},
    }
    result = Campaign(changed).run()
    assert [row["labels"] for row in result.metrics] == [17, 21, 27]
    _, ledger = open_campaign(result.folder)
    assert [change for _, change in ledger.changes()][:3] == [
        "acquisition.name: lcmd -> std",
        "batch_size: 4 -> 6",
        "stop.rounds: 1 -> 2",
    ]
    client = mlflow.MlflowClient(store)
    runs = client.search_runs([client.get_experiment_by_name("later").experiment_id])
    (parent,) = [run.info.run_id for run in runs if "mlflow.parentRunId" not in run.data.tags]
    assert [point.step for point in client.get_metric_history(parent, "mae")] == [17, 21, 27]


def test_a_change_that_cannot_work_changes_nothing(tiny):
    Campaign(tiny).run()
    before = open_campaign(Path(tiny["folder"]))[0]
    with pytest.raises(ConfigError, match="'lcmd'"):
        Campaign(tiny | {"acquisition": "lmcd", "stop": {"rounds": 2}}).run()
    surrogate = tiny["surrogate"] | {"epochs": 5}
    with pytest.raises(CampaignError, match=r"config \(surrogate.epochs: 4 -> 5\)"):
        Campaign(tiny | {"surrogate": surrogate, "stop": {"rounds": 2}}).run()
    config, ledger = open_campaign(Path(tiny["folder"]))
    assert config.as_dict() == before.as_dict()
    assert ledger.changes() == []
    assert ledger.meta("stopped_by") == "round 1 of 1 is done"
