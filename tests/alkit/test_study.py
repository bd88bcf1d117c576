"""alkit.study: same molecules, same splits, and a study that goes on where it was stopped."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from alkit.datasets import Dataset
from alkit.datasets.store import Record, create_database
from alkit.errors import CampaignError, ConfigError, DataError
from alkit.molecules import embed, flat
from alkit.progress import CampaignProgress
from alkit.study import ARMS, StudySettings, _Molecules, curves, original, referenced, run

SMILES = [
    "C",
    "CC",
    "CCC",
    "CCCC",
    "CO",
    "CCO",
    "CCCO",
    "COC",
    "CCOC",
    "CN",
    "CCN",
    "CNC",
    "C=O",
    "CC=O",
    "CCC=O",
    "CC(C)=O",
    "C#N",
    "CC#N",
    "C=C",
    "CC=C",
    "C#C",
    "CC#C",
    "O",
    "N",
    "OO",
    "NO",
    "C1CC1",
    "C1CO1",
    "CC(C)C",
    "CC(C)O",
    "OCCO",
    "NCCO",
    "NC=O",
    "CNC=O",
    "OC=O",
    "COC=O",
    "C=CO",
    "C=CC=C",
    "C#CC#C",
    "C1CCC1",
    "CC1CC1",
    "N#CC#N",
    "C[C@H](O)C=O",
    "C[C@@H](O)C=O",
    "OCC=O",
    "NCC=O",
]


@pytest.fixture(scope="module")
def database(tmp_path_factory) -> str:
    """Small molecules with a made-up energy per bond and contact, which a model can learn."""
    path = tmp_path_factory.mktemp("study") / "small.db"
    records = []
    for one in SMILES:
        placed = embed(one, geometry="etkdg")
        distances = np.linalg.norm(placed.positions[:, None] - placed.positions[None], axis=-1)
        energy = -13.6 * float((placed.numbers == 1).sum()) - 1030.0 * float((placed.numbers != 1).sum())
        energy -= float(np.exp(-distances).sum())
        records.append(Record(placed.smiles, placed.numbers, placed.positions, {"energy_U0": energy}))
    references = {"energy_U0": {1: -13.6, 6: -1030.0, 7: -1030.0, 8: -1030.0}}
    create_database(
        path,
        records,
        units={"energy_U0": "eV"},
        atomrefs=references,
        level="toy",
        geometry="dataset",
        source="test",
    )
    return str(path)


def small(database: str, **changes) -> StudySettings:
    given = {
        "arms": ("3d", "2d-topological"),
        "sizes": (20, 25),
        "seeds": 2,
        "test": 10,
        "model": {"features": 8, "interactions": 1, "gaussians": 8},
        "training": {"epochs": 3, "batch_size": 8},
    }
    return StudySettings(database, **{**given, **changes})


def test_arms_share_molecules_and_stereoisomers_a_side(database: str) -> None:
    molecules = _Molecules(small(database), CampaignProgress())
    smiles = molecules.data.smiles
    test = {flat(smiles[i]) for i in molecules._test}
    for order in molecules._orders:
        assert len(order) == len(set(order)) == 25
        assert not test & {flat(smiles[i]) for i in order}
    assert molecules._orders[0] != molecules._orders[1]
    again = _Molecules(small(database), CampaignProgress())
    assert (again._test, again._orders) == (molecules._test, molecules._orders)


def test_a_study_goes_on_and_its_table_is_whole(database: str, tmp_path: Path, monkeypatch) -> None:
    settings = small(database)
    results = run(settings, tmp_path, CampaignProgress())
    assert len(results.fits) == 2 * 2 * 2
    assert results.truth.shape == (10,)
    assert results.errors("3d", 20).shape == (2, 10)
    with (tmp_path / "results.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [(row["arm"], row["labels"], row["seed"]) for row in rows[:3]] == [
        ("3d", "20", "0"), ("2d-topological", "20", "0"), ("3d", "20", "1"),
    ]  # fmt: skip
    for fit, row in zip(results.fits, rows, strict=True):
        assert float(row["mae"]) == pytest.approx(np.abs(fit.predicted - results.truth).mean())
        assert [len(rows) for rows in curves(fit)] == [3, 3]
    lost = tmp_path / "fits" / "3d-25-1.npz"
    lost.unlink()
    again = run(settings, tmp_path, CampaignProgress())
    for before, after in zip(results.fits, again.fits, strict=True):
        np.testing.assert_array_equal(before.predicted, after.predicted)
    monkeypatch.setattr(_Molecules, "fit", lambda *_: pytest.fail("fitted again"))
    run(settings, tmp_path, CampaignProgress())
    lost.write_bytes(b"half a file")
    with pytest.raises(CampaignError, match=r"3d-25-1\.npz is damaged"):
        run(settings, tmp_path, CampaignProgress())


def test_another_setting_in_the_same_folder_is_refused(database: str, tmp_path: Path) -> None:
    (tmp_path / "study.json").write_text(json.dumps({"seeds": 3}))
    with pytest.raises(CampaignError, match="holds a study with data = None, not"):
        run(small(database), tmp_path, CampaignProgress())


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"arms": ("3d", "4d")}, "There is no arm '4d'"),
        ({"arms": ("3d", "3d")}, "names one twice"),
        ({"sizes": (10,)}, "smallest size must be 20 labels"),
        ({"members": 0}, "1 member at least"),
    ],
)
def test_settings_that_cannot_be(database: str, changes: dict, sentence: str) -> None:
    with pytest.raises(ConfigError, match=sentence):
        small(database, **changes)


def test_too_few_molecules(database: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"lower --sizes or --test"):
        run(small(database, sizes=(200,)), tmp_path, CampaignProgress())


def test_the_original_learns_total_energies(database: str) -> None:
    settings = original(database)
    assert (settings.sizes, settings.validation_share) == ((2000,), 0.5)
    assert settings.training["references"] == "mean"
    assert {ARMS[arm].model["mode"] for arm in settings.arms} == {"2d", "3d"}
    total = _Molecules(small(database, total=True), CampaignProgress())
    np.testing.assert_array_equal(total.values, Dataset.open(Path(database)).target("u0"))
    atomization = _Molecules(referenced(total.settings), CampaignProgress())
    np.testing.assert_array_equal(atomization.values, Dataset.open(Path(database)).atomization("u0"))
    assert (atomization._test, atomization._orders) == (total._test, total._orders)
