"""alkit.campaign.guard: what says that a campaign goes astray."""

import csv
from types import SimpleNamespace

import numpy as np
import pytest

from alkit.campaign import guard
from alkit.campaign.campaign import Campaign, open_campaign
from alkit.molecules.enumeration import seed_molecules
from alkit.properties import ENERGY
from alkit.reporting.verdicts import guard_verdict


class State:
    """Rounds whose files lie in a folder."""

    ledger = SimpleNamespace(quantity=ENERGY)

    def __init__(self, folder, round_):
        self.folder, self.round = folder, round_

    def path(self, name, *, round_=None):
        return self.folder / f"{self.round if round_ is None else round_}_{name}"


def write(state, errors, round_) -> None:
    with state.path(guard.VALIDATION_FILE, round_=round_).open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["smiles", "label_eV", "prediction_eV"])
        rows.writerows(("C", 1.0, 1.0 + error) for error in errors)


def test_a_risen_validation_error_is_seen(tmp_path) -> None:
    state, draw = State(tmp_path, 2), np.random.default_rng(0)
    before = np.abs(draw.normal(0.1, 0.03, 40))
    write(state, before + 0.05, 0)
    write(state, before, 1)
    write(state, before + draw.normal(0.03, 0.02, 40), 2)
    rise = guard._rise(state)
    assert rise is not None
    assert rise < 1e-6
    assert "the validation error is larger than in an earlier round" in guard_verdict(
        [{"validation_rise": rise}]
    )
    write(state, before - draw.normal(0.01, 0.02, 40), 2)
    fallen = guard._rise(state)
    assert fallen is not None
    assert fallen > 0.5
    assert guard_verdict([{"validation_rise": fallen}]) == ""


def test_nothing_is_said_without_an_earlier_round(tmp_path) -> None:
    state = State(tmp_path, 0)
    write(state, [0.1, 0.2], 0)
    assert guard._rise(state) is None
    assert guard._rise(State(tmp_path, 5)) is None  # of an earlier revision


@pytest.mark.campaign
def test_labels_outside_of_the_target_are_counted(tiny, tmp_path) -> None:
    """A campaign that acquires fluorinated molecules, and aims at hydrocarbons."""
    hydrocarbons = [one for one in seed_molecules() if not set(one) - set("C=#()12")][:60]
    (tmp_path / "aim.smi").write_text("\n".join(hydrocarbons))
    fluorides = ["FC(F)F", "FCF", "FC(F)(F)C", "FCC", "FCCF", "FC(F)C", "FC(F)CF", "FC#CF"]
    (tmp_path / "pool.smi").write_text("\n".join(fluorides))
    tiny |= {
        "target_set": {"kind": "file", "file": str(tmp_path / "aim.smi"), "count": 40},
        "domain": {"elements": ["H", "C", "N", "O", "F"], "max_heavy_atoms": 9},
        "proposer": {"kind": "pool", "file": str(tmp_path / "pool.smi")},
        "batch_size": 6,
        "start": {"training": 12, "validation": 5, "test": 5},
    }

    def fluorinated(pool, context):
        return [smiles.count("F") for smiles in pool.smiles]

    result = Campaign(tiny, acquisition=fluorinated).run()
    _, ledger = open_campaign(result.folder)
    test = [c.smiles for c in ledger.candidates(role="test")]
    assert not any("F" in smiles for smiles in test)  # what is tested is the target
    found = result.metrics[-1]
    assert found.outside_target > 0.5
    assert "of the acquired molecules lie outside of the target set" in guard_verdict(result.metrics)
    assert found.validation_size == 5
    assert found.validation_error > 0
