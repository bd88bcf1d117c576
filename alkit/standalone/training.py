"""The work of the stand-alone commands: train, predict and label without a campaign."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from alkit.baselines.base import level_of, specs_of
from alkit.config.baseline import PretrainingConfig
from alkit.config.words import LabelKind, PoolingChoice
from alkit.datasets.tables import USUAL, Columns
from alkit.engines.calling import calling_workers
from alkit.errors import ConfigError
from alkit.files import made
from alkit.models import metrics as evaluation
from alkit.models.graphs import baseline_energies, inputs_of, unseen_elements
from alkit.models.pooling import pooling_of
from alkit.models.pretraining import Pretraining, pretrain
from alkit.models.store import FORCES_UNIT, Provenance, refuse_trained
from alkit.models.tiers import tier
from alkit.molecules.conformers import CONFORMERS
from alkit.reporting.progress import CampaignProgress
from alkit.standalone.labelled import Labelled
from alkit.standalone.pretraining import cheap_set
from alkit.standalone.scoring import force_errors
from alkit.standalone.table_labels import TableLabels

if TYPE_CHECKING:
    from surrogate import Graph, ModelSettings, Surrogate, TrainingSettings


def train_model(
    data: Path,
    out: Path,
    *,
    target: str | None,
    geometry: str | None,
    learning: str,
    limit: int | None,
    baseline: Sequence[Mapping[str, Any]] = ({"kind": "gfn2"},),
    baseline_inputs: bool = False,
    pretraining: PretrainingConfig | None = None,
    members: int,
    model: dict[str, Any],
    training: dict[str, Any],
    pooling: PoolingChoice = "auto",
    seed: int,
    progress: CampaignProgress,
    folds: bool = False,
    unit: str | None = None,
    kind: LabelKind | None = None,
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
        target: the property, or the column of a table.
        geometry: of 3D mode; the data set's own by default, ``mmff`` for a CSV.
        learning: ``direct``, or ``delta``: the label less the baseline at the input geometry.
        limit: use this many molecules, drawn at random.
        baseline: baselines, each a mapping with a ``kind``, see `alkit.baselines`; several: their mean.
        baseline_inputs: whether what they say of atoms is seen.
        pretraining: cheap energies that networks learn first, of molecules that neither test nor calibrate.
        members: networks of the ensemble.
        model: fields of ``ModelSettings``.
        training: fields of ``TrainingSettings``.
        pooling: how a molecule's value comes from its atoms'; by default, by what the property is.
        seed: of sets, weights and batches.
        progress: shows the work.
        folds: train on 90 %, and let each member validate on the part that it leaves out.
        unit: of a table's labels, eV by default (`alkit.standalone.table_labels`).
        kind: of a table's labels; atomization energies by default.
        references: atoms of a table's total energies.
        columns: of a table.
        strict: a SMILES that cannot be read is an error.
        workers: processes that make geometries.
        timeout: seconds that a geometry may take.

    Returns:
        Errors on the test set and of the trivial baselines, in the property's unit.

    Raises:
        AlkitError: unusable data or settings.
        SurrogateError: settings that the surrogate refuses.
    """
    from surrogate import ModelSettings, TrainingSettings
    from surrogate.folds import folds_of
    from surrogate.forces import check_sloped, is_sloped

    refuse_trained(out)
    folds = folds or model.get("representation") in ("kernel", "committee", "auto")
    if folds and model.get("representation") != "kernel":
        folds_of(members)  # refuses too few before the work
    with made(out):  # what cannot be written to is found out before the work
        specs = specs_of(baseline)
        if specs != specs_of([{"kind": "gfn2"}]) and learning != "delta" and not baseline_inputs:
            raise ConfigError(
                "--baseline is given, and nothing uses it; add --learning delta or --baseline-inputs."
            )
        if baseline_inputs:
            model = model | {"inputs": (*model.get("inputs", ()), *inputs_of(specs))}
        how = ModelSettings(**model, baseline=level_of(specs) if learning == "delta" else "")
        settings = TrainingSettings(**training)
        if settings.forces_weight:
            check_sloped(how)
        labels = TableLabels(unit, kind, references)
        labels.check(data)
        source = Labelled(data, target, how, geometry, seed, labels, columns, strict=strict, baselines=specs)
        _check_cheap(source, learning, pretraining)
        how = replace(how, pooling=pooling_of(pooling, source.quantity.name, source.kind, how.representation))
        source.builder.check()
        if settings.forces_weight:
            check_sloped(how)  # now that its pooling is known
            source.take_forces()
        elif is_sloped(how) and not source.without_forces:
            progress.say(f"{data} has forces, which are not learned: --forces learns them with the energies.")
        first = _checked(pretraining, how, baseline if how.baseline else (), source)
        order = np.random.default_rng(seed).permutation(len(source.smiles))[:limit]
        cheap = None
        with calling_workers(workers, timeout) as call_all:
            sets = source.split(source.build(order, progress, call_all))
            if folds:
                sets = sets[0], [], sets[2] + sets[1]
            if pretraining is not None and first is not None:
                judging = sets[0] + (sets[2] if folds else sets[1])
                cheap = cheap_set(
                    source, first, pretraining.file, judging, seed=seed, call_all=call_all, progress=progress
                )
        how = replace(how, elements=source.elements)
        return _fit(
            source, sets, (how, settings), out, members=members, seed=seed, progress=progress, first=first,
            cheap=cheap,
        )  # fmt: skip


