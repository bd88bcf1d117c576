"""The generator's bars: valid, unique, novel, near QM9, sound under xtb, fast; and whether steering steers.

    pip install -e '.[benchmark]'       # the Fréchet ChemNet distance
    python benchmarks/generator.py [--rows seeds evolution few steering collapse] [--seeds 0 1 2] [--out DIR]

Data: ``qm9_smiles.txt.gz``. A seed trains on 20,000 of its neutral molecules and draws 10,000; novel is what
is not in the whole list, charged molecules included. The Fréchet distance is to 10,000 molecules that the
seed did not train on. Strange ring patterns are never drawn; what the generator was trained on is left out as
well, as in a campaign, except in rows of "all draws". Trained generators are kept in --out, and the same
command goes on. One core.
"""

import argparse
import csv
import gzip
import os
import sys
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")
# Before this folder: `generator` is the package, not this file.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
import torch
from accuracy import DATA, QM9, ROOT
from rdkit import RDLogger
from rich.console import Console
from rich.table import Table

from alkit.campaign.candidates import in_domain
from alkit.campaign.domain import Domain
from alkit.config.domain import DomainConfig
from alkit.errors import LabelError
from alkit.molecules.conformers import embed
from alkit.proposers.base import ProposalContext
from alkit.proposers.evolution import EvolutionProposer
from alkit.reporting.plots import make_up
from alkit.reporting.progress import CampaignProgress
from alkit.simulators.xtb import XTBSimulator
from generator import GeneratorSettings, GraphGAN, metrics
from generator.settings import NOVELTY_STEPS
from surrogate import Ensemble, ModelSettings, TrainingSettings

SMILES = DATA.parent / "qm9_smiles.txt.gz"
LEARNED, DRAWN, RELAXED = 20_000, 10_000, 500
STEPS, ADVERSARIAL = 1900, 200
STRENGTHS = (0.0, 1.0, 4.0, 16.0)
BARS = {
    "v·u·n": "≥ 0.70, no seed < 0.60",
    "unique": "≥ 0.95",
    "fcd": "≤ 1.5, then 1.0",
    "survive": "≥ 0.95",
    "per_second": "≥ 3,000",
    "minutes": "≤ 20",
    "times": "≥ 2",
    "of unsteered": "≥ 0.90",
}


class Molecules:
    """The list, and each seed's share of it."""

    def __init__(self) -> None:
        with gzip.open(SMILES, "rt") as file:
            self.every = [line.strip() for line in file]
        self.list = frozenset(self.every)

    def split(self, seed: int, learned: int = LEARNED) -> tuple[list[str], list[str]]:
        neutral = [smiles for smiles in self.every if "+" not in smiles]
        order = np.random.default_rng(seed).permutation(len(neutral))
        return [neutral[i] for i in order[:learned]], [neutral[i] for i in order[-DRAWN:]]


def trained(
    seed: int, learned: list[str], folder: Path, progress: CampaignProgress
) -> tuple[GraphGAN, float]:
    """The generator, trained now or, with these settings, before, and the minutes that took."""
    path, clock = folder / f"gan_{seed}.pt", folder / f"gan_{seed}.minutes"
    if path.exists() and clock.exists():
        kept = GraphGAN.load(path)
        if kept.settings == GeneratorSettings() and kept.total_steps == STEPS + NOVELTY_STEPS:
            return kept, float(clock.read_text())
    gan = GraphGAN(GeneratorSettings(), seed=seed)
    with progress, progress.steps(f"training, seed {seed}", STEPS + NOVELTY_STEPS) as advance:
        history = gan.fit(
            learned,
            steps=STEPS,
            novelty_steps=NOVELTY_STEPS,
            adversarial_steps=0,
            seed=seed,
            on_progress=lambda done, total: advance(1),
        )
    gan.save(path)
    clock.write_text(str(history.seconds / 60))
    return gan, history.seconds / 60


def judged(
    draws: list[str], learned: list[str], held_out: list[str], known: frozenset[str]
) -> dict[str, float]:
    found = metrics.summary(draws, learned, novel_against=known)
    row = {
        "valid": found["valid"],
        "unique": found["unique"],
        "novel": found["novel"],
        "v·u·n": found["valid_unique_novel"],
        "fcd": frechet(draws, held_out),
        "sa": found["means"]["sa_score"][0],
    }
    return row | {f"tv {name}": value for name, value in found["distance"].items()}


