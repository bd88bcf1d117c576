"""Kernel and networks together, weighted by their errors out of fold: no label is set apart for it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from surrogate.calibration import SPREAD, Calibration
from surrogate.ensemble import Ensemble, OnMember
from surrogate.ensemble_files import (
    FORMAT,
    check_calibration,
    read_calibration,
    read_described,
    write_described,
)
from surrogate.groups import Processes
from surrogate.inputs import Graph
from surrogate.kernel import KernelModel
from surrogate.low_rank import Covariance
from surrogate.prediction import Prediction
from surrogate.settings import ModelSettings, TrainingSettings
from surrogate.targets import AtomReferences

_APART = "apart"  # a source of uncertainty: how far the two are from one another, eV
_KERNEL, _NETWORKS = "kernel", "networks"


@dataclass(eq=False)
class Committee:
    """A kernel and an ensemble of SchNets; ``share`` is the kernel's weight in their mean."""

    settings: ModelSettings
    kernel: KernelModel
    networks: Ensemble
    share: float
    calibration: Calibration = field(default_factory=Calibration)

    @classmethod
    def fit(
        cls,
        settings: ModelSettings,
        training_settings: TrainingSettings,
        *,
        training: tuple[Sequence[Graph], NDArray],
        members: int,
        seed: int,
        left_out: NDArray[np.bool_],
        drawn: NDArray[np.bool_] | None = None,
        warm_start: Ensemble | None = None,
        on_epoch: OnMember | None = None,
        processes: Processes | None = None,
    ) -> Committee:
        """Fit both to all labels; see `Ensemble.fit` for the arguments.

        Raises:
            SurrogateError: see `KernelModel.fit` and `Ensemble.fit`.
        """
        graphs, labels = training
        kernel = KernelModel.fit(
            replace(settings, representation="kernel"), training_settings, training=training,
            left_out=left_out, drawn=drawn,
        )  # fmt: skip
        networks = Ensemble.fit(
            replace(settings, representation="schnet"), training_settings, training=training, members=members,
            seed=seed, left_out=left_out, drawn=drawn, warm_start=warm_start, on_epoch=on_epoch,
            processes=processes,
        )  # fmt: skip
        committee = cls(settings, kernel, networks, 0.5)
        parts = committee._parts_out_of_fold(graphs, left_out, training_settings.device)
        chosen = np.ones(len(graphs), dtype=bool) if drawn is None else drawn
        truth = np.asarray(labels)[chosen]
        committee.share = _share(parts[0].mean[chosen] - truth, parts[1].mean[chosen] - truth)
        joint = committee._joined(parts[0].part(chosen), parts[1].part(chosen))
        errors, sources = joint.mean - truth, _sources(parts[0].part(chosen), parts[1].part(chosen))
        found = Calibration.fit(errors, joint.samples, sources)
        gain = networks.gain(parts[1].mean[chosen] - truth, parts[1].samples[:, chosen])
        committee.calibration = replace(found, scale=found.scale * _gain(committee.share, gain))
        return committee

    @property
    def references(self) -> AtomReferences:
        """The kernel's."""
        return self.kernel.references

    @property
    def members(self) -> list[Any]:
        """The networks."""
        return self.networks.members

    @property
    def histories(self) -> list[Any]:
        """Learning curves of the networks."""
        return self.networks.histories

    def predict(
        self, graphs: Sequence[Graph], *, device: str = "auto", on_batch: Callable[[int], None] | None = None
    ) -> Prediction:
        """Energies in eV; see `Ensemble.predict`."""
        parts = (
            self.kernel.predict(graphs, device=device),
            self.networks.predict(graphs, device=device, on_batch=on_batch),
        )
        return self._joined(*parts)

    def covariance(self, graphs: Sequence[Graph]) -> Covariance:
        """The covariance of the kernel, see `KernelModel.covariance`."""
        return self.kernel.covariance(graphs)

    def out_of_fold(
        self, graphs: Sequence[Graph], left_out: NDArray[np.bool_], *, device: str = "auto"
    ) -> Prediction:
        """Energies of the training molecules in eV, out of fold; see `Ensemble.out_of_fold`."""
        return self._joined(*self._parts_out_of_fold(graphs, left_out, device))

    def gain(self, errors: NDArray, samples: NDArray) -> float:
        """How much smaller errors are than those out of fold: the networks' part of it is not known here."""
        return 1.0

    def _parts_out_of_fold(
        self, graphs: Sequence[Graph], left_out: NDArray[np.bool_], device: str
    ) -> tuple[Prediction, Prediction]:
        return (
            self.kernel.out_of_fold(graphs, left_out, device=device),
            self.networks.out_of_fold(graphs, left_out, device=device),
        )

    def _joined(self, kernel: Prediction, networks: Prediction) -> Prediction:
        """Samples of the networks about the joint mean, with what the kernel's deviation adds."""
        mean = self.share * kernel.mean + (1 - self.share) * networks.mean
        apart = networks.samples - networks.mean
        samples = mean + (apart if len(apart) > 1 else np.zeros_like(apart))
        std = self.calibration(samples, _sources(kernel, networks))
        embeddings = np.hstack([kernel.embeddings, networks.embeddings])
        return Prediction(samples, std, embeddings, self.calibration)

    def save(self, folder: Path) -> None:
        """Write both in folders of their own, and then ``ensemble.json``."""
        folder.mkdir(parents=True, exist_ok=True)
        self.kernel.save(folder / _KERNEL)
        self.networks.save(folder / _NETWORKS)
        description = {
            "format": FORMAT,
            "model": self.settings.as_dict(),
            "share": self.share,
            "calibration": asdict(self.calibration),
        }
        write_described(folder, description)

    @classmethod
    def read(cls, folder: Path, description: dict[str, Any], settings: ModelSettings) -> Committee:
        """Read a model from a folder and its description.

        Raises:
            SurrogateError: a part cannot be read.
            ValueError, KeyError, TypeError: the description is damaged.
        """
        kernel = read_described(folder / _KERNEL, {"kernel": KernelModel.read})
        networks = read_described(folder / _NETWORKS, {"schnet": Ensemble.read})
        calibration = read_calibration(description["calibration"], description["format"])
        check_calibration(calibration, kernel.references, {SPREAD, _APART, "kernel"})
        share = description["share"]
        if type(share) not in (int, float) or not 0 <= share <= 1:
            raise ValueError(f"share is {share!r:.40}")
        return cls(settings, kernel, networks, float(share), calibration)


def _sources(kernel: Prediction, networks: Prediction) -> dict[str, NDArray]:
    return {"kernel": kernel.std, _APART: np.abs(kernel.mean - networks.mean)}


def _share(kernel: NDArray, networks: NDArray) -> float:
    """The kernel's weight in the mean with the least squares of these errors."""
    apart = networks - kernel
    size = float(apart @ apart)
    return float(np.clip((networks @ apart) / size, 0, 1)) if size > 0 else 0.5


def _gain(share: float, networks: float) -> float:
    return share + (1 - share) * networks
