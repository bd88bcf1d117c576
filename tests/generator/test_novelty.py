"""What is new is seen by its likelihood, and learned from draws."""

import pytest
import torch
from rdkit import Chem

from alkit.molecules.enumeration import seed_molecules
from generator import GeneratorError, GeneratorSettings, GraphGAN, metrics
from generator.graphs import read_training_set
from generator.novelty import Familiarity, weighted_draws

EVERY = [one for one in seed_molecules() if Chem.MolFromSmiles(one).GetNumAtoms() <= 6]
LEARNED = EVERY[::3]
SETTINGS = GeneratorSettings(max_atoms=6, hidden=64, batch_size=64, novelty_weight=20.0)


@pytest.fixture(scope="module")
def likely():
    gan = GraphGAN(SETTINGS, seed=1)
    gan.fit(LEARNED, steps=300, adversarial_steps=0, seed=2)
    return gan


def test_familiarity_ranks_among_the_training_molecules(likely):
    graphs = read_training_set(LEARNED, SETTINGS)
    familiarity = Familiarity(likely._average, likely._language, graphs, torch.Generator().manual_seed(3))
    own = familiarity(graphs.nodes, graphs.bonds)
    assert own.mean() == pytest.approx(0.5, abs=0.05)
    assert own.min() < 0.1
    assert own.max() > 0.9
    odd = read_training_set(["FN(F)N(F)F", *EVERY[1::3]], SETTINGS)
    theirs = familiarity(odd.nodes, odd.bonds)
    assert theirs[0] < 0.1 < theirs[1:].mean()


def test_draws_are_weighted_to_the_unlikely_and_to_the_make_up(likely):
    graphs = read_training_set(LEARNED, SETTINGS)
    random = torch.Generator().manual_seed(3)
    context = likely._language, SETTINGS, graphs, likely.known, likely.familiar, random
    draws = weighted_draws(likely._average, *context)
    familiarity = Familiarity(likely._average, likely._language, graphs, random)(draws.nodes, draws.bonds)
    assert draws.weights.sum() == pytest.approx(1.0)
    assert draws.weights @ familiarity < 0.7 * familiarity.mean()
    sizes = (draws.nodes > 0).sum(axis=1)
    assert draws.weights @ sizes == pytest.approx(graphs.weights @ graphs.sizes, abs=0.2)


def test_novelty_makes_draws_new_and_keeps_the_make_up(likely, tmp_path):
    """New against three times the training molecules, of which it has seen a third."""
    likely.save(tmp_path / "gan.pt")
    gan = GraphGAN.load(tmp_path / "gan.pt")
    before = metrics.summary(gan.sample(1000, seed=3), LEARNED, novel_against=EVERY)
    history = gan.fit(LEARNED, steps=1, novelty_steps=100, adversarial_steps=0, seed=4)
    after = metrics.summary(gan.sample(1000, seed=3), LEARNED, novel_against=EVERY)
    assert (history.steps, history.warning) == (101, None)
    assert after["valid"] == 1.0
    assert after["valid_unique_novel"] > 1.15 * before["valid_unique_novel"]
    assert after["distance"]["heavy_atoms"] < 0.15
    assert after["distance"]["rings"] < 0.15


def test_bad_counts_are_refused():
    gan = GraphGAN(SETTINGS, seed=1)
    with pytest.raises(GeneratorError, match="novelty_steps is -1"):
        gan.fit(LEARNED, steps=1, novelty_steps=-1, seed=2)
