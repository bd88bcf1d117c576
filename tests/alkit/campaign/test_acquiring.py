"""alkit.campaign.acquiring: what an acquisition function gets, and what a campaign says it cannot give."""

import contextlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from gfn2 import single_point

from alkit.acquisition import resolve
from alkit.acquisition.base import adapt
from alkit.baselines.computing import call_here
from alkit.baselines.gfn import GFN2
from alkit.campaign import acquiring
from alkit.campaign.campaign import Campaign, open_campaign
from alkit.campaign.round_state import RoundState
from alkit.cli.app import main
from alkit.config.loading import check_config
from alkit.engines import Engine
from alkit.errors import AcquisitionError, ConfigError, LabelError
from alkit.models import prediction
from alkit.molecules.conformers import embed
from alkit.reporting.progress import CampaignProgress
from alkit.storage.ledger import Candidate, Ledger
from alkit.units import CHEMICAL_ACCURACY
from surrogate import load_surrogate

ROUND = ["CCO", "CC=O", "COC", "C1CC1", "CC#N"]


class Biased:
    """Takes what the ensemble and GFN2-xTB disagree on, and keeps what it was given."""

    needs = ("xtb_energy",)

    def __init__(self):
        self.given = []

    def __call__(self, pool, context):
        self.given.append((pool, context))
        return np.abs(pool.xtb_energy - pool.mean)


@pytest.fixture
def small(tiny, tmp_path) -> dict:
    """Tiny, without its generator."""
    (tmp_path / "pool.smi").write_text("CCO\nCCN\nC1CC1\nCC=O\nCCF\nCOC\nNC=O\nC#CC\nCC#N\nCCC\n")
    tiny["proposer"] = {"kind": "pool", "file": str(tmp_path / "pool.smi")}
    tiny["surrogate"]["epochs"] = 1
    return tiny


@pytest.fixture
def ledger():
    with contextlib.closing(Ledger(Path(":memory:"))) as ledger:
        yield ledger


def make_state(folder: Path, ledger: Ledger, acquisition=None, **config) -> RoundState:
    given = check_config({"name": "a", "proposer": "generator", **config})
    return RoundState(given, folder, ledger, acquisition or resolve("std"), CampaignProgress(), 2)


# --- xTB energies --------------------------------------------------------------------------------------
def test_xtb_energies_are_those_at_the_input_geometry(small):
    """2D mode as well: it sees no geometry, but labels start from one."""
    small["surrogate"] |= {"mode": "2d", "geometry": "etkdg"}
    small["stop"] = {"rounds": 2, "target_mae": 1e-6}
    biased = Biased()
    result = Campaign(small, acquisition=biased).run()

    assert [context.round for _, context in biased.given] == [1, 2]
    _, ledger = open_campaign(result.folder)
    test = {c.smiles for c in ledger.candidates(role="test")}
    for pool, context in biased.given:
        for smiles, energies in ((pool.smiles, pool.xtb_energy), (context.smiles, context.xtb_energy)):
            assert len(smiles) == len(energies) > 0
            assert not test & set(smiles)
            placed = embed(smiles[0], geometry="etkdg", seed=3)
            expected = single_point(placed.numbers, placed.positions).energy
            assert energies[0] == pytest.approx(expected, abs=1e-5)
        assert len(context.smiles) == len(context.targets) == len(context.embeddings)
        assert np.corrcoef(context.targets, context.xtb_energy)[0, 1] > 0.99
        assert context.accuracy == 1e-6
        assert context.pending == ()


def failing_for(doomed):
    original = GFN2.read

    def read(self, molecule):
        if doomed(molecule.smiles):
            raise LabelError("scf_not_converged", molecule.smiles)
        return original(self, molecule)

    return read


