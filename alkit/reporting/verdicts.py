"""The meaning of a campaign's numbers, in sentences for the report and the terminal."""

import math
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path

import numpy as np

from alkit.config.schema import CampaignConfig
from alkit.models.metrics import mae_half_width
from alkit.models.tiers import tier_of_config
from alkit.properties import ENERGY, Quantity
from alkit.reporting import forecast
from alkit.reporting.levers import near_label
from alkit.reporting.savings import Curve, labels_ratio
from alkit.storage.ledger import Ledger
from alkit.storage.round_metrics import RoundMetrics
from alkit.units import CHEMICAL_ACCURACY, KCAL_PER_MOL

TWIN = "twin"  # the folder, in a campaign's own, of the one with random selection
RISE_CONFIDENCE = 0.05  # p-value below which a validation error has risen
MOST_OUTSIDE = 0.2  # share of acquired molecules outside of the target set, four times what chance gives


def twin_metrics(folder: Path) -> list[RoundMetrics]:
    """The rounds of a campaign's random twin; none where it has no twin."""
    path = folder / TWIN / "ledger.sqlite"
    if not path.is_file():
        return []
    with closing(Ledger(path, read_only=True)) as ledger:
        return ledger.metrics()


def twin_verdict(metrics: Sequence[RoundMetrics], twin: Sequence[RoundMetrics], unit: str = "eV") -> str:
    """The gain of selection over random selection, in a sentence; empty without a twin."""
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
    """How many labels the campaign's aim takes, in a sentence.

    Empty where nothing can be said, or where it has no aim: chemical accuracy is that of energies alone.
    """
    aim = _aim(config, quantity)
    return forecast.sentence(metrics, aim, config.batch_size, quantity.unit) if metrics and aim else ""


def _aim(config: CampaignConfig, quantity: Quantity) -> float | None:
    return config.stop.target_mae or (CHEMICAL_ACCURACY if quantity.energy else None)


def labels_to_aim(
    config: CampaignConfig, metrics: Sequence[Mapping[str, float]], quantity: Quantity = ENERGY
) -> str:
    """How many labels the aim takes, or why that is not said, by validation errors alone, in a sentence."""
    aim, unit = _aim(config, quantity), quantity.unit
    if not metrics or aim is None:
        return ""
    if said := forecast_of(config, metrics, quantity):
        return said
    validation = metrics[-1].get("validation_mae")
    if validation is not None and validation <= aim:
        return f"The validation MAE, {validation:.3f} {unit}, has reached the aim of {aim:.3g} {unit}."
    if len(metrics) < forecast.FEWEST_ROUNDS:
        return f"How many labels {aim:.3g} {unit} takes is said from the third round on."
    return f"The validation errors do not fall, so nobody can say how many labels {aim:.3g} {unit} takes."


def guard_verdict(metrics: Sequence[Mapping[str, float]]) -> str:
    """Signs that the campaign learns the wrong things; empty where there is none."""
    if not metrics:
        return ""
    rise, outside = metrics[-1].get("validation_rise", 1.0), metrics[-1].get("outside_target", 0.0)
    said = []
    if rise < RISE_CONFIDENCE:
        said.append(f"the validation error is larger than in an earlier round (p = {rise:.3f})")
    if outside > MOST_OUTSIDE:
        said.append(f"{100 * outside:.0f} % of the acquired molecules lie outside of the target set")
    return "; ".join(said)


def acquired_verdict(metrics: Sequence[Mapping[str, float]]) -> str:
    """How well the intervals of acquired molecules held, in a sentence; nothing where it is not known."""
    rounds = [row for row in metrics if "acquired_coverage_90" in row]
    if not rounds:
        return ""
    held = 100 * rounds[-1]["acquired_coverage_90"]
    said = f"{held:.0f} % of the last batch's labels lay in their 90 % interval"
    if "acquired_widening" not in rounds[-1]:
        return f"{said}."
    return (
        f"{said}; intervals {rounds[-1]['acquired_widening']:.1f} times as wide, as the batches before ask "
        f"for, hold {100 * rounds[-1]['acquired_widened_90']:.0f} %."
    )


def tier_of_campaign(config: CampaignConfig) -> str:
    """The surrogate's knowledge beside its labels, in words."""
    return "; ".join(part for part in (tier_of_config(config), near_label(config)) if part)


def campaign_verdict(
    metrics: Sequence[Mapping[str, float]], on: str = "", quantity: Quantity = ENERGY
) -> str:
    """The meaning of the numbers in a sentence, ``on`` which tier."""
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


def half_width_of(metrics: Mapping[str, float]) -> float:
    """Half the width of the 95 % interval of a round's test MAE, in its unit; infinite for one molecule."""
    return mae_half_width(int(metrics["test_size"]), metrics["mae"], metrics["rmse"])


def _accuracy(metrics: Mapping[str, float]) -> str:
    kcal = metrics["mae"] / KCAL_PER_MOL
    if kcal > 1:
        return f"{kcal:.1f} times chemical accuracy"
    if metrics["mae"] + half_width_of(metrics) <= KCAL_PER_MOL:
        return "chemically accurate"
    return "within chemical accuracy, but its interval is not"


def _interval(metrics: Mapping[str, float], unit: str) -> str:
    half_width = half_width_of(metrics)
    low, high = max(0.0, metrics["mae"] - half_width), metrics["mae"] + half_width
    within = f", 95 % interval {low:.3f} to {high:.3f} {unit}" if math.isfinite(high) else ""
    n = int(metrics["test_size"])
    return f" on {n} test molecule{'s' if n != 1 else ''}{within}"