def _check_cheap(source: Labelled, learning: str, pretraining: PretrainingConfig | None) -> None:
    """Refuse cheap energies where the labels are no energies.

    Raises:
        ConfigError: they are none.
    """
    for used, option in (
        (learning == "delta", "--learning delta"),
        (pretraining is not None, "--pretraining"),
    ):
        if used and not source.quantity.energy:
            raise ConfigError(
                f"{option} is about cheap energies, and {source.quantity.name} is none; leave it out, or "
                "give what baselines say of atoms as inputs: --baseline-inputs."
            )


def _checked(
    section: PretrainingConfig | None,
    how: "ModelSettings",
    baseline: Sequence[Mapping[str, Any]],
    source: Labelled,
) -> Pretraining | None:
    """Check that the surrogate can learn cheap energies first.

    Raises:
        ConfigError: it cannot.
    """
    if section is None:
        return None
    try:
        section.check_surrogate(how.mode, how.representation, [dict(one) for one in baseline])
    except ValueError as error:
        raise ConfigError(f"--pretraining: {error}.") from None
    first = Pretraining.of(section)
    first.check(source.builder.below)
    return first


def _fit(
    source: Labelled,
    sets: tuple[list[int], list[int], list[int]],
    settings: tuple["ModelSettings", "TrainingSettings"],
    out: Path,
    *,
    members: int,
    seed: int,
    progress: CampaignProgress,
    first: Pretraining | None,
    cheap: "tuple[list[Graph], NDArray[np.float64]] | None",
) -> dict[str, float]:
    """Train on a part of the molecules, save, and measure on another.

    ``sets`` are test, validation and training molecules. Without a validation set, members leave out folds.
    ``first`` and ``cheap`` are what networks learn before the labels.
    """
    from alkit.engines.training import training_processes
    from surrogate import fit_surrogate
    from surrogate.fitting import folds_for

    test, validation, fit = sets
    if {source.smiles[i] for i in test} & {source.smiles[i] for i in fit}:
        progress.say(
            "Test geometries are of molecules that training has other geometries of: the data set holds few "
            "molecules, and its geometries are what is learnt."
        )
    of_row = {i: k for k, group in enumerate(source.groups(test + validation + fit)) for i in group}
    groups, start = [str(of_row[i]) for i in fit], None
    if first is not None and cheap is not None:
        networks = members if validation else 1
        with progress, progress.steps("pretraining", networks * first.epochs) as advance:
            start = pretrain(
                *settings,
                graphs=cheap[0],
                targets=cheap[1],
                epochs=first.epochs,
                members=networks,
                seed=seed,
                on_epoch=lambda member, epoch, row: advance(1),
            )
    with progress, progress.epochs(members * settings[1].epochs, unit=source.quantity.unit) as on_epoch:
        ensemble = fit_surrogate(
            *settings,
            training=source.pairs(fit),
            validation=source.pairs(validation) if validation else None,
            members=members,
            seed=seed,
            left_out=None if validation else folds_for(settings[0], groups, members),
            warm_start=start,
            on_epoch=on_epoch,
            processes=training_processes(),
        )
    labels = len(fit) + len(validation)
    provenance = Provenance(
        source.geometry,
        seed,
        CONFORMERS,
        source.level,
        labels,
        baselines=source.builder.baselines,
        atoms=source.atoms,
        unseen=unseen_elements(settings[0].elements, source.pairs(fit)[0]),
        tier=tier(ensemble.settings, source.builder.baselines, first, source.builder.geometry),
        energy="atomization" if source.quantity.energy else "scalar",
        target=source.quantity.name,
        unit=source.quantity.unit,
        forces=FORCES_UNIT if settings[1].forces_weight else "",
    )
    if provenance.warning:
        progress.say(provenance.warning, warning=True)
    provenance.save(out)
    ensemble.save(out)
    metrics = _test_metrics(ensemble, source, fit + validation, test)
    return metrics | {"round": 0, "labels": labels, "test_size": len(test)}


def _test_metrics(
    ensemble: "Surrogate", source: Labelled, labelled: list[int], test: list[int]
) -> dict[str, float]:
    """Errors on the test molecules beside trivial baselines fitted to the labelled ones."""
    graphs, truth = source.pairs(test)[:2]
    predicted = ensemble.predict(graphs)
    metrics = evaluation.error_metrics(truth, predicted.mean, predicted.std, predicted.calibration)
    metrics |= force_errors(ensemble, source, graphs, test)
    xtb_energy = baseline_energies(source.pairs(labelled)[0]), baseline_energies(graphs)
    return metrics | evaluation.baseline_metrics(
        [source.smiles[i] for i in labelled],
        source.values[labelled],
        [source.smiles[i] for i in test],
        truth,
        xtb_energy=xtb_energy if ensemble.settings.baseline else None,
    )
