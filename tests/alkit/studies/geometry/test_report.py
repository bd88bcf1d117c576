"""alkit.studies.geometry.report: the words say what the numbers say, and no more."""

from pathlib import Path

import numpy as np
import pytest

from alkit.studies.geometry.noise_floor import NoiseFloor
from alkit.studies.geometry.report import arms_table, comparisons, explanation, study_verdict, write_report
from alkit.studies.geometry.running import Fit, Results
from alkit.studies.geometry.settings import StudySettings
from alkit.studies.statistics import regression_metrics

SMILES = ["CCO", "CCN", "CC=O", "c1ccccc1", "CC#N", "OCCO", "CNC", "CC(C)C", "C1CC1", "COC"] * 6


def results(
    first: float, second: float, *, seeds: int = 3, noise: float = 0.02, total: bool = False
) -> Results:
    """Two arms whose absolute errors are about so many eV."""
    rng = np.random.default_rng(0)
    truth = rng.normal(-60, 10, len(SMILES))
    fits = []
    for arm, size_of_error in (("3d", first), ("2d-topological", second)):
        for seed in range(seeds):
            signs = rng.choice([-1, 1], len(SMILES))
            predicted = truth + signs * np.abs(rng.normal(size_of_error, noise, len(SMILES)))
            metrics = regression_metrics(truth, predicted)
            metrics |= {"baseline_mean": 8.0, "baseline_elements": 0.9, "baseline_bonds": 0.4}
            metrics |= {"member_mae": metrics["mae"], "seconds": 9.0, "epochs": 2.0}
            history = [
                {"member": k, "epoch": e, "val_MAE": 1.0 / (e + 1), "train_loss": 25.0, "seconds": float(e)}
                for k in (0, 1)
                for e in (0, 1)
            ]
            fits.append(Fit(arm, 100, seed, predicted, metrics, history))
    settings = StudySettings(
        "x.db", ("3d", "2d-topological"), (100,), seeds=seeds, test=len(SMILES), total=total
    )
    return Results(settings, "B3LYP u0", SMILES, truth, 4, fits)


def test_a_clear_difference_is_told_with_its_size() -> None:
    (sentence,) = study_verdict(results(0.1, 0.2))
    assert "3D, the data set's geometry is better with 100 (0.101 eV, 51 %) labels" in sentence
    assert "cannot be distinguished" not in sentence
    (row,) = comparisons(results(0.1, 0.2))
    assert row["apart"] == "yes"
    assert float(row["difference"]) == pytest.approx(-0.1, abs=0.02)


def test_no_difference_is_told_as_none() -> None:
    (sentence,) = study_verdict(results(0.2, 0.2, noise=0.1))
    assert "cannot be distinguished with 100 labels" in sentence
    assert "better" not in sentence


def test_warnings_come_with_the_verdict() -> None:
    _, untrained, few = study_verdict(results(0.1, 1.5, seeds=1))
    assert untrained.startswith("Trained, and no better than counting elements: 2D, topological")
    assert few.startswith("Fewer than 3 seeds")


def test_the_explanation_says_where_the_errors_come_from() -> None:
    shown = results(0.1, 0.2, total=True)
    carbons = np.array([one.upper().count("C") for one in SMILES])
    bad = [
        f if f.arm == "3d" else Fit(f.arm, 100, f.seed, shown.truth + 3.0 * carbons, f.metrics, f.history)
        for f in shown.fits
    ]
    worse = Results(shown.settings, shown.level, SMILES, shown.truth, 0, bad)
    spread, first, second = explanation(worse, results(0.03, 0.04))
    assert "one per element, fitted, leaves 0.90 eV" in spread
    assert "5.0 eV on batches of training molecules" in first
    assert "would take the MAE to 0.00 eV" in second
    assert "would take the MAE to 0.00 eV" not in first
    assert "the same network gets 0.03 eV, 3 % of what is then to learn" in first
    assert "the same network gets 0.04 eV" in second


def test_the_page_has_every_part(tmp_path: Path) -> None:
    page = write_report(results(0.1, 0.2), tmp_path, floor=NoiseFloor(0.02, 60, 30, 1)).read_text()
    assert page.count("<figure>") == 5 + len(results(0.1, 0.2).settings.arms)
    assert "Noise floor of SMILES without stereo marks: 0.020 eV" in page
    assert "4 molecules without a graph" in page
    assert "Why the original study" not in page
    assert (tmp_path / "plots" / "learning_curves.png").stat().st_size > 5000
    assert (
        "Why the original study" in write_report(results(0.1, 0.2), tmp_path, explanation=["So."]).read_text()
    )
    assert arms_table(results(0.1, 0.2)).row_count == 2
