"""The report of a campaign: plots, one HTML page to look at, and the table in the terminal."""

import json
import math
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
from rich import box
from rich.table import Table

from alkit.config.schema import CampaignConfig
from alkit.files import replace_file, write_text
from alkit.models.tiers import tier_of_config
from alkit.properties import ENERGY, Quantity
from alkit.reporting import forecast, plots, under_way
from alkit.reporting import html as pages
from alkit.reporting.best_labels import best_labels, draw_front, front_of, looks_for_highest
from alkit.reporting.levers import missing_lever, near_label
from alkit.reporting.savings import Curve, labels_ratio
from alkit.storage.ledger import Ledger
from alkit.storage.round_metrics import RoundMetrics
from alkit.units import CHEMICAL_ACCURACY, KCAL_PER_MOL

TWIN = "twin"  # the folder, in a campaign's own, of the one with random selection
RISE_CONFIDENCE = 0.05  # p-value below which a validation error has risen
MOST_OUTSIDE = 0.2  # share of acquired molecules outside of the target set, four times what chance gives
_MOST_DRAWN = 24
_FEW_TESTED = 30  # molecules: the mean error of fewer says little without its interval
_FATES = ("labelled", "acquired", "not_acquired", "screened", "proposed", "rejected", "failed")
_COLUMNS = ("mae", "rmse", "q95", "max")
_WHAT = {
    "schnet": "{} SchNets",
    "painn": "{} PaiNNs",
    "kernel": "a Gaussian process",
    "committee": "a Gaussian process and {} SchNets",
    "auto": "a Gaussian process, and {} SchNets with many labels",
}
_LEARNING = {
    "direct": "the label directly",
    "delta": "the label less its baseline at the input geometry",
}


def write_report(
    ledger: Ledger,
    config: CampaignConfig,
    folder: Path,
    *,
    stopped_by: str | None = None,
    redraw: bool = True,
) -> Path:
    """Draw the plots and write ``report.html`` from what the ledger holds; returns the page's path.

    Args:
        stopped_by: the rule that has just ended the campaign, before the ledger knows.
        redraw: False where nothing has happened since the plots were drawn.
    """
    metrics, quantity = ledger.metrics(), ledger.quantity
    if metrics and redraw:
        _draw(ledger, metrics, folder)
        draw_front(ledger, config, folder / "plots" / "front.png")
    drawings = _drawings(folder) if metrics else {}
    html = pages.render(
        "report",
        name=config.name,
        level=ledger.level or config.target,
        stopped_by=stopped_by or ledger.meta("stopped_by"),
        rows=[_row(row, quantity) | best_labels(ledger, config, int(row["round"])) for row in metrics],
        quantity=quantity,
        best="highest" if looks_for_highest(config) else "lowest",
        facts=_facts(config, metrics, folder, quantity) + under_way.facts(ledger, config),
        drawings=drawings,
        front=front_of(ledger, config),
        fates=_fates(ledger),
        failures=_failures(ledger),
        seconds=_stage_seconds(ledger),
        config=json.dumps(config.as_dict(), indent=2),
    )
    replace_file(folder / "report.html", lambda path: write_text(path, html))
    return folder / "report.html"


def rounds_table(metrics: Sequence[Mapping[str, float]], title: str, quantity: Quantity = ENERGY) -> Table:
    """The rounds as a table that fits 80 columns: errors on the test set, of energies in kcal/mol too."""
    shown = Table(title=title, title_justify="left", caption_justify="left", box=box.SIMPLE_HEAD, padding=0)
    delta = "baseline_xtb" in metrics[-1]
    names = ("elements", "bonds", "baseline") if delta else ("mean", "elements", "bonds")
    for heading in ("round", "labels", "", *_COLUMNS, "R²", *names):
        shown.add_column(heading.upper() if heading in ("mae", "rmse") else heading, justify="right")
    baselines = [f"baseline_{'xtb' if name == 'baseline' else name}" for name in names]
    for numbers in metrics:
        row = _row(numbers, quantity)
        errors = [row[name] for name in _COLUMNS], [row[name] for name in baselines]
        shown.add_row(row["round"], row["labels"], quantity.unit, *errors[0], row["r2"], *errors[1])
        if not quantity.energy:
            continue
        kcal = [[row[f"{name}_kcal"] for name in names] for names in (_COLUMNS, baselines)]
        shown.add_row("", "", "kcal/mol", *kcal[0], "", *kcal[1], style="dim")
        if "forces_mae" in numbers:
            forces = [f"{numbers[f'forces_{name}']:.3f}" for name in _COLUMNS]
            r2, zero = f"{numbers['forces_r2']:.4f}", f"{numbers['baseline_forces']:.3f}"
            shown.add_row("", "", "eV/Å", *forces, r2, zero)
    shown.caption = (
        f"Errors on the fixed test set; {', '.join(names)}: MAE of trivial predictors of the same labels."
    )
    if "forces_mae" in metrics[-1]:
        shown.caption += " In eV/Å: components of forces, beside the MAE of forces of zero."
    return shown


