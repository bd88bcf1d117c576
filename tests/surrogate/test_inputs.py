"""surrogate.inputs: the pairs that SchNet convolves over, from geometries and from SMILES."""

import numpy as np
import pytest
from ase import Atoms
from ase.neighborlist import neighbor_list
from hypothesis import given, settings
from hypothesis import strategies as st
from rdkit import Chem

from surrogate import Graph, SurrogateError, graph_2d, graph_3d
from surrogate.inputs import input_widths

SMILES = ["CCO", "C#CC(C)=O", "c1cc[nH]c1", "C[C@H](O)F", "O=CN1CC1", "N#CC1=CCO1"]

geometries = st.integers(2, 9).flatmap(
    lambda n: st.tuples(
        st.lists(st.sampled_from([1, 6, 7, 8, 9]), min_size=n, max_size=n),
        st.lists(st.tuples(*[st.floats(-4, 4)] * 3), min_size=n, max_size=n),
    )
)


def distance_matrix(graph: Graph) -> np.ndarray:
    """``(n, n)`` Å, infinite where there is no pair."""
    table = np.full((len(graph), len(graph)), np.inf)
    table[graph.receivers, graph.senders] = np.linalg.norm(graph.vectors, axis=1)
    return table


def rewritten(smiles: str, seed: int) -> str:
    """The same molecule with its atoms in another order."""
    molecule = Chem.MolFromSmiles(smiles)
    order = [int(i) for i in np.random.default_rng(seed).permutation(molecule.GetNumAtoms())]
    return Chem.MolToSmiles(Chem.RenumberAtoms(molecule, order), canonical=False)


@given(geometries)
@settings(max_examples=60, deadline=None)
def test_3d_pairs_are_those_of_ase(molecule) -> None:
    numbers, positions = molecule
    receivers, senders, vectors = neighbor_list("ijD", Atoms(numbers, positions), 3.0, self_interaction=False)
    expected = {(i, j): v for i, j, v in zip(receivers, senders, vectors, strict=True)}
    graph = graph_3d(np.array(numbers), np.array(positions), cutoff=3.0)
    found = {(i, j): v for i, j, v in zip(graph.receivers, graph.senders, graph.vectors, strict=True)}
    for i, j in expected.keys() ^ found.keys():  # either answer is right for a pair exactly at the cutoff
        assert np.linalg.norm(np.subtract(positions[j], positions[i])) == pytest.approx(3.0, abs=1e-9)
    for pair in expected.keys() & found.keys():
        assert found[pair] == pytest.approx(expected[pair], abs=1e-5)
    assert len(found) == len(graph.senders)  # no pair twice


def test_3d_dtypes_and_direction() -> None:
    pair = graph_3d([1, 1], [[0, 0, 0], [0, 0, 0.74]], cutoff=5.0)
    assert pair.vectors.dtype == np.float32
    assert pair.numbers.dtype == pair.senders.dtype == pair.receivers.dtype == np.int64
    # From the receiver to the sender, as schnetpack's Rij = R[j] - R[i].
    assert pair.vectors[pair.receivers == 0][0].tolist() == pytest.approx([0, 0, 0.74])
    assert len(graph_3d([1, 1], [[0, 0, 0], [0, 0, 5.0]], cutoff=5.0).senders) == 0


@pytest.mark.parametrize(
    ("numbers", "positions", "why"),
    [
        ([], np.empty((0, 3)), "without atoms"),
        ([1, 1], [[0, 0, 0]], r"shape \(1, 3\); \(2, 3\) is expected"),
        ([1], [[0, 0]], r"\(1, 3\) is expected"),
        ([1, 1], [[0, np.nan, 0], [1, 0, 0]], "NaN or infinity"),
        ([1, 1], [[np.inf, 0, 0], [1, 0, 0]], "NaN or infinity"),
        ([2], [[0.0, 0.0, 0.0]], "single atom"),
    ],
)
def test_3d_refuses_what_is_no_geometry(numbers, positions, why: str) -> None:
    with pytest.raises(SurrogateError, match=why):
        graph_3d(numbers, positions, cutoff=5.0)


