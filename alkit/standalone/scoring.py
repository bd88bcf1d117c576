"""Score a saved model on molecules with labels that it has not seen."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from alkit.config.words import Energy
from alkit.datasets.tables import USUAL, Columns
from alkit.engines.calling import calling_workers
from alkit.errors import DataError
from alkit.models import metrics as evaluation
from alkit.models.graphs import baseline_energies
from alkit.models.store import load_model
from alkit.models.tiers import tier_of_model
from alkit.reporting.progress import CampaignProgress
from alkit.standalone.labelled import Labelled, converter

_FEWEST = 2  # a mean and its spread


def score_model(
    model: Path,
    data: Path,
    *,
    target: str | None,
    progress: CampaignProgress,
    unit: str | None = None,
    kind: Energy | None = None,
    references: str | None = None,
    columns: Columns = USUAL,
    strict: bool = False,
    workers: int = 2,
    timeout: float = 120.0,
) -> tuple[dict[str, float], dict[str, str]]:
    """Errors of a model on a data set or a table, and how honest its uncertainty is.

    Whether the model was trained on some of the molecules is not known here: give it others.

    Args:
        model: folder of `alkit train`, or of a campaign.
        data, target, unit, kind, references, columns, strict: see `alkit.standalone.training.train_model`.
        workers, timeout: processes that make geometries, and seconds that one may take.

    Returns:
        Metrics (`alkit.models.metrics.error_metrics`, eV) with ``molecules``, ``mae_error`` (standard error
        of the MAE, eV), and the MAE of what the model starts from: ``baseline_elements``, its energies per
        element, or ``baseline_xtb``, these on top of GFN2-xTB. And facts: the tier, both levels of theory,
        labels seen.

    Raises:
        AlkitError, SurrogateError: no model, or unusable data.
    """
    ensemble, provenance = load_model(model)
    settings = ensemble.settings
    if provenance.energy != "atomization":
        raise DataError(
            f"{model} predicts {provenance.energy} energies; only atomization energies are scored."
        )
    source = Labelled(
        data,
        target,
        settings,
        provenance.geometry,
        provenance.seed,
        converter(data, unit, kind, references),
        columns,
        strict=strict,
        conformers=provenance.conformers,
        baselines=provenance.baselines,
    )
    source.builder.check()
    with calling_workers(workers, timeout) as call_all:
        usable = source.build(np.arange(len(source.smiles)), progress, call_all, fewest=_FEWEST)
    graphs, truth = source.pairs(usable)
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
    facts = {
        "tier": tier_of_model(settings, provenance),
        "the model's labels": f"{provenance.labels}, {provenance.level}",
        "labels here": source.level,
        "left out": f"{len(source.smiles) - len(usable)} molecules",
    }
    if source.level != provenance.level:
        facts["mind"] = "the levels differ in name: where they differ in kind, the errors hold that too"
    return metrics, facts