def status(ledger: Ledger, config: CampaignConfig) -> str:
    """Where the campaign stands, in a sentence."""
    stages = ledger.stages()
    if stopped_by := ledger.meta("stopped_by"):
        return f"{config.name} finished: {stopped_by}."
    if not stages:
        return f"{config.name}: round 0 has begun, no stage of it is finished."
    round_, stage, _ = stages[-1]
    return f"{config.name}: unfinished; the last finished stage is {stage} of round {round_}."


def fates_table(ledger: Ledger) -> Table:
    """What became of every candidate, as a terminal table."""
    shown = Table(title="Candidates", title_justify="left")
    rounds, rows = _fates(ledger)
    shown.add_column("fate")
    shown.add_column("reason")
    for round_ in rounds:
        shown.add_column(f"round {round_}", justify="right")
    for fate, reason, counts in rows:
        shown.add_row(fate, reason, *counts)
    return shown


def histories_table(rows: Iterable[dict[str, Any]], last: int) -> Table:
    """The last so many candidates with what became of them, as a terminal table."""
    shown = Table(title=f"The last {last} candidates", title_justify="left")
    shown_rows = deque(rows, maxlen=last)
    label = f"label [{next((row['unit'] for row in shown_rows if row.get('unit')), 'eV')}]"
    for heading in ("id", "round", "molecule", "role", "status", "reason", "tries", "from", label):
        shown.add_column(heading, justify="right" if heading in ("id", "round", label) else "left")
    for row in shown_rows:
        value = "" if row["value"] is None else f"{row['value']:.4f}"
        shown.add_row(
            str(row["id"]),
            str(row["round"]),
            row["smiles"],
            row["role"],
            row["status"],
            row["reason"],
            row["attempts"],
            row["source"] or "",
            value,
        )
    return shown


def twin_metrics(folder: Path) -> list[RoundMetrics]:
    """The rounds of a campaign's random twin; none where it has no twin."""
    path = folder / TWIN / "ledger.sqlite"
    if not path.is_file():
        return []
    with closing(Ledger(path, read_only=True)) as ledger:
        return ledger.metrics()


def twin_verdict(metrics: Sequence[RoundMetrics], twin: Sequence[RoundMetrics], unit: str = "eV") -> str:
    """What selection has gained over random selection, in a sentence; nothing without a twin."""
    both = min(len(metrics), len(twin))
    if not both:
        return ""
    campaign, other = Curve(metrics[:both]), Curve(twin[:both])
    one, random = campaign.of("mae")[-1], other.of("mae")[-1]
    ratio = labels_ratio(campaign, other, "mae")
    gain = f"{ratio:.2f} times fewer labels" if ratio >= 1 else f"{1 / ratio:.2f} times more labels"
    if abs(np.log(ratio)) < 0.005:
        gain = "as many labels"
    return (
        f"Its random twin has {random:.3f} {unit} with {other.of('labels')[-1]:.0f} labels: selection needs "
        f"{gain} for {max(one, random):.3f} {unit}. One seed says little; `alkit study campaign` compares "
        "several."
    )


def forecast_of(
    config: CampaignConfig, metrics: Sequence[Mapping[str, float]], quantity: Quantity = ENERGY
) -> str:
    """How many labels the campaign's aim takes, in a sentence; nothing where nothing can be said, or where it
    has no aim: chemical accuracy is that of energies alone."""
    aim = config.stop.target_mae or (CHEMICAL_ACCURACY if quantity.energy else None)
    return forecast.sentence(metrics, aim, config.batch_size, quantity.unit) if metrics and aim else ""


def guard_verdict(metrics: Sequence[Mapping[str, float]]) -> str:
    """What says that the campaign learns the wrong things; nothing where nothing does."""
    if not metrics:
        return ""
    rise, outside = metrics[-1].get("validation_rise", 1.0), metrics[-1].get("outside_target", 0.0)
    said = []
    if rise < RISE_CONFIDENCE:
        said.append(f"the validation error is larger than in an earlier round (p = {rise:.3f})")
    if outside > MOST_OUTSIDE:
        said.append(f"{outside:.0%} of the acquired molecules lie outside of the target set")
    return "; ".join(said)


