"""Forces from a file to a model and back: imported, trained, scored, predicted, refused."""

import json
import re
from pathlib import Path

import ase.io
import numpy as np
import pytest
from ase import Atoms
from ase.build import molecule
from ase.calculators.singlepoint import SinglePointCalculator

from alkit.cli import app
from alkit.models.store import load_model
from alkit.reporting.progress import CampaignProgress
from alkit.standalone.scoring import score_model
from surrogate import EnsembleCalculator

HARTREE, BOHR = 27.211386245988, 0.529177210903  # eV and Å


def frames(count: int, *, seed: int, unit: float = 1.0) -> list[Atoms]:
    """Shaken ethanol whose pairs repel, with energies in eV and forces in eV/Å."""
    rng, made = np.random.default_rng(seed), []
    for _ in range(count):
        atoms = molecule("CH3CH2OH")
        atoms.positions += rng.normal(scale=0.05, size=atoms.positions.shape)
        vectors = atoms.positions[:, None] - atoms.positions[None]
        distances = np.linalg.norm(vectors, axis=-1) + np.eye(9)
        pairs = np.exp(-distances) * np.sqrt(np.outer(atoms.numbers, atoms.numbers)) * (1 - np.eye(9))
        forces = ((pairs / distances)[..., None] * vectors).sum(axis=1)
        atoms.calc = SinglePointCalculator(atoms, energy=-35 + pairs.sum() / 2, forces=forces)
        made.append(atoms)
    return made


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """Two files in extended XYZ, the databases that they become, and a model trained on the first."""
    folder = tmp_path_factory.mktemp("forces")
    for name, count, seed in (("learned", 60, 0), ("unseen", 12, 1)):
        ase.io.write(folder / f"{name}.extxyz", frames(count, seed=seed))
        run("data", "import", folder / f"{name}.extxyz", "--to", folder / f"{name}.db", *SAID)
    run("train", folder / "learned.db", "--forces", "--out", folder / "model", *SMALL)
    return folder


SAID = ("--property", "energy=energy", "--unit", "eV", "--kind", "atomization", "--level", "toy")
SMALL = ("--members", 2, "--features", 32, "--epochs", 30, "--batch-size", 8, "--device", "cpu")


def run(*arguments: object) -> int:
    try:
        app.main([str(argument) for argument in arguments])
    except SystemExit as ending:
        return int(ending.code or 0)
    return 0


def refused(capsys, *arguments: object) -> str:
    """The one sentence that a command ends with."""
    capsys.readouterr()
    assert run(*arguments) == 2
    err = capsys.readouterr().err
    assert err.startswith("alkit: ")
    assert err.count("\n") == 1
    return err


def test_three_commands_from_a_file_to_the_errors_of_forces(folder, capsys) -> None:
    assert run("score", folder / "model", folder / "unseen.db") == 0
    out = capsys.readouterr().out
    mae, zero = (float(re.search(rf"{words} *│ ([\d.]+)", out)[1]) for words in SCORED)  # type: ignore[index]
    model, _ = load_model(folder / "model")
    errors, sizes = [], []
    for atoms in ase.io.read(folder / "unseen.extxyz", ":"):
        truth = atoms.get_forces()
        atoms.calc = EnsembleCalculator(model)
        errors.append(atoms.get_forces() - truth)
        sizes.append(truth)
    assert mae == pytest.approx(np.abs(errors).mean(), abs=1e-4)
    assert zero == pytest.approx(np.abs(sizes).mean(), abs=1e-4)
    assert mae < 0.2 * zero
    assert json.loads((folder / "model" / "model.json").read_text())["forces"] == "eV/Å"


SCORED = ("MAE of forces, eV/Å", "MAE of forces of zero, eV/Å")


def test_training_prints_the_errors_of_both(folder, capsys, tmp_path) -> None:
    assert run("train", folder / "unseen.db", "--forces", "-o", tmp_path / "m", *SMALL) == 2  # 12 are too few
    few = ("--members", 2, "--features", 8, "--epochs", 2)
    capsys.readouterr()
    assert run("train", folder / "learned.db", "--forces-weight", 0.5, "-o", tmp_path / "m", *few) == 0
    out = " ".join(capsys.readouterr().out.split())
    assert re.search(r" eV ([\d.]+ ){4}.* kcal/mol .* eV/Å ([\d.]+ ){4}-?[\d.]+ [\d.]+ Errors", out)
    assert "In eV/Å: components of forces, beside the MAE of forces of zero." in out


def test_without_the_option_forces_are_named_and_not_learned(folder, capsys, tmp_path) -> None:
    few = ("--members", 2, "--features", 8, "--epochs", 2)
    assert run("train", folder / "learned.db", "-o", tmp_path / "m", *few) == 0
    assert "has forces, which are not learned: --forces" in " ".join(capsys.readouterr().err.split())
    assert load_model(tmp_path / "m")[1].forces == ""
    metrics, facts, _ = score_model(
        tmp_path / "m", folder / "unseen.db", target=None, progress=CampaignProgress()
    )
    assert metrics["forces_mae"] > 0
    assert facts["forces"] == "not learned: the slopes of energies"


