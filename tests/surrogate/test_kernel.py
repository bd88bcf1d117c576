"""surrogate.kernel: a process that is exact, moves with nothing, and survives the disk."""

from dataclasses import replace

import numpy as np
import pytest
from ase import Atoms
from ase.build import molecule
from ase.collections import g2
from sklearn.decomposition import TruncatedSVD
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF

from surrogate import (
    Ensemble,
    ModelSettings,
    SurrogateError,
    TrainingSettings,
    fit_surrogate,
    graph_3d,
    load_surrogate,
)  # fmt: skip
from surrogate.atom_kernel import AtomsOf, Descriptor, _main_directions, atom_sums, kernel, self_kernel
from surrogate.fitting import chosen_representation, folds_for
from surrogate.folds import each_alone
from surrogate.inputs import graph_2d
from surrogate.kernel import KernelModel
from surrogate.kernel_prior import _USUAL_LENGTHS, _USUAL_SIZE, prior_covariance
from surrogate.likelihood import fit_sizes, leave_out
from surrogate.low_rank import Covariance

KERNEL = ModelSettings(representation="kernel", elements=("H", "C", "N", "O"), features=16, gaussians=8)
NAMES = [name for name in g2.names if set(molecule(name).numbers) <= {1, 6, 7, 8} and len(molecule(name)) > 2]
MOLECULES = [molecule(name) for name in NAMES]


def graphs_of(molecules: list[Atoms], **more) -> list:
    return [graph_3d(atoms.numbers, atoms.positions, cutoff=5.0, **more) for atoms in molecules]


def labels_of(molecules: list[Atoms]) -> np.ndarray:
    """Something smooth that is a sum over atoms and pairs."""
    found = []
    for atoms in molecules:
        distances = atoms.get_all_distances() + np.diag(np.full(len(atoms), np.inf))
        found.append(-(atoms.numbers**0.5).sum() - (np.exp(-distances)).sum())
    return np.array(found)


GRAPHS, LABELS = graphs_of(MOLECULES), labels_of(MOLECULES)


def fitted(count: int = 50, settings: ModelSettings = KERNEL) -> KernelModel:
    return KernelModel.fit(settings, TrainingSettings(), training=(GRAPHS[:count], LABELS[:count]))


def test_it_learns_and_knows_how_well() -> None:
    model = fitted()
    predicted = model.predict(GRAPHS[50:])
    errors = np.abs(predicted.mean - LABELS[50:])
    trivial = np.abs(model.references(GRAPHS[50:]) - LABELS[50:])
    assert errors.mean() < 0.5 * trivial.mean()
    low, high = predicted.interval(0.9)
    assert np.mean((low <= LABELS[50:]) & (LABELS[50:] <= high)) > 0.6
    assert predicted.samples.shape == (16, len(GRAPHS) - 50)
    assert np.isfinite(predicted.embeddings).all()


def test_turning_moving_and_renumbering_change_nothing() -> None:
    model, turned = fitted(), []
    for atoms in MOLECULES[50:55]:
        other = atoms[np.random.default_rng(0).permutation(len(atoms))]
        other.rotate(40, (1, 2, 3))
        other.translate((3, 1, 2))
        turned.append(other)
    np.testing.assert_allclose(
        model.predict(graphs_of(turned)).mean, model.predict(GRAPHS[50:55]).mean, atol=1e-4
    )


def test_leaving_out_in_closed_form_is_leaving_out() -> None:
    rng = np.random.default_rng(1)
    points, labels = rng.normal(size=(12, 2)), rng.normal(size=12)
    matrix = RBF(1.3)(points) + 0.1 * np.eye(12)
    inverse = np.linalg.inv(matrix)
    folds = [np.array([0, 3]), np.array([1]), np.array([2, 4, 5]), np.arange(6, 12)]
    errors, deviations = leave_out(inverse, inverse @ labels, folds)
    for rows in folds:
        rest = np.setdiff1d(np.arange(12), rows)
        process = GaussianProcessRegressor(RBF(1.3), alpha=0.1, optimizer=None).fit(
            points[rest], labels[rest]
        )
        mean, deviation = process.predict(points[rows], return_std=True)
        np.testing.assert_allclose(errors[rows], mean - labels[rows], atol=1e-8)
        np.testing.assert_allclose(deviations[rows] ** 2, deviation**2 + 0.1, atol=1e-8)


