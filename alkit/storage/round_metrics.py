"""The metrics of a round: errors on the fixed test set, trivial baselines, calibration, label counts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields

_COUNTS = ("round", "labels", "test_size", "validation_size", "cheap_labels")


@dataclass(frozen=True, eq=False, repr=False)
class RoundMetrics(Mapping[str, float]):
    """Measurements of the evaluate stage in one round. Errors are in the unit of the labels.

    It is a mapping too (``metrics["mae"]``, ``dict(metrics)``), of the values that are there.

    Attributes:
        round: 0 is the random start.
        labels: training and validation labels so far.
        test_size: molecules of the test set.
        mae, rmse, q95, max: of the absolute test errors.
        r2: coefficient of determination on the test set.
        validation_mae: stop rules read it, since the test set chooses nothing.
        validation_error: the standard error of ``validation_mae``.
        validation_size: molecules of the validation set.
        validation_rise: p-value that validation errors are not larger than in the best round before.
        outside_target: share of the acquired molecules that lie outside of the target set.
        acquired_coverage_90: share of the acquired molecules whose label lies in the 90 % interval predicted.
        acquired_widening: factor on intervals that would hold 90 % of the labels acquired in earlier rounds.
        acquired_widened_90: share of the acquired molecules in intervals of that width.
        baseline_mean, baseline_elements, baseline_bonds: test MAE of trivial baselines fitted to the same
            labels.
        baseline_xtb: test MAE of the GFN2-xTB energy with element counts; in delta campaigns.
        coverage_90: share of test labels inside their 90 % interval.
        spearman: rank correlation of deviation and absolute error.
        ence, miscalibration_area, nll, sharpness, rejection_gain: see `surrogate.metrics`.
        cheap_labels: cheap energies that pretraining took; they are not counted as labels.
        others: metrics that this revision does not know, from a ledger of another one.
    """

    round: int
    labels: int | None = None
    test_size: int | None = None
    mae: float | None = None
    rmse: float | None = None
    q95: float | None = None
    max: float | None = None
    r2: float | None = None
    validation_mae: float | None = None
    validation_error: float | None = None
    validation_size: int | None = None
    validation_rise: float | None = None
    outside_target: float | None = None
    acquired_coverage_90: float | None = None
    acquired_widening: float | None = None
    acquired_widened_90: float | None = None
    baseline_mean: float | None = None
    baseline_elements: float | None = None
    baseline_bonds: float | None = None
    baseline_xtb: float | None = None
    coverage_90: float | None = None
    spearman: float | None = None
    ence: float | None = None
    miscalibration_area: float | None = None
    nll: float | None = None
    sharpness: float | None = None
    rejection_gain: float | None = None
    cheap_labels: int | None = None
    others: Mapping[str, float] = field(default_factory=dict)

    @classmethod
    def from_values(cls, values: Mapping[str, float]) -> RoundMetrics:
        """Metrics by name, as a ledger keeps them; ``round`` is among them."""
        names = {one.name for one in fields(cls)} - {"others"}
        known = {name: int(v) if name in _COUNTS else v for name, v in values.items() if name in names}
        return cls(**known, others={name: v for name, v in values.items() if name not in names})  # type: ignore[arg-type]

    def __getitem__(self, name: str) -> float:
        value = self.others.get(name) if name in self.others else self.__dict__.get(name)
        if value is None or name == "others":
            raise KeyError(name)
        return value

    def __iter__(self) -> Iterator[str]:
        yield from (name for name, value in vars(self).items() if name != "others" and value is not None)
        yield from self.others

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __repr__(self) -> str:
        error = "" if self.mae is None else f", test MAE {self.mae:.4f}"
        return f"RoundMetrics(round {self.round}, {self.labels} labels{error})"
