"""The page of a campaign: every part with the ledger's numbers, valid HTML, nothing loaded, small."""

import csv
import re
import sqlite3
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from alkit.config.loading import check_config
from alkit.config.schema import CampaignConfig
from alkit.errors import CampaignError
from alkit.reporting.campaign_report import write_report
from alkit.simulators.base import Label, Level
from alkit.storage.ledger import Ledger

U0 = Level("GFN2-xTB", "u0")
SMILES = [
    "CO", "CCO", "CC=O", "CC#N", "CN", "C1CC1", "c1ccccc1", "CF", "CC(=O)N", "C=C", "C#C", "COC", "CCN",
    "CCF", "OCC#N", "CC(C)=O", "C1CO1", "NC=O", "OC=O", "CCC", "CCCC", "CC(C)C", "C1CCC1", "CCC#N",
]  # fmt: skip
_VOID_TAGS = {"meta", "br"}
SECTIONS = [
    "Verdict", "Rounds", "Test errors of the last round", "Calibration and rejection",
    "What was acquired, and why", "Map of chemical space", "What became of every candidate", "Failures",
    "Where the time went", "Provenance",
]  # fmt: skip


def round_metrics(labels: int, errors: np.ndarray) -> dict[str, float]:
    sizes = np.abs(errors)
    return {
        "labels": labels, "test_size": len(errors), "mae": sizes.mean(), "q95": np.quantile(sizes, 0.95),
        "rmse": np.sqrt((errors**2).mean()), "max": sizes.max(), "r2": 0.99, "coverage_90": 0.75,
        "spearman": 0.2, "ence": 0.1, "miscalibration_area": 0.02, "validation_mae": 2.0 / labels,
        "baseline_mean": 8.0, "baseline_elements": 0.6, "baseline_bonds": 0.4,
    }  # fmt: skip


