"""Changes to a campaign under way, in words: settings that were changed, labels that it waits for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from rich.table import Table

from alkit.config.schema import CampaignConfig
from alkit.simulators.manual import MANUAL
from alkit.storage.ledger import Ledger


def facts(ledger: Ledger, config: CampaignConfig) -> list[tuple[str, str]]:
    """Names and texts for the report; nothing of a campaign that ran as it began."""
    asked = len(ledger.candidates(status=("acquired",))) if config.simulator.kind == MANUAL else 0
    changed = "; ".join(f"{change} from round {round_} on" for round_, change in ledger.changes())
    found = [
        ("waits for", f"{asked} labels" if asked else ""),
        ("forked from", ledger.meta("forked_from") or ""),
        ("changed under way", changed),
    ]
    return [(name, text) for name, text in found if text]


def asked_table(column: str, molecules: Iterable[Mapping[str, Any]], unit: str = "eV") -> Table:
    """Molecules of which a campaign asks for labels, as a terminal table.

    Args:
        column: that the labels belong to.
        molecules: with the keys of `alkit.campaign.asking.Wanted`.
        unit: of predictions.
    """
    shown = Table(title=f"Labels to come ({column})", title_justify="left")
    for heading in ("id", "molecule", "role", f"prediction [{unit}]", "why"):
        shown.add_column(heading)
    for row in molecules:
        predicted = "" if row["prediction"] is None else f"{row['prediction']:.3f} ± {row['std']:.3f}"
        shown.add_row(str(row["id"]), row["smiles"], row["role"], predicted, row["why"])
    return shown
