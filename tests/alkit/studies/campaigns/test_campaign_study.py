"""`alkit study campaign` and a campaign's random twin, on real campaigns."""

import csv
import json
from pathlib import Path

import pytest
import yaml

from alkit.campaign.campaign import Campaign, open_campaign
from alkit.cli.app import main
from alkit.errors import CampaignError, ConfigError
from alkit.reporting import verdicts
from alkit.reporting.progress import CampaignProgress
from alkit.studies.campaigns import report
from alkit.studies.campaigns.running import run_study
from alkit.studies.campaigns.settings import Arm, Settings, arms, default_reference


@pytest.fixture
def campaign(tiny, tmp_path) -> Path:
    tiny["proposer"] = {"kind": "pool", "per_round": 8}
    tiny["surrogate"]["epochs"] = 2
    tiny["simulator"]["cache"] = str(tmp_path / "shared.sqlite")
    path = tmp_path / "tiny.yaml"
    path.write_text(yaml.safe_dump(tiny))
    return path


def run(command: list[str]) -> object:
    """The exit code."""
    with pytest.raises(SystemExit) as ending:
        main(command)
    return ending.value.code


# --- what is compared ------------------------------------------------------------------------------------
def test_every_combination_is_an_arm() -> None:
    found = arms(["acquisition=bias,random", "proposer.per_round=5,9"])
    assert [arm.name for arm in found] == [
        "acquisition=bias, proposer.per_round=5",
        "acquisition=bias, proposer.per_round=9",
        "acquisition=random, proposer.per_round=5",
        "acquisition=random, proposer.per_round=9",
    ]
    assert default_reference(found) == found[-1].name
    (one, other) = arms(["acquisition={name: bias, settings: {power: 2}},lcmd"])
    assert one.overrides == ("acquisition={name: bias, settings: {power: 2}}",)
    assert default_reference((one, other)) == "acquisition=lcmd"


@pytest.mark.parametrize("variation", ["acquisition", "=a,b", "a=", "a=[", "a={b"])
def test_what_varies_nothing_is_refused(variation: str) -> None:
    with pytest.raises(ConfigError, match="is not of the form key=value,value"):
        arms([variation])


def test_settings_that_compare_nothing_are_refused() -> None:
    lcmd, std = Arm(("acquisition=lcmd",)), Arm(("acquisition=std",))
    for given, message in (
        ({"arms": (lcmd,), "reference": lcmd.name}, "nothing to be compared with"),
        ({"arms": (lcmd, lcmd), "reference": lcmd.name}, "gives one campaign twice"),
        ({"arms": (lcmd, std), "reference": "other"}, "There is no campaign 'other'"),
        ({"arms": (lcmd, std), "reference": std.name, "seeds": 0}, "--seeds is 0"),
    ):
        with pytest.raises(ConfigError, match=message):
            Settings(Path("a.yaml"), **given)


# --- a study ---------------------------------------------------------------------------------------------
@pytest.mark.campaign
def test_a_study_runs_compares_and_goes_on(campaign, tmp_path, capsys) -> None:
    out = tmp_path / "study"
    command = [
        *("study", "campaign", str(campaign), "--out", str(out), "--vary", "acquisition=lcmd,random"),
        *("--seeds", "2", "--jobs", "2"),
    ]
    assert run(command) == 0
    said = capsys.readouterr().out
    assert "acquisition=lcmd, against acquisition=random" in said
    assert "Fewer than 5 seeds" in said
    table = list(csv.DictReader((out / "results.csv").open()))
    assert len(table) == 2 * 2 * 2
    starts = {(row["campaign"], row["seed"]): row["mae_eV"] for row in table if row["round"] == "0"}
    for seed in ("1", "2"):  # the same start, the same test set, the same numbers
        assert starts["acquisition=lcmd", seed] == starts["acquisition=random", seed]
    assert (out / "report.html").stat().st_size > 10_000
    ledgers = sorted(out.glob("campaigns/*/*/ledger.sqlite"))
    before = [path.stat().st_mtime_ns for path in ledgers]
    assert len(before) == 4
    assert run(command) == 0  # all of it is there
    assert [path.stat().st_mtime_ns for path in ledgers] == before
    campaign.write_text(campaign.read_text().replace("batch_size: 4", "batch_size: 3"))
    assert run(command) == 2
    assert "holds a study with campaign" in capsys.readouterr().err


@pytest.mark.campaign
def test_a_campaign_that_fails_is_named_and_the_others_end(campaign, tmp_path) -> None:
    broken = tmp_path / "broken.py"
    broken.write_text("def score(pool, context):\n    raise KeyError('no')\n")
    found = arms([f"acquisition={json.dumps(str(broken) + ':score')},random"])
    settings = Settings(campaign, found, "acquisition=random", seeds=1)
    with pytest.raises(CampaignError, match=r"1 of 2 campaigns failed; .*seed 1 says: .*KeyError"):
        run_study(settings, tmp_path / "study", CampaignProgress(), jobs=2)
    broken.write_text("def score(pool, context):\n    return pool.std\n")
    results = run_study(settings, tmp_path / "study", CampaignProgress())
    assert results.same_tests
    assert len(report.verdict(results)) == 2


# --- a twin ----------------------------------------------------------------------------------------------
@pytest.mark.campaign
def test_a_random_twin_runs_beside_and_is_shown(campaign, tmp_path) -> None:
    config = yaml.safe_load(campaign.read_text()) | {"twin": "random"}
    result = Campaign(config).run()
    twin = verdicts.twin_metrics(result.folder)
    assert [row.round for row in twin] == [row.round for row in result.metrics] == [0, 1]
    assert twin[0].mae == result.metrics[0].mae  # the same start
    own, ledger = open_campaign(result.folder / "twin")
    assert own.acquisition.name == "random"
    assert own.twin is None
    _, other = open_campaign(result.folder)
    assert [c.smiles for c in ledger.candidates(role="test")] == [
        c.smiles for c in other.candidates(role="test")
    ]
    assert "random twin" in (result.folder / "report.html").read_text()
    assert "Its random twin has" in verdicts.twin_verdict(result.metrics, twin)
    alone = Campaign(config | {"twin": None, "folder": str(tmp_path / "alone"), "acquisition": "random"})
    assert [row.mae for row in alone.run().metrics] == [row.mae for row in twin]
