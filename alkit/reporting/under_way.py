"""What was done to a campaign while it was under way, in words: settings that were changed, where it began."""

from __future__ import annotations

from alkit.storage.ledger import Ledger


def facts(ledger: Ledger) -> list[tuple[str, str]]:
    """Names and texts for the report; nothing of a campaign that ran as it began."""
    changed = "; ".join(f"{change} from round {round_} on" for round_, change in ledger.changes())
    found = [("forked from", ledger.meta("forked_from") or ""), ("changed under way", changed)]
    return [(name, text) for name, text in found if text]
