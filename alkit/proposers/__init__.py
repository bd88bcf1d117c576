"""Proposers: where candidates come from. See `alkit.proposers.base` for the contract."""

from alkit.proposers.base import ProposalContext, Proposer, proposals

__all__ = ["ProposalContext", "Proposer", "proposals"]
