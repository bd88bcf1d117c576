"""Score a saved model on molecules with labels that it has not seen."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from alkit.config.words import LabelKind
from alkit.datasets.tables import USUAL, Columns
from alkit.engines.calling import calling_workers
from alkit.errors import DataError
from alkit.models import metrics as evaluation
from alkit.models.graphs import baseline_energies
from alkit.models.store import load_model
from alkit.models.tiers import tier_of_model
from alkit.properties import Quantity
from alkit.reporting.progress import CampaignProgress
from alkit.standalone.labelled import Labelled
from alkit.standalone.table_labels import TableLabels

if TYPE_CHECKING:
    from surrogate import Graph, Surrogate

_FEWEST = 2  # a mean and its spread


def score_model(
    model: Path,
    data: Path,
    *,
    target: str | None,
    progress: CampaignProgress,
    unit: str | None = None,
    kind: LabelKind | None = None,
    references: str | None = None,
    columns: Columns = USUAL,
    strict: bool = False,
    workers: int = 2,
    timeout: float = 120.0,
) -> tuple[dict[str, float], dict[str, str], Quantity]:
    """Errors of a model on a data set or a table, and how honest its uncertainty is.

    Whether the model was trained on some of the molecules is not known here: give it others.

    Args:
        model: folder of `alkit train`, or of a campaign.
        data: an ASE database, or a table.
        target: the property, or the column of a table.
        progress: shows the work.
        unit: of a table's labels.
        kind: of a table's labels.
        references: atoms of a table's total energies.
        columns: of a table.
        strict: a SMILES that cannot be read is an error.
        workers: processes that make geometries.
        timeout: seconds that a geometry may take.

    Returns:
        Metrics (`alkit.models.metrics.error_metrics`, in the property's unit), facts (the tier, both levels
        of theory, labels seen), and what the numbers are. Metrics also have ``molecules``, ``mae_error``
        (standard error of the MAE) and a baseline's MAE. ``baseline_elements`` is by the model's values per
        element, ``baseline_xtb`` by these on top of GFN2-xTB.

    Raises:
        AlkitError: no model, or unusable data.
        SurrogateError: a model or molecules that do not fit.
    """
    ensemble, provenance = load_model(model)
    settings = ensemble.settings
    if provenance.energy == "total":
        raise DataError(f"{model} predicts total energies; only atomization energies are scored.")
    labels, quantity = TableLabels(unit, kind, references), provenance.quantity
    labels.check(data)
    if not quantity.energy:
        target = target or quantity.name
    source = Labelled(
        data,
        target,
        settings,
        provenance.geometry,
        provenance.seed,
        labels,
        columns,
        strict=strict,
        conformers=provenance.conformers,
        baselines=provenance.baselines,
    )
    if (source.quantity.unit, source.quantity.energy) != (quantity.unit, quantity.energy):
        raise DataError(
            f"{model} predicts {quantity}, and the labels of {data} are {source.quantity}; give the same "
            "property with --target."
        )
    source.builder.check()
    with calling_workers(workers, timeout) as call_all:
        usable = source.build(np.arange(len(source.smiles)), progress, call_all, fewest=_FEWEST)
    graphs, truth = source.pairs(usable)[:2]
    predicted = ensemble.predict(graphs)
    metrics = evaluation.error_metrics(truth, predicted.mean, predicted.std, predicted.calibration)
    errors = np.abs(predicted.mean - truth)
    start = ensemble.references(graphs) + (baseline_energies(graphs) if settings.baseline else 0.0)
    name = "baseline_xtb" if settings.baseline else "baseline_elements"
    metrics |= {
        "molecules": float(len(graphs)),
        "mae_error": float(errors.std(ddof=1) / np.sqrt(len(errors))),
        name: float(np.abs(start - truth).mean()),
    }
    metrics |= force_errors(ensemble, source, graphs, usable)
    facts = {
        "tier": tier_of_model(settings, provenance),
        "the model's labels": f"{provenance.labels}, {provenance.level}",
        "labels here": source.level,
        "left out": f"{len(source.smiles) - len(usable)} molecules",
    }
    if "forces_mae" in metrics and not provenance.forces:
        facts["forces"] = "not learned: the slopes of energies"
    if source.level != provenance.level:
        facts["mind"] = "the levels differ in name: where they differ in kind, the errors hold that too"
    return metrics, facts, quantity


def force_errors(
    ensemble: Surrogate, source: Labelled, graphs: Sequence[Graph], rows: list[int]
) -> dict[str, float]:
    """Errors of forces on these molecules in eV/Å, where the data have forces and the model has a slope."""
    from surrogate import Ensemble
    from surrogate.forces import is_sloped

    if source.without_forces or not is_sloped(ensemble.settings) or not isinstance(ensemble, Ensemble):
        return {}
    return evaluation.force_metrics(source.forces(rows), ensemble.forces(graphs)[1])
