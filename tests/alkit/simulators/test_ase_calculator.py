"""alkit.simulators.ase_calculator: calculators by import path, against the same ones by name."""

import json
from pathlib import Path
from typing import Any

import pytest
from ase import Atoms

from alkit.errors import ConfigError, LabelError
from alkit.molecules.conformers import embed
from alkit.molecules.identity import changes
from alkit.simulators import Level, SimulatorSpec, check_label, create_simulator
from alkit.simulators.ase_calculator import ASESimulator

GFN2 = {"calculator": "xtb.ase.calculator:XTB", "arguments": {"method": "GFN2-xTB"}}


def test_a_calculator_by_its_path_gives_the_label_that_it_gives_by_name() -> None:
    pytest.importorskip("xtb.ase.calculator", reason="xtb has no wheel for this Python")
    molecule = embed("CC=O", seed=0)
    named = create_simulator(SimulatorSpec("xtb", {"hessian": "central"}))
    simulator = create_simulator(SimulatorSpec("ase", {**GFN2, "method": "GFN2-xTB"}))
    label = check_label(simulator.label(molecule), molecule, named.level)
    assert label.value == pytest.approx(named.label(molecule).value, abs=1e-4)
    # Given energies of the free atoms take the place of computed ones, element by element.
    carbon = {"atom_energies": {"C": label.parts["atom_energies"]}}
    shifted = ASESimulator(**GFN2, **carbon).label(molecule)
    assert shifted.parts["atom_energies"] < label.parts["atom_energies"]


def test_the_ladder_is_there_too() -> None:
    pytest.importorskip("tblite.ase", reason="tblite is an extra")
    arguments = {"method": "GFN2-xTB", "verbosity": 0, "max_iterations": 6}
    settings = {"calculator": "tblite.ase:TBLite", "target": "energy"}
    simulator = ASESimulator(arguments=arguments, **settings)
    assert simulator.level == Level("TBLite(max_iterations=6, method=GFN2-xTB)", "energy", "eV")
    assert simulator.version.startswith("tblite")
    methanol = embed("CO", seed=0)
    label = simulator.label(methanol)
    assert [attempt.strategy for attempt in label.attempts] == ["as given", "annealed SCF"]
    usual = create_simulator(SimulatorSpec("tblite", {"target": "energy"})).label(methanol)
    assert label.value == pytest.approx(usual.value, abs=1e-4)
    with pytest.raises(LabelError, match="no energy of a free") as failure:
        ASESimulator(arguments={**arguments, "max_iterations": 1}, **settings).label(methanol)
    assert failure.value.reason == "unsupported_element"


def test_bonds_are_judged_by_the_orders_that_tblite_has() -> None:
    pytest.importorskip("tblite.ase", reason="tblite is an extra")
    arguments = {"method": "GFN2-xTB", "verbosity": 0}
    simulator = ASESimulator(calculator="tblite.ase:TBLite", arguments=arguments)
    methanol = embed("CO", seed=0)
    atoms = Atoms(methanol.numbers, methanol.positions, calculator=simulator.new_calculator())
    atoms.get_potential_energy()
    orders = simulator.bond_orders(atoms)
    assert orders is not None
    assert orders.shape == (6, 6)
    assert changes("CO", atoms.numbers, atoms.positions, orders) == ""
    assert "C0-O1 is broken" in changes("CO", atoms.numbers, atoms.positions, orders * 0.3)


def test_ases_own_potential_works_and_takes_other_words_for_its_elements() -> None:
    simulator = ASESimulator(calculator="ase.calculators.emt:EMT", target="energy", relax=False)
    assert simulator.level.method == "EMT() (unrelaxed)"
    molecule = embed("CO", seed=0)
    label = check_label(simulator.label(molecule), molecule, simulator.level)
    assert label.parts["total_energy"] - label.parts["atom_energies"] == pytest.approx(label.value)
    with pytest.raises(LabelError, match="atom_energies has no Se"):
        simulator.label(embed("[SeH2]", geometry="etkdg"))


