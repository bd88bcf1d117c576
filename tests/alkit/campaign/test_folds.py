"""Campaigns without a validation set: every label is learned from, and errors are out of fold."""

import contextlib
import csv

import numpy as np
import pytest

from alkit.campaign.campaign import Campaign, open_campaign
from alkit.config.loading import load_config
from alkit.errors import ConfigError

FOLDED = {"training": 14, "validation": 0, "test": 6}


@pytest.mark.campaign
def test_a_campaign_without_validation_set_runs_and_stops_by_errors_out_of_fold(tiny, tmp_path) -> None:
    tiny |= {"start": FOLDED, "stop": {"rounds": 3, "mae": 100.0, "confidence": 0.9}}
    tiny["surrogate"]["members"] = 6
    result = Campaign(tiny).run()
    assert "reached the target of 100 eV" in result.stopped_by
    ledger = open_campaign(tmp_path / "run")[1]
    (metrics,) = ledger.metrics()
    assert metrics["labels"] == metrics["validation_size"] == 14
    with (tmp_path / "run/rounds/00/validation_predictions.csv").open() as file:
        rows = list(csv.DictReader(file))
    drawn = [c.smiles for c, _ in ledger.labelled("training")]
    assert [row["smiles"] for row in rows] == drawn
    errors = [abs(float(row["label_eV"]) - float(row["prediction_eV"])) for row in rows]
    # What all six members have is less than what two have.
    assert 0.5 * sum(errors) / 14 < metrics["validation_mae"] <= sum(errors) / 14
    ledger.close()


@pytest.mark.campaign
def test_what_was_acquired_is_learned_from_and_judges_nothing(tiny, tmp_path) -> None:
    tiny |= {"start": FOLDED}
    tiny["surrogate"] |= {"members": 3, "warm_start": True}
    Campaign(tiny).run()
    ledger = open_campaign(tmp_path / "run")[1]
    first, second = ledger.metrics()
    assert second["labels"] > 14
    assert first["validation_size"] == second["validation_size"] == 14
    assert "validation_rise" in second
    ledger.close()


@pytest.mark.parametrize(
    ("start", "members", "said"),
    [
        ({"validation": 3}, 3, "validation is 3; give 5 or more, or 0"),
        ({"validation": 0}, 2, "surrogate.members is 2: give 3 to 12"),
        ({"validation": 0}, 13, "surrogate.members is 13: give 3 to 12"),
    ],
)
def test_what_cannot_be_folds_is_refused(start, members, said, tiny, write_config) -> None:
    tiny["start"] |= start
    tiny["surrogate"]["members"] = members
    with pytest.raises(ConfigError, match=said):
        load_config(write_config(tiny))


@pytest.mark.campaign
def test_a_campaign_of_one_network_with_several_heads(tiny, tmp_path) -> None:
    tiny["surrogate"]["members"] = {"heads": 4}
    Campaign(tiny).run()
    predictions = np.load(tmp_path / "run/rounds/01/predictions.npz")
    assert len(predictions["samples"]) == 4
    with contextlib.closing(open_campaign(tmp_path / "run")[1]) as ledger:
        assert all(metrics["mae"] > 0 for metrics in ledger.metrics())


def test_a_spread_that_folds_do_not_leave_is_refused(tiny, write_config) -> None:
    tiny["start"] |= FOLDED
    tiny["surrogate"] |= {"members": 5, "uncertainty": ["ensemble"]}
    with pytest.raises(ConfigError, match="add gp, or give 6 members"):
        load_config(write_config(tiny))


@pytest.mark.parametrize(
    ("members", "said"),
    [
        (1, "members is 1, which has no spread"),
        ({"heads": 1}, "members is 1, which has no spread"),
        ({"networks": 3}, "names the heads"),
        ({"heads": 4, "trunks": 2}, "members has 'trunks'"),
    ],
)
def test_members_that_cannot_be_are_refused(members, said, tiny, write_config) -> None:
    tiny["surrogate"]["members"] = members
    with pytest.raises(ConfigError, match=said):
        load_config(write_config(tiny))
