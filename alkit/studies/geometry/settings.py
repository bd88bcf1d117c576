"""The settings of a study: its arms, sizes and networks, as plain data."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from alkit.errors import ConfigError

VALIDATION_SHARE = 0.2
FEWEST_VALIDATION = 10


@dataclass(frozen=True)
class Arm:
    """One side of a study: what the model sees."""

    title: str
    model: dict[str, Any]
    geometry: str = "dataset"


ARMS = {
    "3d": Arm("3D, the data set's geometry", {"mode": "3d"}),
    "3d-mmff": Arm("3D, MMFF94 geometry from SMILES", {"mode": "3d"}, "mmff"),
    "2d-topological": Arm(
        "2D, topological distances and chemistry", {"mode": "2d", "inputs": ("chemistry",)}, "none"
    ),
    "2d-distances": Arm("2D, topological distances alone", {"mode": "2d"}, "none"),
    "2d-depiction": Arm("2D, RDKit's drawing", {"mode": "2d", "layout": "depiction"}, "none"),
}


@dataclass(frozen=True)
class StudySettings:
    """A study's settings; the same settings go on with the same folder.

    Attributes:
        data: database of `alkit data import`, with geometries.
        arms: names of ``ARMS``.
        sizes: numbers of labels, validation (a fifth) included.
        seeds: training sets drawn, each with its own networks.
        test: test molecules, drawn once.
        target: property of the database.
        total: learn total energies, not atomization energies.
        validation_share: of the labels.
        model, training: fields of ``ModelSettings`` and ``TrainingSettings``.
    """

    data: str
    arms: tuple[str, ...] = ("3d", "2d-topological", "2d-depiction")
    sizes: tuple[int, ...] = (100, 200, 500, 1000, 2000, 4000)
    seeds: int = 3
    test: int = 2000
    members: int = 2
    seed: int = 0
    target: str = "u0"
    total: bool = False
    validation_share: float = VALIDATION_SHARE
    model: dict[str, Any] = field(default_factory=lambda: {"features": 64, "gaussians": 40})
    training: dict[str, Any] = field(
        default_factory=lambda: {"epochs": 120, "batch_size": 16, "lr": 1e-3, "ema": 0.99}
    )

    def __post_init__(self) -> None:
        if unknown := [name for name in self.arms if name not in ARMS]:
            raise ConfigError(f"There is no arm {unknown[0]!r}; there are {', '.join(ARMS)}.")
        if len(set(self.arms)) < len(self.arms) or len(self.arms) < 1:
            raise ConfigError(f"arms {', '.join(self.arms)} names one twice, or none.")
        if len(set(self.sizes)) < len(self.sizes):
            raise ConfigError(f"sizes {', '.join(map(str, self.sizes))} name one twice.")
        if min(self.sizes, default=0) < 2 * FEWEST_VALIDATION:
            raise ConfigError(f"The smallest size must be {2 * FEWEST_VALIDATION} labels or more.")
        if self.seeds < 1 or self.test < 10 or self.members < 1:
            raise ConfigError("A study needs 1 seed, 10 test molecules and 1 member at least.")


def original(data: str) -> StudySettings:
    """The study that alkit started from: total energies less their mean, no atom references.

    3 interactions, 1,000 training and 1,000 validation molecules, 200 epochs; the rest (128 features, 20
    gaussians, batches of 100, AdamW at 5e-4) is what schnetpack's QM9 configuration has.
    """
    return StudySettings(
        data=data,
        arms=("3d", "2d-depiction"),
        sizes=(2000,),
        seeds=1,
        members=1,
        total=True,
        validation_share=0.5,
        model={"features": 128, "interactions": 3, "gaussians": 20},
        training={
            "epochs": 200,
            "batch_size": 100,
            "lr": 5e-4,
            "references": "mean",
            "scale": True,
            "stop_patience": 200,
        },
    )


def referenced(settings: StudySettings) -> StudySettings:
    """The same study with atom references: tabulated ones of the level, and a fitted rest per element."""
    return replace(settings, total=False, training={**settings.training, "references": "elements"})
