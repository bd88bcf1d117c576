"""alkit.simulators.base: names, settings and what is accepted as a label."""

import pickle
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from alkit.errors import ConfigError, LabelError
from alkit.molecules.conformers import embed
from alkit.simulators import Label, Level, Simulator, SimulatorSpec, check_label, create_simulator
from alkit.simulators.xtb import XTBSimulator

LEVEL = Level("GFN2-xTB", "u0")
PLUGIN = """
from alkit.simulators import Label, Level

class Constant:
    def __init__(self, value: float, *, note: str = ""):
        self.level = Level("constant", "energy")
        self.value = value

    def label(self, molecule):
        return Label(molecule.smiles, self.value, self.level, {}, molecule.numbers, molecule.positions, 0.0)

class Nothing:
    pass
"""


@pytest.fixture
def plugin(tmp_path: Path) -> str:
    path = tmp_path / "mine.py"
    path.write_text(PLUGIN)
    return str(path)


def test_levels_are_values_and_read_well() -> None:
    assert str(LEVEL) == "GFN2-xTB u0 [eV]"
    assert Level("GFN2-xTB", "u0", "eV") == LEVEL != Level("GFN2-xTB", "energy")


def test_a_simulator_is_found_by_name_and_by_file(plugin: str) -> None:
    simulator = create_simulator(SimulatorSpec("xtb", {"target": "energy", "fmax": 0.005}))
    assert isinstance(simulator, XTBSimulator)
    assert isinstance(simulator, Simulator)
    assert (simulator.fmax, simulator.level) == (0.005, Level("GFN2-xTB", "energy"))
    mine = create_simulator(SimulatorSpec(f"{plugin}:Constant", {"value": -1.5}))
    molecule = embed("C", seed=0)
    assert check_label(mine.label(molecule), molecule, mine.level).value == -1.5


@pytest.mark.parametrize(
    ("kind", "settings", "message"),
    [
        ("xbt", {}, "no simulator 'xbt'.*'xtb'"),
        ("xtb", {"fmxa": 1}, "no setting 'fmxa'.*'fmax'"),
        ("xtb", {"fmax": -1}, "fmax is -1"),
        ("xtb", {"fmax": True}, "fmax is True"),
        ("xtb", {"method": "PM6"}, "GFN2-xTB"),
        ("xtb", {"target": "u0", "relax": False}, "needs a minimum"),
        ("lookup", {}, "needs the setting 'dataset'"),
        ("absent.py:Constant", {}, "absent.py"),
        ("{plugin}:Konstant", {"value": 1}, "'Constant'"),
        ("{plugin}:Constant", {}, "needs the setting 'value'"),
        ("{plugin}:Nothing", {}, "no simulator"),
    ],
)
def test_mistakes_are_named_with_the_nearest_right_word(
    kind: str, settings: dict, message: str, plugin: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        create_simulator(SimulatorSpec(kind.format(plugin=plugin), settings))


def test_specs_and_labels_survive_the_way_to_a_worker() -> None:
    molecule = embed("O", seed=0)
    label = Label("O", -9.5, LEVEL, {"zpve": 0.5}, molecule.numbers, molecule.positions, 0.1)
    spec, copy = pickle.loads(pickle.dumps((SimulatorSpec("xtb", {"fmax": 0.005}), label)))
    assert spec == SimulatorSpec("xtb", {"fmax": 0.005})
    assert (copy.smiles, copy.value, copy.level, copy.parts) == ("O", -9.5, LEVEL, {"zpve": 0.5})


def test_only_a_finite_label_of_the_same_molecule_and_level_is_accepted() -> None:
    molecule = embed("O", seed=0)
    good = Label("O", -9.5, LEVEL, {"zpve": 0.5}, molecule.numbers, molecule.positions, 0.1)
    assert check_label(good, molecule, LEVEL) is good
    bad = {
        "not_finite": [
            replace(good, value=float("nan")),
            replace(good, parts={"zpve": float("inf")}),
            replace(good, positions=molecule.positions * np.nan),
        ],
        "simulator_error": [
            -9.5,
            replace(good, smiles="C"),
            replace(good, level=Level("other", "u0")),
            replace(good, numbers=molecule.numbers[:2], positions=molecule.positions[:2]),
        ],
    }
    for reason, labels in bad.items():
        for label in labels:
            with pytest.raises(LabelError) as failure:
                check_label(label, molecule, LEVEL)
            assert failure.value.reason == reason
