"""Campaigns on properties that are no energies: by GFN2-xTB, of a data set, by hand."""

import csv
from pathlib import Path

import numpy as np
import pytest
from ase.units import Debye, Hartree
from campaign_files import write_table

from alkit.campaign import asking
from alkit.campaign.campaign import Campaign, open_campaign
from alkit.campaign.label_files import rows_of_frame
from alkit.campaign.telling import tell
from alkit.config.loading import check_config
from alkit.datasets import Dataset, ImportOptions, import_files
from alkit.errors import CampaignError, ConfigError
from alkit.models.store import load_model
from alkit.molecules.enumeration import seed_molecules
from alkit.reporting import verdicts
from alkit.storage.ledger_export import export

pytestmark = pytest.mark.campaign
HIGHEST = {"name": "log_ei", "settings": {"minimise": False}}


@pytest.fixture
def flat(tiny) -> dict:
    """A quick campaign on a pool, from SMILES alone."""
    tiny["surrogate"] |= {"mode": "2d", "chemistry": True}
    return tiny | {"proposer": {"kind": "pool", "per_round": 15}, "acquisition": HIGHEST}


def header(path: Path) -> list[str]:
    with path.open(newline="") as file:
        return next(csv.reader(file))


def test_a_campaign_looks_for_the_largest_gaps(flat, tmp_path) -> None:
    result = Campaign(flat | {"target": "gap"}).run()
    assert result.quantity.unit == "eV"
    _, ledger = open_campaign(result.folder)
    level = ledger.level
    assert (level.method, level.property, level.unit) == ("GFN2-xTB", "gap", "eV")
    labels = [
        ledger.label(c.smiles, level) for role in ("training", "test") for c, _ in ledger.labelled(role)
    ]
    assert all(one.value == pytest.approx(one.parts["lumo"] - one.parts["homo"]) for one in labels)
    acquired = [value for c, value in ledger.labelled("training") if c.round == 1]
    assert len(acquired) == 4
    export(ledger, tmp_path / "gaps.db", name="gaps")
    export(ledger, tmp_path / "gaps.extxyz", name="gaps")
    ledger.close()
    data = Dataset.open(tmp_path / "gaps.db")
    assert (data.properties["gap"].kind, data.units["gap"]) == ("intensive", "eV")
    assert data.labels("gap")[0][data.index(labels[0].smiles)] == labels[0].value
    assert "gap_eV=" in (tmp_path / "gaps.extxyz").read_text()
    page = (result.folder / "report.html").read_text()
    assert "kcal" not in page.split("</style>")[1].split("<details>")[0]
    assert "chemical accuracy" not in page
    assert "chemically accurate" not in page
    assert "Highest label" in page
    surrogate, provenance = load_model(result.folder)
    assert surrogate.settings.pooling == "attention"
    assert (provenance.energy, provenance.target, provenance.unit) == ("scalar", "gap", "eV")
    said = verdicts.campaign_verdict(result.metrics, quantity=result.quantity)
    assert "chemical" not in said
    assert list(Campaign.open(result.folder).labels())[3] == "gap_eV"
    assert Campaign.open(result.folder).predict(["CCO"]).columns[1] == "prediction_eV"


def test_a_data_set_is_looked_up_whatever_it_holds(flat, tmp_path) -> None:
    smiles = [one for one in seed_molecules() if 4 <= sum(c.isalpha() for c in one) <= 5][:40]
    rows = [{"smiles": one, "mu": 0.1 + 0.05 * k + one.count("O")} for k, one in enumerate(smiles)]
    path = write_table(tmp_path / "mine.csv", rows)
    data = tmp_path / "mine.db"
    import_files([path], data, ImportOptions(properties=("mu",), units=("e*Ang",), levels=("MP2",)))
    simulator = {"kind": "lookup"}
    (tmp_path / "pool.smi").write_text("\n".join(smiles))
    flat |= {"seeds": str(tmp_path / "pool.smi"), "simulator": simulator, "target": "dipole"}
    result = Campaign(flat | {"dataset": str(data)}).run()
    config, ledger = open_campaign(result.folder)
    assert config.target == "mu"
    assert (ledger.level.method, ledger.level.unit) == ("MP2", "Debye")
    known = {row["smiles"]: row["mu"] / Debye for row in rows}
    labelled = ledger.labelled("training")
    assert [value for _, value in labelled] == pytest.approx([known[c.smiles] for c, _ in labelled])
    ledger.close()
    folder = result.folder / "rounds" / "01"
    assert header(folder / "test_predictions.csv")[1:4] == ["label_Debye", "prediction_Debye", "std_Debye"]
    assert header(folder / "acquired_predictions.csv")[1] == "label_Debye"
    assert "Debye" in (result.folder / "report.html").read_text()
    values = Campaign.open(result.folder).acquisition_values()
    assert list(values.columns)[1:3] == ["prediction_Debye", "std_Debye"]


