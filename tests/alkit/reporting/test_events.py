"""One stream of events, and its listeners: terminal, lines, JSON, log."""

import io
import json
import logging
import math
import time
from pathlib import Path

import pytest
from rich.console import Console

from alkit.errors import ConfigError
from alkit.properties import Quantity
from alkit.reporting.events import (
    EVENTS,
    CampaignBegins,
    CampaignEnds,
    LabelEvent,
    Message,
    RoundEvent,
    StageBegins,
    StageEvent,
    StagesExpected,
    StepsEvent,
    as_record,
    counts_of,
    duration,
    reasons,
)
from alkit.reporting.json_lines import JsonLines
from alkit.reporting.logs import log_file
from alkit.reporting.progress import CampaignProgress
from alkit.reporting.terminal import Bars, PlainLines, learning_curve
from alkit.storage.round_metrics import RoundMetrics

FOLDER = Path("/home/somebody/projects/molecules/runs/first")
METRICS = RoundMetrics.from_values(
    {"round": 1, "labels": 100, "mae": 0.217, "baseline_elements": 0.873, "baseline_bonds": 0.341}
)
LABEL = LabelEvent(
    FOLDER, 1, "CCO", "timeout", "120 s", "computed", 28, 40, {"identity_changed": 9, "timeout": 3}
)
BEGINS = CampaignBegins(
    FOLDER, "first", "0.1.0", "GFN2-xTB u0 [eV]", "no baseline", "cpu", "2, local", "round 0, evaluate",
    "mlflow server --backend-store-uri sqlite:////home/somebody/projects/molecules/mlflow.db",
    "http://127.0.0.1:5000/#/experiments/1/runs/b82cd2ec8fa24b9194f6d9b476daf5f1",
)  # fmt: skip
STAGE = StageEvent(
    FOLDER, 1, "label", 200.4, None, counts_of([("labelled", "", 28), ("failed", "timeout", 12)])
)
STREAM = [
    BEGINS,
    StagesExpected(3, 10),
    StageBegins(FOLDER, 1, "label"),
    StepsEvent("labelling at GFN2-xTB u0 [eV]", 0, 40),
    LABEL,
    StepsEvent("labelling at GFN2-xTB u0 [eV]", 28, 40),
    StepsEvent("labelling at GFN2-xTB u0 [eV]", 28, 40, ended=True),
    STAGE,
    RoundEvent(FOLDER, 1, METRICS, 0.311),
    Message("guard: it goes astray", warning=True),
    CampaignEnds(FOLDER, "finished", "round 1 of 1 is done", 2),
]


def test_each_kind_of_event_is_in_the_stream_and_has_its_name():
    assert {type(event) for event in STREAM} == set(EVENTS.values())
    assert all(EVENTS[name].event == name for name in EVENTS)


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0.04, "0.0 s"), (9.96, "10 s"), (59.6, "1 min 0 s"), (3725, "1 h 2 min"), (200.4, "3 min 20 s")],
)
def test_durations(seconds, said):
    assert duration(seconds) == said


def test_reasons_are_sorted_by_how_many():
    assert reasons({"failed: timeout": 3, "failed: identity_changed": 9}) == "identity_changed 9, timeout 3"
    assert str(LABEL) == "12 of 28 failed: identity_changed 9, timeout 3 (CCO: timeout)"


def test_a_round_says_its_error_against_what_is_trivial():
    said = str(RoundEvent(FOLDER, 1, METRICS, 0.311))
    assert said == (
        "round 1: 100 labels, test MAE 0.217 eV (5.0 × chemical accuracy), last round 0.311 eV; "
        "element counts 0.873, bond counts 0.341"
    )
    assert str(RoundEvent(FOLDER, 1, METRICS, None, twin=True)).startswith("random twin, round 1: ")


def test_nothing_but_an_energy_is_called_chemically_accurate():
    said = str(RoundEvent(FOLDER, 1, METRICS, None, "D", None))
    assert said == "round 1: 100 labels, test MAE 0.217 D; element counts 0.873, bond counts 0.341"
    console = Console(file=io.StringIO(), width=80, record=True)
    console.print(learning_curve([{"labels": 50, "mae": 0.5}], Quantity.of("dipole")))
    shown = console.export_text()
    assert "[Debye]" in shown
    assert "chemical" not in shown


def test_json_lines_parse_and_hold_every_attribute():
    stream = io.StringIO()
    lines = JsonLines(stream)
    for event in STREAM:
        lines(event)
    rows = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert [row["event"] for row in rows] == [
        event.event for event in STREAM if not isinstance(event, StepsEvent) or event.done == 0 or event.ended
    ]
    by_event = {row["event"]: row for row in rows}
    assert by_event["label"]["failed"] == {"identity_changed": 9, "timeout": 3}
    assert by_event["stage_ends"]["counts"] == {"labelled": 28, "failed": 12, "failed: timeout": 12}
    assert by_event["round_ends"]["metrics"]["mae"] == 0.217
    assert by_event["campaign_begins"]["folder"] == str(FOLDER)
    assert all(row["time"].endswith("+00:00") for row in rows)


def test_json_has_no_word_for_what_is_not_finite():
    metrics = RoundMetrics.from_values({"round": 0, "spearman": math.nan, "max": math.inf})
    record = as_record(RoundEvent(FOLDER, 0, metrics))
    assert record["metrics"] == {"round": 0, "spearman": None, "max": None}
    json.dumps(record, allow_nan=False)


