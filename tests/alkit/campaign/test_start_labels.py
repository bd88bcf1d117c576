"""alkit.campaign.start_labels: a campaign that starts from labels that exist."""

from pathlib import Path

import numpy as np
import pytest
import yaml
from ase import Atoms
from ase.io import write
from ase.units import Hartree
from campaign_files import write_table

from alkit.campaign.campaign import Campaign, open_campaign
from alkit.engines import create_engine
from alkit.errors import CampaignError, ConfigError
from alkit.files import digest
from alkit.models.geometries import make_geometry
from alkit.molecules.enumeration import seed_molecules
from alkit.molecules.molecule import without_stereo
from alkit.simulators.base import Label, SimulatorSpec
from alkit.simulators.references import ATOM_ENERGIES

pytestmark = pytest.mark.campaign


@pytest.fixture(scope="session")
def real(make_once) -> dict[str, float]:
    """GFN2-xTB atomization energies of 30 molecules, eV, by SMILES; two of them are mirror images."""

    def make(folder: Path) -> None:
        listed = [s for s in seed_molecules() if 4 <= sum(c.isalpha() for c in s) <= 5][:28]
        listed += ["C[C@H](O)F", "C[C@@H](O)F"]
        molecules = [make_geometry(one, geometry="mmff") for one in listed]
        with create_engine(SimulatorSpec("xtb", {"target": "energy"})) as engine:
            found = dict(engine.label_all(molecules))
        values = {m.smiles: label.value for m, label in found.items() if isinstance(label, Label)}
        (folder / "labels.yaml").write_text(yaml.safe_dump(values))

    return yaml.safe_load((make_once("start_labels", make) / "labels.yaml").read_text())


def rows_of(real: dict[str, float], **more: str) -> list[dict]:
    return [{"smiles": smiles, "energy_eV": value} | more for smiles, value in real.items()]


def started(tiny: dict, labels: object, **changes: object) -> dict:
    given = tiny | {"start": {"labels": labels}, "proposer": {"kind": "pool", "per_round": 15}}
    given["surrogate"] = tiny["surrogate"] | {"mode": "2d"}
    return given | changes


def test_labels_of_another_program_are_round_0(tiny, real, tmp_path):
    """Labels of the simulator's level, so that both count alike; what has failed or is not in the domain is
    left out with its reason, and mirror images share a set."""
    rows = rows_of(real, method="GFN2-xTB", reason="")
    rows.append({"smiles": "CCCCCCCCO", "energy_eV": -120.0, "method": "GFN2-xTB"})
    rows.append({"smiles": "CCN", "energy_eV": "", "method": "GFN2-xTB", "reason": "timeout"})
    rows.append(rows[0])  # comes again
    path = write_table(tmp_path / "mine.csv", rows)
    result = Campaign(started(tiny, str(path))).run()
    _, ledger = open_campaign(result.folder)
    roles = ("test", "validation", "training")
    sets = {role: ledger.labelled(role, up_to_round=0) for role in roles}
    assert [row["labels"] for row in result.metrics] == [30 - len(sets["test"]), 34 - len(sets["test"])]
    assert len(sets["test"]) in (6, 7)
    assert len(sets["validation"]) in (5, 6)
    assert {c.smiles: value for members in sets.values() for c, value in members} == real
    test, validation, training = ({without_stereo(c.smiles) for c, _ in members} for members in sets.values())
    for one, other in ((test, validation), (test, training), (validation, training)):
        assert not one & other
    histories = [row for row in ledger.histories() if row["round"] == 0]
    kept = [row for row in histories if row["status"] == "labelled"]
    assert {(row["source"], row["origin"]) for row in kept} == {("given", "given")}
    assert [(row["smiles"], row["reason"]) for row in histories if row["status"] == "rejected"] == [
        ("CCCCCCCCO", "too_large")
    ]
    path.write_text(path.read_text().replace("CCN", "CCO"))
    with pytest.raises(CampaignError, match=r"start\.labels\.file: content"):
        Campaign(started(tiny, str(path), stop={"rounds": 2})).run()


