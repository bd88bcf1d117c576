"""Drawing: what is left out, and when it ends."""

import dataclasses

import numpy as np
import pytest
import torch
from rdkit import Chem

from alkit.molecules.enumeration import seed_molecules
from generator import GeneratorSettings, GraphGAN
from generator.rings import ring_patterns
from generator.sampling import read_back

MOLECULES = [s for s in seed_molecules() if Chem.MolFromSmiles(s).GetNumAtoms() <= 5]


@pytest.fixture(scope="module")
def gan():
    made = GraphGAN(GeneratorSettings(max_atoms=5, hidden=32, batch_size=32), seed=1)
    made.fit(MOLECULES, steps=60, adversarial_steps=0, seed=2)
    return made


def test_unique_and_novel(gan):
    drawn = gan.sample(150, seed=3, unique=True, novel_against=gan.known)
    assert len(set(drawn)) == len(drawn) == 150
    assert not set(drawn) & gan.known
    repeated = gan.sample(600, seed=3)
    assert len(set(repeated)) < 600
    assert set(repeated) & gan.known


def test_draws_are_canonical_and_have_familiar_rings(gan):
    for smiles in gan.sample(200, seed=4):
        molecule = Chem.MolFromSmiles(smiles)
        assert Chem.MolToSmiles(molecule) == smiles
        assert ring_patterns(molecule) <= gan.familiar
        assert molecule.GetNumAtoms() <= 5


def test_it_ends_where_there_is_nothing_more():
    """Three molecules of two atoms can be drawn at most, however many are asked for."""
    tiny = GraphGAN(GeneratorSettings(max_atoms=5, elements=("C", "O"), hidden=8, batch_size=8), seed=1)
    learned = [s for s in MOLECULES if not set(s) & set("NnF")]
    tiny.fit(learned, steps=1, adversarial_steps=0, seed=1)
    everything = frozenset(tiny.sample(3000, seed=1))
    few = tiny.sample(100, seed=1, unique=True, novel_against=everything)
    assert len(few) < 100


def test_streams_come_as_they_are_drawn(gan):
    stream = gan.stream(10**9, seed=5)
    first = [next(stream) for _ in range(3)]
    assert first == gan.sample(3000, seed=5)[:3]


def test_ions_and_strange_rings_are_said():
    """Phosphorus ylides, which RDKit writes as ions, and a ring that was not in the training set."""
    nodes = np.array([[1, 1, 1, 0], [1, 2, 1, 0]], dtype=np.int8)
    bonds = np.zeros((2, 4, 4), dtype=np.int8)
    for i, j in ((0, 1), (1, 2), (0, 2)):
        bonds[0, i, j] = bonds[0, j, i] = 1
    bonds[1, 0, 1] = bonds[1, 1, 0] = bonds[1, 1, 2] = bonds[1, 2, 1] = 1
    assert read_back(nodes, bonds, ("C", "O"), frozenset()) == [("C1CC1", True), ("COC", False)]
    known = frozenset(ring_patterns(Chem.MolFromSmiles("C1CC1")))
    assert read_back(nodes, bonds, ("C", "O"), known)[0] == ("C1CC1", False)


def test_draws_do_not_touch_the_global_random_state(gan):
    torch.manual_seed(0)
    before = torch.random.get_rng_state()
    gan.sample(20, seed=6)
    assert torch.equal(before, torch.random.get_rng_state())


def test_a_share_of_the_draws_comes_from_the_likelihood_model(gan):
    """All of them, where the share is 1, whatever became of the other network."""
    default = gan.settings
    gan.settings = dataclasses.replace(default, likely_share=0.3)
    before = gan.sample(50, seed=7)
    with torch.no_grad():
        weights = gan._generator.head[2].bias.clone()
        gan._generator.head[2].bias[2] += 20.0  # carbon atoms in single bonds alone
    carbon = [gan.sample(200, seed=7)]
    gan.settings = dataclasses.replace(gan.settings, likely_share=1.0)
    likely = gan.sample(50, seed=7)
    gan.settings = dataclasses.replace(default, likely_share=0.3)
    with torch.no_grad():
        gan._generator.head[2].bias.copy_(weights)
    assert 0.05 < np.mean([bool(set(smiles) - set("C123()=#")) for smiles in carbon[0]]) < 0.4
    assert np.mean([bool(set(smiles) - set("C123()=#")) for smiles in likely]) > 0.5
    assert gan.sample(50, seed=7) == before
    gan.settings = default
