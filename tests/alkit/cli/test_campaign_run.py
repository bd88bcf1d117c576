"""`alkit campaign run`: what it prints to a pipe, as JSON, when quiet, and into its log."""

import io
import json
import logging
import re
from pathlib import Path

import pytest

from alkit.campaign.campaign import Campaign
from alkit.cli import app
from alkit.errors import CampaignError, LabelError
from alkit.reporting.events import EVENTS
from alkit.simulators.base import Label, Level
from alkit.storage.ledger import Ledger

STAGES = ("propose", "screen", "predict", "acquire", "label", "train", "evaluate")


def _run(capsys, *arguments: object) -> tuple[int, str, str]:
    code = 0
    try:
        app.main(["campaign", "run", *map(str, arguments)])
    except SystemExit as ending:
        code = int(ending.code or 0)
    out, err = capsys.readouterr()
    return code, out, err


def test_lines_then_json_then_quiet(tiny, write_config, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    config = write_config(tiny)
    code, out, err = _run(capsys, config, "--log-file", "run.log")
    assert code == 0
    assert "run finished: round 1 of 1 is done" in out
    assert "Learning curve" in out
    said = [line[10:] for line in err.splitlines() if re.match(r"\d\d:\d\d:\d\d  ", line)]
    assert said[:4] == [
        "campaign: tiny, alkit 0.1.0", f"folder: {tiny['folder']}", "level: GFN2-xTB energy [eV]",
        "tier: no baseline",
    ]  # fmt: skip
    stages = [line for line in said if re.match(r"round \d, \w+(: begins$| \()", line)]
    expected = [(0, "start"), (0, "train"), (0, "evaluate"), *((1, name) for name in STAGES)]
    assert [re.sub(r" \(.*", "", line) for line in stages] == [
        line for r, name in expected for line in (f"round {r}, {name}: begins", f"round {r}, {name}")
    ]
    assert "round 1, propose" in " ".join(stages)
    assert [line for line in said if line.startswith("round 1: 21 labels, test MAE ")]
    logged = (tmp_path / "run.log").read_text()
    assert all(line in logged for line in stages)

    code, out, err = _run(capsys, config, "--set", "stop.rounds=2", "--json")
    rows = [json.loads(line) for line in out.splitlines()]
    assert (code, err) == (0, "")
    assert {row["event"] for row in rows} == set(EVENTS)
    assert rows[-1] | {"time": ""} == {
        "event": "campaign_ends", "time": "", "folder": tiny["folder"], "outcome": "finished",
        "reason": "round 2 of 2 is done", "rounds": 3, "waiting": 0,
    }  # fmt: skip
    begins = next(row for row in rows if row["event"] == "campaign_begins")
    assert begins["resumed_from"] == "round 1, evaluate"
    assert begins["mlflow_run"].startswith("http://127.0.0.1:5000/#/experiments/")
    ended = [(row["round"], row["stage"]) for row in rows if row["event"] == "stage_ends"]
    assert ended == [(2, name) for name in STAGES]
    assert sum(row["event"] == "label" and not row["reason"] for row in rows) == 4

    code, out, err = _run(capsys, config, "--set", "stop.rounds=3", "--quiet")
    assert (code, err) == (0, "")
    assert "run finished: round 3 of 3 is done" in out
    assert "2 together" not in out
    code, _, err = _run(capsys, config, "--quiet", "--json")
    assert (code, err.count("\n")) == (2, 1)


class Broken:
    """A simulator whose program is not there, until the file ``works`` is."""

    level = Level("made up", "energy", "eV")

    def __init__(self, works: Path):
        self.works = works

    def label(self, molecule):
        if not self.works.exists():
            raise LabelError("calculation_failed", "orca: command not found")
        energy = -3.0 * len(molecule.numbers) - 0.1
        return Label(
            smiles=molecule.smiles,
            value=energy,
            level=self.level,
            parts={},
            numbers=molecule.numbers,
            positions=molecule.positions,
            seconds=0.01,
        )


def test_where_the_first_labels_all_fail_the_campaign_stops_and_can_go_on(tiny, tmp_path):
    works, heard = tmp_path / "works", []
    given = tiny | {
        "acquisition": "random",
        "proposer": {"kind": "pool", "file": tiny["seeds"], "per_round": 20},
    }
    campaign = Campaign(given, simulator=Broken(works))
    campaign.progress.listeners.append(heard.append)
    with pytest.raises(
        CampaignError, match=r"The first 10 labels all failed .calculation_failed 10.*orca"
    ) as said:
        campaign.run()
    assert said.value.exit_code == 2
    assert (heard[-1].event, heard[-1].outcome) == ("campaign_ends", "failed")
    ledger = Ledger(campaign.folder / "ledger.sqlite", read_only=True)
    assert {c.status for c in ledger.candidates()} == {"acquired"}  # no failure is kept
    ledger.close()
    works.touch()
    assert Campaign(given, simulator=Broken(works)).run().stopped_by == "round 1 of 1 is done"


def test_one_message_of_the_log_reaches_no_terminal_twice(monkeypatch):
    root = logging.StreamHandler(io.StringIO())
    logging.getLogger().addHandler(root)  # as `logging.basicConfig` of some library does
    monkeypatch.setattr(app, "app", lambda args: logging.getLogger("alkit").warning("of a command"))
    try:
        app.main([])
        logging.getLogger("alkit").warning("of a notebook")
    finally:
        logging.getLogger().removeHandler(root)
    assert root.stream.getvalue() == "of a notebook\n"
