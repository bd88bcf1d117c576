"""alkit.simulators.xtb: atoms, molecules, and every way to fail."""

import json
import subprocess
import sys

import numpy as np
import pytest
from ase import Atoms
from threadpoolctl import threadpool_limits

from alkit.errors import LabelError
from alkit.molecules.conformers import embed
from alkit.molecules.free_atoms import ATOM_ENERGIES
from alkit.molecules.molecule import Molecule
from alkit.simulators import Level, check_label
from alkit.simulators.gfn import METHODS
from alkit.simulators.references import UNPAIRED
from alkit.simulators.xtb import XTBSimulator, calculator

xtb = pytest.importorskip("xtb.ase.calculator", reason="xtb has no wheel for this Python")

TBLITE = """
import json, sys
from ase import Atoms
from tblite.ase import TBLite
numbers, positions, method = json.load(sys.stdin)
atoms = Atoms(numbers, positions, calculator=TBLite(method=method, accuracy=0.001, verbosity=0))
print(json.dumps(atoms.get_potential_energy()))
"""


def reason(simulator: XTBSimulator, molecule: Molecule) -> str:
    with pytest.raises(LabelError) as failure:
        simulator.label(molecule)
    return failure.value.reason


@pytest.mark.parametrize("method", METHODS)
def test_atom_energies_are_what_xtb_computes(method: str) -> None:
    assert set(ATOM_ENERGIES[method]) == set(UNPAIRED)
    with threadpool_limits(1):
        for number, tabulated in ATOM_ENERGIES[method].items():
            atom = Atoms([number], magmoms=[UNPAIRED[number]])
            atom.calc = xtb.XTB(method=method, accuracy=1e-4)
            assert atom.get_potential_energy() == pytest.approx(tabulated, abs=2e-6), number


def test_the_force_field_counts_from_free_atoms() -> None:
    for number in ATOM_ENERGIES["GFN-FF"]:
        atom = Atoms([number], calculator=calculator(method="GFN-FF", max_iterations=250))
        assert atom.get_potential_energy() == 0 == ATOM_ENERGIES["GFN-FF"][number]


def test_the_parts_make_the_value_and_are_physical() -> None:
    simulator = XTBSimulator()
    molecule = embed("CC=O", seed=0)
    label = check_label(simulator.label(molecule), molecule, Level("GFN2-xTB", "u0", "eV"))
    parts = label.parts
    assert label.value == pytest.approx(parts["total_energy"] + parts["zpve"] - parts["atom_energies"])
    assert -40 < label.value < -20
    assert 1.3 < parts["zpve"] < 1.6  # experiment: 1.48 eV
    assert parts["max_force"] < 0.0101
    assert parts["lowest_mode_cm1"] > 50
    assert label.seconds > 0
    electronic = XTBSimulator(target="energy").label(molecule)
    assert electronic.value == pytest.approx(label.value - parts["zpve"], abs=1e-4)
    assert electronic.level == Level("GFN2-xTB", "energy", "eV")


def test_the_label_hardly_depends_on_the_scheme_and_not_on_the_call() -> None:
    molecule = embed("CCO", seed=0)
    forward, again = (XTBSimulator().label(molecule) for _ in range(2))
    central = XTBSimulator(hessian="central").label(molecule)
    assert forward.value == again.value
    assert forward.value == pytest.approx(central.value, abs=1e-3)


def test_the_label_hardly_depends_on_where_the_relaxation_starts() -> None:
    labels = [
        XTBSimulator().label(embed("C1CC1", geometry=g, seed=s)) for g, s in (("etkdg", 0), ("mmff", 1))
    ]
    assert labels[0].value == pytest.approx(labels[1].value, abs=1e-3)


@pytest.mark.parametrize("method", METHODS)
def test_energies_agree_with_tblite(method: str) -> None:
    pytest.importorskip("tblite", reason="tblite is the independent implementation")
    molecule = embed("NCC=O", seed=0)
    label = XTBSimulator(method=method, target="energy", relax=False).label(molecule)
    assert label.level == Level(f"{method} (unrelaxed)", "energy", "eV")
    assert np.array_equal(label.positions, molecule.positions)
    # In a process of its own: tblite and torch need not get along.
    out = subprocess.run(
        [sys.executable, "-c", TBLITE],
        input=json.dumps([molecule.numbers.tolist(), molecule.positions.tolist(), method]),
        capture_output=True,
        text=True,
        check=True,
        env={"OMP_NUM_THREADS": "1"},
    )
    assert label.parts["total_energy"] == pytest.approx(json.loads(out.stdout), abs=1e-5)


def test_a_saddle_is_left_for_the_minimum_beside_it(monkeypatch: pytest.MonkeyPatch) -> None:
    # Straight water: by symmetry no force bends it.
    straight = Molecule("O", np.array([8, 1, 1]), np.array([[0.0, 0, 0], [0, 0, 1], [0, 0, -1]]), "given")
    label = XTBSimulator().label(straight)
    assert label.parts["saddle_escapes"] == 1
    assert label.value == pytest.approx(XTBSimulator().label(embed("O", seed=0)).value, abs=1e-3)
    monkeypatch.setattr("alkit.simulators.recipes._ESCAPES", 0)
    assert reason(XTBSimulator(recover=False), straight) == "imaginary_modes"


def test_failures_have_names(capfd: pytest.CaptureFixture[str]) -> None:
    ethanol = embed("CCO", seed=0)
    assert reason(XTBSimulator(max_iterations=1, recover=False), ethanol) == "scf_not_converged"
    assert reason(XTBSimulator(max_steps=1, fmax=1e-4, recover=False), ethanol) == "not_relaxed"
    ether = embed("COC", seed=0)
    swapped = Molecule("CCO", ether.numbers, ether.positions, "given")
    assert reason(XTBSimulator(recover=False), swapped) == "identity_changed"
    tin = Molecule("[SnH4]", np.array([50]), np.zeros((1, 3)), "given")
    assert reason(XTBSimulator(), tin) == "unsupported_element"
    assert capfd.readouterr() == ("", "")  # xtb itself is muted


def test_labels_do_not_need_torch() -> None:
    code = (
        "import sys; from alkit.molecules import embed; from alkit.simulators.xtb import XTBSimulator\n"
        "XTBSimulator(target='energy').label(embed('O', seed=0)); print('torch' in sys.modules)"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert (out.stdout.strip(), out.stderr) == ("False", "")
