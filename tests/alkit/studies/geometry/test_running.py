"""alkit.studies.geometry.running: every arm trains on the same molecules, and a killed study goes on."""

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from alkit.datasets import Dataset
from alkit.datasets.create import Record, create_database
from alkit.errors import CampaignError, ConfigError, DataError
from alkit.molecules.conformers import embed
from alkit.molecules.molecule import without_stereo
from alkit.reporting.progress import CampaignProgress
from alkit.studies.geometry.running import _Molecules, curves, run_study
from alkit.studies.geometry.settings import ARMS, StudySettings, original, referenced

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
    "OCC=O",
    "NCC=O",
]
PAIRS = [
    "CC(O)C=O",
    "CC(N)C=O",
    "CC(O)C#N",
    "CC(N)C#N",
    "CC(O)CO",
    "CC(N)CO",
    "CC1CO1",
    "OC(C=O)C#N",
    "CC(O)C#C",
]
SMILES += [one.replace("C(", f"[C{mark}H](", 1) for one in PAIRS for mark in ("@", "@@") if "C(" in one]


FREE_ATOMS = {1: -13.6, 6: -1030.0, 7: -1030.0, 8: -1030.0, 11: -4400.0, 17: -12500.0}


@pytest.fixture(scope="module")
def database(tmp_path_factory) -> str:
    return make_database(tmp_path_factory.mktemp("study") / "small.db", SMILES)


def make_database(path: Path, molecules: list[str], *, geometry: str = "dataset") -> str:
    """Small molecules with a made-up energy per bond and contact, which a model can learn."""
    path.unlink(missing_ok=True)
    records = [_record(one, geometry) for one in molecules]
    create_database(
        path,
        records,
        units={"energy_U0": "eV"},
        atomrefs={"energy_U0": FREE_ATOMS},
        level="toy",
        geometry=geometry,
        source="test",
    )
    return str(path)


def _record(smiles: str, geometry: str) -> Record:
    if "." in smiles:  # a salt: nothing embeds it
        numbers, positions = np.array([11, 17]), np.array([[0.0, 0, 0], [0, 0, 2.4]])
    else:
        placed = embed(smiles, geometry="etkdg")
        smiles, numbers, positions = placed.smiles, placed.numbers, placed.positions
    distances = np.linalg.norm(positions[:, None] - positions[None], axis=-1)
    energy = sum(FREE_ATOMS[z] for z in numbers.tolist()) - 2 * float(np.exp(-distances).sum())
    return Record(smiles, numbers, positions if geometry == "dataset" else None, {"energy_U0": energy})


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


def test_arms_share_molecules(database: str) -> None:
    molecules = _Molecules(small(database), CampaignProgress())
    for order in molecules._orders:
        assert len(order) == len(set(order)) == 25
        assert not set(order) & set(molecules._test)
    assert molecules._orders[0] != molecules._orders[1]
    again = _Molecules(small(database), CampaignProgress())
    assert (again._test, again._orders) == (molecules._test, molecules._orders)


def test_stereoisomers_share_a_set(database: str) -> None:
    """Eight pairs of mirror images, many draws: without care some pair would straddle."""
    for seed in range(8):
        molecules = _Molecules(small(database, seed=seed), CampaignProgress())
        for k in range(2):
            for size in (20, 25):
                sets = [molecules._test, *molecules.sets(k, size)]
                test, validation, training = (
                    {without_stereo(molecules.data.smiles[i]) for i in part} for part in sets
                )
                assert test.isdisjoint(validation | training)
                assert validation.isdisjoint(training)


def test_a_study_goes_on_and_its_table_is_whole(database: str, tmp_path: Path, monkeypatch) -> None:
    settings = small(database)
    results = run_study(settings, tmp_path, CampaignProgress())
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
    again = run_study(settings, tmp_path, CampaignProgress())
    for before, after in zip(results.fits, again.fits, strict=True):
        np.testing.assert_array_equal(before.predicted, after.predicted)
    monkeypatch.setattr(_Molecules, "fit", lambda *_: pytest.fail("fitted again"))
    run_study(settings, tmp_path, CampaignProgress())
    for damage in (b"half a file", b""):
        lost.write_bytes(damage)
        with pytest.raises(CampaignError, match=r"3d-25-1\.npz is damaged"):
            run_study(settings, tmp_path, CampaignProgress())
    for name in ("study", "molecules"):
        (tmp_path / f"{name}.json").write_text("")
        with pytest.raises(CampaignError, match=rf"{name}\.json is damaged"):
            run_study(settings, tmp_path, CampaignProgress())
        (tmp_path / f"{name}.json").unlink()


def test_other_labels_at_the_same_path_are_refused(database: str, tmp_path: Path) -> None:
    data = shutil.copy(database, tmp_path / "copy.db")
    settings = small(str(data), sizes=(20,), seeds=1, arms=("2d-topological",))
    run_study(settings, tmp_path / "out", CampaignProgress())
    make_database(Path(data), SMILES[10:])
    with pytest.raises(CampaignError, match="holds a study with molecules and labels = "):
        run_study(settings, tmp_path / "out", CampaignProgress())


def test_what_no_arm_can_use_is_left_out(tmp_path: Path) -> None:
    data = make_database(tmp_path / "ions.db", [*SMILES, "[Na+].[Cl-]"])
    molecules = _Molecules(small(data), CampaignProgress())
    assert molecules.left_out == 1
    bare = make_database(tmp_path / "bare.db", SMILES, geometry="none")
    with pytest.raises(DataError, match="labels without geometries, which arm 3d needs"):
        _Molecules(small(bare), CampaignProgress())
    assert _Molecules(small(bare, arms=("2d-topological",)), CampaignProgress()).left_out == 0


def test_another_setting_in_the_same_folder_is_refused(database: str, tmp_path: Path) -> None:
    (tmp_path / "study.json").write_text(json.dumps({"seeds": 3}))
    with pytest.raises(CampaignError, match="holds a study with data = None, not"):
        run_study(small(database), tmp_path, CampaignProgress())


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"arms": ("3d", "4d")}, "There is no arm '4d'"),
        ({"arms": ("3d", "3d")}, "names one twice"),
        ({"sizes": (20, 20)}, "sizes 20, 20 name one twice"),
        ({"sizes": (10,)}, "smallest size must be 20 labels"),
        ({"members": 0}, "1 member at least"),
    ],
)
def test_settings_that_cannot_be(database: str, changes: dict, sentence: str) -> None:
    with pytest.raises(ConfigError, match=sentence):
        small(database, **changes)


def test_too_few_molecules(database: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"lower --sizes or --test"):
        run_study(small(database, sizes=(200,)), tmp_path, CampaignProgress())


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
