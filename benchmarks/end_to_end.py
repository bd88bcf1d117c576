"""The quickstart as a user runs it, over several seeds: wall time, errors, and the two claims made of it.

    python benchmarks/end_to_end.py [--seeds 7 8 9]

Claims: the final test MAE is below the first round's and below the element-count baseline of the same labels.
Also: how long `alkit --help` takes, beside an empty Python program.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

ROOT = Path(__file__).resolve().parents[1]


def seconds(*command: str) -> float:
    started = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - started


def quickstart(seed: int, folder: Path) -> tuple[float, list[dict[str, float]]]:
    """Wall seconds and the metrics of every round."""
    campaign = (sys.executable, "-W", "ignore", "-m", "alkit", "campaign", "run")
    where = f"folder={folder / str(seed)}", f"tracking.uri=sqlite:///{folder}/mlflow.db"
    settings = (f"--set={one}" for one in (f"seed={seed}", *where))
    wall = seconds(*campaign, str(ROOT / "campaigns" / "quickstart.yaml"), *settings)
    read = "import json, sys; from alkit.campaign import open_campaign; "
    read += "print(json.dumps(open_campaign(sys.argv[1])[1].metrics(), default=dict))"
    metrics = subprocess.run(
        [sys.executable, "-c", read, str(folder / str(seed))], check=True, capture_output=True, text=True
    )
    return wall, json.loads(metrics.stdout)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[7, 8, 9])
    seeds = parser.parse_args().seeds

    empty = median(seconds(sys.executable, "-c", "pass") for _ in range(5))
    helped = median(seconds(sys.executable, "-m", "alkit", "--help") for _ in range(5))
    print(f"alkit --help: {helped:.2f} s, an empty Python program: {empty:.2f} s (medians of 5)\n")

    print("| seed | wall, s | labels | first MAE, eV | final MAE, eV | elements, eV | below both |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    with tempfile.TemporaryDirectory() as folder:
        for seed in seeds:
            wall, metrics = quickstart(seed, Path(folder))
            first, last = metrics[0], metrics[-1]
            good = last["mae"] < min(first["mae"], last["baseline_elements"])
            print(
                f"| {seed} | {wall:.0f} | {first['labels']:.0f} to {last['labels']:.0f} | {first['mae']:.3f} "
                f"| {last['mae']:.3f} | {last['baseline_elements']:.3f} | {'yes' if good else 'NO'} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