def test_the_kernel_is_the_sum_over_pairs_of_atoms() -> None:
    rng = np.random.default_rng(2)
    atoms = {
        1: AtomsOf(rng.normal(size=(5, 3)), rng.normal(size=(5, 2)), np.array([0, 0, 1, 2, 2])),
        6: AtomsOf(rng.normal(size=(2, 3)), rng.normal(size=(2, 2)), np.array([1, 2])),
    }
    expected = np.zeros((3, 3))
    for part in atoms.values():
        gaussians = RBF([0.7] * 3 + [1.9] * 2)(np.hstack([part.places, part.inputs]))
        np.add.at(expected, (part.molecules[:, None], part.molecules[None]), gaussians)
    np.testing.assert_allclose(kernel(atoms, 3, atoms, 3, (0.7, 1.9)), expected, rtol=1e-5)
    np.testing.assert_allclose(self_kernel(atoms, 3, (0.7, 1.9)), np.diag(expected), rtol=1e-5)


def test_sizes_are_where_the_likelihood_is_flat() -> None:
    rng = np.random.default_rng(3)
    points = rng.normal(size=(40, 2))
    atoms, whole, counts = RBF(1.0)(points), points @ points.T, np.ones((40, 40))
    levels = np.outer(points[:, 0] ** 2, points[:, 0] ** 2)
    labels = rng.multivariate_normal(np.zeros(40), 0.5 * atoms + 0.01 * np.eye(40))
    best, sizes = fit_sizes(labels, atoms, whole, levels, counts)
    for k in range(4):
        for factor in (0.9, 1.1):
            other = list(sizes)
            other[k] *= factor
            parts = zip(other, (atoms, whole, levels, np.eye(40)), strict=True)
            matrix = sum(size**2 * part for size, part in parts) + counts
            value = 0.5 * labels @ np.linalg.solve(matrix, labels) + 0.5 * np.linalg.slogdet(matrix)[1]
            assert value > best - 0.3  # the weak pulls are the rest


def test_draws_are_about_the_mean_and_as_wide_as_the_process_says() -> None:
    model = fitted(25)
    predicted = model.predict(GRAPHS[25:])
    means = (predicted.samples[:8] + predicted.samples[8:]) / 2
    np.testing.assert_allclose(means, np.broadcast_to(predicted.mean, means.shape), rtol=1e-9)
    known = model.predict(GRAPHS[:25])
    assert known.samples.std(axis=0).mean() < predicted.samples.std(axis=0).mean()


