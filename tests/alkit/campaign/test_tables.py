"""alkit.campaign.tables, steps and objects: a real campaign, a step at a time, and what it says of itself."""

import os
import pickle
import sqlite3

import numpy as np
import pandas
import pytest
import yaml
from ase import Atoms
from ase.build import molecule
from campaign_files import small_seeds

from alkit.acquisition.base import resolve
from alkit.campaign import Campaign
from alkit.errors import CampaignError, ConfigError, DataError
from alkit.storage.ledger import Ledger

PROPOSED = ["CCO", "CCCN", "CC=O", "OCCO", "CCCF", "CCC#N", "C1CC1O", "CNC", "COC=O", "C1CC", "CO"]


def propose(n, context):
    return PROPOSED


def score(pool, context):
    return pool.std - 1e-3 * len(context.smiles)


@pytest.fixture(scope="module")
def settings(tmp_path_factory) -> dict:
    folder = tmp_path_factory.mktemp("steps")
    return {
        "name": "steps",
        "seed": 3,
        "folder": str(folder / "run"),
        "target": "energy",
        "seeds": str(small_seeds(folder)),
        "start": {"training": 12, "validation": 9, "test": 6},
        "target_set": "none",
        "surrogate": {"members": 2, "features": 16, "interactions": 1, "epochs": 4, "batch_size": 8},
        "batch_size": 4,
        "simulator": {"kind": "xtb", "cache": "none"},
        "stop": {"rounds": 1},
        "tracking": {"uri": f"sqlite:///{folder / 'mlflow.db'}"},
    }


@pytest.fixture(scope="module")
def stepped(settings) -> tuple[list, list, Campaign]:
    """What each step gave back, the stages called back, and the campaign."""
    events: list = []
    campaign = Campaign(settings, acquisition=score, proposer=propose, callbacks=[events.append])
    results = [campaign.step("stage"), campaign.step(), campaign.step("stage")]
    while not results[-1].stopped_by:
        results.append(campaign.step())
    return results, events, campaign


pytestmark = pytest.mark.campaign


def test_steps_stop_where_they_should(stepped) -> None:
    results, events, campaign = stepped
    stages = [(event.round, event.stage) for event in events]
    assert stages[:4] == [(0, "start"), (0, "train"), (0, "evaluate"), (1, "propose")]
    assert stages[4:] == [(1, s) for s in ("screen", "predict", "acquire", "label", "train", "evaluate")]
    assert [len(result.metrics) for result in results] == [0, 1, 1, 2]
    assert [result.stopped_by for result in results] == ["", "", "", "round 1 of 1 is done"]
    assert [event.metrics is not None for event in events] == [s == "evaluate" for _, s in stages]
    assert events[-1].metrics.mae == results[-1].metrics[-1].mae
    assert all(event.seconds > 0 and event.folder == campaign.folder for event in events)
    assert campaign.step().already_finished
    with pytest.raises(ConfigError, match="'stage' or 'round', not 'rounds'"):
        campaign.step("rounds")


def test_a_campaign_in_steps_ends_as_one_in_a_go(stepped, settings, tmp_path) -> None:
    _, _, campaign = stepped
    whole = Campaign(settings | {"folder": str(tmp_path / "whole")}, acquisition=score, proposer=propose)
    metrics = whole.run().metrics
    assert [dict(row) for row in metrics] == [dict(row) for row in campaign.run().metrics]
    columns = ["round", "smiles", "status", "reason", "role", "value", "hash", "origin"]
    pandas.testing.assert_frame_equal(whole.candidates()[columns], campaign.candidates()[columns])


def test_tables_say_what_the_ledger_holds(stepped) -> None:
    _, _, campaign = stepped
    database = sqlite3.connect(campaign.folder / "ledger.sqlite")
    with Campaign.open(campaign.folder) as opened:
        results, candidates, labels = opened.results(), opened.candidates(), opened.labels()
    assert results["round"].tolist() == [0, 1]
    assert results.labels.tolist() == [21, 25]
    rows = database.execute("SELECT id, smiles, status, reason FROM candidates ORDER BY id").fetchall()
    assert list(candidates[["id", "smiles", "status", "reason"]].itertuples(index=False, name=None)) == rows
    energies = dict(database.execute("SELECT smiles, value FROM labels"))
    assert dict(zip(labels.smiles, labels.energy_eV, strict=True)) == energies
    assert labels.role.value_counts().to_dict() == {"training": 16, "validation": 9, "test": 6}
    assert all(isinstance(one, Atoms) for one in labels.atoms)
    assert labels.method.unique().tolist() == ["GFN2-xTB"]
    database.close()


