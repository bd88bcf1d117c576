"""The live table of a notebook, by the events of a campaign, in a kernel."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

EVENTS = """
from pathlib import Path
from alkit.reporting.events import *
from alkit.reporting.live import live_listeners
from alkit.reporting.progress import CampaignProgress
from alkit.storage.round_metrics import RoundMetrics

folder = Path("/runs/first")

def begin(*rounds):
    said = "first", "0.1.0", "GFN2-xTB u0 [eV]", "no baseline", "cpu", "2", "", "", ""
    return CampaignBegins(folder, *said, rounds)

def measured(round_, labels, mae):
    values = {"round": round_, "labels": labels, "mae": mae, "rmse": mae, "q95": 2 * mae, "test_size": 100}
    return RoundMetrics.from_values(values)

progress = CampaignProgress(listeners=live_listeners())
"""
RUN = """
progress.send(begin(measured(0, 40, 0.362)))
progress.send(StagesExpected(3, 10))
progress.send(StageBegins(folder, 1, "label"))
progress.send(LabelEvent(folder, 1, "CCO", "timeout", "", "computed", 5, 15, {"timeout": 2}))
progress.send(RoundEvent(folder, 1, measured(1, 55, 0.194)))
"""
END = """
progress.send(begin(measured(0, 40, 0.362), measured(1, 55, 0.194)))
progress.send(Message("guard: <it> goes astray", warning=True))
progress.send(CampaignEnds(folder, "finished", "round 1 of 1 is done", 2))
"""


@pytest.fixture(scope="module")
def pictures() -> Iterator[list[list[str]]]:
    """What each cell shows: its only picture, as it was first and after each change."""
    from ipykernel.inprocess.manager import InProcessKernelManager
    from IPython.core.interactiveshell import InteractiveShell

    before = dict(os.environ)  # a kernel sets FORCE_COLOR, for instance
    manager = InProcessKernelManager()
    manager.start_kernel()
    client = manager.client()
    client.start_channels()
    try:
        yield [shown_by(client, text) for text in (EVENTS, RUN, END, RUN + END)]
    finally:
        client.stop_channels()
        manager.shutdown_kernel()
        os.environ.clear()
        os.environ.update(before)
        for shell in type(InteractiveShell.instance()).mro():
            if issubclass(shell, InteractiveShell):
                shell._instance = None  # the tests that follow run in no kernel


def shown_by(client: Any, text: str) -> list[str]:
    client.execute(text)
    messages = []
    while client.iopub_channel.msg_ready():
        messages.append(client.get_iopub_msg(timeout=1))
    assert not [one["content"] for one in messages if one["msg_type"] == "error"]
    shown = [one["content"] for one in messages if one["msg_type"].endswith("display_data")]
    assert len({one["transient"]["display_id"] for one in shown}) <= 1
    return [one["data"]["text/html"] for one in shown]


def test_a_running_campaign_is_one_picture_that_changes(pictures):
    assert len(pictures[1]) > 2
    assert "0.194" not in pictures[1][0]
    shown = pictures[1][-1]
    assert "GFN2-xTB u0 [eV]; no baseline" in shown
    assert "round 1, label" in shown
    assert 'progress value="3" max="10"' in shown
    assert "2 of 5 failed: timeout 2" in shown
    assert re.findall(r"<td>(\d+)</td>\s*<td>(\d+)</td>\s*<td>([\d.]+)</td>", shown) == [
        ("0", "40", "0.362"),
        ("1", "55", "0.194"),
    ]
    assert "<svg" in shown
    assert "currentColor" in shown


def test_it_says_how_it_ended_and_what_was_said(pictures):
    shown = pictures[2][-1]
    assert "finished: round 1 of 1 is done" in shown
    assert "guard: &lt;it&gt; goes astray" in shown
    assert "<progress" not in shown


def test_a_second_run_in_a_cell_goes_on_in_its_place(pictures):
    assert "finished: round 1 of 1 is done" in pictures[3][-1]
    assert "<svg" in pictures[3][-1]


def test_outside_of_a_kernel_nothing_is_shown_and_ipython_is_not_imported():
    code = (
        "import sys; from alkit.reporting.live import live_listeners; "
        "print(live_listeners(), 'IPython' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[] False"
