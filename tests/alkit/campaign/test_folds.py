"""Campaigns without a validation set: every label is learned from, and errors are out of fold."""

import csv

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
