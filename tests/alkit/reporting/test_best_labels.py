"""alkit.reporting.best_labels: the lowest labels, and the front of a real campaign with two wishes."""

import numpy as np
import pytest

from alkit.campaign import Campaign
from alkit.config.schema import CampaignConfig
from alkit.descriptors import descriptor_value
from alkit.reporting.best_labels import best_labels, front_of
from alkit.reporting.campaign_report import write_report
from alkit.simulators.base import Label, Level
from alkit.storage.ledger import Ledger


def area(points: np.ndarray, reference: np.ndarray) -> float:
    """By a fine grid over the rectangle that holds the front: no formula for volumes."""
    top = points.max(axis=0)
    axes = [np.linspace(low, high, 801) for low, high in zip(reference, top, strict=True)]
    middle = [(axis[1:] + axis[:-1]) / 2 for axis in axes]
    covered = np.zeros((800, 800), dtype=bool)
    for x, y in points:
        covered |= (middle[0][:, None] < x) & (middle[1][None] < y)
    return float(covered.mean() * np.prod(top - reference))


def test_the_front_of_a_campaign_with_two_wishes(tiny, tmp_path) -> None:
    objectives = {"label": "minimise", "QED": "maximise"}
    settings = {"objectives": objectives, "per_heavy_atom": True}
    tiny["acquisition"] = {"name": "pareto", "settings": settings}
    tiny["proposer"] = {"kind": "pool"}
    Campaign(tiny).run()
    with_two = CampaignConfig.model_validate(tiny)
    ledger = Ledger(tmp_path / "run" / "ledger.sqlite", read_only=True)
    front = front_of(ledger, with_two)
    assert front is not None
    assert front.headings == ("label, eV per heavy atom", "QED")
    assert len(front.candidates) == 12 + 5 + 4
    smiles = [one.smiles for one in front.candidates]
    assert front.values[:, 1] == pytest.approx([descriptor_value(one, "QED") for one in smiles])
    gains = front.values * [-1, 1]
    beaten = [((gains >= row).all(axis=1) & (gains > row).any(axis=1)).any() for row in gains]
    assert front.best.tolist() == [not one for one in beaten]
    assert [row[0] for row in front.table().rows] == [
        smiles[k] for k in np.argsort(front.values[:, 0]) if front.best[k]
    ]
    start = np.array([one.round == 0 for one in front.candidates])
    reference = gains[start].min(axis=0)
    assert front.volumes[0] == pytest.approx(area(gains[start], reference), rel=0.01)
    assert front.volumes[1] == pytest.approx(area(gains, reference), rel=0.01)
    assert front.volumes[1] >= front.volumes[0]
    page = (tmp_path / "run" / "report.html").read_text()
    assert "Pareto front" in page
    assert front.table().rows[0][0] in page
    assert (tmp_path / "run" / "plots" / "front.png").stat().st_size > 10_000
    (tmp_path / "run" / "plots" / "front.png").unlink()
    write_report(ledger, with_two, tmp_path / "run")
    assert (tmp_path / "run" / "plots" / "front.png").exists()
    assert front_of(ledger, CampaignConfig.model_validate(tiny | {"acquisition": "lcmd"})) is None
    ledger.close()


def test_the_best_labels_are_those_that_count(tiny, tmp_path):
    config = CampaignConfig.model_validate(tiny)
    ledger, level = Ledger(tmp_path / "ledger.sqlite"), Level("M", "energy", "eV")
    assert best_labels(ledger, config, 0) == {"best": "–", "best_per_heavy_atom": "–"}
    ledger.level = level
    at, given = np.zeros((1, 3)), [(0, "C", -17.0), (0, "CCC", -43.0), (1, "CCCCO", -60.0), (1, "CC", -30.0)]
    for k, (round_, smiles, value) in enumerate(given):
        role = "test" if k == 3 else ("training", "validation")[k % 2]
        ledger.add_candidates(round_, [smiles], status="labelled", role=role)
        ledger.add_label(Label(smiles, value, level, {}, np.array([6]), at, 1.0))
    assert best_labels(ledger, config, 0) == {"best": "-43.00", "best_per_heavy_atom": "-17.000"}
    assert best_labels(ledger, config, 1) == {"best": "-60.00", "best_per_heavy_atom": "-17.000"}
    highest = tiny | {"acquisition": {"name": "log_ei", "settings": {"minimise": False}}}
    best = best_labels(ledger, CampaignConfig.model_validate(highest), 1)
    assert best == {"best": "-17.00", "best_per_heavy_atom": "-12.000"}
