"""Campaigns that exist, side by side: learning curves, a table, and a verdict in words."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich import box
from rich.table import Table as TerminalTable

from alkit.campaign.folder import open_campaign
from alkit.config.schema import CampaignConfig
from alkit.errors import CampaignError
from alkit.files import replace_file, write_text
from alkit.reporting import html as pages
from alkit.reporting.page_parts import Plot, Table
from alkit.reporting.savings import Curve, labels_ratio
from alkit.reporting.sections.rounds import mae_text
from alkit.reporting.verdicts import tier_of_campaign
from alkit.simulators.base import Level
from alkit.storage.round_files import TEST_FILE, read_table, round_file
from alkit.storage.round_metrics import RoundMetrics
from alkit.studies import curves
from alkit.studies.statistics import paired_bootstrap

_METRICS = ("mae", "rmse", "q95")
_AS_MANY = 0.005  # of the logarithm of a ratio of labels


@dataclass(frozen=True, eq=False)
class Side:
    """One of the campaigns.

    Attributes:
        name: of its folder, or the folder where several have one name.
        metrics: of its rounds.
        errors: absolute test errors of the last round by SMILES, in the unit of the labels.
        hours: of wall time.
    """

    name: str
    config: CampaignConfig
    level: Level
    metrics: list[RoundMetrics]
    errors: dict[str, float]
    hours: float

    @property
    def curve(self) -> Curve:
        """The campaign's errors against its labels."""
        return Curve(self.metrics)


def read_sides(folders: Sequence[Path]) -> list[Side]:
    """The campaigns of these folders, in this order.

    Raises:
        CampaignError: fewer than two, one without an evaluated round, or of different levels of theory.
    """
    paths = [folder.resolve() for folder in folders]
    if len(set(paths)) < 2:
        raise CampaignError("Two different campaign folders or more are needed for a comparison.")
    names = [path.name for path in paths]
    unique = names if len(set(names)) == len(names) else [str(folder) for folder in folders]
    sides = [_read(folder, name) for folder, name in zip(folders, unique, strict=True)]
    levels = {str(side.level): side.name for side in sides}
    if len(levels) > 1:
        said = ", ".join(f"{name} has {level}" for level, name in levels.items())
        raise CampaignError(f"Labels of different levels of theory are never compared: {said}.")
    return sides


def verdict(sides: Sequence[Side]) -> list[str]:
    """A sentence for each campaign against the first, and what limits it.

    Test errors choose nothing here: they describe campaigns that are over.
    """
    first, *others = sides
    sentences = [_against(side, first) for side in others]
    sentences.append("One campaign of each kind says little; `alkit study campaign` compares several seeds.")
    return sentences


def comparison_table(sides: Sequence[Side]) -> TerminalTable:
    """The campaigns as a terminal table."""
    table = _table(sides)
    shown = TerminalTable(box=box.SIMPLE_HEAD, title_justify="left", title=table.title)
    for k, heading in enumerate(table.headings):
        shown.add_column(heading, justify="left" if k == 0 else "right", overflow="fold")
    for row in table.rows:
        shown.add_row(*row)
    return shown


def write_page(sides: Sequence[Side], path: Path) -> None:
    """Write the comparison as an HTML page that is one file."""
    with tempfile.TemporaryDirectory() as folder:
        plots = [plot.shown(Path(folder), redraw=True) for plot in _plots(sides)]
    html = pages.render(
        "comparison",
        level=sides[0].level,
        verdict=verdict(sides),
        plots=plots,
        tables=[_table(sides), _settings(sides)],
    )
    replace_file(path, lambda part: write_text(part, html))


def _read(folder: Path, name: str) -> Side:
    config, ledger = open_campaign(folder)
    with closing(ledger):
        metrics, level = ledger.metrics(), ledger.level
        if not metrics or level is None:
            raise CampaignError(f"{folder} has no evaluated round yet; run its first round.")
        smiles, columns = read_table(round_file(folder, metrics[-1].round, TEST_FILE))
        errors = dict(zip(smiles, np.abs(columns[:, 1] - columns[:, 0]).tolist(), strict=True))
        seconds = sum(seconds for _, _, seconds in ledger.stages())
    return Side(name, config, level, metrics, errors, seconds / 3600)


