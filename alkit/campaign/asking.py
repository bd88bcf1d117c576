"""The molecules that a campaign waits for, whose labels people compute, as a table or a file."""

from __future__ import annotations

import csv
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from alkit.acquisition.base import resolve
from alkit.campaign.folder import LEDGER, open_campaign
from alkit.campaign.predictions import read_predictions
from alkit.campaign.round_state import RoundState
from alkit.config.schema import CampaignConfig
from alkit.errors import CampaignError
from alkit.files import by_ending, replace_file
from alkit.molecules.molecule import Molecule
from alkit.properties import ENERGY, Quantity, column
from alkit.reporting.progress import CampaignProgress
from alkit.simulators.base import create_simulator
from alkit.simulators.manual import MANUAL
from alkit.storage.ledger import Candidate, Ledger

if TYPE_CHECKING:
    import pandas

_START = {"test": "the test set", "validation": "the validation set", "training": "the first training set"}
_ORDINALS = {1: "st", 2: "nd", 3: "rd"}


class Wanted(NamedTuple):
    """One molecule whose label is asked for.

    Attributes:
        id: its number in the ledger; it names the molecule when its label comes back.
        smiles: canonical.
        role: training, validation or test.
        prediction, std: of the surrogate before the label is known, in its unit; None at the start.
        why: who chose it.
        molecule: in the geometry that the campaign's own labels would start from, Å.
    """

    id: int
    smiles: str
    role: str
    prediction: float | None
    std: float | None
    why: str
    molecule: Molecule


@dataclass(frozen=True)
class Batch:
    """The molecules whose labels a campaign waits for.

    It also has the round, the column that labels belong to, and the unit of the predictions.
    """

    round: int
    column: str
    wanted: list[Wanted]
    quantity: Quantity = ENERGY

    @property
    def numbers(self) -> tuple[str, str]:
        """Names of the columns of prediction and deviation."""
        return self.quantity.column("prediction"), self.quantity.column("std")

    def frame(self) -> pandas.DataFrame:
        """One molecule a row, with its geometry as ASE's `Atoms` and an empty column for the label."""
        import pandas  # MLflow brings it
        from ase import Atoms

        rows = [one._asdict() for one in self.wanted]
        for row in rows:
            molecule = row.pop("molecule")
            row |= dict(zip(self.numbers, (row.pop("prediction"), row.pop("std")), strict=True))
            row["atoms"] = Atoms(molecule.numbers, molecule.positions)
        columns = ["id", "smiles", "role", *self.numbers, "why", "atoms"]
        return pandas.DataFrame(rows, columns=columns).assign(**{self.column: np.nan})


def open_round(ledger: Ledger) -> int | None:
    """The round that waits for labels, or could; None where no batch is open.

    A round is open from the moment its molecules are chosen to the moment it learns from their labels.
    """
    round_ = max((metrics.round for metrics in ledger.metrics()), default=-1) + 1
    if ledger.meta("stopped_by"):
        return None
    if round_ == 0:
        drawn = bool(ledger.candidates(round_=0))
        return 0 if drawn and not ledger.finished(0, "start") else None
    return round_ if ledger.finished(round_, "acquire") and not ledger.finished(round_, "label") else None


def check_by_hand(config: CampaignConfig, folder: Path) -> None:
    """Raise `CampaignError` if the campaign computes its labels itself."""
    if config.simulator.kind != MANUAL:
        raise CampaignError(
            f"{folder} asks nobody for labels: its simulator is {config.simulator.kind}. Labels come by hand "
            "in a campaign with simulator: manual."
        )


def needed_round(ledger: Ledger, config: CampaignConfig, folder: Path) -> int:
    """The open round.

    Raises:
        CampaignError: there is none, or the campaign computes its labels itself.
    """
    check_by_hand(config, folder)
    if stopped_by := ledger.meta("stopped_by"):
        raise CampaignError(f"{folder} asks for no labels: it has ended ({stopped_by}).")
    if (round_ := open_round(ledger)) is None:
        raise CampaignError(f"{folder} asks for no labels now; `alkit campaign run` goes on to the next.")
    return round_


def labels_to_come(folder: Path) -> int:
    """How many labels a campaign waits for; 0 also where there is no campaign yet."""
    if not (folder / LEDGER).is_file():
        return 0
    with closing(Ledger(folder / LEDGER, read_only=True)) as ledger:
        round_ = open_round(ledger)
        return 0 if round_ is None else len(ledger.candidates(round_=round_, status=("acquired",)))


