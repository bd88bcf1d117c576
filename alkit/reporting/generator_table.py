"""How good a generator is, as a terminal table."""

from typing import Any

from rich.table import Table

_NAMES = {
    "heavy_atoms": "heavy atoms",
    "rings": "rings",
    "smallest_ring": "smallest ring",
    "unsaturation": "rings and pi bonds",
    "sa_score": "SA score",
}


def evaluation_table(report: dict[str, Any]) -> Table:
    """`generator.metrics.summary` as a table."""
    shown = Table(
        "", "drawn", "training set", "distance", title=f"{report['count']:,} draws", title_justify="left"
    )
    for name in ("valid", "unique", "novel", "valid_unique_novel"):
        shown.add_row(name.replace("_", " · "), f"{100 * report[name]:.1f} %", "", "")
    for name, (drawn, training) in report["means"].items():
        distance = report["distance"].get(name)
        if name.startswith("share_"):
            cells = f"{100 * drawn:.1f} %", f"{100 * training:.1f} %", ""
        else:
            cells = f"{drawn:.2f}", f"{training:.2f}", "" if distance is None else f"{distance:.3f}"
        shown.add_row(_NAMES.get(name, name.removeprefix("share_")), *cells)
    shown.caption = (
        "Means of the valid draws; unique: of valid, novel: of unique. Distance: of two histograms, 0 to 1. "
        "SA score: 1 easy to 10 hard to make."
    )
    return shown
