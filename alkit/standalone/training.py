"""What the stand-alone commands do: train, predict and label without a campaign."""

import sys
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from alkit import datasets
from alkit.config.words import Energy
from alkit.datasets import Dataset
from alkit.datasets.splits import grouped_split, stereo_groups
from alkit.datasets.tables import USUAL, Columns
from alkit.errors import DataError, LabelError
from alkit.files import made
from alkit.models import metrics as evaluation
from alkit.models.geometries import Placed
from alkit.models.graphs import GraphBuilder, baseline_energies, check_gfn2
from alkit.models.prediction import PlaceAll, with_geometry
from alkit.models.store import Provenance, refuse_trained
from alkit.molecules.conformers import CONFORMERS
from alkit.molecules.molecule import Molecule, canonical, without_stereo
from alkit.reporting.progress import CampaignProgress
from alkit.simulators.single_point import LEVEL
from alkit.standalone.energies import as_atomization
from alkit.standalone.placing import placing_in_workers

if TYPE_CHECKING:
    from surrogate import Ensemble, ModelSettings, TrainingSettings

_FEWEST_TO_TRAIN = 20


def train_model(
    data: Path,
    out: Path,
    *,
    target: str,
    geometry: str | None,
    learning: str,
    limit: int | None,
    members: int,
    model: dict[str, Any],
    training: dict[str, Any],
    seed: int,
    progress: CampaignProgress,
    folds: bool = False,
    unit: str | None = None,
    kind: Energy | None = None,
    references: str | None = None,
    columns: Columns = USUAL,
    strict: bool = False,
    workers: int = 2,
    timeout: float = 120.0,
) -> dict[str, float]:
    """Train an ensemble on a data set or a CSV; 80 % training, 10 % validation, 10 % test, drawn at random.

    Stereoisomers share a set, or a fold: what is tested must not be known from its mirror image.

    Args:
        data: an ASE database of `alkit data import`, or a table with the columns ``smiles`` and ``target``.
        out: model folder; must not hold one.
        geometry: of 3D mode; the data set's own by default, ``mmff`` for a CSV.
        learning: ``direct``, or ``delta``: the label less a GFN2-xTB single point at the input geometry.
        limit: use this many molecules, drawn at random.
        folds: train on 90 %, and let each member validate on the part that it leaves out.
        model, training: fields of ``ModelSettings`` and ``TrainingSettings``.
        unit, kind, references: what the energies of a table are, see `alkit.standalone.energies`;
            atomization energies in eV by default.
        columns, strict: see `alkit.datasets.read_labelled`.
        workers, timeout: processes that make geometries, and seconds that one may take.

    Returns:
        Errors on the test set and of the trivial baselines, eV.

    Raises:
        AlkitError, SurrogateError: unusable data or settings.
    """
    from surrogate import ModelSettings, TrainingSettings
    from surrogate.folds import folds_of

    refuse_trained(out)
    if folds:
        folds_of(members)  # refuses too few before the work
    with made(out):  # what cannot be written to is found out before the work
        how = ModelSettings(**model, baseline=str(LEVEL) if learning == "delta" else "")
        settings = TrainingSettings(**training)
        energies = _converter(data, unit, kind, references)
        source = _Labelled(data, target, how, geometry, seed, energies, columns, strict=strict)
        check_gfn2(how, source.geometry if how.mode == "3d" else "none")
        order = np.random.default_rng(seed).permutation(len(source.smiles))[:limit]
        with placing_in_workers(workers, timeout) as place_all:
            usable = source.build(order, progress, place_all)
        how = replace(how, elements=source.elements)
        return _fit(
            source, usable, (how, settings), out, members=members, folds=folds, seed=seed, progress=progress
        )


def _fit(
    source: "_Labelled",
    usable: list[int],
    settings: tuple["ModelSettings", "TrainingSettings"],
    out: Path,
    *,
    members: int,
    folds: bool,
    seed: int,
    progress: CampaignProgress,
) -> dict[str, float]:
    """Train on a part of the molecules, save, and measure on another."""
    from surrogate import Ensemble
    from surrogate.folds import left_out

    test, validation, fit = source.split(usable)
    if folds:
        fit, validation = fit + validation, []
    with progress, progress.steps("training", members * settings[1].epochs) as advance:
        ensemble = Ensemble.fit(
            *settings,
            training=source.pairs(fit),
            validation=None if folds else source.pairs(validation),
            members=members,
            seed=seed,
            left_out=left_out([without_stereo(source.smiles[i]) for i in fit], members) if folds else None,
            on_epoch=lambda member, epoch, row: advance(1),
        )
    labels = len(fit) + len(validation)
    Provenance(source.geometry, seed, CONFORMERS, source.level, labels).save(out)
    ensemble.save(out)
    metrics = _test_metrics(ensemble, source, fit + validation, test)
    return metrics | {"round": 0, "labels": labels, "test_size": len(test)}


def _converter(
    data: Path, unit: str | None, kind: Energy | None, references: str | None
) -> Callable[..., NDArray[np.float64]]:
    """What makes atomization energies in eV of a table's values."""
    if not datasets.is_table(data) and (unit or kind or references):
        raise DataError(
            f"{data} says itself what its energies are; leave out --unit, --kind and --references."
        )
    return partial(as_atomization, unit=unit, kind=kind, references=references)


