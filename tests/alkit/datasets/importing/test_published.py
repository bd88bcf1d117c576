"""Published data sets: the documented command, on small files in the layout of each."""

import shlex
from pathlib import Path

import h5py
import numpy as np
import pytest
from datasets_importing import BOHR, HARTREE, KCAL, One, computed, ten
from scipy.io import savemat

from alkit.cli.app import main
from alkit.datasets import Dataset
from alkit.molecules.conformers import embed

DOCS = Path(__file__).parents[4] / "docs" / "how_to" / "published_data_sets.md"
# Free atoms with all electrons, Hartree, so that totals are of the size that DFT gives.
CORE = {1: -0.1067, 6: -36.05, 7: -51.97, 8: -71.30}


def commands(file: str) -> list[list[str]]:
    """Every command of the page that imports the file."""
    lines = DOCS.read_text(encoding="utf-8").replace("\\\n", " ").splitlines()
    found = [shlex.split(line, comments=True) for line in lines if line.startswith("alkit data import")]
    return [words[1:] for words in found if words[3] == file]


def shaken(one: One, count: int) -> list[One]:
    rng = np.random.default_rng(0)
    places = [one.positions + rng.normal(0, 0.03, one.positions.shape) for _ in range(count)]
    return [computed(one.smiles, one.numbers, place) for place in places]


def all_electron(one: One) -> float:
    return one.energy / HARTREE + sum(CORE[int(z)] for z in one.numbers)


def import_documented(folder: Path, file: str, monkeypatch) -> Dataset:
    monkeypatch.chdir(folder)
    (command,) = commands(file)
    with pytest.raises(SystemExit) as ended:
        main(command)
    assert ended.value.code in (0, None)
    return Dataset.open(folder / command[command.index("--to") + 1])


def test_qm7b(tmp_path, monkeypatch):
    from alkit.molecules.free_atoms import ATOM_ENERGIES

    matrices, targets = [], []
    for one in ten():
        with np.errstate(divide="ignore"):
            gaps = np.linalg.norm(one.positions[:, None] - one.positions[None], axis=-1) / BOHR
            matrix = np.outer(one.numbers, one.numbers) / gaps
        np.fill_diagonal(matrix, 0.5 * one.numbers**2.4)
        matrices.append(np.pad(matrix, (0, 23 - len(matrix))))
        bound = one.energy - sum(ATOM_ENERGIES["GFN2-xTB"][int(z)] for z in one.numbers)
        targets.append([bound / KCAL, *range(13)])
    savemat(tmp_path / "qm7b.mat", {"X": np.array(matrices, "f4"), "T": np.array(targets, "f4")})
    data = import_documented(tmp_path, "qm7b.mat", monkeypatch)
    assert data.smiles == [one.smiles for one in ten()]
    assert data.atomization("energy") == pytest.approx([t[0] * KCAL for t in targets], rel=1e-5)
    assert data.level_of("energy") == "PBE0/tier-2"


def test_rmd17(tmp_path, monkeypatch):
    frames = shaken(ten()[2], 8)
    np.savez(
        tmp_path / "rmd17_ethanol.npz",
        nuclear_charges=ten()[2].numbers.astype("u1"),
        coords=np.array([one.positions for one in frames]),
        energies=np.array([all_electron(one) * HARTREE / KCAL for one in frames]),
        forces=np.array([one.forces / KCAL for one in frames]),
        old_indices=np.arange(8),
        old_energies=np.zeros(8),
        old_forces=np.zeros((8, 9, 3)),
    )
    data = import_documented(tmp_path, "rmd17_ethanol.npz", monkeypatch)
    assert data.smiles == ["CCO"] * 8
    for i, one in enumerate(frames):
        assert data.forces(i) == pytest.approx(one.forces, abs=1e-5)
    assert np.ptp(data.atomization("energy")) == pytest.approx(
        np.ptp([one.energy for one in frames]), abs=1e-4
    )
    assert data.level_of("energy") == "PBE/def2-SVP (atoms fitted)"


