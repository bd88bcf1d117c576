"""`alkit campaign compare`: labels saved by hand, intervals of test molecules, what does not compare."""

import csv
import io
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console
from typer.testing import CliRunner

from alkit.cli.app import app
from alkit.errors import CampaignError, DataError
from alkit.reporting.verdicts import half_width_of
from alkit.simulators.base import Label, Level
from alkit.storage.ledger import Ledger
from alkit.studies import side_by_side

U0 = Level("GFN2-xTB", "u0")
TEST = ["C" * n for n in range(1, 41)]


def campaign(
    folder: Path, maes: list[float], labels: list[int], *, level: Level = U0, test: list[str] = TEST
) -> Path:
    """A campaign's folder with these test errors, the same for every test molecule but for a little."""
    ledger = Ledger(folder / "ledger.sqlite")
    with ledger.transaction():
        ledger.set_meta("config", '{"name": "x", "proposer": "generator"}')
        ledger.level = level
        ledger.add_candidates(0, test, status="labelled", role="test")
        for one in test:
            ledger.add_label(Label(one, -1.0, level, {}, [6], [[0, 0, 0]], 1.0))
    for round_, (mae, count) in enumerate(zip(maes, labels, strict=True)):
        errors = mae + 0.01 * mae * np.linspace(-1, 1, len(test))
        metrics = {
            "labels": count, "test_size": len(test), "mae": errors.mean(), "coverage_90": 0.9,
            "rmse": np.sqrt((errors**2).mean()), "q95": 2 * mae, "max": 3 * mae,
            "r2": 0.9, "spearman": 0.1, "ence": 0.1, "miscalibration_area": 0.1, "validation_mae": mae,
            "baseline_mean": 8.0, "baseline_elements": 0.6, "baseline_bonds": 0.4,
        }  # fmt: skip
        with ledger.stage(round_, "evaluate"):
            ledger.add_metrics(round_, metrics)
        path = folder / "rounds" / f"{round_:02d}" / "test_predictions.csv"
        path.parent.mkdir(parents=True)
        with path.open("w", newline="") as file:
            rows = csv.writer(file)
            rows.writerow(["smiles", "label_eV", "prediction_eV", "std_eV", "interval_level"])
            rows.writerows((one, -1.0, -1.0 + e, 0.1, 0.5) for one, e in zip(test, errors, strict=True))
    ledger.close()
    return folder


@pytest.fixture
def folders(tmp_path: Path) -> list[Path]:
    names = [tmp_path / name for name in ("random", "chosen")]
    for name in names:
        name.mkdir()
    return [
        campaign(names[0], [0.4, 0.2, 0.1], [100, 200, 400]),
        campaign(names[1], [0.4, 0.1, 0.05], [100, 200, 400]),
    ]


def test_labels_saved_are_those_at_the_error_that_both_reach(folders) -> None:
    sides = side_by_side.read_sides(folders)
    assert side_by_side.saved(sides[1], sides[0]) == pytest.approx(2)  # 0.1 eV: 400 labels, and 200
    first, limit = side_by_side.verdict(sides)
    assert first.startswith("chosen needs 2.00 times fewer labels than random for a test MAE of 0.100 eV;")
    assert "its last MAE is smaller by 0.0500 eV (95 % interval -0.05" in first
    assert "One campaign of each kind says little" in limit
    assert "random needs 2.00 times more labels than chosen" in side_by_side.verdict(sides[::-1])[0]
    assert "chosen needs as many labels as chosen" in side_by_side.verdict([sides[1], sides[1]])[0]


def test_the_table_holds_every_campaign(folders) -> None:
    sides = side_by_side.read_sides(folders)
    console = Console(width=80, file=io.StringIO())
    console.print(side_by_side.comparison_table(sides))
    printed = console.file.getvalue()
    half = half_width_of(sides[1].metrics[-1])
    assert f"0.050 ± {half:.3f}" in printed
    assert "2.00×" in printed
    assert "…" not in printed


def test_on_the_command_line(folders, tmp_path: Path) -> None:
    run = partial(CliRunner().invoke, app, catch_exceptions=True)
    arguments = ["campaign", "compare", *map(str, folders)]
    done = run([*arguments, "--out", str(tmp_path / "page.html")])
    assert done.exit_code == 0
    assert "chosen needs 2.00 times fewer labels than random" in done.output
    assert (tmp_path / "page.html").is_file()
    refused = run([*arguments, "--out", str(tmp_path / "page.html")])
    assert isinstance(refused.exception, DataError)


def test_the_page_has_a_curve_for_each_error(folders, tmp_path: Path) -> None:
    side_by_side.write_page(side_by_side.read_sides(folders), tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text()
    assert page.count('role="img"') == 3
    assert "chosen needs 2.00 times fewer labels than random" in page
    assert sorted(path.name for path in tmp_path.iterdir()) == ["chosen", "page.html", "random"]


def test_other_test_molecules_do_not_compare(folders, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    other = campaign(tmp_path / "other", [0.4, 0.2], [100, 200], test=TEST[:30])
    sides = side_by_side.read_sides([folders[0], other])
    assert side_by_side.saved(sides[1], sides[0]) is None
    assert "were tested on different molecules" in side_by_side.verdict(sides)[0]


def test_a_campaign_that_starts_below_has_no_ratio(folders, tmp_path: Path) -> None:
    (tmp_path / "better").mkdir()
    better = campaign(tmp_path / "better", [0.04, 0.03], [100, 200])
    sides = side_by_side.read_sides([folders[0], better])
    assert side_by_side.saved(sides[1], sides[0]) is None
    assert "have no range of errors in common" in side_by_side.verdict(sides)[0]
    assert "its last MAE is smaller by 0.0700 eV" in side_by_side.verdict(sides)[0]


def test_levels_are_never_mixed(folders, tmp_path: Path) -> None:
    (tmp_path / "dft").mkdir()
    dft = campaign(tmp_path / "dft", [0.4], [100], level=Level("PBE", "u0"))
    with pytest.raises(CampaignError, match="different levels of theory are never compared"):
        side_by_side.read_sides([folders[0], dft])
    with pytest.raises(CampaignError, match="Two different campaign folders or more"):
        side_by_side.read_sides([folders[0], folders[0]])