def saved(side: Side, first: Side) -> float | None:
    """Labels of ``first`` over those of ``side`` at the lowest test MAE that both reach.

    None where they were tested on different molecules, or one is below that error from its first round on.
    How many labels it needed is then not known.
    """
    level = _both_reach(side, first)
    if (
        side.errors.keys() != first.errors.keys()
        or min(one.curve.of("mae")[0] for one in (side, first)) < level
    ):
        return None
    return labels_ratio(side.curve, first.curve, "mae")


def _both_reach(side: Side, first: Side) -> float:
    return float(max(side.curve.of("mae")[-1], first.curve.of("mae")[-1]))


def _against(side: Side, first: Side) -> str:
    ratio, last = saved(side, first), _last(side, first)
    if side.errors.keys() != first.errors.keys():
        return f"{side.name} and {first.name} were tested on different molecules: {last}."
    if ratio is None:
        return f"{side.name} and {first.name} have no range of errors in common: {last}."
    gain = f"{ratio:.2f} times fewer labels than" if ratio >= 1 else f"{1 / ratio:.2f} times more labels than"
    if abs(np.log(ratio)) < _AS_MANY:
        gain = "as many labels as"
    aim = f"a test MAE of {_both_reach(side, first):.3f} {first.level.unit}"
    return f"{side.name} needs {gain} {first.name} for {aim}; {last}."


def _last(side: Side, first: Side) -> str:
    """The last errors against each other, with the interval that the test molecules leave open."""
    unit, labels = first.level.unit, [int(one.metrics[-1]["labels"]) for one in (side, first)]
    with_labels = f"with {labels[0]:,} and {labels[1]:,} labels"
    if side.errors.keys() != first.errors.keys():
        values = [f"{mae_text(one.metrics[-1])} {unit}" for one in (side, first)]
        return f"{with_labels} their last errors are {values[0]} and {values[1]}, which do not compare"
    one, other = (_row(which.errors, list(first.errors)) for which in (side, first))
    found = paired_bootstrap(one, other, rng=np.random.default_rng(0))
    interval = f"95 % interval {found.low:+.4f} to {found.high:+.4f}"
    if not found.clear:
        return f"{with_labels} the last errors cannot be distinguished ({found.mean:+.4f} {unit}, {interval})"
    said = "smaller" if found.mean < 0 else "larger"
    return f"{with_labels} its last MAE is {said} by {abs(found.mean):.4f} {unit} ({interval})"


def _row(errors: dict[str, float], order: list[str]) -> NDArray[np.float64]:
    """``(1, n)``: one campaign is one seed."""
    return np.array([[errors[smiles] for smiles in order]])


def _plots(sides: Sequence[Side]) -> list[Plot]:
    return curves.learning_curves({side.name: [side.curve] for side in sides}, _METRICS, sides[0].level.unit)


def _table(sides: Sequence[Side]) -> Table:
    first, unit = sides[0], sides[0].level.unit
    rows = []
    for side in sides:
        last = side.metrics[-1]
        ratio = None if side is first else saved(side, first)
        ratio_text = "–" if ratio is None else f"{ratio:.2f}×"
        coverage = f"{100 * last['coverage_90']:.0f} %"
        rows.append(
            (side.name, str(last.round), f"{last['labels']:,.0f}", mae_text(last), ratio_text, coverage)
        )
    headings = ("campaign", "rounds", "labels", f"MAE ± 95 %, {unit}", "labels saved", "90 % holds")
    note = f"Labels saved: those of {first.name} over the other's, at the lowest MAE that both reach."
    return Table(f"Campaigns ({first.level})", headings, rows, texts=1, note=note)


def _settings(sides: Sequence[Side]) -> Table:
    rows = [
        (
            side.name,
            side.config.acquisition.name,
            str(side.config.seed),
            tier_of_campaign(side.config),
            f"{side.hours:.2f}",
        )
        for side in sides
    ]
    return Table("Settings", ("campaign", "acquisition", "seed", "tier", "hours"), rows, texts=4)
