"""Does the loop pay: campaigns against their random twins, over seeds.

    python benchmarks/loop.py [--rows quickstart parts small group list] [--arms ...] [--seeds 5] [--jobs 2]
        [--surrogate schnet|kernel] [--set target=energy] [--out DIR] [--smiles qm9_smiles.txt.gz]

``quickstart``: `campaigns/quickstart.yaml`, nothing changed but the seed, against itself with random
selection. ``parts``: what its gain or loss comes from, one part at a time: without the target set, without
the generator, the generator without steering, large errors counted more.

The others aim at a chemistry that the start does not have: 1,000 molecules of QM9 (--smiles, a list of
QM9's), known as a list, none of which may be acquired. ``small``: the start has up to six heavy atoms, the
target eight and nine. ``group``: the start has no carbonyl group, each molecule of the target has one.
``list``: the start is alkit's enumeration, the target a list of one's own, here molecules with fluorine. The
arms: the generator with selection and at random, the target known as a list, or its distribution alone;
alkit's enumeration, evolution and the target's own molecules at random (the ceiling); and these molecules
beside the generator's, with selection. ``--surrogate kernel`` is the one on GFN1-xTB with its inputs, and
selects by `integrated_variance`. Each row is `alkit study campaign`; finished campaigns are kept in --out,
and the same command goes on.
"""

import argparse
import gzip
import random
import sys
from collections.abc import Callable
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

# What selects, and the keys that make the surrogate, the quickstart's own first.
SURROGATES = {
    "schnet": ("bias", ()),
    "kernel": (
        "integrated_variance",
        (
            "surrogate={mode: 3d, geometry: mmff, representation: kernel, learning: delta, baseline: gfn1, "
            "baseline_inputs: true}",
        ),
    ),
}
PARTS = (
    ("acquisition={selection}",),
    ("acquisition={selection}", "target_set=none"),
    ("acquisition=random", "target_set=none"),
    ("acquisition={selection}", "proposer.steering=0"),
    ("acquisition={selection}", "proposer.kind=pool"),
    ("acquisition=random", "proposer.kind=pool"),
    ("acquisition={{name: bias, settings: {{power: 3}}}}",),
    ("acquisition=random",),
)
ENUMERATION = ("acquisition=random", "proposer.kind=pool", "proposer.file={enumerated}")
CHEMISTRY = {
    "generator": ("acquisition={selection}",),
    "generator-random": ("acquisition=random",),
    "distribution": ("acquisition={selection}", "target_set.known=distribution"),
    "distribution-random": ("acquisition=random", "target_set.known=distribution"),
    "evolution": ("acquisition=random", "proposer.kind=evolution"),
    "beside": ("acquisition={selection}", "target_set.candidates=true"),
    "ceiling": ("acquisition=random", "proposer.kind=pool", "proposer.file={target}"),
}
_CARBONYL = Chem.MolFromSmarts("[#6X3]=[OX1]")
_SEED = 0


def _heavy(molecule: Chem.Mol, *sizes: int) -> bool:
    return molecule.GetNumHeavyAtoms() in sizes


def _carbonyl(molecule: Chem.Mol) -> bool:
    return bool(molecule.HasSubstructMatch(_CARBONYL))


def _fluorine(molecule: Chem.Mol) -> bool:
    return any(atom.GetSymbol() == "F" for atom in molecule.GetAtoms())


# Row -> which seeds it starts from, which molecules of QM9 it aims at.
Choice = Callable[[Chem.Mol], bool]
AIMS: dict[str, tuple[Choice, Choice]] = {
    "small": (lambda one: _heavy(one, *range(7)), lambda one: _heavy(one, 8, 9)),
    "group": (lambda one: not _carbonyl(one), lambda one: _carbonyl(one) and _heavy(one, 6, 7, 8)),
    "list": (lambda one: True, _fluorine),
}


def chemistry(row: str, smiles: Path, out: Path) -> tuple[tuple[str, ...], dict[str, Path]]:
    """What makes the quickstart start and aim like this row, and the files that its arms name."""
    RDLogger.DisableLog("rdApp.*")
    starts, aims = AIMS[row]
    content = smiles.read_bytes()
    text = (gzip.decompress(content) if smiles.suffix == ".gz" else content).decode()
    listed = [line.split()[0] for line in text.splitlines() if line.strip()]
    random.Random(_SEED).shuffle(listed)
    aimed: list[str] = []
    for one in listed:
        if len(aimed) == 1000:
            break
        molecule = Chem.MolFromSmiles(one)
        if molecule is not None and "+" not in one and aims(molecule):
            aimed.append(one)
    out.mkdir(parents=True, exist_ok=True)
    files = {name: out.resolve() / f"{name}.smi" for name in ("target", "seeds", "enumerated")}
    files["target"].write_text("\n".join(aimed))
    files["seeds"].write_text("\n".join(s for s in seed_molecules() if starts(Chem.MolFromSmiles(s))))
    files["enumerated"].write_text("\n".join(seed_molecules()))
    overrides = (
        f"seeds={files['seeds']}",
        f"target_set={{kind: file, file: {files['target']}, candidates: false}}",
        "domain.max_heavy_atoms=9",
    )
    return overrides, files


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rows", nargs="+", choices=["quickstart", "parts", *AIMS], default=["quickstart"])
    parser.add_argument(
        "--arms", nargs="+", choices=list(CHEMISTRY), default=["generator", "generator-random"]
    )
    parser.add_argument("--surrogate", choices=list(SURROGATES), help="the quickstart's own by default")
    parser.add_argument("--set", dest="overrides", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--out", type=Path, default=Path("runs/loop"))
    parser.add_argument("--smiles", type=Path, help="QM9's SMILES, one a line; for small, group and list")
    arguments = parser.parse_args()
    console = Console(width=180, highlight=False, markup=False)
    progress = CampaignProgress(Console(stderr=True, highlight=False, markup=False))
    selection, made = SURROGATES[arguments.surrogate or "schnet"]
    for row in arguments.rows:
        out, overrides, files = arguments.out / row, (*made, *arguments.overrides), dict[str, Path]()
        templates = PARTS if row == "parts" else (PARTS[0], PARTS[-1])
        if row in AIMS:
            if arguments.smiles is None:
                parser.error(f"the row {row} needs --smiles")
            aimed, files = chemistry(row, arguments.smiles, out)
            overrides = (*aimed, *overrides)
            templates = (*(CHEMISTRY[name] for name in arguments.arms), ENUMERATION)
        words = {"selection": selection, **files}
        arms = [Arm(tuple(one.format(**words) for one in template)) for template in templates]
        settings = Settings(
            ROOT / "campaigns" / "quickstart.yaml", tuple(arms), arms[-1].name, overrides, arguments.seeds
        )
        results = run_study(settings, out, progress, jobs=arguments.jobs)
        console.print(report.arms_table(results))
        for sentence in report.verdict(results):
            console.print(sentence)
        report.write_report(results, out)


if __name__ == "__main__":
    main()
