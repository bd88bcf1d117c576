"""alkit.campaign.acquired: intervals of the molecules that selection takes."""

import csv
import math

import numpy as np
import pytest

from alkit.campaign import acquired
from alkit.campaign.campaign import Campaign, open_campaign
from alkit.reporting.verdicts import acquired_verdict


def test_widened_intervals_hold_what_is_drawn_alike() -> None:
    rng = np.random.default_rng(0)
    held = []
    for _ in range(400):
        earlier, new = np.abs(rng.standard_t(4, 60)), np.abs(rng.standard_t(4, 60))
        held.append((new <= acquired.widening_of(earlier)).mean())
    assert np.mean(held) == pytest.approx(0.9, abs=0.015)


def test_nothing_is_widened_by_too_few() -> None:
    assert acquired.widening_of(np.full(8, 1.0)) == math.inf
    assert acquired.widening_of(np.arange(9.0)) == 8.0


@pytest.mark.campaign
def test_the_intervals_of_acquired_molecules_are_judged_by_their_labels(tiny, tmp_path) -> None:
    tiny |= {"batch_size": 10, "stop": {"rounds": 2}}
    Campaign(tiny).run()
    ledger = open_campaign(tmp_path / "run")[1]
    metrics = ledger.metrics()
    assert "acquired_coverage_90" not in metrics[0]
    assert "acquired_widening" not in metrics[1]
    scores = []
    for row, round_ in zip(metrics[1:], (1, 2), strict=True):
        predictions = np.load(tmp_path / f"run/rounds/{round_:02d}/predictions.npz")
        values = {c.id: v for c, v in ledger.labelled("training") if c.round == round_}
        mine = [k for k, number in enumerate(predictions["ids"]) if int(number) in values]
        labels = np.array([values[int(predictions["ids"][k])] for k in mine])
        errors = np.abs(labels - predictions["samples"].mean(axis=0)[mine])
        scores.append(errors / predictions["half_widths"][mine])
        assert row["acquired_coverage_90"] == pytest.approx((scores[-1] <= 1).mean())
        with (tmp_path / f"run/rounds/{round_:02d}/acquired_predictions.csv").open() as file:
            assert len(list(csv.DictReader(file))) == len(mine)
    ledger.close()
    if len(scores[0]) >= 9:
        assert metrics[2]["acquired_widening"] == pytest.approx(acquired.widening_of(scores[0]))
    assert "of the last batch's labels lay in their 90 % interval" in acquired_verdict(metrics)
    assert acquired_verdict(metrics[:1]) == ""
