"""Whole campaigns side by side, from the same starts: `alkit study campaign`."""