def acquired_verdict(metrics: Sequence[Mapping[str, float]]) -> str:
    """How well the intervals of acquired molecules held, in a sentence; nothing where it is not known."""
    rounds = [row for row in metrics if "acquired_coverage_90" in row]
    if not rounds:
        return ""
    said = f"{rounds[-1]['acquired_coverage_90']:.0%} of the last batch's labels lay in their 90 % interval"
    if "acquired_widening" not in rounds[-1]:
        return f"{said}."
    return (
        f"{said}; intervals {rounds[-1]['acquired_widening']:.1f} times as wide, as the batches before ask "
        f"for, hold {rounds[-1]['acquired_widened_90']:.0%}."
    )


def tier_of_campaign(config: CampaignConfig) -> str:
    """What the surrogate knows beside its labels, in words."""
    return "; ".join(part for part in (tier_of_config(config), near_label(config)) if part)


def campaign_verdict(
    metrics: Sequence[Mapping[str, float]], on: str = "", quantity: Quantity = ENERGY
) -> str:
    """What the numbers mean, in a sentence, ``on`` which tier."""
    last = metrics[-1]
    # Delta learning starts from the baseline, so that counting elements alone is no measure of it.
    trivial = last.get("baseline_xtb", last["baseline_elements"])
    name = "the baseline with element counts" if "baseline_xtb" in last else "counting elements"
    said = f" Tier: {on}." if on else ""
    mae = f"{last['mae']:.3f} {quantity.unit}{_interval(last, quantity.unit)}"
    if last["mae"] > trivial:
        return (
            f"The surrogate is trained and saved, and no better than {name}: its test MAE is {mae}, theirs "
            f"{trivial:.3f} {quantity.unit}. Give it more labels or epochs.{said}"
        )
    gain, accuracy = trivial / last["mae"], f" ({_accuracy(last)})" if quantity.energy else ""
    with_labels = f"With {last['labels']:.0f} labels the test MAE is {mae}{accuracy}"
    return f"{with_labels}, {gain:.1f} times below {name}.{said}"


def _accuracy(metrics: Mapping[str, float]) -> str:
    kcal = metrics["mae"] / KCAL_PER_MOL
    if kcal > 1:
        return f"{kcal:.1f} times chemical accuracy"
    half_width = _half_width(metrics)
    if half_width is None or metrics["mae"] + half_width <= KCAL_PER_MOL:
        return "chemically accurate"
    return "within chemical accuracy, of which so few test molecules make nobody sure"


def _interval(metrics: Mapping[str, float], unit: str) -> str:
    half_width = _half_width(metrics)
    if half_width is None:
        return ""
    low, high = max(0.0, metrics["mae"] - half_width), metrics["mae"] + half_width
    within = f", 95 % interval {low:.3f} to {high:.3f} {unit}" if math.isfinite(high) else ""
    n = int(metrics["test_size"])
    return f" on {n} test molecule{'s' if n != 1 else ''}{within}"


def _half_width(metrics: Mapping[str, float]) -> float | None:
    """Half the mean absolute error's 95 % interval (Student's t), where the test molecules are few."""
    from scipy.stats import t as student

    n = int(metrics["test_size"])
    if n >= _FEW_TESTED:
        return None
    if n < 2:
        return math.inf
    variance = max(0.0, metrics["rmse"] ** 2 - metrics["mae"] ** 2) / (n - 1)
    return float(student.ppf(0.975, n - 1)) * math.sqrt(variance)


def _draw(ledger: Ledger, metrics: Sequence[Mapping[str, float]], folder: Path) -> None:
    """Plots as files in ``plots/``."""
    target, quantity = folder / "plots", ledger.quantity
    target.mkdir(exist_ok=True)
    last = int(metrics[-1]["round"])
    predictions = folder / "rounds" / f"{last:02d}" / "test_predictions.csv"
    # comments=None: `#` is a triple bond here.
    columns = np.loadtxt(predictions, delimiter=",", skiprows=1, usecols=(1, 2, 3, 4), ndmin=2, comments=None)
    truth, predicted, std, levels = columns.T
    plots.learning_curve(metrics, target / "learning_curve.png", quantity, twin=twin_metrics(folder))
    plots.parity(truth, predicted, std, target / "parity.png", quantity.unit)
    plots.uncertainty(truth, predicted, std, target / "uncertainty.png", quantity.unit)
    plots.calibration(levels, predicted - truth, std, target / "calibration.png", quantity.unit)
    acquired = [(c, value) for c, value in ledger.labelled("training") if c.round > 0]
    if acquired:
        newest = acquired[::-1][:_MOST_DRAWN][::-1]
        captions = [f"round {c.round}: {value:.2f} {quantity.unit}" for c, value in newest]
        plots.molecules([c.smiles for c, _ in newest], captions, target / "acquired.png")
    _draw_proposals(ledger, target / "proposed.png")


