"""The share of a campaign's time that tracking and reporting take; the bar is 2 %.

    python benchmarks/overhead.py [campaigns/quickstart.yaml] [--set key=value …]

Runs the campaign, of five rounds unless --set says otherwise, in a temporary folder, with an MLflow store of
SQLite, the lines of a pipe, JSON lines and a log, and times every call of them: by the clock, and by the
processor, which says more where other work goes on beside.
"""

import argparse
import io
import resource
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

ROOT = Path(__file__).resolve().parents[1]
sys.path[0] = str(ROOT)  # in place of this folder, whose generator.py would hide the package of that name
from alkit.campaign import campaign as loop  # noqa: E402
from alkit.campaign.tracked_runs import TrackedRuns  # noqa: E402
from alkit.config.loading import load_config  # noqa: E402
from alkit.reporting import campaign_report  # noqa: E402
from alkit.reporting.json_lines import JsonLines  # noqa: E402
from alkit.reporting.logs import log_file  # noqa: E402
from alkit.reporting.progress import CampaignProgress  # noqa: E402

BAR = 0.02  # of the campaign's time
FEWEST_ROUNDS = 5
TRACKING = ("open_campaign", "open_round", "log_round", "close_round", "log_campaign", "close")
seconds: Counter[str] = Counter()  # by the clock
worked: Counter[str] = Counter()  # by the processor
_inside = 0


def timed(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """The same function, whose time is counted under a name; not twice where it calls another such one."""

    def call(*arguments: Any, **named: Any) -> Any:
        global _inside
        began, at_work, _inside = time.perf_counter(), time.process_time(), _inside + 1
        try:
            return function(*arguments, **named)
        finally:
            _inside -= 1
            if not _inside:
                seconds[name] += time.perf_counter() - began
                worked[name] += time.process_time() - at_work

    return call


def processor() -> float:
    """Seconds of the processor, of this process and of its workers that have ended."""
    workers = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + workers.ru_utime + workers.ru_stime


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("campaign", type=Path, nargs="?", default=ROOT / "campaigns" / "quickstart.yaml")
    parser.add_argument("--set", dest="changes", action="append", default=[], metavar="KEY=VALUE")
    options = parser.parse_args()
    for name in TRACKING:
        setattr(TrackedRuns, name, timed("MLflow", getattr(TrackedRuns, name)))
    loop.open_runs = timed("MLflow", loop.open_runs)  # type: ignore[assignment]
    campaign_report.write_report = timed("report and plots", campaign_report.write_report)
    CampaignProgress.send = timed("terminal, JSON and log", CampaignProgress.send)  # type: ignore[method-assign]

    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        own = [f"folder={folder / 'run'}", f"tracking.uri=sqlite:///{folder / 'mlflow.db'}"]
        config = load_config(
            options.campaign, ["stop.rounds=5", *options.changes, *own, "simulator.cache=none"]
        )
        with (folder / "events.jsonl").open("w") as events, log_file(folder / "run.log"):
            progress = CampaignProgress(Console(file=io.StringIO()), [JsonLines(events)])
            began, at_work = time.perf_counter(), processor()
            result = loop.Campaign(config, progress=progress).run()
            total, work = time.perf_counter() - began, processor() - at_work
    rounds, spent = len(result.metrics), sum(seconds.values())
    table = Table(title=f"{config.name}: {rounds} rounds, {result.metrics[-1].labels} labels, {total:.0f} s")
    for heading in ("part", "seconds", "share", "s a round", "processor, s", "share of it"):
        table.add_column(heading, justify="left" if heading == "part" else "right")
    for name, taken in [*seconds.most_common(), ("together", spent)]:
        own = worked[name] if name in worked else sum(worked.values())
        clock = f"{taken:.2f}", f"{taken / total:.2%}", f"{taken / rounds:.2f}"
        table.add_row(name, *clock, f"{own:.2f}", f"{own / work:.2%}")
    Console().print(table)
    if rounds < FEWEST_ROUNDS:
        print(f"{rounds} rounds are too few to judge: give a campaign of {FEWEST_ROUNDS} or more.")
    print(f"{'within' if spent <= BAR * total else 'over'} the bar of {BAR:.0%}")


if __name__ == "__main__":
    main()
