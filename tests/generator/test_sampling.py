"""The decoder cannot break a valence or a molecule; the filter passes known chemistry only."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rdkit import Chem

from generator import GeneratorError
from generator.graphs import motifs, to_molecule
from generator.sampling import decode, draw, keep_chances

ELEMENTS = ("C", "N", "O", "F", "S")
VALENCES = (4, 3, 2, 1, 6)


@settings(deadline=None, max_examples=60)
@given(
    st.integers(0, 2**32 - 1),
    st.integers(2, 12),
    st.sampled_from([0.0, 3.0, 10.0]),
    st.sampled_from([VALENCES, (4, 0, 0, 1, 0), (0, 0, 2, 1, 0), (4, 3, 2, 1, 2)]),
)
def test_every_graph_is_one_sound_molecule(seed, n, bias, valences):
    """Whatever the scores, also with mostly fluorine or with every bond wanted."""
    random = np.random.default_rng(seed)
    atoms = random.normal(size=(40, n, 5)) * 3
    atoms[:, :, 3] += bias
    bonds = random.normal(size=(40, n * (n - 1) // 2, 4)) * 3
    bonds[:, :, 1:] += bias / 2
    sizes = random.integers(1, n + 1, size=40)
    nodes, orders = decode(atoms, bonds, sizes, valences)
    for kinds, matrix, size in zip(nodes, orders, sizes, strict=True):
        molecule = to_molecule(kinds, matrix, ELEMENTS)
        assert molecule.GetNumAtoms() == size
        assert len(Chem.GetMolFrags(molecule)) == 1
        assert Chem.MolFromSmiles(Chem.MolToSmiles(molecule)) is not None
        assert np.array_equal(matrix, matrix.T)
        assert all(matrix[k].sum() <= valences[kinds[k] - 1] for k in range(size))


def scores_of(bonds: dict[tuple[int, int], int], n: int) -> np.ndarray:
    scores = np.zeros((1, n * (n - 1) // 2, 4))
    scores[:, :, 0] = 20.0
    for k, pair in enumerate(zip(*np.triu_indices(n, 1), strict=True)):
        if pair in bonds:
            scores[0, k, 0] = 0.0
            scores[0, k, bonds[pair]] = 20.0
    return scores


def test_a_clear_wish_is_drawn_exactly():
    atoms = np.full((1, 4, 5), -20.0)
    atoms[0, [0, 1, 2, 3], [0, 0, 2, 1]] = 20.0
    nodes, bonds = decode(atoms, scores_of({(0, 1): 1, (1, 2): 2, (1, 3): 1}, 4), np.array([4]), VALENCES)
    assert Chem.MolToSmiles(to_molecule(nodes[0], bonds[0], ELEMENTS)) == "CC(N)=O"


def graphs(count: int, strange: int):
    """`strange` of `count` graphs are cyclopropane, the others propane."""
    nodes = np.ones((count, 3), dtype=np.int8)
    bonds = np.zeros((count, 3, 3), dtype=np.int8)
    bonds[:, [0, 1, 1, 2], [1, 0, 2, 1]] = 1
    bonds[:strange, [0, 2], [2, 0]] = 1
    return nodes, bonds


def test_unknown_motifs_are_left_out():
    known = motifs(Chem.MolFromSmiles("CCC"))
    assert draw(5, lambda k: graphs(k, k // 2), ("C",), known, lambda _: True) == ["CCC"] * 5


def test_what_must_be_filled_up_is_said():
    with pytest.warns(RuntimeWarning, match="Only 0 of 5"):
        assert draw(5, lambda k: graphs(k, k), ("C",), {"atom"}, lambda _: True) == ["C1CC1"] * 5


def test_ions_are_never_emitted():
    """RDKit turns the hypervalent CN(=O)=O into a nitro group's two charges."""

    def nitromethanes(count):
        bonds = np.zeros((count, 4, 4), dtype=np.int8)
        bonds[:, 1, [0, 2, 3]] = bonds[:, [0, 2, 3], 1] = [1, 2, 2]
        return np.tile(np.array([1, 2, 3, 3], dtype=np.int8), (count, 1)), bonds

    known = motifs(Chem.MolFromSmiles("C[N+](=O)[O-]"))
    with pytest.raises(GeneratorError, match="Only 0 of 2"):
        draw(2, nitromethanes, ("C", "N", "O"), known, lambda _: True)


def test_keep_chances_give_the_target_back():
    target = {"a": 0.5, "b": 0.5}
    chances = keep_chances(target, ["a"] * 700 + ["b"] * 300)
    assert chances["b"] * 300 / (chances["a"] * 700) == pytest.approx(1.0, rel=0.02)
    assert max(chances.values()) <= 1.0
    assert chances["b"] > chances[""] > 0
