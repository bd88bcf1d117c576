"""surrogate.last_layer: against the exact Gaussian process that its random features stand for."""

import numpy as np
import pytest
import torch

from surrogate.last_layer import LastLayerGP


def molecules(seed: int, count: int, *, shift: float = 0.0) -> tuple[torch.Tensor, torch.Tensor]:
    """Atoms in four kinds of environment, two to six a molecule."""
    rng = np.random.default_rng(seed)
    sizes = rng.integers(2, 7, count)
    kinds = rng.integers(0, 4, sizes.sum())
    atoms = np.array([[0, 0, 0], [2, 0, 0], [0, 2, 0], [0, 0, 2]])[kinds]
    atoms = atoms + 0.4 * rng.normal(size=atoms.shape) + shift
    return torch.tensor(atoms, dtype=torch.float32), torch.tensor(np.repeat(np.arange(count), sizes))


def exact(gp: LastLayerGP, training, new) -> np.ndarray:
    """Posterior deviation of the sum-over-atoms squared exponential kernel, with the same width and noise."""
    length = float(1 / gp.frequencies.std())

    def kernel(one, other) -> np.ndarray:
        a, b = ((atoms - gp.shift) / gp.width for atoms, _ in (one, other))
        pairs = torch.exp(-(torch.cdist(a, b) ** 2) / (2 * length**2)).double().numpy()
        left, right = (np.eye(int(m[-1]) + 1)[m.numpy()] for _, m in (one, other))
        return left.T @ pairs @ right

    known = kernel(training, training) + 0.1 * np.eye(int(training[1][-1]) + 1)
    cross = kernel(new, training)
    return np.sqrt(np.diag(kernel(new, new) - cross @ np.linalg.solve(known, cross.T)))


def test_it_is_the_exact_process_up_to_its_random_features() -> None:
    training, new = molecules(0, 60), molecules(1, 200)
    gp = LastLayerGP.fit(*training, seed=0)
    found = gp(*new, 200).numpy()
    expected = exact(gp, training, new)
    assert np.corrcoef(np.log(found), np.log(expected))[0, 1] > 0.9
    assert np.median(found / expected) == pytest.approx(1.0, abs=0.35)


def test_strange_molecules_are_far_and_known_ones_near() -> None:
    training = molecules(0, 300)
    gp = LastLayerGP.fit(*training, seed=0)
    known, strange = gp(*training, 300), gp(*molecules(2, 300, shift=3.0), 300)
    assert float(strange.median()) > 3 * float(known.median())


def test_a_molecule_does_not_depend_on_its_batch_nor_on_the_order_of_atoms() -> None:
    gp = LastLayerGP.fit(*molecules(0, 50), seed=0)
    atoms, of = molecules(3, 20)
    together = gp(atoms, of, 20)
    for k in (0, 7, 19):
        alone = gp(atoms[of == k].flip(0), torch.zeros(int((of == k).sum()), dtype=torch.int64), 1)
        assert float(alone) == pytest.approx(float(together[k]), rel=1e-4)


def test_more_labels_near_a_molecule_make_it_more_certain() -> None:
    few, many, new = molecules(0, 20), molecules(0, 400), molecules(5, 100)
    before, after = (LastLayerGP.fit(*training, seed=0)(*new, 100) for training in (few, many))
    assert float(after.mean()) < 0.7 * float(before.mean())


def test_it_is_fitted_in_pieces(monkeypatch) -> None:
    training, new = molecules(0, 50), molecules(1, 9)
    whole = LastLayerGP.fit(*training, seed=0)(*new, 9)
    monkeypatch.setattr("surrogate.last_layer._AT_ONCE", 7)
    torch.testing.assert_close(LastLayerGP.fit(*training, seed=0)(*new, 9), whole, rtol=1e-4, atol=1e-5)


def test_saved_and_loaded_it_is_the_same(tmp_path) -> None:
    gp, new = LastLayerGP.fit(*molecules(0, 50), seed=0), molecules(1, 9)
    gp.save(tmp_path / "gp.pt")
    loaded = LastLayerGP(**torch.load(tmp_path / "gp.pt", weights_only=True))
    assert torch.equal(loaded(*new, 9), gp(*new, 9))
    other = LastLayerGP.fit(*molecules(0, 50), seed=1)
    assert not torch.equal(other(*new, 9), gp(*new, 9))


def test_atoms_that_are_all_alike_are_no_trouble() -> None:
    atoms = torch.ones(6, 4)
    gp = LastLayerGP.fit(atoms, torch.tensor([0, 0, 1, 1, 2, 2]), seed=0)
    assert bool(torch.isfinite(gp(atoms[:2], torch.tensor([0, 0]), 1)).all())
