"""The test errors of the last round: parity, residuals by kind of molecule, calibration and rejection."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from alkit.models.metrics import error_sizes
from alkit.reporting import plots, residuals
from alkit.reporting.page_parts import Plot, Table, number, percent
from alkit.reporting.residuals import Residual, residuals_by
from alkit.storage.round_files import TEST_FILE, read_table, round_file

_GROUPINGS: Mapping[str, tuple[str, Callable[[Sequence[str]], dict[str, NDArray[np.bool_]]]]] = {
    "residual_size": ("Error by number of heavy atoms", residuals.by_size),
    "residual_element": ("Error by element in the molecule", residuals.by_element),
    "residual_group": ("Error by functional group", residuals.by_functional_group),
}


@dataclass(frozen=True, eq=False)
class TestErrors:
    """Predictions of the test molecules, in the unit of the labels.

    Attributes:
        truth, predicted, std, levels: ``(n,)`` each; levels are those of the narrowest interval that holds
            the label.
    """

    __test__ = False  # no test of pytest's

    smiles: list[str]
    truth: NDArray[np.float64]
    predicted: NDArray[np.float64]
    std: NDArray[np.float64]
    levels: NDArray[np.float64]
    unit: str

    @classmethod
    def read(cls, folder: Path, round_: int, unit: str) -> TestErrors:
        """Read the errors of a round.

        Raises:
            CampaignError: the round's file is missing or damaged.
        """
        smiles, columns = read_table(round_file(folder, round_, TEST_FILE))
        truth, predicted, std, levels = columns.T
        return cls(smiles, truth, predicted, std, levels, unit)

    @property
    def errors(self) -> NDArray[np.float64]:
        """``(n,)`` prediction less label."""
        return self.predicted - self.truth

    def accuracy_plots(self) -> list[Plot]:
        """Parity, and errors by kind of molecule."""
        sizes, unit = error_sizes(self.errors), self.unit
        words = (
            f"Prediction against label of {number(len(self.truth), 'test molecule')}; bars are one predicted "
            f"deviation. MAE {sizes['mae']:.3f} {unit}, largest error {sizes['max']:.3f} {unit}, mean error "
            f"{self.errors.mean():+.3f} {unit}."
        )
        draw = partial(plots.parity, self.truth, self.predicted, self.std, unit=unit)
        return [Plot("parity", "Parity", words, draw, picture=True), *map(self._residual_plot, _GROUPINGS)]

    def uncertainty_plots(self) -> list[Plot]:
        """Calibration, rejection, and errors against deviations."""
        inside = {level: float((self.levels <= level).mean()) for level in (0.5, 0.9)}
        kept = np.argsort(self.std, kind="stable")[: max(1, len(self.std) // 2)]
        halved, overall = np.abs(self.errors[kept]).mean(), np.abs(self.errors).mean()
        calibrated = (
            "Share of labels inside of the central intervals of the predicted distributions: "
            f"{percent(inside[0.5])} in those of 50 %, {percent(inside[0.9])} in those of 90 %."
        )
        rejected = (
            f"MAE where the least certain molecules are rejected: {overall:.3f} {self.unit} of all, "
            f"{halved:.3f} {self.unit} of the most certain half."
        )
        outside = percent(float((np.abs(self.errors) > 1.645 * self.std).mean()))
        spread = (
            f"Absolute error against predicted deviation: deviations from {self.std.min():.3f} to "
            f"{self.std.max():.3f} {self.unit}; {outside} of the errors lie above the dashed "
            "line, and 10 % should."
        )
        errors, std, unit = self.errors, self.std, self.unit
        return [
            Plot(
                "calibration",
                "Calibration",
                calibrated,
                partial(plots.calibration, self.levels),
                picture=True,
            ),
            Plot("rejection", "Rejection", rejected, partial(plots.rejection, errors, std, unit=unit)),
            Plot(
                "uncertainty",
                "Error against deviation",
                spread,
                partial(plots.uncertainty, self.truth, self.predicted, std, unit=unit),
                picture=True,
            ),
        ]

    def residual_tables(self) -> list[Table]:
        """The numbers of the plots by kind of molecule."""
        return [
            Table(
                f"{title}, {self.unit}",
                ("group", "n", "MAE", "95 % interval", "mean error"),
                [_cells(row) for row in residuals_by(split(self.smiles), self.errors)],
                texts=1,
            )
            for title, split in _GROUPINGS.values()
        ]

    def _residual_plot(self, name: str) -> Plot:
        title, split = _GROUPINGS[name]
        rows = residuals_by(split(self.smiles), self.errors)
        overall = float(np.abs(self.errors).mean())
        usual = [row for row in rows if row.n > 1] or rows
        worst = max(usual, key=lambda row: row.mae)
        best = min(usual, key=lambda row: row.mae)
        words = (
            f"Test MAE and its 95 % interval; in brackets, how many of the {len(self.truth):,} molecules. "
            f"Largest: {worst.group}, {worst.mae:.3f} {self.unit} ({worst.n}); smallest: {best.group}, "
            f"{best.mae:.3f} {self.unit} ({best.n})."
        )
        return Plot(name, title, words, partial(plots.residuals, rows, overall, unit=self.unit))


def _cells(row: Residual) -> tuple[str, ...]:
    interval = "–"
    if np.isfinite(row.half_width):
        interval = f"{max(0.0, row.mae - row.half_width):.3f}–{row.mae + row.half_width:.3f}"
    return row.group, str(row.n), f"{row.mae:.3f}", interval, f"{row.bias:+.3f}"