@given(st.sampled_from(SMILES), st.floats(1.0, 9.0))
@settings(max_examples=30, deadline=None)
def test_2d_distances_are_a_metric_within_the_cutoff(smiles: str, cutoff: float) -> None:
    far = distance_matrix(graph_2d(smiles, cutoff=100.0))
    np.fill_diagonal(far, 0.0)
    np.testing.assert_array_equal(far, far.T)
    assert (far[:, None, :] <= far[:, :, None] + far[None, :, :] + 1e-4).all()
    near = distance_matrix(graph_2d(smiles, cutoff=cutoff))
    np.fill_diagonal(near, 0.0)
    kept = np.isfinite(near)
    np.testing.assert_array_equal(near[kept], far[kept])
    assert (far[~kept] >= cutoff - 1e-5).all()
    assert (far[kept] <= cutoff + 1e-5).all()


@given(st.sampled_from(SMILES), st.integers(0, 2**31 - 1), st.sampled_from(["topological", "depiction"]))
@settings(max_examples=60, deadline=None)
def test_2d_graph_does_not_depend_on_how_the_smiles_is_written(smiles: str, seed: int, layout: str) -> None:
    def fingerprint(graph: Graph) -> list[tuple[int, tuple[float, ...]]]:
        table = distance_matrix(graph)
        rows = [
            sorted((int(z), round(float(d), 3)) for z, d in zip(graph.numbers, row, strict=True))
            for row in table
        ]
        return sorted((int(z), tuple(row)) for z, row in zip(graph.numbers, rows, strict=True))

    first = graph_2d(smiles, cutoff=5.0, layout=layout)
    assert fingerprint(graph_2d(rewritten(smiles, seed), cutoff=5.0, layout=layout)) == fingerprint(first)


# Experimental lengths in Å: CRC Handbook of Chemistry and Physics, "Bond lengths in gas-phase molecules".
@pytest.mark.parametrize(
    ("smiles", "ends", "length"),
    [
        ("CC", (6, 6), 1.535),
        ("C=C", (6, 6), 1.339),
        ("C#C", (6, 6), 1.203),
        ("c1ccccc1", (6, 6), 1.397),
        ("C", (6, 1), 1.09),
        ("O", (8, 1), 0.958),
        ("N", (7, 1), 1.012),
        ("CO", (6, 8), 1.425),
        ("C=O", (6, 8), 1.208),
        ("C#N", (6, 7), 1.153),
        ("CF", (6, 9), 1.383),
    ],
)
def test_2d_bonds_are_about_as_long_as_real_ones(smiles: str, ends: tuple[int, int], length: float) -> None:
    graph = graph_2d(smiles, cutoff=10.0)
    table = distance_matrix(graph)
    between = table[np.ix_(graph.numbers == ends[0], graph.numbers == ends[1])]
    assert between.min() == pytest.approx(length, abs=0.06)


def test_2d_distance_is_the_shortest_path_over_bonds() -> None:
    table = distance_matrix(graph_2d("CCC", cutoff=10.0))
    assert table[0, 2] == pytest.approx(2 * table[0, 1], rel=1e-6)
    ring = distance_matrix(graph_2d("C1CCCC1", cutoff=10.0))
    assert ring[0, 3] == pytest.approx(2 * ring[0, 1], rel=1e-6)  # the short way round
    parts = graph_2d("C.O", cutoff=100.0)  # fragments do not see each other
    assert not np.isfinite(distance_matrix(parts)[0, 1])


@pytest.mark.parametrize("smiles", ["", "C1CC", "not a molecule"])
def test_2d_refuses_what_is_no_smiles(smiles: str) -> None:
    with pytest.raises(SurrogateError, match="not a SMILES of a molecule"):
        graph_2d(smiles, cutoff=5.0)


