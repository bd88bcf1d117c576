"""The fates of the candidates: the funnel, proposals, reasons, failures, and where the time went."""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from collections.abc import Sequence
from functools import partial

from alkit.reporting import plots
from alkit.reporting.molecule_drawings import molecule_svg
from alkit.reporting.page_parts import Drawing, Plot, Table, number, percent
from alkit.reporting.terminal_tables import candidate_fates
from alkit.storage.ledger import Candidate, Ledger
from alkit.storage.words import SCREENED

STAGES = ("start", "propose", "screen", "predict", "acquire", "label", "train", "evaluate")
_TAKEN = ("acquired", "labelled", "failed")
_EXAMPLES = 3  # of each reason
_MOST_FAILED_DRAWN = 12
_MOST_COUNTED = 5000  # molecules of a set: RDKit takes half a millisecond for each


def funnel(candidates: Sequence[Candidate]) -> tuple[Plot | None, Table]:
    """How far the candidates of rounds from 1 on came, together and by round."""
    by_round: dict[int, Counter] = defaultdict(Counter)
    for one in candidates:
        if one.round > 0:
            by_round[one.round][one.status] += 1
    steps = {round_: _steps(counts) for round_, counts in sorted(by_round.items())}
    names = ("proposed", "passed screening", "acquired", "labelled", "failed")
    rows = [(str(round_), *(f"{counts[name]:,}" for name in names)) for round_, counts in steps.items()]
    table = Table("Candidates by round", ("round", "proposed", "screened", *names[2:]), rows)
    if not steps:
        return None, table
    total = {name: sum(counts[name] for counts in steps.values()) for name in names}
    words = (
        f"Candidates of {number(len(steps), 'round')}: {total['proposed']:,} proposed, "
        f"{total['passed screening']:,} passed screening, {total['acquired']:,} acquired, "
        f"{total['labelled']:,} labelled, {total['failed']:,} failed. The start is left out."
    )
    return Plot("funnel", "From proposal to label", words, partial(plots.funnel, total)), table


def proposed(candidates: Sequence[Candidate]) -> list[Plot]:
    """The last proposals that passed screening, the acquired ones of them, and the start molecules."""
    screened = [one for one in candidates if one.round > 0 and one.status in SCREENED]
    if not screened:
        return []
    last = max(one.round for one in screened)
    sets = {
        "start": [one.smiles for one in candidates if one.round == 0 and one.status == "labelled"],
        f"proposed, round {last}": [one.smiles for one in screened if one.round == last],
        "acquired so far": [one.smiles for one in screened if one.status in _TAKEN],
    }
    panels = plots.shares_of(dict(_drawn(*one) for one in sets.items() if one[1]))
    return [
        Plot(
            f"proposed_{title.replace(' ', '_')}",
            f"What was proposed: {title}",
            _most_frequent(title, counted),
            partial(plots.make_up_panel, title, counted),
        )
        for title, counted in panels.items()
    ]


def _drawn(name: str, smiles: list[str]) -> tuple[str, list[str]]:
    """Some of many molecules, and their name: shares of a hundredth are seen as well in these as in all."""
    if len(smiles) <= _MOST_COUNTED:
        return name, smiles
    return f"{name}, drawn from {len(smiles):,}", random.Random(0).sample(smiles, _MOST_COUNTED)


def reasons(ledger: Ledger) -> tuple[Table, Table]:
    """Fates with their reasons: all rounds together, and each round."""
    rounds, rows = candidate_fates(ledger)
    counts = [[0 if cell == "–" else int(cell) for cell in cells] for _, _, cells in rows]
    together = [
        (fate, reason, f"{sum(numbers):,}", f"{numbers[-1]:,}")
        for (fate, reason, _), numbers in zip(rows, counts, strict=True)
    ]
    last = f"round {rounds[-1]}" if rounds else "last round"
    return (
        Table("Fates", ("fate", "reason", "all rounds", last), together, texts=2),
        Table(
            "Fates by round",
            ("fate", "reason", *map(str, rounds)),
            [(fate, reason, *cells) for fate, reason, cells in rows],
            texts=2,
        ),
    )


def failures(ledger: Ledger) -> tuple[Table, list[Drawing]]:
    """Failed labels by reason with examples, and drawings of some."""
    failed = ledger.candidates(status=("failed",))
    groups: dict[str, list[Candidate]] = defaultdict(list)
    for one in failed:
        groups[one.reason].append(one)
    ordered = sorted(groups.items(), key=lambda group: -len(group[1]))
    rows = [
        (
            reason,
            ", ".join(f"{one.smiles} (round {one.round})" for one in some[:_EXAMPLES]),
            f"{len(some):,}",
        )
        for reason, some in ordered
    ]
    drawn = [
        Drawing(molecule_svg(one.smiles), one.smiles, [reason, f"round {one.round}"])
        for reason, some in ordered
        for one in some[:_EXAMPLES]
    ]
    return Table("Failed labels", ("reason", "examples", "labels"), rows, texts=2), drawn[:_MOST_FAILED_DRAWN]


def stage_times(ledger: Ledger) -> tuple[Plot | None, Table]:
    """Wall time by stage: all rounds together, and each round in seconds."""
    total: dict[str, float] = defaultdict(float)
    rounds: dict[int, dict[str, float]] = defaultdict(dict)
    for round_, stage, seconds in ledger.stages():
        total[stage] += seconds
        rounds[round_][stage] = seconds
    rows = [
        (str(round_), *(f"{stages[name]:.1f}" if name in stages else "–" for name in STAGES))
        for round_, stages in rounds.items()
    ]
    table = Table("Seconds of wall time", ("round", *STAGES), rows)
    if not total:
        return None, table
    whole = sum(total.values())
    parts = ", ".join(
        f"{name} {percent(total[name] / whole)}" for name in STAGES if total[name] >= 0.01 * whole
    )
    words = f"Wall time of the stages of {number(len(rounds), 'round')}: {_duration(whole)} in all ({parts})."
    ordered = {name: total[name] for name in STAGES if name in total}
    return Plot("stage_times", "Time by stage", words, partial(plots.stage_times, ordered)), table


def _steps(counts: Counter) -> dict[str, int]:
    taken = sum(counts[fate] for fate in _TAKEN)
    return {
        "proposed": counts.total(),
        "passed screening": sum(counts[fate] for fate in SCREENED),
        "acquired": taken,
        "labelled": counts["labelled"],
        "failed": counts["failed"],
    }


def _most_frequent(title: str, counted: dict[str, Counter]) -> str:
    said = []
    for name, counts in counted.items():
        if counts:
            kind, count = counts.most_common(1)[0]
            said.append(f"{name}: {kind} in {percent(count / counts.total())}")
    return f"Shares of {title}. Most frequent: {'; '.join(said)}."


def _duration(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