def _test_metrics(
    ensemble: "Ensemble", source: "_Labelled", labelled: list[int], test: list[int]
) -> dict[str, float]:
    """Errors on the test molecules beside trivial baselines fitted to the labelled ones."""
    graphs, truth = source.pairs(test)
    predicted = ensemble.predict(graphs)
    metrics = evaluation.error_metrics(truth, predicted.mean, predicted.std, predicted.calibration)
    xtb_energy = baseline_energies(source.pairs(labelled)[0]), baseline_energies(graphs)
    return metrics | evaluation.baseline_metrics(
        [source.smiles[i] for i in labelled],
        source.values[labelled],
        [source.smiles[i] for i in test],
        truth,
        xtb_energy=xtb_energy if ensemble.settings.baseline else None,
    )


class _Labelled:
    """Molecules with labels from either kind of file, and their graphs."""

    def __init__(
        self,
        data: Path,
        target: str,
        settings: "ModelSettings",
        geometry: str | None,
        seed: int,
        energies: Callable[..., NDArray[np.float64]],
        columns: Columns,
        *,
        strict: bool,
    ):
        self._data, self.settings = data, settings
        self.dataset: Dataset | None = None
        if datasets.is_table(data):
            table = datasets.read_labelled(data, target, columns, strict=strict)
            for problem in table.problems:
                print(f"left out: {problem}", file=sys.stderr)
            atoms = [_atoms(smiles) for smiles in table.smiles]
            self.smiles, self.level = table.smiles, table.level or f"{data.name} {target}"
            self.values = energies(
                np.asarray(table.values),
                [numbers for numbers, _ in atoms],
                charges=np.array([charge for _, charge in atoms]),
                what=f"{data}, column {target}",
                names=table.smiles,
            )
            self.geometry = geometry or "mmff"
        else:
            self.dataset = Dataset.open(data)
            self.smiles, self.values = self.dataset.smiles, self.dataset.atomization(target)
            self.level = f"{self.dataset.level} {target}"
            self.geometry = geometry or "dataset"
        if self.geometry == "dataset" and self.dataset is None:
            raise DataError(f"{data} has no geometries; --geometry is mmff, etkdg or xtb for a CSV.")
        self._builder = GraphBuilder(settings, self.geometry, seed)
        self._graphs: dict[int, Any] = {}

    @property
    def elements(self) -> tuple[str, ...]:
        from ase.data import chemical_symbols

        numbers = {int(z) for graph in self._graphs.values() for z in graph.numbers}
        return tuple(chemical_symbols[z] for z in sorted(numbers))

    def build(self, order: NDArray, progress: CampaignProgress, place_all: PlaceAll) -> list[int]:
        """Graphs of these molecules; returns those that have one.

        Raises:
            DataError: too few have one.
        """
        from surrogate import SurrogateError

        with progress, progress.steps("building graphs", len(order)) as advance:
            placed = self._placed(order, place_all, advance)
            for i in order.tolist():
                try:
                    self._graphs[i] = self._graph(i, placed)
                except (LabelError, DataError, SurrogateError) as error:
                    print(f"left out: {error}", file=sys.stderr)
            advance(len(order) - len(placed))
        if len(self._graphs) < _FEWEST_TO_TRAIN:
            raise DataError(
                f"{self._data}: {len(self._graphs)} usable molecules; at least {_FEWEST_TO_TRAIN} are needed."
            )
        return list(self._graphs)

    def pairs(self, indices: list[int]) -> tuple[list[Any], NDArray]:
        return [self._graphs[i] for i in indices], self.values[indices]

    def split(self, usable: list[int]) -> tuple[list[int], list[int], list[int]]:
        """About a tenth to test, a tenth to validate, the rest to train, with stereoisomers in one set."""
        tenth = max(2, len(usable) // 10)
        test, validation, rest = grouped_split(stereo_groups(self.smiles, usable).values(), (tenth, tenth))
        return test, validation, rest

    def _placed(
        self, order: NDArray, place_all: PlaceAll, advance: Callable[[int], None]
    ) -> dict[str, Placed | Exception]:
        """Geometries of these molecules, where they come from the SMILES and are seen."""
        if self.settings.mode == "2d" or self.geometry == "dataset":
            return {}
        unplaced = {_key(self.smiles[i]) for i in order.tolist()} - {""}
        placed = {}
        for smiles, outcome in place_all(self._builder.placing, sorted(unplaced)):
            placed[smiles] = outcome
            advance(1)
        return placed

    def _graph(self, i: int, placed: dict[str, Placed | Exception]) -> Any:
        smiles, dataset = canonical(self.smiles[i]), self.dataset
        if self.settings.mode == "3d" and self.geometry == "dataset" and dataset is not None:
            molecule = Molecule(smiles, dataset.numbers(i), dataset.positions(i), "dataset")
            return self._builder.graph(molecule)
        return self._builder.graph(*with_geometry(smiles, placed))


def _key(smiles: str) -> str:
    """Its canonical form, or nothing of what alkit does not cover."""
    try:
        return canonical(smiles)
    except DataError:
        return ""


def _atoms(smiles: str) -> tuple[NDArray[np.int64], int]:
    """Atomic numbers, hydrogens included, and the charge."""
    from rdkit import Chem

    mol = Chem.AddHs(Chem.MolFromSmiles(smiles))
    return np.array([atom.GetAtomicNum() for atom in mol.GetAtoms()]), Chem.GetFormalCharge(mol)
