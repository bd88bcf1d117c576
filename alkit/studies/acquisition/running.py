"""Runs of a study: active learning with every acquisition function, from the same starts."""

from __future__ import annotations

import time
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from alkit.acquisition.base import Acquisition, Pool, RoundContext, needs, on_soap, resolve, select
from alkit.files import replace_file
from alkit.models.metrics import error_sizes
from alkit.reporting.progress import CampaignProgress
from alkit.studies import folder
from alkit.studies.acquisition.data import Split, StudyData
from alkit.studies.acquisition.settings import LATER_SETTINGS, REFERENCE, Function, Settings

METRICS = ("mae", "rmse", "q95", "max")
COLUMNS = ("labels", *METRICS, "found", "seconds")
BEST = 0.001  # share of the pool whose lowest energies per heavy atom `found` counts


@dataclass(frozen=True, eq=False)
class Run:
    """One function from one start: ``rows (rounds, len(COLUMNS))``, eV, share and seconds of selection."""

    function: str
    seed: int
    rows: NDArray[np.float64]

    def of(self, column: str) -> NDArray[np.float64]:
        """A column of all rounds by its name in `COLUMNS`."""
        return self.rows[:, COLUMNS.index(column)]


@dataclass(frozen=True, eq=False)
class Results:
    """All runs of a study, the level of theory of its labels, and what the surrogate knows beside them."""

    settings: Settings
    level: str
    runs: list[Run]
    tier: str = ""

    def of(self, function: str) -> list[Run]:
        """Runs of a function by seed."""
        return sorted(
            (run_study for run_study in self.runs if run_study.function == function),
            key=lambda run_study: run_study.seed,
        )


def run_study(settings: Settings, out: Path, progress: CampaignProgress) -> Results:
    """Run every function with every seed; runs that ``out`` holds already are kept.

    Raises:
        CampaignError: the folder belongs to a study with other settings, or is damaged.
        ConfigError: a function that does not exist, or one that needs what the study does not have.
        DataError: too few molecules.
        AcquisitionError: a function fails, or returns something else than a batch.
    """
    acquisitions = {one.title: resolve(one.name, one.settings) for one in settings.all_functions}
    folder.check_settings(out / "study.json", settings.described(), later=LATER_SETTINGS)
    data = StudyData(settings, out, progress)
    data.check({title: needs(one) for title, one in acquisitions.items()})
    seeds = range(settings.seed, settings.seed + settings.seeds)
    splits = [data.split(seed) for seed in seeds]
    folder.write_settings(out / "study.json", settings.described())
    runs = []
    with progress, progress.steps("runs", len(seeds) * len(acquisitions)) as advance:
        for seed, split in zip(seeds, splits, strict=True):
            for function in settings.all_functions:
                path = out / "runs" / f"{_file_name(function)}-{seed}.npz"
                if not path.exists():
                    _save(path, _learn(data, split, function, acquisitions[function.title], progress))
                runs.append(Run(function.title, seed, _load(path)))
                advance(1)
    return Results(settings, f"{data.level} {settings.target}", runs, data.tier)


def _learn(
    data: StudyData, split: Split, function: Function, acquisition: Acquisition, progress: CampaignProgress
) -> NDArray[np.float64]:
    settings, xtb_energy, surrogate = data.settings, data.xtb_energy, data.surrogate()
    best = _best(data.per_heavy_atom, split.pool)
    known = data.chosen_start(split, function.start) if function.start else split.start
    rows, seconds = list[list[float]](), 0.0
    rounds = -(-(settings.labels - settings.start) // settings.batch)
    with progress.steps(f"{function.title}, seed {split.seed}", rounds + 1) as advance:
        for round_ in range(1, rounds + 2):
            drawn = len(known) if function.name == REFERENCE else settings.start  # a start is taken as drawn
            rng = np.random.default_rng([split.seed, round_, 1])
            surrogate.fit(known, data.values[known], rng, drawn=drawn)
            sizes = error_sizes(surrogate.mean(split.test) - data.values[split.test])
            metrics = [sizes[name] for name in METRICS]
            rows.append([len(known), *metrics, np.isin(best, known).mean(), seconds])
            advance(1)
            if len(known) >= settings.labels:
                break
            left = np.setdiff1d(split.pool, known)
            seen = surrogate.see(left)
            if on_soap(acquisition, function.features):
                pool_embeddings, embeddings = data.features[left], data.features[known]
            else:
                pool_embeddings, embeddings = seen.embeddings, surrogate.see(known).embeddings
            pool = Pool(
                smiles=tuple(data.smiles[i] for i in left),
                samples=seen.samples,
                std=seen.std,
                embeddings=pool_embeddings,
                cost=np.ones(len(left)),
                xtb_energy=None if xtb_energy is None else xtb_energy[left],
                covariance=surrogate.covariance(left) if "covariance" in needs(acquisition) else None,
            )
            context = RoundContext(
                round=round_,
                smiles=tuple(data.smiles[i] for i in known),
                targets=data.values[known],
                embeddings=embeddings,
                rng=np.random.default_rng([split.seed, round_, 2]),
                xtb_energy=None if xtb_energy is None else xtb_energy[known],
            )
            begun = time.perf_counter()
            size = min(settings.batch, settings.labels - len(known))
            chosen = select(acquisition, function.title, pool, context, size)
            seconds = time.perf_counter() - begun
            known = np.concatenate([known, left[chosen]])
    return np.array(rows)


def _best(values: NDArray, pool: NDArray[np.int64]) -> NDArray[np.int64]:
    count = max(round(BEST * len(pool)), 1)
    return pool[np.argsort(values[pool], kind="stable")[:count]]


def _file_name(function: Function) -> str:
    """Readable, and another one for other settings."""
    plain = "".join(c if c.isalnum() else "_" for c in function.name)
    return f"{plain}-{sha256(function.title.encode()).hexdigest()[:8]}"


def _save(path: Path, rows: NDArray[np.float64]) -> None:
    replace_file(path, lambda part: np.savez_compressed(part, rows=rows))


def _load(path: Path) -> NDArray[np.float64]:
    with folder.open_arrays(path) as file:
        return np.asarray(file["rows"])