def test_predictions_are_those_of_the_surrogate(stepped) -> None:
    _, _, campaign = stepped
    found = campaign.predict(["CCO", "C1CC", "CC(C)=O", "[NH4+]"])
    assert found.smiles.tolist() == ["CCO", "C1CC", "CC(C)=O", "[NH4+]"]
    assert found.prediction_eV.notna().tolist() == [True, False, True, False]
    assert "not a SMILES" in found.reason[1]
    assert found.low_90_eV[0] < found.prediction_eV[0] < found.high_90_eV[0]
    of_atoms = campaign.predict([molecule("CH3OH"), molecule("C2H6")])
    pandas.testing.assert_frame_equal(of_atoms, campaign.predict(["CO", "CC"]))
    pandas.testing.assert_frame_equal(campaign.predict("CO"), campaign.predict(iter(["CO"])))
    many = campaign.predict(["CO", "CCO"] * 10)  # in worker processes
    assert np.allclose(many.prediction_eV[:2], campaign.predict(["CO", "CCO"]).prediction_eV)
    assert campaign.predict([]).empty
    assert "members" in repr(campaign.model)
    assert len(repr(campaign.model)) < 200
    with pytest.raises(DataError, match="int is neither a SMILES nor ASE's Atoms"):
        campaign.predict([3])
    with pytest.raises(DataError, match="no bonds in the geometry of H2O"):
        campaign.predict(Atoms("OH2", [(0, 0, 0), (0, 0, 9), (0, 9, 0)]))


def test_values_are_what_the_batch_was_chosen_by(stepped, settings) -> None:
    _, _, campaign = stepped
    worth = campaign.acquisition_values()
    assert worth.value.is_monotonic_decreasing
    assert worth.acquired.tolist() == [True] * 4 + [False] * (len(worth) - 4)
    assert worth.value.to_numpy() == pytest.approx(worth.std_eV - 1e-3 * 21)  # labels before the round
    saved = pandas.read_csv(campaign.folder / "rounds" / "01" / "values.csv").set_index("smiles").value
    assert worth.value.tolist() == saved[worth.smiles].tolist()
    screened = campaign.candidates().query("round == 1 and status != 'rejected'")
    assert set(worth.smiles) == set(screened.smiles)
    by_mean = Campaign.open(campaign.folder, acquisition=resolve("ucb", {"beta": 0.0}))
    again = by_mean.acquisition_values(1)
    assert again.value.to_numpy() == pytest.approx(-again.prediction_eV)
    with pytest.raises(CampaignError, match="no predictions of round 7"):
        campaign.acquisition_values(7)
    with pytest.raises(ConfigError, match="acquisition score was given as a Python object"):
        Campaign.open(campaign.folder).acquisition_values()


def test_a_folder_of_objects_is_read_without_them_and_goes_on_with_them(stepped, settings) -> None:
    _, _, campaign = stepped
    opened = Campaign.open(str(campaign.folder))
    assert len(opened.results()) == 2
    with pytest.raises(ConfigError, match="proposer propose was given as a Python object; to go on, give it"):
        opened.run()
    again = Campaign.open(campaign.folder, acquisition=score, proposer=propose)
    assert again.run().already_finished
    with pytest.raises(ConfigError, match="The proposer propose was given as a Python object"):
        Campaign(yaml.safe_load((campaign.folder / "campaign.yaml").read_text()), acquisition=score).check()


def test_a_notebook_shows_tables(stepped) -> None:
    results, _, campaign = stepped
    shown = campaign._repr_html_()
    assert "<table" in shown
    assert "steps finished: round 1 of 1 is done." in shown
    assert "<table" in results[-1]._repr_html_()
    assert "goes on" in results[0]._repr_html_()
    new = Campaign({"name": "new", "proposer": "generator", "folder": str(campaign.folder / "nowhere")})
    assert "It has not begun." in new._repr_html_()


def test_a_folder_without_a_campaign_is_a_sentence(tmp_path, settings) -> None:
    with pytest.raises(CampaignError, match="is not a campaign's folder"):
        Campaign.open(tmp_path)
    new = Campaign(settings | {"folder": str(tmp_path / "new")}, proposer=propose)
    for read in (new.results, new.candidates, new.labels, new.acquisition_values):
        with pytest.raises(CampaignError, match="is not a campaign's folder"):
            read()
    with pytest.raises(CampaignError, match="no trained surrogate yet"):
        new.predict("CCO")
    with pytest.raises(CampaignError, match="no trained surrogate yet"):
        _ = new.model