def frechet(draws: list[str], reference: list[str]) -> float:
    """Fréchet ChemNet distance (https://doi.org/10.1021/acs.jcim.8b00234)."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return float(_chemnet()(gen=draws, pref=_statistics(tuple(reference))))


@lru_cache(maxsize=1)
def _statistics(reference: tuple[str, ...]) -> dict[str, np.ndarray]:
    return _chemnet().precalc(list(reference))


def _chemnet() -> Any:
    from fcd_torch import FCD

    return FCD(device="cpu", n_jobs=1)


def survive(draws: list[str], count: int, progress: CampaignProgress) -> tuple[float, Counter[str]]:
    """Share of so many different molecules that have a geometry, and keep their bonds when GFN2-xTB relaxes
    it; and why the others do not."""
    simulator, reasons = XTBSimulator(target="energy"), Counter[str]()
    chosen = list(dict.fromkeys(draws))[:count]
    with progress, progress.steps("relaxing", len(chosen)) as advance:
        for smiles in chosen:
            try:
                simulator.label(embed(smiles))
            except LabelError as error:
                reasons[error.reason] += 1
            advance(1)
    return 1 - reasons.total() / len(chosen), reasons


def drawn(gan: GraphGAN, n: int, seed: int) -> tuple[list[str], float]:
    """Draws that were not trained on, and different ones a second of one core's own time."""
    gan.sample(64, seed=seed)  # compiles
    start = time.process_time()
    draws = gan.sample(n, seed=seed, novel_against=gan.known)
    return draws, len(set(draws)) / (time.process_time() - start)


def by_seed(molecules: Molecules, arguments: Any, progress: CampaignProgress) -> Iterator[dict[str, Any]]:
    for seed in arguments.seeds:
        learned, held_out = molecules.split(seed)
        gan, minutes = trained(seed, learned, arguments.out, progress)
        draws, rate = drawn(gan, DRAWN, seed)
        row = {"row": f"seed {seed}", **judged(draws, learned, held_out, molecules.list)}
        share, reasons = survive(draws, RELAXED, progress)
        row |= {"survive": share, "per_second": rate, "minutes": minutes, "reasons": dict(reasons)}
        yield row
        raw = metrics.summary(gan.sample(DRAWN, seed=seed), learned, novel_against=molecules.list)
        yield {"row": f"seed {seed}, all draws", "v·u·n": raw["valid_unique_novel"], "unique": raw["unique"]}
        if seed == 0:
            make_up({"training set": learned, "drawn": draws}, arguments.out / "make_up.png")


def by_evolution(
    molecules: Molecules, arguments: Any, progress: CampaignProgress
) -> Iterator[dict[str, Any]]:
    """The other proposer, from the same training molecules; its children outside the domain count as not
    valid."""
    learned, held_out = molecules.split(0)
    context = ProposalContext(1, np.random.default_rng(0), tuple(learned), dict.fromkeys(learned, 0.0))
    start = time.perf_counter()
    children = list(EvolutionProposer().propose(DRAWN, context))
    rate = len(children) / (time.perf_counter() - start)
    draws = in_domain(children, Domain(DomainConfig.model_validate({})))
    row = {"row": "evolution", **judged(draws, learned, held_out, molecules.list)}
    row["valid"] = len(draws) / len(children)
    row["v·u·n"] *= row["valid"]
    share, reasons = survive(draws, RELAXED, progress)
    yield row | {"survive": share, "per_second": rate, "minutes": 0.0, "reasons": dict(reasons)}


def from_few(molecules: Molecules, arguments: Any, progress: CampaignProgress) -> Iterator[dict[str, Any]]:
    """200 molecules, and the steps of a campaign."""
    for seed in arguments.seeds:
        learned, held_out = molecules.split(seed, 200)
        gan = GraphGAN(GeneratorSettings(), seed=seed)
        history = gan.fit(learned, steps=1000, novelty_steps=NOVELTY_STEPS, adversarial_steps=0, seed=seed)
        draws, rate = drawn(gan, DRAWN, seed)
        row = {"row": f"200 molecules, seed {seed}", **judged(draws, learned, held_out, molecules.list)}
        yield row | {"per_second": rate, "minutes": history.seconds / 60}


def by_steering(molecules: Molecules, arguments: Any, progress: CampaignProgress) -> Iterator[dict[str, Any]]:
    """Standard deviations of a 2D ensemble of 500 labels, for draws of steered generators and unsteered."""
    ensemble, graphs = uncertain(progress)

    def std(smiles: list[str]) -> np.ndarray:
        return ensemble.predict(graphs(smiles)).std

    for seed in arguments.seeds:
        learned, _ = molecules.split(seed)
        plain, _ = trained(seed, learned, arguments.out, progress)
        candidates = plain.sample(600, seed=100 + seed, unique=True, novel_against=plain.known)
        values = dict(zip(candidates, std(candidates).tolist(), strict=True))
        base = None
        for strength in STRENGTHS:
            gan = GraphGAN.load(arguments.out / f"gan_{seed}.pt")
            history = gan.fit(
                learned, steps=1, adversarial_steps=60, seed=seed, values=values, steering=strength
            )
            draws = gan.sample(1000, seed=seed, novel_against=gan.known)
            unique = len(set(draws)) / len(draws)
            worth = float(std(draws).mean())
            base = base or (worth, unique)
            yield {
                "row": f"steering {strength:g}, seed {seed}",
                "head": history.steering,
                "std": worth,
                "times": worth / base[0],
                "unique": unique,
                "of unsteered": unique / base[1],
                "seconds": history.seconds,
            }


