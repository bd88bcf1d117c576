"""Values of the MLflow runs of a campaign and its rounds: tags, descriptions, counts, seconds, data sets."""

from __future__ import annotations

import getpass
import platform
import subprocess
from collections import Counter
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import alkit
from alkit.models.tiers import tier_of_config
from alkit.properties import column
from alkit.storage.ledger import Ledger
from surrogate.settings import pick_device

if TYPE_CHECKING:
    import pandas

    from alkit.campaign.round_state import RoundState

ROLES = ("training", "validation", "test")
_KNOWN = ("already_labelled", "in_test_set", "in_validation_set", "failed_before")
_UNITS = (
    "`mae`, `rmse`, `q95`, `max`, `sharpness`, `validation_mae`, `validation_error` and `baseline_*` are in "
    "{unit}, `seconds/*` in s; `candidates/*` and `failures/*` are numbers of molecules, `generator/*` "
    "shares of its proposals."
)
_OF_CAMPAIGN = (
    "An active-learning campaign of alkit. **Step: labels** (training and validation together). {units}"
)
_OF_ROUND = (
    "Round {round} of an active-learning campaign of alkit. **Step: epoch** of the training, in the curves "
    "`member_*`; what the round has measured stands at its last epoch. {units}"
)
_MONITORED = " The step of `system/*` is the number of the sample."


def tags_of(state: RoundState) -> dict[str, str]:
    """Where and on what the campaign runs."""
    config = state.config
    return {
        "alkit.version": alkit.__version__,
        "alkit.folder": str(state.folder),
        "alkit.level": str(state.labels.level),
        "alkit.tier": tier_of_config(config),
        "alkit.device": pick_device(config.surrogate.device),
        "alkit.host": platform.node(),
        "mlflow.user": _user(),
        "mlflow.source.git.commit": _commit(config.base),
    }


def description_of(state: RoundState, round_: int | None = None) -> str:
    """The meaning of a run's step and units, for the campaign or one of its rounds."""
    units = _UNITS.format(unit=state.labels.level.unit)
    if round_ is not None:
        return _OF_ROUND.format(round=round_, units=units)
    return _OF_CAMPAIGN.format(units=units) + (_MONITORED if state.config.tracking.system_metrics else "")


def counts_and_seconds(ledger: Ledger, round_: int) -> dict[str, float]:
    """Fates of a round's candidates, reasons why labels failed, and seconds of its stages so far."""
    counts: Counter[str] = Counter()
    for of, status, reason, n in ledger.reasons():
        if of == round_:
            counts[f"candidates/{status}"] += n
            if status == "failed":
                counts[f"failures/{reason}"] += n
    seconds = {f"seconds/{stage}": taken for of, stage, taken in ledger.stages() if of == round_}
    return {**counts, **seconds}


def generator_shares(ledger: Ledger, round_: int) -> dict[str, float]:
    """Shares of the generator's proposals that are valid, unique among these, and new among those.

    Empty for a round without proposals of the generator.
    """
    origins = ledger.origins(round_)
    reasons = [c.reason for c in ledger.candidates(round_=round_) if origins.get(c.id) == "generator"]
    if not reasons:
        return {}
    valid = [reason for reason in reasons if reason != "invalid_smiles"]
    unique = [reason for reason in valid if reason != "repeated"]
    new = [reason for reason in unique if reason not in _KNOWN]
    return {
        "generator/valid": len(valid) / len(reasons),
        "generator/unique": len(unique) / max(len(valid), 1),
        "generator/novel": len(new) / max(len(unique), 1),
    }


def datasets_of(ledger: Ledger, round_: int) -> dict[str, pandas.DataFrame]:
    """SMILES and labels of the training, validation and test molecules up to a round.

    A set without molecules is left out.
    """
    import pandas

    name = column(ledger.quantity.name, ledger.quantity.unit)
    frames = {}
    for role in ROLES:
        if rows := ledger.labelled(role, up_to_round=round_):  # type: ignore[arg-type]
            smiles, values = [c.smiles for c, _ in rows], [value for _, value in rows]
            frames[role] = pandas.DataFrame({"smiles": smiles, name: values})
    return frames


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container whose user has no name
        return ""


@cache
def _commit(project: Path) -> str:
    """The commit of the user's project; empty where it is under no version control."""
    try:
        done = subprocess.run(
            ["git", "-C", str(project), "rev-parse", "HEAD"], capture_output=True, text=True, timeout=10
        )
    except (OSError, subprocess.TimeoutExpired):  # no git here, or one that hangs
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""
