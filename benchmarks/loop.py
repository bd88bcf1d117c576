"""Does the loop pay: campaigns as shipped against their random twins, over seeds.

    python benchmarks/loop.py [--rows quickstart parts] [--seeds 5] [--jobs 2] [--out DIR]

``quickstart``: `campaigns/quickstart.yaml`, nothing changed but the seed, against itself with random
selection. ``parts``: what its gain or loss comes from, one part at a time: without the target set, without
the generator, the generator without steering. Each row is `alkit study campaign`; finished campaigns are
kept in --out, and the same command goes on.
"""

import argparse
import sys
from pathlib import Path

from rich.console import Console

ROOT = Path(__file__).resolve().parents[1]
sys.path[0] = str(ROOT)  # in place of this folder, whose generator.py would hide the package of that name
from alkit.reporting.progress import CampaignProgress  # noqa: E402
from alkit.studies.campaigns import report  # noqa: E402
from alkit.studies.campaigns.running import run_study  # noqa: E402
from alkit.studies.campaigns.settings import Arm, Settings  # noqa: E402

RANDOM = Arm(("acquisition=random",))
ROWS = {
    "quickstart": (Arm(("acquisition=bias",)), RANDOM),
    "parts": (
        Arm(("acquisition=bias",)),
        Arm(("acquisition=bias", "target_set=none")),
        Arm(("acquisition=random", "target_set=none")),
        Arm(("acquisition=bias", "proposer.steering=0")),
        Arm(("acquisition=bias", "proposer.kind=pool")),
        Arm(("acquisition=random", "proposer.kind=pool")),
        Arm(("acquisition={name: bias, settings: {power: 3}}",)),
        RANDOM,
    ),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rows", nargs="+", choices=list(ROWS), default=["quickstart"])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--out", type=Path, default=Path("runs/loop"))
    arguments = parser.parse_args()
    console = Console(width=180, highlight=False, markup=False)
    progress = CampaignProgress(Console(stderr=True, highlight=False, markup=False))
    for row in arguments.rows:
        settings = Settings(
            ROOT / "campaigns" / "quickstart.yaml", ROWS[row], RANDOM.name, seeds=arguments.seeds
        )
        results = run_study(settings, arguments.out, progress, jobs=arguments.jobs)
        console.print(report.arms_table(results))
        for sentence in report.verdict(results):
            console.print(sentence)
        report.write_report(results, arguments.out)


if __name__ == "__main__":
    main()
