"""The campaign: the only stateful class. It runs stages in order, resumes, and stops."""

from __future__ import annotations

import contextlib
import json
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, Unpack, get_args

from alkit.acquisition.base import Acquisition
from alkit.campaign import acquiring, announcing, asking, folder, proposing, telling, trying
from alkit.campaign.checking import check_campaign
from alkit.campaign.folder import open_campaign as open_campaign
from alkit.campaign.label_files import rows_of_frame
from alkit.campaign.labelling import LabelsToComeError
from alkit.campaign.objects import Callback, Given, named, with_objects
from alkit.campaign.result import PausedError, Result, Unit
from alkit.campaign.round_state import RoundState
from alkit.campaign.stages import stages_of
from alkit.campaign.stopping import REJECTING, exhausted, stop_reason
from alkit.campaign.tables import CampaignTables
from alkit.campaign.telling import Answer
from alkit.campaign.tracked_runs import CampaignRuns, open_runs
from alkit.config import loading
from alkit.config.schema import AcquisitionConfig, CampaignConfig
from alkit.errors import AlkitError, CampaignError, ConfigError, LabelError, TrackingError
from alkit.files import absolute
from alkit.proposers.base import Proposer
from alkit.reporting import campaign_report
from alkit.reporting.live import live_listeners
from alkit.reporting.progress import CampaignProgress
from alkit.reporting.verdicts import TWIN
from alkit.simulators.base import Label, Simulator
from alkit.storage.ledger import Ledger

if TYPE_CHECKING:
    import pandas