def test_a_candidate_without_a_cheap_energy_is_rejected(small, monkeypatch):
    seen = []

    def needs_nothing(pool, context):
        seen.append((pool.xtb_energy, context.xtb_energy, context.accuracy))
        return pool.std

    plain = Campaign(small, acquisition=needs_nothing).run()
    assert seen == [(None, None, CHEMICAL_ACCURACY)]
    with np.load(plain.folder / "rounds" / "01" / "predictions.npz") as arrays:
        assert "xtb_energy" not in arrays.files
    _, before = open_campaign(plain.folder)
    lost = before.labelled("training")[0][0].smiles  # a labelled molecule as well: it is left out
    monkeypatch.setattr(GFN2, "read", failing_for(lambda smiles: smiles in ("CCO", lost)))
    monkeypatch.setattr(Engine, "call_all", lambda self, function, items: call_here(function, items))
    monkeypatch.setenv("ALKIT_LABEL_CACHE", str(small["folder"]) + "-labels.sqlite")
    small["folder"] += "-xtb-energy"
    small["tracking"] = small["tracking"] | {"experiment": "xtb-energy"}
    biased = Biased()
    result = Campaign(small, acquisition=biased).run()
    _, ledger = open_campaign(result.folder)
    ((pool, context),) = biased.given
    (rejected,) = [c for c in ledger.candidates(round_=1, status=("rejected",)) if c.smiles == "CCO"]
    assert rejected.reason == "scf_not_converged"
    assert "CCO" not in pool.smiles
    assert lost not in context.smiles
    counts = {len(context.smiles), len(context.targets), len(context.xtb_energy), len(context.embeddings)}
    assert counts == {12 + 5 - 1}
    assert len(ledger.labelled("training")) == 12 + 4


def test_features_are_those_of_the_input_geometry_in_every_round(small):
    small["acquisition"] = {"name": "std", "features": "soap"}
    small["stop"] = {"rounds": 2}
    given = []

    def see(pool, context):
        given.append(
            dict(zip(pool.smiles + context.smiles, [*pool.embeddings, *context.embeddings], strict=True))
        )
        return pool.std

    Campaign(small, acquisition=see).run()
    first, second = given
    both = set(first) & set(second)
    assert len(both) > 10
    for smiles in both:
        np.testing.assert_array_equal(first[smiles], second[smiles])
    # The last columns count H, C, N, O and F alike.
    counts = first["CCO"][-5:] / first["CCO"][-4] * 2
    np.testing.assert_allclose(counts, [6, 2, 0, 1, 0], rtol=1e-6)


def test_features_are_computed_alike_after_a_restart(tmp_path, ledger):
    """Whatever became of the first round's candidates meanwhile."""

    def described() -> np.ndarray:
        state = make_state(tmp_path, ledger)  # a new one knows nothing
        return state.molecules.features([c for c in ledger.candidates(round_=1) if c.status != "rejected"])

    state = make_state(tmp_path, ledger)
    for round_, role, names in (
        (0, "training", ["CCC", "CCN"]),
        (0, "test", ["CCCl"]),
        (1, "training", ROUND),
    ):
        ledger.add_candidates(round_, names, role=role)
        assert not state.molecules.place(names)
    for candidate in ledger.candidates(round_=0):
        ledger.mark(candidate.id, "failed" if candidate.smiles == "CCN" else "labelled")
    first = ledger.candidates(round_=1)
    for candidate in first:
        ledger.mark(candidate.id, "rejected" if candidate.smiles == "CC#N" else "screened")
    before = described()
    for candidate, status in zip(first, ("acquired", "labelled", "failed", "not_acquired"), strict=False):
        ledger.mark(candidate.id, status)
    ledger.add_candidates(2, ["CCCC"])
    np.testing.assert_array_equal(described(), before)


def test_a_campaign_whose_candidates_all_fail_ends(small, monkeypatch):
    monkeypatch.setattr(GFN2, "read", failing_for(lambda _: True))
    monkeypatch.setattr(Engine, "call_all", lambda self, function, items: call_here(function, items))
    result = Campaign(small, acquisition=Biased()).run()
    assert result.stopped_by == "round 1: no proposal was left after screening"


