"""What proposers see and learn from, and what they do not."""

from types import SimpleNamespace

import numpy as np
import pytest

from alkit.acquisition.base import Pool, RoundContext, adapt, resolve, select
from alkit.campaign import build_proposers, proposing, training
from alkit.campaign.proposing import recorded, save_values, values
from alkit.campaign.round_state import RoundState
from alkit.config.loading import check_config
from alkit.engines.training import InTurn
from alkit.molecules.conformers import embed
from alkit.proposers import ProposalContext
from alkit.reporting.progress import CampaignProgress
from alkit.simulators.base import Label, Level
from alkit.storage.ledger import Ledger


@pytest.fixture
def state(tmp_path):
    seeds = tmp_path / "seeds.smi"
    seeds.write_text("CCO\nCCN\nCCC\nC[N+](=O)[O-]\nC=O\nCC=O\n")
    config = check_config({"name": "x", "proposer": "generator", "seeds": str(seeds)})
    ledger = Ledger(tmp_path / "ledger.sqlite")
    return RoundState(config, tmp_path, ledger, resolve("random"), CampaignProgress(), round=1)


def test_test_molecules_and_ions_are_not_learned_and_acquired_ones_count_more(state, monkeypatch):
    level = state.ledger.level = Level("GFN2-xTB", "u0")
    for round_, smiles, role in ((0, "CCC", "test"), (0, "CCO", "training"), (1, "CC=O", "training")):
        state.ledger.add_candidates(round_, [smiles], status="labelled", role=role)
        molecule = embed(smiles)
        state.ledger.add_label(Label(smiles, -30.0, level, {}, molecule.numbers, molecule.positions, 1.0))
    state.ledger.add_candidates(1, ["CCF"], status="failed")
    taught = {}

    class Spy:
        def __init__(self, *_, **__):
            pass

        def fit(self, smiles, **rest):
            taught.update(zip(smiles, rest["weights"], strict=True))
            return SimpleNamespace(warning=None, steering=float("nan"))

        load = classmethod(lambda cls, path: cls())
        save = staticmethod(lambda path: path.write_text("x"))

    monkeypatch.setattr("generator.GraphGAN", Spy, raising=False)
    monkeypatch.setattr(training, "training_processes", InTurn)  # another process would not have the spy
    with training.train_generator(state):
        pass
    assert taught == {"CCO": 1.0, "CCN": 1.0, "C=O": 1.0, "CC=O": 3.0}
    context = proposing.proposal_context(state)
    assert context.molecules == ("CCO", "CCN", "C[N+](=O)[O-]", "C=O", "CC=O")
    assert context.labels == {"CCO": -30.0}  # of rounds before this one
    assert context.values == {}


def test_a_pool_offers_what_is_not_taken(state, tmp_path):
    pool = tmp_path / "pool.smi"
    pool.write_text("CCC\nOCC\nCCF\nCCCl\n")
    given = {"kind": "pool", "file": str(pool)}
    state.config = check_config({"name": "x", "proposer": given})
    state.ledger.add_candidates(0, ["CCC"], status="labelled", role="test")
    proposer = build_proposers.build_proposer(state, state.config.proposer)
    assert list(proposer.propose(10, ProposalContext(1, state.rng("propose")))) == ["CCO", "CCF", "CCCl"]
    drawn = [list(proposer.propose(1, ProposalContext(1, state.rng("propose")))) for _ in range(2)]
    assert drawn[0] == drawn[1]  # the same seed
    assert len(drawn[0]) == 1


def test_values_are_scores_where_there_are_and_deviations_elsewhere(state):
    std = np.array([0.1, 0.3])
    pool = Pool(("CCO", "C#N"), np.zeros((2, 2)), std, np.zeros((2, 1), np.float32), np.ones(2))
    context = RoundContext(1, ("C",), np.zeros(1), np.ones((1, 1), np.float32), state.rng("acquire"))
    for acquisition, expected in (
        (resolve("lcmd"), std),
        (resolve("random"), std),
        (adapt(lambda pool, context: [5.0, -1.0], "mine"), [5.0, -1.0]),
    ):
        scores = []
        select(recorded(acquisition, scores), "mine", pool, context, 1)
        save_values(state, pool, scores)
        assert values(state, 1) == dict(zip(("CCO", "C#N"), expected, strict=True))
    state.round = 2
    assert proposing.proposal_context(state).values == {"CCO": 5.0, "C#N": -1.0}


def test_scores_are_those_that_the_batch_was_chosen_by(state):
    """The values of a function that draws at random, such as Thompson sampling."""
    pool = Pool(tuple("CNOF"), np.zeros((2, 4)), np.ones(4), np.zeros((4, 1), np.float32), np.ones(4))
    context = RoundContext(1, (), np.zeros(0), np.zeros((0, 1), np.float32), state.rng("acquire"))
    calls, scores = [], []

    def drawn(pool, context):
        calls.append(1)
        return context.rng.random(len(pool))

    chosen = select(recorded(adapt(drawn, "mine"), scores), "mine", pool, context, 1)
    save_values(state, pool, scores)
    found = values(state, 1)
    assert max(found, key=found.get) == pool.smiles[chosen[0]]
    assert len(calls) == 1


def test_a_pool_offers_again_what_was_only_a_repeat(state, tmp_path):
    pool = tmp_path / "pool.smi"
    pool.write_text("CCO\nCCF\n")
    parts = [{"kind": "pool", "file": str(pool)}, "evolution"]
    state.config = check_config({"name": "x", "proposer": {"kind": "mix", "parts": parts}})
    for smiles, reason in (("CCO", "repeated"), ("CCF", "embed_failed")):
        state.ledger.add_candidates(1, [smiles])
        state.ledger.mark(state.ledger.candidates(round_=1)[-1].id, "rejected", reason=reason)
    section = state.config.proposer.parts[0]
    found = list(
        build_proposers.build_proposer(state, section).propose(9, ProposalContext(2, state.rng("propose")))
    )
    assert found == ["CCO"]