@pytest.mark.parametrize("ending", ["extxyz", "db"])
def test_predictions_with_forces_are_structures(folder, tmp_path, ending: str, capsys) -> None:
    out = tmp_path / f"predicted.{ending}"
    assert run("predict", folder / "model", folder / "unseen.extxyz", "--out", out) == 0
    assert "12 predicted (atomization energies and forces" in capsys.readouterr().err
    model, _ = load_model(folder / "model")
    given, found = ase.io.read(folder / "unseen.extxyz", ":"), ase.io.read(out, ":")
    assert len(found) == 12
    for one, other in zip(given, found, strict=True):
        np.testing.assert_allclose(one.positions, other.positions, atol=1e-7)
        one.calc = EnsembleCalculator(model)
        np.testing.assert_allclose(other.get_forces(), one.get_forces(), atol=1e-5)
        assert other.get_potential_energy() == pytest.approx(one.get_potential_energy(), abs=1e-4)
    again = ("predict", folder / "model", folder / "unseen.extxyz", "--out", out)
    assert "exists already" in refused(capsys, *again)


def test_forces_in_other_units_are_the_same(folder, tmp_path) -> None:
    """Hartree and Bohr, of gradients: what is learned and scored is eV/Å."""
    lines = []
    for atoms in frames(12, seed=1):
        forces = -atoms.get_forces() / (HARTREE / BOHR)
        energy = float(atoms.get_potential_energy()) / HARTREE
        lines += ["9", f"Properties=species:S:1:pos:R:3:slope:R:3 E={energy!r}"]
        for symbol, place, slope in zip(atoms.symbols, atoms.positions, forces, strict=True):
            lines.append(" ".join([symbol, *(f"{value!r}" for value in [*place.tolist(), *slope.tolist()])]))
    (tmp_path / "atomic.extxyz").write_text("\n".join(lines) + "\n")
    said = ("--property", "E=energy", "--unit", "hartree", "--kind", "atomization", "--level", "toy")
    slopes = ("--gradients", "slope", "--forces-unit", "hartree/bohr")
    files = tmp_path / "atomic.extxyz", "--to", tmp_path / "atomic.db"
    assert run("data", "import", *files, *said, *slopes) == 0
    scored = [
        score_model(folder / "model", data, target=None, progress=CampaignProgress())[0]
        for data in (folder / "unseen.db", tmp_path / "atomic.db")
    ]
    for name in ("mae", "forces_mae", "baseline_forces"):
        assert scored[1][name] == pytest.approx(scored[0][name], rel=1e-4)


def test_what_has_no_forces_is_refused(folder, capsys, tmp_path) -> None:
    (tmp_path / "table.csv").write_text("smiles,u0\n" + "CCO,-35.0\n" * 3)
    train = ("--forces", "-o", tmp_path / "m")
    assert "is a table, which has none" in refused(capsys, "train", tmp_path / "table.csv", *train)
    bare = frames(25, seed=2)
    for atoms in bare:
        atoms.info["E"], atoms.calc = atoms.get_potential_energy(), None
    ase.io.write(tmp_path / "bare.extxyz", bare)
    said = ("--property", "E=energy", "--unit", "eV", "--kind", "atomization", "--level", "toy")
    run("data", "import", tmp_path / "bare.extxyz", "--to", tmp_path / "bare.db", *said)
    assert "--forces NAME` keeps those of a file" in refused(capsys, "train", tmp_path / "bare.db", *train)
    learned = folder / "learned.db"
    for options, why in (
        (("--mode", "2d"), "2d mode sees no geometry"),
        (("--representation", "kernel"), "representation is kernel"),
        (("--representation", "auto"), "representation is auto"),
        (("--learning", "delta"), "a baseline and inputs have slopes of their own"),
        (("--forces-weight", 0), "leave one of them out"),
        (("--forces-weight", 1), "to below 1"),
    ):
        assert why in refused(capsys, "train", learned, *train, *options)
    assert not (tmp_path / "m").exists()


def test_a_geometry_without_forces_among_others_is_refused_or_left_out(capsys, tmp_path) -> None:
    mixed = frames(25, seed=3)
    mixed[7].calc = SinglePointCalculator(mixed[7], energy=-20.0)
    ase.io.write(tmp_path / "mixed.extxyz", mixed)
    files = tmp_path / "mixed.extxyz", "--to", tmp_path / "mixed.db"
    assert "it has no forces" in refused(capsys, "data", "import", *files, *SAID, "--forces", "forces")
    assert run("data", "import", *files, *SAID, "--forces", "forces", "--skip-bad") == 0
    assert "24 written" in capsys.readouterr().out
    assert run("data", "import", files[0], "--to", tmp_path / "bare.db", *SAID) == 0
    assert "not kept: 1 of the first rows have none" in " ".join(capsys.readouterr().out.split())
