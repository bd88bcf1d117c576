"""The live table of a notebook, by the events of a campaign, in a real kernel."""

import re
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from alkit.reporting.live import live_listeners

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
def outputs() -> list[list]:
    cells = [nbformat.v4.new_code_cell(text) for text in (EVENTS, RUN, END, RUN + END)]
    notebook = nbformat.v4.new_notebook(cells=cells)
    NotebookClient(notebook, timeout=300, kernel_name="python3").execute()
    return [cell.outputs for cell in notebook.cells]


def html_of(shown: list) -> str:
    (one,) = shown  # one place, which each event changes
    return one["data"]["text/html"]


def test_a_running_campaign_is_one_picture_that_changes(outputs):
    shown = html_of(outputs[1])
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


def test_it_says_how_it_ended_and_what_was_said(outputs):
    shown = html_of(outputs[2])
    assert "finished: round 1 of 1 is done" in shown
    assert "guard: &lt;it&gt; goes astray" in shown
    assert "<progress" not in shown


def test_a_second_run_in_a_cell_goes_on_in_its_place(outputs):
    assert "finished: round 1 of 1 is done" in html_of(outputs[3])
    assert "<svg" in html_of(outputs[3])


def test_outside_of_a_kernel_nothing_is_shown():
    assert live_listeners() == []


def test_ipython_is_not_imported(tmp_path: Path):
    import subprocess
    import sys

    code = (
        "import sys; from alkit.reporting.live import live_listeners; live_listeners(); "
        "print('IPython' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