def test_what_a_callback_raises_ends_the_run_and_loses_nothing(settings, tmp_path) -> None:
    given = settings | {"folder": str(tmp_path / "run"), "stop": {"rounds": 1}}

    def stop(event) -> None:
        if event.stage == "start":
            raise RuntimeError("enough")

    with pytest.raises(RuntimeError, match="enough"):
        Campaign(given, acquisition=score, proposer=propose, callbacks=[stop]).run()
    ledger = Ledger(tmp_path / "run" / "ledger.sqlite", read_only=True)
    assert ledger.finished(0, "start")
    assert len(ledger.labelled("training")) == 12
    ledger.close()
    events: list = []
    Campaign(given, acquisition=score, proposer=propose, callbacks=[events.append]).step("stage")
    assert [event.stage for event in events] == ["train"]


@pytest.mark.parametrize(
    ("objects", "sentence"),
    [
        ({"callbacks": [3]}, "callbacks holds something that cannot be called"),
        ({"simulator": object()}, "is no simulator: it needs a `level`"),
        ({"proposer": 3}, "a function propose"),
        ({"acquisition": 3}, "a function score"),
    ],
)
def test_an_object_that_cannot_be_is_a_sentence(settings, objects, sentence) -> None:
    with pytest.raises(ConfigError, match=sentence):
        Campaign({"proposer": "generator"} | settings, **objects)


def test_a_simulator_that_cannot_travel_is_a_sentence(settings) -> None:
    class Holding:
        def __init__(self) -> None:
            self.database = sqlite3.connect(":memory:")

    with pytest.raises(ConfigError, match=r"The simulator .*Holding cannot travel to the workers"):
        Campaign({"proposer": "generator"} | settings, simulator=Holding())


def test_a_proposer_that_invents_needs_labels_of_what_it_invents(settings, tmp_path) -> None:
    given = settings | {"simulator": {"kind": "lookup"}, "dataset": settings["seeds"]}
    with pytest.raises(ConfigError, match="proposer: custom proposes molecules that no data set holds"):
        Campaign(given | {"proposer": "pool"}, proposer=propose)


def shifted_xtb(shift: float):
    """A simulator whose class exists in this function alone, as one of a notebook does."""
    from alkit.simulators.xtb import XTBSimulator

    class Shifted(XTBSimulator):
        def label(self, molecule):
            from dataclasses import replace

            label = super().label(molecule)
            return replace(label, value=label.value + shift)

    return Shifted(target="energy")


def test_a_simulator_of_a_notebook_labels_in_workers_for_the_twin_too(stepped, settings, tmp_path) -> None:
    _, _, plain = stepped
    given = settings | {"folder": str(tmp_path / "run"), "twin": "random"}
    given["simulator"] = {"kind": "xtb"}  # with the shared cache, which takes no part
    campaign = Campaign(given, acquisition=score, proposer=propose, simulator=shifted_xtb(-0.125))
    assert campaign.config.simulator.kind.startswith("python:shifted_xtb.")
    result = campaign.run()
    assert result.stopped_by
    labels, expected = campaign.labels(), plain.labels().set_index("smiles").energy_eV
    start = labels[labels["round"] == 0]
    assert (start.energy_eV - expected[start.smiles].to_numpy()).to_numpy() == pytest.approx(-0.125, abs=2e-3)
    twin = Campaign.open(campaign.folder / "twin").labels()
    assert twin[twin["round"] == 0].energy_eV.tolist() == start.energy_eV.tolist()
    assert len(twin) == len(labels)
    with pytest.raises(ConfigError, match=r"simulator .*Shifted was given as a Python object; to go on"):
        Campaign.open(campaign.folder, acquisition=score, proposer=propose).run()
    late = {"proposer": "generator"} | given | {"simulator": {"kind": "xtb", "deadline": 5}}
    with pytest.raises(ConfigError, match=r"simulator\.deadline needs the label cache"):
        Campaign(late, simulator=shifted_xtb(0.0))


class _Harm:
    """What runs a command as it is unpickled."""

    def __init__(self, mark):
        self.mark = mark

    def __reduce__(self):
        return os.system, (f"touch {self.mark}",)


def test_a_pickle_in_a_campaign_file_is_never_loaded(tmp_path):
    """YAML has binary values; only an object that this process was given travels as one."""
    mark = tmp_path / "ran"
    simulator = {"kind": "python:Harm", "settings": {"pickled": pickle.dumps(_Harm(mark))}}
    values = {"name": "a", "folder": str(tmp_path / "run"), "proposer": "generator", "simulator": simulator}
    (tmp_path / "c.yaml").write_text(yaml.safe_dump(values))
    for given in (tmp_path / "c.yaml", values):
        with pytest.raises(ConfigError, match="was given as a Python object"):
            Campaign(given).check()
        with pytest.raises(ConfigError, match="was given as a Python object"):
            Campaign(given).run()
    assert not mark.exists()
