"""Campaigns, pools and results as a notebook shows them."""

from __future__ import annotations

import html
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas

_SHOWN = ("round", "labels", "mae", "rmse", "q95", "r2", "coverage_90", "spearman", "baseline_elements")


def page(title: str, rounds: pandas.DataFrame, *more: str) -> str:
    """HTML: a title, sentences, and the rounds with their main metrics."""
    said = "".join(f"<p>{html.escape(sentence)}</p>" for sentence in more)
    columns = [name for name in _SHOWN if name in rounds]
    table = rounds[columns].to_html(index=False, float_format="{:.3f}".format) if len(rounds) else ""
    return f"<b>{html.escape(title)}</b>{said}{table}"