def test_labels_by_hand_in_a_unit_of_ones_own(flat, tmp_path) -> None:
    flat |= {"target": "gap", "simulator": {"kind": "manual", "settings": {"level": "GW", "unit": "hartree"}}}
    campaign = Campaign(flat)
    assert campaign.run().waiting == 23
    batch = asking.ask(campaign.folder)
    assert batch.column == "gap_hartree"
    assert list(batch.frame().columns)[3:5] == ["prediction_eV", "std_eV"]
    frame = [{"id": one.id, "gap_hartree": 0.3} for one in batch.wanted[:4]]
    assert tell(campaign.folder, rows_of_frame(frame), what="x").labelled == 4
    with pytest.raises(CampaignError, match="less than 0, which no molecule has"):
        tell(campaign.folder, rows_of_frame([{"id": batch.wanted[5].id, "gap": -0.1}]), what="x")
    with pytest.raises(Exception, match="the column gap_ev is in ev, and read in hartree"):
        tell(campaign.folder, rows_of_frame([{"id": batch.wanted[5].id, "gap_eV": 8.0}]), what="x")
    with pytest.raises(Exception, match="no column gap_hartree"):
        tell(campaign.folder, rows_of_frame([{"id": batch.wanted[5].id, "energy": 0.3}]), what="x")
    ledger = open_campaign(campaign.folder)[1]
    assert ledger.level.unit == "eV"
    value = ledger.label(batch.wanted[0].smiles, ledger.level).value
    assert value == pytest.approx(0.3 * Hartree)
    ledger.close()


def test_labels_that_exist_start_it(flat, tmp_path) -> None:
    smiles = [one for one in seed_molecules() if 4 <= sum(c.isalpha() for c in one) <= 5][:30]
    rows = [{"smiles": one, "gap_hartree": 0.25 + 0.01 * (k % 7)} for k, one in enumerate(smiles)]
    path = write_table(tmp_path / "mine.csv", rows)
    flat |= {"target": "gap", "simulator": {"kind": "manual", "settings": {"level": "GW"}}}
    del flat["start"]
    wrong = Campaign(flat | {"start": {"labels": {"file": str(path)}}})
    with pytest.raises(ConfigError, match="the column gap_hartree is in hartree, and read in eV"):
        wrong.check()
    right = flat | {"start": {"labels": {"file": str(path), "unit": "hartree", "level": "GW"}}}
    result = Campaign(right).run()
    assert result.waiting == 4  # of round 1
    ledger = open_campaign(result.folder)[1]
    values = np.array([value for _, value in ledger.labelled("training")])
    assert (values.min() > 6, values.max() < 9) == (True, True)
    ledger.close()


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"target": "gap", "surrogate": {"learning": "delta"}}, "surrogate.learning: delta is about cheap"),
        ({"target": "zpve", "surrogate": {"pretraining": "gfn2"}}, "surrogate.pretraining is about cheap"),
        ({"target": "u0", "surrogate": {"pooling": "mean"}}, "target: u0 is an energy, a sum over atoms"),
        ({"target": "mine"}, "mine is no property that alkit knows; say with surrogate.pooling"),
        ({"target": "my gap"}, "target: "),
        ({"target": 3}, "target: "),
    ],
)
def test_settings_that_do_not_fit_the_property_are_refused(tiny, changed: dict, said: str) -> None:
    surrogate = tiny["surrogate"] | changed.get("surrogate", {})
    with pytest.raises(ConfigError, match=said):
        check_config(tiny | changed | {"surrogate": surrogate})


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"target": "gap", "acquisition": "bias"}, "target: gap is no energy"),
        ({"target": "h298"}, "target is 'h298'; it must be one of u0, energy, zpve, homo"),
        ({"target": "gap", "simulator": {"kind": "manual", "settings": {"level": "x", "unit": "Debye"}}},
         "'Debye' is no unit of gap"),
        ({"target": "gap", "simulator": {"kind": "manual", "settings": {"level": "x", "kind": "total"}}},
         "kind and references are about energies"),
        ({"target": "mine", "surrogate": {"pooling": "sum"}, "simulator": {"kind": "manual", "settings":
          {"level": "x"}}}, "the unit of mine is not known"),
    ],
)  # fmt: skip
def test_what_the_simulator_or_the_function_does_not_know_is_refused(tiny, changed: dict, said: str) -> None:
    surrogate = tiny["surrogate"] | changed.get("surrogate", {})
    with pytest.raises(ConfigError, match=said):
        Campaign(tiny | changed | {"surrogate": surrogate}).check()


def test_of_a_property_without_an_aim_nothing_is_chemically_accurate(tiny) -> None:
    config = check_config(tiny | {"target": "gap"})
    from alkit.properties import Quantity

    rows = [
        {"labels": n, "validation_mae": 10 / n, "mae": 10 / n, "round": k}
        for k, n in enumerate((50, 100, 200))
    ]
    assert verdicts.forecast_of(config, rows, Quantity.of("gap")) == ""
    aimed = check_config(tiny | {"target": "gap", "stop": {"rounds": 1, "target_mae": 0.01}})
    assert "0.01 eV" in verdicts.forecast_of(aimed, rows, Quantity.of("gap"))
