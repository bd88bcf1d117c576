"""Members of an ensemble trained in groups, each in a process of its own.

Members side by side in one process share its batches, which saves time on one core; more cores than one are
of use to groups alone. How members are grouped depends on how much there is to train, and never on the
machine, and each group has one thread. So an ensemble is the same on few cores and on many.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from functools import partial
from itertools import pairwise
from typing import Any, Protocol

import torch
from torch import nn

from surrogate.batches import GraphDataset
from surrogate.parallel import one_thread
from surrogate.settings import TrainingSettings, pick_device
from surrogate.training import OnEpoch, TrainingHistory, train_members

_LARGEST_GROUP = 3
_WORTH_A_PROCESS = 20_000  # times that a member sees a molecule: seconds, as a process takes to load torch


class Processes(Protocol):
    """Processes that compute several calls at once."""

    def submit(
        self, function: Callable[..., Any], *arguments: Any, on_progress: Callable[..., None] | None = None
    ) -> Any:
        """Start ``function(*arguments, on_progress)`` in one of them."""
        ...

    def results(self, jobs: Sequence[Any]) -> list[Any]:
        """Wait for the submitted calls, and return what they return."""
        ...


def train_in_groups(
    members: Sequence[nn.Module],
    training: GraphDataset,
    validation: GraphDataset,
    settings: TrainingSettings,
    *,
    seed: int,
    scale: float,
    warm: bool,
    on_epoch: OnEpoch | None,
    processes: Processes | None,
) -> list[TrainingHistory]:
    """`train_members`, in groups where there is enough to train.

    Args:
        members: see `train_members`, as all others.
        training: see there.
        validation: see there.
        settings: see there.
        seed: see there.
        scale: see there.
        warm: see there.
        on_epoch: see there.
        processes: that train the groups; None: all members are one group, in this process and on all of
            its threads.

    Raises:
        SurrogateError: see `train_members`.
    """
    how: dict[str, Any] = {"seed": seed, "scale": scale, "warm": warm}
    groups = _groups(len(members), len(training), settings)
    if processes is None or len(groups) == 1:
        return train_members(members, training, validation, settings, on_epoch=on_epoch, **how)
    jobs = []
    for group in groups:
        learned = _columns(training, group)
        tested = learned if validation is training else _columns(validation, group)
        call = [members[k] for k in group], learned, tested, settings, how
        jobs.append(processes.submit(_train, *call, on_progress=partial(_renumbered, group, on_epoch)))
    histories: list[TrainingHistory] = []
    for group, (weights, rows) in zip(groups, processes.results(jobs), strict=True):
        for k, state in zip(group, weights, strict=True):
            members[k].float().load_state_dict(state)
            members[k].eval()
        histories += rows
    return histories


def _groups(members: int, molecules: int, settings: TrainingSettings) -> list[range]:
    """Members by group, in their order, as evenly as it goes."""
    seen = members * molecules * settings.epochs
    if torch.device(pick_device(settings.device)).type != "cpu" or seen < _WORTH_A_PROCESS:
        return [range(members)]
    count = -(-members // _LARGEST_GROUP)
    edges = [round(members * k / count) for k in range(count + 1)]
    return [range(*pair) for pair in pairwise(edges)]


def _columns(data: GraphDataset, group: range) -> GraphDataset:
    """The same molecules, with what the members of the group are left out of."""
    if data.left_out is None:
        return data
    part = copy.copy(data)
    part.left_out = data.left_out[:, list(group)]
    return part


def _train(
    members: list[nn.Module],
    training: GraphDataset,
    validation: GraphDataset,
    settings: TrainingSettings,
    how: dict[str, Any],
    on_epoch: OnEpoch,
) -> tuple[list[dict[str, Any]], list[TrainingHistory]]:
    with one_thread():
        histories = train_members(members, training, validation, settings, on_epoch=on_epoch, **how)
    return [member.state_dict() for member in members], histories


def _renumbered(
    group: range, on_epoch: OnEpoch | None, member: int, epoch: int, row: dict[str, float]
) -> None:
    if on_epoch:
        on_epoch(group[member], epoch, row)
