"""surrogate.groups: members trained in groups, the same wherever they are trained."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from alkit.engines.training import InTurn
from surrogate import SurrogateError
from surrogate.batches import GraphDataset
from surrogate.folds import left_out
from surrogate.groups import _groups, train_in_groups
from surrogate.schnet import build_model
from surrogate.training import train_members
from tests.small_ensembles import GRAPHS, LABELS, QUICK, SETTINGS

HOW = {"seed": 3, "scale": 1.0, "warm": False}


class LastFirst:
    """Calls computed in this process, last first, as a scheduler may."""

    def submit(self, function, *arguments, on_progress):
        return lambda: function(*arguments, on_progress)

    def results(self, jobs):
        return [job() for job in reversed(jobs)][::-1]


@pytest.fixture
def worth_it(monkeypatch):
    monkeypatch.setattr("surrogate.groups._WORTH_A_PROCESS", 1)


def data(folds: int) -> GraphDataset:
    targets = LABELS - LABELS.mean()
    return GraphDataset(GRAPHS, SETTINGS, targets, left_out(list(range(len(GRAPHS))), folds))


def networks(count: int) -> list:
    return [build_model(SETTINGS, seed=k) for k in range(count)]


def same(first, second) -> bool:
    pairs = zip(first.state_dict().values(), second.state_dict().values(), strict=True)
    return all(torch.equal(*pair) for pair in pairs)


@pytest.mark.parametrize("members", range(1, 12))
def test_groups_are_even_and_have_every_member_once_in_order(members, worth_it) -> None:
    groups = _groups(members, 10, QUICK)
    assert [k for group in groups for k in group] == list(range(members))
    assert max(map(len, groups)) <= 3
    assert max(map(len, groups)) - min(map(len, groups)) <= 1


def test_little_to_train_stays_together_and_so_does_what_a_gpu_trains(monkeypatch) -> None:
    assert _groups(5, 100, replace(QUICK, epochs=10)) == [range(5)]
    assert len(_groups(5, 400, replace(QUICK, epochs=10))) == 2
    monkeypatch.setattr("surrogate.groups.pick_device", lambda name: "cuda")
    assert _groups(5, 400, replace(QUICK, epochs=10)) == [range(5)]


def test_a_group_trains_as_its_members_do_alone_and_its_members_keep_their_numbers(worth_it) -> None:
    whole, members, heard = data(5), networks(5), []
    histories = train_in_groups(
        members, whole, whole, QUICK, on_epoch=lambda k, epoch, row: heard.append((k, epoch)),
        processes=InTurn(), **HOW,
    )  # fmt: skip
    expected = networks(5)
    for group in ([0, 1], [2, 3, 4]):
        part = data(5)
        part.left_out = part.left_out[:, group]
        train_members([expected[k] for k in group], part, part, QUICK, **HOW)
    assert all(same(*pair) for pair in zip(members, expected, strict=True))
    assert len(histories) == 5
    assert sorted(heard) == [(k, epoch) for k in range(5) for epoch in range(QUICK.epochs)]


@pytest.mark.parametrize("separate", [False, True])
def test_the_order_of_groups_changes_nothing(separate, worth_it) -> None:
    whole, targets = data(4), LABELS - LABELS.mean()
    learned = GraphDataset(GRAPHS[:10], SETTINGS, targets[:10]) if separate else whole
    tested = GraphDataset(GRAPHS[10:], SETTINGS, targets[10:]) if separate else whole
    found = []
    for processes in (InTurn(), LastFirst()):
        members = networks(4)
        histories = train_in_groups(
            members, learned, tested, QUICK, on_epoch=None, processes=processes, **HOW
        )
        found.append((members, [row["val_MAE"] for one in histories for row in one.epochs]))
    assert all(same(*pair) for pair in zip(found[0][0], found[1][0], strict=True))
    np.testing.assert_array_equal(found[0][1], found[1][1])


def test_an_error_of_a_group_is_the_ensembles(worth_it) -> None:
    whole = data(4)
    whole.targets[:] = torch.nan
    with pytest.raises(SurrogateError, match="never finite"):
        train_in_groups(networks(4), whole, whole, QUICK, on_epoch=None, processes=InTurn(), **HOW)


def test_without_processes_all_members_are_one_group(worth_it) -> None:
    whole, members, expected = data(5), networks(5), networks(5)
    train_in_groups(members, whole, whole, QUICK, on_epoch=None, processes=None, **HOW)
    train_members(expected, whole, whole, QUICK, **HOW)
    assert all(same(*pair) for pair in zip(members, expected, strict=True))