@pytest.mark.parametrize("inputs", [{}, {"chemistry": True}, {"layout": "depiction"}])
def test_what_comes_with_a_2d_graph(inputs: dict) -> None:
    graph = graph_2d("C/C=C/C", cutoff=4.0, **inputs)
    atoms, pairs, _ = input_widths(("chemistry",) if "chemistry" in inputs else ())
    assert graph.atom_inputs.shape == (len(graph), atoms)
    assert graph.pair_inputs.shape == (len(graph.senders), pairs)
    assert graph.atom_inputs.dtype == graph.pair_inputs.dtype == np.float32
    assert (graph.vectors[:, 2] == 0).all()  # a drawing is flat


@given(st.sampled_from(SMILES), st.integers(0, 2**31 - 1))
@settings(max_examples=30, deadline=None)
def test_chemistry_does_not_depend_on_how_the_smiles_is_written(smiles: str, seed: int) -> None:
    def sums(graph: Graph) -> np.ndarray:
        return np.concatenate([graph.atom_inputs.sum(axis=0), graph.pair_inputs.sum(axis=0)])

    first, other = (graph_2d(s, cutoff=5.0, chemistry=True) for s in (smiles, rewritten(smiles, seed)))
    np.testing.assert_allclose(sums(first), sums(other), atol=1e-5)


@pytest.mark.parametrize(
    ("one", "other"), [("C/C=C/C", "C/C=C\\C"), ("C1CC1C", "CC=CC"), ("CC=O", "C=CO"), ("N#N", "N=N")]
)
def test_chemistry_tells_molecules_apart(one: str, other: str) -> None:
    found = [graph_2d(s, cutoff=5.0, chemistry=True) for s in (one, other)]
    assert not np.allclose(found[0].pair_inputs.sum(axis=0), found[1].pair_inputs.sum(axis=0))


def test_a_drawing_is_in_angstrom() -> None:
    graph = graph_2d("CCCCC", cutoff=10.0, layout="depiction")
    table = distance_matrix(graph)
    heavy = np.sort(table[:5, :5].ravel())[:8]  # four bonds, both ways
    assert heavy == pytest.approx([1.43] * 8, abs=0.05)


def test_xtb_inputs_are_charge_square_valence_and_bond_order() -> None:
    charges, orders = np.array([-0.4, 0.2, 0.2]), np.array([[9, 0.9, 0.8], [0.9, 9, 0.1], [0.8, 0.1, 9.0]])
    graph = graph_3d(
        [8, 1, 1],
        np.eye(3),
        cutoff=5.0,
        charges=charges,
        bond_orders=orders,
        baselines=[-9.5],
        baseline_level="x",
    )
    expected = [[-0.4, 0.16, 1.7], [0.2, 0.04, 1.0], [0.2, 0.04, 0.9]]  # the diagonal is no bond
    np.testing.assert_allclose(graph.atom_inputs, expected, atol=1e-6)
    pairs = dict(zip(zip(graph.receivers, graph.senders, strict=True), graph.pair_inputs[:, 0], strict=True))
    assert pairs[0, 1] == pytest.approx(0.9) == pairs[1, 0]
    assert (graph.baseline, graph.baseline_level) == (-9.5, "x")


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({"charges": np.zeros(2)}, "both, or neither"),
        ({"charges": np.zeros(3), "bond_orders": np.zeros((2, 2))}, r"charges have shape \(3,\)"),
        ({"charges": np.zeros(2), "bond_orders": np.full((2, 2), np.nan)}, "bond orders contain NaN"),
        ({"baselines": [np.nan]}, "baselines are .nan"),
    ],
)
def test_3d_refuses_what_is_no_calculation(given: dict, why: str) -> None:
    with pytest.raises(SurrogateError, match=why):
        graph_3d([1, 1], [[0, 0, 0], [0, 0, 0.74]], cutoff=5.0, **given)


def test_a_single_atom_and_an_unknown_layout_are_refused() -> None:
    with pytest.raises(SurrogateError, match="single atom"):
        graph_2d("[He]", cutoff=5.0)
    with pytest.raises(SurrogateError, match="layout is 'round'; it is 'topological' or 'depiction'"):
        graph_2d("CC", cutoff=5.0, layout="round")
