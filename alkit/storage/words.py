"""The words that a ledger's rows may have."""

from typing import Literal

Role = Literal["training", "validation", "test"]
Source = Literal["computed", "cache", "ledger"]
# proposed -> rejected | screened -> not_acquired | acquired -> labelled | failed
Status = Literal["proposed", "rejected", "screened", "not_acquired", "acquired", "labelled", "failed"]