def test_lines_of_a_pipe_are_timed_and_in_order():
    out = io.StringIO()
    progress = CampaignProgress(Console(file=out, width=80))
    with progress:
        for event in STREAM:
            progress.send(event)
    lines = out.getvalue().splitlines()
    assert all(time.strptime(line[:8], "%H:%M:%S") and line[8:10] == "  " for line in lines)
    said = [line[10:] for line in lines]
    assert said[:2] == ["campaign: first, alkit 0.1.0", f"folder: {FOLDER}"]  # long lines stay whole
    assert said[-4:] == [
        "round 1, label: begins",
        "round 1, label (3 min 20 s): 28 labelled, 12 of 40 failed: timeout 12",
        str(RoundEvent(FOLDER, 1, METRICS, 0.311)),
        "guard: it goes astray",
    ]


def test_a_long_stage_says_every_now_and_then_how_far_it_is():
    out = io.StringIO()
    with PlainLines(Console(file=out, width=80), every=0.05) as lines:
        for event in STREAM[:6]:
            lines(event)
        _until(lambda: "28 of 40" in out.getvalue())
        lines(STREAM[6])
        _until(lambda: "so far" in out.getvalue())
        lines(STAGE)
        ended = out.getvalue()
        time.sleep(0.2)
        assert out.getvalue() == ended  # nothing is at work
    within = next(line for line in out.getvalue().splitlines() if "28 of 40" in line)
    assert "round 1, label: labelling at GFN2-xTB u0 [eV], 28 of 40; 12 of 28 failed: ident" in within
    assert within.endswith(" left")


def _until(true, seconds: float = 10.0) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end
        time.sleep(0.01)


@pytest.mark.parametrize("width", [80, 120])
def test_a_terminal_shows_header_bars_failures_and_cuts_nothing(width):
    console = Console(file=io.StringIO(), width=width, force_terminal=True, record=True)
    bars = Bars(console)
    for event in STREAM[:6]:
        bars(event)
    console.print(bars._bars.get_renderable())
    for event in STREAM[6:]:
        bars(event)
    shown = console.export_text()
    assert "…" not in shown
    assert max(map(len, shown.splitlines())) <= width
    flat = " ".join(shown.split())
    for words in (
        "first alkit 0.1.0",
        "GFN2-xTB u0 [eV]",
        "resumed after round 0, evaluate",
        "28/40",
        "3/10",
    ):
        assert words in flat
    assert "12 of 28 failed: identity_changed 9, timeout 3" in flat
    assert "round 1: 100 labels, test MAE 0.217 eV (5.0 × chemical accuracy)" in flat
    assert "labelling" not in "".join(str(task.description) for task in bars._bars.tasks)  # it has ended


def test_the_learning_curve_keeps_first_and_last_and_fits():
    console = Console(file=io.StringIO(), width=80, record=True)
    console.print(learning_curve([{"labels": 50 * (i + 1), "mae": 1 / (i + 1)} for i in range(40)]))
    lines = [line.rstrip() for line in console.export_text().splitlines() if line.strip()]
    assert lines[1].split() == ["labels", "test", "MAE", "[eV]"]
    rows = [line.split() for line in lines[2:-2]]
    assert (rows[0][:2], rows[-1][:2]) == (["50", "1.000"], ["2000", "0.025"])
    assert len(rows) == 12
    assert max(map(len, lines)) <= 80


def test_the_log_has_the_lines_and_its_file_the_times(tmp_path, caplog):
    path = tmp_path / "run.log"
    with log_file(path), caplog.at_level(logging.INFO, "alkit"):
        progress = CampaignProgress()
        for event in STREAM:
            progress.send(event)
    levels = {record.getMessage(): record.levelname for record in caplog.records}
    assert levels["guard: it goes astray"] == "WARNING"
    assert levels["12 of 28 failed: identity_changed 9, timeout 3 (CCO: timeout): 120 s"] == "INFO"
    assert len(path.read_text().splitlines()) == len(caplog.records) == 7
    assert logging.getLogger("alkit").handlers == [logging.getLogger("alkit").handlers[0]]
    with (
        pytest.raises(ConfigError, match=r"--log-file .*nowhere"),
        log_file(tmp_path / "nowhere" / "run.log"),
    ):
        pass


def test_steps_say_where_they_begin_and_end():
    heard = []
    with CampaignProgress(listeners=[heard.append]).steps("work", 3) as advance:
        advance(2)
    assert [(e.done, e.total, e.ended) for e in heard] == [(0, 3, False), (2, 3, False), (2, 3, True)]


def test_epochs_say_their_errors():
    heard, out = [], io.StringIO()
    lines = PlainLines(Console(file=out, width=80), every=0.05)
    with CampaignProgress(listeners=[heard.append, lines]).epochs(4) as advance, lines:
        advance(0, 0, {"val_MAE": 0.5})
        advance(1, 0, {"val_MAE": 0.25, "val_forces_MAE": 0.125})
        _until(lambda: "training, 2 of 4; MAE 0.2500 eV, 0.1250 eV/Å; " in out.getvalue())
    assert [(event.done, event.note, event.ended) for event in heard] == [
        (0, "", False),
        (1, "MAE 0.5000 eV", False),
        (2, "MAE 0.2500 eV, 0.1250 eV/Å", False),
        (2, "", True),
    ]


def test_more_listeners_leave_the_others_alone():
    first, second = [], []
    progress = CampaignProgress(listeners=[first.append])
    progress.also(second.append).say("both")
    progress.say("one")
    assert [str(event) for event in first] == ["both", "one"]
    assert [str(event) for event in second] == ["both"]