def test_a_resumed_round_sees_the_same_numbers(small, write_config, tmp_path):
    """Also where the function asks for xTB energies and SOAP features only since it was changed."""
    mine = tmp_path / "mine.py"
    arrays = "a=pool.xtb_energy, b=context.xtb_energy, c=pool.embeddings"
    record = f"np.savez({str(tmp_path)!r} + '/seen' + NAME, {arrays})\n"
    body = "import numpy as np\nNAME = {!r}\ndef score(pool, context):\n    {}    {}\n{}"
    small["acquisition"] = f"{mine}:score"
    config = write_config(small)
    for text in (
        body.format("0", "pool.std\n", "return pool.xtb_energy + 1", ""),
        body.format("1", record, "raise KeyError", "score.needs = ('xtb_energy', 'soap')\n"),
    ):
        mine.write_text(text)
        with pytest.raises(AcquisitionError):
            Campaign(config).run()
    mine.write_text(body.format("2", record, "return pool.std", "score.needs = ('xtb_energy', 'soap')\n"))
    result = Campaign(config).run()
    assert result.metrics[-1]["labels"] == 12 + 5 + 4
    first, second = (np.load(tmp_path / f"seen{k}.npz") for k in (1, 2))
    assert first["c"].shape[1] > 2 * 16 + 5  # more than two members' embeddings
    for key in ("a", "b", "c"):
        np.testing.assert_array_equal(first[key], second[key])


# --- pending ---------------------------------------------------------------------------------------------
def test_what_came_too_late_is_pending(tmp_path, ledger):
    state = make_state(tmp_path, ledger)
    for round_, smiles, status, reason in (
        (1, "CCO", "failed", "deadline"),
        (1, "CCN", "failed", "deadline"),
        (1, "CCF", "failed", "timeout"),
        (1, "CCC", "labelled", ""),
        (2, "CCN", "labelled", ""),  # acquired again
        (2, "CCO", "screened", ""),
    ):
        ledger.add_candidates(round_, [smiles])
        ledger.mark(ledger.candidates()[-1].id, status, reason=reason)
    given = acquiring.round_context(state, {"labelled_embeddings": np.zeros((0, 4), np.float32)})
    assert given.pending == ("CCO",)
    assert given.smiles == ()


# --- what can be known before ----------------------------------------------------------------------------
def asking(*names):
    def score(pool, context):
        return pool.std

    score.needs = names
    return adapt(score, "mine")


def test_a_campaign_says_before_it_begins_what_it_cannot_give(tmp_path, ledger):
    iron = {"elements": ["H", "C", "Fe"]}
    acquiring.check_acquisition(make_state(tmp_path, ledger, asking("xtb_energy", "members")))
    acquiring.check_acquisition(make_state(tmp_path, ledger, domain=iron))
    with pytest.raises(ConfigError, match=r"acquisition bias needs GFN2-xTB .* element Fe; take it out"):
        acquiring.check_acquisition(make_state(tmp_path, ledger, asking("xtb_energy"), domain=iron))
    state = make_state(tmp_path, ledger, asking("members"))
    one = state.config.surrogate.model_copy(update={"members": 1})  # no campaign file can say so today
    state = replace(state, config=state.config.model_copy(update={"surrogate": one}))
    with pytest.raises(ConfigError, match=r"needs an ensemble, but surrogate\.members is 1; set 2"):
        acquiring.check_acquisition(state)


def test_validate_says_it_too(small, write_config, tmp_path, capsys):
    (tmp_path / "mine.py").write_text(
        "def score(pool, context):\n    return pool.xtb_energy\n\n\nscore.needs = ('xtb_energy', 'soap')\n"
    )
    small["acquisition"] = "./mine.py:score"
    small["domain"]["elements"] = ["H", "C", "N", "O", "F", "Fe"]
    config = write_config(small)
    for command in ("validate", "run"):
        with pytest.raises(SystemExit) as ended:
            main(["campaign", command, str(config)])
        assert ended.value.code == 2
        said = " ".join(capsys.readouterr().err.split())
        assert "mine.py:score needs GFN2-xTB energies, and alkit has none of the element Fe" in said
    (tmp_path / "mine.py").write_text(
        "def score(pool, context):\n    return 1\n\n\nscore.needs = 'xtb_energy'\n"
    )
    with pytest.raises(ConfigError, match="needs is 'xtb_energy'; it is a tuple of xtb_energy, members"):
        Campaign(config).check()


