"""When a campaign ends: any one rule is enough, and the one that did is named.

Every rule reads the ledger alone, so a resumed campaign ends where an uninterrupted one does. The test set
has no part in it: rules that need an error take the validation error.
"""

import math
from collections.abc import Mapping, Sequence

from scipy.stats import t as student

from alkit.config.schema import StopConfig
from alkit.storage.ledger import Ledger
from alkit.storage.words import SCREENED

REJECTING = ("screen", "predict")  # stages that may leave no candidate


def stop_reason(stop: StopConfig, ledger: Ledger) -> str | None:
    """The rule that ends the campaign of a ledger, in words; None if it goes on."""
    metrics, stages = ledger.metrics(), ledger.stages()
    if stages and stages[-1][1] in REJECTING and exhausted(ledger, stages[-1][0]):
        return f"round {stages[-1][0]}: no proposal was left after screening"
    if stages and stages[-1][1] != "evaluate":
        return None
    unit = ledger.quantity.unit
    return reason_to_stop(stop, metrics, sum(seconds for _, _, seconds in stages), unit)


def exhausted(ledger: Ledger, round_: int) -> bool:
    """Whether all proposals of a round were rejected."""
    return not ledger.candidates(round_=round_, status=SCREENED)


def reason_to_stop(
    stop: StopConfig, metrics: Sequence[Mapping[str, float]], seconds: float, unit: str = "eV"
) -> str | None:
    """The rule that ends the campaign after the last evaluated round, in words, or None.

    Args:
        stop: the rules.
        metrics: of every evaluated round, with ``round``, ``labels`` and ``validation_mae`` (in ``unit``).
        seconds: wall time of all stages so far.
        unit: of the labels.
    """
    if not metrics:
        return None
    last = metrics[-1]
    errors = [row["validation_mae"] for row in metrics]
    since_best = len(errors) - 1 - errors.index(min(errors))
    if stop.target_mae is not None and (bound := _bound(last, stop.confidence)) <= stop.target_mae:
        sure = f", at most {bound:.4f} {unit} with {100 * stop.confidence:.0f} %," if stop.confidence else ""
        reached = f"reached the target of {stop.target_mae:g} {unit}"
        return f"validation MAE {last['validation_mae']:.4f} {unit}{sure} {reached}"
    if stop.labels is not None and last["labels"] >= stop.labels:
        return f"{last['labels']:.0f} labels, of {stop.labels} asked for"
    if stop.rounds is not None and last["round"] >= stop.rounds:
        return f"round {last['round']:.0f} of {stop.rounds} is done"
    if stop.hours is not None and seconds >= 3600 * stop.hours:
        return f"{seconds / 3600:.2f} hours of work, of {stop.hours:g} allowed"
    if stop.plateau is not None and since_best >= stop.plateau:
        return f"no better validation MAE for {stop.plateau} rounds"
    return None


def _bound(row: Mapping[str, float], confidence: float | None) -> float:
    """The value that the validation MAE does not exceed with this probability (Student's t).

    Without a probability it is the MAE as measured. It is infinite for rounds of earlier revisions, which did
    not keep the standard error.
    """
    if confidence is None:
        return row["validation_mae"]
    if "validation_error" not in row:
        return math.inf
    quantile = float(student.ppf(confidence, row["validation_size"] - 1))
    return row["validation_mae"] + quantile * row["validation_error"]
