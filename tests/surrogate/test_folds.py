"""surrogate.folds: all labels are learned from, and errors out of fold are of members that did not."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from small_ensembles import GRAPHS, LABELS, QUICK, SETS, SETTINGS, fit

from surrogate import Ensemble, ModelSettings, SurrogateError, TrainingSettings
from surrogate.batches import GraphDataset
from surrogate.ensemble import _prepare
from surrogate.folds import check_left_out, gain_of_all, left_out, unseen
from surrogate.last_layer import LastLayerGP
from surrogate.schnet import build_model
from surrogate.training import train_members

COUNT = len(GRAPHS)


def folded(members: int = 4, **changes) -> tuple[Ensemble, np.ndarray]:
    out = left_out(range(COUNT), members)
    wanted = {"training": (GRAPHS, LABELS), "validation": None, "members": members, "left_out": out}
    return fit(**wanted | changes), out


@given(st.lists(st.integers(0, 40), min_size=1, max_size=80), st.integers(3, 12), st.integers(0, 40))
def test_folds_are_even_stable_and_keep_groups_together(groups, members, later) -> None:
    folds = members // 2 if members >= 6 else members
    if len(set(groups)) < folds:
        with pytest.raises(SurrogateError, match="do not fill"):
            left_out(groups, members)
        return
    out = left_out(groups, members)
    assert set(out.sum(axis=1)) <= {members // folds, members // folds + 1}
    check_left_out(out, len(groups), members)
    for one in set(groups):
        rows = out[[group == one for group in groups]]
        assert (rows == rows[0]).all()
    sizes = [len({g for g, left in zip(groups, column, strict=True) if left}) for column in out.T]
    assert max(sizes) - min(sizes) <= 1
    assert (left_out([*groups, later], members)[: len(groups)] == out).all()


def test_too_few_members_are_refused() -> None:
    with pytest.raises(SurrogateError, match="members is 2; without a validation set 3 are the fewest"):
        left_out(range(10), 2)


def test_a_member_that_is_alone_with_its_fold_is_the_same_as_with_a_validation_set() -> None:
    """Against the plain way: the labels of one fold as the validation set of one network."""
    out = left_out(range(COUNT), 4)
    seen, held = np.flatnonzero(~out[:, 0]), np.flatnonzero(out[:, 0])
    energies = (LABELS - LABELS.mean()).tolist()
    settings = TrainingSettings(epochs=4, batch_size=COUNT, device="cpu")
    folded_members = [build_model(SETTINGS, seed=k) for k in range(4)]
    data = GraphDataset(GRAPHS, SETTINGS, energies, out)
    found = train_members(folded_members, data, data, settings, seed=0)[0]
    alone = build_model(SETTINGS, seed=0)
    parts = (
        GraphDataset([GRAPHS[i] for i in rows], SETTINGS, [energies[i] for i in rows])
        for rows in (seen, held)
    )
    expected = train_members([alone], *parts, settings, seed=0)[0]  # one batch an epoch: the order is nothing
    for mine, plain in zip(found.epochs, expected.epochs, strict=True):
        assert mine["train_loss"] == pytest.approx(plain["train_loss"], rel=1e-4)
        assert mine["val_MSE"] == pytest.approx(plain["val_MSE"], rel=1e-4)
        assert mine["val_MAE"] == pytest.approx(plain["val_MAE"], rel=1e-4)
    for name, weights in alone.state_dict().items():
        torch.testing.assert_close(folded_members[0].state_dict()[name], weights, rtol=1e-4, atol=1e-5)


def test_a_label_changes_no_member_that_it_is_left_out_of() -> None:
    """Their networks see it in no step; the references, one number an element, are those of all labels."""
    changed = LABELS.copy()
    changed[5] += 30.0
    out = left_out(range(COUNT), 4)
    plain = TrainingSettings(epochs=3, batch_size=4, device="cpu", references="none", scale=False)
    networks = []
    for labels in (LABELS, changed):
        settings = ModelSettings(mode="2d", features=16, interactions=2, gaussians=8)
        _, data, held = _prepare(settings, plain, (GRAPHS, labels), None, None, None, out)
        members = [build_model(settings, seed=k) for k in range(4)]
        train_members(members, data, held, TrainingSettings(epochs=1, batch_size=4, device="cpu"), seed=0)
        networks.append([member.state_dict()["representation.embedding.weight"] for member in members])
    same = [bool(torch.equal(one, other)) for one, other in zip(*networks, strict=True)]
    assert same == out[5].tolist()


def test_errors_out_of_fold_are_those_of_the_members_that_did_not_see_the_molecule() -> None:
    ensemble, out = folded(members=6)
    found, samples = ensemble.out_of_fold(GRAPHS, out), ensemble.predict(GRAPHS).samples
    assert found.samples.shape == (2, COUNT)
    for i in range(COUNT):
        assert found.samples[:, i] == pytest.approx(samples[out[i], i])
    few, _ = folded(members=3)
    assert few.out_of_fold(GRAPHS, left_out(range(COUNT), 3)).samples.shape == (1, COUNT)


@pytest.mark.parametrize(
    "uncertainty", [("ensemble",), ("ensemble", "gp"), ("gp", "variance"), ("variance",)]
)
def test_every_source_of_uncertainty_is_calibrated_out_of_fold(uncertainty, tmp_path) -> None:
    settings = ModelSettings(mode="2d", features=16, interactions=2, gaussians=8, uncertainty=uncertainty)
    ensemble, _ = folded(members=6, settings=settings)
    ensemble.save(tmp_path)
    again = Ensemble.load(tmp_path).predict(GRAPHS[:4])
    assert np.isfinite(again.std).all()
    assert set(ensemble.calibration.typical) == set(uncertainty)
    assert again.std == pytest.approx(ensemble.predict(GRAPHS[:4]).std, rel=1e-5)


def test_molecules_that_were_chosen_do_not_calibrate() -> None:
    drawn = np.arange(COUNT) < 12
    ensemble, out = folded(members=4, drawn=drawn)
    errors = ensemble.out_of_fold(GRAPHS, out).mean - LABELS
    assert len(ensemble.calibration.scores) == 12
    # A member that is alone with its fold has larger errors than the four together.
    alone = ensemble.calibration(*_sources(ensemble, out, drawn)) / np.sqrt(1 - 0.25 * (1 - 1 / 4))
    assert ensemble.calibration.scores == pytest.approx(sorted(np.abs(errors[drawn]) / alone), rel=1e-6)


def _sources(ensemble, out, drawn):
    samples, sources = unseen(*ensemble._raw(GRAPHS)[:2], out)
    return samples[:, drawn], {name: values[drawn] for name, values in sources.items()}


def test_a_molecule_of_the_training_set_is_as_uncertain_as_one_that_is_not() -> None:
    """The process fitted without it, against the formula that takes it out again."""
    rng = np.random.default_rng(1)
    atoms = torch.tensor(rng.normal(size=(120, 3)), dtype=torch.float32)
    molecules = torch.tensor(np.repeat(np.arange(40), 3))
    whole = LastLayerGP.fit(atoms, molecules, seed=0)
    found = LastLayerGP.without_itself(whole(atoms, molecules, 40).double().numpy())
    pooled = whole._pooled(atoms, molecules, 40, mean=False).double()
    for i in range(0, 40, 7):
        others = torch.cat([pooled[:i], pooled[i + 1 :]])
        precision = torch.eye(pooled.shape[1], dtype=torch.float64) + others.T @ others / 0.1
        expected = float((pooled[i] @ torch.linalg.solve(precision, pooled[i])).sqrt())
        assert found[i] == pytest.approx(expected, rel=2e-2)


def test_the_mean_of_all_members_is_better_than_that_of_a_few_by_what_their_variance_says() -> None:
    rng = np.random.default_rng(0)
    truth, shared = rng.normal(size=20_000), rng.normal(size=20_000)
    samples = truth + 0.3 * shared + 0.4 * rng.normal(size=(10, 20_000))
    few, whole = samples[:2].mean(axis=0) - truth, samples.mean(axis=0) - truth
    expected = np.sqrt((whole**2).mean() / (few**2).mean())
    assert gain_of_all(few, samples[:2], 10) == pytest.approx(expected, rel=0.02)
    alone = samples[0] - truth
    assert gain_of_all(alone, samples[:1], 5) == pytest.approx(np.sqrt(0.8))  # a fifth less, by experience
    assert gain_of_all(alone, samples[:1], 1) == 1.0
    assert gain_of_all(few, samples[:2], 2) == 1.0


def test_a_spread_that_one_member_alone_does_not_have_is_refused() -> None:
    settings = ModelSettings(mode="2d", features=16, interactions=2, gaussians=8, uncertainty=("ensemble",))
    with pytest.raises(SurrogateError, match="add gp to uncertainty, or give 6 members"):
        folded(members=4, settings=settings)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"left_out": None, "validation": None}, "one of the two"),
        ({"validation": SETS["validation"]}, "one of the two"),
        ({"left_out": np.zeros((COUNT, 3), dtype=bool)}, "has shape"),
        ({"left_out": np.zeros((COUNT, 4), dtype=bool)}, "out of no member"),
        ({"left_out": np.ones((COUNT, 4), dtype=bool)}, "without molecules to learn from"),
    ],
)
def test_folds_that_cannot_be_are_refused(changes, message) -> None:
    with pytest.raises(SurrogateError, match=message):
        folded(training_settings=QUICK, **changes)
