"""What the surrogate must be good at: which molecules stand for it, and what is made of them."""

import contextlib
from pathlib import Path

import numpy as np
import pytest

from alkit.acquisition import resolve
from alkit.campaign import target_set
from alkit.campaign.campaign import Campaign, open_campaign
from alkit.campaign.proposing import learned_molecules
from alkit.campaign.round_state import RoundState
from alkit.config.loading import changes, check_config, keep_earlier_defaults
from alkit.errors import ConfigError
from alkit.molecules.molecule import canonical
from alkit.reporting.progress import CampaignProgress
from alkit.storage import ledger_export
from alkit.storage.ledger import Ledger

SEEDS = ["CCO", "CCN", "CCC", "CC=O", "COC", "C1CC1", "CC#N", "CCF", "NC=O", "C#CC"]


@pytest.fixture
def state(tmp_path):
    seeds = tmp_path / "seeds.smi"
    seeds.write_text("\n".join(SEEDS))
    config = check_config(
        {"name": "x", "proposer": "evolution", "seeds": str(seeds), "target_set": {"count": 4}}
    )
    with contextlib.closing(Ledger(Path(":memory:"))) as ledger:
        yield RoundState(config, tmp_path, ledger, resolve("random"), CampaignProgress(), round=1)


def test_the_same_molecules_stand_for_it_until_they_are_labelled(state) -> None:
    first = target_set.draw(state)
    assert len(first) == 4
    state.round = 2
    assert target_set.draw(state) == first
    state.ledger.add_candidates(1, first[:1], status="labelled", origin="target")
    state.ledger.add_candidates(1, first[1:2], status="rejected", origin="target")
    again = target_set.draw(state)
    assert again[:2] == first[2:]
    assert len(again) == 4
    assert not {*first[:2]} & set(again)


def test_what_is_held_out_is_not_in_it(state) -> None:
    state.config = state.config.model_copy(update={"target_set": state.config.target_set})
    for smiles, role in zip(SEEDS[:7], ["test", "validation"] * 4, strict=False):
        state.ledger.add_candidates(0, [canonical(smiles)], status="labelled", role=role)
    assert sorted(target_set.draw(state)) == sorted(canonical(one) for one in SEEDS[7:])


def test_a_file_is_learned_from_and_named(state, tmp_path) -> None:
    aim = tmp_path / "aim.smi"
    aim.write_text("OCCO\nCCCO\nCCCN\nCCCCl\n")
    given = {"name": "x", "proposer": "evolution", "target_set": str(aim), "start": {"test": 5}}
    state.config = check_config(given)
    assert sorted(target_set.draw(state)) == sorted(["OCCO", "CCCO", "CCCN"])
    assert {"OCCO", "CCCO", "CCCN"} <= set(learned_molecules(state))
    with pytest.raises(ConfigError, match=r"3 molecules of it are in the domain, and start\.test takes 5"):
        target_set.check_target_set(state)


def test_of_a_distribution_no_molecule_is_known(state, tmp_path) -> None:
    aim = tmp_path / "aim.smi"
    aim.write_text("OCCO\nCCCO\nCC(C)O\nOCC=O\n")
    section = {"kind": "file", "file": str(aim), "known": "distribution"}
    seeds = str(state.config.seeds)
    state.config = check_config({"name": "x", "proposer": "evolution", "seeds": seeds, "target_set": section})
    assert target_set.draw(state) == []
    assert not {"OCCO", "CCCO"} & set(learned_molecules(state))
    assert len(target_set.listed(state)) == 4  # what is tested comes from it
    proposed = [canonical(one) for one in (*SEEDS, "CCCCO", "CC(O)CO", "OC1CC1", "COCO")]
    state.ledger.add_candidates(1, proposed, status="predicted")
    screened = state.ledger.candidates(round_=1)
    rows = target_set.rows(state, screened)
    assert rows.tolist() == target_set.rows(state, screened).tolist()  # the same whenever it is asked
    assert 1 <= len(rows) < len(screened)
    alcohols = {screened[k].smiles for k in rows if "O" in screened[k].smiles}
    assert len(alcohols) > len(rows) / 2
    assert target_set.offered(state, len(screened), rows).tolist() == list(range(len(screened)))