def test_totals_in_hartree_with_references(tiny, real, tmp_path):
    atoms = ATOM_ENERGIES["GFN2-xTB"]
    rows = []
    for smiles, value in real.items():
        numbers = make_geometry(smiles, geometry="mmff").numbers
        rows.append({"SMILES": smiles, "E": (value + sum(atoms[int(z)] for z in numbers)) / Hartree})
    path = write_table(tmp_path / "totals.csv", rows)
    plain = {"file": str(path), "column": "E", "level": "GFN2-xTB"}
    with pytest.raises(
        ConfigError, match=r"look like total energies in Hartree. Give unit: hartree, kind: total"
    ):
        Campaign(started(tiny, plain)).check()
    read = plain | {"unit": "hartree", "kind": "total", "references": "GFN2-xTB"}
    result = Campaign(started(tiny, read)).run()
    _, ledger = open_campaign(result.folder)
    for candidate, value in ledger.labelled("test"):
        assert value == pytest.approx(real[candidate.smiles], abs=1e-9)


def test_structures_with_energies_start_labels_by_hand(tiny, real, tmp_path):
    molecules = {smiles: make_geometry(smiles, geometry="mmff") for smiles in real}
    frames = [
        Atoms(molecules[smiles].numbers, molecules[smiles].positions, info={"energy": value})
        for smiles, value in real.items()
    ]
    write(tmp_path / "mine.xyz", frames, format="extxyz")
    manual = {"kind": "manual", "settings": {"level": "GFN2-xTB"}}
    campaign = Campaign(started(tiny, str(tmp_path / "mine.xyz"), simulator=manual))
    assert campaign.run().waiting == 4
    _, ledger = open_campaign(campaign.folder)
    values = [value for role in ("test", "validation", "training") for _, value in ledger.labelled(role)]
    assert (
        len(values) > 25
    )  # one whose stereo the geometry has, and its SMILES left open, is still one molecule
    assert set(values) <= set(real.values())
    geometry = ledger.label(ledger.labelled("test")[0][0].smiles, ledger.level)
    assert geometry is not None
    assert any(np.array_equal(geometry.positions, one.positions.round(8)) for one in molecules.values())


@pytest.mark.parametrize(
    ("change", "labels", "said"),
    [
        ({}, {}, "does not say at which level.*start.labels.level: GFN2-xTB"),
        ({}, {"level": "PBE0"}, "they are of PBE0, the campaign's of GFN2-xTB energy"),
        ({"method": "PBE0"}, {}, "line 2 is of PBE0"),
        ({}, {"level": "GFN2-xTB", "column": "u0"}, "has no column 'u0'"),
        ({}, {"level": "GFN2-xTB", "unit": "hartree"}, "energy_ev is in ev, and read in hartree"),
        ({}, {"level": "GFN2-xTB", "file": "nowhere.csv"}, "there is no file"),
        ({"energy_eV": "nan"}, {"level": "GFN2-xTB"}, "is not a finite number"),
        ({"smiles": "CCO"}, {"level": "GFN2-xTB"}, "CCO has the value .* keep one of the two"),
        (
            {"smiles": "CCCCCCCCC"},
            {"level": "GFN2-xTB"},
            "has 0 molecules that can be used; 20 are the least",
        ),
    ],
)
def test_what_cannot_start_a_campaign_leaves_nothing(tiny, real, tmp_path, change, labels, said):
    path = write_table(tmp_path / "mine.csv", [row | change for row in rows_of(real)])
    if "CCCCCCCCC" in change.values():
        path = write_table(path, [row | change | {"energy_eV": -120.0} for row in rows_of(real)])
    with pytest.raises(ConfigError, match=said):
        Campaign(started(tiny, {"file": str(path)} | labels)).run()
    assert not Path(tiny["folder"]).exists()
    assert digest(path)
