"""The words that a ledger's rows may have."""

from typing import Literal

# Where a candidate comes from: the kind of the proposer, the target set, or the random start.
Origin = Literal["start", "target", "generator", "pool", "evolution", "custom"]
Role = Literal["training", "validation", "test"]
Source = Literal["computed", "cache", "ledger"]
# proposed -> rejected | screened -> not_acquired | acquired -> labelled | failed
Status = Literal["proposed", "rejected", "screened", "not_acquired", "acquired", "labelled", "failed"]
