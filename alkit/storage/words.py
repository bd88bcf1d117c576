"""The words that a ledger's rows may have."""

from typing import Literal

# Where a candidate comes from: the kind of the proposer, the target set, the start, or a list handed over.
Origin = Literal["start", "target", "generator", "pool", "evolution", "custom", "given"]
Role = Literal["training", "validation", "test"]
Source = Literal["computed", "cache", "ledger", "told"]
# proposed -> rejected | screened -> not_acquired | acquired -> labelled | failed
Status = Literal["proposed", "rejected", "screened", "not_acquired", "acquired", "labelled", "failed"]
