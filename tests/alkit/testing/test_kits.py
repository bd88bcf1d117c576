"""The kits for simulators and acquisition functions pass those that keep the contract, and say what is wrong
with others."""

import warnings

import numpy as np
import pytest
import torch

from alkit.acquisition.base import BUILT_IN, resolve, select
from alkit.errors import AcquisitionError, ConfigError
from alkit.testing import check_acquisition, check_simulator, example_pool

_BASE = """
import itertools, os
from dataclasses import replace
from alkit.simulators.xtb import XTBSimulator

class Mine(XTBSimulator):
    def __init__(self):
        super().__init__(target="energy")

    def label(self, molecule):
        label = super().label(molecule)
        {body}
"""


@pytest.mark.parametrize("kind", ["xtb", "tblite"])
def test_alkits_own_pass(kind):
    labels = check_simulator(kind, ["O", "CO"], target="energy")
    assert [label.smiles for label in labels] == ["O", "CO"]


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("return replace(label, value=label.value + os.getpid() % 100 * 1e-2)", "in one process and"),
        ("molecule.positions[:] += 1.0; return label", "moved the atoms"),
        ("return replace(label, smiles='N')", "has no label"),
        ("return 5.0", "has no label"),
        ("raise RuntimeError('no licence')", "no licence"),
    ],
)
def test_what_is_broken_is_said(tmp_path, body, said):
    (tmp_path / "mine.py").write_text(_BASE.format(body=body))
    with pytest.raises(AssertionError, match=said):
        check_simulator(f"{tmp_path}/mine.py:Mine", ["O"])


def test_what_is_no_simulator_is_refused(tmp_path):
    (tmp_path / "mine.py").write_text("class Mine:\n    pass\n")
    with pytest.raises(ConfigError, match="is no simulator"):
        check_simulator(f"{tmp_path}/mine.py:Mine")


@pytest.mark.parametrize("name", sorted(set(BUILT_IN) - {"pareto"}))  # which has a test of its own
def test_alkits_own_acquisition_functions_pass(name):
    assert len(check_acquisition(name)) == 20


def test_functions_classes_objects_and_files_are_checked(tmp_path):
    class Far:
        needs = ("xtb_energy", "members")

        def __init__(self, weight=1.0):
            self.weight = weight

        def select(self, pool, context, batch_size):
            assert len(pool.samples) > 1
            bias = np.abs(pool.xtb_energy - pool.mean) + context.xtb_energy.std() * context.rng.random(
                len(pool)
            )
            return np.argsort(-self.weight * bias)[:batch_size]

    assert len(check_acquisition(Far, weight=2.0)) == 20
    assert check_acquisition(Far()) == check_acquisition(Far)
    assert check_acquisition(lambda pool, context: -pool.mean)
    (tmp_path / "mine.py").write_text("def score(pool, context):\n    return pool.std\n")
    assert check_acquisition(f"{tmp_path}/mine.py:score") == check_acquisition("std")
    with pytest.raises(ConfigError, match="takes no settings"):
        check_acquisition("std", beta=1.0)


class Remembers:
    def __init__(self):
        self.rounds = 0

    def __call__(self, pool, context):
        self.rounds += 1
        return pool.std * (-1) ** self.rounds


def writes(pool, context):
    pool.std[:] = 0.0
    return pool.mean


def writes_and_puts_back(pool, context):
    pool.std[:] += 0.0
    return pool.mean


def draws_elsewhere(pool, context):
    return np.random.default_rng().random(len(pool))


def draws_from_numpy(pool, context):
    return np.random.random(len(pool))  # noqa: NPY002


def seeds_torch(pool, context):
    return torch.manual_seed(1) and pool.std


def reads_cheap(pool, context):
    return np.abs(pool.xtb_energy - pool.mean)


def spreads(pool, context):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        return pool.samples.std(axis=0, ddof=1)


def changes_targets(pool, context):
    context.targets.sort()
    return pool.std


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (Remembers, r"Remembers, 10 molecules .* keep nothing from round to round"),
        (writes, r"writes, one molecule: it changed pool\.std; work on a copy"),
        (writes_and_puts_back, "arrays that cannot be written to"),
        (changes_targets, r"it changed context\.targets"),
        (draws_elsewhere, r"differently the second time; draw every random number from context\.rng"),
        (draws_from_numpy, "global random numbers of numpy"),
        (seeds_torch, "global random numbers of torch"),
        (reads_cheap, r'say needs = \("xtb_energy",\)'),
        (spreads, r'one member: .* say needs = \("members",\)'),
    ],
    ids=lambda given: getattr(given, "__name__", ""),
)
def test_what_an_acquisition_function_breaks_is_said(given, said):
    with pytest.raises(AssertionError, match=said):
        check_acquisition(given)


def test_an_acquisition_function_that_fails_is_told_by_its_name():
    def fails(pool, context):
        raise KeyError("oops")

    with pytest.raises(AcquisitionError, match="fails failed: KeyError"):
        check_acquisition(fails)
    with pytest.raises(AcquisitionError, match=r"shape \(0,\)"):
        check_acquisition(lambda pool, context: pool.std[1:])


def test_an_example_pool_is_for_trying_functions():
    pool, context = example_pool(500, members=4)
    assert (len(pool), pool.samples.shape) == (500, (4, 500))
    assert pool.xtb_energy is not None
    assert len(context.smiles) == len(context.targets) == len(context.embeddings)
    assert context.target is None
    again, _ = example_pool(500, members=4)
    assert pool.smiles == again.smiles
    assert np.array_equal(pool.samples, again.samples)
    later = example_pool(20, round_=2)[1]
    assert later.pending
    assert later.target is not None
    for name in ("std", "log_ei", "bias", "lcmd", "maxdet"):
        assert len(set(select(resolve(name), name, *example_pool(60), 10))) == 10
    shown = pool._repr_html_()
    assert shown.count("<tr") == 11
    assert "… and 490 more" in shown
    for wrong in ({"n": 0}, {"n": 10**6}, {"n": True}, {"members": 0}, {"members": 2.5}):
        with pytest.raises(ConfigError, match=r"example_pool: .* give a whole number from 1 to"):
            example_pool(**wrong)