def test_ani1x(tmp_path, monkeypatch):
    with h5py.File(tmp_path / "ani1x-release.h5", "w") as file:
        for k in (2, 3, 4, 7):
            frames = shaken(ten()[k], 5)
            group = file.create_group(ten()[k].atoms.get_chemical_formula())
            group["atomic_numbers"] = ten()[k].numbers.astype("u1")
            group["coordinates"] = np.array([one.positions for one in frames], "f4")
            energies = np.array([all_electron(one) for one in frames])
            energies[1] = np.nan  # not every geometry was computed at every level
            group["wb97x_dz.energy"] = energies
            group["wb97x_dz.forces"] = np.array([one.forces / HARTREE for one in frames], "f4")
            group["ccsd(t)_cbs.energy"] = np.full(5, np.nan)
    data = import_documented(tmp_path, "ani1x-release.h5", monkeypatch)
    assert sorted(set(data.smiles)) == sorted(ten()[k].smiles for k in (2, 3, 4, 7))
    assert len(data) == 16
    first = shaken(ten()[2], 5)
    place = [i for i, smiles in enumerate(data.smiles) if smiles == "CCO"]
    assert data.forces(place[1]) == pytest.approx(first[2].forces, abs=1e-4)
    assert (tmp_path / "ani1x.left_out.csv").read_text().count("not a finite number") == 4


def test_spice(tmp_path, monkeypatch):
    mapped = "[C:1]([O:2][H:6])([H:3])([H:4])[H:5]"
    frames = shaken(ten()[1], 4)
    with h5py.File(tmp_path / "SPICE-2.0.1.hdf5", "w") as file:
        for name, smiles in (("methanol", mapped), ("ion", "[C:1]([O-:2])([H:3])([H:4])[H:5]")):
            group = file.create_group(name)
            keep = slice(0, 6 if name == "methanol" else 5)
            group["atomic_numbers"] = ten()[1].numbers[keep].astype("i2")
            group["conformations"] = np.array([one.positions[keep] / BOHR for one in frames], "f4")
            group["dft_total_energy"] = np.array([all_electron(one) for one in frames])
            group["dft_total_gradient"] = np.array(
                [-one.forces[keep] / HARTREE * BOHR for one in frames], "f4"
            )
            group["smiles"], group["subset"] = [smiles.encode()], [b"SPICE test"]
    data = import_documented(tmp_path, "SPICE-2.0.1.hdf5", monkeypatch)
    assert data.smiles == ["CO"] * 4
    for i, one in enumerate(frames):
        assert data.positions(i) == pytest.approx(one.positions, abs=1e-6)
        assert data.forces(i) == pytest.approx(one.forces, abs=1e-4)
    assert "net charge of -1" in (tmp_path / "spice.left_out.csv").read_text()


def test_transition1x(tmp_path, monkeypatch):
    ends = [embed("C=CO", seed=0), embed("CC=O", seed=0), embed("C1CO1", seed=0)]
    with h5py.File(tmp_path / "Transition1x.h5", "w") as file:
        for number, (first, last) in enumerate(((0, 1), (2, 1))):
            rxn = file.create_group(f"data/C2H4O/rxn{number:04d}")
            both = [computed(one.smiles, one.numbers, one.positions) for one in (ends[first], ends[last])]
            for name, one in (("reactant", both[0]), ("product", both[1]), ("transition_state", both[0])):
                group = rxn.create_group(name)
                group["atomic_numbers"], group["positions"] = one.numbers, one.positions[None]
                group["wB97x_6-31G(d).energy"] = [all_electron(one) * HARTREE]
                group["wB97x_6-31G(d).forces"] = one.forces[None]
            file[f"train/C2H4O/rxn{number:04d}"] = h5py.SoftLink(rxn.name)
    data = import_documented(tmp_path, "Transition1x.h5", monkeypatch)
    assert data.smiles == [ends[0].smiles, ends[2].smiles]
    assert data.level_of("energy") == "wB97x/6-31G(d) (atoms fitted)"
