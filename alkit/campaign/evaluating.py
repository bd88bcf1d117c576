"""The evaluate stage: errors on the fixed test set beside the trivial baselines."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from alkit.campaign import acquired, acquiring, guard, pretraining
from alkit.campaign.round_state import RoundState
from alkit.campaign.training import drawn_at_random, folds
from alkit.files import replace_file
from alkit.models import metrics as evaluation
from alkit.models.graphs import baseline_energies
from alkit.storage.round_files import TEST_FILE

if TYPE_CHECKING:
    from surrogate import Prediction, Surrogate


def evaluate(state: RoundState) -> None:
    """Errors on the fixed test set beside the trivial baselines; validation errors for the stop rules."""
    from surrogate import load_surrogate

    ensemble = load_surrogate(state.path("model"))
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
    metrics |= {"labels": len(labelled), "test_size": len(test), **_validation(state, ensemble)}
    metrics |= guard.watch(state, ensemble) | acquired.judge(state)
    if state.config.surrogate.pretraining is not None:
        metrics["cheap_labels"] = float(pretraining.cheap_labels(state))
    state.ledger.add_metrics(state.round, metrics)
    _write_predictions(state, TEST_FILE, smiles, truth, predicted)


def _validation(state: RoundState, ensemble: Surrogate) -> dict[str, float]:
    """The mean absolute error on the validation set and its standard error; the predictions are kept.

    Without a validation set: out of fold, on the training molecules of the start. These were drawn at random;
    those acquired since were not, and are harder than others.
    """
    rows, device, gain = state.ledger.labelled("validation"), state.config.surrogate.device, 1.0
    if rows:
        smiles, truth = [c.smiles for c, _ in rows], np.array([value for _, value in rows])
        predicted = ensemble.predict(state.molecules.graphs(smiles), device=device)
    else:
        rows = state.ledger.labelled("training", up_to_round=state.round)
        graphs, left_out = state.molecules.graphs(c.smiles for c, _ in rows), folds(state, rows)
        drawn = drawn_at_random(rows)
        smiles, truth = [c.smiles for c, _ in rows if c.round == 0], np.array([v for _, v in rows])[drawn]
        predicted = ensemble.out_of_fold(graphs, left_out, device=device).part(drawn)
        gain = ensemble.gain(predicted.mean - truth, predicted.samples)
    _write_predictions(state, guard.VALIDATION_FILE, smiles, truth, predicted)
    errors = gain * np.abs(predicted.mean - truth)
    return {
        "validation_mae": float(errors.mean()),
        "validation_error": float(errors.std(ddof=1) / np.sqrt(len(errors))),
        "validation_size": len(errors),
    }


def _write_predictions(
    state: RoundState, name: str, smiles: list[str], truth: NDArray, predicted: Prediction
) -> None:
    # Level of the narrowest central interval that holds each label: evenly spread where intervals are honest.
    levels = predicted.calibration.probability(np.abs(predicted.mean - truth) / predicted.std)

    def write(part: Path) -> None:
        with part.open("w", newline="") as file:
            rows = csv.writer(file)
            numbers = map(state.ledger.quantity.column, ("label", "prediction", "std"))
            rows.writerow(["smiles", *numbers, "interval_level"])
            rows.writerows(zip(smiles, truth, predicted.mean, predicted.std, levels, strict=True))

    replace_file(state.path(name), write)