def uncertain(progress: CampaignProgress) -> tuple[Ensemble, Callable[[list[str]], list[Any]]]:
    """An ensemble of 400 training and 100 validation labels, and how it sees molecules."""
    from surrogate import graph_2d

    qm9 = QM9(DATA, ROOT / "runs" / "accuracy" / "cache")
    settings = ModelSettings(
        mode="2d", inputs=("chemistry",), features=64, elements=("H", "C", "N", "O", "F"),
        uncertainty=("ensemble", "gp"),
    )  # fmt: skip
    sets = [
        ([qm9.graph(i, "none", settings) for i in part], np.array([qm9.label(i) for i in part]))
        for part in (range(400), range(400, 500))
    ]
    training = TrainingSettings(epochs=60, batch_size=16, device="cpu")
    with progress, progress.steps("the surrogate", 3 * training.epochs) as advance:
        ensemble = Ensemble.fit(
            settings, training, training=sets[0], validation=sets[1], members=3, seed=0,
            on_epoch=lambda member, epoch, row: advance(1),
        )  # fmt: skip
    return ensemble, lambda smiles: [graph_2d(one, cutoff=settings.cutoff, chemistry=True) for one in smiles]


def by_collapse(molecules: Molecules, arguments: Any, progress: CampaignProgress) -> Iterator[dict[str, Any]]:
    """What keeps the generator from repeating itself: each measure alone, and together."""
    learned, held_out = molecules.split(0)
    likely = GraphGAN(GeneratorSettings(), seed=0)
    likely.fit(learned, steps=STEPS, adversarial_steps=0, seed=0)
    likely.save(arguments.out / "likely.pt")
    alone = {"strangeness_weight": 0.0, "divergence_weight": 0.0}
    cases: dict[str, tuple[bool, bool, dict[str, float]]] = {  # from likelihood, batch-aware, settings
        "critic alone, no likelihood": (False, False, alone),
        "batch-aware critic, no likelihood": (False, True, alone),
        "likelihood alone": (True, True, {}),
        "likelihood, plain critic": (True, False, alone),
        "likelihood, batch-aware critic": (True, True, alone),
        "the same, anchored": (True, True, alone | {"divergence_weight": 1.0}),
        "novelty": (True, True, {}),
        "novelty, then the critic, anchored": (True, True, {}),
    }
    for name, (start, aware, settings) in cases.items():
        gan = GraphGAN.load(arguments.out / "likely.pt") if start else GraphGAN(GeneratorSettings(), seed=0)
        gan.settings = replace(gan.settings, **settings)
        if not aware:
            with torch.no_grad():  # then it adds nothing, whatever the batch
                for part in gan._critic.spread.parameters():
                    part.zero_().requires_grad_(False)
        novelty = NOVELTY_STEPS if name.startswith("novelty") else 0
        updates = 0 if name in ("likelihood alone", "novelty") else ADVERSARIAL
        if not start:
            gan.fit(learned[:1000], steps=1, adversarial_steps=0, seed=0)
        gan.fit(learned, steps=1, novelty_steps=novelty, adversarial_steps=updates, seed=0)
        yield {"row": name, **judged(gan.sample(DRAWN, seed=0), learned, held_out, molecules.list)}


ROWS: dict[str, Callable[[Molecules, Any, CampaignProgress], Iterator[dict[str, Any]]]] = {
    "seeds": by_seed,
    "evolution": by_evolution,
    "few": from_few,
    "steering": by_steering,
    "collapse": by_collapse,
}


def show(rows: list[dict[str, Any]], title: str, console: Console) -> None:
    columns = list(dict.fromkeys(name for row in rows for name in row))
    table = Table(*[f"{name}\n{BARS.get(name, '')}" for name in columns], title=title)
    for row in rows:
        table.add_row(*[_cell(row.get(name, "")) for name in columns])
    plain = [row for row in rows if row["row"].startswith("seed") and "all" not in row["row"]]
    if len(plain) > 1:
        means = [np.mean([row[name] for row in plain]) if name in BARS else "" for name in columns[1:]]
        table.add_row("mean", *map(_cell, means), style="bold")
    console.print(table)


def _cell(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:,.0f}" if value >= 100 else f"{value:.3f}"
    return str(value)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", nargs="+", choices=list(ROWS), default=list(ROWS))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3, 4])
    parser.add_argument("--out", type=Path, default=ROOT / "runs" / "generator")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    RDLogger.DisableLog("rdApp.*")
    console = Console(width=220)
    molecules, progress = Molecules(), CampaignProgress(Console(stderr=True))
    for name in arguments.rows:
        rows = []
        for row in ROWS[name](molecules, arguments, progress):
            console.print({key: _cell(value) for key, value in row.items()})
            sys.stdout.flush()  # a row may take minutes, and be read in a file
            rows.append(row)
        show(rows, name, console)
        with (arguments.out / f"{name}.csv").open("w", newline="") as file:
            writer = csv.DictWriter(file, list(dict.fromkeys(key for row in rows for key in row)))
            writer.writeheader()
            writer.writerows(rows)


if __name__ == "__main__":
    main()
