"""The result of a run of a campaign."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from alkit.properties import ENERGY, Quantity
from alkit.storage.round_metrics import RoundMetrics

if TYPE_CHECKING:
    import pandas


Unit = Literal["stage", "round"]


class PausedError(Exception):
    """A campaign stops here for now: a step is done.

    Attributes:
        count: labels that are to come.
    """

    count = 0


@dataclass(frozen=True)
class Result:
    """How a campaign ended.

    A campaign that goes on after a `Campaign.step`, or waits for labels by hand, has not ended.

    Attributes:
        folder: of the campaign.
        stopped_by: the rule that stopped it; empty if it has not ended.
        metrics: of every round.
        already_finished: whether it had ended before this run.
        waiting: number of labels that are to come by hand.
        quantity: what the labels are.
    """

    folder: Path
    stopped_by: str
    metrics: list[RoundMetrics]
    already_finished: bool = False
    waiting: int = 0
    quantity: Quantity = ENERGY

    def frame(self) -> pandas.DataFrame:
        """A row for every round, with its metrics; errors in the unit of the labels."""
        import pandas  # MLflow brings it

        return pandas.DataFrame([dict(one) for one in self.metrics])

    def _repr_html_(self) -> str:
        from alkit.reporting.notebook import page

        ending = f"ended: {self.stopped_by}" if self.stopped_by else "goes on"
        if self.waiting:
            ending = f"waits for {self.waiting} labels"
        return page(f"{self.folder.name} {ending}", self.frame())
