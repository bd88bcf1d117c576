"""Events of a campaign while it runs, made from the ledger and the settings."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import alkit
from alkit import interrupts
from alkit.campaign.folder import LEDGER
from alkit.campaign.objects import Callback
from alkit.campaign.result import Result
from alkit.campaign.stages import stages_of
from alkit.campaign.tracked_runs import campaign_shown_at
from alkit.models.tiers import tier_of_config
from alkit.reporting.events import (
    CampaignBegins,
    CampaignEnds,
    Event,
    Outcome,
    RoundEvent,
    StageBegins,
    StageEvent,
    StagesExpected,
    counts_of,
)
from alkit.reporting.progress import CampaignProgress
from alkit.reporting.verdicts import TWIN
from alkit.units import CHEMICAL_ACCURACY
from surrogate.settings import pick_device

if TYPE_CHECKING:
    from alkit.campaign.round_state import RoundState


def begin(state: RoundState) -> None:
    """Say what a run of the campaign begins with, and where MLflow shows it."""
    config, stages, mlflow = state.config, state.ledger.stages(), campaign_shown_at(state.ledger)
    state.progress.send(
        CampaignBegins(
            folder=state.folder,
            name=config.name,
            version=alkit.__version__,
            level=str(state.labels.level),
            tier=tier_of_config(config),
            device=str(pick_device(config.surrogate.device)),
            workers=f"{config.simulator.workers}, {config.simulator.engine}",
            resumed_from=f"round {stages[-1][0]}, {stages[-1][1]}" if stages else "",
            mlflow_server=mlflow.server,
            mlflow_run=mlflow.run,
            rounds=tuple(state.ledger.metrics()),
        )
    )
    rounds = config.stop.rounds
    total = len(stages_of(0)) + rounds * len(stages_of(1)) if rounds else None
    twice = 2 if config.twin else 1
    state.progress.send(StagesExpected(len(stages), total and total * twice))


def stage_begins(state: RoundState, stage: str) -> None:
    """Say that a stage begins; a wish to stop is heeded before it."""
    interrupts.check()
    state.progress.send(StageBegins(state.folder, state.round, stage, _is_twin(state.folder)))


def stage_ends(state: RoundState, stage: str) -> None:
    """Say that a stage has ended, and what it made of the round's candidates."""
    fates = [row[1:] for row in state.ledger.reasons() if row[0] == state.round]
    state.progress.send(
        StageEvent(
            folder=state.folder,
            round=state.round,
            stage=stage,
            seconds=state.ledger.stages()[-1][2],
            metrics=state.ledger.metrics()[-1] if stage == "evaluate" else None,
            counts=counts_of(fates),
            twin=_is_twin(state.folder),
        )
    )


def round_ends(state: RoundState) -> None:
    """Say what a round has measured; nothing of one that could not be evaluated."""
    metrics = state.ledger.metrics()
    if metrics and metrics[-1].round == state.round:
        before = metrics[-2].mae if len(metrics) > 1 else None
        quantity, twin = state.ledger.quantity, _is_twin(state.folder)
        accuracy = CHEMICAL_ACCURACY if quantity.energy else None
        state.progress.send(
            RoundEvent(state.folder, state.round, metrics[-1], before, quantity.unit, accuracy, twin)
        )


def ending(progress: CampaignProgress, folder: Path, run: Callable[[], Result]) -> Result:
    """Run, and say how it ended, also by an error.

    Raises:
        Exception: whatever ``run`` raises.
    """

    def send(outcome: Outcome, reason: str, result: Result | None = None) -> None:
        rounds, waiting = (len(result.metrics), result.waiting) if result else (None, 0)
        progress.send(CampaignEnds(folder, outcome, reason, rounds, waiting))

    try:
        result = run()
    except KeyboardInterrupt:
        send("interrupted", "the same command goes on")
        raise
    except Exception as error:
        send("failed", str(error) or type(error).__name__)
        raise
    if result.waiting:
        send("waits for labels", f"{result.waiting} to come", result)
    elif not result.stopped_by:
        send("paused", "", result)
    else:
        send("already finished" if result.already_finished else "finished", result.stopped_by, result)
    return result


def calls(callbacks: Sequence[Callback], folder: Path) -> Callable[[Event], None]:
    """A listener that calls the user's functions after each stage of the campaign, not of its twin."""

    def listen(event: Event) -> None:
        if isinstance(event, StageEvent) and event.folder == folder:
            for callback in callbacks:
                callback(event)

    return listen


def _is_twin(folder: Path) -> bool:
    return folder.name == TWIN and (folder.parent / LEDGER).exists()
