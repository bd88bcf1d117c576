"""alkit.standalone.schnetpack_io: `alkit export` and `alkit import`."""

from pathlib import Path

import numpy as np
import pytest
import torch

from alkit.cli import app
from alkit.datasets.references import atom_energies
from alkit.errors import DataError
from alkit.models.store import Provenance, load_model
from alkit.standalone.schnetpack_io import export_model, import_models
from surrogate import AtomReferences, Ensemble, ModelSettings, graph_3d
from surrogate.schnet import build_model

SETTINGS = ModelSettings(features=8, interactions=1, gaussians=6, elements=("H", "O"))
WATER = graph_3d([8, 1, 1], [[0, 0, 0.12], [0, 0.76, -0.48], [0, -0.76, -0.48]], cutoff=5.0)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    members = [build_model(SETTINGS, seed=k).eval() for k in range(2)]
    Ensemble(SETTINGS, AtomReferences((1, 8), (-2.0, -5.0)), members).save(tmp_path / "model")
    Provenance("mmff", 0, 10, "GFN2-xTB energy [eV]", 20).save(tmp_path / "model")
    return tmp_path / "model"


def test_there_and_back(model: Path, tmp_path: Path) -> None:
    files = [tmp_path / "0", tmp_path / "1"]
    for k, file in enumerate(files):
        assert (
            export_model(model, file, member=k, absolute=False)
            == "atomization energy in eV (GFN2-xTB energy [eV])"
        )
    settings = {"unit": "eV", "level": "GFN2-xTB energy", "elements": ["H", "O"], "geometry": "mmff"}
    settings["energy"] = "atomization"
    assert import_models(files, tmp_path / "back", **settings) == 2
    (first, _), (back, answer) = load_model(model), load_model(tmp_path / "back")
    np.testing.assert_allclose(back.predict([WATER]).samples, first.predict([WATER]).samples, rtol=1e-6)
    assert answer.level == "GFN2-xTB energy [eV]"


def test_total_energies_are_those_of_the_level(model: Path, tmp_path: Path) -> None:
    export_model(model, tmp_path / "total", member=0, absolute=True)
    import_models(
        [tmp_path / "total"],
        tmp_path / "back",
        unit="Hartree",
        level="GFN2-xTB energy",
        energy="total",
        elements=["H", "O"],
        geometry="mmff",
    )
    (first, _), (back, answer) = load_model(model), load_model(tmp_path / "back")
    assert answer.energy == "total"
    with pytest.raises(DataError, match="total ones already; leave out --absolute"):
        export_model(tmp_path / "back", tmp_path / "twice", member=0, absolute=True)
    assert export_model(tmp_path / "back", tmp_path / "once", member=0, absolute=False).startswith(
        "total energy"
    )
    atoms = 2 * atom_energies("GFN2-xTB u0 [eV]")[1] + atom_energies("GFN2-xTB u0 [eV]")[8]
    expected = 27.211386 * (first.predict([WATER]).samples[0] + atoms)
    np.testing.assert_allclose(back.predict([WATER]).mean, expected, rtol=1e-6)


def test_tables_are_by_level() -> None:
    assert atom_energies("B3LYP/6-31G(2df,p) u0 [eV]")[1] == pytest.approx(-13.613, abs=1e-3)
    with pytest.raises(DataError, match="no table of atom energies for PBE u0"):
        atom_energies("PBE u0")


def test_refusals_are_one_sentence(model: Path, tmp_path: Path, capsys) -> None:
    def refused(*arguments: object) -> str:
        with pytest.raises(SystemExit) as ending:
            app.main([str(argument) for argument in arguments])
        assert ending.value.code == 2
        return capsys.readouterr().err

    assert "nothing is overwritten" in refused("export", model, "--out", model / "model.json")
    assert "no member 7" in refused("export", model, "--out", tmp_path / "new", "--member", 7)
    torch.save({"weights": torch.zeros(2)}, tmp_path / "foreign")
    command = ("import", tmp_path / "foreign", "--out", tmp_path / "m", "--level", "x", "--energy", "total")
    assert "--elements" in refused(*command)
    assert "holds no NeuralNetworkPotential" in refused(*command, "--elements", "H,O")
    assert "'Ry' is no unit of energy" in refused(*command, "--elements", "H,O", "--unit", "Ry")
    assert "'Xx' is not the symbol of an element" in refused(*command, "--elements", "H,Xx")
    assert not (tmp_path / "m" / "ensemble.json").exists()
