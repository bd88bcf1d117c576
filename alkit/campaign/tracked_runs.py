"""Which MLflow run a campaign and its rounds write to, and what they write."""

from pathlib import Path

from alkit.campaign.round_state import RoundState
from alkit.config.masking import masked
from alkit.config.schema import CampaignConfig
from alkit.reporting import campaign_report
from alkit.reporting.tracking import Ending, ShownAt, Tracker, absolute_uri
from alkit.storage.ledger import Ledger
from alkit.storage.round_metrics import RoundMetrics


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


class CampaignRuns:
    """The campaign's MLflow runs; their ids live in the ledger, so a resumed campaign goes on in them."""

    def __init__(self, tracker: Tracker, ledger: Ledger, config: CampaignConfig, *, elsewhere: bool = False):
        """``elsewhere``: the campaign comes from another folder, whose runs the ledger names."""
        self._tracker, self._ledger, self._config, self._elsewhere = tracker, ledger, config, elsewhere
        self._parent: str | None = None
        self._child: str | None = None

    def open_campaign(self, state: RoundState) -> None:
        """Open the campaign's run. Where it was deleted in between, or the campaign comes from another
        folder, a new one is written from the ledger."""
        before = self._ledger.meta("mlflow_run")
        if self._elsewhere:
            self._ledger.set_meta("mlflow_run", "")
        self._parent = self._open("mlflow_run", self._config.name, None)
        self._tracker.log_params(self._parent, self._config.as_dict())
        if before not in (None, self._parent):
            self._write_again(state, before)

    def _write_again(self, state: RoundState, before: str) -> None:
        """The rounds so far, in runs of the new parent."""
        rounds = self._ledger.metrics()
        cause = "MLflow's run of it was deleted" if before else "It has no runs there yet"
        if self._elsewhere:
            cause = "The campaign was moved or copied"
        state.progress.say(
            f"{cause}; its {len(rounds)} rounds are written to a new run from the ledger.",
            warning=True,
        )
        for round_ in range(len(rounds) + 1):  # the one under way too: their parent is gone
            self._ledger.set_meta(f"mlflow_round_{round_}", "")
        for metrics in rounds:
            self.open_round(metrics.round)
            self._log(state, metrics)
            self.close_round("FINISHED")

    def _open(self, key: str, name: str, parent: str | None) -> str:
        run = self._tracker.open_run(name, parent=parent, resume=self._ledger.meta(key) or None)
        self._ledger.set_meta(key, run)
        return run

    def shown_at(self) -> ShownAt:
        """Where a person sees the campaign's run."""
        assert self._parent is not None
        return self._tracker.shown_at(self._parent)

    def open_round(self, round_: int) -> None:
        self._child = self._open(f"mlflow_round_{round_}", f"round {round_}", self._parent)

    def close_round(self, ending: Ending) -> None:
        if self._child is not None:
            self._tracker.close_run(self._child, ending)
            self._child = None

    def close(self, ending: Ending) -> None:
        self.close_round(ending)
        if self._parent is not None:
            self._tracker.close_run(self._parent, ending)

    def log_round(self, state: RoundState) -> None:
        """Metrics, training curves, model and plots; the metrics once more on the parent, over labels."""
        if self._parent is None or self._child is None:
            raise RuntimeError("log_round needs open_campaign and open_round first")
        self._log(state, state.ledger.metrics()[-1])
        self._tracker.log_files(self._child, state.folder / "plots", "plots")

    def _log(self, state: RoundState, evaluated: RoundMetrics) -> None:
        assert self._parent is not None
        assert self._child is not None
        metrics = dict(evaluated)
        round_ = int(metrics.pop("round"))
        self._tracker.log_metrics(self._parent, metrics, step=int(metrics["labels"]))
        self._tracker.log_metrics(self._child, metrics, step=round_)
        curves = state.path("training.csv", round_=round_)
        self._tracker.log_series(self._child, campaign_report.training_curves(curves))
        self._tracker.log_files(self._child, state.path("model", round_=round_), "model")
        self._tracker.log_files(self._child, state.path("test_predictions.csv", round_=round_))

    def log_campaign(self, folder: Path) -> None:
        if self._parent is None:
            raise RuntimeError("log_campaign needs open_campaign first")
        self._tracker.log_files(self._parent, folder / "campaign.yaml")
        self._tracker.log_files(self._parent, folder / "report.html")
        self._tracker.log_files(self._parent, folder / "plots", "plots")
