"""Settings, the checks on a training set, and SMILES -> graph -> SMILES."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rdkit import Chem

from generator import GeneratorError, GeneratorSettings
from generator.graphs import largest_valences, learnable, read_training_set, to_molecule
from generator.rings import ring_patterns

ENDS = ("C", "N", "O", "F", "C#C", "C#N", "C=O")
MIDDLES = ("C", "N", "O", "C(=O)", "C(C)", "C=C")
GOOD = [f"{a}C{b}" for a in ("C", "N", "O", "F", "CC", "OC", "C=C") for b in ENDS]
pieces = st.tuples(
    st.sampled_from(("C", "OC", "N#CC", "c1ccoc1", "C1CC1C")),
    st.lists(st.sampled_from(MIDDLES), max_size=2),
    st.sampled_from(ENDS),
).map(lambda parts: parts[0] + "C" + "".join(parts[1]) + "C" + parts[2])


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"max_atoms": 1}, "max_atoms is 1"),
        ({"max_atoms": True}, "max_atoms is True"),
        ({"elements": ()}, "elements is empty"),
        ({"elements": "CNO"}, "give a list"),
        ({"elements": ("C", "Qq")}, "'Qq'"),
        ({"elements": ("C", "H")}, "'H'"),
        ({"elements": ("C", "C")}, "more than once"),
        ({"batch_size": 4}, "batch_size is 4"),
        ({"learning_rate": 0.0}, "learning_rate is 0.0"),
        ({"learning_rate": float("nan")}, "learning_rate is nan"),
        ({"adversarial_rate": 2.0}, "adversarial_rate is 2.0"),
        ({"likely_share": 1.5}, "likely_share is 1.5"),
        ({"novelty_weight": -1.0}, "novelty_weight is -1.0"),
        ({"critic_weight": float("inf")}, "critic_weight is inf"),
    ],
)
def test_settings_refuse_what_cannot_work(values, message):
    with pytest.raises(GeneratorError, match=message):
        GeneratorSettings(**values)


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        (["C(", "xyz"], r"2 SMILES cannot be read \('C\(', 'xyz'\)"),
        ([""], "1 SMILES cannot be read"),
        (["C[NH3+]", "CC(=O)[O-]"], r"2 molecules have formal charges \('C\[NH3\+\]'"),
        (["CS"], "1 molecule has elements outside the alphabet C, N, O, F .namely S."),
        (["CCCCCCCCCC"], "more than 9 heavy atoms .at most 10."),
        (["CC.O"], "more than one fragment"),
        (["C[CH2]"], "radical"),
        (["[13CH4]"], "isotope"),
        (["C$C"], "single, double, triple and aromatic"),
        (["[H][H]"], "elements outside the alphabet"),
    ],
)
def test_molecules_the_graphs_cannot_hold_are_refused_by_name(extra, message):
    with pytest.raises(GeneratorError, match=message):
        read_training_set(GOOD + extra, GeneratorSettings())


def test_what_is_not_refused_is_learnable():
    bad = ["C(", "C[NH3+]", "CS", "CC.O", "C[CH2]", "[13CH4]", "C$C", "[H][H]", "C" * 10]
    assert learnable([*bad, *GOOD], GeneratorSettings()) == GOOD


def test_too_few_different_molecules():
    with pytest.raises(GeneratorError, match="Only 1 different"):
        read_training_set(["CCO", "OCC"] * 40, GeneratorSettings())
    weights = [1.0] * 10 + [0.0] * (len(GOOD) - 10)
    with pytest.raises(GeneratorError, match="positive weight"):
        read_training_set(GOOD, GeneratorSettings(), weights)


@pytest.mark.parametrize("bad", [[1.0], [-1.0] * len(GOOD), [float("nan")] * len(GOOD)])
def test_bad_weights(bad):
    with pytest.raises(GeneratorError, match=r"(?i)weight"):
        read_training_set(GOOD, GeneratorSettings(), bad)


def test_repeats_are_merged_and_their_weights_added():
    first = read_training_set([*GOOD, "c1ccoc1", "o1cccc1"], GeneratorSettings())
    keys = [Chem.MolToSmiles(molecule) for molecule in first.molecules]
    assert len(keys) == len(set(keys))
    assert first.weights.sum() == pytest.approx(1.0)
    assert first.weights[keys.index("c1ccoc1")] == pytest.approx(2 / (len(GOOD) + 2))


@given(st.lists(pieces, min_size=1, max_size=5))
def test_graph_and_back_is_the_same_molecule(texts):
    settings = GeneratorSettings(max_atoms=16)
    graphs = read_training_set(GOOD + texts, settings)
    for molecule, nodes, bonds in zip(graphs.molecules, graphs.nodes, graphs.bonds, strict=True):
        assert np.array_equal(bonds, bonds.T)
        assert Chem.MolToSmiles(to_molecule(nodes, bonds, settings.elements)) == Chem.MolToSmiles(molecule)


def test_valences_are_learned():
    settings = GeneratorSettings(elements=("C", "N", "O", "F", "S", "P"))
    assert largest_valences(read_training_set([*GOOD, "CS"], settings), settings.elements)[4:] == (2, 0)
    sulfone = read_training_set([*GOOD, "CS(C)(=O)=O"], settings)
    assert largest_valences(sulfone, settings.elements)[4] == 6


def test_ring_patterns_name_the_strain():
    norbornane = ring_patterns(Chem.MolFromSmiles("C1CC2CCC1C2"))
    assert {"system 5,5", "fusion 5 5 3", "ring 5 11111"} <= norbornane
    assert "ring 4 1122" in ring_patterns(Chem.MolFromSmiles("C1=C=CC1"))
    assert ring_patterns(Chem.MolFromSmiles("c1ccoc1")) == ring_patterns(Chem.MolFromSmiles("C1=COC=C1"))
    bridgehead = ring_patterns(Chem.MolFromSmiles("C1=C2CCC1C2"))
    assert not bridgehead <= norbornane | ring_patterns(Chem.MolFromSmiles("C1=CC2CCC1C2"))
    assert ring_patterns(Chem.MolFromSmiles("CC#CC")) == set()
