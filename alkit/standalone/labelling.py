"""Label a file of molecules."""

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from alkit import datasets
from alkit.engines import create_engine
from alkit.errors import DataError, LabelError
from alkit.files import output
from alkit.molecules.conformers import embed
from alkit.reporting.progress import CampaignProgress
from alkit.simulators.base import Label, SimulatorSpec


def label_file(
    molecules: Path,
    out: Path | None,
    *,
    simulator: SimulatorSpec,
    workers: int,
    timeout: float,
    seed: int,
    progress: CampaignProgress,
) -> tuple[int, int]:
    """Write a CSV of labels as they arrive; returns how many molecules have one, and how many do not."""
    smiles = list(dict.fromkeys(datasets.read_smiles(molecules)))
    done = failed = 0
    with (
        create_engine(simulator, workers=workers, timeout=timeout) as engine,
        output(out) as file,
        progress,
        progress.steps(f"labelling at {engine.level}", len(smiles)) as advance,
    ):
        rows = csv.writer(file)
        rows.writerow(["smiles", f"{engine.level.property}_eV", "method", "seconds", "reason"])

        def placed() -> Iterator[Any]:
            nonlocal failed
            for one in smiles:
                try:
                    yield embed(one, seed=seed)
                except (LabelError, DataError) as error:
                    failed += 1
                    reason = error.reason if isinstance(error, LabelError) else "unsupported"
                    rows.writerow([one, "", engine.level.method, "", reason])
                    advance(1)

        for molecule, outcome in engine.label_all(placed()):
            if isinstance(outcome, Label):
                done += 1
                value, seconds, reason = f"{outcome.value:.6f}", f"{outcome.seconds:.2f}", ""
            else:
                failed += 1
                value, seconds, reason = "", "", outcome.reason
            rows.writerow([molecule.smiles, value, engine.level.method, seconds, reason])
            file.flush()
            advance(1)
    return done, failed