def test_it_survives_the_disk(tmp_path) -> None:
    model = fitted()
    model.save(tmp_path)
    again = load_surrogate(tmp_path)
    for before, after in (
        (model.predict(GRAPHS[40:]), again.predict(GRAPHS[40:])),
        (
            model.out_of_fold(GRAPHS[:50], each_alone(range(50))),
            again.out_of_fold(GRAPHS[:50], each_alone(range(50))),
        ),
    ):
        np.testing.assert_allclose(after.mean, before.mean, atol=1e-9)
        np.testing.assert_allclose(after.std, before.std, rtol=1e-9)
        np.testing.assert_allclose(after.embeddings, before.embeddings)
    with pytest.raises(SurrogateError, match="cannot be used here"):
        Ensemble.load(tmp_path)
    content = bytearray((tmp_path / "kernel.npz").read_bytes())
    content[len(content) // 2] ^= 1  # one bit
    (tmp_path / "kernel.npz").write_bytes(content)
    with pytest.raises(SurrogateError, match="is damaged"):
        load_surrogate(tmp_path)
    (tmp_path / "kernel.npz").unlink()
    with pytest.raises(SurrogateError, match="is missing"):
        load_surrogate(tmp_path)


def test_inputs_and_baselines_are_learned_from(tmp_path) -> None:
    """A hidden charge makes the label; one of two baselines is right and the other is not."""
    rng = np.random.default_rng(4)
    graphs, labels = [], []
    for atoms, label in zip(MOLECULES, LABELS, strict=True):
        hidden = rng.normal(size=(len(atoms), 1)) * 0.3
        nothing = np.zeros((len(atoms), len(atoms), 0))
        wrong = label + rng.normal()
        graphs.append(
            graph_3d(
                atoms.numbers, atoms.positions, cutoff=5.0, inputs=[(hidden, nothing, np.zeros(0))],
                baselines=[label, wrong], baseline_level="two",
            )
        )  # fmt: skip
        labels.append(label + hidden.sum())
    settings = ModelSettings(
        representation="kernel", elements=KERNEL.elements, inputs=("aimnet2-b973c",), baseline="two"
    )
    known = (graphs[:50], np.array(labels)[:50])
    model = KernelModel.fit(settings, TrainingSettings(), training=known)
    errors = np.abs(model.predict(graphs[50:]).mean - np.array(labels)[50:])
    assert errors.mean() < 0.1
    nothing = np.zeros((len(MOLECULES[0]), len(MOLECULES[0]), 0))
    inputs = [(np.zeros((len(MOLECULES[0]), 1)), nothing, np.zeros(0))]
    without = graphs_of(MOLECULES[:1], inputs=inputs, baselines=[-1.0], baseline_level="another")
    with pytest.raises(SurrogateError, match="learns on top of two"):
        model.predict(without)


def on_levels(count: int, levels: list[np.ndarray], whole: np.ndarray | None = None) -> list:
    """The first molecules with baselines, and numbers of their own where the settings take them."""
    found = []
    for i, atoms in enumerate(MOLECULES[:count]):
        nothing = np.zeros((len(atoms), len(atoms), 0))
        inputs = [] if whole is None else [(np.zeros((len(atoms), 1)), nothing, whole[i])]
        found.append(
            graph_3d(
                atoms.numbers, atoms.positions, cutoff=5.0, inputs=inputs, baseline_level="two",
                baselines=[float(level[i]) for level in levels],
            )
        )  # fmt: skip
    return found


def test_baselines_weigh_by_what_they_leave_to_learn() -> None:
    """A far worse second level costs next to nothing; with few labels all weigh the same."""
    rng = np.random.default_rng(6)
    good, bad = LABELS + 0.02 * rng.normal(size=len(LABELS)), LABELS + 2 * rng.normal(size=len(LABELS))
    settings = replace(KERNEL, baseline="two")
    graphs, alone = on_levels(60, [good, bad]), on_levels(60, [good])
    errors = {}
    for name, known in (("both", graphs), ("good", alone)):
        model = KernelModel.fit(settings, TrainingSettings(), training=(known[:40], LABELS[:40]))
        errors[name] = np.abs(model.predict(known[40:]).mean - LABELS[40:60]).mean()
        assert sum(model.linear.weights) == pytest.approx(1)
    assert errors["both"] < 1.3 * errors["good"]
    shifted = on_levels(40, [good + 10 * np.array([len(atoms) for atoms in MOLECULES]), bad])
    model = KernelModel.fit(settings, TrainingSettings(), training=(shifted, LABELS[:40]))
    assert model.linear.weights[0] > 0.99  # a shift of each atom is no error
    few = KernelModel.fit(settings, TrainingSettings(), training=(graphs[:5], LABELS[:5]))
    assert few.linear.weights == (0.5, 0.5)


def test_labels_draw_the_weights_to_those_that_fit() -> None:
    rng = np.random.default_rng(7)
    first, second = (LABELS + rng.normal(size=len(LABELS)) for _ in range(2))
    labels = 0.8 * first + 0.2 * second
    graphs, settings = on_levels(60, [first, second]), replace(KERNEL, baseline="two")
    model = KernelModel.fit(settings, TrainingSettings(), training=(graphs[:40], labels[:40]))
    assert np.abs(model.predict(graphs[40:]).mean - labels[40:60]).mean() < 0.05
    left = model.out_of_fold(graphs[:40], each_alone(range(40)))
    assert np.abs(left.mean - labels[:40]).mean() < 0.05


def test_numbers_of_the_molecule_are_learned_without_a_constant() -> None:
    """The learned numbers of AIMNet2 are sums over atoms: none of them, and nothing is added."""
    rng = np.random.default_rng(8)
    hidden = rng.normal(size=(len(MOLECULES), 2))
    whole, labels = hidden @ rng.normal(size=(2, 64)), LABELS + 0.3 * hidden[:, 0]
    settings = replace(KERNEL, baseline="two", inputs=("aimnet2-b973c-learned",))
    graphs = on_levels(60, [LABELS], whole)
    model = KernelModel.fit(settings, TrainingSettings(), training=(graphs[:40], labels[:40]))
    assert np.abs(model.predict(graphs[40:]).mean - labels[40:60]).mean() < 0.15
    without = on_levels(3, [LABELS], np.zeros((3, 64)))
    np.testing.assert_array_equal(model.linear(without), 0)


@pytest.mark.parametrize("representation", ["schnet", "painn"])
def test_networks_see_standardised_inputs(representation: str, tmp_path) -> None:
    """Inputs of another unit or origin are the same to them, and the scale is kept with the model."""
    rng = np.random.default_rng(5)
    settings = ModelSettings(
        representation=representation, elements=KERNEL.elements, inputs=("aimnet2-wb97m",), features=16,
        gaussians=8, interactions=1,
    )  # fmt: skip
    hidden = [rng.normal(size=(len(atoms), 1)) for atoms in MOLECULES]

    def graphs(scale: float, origin: float) -> list:
        return [
            graph_3d(
                atoms.numbers, atoms.positions, cutoff=5.0,
                inputs=[(scale * one + origin, np.zeros((len(atoms), len(atoms), 0)), np.zeros(0))],
            )
            for atoms, one in zip(MOLECULES, hidden, strict=True)
        ]  # fmt: skip

    def model(known: list) -> Ensemble:
        return Ensemble.fit(
            settings, TrainingSettings(epochs=2, device="cpu"), training=(known[:40], LABELS[:40]),
            validation=(known[40:50], LABELS[40:50]), members=2, seed=0,
        )  # fmt: skip

    first, other = graphs(1.0, 0.0), graphs(50.0, 7.0)
    fitted_first = model(first)
    expected = fitted_first.predict(first[50:]).mean
    np.testing.assert_allclose(model(other).predict(other[50:]).mean, expected, atol=1e-3)
    fitted_first.save(tmp_path)
    np.testing.assert_allclose(load_surrogate(tmp_path).predict(first[50:]).mean, expected, atol=1e-9)
    # Weights that go on from there see inputs on the scale that they were trained on, whatever is new.
    still = TrainingSettings(epochs=1, lr=1e-9, device="cpu")
    warm = Ensemble.fit(
        settings, still, training=(first[:12], LABELS[:12]), validation=(first[40:50], LABELS[40:50]),
        members=2, seed=0, warm_start=fitted_first,
    )  # fmt: skip
    assert warm.standard is fitted_first.standard
    parts = zip(warm.members[0].parameters(), fitted_first.members[0].parameters(), strict=True)
    assert all(np.allclose(a.detach(), b.detach(), atol=1e-6) for a, b in parts)
    changed = graphs(1.0, 0.5)
    assert np.abs(fitted_first.predict(changed[50:]).mean - expected).max() > 1e-4


def test_what_it_refuses() -> None:
    with pytest.raises(SurrogateError, match="needs no validation set"):
        fit_surrogate(
            KERNEL, TrainingSettings(), training=(GRAPHS[:20], LABELS[:20]), members=3, seed=0,
            validation=(GRAPHS[20:30], LABELS[20:30]),
        )  # fmt: skip
    with pytest.raises(SurrogateError, match="sees a geometry"):
        ModelSettings(mode="2d", representation="kernel")
    with pytest.raises(SurrogateError, match="5000 labels at most"):
        KernelModel.fit(KERNEL, TrainingSettings(), training=(GRAPHS[:1] * 5001, np.zeros(5001)))
    with pytest.raises(SurrogateError, match="are given to leave out"):
        fitted(20).out_of_fold(GRAPHS[:10], each_alone(range(10)))


def test_auto_follows_the_number_of_labels() -> None:
    auto = ModelSettings(representation="auto")
    assert [chosen_representation(auto, n) for n in (50, 1000, 1001, 4000)] == [
        "kernel", "kernel", "committee", "schnet",
    ]  # fmt: skip
    assert folds_for(auto, ["a", "b", "a"], 3).shape == (3, 2)


def test_a_committee_is_at_least_about_as_good_as_its_parts(tmp_path) -> None:
    settings = ModelSettings(
        representation="committee", elements=KERNEL.elements, features=16, gaussians=10, interactions=1
    )
    how = TrainingSettings(epochs=40, batch_size=8)
    left_out = folds_for(settings, NAMES[:50], 3)
    model = fit_surrogate(
        settings, how, training=(GRAPHS[:50], LABELS[:50]), members=3, seed=1, left_out=left_out
    )
    assert 0 <= model.share <= 1
    predicted = model.predict(GRAPHS[50:])
    errors = [
        np.abs(part.predict(GRAPHS[50:]).mean - LABELS[50:]).mean() for part in (model.kernel, model.networks)
    ]
    assert np.abs(predicted.mean - LABELS[50:]).mean() < 1.2 * min(errors)
    assert np.isfinite(predicted.std).all()
    out = model.out_of_fold(GRAPHS[:50], left_out)
    model.save(tmp_path)
    again = load_surrogate(tmp_path)
    np.testing.assert_allclose(again.predict(GRAPHS[50:]).std, predicted.std, rtol=1e-5)
    np.testing.assert_allclose(again.out_of_fold(GRAPHS[:50], left_out).mean, out.mean, atol=1e-4)


def full(covariance: Covariance) -> np.ndarray:
    return covariance.factors @ covariance.factors.T + np.diag(covariance.own)


def test_a_label_more_lowers_the_covariance_as_it_must() -> None:
    """The process of a molecule more, with the same sizes, is the other one conditioned on it."""
    model, rest = fitted(30), GRAPHS[30:60]
    before, noise = full(model.covariance(rest)), model.noise
    described = model.descriptor(GRAPHS[:31])
    more = replace(
        model, training=described, numbers=np.zeros((31, 0)),
        rests=LABELS[:31] - model.references(GRAPHS[:31]),
    )  # fmt: skip
    after = full(more.covariance(rest))
    expected = before - np.outer(before[:, 0], before[0]) / (before[0, 0] + noise**2)
    np.testing.assert_allclose(after, expected, atol=1e-3 * before.max())  # atoms are compared in 32 bits
    assert np.trace(after) < np.trace(before)


def test_the_prior_is_the_kernel_and_what_elements_add() -> None:
    graphs = GRAPHS[:25]
    described = Descriptor.fit((1, 6, 7, 8), graphs)(graphs)
    atoms, counts = kernel(described, 25, described, 25, _USUAL_LENGTHS), atom_sums(described, 25)
    expected = _USUAL_SIZE**2 * atoms / np.diag(atoms).mean() + counts @ counts.T
    np.testing.assert_allclose(full(prior_covariance(KERNEL, graphs)), expected, atol=1e-3)


def test_what_a_kernel_cannot_take_is_refused() -> None:
    flat = ModelSettings(mode="2d", elements=("C", "H", "O"))
    with pytest.raises(SurrogateError, match="positions"):
        prior_covariance(flat, [graph_2d("CCO", cutoff=5.0)])


def test_a_saved_kernel_has_the_same_covariance(tmp_path) -> None:
    model = fitted(20)
    model.save(tmp_path)
    again = load_surrogate(tmp_path)
    assert isinstance(again, KernelModel)
    np.testing.assert_allclose(
        full(again.covariance(GRAPHS[20:40])), full(model.covariance(GRAPHS[20:40])), atol=1e-8
    )


@pytest.mark.parametrize("count", [3, 30, 70])
def test_main_directions_are_those_of_scikit_learn_with_few_atoms_and_with_many(count) -> None:
    rows = np.random.default_rng(count).normal(size=(count, 40)) * np.linspace(1, 3, 40)
    found = _main_directions(rows.astype(np.float32), 3)
    other = TruncatedSVD(3, algorithm="arpack" if count > 3 else "randomized").fit(rows).components_.T
    assert found.shape == (40, 3)
    assert np.abs(np.sum(found * other, axis=0)) == pytest.approx(np.ones(3), abs=1e-5)


def test_atoms_that_are_alike_have_one_direction() -> None:
    row = np.random.default_rng(0).normal(size=(1, 40)).astype(np.float32)
    found = _main_directions(np.repeat(row, 9, axis=0), 5)
    assert found.shape == (40, 1)
    assert np.abs(found[:, 0] @ row[0]) == pytest.approx(np.linalg.norm(row), rel=1e-5)