def write_rows(path: Path, heading: list[str], rows: list[tuple]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([heading, *rows])


def molecules(n: int) -> list[str]:
    """``n`` different molecules."""
    chains = [f"{'C' * a}O{'C' * b}N{'C' * c}" for a in range(1, 12) for b in range(1, 12) for c in range(12)]
    return [*SMILES, *chains][:n]


def make_campaign(folder: Path, rounds: int = 3, per_round: int = 6, batch: int = 2) -> CampaignConfig:
    """A folder as a campaign leaves it, of invented numbers: a ledger, and the files of its rounds."""
    rng = np.random.default_rng(0)
    fresh = iter(molecules(8 + 6 + rounds * per_round))
    ledger = Ledger(folder / "ledger.sqlite")
    ledger.level = U0
    with ledger.transaction():
        for role, count in (("test", 8), ("training", 6)):
            add_labels(ledger, 0, [next(fresh) for _ in range(count)], role, rng)
    add_round_files(ledger, folder, 0, rng)
    for round_ in range(1, rounds + 1):
        smiles = [next(fresh, "C") for _ in range(per_round)]
        with ledger.transaction():
            add_labels(ledger, round_, smiles[:batch], "training", rng)
            ledger.add_candidates(round_, smiles[batch:-2], status="not_acquired")
            (failed,) = ledger.add_candidates(round_, smiles[-2:-1], status="acquired")
            ledger.mark(failed, "failed", reason="scf_not_converged")
            (rejected,) = ledger.add_candidates(round_, smiles[-1:])
            ledger.mark(rejected, "rejected", reason="repeated")
        add_predictions(ledger, folder, round_, rng)
        add_round_files(ledger, folder, round_, rng)
    ledger.set_meta("stopped_by", f"round {rounds} of {rounds} is done")
    ledger.close()
    return check_config({"name": "invented", "proposer": "generator", "acquisition": "lcmd"})


def add_labels(ledger: Ledger, round_: int, smiles: list[str], role: str, rng: np.random.Generator) -> None:
    for number, one in zip(
        ledger.add_candidates(round_, smiles, status="labelled", role=role), smiles, strict=True
    ):
        label = Label(one, -10.0 * len(one) + rng.normal(), U0, {}, [6], [[0, 0, 0]], 1.0, host="node7")
        ledger.add_label(label)
        ledger.add_outcome(number, label, U0, "computed")


def add_round_files(ledger: Ledger, folder: Path, round_: int, rng: np.random.Generator) -> None:
    test = ledger.labelled("test")
    errors = rng.normal(size=len(test)) / (10 * (round_ + 1))
    rows = [
        (one.smiles, value, value + error, 0.1, level)
        for (one, value), error, level in zip(test, errors, rng.random(len(test)), strict=True)
    ]
    heading = ["smiles", "label_eV", "prediction_eV", "std_eV", "interval_level"]
    write_rows(folder / "rounds" / f"{round_:02d}" / "test_predictions.csv", heading, rows)
    labels = len(ledger.labelled("training", up_to_round=round_))
    with ledger.stage(round_, "evaluate"):
        ledger.add_metrics(round_, round_metrics(labels, errors))


def add_predictions(ledger: Ledger, folder: Path, round_: int, rng: np.random.Generator) -> None:
    path = folder / "rounds" / f"{round_:02d}"
    path.mkdir(parents=True)
    screened = [one for one in ledger.candidates(round_=round_) if one.status != "rejected"]
    known = ledger.labelled("training", up_to_round=round_ - 1)
    means = rng.normal(-50, 10, len(screened))
    np.savez_compressed(
        path / "predictions.npz",
        ids=np.array([one.id for one in screened]),
        samples=np.stack([means - 0.01, means + 0.01]),
        std=np.full(len(screened), 0.25),
        embeddings=rng.normal(size=(len(screened), 5)),
        labelled_embeddings=rng.normal(size=(len(known), 5)),
    )
    labelled = {one.id: value for one, value in ledger.labelled("training", up_to_round=round_)}
    rows = [
        (one.smiles, labelled[one.id], mean, 0.25, 0.4)
        for one, mean in zip(screened, means, strict=True)
        if one.id in labelled
    ]
    heading = ["smiles", "label_eV", "prediction_eV", "std_eV", "half_width_eV"]
    write_rows(path / "acquired_predictions.csv", heading, rows)
    values = [(one.smiles, float(len(screened) - k)) for k, one in enumerate(screened)]
    write_rows(path / "values.csv", ["smiles", "value"], values)


class Outline(HTMLParser):
    """Headings, ids, references and tables of a page; tags must be balanced."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.headings: list[tuple[str, str]] = []
        self.ids: list[str] = []
        self.named: list[str] = []
        self.addresses: list[str] = []
        self.tables: dict[str, list[list[str]]] = {}
        self.text, self._caption = "", ""
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        names = dict(attrs)
        self.ids += [str(names["id"])] if "id" in names else []
        self.named += [str(names["aria-labelledby"])] if "aria-labelledby" in names else []
        self.addresses += [str(v) for k, v in attrs if k in ("src", "href", "xlink:href", "srcset")]
        if tag not in _VOID_TAGS:
            self.open.append(tag)
        if tag in ("h1", "h2", "h3"):
            self.headings.append((tag, ""))
        if tag == "caption":
            self._caption = ""
        if tag == "tr":
            self.tables.setdefault(self._caption, []).append([])
        if tag in ("td", "th"):
            self.tables[self._caption][-1].append("")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in _VOID_TAGS:
            self.handle_endtag(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data
        if "caption" in self.open:
            self._caption += data
        elif self.open and self.open[-1] in ("td", "th"):
            self.tables[self._caption][-1][-1] += data
        elif self.open and self.open[-1] in ("h1", "h2", "h3"):
            self.headings[-1] = (self.headings[-1][0], self.headings[-1][1] + data)


@pytest.fixture(scope="module")
def campaign(tmp_path_factory) -> tuple[Path, Outline, str]:
    folder = tmp_path_factory.mktemp("campaign")
    config = make_campaign(folder)
    page = write_report(Ledger(folder / "ledger.sqlite"), config, folder).read_text()
    return folder, Outline(page), page


def test_the_page_is_sound_and_loads_nothing(campaign) -> None:
    _, outline, page = campaign
    assert page.startswith('<!doctype html>\n<html lang="en">')
    assert [name for tag, name in outline.headings if tag == "h2"] == SECTIONS
    assert [tag for tag, _ in outline.headings][:2] == ["h1", "h2"]
    assert len(outline.ids) == len(set(outline.ids))
    assert len(outline.named) == page.count('role="img"') > 10
    assert set(outline.named) <= set(outline.ids)
    for address in outline.addresses:
        assert not re.match(r"(https?:)?//", address)
    assert "url(http" not in page
    assert "@import" not in page
    assert "<script" not in page


def test_files_beside_the_page_are_there(campaign) -> None:
    folder, outline, _ = campaign
    links = [one for one in outline.addresses if not one.startswith(("#", "data:"))]
    assert "ledger.sqlite" in links
    assert all((folder / one).exists() for one in links)


def test_the_numbers_are_those_of_the_ledger(campaign) -> None:
    folder, outline, _ = campaign
    db = sqlite3.connect(folder / "ledger.sqlite")
    metrics = dict(db.execute("SELECT name, value FROM metrics WHERE round = 3"))
    last = outline.tables["Rounds"][-1]
    assert last[:2] == [
        "3",
        str(
            db.execute(
                "SELECT count(*) FROM candidates WHERE status = 'labelled' AND role = 'training'"
            ).fetchone()[0]
        ),
    ]
    assert last[2].startswith(f"{metrics['mae']:.3f} ±")
    assert last[3] == f"{metrics['baseline_elements']:.3f}"
    assert last[4] == "75 %"
    assert f"With {metrics['labels']:.0f} labels the test MAE is {metrics['mae']:.3f} eV" in outline.text
    counted = Counter(status for (status,) in db.execute("SELECT status FROM candidates WHERE round > 0"))
    (step,) = [row for row in outline.tables["Candidates by round"] if row[0] == "2"]
    assert step == ["2", "6", "5", "3", "2", "1"]
    assert f"{counted.total()} proposed" in outline.text
    assert f"{counted['labelled']} labelled, {counted['failed']} failed" in outline.text
    assert outline.tables["Failed labels"][1][0] == "scf_not_converged"
    assert outline.tables["Failed labels"][1][2] == str(counted["failed"])
    db.close()


def test_acquired_molecules_have_what_was_said_of_them(campaign) -> None:
    folder, outline, page = campaign
    db = sqlite3.connect(folder / "ledger.sqlite")
    labels = dict(db.execute("SELECT smiles, value FROM labels"))
    db.close()
    rows = outline.tables["Acquired molecules, eV"][1:]
    assert len(rows) == 6
    for smiles, round_, prediction, label, error in rows:
        with (folder / "rounds" / f"0{round_}" / "acquired_predictions.csv").open() as file:
            said = {row["smiles"]: float(row["prediction_eV"]) for row in csv.DictReader(file)}
        assert float(label) == pytest.approx(labels[smiles], abs=6e-4)
        assert prediction == f"{said[smiles]:.3f} ± 0.250"
        assert float(error) == pytest.approx(said[smiles] - labels[smiles], abs=6e-4)
    assert "value: rank 1 of 5" in page
    assert "Chosen by lcmd: " in page


def test_residuals_by_kind_of_molecule(campaign) -> None:
    folder, outline, _ = campaign
    with (folder / "rounds" / "03" / "test_predictions.csv").open() as file:
        rows = [
            (row["smiles"], float(row["prediction_eV"]) - float(row["label_eV"]))
            for row in csv.DictReader(file)
        ]
    nitrogen = [error for smiles, error in rows if "N" in smiles]
    (row,) = [one for one in outline.tables["Error by element in the molecule, eV"] if one[0] == "N"]
    assert row[1:3] == [str(len(nitrogen)), f"{np.abs(nitrogen).mean():.3f}"]
    assert row[4] == f"{np.mean(nitrogen):+.3f}"
    (row,) = [one for one in outline.tables["Error by functional group, eV"] if one[0] == "nitrile"]
    assert row[1:4] == ["1", f"{abs(dict(rows)['CC#N']):.3f}", "–"]
    assert sum(int(one[1]) for one in outline.tables["Error by number of heavy atoms, eV"][1:]) == len(rows)


def test_where_the_numbers_come_from(campaign) -> None:
    _, outline, _ = campaign
    for said in ("GFN2-xTB u0 [eV]", "computed (20)", "node7 (20)", "alkit 0.1.0", "8 molecules, SHA-256"):
        assert said in outline.text


def test_a_map_needs_embeddings(tmp_path: Path) -> None:
    config = make_campaign(tmp_path, rounds=1)
    (tmp_path / "rounds" / "01" / "predictions.npz").unlink()
    page = write_report(Ledger(tmp_path / "ledger.sqlite"), config, tmp_path).read_text()
    assert "there are no embeddings to make a map of" in page
    assert "chemical_space-words" not in page


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    config = make_campaign(tmp_path, rounds=1)
    (tmp_path / "rounds" / "01" / "test_predictions.csv").write_text("smiles,label_eV\nC,three\n")
    with pytest.raises(CampaignError, match=r"test_predictions\.csv is missing or damaged"):
        write_report(Ledger(tmp_path / "ledger.sqlite"), config, tmp_path)


def test_a_page_that_is_not_drawn_again_is_the_same(campaign, tmp_path: Path) -> None:
    config = make_campaign(tmp_path, rounds=1)
    ledger = Ledger(tmp_path / "ledger.sqlite")
    first = write_report(ledger, config, tmp_path).read_text()
    drawn = (tmp_path / "plots" / "parity.svg").stat().st_mtime_ns
    assert write_report(ledger, config, tmp_path, redraw=False).read_text() == first
    assert (tmp_path / "plots" / "parity.svg").stat().st_mtime_ns == drawn


def test_twenty_rounds_of_ten_thousand_candidates_are_small(tmp_path: Path) -> None:
    config = make_campaign(tmp_path, rounds=20, per_round=500, batch=60)
    path = write_report(Ledger(tmp_path / "ledger.sqlite"), config, tmp_path)
    outline = Outline(path.read_text())
    assert "10,000 proposed" in outline.text
    assert path.stat().st_size < 5_000_000