def _drawings(folder: Path) -> dict[str, str]:
    """The plots' names and contents, as data URIs."""
    names = ("learning_curve", "parity", "uncertainty", "calibration", "proposed", "acquired", "front")
    paths = {name: folder / "plots" / f"{name}.png" for name in names}
    return {name: pages.data_uri(path) for name, path in paths.items() if path.exists()}


def _draw_proposals(ledger: Ledger, path: Path) -> None:
    """What was proposed last and passed screening, and what was taken of it, beside the start molecules."""
    screened = [c for c in ledger.candidates() if c.round > 0 and c.status not in ("proposed", "rejected")]
    if not screened:
        return
    last = max(c.round for c in screened)
    sets = {
        "start": [c.smiles for c in ledger.candidates(round_=0, status=("labelled",))],
        f"proposed, round {last}": [c.smiles for c in screened if c.round == last],
        "acquired so far": [c.smiles for c in screened if c.status in ("acquired", "labelled")],
    }
    plots.make_up({name: smiles for name, smiles in sets.items() if smiles}, path)


def _row(row: Mapping[str, float], quantity: Quantity) -> dict[str, str]:
    """A round's metrics as text."""
    text = {name: f"{row[name]:.0f}" for name in ("round", "labels", "test_size")}
    text |= {name: f"{row[name]:.3f}" for name in _COLUMNS}
    baselines = [name for name in row if name.startswith("baseline_")]
    text |= {name: f"{row[name]:.3f}" for name in baselines}
    if quantity.energy:
        text |= {f"{name}_kcal": f"{row[name] / KCAL_PER_MOL:.1f}" for name in (*_COLUMNS, *baselines)}
    text |= {"r2": f"{row['r2']:.4f}", "spearman": f"{row['spearman']:.2f}", "ence": f"{row['ence']:.2f}"}
    text["area"] = f"{row['miscalibration_area']:.3f}"
    text["coverage"] = f"{100 * row['coverage_90']:.0f} %"
    return text


def _facts(
    config: CampaignConfig, metrics: Sequence[RoundMetrics], folder: Path, quantity: Quantity
) -> list[tuple[str, str]]:
    twin = twin_metrics(folder)
    surrogate = config.surrogate
    flat = "RDKit's drawing" if surrogate.layout == "depiction" else "topological distances"
    mode = f"2D, {flat}" if surrogate.mode == "2d" else f"3D, {surrogate.geometry} geometries"
    verdict = "no round has been evaluated yet"
    if metrics:
        verdict = campaign_verdict(metrics, tier_of_campaign(config), quantity)
    heads = f" of {surrogate.heads} heads" if surrogate.heads > 1 else ""
    learning = _LEARNING[surrogate.learning]
    if cheap := metrics[-1].get("cheap_labels") if metrics else None:
        learning += f", after {cheap:.0f} cheap energies (no labels)"
    return [
        ("verdict", verdict),
        *([("random twin", twin_verdict(metrics, twin, quantity.unit))] if metrics and twin else []),
        *([("forecast", said)] if (said := forecast_of(config, metrics, quantity)) else []),
        *([("lever", said)] if (said := missing_lever(config, metrics)) else []),
        *([("guard", said)] if (said := guard_verdict(metrics)) else []),
        *([("intervals", said)] if (said := acquired_verdict(metrics)) else []),
        ("surrogate", f"{_WHAT[surrogate.representation].format(surrogate.members)}{heads}, {mode}"),
        ("learns", learning),
        *([("domain", str(config.domain))] if config.domain.constrained else []),
        ("acquisition", config.acquisition.name),
        ("proposer", config.proposer.kind),
        ("seed", str(config.seed)),
    ]


def _fates(ledger: Ledger) -> tuple[list[int], list[tuple[str, str, list[str]]]]:
    """The rounds, and a row for each fate: what, why, and how many molecules in each round."""
    counted = {(status, reason, round_): n for round_, status, reason, n in ledger.reasons()}
    rounds = sorted({round_ for _, _, round_ in counted})
    kinds = sorted(
        {(status, reason) for status, reason, _ in counted}, key=lambda k: (_FATES.index(k[0]), k[1])
    )
    return rounds, [
        (status.replace("_", " "), reason, [str(counted.get((status, reason, r), "–")) for r in rounds])
        for status, reason in kinds
    ]


def _failures(ledger: Ledger) -> list[tuple[int, str, str]]:
    return [(c.round, c.smiles, c.reason) for c in ledger.candidates(status=("failed",))]


def _stage_seconds(ledger: Ledger) -> list[dict[str, Any]]:
    rounds: dict[int, dict[str, str]] = {}
    for round_, stage, seconds in ledger.stages():
        rounds.setdefault(round_, {})[stage] = f"{seconds:.1f}"
    return [{"round": round_, "stages": stages} for round_, stages in rounds.items()]