def ask(folder: Path) -> Batch:
    """The molecules of the open round without a label, in the ledger's order. Nothing is changed.

    Raises:
        CampaignError: no campaign, or none that waits for labels.
    """
    config, ledger = open_campaign(folder)
    with closing(ledger):
        round_ = needed_round(ledger, config, folder)
        state = reading_state(config, ledger, Path(folder), round_)
        rows = ledger.candidates(round_=round_, status=("acquired",))
        known = _start(rows) if round_ == 0 else _predicted(state, rows)
        wanted = [
            Wanted(c.id, c.smiles, c.role, *known[c.id], state.molecules.molecule(c.smiles)) for c in rows
        ]
        simulator: Any = create_simulator(state.labels.simulator)
        quantity = Quantity.of(simulator.level.property, simulator.level.unit)
        return Batch(round_, column(config.target, simulator.reading.unit), wanted, quantity)


def reading_state(config: CampaignConfig, ledger: Ledger, folder: Path, round_: int) -> RoundState:
    """The state of a round, to read what it holds."""
    acquisition = resolve("random")  # nothing is acquired here
    return RoundState(config, folder, ledger, acquisition, CampaignProgress(), round_)


_Known = dict[int, tuple[float | None, float | None, str]]


def _start(rows: list[Candidate]) -> _Known:
    return {c.id: (None, None, f"drawn for {_START[c.role]}") for c in rows}


def _predicted(state: RoundState, rows: list[Candidate]) -> _Known:
    arrays, origins = read_predictions(state), state.ledger.origins(state.round)
    means, std = arrays["samples"].mean(axis=0), arrays["std"]
    ranks = np.argsort(np.argsort(-std)) + 1
    place, name = {int(number): k for k, number in enumerate(arrays["ids"])}, state.config.acquisition.name
    return {
        c.id: (
            float(means[k]),
            float(std[k]),
            f"{name} chose it of {len(std)} candidates, from {origins.get(c.id, 'a proposer')}; its "
            f"deviation is the {_ordinal(int(ranks[k]))} largest",
        )
        for c in rows
        for k in (place[c.id],)
    }


def _ordinal(number: int) -> str:
    ending = "th" if number % 100 in (11, 12, 13) else _ORDINALS.get(number % 10, "th")
    return f"{number}{ending}"


def write_batch(batch: Batch, out: Path) -> None:
    """Write a batch as .csv, .smi, .xyz or .sdf; the last two have geometries, in Å.

    Raises:
        DataError: another ending, or the file exists.
    """
    writers: dict[str, Callable[[Batch, Path], None]] = {
        ".csv": _csv,
        ".smi": _smi,
        ".xyz": _xyz,
        ".extxyz": _xyz,
        ".sdf": _sdf,
    }
    write = by_ending(out, writers)
    replace_file(out, lambda path: write(batch, path))


def _cells(one: Wanted, batch: Batch) -> dict[str, Any]:
    numbers = dict(zip(batch.numbers, (one.prediction, one.std), strict=True))
    known = {name: value for name, value in numbers.items() if value is not None}
    return {"id": one.id, "smiles": one.smiles, "role": one.role, **known, "why": one.why}


def _csv(batch: Batch, path: Path) -> None:
    names = ["id", "smiles", "role", *batch.numbers, "why", batch.column, "reason"]
    with path.open("w", newline="", encoding="utf-8") as file:
        rows = csv.DictWriter(file, names)
        rows.writeheader()
        rows.writerows(_cells(one, batch) for one in batch.wanted)


def _smi(batch: Batch, path: Path) -> None:
    path.write_text("".join(f"{one.smiles} {one.id}\n" for one in batch.wanted), encoding="utf-8")


def _xyz(batch: Batch, path: Path) -> None:
    from ase import Atoms
    from ase.io import write

    structures = []
    for one in batch.wanted:
        smiles = one.smiles.replace("\\", "\\\\")  # readers take one for an escape
        info = _cells(one, batch) | {"smiles": smiles}
        structures.append(Atoms(one.molecule.numbers, one.molecule.positions, info=info))
    write(path, structures, format="extxyz")


def _sdf(batch: Batch, path: Path) -> None:
    from rdkit import Chem

    from alkit.molecules.bonds import atom_order
    from alkit.molecules.identity import shaped
    from alkit.molecules.molecule import with_hydrogens

    with Chem.SDWriter(str(path)) as file:
        for one in batch.wanted:
            numbers, positions = one.molecule.numbers, one.molecule.positions
            order, mol = atom_order(one.smiles, numbers, positions), with_hydrogens(one.smiles)
            if order is not None:  # else it would be drawn with the bonds of another
                mol = shaped(mol, positions[order])
            mol.SetProp("_Name", str(one.id))
            for name, value in _cells(one, batch).items():
                mol.SetProp(name, str(value))
            file.write(mol)
