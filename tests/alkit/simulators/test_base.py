"""alkit.simulators.base: names, settings and what is accepted as a label."""

import pickle
from dataclasses import replace
from decimal import Decimal
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
    mine = create_simulator(SimulatorSpec(f"{plugin}:Constant", {"value": -17.5}))
    molecule = embed("C", seed=0)
    assert check_label(mine.label(molecule), molecule, mine.level).value == -17.5


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
    checked = check_label(good, molecule, LEVEL)
    assert vars(checked).keys() == vars(good).keys()
    for name, value in vars(good).items():
        np.testing.assert_array_equal(getattr(checked, name), value)
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


class _Hostile:
    """What a simulator may return by mistake: it has no numbers in it."""

    def __array__(self, *_: object, **__: object) -> np.ndarray:
        raise RuntimeError("no array")


WRONG = {  # what a label of water may not hold, and the reason that is kept
    "value": [
        (1e300, "impossible_energy"),
        (5e5, "impossible_energy"),
        (9.5, "impossible_energy"),
        (0.0, "impossible_energy"),
        (-0.36, "impossible_energy"),  # Hartree
        (-76.4, "impossible_energy"),  # total energy in Hartree
        (-2079.0, "impossible_energy"),  # total energy in eV
        (-227.0, "impossible_energy"),  # kcal/mol
        (-949.0, "impossible_energy"),  # kJ/mol
        (-3.2, "impossible_energy"),  # per atom
        (float("inf"), "not_finite"),
        (complex(-9.5, 1), "simulator_error"),
        (np.complex128(-9.5), "simulator_error"),
        (np.array([-9.5, -9.5]), "simulator_error"),
        ("-9.5", "simulator_error"),
        (True, "simulator_error"),
        (None, "simulator_error"),
        (-(10**400), "simulator_error"),
        (_Hostile(), "simulator_error"),
    ],
    "seconds": [
        (float("nan"), "not_finite"),
        ("fast", "simulator_error"),
        (-1e9, "simulator_error"),
        (1j, "simulator_error"),
    ],
    "parts": [
        ({"zpve": 1j}, "simulator_error"),
        ({"zpve": "x"}, "simulator_error"),
        ({"zpve": np.zeros(3)}, "simulator_error"),
        ({("zpve", 1): 1.0}, "simulator_error"),
        ([("zpve", 1.0)], "simulator_error"),
    ],
    "attempts": [
        (("a", "b"), "simulator_error"),
        ((1, 2, 3), "simulator_error"),
        ((("as given", "", "x"),), "simulator_error"),
        (7, "simulator_error"),
    ],
    "positions": [
        (np.eye(3) * 1e6, "simulator_error"),
        (np.eye(3) * 1j, "simulator_error"),
        ("here", "simulator_error"),
        (np.zeros((3, 2)), "simulator_error"),
    ],
    "numbers": [
        (np.array([8.0, 1.0, 1.0]), "simulator_error"),
        (np.array([8, 1, 2]), "simulator_error"),
        (None, "simulator_error"),
    ],
}


@pytest.mark.parametrize(
    ("field", "value", "reason"), [(field, *case) for field, cases in WRONG.items() for case in cases]
)
def test_what_a_label_may_not_hold_has_its_reason(field: str, value: object, reason: str) -> None:
    molecule, level = embed("O", seed=0), Level("mine", "energy")
    good = Label("O", -9.5, level, {}, molecule.numbers, molecule.positions, 0.1)
    with pytest.raises(LabelError) as failure:
        check_label(replace(good, **{field: value}), molecule, level)
    assert failure.value.reason == reason
    assert failure.value.detail.startswith(("O:", "label() of O "))


@pytest.mark.parametrize(
    "value", [np.array([-9.5]), np.array([[-9.5]]), np.float32(-9.5), Decimal("-9.5"), np.array(-9.5)]
)
def test_an_array_of_one_number_is_a_number(value: object) -> None:
    molecule, level = embed("O", seed=0), Level("mine", "energy")
    label = Label(
        "O", value, level, {"x": np.array([2])}, molecule.numbers, molecule.positions, np.float32(1)
    )
    checked = check_label(label, molecule, level)
    assert (checked.value, checked.parts, checked.seconds) == (-9.5, {"x": 2.0}, 1.0)
    assert {type(checked.value), type(checked.parts["x"]), type(checked.seconds)} == {float}


def test_energies_of_other_kinds_have_no_bounds() -> None:
    molecule = embed("O", seed=0)
    for level in (Level("mine", "gap"), Level("mine", "energy", "V")):
        label = Label("O", 7.0, level, {}, molecule.numbers, molecule.positions, 0.1)
        assert check_label(label, molecule, level).value == 7.0


def test_ions_count_from_neutral_atoms() -> None:
    level = Level("GFN2-xTB, charge +1, 1 unpaired", "energy")
    molecule = embed("O", seed=0)
    label = Label("O", 4.107510, level, {}, molecule.numbers, molecule.positions, 0.1)  # water's cation
    assert check_label(label, molecule, level).value == 4.107510
