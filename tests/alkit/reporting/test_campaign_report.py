"""The report is made from a ledger; the page and the plots of a whole campaign are in test_campaign."""

import io

import numpy as np
import pytest
from rich.console import Console
from scipy.stats import t as student

from alkit.campaign.tracked_runs import training_curves
from alkit.config.loading import check_config
from alkit.reporting import campaign_report, terminal_tables, verdicts
from alkit.storage.ledger import Ledger

METRICS = {
    "labels": 120, "test_size": 50, "mae": 0.2, "rmse": 0.3, "q95": 0.6, "max": 1.0, "r2": 0.99,
    "coverage_90": 0.88, "spearman": 0.2, "ence": 0.1,
    "miscalibration_area": 0.02, "validation_mae": 0.21,
    "baseline_mean": 8.0, "baseline_elements": 0.6, "baseline_bonds": 0.4,
}  # fmt: skip


def test_a_ledger_without_rounds_still_has_a_report(tmp_path):
    ledger = Ledger(tmp_path / "ledger.sqlite")
    ledger.add_candidates(0, ["C<b>"], status="acquired")
    html = campaign_report.write_report(
        ledger, check_config({"name": "x", "proposer": "generator"}), tmp_path
    ).read_text()
    assert "No round has been evaluated yet" in html
    assert "<img" not in html


def test_what_the_numbers_mean():
    good = verdicts.campaign_verdict([METRICS])
    assert "120 labels" in good
    assert "3.0 times below counting elements" in good
    assert verdicts.campaign_verdict([METRICS | {"mae": 0.7}]).startswith(
        "The surrogate is trained and saved, and no better than counting elements: its test MAE is 0.700 eV"
    )
    assert "(chemically accurate)" in verdicts.campaign_verdict([METRICS | {"mae": 0.0433, "rmse": 0.0433}])
    delta = METRICS | {"baseline_xtb": 0.3}
    assert "1.5 times below the baseline with element counts" in verdicts.campaign_verdict([delta])
    assert verdicts.campaign_verdict([delta | {"mae": 0.4}]).startswith(
        "The surrogate is trained and saved, and no better than the baseline"
    )


def test_what_the_aim_takes_is_said_by_validation_errors_alone():
    config = check_config({"name": "x", "proposer": "generator"})
    rounds = [METRICS | {"labels": n, "validation_mae": 20 / n, "mae": 0.001} for n in (100, 200, 400, 800)]
    assert "takes about" in verdicts.labels_to_aim(config, rounds[:3])
    assert "from the third round on" in verdicts.labels_to_aim(config, rounds[:2])
    assert "0.025 eV, has reached the aim of 0.0434 eV" in verdicts.labels_to_aim(config, rounds)
    rising = [row | {"validation_mae": 0.1 * k} for k, row in enumerate(rounds, 1)]
    assert "do not fall" in verdicts.labels_to_aim(config, rising)
    assert verdicts.labels_to_aim(config, []) == ""


def test_the_interval_follows_the_number_of_test_molecules():
    few = METRICS | {"test_size": 10, "mae": 0.04, "rmse": 0.05}
    said = verdicts.campaign_verdict([few])
    half = student.ppf(0.975, 9) * np.sqrt(0.05**2 - 0.04**2) / 3
    assert f"0.040 eV on 10 test molecules, 95 % interval {0.04 - half:.3f} to {0.04 + half:.3f} eV" in said
    assert "chemically accurate" not in said
    assert "within chemical accuracy, but its interval is not" in said
    sure = verdicts.campaign_verdict([few | {"mae": 0.02, "rmse": 0.02}])
    assert "(chemically accurate)" in sure
    one = verdicts.campaign_verdict([few | {"test_size": 1}])
    assert "0.040 eV on 1 test molecule (" in one
    assert "inf" not in one + said + sure
    many = few | {"test_size": 1000}
    half = student.ppf(0.975, 999) * np.sqrt((0.05**2 - 0.04**2) / 999)
    assert f"95 % interval {0.04 - half:.3f} to {0.04 + half:.3f} eV" in verdicts.campaign_verdict([many])


def test_table_shows_both_units():
    table = terminal_tables.rounds_table([METRICS | {"round": 0}], "x")
    assert list(table.columns[2].cells) == ["eV", "kcal/mol"]
    assert list(table.columns[3].cells) == ["0.200", "4.6"]


@pytest.mark.parametrize("more", [{}, {"baseline_xtb": 0.3}])
def test_the_table_fits_a_terminal(more):
    console = Console(width=80, file=io.StringIO())
    console.print(
        terminal_tables.rounds_table([METRICS | {"round": 12, "labels": 12000, "max": 12.345} | more], "x")
    )
    printed = console.file.getvalue()
    assert "…" not in printed
    assert "baseline_" not in printed


def test_fates_are_counted_by_round(tmp_path):
    ledger = Ledger(tmp_path / "ledger.sqlite")
    for round_ in (1, 1, 2):
        ledger.add_candidates(round_, ["C"])
        ledger.mark(ledger.candidates()[-1].id, "rejected", reason="repeated")
    ledger.add_candidates(2, ["CC"], status="labelled")
    table = terminal_tables.fates_table(ledger)
    assert [list(column.cells) for column in table.columns] == [
        ["labelled", "rejected"],
        ["", "repeated"],
        ["–", "2"],
        ["1", "1"],
    ]


def test_training_curves_are_read_back(tmp_path):
    (tmp_path / "training.csv").write_text("member,epoch,lr,val_MAE\n0,0,0.1,2.0\n1,3,0.05,\n")
    assert training_curves(tmp_path / "training.csv") == [
        (0, {"member_0/lr": 0.1, "member_0/val_MAE": 2.0}),
        (3, {"member_1/lr": 0.05}),
    ]
