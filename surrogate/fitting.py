"""One way to fit and to load a surrogate, whatever its representation."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol, cast

import numpy as np
from numpy.typing import NDArray

from surrogate.calibration import Calibration
from surrogate.committee import Committee
from surrogate.ensemble import Ensemble, OnMember
from surrogate.ensemble_files import read_described
from surrogate.errors import SurrogateError
from surrogate.folds import each_alone, left_out
from surrogate.forces import Labelled, check_sloped
from surrogate.groups import Processes
from surrogate.inputs import Graph
from surrogate.kernel import KernelModel
from surrogate.prediction import Prediction
from surrogate.settings import ModelSettings, Representation, TrainingSettings
from surrogate.targets import AtomReferences

# Labels up to which `auto` takes the kernel alone: with 700 on GFN1- and GFN2-xTB it has 0.028 eV, where the
# best networks with 1,000 on GFN2-xTB have 0.042 (docs/decisions/024). Beyond, its work grows with their
# third power; where networks alone are enough was not measured.
_KERNEL_UP_TO, _NETWORKS_FROM = 1000, 4000


class Surrogate(Protocol):
    """The common part of `Ensemble`, `KernelModel` and `Committee`."""

    settings: ModelSettings
    calibration: Calibration

    @property
    def references(self) -> AtomReferences:
        """Energies of single atoms (eV) that are subtracted from labels."""
        ...

    @property
    def members(self) -> Sequence[Any]:
        """Networks; a kernel has none."""
        ...

    @property
    def histories(self) -> list[Any]:
        """Learning curves, one a member."""
        ...

    def predict(
        self, graphs: Sequence[Graph], *, device: str = "auto", on_batch: Callable[[int], None] | None = None
    ) -> Prediction:
        """Predict ``(n,)`` energies with standard deviations, eV."""
        ...

    def out_of_fold(
        self, graphs: Sequence[Graph], left_out: NDArray[np.bool_], *, device: str = "auto"
    ) -> Prediction:
        """Predict the training molecules by what has not seen them, eV."""
        ...

    def gain(self, errors: NDArray, samples: NDArray) -> float:
        """How much smaller, as a factor, errors of all members are than those out of fold."""
        ...

    def save(self, folder: Path) -> None:
        """Write the model's files into a folder."""
        ...


def chosen_representation(settings: ModelSettings, labels: int) -> Representation:
    """The representation that ``auto`` stands for with so many labels; any other as it is."""
    if settings.representation != "auto":
        return settings.representation
    return "kernel" if labels <= _KERNEL_UP_TO else "committee" if labels < _NETWORKS_FROM else "schnet"


def folds_for(settings: ModelSettings, groups: Sequence[Hashable], members: int) -> NDArray[np.bool_]:
    """Leave molecules out in ``(n, folds)`` folds, as `fit_surrogate` takes them.

    A kernel leaves out one molecule at a time, which costs it nothing. Networks have as many folds as their
    members can.

    Args:
        settings: the representation decides.
        groups: of each molecule; what is of one group, such as stereoisomers, is in one fold.
        members: of the ensemble.

    Raises:
        SurrogateError: too few members or molecules.
    """
    if chosen_representation(settings, len(groups)) == "kernel":
        return each_alone(groups)
    return left_out(groups, members)


def fit_surrogate(
    settings: ModelSettings,
    training_settings: TrainingSettings,
    *,
    training: Labelled,
    validation: Labelled | None = None,
    members: int,
    seed: int,
    left_out: NDArray[np.bool_] | None = None,
    drawn: NDArray[np.bool_] | None = None,
    warm_start: Surrogate | None = None,
    on_epoch: OnMember | None = None,
    processes: Processes | None = None,
) -> Surrogate:
    """A surrogate of the representation that the settings name; the arguments are those of `Ensemble.fit`.

    Raises:
        SurrogateError: settings or labels that cannot be learned from; a validation set for a kernel or a
            committee, which need none.
    """
    kind = chosen_representation(settings, len(training[0]))
    settings = replace(settings, representation=kind)
    if training_settings.forces_weight:
        check_sloped(settings)
    if kind in ("schnet", "painn"):
        start = warm_start if isinstance(warm_start, Ensemble) else None
        return Ensemble.fit(
            settings, training_settings, training=training, validation=validation, members=members, seed=seed,
            left_out=left_out, drawn=drawn, warm_start=start, on_epoch=on_epoch, processes=processes,
        )  # fmt: skip
    if validation is not None:
        raise SurrogateError(f"representation is {kind}, which needs no validation set; use folds.")
    if kind == "kernel":
        return KernelModel.fit(
            settings, training_settings, training=training[:2], left_out=left_out, drawn=drawn
        )
    if left_out is None:
        raise SurrogateError("A committee needs left_out, the folds that weigh its parts.")
    start = warm_start.networks if isinstance(warm_start, Committee) else None
    return Committee.fit(
        settings, training_settings, training=training[:2], members=members, seed=seed, left_out=left_out,
        drawn=drawn, warm_start=start, on_epoch=on_epoch, processes=processes,
    )  # fmt: skip


def load_surrogate(folder: Path) -> Surrogate:
    """Read what a surrogate's ``save`` wrote; weights are read as data, never as code.

    Raises:
        SurrogateError: no model in the folder, one of another format, or one that cannot be read.
    """
    readers: dict[str, Any] = {
        "schnet": Ensemble.read,
        "painn": Ensemble.read,
        "kernel": KernelModel.read,
        "committee": Committee.read,
    }
    return cast(Surrogate, read_described(Path(folder), readers))
