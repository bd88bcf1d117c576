"""Sum, mean and attention over atoms: what two copies of a molecule, far apart, are predicted as."""

from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.build import molecule
from ase.collections import g2

from surrogate import ModelSettings, SurrogateError, TrainingSettings, fit_surrogate, graph_3d, load_surrogate
from surrogate.fitting import folds_for
from surrogate.targets import AtomReferences

NAMES = [name for name in g2.names if set(molecule(name).numbers) <= {1, 6, 7, 8} and len(molecule(name)) > 2]
MOLECULES = [molecule(name) for name in NAMES[:40]]
HOW = TrainingSettings(epochs=30, batch_size=8, lr=5e-3, device="cpu")


def graphs_of(molecules: list[Atoms]) -> list:
    return [graph_3d(atoms.numbers, atoms.positions, cutoff=5.0) for atoms in molecules]


def twice(atoms: Atoms) -> Atoms:
    other = atoms.copy()
    other.positions += 50.0
    return atoms + other


def intensive(atoms: Atoms) -> float:
    """A mean over atoms of something smooth."""
    distances = atoms.get_all_distances() + np.diag(np.full(len(atoms), np.inf))
    return float(5 + np.mean(atoms.numbers**0.5) + np.exp(-distances).sum() / len(atoms))


def fitted(representation: str, pooling: str, values: np.ndarray):
    settings = ModelSettings(
        representation=representation, pooling=pooling, elements=("H", "C", "N", "O"), features=16,
        gaussians=8, uncertainty=("ensemble", "gp"),
    )  # fmt: skip
    folds = folds_for(settings, range(len(MOLECULES)), 3)
    return fit_surrogate(
        settings, HOW, training=(graphs_of(MOLECULES), values), members=3, seed=0, left_out=folds
    )


@pytest.mark.parametrize(
    ("representation", "pooling", "factor"),
    [
        ("schnet", "sum", 2),
        ("schnet", "mean", 1),
        ("schnet", "attention", 1),
        ("painn", "mean", 1),
        ("kernel", "sum", 2),
        ("kernel", "mean", 1),
    ],
)
def test_two_copies_have_twice_the_sum_and_the_same_mean(
    representation: str, pooling: str, factor: int, tmp_path: Path
) -> None:
    values = np.array([intensive(atoms) * (len(atoms) if pooling == "sum" else 1) for atoms in MOLECULES])
    model = fitted(representation, pooling, values)
    one, two = (model.predict(graphs_of(molecules)) for molecules in (MOLECULES, map(twice, MOLECULES)))
    np.testing.assert_allclose(two.mean, factor * one.mean, rtol=1e-4)
    np.testing.assert_allclose(two.embeddings, factor * one.embeddings, rtol=1e-3, atol=5e-3)  # in 32 bits
    if factor == 1:
        np.testing.assert_allclose(two.std, one.std, rtol=1e-2)
        assert np.abs(one.mean - values).mean() < 0.5 * np.abs(values - values.mean()).mean()
    model.save(tmp_path)
    again = load_surrogate(tmp_path)
    assert again.settings.pooling == pooling
    np.testing.assert_array_equal(again.predict(graphs_of(MOLECULES)).mean, one.mean)


def test_references_of_an_intensive_property_are_shares_of_elements() -> None:
    graphs = graphs_of([molecule("CH4"), molecule("CO2"), molecule("C2H6")])
    shares = np.array([[4 / 5, 1 / 5, 0], [0, 1 / 3, 2 / 3], [6 / 8, 2 / 8, 0]])
    values = shares @ np.array([1.0, 2.0, 3.0])
    found = AtomReferences.fit((1, 6, 8), graphs, values, mean=True, ridge=1e-9)
    np.testing.assert_allclose(found(graphs), values, atol=1e-6)
    assert AtomReferences.of(found.as_dict()).energies == found.energies
    only = AtomReferences.fit((1, 6, 8), graphs, values, mean=True, kind="mean")
    np.testing.assert_allclose(only(graphs), values.mean())
    with pytest.raises(TypeError):
        AtomReferences.of(found.as_dict() | {"mean": "yes"})


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"pooling": "max"}, "pooling is 'max'"),
        ({"pooling": "mean", "baseline": "GFN2-xTB"}, "a baseline is an energy"),
        ({"pooling": "attention", "representation": "kernel"}, "kernel has not"),
    ],
)
def test_what_does_not_go_together(given: dict, sentence: str) -> None:
    with pytest.raises(SurrogateError, match=sentence):
        ModelSettings(**given)