class Campaign(CampaignTables):
    """One campaign in one folder.

    Args:
        config: a campaign file, or its contents as a ``CampaignConfig`` or a dictionary.
        acquisition: a function ``score(pool, context)`` or an object with ``select``.
        proposer: a function ``propose(n, context)`` or an object with that method.
        simulator: an object with ``level`` and ``label``; a copy of it works in each worker. Each of the
            three takes the place of the config's section.
        callbacks: functions of a `StageEvent`, called after each stage.
        progress: where to show progress; by default a live table in a notebook, elsewhere nowhere.

    Raises:
        ConfigError: the config or an object cannot be used.
    """

    def __init__(
        self,
        config: CampaignConfig | dict[str, Any] | Path | str,
        *,
        acquisition: Acquisition | Callable[..., Any] | None = None,
        proposer: Proposer | Callable[..., Iterable[str]] | None = None,
        simulator: Simulator | None = None,
        callbacks: Sequence[Callback] = (),
        progress: CampaignProgress | None = None,
    ):
        if isinstance(config, Path | str):
            config = loading.load_config(Path(config))
        elif isinstance(config, dict):
            config = loading.check_config(named(config, proposer))
        self.config, self._objects = with_objects(
            config, acquisition=acquisition, proposer=proposer, simulator=simulator, callbacks=callbacks
        )
        self._acquisition = self._objects.acquisition_of(self.config)
        self.folder = absolute(self.config.campaign_folder, Path.cwd(), "folder")
        calls = announcing.calls(self._objects.callbacks, self.folder)
        self.progress = (progress or CampaignProgress(listeners=live_listeners())).also(calls)
        self._given: list[str] | None = None  # candidates of the next round
        self._until: Unit | None = None

    @classmethod
    def open(cls, path: Path | str, **objects: Unpack[Given]) -> Self:
        """The campaign of a folder, with the settings that its ledger keeps.

        Args:
            path: the folder.
            **objects: as the constructor takes them; those that the campaign began with are needed to go on.

        Raises:
            CampaignError: there is none.
        """
        config, ledger = open_campaign(Path(path))
        ledger.close()
        opened = config.model_copy(update={"folder": Path(path).resolve()})
        return cls(opened, **objects)

    def __repr__(self) -> str:
        return f"Campaign({self.config.name!r}, {self.config.acquisition.name}, folder {str(self.folder)!r})"

    def check(self) -> None:
        """Everything that can be found wrong before work begins.

        Raises:
            AlkitError: the first thing found.
        """
        with contextlib.closing(Ledger(Path(":memory:"))) as ledger:
            check_campaign(self._state(ledger))

    def try_labels(self) -> list[tuple[str, Label | LabelError]]:
        """`check`, then real labels of a few molecules; nothing is kept.

        Returns:
            SMILES with the label, or the error in its place.

        Raises:
            AlkitError: what `check` finds, or that not one of them has a label.
        """
        with contextlib.closing(Ledger(Path(":memory:"))) as ledger:
            state = self._state(ledger)
            check_campaign(state)
            try:
                with self.progress:
                    return trying.try_labels(state)
            finally:
                state.labels.close(wait=False)

    def run(self) -> Result:
        """Run to the end, from wherever an earlier run was stopped.

        Raises:
            CampaignError: the folder is in use, belongs to something else or to another config.
            AlkitError: whatever a stage finds wrong; nothing done before is lost.
        """
        return announcing.ending(self.progress, self.folder, self._run_in_folder)

    def _run_in_folder(self) -> Result:
        self._objects.check(self.config)
        new = not self.folder.exists()
        with self._locked(), contextlib.closing(self._open_ledger()) as ledger:
            if stopped_by := ledger.meta("stopped_by"):
                return Result(
                    self.folder, stopped_by, ledger.metrics(), already_finished=True, quantity=ledger.quantity
                )
            try:
                return self._go_on(ledger)
            except AlkitError:
                if new and not ledger.candidates():
                    ledger.close()
                    folder.remove_new(self.folder)
                raise

    def step(self, unit: Unit = "round") -> Result:
        """Run one stage or one round, and pause; `run` and the command line go on from there as well.

        Returns:
            The result so far: ``stopped_by`` is empty while there is more to do.

        Raises:
            AlkitError: as `run`.
        """
        if unit not in get_args(Unit):
            raise ConfigError(f"step() takes 'stage' or 'round', not {unit!r}.")
        self._until = unit
        try:
            return self.run()
        finally:
            self._until = None

    def recommend(self, n: int | None = None, *, candidates: Iterable[str] | None = None) -> pandas.DataFrame:
        """The molecules to label next, of a campaign with ``simulator: manual``.

        It learns from the labels that `add_labels` has brought and goes on to its next batch. While a batch
        waits for labels, those are what is recommended.

        Args:
            n: batch size from here on; the campaign file's otherwise.
            candidates: SMILES to choose from in this round, in place of the proposer's.

        Returns:
            id, smiles, role, prediction_eV, std_eV, why, the geometry as ASE's `Atoms`, and an empty column
            for the label.

        Raises:
            CampaignError: the campaign has ended, another batch still waits, or no candidate can be labelled.
            AlkitError: whatever a stage finds wrong; nothing done before is lost.
        """
        asking.check_by_hand(self.config, self.folder)
        waiting = asking.labels_to_come(self.folder)
        if waiting and (n not in (None, self.config.batch_size) or candidates is not None):
            raise CampaignError(f"{self.folder} still waits for {waiting} labels; add them first.")
        if not waiting:
            self._hand_over(n, candidates)
        return asking.ask(self.folder).frame()

    def _hand_over(self, n: int | None, candidates: Iterable[str] | None) -> None:
        """Run to the next batch, of ``n`` molecules and from these candidates."""
        if n is not None:
            if isinstance(n, bool) or not isinstance(n, int) or n < 1:
                raise ConfigError(f"n is {n!r}; recommend takes a number of molecules.")
            self.config = self.config.model_copy(update={"batch_size": n})
        self._given = None if candidates is None else list(candidates)
        try:
            result = self.run()
            if self._given is not None:
                warnings.warn(
                    f"{self.folder}: the start or a batch that was under way came first, and the candidates "
                    "were not used; hand them over again.",
                    stacklevel=3,
                )
        finally:
            self._given = None
        if not result.waiting:
            raise CampaignError(
                f"{self.folder} has ended: {result.stopped_by}; change its stop rules to go on."
            )

    def add_labels(self, frame: Any, **options: Any) -> Answer:
        """Take labels that were computed elsewhere.

        Args:
            frame: a pandas frame, a list of dictionaries or a dictionary of columns. A row has ``id`` or
                ``smiles``, and a label (column "u0_eV" or the like) or a ``reason`` why there is none.
                ``atoms`` may be the geometry (ASE's `Atoms`) that the label belongs to. In a frame, NaN is a
                label to come.
            **options: ``level``, ``unit``, ``kind``, ``references``, ``column``, ``replace`` and
                ``rest_failed`` of `alkit.campaign.telling.tell`.

        Returns:
            What was taken, what was refused and why, and how many labels are still to come.

        Raises:
            CampaignError: the campaign waits for no labels, is of another level, or no row could be taken.
        """
        return telling.tell(self.folder, rows_of_frame(frame), what="labels", **options)

    def _go_on(self, ledger: Ledger) -> Result:
        state = self._state(ledger)
        if not ledger.stages():
            check_campaign(state)
        try:
            _ = state.labels.cache  # one that cannot be used is found before the work
            stopped_by = self._run(state)
        except (LabelsToComeError, PausedError) as pause:
            state.labels.close(wait=isinstance(pause, PausedError))
            return Result(self.folder, "", ledger.metrics(), waiting=pause.count, quantity=ledger.quantity)
        except BaseException:
            with contextlib.suppress(CampaignError):  # the first error is the one that counts
                state.labels.close(wait=False)
            raise
        state.labels.close(wait=True)
        return Result(self.folder, stopped_by, ledger.metrics(), quantity=ledger.quantity)

    def _run(self, state: RoundState) -> str:
        runs = open_runs(state.ledger, self.config, self.folder)
        try:
            runs.open_campaign(state)
            state.ledger.set_meta("folder", str(self.folder))
            with self.progress:
                announcing.begin(state)
                drawn = False
                with self._twin() as follow:
                    follow(state.round - 1)  # it may have been cut off
                    while (reason := stop_reason(self.config.stop, state.ledger)) is None:
                        drawn = self._round(state, runs) and not self.config.twin
                        follow(state.round)
                        state.round += 1
                        if self._until and stop_reason(self.config.stop, state.ledger) is None:
                            raise PausedError
            campaign_report.write_report(
                state.ledger, self.config, self.folder, stopped_by=reason, redraw=not drawn
            )
            runs.log_campaign(state)
        except (LabelsToComeError, PausedError):
            campaign_report.write_report(state.ledger, self.config, self.folder)
            runs.close("SCHEDULED")
            raise
        except BaseException as error:
            _close_by(runs, error)
            raise
        runs.close("FINISHED")
        state.ledger.set_meta("stopped_by", reason)  # last: from here on there is nothing left to do
        return reason

    @contextlib.contextmanager
    def _twin(self) -> Iterator[Callable[[int], None]]:
        """The same campaign with random selection; the function given runs it up to a round."""
        if self.config.twin is None:
            yield lambda round_: None
            return
        random = AcquisitionConfig.model_validate({"name": "random"})
        own = {"name": f"{self.config.name}-random", "folder": self.folder / TWIN, "acquisition": random}
        twin = Campaign(self.config.model_copy(update=own | {"twin": None}), progress=self.progress)
        twin._objects = replace(self._objects, acquisition=None, callbacks=())
        with twin._locked(), contextlib.closing(twin._open_ledger()) as ledger:
            state = twin._state(ledger)
            try:
                runs = open_runs(ledger, twin.config, twin.folder)
                runs.open_campaign(state)
                ledger.set_meta("folder", str(twin.folder))
                try:
                    yield lambda round_: twin._follow(state, runs, round_)
                except BaseException as error:
                    _close_by(runs, error)
                    raise
                runs.close("FINISHED")
            finally:  # late labels of a twin are not waited for
                state.labels.close(wait=False)

    def _follow(self, state: RoundState, runs: CampaignRuns, last: int) -> None:
        """Run up to a round as another campaign's twin, whatever the stop rules say."""
        while state.round <= last:
            if (stages := state.ledger.stages()) and exhausted(state.ledger, stages[-1][0]):
                return
            self._round(state, runs)
            state.round += 1

    def _round(self, state: RoundState, runs: CampaignRuns) -> bool:
        """The stages of the round that are left; whether its plots were drawn, after all the rest."""
        drawn = False
        runs.open_round(state.round)
        for name, stage in stages_of(state.round).items():
            if state.ledger.finished(state.round, name):
                continue
            if name == "propose" and self._given is not None:
                stage, self._given = partial(proposing.propose_given, given=self._given), None
            announcing.stage_begins(state, name)
            with state.ledger.stage(state.round, name):
                stage(state)
                state.seal_files()
                if name == "evaluate":  # inside the transaction: a round that counts is also tracked
                    campaign_report.write_report(state.ledger, self.config, self.folder)
                    runs.log_round(state)
                    drawn = True
            announcing.stage_ends(state, name)
            if name in REJECTING and exhausted(state.ledger, state.round):
                break
            if self._until == "stage" and name != "evaluate":
                raise PausedError
        runs.close_round("FINISHED")
        announcing.round_ends(state)
        return drawn

    def _state(self, ledger: Ledger) -> RoundState:
        evaluated = [metrics.round for metrics in ledger.metrics()]
        return RoundState(
            config=self.config,
            folder=self.folder,
            ledger=ledger,
            acquisition=self._acquisition,
            progress=self.progress,
            round=max(evaluated, default=-1) + 1,
            objects=self._objects,
        )

    def _open_ledger(self) -> Ledger:
        ledger = Ledger(self.folder / folder.LEDGER)
        try:
            if stored := ledger.meta("config"):
                self.config = loading.keep_earlier_defaults(self.config, json.loads(stored))
            # Nothing is drawn yet: a config that failed its check may be corrected.
            if not ledger.candidates():
                ledger.clear_meta()
                stored = None
            changed = folder.changed_settings(ledger, self.config, self.folder) if stored else []
            ledger.check_files(self.folder)
            if folder.concerns(changed, "acquisition"):
                acquiring.check_acquisition(self._state(ledger))
        except BaseException:
            ledger.close()
            raise
        stopped = bool(ledger.meta("stopped_by"))
        if stopped and changed and stop_reason(self.config.stop, ledger) is not None:
            return ledger  # there is nothing left to do, whatever has changed
        for line in changed:
            self.progress.say(f"changed: {line}")
        folder.keep_config(ledger, self.config, self.folder, changed, goes_on=stopped and bool(changed))
        return ledger

    def _locked(self) -> contextlib.AbstractContextManager[None]:
        return folder.locked_folder(self.folder)


def _close_by(runs: CampaignRuns, error: BaseException) -> None:
    """End MLflow's runs as the error says; where that fails too, the first error is the one that counts."""
    waits = isinstance(error, LabelsToComeError | PausedError)
    with contextlib.suppress(TrackingError):
        runs.close("SCHEDULED" if waits else "KILLED" if isinstance(error, KeyboardInterrupt) else "FAILED")
