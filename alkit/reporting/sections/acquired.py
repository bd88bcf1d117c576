"""Acquired molecules and why: predictions before the labels, labels, errors, values to the function."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from alkit.acquisition.base import BUILT_IN, REGISTRY
from alkit.reporting.molecule_drawings import molecule_svg
from alkit.reporting.page_parts import Drawing, Table
from alkit.storage.ledger import Candidate, Ledger
from alkit.storage.round_files import (
    ACQUIRED_FILE,
    PREDICTIONS_FILE,
    VALUES_FILE,
    read_arrays,
    read_table,
    round_file,
)

MOST_DRAWN = 24
MOST_LISTED = 1000


@dataclass(frozen=True)
class Acquired:
    """A molecule that a round acquired, in the unit of the labels.

    Attributes:
        prediction, std: before its label; None where no file of the round says them.
        rank: among the round's candidates by the acquisition function's value, from 1; None where it gave no
            values.
        ranked: how many had a value.
    """

    candidate: Candidate
    label: float
    prediction: float | None = None
    std: float | None = None
    rank: int | None = None
    ranked: int = 0

    @property
    def error(self) -> float | None:
        """Prediction less label."""
        return None if self.prediction is None else self.prediction - self.label


def acquired_molecules(ledger: Ledger, folder: Path) -> list[Acquired]:
    """All that were acquired and labelled, in the order of proposal."""
    rows = [row for row in ledger.labelled("training") if row[0].round > 0]
    found: list[Acquired] = []
    for round_ in sorted({candidate.round for candidate, _ in rows}):
        labelled = [row for row in rows if row[0].round == round_]
        predictions = _predictions(folder, round_, [candidate for candidate, _ in labelled])
        ranks = _ranks(folder, round_)
        for candidate, label in labelled:
            mean, std = predictions.get(candidate.smiles, (None, None))
            rank = ranks.get(candidate.smiles)
            found.append(Acquired(candidate, label, mean, std, rank, len(ranks)))
    return found


def why(name: str) -> str:
    """The aim of the acquisition function in a sentence; its name where it is none of alkit's own."""
    if name not in BUILT_IN:
        return f"Chosen by {name}."
    first = (inspect.getdoc(REGISTRY.find(name)) or "").split("\n\n")[0].replace("\n", " ")
    first = first.replace("``", "").split("; ``")[0]
    return f"Chosen by {name}: {first[:1].lower()}{first[1:]}"


def last_batch(acquired: Sequence[Acquired], unit: str) -> list[Drawing]:
    """Drawings of the last round's molecules, those with the largest errors first."""
    last = max((one.candidate.round for one in acquired), default=0)
    batch = [one for one in acquired if one.candidate.round == last]
    batch.sort(key=lambda one: -abs(one.error) if one.error is not None else 0.0)
    return [_drawing(one, unit) for one in batch[:MOST_DRAWN]]


def acquired_table(acquired: Sequence[Acquired], unit: str) -> Table:
    """The newest molecules, the last ones first."""
    newest = list(acquired)[::-1][:MOST_LISTED]
    rows = [
        (
            one.candidate.smiles,
            str(one.candidate.round),
            "–" if one.prediction is None else f"{one.prediction:.3f} ± {one.std:.3f}",
            f"{one.label:.3f}",
            "–" if one.error is None else f"{one.error:+.3f}",
        )
        for one in newest
    ]
    note = f"The newest {len(newest):,} of {len(acquired):,}." if len(newest) < len(acquired) else ""
    headings = ("molecule", "round", "prediction", "label", "error")
    return Table(f"Acquired molecules, {unit}", headings, rows, texts=1, note=note)


def _drawing(one: Acquired, unit: str) -> Drawing:
    lines = [f"label {one.label:.3f} {unit}"]
    if one.prediction is not None:
        lines.insert(0, f"predicted {one.prediction:.2f} ± {one.std:.2f}")
        lines.append(f"error {one.error:+.3f}")
    if one.rank is not None:
        lines.append(f"value: rank {one.rank:,} of {one.ranked:,}")
    return Drawing(molecule_svg(one.candidate.smiles), one.candidate.smiles, lines)


def _predictions(folder: Path, round_: int, molecules: list[Candidate]) -> dict[str, tuple[float, float]]:
    """Prediction and deviation by SMILES; earlier revisions kept them in `PREDICTIONS_FILE` alone."""
    path = round_file(folder, round_, ACQUIRED_FILE)
    if path.is_file():
        smiles, columns = read_table(path)
        pairs = ((float(mean), float(std)) for _, mean, std, *_ in columns)
        return dict(zip(smiles, pairs, strict=True))
    path = round_file(folder, round_, PREDICTIONS_FILE)
    if not path.is_file():
        return {}
    arrays = read_arrays(path)
    row = {int(number): k for k, number in enumerate(arrays["ids"])}
    means = arrays["samples"].mean(axis=0)
    return {
        one.smiles: (float(means[row[one.id]]), float(arrays["std"][row[one.id]]))
        for one in molecules
        if one.id in row
    }


def _ranks(folder: Path, round_: int) -> dict[str, int]:
    """Rank by the acquisition function's value of every candidate of the round that has one."""
    path = round_file(folder, round_, VALUES_FILE)
    if not path.is_file():
        return {}
    smiles, columns = read_table(path)
    order = np.argsort(-columns[:, 0], kind="stable")
    return {smiles[k]: place for place, k in enumerate(order, start=1)}
