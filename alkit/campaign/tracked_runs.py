"""Which MLflow runs a campaign and its rounds write to, and what they write."""

from __future__ import annotations

import csv
import tempfile
from pathlib import Path
from typing import Any

from alkit.campaign.round_state import RoundState
from alkit.campaign.tracked_values import (
    counts_and_seconds,
    datasets_of,
    description_of,
    generator_shares,
    tags_of,
)
from alkit.config.masking import masked
from alkit.config.schema import CampaignConfig
from alkit.reporting.tracking import Ending, Tracker
from alkit.reporting.tracking_store import NO_TRACKING, ShownAt, absolute_uri, shown_at
from alkit.storage import ledger_export
from alkit.storage.ledger import Ledger
from alkit.storage.round_metrics import RoundMetrics

_OF_MODEL = ("mae", "rmse", "validation_mae")  # errors that MLflow shows beside a model too


def open_runs(ledger: Ledger, config: CampaignConfig, folder: Path) -> CampaignRuns:
    """The campaign's runs in the store that its settings name; with ``tracking: none`` they keep nothing.

    Raises:
        ConfigError: the store cannot be opened.
    """
    before, uri = ledger.meta("tracking_uri"), tracking_uri(ledger, config, folder)
    if uri == NO_TRACKING:
        return CampaignRuns(ledger, config)
    # A store that moved along holds this campaign's runs; one that stayed, those of the folder it was in.
    elsewhere = was_moved(ledger, folder) and before == masked(uri)
    tracker = Tracker(uri, config.tracking.experiment)
    ledger.set_meta("mlflow_experiment", tracker.experiment)
    return TrackedRuns(tracker, ledger, config, elsewhere=elsewhere)


def tracking_uri(ledger: Ledger, config: CampaignConfig, folder: Path) -> str:
    """Where the campaign began to track, also when it goes on from another working directory.

    A password is not in the ledger: it comes from the campaign's file, or MLflow's own variables.
    """
    given = absolute_uri(config.tracking.uri)
    stored = given if was_moved(ledger, folder) else ledger.meta("tracking_uri") or given
    ledger.set_meta("tracking_uri", masked(stored))
    return given if masked(given) == masked(stored) else stored


def was_moved(ledger: Ledger, folder: Path) -> bool:
    """Whether the folder was moved or copied since the last run."""
    return ledger.meta("folder") not in (None, str(folder))


def campaign_shown_at(ledger: Ledger) -> ShownAt:
    """Where a person sees the campaign's run; empty texts where nothing is tracked, or not yet."""
    uri, run = ledger.meta("tracking_uri"), ledger.meta("mlflow_run")
    experiment = ledger.meta("mlflow_experiment")
    return shown_at(uri, experiment, run) if uri and run and experiment else ShownAt("", "")


class CampaignRuns:
    """The MLflow runs of a campaign. This class keeps nothing, as ``tracking: none`` asks for."""

    def __init__(self, ledger: Ledger, config: CampaignConfig):
        self._ledger, self._config = ledger, config

    def open_campaign(self, state: RoundState) -> None:
        """Open the campaign's run."""

    def open_round(self, round_: int) -> None:
        """Open a round's run."""

    def log_round(self, state: RoundState) -> None:
        """Write what a round has measured, learned from and made."""

    def close_round(self, ending: Ending) -> None:
        """End a round's run."""

    def log_campaign(self, state: RoundState) -> None:
        """Write what the campaign leaves."""

    def close(self, ending: Ending) -> None:
        """End all runs."""