def test_the_level_says_which_calculator_and_which_free_atoms(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def method(**settings: Any) -> str:
        return ASESimulator(**{"calculator": "ase.calculators.emt:EMT", **settings}).method_name()

    assert method() == "EMT()"
    with_atoms = {method(atom_energies=known) for known in ({"C": -1.0}, {"C": -2.0}, {"H": -1.0})}
    assert len(with_atoms) == 3
    assert all(name.startswith("EMT(), atom energies ") for name in with_atoms)
    assert method(atom_energies={"C": -1, "H": 2.0}) == method(atom_energies={"H": 2, "C": -1.0})
    assert method(atom_energies={"C": -1.0}, method="mine") == "mine"
    (tmp_path / "other_emt.py").write_text("from ase.calculators import emt\nclass EMT(emt.EMT): pass\n")
    monkeypatch.syspath_prepend(tmp_path)
    assert method(calculator="other_emt:EMT") == "other_emt.EMT()"


def test_charge_and_spin_of_the_molecule_are_not_those_of_its_atoms() -> None:
    pytest.importorskip("tblite.ase", reason="tblite is an extra")
    settings = {"calculator": "tblite.ase:TBLite", "target": "energy", "recover": False}
    arguments = {"method": "GFN2-xTB", "verbosity": 0, "charge": 1, "multiplicity": 2}
    with pytest.raises(ConfigError, match=r"charge, multiplicity.*give atom_energies"):
        ASESimulator(arguments=arguments, **settings)
    simulator = ASESimulator(arguments=arguments, atom_energies={"O": -102.0}, **settings)
    with pytest.raises(LabelError, match="atom_energies has no H"):
        simulator.label(embed("O", seed=0))


def test_each_calculation_that_writes_files_has_a_folder_of_its_own() -> None:
    simulator = ASESimulator(
        calculator="ase.calculators.nwchem:NWChem", arguments={"command": "true"}, atom_energies={"H": 0.0}
    )
    folders = [Path(simulator.new_calculator().directory) for _ in range(3)]
    assert len(set(folders)) == 3
    assert all(folder.is_dir() and not any(folder.iterdir()) for folder in folders)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"calculator": "nowhere.at.all:Calc"}, r"nowhere\.at\.all .* cannot be imported"),
        ({"calculator": "ase.calculators.emt"}, "must be 'module:Class'"),
        ({"calculator": "ase.calculators.emt:EMTT"}, "nearest valid name is 'EMT'"),
        ({"calculator": "ase.calculators.mixing:SumCalculator"}, "cannot be made: TypeError"),
        ({"calculator": "ase.calculators.emt:EMT", "arguments": [1]}, "must be a mapping"),
        ({"calculator": "pathlib:Path"}, "no ASE calculator"),
        ({"calculator": "ase.calculators.emt:EMT", "atom_energies": {"Xx": 1.0}}, "symbol of an element"),
        ({"calculator": "ase.calculators.emt:EMT", "atom_energies": {"H": "1"}}, "symbol of an element"),
        ({"arguments": {}}, "needs the setting 'calculator'"),
    ],
)
def test_mistakes_are_named(settings: dict, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        create_simulator(SimulatorSpec("ase", settings))


@pytest.mark.parametrize(
    ("calculator", "arguments"),
    [
        ("os:system", {"command": "touch {mark}"}),
        ("subprocess:Popen", {"args": ["touch", "{mark}"]}),
        ("subprocess:run", {"args": ["touch", "{mark}"]}),
        ("pathlib:Path.touch", {}),
        ("builtins:exec", {}),
        ("ase.io:write", {"filename": "{mark}"}),
        ("tempfile:TemporaryDirectory", {"dir": "{mark}"}),
        ("ase:Atoms", {}),
    ],
)
def test_nothing_but_a_calculator_is_ever_called(calculator: str, arguments: dict, tmp_path: Path) -> None:
    """A campaign file may come from somebody else: `validate` runs nothing that it names."""
    mark = tmp_path / "PWNED"
    filled = json.loads(json.dumps(arguments).replace("{mark}", str(mark)))
    settings = {"calculator": calculator, "arguments": filled, "atom_energies": {"H": -1.0}}
    with pytest.raises(ConfigError, match=r"no ASE calculator|has no 'Path.touch'"):
        create_simulator(SimulatorSpec("ase", settings))
    assert list(tmp_path.iterdir()) == []
