"""Acquisition functions side by side, on a pool whose labels are known."""