class TrackedRuns(CampaignRuns):
    """Runs in a store; their ids live in the ledger, so a resumed campaign goes on in them."""

    def __init__(self, tracker: Tracker, ledger: Ledger, config: CampaignConfig, *, elsewhere: bool = False):
        """``elsewhere``: the campaign comes from another folder, whose runs the ledger names."""
        super().__init__(ledger, config)
        self._tracker, self._elsewhere = tracker, elsewhere
        self._parent: str | None = None
        self._child: str | None = None
        self._round = 0
        self._steps = 0, 0  # of the round's metrics, on its own run and on the campaign's
        self._written: set[str] = set()  # names of the round's metrics
        self._monitor: Any = None

    def open_campaign(self, state: RoundState) -> None:
        """Open the campaign's run.

        Where it was deleted in between, or the campaign comes from another folder, a new one is written from
        the ledger.
        """
        before = self._ledger.meta("mlflow_run")
        if self._elsewhere:
            self._ledger.set_meta("mlflow_run", "")
        self._parent = self._open("mlflow_run", self._config.name, None)
        self._tracker.log_params(self._parent, self._config.as_dict())
        self._tracker.set_tags(self._parent, tags_of(state), description=description_of(state))
        if before not in (None, self._parent):
            self._write_again(state, before)
        if self._config.tracking.system_metrics:
            self._monitor = self._tracker.monitor(self._parent)

    def _write_again(self, state: RoundState, before: str) -> None:
        """The rounds so far, in runs of the new parent."""
        rounds = self._ledger.metrics()
        cause = "MLflow's run of it was deleted" if before else "It has no runs there yet"
        if self._elsewhere:
            cause = "The campaign was moved or copied"
        state.progress.say(
            f"{cause}; its {len(rounds)} rounds are written to a new run from the ledger.", warning=True
        )
        for round_ in range(len(rounds) + 1):  # the one under way too: their parent is gone
            self._ledger.set_meta(f"mlflow_round_{round_}", "")
        for number, metrics in enumerate(rounds):
            self.open_round(metrics.round)
            self._log(state, rounds[: number + 1])
            self.close_round("FINISHED")

    def _open(self, key: str, name: str, parent: str | None) -> str:
        run = self._tracker.open_run(name, parent=parent, resume=self._ledger.meta(key) or None)
        self._ledger.set_meta(key, run)
        return run

    def open_round(self, round_: int) -> None:
        """Open a round's run."""
        self._round, self._steps, self._written = round_, (0, 0), set()
        self._child = self._open(f"mlflow_round_{round_}", f"round {round_}", self._parent)

    def close_round(self, ending: Ending) -> None:
        """End a round's run. What its last stage took is known only now."""
        if self._child is None:
            return
        child, self._child = self._child, None
        if ending == "FINISHED":
            values = counts_and_seconds(self._ledger, self._round)
            left = {name: value for name, value in values.items() if name not in self._written}
            self._tracker.log_metrics(child, left, step=self._steps[0])
            if self._written:  # a round that was not evaluated has no place among the labels
                self._tracker.log_metrics(self._of_campaign, left, step=self._steps[1])
        self._tracker.close_run(child, ending)

    def close(self, ending: Ending) -> None:
        """End all runs."""
        if self._monitor is not None:
            self._monitor.finish()
            self._monitor = None
        self.close_round(ending)
        if self._parent is not None:
            self._tracker.close_run(self._parent, ending)

    def log_round(self, state: RoundState) -> None:
        """Metrics, curves, data sets, model and plots of a round; its metrics on the campaign's run too."""
        self._log(state, state.ledger.metrics())
        self._tracker.log_files(self._of_round, state.folder / "plots", "plots")

    def _log(self, state: RoundState, rounds: list[RoundMetrics]) -> None:
        """Write the last of these rounds."""
        parent, child, evaluated = self._of_campaign, self._of_round, rounds[-1]
        round_, values = evaluated.round, {k: v for k, v in evaluated.items() if k != "round"}
        curves = training_curves(state.path("training.csv", round_=round_))
        last = max((epoch for epoch, _ in curves), default=0)
        self._steps = last, evaluated.labels or 0
        values |= counts_and_seconds(self._ledger, round_) | generator_shares(self._ledger, round_)
        self._written = set(values)
        self._tracker.log_params(child, {"round": round_} | self._config.as_dict())
        self._tracker.set_tags(child, tags_of(state), description=description_of(state, round_))
        self._tracker.log_metrics(parent, values, step=self._steps[1])
        others = {name: value for name, value in values.items() if name not in _OF_MODEL}
        self._tracker.log_series(child, [*curves, (last, others)])
        self._tracker.log_datasets(child, datasets_of(self._ledger, round_), source=self._ledger.path)
        self._tracker.log_files(child, state.path("test_predictions.csv", round_=round_))
        self._log_model(state, rounds)

    def _log_model(self, state: RoundState, rounds: list[RoundMetrics]) -> None:
        """The round's model; it becomes the best one where its validation error is the lowest so far."""
        parent, child, evaluated = self._of_campaign, self._of_round, rounds[-1]
        errors = {name: evaluated[name] for name in _OF_MODEL}
        home = state.path("model", round_=evaluated.round)
        name = f"{self._config.name}-round-{evaluated.round}"
        model = self._tracker.log_model(child, name, home, errors, step=self._steps[0])
        self._tracker.log_output(parent, model, step=self._steps[1])
        if evaluated["validation_mae"] <= min(row["validation_mae"] for row in rounds):
            unit = self._ledger.quantity.unit
            said = f"{evaluated.labels} labels, validation MAE {evaluated['validation_mae']:.4f} {unit}"
            self._tracker.register(self._config.name, model, child, f"Round {evaluated.round}: {said}")

    def log_campaign(self, state: RoundState) -> None:
        """Settings, report, plots, data sets and the table of candidates, on the campaign's run."""
        parent, folder = self._of_campaign, state.folder
        for name in ("campaign.yaml", "report.html"):
            self._tracker.log_files(parent, folder / name)
        self._tracker.log_files(parent, folder / "plots", "plots")
        last = self._ledger.metrics()[-1].round
        self._tracker.log_datasets(parent, datasets_of(self._ledger, last), source=self._ledger.path)
        with tempfile.TemporaryDirectory() as scratch:
            table = Path(scratch) / "candidates.csv"
            ledger_export.export(self._ledger, table, name=self._config.name)
            self._tracker.log_files(parent, table)

    @property
    def _of_campaign(self) -> str:
        if self._parent is None:
            raise RuntimeError("open_campaign comes first")
        return self._parent

    @property
    def _of_round(self) -> str:
        if self._child is None:
            raise RuntimeError("open_round comes first")
        return self._child


def training_curves(path: Path) -> list[tuple[int, dict[str, float]]]:
    """Epoch and metrics, named ``member_k/…``, of a round's ``training.csv``."""
    with path.open(newline="") as file:
        return [
            (
                int(row["epoch"]),
                {
                    f"member_{row['member']}/{name}": float(value)
                    for name, value in row.items()
                    if name not in ("member", "epoch") and value
                },
            )
            for row in csv.DictReader(file)
        ]
