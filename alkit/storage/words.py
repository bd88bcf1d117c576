"""The words that a ledger's rows may have."""

from typing import Literal

# Where a candidate comes from: the kind of the proposer, the target set, the start, or a list handed over.
Origin = Literal["start", "target", "generator", "pool", "evolution", "custom", "given"]
Role = Literal["training", "validation", "test"]
Source = Literal["computed", "cache", "ledger", "manual", "given"]
# proposed -> rejected | screened -> not_acquired | acquired -> labelled | failed
Status = Literal["proposed", "rejected", "screened", "not_acquired", "acquired", "labelled", "failed"]
# What has passed screening; all but the first once the round is over.
SCREENED: tuple[Status, ...] = ("screened", "not_acquired", "acquired", "labelled", "failed")

# Reasons that say which rule of the domain was broken by the first word of their detail.
RULED = ("forbidden_pattern", "missing_pattern", "outside_range", "not_allowed")


def reason_and_rule(reason: str, detail: str) -> str:
    """A reason as it is counted: with the rule of the domain that it is about."""
    return f"{reason} {detail.partition(' ')[0]}" if reason in RULED and detail else reason
