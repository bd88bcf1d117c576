"""Shallow ensembles: several outputs of one network, trained by the likelihood of the labels."""

import dataclasses

import numpy as np
import pytest
import torch
from ase.build import molecule
from small_ensembles import GRAPHS, LABELS, SETTINGS, SMILES, fit

from surrogate import Ensemble, EnsembleCalculator, ModelSettings, SurrogateError, graph_3d, to_schnetpack
from surrogate.batches import TARGET, GraphDataset, collate
from surrogate.compat import schnetpack
from surrogate.export import AtomReferences
from surrogate.folds import gain_of_all, left_out, unseen
from surrogate.schnet import build_model
from surrogate.stack import evaluate_heads, evaluate_members
from surrogate.training import _unlikelihood

ATOMS = [molecule(name) for name in ("CH3CH2OH", "H2O", "CH3CN", "CH4")]
PLACED = [graph_3d(one.numbers, one.positions, cutoff=5.0) for one in ATOMS]
NETWORK = ModelSettings(features=16, interactions=2, gaussians=8, heads=5)


@pytest.mark.parametrize("representation", ["schnet", "painn"])
def test_the_heads_are_those_of_schnetpacks_own_forward_pass(representation) -> None:
    settings = dataclasses.replace(NETWORK, representation=representation)
    members = [build_model(settings, seed=k) for k in range(2)]
    batch = GraphDataset(PLACED, settings).batch(range(len(PLACED)))
    found, _ = evaluate_heads(members, batch)
    assert found.shape == (2, 5, len(PLACED))
    for member, heads in zip(members, found, strict=True):
        expected = member(collate(PLACED))[TARGET]
        torch.testing.assert_close(heads.T, expected, rtol=1e-4, atol=1e-5)
        assert float(expected.std(dim=1).min().detach()) > 1e-4
    torch.testing.assert_close(evaluate_members(members, batch)[0], found.mean(dim=1))


def test_they_are_trained_by_the_likelihood_of_a_normal_distribution() -> None:
    """Against torch's own loss."""
    heads = torch.randn(2, 7, 30, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    labels = torch.randn(30, dtype=torch.float64)
    found = _unlikelihood(heads, (heads.mean(dim=1) - labels) ** 2)
    loss = torch.nn.GaussianNLLLoss(reduction="none", eps=1e-12)
    expected = loss(heads.mean(dim=1), labels.expand(2, -1), heads.var(dim=1) + 1e-4)
    torch.testing.assert_close(found, expected)


def test_one_network_tells_its_uncertainty(tmp_path) -> None:
    settings = dataclasses.replace(SETTINGS, heads=8, uncertainty=("ensemble",))
    ensemble = fit(settings=settings, members=1)
    found = ensemble.predict(GRAPHS)
    assert found.samples.shape == (8, len(GRAPHS))
    assert (found.std > 0).all()
    assert np.ptp(found.std) > 0
    ensemble.save(tmp_path)
    again = Ensemble.load(tmp_path)
    assert again.settings.heads == 8
    np.testing.assert_allclose(again.predict(GRAPHS).samples, found.samples, atol=1e-5)
    warm = fit(settings=settings, members=1, warm_start=again)
    assert warm.predict(GRAPHS).samples.shape == (8, len(GRAPHS))


def test_heads_and_folds_go_together() -> None:
    settings = dataclasses.replace(SETTINGS, heads=4)
    out = left_out(SMILES, 6)
    ensemble = fit(settings=settings, training=(GRAPHS, LABELS), validation=None, members=6, left_out=out)
    samples = ensemble.predict(GRAPHS).samples.reshape(6, 4, len(GRAPHS))
    found = ensemble.out_of_fold(GRAPHS, out).samples
    assert found.shape == (8, len(GRAPHS))
    for i in range(len(GRAPHS)):
        np.testing.assert_allclose(found[:, i], samples[out[i], :, i].ravel(), atol=1e-6)


def test_only_different_networks_take_from_an_error_what_more_of_them_would() -> None:
    rng = np.random.default_rng(0)
    networks = rng.normal(size=(2, 1, 4000)) + np.zeros((2, 4, 4000))
    samples = (networks + 0.01 * rng.normal(size=networks.shape)).reshape(8, -1)
    errors = samples.mean(axis=0)
    assert gain_of_all(errors, samples, 6, heads=4) == pytest.approx(
        gain_of_all(errors, networks[:, 0], 6), abs=0.01
    )
    picked, _ = unseen(np.arange(24.0)[:, None], {}, np.array([[False, True, False, False, True, False]]), 4)
    assert picked[:, 0].tolist() == [4, 5, 6, 7, 16, 17, 18, 19]


def test_they_leave_as_their_mean() -> None:
    """To schnetpack and to ASE."""
    references = AtomReferences((1, 6, 7, 8), (-2.5, -7.25, -6.1, -5.4))
    settings = dataclasses.replace(NETWORK, elements=("H", "C", "N", "O"), uncertainty=("ensemble",))
    network = build_model(settings, seed=3).eval()
    ensemble = Ensemble(settings, references, [network], scale=0.37)
    expected = ensemble.predict(PLACED).mean
    plain = to_schnetpack(ensemble)
    convert = schnetpack.interfaces.AtomsConverter(
        schnetpack.transform.ASENeighborList(5.0), device="cpu", dtype=torch.float32
    )
    for atoms, energy in zip(ATOMS, expected, strict=True):
        assert float(plain(convert(atoms))[TARGET].detach()) == pytest.approx(energy, abs=1e-4)
        atoms.calc = EnsembleCalculator(ensemble)
        assert atoms.get_potential_energy() == pytest.approx(energy, abs=1e-4)


@pytest.mark.parametrize(("heads", "said"), [(0, "heads is 0"), (300, "at most 256"), (2.5, "whole number")])
def test_a_number_of_heads_that_cannot_be_is_refused(heads, said) -> None:
    with pytest.raises(SurrogateError, match=said):
        ModelSettings(heads=heads)
