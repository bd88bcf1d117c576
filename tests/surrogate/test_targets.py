"""surrogate.targets: atom references, and labels that are refused."""

from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from surrogate import AtomReferences, SurrogateError, graph_3d
from surrogate.targets import baselines, checked_labels, element_counts, per_atom_deviation

NUMBERS = (1, 6, 7, 8, 9)
TRUE = {1: -2.6, 6: -7.2, 7: -6.1, 8: -5.4, 9: -4.0}

compositions = st.lists(st.lists(st.sampled_from(NUMBERS), min_size=2, max_size=12), min_size=1, max_size=25)


def graphs_of(compositions):
    return [
        graph_3d(numbers, np.arange(3.0 * len(numbers)).reshape(-1, 3), cutoff=1.0)
        for numbers in compositions
    ]


def random_molecules(n: int, seed: int = 0):
    rng = np.random.default_rng(seed)
    return graphs_of([rng.choice(NUMBERS, size=rng.integers(3, 20)).tolist() for _ in range(n)])


def additive(graphs) -> np.ndarray:
    return np.array([sum(TRUE[int(z)] for z in graph.numbers) for graph in graphs])


def test_per_element_energies_are_recovered() -> None:
    graphs = random_molecules(200)
    exact = AtomReferences.fit(NUMBERS, graphs, additive(graphs), ridge=1e-9)
    assert exact.energies == pytest.approx([TRUE[z] for z in NUMBERS], abs=1e-6)
    usual = AtomReferences.fit(NUMBERS, graphs, additive(graphs))
    assert usual.energies == pytest.approx([TRUE[z] for z in NUMBERS], abs=1e-3)
    unseen = random_molecules(20, seed=1)
    assert usual(unseen) == pytest.approx(additive(unseen), abs=0.01)


def test_noise_averages_out() -> None:
    graphs = random_molecules(400)
    noise = np.random.default_rng(2).normal(scale=0.3, size=len(graphs))
    fitted = AtomReferences.fit(NUMBERS, graphs, additive(graphs) + noise)
    assert fitted.energies == pytest.approx([TRUE[z] for z in NUMBERS], abs=0.05)


@given(compositions)
@settings(max_examples=80, deadline=None)
def test_no_element_blows_up_however_few_the_molecules(compositions) -> None:
    graphs = graphs_of(compositions)
    fitted = AtomReferences.fit(NUMBERS, graphs, additive(graphs))
    lowest, highest = min(TRUE.values()), max(TRUE.values())
    margin = highest - lowest
    assert np.isfinite(fitted.energies).all()
    assert lowest - 2 * margin <= min(fitted.energies)
    assert max(fitted.energies) <= highest + 2 * margin


def test_a_missing_element_gets_the_shared_energy_per_atom() -> None:
    graphs = graphs_of([[6, 1, 1, 1, 1], [6, 6, 1, 1, 1, 1], [8, 1, 1]])
    fitted = AtomReferences.fit(NUMBERS, graphs, additive(graphs))
    shared = additive(graphs).sum() / sum(len(graph) for graph in graphs)
    assert fitted.energies[NUMBERS.index(9)] == pytest.approx(shared)
    assert fitted.energies[NUMBERS.index(6)] != pytest.approx(shared, abs=0.1)


@given(compositions)
@settings(max_examples=40, deadline=None)
def test_counts_and_sums(compositions) -> None:
    graphs = graphs_of(compositions)
    counts = element_counts(NUMBERS, graphs)
    assert counts.shape == (len(graphs), len(NUMBERS))
    assert counts.tolist() == [[numbers.count(z) for z in NUMBERS] for numbers in compositions]
    references = AtomReferences(NUMBERS, tuple(TRUE[z] for z in NUMBERS))
    assert references(graphs) == pytest.approx(additive(graphs))


def test_no_molecules_have_no_references() -> None:
    references = AtomReferences(NUMBERS, (1.0,) * 5)
    assert references([]).shape == (0,)
    with pytest.raises(SurrogateError, match="no labelled molecule to fit; at least one is needed"):
        AtomReferences.fit(NUMBERS, [], np.empty(0))


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_label_that_is_no_number_is_named(bad: float) -> None:
    graphs = random_molecules(4)
    labels = additive(graphs)
    labels[2] = bad
    with pytest.raises(SurrogateError, match=rf"Label 2 is {bad}; every label must be a finite number in eV"):
        AtomReferences.fit(NUMBERS, graphs, labels)


@pytest.mark.parametrize("shape", [(3,), (4, 1), (1,), ()])
def test_labels_that_are_not_one_per_molecule_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(SurrogateError, match=r"one per molecule, shape \(4,\), is expected"):
        checked_labels([SimpleNamespace()] * 4, np.zeros(shape))


def test_an_element_the_model_was_not_built_for_is_named() -> None:
    graphs = graphs_of([[6, 1], [6, 17, 35]])
    with pytest.raises(SurrogateError, match=r"Molecule 1 has atomic numbers \[17, 35\]; the model is built"):
        AtomReferences.fit(NUMBERS, graphs, np.zeros(2))
    with pytest.raises(SurrogateError, match=r"Molecule 1 has atomic numbers \[17, 35\]"):
        AtomReferences(NUMBERS, (0.0,) * 5)(graphs)


def test_kinds_of_references() -> None:
    graphs = random_molecules(30)
    energies = additive(graphs)
    mean = AtomReferences.fit(NUMBERS, graphs, energies, kind="mean")
    assert mean(graphs).sum() == pytest.approx(energies.sum())
    assert len(set(mean.energies)) == 1
    assert AtomReferences.fit(NUMBERS, graphs, energies, kind="none")(graphs).tolist() == [0.0] * 30


def test_deviation_is_per_atom_and_never_zero() -> None:
    graphs = random_molecules(20)
    sizes = np.array([len(graph) for graph in graphs])
    shares = np.random.default_rng(1).normal(size=20)
    assert per_atom_deviation(graphs, shares * sizes) == pytest.approx(shares.std())
    assert 0 < per_atom_deviation(graphs, 2.0 * sizes) < 1e-5


def test_a_handful_of_molecules_tells_no_deviation() -> None:
    graphs = random_molecules(40)
    few = [graph for graph in graphs if len(set(graph.numbers.tolist())) >= 3][:5]
    references = AtomReferences.fit(NUMBERS, few, additive(few))
    assert per_atom_deviation(few, additive(few) - references(few)) == 1.0


def test_a_baseline_of_another_level_is_refused() -> None:
    def graph(level: str):
        return graph_3d([1, 1], [[0, 0, 0], [0, 0, 0.7]], cutoff=5.0, baselines=[-1.5], baseline_level=level)

    assert baselines([graph("GFN2")], "GFN2").tolist() == [-1.5]
    with pytest.raises(SurrogateError, match="Molecule 1 comes with GFN1; the model learns on top of GFN2"):
        baselines([graph("GFN2"), graph("GFN1")], "GFN2")
    with pytest.raises(SurrogateError, match="comes with no baseline; the model learns on top of GFN2"):
        baselines([graph("")], "GFN2")
    with pytest.raises(SurrogateError, match="comes with GFN2; the model learns on top of no baseline"):
        baselines([graph("GFN2")], "")
