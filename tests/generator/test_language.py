"""Writing molecules as tokens, and what is allowed to follow."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rdkit import Chem

from alkit.molecules.enumeration import seed_molecules
from generator import GeneratorSettings
from generator.graphs import largest_valences, read_training_set, to_molecule
from generator.language import END, NOTHING, Language, Writer

SETTINGS = GeneratorSettings(max_atoms=9, elements=("C", "N", "O", "F", "S"))
STRANGE = [
    "C1CC2CC1C2",
    "c1ccc2[nH]ccc2c1",
    "C1=CC2CC1C=C2",
    "C1CC12CC2",
    "CS(=O)(=O)C",
    "C1CCCC#CCC1",
    "C",
    "F",
]


@pytest.fixture(scope="module")
def graphs():
    return read_training_set(STRANGE + seed_molecules()[:300], SETTINGS)


@pytest.fixture(scope="module")
def language(graphs):
    return Language(SETTINGS.max_atoms, largest_valences(graphs, SETTINGS.elements))


def _replayed(language, tokens):
    writer = Writer(language, len(tokens))
    for column in tokens.T:
        written = column != NOTHING
        assert writer.allowed[np.flatnonzero(written), column[written]].all()
        writer.add(np.where(written, column, END))
    assert writer.done
    return [
        Chem.MolToSmiles(to_molecule(nodes, bonds, SETTINGS.elements))
        for nodes, bonds in zip(*writer.graphs(), strict=True)
    ]


@pytest.mark.parametrize("seed", range(3))
def test_what_is_written_reads_back_in_any_order(graphs, language, seed):
    uniform = np.random.default_rng(seed).random((len(graphs.sizes), SETTINGS.max_atoms))
    tokens = language.write(graphs.nodes, graphs.bonds, graphs.sizes, uniform)
    assert _replayed(language, tokens) == list(graphs.smiles)
    assert (tokens == END).sum(axis=1).tolist() == [1] * len(tokens)


def test_orders_differ(graphs, language):
    rows = [np.random.default_rng(seed).random((len(graphs.sizes), 9)) for seed in (1, 2)]
    first, second = (language.write(graphs.nodes, graphs.bonds, graphs.sizes, row) for row in rows)
    width = min(first.shape[1], second.shape[1])
    assert (first[:, :width] != second[:, :width]).any(axis=1).mean() > 0.7


def test_reading_agrees_with_writing(graphs, language):
    """What a network sees in training is what it sees in drawing."""
    uniform = np.random.default_rng(0).random((len(graphs.sizes), 9))
    tokens = language.write(graphs.nodes, graphs.bonds, graphs.sizes, uniform)
    allowed, seen = language.read(tokens)
    writer = Writer(language, len(tokens))
    for k, column in enumerate(tokens.T):
        written = column != NOTHING
        np.testing.assert_array_equal(allowed[written, k], writer.allowed[written])
        np.testing.assert_array_equal(seen[written, k], writer.seen[written])
        writer.add(np.where(written, column, END))


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), st.floats(0, 0.4))
def test_whatever_is_allowed_is_a_sound_molecule(seed, ending):
    """Tokens at random, the end among them with a chance of its own; valences as of sulfones and amines."""
    rng = np.random.default_rng(seed)
    language = Language(9, (4, 3, 2, 1, 6))
    writer = Writer(language, 20)
    while not writer.done:
        chances = writer.allowed.astype(float)
        only_end = chances[:, 1:].sum(axis=1) == 0
        chances[:, END] = np.where(only_end, 1.0, ending * chances[:, END])
        chances[chances.sum(axis=1) == 0, END] = 1.0
        chances /= chances.sum(axis=1, keepdims=True)
        writer.add(np.array([rng.choice(language.tokens, p=row) for row in chances]))
    for nodes, bonds in zip(*writer.graphs(), strict=True):
        assert 1 <= (nodes > 0).sum() <= 9
        np.testing.assert_array_equal(bonds, bonds.T)
        molecule = to_molecule(nodes, bonds, SETTINGS.elements)  # sanitises
        assert len(Chem.GetMolFrags(molecule)) == 1
        assert not any(atom.GetNumRadicalElectrons() for atom in molecule.GetAtoms())


def test_an_element_never_seen_is_not_written():
    writer = Writer(Language(5, (4, 0)), 1)
    assert np.flatnonzero(writer.allowed[0]).tolist() == [2]  # a first carbon, and nothing else


def test_two_atoms_have_no_rings():
    assert Language(2, (4,)).tokens == 2 + 3
