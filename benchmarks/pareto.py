"""Two wishes on the pool of campaigns/pareto.yaml: how much of the true front each function finds, by labels.

python benchmarks/pareto.py --out runs/pareto-benchmark --seeds 7 8 9

The whole pool is labelled once for the truth (GFN2-xTB). Campaigns that are finished in --out are not run
again.
"""

import argparse
import csv
import subprocess
import sys
from pathlib import Path

import numpy as np

from alkit import Campaign, load_config
from alkit.acquisition.pareto import Pareto
from alkit.molecules.molecule import canonical

CAMPAIGNS = Path(__file__).parents[1] / "campaigns"
WEIGHTED = {"per_heavy_atom": True, "weights": {"QED": 10.0}}
FUNCTIONS = {
    "pareto": [],
    "log_ei, weighted": ["acquisition.name=log_ei", f"acquisition.settings={WEIGHTED}"],
    "log_ei": ["acquisition.name=log_ei", "acquisition.settings={per_heavy_atom: true}"],
    "random": ["acquisition.name=random", "acquisition.settings={}"],
}


def truth(out: Path) -> dict[str, float]:
    """eV by canonical SMILES, of every molecule of the pool."""
    table = out / "pool.csv"
    if not table.exists():
        command = [sys.executable, "-m", "alkit", "label", str(CAMPAIGNS / "optimise.smi")]
        subprocess.run([*command, "--target", "energy", "--out", str(table)], check=True)
    with table.open(newline="", encoding="utf-8") as file:
        return {canonical(r["smiles"]): float(r["energy_eV"]) for r in csv.DictReader(file) if r["energy_eV"]}


def row(folder: Path, pareto: Pareto, energies: dict[str, float]) -> list[str]:
    """For each round: the share of the reachable volume, and how many molecules of the reachable front."""
    labels = Campaign.open(folder).labels()
    tested = set(labels[labels.role == "test"].smiles)
    pool = tuple(smiles for smiles in energies if smiles not in tested)  # test molecules are never acquired
    values = pareto.values(np.array([energies[smiles] for smiles in pool]), pool)
    front = {pool[k] for k in np.flatnonzero(pareto.best(values))}
    known = labels[labels.role != "test"]

    def upto(round_: int) -> tuple[str, ...]:
        return tuple(known[known["round"] <= round_].smiles)

    def gains(smiles: tuple[str, ...]) -> np.ndarray:
        return pareto.values(np.array([energies[one] for one in smiles]), smiles)

    reference = gains(upto(0)).min(axis=0)
    whole = pareto.volume(values, reference)
    rounds = sorted(set(known["round"]))
    shares = [pareto.volume(gains(upto(k)), reference) / whole for k in rounds]
    found = [len(front & set(upto(k))) for k in rounds]
    return [f"{share:.3f} ({n}/{len(front)})" for share, n in zip(shares, found, strict=True)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("runs/pareto-benchmark"))
    parser.add_argument("--seeds", type=int, nargs="+", default=[7, 8, 9])
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    energies = truth(arguments.out)
    pareto = Pareto(**load_config(CAMPAIGNS / "pareto.yaml").acquisition.settings)
    print("| function | seed | volume (molecules of the front), after each round |\n| --- | --- | --- |")
    for name, changes in FUNCTIONS.items():
        for seed in arguments.seeds:
            folder = arguments.out / f"{name.replace(', ', '-')}-{seed}"
            own = [*changes, f"seed={seed}", f"folder={folder.resolve()}"]
            Campaign(load_config(CAMPAIGNS / "pareto.yaml", own)).run()
            print(f"| {name} | {seed} | {'; '.join(row(folder, pareto, energies))} |", flush=True)


if __name__ == "__main__":
    main()