def test_a_test_molecule_has_no_part_in_the_distribution(state, tmp_path) -> None:
    aim = tmp_path / "aim.smi"
    aim.write_text("OCCO\nCCCCCCC\nCC(C)O\n")
    section = {"kind": "file", "file": str(aim), "known": "distribution"}
    state.config = check_config({"name": "x", "proposer": "evolution", "target_set": section})
    state.ledger.add_candidates(0, ["CCCCCCC"], status="labelled", role="test")
    assert target_set.distribution(state).sizes == {4: 1.0}


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"target_set": "pool"}, "target_set: pool is what proposer: pool offers"),
        ({"target_set": "absent.smi"}, r"target_set\.file: there is no file"),
        ({"target_set": {"kind": "file"}}, "kind: file and a file belong together"),
        ({"target_set": {"count": 0}}, r"target_set\.count"),
        ({"target_set": {"known": "distribution"}}, "known: distribution is of a file; kind is seeds"),
    ],
)
def test_what_cannot_be_is_refused(given, message) -> None:
    with pytest.raises(ConfigError, match=message):
        check_config({"name": "x", "proposer": "generator", **given})


def test_a_campaign_of_an_earlier_revision_goes_on_without_one() -> None:
    config = check_config({"name": "x", "proposer": "generator"})
    stored = {key: value for key, value in config.as_dict().items() if key != "target_set"}
    assert keep_earlier_defaults(config, stored).target_set is None
    assert keep_earlier_defaults(config, config.as_dict()).target_set == config.target_set
    assert check_config({"name": "x", "proposer": "generator", "target_set": "none"}).target_set is None
    before = config.as_dict() | {
        "target_set": {"kind": "seeds", "file": None, "count": 500, "candidates": True}
    }
    assert changes(before, config.as_dict()) == []
    assert changes(stored, keep_earlier_defaults(config, stored).as_dict()) == []


def test_a_target_may_be_aimed_at_and_not_acquired(tiny) -> None:
    tiny["target_set"] = {"count": 6, "candidates": False}
    watching = Watching()
    result = Campaign(tiny, acquisition=watching).run()
    ((pool, context),) = watching.given
    assert len(context.target) > 0
    assert not set(context.target.smiles) & set(pool.smiles)
    _, ledger = open_campaign(result.folder)
    origins = ledger.origins(1)
    assert {origins[c.id] for c in ledger.candidates(round_=1, status=("labelled",))} == {"generator"}
    assert [c.smiles for c in ledger.candidates(round_=1, status=("labelled",))] == list(pool.smiles[:4])


class Watching:
    """Takes the first molecules, and keeps what it was given."""

    def __init__(self) -> None:
        self.given: list = []

    def select(self, pool, context, batch_size):
        self.given.append((pool, context))
        return list(range(batch_size))


def test_a_campaign_offers_it_beside_proposals_and_says_where_labels_come_from(tiny) -> None:
    tiny["target_set"] = {"count": 6}
    watching = Watching()
    result = Campaign(tiny, acquisition=watching).run()
    ((pool, context),) = watching.given
    target = context.target
    assert set(target.smiles) <= set(pool.smiles)
    assert 0 < len(target) <= 6 < len(pool)
    rows = [pool.smiles.index(one) for one in target.smiles]
    np.testing.assert_array_equal(target.samples, pool.samples[:, rows])
    np.testing.assert_array_equal(target.embeddings, pool.embeddings[rows])
    _, ledger = open_campaign(result.folder)
    test = {candidate.smiles for candidate in ledger.candidates(role="test")}
    assert not test & set(target.smiles)
    origins = ledger.origins(1)
    assert {origins[c.id] for c in ledger.candidates(round_=1) if c.smiles in target.smiles} == {"target"}
    exported = {row["origin"] for row in ledger_export.rows(ledger)}
    assert exported == {"start", "target", "generator"}
