"""alkit.simulators.tblite against alkit.simulators.xtb: two libraries, one answer."""

import pytest

from alkit.errors import ConfigError
from alkit.molecules.conformers import embed
from alkit.simulators import SimulatorSpec, create_simulator
from alkit.simulators.gfn import METHODS, SOLVENTS

pytest.importorskip("xtb.ase.calculator", reason="xtb has no wheel for this Python")
pytest.importorskip("tblite.ase", reason="tblite is an extra")


def both(settings: dict, smiles: str = "NCC=O") -> None:
    molecule = embed(smiles, seed=0)
    simulators = [create_simulator(SimulatorSpec(kind, settings)) for kind in ("xtb", "tblite")]
    labels = [simulator.label(molecule) for simulator in simulators]
    assert simulators[0].level == simulators[1].level
    assert labels[0].value == pytest.approx(labels[1].value, abs=1e-4)
    assert labels[0].parts.keys() == labels[1].parts.keys()


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"method": "GFN1-xTB"},
        {"target": "energy", "relax": False},
        {"solvent": "water"},
        {"charge": 1, "unpaired": 1},
        {"unpaired": 2, "target": "energy"},
        {"conformers": 3, "target": "energy"},
        {"hessian": "central", "fmax": 0.005},
    ],
)
def test_the_same_settings_give_the_same_label(settings: dict) -> None:
    both(settings)


@pytest.mark.parametrize("smiles", ["C#C", "CS(C)=O", "c1ccoc1", "FC(Cl)Br"])
def test_the_same_molecules_too(smiles: str) -> None:
    both({}, smiles)


@pytest.mark.parametrize("solvent", sorted(SOLVENTS))
def test_both_know_every_solvent_with_both_methods(solvent: str) -> None:
    gas = create_simulator(SimulatorSpec("xtb", {"target": "energy", "relax": False}))
    for method in METHODS:
        settings = {"target": "energy", "relax": False, "method": method, "solvent": solvent}
        both(settings, "CO")
    wet = create_simulator(SimulatorSpec("xtb", {**settings, "method": "GFN2-xTB"}))
    methanol = embed("CO", seed=0)
    assert wet.label(methanol).value < gas.label(methanol).value - 0.01


def test_the_model_of_the_solvent_is_part_of_the_level() -> None:
    methanol, values = embed("CO", seed=0), {}
    for solvation in ("gbsa", "alpb", "cpcm"):
        settings = {"target": "energy", "solvent": "water", "solvation": solvation}
        simulator = create_simulator(SimulatorSpec("tblite", settings))
        values[simulator.level.method] = round(simulator.label(methanol).value, 3)
    assert set(values) == {f"GFN2-xTB {name}(water)" for name in ("GBSA", "ALPB", "CPCM")}
    assert len(set(values.values())) == 3
    with pytest.raises(ConfigError, match="solvation is 'cosmic'"):
        create_simulator(SimulatorSpec("tblite", {"solvation": "cosmic"}))


def test_it_says_what_computes() -> None:
    simulator = create_simulator(SimulatorSpec("tblite", {}))
    assert simulator.version.startswith("tblite 0.")  # type: ignore[attr-defined]
