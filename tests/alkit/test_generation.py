"""What the generator is taught, and what it is not."""

import pytest

from alkit import generation
from alkit.acquisition.base import resolve
from alkit.candidates import ProposalContext
from alkit.config import check_config
from alkit.ledger import Ledger
from alkit.molecules import embed
from alkit.progress import CampaignProgress
from alkit.simulators.base import Label, Level
from alkit.state import RoundState


@pytest.fixture
def state(tmp_path):
    seeds = tmp_path / "seeds.smi"
    seeds.write_text("CCO\nCCN\nCCC\nC[N+](=O)[O-]\nC=O\nCC=O\n")
    config = check_config({"name": "x", "proposer": "generator", "seeds": str(seeds)})
    ledger = Ledger(tmp_path / "ledger.sqlite")
    return RoundState(config, tmp_path, ledger, resolve("random"), CampaignProgress(), round=1)


def test_test_molecules_and_ions_are_not_learned_and_acquired_ones_count_more(state):
    level = state.ledger.level = Level("GFN2-xTB", "u0")
    for round_, smiles, role in ((0, "CCC", "test"), (0, "CCO", "training"), (1, "CC=O", "training")):
        state.ledger.add_candidates(round_, [smiles], status="labelled", role=role)
        molecule = embed(smiles)
        state.ledger.add_label(Label(smiles, -30.0, level, {}, molecule.numbers, molecule.positions, 1.0))
    state.ledger.add_candidates(1, ["CCF"], status="failed")
    smiles, weights = generation._training_set(state, replay=3.0)
    assert dict(zip(smiles, weights, strict=True)) == {
        "CCO": 1.0,
        "CCN": 1.0,
        "C=O": 1.0,
        "CC=O": 3.0,
    }


def test_a_pool_offers_what_is_not_taken(state, tmp_path):
    pool = tmp_path / "pool.smi"
    pool.write_text("CCC\nOCC\nCCF\nCCCl\n")
    given = {"kind": "pool", "file": str(pool)}
    state.config = check_config({"name": "x", "proposer": given})
    state.ledger.add_candidates(0, ["CCC"], status="labelled", role="test")
    proposer = generation.proposer(state)
    assert list(proposer.propose(10, ProposalContext(1, state.rng("propose")))) == ["CCO", "CCF", "CCCl"]
    drawn = [list(proposer.propose(1, ProposalContext(1, state.rng("propose")))) for _ in range(2)]
    assert drawn[0] == drawn[1]  # the same seed
    assert len(drawn[0]) == 1
