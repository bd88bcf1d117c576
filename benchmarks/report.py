"""Size of a large report, and how soon it is open in Chromium; the bars are 5 MB and 2 s.

    python benchmarks/report.py [campaigns/other.yaml] [--set key=value ...] [--chromium PATH]

A campaign of 20 rounds that screens 500 molecules of alkit's enumeration in each, with GFN2-xTB labels of six
a round and a kernel, in a temporary folder; or the finished campaign of --folder. The page is opened five
times in a frame of an empty page, and the median time until all of it has loaded is printed.
"""

import argparse
import re
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from rich.console import Console
from rich.table import Table

ROOT = Path(__file__).resolve().parents[1]
sys.path[0] = str(ROOT)  # in place of this folder, whose generator.py would hide the package of that name
from alkit.campaign import Campaign  # noqa: E402
from alkit.config.loading import load_config  # noqa: E402
from alkit.reporting.progress import CampaignProgress  # noqa: E402

LARGE = (
    "acquisition=random",
    "proposer={kind: pool, per_round: 500}",
    "domain.max_heavy_atoms=7",
    "batch_size=6",
    "stop={rounds: 20}",
    "surrogate={mode: 3d, geometry: mmff, representation: kernel}",
    "start={training: 40, validation: 0, test: 40}",
    "target_set=none",
    "tracking=none",
)
SECONDS, MEGABYTES = 2.0, 5.0
FRAME = """<!doctype html><body><script>
const begun = performance.now(), frame = document.createElement("iframe");
frame.onload = () => document.title = "loaded in " + (performance.now() - begun) + " ms";
frame.src = "{address}"; frame.style = "width: 1280px; height: 900px";
document.body.append(frame);
</script>"""


def run(campaign: Path, changes: list[str], folder: Path) -> None:
    config = load_config(campaign, [*LARGE, *changes, f"folder={folder}"])
    Campaign(config, progress=CampaignProgress(Console(stderr=True))).run()


def opened(page: Path, chromium: str, scratch: Path) -> float:
    """Seconds until the page and all in it have loaded."""
    frame = scratch / "frame.html"
    frame.write_text(FRAME.replace("{address}", page.resolve().as_uri()))
    flags = [
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--allow-file-access-from-files",
        "--timeout=60000",
    ]
    command = [chromium, *flags, f"--user-data-dir={scratch / 'profile'}", "--dump-dom", frame.as_uri()]
    text = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True).stdout
    found = re.search(r"loaded in ([\d.]+) ms", text)
    if found is None:
        raise SystemExit("Chromium did not say when the page was open")
    return float(found[1]) / 1000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("campaign", type=Path, nargs="?", default=ROOT / "campaigns" / "quickstart.yaml")
    parser.add_argument("--set", dest="changes", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--folder", type=Path, help="of a campaign that exists")
    parser.add_argument("--chromium", default="chromium")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = arguments.folder or Path(name) / "campaign"
        if arguments.folder is None:
            run(arguments.campaign, arguments.changes, folder)
        page = folder / "report.html"
        times = [opened(page, arguments.chromium, Path(name)) for _ in range(5)]
        campaign = Campaign.open(folder)
        candidates, size = len(campaign.candidates()), page.stat().st_size / 1e6
    table = Table(title=f"report of {candidates} candidates")
    for column in ("what", "measured", "bar"):
        table.add_column(column, justify="left" if column == "what" else "right")
    table.add_row("size, MB", f"{size:.2f}", f"{MEGABYTES:g}")
    table.add_row("open after, s", f"{statistics.median(times):.2f}", f"{SECONDS:g}")
    Console().print(table)


if __name__ == "__main__":
    main()