def test_networks_on_smiles_place_what_they_choose_alone(small, tmp_path) -> None:
    """A molecule that has no geometry fails when it is chosen; the others never get one."""
    impossible = "C[C@]12C[C@]1(C)C2"  # stereo that no such ring can have
    with (tmp_path / "pool.smi").open("a") as file:
        file.write(f"{impossible}\n")
    (tmp_path / "rule.py").write_text(
        "import numpy as np\n"
        "def score(pool, context):\n"
        f"    return np.array([10.0 if one == {impossible!r} else -len(one) for one in pool.smiles])\n"
    )
    small["domain"]["max_heavy_atoms"] = 6
    small["surrogate"]["mode"] = "2d"
    small["acquisition"] = {"name": f"{tmp_path}/rule.py:score"}
    result = Campaign(small).run()
    _, ledger = open_campaign(result.folder)
    with contextlib.closing(ledger):
        fates = {one.smiles: (one.status, one.reason) for one in ledger.candidates(round_=1)}
        placed = {smiles for smiles in fates if ledger.geometry(smiles, "mmff") is not None}
    assert fates.pop(impossible) == ("failed", "embed_failed")
    labelled = {smiles for smiles, (status, _) in fates.items() if status == "labelled"}
    passed = {smiles for smiles, (status, _) in fates.items() if status in ("labelled", "not_acquired")}
    assert len(labelled) == 3
    assert labelled <= placed < passed


def test_predictions_in_parts_are_those_of_all(small, tmp_path, monkeypatch) -> None:
    result = Campaign(small).run()
    with np.load(result.folder / "rounds" / "01" / "predictions.npz") as arrays:
        expected = dict(arrays)
    monkeypatch.setattr("alkit.campaign.acquiring._TOGETHER", 3)
    monkeypatch.setattr("alkit.campaign.molecule_store._KEPT", 2)
    again = Campaign(small | {"folder": str(tmp_path / "again")}).run()
    with np.load(again.folder / "rounds" / "01" / "predictions.npz") as arrays:
        assert arrays.keys() == expected.keys()
        for name, values in expected.items():
            np.testing.assert_allclose(arrays[name], values, rtol=1e-5, atol=1e-6)


def test_a_function_that_asks_for_geometries_may_come_in_the_middle_of_a_round(small) -> None:
    small["surrogate"]["mode"] = "2d"

    def stop(pool, context):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Campaign(small, acquisition=stop).run()
    result = Campaign(small | {"acquisition": {"name": "std", "features": "soap"}}).run()
    _, ledger = open_campaign(result.folder)
    with contextlib.closing(ledger):
        screened = [one for one in ledger.candidates(round_=1) if one.status != "rejected"]
        assert all(ledger.geometry(one.smiles, "mmff") is not None for one in screened)
        assert len([one for one in screened if one.status == "labelled"]) == 4


def test_workers_predict_as_this_process_does(small, monkeypatch):
    small["surrogate"]["mode"] = "2d"
    small["stop"] = {"rounds": 1}
    campaign = Campaign(check_config(small))
    campaign.run()
    smiles = campaign.config.proposer.file.read_text().split() * 70
    config, ledger = open_campaign(campaign.folder)
    with contextlib.closing(ledger):
        state = RoundState(config, campaign.folder, ledger, resolve("std"), CampaignProgress(), 1)
        model = load_surrogate(state.path("model", round_=0))
        candidates = [Candidate(k, 1, one, "screened", "", "training") for k, one in enumerate(smiles)]
        done: list[int] = []
        monkeypatch.setattr(prediction, "MANY", 20_000)
        here = acquiring._predicted(state, model, candidates, done.append)
        monkeypatch.setattr(prediction, "MANY", 100)
        there = acquiring._predicted(state, model, candidates, done.append)
        state.labels.close(wait=False)
    assert sum(done) == 2 * len(candidates)
    for name in ("samples", "std", "embeddings"):
        np.testing.assert_array_equal(getattr(here, name), getattr(there, name))
