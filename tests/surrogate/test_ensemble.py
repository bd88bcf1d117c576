"""surrogate.ensemble: fit, predict, save and load, and weights that are data."""

import dataclasses
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from small_ensembles import GRAPHS, LABELS, QUICK, SETS, SETTINGS, SMILES, fit

from surrogate import (
    AtomReferences,
    Calibration,
    Ensemble,
    ModelSettings,
    SurrogateError,
    TrainingSettings,
    graph_2d,
    graph_3d,
)
from surrogate.checks import check_warm_start
from surrogate.ensemble import Prediction
from surrogate.schnet import build_model


@pytest.fixture(scope="module")
def ensemble() -> Ensemble:
    return fit()


@pytest.fixture
def saved(ensemble: Ensemble, tmp_path: Path) -> Path:
    ensemble.save(tmp_path / "model")
    return tmp_path / "model"


def assert_same(one: Prediction, other: Prediction) -> None:
    for field in dataclasses.fields(Prediction):
        np.testing.assert_array_equal(getattr(one, field.name), getattr(other, field.name))


def test_prediction_has_the_promised_shapes(ensemble: Ensemble) -> None:
    found = ensemble.predict(GRAPHS, batch_size=5)
    assert found.samples.shape == (2, len(GRAPHS))
    assert found.mean.shape == found.std.shape == (len(GRAPHS),)
    assert found.embeddings.shape == (len(GRAPHS), 2 * SETTINGS.features)
    assert found.samples.dtype == np.float64
    assert (found.std > 0).all()
    assert found.mean == pytest.approx(found.samples.mean(axis=0))
    low, high = found.interval(0.5)
    assert (low < found.mean).all()
    assert (high - low) / 2 == pytest.approx(ensemble.calibration.quantile(0.5) * found.std)
    assert (found.samples[0] != found.samples[1]).any()
    empty = ensemble.predict([])
    assert empty.samples.shape == (2, 0)
    assert empty.mean.shape == empty.std.shape == (0,)
    assert empty.embeddings.shape == (0, found.embeddings.shape[1])


def test_prediction_does_not_depend_on_the_batches(ensemble: Ensemble) -> None:
    answer: list[int] = []
    whole, cut = ensemble.predict(GRAPHS), ensemble.predict(GRAPHS, batch_size=3, on_batch=answer.append)
    assert cut.samples == pytest.approx(whole.samples, abs=1e-4)
    assert cut.embeddings == pytest.approx(whole.embeddings, abs=1e-4)
    assert answer == [3, 3, 3, 3, 3, 1]


def test_the_energy_is_references_plus_network(ensemble: Ensemble) -> None:
    shifted = AtomReferences(
        ensemble.references.numbers, tuple(energy + 1.0 for energy in ensemble.references.energies)
    )
    moved = dataclasses.replace(ensemble, references=shifted)
    atoms = np.array([len(graph) for graph in GRAPHS])
    difference = moved.predict(GRAPHS).samples - ensemble.predict(GRAPHS).samples
    assert difference == pytest.approx(np.tile(atoms, (2, 1)), abs=1e-9)


def test_fit_is_repeatable_and_leaves_the_global_state(ensemble: Ensemble) -> None:
    before = torch.get_rng_state()
    again = fit()
    assert_same(again.predict(GRAPHS), ensemble.predict(GRAPHS))
    assert torch.equal(torch.get_rng_state(), before)
    assert again.calibration == ensemble.calibration
    assert (fit(seed=8).predict(GRAPHS).samples != ensemble.predict(GRAPHS).samples).any()


def test_members_do_not_depend_on_how_many_there_are(ensemble: Ensemble) -> None:
    three = fit(members=3)
    assert len(three.members) == len(three.histories) == 3
    expected = ensemble.predict(GRAPHS).samples
    assert np.ptp(expected, axis=0).max() > 1e-2  # members differ by more than rounding does
    np.testing.assert_allclose(three.predict(GRAPHS).samples[:2], expected, atol=1e-4)


def test_every_epoch_of_every_member_is_said() -> None:
    answer = []
    found = fit(on_epoch=lambda member, epoch, row: answer.append((member, epoch, row["val_MSE"])))
    expected = [
        (member, epoch, row["val_MSE"])
        for member, history in enumerate(found.histories)
        for epoch, row in enumerate(history.epochs)
    ]
    assert sorted(answer) == expected
    assert {member for member, _, _ in answer} == {0, 1}


def test_the_calibration_is_fitted_on_the_validation_molecules(ensemble: Ensemble) -> None:
    graphs, labels = SETS["validation"]
    samples, sources, _ = ensemble._raw(graphs)
    assert ensemble.calibration == Calibration.fit(labels - samples.mean(axis=0), samples, sources)
    assert ensemble.calibration.exponents.keys() == {"ensemble", "gp"}


