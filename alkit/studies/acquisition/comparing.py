"""How many labels a function saves against random selection, and how sure that is."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from alkit.reporting.savings import Saving, compared, labels_for, saving, saving_at
from alkit.studies.acquisition.running import COLUMNS, METRICS, Results
from alkit.studies.acquisition.settings import REFERENCE


def saving_of(results: Results, function: str, metric: str) -> Saving:
    """The saving at the lowest error that both reach with a seed: the higher one of their last."""
    return saving(results.of(function), results.of(REFERENCE), metric)


def labels_to_target(results: Results, function: str) -> NDArray[np.float64]:
    """``(seeds,)``: labels with which the MAE is first no more than the study's target; infinite: never."""
    level = results.settings.target_mae
    assert level is not None
    return np.array([labels_for(run, "mae", level) for run in results.of(function)])


def saving_to_target(results: Results, function: str) -> Saving | None:
    """Labels of random selection to the target over those of the function; None where it never has it."""
    level = results.settings.target_mae
    assert level is not None
    return saving_at(results.of(function), results.of(REFERENCE), "mae", level)


def worst_round(results: Results, function: str, metric: str) -> float:
    """The largest excess of the mean error over random's in any round, as a share; negative: never worse."""
    one, other = (
        np.mean([run.of(metric) for run in results.of(name)], axis=0) for name in (function, REFERENCE)
    )
    return float((one[1:] / other[1:]).max() - 1)


def found(results: Results, function: str, labels: int) -> float:
    """Mean share of the pool's best that was labelled with so many labels; NaN where no round has them."""
    shares = [run.of("found")[run.of("labels") == labels] for run in results.of(function)]
    return float(np.mean(shares)) if all(len(share) for share in shares) else float("nan")


def rows(results: Results) -> list[dict[str, object]]:
    """Every round of every run, as a table's rows."""
    return [
        {"function": run.function, "seed": run.seed, **dict(zip(COLUMNS, row.tolist(), strict=True))}
        for run in results.runs
        for row in run.rows
    ]


def study_verdict(results: Results) -> list[str]:
    """A plain sentence for each function, losers as plainly as winners."""
    sentences = []
    for function in results.settings.functions:
        said = [compared(saving_of(results, function.title, metric), metric) for metric in METRICS]
        sentences.append(f"{function.title} against random: {'; '.join(said)}.")
        if results.settings.target_mae is not None:
            sentences.append(_target_sentence(results, function.title))
    if results.settings.seeds < 5:
        sentences.append("Fewer than 5 seeds: the intervals are wide, and a seed more may change a verdict.")
    return sentences


def _target_sentence(results: Results, function: str) -> str:
    level, counts = results.settings.target_mae, labels_to_target(results, function)
    others, ratio = labels_to_target(results, REFERENCE), saving_to_target(results, function)
    if ratio is None:
        never = int(np.isinf(counts).sum())
        return f"{function} does not have an MAE of {level:g} eV in {never} of {len(counts)} seeds."
    said = f"{function} has an MAE of {level:g} eV after {counts.mean():.0f} labels, random after "
    if np.isinf(others).any():
        most = results.of(REFERENCE)[0].of("labels")[-1]
        return (
            f"{said}more than {most:.0f} with {int(np.isinf(others).sum())} of the seeds: at least {ratio}."
        )
    return f"{said}{others.mean():.0f}: {ratio}."
