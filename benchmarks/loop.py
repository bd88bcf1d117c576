"""Does the loop pay: campaigns against their random twins, over seeds.

    python benchmarks/loop.py [--rows quickstart parts chemistry chemistry-others] [--seeds 5] [--jobs 2]
        [--out DIR] [--smiles qm9_smiles.txt.gz]

``quickstart``: `campaigns/quickstart.yaml`, nothing changed but the seed, against itself with random
selection. ``parts``: what its gain or loss comes from, one part at a time: without the target set, without
the generator, the generator without steering, large errors counted more. ``chemistry``: a start of up to six
heavy atoms and a target of 1,000 molecules of QM9 with eight and nine (--smiles, a list of QM9's), known as a
list or as an aim alone: the generator with `bias` and with random selection, against enumeration;
``chemistry-others``: evolution, and the target's own list with `bias` and at random (the ceiling). Each row
is `alkit study campaign`; finished campaigns are kept in --out, and the same command goes on.
"""

import argparse
import gzip
import random
import sys
from pathlib import Path

from rich.console import Console

ROOT = Path(__file__).resolve().parents[1]
sys.path[0] = str(ROOT)  # in place of this folder, whose generator.py would hide the package of that name
from rdkit import Chem, RDLogger  # noqa: E402

from alkit.molecules.enumeration import seed_molecules  # noqa: E402
from alkit.reporting.progress import CampaignProgress  # noqa: E402
from alkit.studies.campaigns import report  # noqa: E402
from alkit.studies.campaigns.running import run_study  # noqa: E402
from alkit.studies.campaigns.settings import Arm, Settings  # noqa: E402

RANDOM = Arm(("acquisition=random",))
ENUMERATION = Arm(("acquisition=random", "proposer.kind=pool", "target_set.candidates=false"))
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
    "chemistry": (
        Arm(("acquisition=bias", "target_set.candidates=false")),
        Arm(("acquisition=random", "target_set.candidates=false")),
        ENUMERATION,
    ),
    "chemistry-others": (
        Arm(("acquisition=bias", "target_set.candidates=true")),
        Arm(("acquisition=random", "proposer.kind=evolution", "target_set.candidates=false")),
        Arm(("acquisition=random", "proposer.kind=pool", "proposer.per_round=1")),  # the target's own list
        ENUMERATION,
    ),
}
_SEED = 0


def chemistry(smiles: Path, out: Path) -> tuple[str, ...]:
    """What makes the quickstart start small and aim at 1,000 molecules of QM9; their files are written."""
    RDLogger.DisableLog("rdApp.*")
    content = smiles.read_bytes()
    text = (gzip.decompress(content) if smiles.suffix == ".gz" else content).decode()
    listed = [line.split()[0] for line in text.splitlines() if line.strip()]
    random.Random(_SEED).shuffle(listed)
    aimed: list[str] = []
    for one in listed:
        if len(aimed) == 1000:
            break
        molecule = Chem.MolFromSmiles(one)
        if molecule is not None and molecule.GetNumHeavyAtoms() in (8, 9) and "+" not in one:
            aimed.append(one)
    small = [one for one in seed_molecules() if Chem.MolFromSmiles(one).GetNumHeavyAtoms() <= 6]
    out.mkdir(parents=True, exist_ok=True)
    (out / "target.smi").write_text("\n".join(aimed))
    (out / "small.smi").write_text("\n".join(small))
    (out / "enumerated.smi").write_text("\n".join(seed_molecules()))
    return (
        f"seeds={out.resolve() / 'small.smi'}",
        f"target_set={{kind: file, file: {out.resolve() / 'target.smi'}}}",
        "domain.max_heavy_atoms=9",
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rows", nargs="+", choices=list(ROWS), default=["quickstart"])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--out", type=Path, default=Path("runs/loop"))
    parser.add_argument("--smiles", type=Path, help="QM9's SMILES, one a line; for the rows chemistry")
    arguments = parser.parse_args()
    console = Console(width=180, highlight=False, markup=False)
    progress = CampaignProgress(Console(stderr=True, highlight=False, markup=False))
    for row in arguments.rows:
        out, overrides, arms, reference = arguments.out, (), ROWS[row], RANDOM
        if row.startswith("chemistry"):
            if arguments.smiles is None:
                parser.error(f"the row {row} needs --smiles")
            out, reference = out / row, ENUMERATION
            overrides = chemistry(arguments.smiles, out)
            pool = f"proposer.file={(out / 'enumerated.smi').resolve()}"
            arms = tuple(Arm((*arm.overrides, pool)) if arm is ENUMERATION else arm for arm in arms)
            reference = next(arm for arm in arms if pool in arm.overrides)
        settings = Settings(
            ROOT / "campaigns" / "quickstart.yaml", arms, reference.name, overrides, arguments.seeds
        )
        results = run_study(settings, out, progress, jobs=arguments.jobs)
        console.print(report.arms_table(results))
        for sentence in report.verdict(results):
            console.print(sentence)
        report.write_report(results, out)


if __name__ == "__main__":
    main()
