"""Acquisition functions: which molecules of the pool to label next."""

from alkit.acquisition.base import Acquisition, Pool, RoundContext, resolve, select

__all__ = ["Acquisition", "Pool", "RoundContext", "resolve", "select"]
