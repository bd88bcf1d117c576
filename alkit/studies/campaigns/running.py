"""Run the campaigns of a study, several at once, each in a process of its own."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from alkit.campaign.campaign import Campaign, open_campaign
from alkit.config.schema import CampaignConfig
from alkit.errors import CampaignError, ConfigError
from alkit.files import absolute
from alkit.reporting.progress import Advance, CampaignProgress
from alkit.reporting.savings import Curve
from alkit.reporting.tracking import Tracker
from alkit.reporting.tracking_store import NO_TRACKING
from alkit.simulators.manual import MANUAL
from alkit.storage.ledger import Ledger
from alkit.studies import folder
from alkit.studies.campaigns.settings import Arm, Settings
from alkit.threads import ONE_THREAD

METRICS = ("mae", "rmse", "q95")
_POLL = 0.3  # seconds between two looks at what runs


@dataclass(frozen=True, eq=False)
class Run(Curve):
    """One campaign of the study.

    Attributes:
        arm, seed: which one.
        seconds: that its labels took to compute, the start's among them.
        origins: how many training labels came from where: the start, the target set, a proposer.
        test: SMILES of its test set.
        level: of theory, of its labels.
        unit: of its labels.
    """

    arm: str
    seed: int
    seconds: float
    origins: dict[str, int]
    test: frozenset[str]
    level: str
    unit: str = "eV"


@dataclass(frozen=True, eq=False)
class Results:
    """All campaigns of a study."""

    settings: Settings
    runs: list[Run]

    def of(self, arm: str) -> list[Run]:
        """Campaigns of an arm by seed."""
        return sorted((run for run in self.runs if run.arm == arm), key=lambda run: run.seed)

    @property
    def same_tests(self) -> bool:
        """Whether the arms are tested on the same molecules, seed by seed."""
        tests: dict[int, set[frozenset[str]]] = {}
        for run in self.runs:
            tests.setdefault(run.seed, set()).add(run.test)
        return all(len(found) == 1 for found in tests.values())


def run_study(settings: Settings, out: Path, progress: CampaignProgress, *, jobs: int = 1) -> Results:
    """Run what is left of the study's campaigns, ``jobs`` at once; those that ``out`` holds go on.

    Raises:
        CampaignError: the folder belongs to a study of another campaign, or a campaign failed; the others
            run to their end first.
        AlkitError: what `Campaign.check` finds wrong, before any of them begins.
    """
    out = absolute(out, Path.cwd(), "--out")
    folder.check_settings(out / "study.json", settings.described())
    pairs = [
        (arm, seed) for seed in range(settings.seed, settings.seed + settings.seeds) for arm in settings.arms
    ]
    configs = [settings.config(arm, seed, out) for arm, seed in pairs]
    for config in configs[: len(settings.arms)]:
        if config.simulator.kind == MANUAL:
            raise ConfigError("A study runs campaigns to their end; simulator: manual waits for people.")
        Campaign(config).check()
    folder.write_settings(out / "study.json", settings.described())
    (out / "logs").mkdir(exist_ok=True)
    if configs[0].tracking.uri != NO_TRACKING:  # made once, before several want it
        Tracker(configs[0].tracking.uri, configs[0].tracking.experiment)
    waiting = [
        _Job(arm, seed, settings, out)
        for (arm, seed), config in zip(pairs, configs, strict=True)
        if not _finished(config)
    ]
    with progress, progress.steps("campaigns", len(pairs)) as advance:
        advance(len(pairs) - len(waiting))
        failed = list(_run_all(waiting, jobs, advance, progress))
    if failed:
        raise CampaignError(
            f"{len(failed)} of {len(pairs)} campaigns failed; {failed[0].name} says: {failed[0].said}"
        )
    return Results(
        settings, [_read(arm, seed, config) for (arm, seed), config in zip(pairs, configs, strict=True)]
    )


class _Job:
    """A campaign as a command."""

    def __init__(self, arm: Arm, seed: int, settings: Settings, out: Path):
        self.name = f"{arm.name}, seed {seed}"
        self._log = out / "logs" / f"{arm.folder}-{seed}.log"
        self._command = [sys.executable, "-m", "alkit", "campaign", "run", str(settings.campaign)]
        for override in settings.all_overrides(arm, seed, out):
            self._command += ["--set", override]

    def start(self) -> subprocess.Popen[bytes]:
        # A campaign uses all cores otherwise, and several at once take longer than one after the other.
        with self._log.open("ab") as log:
            return subprocess.Popen(
                self._command, stdout=log, stderr=log, stdin=subprocess.DEVNULL, env=os.environ | ONE_THREAD
            )

    @property
    def said(self) -> str:
        lines = self._log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        return lines[-1].removeprefix("alkit: ") if lines else "nothing"


def _run_all(waiting: list[_Job], jobs: int, advance: Advance, progress: CampaignProgress) -> Iterator[_Job]:
    """Run all, and yield those that fail. None outlives this process's interest in them."""
    running: dict[_Job, subprocess.Popen[bytes]] = {}
    queue = list(waiting)
    try:
        while queue or running:
            while queue and len(running) < jobs:
                job = queue.pop(0)
                running[job] = job.start()
            for job, process in list(running.items()):
                if process.poll() is None:
                    continue
                del running[job]
                advance(1)
                progress.say(f"{job.name}: {'finished' if process.returncode == 0 else job.said}")
                if process.returncode:
                    yield job
            advance(0)  # heeds an interrupt
            time.sleep(_POLL)
    finally:
        for process in running.values():
            process.terminate()
        for process in running.values():
            process.wait()


def _finished(config: CampaignConfig) -> bool:
    if not (config.campaign_folder / "ledger.sqlite").exists():
        return False
    with contextlib.closing(open_campaign(config.campaign_folder)[1]) as ledger:
        return bool(ledger.meta("stopped_by"))


def _read(arm: Arm, seed: int, config: CampaignConfig) -> Run:
    with contextlib.closing(open_campaign(config.campaign_folder)[1]) as ledger:
        return Run(
            ledger.metrics(),
            arm.name,
            seed,
            sum(seconds for _, seconds in ledger.label_seconds()),
            _origins(ledger),
            frozenset(candidate.smiles for candidate in ledger.candidates(role="test", status=("labelled",))),
            str(ledger.level),
            ledger.quantity.unit,
        )


def _origins(ledger: Ledger) -> dict[str, int]:
    origins, counted = ledger.origins(), dict[str, int]()
    for candidate, _ in ledger.labelled("training"):
        origin = origins.get(candidate.id, "")
        counted[origin] = counted.get(origin, 0) + 1
    return counted