def test_networks_of_an_earlier_revision_go_on_with_the_inputs_that_they_saw() -> None:
    """AIMNet2's learned numbers are for kernels alone."""
    earlier = dataclasses.replace(SETTINGS, mode="3d", inputs=("gfn1", "aimnet2-b973c"))
    later = dataclasses.replace(earlier, inputs=("gfn1", "aimnet2-b973c-learned"))
    check_warm_start(earlier, 1, later, 1)
    with pytest.raises(SurrogateError, match="use the same"):
        check_warm_start(earlier, 1, dataclasses.replace(earlier, inputs=("gfn1",)), 1)


def test_warm_start_begins_at_the_earlier_weights(ensemble: Ensemble) -> None:
    still = TrainingSettings(epochs=1, lr=1e-12, weight_decay=0.0, device="cpu")
    warm = fit(training_settings=still, warm_start=ensemble, seed=100)
    cold = fit(training_settings=still, seed=100)
    for before, after, fresh in zip(ensemble.members, warm.members, cold.members, strict=True):
        for name, weights in before.state_dict().items():
            torch.testing.assert_close(after.state_dict()[name], weights, rtol=0, atol=1e-7)
        first = "representation.embedding.weight"
        assert not torch.allclose(fresh.state_dict()[first], before.state_dict()[first])
    # The references are fitted again, to what the networks leave; they leave much the same.
    assert warm.predict(GRAPHS).mean == pytest.approx(ensemble.predict(GRAPHS).mean, abs=0.05)
    assert warm.members[0] is not ensemble.members[0]


def test_a_warm_start_that_does_not_fit_is_refused(ensemble: Ensemble) -> None:
    with pytest.raises(SurrogateError, match="members is 3, but the ensemble to start from has 2"):
        fit(members=3, warm_start=ensemble)
    other = dataclasses.replace(SETTINGS, features=8)
    with pytest.raises(SurrogateError, match=r"features=16.* but .*features=8.* is asked for"):
        fit(settings=other, warm_start=ensemble)
    more = dataclasses.replace(SETTINGS, elements=(*SETTINGS.elements, "S"))
    assert fit(settings=more, warm_start=ensemble).references.numbers == (1, 6, 7, 8, 9, 16)


def test_one_member_has_no_spread() -> None:
    alone = fit(members=1, settings=dataclasses.replace(SETTINGS, uncertainty=("ensemble",)))
    assert alone.gp is None
    assert np.isfinite(alone.predict(GRAPHS).mean).all()
    assert np.isnan(alone.predict(GRAPHS).std).all()
    assert (fit(members=1).predict(GRAPHS).std > 0).all()  # from the Gaussian process
    with pytest.raises(SurrogateError, match="members is 0; an ensemble has 1 at least"):
        fit(members=0)


@pytest.mark.parametrize("which", ["training", "validation"])
def test_labels_that_are_no_numbers_are_refused(which: str) -> None:
    graphs, labels = SETS[which]
    bad = labels.copy()
    bad[1] = np.nan
    with pytest.raises(SurrogateError, match="Label 1 is nan; every label must be a finite number in eV"):
        fit(**{which: (graphs, bad)})
    with pytest.raises(SurrogateError, match="one per molecule, shape"):
        fit(**{which: (graphs, labels[:1])})


def test_empty_sets_are_refused() -> None:
    with pytest.raises(SurrogateError, match="no labelled molecule"):
        fit(training=([], np.empty(0)))
    with pytest.raises(SurrogateError, match="10 training and 0 validation molecules"):
        fit(validation=([], np.empty(0)))


def test_elements_are_checked(ensemble: Ensemble) -> None:
    with pytest.raises(SurrogateError, match=r"Molecule 1 has atomic numbers \[17\]"):
        ensemble.predict([GRAPHS[0], graph_2d("CCl", cutoff=5.0)])
    with pytest.raises(SurrogateError, match="'Xq' is not the symbol of an element"):
        fit(settings=dataclasses.replace(SETTINGS, elements=("H", "Xq")))
    twice = dataclasses.replace(SETTINGS, elements=("H", "C", "N", "O", "F", "C"))
    assert fit(settings=twice).references.numbers == (1, 6, 7, 8, 9)


def test_prediction_is_the_same_wherever_the_ensemble_was_before(ensemble: Ensemble) -> None:
    before = torch.get_rng_state()
    first = ensemble.predict(GRAPHS)
    assert_same(ensemble.predict(GRAPHS), first)
    assert torch.equal(torch.get_rng_state(), before)
    assert {p.device.type for member in ensemble.members for p in member.parameters()} == {"cpu"}


