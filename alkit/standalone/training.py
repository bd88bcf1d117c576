"""What the stand-alone commands do: train, predict and label without a campaign."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from alkit.config.words import Energy
from alkit.datasets.tables import USUAL, Columns
from alkit.files import made
from alkit.models import metrics as evaluation
from alkit.models.graphs import baseline_energies, check_gfn2
from alkit.models.store import Provenance, refuse_trained
from alkit.molecules.conformers import CONFORMERS
from alkit.molecules.molecule import without_stereo
from alkit.reporting.progress import CampaignProgress
from alkit.simulators.single_point import LEVEL
from alkit.standalone.labelled import Labelled, converter
from alkit.standalone.placing import placing_in_workers

if TYPE_CHECKING:
    from surrogate import Ensemble, ModelSettings, TrainingSettings


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
        energies = converter(data, unit, kind, references)
        source = Labelled(data, target, how, geometry, seed, energies, columns, strict=strict)
        check_gfn2(how, source.geometry if how.mode == "3d" else "none")
        order = np.random.default_rng(seed).permutation(len(source.smiles))[:limit]
        with placing_in_workers(workers, timeout) as place_all:
            usable = source.build(order, progress, place_all)
        how = replace(how, elements=source.elements)
        return _fit(
            source, usable, (how, settings), out, members=members, folds=folds, seed=seed, progress=progress
        )


def _fit(
    source: Labelled,
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


def _test_metrics(
    ensemble: "Ensemble", source: Labelled, labelled: list[int], test: list[int]
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
