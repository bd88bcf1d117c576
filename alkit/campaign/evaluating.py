"""The evaluate stage: errors on the fixed test set beside the trivial baselines."""

import csv
from pathlib import Path

import numpy as np

from alkit.campaign import acquiring, pretraining
from alkit.campaign.round_state import RoundState
from alkit.files import replace_file
from alkit.models import metrics as evaluation
from alkit.models.graphs import baseline_energies


def evaluate(state: RoundState) -> None:
    """Errors on the fixed test set beside the trivial baselines; validation errors for the stop rules."""
    from surrogate import Ensemble

    ensemble = Ensemble.load(state.path("model"))
    labelled, test = acquiring.counted_labels(state), state.ledger.labelled("test")
    smiles, truth = [c.smiles for c, _ in test], np.array([value for _, value in test])
    graphs = state.molecules.graphs(smiles)
    predicted = ensemble.predict(graphs, device=state.config.surrogate.device)
    metrics = evaluation.error_metrics(truth, predicted.mean, predicted.std, predicted.calibration)
    known = [c.smiles for c, _ in labelled]
    xtb_energy = baseline_energies(state.molecules.graphs(known)), baseline_energies(graphs)
    metrics |= evaluation.baseline_metrics(
        known,
        np.array([v for _, v in labelled]),
        smiles,
        truth,
        xtb_energy=xtb_energy if ensemble.settings.baseline else None,
    )
    metrics |= {
        "labels": len(labelled),
        "test_size": len(test),
        "validation_mae": _validation_mae(state, ensemble),
    }
    if state.config.surrogate.learning == "pretrain":
        metrics["cheap_labels"] = float(pretraining.cheap_labels(state))
    state.ledger.add_metrics(state.round, metrics)
    # Of the narrowest central interval that holds each label: evenly spread where intervals are honest.
    levels = predicted.calibration.probability(np.abs(predicted.mean - truth) / predicted.std)

    def write(path: Path) -> None:
        with path.open("w", newline="") as file:
            rows = csv.writer(file)
            rows.writerow(["smiles", "label_eV", "prediction_eV", "std_eV", "interval_level"])
            rows.writerows(zip(smiles, truth, predicted.mean, predicted.std, levels, strict=True))

    replace_file(state.path("test_predictions.csv"), write)


def _validation_mae(state: RoundState, ensemble) -> float:
    rows = state.ledger.labelled("validation")
    device = state.config.surrogate.device
    predicted = ensemble.predict(state.molecules.graphs(c.smiles for c, _ in rows), device=device)
    return float(np.abs(predicted.mean - [value for _, value in rows]).mean())
