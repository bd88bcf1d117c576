"""Pretraining: networks learn a cheap level of theory, or the difference of two, before the labels.

It gives the weights that the training on labels starts from (transfer learning from a cheap level: Smith et
al., doi:10.1038/s41467-019-10827-4). The molecules need no label.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from alkit.baselines.base import BaselineSpec, create_baseline, level_of, specs_of
from alkit.baselines.computing import Readings
from alkit.errors import ConfigError, DataError

if TYPE_CHECKING:
    from alkit.config.baseline import PretrainingConfig
    from surrogate import Ensemble, Graph, ModelSettings, TrainingSettings

FEWEST = 10
_VALIDATION_SHARE = 0.1


@dataclass(frozen=True)
class Pretraining:
    """The cheap level that networks learn first.

    Attributes:
        level: the mean of these is learned.
        minus: less the mean of these; empty: less the baseline that the networks learn on top of, if any.
        molecules: at most.
        epochs: at most.
    """

    level: tuple[BaselineSpec, ...]
    minus: tuple[BaselineSpec, ...] = ()
    molecules: int = 1000
    epochs: int = 50

    @classmethod
    def of(cls, section: PretrainingConfig) -> Pretraining:
        """Read the section of a campaign file.

        Raises:
            ConfigError: a baseline that is none, or is named twice.
        """
        return cls(
            specs_of(section.level, "pretraining.level"),
            specs_of(section.minus or (), "pretraining.minus"),
            section.molecules,
            section.epochs,
        )

    @property
    def needed(self) -> tuple[BaselineSpec, ...]:
        """All levels that are computed of a molecule."""
        return tuple(dict.fromkeys((*self.level, *self.minus)))

    def check(self, baselines: Sequence[BaselineSpec] = ()) -> None:
        """Whether it can be computed here, and leaves something to learn.

        Args:
            baselines: that the networks learn on top of.

        Raises:
            ConfigError: it cannot, or does not.
        """
        if set(self.level) == set(self.minus or baselines):
            kinds = " and ".join(spec.kind for spec in self.level)
            raise ConfigError(f"pretraining learns {kinds} less itself, which is 0; give another level")
        for spec in self.needed:
            create_baseline(spec)

    @property
    def name(self) -> str:
        """The cheap level in words."""
        return f"{level_of(self.level)} less {level_of(self.minus)}" if self.minus else level_of(self.level)

    def targets(self, graphs: Sequence[Graph], readings: Sequence[Readings]) -> NDArray[np.float64]:
        """``(n,)`` eV: what stands in the place of labels.

        Args:
            graphs: ``n`` molecules.
            readings: of each molecule, one for each of `needed`.
        """
        energies = np.array([[one.energy for one in row] for row in readings]).reshape(len(readings), -1)

        def mean(specs: Sequence[BaselineSpec]) -> NDArray[np.float64]:
            return energies[:, [self.needed.index(spec) for spec in specs]].mean(axis=1)

        if not self.minus:
            return mean(self.level)
        # What a network learns on top of is subtracted from labels: so it is added to the difference first.
        return mean(self.level) - mean(self.minus) + np.array([graph.baseline for graph in graphs])


def pretrain(
    settings: ModelSettings,
    how: TrainingSettings,
    *,
    graphs: Sequence[Graph],
    targets: NDArray[np.float64],
    epochs: int,
    members: int,
    seed: int,
    on_epoch: Callable[[int, int, dict[str, float]], Any] | None = None,
) -> Ensemble:
    """An ensemble that has learned the cheap targets; a tenth of them stops the training.

    Args:
        settings: of the networks.
        how: settings of the optimiser.
        graphs: ``n`` molecules.
        targets: ``(n,)`` eV, see `Pretraining.targets`.
        epochs: at most.
        members: one is enough for members that leave out folds, since these keep them apart. Members that
            share a validation set differ by their weights alone: each needs a network of its own.
        seed: of weights and of the split.
        on_epoch: called with member, epoch and metrics.

    Raises:
        DataError: too few molecules.
    """
    from surrogate import Ensemble

    if len(graphs) < FEWEST:
        raise DataError(f"pretraining finds {len(graphs)} molecules; {FEWEST} are the least.")
    cut = max(2, round(_VALIDATION_SHARE * len(graphs)))
    kinds = tuple(kind for kind in settings.uncertainty if kind != "gp")  # nobody asks these networks for it
    return Ensemble.fit(
        replace(settings, uncertainty=kinds or ("ensemble",)),
        replace(how, epochs=epochs, forces_weight=0.0),
        training=(graphs[cut:], targets[cut:]),
        validation=(graphs[:cut], targets[:cut]),
        members=members,
        seed=seed,
        on_epoch=on_epoch,
    )
