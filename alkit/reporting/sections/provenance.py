"""Where the numbers come from: versions, commit, seeds, levels, hosts, dates, hashes; the files beside."""

from __future__ import annotations

import hashlib
import platform
import subprocess
from collections import Counter
from collections.abc import Iterable
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from alkit.config.schema import CampaignConfig
from alkit.files import digest
from alkit.storage.ledger import Ledger
from alkit.storage.round_files import TEST_FILE, round_file
from alkit.storage.round_metrics import RoundMetrics

_PACKAGES = ("alkit", "numpy", "torch", "schnetpack", "rdkit", "scikit-learn", "xtb", "tblite")
_FILES = {
    "ledger.sqlite": "every candidate and every label",
    "campaign.yaml": "the settings",
    "plots": "the plots of this page as SVG, the main ones as PNG too",
    "rounds": "models, predictions and training curves of every round",
}


def facts(
    ledger: Ledger, config: CampaignConfig, folder: Path, metrics: list[RoundMetrics]
) -> list[tuple[str, str]]:
    """Names and texts."""
    labelled = list(ledger.histories(finished=True))
    dates = sorted(str(row["finished"]) for row in labelled)
    found = [
        ("level of theory", str(ledger.level or "no label yet")),
        ("labels from", _counts(row["source"] for row in labelled)),
        ("hosts of labels", _counts(row["host"] for row in labelled)),
        ("versions of labels", _counts(row["version"] and f"alkit {row['version']}" for row in labelled)),
        ("dates of labels", f"{dates[0]} to {dates[-1]}" if dates else ""),
        ("seed", str(config.seed)),
        ("this page by", f"{_versions()}; {platform.platform()}"),
        ("commit", _commit()),
        ("test set", _test_set(ledger)),
        ("model", _model(folder, metrics)),
    ]
    return [(name, text) for name, text in found if text]


def files(folder: Path, metrics: list[RoundMetrics]) -> list[tuple[str, str]]:
    """Relative addresses of the files beside the page, and what is in them."""
    found = dict(_FILES)
    if metrics:
        last = metrics[-1].round
        found[round_file(Path(), last, TEST_FILE).as_posix()] = "predictions of the test set, last round"
        found[round_file(Path(), last, "model").as_posix()] = "the last surrogate"
    return [(name, words) for name, words in found.items() if (folder / name).exists()]


def _counts(values: Iterable[Any]) -> str:
    counts = Counter(value for value in values if value)
    return ", ".join(f"{value} ({count:,})" for value, count in counts.most_common())


def _versions() -> str:
    found = []
    for name in _PACKAGES:
        try:
            found.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            continue
    return ", ".join(found)


@cache
def _commit() -> str:
    """The commit of alkit's working copy; empty where it is installed without one."""
    root = Path(__file__).parents[3]
    if not (root / ".git").exists():
        return ""
    command = ["git", "-C", str(root), "describe", "--always", "--dirty", "--abbrev=12"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True)
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.strip()


def _test_set(ledger: Ledger) -> str:
    rows = sorted(f"{candidate.smiles} {value!r}" for candidate, value in ledger.labelled("test"))
    if not rows:
        return ""
    return f"{len(rows):,} molecules, SHA-256 of SMILES and labels {_short(_sha256(rows))}"


def _model(folder: Path, metrics: list[RoundMetrics]) -> str:
    if not metrics:
        return ""
    model = round_file(folder, metrics[-1].round, "model")
    parts = sorted(path for path in model.rglob("*") if path.is_file()) if model.is_dir() else []
    return f"round {metrics[-1].round}, SHA-256 of its files {_short(digest(*parts))}" if parts else ""


def _sha256(lines: list[str]) -> str:
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def _short(name: str) -> str:
    return name[:16]
