"""The report of a campaign: one HTML page to look at, with its plots as files beside it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from alkit.config.schema import CampaignConfig
from alkit.files import replace_file, write_text
from alkit.reporting import html as pages
from alkit.reporting import under_way
from alkit.reporting.best_labels import front_of
from alkit.reporting.levers import missing_lever
from alkit.reporting.molecule_drawings import molecule_grid
from alkit.reporting.page_parts import Plot
from alkit.reporting.sections import acquired, candidates, chemical_space, errors, provenance, rounds
from alkit.reporting.verdicts import (
    acquired_verdict,
    campaign_verdict,
    guard_verdict,
    labels_to_aim,
    tier_of_campaign,
    twin_metrics,
    twin_verdict,
)
from alkit.storage.ledger import Ledger
from alkit.storage.round_metrics import RoundMetrics

_WHAT = {
    "schnet": "{} SchNets",
    "painn": "{} PaiNNs",
    "kernel": "a Gaussian process",
    "committee": "a Gaussian process and {} SchNets",
    "auto": "a Gaussian process, and {} SchNets with many labels",
}
_LEARNING = {
    "direct": "the label directly",
    "delta": "the label less its baseline at the input geometry",
}


def write_report(
    ledger: Ledger,
    config: CampaignConfig,
    folder: Path,
    *,
    stopped_by: str | None = None,
    redraw: bool = True,
) -> Path:
    """Draw the plots and write ``report.html`` from what the ledger holds; returns the page's path.

    Pictures (PNG) for slides are drawn once the campaign has ended: they take an eighth of the time.

    Args:
        ledger: of the campaign.
        config: of the campaign.
        folder: where the page and its plots are written.
        stopped_by: the rule that has just ended the campaign, before the ledger knows.
        redraw: False where nothing has happened since the plots were drawn.

    Raises:
        CampaignError: a file of a round is missing or damaged.
    """
    (folder / "plots").mkdir(exist_ok=True)
    stopped_by = stopped_by or ledger.meta("stopped_by")
    page = _Page(ledger, config, folder, redraw=redraw, pictures=bool(stopped_by))
    html = pages.render(
        "report",
        name=config.name,
        stopped_by=stopped_by,
        level=ledger.level or config.target,
        config=json.dumps(config.as_dict(), indent=2),
        **page.verdict(),
        **page.of_rounds(),
        **page.of_molecules(),
        **page.of_candidates(),
    )
    replace_file(folder / "report.html", lambda path: write_text(path, html))
    return folder / "report.html"


class _Page:
    """The parts of one page, by the names that its template has for them."""

    def __init__(self, ledger: Ledger, config: CampaignConfig, folder: Path, *, redraw: bool, pictures: bool):
        self._ledger, self._config, self._folder = ledger, config, folder
        self._redraw, self._pictures = redraw, pictures
        self._metrics = ledger.metrics()
        self._twin = twin_metrics(folder)
        self._quantity = ledger.quantity
        self._unit = self._quantity.unit

    def verdict(self) -> dict[str, object]:
        config, metrics = self._config, self._metrics
        if not metrics:
            said = ["No round has been evaluated yet."]
        else:
            said = [
                campaign_verdict(metrics, tier_of_campaign(config), self._quantity),
                labels_to_aim(config, metrics, self._quantity),
                missing_lever(config, metrics),
                twin_verdict(metrics, self._twin, self._unit),
            ]
        warning = guard_verdict(metrics)
        return {
            "verdict": [sentence for sentence in said if sentence],
            "warning": f"Guard: {warning}." if warning else "",
            "facts": [*_settings(config, metrics), *under_way.facts(self._ledger, config)],
        }

    def of_rounds(self) -> dict[str, object]:
        """The learning curve, the test errors and the uncertainty of the last round."""
        metrics = self._metrics
        if not metrics:
            return {"curve": [], "main": None, "more": [], "accuracy": [], "residuals": [], "uncertainty": []}
        main, more = rounds.rounds_tables(self._ledger, self._config, metrics, self._quantity)
        tested = errors.TestErrors.read(self._folder, metrics[-1].round, self._unit)
        curve = rounds.learning_curve(metrics, self._twin, self._quantity)
        return {
            "curve": self._shown([curve]),
            "main": main,
            "more": more,
            "accuracy": self._shown(tested.accuracy_plots()),
            "residuals": tested.residual_tables(),
            "uncertainty": self._shown(tested.uncertainty_plots()),
            "intervals": acquired_verdict(metrics),
        }

    def of_molecules(self) -> dict[str, object]:
        """Acquired molecules with reasons, the map, and the Pareto front."""
        molecules = acquired.acquired_molecules(self._ledger, self._folder)
        if molecules and self._pictures:
            self._draw_grid(molecules)
        last = max((round_ for round_, _, _ in self._ledger.stages()), default=0)
        chart = chemical_space.map_of(self._ledger, self._folder, last)
        front = front_of(self._ledger, self._config)
        return {
            "why": acquired.why(self._config.acquisition.name),
            "batch": acquired.last_batch(molecules, self._unit),
            "acquired": acquired.acquired_table(molecules, self._unit) if molecules else None,
            "no_map": chart if isinstance(chart, str) else "",
            "map": [] if isinstance(chart, str) else self._shown([chart]),
            "front": front.table() if front else None,
            "front_plot": self._shown([front.plot()]) if front else [],
        }

    def of_candidates(self) -> dict[str, object]:
        """The funnel, what was proposed, fates, failures, times and provenance."""
        everyone = self._ledger.candidates()
        chart, by_round = candidates.funnel(everyone)
        times, seconds = candidates.stage_times(self._ledger)
        failed, drawn = candidates.failures(self._ledger)
        fates, fates_by_round = candidates.reasons(self._ledger)
        return {
            "funnel": self._shown([chart] if chart else []),
            "by_round": by_round,
            "proposed": self._shown(candidates.proposed(everyone)),
            "fates": fates,
            "fates_by_round": fates_by_round,
            "failed": failed,
            "failed_drawn": drawn,
            "times": self._shown([times] if times else []),
            "seconds": seconds,
            "provenance": provenance.facts(self._ledger, self._config, self._folder, self._metrics),
            "files": provenance.files(self._folder, self._metrics),
        }

    def _shown(self, some: Sequence[Plot]) -> list[dict[str, str]]:
        folder = self._folder / "plots"
        return [plot.shown(folder, redraw=self._redraw, pictures=self._pictures) for plot in some]

    def _draw_grid(self, molecules: Sequence[acquired.Acquired]) -> None:
        newest = molecules[-acquired.MOST_DRAWN :]
        captions = [f"round {one.candidate.round}: {one.label:.2f} {self._unit}" for one in newest]
        molecule_grid(
            [one.candidate.smiles for one in newest], captions, self._folder / "plots" / "acquired.png"
        )


def _settings(config: CampaignConfig, metrics: Sequence[RoundMetrics]) -> list[tuple[str, str]]:
    surrogate = config.surrogate
    flat = "RDKit's drawing" if surrogate.layout == "depiction" else "topological distances"
    mode = f"2D, {flat}" if surrogate.mode == "2d" else f"3D, {surrogate.geometry} geometries"
    heads = f" of {surrogate.heads} heads" if surrogate.heads > 1 else ""
    learning = _LEARNING[surrogate.learning]
    if cheap := metrics[-1].get("cheap_labels") if metrics else None:
        learning += f", after {cheap:.0f} cheap energies (no labels)"
    return [
        ("surrogate", f"{_WHAT[surrogate.representation].format(surrogate.members)}{heads}, {mode}"),
        ("learns", learning),
        *([("domain", str(config.domain))] if config.domain.constrained else []),
        ("acquisition", config.acquisition.name),
        ("proposer", config.proposer.kind),
    ]