def hydrogens(n: int, level: str = "GFN2", *, inputs: bool = False) -> list:
    """Stretched H2, with a made-up baseline that carries the whole energy."""
    xtb = {"charges": np.zeros(2), "bond_orders": np.array([[0, 0.9], [0.9, 0]])} if inputs else {}
    return [
        graph_3d(
            [1, 1],
            [[0, 0, 0], [0, 0, 0.6 + 0.02 * k]],
            cutoff=5.0,
            baselines=[-4.0 - k],
            baseline_level=level,
            **xtb,
        )
        for k in range(n)
    ]


def test_delta_learns_what_the_baseline_leaves() -> None:
    settings = ModelSettings(baseline="GFN2", features=16, interactions=1, gaussians=8)
    graphs = hydrogens(12)
    labels = np.array([graph.baseline for graph in graphs]) + 0.5  # the same for all: the references take it
    sets = {"training": (graphs[:8], labels[:8]), "validation": (graphs[8:], labels[8:])}
    answer = fit(settings=settings, **sets).predict(graphs)
    np.testing.assert_allclose(answer.mean, labels, atol=0.4)  # the baselines span 11 eV
    with pytest.raises(SurrogateError, match="Molecule 0 comes with GFN1; the model learns on top of GFN2"):
        fit(settings=settings, **sets).predict(hydrogens(1, "GFN1"))
    with pytest.raises(SurrogateError, match="Molecule 0 comes with no baseline"):
        fit(settings=settings, training=sets["training"], validation=(hydrogens(12, "")[8:], labels[8:]))


@pytest.mark.parametrize(
    "settings",
    [
        ModelSettings(baseline="GFN2", inputs=("xtb",), features=16, interactions=1, gaussians=8),
        ModelSettings(baseline="GFN2", inputs=("xtb",), representation="painn", features=16, interactions=1),
    ],
)
def test_further_inputs_count_and_survive_the_disk(settings: ModelSettings, tmp_path: Path) -> None:
    graphs = hydrogens(12, inputs=True)
    labels = np.linspace(-5, -4, 12)
    trained = fit(
        settings=settings,
        training=(graphs[:8], labels[:8]),
        validation=(graphs[8:], labels[8:]),
        training_settings=dataclasses.replace(QUICK, scale=True),
    )
    trained.save(tmp_path / "model")
    answer = Ensemble.load(tmp_path / "model").predict(graphs)
    np.testing.assert_array_equal(answer.samples, trained.predict(graphs).samples)
    other = dataclasses.replace(graphs[0], atom_inputs=graphs[0].atom_inputs + 1.0)
    assert np.abs(trained.predict([other]).samples - answer.samples[:, :1]).min() > 1e-6
    bonded = dataclasses.replace(graphs[0], pair_inputs=graphs[0].pair_inputs + 1.0)
    assert np.abs(trained.predict([bonded]).samples - answer.samples[:, :1]).min() > 1e-6
    with pytest.raises(SurrogateError, match="Molecule 0 has 0 inputs per atom, 0 per pair"):
        trained.predict(hydrogens(1))


@pytest.mark.parametrize("scale", [True, False])
def test_a_scale_changes_units_within_and_none_without(scale: bool) -> None:
    trained = fit(training_settings=dataclasses.replace(QUICK, epochs=40, scale=scale))
    assert (trained.scale != 1.0) == scale
    for member, history in enumerate(trained.histories):
        found = np.abs(trained.predict(GRAPHS[10:]).samples[member] - LABELS[10:])
        answer = history.epochs[history.best_epoch]
        assert answer["val_MAE"] == pytest.approx(found.mean(), rel=1e-3)
        assert answer["val_MSE"] == pytest.approx((found**2).mean(), rel=1e-3)


def test_the_kinds_of_uncertainty_are_a_choice(tmp_path: Path) -> None:
    said = {}
    for kinds in (("ensemble",), ("gp",), ("variance",), ("ensemble", "gp", "variance")):
        found = fit(settings=dataclasses.replace(SETTINGS, uncertainty=kinds))
        said[kinds] = found.predict(GRAPHS).std
        assert set(found.calibration.exponents) == set(kinds)
        found.save(tmp_path / "-".join(kinds))
        assert_same(Ensemble.load(tmp_path / "-".join(kinds)).predict(GRAPHS), found.predict(GRAPHS))
    assert len({values.tobytes() for values in said.values()}) == len(said)
    with pytest.raises(
        SurrogateError, match="uncertainty is 'laplace'; it is 'ensemble', 'gp' or 'variance'"
    ):
        dataclasses.replace(SETTINGS, uncertainty=("laplace",))


@pytest.mark.parametrize("representation", ["schnet", "painn"])
def test_a_network_serves_several_threads_at_once(representation: str) -> None:
    """Batches of equal shape, whose further inputs must not be mixed up."""
    rng = np.random.default_rng(0)
    graphs = []
    for _ in range(64):
        orders = rng.random((6, 6))
        further = {"charges": rng.normal(size=6), "bond_orders": orders + orders.T}
        graphs.append(graph_3d([6] * 6, 2 * rng.normal(size=(6, 3)), cutoff=50.0, **further))
    settings = ModelSettings(representation=representation, inputs=("xtb",), features=16, cutoff=50.0)
    references = AtomReferences((6,), (0.0,))
    ensemble = Ensemble(settings, references, [build_model(settings, seed=0).eval()])
    threads, interval = torch.get_num_threads(), sys.getswitchinterval()
    try:
        torch.set_num_threads(1)
        expected = ensemble.predict(graphs, batch_size=4, device="cpu").samples
        torch.set_num_threads(4)
        sys.setswitchinterval(1e-5)
        for _ in range(5):
            found = ensemble.predict(graphs, batch_size=4, device="cpu").samples
            np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)
    finally:
        torch.set_num_threads(threads)
        sys.setswitchinterval(interval)


def test_a_head_for_variances_changes_no_energy() -> None:
    with_head = fit(settings=dataclasses.replace(SETTINGS, uncertainty=("ensemble", "variance")))
    without = fit(settings=dataclasses.replace(SETTINGS, uncertainty=("ensemble",)))
    np.testing.assert_allclose(with_head.predict(GRAPHS).samples, without.predict(GRAPHS).samples, atol=1e-5)


def test_a_molecule_in_both_sets_is_refused() -> None:
    with pytest.raises(SurrogateError, match="2 molecules are in training and validation"):
        fit(validation=(GRAPHS[8:], LABELS[8:]))
    again = [graph_2d(smiles, cutoff=5.0) for smiles in SMILES[8:]]
    with pytest.raises(SurrogateError, match="2 molecules are in training and validation"):
        fit(validation=(again, LABELS[8:]))


def test_stereoisomers_that_the_network_tells_apart_are_two() -> None:
    cis, trans = (graph_2d(one, cutoff=5.0, chemistry=True) for one in ("C/C=C\\C", "C/C=C/C"))
    settings = dataclasses.replace(SETTINGS, inputs=("chemistry",))
    others = [graph_2d(one, cutoff=5.0, chemistry=True) for one in SMILES[:4]]
    sets = {"training": ([cis, *others], LABELS[:5]), "validation": ([trans], LABELS[:1])}
    assert len(fit(settings=settings, members=1, **sets).members) == 1
    with pytest.raises(SurrogateError, match="1 molecules are in training and validation"):
        fit(settings=settings, members=1, **(sets | {"validation": ([cis], LABELS[:1])}))


def test_pretraining_then_fine_tuning_keeps_what_is_frozen() -> None:
    cheap = fit(training=(GRAPHS[:10], 2 * LABELS[:10]), validation=(GRAPHS[10:], 2 * LABELS[10:]))
    tuned = fit(warm_start=cheap, training_settings=dataclasses.replace(QUICK, freeze="representation"))
    for before, after in zip(cheap.members, tuned.members, strict=True):
        earlier = before.state_dict()
        kept = {name: torch.equal(value, earlier[name]) for name, value in after.named_parameters()}
        assert all(same for name, same in kept.items() if name.startswith("representation."))
        assert not any(same for name, same in kept.items() if name.startswith("output_modules."))


def test_a_warm_start_knows_from_the_first_step_what_it_has_learned() -> None:
    """Another level of theory is, to begin with, another energy for each element."""
    hard = LABELS + np.random.default_rng(0).normal(0, 0.5, len(LABELS))  # what no reference explains
    long = dataclasses.replace(QUICK, epochs=150, lr=3e-3, stop_patience=150)
    sets = {"training": (GRAPHS, hard), "validation": ([graph_2d("CCCO", cutoff=5.0)], np.array([-40.0]))}
    cheap = fit(training_settings=long, **sets)
    shift = np.array([np.where(graph.numbers == 1, 0.7, -2.0).sum() for graph in GRAPHS])
    sets["training"] = (GRAPHS, hard + shift)
    still = dataclasses.replace(QUICK, epochs=1, lr=1e-9)

    def error(ensemble: Ensemble, truth: np.ndarray) -> float:
        return float(np.abs(ensemble.predict(GRAPHS).mean - truth).mean())

    tuned, fresh = (
        fit(training_settings=still, warm_start=cheap, **sets),
        fit(training_settings=still, **sets),
    )
    assert tuned.scale == cheap.scale
    assert error(tuned, hard + shift) == pytest.approx(error(cheap, hard), abs=0.05)
    assert error(tuned, hard + shift) < error(fresh, hard + shift) - 0.02
